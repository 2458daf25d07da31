/* subscription_fair.c - see subscription_fair.h. Who goes on, and when: subscription_turn.c. Who
 * goes away: subscription_away.c. */
#include "consume/runtime/subscription_fair.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log_event.h"
#include "consume/runtime/runtime_private.h"

/* ---- life ---- */

static void init_metrics(struct subscription_fair *f, const struct runtime_subscription *what)
{
    struct subscription_fair_metrics *m = &f->metrics;

    m->waiting = metric_series(METRIC_FAIR_WAITING, what->queue, what->handler_name);
    m->waiting_max = metric_series(METRIC_FAIR_MAX_WAITING, what->queue, what->handler_name);
    m->keys = metric_series(METRIC_FAIR_KEYS, what->queue, what->handler_name);
    m->keys_max = metric_series(METRIC_FAIR_MAX_KEYS, what->queue, what->handler_name);
    m->shared = metric_series(METRIC_FAIR_SHARED, what->queue, what->handler_name);
    m->away = metric_series(METRIC_FAIR_AWAY, what->queue, what->handler_name);
    m->away_failed = metric_series(METRIC_FAIR_AWAY_FAILED, what->queue, what->handler_name);
    m->missing = metric_series(METRIC_FAIR_MISSING, what->queue, what->handler_name);
}

static void name_lack(struct subscription_fair *f)
{
    char lacks[320]; /* the name of a header has 255 bytes at most */

    order_key_lacks(&f->config->key, lacks, sizeof lacks);
    snprintf(f->lack, sizeof f->lack, "it has %s to be fair by, and missing is reject", lacks);
}

static struct fair_plan plan_of(const struct config_fair *config)
{
    int64_t burst = config->burst > 0 ? config->burst : config->rate;

    return (struct fair_plan){
        .concurrency = (uint32_t)config->concurrency,
        .rate = {.rate = config->rate, .per_ms = config->per, .burst = burst},
        .keys = (uint32_t)config->keys,
    };
}

enum warren_status subscription_fair_new(struct subscription *s,
                                         const struct runtime_subscription *what)
{
    struct subscription_fair *f = calloc(1, sizeof *f);
    struct fair_plan plan = plan_of(what->fair);

    s->fair = f;
    if (!f)
        return WARREN_ENOMEM;
    f->config = what->fair;
    f->look_ms = INT64_MAX;
    init_metrics(f, what);
    name_lack(f);
    return fair_lines_init(&f->lines, &plan);
}

void subscription_fair_free(struct subscription *s)
{
    struct subscription_fair *f = s->fair;

    if (!f)
        return;
    fair_lines_done(&f->lines);
    metric_release_all(&f->metrics, sizeof f->metrics);
    free(f);
    s->fair = NULL;
}

void subscription_fair_note(struct subscription *s)
{
    struct subscription_fair *f = s->fair;

    if (!f)
        return;
    atomic_store_explicit(&f->waiting, f->lines.waiting, memory_order_relaxed);
    atomic_store_explicit(&f->keys, f->lines.count, memory_order_relaxed);
    atomic_store_explicit(&f->shared, f->lines.shared, memory_order_relaxed);
}

/* ---- into the lines ---- */

/* Once a subscription: every message of a queue may be without. */
static void tell_missing(struct subscription *s)
{
    struct subscription_fair *f = s->fair;

    counter_add(&f->missing, 1);
    if (f->told_missing)
        return;
    f->told_missing = true;
    log_event(WARREN_LOG_WARN, "message without a key to be fair by",
              LOG_TEXT("queue", s->source.queue), LOG_TEXT("handler", s->source.handler),
              LOG_TEXT("by", f->config->by), LOG_TEXT("missing", f->config->missing));
}

/* @return false: it goes on at once */
static bool enter(struct subscription *s, struct attempt *attempt, bool again, int64_t now_ms)
{
    struct subscription_fair *f = s->fair;
    struct order_key key;
    struct order_name name;

    if (attempt->refused) /* by its order */
        return false;
    order_key_find(&key, &f->config->key, &attempt->delivery);
    if (key.kind) {
        name = order_name_of(f->lines.secret, key.kind, key.bytes);
        fair_lines_enter(&f->lines, &name, attempt, again, now_ms);
        return true;
    }
    tell_missing(s);
    if (f->config->without == FAIR_MISSING_REJECT)
        attempt->refused = f->lack;
    if (f->config->without != FAIR_MISSING_ONE)
        return false;
    fair_lines_enter(&f->lines, NULL, attempt, again, now_ms);
    return true;
}

void subscription_fair_enter(struct subscription *s, struct batch *batch, bool again)
{
    struct batch all = *batch;
    struct attempt *attempt;
    int64_t now_ms;

    if (!s->fair || batch->count == 0)
        return;
    now_ms = subscription_now_ms(s);
    *batch = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all)))
        if (!enter(s, attempt, again, now_ms))
            batch_add(batch, attempt);
    subscription_turn_note(s);
}

/* ---- and out of them ---- */

void subscription_fair_leave(struct subscription *s, struct attempt *attempt)
{
    if (!attempt->fair)
        return;
    fair_lines_leave(&s->fair->lines, attempt, subscription_now_ms(s));
    atomic_store_explicit(&s->fair->keys, s->fair->lines.count, memory_order_relaxed);
}

void subscription_fair_take(struct subscription *s, struct batch *batch)
{
    if (!s->fair || s->fair->lines.waiting == 0)
        return;
    fair_lines_take_waiting(&s->fair->lines, batch, subscription_now_ms(s));
    subscription_turn_note(s);
}

int64_t subscription_fair_next_ms(const struct subscription *s)
{
    const struct subscription_fair *f = s->fair;
    int64_t due_ms;

    if (!f || f->lines.waiting == 0)
        return INT64_MAX;
    due_ms = fair_lines_due_ms(&f->lines);
    return due_ms < f->look_ms ? due_ms : f->look_ms;
}

uint32_t subscription_fair_waiting(const struct subscription *s)
{
    return s->fair ? s->fair->lines.waiting : 0;
}

/* ---- what is told of it ---- */

void subscription_fair_put(struct subscription *s)
{
    const struct subscription_fair *f = s->fair;
    const struct subscription_fair_metrics *m;

    if (!f)
        return;
    m = &f->metrics;
    metric_put(m->waiting, atomic_load(&f->waiting));
    metric_put(m->waiting_max, (double)f->config->held);
    metric_put(m->keys, atomic_load(&f->keys));
    metric_put(m->keys_max, (double)f->config->keys);
    metric_put(m->shared, (double)atomic_load(&f->shared));
    metric_put(m->away, (double)counter_get(&f->away));
    metric_put(m->away_failed, (double)counter_get(&f->away_failed));
    metric_put(m->missing, (double)counter_get(&f->missing));
}
