/* subscription_pool.c - see subscription_pool.h. */
#include "base/log_event.h"
#include "consume/runtime/runtime_private.h"

static const char *const holds[POOL_HOLDS] = {"cpu", "memory", "threads"};

/* The least time between two reports of threads that could not be started. */
#define TELL_MS 60000

static uint32_t least_of(const struct runtime_subscription *what)
{
    return what->concurrency_least > 0 ? what->concurrency_least : what->concurrency;
}

uint32_t subscription_pool_size(const struct runtime_subscription *what, uint32_t now)
{
    if (now < least_of(what))
        return least_of(what);
    return now < what->concurrency ? now : what->concurrency;
}

static bool is_range(const struct subscription *s)
{
    return s->pool.sizing.range.min < s->pool.sizing.range.max;
}

/* ---- what is told of it ---- */

static void begin_metrics(struct subscription *s)
{
    struct subscription_pool_metrics *m = &s->pool.metrics;
    const char *queue = s->source.queue;
    const char *handler = s->source.handler;

    if (m->max)
        return;
    pthread_mutex_lock(&s->runtime->list_lock); /* others read */
    m->min = metric_series(METRIC_POOL_MIN, queue, handler);
    m->max = metric_series(METRIC_POOL_MAX, queue, handler);
    m->wait = metric_series(METRIC_POOL_WAIT, queue, handler);
    m->grown = metric_series(METRIC_POOL_GROWN, queue, handler);
    m->shrunk = metric_series(METRIC_POOL_SHRUNK, queue, handler);
    for (int i = 0; i < POOL_HOLDS; i++)
        m->held_back[i] = metric_series(METRIC_POOL_HELD_BACK, queue, handler, holds[i]);
    pthread_mutex_unlock(&s->runtime->list_lock);
}

void subscription_pool_put(struct subscription *s)
{
    const struct subscription_pool *p = &s->pool;
    const struct subscription_pool_metrics *m = &p->metrics;

    if (!m->max)
        return;
    metric_put(m->min, atomic_load(&p->min));
    metric_put(m->max, atomic_load(&p->max));
    metric_put(m->wait, (double)atomic_load(&p->wait_ms) / 1000);
    metric_put(m->grown, (double)counter_get(&p->grown));
    metric_put(m->shrunk, (double)counter_get(&p->shrunk));
    for (int i = 0; i < POOL_HOLDS; i++)
        metric_put(m->held_back[i], (double)counter_get(&p->held_back[i]));
}

static void tell_refused(struct subscription *s, const struct warren_error *error)
{
    struct subscription_pool *p = &s->pool;
    int64_t now_ms = subscription_now_ms(s);

    counter_add(&p->held_back[POOL_HOLD_THREADS], 1);
    if (p->told_ms > 0 && now_ms - p->told_ms < TELL_MS)
        return;
    p->told_ms = now_ms;
    log_event(WARREN_LOG_WARN, "no more threads for a subscription",
              LOG_TEXT("queue", s->source.queue), LOG_TEXT("handler", s->source.handler),
              LOG_INT("threads", s->concurrency), LOG_TEXT("error", error->text));
}

/* ---- one of them ---- */

/* What no worker is there for waits for one; or would, if it had one, for semaphores. And so does
 * what waits for its turn, if that has come for somebody; and what is not yet a whole batch, and
 * has waited for the rest. */
static uint32_t perhaps_waiting(struct subscription *s)
{
    const struct subscription_uses *u = &s->uses;
    uint32_t waiting = !u->stands && atomic_load(&u->out) >= s->concurrency ? u->waiting.count : 0;

    if (subscription_turn_waiting(s) > 0 && subscription_turn_ready(s))
        waiting += subscription_turn_waiting(s);
    if (atomic_load(&s->gather.waits))
        waiting += s->gather.gather.open.count;
    return waiting;
}

static struct sizing_seen see(struct subscription *s)
{
    uint64_t reached = counter_get(&s->prefetch_reached);
    struct runner_seen seen;
    struct sizing_seen ret;

    runner_observe(s->runner, &seen);
    ret = (struct sizing_seen){.now_ms = subscription_now_ms(s),
                               .size = seen.size,
                               .running = seen.running,
                               .peak = seen.peak,
                               .queued = seen.queued,
                               .perhaps = perhaps_waiting(s),
                               .begun = seen.begun,
                               .rested_ms = seen.rested_ns / 1000000,
                               .window_full =
                                   reached != s->pool.reached || s->in_flight >= s->prefetch};
    s->pool.reached = reached;
    return ret;
}

static void resize(struct subscription *s, uint32_t size)
{
    struct warren_error error = {WARREN_OK, ""};

    if (runner_resize(s->runner, size, &error) != WARREN_OK) {
        tell_refused(s, &error);
        return;
    }
    counter_add(size > s->concurrency ? &s->pool.grown : &s->pool.shrunk, 1);
    s->concurrency = size;
    if (s->uses.waiting.count > 0)
        subscription_weigh(s);
    subscription_turns(s);
    if (atomic_load(&s->gather.waits))
        subscription_gather_due(s);
}

/* What has weights of semaphores is not to wait for a thread. */
static uint32_t but_for_weights(const struct subscription *s, uint32_t size, uint32_t wanted)
{
    uint32_t out = atomic_load(&s->uses.out);

    if (wanted >= size || wanted >= out)
        return wanted;
    return out < size ? out : size;
}

/* What of @wanted threads the process has room for. */
static uint32_t allowed(struct subscription *s, uint32_t size, uint32_t wanted, enum headroom room)
{
    uint32_t may = wanted;

    if (room == HEADROOM_LITTLE_MEMORY)
        may = sizing_squeezed(&s->pool.sizing, size);
    else if (room != HEADROOM_FREE)
        may = size;
    /* What a range asks for at least is there in any case. */
    if (may >= wanted || size < s->pool.sizing.range.min)
        return wanted;
    counter_add(&s->pool.held_back[room == HEADROOM_NO_CPU ? POOL_HOLD_CPU : POOL_HOLD_MEMORY], 1);
    return may;
}

/* @return whether there is something to look for again */
static bool look_at(struct subscription *s, enum headroom room)
{
    struct sizing_seen seen = see(s);
    uint32_t size = sizing_look(&s->pool.sizing, &seen);

    atomic_store(&s->pool.wait_ms, s->pool.sizing.wait_ms);
    size = but_for_weights(s, seen.size, allowed(s, seen.size, size, room));
    if (size != seen.size)
        resize(s, size);
    return seen.running > 0 || seen.queued > 0 || seen.perhaps > 0 ||
           s->concurrency > s->pool.sizing.range.min;
}

void subscription_pool_set(struct subscription *s, const struct runtime_subscription *what)
{
    struct subscription_pool *p = &s->pool;
    const struct sizing_range range = {
        .min = least_of(what), .max = what->concurrency, .target_wait_ms = what->target_wait_ms};

    sizing_set(&p->sizing, &range);
    atomic_store(&p->min, range.min);
    atomic_store(&p->max, range.max);
    if (is_range(s))
        begin_metrics(s);
}

static void begin(struct subscription *s)
{
    struct sizing_seen seen = see(s);

    sizing_begin(&s->pool.sizing, &seen);
}

void subscription_pool_done(struct subscription *s)
{
    metric_release_all(&s->pool.metrics, sizeof s->pool.metrics);
    s->pool.metrics = (struct subscription_pool_metrics){.min = NULL};
}

/* ---- all ---- */

void runtime_count_pools(struct runtime *r)
{
    r->pools.count = 0;
    for (size_t i = 0; i < r->subscription_count; i++)
        r->pools.count += is_range(r->subscriptions[i]);
}

static bool may_look(const struct runtime *r, const struct subscription *s)
{
    return r->drain.phase == DRAIN_NOT && !s->draining && is_range(s);
}

static void look_at_all(void *arg)
{
    struct runtime *r = arg;
    enum headroom room = headroom_look(&r->pools.headroom, loop_now_ms(r->loop) * 1000);
    bool again = false;

    for (size_t i = 0; i < r->subscription_count; i++)
        if (may_look(r, r->subscriptions[i]))
            again = look_at(r->subscriptions[i], room) || again;
    r->pools.looking = again;
    if (again)
        loop_timer_arm_ms(&r->pools.timer, SIZING_PERIOD_MS);
}

void runtime_begin_pools(struct runtime *r)
{
    for (size_t i = 0; i < r->subscription_count; i++)
        if (may_look(r, r->subscriptions[i])) {
            begin(r->subscriptions[i]);
            r->pools.looking = true;
        }
    if (!r->pools.looking)
        return;
    headroom_look(&r->pools.headroom, loop_now_ms(r->loop) * 1000);
    loop_timer_arm_ms(&r->pools.timer, SIZING_PERIOD_MS);
}

enum warren_status runtime_pools_init(struct runtime *r)
{
    return loop_timer_init(&r->pools.timer, r->loop, look_at_all, r);
}

void runtime_pools_done(struct runtime *r)
{
    loop_timer_done(&r->pools.timer);
}
