/* subscription_uses.c - messages that wait for semaphores (`uses:`), behind all that looks at them
 * ahead of the workers, and without one.
 *
 *   stages > [waiting: places in the line] > its weights > runner
 *
 * Each message draws its place when it comes here; the subscription stands in the line for the
 * first of them. It takes weights for no more messages than there are workers, for what waits for
 * a worker is to hold nothing. What a message has is given back by its worker, when the chain has
 * returned (job_give_back()), or here, if none has run it.
 * Bound: what waits stands in the prefetch window.
 * Thread: the loop's, unless it says otherwise.
 */
#include "consume/runtime/runtime_private.h"

static struct semaphores *semaphores_of(const struct subscription *s)
{
    return &s->runtime->semaphores;
}

/* Under the lock of the semaphores, on any thread. */
static void granted(struct semaphore_wait *wait)
{
    struct subscription *s = wait->user;

    runtime_wake(s->runtime);
}

void subscription_uses_init(struct subscription *s)
{
    semaphore_wait_init(&s->uses.wait, granted, s);
}

static void note_waiting(struct subscription *s)
{
    atomic_store(&s->uses.waiting_count, s->uses.waiting.count);
    subscription_note_held(s);
}

static void draw_places(struct subscription *s, const struct batch *batch)
{
    uint64_t place = semaphores_places(semaphores_of(s), batch->count);
    int64_t now_ns = clock_now_ns(s->source.clock);

    for (struct attempt *attempt = batch->first; attempt; attempt = attempt->next) {
        attempt->place = place++;
        attempt->in_line_ns = now_ns;
    }
}

/* What the first of those that wait wants; all of them are in the edition of the day. */
static bool has_weights(struct subscription *s)
{
    struct subscription_uses *u = &s->uses;

    if (u->stands) {
        u->stands = !semaphores_granted(semaphores_of(s), &u->wait);
        return !u->stands;
    }
    u->wait.claim.wants = s->edition->edition.wants;
    u->wait.claim.count = s->edition->edition.want_count;
    u->wait.claim.place = u->waiting.first->place;
    u->stands = !semaphores_take(semaphores_of(s), &u->wait);
    return !u->stands;
}

/* A batch has the weights of one message. */
static void let_go(struct subscription *s, struct batch *go)
{
    const struct edition *edition = &s->edition->edition;
    struct attempt *attempt = s->uses.waiting.first;
    uint32_t messages = attempt->together > 1 ? attempt->together : 1;

    attempt->weighs = WEIGHS_ALL;
    atomic_fetch_add(&s->uses.out, 1);
    semaphores_note(semaphores_of(s), edition->wants, edition->want_count, -(int)messages);
    semaphores_waited(semaphores_of(s), edition->wants, edition->want_count,
                      clock_now_ns(s->source.clock) - attempt->in_line_ns);
    batch_move(go, &s->uses.waiting, messages);
}

void subscription_weigh(struct subscription *s)
{
    struct batch go = {NULL, NULL, 0};

    note_waiting(s); /* first: a worker that ends meanwhile wakes the loop */
    while (s->uses.waiting.count > 0 && atomic_load(&s->uses.out) < s->concurrency &&
           has_weights(s))
        let_go(s, &go);
    note_waiting(s);
    if (go.count == 0)
        return;
    runner_push(s->runner, &go);
    runtime_keep_looking(s->runtime);
}

void subscription_to_runner(struct subscription *s, struct batch *batch)
{
    const struct edition *edition = &s->edition->edition;

    if (edition->want_count == 0 || batch->count == 0) {
        runner_push(s->runner, batch);
        return;
    }
    draw_places(s, batch);
    semaphores_note(semaphores_of(s), edition->wants, edition->want_count, (int)batch->count);
    batch_splice(&s->uses.waiting, batch);
    subscription_weigh(s);
}

void subscription_unweigh(struct subscription *s, struct attempt *attempt)
{
    const struct edition *edition = attempt->edition;

    if (attempt->weighs == WEIGHS_NOT || !edition)
        return;
    atomic_fetch_sub(&s->uses.out, 1);
    if (attempt->weighs == WEIGHS_ALL)
        semaphores_give(semaphores_of(s), edition->wants, edition->want_count);
    attempt->weighs = WEIGHS_NOT;
}

/* A worker has given back what its message had. */
void subscription_unweighed(void *user)
{
    struct subscription *s = user;

    atomic_fetch_sub(&s->uses.out, 1);
    if (atomic_load(&s->uses.waiting_count) > 0)
        runtime_wake(s->runtime);
}

void subscription_take_uses(struct subscription *s, struct batch *batch)
{
    struct subscription_uses *u = &s->uses;
    const struct edition *edition = u->waiting.first ? u->waiting.first->edition : NULL;

    if (u->stands)
        semaphores_leave(semaphores_of(s), &u->wait);
    u->stands = false;
    if (edition)
        semaphores_note(semaphores_of(s), edition->wants, edition->want_count,
                        -(int)u->waiting.count);
    batch_splice(batch, &u->waiting);
    for (struct attempt *attempt = batch->first; attempt; attempt = attempt->next) {
        subscription_unweigh(s, attempt);
        subscription_unbatch(s, attempt);
    }
    note_waiting(s);
}
