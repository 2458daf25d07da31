/* semaphore_hold.c - what jobs hold of semaphores, and threads that wait for it: see semaphores.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/suggest.h"
#include "consume/job/semaphores_private.h"

/* A thread in the line. On its stack. */
struct thread_wait {
    struct semaphore_wait wait; /* first */
    struct weights_want want;
    struct semaphore_hold *hold;
    struct condition changed;
};

static struct thread_wait *thread_wait_of(struct semaphore_wait *wait)
{
    return (struct thread_wait *)(void *)wait;
}

/* ---- what a job has: under the lock ---- */

static struct weights_want *find_acquired(const struct semaphore_hold *hold, uint32_t semaphore)
{
    for (size_t i = 0; i < hold->acquired_count; i++)
        if (hold->acquired[i].semaphore == semaphore)
            return &hold->acquired[i];
    return NULL;
}

/* What it will not give back while this thread waits. */
static uint64_t keeps(const struct semaphore_hold *hold, uint32_t semaphore, bool alone)
{
    const struct weights_want *acquired = alone ? find_acquired(hold, semaphore) : NULL;
    uint64_t sum = acquired ? acquired->weight : 0;

    for (size_t i = 0; i < hold->use_count; i++)
        if (hold->uses[i].semaphore == semaphore)
            sum += hold->uses[i].weight;
    return sum;
}

static bool reserve(struct semaphore_hold *hold)
{
    size_t room = hold->acquired_count + hold->waiting + 1;
    struct weights_want *acquired;

    if (room <= hold->room)
        return true;
    acquired = realloc(hold->acquired, room * sizeof *acquired);
    if (!acquired)
        return false;
    hold->acquired = acquired;
    hold->room = room;
    return true;
}

/* There is room. */
static void add(struct semaphore_hold *hold, const struct weights_want *want)
{
    struct weights_want *acquired = find_acquired(hold, want->semaphore);

    if (acquired)
        acquired->weight += want->weight;
    else
        hold->acquired[hold->acquired_count++] = *want;
    hold->any = true;
}

static void give_all(struct semaphores *s, struct semaphore_hold *hold)
{
    weights_give(&s->weights, hold->uses, hold->use_count);
    weights_give(&s->weights, hold->acquired, hold->acquired_count);
    hold->uses = NULL;
    hold->use_count = 0;
    hold->acquired_count = 0;
    semaphores_tell(s);
}

void semaphores_hold(struct semaphores *s, struct semaphore_hold *hold,
                     const struct weights_want *wants, size_t count)
{
    pthread_mutex_lock(&s->lock);
    hold->uses = wants;
    hold->use_count = count;
    hold->any = true;
    pthread_mutex_unlock(&s->lock);
}

void semaphores_end(struct semaphores *s, struct semaphore_hold *hold)
{
    hold->any = false;
    pthread_mutex_lock(&s->lock);
    give_all(s, hold);
    pthread_mutex_unlock(&s->lock);
}

void semaphore_hold_done(struct semaphore_hold *hold)
{
    free(hold->acquired);
    *hold = (struct semaphore_hold){.any = false};
}

/* ---- threads in the line: under the lock ---- */

/* It counts as the job's from now on, so that it is given back if the job is lost before its thread
 * has noticed. */
static void granted(struct semaphore_wait *wait)
{
    struct thread_wait *thread = thread_wait_of(wait);

    add(thread->hold, &thread->want);
    condition_signal(&thread->changed);
}

void semaphores_look_at_waits(struct semaphores *s)
{
    LIST_EACH(link, &s->weights.line) {
        struct semaphore_wait *wait = list_entry(link, struct semaphore_wait, claim.link);

        if (wait->granted == granted)
            condition_signal(&thread_wait_of(wait)->changed);
    }
}

void semaphores_look(struct semaphores *s)
{
    pthread_mutex_lock(&s->lock);
    semaphores_look_at_waits(s);
    pthread_mutex_unlock(&s->lock);
}

static void awaited(struct semaphore_wait *wait)
{
    condition_signal(&thread_wait_of(wait)->changed);
}

void semaphores_await(struct semaphores *s, const struct weights_want *wants, size_t count)
{
    struct thread_wait thread = {.hold = NULL};
    bool has;

    semaphore_wait_init(&thread.wait, awaited, NULL);
    condition_init(&thread.changed);
    thread.wait.claim.wants = wants;
    thread.wait.claim.count = count;
    pthread_mutex_lock(&s->lock);
    thread.wait.claim.place = weights_place(&s->weights);
    has = weights_take(&s->weights, &thread.wait.claim);
    semaphores_tell(s);
    while (!has && !thread.wait.has)
        condition_wait(&thread.changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    condition_done(&thread.changed);
}

/* Its threads that wait may never wake up; their stacks stay. */
void semaphores_lose(struct semaphores *s, struct semaphore_hold *hold)
{
    pthread_mutex_lock(&s->lock);
    hold->lost = true;
    LIST_EACH(link, &s->weights.line) {
        struct semaphore_wait *wait = list_entry(link, struct semaphore_wait, claim.link);

        if (wait->granted != granted || thread_wait_of(wait)->hold != hold)
            continue;
        weights_drop(&s->weights, &wait->claim);
        condition_signal(&thread_wait_of(wait)->changed);
    }
    give_all(s, hold);
    pthread_mutex_unlock(&s->lock);
}

/* ---- getting some: under the lock ---- */

static enum warren_status no_such(const struct semaphores *s, const char *name,
                                  struct warren_error *error)
{
    const char *names[CONFIG_SEMAPHORES_MAX];
    const char *near;
    size_t count = 0;

    for (size_t i = 0; i < s->count && count < CONFIG_SEMAPHORES_MAX; i++)
        if (!s->items[i]->gone)
            names[count++] = s->items[i]->name;
    near = suggest(name, names, count);
    if (near)
        return error_set(error, WARREN_ENOTFOUND,
                         "there is no semaphore '%.64s'; did you mean '%s'?", name, near);
    return error_set(error, WARREN_ENOTFOUND,
                     "there is no semaphore '%.64s' in the configuration (semaphores)", name);
}

static enum warren_status check(const struct semaphores *s, const struct semaphore_hold *hold,
                                const char *name, int64_t weight, bool alone,
                                struct weights_want *want, struct warren_error *error)
{
    long index = semaphores_find(s, name);
    uint64_t size;
    uint64_t has;

    if (hold->lost)
        return error_set(error, WARREN_ECLOSED, "the job is lost");
    if (index < 0 || s->items[index]->gone)
        return no_such(s, name, error);
    size = s->weights.semaphores[index].size;
    has = keeps(hold, (uint32_t)index, alone);
    if (weight < 1)
        return error_set(error, WARREN_EINVAL,
                         "%" PRId64 " of semaphore %s: expected 1 to %" PRIu64, weight, name, size);
    if ((uint64_t)weight > size)
        return error_set(error, WARREN_EINVAL,
                         "%" PRId64 " of semaphore %s are more than there is: its size is %" PRIu64,
                         weight, name, size);
    if (has + (uint64_t)weight > size)
        return error_set(error, WARREN_EINVAL,
                         "%" PRId64 " more of semaphore %s, of which the job has %" PRIu64
                         " of %" PRIu64 ": it would wait for itself",
                         weight, name, has, size);
    *want = (struct weights_want){(uint32_t)index, (uint32_t)weight};
    return WARREN_OK;
}

/* While it waits, the configuration may have changed. */
static enum warren_status check_again(const struct semaphores *s, const struct thread_wait *thread,
                                      bool alone, struct warren_error *error)
{
    const struct semaphore *item = s->items[thread->want.semaphore];
    uint64_t size = s->weights.semaphores[thread->want.semaphore].size;

    if (item->gone)
        return no_such(s, item->name, error);
    if (keeps(thread->hold, thread->want.semaphore, alone) + thread->want.weight > size)
        return error_set(error, WARREN_EINVAL,
                         "%u of semaphore %s are more than there is: its size is %" PRIu64 " now",
                         thread->want.weight, item->name, size);
    return WARREN_OK;
}

static enum warren_status too_late(const struct semaphores *s, const struct thread_wait *thread,
                                   bool job_ends, int64_t timeout_ms, struct warren_error *error)
{
    const char *name = s->items[thread->want.semaphore]->name;

    if (job_ends)
        return error_set(error, WARREN_ETIMEOUT,
                         "%u of semaphore %s were not free before the job was cancelled",
                         thread->want.weight, name);
    return error_set(error, WARREN_ETIMEOUT,
                     "%u of semaphore %s were not free within %" PRId64 " ms", thread->want.weight,
                     name, timeout_ms);
}

static enum warren_status sleep_until_granted(struct semaphores *s, struct thread_wait *thread,
                                              const struct semaphore_patience *patience,
                                              struct warren_error *error)
{
    int64_t end_ms = clock_deadline_ms(patience->timeout_ms);

    while (!thread->hold->lost && !thread->wait.has) {
        int64_t now_ms = clock_now_ms(clock_monotonic());
        int64_t left_ms = patience->left_ms(patience->user);
        int64_t until_ms = left_ms < INT64_MAX - now_ms ? now_ms + left_ms : INT64_MAX;
        enum warren_status status = check_again(s, thread, patience->alone, error);

        if (status != WARREN_OK)
            return status;
        if (left_ms <= 0 || now_ms >= end_ms)
            return too_late(s, thread, left_ms <= 0, patience->timeout_ms, error);
        condition_wait_until_ms(&thread->changed, &s->lock, until_ms < end_ms ? until_ms : end_ms);
    }
    return thread->hold->lost ? error_set(error, WARREN_ECLOSED, "the job is lost") : WARREN_OK;
}

static enum warren_status wait_in_line(struct semaphores *s, struct thread_wait *thread,
                                       const struct semaphore_patience *patience,
                                       struct warren_error *error)
{
    struct semaphore *item = s->items[thread->want.semaphore];
    enum warren_status status;

    condition_init(&thread->changed);
    item->handlers++;
    thread->hold->waiting++;
    status = sleep_until_granted(s, thread, patience, error);
    thread->hold->waiting--;
    item->handlers--;
    condition_done(&thread->changed);
    if (status != WARREN_OK) {
        weights_leave(&s->weights, &thread->wait.claim);
        semaphores_tell(s);
    }
    return status;
}

static enum warren_status take(struct semaphores *s, struct thread_wait *thread,
                               const struct semaphore_patience *patience,
                               struct warren_error *error)
{
    struct weights_claim *claim = &thread->wait.claim;
    bool has;

    if (!reserve(thread->hold))
        return error_set(error, WARREN_ENOMEM, "no memory for a semaphore");
    claim->wants = &thread->want;
    claim->count = 1;
    claim->place = weights_place(&s->weights);
    has = weights_take(&s->weights, claim);
    semaphores_tell(s);
    if (has) {
        add(thread->hold, &thread->want);
        return WARREN_OK;
    }
    if (patience->timeout_ms != 0)
        return wait_in_line(s, thread, patience, error);
    weights_leave(&s->weights, claim);
    semaphores_tell(s);
    return error_set(error, WARREN_EFULL, "%u of semaphore %s are not free", thread->want.weight,
                     s->items[thread->want.semaphore]->name);
}

enum warren_status semaphores_acquire(struct semaphores *s, struct semaphore_hold *hold,
                                      const char *name, int64_t weight,
                                      const struct semaphore_patience *patience,
                                      struct warren_error *error)
{
    int64_t begun_ns = clock_now_ns(clock_monotonic());
    struct thread_wait thread = {.hold = hold};
    struct warren_series *series = NULL;
    enum warren_status status;

    semaphore_wait_init(&thread.wait, granted, NULL);
    pthread_mutex_lock(&s->lock);
    status = check(s, hold, name, weight, patience->alone, &thread.want, error);
    if (status == WARREN_OK)
        status = take(s, &thread, patience, error);
    if (status == WARREN_OK)
        series = s->items[thread.want.semaphore]->wait;
    pthread_mutex_unlock(&s->lock);
    if (series)
        warren_observe(series, (double)(clock_now_ns(clock_monotonic()) - begun_ns) * 1e-9);
    return status;
}

enum warren_status semaphores_release(struct semaphores *s, struct semaphore_hold *hold,
                                      const char *name, int64_t weight, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    struct weights_want *acquired;
    long index;

    pthread_mutex_lock(&s->lock);
    index = semaphores_find(s, name);
    acquired = index < 0 ? NULL : find_acquired(hold, (uint32_t)index);
    if (index < 0) {
        status = no_such(s, name, error);
    } else if (weight < 1 || !acquired || (uint64_t)weight > acquired->weight) {
        status = error_set(error, WARREN_EINVAL,
                           "%" PRId64 " of semaphore %s, of which the job has acquired %u", weight,
                           name, acquired ? acquired->weight : 0);
    } else {
        struct weights_want given = {(uint32_t)index, (uint32_t)weight};

        acquired->weight -= given.weight;
        if (acquired->weight == 0)
            *acquired = hold->acquired[--hold->acquired_count];
        weights_give(&s->weights, &given, 1);
        semaphores_tell(s);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}
