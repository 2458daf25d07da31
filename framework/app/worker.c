/* worker.c - the worker put together: configuration, plugins, publisher, runtime; the main thread
 * waits for signals and for the end.
 */
#include <warren/worker.h>

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/settings.h"
#include "app/worker_limits.h"
#include "app/worker_private.h"
#include "app/worker_report.h"
#include "app/worker_signals.h"
#include "app/worker_store.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/log.h"
#include "loop/loop.h"

/* Everything that jobs published has its receipt by then: this is the close handshake. */
#define PUBLISHER_CLOSE_MS 2000
#define TRACES_FLUSH_MS    2000
#define LOG_STOP_MS        1000

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* Sleep until something was posted, for @ms at most; below 0: for ever. What was posted is used
 * up: its reasons are flags. @return whether anything was */
static bool sleep_ms(struct warren_worker *worker, int64_t ms)
{
    struct timespec end = clock_timespec_us((clock_now_ms(clock_monotonic()) + ms) * 1000);
    bool posted;

    if (ms < 0)
        posted = sem_wait(worker->wake) == 0;
    else
        posted = sem_clockwait(worker->wake, CLOCK_MONOTONIC, &end) == 0;
    while (sem_trywait(worker->wake) == 0)
        posted = true;
    return posted;
}

/* ---- setting up ---- */

/* Before anything that takes time, or starts a thread. */
static enum warren_status take_signals(struct warren_worker *worker, struct warren_error *error)
{
    sem_t *wake = worker_signals_take();

    if (!wake)
        return error_set(error, WARREN_EINVAL,
                         "own_signals: another worker of this process has the signals");
    worker->own_signals = true;
    worker->wake = wake;
    return WARREN_OK;
}

static enum warren_status start_publisher(struct warren_worker *worker, struct warren_error *error)
{
    struct warren_publisher_options options;
    enum warren_status status;

    settings_publisher(worker->setup.config, "warren publisher", &options);
    settings_spool(worker->setup.config, &options);
    status = publisher_new(&options, &worker_report_publisher, NULL, &worker->publisher, error);
    if (status != WARREN_OK)
        return status;
    worker_report_spool(worker->publisher);
    return WARREN_OK;
}

static enum warren_status start_tracing(struct warren_worker *worker, struct warren_error *error)
{
    enum warren_status status =
        tracing_settings_init(worker->setup.config, environ, &worker->tracing, error);

    if (status == WARREN_OK && worker->tracing.is_grpc)
        log_warn("traces: the collector of OTEL_EXPORTER_OTLP_ENDPOINT speaks gRPC, by "
                 "OTEL_EXPORTER_OTLP_PROTOCOL: no spans are sent; set tracing.endpoint");
    if (status != WARREN_OK || !worker->tracing.enabled)
        return status;
    return otlp_start(&worker->tracing.options, &worker->otlp, error);
}

/* On the runtime's thread. */
static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct warren_worker *worker = user;

    worker->end_status = status;
    worker->end_unfinished = unfinished;
    worker->ended = true;
    sem_post(worker->wake);
}

static bool stops_at_gap(const struct config *config, const char *queue)
{
    bool stops = false;

    for (size_t i = 0; i < config->subscription_count; i++)
        if (strcmp(config->subscriptions[i].queue, queue) == 0)
            stops = stops || strcmp(config->subscriptions[i].on_gap, "stop") == 0;
    return stops;
}

/* On the runtime's thread. */
static void on_retired(void *user, void *token, struct edition *edition)
{
    struct warren_worker *worker = user;

    subscriptions_retired(worker->open, token, edition);
    sem_post(worker->wake);
}

/* On the runtime's thread. */
static void on_gap(void *user, const char *queue, uint64_t expected, uint64_t offset)
{
    struct warren_worker *worker = user;
    bool stops = stops_at_gap(atomic_load(&worker->reload.in_force), queue);

    worker_report_gap(queue, expected, offset, stops);
    if (!stops)
        return;
    atomic_store(&worker->at_gap, true);
    warren_worker_stop(worker);
}

static enum warren_status make_runtime(struct warren_worker *worker, struct warren_error *error)
{
    const struct config *config = worker->setup.config;
    struct runtime_subscription *subscriptions =
        calloc(config->subscription_count, sizeof *subscriptions);
    struct publisher_settings settings;
    struct runtime_events events;
    struct runtime_options options = {
        .connection = &settings.connection,
        .topology = &config->topology,
        .subscriptions = subscriptions,
        .subscription_count = config->subscription_count,
        .message_max = (size_t)config->consumer.message_max,
        .memory_max = (size_t)config->consumer.memory_max,
        .group_threads = (uint32_t)config->groups.threads,
        .semaphores = config->semaphores,
        .semaphore_count = config->semaphore_count,
        .straggler_age_ms = (uint32_t)config->consumer.ack_straggler_age_ms,
        .drain_timeout_ms = (uint32_t)config->drain.timeout_ms,
        .flight = worker->flight.flight,
        .tracer = otlp_tracer(worker->otlp),
        .depth_period_ms = worker->admin ? DEPTH_PERIOD_MS : 0,
        .publisher = worker->publisher,
    };
    enum warren_status status;

    if (!subscriptions)
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    for (size_t i = 0; i < config->subscription_count; i++)
        subscriptions[i] = *subscriptions_at(worker->open, i);
    status = worker_streams_open(&worker->streams, config, subscriptions, error);
    worker_report_events(&events);
    worker_state_watch(worker, &events);
    events.stopped = on_stopped;
    events.gap = on_gap;
    events.retired = on_retired;
    if (status == WARREN_OK)
        status = settings_connection(config, "warren worker", &settings, error);
    if (status == WARREN_OK) {
        status = runtime_new(&options, &events, worker, &worker->runtime, error);
        publisher_settings_done(&settings);
    }
    if (status == WARREN_OK)
        subscriptions_run(worker->open, worker->runtime);
    for (size_t i = 0; status == WARREN_OK && i < config->subscription_count; i++)
        worker_streams_run(&worker->streams, &subscriptions[i],
                           runtime_subscription(worker->runtime, i));
    free(subscriptions);
    return status;
}

static enum warren_status set_up(struct warren_worker *worker,
                                 const struct warren_worker_options *options,
                                 struct warren_error *error)
{
    enum warren_status status;

    worker_metrics_init(&worker->metrics);
    if (options->own_signals && take_signals(worker, error) != WARREN_OK)
        return WARREN_EINVAL;
    worker->diverts_log =
        options->on_log && log_divert(options->on_log, options->user) == WARREN_OK;
    status = worker_setup_init(&worker->setup, options, error);
    if (status != WARREN_OK)
        return status;
    if (worker_reload_init(&worker->reload, options, &worker->setup) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the options");
    settings_log(worker->setup.config);
    worker->owns_log = log_start(STDERR_FILENO) == WARREN_OK;
    if (worker->owns_log && !worker->diverts_log)
        descriptors_add(STDERR_FILENO, -1, "the log");
    status = admin_open(worker->setup.config, &worker->health, &worker->admin, error);
    if (status == WARREN_OK)
        status = worker_store_open(&worker->setup, &worker->key_writer, error);
    if (status == WARREN_OK)
        status = subscriptions_open(&worker->setup, worker->key_writer, &worker->open, error);
    if (status == WARREN_OK)
        status = worker_flight_open(&worker->flight, worker->setup.config, worker->wake, error);
    if (status == WARREN_OK)
        status = start_tracing(worker, error);
    if (status == WARREN_OK)
        status = start_publisher(worker, error);
    if (status == WARREN_OK)
        status = make_runtime(worker, error);
    return status;
}

enum warren_status warren_worker_new(const struct warren_worker_options *options,
                                     struct warren_worker **ret_worker, struct warren_error *error)
{
    size_t least = offsetof(struct warren_worker_options, own_signals) + sizeof(bool);
    struct warren_worker_options own = {0};
    struct warren_error local = {WARREN_OK, ""};
    struct warren_worker *worker;
    enum warren_status status;

    /* A program that was compiled against an older header knows fewer members: the rest is zero. */
    if (!options || !ret_worker)
        return error_set(error, WARREN_EINVAL, "options and ret_worker must not be NULL");
    if (options->size < least || options->size > sizeof own)
        return error_set(error, WARREN_EINVAL, "options.size must be sizeof(options)");
    memcpy(&own, options, options->size);
    if (flight_process_tainted())
        return error_set(error, WARREN_ETAINTED,
                         "a handler has crashed in this process: it is to end, or to be executed "
                         "again");
    worker = guarded_alloc(sizeof *worker);
    if (!worker)
        return error_set(error, WARREN_ENOMEM, "no memory for a worker");
    worker->pid = getpid();
    worker->on_state = own.on_state;
    worker->user = own.user;
    sem_init(&worker->own_wake, 0, 0);
    worker->wake = &worker->own_wake;
    health_init(&worker->health);
    reload_request_init(&worker->request);
    worker_orphans_init(&worker->orphans);
    worker_orphans_plugins_begin(&worker->orphans);
    status = set_up(worker, &own, &local);
    worker_orphans_plugins_end(&worker->orphans);
    if (status != WARREN_OK) {
        warren_worker_free(worker);
        return error_set(error, status, "%s",
                         *local.text ? local.text : warren_status_name(status));
    }
    *ret_worker = worker;
    return WARREN_OK;
}

/* ---- running ---- */

static bool is_ending(const struct warren_worker *worker)
{
    return worker->stopping || worker_flight_tainted(&worker->flight);
}

/* While a plugin is tried: what the main thread looks after, and cannot wait. */
static bool goes_on(void *user)
{
    struct warren_worker *worker = user;

    flight_watch(worker->flight.flight, now_ms());
    descriptors_check();
    worker_state_look(worker);
    worker_streams_save(&worker->streams, now_ms());
    return !worker->ended && !worker->stop_asked && !is_ending(worker) &&
           !(worker->own_signals && atomic_load(&worker_signals()->stop));
}

/* What a plugin starts in the worker is its own; what one that is tried has left, nobody's. */
static void around_trial(void *user, bool begins)
{
    struct warren_worker *worker = user;

    if (begins)
        worker_orphans_plugins_end(&worker->orphans);
    else
        worker_orphans_plugins_begin(&worker->orphans);
}

static void reload(struct warren_worker *worker, const char *by, struct reload_report *report)
{
    const struct plugin_trial trial = {.begun = &worker->begun,
                                       .until_ms = now_ms() + PLUGIN_TRIALS_MS,
                                       .around = around_trial,
                                       .goes_on = goes_on,
                                       .user = worker};
    const struct reload_target target = {.open = worker->open,
                                         .runtime = worker->runtime,
                                         .streams = &worker->streams,
                                         .key_writer = worker->key_writer,
                                         .publisher = worker->publisher,
                                         .trial = worker->orphans.owned ? &trial : NULL};

    worker_reload(&worker->reload, &target, by, report);
    worker_flight_follow(&worker->flight, worker->setup.config,
                         atomic_load(&worker->reload.in_force));
    worker_metrics_reloaded(&worker->metrics, report);
    admin_config(worker->admin, atomic_load(&worker->reload.in_force));
    admin_reload(worker->admin);
}

static void hang_up(struct warren_worker *worker)
{
    struct reload_report report = {.busy = false};

    log_info("SIGHUP: reopening the handlers' files, reading the configuration again");
    worker_orphans_plugins_begin(&worker->orphans);
    subscriptions_reopen(worker->open);
    reload(worker, "SIGHUP", &report);
    worker_orphans_plugins_end(&worker->orphans);
    reload_report_done(&report);
}

/* The admin listener asks for it. */
static void take_reload_request(struct warren_worker *worker)
{
    struct reload_report report = {.busy = false};

    if (is_ending(worker))
        reload_request_close(&worker->request);
    if (!reload_request_take(&worker->request))
        return;
    log_info("reload: reading the configuration again");
    worker_service_reloading(&worker->service, clock_now_ns(clock_monotonic()) / 1000);
    worker_orphans_plugins_begin(&worker->orphans);
    reload(worker, "reload", &report);
    worker_orphans_plugins_end(&worker->orphans);
    worker_service_reloaded(&worker->service);
    reload_request_answer(&worker->request, &report);
}

/* The admin listener's, on a thread of its own. */
static int answer_reload(void *user, struct json_writer *json)
{
    struct warren_worker *worker = user;
    struct reload_report report = {.busy = false};
    int status;

    reload_request_ask(&worker->request, worker->wake, &report);
    reload_report_write(&report, json);
    status = report.result != RELOAD_REFUSED ? 200 : report.busy ? 503 : 400;
    reload_report_done(&report);
    return status;
}

static void on_ended(void *user, const struct subscription *running)
{
    struct warren_worker *worker = user;

    worker_streams_drop(&worker->streams, running);
}

static void close_retired(struct warren_worker *worker)
{
    worker_orphans_plugins_begin(&worker->orphans);
    subscriptions_close_retired(worker->open, on_ended, worker);
    worker_orphans_plugins_end(&worker->orphans);
}

/* The first request drains, the second ends at once. */
static void stop(struct warren_worker *worker, const char *reason)
{
    if (!worker->stopping) {
        worker->stopping = true;
        worker->stopped_ms = now_ms();
        atomic_store(&worker->flight.plan.ending, true);
        worker_report_stop(reason, worker->setup.config->drain.timeout_ms);
        runtime_stop(worker->runtime);
        return;
    }
    log_warn("%s again: ending at once", reason);
    runtime_abort(worker->runtime);
}

/* Who ends reads no configuration, and a handler that closes its file does not open it anew. */
static void take_hang_up(struct warren_worker *worker)
{
    if (!atomic_exchange(&worker_signals()->hang_up, false))
        return;
    if (!worker->stopping)
        worker_service_reloading(&worker->service, clock_now_ns(clock_monotonic()) / 1000);
    if (is_ending(worker))
        log_info("SIGHUP: nothing is opened or read again, for the worker ends");
    else
        hang_up(worker);
    if (!worker->stopping) /* who executes itself reads all again */
        worker_service_reloaded(&worker->service);
}

static const char *stop_name(int signal)
{
    return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

static void take_requests(struct warren_worker *worker)
{
    struct signal_tally *signals = worker_signals();
    int first;
    int again;

    if (worker->stop_asked && !worker->stopping)
        stop(worker, "warren_worker_stop");
    take_reload_request(worker);
    if (!worker->own_signals)
        return;
    first = atomic_load(&signals->stop);
    if (first && !worker->signalled) {
        worker->signalled = true;
        stop(worker, stop_name(first));
    }
    again = atomic_exchange(&signals->again, 0);
    if (again)
        stop(worker, stop_name(again));
    take_hang_up(worker);
}

/* A thread is lost, or has reported where it is, or there is a hard limit to watch. */
static void take_taint(struct warren_worker *worker)
{
    if (!worker_flight_tainted(&worker->flight) || !flight_told(worker->flight.flight))
        return;
    runtime_stop(worker->runtime);
    worker_store_lost(worker->key_writer, worker->flight.flight);
    worker_flight_report(&worker->flight);
}

static void wait_for_end(struct warren_worker *worker)
{
    struct flight *flight = worker->flight.flight;

    while (!worker->ended) {
        int ms = worker_streams_sleep_ms(&worker->streams, flight_watch(flight, now_ms()));

        ms = ms < 0 || ms > DESCRIPTORS_LOOK_MS ? DESCRIPTORS_LOOK_MS : ms;
        ms = worker_orphans_reap(&worker->orphans, now_ms(), ms);
        sleep_ms(worker, worker_service_sleep_ms(&worker->service, now_ms(), ms));
        descriptors_check();
        if (!worker->ended)
            take_requests(worker);
        take_taint(worker);
        close_retired(worker);
        worker_state_look(worker);
        worker_streams_save(&worker->streams, now_ms());
    }
    reload_request_close(&worker->request);
    worker_streams_save(&worker->streams, INT64_MAX);
}

/* A process that crashes again and again shall leave the broker and the machine some peace. */
static void wait_before_start(struct warren_worker *worker)
{
    int64_t delay_ms = flight_restart_delay_ms(worker->flight.flight);
    int64_t end_ms = now_ms() + delay_ms;
    int64_t left_ms;

    if (delay_ms == 0)
        return;
    log_warn("this process executes itself too often: waiting for %d ms", (int)delay_ms);
    do {
        worker_state_look(worker);
        left_ms = end_ms - now_ms();
    } while (left_ms > 0 &&
             !sleep_ms(worker, worker_service_sleep_ms(&worker->service, now_ms(), left_ms)));
    sem_post(worker->wake); /* what was posted is still to be looked at */
}

static bool is_idle(void *user, const struct open_subscription *which)
{
    struct warren_worker *worker = user;
    struct runtime_stats stats;

    runtime_subscription_stats(subscriptions_running_of(which), &stats);
    return stats.running == 0 &&
           worker_store_may_close(worker->key_writer, subscriptions_setup_of(which));
}

/* Handlers that are in no thread any more may write down what they keep, if that is possible. */
static void reexecute(struct warren_worker *worker)
{
    subscriptions_close_some(worker->open, is_idle, worker);
    otlp_stop(worker->otlp, TRACES_FLUSH_MS);
    worker_flight_reexecute(&worker->flight);
}

/* A SIGTERM of the last moment ends the process, as it would have a moment before. */
static bool is_told_to_stop(struct warren_worker *worker)
{
    take_requests(worker);
    return worker->stopping || worker->stop_asked;
}

static enum warren_status run(struct warren_worker *worker)
{
    struct warren_error error = {WARREN_OK, ""};
    struct runtime_stats stats;
    enum warren_status status;

    worker->started_ms = now_ms();
    worker_report_start(worker->setup.config);
    worker_limits_at_start(worker->setup.config);
    worker_service_begin(&worker->service);
    if (!worker->setup.config->state_dir && !worker->orphans.owned)
        log_warn("state_dir is not set: a message that crashes this program is not known to the "
                 "next process, and crashes it again");
    wait_before_start(worker);
    /* Who sees it consume may ask for a reload: that waits until the start is over. */
    admin_reloads(worker->admin, answer_reload, worker);
    status = runtime_start(worker->runtime, &error);
    if (status != WARREN_OK) {
        log_error("cannot start: %s", error.text);
        return status;
    }
    health_watch(&worker->health, worker->runtime, worker->publisher);
    wait_for_end(worker);
    runtime_stats(worker->runtime, &stats);
    worker->abandoned = worker->end_unfinished > 0;
    if (atomic_load(&worker->at_gap) && worker->end_status == WARREN_OK)
        worker->end_status = WARREN_EIO;
    worker_report_end(&stats, worker->end_status, worker->end_unfinished,
                      now_ms() - worker->started_ms);
    if (!worker_flight_tainted(&worker->flight))
        return worker->end_status;
    worker_flight_report(&worker->flight);
    if (!is_told_to_stop(worker))
        reexecute(worker);
    atomic_store(&worker->flight.plan.called_off, true);
    return WARREN_ETAINTED;
}

bool worker_is_inherited(const struct warren_worker *worker)
{
    return worker->pid != getpid();
}

enum warren_status warren_worker_run(struct warren_worker *worker)
{
    int life = NEW;
    enum warren_status status;

    if (!worker)
        return WARREN_EINVAL;
    if (worker_is_inherited(worker))
        return WARREN_ECLOSED;
    if (!atomic_compare_exchange_strong(&worker->life, &life, RUNNING))
        return life == RUNNING ? WARREN_EINVAL : WARREN_ECLOSED;
    if (worker->on_state)
        worker->on_state(WARREN_WORKER_STARTING, worker->user);
    status = run(worker);
    atomic_store(&worker->life, ENDED);
    worker_state_look(worker);
    return status;
}

void worker_own_process(struct warren_worker *worker, struct process_state *start,
                        const struct worker_service *service)
{
    worker->service = *service;
    if (process_state_copy(start, &worker->begun) != WARREN_OK)
        process_state_done(&worker->begun); /* they begin with the environment of the day */
    worker_flight_own_process(&worker->flight, start);
    worker->orphans.owned = true;
    admin_own(worker->admin, worker->reload.file, worker->reload.sets, worker->reload.set_count,
              &worker->begun);
    loop_log_warnings();
}

enum warren_status warren_worker_stop(struct warren_worker *worker)
{
    if (!worker)
        return WARREN_EINVAL;
    if (worker_is_inherited(worker))
        return WARREN_ECLOSED;
    worker->stop_asked = true;
    sem_post(worker->wake);
    return WARREN_OK;
}

/* Of drain.timeout the runtime has left so much, and at most @most_ms of it are for this. */
static uint32_t left_ms(const struct warren_worker *worker, uint32_t most_ms)
{
    if (worker->end_status == WARREN_ECLOSED)
        return 0;
    if (!worker->stopped_ms)
        return most_ms;
    return worker_limits_left_ms(worker->stopped_ms + worker->setup.config->drain.timeout_ms,
                                 now_ms(), most_ms);
}

static uint32_t close_ms(const struct warren_worker *worker)
{
    return left_ms(worker, PUBLISHER_CLOSE_MS);
}

static void close_publisher(struct warren_worker *worker)
{
    uint32_t flush_ms;

    if (!worker->publisher)
        return;
    flush_ms = close_ms(worker);
    /* 0 would be for ever. */
    if (flush_ms == 0 || warren_publisher_flush(worker->publisher, flush_ms) != WARREN_OK)
        worker_report_spool(worker->publisher);
    publisher_set_handshake(worker->publisher, close_ms(worker));
    warren_publisher_close(worker->publisher, 0);
}

/* A handler that did not return still has its state, its job and the publisher: they are left to
 * it until the process ends. */
static void release(struct warren_worker *worker)
{
    health_unwatch(&worker->health);
    reload_request_close(&worker->request);
    if (worker->abandoned) {
        runtime_join(worker->runtime);
        otlp_stop(worker->otlp, left_ms(worker, TRACES_FLUSH_MS));
        worker_flight_close(&worker->flight, true);
        admin_close(worker->admin, true);
        return;
    }
    close_publisher(worker);
    key_writer_stop(worker->key_writer);
    runtime_rest(worker->runtime);
    otlp_stop(worker->otlp, left_ms(worker, TRACES_FLUSH_MS));
    worker_flight_close(&worker->flight, false);
    if (worker->open)
        subscriptions_close_retired(worker->open, on_ended, worker);
    worker_streams_close(&worker->streams);
    subscriptions_close(worker->open);
    runtime_free(worker->runtime);
    if (otlp_free(worker->otlp))
        tracing_settings_done(&worker->tracing);
    key_writer_free(worker->key_writer);
    worker_reload_done(&worker->reload);
    admin_close(worker->admin, false);
    worker_setup_done(&worker->setup);
}

void warren_worker_free(struct warren_worker *worker)
{
    bool abandoned;

    if (!worker || worker_is_inherited(worker))
        return;
    abandoned = worker->abandoned;
    release(worker);
    worker_metrics_done(&worker->metrics);
    if (!abandoned)
        reload_request_done(&worker->request);
    if (worker->own_signals)
        worker_signals_give_back();
    if (worker->owns_log) {
        log_stop(LOG_STOP_MS);
        descriptors_forget(STDERR_FILENO);
    }
    if (worker->diverts_log)
        log_divert(NULL, NULL);
    if (abandoned)
        return;
    health_done(&worker->health);
    process_state_done(&worker->begun);
    guarded_free(worker, sizeof *worker);
}
