/* worker_state.c - what the program may know of its worker: how far it is, and what it did. */
#include <string.h>

#include "app/worker_private.h"
#include "base/clock.h"

/* ---- the state ---- */

/* On the runtime's thread, as the next three are. */
static void on_consuming(void *user, const char *queue)
{
    struct warren_worker *worker = user;

    worker->reports.consuming(user, queue);
    sem_post(worker->wake);
}

/* One that has no shard is ready, too. */
static void on_spread(void *user, const struct runtime_spread *spread)
{
    struct warren_worker *worker = user;

    worker->reports.spread(user, spread);
    sem_post(worker->wake);
}

static void on_interrupted(void *user, const char *queue, const char *reason, uint32_t retry_ms)
{
    struct warren_worker *worker = user;

    worker->reports.interrupted(user, queue, reason, retry_ms);
    sem_post(worker->wake);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct warren_worker *worker = user;

    worker->reports.lost(user, loss);
    sem_post(worker->wake);
}

void worker_state_watch(struct warren_worker *worker, struct runtime_events *events)
{
    worker->reports = *events;
    events->consuming = on_consuming;
    events->interrupted = on_interrupted;
    events->spread = on_spread;
    events->lost = on_lost;
}

static enum warren_worker_state state_of(const struct warren_worker *worker)
{
    struct runtime_stats stats;

    if (atomic_load(&worker->life) == ENDED)
        return WARREN_WORKER_ENDED;
    if (worker->stopping || worker->ended || worker_flight_tainted(&worker->flight))
        return WARREN_WORKER_DRAINING;
    runtime_stats(worker->runtime, &stats);
    return stats.consuming ? WARREN_WORKER_READY : WARREN_WORKER_STARTING;
}

static void tell_service(struct warren_worker *worker, enum warren_worker_state state)
{
    const struct worker_service_facts facts = {
        .state = state,
        .stops = worker->stopping || !worker_flight_tainted(&worker->flight),
        .drain_timeout_ms = worker->setup.config->drain.timeout_ms,
        .subscriptions = atomic_load(&worker->reload.in_force)->subscription_count,
    };

    worker_service_look(&worker->service, &worker->health, &facts, clock_now_ms(clock_monotonic()));
}

void worker_state_look(struct warren_worker *worker)
{
    enum warren_worker_state state = state_of(worker);

    health_phase(&worker->health, state);
    if (atomic_exchange(&worker->state, (int)state) != (int)state && worker->on_state)
        worker->on_state(state, worker->user);
    tell_service(worker, state);
}

/* ---- counts ---- */

static void count_consumed(struct warren_worker_stats *own, const struct runtime_stats *stats)
{
    const uint64_t *settled = &stats->counts[COUNT_SETTLED];

    own->ready = stats->consuming;
    own->received = stats->counts[COUNT_DELIVERED];
    own->redelivered = stats->counts[COUNT_REDELIVERED];
    own->acked = settled[WARREN_ACK];
    own->retried = settled[WARREN_RETRY] + stats->counts[COUNT_RETRIED];
    own->rejected = settled[WARREN_REJECT];
    own->discarded = settled[WARREN_DISCARD];
    own->requeued = settled[WARREN_REQUEUE];
    own->dead_lettered = stats->counts[COUNT_DEAD_LETTERED];
    own->stale = stats->counts[COUNT_STALE];
    own->running = stats->running;
    own->queued = stats->queued;
    own->held = stats->held;
}

static void count_published(struct warren_worker_stats *own, struct warren_publisher *publisher)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(publisher, &stats);
    own->published = stats.published;
    own->confirmed = stats.confirmed;
    own->unpublished = stats.nacked + stats.returned + stats.timeout + stats.expired;
    own->publishing = stats.in_flight;
    own->spooled = stats.spool_messages;
}

/* @index of a subscription; below 0: all. */
static enum warren_status read_stats(struct warren_worker *worker, int64_t index,
                                     struct warren_worker_stats *ret_stats)
{
    struct warren_worker_stats own = {.size = ret_stats ? ret_stats->size : 0};
    struct subscription *running = NULL;
    struct runtime_stats stats;

    /* A program that was compiled against an older header knows fewer members. */
    if (!worker || own.size > sizeof own ||
        own.size < offsetof(struct warren_worker_stats, spooled) + sizeof own.spooled)
        return WARREN_EINVAL;
    if (worker_is_inherited(worker))
        return WARREN_ECLOSED;
    own.state = (enum warren_worker_state)atomic_load(&worker->state);
    if (index < 0) {
        runtime_stats(worker->runtime, &stats);
        own.reconnects = stats.connects > 0 ? stats.connects - 1 : 0;
        count_published(&own, worker->publisher);
    } else if (!(running = subscriptions_running(worker->open, (size_t)index, &own.queue))) {
        return WARREN_ENOTFOUND;
    } else {
        runtime_subscription_stats(running, &stats);
    }
    count_consumed(&own, &stats);
    memcpy(ret_stats, &own, own.size);
    return WARREN_OK;
}

enum warren_status warren_worker_stats(struct warren_worker *worker,
                                       struct warren_worker_stats *stats)
{
    return read_stats(worker, -1, stats);
}

enum warren_status warren_worker_subscription_stats(struct warren_worker *worker, size_t index,
                                                    struct warren_worker_stats *stats)
{
    return read_stats(worker, index < INT64_MAX ? (int64_t)index : INT64_MAX, stats);
}
