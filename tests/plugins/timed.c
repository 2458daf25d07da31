/* timed.c - a handler that tells a test when it was called, and fails as the test wants.
 *
 *   timed.record  appends "MS ATTEMPT BODY" to `path`, MS of CLOCK_MONOTONIC; answers RETRY while
 *                 the file `broken` exists, in the first `fail_first` attempts, and always for
 *                 the body `poison`; with `obey`, in the first attempt it asks for the delay that
 *                 the body begins with
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

struct timed {
    int fd;
    const char *broken;
    const char *poison;
    int64_t fail_first;
    bool obey;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"broken", WARREN_OPTION_PATH, "", 0, 0, NULL, "While this file exists, every attempt fails."},
    {"fail_first", WARREN_OPTION_INT, "0", 0, 100, NULL, "So many attempts fail first."},
    {"poison", WARREN_OPTION_STRING, "", 0, 0, NULL, "A body that always fails."},
    {"obey", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "The body says when the second attempt is."},
    {0}};

static enum warren_status timed_open(const struct warren_subscription_info *info, void **state,
                                     struct warren_error *error)
{
    struct timed *timed = calloc(1, sizeof *timed);
    const char *path = warren_options_text(info->options, "path");

    if (!timed)
        return WARREN_ENOMEM;
    timed->broken = warren_options_text(info->options, "broken");
    timed->poison = warren_options_text(info->options, "poison");
    timed->fail_first = warren_options_int(info->options, "fail_first");
    timed->obey = warren_options_bool(info->options, "obey");
    timed->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (timed->fd < 0) {
        error->status = WARREN_EIO;
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(timed);
        return WARREN_EIO;
    }
    *state = timed;
    return WARREN_OK;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool fails(const struct timed *timed, struct warren_job *job, const char *body)
{
    uint32_t attempt = warren_job_attempt(job);

    if (timed->obey && attempt == 1) {
        warren_job_retry_after(job, strtoll(body, NULL, 10));
        return true;
    }
    return attempt <= timed->fail_first || (*timed->poison && strcmp(timed->poison, body) == 0) ||
           (*timed->broken && access(timed->broken, F_OK) == 0);
}

static enum warren_outcome record(struct warren_job *job, void *state)
{
    struct timed *timed = state;
    struct warren_bytes bytes = warren_job_body(job);
    char body[64];
    char line[128];
    int length;

    snprintf(body, sizeof body, "%.*s", (int)bytes.len, (const char *)bytes.data);
    length = snprintf(line, sizeof line, "%" PRId64 " %" PRIu32 " %s\n", now_ms(),
                      warren_job_attempt(job), body);
    if (write(timed->fd, line, (size_t)length) != length)
        return WARREN_DISCARD;
    if (!fails(timed, job, body))
        return WARREN_ACK;
    warren_job_fail(job, "failed as the test wants");
    return WARREN_RETRY;
}

static void timed_close(void *state)
{
    struct timed *timed = state;

    close(timed->fd);
    free(timed);
}

static const struct warren_handler handlers[] = {{.name = "record",
                                                  .help = "Writes when it was called.",
                                                  .options = options,
                                                  .open = timed_open,
                                                  .handle = record,
                                                  .close = timed_close},
                                                 {0}};

WARREN_PLUGIN(.name = "timed", .version = "1.0.0", .handlers = handlers)
