/* stage.c - see stage.h. A struct warren_passage is a struct attempt by another name. */
#include "consume/runtime/stage.h"

#include <stdlib.h>

#include "base/forked.h"
#include "base/log_event.h"
#include "consume/runtime/admission.h"

static struct warren_passage *passage_of(struct attempt *attempt)
{
    return (struct warren_passage *)(void *)attempt;
}

static struct attempt *attempt_in(struct warren_passage *passage)
{
    return (struct attempt *)(void *)passage;
}

/* Whether it is asked, only idempotency's options say. */
static bool has_key(const struct warren_handler *handler)
{
    return handler && handler->key;
}

enum warren_status stages_init(struct stages *stages, const struct chain_member *members,
                               size_t count, const struct job_source *source,
                               const struct warren_handler *handler,
                               const struct stages_calls *calls, void *user)
{
    stages->calls = calls;
    stages->user = user;
    stages->forks = forked_begin();
    stages->items = calloc(count + 1, sizeof *stages->items);
    if (!stages->items)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (members[i].middleware->before)
            stages->items[stages->count++] =
                (struct stage){.member = members[i],
                               .all = stages,
                               .is_watched = !members[i].is_own || has_key(handler)};
    if (stages->count > 0)
        stages->job = job_new(source);
    return stages->count == 0 || stages->job ? WARREN_OK : WARREN_ENOMEM;
}

bool stages_watched(const struct stages *stages)
{
    bool watched = false;

    for (size_t i = 0; i < stages->count; i++)
        watched = watched || stages->items[i].is_watched;
    return watched;
}

void stages_done(struct stages *stages)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(&stages->left)))
        attempt_free(attempt);
    job_free(stages->job);
    free(stages->items);
    *stages = (struct stages){.items = NULL};
}

static void enter(struct stages *stages)
{
    atomic_fetch_add_explicit(&stages->inside, 1, memory_order_relaxed);
}

/* The last that this thread does with them. */
static void quit(struct stages *stages)
{
    atomic_fetch_sub_explicit(&stages->inside, 1, memory_order_release);
}

/* ---- ahead of the workers ---- */

/* Not job_begin(): this is no attempt. */
static bool show(struct stage *stage, struct attempt *attempt)
{
    struct warren_job *job = stage->all->job;
    struct guard *guard = stage->is_watched ? stage->all->guard : NULL;
    bool goes_on;

    attempt->stage = stage;
    atomic_store_explicit(&attempt->may_go, false, memory_order_relaxed);
    if (guard && !guard_shows(guard, attempt))
        return true;
    job->attempt = attempt;
    job->decoded = false;
    job->history_known = false;
    goes_on = stage->member.middleware->before(
        job, passage_of(attempt), stage->member.state,
        attempt_mark(attempt, (size_t)(stage - stage->all->items)));
    if (guard)
        guard_shown(guard);
    job->attempt = NULL;
    arena_reset(&job->arena);
    return goes_on;
}

static bool is_answered(const struct attempt *attempt)
{
    return atomic_load_explicit(&attempt->may_go, memory_order_acquire);
}

/* All of @arrived waits for its answer, behind what came before it; to @arrived what has one. */
static void pass(struct stage *stage, struct batch *arrived, struct batch *unwanted)
{
    const struct stages *stages = stage->all;
    struct batch *waiting = &stage->waiting;
    struct attempt *attempt;

    while ((attempt = batch_pop(arrived))) {
        if (show(stage, attempt))
            atomic_store_explicit(&attempt->may_go, true, memory_order_relaxed);
        batch_add(waiting, attempt);
    }
    while (waiting->first && is_answered(waiting->first)) {
        attempt = batch_pop(waiting);
        batch_add(stages->calls->wanted(stages->user, attempt) ? arrived : unwanted, attempt);
    }
}

void stages_pass(struct stages *stages, struct batch *arrived, struct batch *go,
                 struct batch *unwanted)
{
    for (size_t i = 0; i < stages->count; i++)
        pass(&stages->items[i], arrived, unwanted);
    batch_splice(go, arrived);
}

/* @return what goes back in its place; NULL: it has to wait on */
static struct attempt *give_up(struct stage *stage, struct attempt *attempt)
{
    struct attempt *moved;

    if (is_answered(attempt))
        return attempt;
    moved = stage->member.is_own ? NULL : attempt_move(attempt, attempt->delivery.room);
    if (moved)
        batch_add(&stage->all->left, attempt);
    return moved;
}

void stages_give_up(struct stages *stages, struct batch *back)
{
    for (size_t i = 0; i < stages->count; i++) {
        struct batch waiting = stages->items[i].waiting;
        struct batch kept = {NULL, NULL, 0};
        struct attempt *attempt;

        while ((attempt = batch_pop(&waiting))) {
            struct attempt *moved = give_up(&stages->items[i], attempt);

            batch_add(moved ? back : &kept, moved ? moved : attempt);
        }
        stages->items[i].waiting = kept;
    }
}

uint32_t stages_waiting(const struct stages *stages)
{
    uint32_t waiting = 0;

    for (size_t i = 0; i < stages->count; i++)
        waiting += stages->items[i].waiting.count;
    return waiting;
}

void warren_passage_go(struct warren_passage *passage)
{
    struct attempt *attempt = attempt_in(passage);
    struct stage *stage = attempt->stage;
    struct stages *stages = stage->all;

    if (forked_since(stages->forks))
        return;
    /* From here on the delivery may be anywhere; the stages stay. */
    enter(stages);
    atomic_store_explicit(&attempt->may_go, true, memory_order_release);
    stages->calls->wake(stages->user);
    quit(stages);
}

/* ---- behind them ---- */

/* The mark of @stage, which it loses. */
static void *take_mark(const struct stage *stage, struct attempt *attempt)
{
    void **at = attempt_mark(attempt, (size_t)(stage - stage->all->items));
    void *mark = *at;

    *at = NULL;
    return mark;
}

/* Call the `after` of all @count outermost ones whose mark is there, the innermost first. Once one
 * of them keeps @attempt, it is another thread's. @return false: so it is */
static bool leave(struct stages *stages, struct attempt *attempt, size_t count)
{
    while (count-- > 0) {
        struct stage *stage = &stages->items[count];
        void *mark = take_mark(stage, attempt);

        if (!mark)
            continue;
        attempt->stage = stage;
        if (!stage->member.middleware->after(passage_of(attempt),
                                             (enum warren_outcome)attempt->outcome, mark,
                                             stage->member.state))
            return false;
    }
    return true;
}

bool stages_leave(struct stages *stages, struct attempt *attempt)
{
    bool settled;

    if (stages->count == 0)
        return true;
    enter(stages);
    settled = leave(stages, attempt, stages->count);
    quit(stages);
    return settled;
}

void stages_drop(struct stages *stages, struct attempt *attempt)
{
    for (size_t i = stages->count; i > 0; i--) {
        struct stage *stage = &stages->items[i - 1];
        void *mark = take_mark(stage, attempt);

        if (mark)
            stage->member.middleware->after(NULL, WARREN_REQUEUE, mark, stage->member.state);
    }
}

/* The outcome is written; the `after` of those further out is still to be called. */
static void go_on(struct attempt *attempt)
{
    struct stage *stage = attempt->stage;
    struct stages *stages = stage->all;

    enter(stages);
    if (leave(stages, attempt, (size_t)(stage - stages->items)))
        stages->calls->settled(stages->user, attempt);
    quit(stages);
}

void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome)
{
    struct attempt *attempt = attempt_in(passage);
    const struct stage *stage = attempt->stage;

    if (forked_since(stage->all->forks))
        return;
    if (outcome < WARREN_ACK || outcome > WARREN_REQUEUE) {
        log_event(WARREN_LOG_ERROR, "a middleware settled with what is no outcome: that is a retry",
                  LOG_TEXT("handler", stage->all->job->source->handler),
                  LOG_INT("outcome", outcome));
        outcome = WARREN_RETRY;
    }
    attempt->outcome = (uint8_t)outcome;
    go_on(attempt);
}

void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms)
{
    struct attempt *attempt = attempt_in(passage);
    const struct stage *stage = attempt->stage;

    if (forked_since(stage->all->forks))
        return;
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > ADMISSION_DELAY_MAX_MS)
        delay_ms = ADMISSION_DELAY_MAX_MS;
    attempt->retry_at_ms = clock_now_ms(stage->all->job->source->clock) + delay_ms;
    go_on(attempt);
}

/* ---- what a job has of it ---- */

void *warren_job_mark(const struct warren_job *job, const struct warren_link *next)
{
    unsigned place = next[-1].place;

    return place > 0 && job->attempt->stage ? *attempt_mark(job->attempt, place - 1) : NULL;
}
