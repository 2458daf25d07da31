/* stage.c - see stage.h. A struct warren_passage is a struct attempt by another name. */
#include "consume/runtime/stage.h"

#include <stdlib.h>

static struct warren_passage *passage_of(struct attempt *attempt)
{
    return (struct warren_passage *)(void *)attempt;
}

static struct attempt *attempt_in(struct warren_passage *passage)
{
    return (struct attempt *)(void *)passage;
}

enum warren_status stages_init(struct stages *stages, const struct runtime_stage *given,
                               size_t count, const struct job_source *source,
                               const struct stages_calls *calls, void *user)
{
    if (count == 0)
        return WARREN_OK;
    stages->calls = calls;
    stages->user = user;
    stages->job = job_new(source);
    stages->items = calloc(count, sizeof *stages->items);
    if (!stages->job || !stages->items)
        return WARREN_ENOMEM;
    stages->count = count;
    for (size_t i = 0; i < count; i++)
        stages->items[i] = (struct stage){.calls = given[i], .all = stages};
    return WARREN_OK;
}

void stages_done(struct stages *stages)
{
    job_free(stages->job);
    free(stages->items);
    *stages = (struct stages){NULL};
}

/* ---- marks ---- */

/* The only one is in the delivery itself; several have an array, from their first `before` to their
 * last `after`. NULL: there is none. */
static void **marks_of(const struct stages *stages, struct attempt *attempt)
{
    return stages->count > 1 ? attempt->mark : &attempt->mark;
}

/* Without memory @attempt goes on unseen: no middleware has a mark in it. */
static void make_marks(const struct stages *stages, struct attempt *attempt)
{
    attempt->mark = stages->count > 1 ? calloc(stages->count, sizeof(void *)) : NULL;
}

static void free_marks(const struct stages *stages, struct attempt *attempt)
{
    if (stages->count > 1)
        free(attempt->mark);
    attempt->mark = NULL;
}

void *warren_job_mark(const struct warren_job *job, const struct warren_link *next)
{
    const struct stage *stage = job->attempt->stage;
    unsigned place = next[-1].place;
    void **marks = place > 0 && stage ? marks_of(stage->all, job->attempt) : NULL;

    return marks ? marks[place - 1] : NULL;
}

/* ---- ahead of the workers ---- */

/* Not job_begin(): this is no attempt. */
static bool show(struct stage *stage, struct attempt *attempt)
{
    struct warren_job *job = stage->all->job;
    void **marks = marks_of(stage->all, attempt);
    bool goes_on;

    if (!marks)
        return true;
    attempt->stage = stage;
    atomic_store_explicit(&attempt->may_go, false, memory_order_relaxed);
    job->attempt = attempt;
    job->decoded = false;
    job->history_known = false;
    goes_on = stage->calls.before(job, passage_of(attempt), stage->calls.state,
                                  &marks[stage - stage->all->items]);
    job->attempt = NULL;
    arena_reset(&job->arena);
    return goes_on;
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
    while (waiting->first && atomic_load_explicit(&waiting->first->may_go, memory_order_acquire)) {
        attempt = batch_pop(waiting);
        batch_add(stages->calls->wanted(stages->user, attempt) ? arrived : unwanted, attempt);
    }
}

void stages_pass(struct stages *stages, struct batch *arrived, struct batch *go,
                 struct batch *unwanted)
{
    for (struct attempt *d = arrived->first; d && stages->count > 0; d = d->next)
        make_marks(stages, d);
    for (size_t i = 0; i < stages->count; i++)
        pass(&stages->items[i], arrived, unwanted);
    batch_splice(go, arrived);
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

    /* From here on the delivery may be anywhere; the stages stay. */
    atomic_store_explicit(&attempt->may_go, true, memory_order_release);
    stages->calls->wake(stages->user);
}

/* ---- behind them ---- */

/* Call the `after` of all @count outermost ones whose mark is there, the innermost first. Once one
 * of them keeps @attempt, it is another thread's. @return false: so it is */
static bool leave(struct stages *stages, struct attempt *attempt, size_t count)
{
    void **marks = marks_of(stages, attempt);

    while (marks && count-- > 0) {
        struct stage *stage = &stages->items[count];
        void *mark = marks[count];

        if (!mark)
            continue;
        marks[count] = NULL;
        attempt->stage = stage;
        if (!stage->calls.after(passage_of(attempt), (enum warren_outcome)attempt->outcome, mark,
                                stage->calls.state))
            return false;
    }
    free_marks(stages, attempt);
    return true;
}

bool stages_leave(struct stages *stages, struct attempt *attempt)
{
    return !attempt->mark || leave(stages, attempt, stages->count);
}

void stages_drop(struct stages *stages, struct attempt *attempt)
{
    void **marks = attempt->mark ? marks_of(stages, attempt) : NULL;

    for (size_t i = stages->count; marks && i > 0; i--)
        if (marks[i - 1])
            stages->items[i - 1].calls.after(NULL, WARREN_REQUEUE, marks[i - 1],
                                             stages->items[i - 1].calls.state);
    if (marks)
        free_marks(stages, attempt);
}

/* The outcome is written; those further out are still to hear of it. */
static void go_on(struct attempt *attempt)
{
    struct stage *stage = attempt->stage;
    struct stages *stages = stage->all;

    if (leave(stages, attempt, (size_t)(stage - stages->items)))
        stages->calls->settled(stages->user, attempt);
}

void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome)
{
    struct attempt *attempt = attempt_in(passage);

    attempt->outcome = (uint8_t)outcome;
    go_on(attempt);
}

void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms)
{
    struct attempt *attempt = attempt_in(passage);
    const struct stage *stage = attempt->stage;

    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    attempt->retry_at_ms = clock_now_ms(stage->all->job->source->clock) + delay_ms;
    go_on(attempt);
}
