/* weigh.c - handlers that hold semaphores, and write down when.
 *
 *   weigh.work   appends "+W" to `path`, works, appends "-W"; W is `weight`, which its subscription
 *                uses, or which it acquires itself (`acquire`: the semaphore). By the body:
 *     "crash"    a fault while it has it, in its first attempt in which others wait
 *     "panic"    warren_panic() while it has it
 *     "wait"     works until the file `gate` is gone
 *     any other  works for `work`
 *
 * An append is one write(2), so the lines stand in the order in which they were written: inside of
 * the time in which the weight is held, so their sum is never above what is held.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

struct weigh {
    int fd;
    int work_ms;
    int64_t weight;
    const char *semaphore;
    const char *gate;
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"work", WARREN_OPTION_DURATION, "2ms", 0, 600000, NULL, "How long a message takes."},
    {"weight", WARREN_OPTION_INT, "1", 1, 1000, NULL, "What is written down."},
    {"acquire", WARREN_OPTION_STRING, "", 0, 0, NULL, "The semaphore to acquire it of."},
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, `wait` waits."},
    {0}};

static enum warren_status weigh_open(const struct warren_subscription_info *info, void **state,
                                     struct warren_error *error)
{
    struct weigh *weigh = calloc(1, sizeof *weigh);

    (void)error;
    if (!weigh)
        return WARREN_ENOMEM;
    weigh->fd = open(warren_options_text(info->options, "path"),
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    weigh->work_ms = (int)warren_options_int(info->options, "work");
    weigh->weight = warren_options_int(info->options, "weight");
    weigh->semaphore = warren_options_text(info->options, "acquire");
    weigh->gate = warren_options_text(info->options, "gate");
    *state = weigh;
    return weigh->fd >= 0 ? WARREN_OK : WARREN_EIO;
}

static void weigh_close(void *state)
{
    struct weigh *weigh = state;

    close(weigh->fd);
    free(weigh);
}

static bool says(struct warren_job *job, const char *word)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static void rest(int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&time, NULL);
}

static int *volatile nowhere;

__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) static void
crash_with_weight(void)
{
    *nowhere = 1;
}

static void work(struct warren_job *job, const struct weigh *weigh)
{
    if (says(job, "crash")) {
        rest(300); /* others come to wait for it */
        crash_with_weight();
    }
    if (says(job, "panic"))
        warren_panic(job, "it has %d", (int)weigh->weight);
    for (int i = 0; says(job, "wait") && access(weigh->gate, F_OK) == 0 && i < 60000; i++)
        rest(1);
    rest(weigh->work_ms);
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    const struct weigh *weigh = state;

    if (*weigh->semaphore &&
        warren_job_acquire(job, weigh->semaphore, weigh->weight, -1) != WARREN_OK)
        return WARREN_RETRY;
    dprintf(weigh->fd, "+%d\n", (int)weigh->weight);
    work(job, weigh);
    dprintf(weigh->fd, "-%d\n", (int)weigh->weight);
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "work",
                                                  .help = "Holds some of a semaphore.",
                                                  .options = options,
                                                  .open = weigh_open,
                                                  .handle = handle,
                                                  .close = weigh_close},
                                                 {0}};

WARREN_PLUGIN(.name = "weigh", .version = "1.0.0", .handlers = handlers)
