/* subscription_lane.c - see subscription_lane.h. */
#include "consume/runtime/subscription_lane.h"

#include <stdlib.h>

#include "amqp/wire/property_spans.h"
#include "consume/runtime/runtime_private.h"

enum { FOR_AGE, FOR_FAILURE };

/* ---- life ---- */

static void init_metrics(struct subscription_lane *l, const struct runtime_subscription *what)
{
    struct subscription_lane_metrics *m = &l->metrics;

    m->waiting = metric_series(METRIC_LANE_WAITING, what->queue, what->handler_name);
    m->moved[FOR_AGE] = metric_series(METRIC_LANE_MOVED, what->queue, what->handler_name, "age");
    m->moved[FOR_FAILURE] =
        metric_series(METRIC_LANE_MOVED, what->queue, what->handler_name, "failure");
    m->failed = metric_series(METRIC_LANE_MOVES_FAILED, what->queue, what->handler_name);
}

/* Those of the other lane, if that is made already. */
static struct lanes *find_lanes(struct runtime *r, const struct config_lanes *config)
{
    LIST_EACH(link, &r->lanes) {
        struct lanes *lanes = list_entry(link, struct lanes, link);

        if (lanes->config == config)
            return lanes;
    }
    return NULL;
}

static struct lanes *new_lanes(struct runtime *r, const struct config_lanes *config)
{
    const uint32_t share[LANES] = {config->fast_share, config->slow_share};
    struct lanes *lanes = calloc(1, sizeof *lanes);

    if (!lanes)
        return NULL;
    lanes->config = config;
    lane_share_init(&lanes->share, share);
    list_push(&r->lanes, &lanes->link);
    return lanes;
}

enum warren_status subscription_lane_new(struct subscription *s,
                                         const struct runtime_subscription *what)
{
    struct subscription_lane *l = calloc(1, sizeof *l);
    struct lanes *lanes;

    s->lane = l;
    if (!l)
        return WARREN_ENOMEM;
    l->which = what->lane;
    init_metrics(l, what);
    lanes = find_lanes(s->runtime, what->lanes);
    if (!lanes)
        lanes = new_lanes(s->runtime, what->lanes);
    if (!lanes)
        return WARREN_ENOMEM;
    l->lanes = lanes;
    lanes->of[l->which] = s;
    return WARREN_OK;
}

void subscription_lane_free(struct subscription *s)
{
    struct subscription_lane *l = s->lane;
    struct lanes *lanes = l ? l->lanes : NULL;

    if (!l)
        return;
    if (lanes && lanes->of[l->which] == s)
        lanes->of[l->which] = NULL;
    if (lanes && !lanes->of[LANE_FAST] && !lanes->of[LANE_SLOW]) {
        list_remove(&lanes->link);
        free(lanes);
    }
    metric_release_all(&l->metrics, sizeof l->metrics);
    free(l);
    s->lane = NULL;
}

/* ---- into the slow lane ---- */

/* By the property timestamp, whole seconds of the wall clock. What has none, or one of the future,
 * is not old. */
static bool is_old(const struct subscription_lane *l, const struct attempt *attempt,
                   int64_t wall_ms)
{
    uint64_t since_s = property_spans_timestamp(delivery_properties(&attempt->delivery));

    return since_s > 0 && since_s <= (uint64_t)(wall_ms / 1000) &&
           wall_ms - (int64_t)since_s * 1000 > l->lanes->config->slow_after;
}

void subscription_lane_sort(struct subscription *s, struct batch *batch)
{
    const struct subscription_lane *l = s->lane;
    struct batch all = *batch;
    struct attempt *attempt;
    struct arena scratch;
    int64_t wall_ms;

    if (!l || l->which != LANE_FAST || l->lanes->config->slow_after == 0)
        return;
    wall_ms = clock_wall_ms();
    arena_init(&scratch);
    *batch = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all))) {
        bool old = is_old(l, attempt, wall_ms) && !subscription_is_stale(s, attempt);

        arena_reset(&scratch);
        if (old && subscription_move(s, attempt, MOVE_SLOW, l->lanes->config->slow, 0, &scratch))
            continue;
        if (old)
            subscription_slow_ended(s, false);
        batch_add(batch, attempt);
    }
    arena_done(&scratch);
}

void subscription_slow_ended(struct subscription *s, bool moved)
{
    counter_add(moved ? &s->lane->moved[FOR_AGE] : &s->lane->failed, 1);
}

void subscription_slow_failed(struct subscription *s)
{
    counter_add(&s->lane->moved[FOR_FAILURE], 1);
}

/* ---- who waits ---- */

void subscription_lane_enter(struct subscription *s, struct batch *batch, bool again)
{
    if (!s->lane || s->fair)
        return;
    batch_splice(again ? &s->lane->again : &s->lane->waiting, batch);
    subscription_turn_note(s);
}

struct attempt *subscription_lane_next(struct subscription *s)
{
    struct attempt *attempt = batch_pop(&s->lane->again);

    return attempt ? attempt : batch_pop(&s->lane->waiting);
}

void subscription_lane_take(struct subscription *s, struct batch *batch)
{
    if (subscription_lane_waiting(s) == 0)
        return;
    batch_splice(batch, &s->lane->again);
    batch_splice(batch, &s->lane->waiting);
    subscription_turn_note(s);
}

uint32_t subscription_lane_waiting(const struct subscription *s)
{
    return s->lane ? s->lane->again.count + s->lane->waiting.count : 0;
}

void subscription_lane_note(struct subscription *s)
{
    if (s->lane)
        atomic_store_explicit(&s->lane->waiting_count, subscription_turn_waiting(s),
                              memory_order_relaxed);
}

struct subscription *lanes_other(const struct subscription *s)
{
    return s->lane->lanes->of[s->lane->which == LANE_FAST ? LANE_SLOW : LANE_FAST];
}

/* ---- and goes ---- */

/* What is on its way in each lane, and what of both is with workers, or could be: neither a closed
 * gate of one nor what is queued behind its workers must hold up the other. */
struct ways {
    uint32_t count[LANES];
    uint32_t most[LANES];
    uint32_t with_workers;
    uint32_t most_with_workers;
};

static uint32_t concurrency_of(const struct subscription *s)
{
    return s ? atomic_load_explicit(&s->concurrency, memory_order_relaxed) : 0;
}

static bool has_nothing(const struct lanes *lanes, const struct ways *ways, enum lane lane)
{
    const struct subscription *s = lanes->of[lane];

    return !s || (ways->count[lane] == 0 && subscription_turn_waiting(s) == 0);
}

/* Where it is a range, its most: threads of the fast lane that rest take nothing from the slow one.
 */
static uint32_t together(const struct lanes *lanes)
{
    const struct subscription *s = lanes->of[lanes->of[LANE_FAST] ? LANE_FAST : LANE_SLOW];

    return atomic_load_explicit(&s->pool.max, memory_order_relaxed);
}

static void count_ways(const struct lanes *lanes, struct ways *ways)
{
    ways->with_workers = 0;
    for (int i = 0; i < LANES; i++) {
        uint32_t with_workers = 0;

        ways->count[i] = lanes->of[i] ? subscription_on_the_way(lanes->of[i], &with_workers) : 0;
        ways->most[i] = concurrency_of(lanes->of[i]);
        ways->with_workers += with_workers < ways->most[i] ? with_workers : ways->most[i];
    }
    ways->most_with_workers = together(lanes);
    if (!has_nothing(lanes, ways, LANE_FAST) && !has_nothing(lanes, ways, LANE_SLOW))
        return;
    ways->most[LANE_FAST] *= 2;
    ways->most[LANE_SLOW] *= 2;
    ways->most_with_workers *= 2;
}

static bool can_go(const struct lanes *lanes, const struct ways *ways, enum lane lane)
{
    return lanes->of[lane] && ways->count[lane] < ways->most[lane] &&
           ways->with_workers < ways->most_with_workers && subscription_turn_ready(lanes->of[lane]);
}

void lanes_go(struct lanes *lanes)
{
    struct batch go[LANES] = {{NULL, NULL, 0}, {NULL, NULL, 0}};
    bool can[LANES];
    struct ways ways;

    for (int i = 0; i < LANES; i++)
        can[i] = lanes->of[i] && subscription_turn_ready(lanes->of[i]);
    if (!can[LANE_FAST] && !can[LANE_SLOW])
        return;
    count_ways(lanes, &ways);
    for (;;) {
        enum lane next;

        can[LANE_FAST] = can_go(lanes, &ways, LANE_FAST);
        can[LANE_SLOW] = can_go(lanes, &ways, LANE_SLOW);
        if (!can[LANE_FAST] && !can[LANE_SLOW])
            break;
        next = lane_share_next(&lanes->share, can);
        batch_add(&go[next], subscription_turn_next(lanes->of[next]));
        ways.count[next]++;
        ways.with_workers++;
    }
    for (int i = 0; i < LANES; i++)
        if (lanes->of[i])
            subscription_turned(lanes->of[i], &go[i]);
}

/* ---- what is told of it ---- */

void subscription_lane_put(struct subscription *s)
{
    const struct subscription_lane *l = s->lane;

    if (!l)
        return;
    metric_put(l->metrics.waiting, atomic_load(&l->waiting_count));
    metric_put(l->metrics.moved[FOR_AGE], (double)counter_get(&l->moved[FOR_AGE]));
    metric_put(l->metrics.moved[FOR_FAILURE], (double)counter_get(&l->moved[FOR_FAILURE]));
    metric_put(l->metrics.failed, (double)counter_get(&l->failed));
}
