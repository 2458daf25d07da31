/* subscription_batch.c - messages that are gathered, with `batch:`, behind all that looks at them
 * ahead of the workers.
 *
 *   stages > gather > semaphores, as one > runner > one worker
 *
 * When a batch is closed: consume/attempt/gather.h.
 * Thread: the loop's, unless it says otherwise.
 */
#include "consume/runtime/runtime_private.h"

static const struct gather_plan *plan_of(const struct subscription *s)
{
    return &s->edition->edition.batch;
}

static void watch(struct subscription *s, int64_t due_ms)
{
    struct subscription_gather *g = &s->gather;

    if (due_ms == g->due_ms)
        return;
    g->due_ms = due_ms;
    if (due_ms == INT64_MAX)
        loop_timer_disarm(&g->due);
    else
        loop_timer_arm_ms(&g->due, due_ms - subscription_now_ms(s));
}

/* If the first one has waited, and a worker is free. First the flag, then the look: a worker that
 * is done in between wakes the loop. */
static void close_if_due(struct subscription *s, struct batch *go)
{
    struct subscription_gather *g = &s->gather;
    int64_t due_ms = gather_due_ms(&g->gather, plan_of(s));
    bool waits = due_ms <= subscription_now_ms(s);

    atomic_store(&g->waits, waits);
    watch(s, waits ? INT64_MAX : due_ms);
    if (!waits || atomic_load(&g->out) >= atomic_load(&s->concurrency))
        return;
    gather_close(&g->gather, GATHER_WAIT, go);
    atomic_store(&g->waits, false);
}

/* What was closed is out from now on: before anybody asks how many workers are free. */
static void note_closed(struct subscription *s)
{
    struct subscription_gather *g = &s->gather;

    for (int i = 0; i < GATHER_CLOSED; i++) {
        atomic_fetch_add(&g->out, g->gather.closed[i]);
        counter_add(&g->closed[i], g->gather.closed[i]);
        g->gather.closed[i] = 0;
    }
}

static void go_on(struct subscription *s, struct batch *go)
{
    note_closed(s);
    subscription_note_held(s);
    counter_add(&s->gather.messages, go->count);
    if (go->count == 0)
        return;
    subscription_to_runner(s, go);
    runtime_keep_looking(s->runtime);
}

void subscription_to_workers(struct subscription *s, struct batch *batch)
{
    struct batch refused = {NULL, NULL, 0};
    struct batch go = {NULL, NULL, 0};
    int64_t now_ms = subscription_now_ms(s);
    struct attempt *attempt;

    if (plan_of(s)->size == 0) {
        subscription_to_runner(s, batch);
        return;
    }
    while ((attempt = batch_pop(batch))) {
        if (attempt->refused) /* it is not handled */
            batch_add(&refused, attempt);
        else
            gather_add(&s->gather.gather, plan_of(s), attempt, now_ms, &go);
    }
    note_closed(s);
    close_if_due(s, &go);
    subscription_to_runner(s, &refused);
    go_on(s, &go);
}

void subscription_gather_look(struct subscription *s)
{
    struct batch go = {NULL, NULL, 0};

    close_if_due(s, &go);
    go_on(s, &go);
}

void subscription_gather_due(void *arg)
{
    struct subscription *s = arg;

    s->gather.due_ms = INT64_MAX; /* it has fired */
    subscription_drop_stale(s);
    if (!s->draining)
        subscription_gather_look(s);
}

void subscription_batch_done(struct subscription *s)
{
    atomic_fetch_sub(&s->gather.out, 1);
    if (atomic_load(&s->gather.waits))
        runtime_wake(s->runtime);
}

void subscription_unbatch(struct subscription *s, struct attempt *attempt)
{
    if (attempt->together == 0)
        return;
    attempt->together = 0;
    atomic_fetch_sub(&s->gather.out, 1);
}

void subscription_take_gathered(struct subscription *s, struct batch *batch)
{
    gather_take(&s->gather.gather, batch);
    atomic_store(&s->gather.waits, false);
    watch(s, INT64_MAX);
    subscription_note_held(s);
}
