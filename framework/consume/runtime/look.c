/* look.c - see look.h. */
#include "consume/runtime/look.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consume/runtime/runtime_private.h"

#define SINGLE_ACTIVE "x-single-active-consumer"

static const struct {
    const char *name;
    bool ready;
} states[] = {
#define LOOK_STATE(id, name, ready) {name, ready},
    LOOK_STATES(LOOK_STATE)
#undef LOOK_STATE
};

const char *look_state_name(enum look_state state)
{
    return states[state].name;
}

bool look_state_is_ready(enum look_state state)
{
    return states[state].ready;
}

/* ---- is it starved? ---- */

static uint64_t delivered(const struct subscription *s)
{
    return atomic_load_explicit(&s->counts[COUNT_DELIVERED], memory_order_relaxed);
}

/* It could be sent something, and has nothing. */
static bool is_idle(const struct subscription *s)
{
    return atomic_load(&s->consuming) && s->in_flight == 0 && !s->runtime->memory_full;
}

/* A stream keeps what was handled: only growth says that there is something to be had. */
static bool does_not_shrink(const struct subscription *s, int64_t messages)
{
    const struct subscription_watch *watch = &s->watch;

    if (s->is_stream)
        return watch->depth.messages >= 0 &&
               messages + (watch->stuck_ms > 0) > watch->depth.messages;
    return messages > 0 && messages >= watch->depth.messages;
}

static void take_depth(struct subscription *s, const struct depth *depth)
{
    struct subscription_watch *watch = &s->watch;
    int64_t now_ms = subscription_now_ms(s);

    if (!is_idle(s) || delivered(s) != watch->depth_delivered ||
        !does_not_shrink(s, depth->messages))
        watch->stuck_ms = 0;
    else if (watch->stuck_ms == 0)
        watch->stuck_ms = now_ms;
    watch->depth_delivered = delivered(s);
    watch->depth = *depth;
}

void look_depth(struct runtime *r, const char *queue, const struct depth *depth)
{
    for (size_t i = 0; i < r->subscription_count; i++)
        if (strcmp(r->subscriptions[i]->source.queue, queue) == 0)
            take_depth(r->subscriptions[i], depth);
}

/* When did it last get something, or begin to consume? To the time between two looks. */
static int64_t silent_ms(struct subscription *s, bool consuming, int64_t now_ms)
{
    struct subscription_watch *watch = &s->watch;

    if (!consuming || watch->delivered != delivered(s) || watch->since_ms == 0)
        watch->since_ms = now_ms;
    watch->delivered = delivered(s);
    return now_ms - watch->since_ms;
}

static bool is_starved(const struct subscription *s, int64_t quiet_ms, int64_t now_ms)
{
    int64_t period_ms = s->runtime->depths.period_ms;

    return is_idle(s) && quiet_ms >= LOOK_SILENT_PERIODS * period_ms && s->watch.stuck_ms > 0 &&
           now_ms - s->watch.stuck_ms >= LOOK_STUCK_PERIODS * period_ms;
}

/* ---- why ---- */

#define BECAUSE(look, ...)                                                                         \
    snprintf((look)->reason, sizeof(look)->reason, __VA_ARGS__) /* a cut reason is one, too */

/* The broker has not begun to send, or has ceased. */
static enum look_state why_not_consuming(const struct subscription *s,
                                         const struct consumer_look *consumer,
                                         struct subscription_look *look)
{
    if (consumer->at_gap) {
        BECAUSE(look, "retention removed messages of the stream that were to come; on_gap is stop");
        return LOOK_GAP;
    }
    if (consumer->full) {
        BECAUSE(look, "unsettled messages fill prefetch_bytes");
        return LOOK_FULL;
    }
    if (consumer->consuming)
        return LOOK_CONSUMING;
    if (*consumer->reason) {
        BECAUSE(look, "%s", consumer->reason);
        return LOOK_INTERRUPTED;
    }
    if (consumer_generation(s->consumer) == 0)
        BECAUSE(look, "the broker has not opened a channel for it");
    else
        BECAUSE(look, "%s",
                s->runtime->declaring ? "the topology is being declared"
                                      : "the broker has not confirmed it yet");
    return LOOK_STARTING;
}

/* A quorum queue with a single active consumer counts that one alone (seen in 3.10.8), so who waits
 * behind it cannot tell from the count that there is another. */
static enum look_state why_starved(const struct subscription *s, struct subscription_look *look)
{
    const struct subscription_watch *watch = &s->watch;
    int64_t consumers = watch->depth.consumers;

    if (watch->single_active && consumers > 1) {
        BECAUSE(look, "another of its %" PRId64 " consumers is the single active one", consumers);
        return LOOK_STANDBY;
    }
    if (watch->single_active && !watch->counts_all) {
        BECAUSE(look,
                "it got nothing for %" PRId64 " s while %" PRId64 " messages wait; the queue has a "
                "single active consumer, which may be another one",
                look->silent_ms / 1000, watch->depth.messages);
        return LOOK_PERHAPS_STANDBY;
    }
    if (!watch->declared && consumers > 1) {
        BECAUSE(look,
                "it got nothing for %" PRId64 " s while %" PRId64 " messages wait; of its %" PRId64
                " consumers another one may be the single active one: the queue is declared by "
                "others",
                look->silent_ms / 1000, watch->depth.messages, consumers);
        return LOOK_PERHAPS_STANDBY;
    }
    BECAUSE(look,
            "the broker has it as a consumer, but sent it nothing for %" PRId64 " s, while %" PRId64
            " messages wait in the queue",
            look->silent_ms / 1000, watch->depth.messages);
    return LOOK_STARVED;
}

static enum look_state why_aside(const struct subscription *s, struct subscription_look *look)
{
    if (s->aside == ASIDE_NOT) {
        BECAUSE(look, "it takes over this shard");
        return LOOK_STANDBY;
    }
    if (!atomic_load(&s->stands_by)) {
        BECAUSE(look, "the shards are being shared out");
        return LOOK_STARTING;
    }
    if (s->aside == ASIDE_LEAVING)
        BECAUSE(look,
                "another worker is to have this shard, and %u messages are still at work here",
                subscription_at_work(s));
    else
        BECAUSE(look, "another worker has this shard");
    return LOOK_STANDBY;
}

static enum look_state state_of(const struct subscription *s, struct subscription_look *look,
                                int64_t now_ms)
{
    const struct runtime *r = s->runtime;
    struct consumer_look consumer;
    enum look_state state;

    if ((s->draining && s->aside == ASIDE_NOT) || r->drain.phase != DRAIN_NOT) {
        BECAUSE(look, "the worker drains, and ends");
        return LOOK_DRAINING;
    }
    if (connection_state(r->connection) != CONNECTION_OPEN) {
        BECAUSE(look, "there is no connection to %s", connection_where(r->connection));
        return LOOK_DISCONNECTED;
    }
    if (s->aside != ASIDE_NOT || atomic_load(&s->stands_by))
        return why_aside(s, look);
    consumer_look(s->consumer, &consumer);
    state = why_not_consuming(s, &consumer, look);
    if (state != LOOK_CONSUMING)
        return state;
    if (r->memory_full) {
        BECAUSE(look, "unsettled messages of the process fill consumer.memory_max");
        return LOOK_MEMORY;
    }
    if (s->admission.waiting.count > 0 && s->admission.closed) {
        BECAUSE(look, "%u messages wait for %s", s->admission.waiting.count, s->admission.closed);
        return LOOK_HELD;
    }
    if (s->uses.stands && atomic_load(&s->uses.out) == 0) {
        BECAUSE(look, "%u messages wait for semaphores, which others have", s->uses.waiting.count);
        return LOOK_HELD;
    }
    return is_starved(s, look->silent_ms, now_ms) ? why_starved(s, look) : LOOK_CONSUMING;
}

static void look_at(struct subscription *s, struct subscription_look *ret)
{
    int64_t now_ms = subscription_now_ms(s);
    struct runtime_stats stats = {.consuming = true};
    struct subscription_look look = {.queue = s->source.queue, .handler = s->source.handler};

    subscription_stats(s, &stats);
    look.running = stats.running;
    look.queued = stats.queued;
    look.held = stats.held;
    look.prefetch = s->prefetch;
    look.messages = s->watch.depth.messages;
    look.consumers = s->watch.depth.consumers;
    look.silent_ms = silent_ms(s, stats.consuming, now_ms);
    look.overdue_ms = crew_overdue_ms(&s->crew, now_ms);
    look.state = state_of(s, &look, now_ms);
    *ret = look;
}

/* ---- for other threads ---- */

void runtime_look(struct runtime *r)
{
    size_t count = 0;

    for (size_t i = 0; i < r->subscription_count; i++) {
        struct subscription_look look;

        if (atomic_load(&r->subscriptions[i]->taken_away))
            continue;
        look_at(r->subscriptions[i], &look);
        pthread_mutex_lock(&r->look_lock);
        r->looks[count++] = look;
        pthread_mutex_unlock(&r->look_lock);
    }
    pthread_mutex_lock(&r->look_lock);
    r->look_count = count;
    pthread_mutex_unlock(&r->look_lock);
}

bool runtime_look_read(struct runtime *r, size_t index, struct subscription_look *ret)
{
    bool looked;

    pthread_mutex_lock(&r->look_lock);
    looked = index < r->look_count;
    if (looked)
        *ret = r->looks[index];
    pthread_mutex_unlock(&r->look_lock);
    return looked;
}

struct loop *runtime_loop(struct runtime *r)
{
    return r->loop;
}

/* ---- life ---- */

static bool is_single_active(const struct config_queue *queue)
{
    const struct warren_value *value =
        queue ? warren_table_get(&queue->arguments, SINGLE_ACTIVE) : NULL;

    return value && value->type == WARREN_BOOL && value->as.boolean;
}

enum warren_status look_init(struct runtime *r)
{
    pthread_mutex_init(&r->look_lock, NULL);
    return look_reserve(r, r->subscription_count + 1);
}

enum warren_status look_reserve(struct runtime *r, size_t count)
{
    struct subscription_look *looks;

    if (count <= r->look_room)
        return WARREN_OK;
    pthread_mutex_lock(&r->look_lock);
    looks = realloc(r->looks, count * sizeof *looks);
    if (looks) {
        r->looks = looks;
        r->look_room = count;
    }
    pthread_mutex_unlock(&r->look_lock);
    return looks ? WARREN_OK : WARREN_ENOMEM;
}

void look_declared(struct subscription *s, const struct config_topology *topology)
{
    const struct config_queue *queue = config_find_queue(topology, s->source.queue);
    struct subscription_watch *watch = &s->watch;

    if (!watch->known)
        watch->depth = (struct depth){-1, -1};
    watch->known = true;
    watch->declared = queue && !queue->passive;
    watch->counts_all = queue && strcmp(queue->type, "classic") == 0;
    watch->single_active = is_single_active(queue);
}

void look_done(struct runtime *r)
{
    free(r->looks);
    pthread_mutex_destroy(&r->look_lock);
}
