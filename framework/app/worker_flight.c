#include "app/worker_flight.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/worker_signals.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/log_event.h"

/* Not WARREN_: it is no option. */
#define HANDED_ON "_WARREN_FLIGHT_FD"

/* What a drain may take beyond drain.timeout until the parked thread ends the process. */
#define PATIENCE_MS 5000
/* A backtrace is written in milliseconds, unless a module's file comes over a slow network. */
#define REPORT_MS   5000
#define LOOK_MS     10
#define LOG_STOP_MS 1000
/* Messages that may be with the broker while their attempts are counted here. */
#define NOTES_MIN 64
/* Workers of reloads to come, besides as many as there are. */
#define SLOTS_SPARE 64
#define TEXTS_MAX   (1 << 24)

/* ---- opening ---- */

/* An address without user and password. */
static void add_address(struct buffer *key, const char *uri)
{
    const char *begin = strstr(uri, "://");
    const char *at;

    begin = begin ? begin + 3 : uri;
    at = strrchr(begin, '@');
    begin = at ? at + 1 : begin;
    buffer_append(key, begin, strlen(begin) + 1);
}

/* Workers with the same broker and queues can take over each other's recorders. @broker has the
 * addresses, @config the queues. NULL: no memory */
static char *make_key(const struct config *broker, const struct config *config)
{
    struct buffer key;
    char *text;

    buffer_init(&key, TEXTS_MAX);
    for (size_t i = 0; i < broker->broker.uri_count; i++)
        add_address(&key, broker->broker.uri[i]);
    for (size_t i = 0; i < config->subscription_count; i++)
        buffer_append(&key, config->subscriptions[i].queue,
                      strlen(config->subscriptions[i].queue) + 1);
    for (size_t i = 0; i < buffer_len(&key); i++)
        if (!key.data[key.begin + i])
            key.data[key.begin + i] = '\n';
    buffer_append(&key, "", 1);
    text = strdup((const char *)buffer_front(&key));
    buffer_done(&key);
    return text;
}

static int inherited(void)
{
    const char *text = getenv(HANDED_ON);
    int fd = text ? atoi(text) : -1;

    unsetenv(HANDED_ON);
    if (fd <= STDERR_FILENO || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    return fd;
}

static void report_opened(const struct config *config, const struct flight *flight)
{
    log_event(WARREN_LOG_INFO,
              config->state_dir ? "flight recorder"
                                : "flight recorder in memory: set state_dir, and messages that "
                                  "kill the process are remembered, too",
              LOG_TEXT("state_dir", config->state_dir),
              LOG_INT("suspects", flight_suspects(flight)));
}

/* One for each message that a worker may have at once, and the loop's. */
static uint32_t slots_of(const struct config_subscription *subscription)
{
    uint32_t batch = subscription->batch ? (uint32_t)subscription->batch->size : 1;

    return (uint32_t)subscription->workers * batch + 1;
}

enum warren_status worker_flight_open(struct worker_flight *w, const struct config *config,
                                      sem_t *wake, struct warren_error *error)
{
    struct flight_options options = {.directory = config->state_dir,
                                     .wake = wake,
                                     .inherited = inherited(),
                                     .notes = NOTES_MIN,
                                     .crashes_max = (uint32_t)config->crash.max_attempts};
    char *key = make_key(config, config);
    enum warren_status status;

    *w = (struct worker_flight){.plan.keep_fd = -1};
    if (!key)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    for (size_t i = 0; i < config->subscription_count; i++) {
        options.slots += slots_of(&config->subscriptions[i]);
        options.notes += (uint32_t)config->subscriptions[i].prefetch;
    }
    options.slots += options.slots + SLOTS_SPARE;
    options.key = key;
    status = flight_open(&options, &w->flight, error);
    free(key);
    if (status != WARREN_OK)
        return status;
    report_opened(config, w->flight);
    w->plan.flight = w->flight;
    w->plan.patience_ms = config->drain.timeout_ms + PATIENCE_MS;
    fault_install(w->flight, &w->plan);
    return WARREN_OK;
}

void worker_flight_follow(struct worker_flight *w, const struct config *first,
                          const struct config *now)
{
    struct warren_error error = {WARREN_ENOMEM, "no memory"};
    char *key = make_key(first, now);

    if (!key || flight_rekey(w->flight, key, &error) != WARREN_OK)
        log_event(WARREN_LOG_WARN,
                  "the next process will not find this one's flight recorder: it is kept for other "
                  "queues",
                  LOG_TEXT("error", error.text));
    free(key);
}

/* ---- the next process ---- */

/* The texts in @all, each with its NUL, as a list that nothing can write to; ends @all. NULL: they
 * are not @whole, or no memory. */
static char **seal(struct buffer *all, bool whole, size_t *ret_size)
{
    const char *texts = (const char *)buffer_front(all);
    size_t len = buffer_len(all);
    size_t count = 0;
    char **list;

    for (size_t i = 0; i < len; i++)
        count += texts[i] == '\0';
    *ret_size = (count + 1) * sizeof *list + len;
    list = whole && len > 0 ? guarded_alloc(*ret_size) : NULL;
    if (list) {
        char *at = memcpy(list + count + 1, texts, len);

        for (size_t i = 0; i < count; i++) {
            list[i] = at;
            at += strlen(at) + 1;
        }
        guarded_seal(list, *ret_size);
    }
    buffer_done(all);
    return list;
}

/* The environment of the beginning, and where the recorder is if it is in memory. */
static char **make_environment(struct worker_flight *w)
{
    char **start = w->start.environment;
    char handed_on[40];
    struct buffer all;
    bool whole = true;
    int len;

    buffer_init(&all, TEXTS_MAX);
    for (size_t i = 0; start[i]; i++)
        if (strncmp(start[i], HANDED_ON "=", sizeof HANDED_ON) != 0)
            whole = whole && buffer_append(&all, start[i], strlen(start[i]) + 1) == WARREN_OK;
    len = snprintf(handed_on, sizeof handed_on, HANDED_ON "=%d", w->plan.keep_fd);
    if (w->plan.keep_fd >= 0)
        whole = whole && buffer_append(&all, handed_on, (size_t)len + 1) == WARREN_OK;
    return seal(&all, whole, &w->env_size);
}

static char **make_arguments(struct worker_flight *w)
{
    FILE *file = fopen("/proc/self/cmdline", "re");
    struct buffer all;
    bool whole = true;
    int c;

    buffer_init(&all, TEXTS_MAX);
    while (file && (c = getc(file)) != EOF)
        whole = whole && buffer_append(&all, &(char){(char)c}, 1) == WARREN_OK;
    if (file)
        fclose(file);
    return seal(&all, whole, &w->argv_size);
}

/* The kernel names a process after the file that it executed, which then was /proc/self/exe. */
static void name_process(const char *program)
{
    const char *slash = strrchr(program, '/');

    prctl(PR_SET_NAME, slash ? slash + 1 : program, 0, 0, 0);
}

void worker_flight_own_process(struct worker_flight *w, struct process_state *start)
{
    w->start = *start;
    *start = (struct process_state){0};
    w->plan.start = &w->start;
    /* What comes while the next process starts waits there until it takes its signals. */
    pthread_sigmask(SIG_SETMASK, NULL, &w->plan.mask);
    worker_signals_add(&w->plan.mask);
    w->plan.told_to_stop = &worker_signals()->stop;
    w->plan.keep_fd = w->flight->file.path ? -1 : w->flight->file.fd;
    w->plan.env = make_environment(w);
    process_state_done(&w->start);
    if (w->plan.env)
        w->plan.argv = make_arguments(w);
    if (w->plan.argv && w->plan.argv[0])
        name_process(w->plan.argv[0]);
}

void worker_flight_reexecute(struct worker_flight *w)
{
    int failure;

    if (!w->plan.argv)
        return;
    failure = process_state_restore(&w->start);
    if (failure)
        log_error(
            "%s, where this process was started, is gone (%s): file names relative to it will "
            "not be found",
            w->start.directory, strerrordesc_np(failure));
    log_warn("executing itself again: after a crash no memory of the process can be trusted");
    log_stop(LOG_STOP_MS);
    fault_reexecute(&w->plan);
    log_error("cannot execute itself again: %s", strerror(errno));
}

/* ---- reports ---- */

static void await(const struct flight_report *report)
{
    for (int ms = 0; ms < REPORT_MS && !atomic_load(&report->done); ms += LOOK_MS)
        poll(NULL, 0, LOOK_MS);
}

static const char *event_of(const struct flight_report *report)
{
    if (report->reason != FLIGHT_SIGNAL)
        return "handler did not return by its hard limit";
    return report->signal ? "handler crashed" : "handler ended its thread";
}

static void report_one(const struct flight_report *report)
{
    struct warren_bytes id = flight_message_id(report->message_id, report->id_len);
    char address[24];
    struct log_line line;

    log_begin(&line, WARREN_LOG_ERROR, event_of(report));
    log_text(&line, "queue", report->queue);
    log_text(&line, "handler", report->handler);
    if (id.len > 0)
        log_bytes(&line, "message_id", id);
    if (report->attempt > 0) /* of a batch nobody knows whose it was */
        log_int(&line, "attempt", report->attempt);
    if (report->signal) {
        snprintf(address, sizeof address, "0x%llx", (unsigned long long)report->address);
        log_text(&line, "signal", fault_signal_name(report->signal));
        log_text(&line, "address", address);
    }
    log_end(&line);
    if (atomic_load(&report->done))
        flight_log_calls(report);
    else
        log_warn("the backtrace of what crashed was not written in time");
}

void worker_flight_report(struct worker_flight *w)
{
    struct flight_report *report;

    while ((report = flight_next_report(w->flight))) {
        await(report);
        report_one(report);
    }
}

/* ---- the end ---- */

void worker_flight_close(struct worker_flight *w, bool abandoned)
{
    if (!w->flight)
        return;
    atomic_store(&w->plan.called_off, true);
    if (abandoned) {
        atomic_store(&w->flight->file.head->landed, 1);
        return;
    }
    fault_remove(w->flight);
    flight_close(w->flight, true);
    guarded_free(w->plan.argv, w->argv_size);
    guarded_free(w->plan.env, w->env_size);
    process_state_done(&w->start);
    *w = (struct worker_flight){.flight = NULL};
}
