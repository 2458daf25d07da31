/* runtime_change.c - other subscriptions, options and topology for a runtime that runs: what can
 * fail is done first, then all of it happens in one turn of the loop. The main thread waits
 * meanwhile, so what is otherwise its own (slots of the flight recorder) may be touched.
 */
#include <stdlib.h>

#include "base/error.h"
#include "consume/runtime/runtime_private.h"

/* The loop may have crashed, and the process be about to end. */
#define PATIENCE_MS 10000

enum call_state { CALL_WAITS, CALL_TAKEN, CALL_DONE, CALL_GIVEN_UP };

/* From the main thread to the loop; the last of both frees it. */
struct call {
    struct runtime *runtime;
    struct runtime_changes *changes;
    struct subscription_change *prepared; /* one a change; those of RUNTIME_CHANGE are in use */
    struct topology *topology;            /* NULL: that of before */
    struct loop_task task;
    struct warren_error error;
    enum warren_status status;
    pthread_mutex_t lock;
    struct condition changed;
    enum call_state state;
};

/* ---- ahead ---- */

/* Under the lock, for others read the lists. */
static enum warren_status reserve_subscriptions(struct runtime *r, size_t room)
{
    struct subscription **subscriptions = r->subscriptions;
    struct subscription **ended =
        realloc(r->ended, (r->ended_count + room + 1) * sizeof(struct subscription *));

    if (!ended)
        return WARREN_ENOMEM;
    r->ended = ended;
    if (room > r->subscription_room)
        subscriptions = realloc(r->subscriptions, (room + 1) * sizeof(struct subscription *));
    if (!subscriptions)
        return WARREN_ENOMEM;
    r->subscriptions = subscriptions;
    r->subscription_room = room > r->subscription_room ? room : r->subscription_room;
    return WARREN_OK;
}

static enum warren_status reserve_lists(struct runtime *r, const struct runtime_changes *changes)
{
    size_t room = r->subscription_count + changes->count;
    enum warren_status status;

    pthread_mutex_lock(&r->list_lock);
    status = reserve_subscriptions(r, room);
    pthread_mutex_unlock(&r->list_lock);
    if (status != WARREN_OK)
        return status;
    return look_reserve(r, room + 1) == WARREN_OK ? depth_look_reserve(&r->depths, room)
                                                  : WARREN_ENOMEM;
}

static enum warren_status prepare_change(const struct runtime_change *change,
                                         struct subscription_change *prepared,
                                         struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    *prepared = (struct subscription_change){.subscription = change->subscription,
                                             .what = change->what,
                                             .other_arguments = change->other_arguments};
    if (change->other_edition)
        status = subscription_edition_new(change->subscription, change->what,
                                          &subscription_stages_calls, &prepared->edition);
    if (status != WARREN_OK)
        return error_set(error, status, "no memory for the chain of %s", change->what->queue);
    return subscription_change_prepare(prepared, error);
}

static enum warren_status prepare_one(struct call *call, size_t index)
{
    struct runtime_change *change = &call->changes->items[index];

    if (change->kind == RUNTIME_ADD)
        return subscription_new(change->what, call->runtime, &change->subscription, &call->error);
    if (change->kind == RUNTIME_CHANGE)
        return prepare_change(change, &call->prepared[index], &call->error);
    return WARREN_OK;
}

static void undo_one(struct call *call, size_t index)
{
    struct runtime_change *change = &call->changes->items[index];

    if (change->kind == RUNTIME_CHANGE && call->prepared[index].subscription)
        subscription_change_undo(&call->prepared[index]);
    if (change->kind != RUNTIME_ADD || !change->subscription)
        return;
    change->subscription->ended = true;
    subscription_end(change->subscription);
    subscription_free(change->subscription);
    change->subscription = NULL;
}

static enum warren_status prepare_topology(struct call *call)
{
    struct runtime *r = call->runtime;
    enum warren_status status;

    if (!call->changes->topology)
        return WARREN_OK;
    status = topology_new(r->connection, call->changes->topology, &runtime_topology_events, r,
                          &call->topology);
    return status == WARREN_OK
               ? status
               : error_set(&call->error, status, "topology: %s", warren_status_name(status));
}

/* What uses them may be made then. Those that are new have no size yet. */
static enum warren_status prepare_semaphores(struct call *call)
{
    enum warren_status status = semaphores_reserve(
        &call->runtime->semaphores, call->changes->semaphores, call->changes->semaphore_count);

    if (status == WARREN_EFULL)
        return error_set(&call->error, status,
                         "there were %d names of semaphores since the start: restart the worker "
                         "for more",
                         SEMAPHORES_MAX);
    return status == WARREN_OK ? status
                               : error_set(&call->error, status, "no memory for the semaphores");
}

/* All, or nothing. */
static enum warren_status prepare(struct call *call)
{
    struct runtime *r = call->runtime;
    size_t count = 0;
    enum warren_status status = WARREN_OK;

    if (r->drain.phase != DRAIN_NOT)
        return error_set(&call->error, WARREN_ECLOSED, "the worker drains, and ends");
    if (reserve_lists(r, call->changes) != WARREN_OK)
        return error_set(&call->error, WARREN_ENOMEM, "no memory for the subscriptions");
    status = prepare_semaphores(call);
    if (status == WARREN_OK)
        status = prepare_topology(call);
    while (status == WARREN_OK && count < call->changes->count)
        status = prepare_one(call, count++);
    if (status == WARREN_OK)
        return status;
    while (count > 0)
        undo_one(call, --count);
    topology_free(call->topology);
    return status;
}

/* ---- at once ---- */

static void add_subscription(struct runtime *r, struct subscription *s)
{
    pthread_mutex_lock(&r->list_lock);
    r->subscriptions[r->subscription_count++] = s;
    pthread_mutex_unlock(&r->list_lock);
}

static void commit_one(struct call *call, size_t index)
{
    struct runtime *r = call->runtime;
    struct runtime_change *change = &call->changes->items[index];

    switch (change->kind) {
    case RUNTIME_ADD:
        add_subscription(r, change->subscription);
        break;
    case RUNTIME_CHANGE:
        subscription_change_commit(&call->prepared[index]);
        break;
    case RUNTIME_REMOVE:
        atomic_store(&change->subscription->taken_away, true);
        r->leaving_count++;
        subscription_leave(change->subscription);
        break;
    }
}

static void commit_topology(struct call *call)
{
    struct runtime *r = call->runtime;
    const struct config_topology *config = call->changes->topology;

    if (!call->topology)
        return;
    topology_free(r->topology);
    r->topology = call->topology;
    r->declaring = false;
    loop_timer_disarm(&r->redeclare);
    loop_timer_disarm(&r->slow);
    for (size_t i = 0; i < r->subscription_count; i++)
        look_declared(r->subscriptions[i], config);
}

static void change_limits(struct runtime *r, const struct runtime_changes *changes)
{
    r->message_max = changes->message_max;
    r->memory_max = changes->memory_max;
    r->straggler_age_ms = changes->straggler_age_ms;
    pool_resize(&r->pool, changes->group_threads);
    semaphores_set(&r->semaphores, changes->semaphores, changes->semaphore_count);
    for (size_t i = 0; i < r->subscription_count; i++)
        consumer_set_limits(r->subscriptions[i]->consumer, r->message_max, r->straggler_age_ms);
}

static void commit(struct call *call)
{
    struct runtime *r = call->runtime;
    const struct runtime_changes *changes = call->changes;

    change_limits(r, changes);
    connection_cork(r->connection);
    for (size_t i = 0; i < changes->count; i++)
        commit_one(call, i);
    connection_uncork(r->connection);
    runtime_count_pools(r);
    commit_topology(call);
    depth_look_changed(&r->depths);
    runtime_declare(r);
    runtime_look(r);
    drain_progress(r);
    runtime_keep_looking(r);
}

/* ---- there and back ---- */

static void finish(struct call *call, enum call_state state)
{
    pthread_mutex_lock(&call->lock);
    call->state = state;
    condition_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

static void call_free(struct call *call)
{
    pthread_mutex_destroy(&call->lock);
    condition_done(&call->changed);
    free(call->prepared);
    free(call);
}

/* @return false: nobody waits for it any more */
static bool take(struct call *call)
{
    bool waits;

    pthread_mutex_lock(&call->lock);
    waits = call->state == CALL_WAITS;
    if (waits)
        call->state = CALL_TAKEN;
    pthread_mutex_unlock(&call->lock);
    return waits;
}

static void run(void *arg)
{
    struct call *call = arg;

    if (!take(call)) {
        call_free(call);
        return;
    }
    call->status = prepare(call);
    if (call->status == WARREN_OK)
        commit(call);
    finish(call, CALL_DONE);
}

static struct call *call_new(struct runtime *r, struct runtime_changes *changes)
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->runtime = r;
    call->changes = changes;
    call->prepared = calloc(changes->count + 1, sizeof *call->prepared);
    pthread_mutex_init(&call->lock, NULL);
    condition_init(&call->changed);
    loop_task_init(&call->task, run, call);
    if (call->prepared)
        return call;
    call_free(call);
    return NULL;
}

/* Once the loop has begun, it is soon done. @return false: it has not */
static bool wait_for(struct call *call)
{
    int64_t end_ms = clock_deadline_ms(PATIENCE_MS);
    bool done;

    pthread_mutex_lock(&call->lock);
    while (call->state == CALL_WAITS &&
           condition_wait_until_ms(&call->changed, &call->lock, end_ms))
        continue;
    if (call->state == CALL_WAITS)
        call->state = CALL_GIVEN_UP;
    while (call->state == CALL_TAKEN)
        condition_wait(&call->changed, &call->lock);
    done = call->state == CALL_DONE;
    pthread_mutex_unlock(&call->lock);
    return done;
}

enum warren_status runtime_change(struct runtime *r, struct runtime_changes *changes,
                                  struct warren_error *error)
{
    struct call *call = call_new(r, changes);
    enum warren_status status;

    if (!call)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    loop_post(r->loop, &call->task);
    if (!wait_for(call))
        return error_set(error, WARREN_ETIMEOUT, "the event loop that consumes does not turn");
    status = call->status;
    if (status != WARREN_OK)
        error_set(error, status, "%s", call->error.text);
    call_free(call);
    return status;
}

/* ---- one that has left ---- */

void runtime_end_subscription(struct runtime *r, size_t index)
{
    struct subscription *s = r->subscriptions[index];

    consumer_give_up_barriers(s->consumer);
    pthread_mutex_lock(&r->list_lock);
    for (size_t i = index + 1; i < r->subscription_count; i++)
        r->subscriptions[i - 1] = r->subscriptions[i];
    r->subscription_count--;
    r->ended[r->ended_count++] = s;
    s->last_begin = consumer_begin(s->consumer);
    s->ended = true;
    pthread_mutex_unlock(&r->list_lock);
    runtime_count_pools(r);
    r->leaving_count--;
    subscription_end(s);
    runtime_retire_soon(r, 0);
}
