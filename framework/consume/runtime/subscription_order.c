/* subscription_order.c - see subscription_order.h. */
#include "consume/runtime/subscription_order.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log_event.h"
#include "consume/order/order_key.h"
#include "consume/runtime/runtime_private.h"

/* ---- life ---- */

static void init_metrics(struct subscription_order *o, const struct runtime_subscription *what)
{
    struct subscription_order_metrics *m = &o->metrics;

    m->waiting = metric_series(METRIC_ORDER_WAITING, what->queue, what->handler_name);
    m->waiting_max = metric_series(METRIC_ORDER_MAX_WAITING, what->queue, what->handler_name);
    m->full = metric_series(METRIC_ORDER_FULL, what->queue, what->handler_name);
    m->keys = metric_series(METRIC_ORDER_KEYS, what->queue, what->handler_name);
    m->missing = metric_series(METRIC_ORDER_MISSING, what->queue, what->handler_name);
}

bool subscription_order_watched(const struct runtime_subscription *what)
{
    return what->order && what->order->key.source == ORDER_BY_HANDLER;
}

static void name_lack(struct subscription_order *o)
{
    char lacks[320]; /* the name of a header has 255 bytes at most */

    order_key_lacks(&o->config->key, lacks, sizeof lacks);
    snprintf(o->lack, sizeof o->lack, "it has %s to be ordered by, and missing is reject", lacks);
}

enum warren_status subscription_order_new(struct subscription *s,
                                          const struct runtime_subscription *what)
{
    struct subscription_order *o = calloc(1, sizeof *o);

    s->order = o;
    if (!o)
        return WARREN_ENOMEM;
    o->config = what->order;
    init_metrics(o, what);
    name_lack(o);
    if (subscription_order_watched(what) && !(o->job = job_new(&s->source)))
        return WARREN_ENOMEM;
    return order_lines_init(&o->lines, what->prefetch);
}

void subscription_order_free(struct subscription *s)
{
    struct subscription_order *o = s->order;

    if (!o)
        return;
    job_free(o->job);
    order_lines_done(&o->lines);
    metric_release_all(&o->metrics, sizeof o->metrics);
    free(o);
    s->order = NULL;
}

/* ---- whose turn it is ---- */

/* The name of what the handler of the day says. @return false: it has no key, or is not asked */
static bool ask_handler(struct subscription *s, struct attempt *attempt, struct order_name *name)
{
    struct subscription_order *o = s->order;
    struct warren_job *job = o->job;
    struct warren_bytes key;

    if (!guard_shows(&s->crew.guard, attempt)) /* a worker rejects it */
        return false;
    attempt->edition = &s->edition->edition;
    job->attempt = attempt;
    job->decoded = false;
    job->history_known = false;
    key = warren_job_key(job);
    guard_shown(&s->crew.guard);
    if (key.len > 0)
        *name = order_lines_name(&o->lines, KEY_TEXT, key);
    job->attempt = NULL;
    attempt->edition = NULL;
    arena_reset(&job->arena);
    return key.len > 0;
}

static bool find_name(struct subscription *s, struct attempt *attempt, struct order_name *name)
{
    struct subscription_order *o = s->order;
    struct order_key key;

    if (o->job)
        return ask_handler(s, attempt, name);
    order_key_find(&key, &o->config->key, &attempt->delivery);
    if (key.kind)
        *name = order_lines_name(&o->lines, key.kind, key.bytes);
    return key.kind;
}

/* Once a subscription: every message of a queue may be without. */
static void tell_missing(struct subscription *s)
{
    struct subscription_order *o = s->order;

    counter_add(&o->missing, 1);
    if (o->told_missing)
        return;
    o->told_missing = true;
    log_event(WARREN_LOG_WARN, "message without a key to be ordered by",
              LOG_TEXT("queue", s->source.queue), LOG_TEXT("handler", s->source.handler),
              LOG_TEXT("by", o->config->by), LOG_TEXT("missing", o->config->missing));
}

/* @return false: it waits in the line of all that have no key */
static bool without_key(struct subscription *s, struct attempt *attempt)
{
    struct subscription_order *o = s->order;

    tell_missing(s);
    if (o->config->without == ORDER_MISSING_ONE)
        return order_lines_enter(&o->lines, NULL, attempt);
    if (o->config->without == ORDER_MISSING_REJECT)
        attempt->refused = o->lack;
    return true;
}

/* @return false: it waits */
static bool may_go(struct subscription *s, struct attempt *attempt)
{
    struct order_name name;

    if (attempt->line)
        return true;
    return find_name(s, attempt, &name) ? order_lines_enter(&s->order->lines, &name, attempt)
                                        : without_key(s, attempt);
}

static void note(struct subscription *s, uint32_t before)
{
    struct subscription_order *o = s->order;
    uint32_t held = (uint32_t)o->config->held;

    if (before <= held && o->lines.waiting > held)
        counter_add(&o->full, 1);
    atomic_store_explicit(&o->waiting, o->lines.waiting, memory_order_relaxed);
    atomic_store_explicit(&o->keys, o->lines.count, memory_order_relaxed);
    subscription_note_held(s);
}

void subscription_line_up(struct subscription *s, struct batch *batch)
{
    struct batch all = *batch;
    uint32_t before = s->order->lines.waiting;
    struct attempt *attempt;

    *batch = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all)))
        if (may_go(s, attempt))
            batch_add(batch, attempt);
    note(s, before);
}

/* ---- and whose is next ---- */

void subscription_leave_line(struct subscription *s, struct attempt *attempt)
{
    struct attempt *next;

    if (!attempt->line)
        return;
    next = order_lines_leave(&s->order->lines, attempt);
    if (next)
        batch_add(&s->order->released, next);
    else
        atomic_store_explicit(&s->order->keys, s->order->lines.count, memory_order_relaxed);
}

void subscription_pass_over(struct subscription *s, struct attempt *attempt)
{
    if (attempt->line && s->order->config->skips)
        subscription_leave_line(s, attempt);
}

/* Those of a channel that is gone leave, and whoever is behind them is released, too. */
static void drop_stale(struct subscription *s, struct batch *released)
{
    struct batch all = *released;
    struct batch stale = {NULL, NULL, 0};
    struct attempt *attempt;

    *released = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all)))
        batch_add(attempt->delivery.generation == consumer_generation(s->consumer) ? released
                                                                                   : &stale,
                  attempt);
    subscription_settle_as(s, &stale, WARREN_REQUEUE);
}

void subscription_let_go(struct subscription *s)
{
    struct subscription_order *o = s->order;
    bool some = o && o->released.count > 0;

    while (o && o->released.count > 0) {
        struct batch go = {NULL, NULL, 0};

        batch_splice(&go, &o->released);
        drop_stale(s, &go);
        if (go.count > 0)
            subscription_admit_these(s, &go);
    }
    if (!some)
        return;
    note(s, UINT32_MAX);
    runtime_keep_looking(s->runtime);
}

void subscription_take_lines(struct subscription *s, struct batch *batch)
{
    struct subscription_order *o = s->order;

    if (!o)
        return;
    batch_splice(batch, &o->released);
    order_lines_take_waiting(&o->lines, batch);
    note(s, UINT32_MAX);
}

uint32_t subscription_lined(const struct subscription *s)
{
    return s->order ? s->order->lines.waiting + s->order->released.count : 0;
}

/* ---- what is told of it ---- */

void subscription_order_put(struct subscription *s)
{
    const struct subscription_order *o = s->order;
    const struct subscription_order_metrics *m;

    if (!o)
        return;
    m = &o->metrics;
    metric_put(m->waiting, atomic_load(&o->waiting));
    metric_put(m->waiting_max, (double)o->config->held);
    metric_put(m->full, (double)counter_get(&o->full));
    metric_put(m->keys, atomic_load(&o->keys));
    metric_put(m->missing, (double)counter_get(&o->missing));
}
