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
    const struct subscription *running;      /* NULL: it does not yet */
    const struct runtime_subscription *what; /* of that; only compared */
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
                                    size_t index, struct warren_error *error)
{
    const struct config_subscription *own = &config->subscriptions[index];
    char name[NAME_MAX_SIZE];
    unsigned earlier = 0;
    struct uri uri;
    enum warren_status status = uri_parse(config->broker.uri[0], &uri, error);

    if (status == WARREN_OK && config->broker.unnamed_vhost)
        uri_use_empty_path(config->broker.uri[0], &uri);
    int length;

    if (status != WARREN_OK)
        return status;
    for (size_t i = 0; i < index; i++)
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

static bool make_room(struct worker_streams *streams)
{
    struct worker_stream *items;

    if (streams->count < streams->room)
        return true;
    items = realloc(streams->items, (streams->count + 8) * sizeof *items);
    if (!items)
        return false;
    streams->items = items;
    streams->room = streams->count + 8;
    return true;
}

enum warren_status worker_streams_add(struct worker_streams *streams, const struct config *config,
                                      size_t index, struct runtime_subscription *what,
                                      struct warren_error *error)
{
    struct worker_stream *stream;
    enum warren_status status;

    if (!what->is_stream)
        return WARREN_OK;
    if (!config->state_dir) {
        report_nowhere(what->queue);
        return WARREN_OK;
    }
    if (!make_room(streams))
        return error_set(error, WARREN_ENOMEM, "out of memory");
    stream = &streams->items[streams->count++];
    *stream = (struct worker_stream){.what = what, .queue = what->queue, .fd = -1};
    status = name_file(stream, config, index, error);
    if (status == WARREN_OK)
        status = open_file(stream, error);
    if (status != WARREN_OK)
        return status;
    what->begin = stream->saved;
    report_begin(stream);
    if (stream->saved == STREAM_AS_CONFIGURED)
        save(stream, stream_begin_later(what->arguments));
    return WARREN_OK;
}

enum warren_status worker_streams_open(struct worker_streams *streams, const struct config *config,
                                       struct runtime_subscription *subscriptions,
                                       struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    *streams = (struct worker_streams){.items = NULL};
    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        status = worker_streams_add(streams, config, i, &subscriptions[i], error);
    return status;
}

void worker_streams_run(struct worker_streams *streams, const struct runtime_subscription *what,
                        const struct subscription *running)
{
    for (size_t i = 0; i < streams->count; i++)
        if (streams->items[i].what == what) {
            streams->items[i].running = running;
            streams->items[i].what = NULL;
        }
}

/* ---- while it runs ---- */

int worker_streams_sleep_ms(const struct worker_streams *streams, int64_t ms)
{
    return (int)(streams->count > 0 && (ms < 0 || ms > SAVE_MS) ? SAVE_MS : ms);
}

static void save_now(struct worker_stream *stream)
{
    if (stream->running)
        save(stream, runtime_subscription_begin(stream->running));
}

void worker_streams_save(struct worker_streams *streams, int64_t now_ms)
{
    if (now_ms < streams->due_ms)
        return;
    for (size_t i = 0; i < streams->count; i++)
        save_now(&streams->items[i]);
    streams->due_ms = now_ms < INT64_MAX ? now_ms + SAVE_MS : now_ms;
}

static void close_stream(struct worker_stream *stream)
{
    descriptors_close(stream->fd);
    free(stream->path);
}

void worker_streams_drop(struct worker_streams *streams, const struct subscription *running)
{
    for (size_t i = streams->count; i > 0; i--) {
        struct worker_stream *stream = &streams->items[i - 1];

        if (stream->running != running)
            continue;
        save_now(stream);
        close_stream(stream);
        *stream = streams->items[--streams->count];
    }
}

void worker_streams_close(struct worker_streams *streams)
{
    for (size_t i = 0; i < streams->count; i++)
        close_stream(&streams->items[i]);
    free(streams->items);
    *streams = (struct worker_streams){.items = NULL};
}
