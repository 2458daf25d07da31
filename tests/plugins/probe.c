/* probe.c - handlers that tell a test what they were given, and answer as the test wants.
 *
 *   probe.record      appends one line a message to `path`, answers `outcome`
 *   probe.forward     publishes the body to the queue `to`, `times` times, then acks
 *   probe.reply       replies with the body it got
 *   probe.count       counts messages by their bodies, of which three have a series of their own
 *   probe.open_fails  cannot be opened
 *
 * A line of probe.record: message id, attempt, redelivered (0 or 1), body length, FNV-1a of the
 * body, outcome; separated by tabs.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>
#include <warren/metrics.h>

struct probe {
    int fd;
    enum warren_outcome outcome;
    int64_t delay_ms;
    bool vary;
    int64_t fail_first;
    const char *gate;
    const char *gate_body;
    int64_t error_size;
};

static void rest_ms(int64_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&rest, NULL);
}

static enum warren_outcome outcome_of(const char *name)
{
    for (int i = WARREN_ACK; i <= WARREN_REQUEUE; i++) {
        if (strcmp(warren_outcome_name((enum warren_outcome)i), name) == 0)
            return (enum warren_outcome)i;
    }
    return WARREN_ACK;
}

/* ---- record ---- */

static const struct warren_option record_options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"outcome", WARREN_OPTION_ENUM, "ack", 0, 0, "ack|retry|reject|discard|requeue",
     "What is answered."},
    {"delay", WARREN_OPTION_DURATION, "0ms", 0, 600000, NULL, "How long a message takes."},
    {"vary", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "Up to that, by its body."},
    {"fail_first", WARREN_OPTION_INT, "0", 0, 100, NULL, "So many attempts are retried first."},
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, messages wait."},
    {"gate_body", WARREN_OPTION_STRING, "", 0, 0, NULL, "Only those with this body wait."},
    {"error_size", WARREN_OPTION_INT, "0", 0, 8 << 20, NULL,
     "Bytes of the error text of what is not acked; 0: a sentence."},
    {0}};

static enum warren_status record_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    struct probe *probe = calloc(1, sizeof *probe);
    const char *path = warren_options_text(info->options, "path");

    if (!probe)
        return WARREN_ENOMEM;
    probe->outcome = outcome_of(warren_options_text(info->options, "outcome"));
    probe->delay_ms = warren_options_int(info->options, "delay");
    probe->vary = warren_options_bool(info->options, "vary");
    probe->fail_first = warren_options_int(info->options, "fail_first");
    probe->gate = warren_options_text(info->options, "gate");
    probe->gate_body = warren_options_text(info->options, "gate_body");
    probe->error_size = warren_options_int(info->options, "error_size");
    probe->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (probe->fd < 0) {
        error->status = WARREN_EIO;
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(probe);
        return WARREN_EIO;
    }
    *state = probe;
    return WARREN_OK;
}

static uint32_t fnv1a(struct warren_bytes body)
{
    const unsigned char *at = (const unsigned char *)body.data;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < body.len; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static bool waits(const struct probe *probe, struct warren_bytes body)
{
    size_t len = strlen(probe->gate_body);

    if (!*probe->gate || (len > 0 && (body.len != len || memcmp(body.data, probe->gate_body, len))))
        return false;
    return access(probe->gate, F_OK) == 0;
}

static void fail(const struct probe *probe, struct warren_job *job, enum warren_outcome outcome)
{
    char *text = probe->error_size ? malloc((size_t)probe->error_size + 1) : NULL;

    if (!text) {
        warren_job_fail(job, "the probe was told to answer %s", warren_outcome_name(outcome));
        return;
    }
    memset(text, 'e', (size_t)probe->error_size);
    text[probe->error_size] = '\0';
    warren_job_fail(job, "%s", text);
    free(text);
}

static enum warren_outcome record(struct warren_job *job, void *state)
{
    struct probe *probe = state;
    struct warren_bytes body = warren_job_body(job);
    const char *id = warren_job_properties(job)->message_id;
    uint32_t attempt = warren_job_attempt(job);
    enum warren_outcome outcome = attempt <= probe->fail_first ? WARREN_RETRY : probe->outcome;
    char line[512];
    int length;

    if (waits(probe, body))
        warren_job_log(job, WARREN_LOG_INFO, "waits for its gate");
    while (waits(probe, body))
        rest_ms(5);
    if (probe->delay_ms)
        rest_ms(probe->vary ? (int64_t)fnv1a(body) % probe->delay_ms : probe->delay_ms);
    length = snprintf(line, sizeof line, "%s\t%" PRIu32 "\t%d\t%zu\t%08" PRIx32 "\t%s\n",
                      id ? id : "-", attempt, warren_job_redelivered(job), body.len, fnv1a(body),
                      warren_outcome_name(outcome));
    if (write(probe->fd, line, (size_t)length) != length)
        return WARREN_RETRY;
    if (outcome != WARREN_ACK)
        fail(probe, job, outcome);
    return outcome;
}

static void record_close(void *state)
{
    struct probe *probe = state;

    close(probe->fd);
    free(probe);
}

/* ---- forward ---- */

static const struct warren_option forward_options[] = {
    {"exchange", WARREN_OPTION_STRING, "", 0, 0, NULL, "Where to publish."},
    {"to", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The routing key, or the queue."},
    {"times", WARREN_OPTION_INT, "1", 0, 1000, NULL, "How many copies."},
    {0}};

static enum warren_status forward_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    (void)error;
    *state = (void *)(uintptr_t)info->options;
    return WARREN_OK;
}

static enum warren_outcome forward(struct warren_job *job, void *state)
{
    const struct warren_options *options = state;
    struct warren_message copy = {.body = warren_job_body(job)};
    int64_t times = warren_options_int(options, "times");

    for (int64_t i = 0; i < times; i++) {
        if (warren_job_publish(job, warren_options_text(options, "exchange"),
                               warren_options_text(options, "to"), &copy) != WARREN_OK)
            return WARREN_RETRY;
    }
    return WARREN_ACK;
}

/* ---- count ---- */

static const struct warren_metric bodies = {
    .size = sizeof bodies,
    .name = "probe_bodies_total",
    .help = "Messages by their bodies.",
    .type = WARREN_COUNTER,
    .labels = (const char *const[]){"body", NULL},
    .series_max = 3,
};

static enum warren_outcome count(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);
    char *value = strndup(body.data, body.len);
    struct warren_series *series;
    enum warren_status status =
        value ? warren_metric_series(&bodies, (const char *const[]){value, NULL}, &series, NULL)
              : WARREN_ENOMEM;

    (void)state;
    free(value);
    if (status != WARREN_OK)
        return WARREN_REJECT;
    warren_count(series, 1);
    return WARREN_ACK;
}

/* ---- reply, open_fails ---- */

static enum warren_outcome reply(struct warren_job *job, void *state)
{
    struct warren_message answer = {.body = warren_job_body(job)};

    (void)state;
    return warren_job_reply(job, &answer) == WARREN_OK ? WARREN_ACK : WARREN_REJECT;
}

static enum warren_status refuse_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    (void)info;
    (void)state;
    error->status = WARREN_EIO;
    snprintf(error->text, sizeof error->text, "the probe does not want to open");
    return WARREN_EIO;
}

static const struct warren_handler handlers[] = {
    {.name = "record",
     .help = "Writes a line about each message.",
     .options = record_options,
     .open = record_open,
     .handle = record,
     .close = record_close},
    {.name = "forward",
     .help = "Publishes each message again.",
     .options = forward_options,
     .open = forward_open,
     .handle = forward},
    {.name = "count", .help = "Counts messages by their bodies.", .handle = count},
    {.name = "reply", .help = "Answers each request with itself.", .handle = reply},
    {.name = "open_fails", .help = "Cannot be opened.", .open = refuse_open, .handle = reply},
    {0}};

WARREN_PLUGIN(.name = "probe", .version = "1.0.0", .handlers = handlers)
