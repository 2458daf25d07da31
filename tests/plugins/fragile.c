/* fragile.c - a handler that does to itself what the body says.
 *
 *   "panic"       gives up by warren_panic(), DEPTH frames deep
 *   "wait"        waits until its time is over, for at most `patience`, then acks
 *   "wait retry"  the same, but the attempt failed
 *   any other     is published to the queue `to`, if there is one, and acked
 *
 * First it appends a line to `path`: message id, attempt, body; a waiting one afterwards: message
 * id, "readable" or "silent" (the descriptor), "cancelled" or "free", "over" or "left" (the time).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/handler.h>

#define DEPTH 100

struct fragile {
    int fd;
    int patience_ms;
    const char *to;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"to", WARREN_OPTION_STRING, "", 0, 0, NULL, "The queue that other bodies are published to."},
    {"patience", WARREN_OPTION_DURATION, "20s", 0, 600000, NULL, "How long it waits at most."},
    {0}};

static enum warren_status fragile_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    struct fragile *fragile = calloc(1, sizeof *fragile);
    const char *path = warren_options_text(info->options, "path");

    if (!fragile)
        return WARREN_ENOMEM;
    fragile->to = warren_options_text(info->options, "to");
    fragile->patience_ms = (int)warren_options_int(info->options, "patience");
    fragile->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fragile->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(fragile);
        return WARREN_EIO;
    }
    *state = fragile;
    return WARREN_OK;
}

static const char *id_of(struct warren_job *job)
{
    const char *id = warren_job_properties(job)->message_id;

    return id ? id : "-";
}

static bool says(struct warren_bytes body, const char *word)
{
    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static volatile bool is_afraid = true; /* or the compiler would see that no call returns */

static __attribute__((noinline)) int fall(struct warren_job *job, int depth)
{
    volatile char frame[64];

    frame[depth % 64] = (char)depth;
    if (depth == 0 && is_afraid)
        warren_panic(job, "message %s is %d frames too deep", id_of(job), DEPTH);
    if (depth == 0)
        return 0;
    return fall(job, depth - 1) + frame[depth % 64];
}

static void wait_for_the_end(struct warren_job *job, const struct fragile *fragile)
{
    struct pollfd end = {.fd = warren_job_cancel_fd(job), .events = POLLIN};
    int ready = poll(&end, 1, fragile->patience_ms);

    dprintf(fragile->fd, "%s\t%s\t%s\t%s\n", id_of(job), ready == 1 ? "readable" : "silent",
            warren_job_cancelled(job) ? "cancelled" : "free",
            warren_job_time_left_ms(job) <= 0 ? "over" : "left");
}

static enum warren_outcome pass_on(struct warren_job *job, const char *to)
{
    struct warren_message copy = {.body = warren_job_body(job)};

    if (!*to)
        return WARREN_ACK;
    return warren_job_publish(job, "", to, &copy) == WARREN_OK ? WARREN_ACK : WARREN_RETRY;
}

static enum warren_outcome run(struct warren_job *job, void *state)
{
    const struct fragile *fragile = state;
    struct warren_bytes body = warren_job_body(job);

    dprintf(fragile->fd, "%s\t%" PRIu32 "\t%.*s\n", id_of(job), warren_job_attempt(job),
            (int)body.len, (const char *)body.data);
    if (says(body, "panic"))
        return (enum warren_outcome)fall(job, DEPTH);
    if (!says(body, "wait") && !says(body, "wait retry"))
        return pass_on(job, fragile->to);
    wait_for_the_end(job, fragile);
    return says(body, "wait") ? WARREN_ACK : WARREN_RETRY;
}

static void fragile_close(void *state)
{
    struct fragile *fragile = state;

    close(fragile->fd);
    free(fragile);
}

static const struct warren_handler handlers[] = {{.name = "run",
                                                  .help = "Does what the body says.",
                                                  .options = options,
                                                  .open = fragile_open,
                                                  .handle = run,
                                                  .close = fragile_close},
                                                 {0}};

WARREN_PLUGIN(.name = "fragile", .version = "1.0.0", .handlers = handlers)
