/* subscription_change.c - other options for a subscription that runs. What can fail is done ahead;
 * then all of it happens between two turns of the loop.
 */
#include <stdlib.h>

#include "base/error.h"
#include "consume/runtime/runtime_private.h"

/* More workers would run the chain of before beside those that it was opened for. So what none has
 * begun is kept from them until it is in the new edition. */
static enum warren_status grow(struct subscription_change *change, struct warren_error *error)
{
    struct subscription *s = change->subscription;

    change->before = s->concurrency;
    change->size = subscription_pool_size(change->what, change->before);
    if (change->size <= change->before)
        return WARREN_OK;
    runner_take_queued(s->runner, &change->queued);
    change->grown = true;
    return runner_resize(s->runner, change->size, error);
}

enum warren_status subscription_change_prepare(struct subscription_change *change,
                                               struct warren_error *error)
{
    const struct runtime_subscription *what = change->what;
    struct subscription *s = change->subscription;
    uint32_t delayed_max;
    uint32_t held_max;
    bool ahead = change->edition && stages_watched(&change->edition->stages);
    enum warren_status status;

    subscription_places(what, &delayed_max, &held_max);
    status = admission_reserve_room(&s->admission, held_max);
    if (status == WARREN_OK)
        status = delay_reserve(&s->owed, held_max);
    if (status == WARREN_OK)
        status =
            crew_grow(&s->crew, subscription_workers(what), subscription_batch_size(what), ahead);
    if (status == WARREN_EFULL)
        return error_set(error, status, "queue %s: " SUBSCRIPTION_NO_SLOTS, s->source.queue);
    if (status != WARREN_OK)
        return error_set(error, status, "queue %s: %s", s->source.queue,
                         warren_status_name(status));
    return grow(change, error);
}

void subscription_change_undo(struct subscription_change *change)
{
    struct subscription *s = change->subscription;

    if (change->grown)
        runner_resize(s->runner, change->before, NULL);
    runner_push(s->runner, &change->queued);
    if (change->edition)
        runtime_edition_free(&change->edition->edition);
    change->edition = NULL;
}

/* A returned publish stays in the edition whose judges it is for. */
static void split_returned(struct batch *queued, struct batch *returned)
{
    struct batch all = *queued;
    struct attempt *attempt;

    *queued = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all)))
        batch_add(attempt->publish_returned ? returned : queued, attempt);
}

/* What no worker has begun begins anew. */
static void change_edition(struct subscription_change *change)
{
    struct subscription *s = change->subscription;
    struct subscription_edition *e = change->edition;
    struct subscription_edition *before = s->edition;

    runner_take_queued(s->runner, &change->queued);
    subscription_take_uses(s, &change->queued);
    subscription_take_gathered(s, &change->queued);
    s->edition = e;
    list_push(&s->editions, &e->link);
    if (before->users == 0)
        runtime_retire_soon(s->runtime, 0);
}

static void push_again(struct subscription_change *change)
{
    struct subscription *s = change->subscription;
    struct batch returned = {NULL, NULL, 0};

    if (change->queued.count == 0)
        return;
    if (!change->edition) {
        runner_push(s->runner, &change->queued);
        return;
    }
    split_returned(&change->queued, &returned);
    subscription_begin_again(s, &change->queued);
    subscription_go_on(s, &change->queued);
    runner_push(s->runner, &returned);
    runtime_keep_looking(s->runtime);
}

static void change_admission(struct subscription_change *change)
{
    struct subscription *s = change->subscription;
    struct admission *a = &s->admission;
    struct subscription_edition *e = change->edition;
    struct chain_member *gates = a->gates;
    size_t gate_count = a->gate_count;
    uint32_t delayed_max;
    uint32_t held_max;

    subscription_places(change->what, &delayed_max, &held_max);
    if (e) {
        gates = e->gates;
        gate_count = e->gate_count;
        e->gates = NULL;
    }
    gates = admission_change(a, gates, gate_count, delayed_max);
    if (e)
        free(gates);
}

void subscription_change_commit(struct subscription_change *change)
{
    const struct runtime_subscription *what = change->what;
    struct subscription *s = change->subscription;
    struct consumer_options options;

    change_admission(change);
    if (change->edition)
        change_edition(change);
    s->prefetch = what->prefetch;
    s->prefetch_bytes = what->prefetch_bytes;
    s->ack_many = subscription_ack_many(what);
    if (change->size < s->concurrency)
        runner_resize(s->runner, change->size, NULL);
    s->concurrency = change->size;
    subscription_pool_set(s, what);
    push_again(change);
    options = subscription_consumer_options(s, what);
    consumer_change(s->consumer, &options, change->other_arguments);
    subscription_admit(s);
}
