/* ordered.c - a handler that writes down when each message begins and ends.
 *
 *   ordered.run  of a message "KEY NUMBER" it appends to `path` "b PID KEY NUMBER ATTEMPT", and at
 *                the end "e PID KEY NUMBER OUTCOME"
 *
 * Its `key` is KEY.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

struct ordered {
    int fd;
    int64_t delay_ms;
    int64_t fail_each;
    int64_t fails;
    bool reject;
    const char *gate;
    const char *gate_key;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"delay", WARREN_OPTION_DURATION, "0ms", 0, 600000, NULL,
     "How long a message takes at most; how long, its text says."},
    {"fail_each", WARREN_OPTION_INT, "0", 0, 1000000, NULL,
     "Messages whose number this divides fail."},
    {"fails", WARREN_OPTION_INT, "2", 0, 100, NULL, "So many times each."},
    {"reject", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "And then they are rejected."},
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, messages wait."},
    {"gate_key", WARREN_OPTION_STRING, "", 0, 0, NULL, "Only those with this key wait."},
    {0}};

static enum warren_status run_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    struct ordered *ordered = calloc(1, sizeof *ordered);
    const char *path = warren_options_text(info->options, "path");

    if (!ordered)
        return WARREN_ENOMEM;
    ordered->delay_ms = warren_options_int(info->options, "delay");
    ordered->fail_each = warren_options_int(info->options, "fail_each");
    ordered->fails = warren_options_int(info->options, "fails");
    ordered->reject = warren_options_bool(info->options, "reject");
    ordered->gate = warren_options_text(info->options, "gate");
    ordered->gate_key = warren_options_text(info->options, "gate_key");
    ordered->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (ordered->fd < 0) {
        error->status = WARREN_EIO;
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(ordered);
        return WARREN_EIO;
    }
    *state = ordered;
    return WARREN_OK;
}

static void run_close(void *state)
{
    struct ordered *ordered = state;

    close(ordered->fd);
    free(ordered);
}

static struct warren_bytes run_key(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);
    const char *end = body.len > 0 ? memchr(body.data, ' ', body.len) : NULL;

    (void)state;
    body.len = end ? (size_t)(end - (const char *)body.data) : 0;
    return body;
}

static void rest_ms(int64_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&rest, NULL);
}

static void take_time(const struct ordered *ordered, const char *key, int64_t number)
{
    uint32_t hash = (uint32_t)number * 2654435761u;

    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    if (ordered->delay_ms > 0)
        rest_ms(hash % (uint32_t)(ordered->delay_ms + 1));
    while (*ordered->gate && (!*ordered->gate_key || strcmp(ordered->gate_key, key) == 0) &&
           access(ordered->gate, F_OK) == 0)
        rest_ms(5);
}

static bool note(const struct ordered *ordered, const char *what, const char *key, int64_t number,
                 const char *how)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%s %d %s %" PRId64 " %s\n", what, (int)getpid(), key,
                          number, how);

    return write(ordered->fd, line, (size_t)length) == length;
}

static enum warren_outcome run(struct warren_job *job, void *state)
{
    const struct ordered *ordered = state;
    struct warren_bytes body = warren_job_body(job);
    enum warren_outcome outcome = WARREN_ACK;
    char attempt[16];
    char text[64];
    char key[64];
    int64_t number;

    snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.data);
    snprintf(attempt, sizeof attempt, "%" PRIu32, warren_job_attempt(job));
    if (sscanf(text, "%63s %" SCNd64, key, &number) != 2)
        return WARREN_REJECT;
    if (!note(ordered, "b", key, number, attempt))
        return WARREN_RETRY;
    take_time(ordered, key, number);
    if (ordered->fail_each > 0 && number % ordered->fail_each == 0) {
        if (warren_job_attempt(job) <= ordered->fails)
            outcome = WARREN_RETRY;
        else if (ordered->reject)
            outcome = WARREN_REJECT;
    }
    if (!note(ordered, "e", key, number, warren_outcome_name(outcome)))
        return WARREN_RETRY;
    return outcome;
}

static const struct warren_handler handlers[] = {
    {.name = "run",
     .help = "Writes down when messages begin and end.",
     .options = options,
     .open = run_open,
     .handle = run,
     .close = run_close,
     .key = run_key},
    {0}};

WARREN_PLUGIN(.name = "ordered", .version = "1.0.0", .handlers = handlers)
