/* batches.c - a handler of batches that writes down what it gets.
 *
 *   batches.run  appends to `path` "b PID COUNT ID ID ...", takes `work`, does what the body of
 * each message says, and appends "e PID COUNT". While the file `gate` exists, it waits.
 *
 *   "reject"   that one is rejected        "segv"   crashes
 *   "retry"    its first attempt fails     "kill"   SIGKILL for the process
 *   "panic"    it panics                   "hang"   does not return
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/batch.h>

#define LINE_MAX_SIZE 65536

struct batches {
    int fd;
    int64_t work_ms;
    const char *gate;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"work", WARREN_OPTION_DURATION, "0ms", 0, 600000, NULL, "How long a batch takes."},
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, batches wait."},
    {0}};

static enum warren_status run_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    struct batches *batches = calloc(1, sizeof *batches);
    const char *path = warren_options_text(info->options, "path");

    if (!batches)
        return WARREN_ENOMEM;
    batches->work_ms = warren_options_int(info->options, "work");
    batches->gate = warren_options_text(info->options, "gate");
    batches->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (batches->fd < 0) {
        error->status = WARREN_EIO;
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(batches);
        return WARREN_EIO;
    }
    *state = batches;
    return WARREN_OK;
}

static void run_close(void *state)
{
    struct batches *batches = state;

    close(batches->fd);
    free(batches);
}

static void rest_ms(int64_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&rest, NULL);
}

/* One write, so that a line is whole whatever comes. */
static bool note_begin(const struct batches *batches, struct warren_batch *batch)
{
    size_t count = warren_batch_count(batch);
    char *line = warren_job_alloc(warren_batch_job(batch, 0), LINE_MAX_SIZE);
    size_t len;

    if (!line)
        return false;
    len = (size_t)snprintf(line, LINE_MAX_SIZE, "b %d %zu", (int)getpid(), count);
    for (size_t i = 0; i < count && len < LINE_MAX_SIZE - 300; i++) {
        const char *id = warren_job_properties(warren_batch_job(batch, i))->message_id;

        len += (size_t)snprintf(line + len, LINE_MAX_SIZE - len, " %s", id ? id : "-");
    }
    line[len++] = '\n';
    return write(batches->fd, line, len) == (ssize_t)len;
}

static bool is(struct warren_job *job, const char *what)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(what) && memcmp(body.data, what, body.len) == 0;
}

/* A sanitizer would find it first. */
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) static void crash(void)
{
    static volatile uintptr_t nowhere = 8;

    *(volatile int *)nowhere = 1;
}

static void obey(struct warren_batch *batch, size_t index)
{
    struct warren_job *job = warren_batch_job(batch, index);

    if (is(job, "segv"))
        crash();
    if (is(job, "kill"))
        kill(getpid(), SIGKILL);
    while (is(job, "hang"))
        pause();
    if (is(job, "panic"))
        warren_panic(job, "it panicked");
    if (is(job, "reject")) {
        warren_job_fail(job, "as it says");
        warren_batch_set(batch, index, WARREN_REJECT);
    }
    if (is(job, "retry") && warren_job_attempt(job) == 1)
        warren_batch_set(batch, index, WARREN_RETRY);
}

static enum warren_outcome run(struct warren_batch *batch, void *state)
{
    const struct batches *batches = state;
    size_t count = warren_batch_count(batch);

    if (!note_begin(batches, batch))
        return WARREN_RETRY;
    if (batches->work_ms > 0)
        rest_ms(batches->work_ms);
    while (*batches->gate && access(batches->gate, F_OK) == 0)
        rest_ms(5);
    for (size_t i = 0; i < count; i++)
        obey(batch, i);
    dprintf(batches->fd, "e %d %zu\n", (int)getpid(), count);
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "run",
                                                  .help = "Writes down what it gets.",
                                                  .options = options,
                                                  .open = run_open,
                                                  .close = run_close,
                                                  .handle_batch = run},
                                                 {0}};

WARREN_PLUGIN(.name = "batches", .version = "1.0.0", .handlers = handlers)
