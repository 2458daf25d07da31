/* runtime.c - see runtime.h. Here: life, and what happens when. Working: runtime_turn.c. The end:
 * drain.c. */
#include "consume/runtime/runtime.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "consume/crash/fault.h"
#include "consume/runtime/runtime_private.h"

/* After a consumer lost its queue: the time until the topology is declared again. */
#define REDECLARE_MS 200
/* After the broker did not answer a declare. */
#define REDECLARE_LATE_MS 30000

/* Declaring that takes this long is reported, and again after each further interval. */
#define SLOW_MS       1000
#define SLOW_AGAIN_MS 10000

void runtime_wake(struct runtime *r)
{
    loop_post(r->loop, &r->collect);
}

/* ---- connection and topology ---- */

static void declare(void *arg)
{
    runtime_declare(arg);
}

void runtime_declare(struct runtime *r)
{
    if (r->declaring || r->drain.phase != DRAIN_NOT ||
        connection_state(r->connection) != CONNECTION_OPEN)
        return;
    r->declaring = true;
    loop_timer_arm_ms(&r->slow, SLOW_MS);
    topology_declare(r->topology);
}

static void still_declaring(void *arg)
{
    struct runtime *r = arg;
    size_t done, total;

    if (!r->declaring)
        return;
    topology_progress(r->topology, &done, &total);
    if (r->events.declaring)
        r->events.declaring(r->user, done, total);
    loop_timer_arm_ms(&r->slow, SLOW_AGAIN_MS);
}

void runtime_redeclare_soon(struct runtime *r)
{
    if (!loop_timer_armed(&r->redeclare))
        loop_timer_arm_ms(&r->redeclare, REDECLARE_MS);
}

static void refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct runtime *r = user;

    if (r->events.refused)
        r->events.refused(r->user, item, code, text);
}

/* Also with items refused: a subscription to what is there has to work. */
static void declared(void *user, uint32_t in_vain)
{
    struct runtime *r = user;

    (void)in_vain;
    r->declaring = false;
    loop_timer_disarm(&r->slow);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_start(r->subscriptions[i]);
    shards_start(r);
    limit_look_go_on(r);
    depth_look_start(&r->depths);
    if (topology_is_late(r->topology) && !loop_timer_armed(&r->redeclare))
        loop_timer_arm_ms(&r->redeclare, REDECLARE_LATE_MS);
}

const struct topology_events runtime_topology_events = {refused, declared};

static void opened(void *user)
{
    struct runtime *r = user;

    atomic_fetch_add(&r->connects, 1);
    atomic_store(&r->connected, true);
    if (r->events.connected)
        r->events.connected(r->user, connection_where(r->connection),
                            connection_server(r->connection));
    declare(r);
}

static void lost(void *user, const struct connection_loss *loss)
{
    struct runtime *r = user;

    atomic_fetch_add(&r->losses, 1);
    atomic_store(&r->connected, false);
    r->declaring = false;
    r->memory_full = false;
    loop_timer_disarm(&r->redeclare);
    loop_timer_disarm(&r->slow);
    shards_lost(r);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_suspend(r->subscriptions[i]);
    if (r->events.lost)
        r->events.lost(r->user, loss);
    drain_progress(r);
}

static void turn(void *user)
{
    runtime_turn(user);
}

static void closed(void *user)
{
    struct runtime *r = user;

    atomic_store(&r->connected, false);
    drain_closed(r);
}

static void few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    struct runtime *r = user;

    if (r->events.few_channels)
        r->events.few_channels(r->user, needed, allowed);
}

static const struct connection_events connection_events = {
    .open = opened, .lost = lost, .turn = turn, .closed = closed, .few_channels = few_channels};

/* ---- life ---- */

static void stop(void *arg)
{
    struct runtime *r = arg;

    drain_begin(r);
    for (size_t i = 0; i < r->subscription_count; i++)
        crew_give_back_lost(&r->subscriptions[i]->crew);
    drain_progress(r);
}

static void abort_now(void *arg)
{
    drain_abort(arg, WARREN_ECLOSED);
}

static enum warren_status init_timers(struct runtime *r)
{
    enum warren_status status = runtime_turn_init(r);

    if (status == WARREN_OK)
        status = loop_timer_init(&r->redeclare, r->loop, declare, r);
    if (status == WARREN_OK)
        status = loop_timer_init(&r->retire, r->loop, runtime_retire, r);
    if (status == WARREN_OK)
        status = loop_timer_init(&r->slow, r->loop, still_declaring, r);
    if (status == WARREN_OK)
        status = drain_init(r);
    if (status == WARREN_OK)
        status = ack_barrier_init(&r->ack_barrier, r);
    return status;
}

static enum warren_status make_subscriptions(struct runtime *r,
                                             const struct runtime_options *options,
                                             struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    list_init(&r->lanes);
    list_init(&r->shards);
    r->subscriptions = calloc(options->subscription_count + 1, sizeof(struct subscription *));
    if (!r->subscriptions)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    r->subscription_room = options->subscription_count;
    for (size_t i = 0; status == WARREN_OK && i < options->subscription_count; i++) {
        status = subscription_new(&options->subscriptions[i], r, &r->subscriptions[i], error);
        if (status != WARREN_OK)
            break;
        look_declared(r->subscriptions[i], options->topology);
        r->subscription_count++;
    }
    runtime_count_pools(r);
    return status;
}

static enum warren_status make_parts(struct runtime *r, const struct runtime_options *options,
                                     struct warren_error *error)
{
    enum warren_status status = loop_new(clock_monotonic(), &r->loop);

    if (status == WARREN_OK)
        status = init_timers(r);
    if (status != WARREN_OK)
        return error_set(error, status, "event loop: %s", warren_status_name(status));
    status =
        connection_new(r->loop, options->connection, &connection_events, r, &r->connection, error);
    if (status != WARREN_OK)
        return status;
    status = semaphores_reserve(&r->semaphores, options->semaphores, options->semaphore_count);
    if (status != WARREN_OK)
        return error_set(error, status, "no memory for the semaphores");
    semaphores_set(&r->semaphores, options->semaphores, options->semaphore_count);
    status =
        topology_new(r->connection, options->topology, &runtime_topology_events, r, &r->topology);
    if (status != WARREN_OK)
        return error_set(error, status, "topology: %s", warren_status_name(status));
    status = make_subscriptions(r, options, error);
    if (status != WARREN_OK)
        return status;
    status = look_init(r);
    if (status == WARREN_OK)
        status = depth_look_init(&r->depths, r, options);
    return status == WARREN_OK ? status
                               : error_set(error, status, "no memory to look after the queues");
}

enum warren_status runtime_new(const struct runtime_options *options,
                               const struct runtime_events *events, void *user,
                               struct runtime **ret_runtime, struct warren_error *error)
{
    struct runtime *r = calloc(1, sizeof *r);
    enum warren_status status;

    if (!r)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    r->events = *events;
    r->user = user;
    atomic_store(&r->deadline_ms, INT64_MAX);
    r->memory_max = options->memory_max;
    r->message_max = options->message_max;
    r->publisher = options->publisher;
    r->tracer = options->tracer;
    pthread_mutex_init(&r->list_lock, NULL);
    r->straggler_age_ms = options->straggler_age_ms;
    r->drain_timeout_ms = options->drain_timeout_ms;
    r->flight = options->flight;
    semaphores_init(&r->semaphores);
    pool_init(&r->pool, options->group_threads, options->flight != NULL);
    failure_groups_init(&r->failures);
    loop_task_init(&r->stop, stop, r);
    loop_task_init(&r->abort, abort_now, r);
    status = make_parts(r, options, error);
    if (status != WARREN_OK) {
        runtime_free(r);
        return status;
    }
    runtime_metrics_init(r);
    *ret_runtime = r;
    return WARREN_OK;
}

static void *run(void *arg)
{
    struct runtime *r = arg;

    if (r->flight)
        fault_stack_begin();
    connection_start(r->connection);
    loop_run(r->loop);
    if (r->flight)
        fault_stack_end();
    if (r->events.stopped)
        r->events.stopped(r->user, r->drain.status, r->drain.unfinished);
    return NULL;
}

enum warren_status runtime_start(struct runtime *r, struct warren_error *error)
{
    enum warren_status status = thread_start(&r->thread, "warren-consume", run, r, error);

    r->started = status == WARREN_OK;
    return status;
}

void runtime_stop(struct runtime *r)
{
    loop_post(r->loop, &r->stop);
}

void runtime_abort(struct runtime *r)
{
    loop_post(r->loop, &r->abort);
}

void runtime_join(struct runtime *r)
{
    if (r->started)
        pthread_join(r->thread, NULL);
    r->started = false;
}

void runtime_rest(struct runtime *r)
{
    if (!r)
        return;
    runtime_join(r);
    for (size_t i = 0; r->drain.unfinished == 0 && i < r->subscription_count; i++)
        runner_stop(r->subscriptions[i]->runner);
    if (r->drain.unfinished > 0)
        return;
    runtime_stop_executors(r);
    pool_stop(&r->pool);
}

void runtime_free(struct runtime *r)
{
    if (!r)
        return;
    runtime_rest(r);
    runtime_metrics_done(r);
    if (r->drain.unfinished > 0)
        return; /* a handler or a receipt still refers to all of it */
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_free(r->subscriptions[i]);
    for (size_t i = 0; i < r->ended_count; i++)
        subscription_free(r->ended[i]);
    runtime_free_executors(r);
    free(r->subscriptions);
    free(r->ended);
    limit_probe_done(&r->limits.probe);
    depth_look_done(&r->depths);
    look_done(r);
    topology_free(r->topology);
    connection_free(r->connection);
    drain_done(r);
    runtime_turn_done(r);
    loop_timer_done(&r->redeclare);
    loop_timer_done(&r->slow);
    loop_timer_done(&r->retire);
    pthread_mutex_destroy(&r->list_lock);
    ack_barrier_done(&r->ack_barrier);
    failure_groups_done(&r->failures);
    pool_done(&r->pool);
    semaphores_done(&r->semaphores);
    loop_free(r->loop);
    free(r);
}

/* ---- counts ---- */

/* One for each subscription, and one to declare on. */
uint32_t runtime_channels(const struct config_topology *topology, size_t subscription_count)
{
    size_t items = topology->exchange_count + topology->queue_count + topology->binding_count;

    return (uint32_t)(subscription_count + (items > 0));
}

struct subscription *runtime_subscription(const struct runtime *r, size_t index)
{
    return r->subscriptions[index];
}

stream_begin runtime_subscription_begin(const struct subscription *s)
{
    struct runtime *r = s->runtime;
    stream_begin begin;

    pthread_mutex_lock(&r->list_lock);
    begin = s->ended ? s->last_begin : consumer_begin(s->consumer);
    pthread_mutex_unlock(&r->list_lock);
    return begin;
}

void runtime_subscription_stats(struct subscription *s, struct runtime_stats *stats)
{
    struct runtime *r = s->runtime;

    *stats = (struct runtime_stats){.consuming = true};
    pthread_mutex_lock(&r->list_lock);
    subscription_stats(s, stats);
    pthread_mutex_unlock(&r->list_lock);
}

struct failure_groups *runtime_failures(struct runtime *r)
{
    return &r->failures;
}

void runtime_stats(struct runtime *r, struct runtime_stats *stats)
{
    *stats = (struct runtime_stats){.connects = atomic_load(&r->connects), .consuming = true};
    pthread_mutex_lock(&r->list_lock);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_stats(r->subscriptions[i], stats);
    for (size_t i = 0; i < r->ended_count; i++)
        subscription_stats(r->ended[i], stats);
    pthread_mutex_unlock(&r->list_lock);
}
