/* worker_streams.c - see worker_streams.h. A file holds one short line of fixed length, which is
 * written over in place: so it can be locked while the worker runs, and is whole whenever that is
 * killed.
 */
#include "app/worker_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "amqp/net/uri.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/input_file.h"
#include "base/log_event.h"
#include "consume/crash/identity.h"

#define SAVE_MS 1000

#define OFFSET_FORMAT "warren-stream 1 offset    %020" PRId64 "\n"
#define TIME_FORMAT   "warren-stream 1 timestamp %020" PRId64 "\n"
#define LINE_LENGTH   47

#define NAME_MAX_SIZE 1024 /* vhost, queue and handler */

struct worker_stream {
    size_t index; /* of the subscription */
    const char *queue;
    char *path;
    int fd;
    stream_begin saved;
    bool failing; /* it could not be written, and that was said */
};

/* ---- the file ---- */

static int write_line(stream_begin begin, char line[LINE_LENGTH + 1])
{
    return begin < 0 ? snprintf(line, LINE_LENGTH + 1, TIME_FORMAT, -begin)
                     : snprintf(line, LINE_LENGTH + 1, OFFSET_FORMAT, begin);
}

/* Only what would be written is taken. */
static bool read_line(const char *line, stream_begin *ret_begin)
{
    static const char *const formats[] = {OFFSET_FORMAT, TIME_FORMAT};
    char again[LINE_LENGTH + 1];

    for (int i = 0; i < 2; i++) {
        int64_t number;

        if (strlen(line) != LINE_LENGTH ||
            sscanf(line + LINE_LENGTH - 21, "%20" SCNd64, &number) != 1 || number < 0)
            return false;
        *ret_begin = i == 0 ? number : -number;
        if (snprintf(again, sizeof again, formats[i], number) == LINE_LENGTH &&
            strcmp(line, again) == 0)
            return true;
    }
    return false;
}

static enum warren_status fail(struct worker_stream *stream, struct warren_error *error,
                               const char *what)
{
    return error_set(error, WARREN_EIO, "stream %s: %s: %s", stream->queue, stream->path, what);
}

static enum warren_status read_file(struct worker_stream *stream, struct warren_error *error)
{
    char line[LINE_LENGTH + 2] = "";
    ssize_t got = pread(stream->fd, line, LINE_LENGTH + 1, 0);

    if (got < 0)
        return fail(stream, error, strerror(errno));
    if (got > 0 && !read_line(line, &stream->saved))
        return fail(
            stream, error,
            "it is damaged, so nobody knows where to begin; if it is removed, that is where "
            "the subscription's argument x-stream-offset says");
    return WARREN_OK;
}

static enum warren_status open_file(struct worker_stream *stream, struct warren_error *error)
{
    stream->saved = STREAM_AS_CONFIGURED;
    stream->fd = open(stream->path, O_RDWR | O_CREAT | O_CLOEXEC, PRIVATE_FILE_MODE);
    if (stream->fd < 0)
        return fail(stream, error, strerror(errno));
    if (flock(stream->fd, LOCK_EX | LOCK_NB) != 0)
        return fail(stream, error,
                    errno == EWOULDBLOCK ? "another worker has it: give each a state_dir of its own"
                                         : strerror(errno));
    descriptors_add(stream->fd, -1, "the offset of a stream");
    return read_file(stream, error);
}

static bool write_file(const struct worker_stream *stream, stream_begin begin)
{
    char line[LINE_LENGTH + 1];

    if (write_line(begin, line) != LINE_LENGTH) {
        errno = ERANGE;
        return false;
    }
    if (pwrite(stream->fd, line, LINE_LENGTH, 0) != LINE_LENGTH)
        return false;
    /* Once it has its length, a loss of power may leave an older line, but no other content. */
    return stream->saved != STREAM_AS_CONFIGURED || fsync(stream->fd) == 0;
}

static void save(struct worker_stream *stream, stream_begin begin)
{
    if (begin == stream->saved || begin == STREAM_AS_CONFIGURED)
        return;
    if (write_file(stream, begin)) {
        stream->saved = begin;
        stream->failing = false;
        return;
    }
    if (!stream->failing)
        log_warn("stream %s: cannot write %s: %s; after a restart it begins at what was written "
                 "last",
                 stream->queue, stream->path, strerror(errno));
    stream->failing = true;
}

/* ---- opening ---- */

static bool is_same(const struct config_subscription *a, const struct config_subscription *b)
{
    return strcmp(a->queue, b->queue) == 0 && strcmp(a->handler, b->handler) == 0;
}

/* Not of the broker's address: it may get another, and the stream be the same. */
static enum warren_status name_file(struct worker_stream *stream, const struct config *config,
                                    struct warren_error *error)
{
    const struct config_subscription *own = &config->subscriptions[stream->index];
    char name[NAME_MAX_SIZE];
    unsigned earlier = 0;
    struct uri uri;
    enum warren_status status = uri_parse(config->broker.uri[0], &uri, error);

    if (status == WARREN_OK && config->broker.unnamed_vhost)
        uri_use_empty_path(config->broker.uri[0], &uri);
    int length;

    if (status != WARREN_OK)
        return status;
    for (size_t i = 0; i < stream->index; i++)
        earlier += is_same(own, &config->subscriptions[i]);
    length =
        snprintf(name, sizeof name, "%s\n%s\n%s\n%u", uri.vhost, own->queue, own->handler, earlier);
    if (length >= (int)sizeof name)
        length = sizeof name - 1;
    if (asprintf(&stream->path, "%s/stream-%016" PRIx64, config->state_dir,
                 identity_hash(name, (size_t)length, 0)) < 0) {
        stream->path = NULL;
        return error_set(error, WARREN_ENOMEM, "out of memory");
    }
    return WARREN_OK;
}

static void report_begin(const struct worker_stream *stream)
{
    bool remembered = stream->saved != STREAM_AS_CONFIGURED;

    log_event(
        WARREN_LOG_INFO,
        remembered ? "stream is consumed from where it was left"
                   : "stream is consumed from where x-stream-offset says: nothing is "
                     "remembered of it",
        LOG_TEXT("queue", stream->queue), LOG_INT_IF(stream->saved >= 0, "offset", stream->saved),
        LOG_INT_IF(stream->saved < 0 && remembered, "timestamp", remembered ? -stream->saved : 0),
        LOG_TEXT("file", stream->path));
}

static void report_nowhere(const char *queue)
{
    log_event(WARREN_LOG_WARN,
              "stream without state_dir: at a restart it is consumed from where x-stream-offset "
              "says, and what was published meanwhile is lost, or all of it comes again; set "
              "state_dir",
              LOG_TEXT("queue", queue));
}

enum warren_status worker_streams_open(struct worker_streams *streams, const struct config *config,
                                       struct runtime_subscription *subscriptions,
                                       struct warren_error *error)
{
    *streams =
        (struct worker_streams){calloc(config->subscription_count, sizeof *streams->items), 0, 0};
    if (!streams->items)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    for (size_t i = 0; i < config->subscription_count; i++) {
        struct worker_stream *stream = &streams->items[streams->count];
        enum warren_status status;

        if (!subscriptions[i].is_stream)
            continue;
        if (!config->state_dir) {
            report_nowhere(subscriptions[i].queue);
            continue;
        }
        *stream =
            (struct worker_stream){.index = i, .queue = config->subscriptions[i].queue, .fd = -1};
        streams->count++;
        status = name_file(stream, config, error);
        if (status == WARREN_OK)
            status = open_file(stream, error);
        if (status != WARREN_OK)
            return status;
        subscriptions[i].begin = stream->saved;
        report_begin(stream);
        if (stream->saved == STREAM_AS_CONFIGURED)
            save(stream, stream_begin_later(subscriptions[i].arguments));
    }
    return WARREN_OK;
}

/* ---- while it runs ---- */

int worker_streams_sleep_ms(const struct worker_streams *streams, int64_t ms)
{
    return (int)(streams->count > 0 && (ms < 0 || ms > SAVE_MS) ? SAVE_MS : ms);
}

void worker_streams_save(struct worker_streams *streams, const struct runtime *runtime,
                         int64_t now_ms)
{
    if (now_ms < streams->due_ms)
        return;
    for (size_t i = 0; i < streams->count; i++)
        save(&streams->items[i], runtime_subscription_begin(runtime, streams->items[i].index));
    streams->due_ms = now_ms < INT64_MAX ? now_ms + SAVE_MS : now_ms;
}

void worker_streams_close(struct worker_streams *streams)
{
    for (size_t i = 0; i < streams->count; i++) {
        descriptors_close(streams->items[i].fd);
        free(streams->items[i].path);
    }
    free(streams->items);
    *streams = (struct worker_streams){NULL, 0, 0};
}
