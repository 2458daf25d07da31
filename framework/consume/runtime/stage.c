/* stage.c - see stage.h. A struct warren_passage is a struct delivery by another name. */
#include "consume/runtime/stage.h"

#include <stdlib.h>

static struct warren_passage *passage_of(struct delivery *delivery)
{
    return (struct warren_passage *)(void *)delivery;
}

static struct delivery *delivery_of(struct warren_passage *passage)
{
    return (struct delivery *)(void *)passage;
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
static void **marks_of(const struct stages *stages, struct delivery *delivery)
{
    return stages->count > 1 ? delivery->mark : &delivery->mark;
}

/* Without memory @delivery goes on unseen: no middleware has a mark in it. */
static void make_marks(const struct stages *stages, struct delivery *delivery)
{
    delivery->mark = stages->count > 1 ? calloc(stages->count, sizeof(void *)) : NULL;
}

static void free_marks(const struct stages *stages, struct delivery *delivery)
{
    if (stages->count > 1)
        free(delivery->mark);
    delivery->mark = NULL;
}

void *warren_job_mark(const struct warren_job *job, const struct warren_link *next)
{
    const struct stage *stage = job->delivery->stage;
    unsigned place = next[-1].place;
    void **marks = place > 0 && stage ? marks_of(stage->all, job->delivery) : NULL;

    return marks ? marks[place - 1] : NULL;
}

/* ---- ahead of the workers ---- */

/* Not job_begin(): this is no attempt. */
static bool show(struct stage *stage, struct delivery *delivery)
{
    struct warren_job *job = stage->all->job;
    void **marks = marks_of(stage->all, delivery);
    bool goes_on;

    if (!marks)
        return true;
    delivery->stage = stage;
    atomic_store_explicit(&delivery->may_go, false, memory_order_relaxed);
    job->delivery = delivery;
    job->decoded = false;
    job->history_known = false;
    goes_on = stage->calls.before(job, passage_of(delivery), stage->calls.state,
                                  &marks[stage - stage->all->items]);
    job->delivery = NULL;
    arena_reset(&job->arena);
    return goes_on;
}

/* All of @arrived waits for its answer, behind what came before it; to @arrived what has one. */
static void pass(struct stage *stage, struct batch *arrived, struct batch *unwanted)
{
    const struct stages *stages = stage->all;
    struct batch *waiting = &stage->waiting;
    struct delivery *delivery;

    while ((delivery = batch_pop(arrived))) {
        if (show(stage, delivery))
            atomic_store_explicit(&delivery->may_go, true, memory_order_relaxed);
        batch_add(waiting, delivery);
    }
    while (waiting->first && atomic_load_explicit(&waiting->first->may_go, memory_order_acquire)) {
        delivery = batch_pop(waiting);
        batch_add(stages->calls->wanted(stages->user, delivery) ? arrived : unwanted, delivery);
    }
}

void stages_pass(struct stages *stages, struct batch *arrived, struct batch *go,
                 struct batch *unwanted)
{
    for (struct delivery *d = arrived->first; d && stages->count > 0; d = d->next)
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
    struct delivery *delivery = delivery_of(passage);
    struct stage *stage = delivery->stage;
    struct stages *stages = stage->all;

    /* From here on the delivery may be anywhere; the stages stay. */
    atomic_store_explicit(&delivery->may_go, true, memory_order_release);
    stages->calls->wake(stages->user);
}

/* ---- behind them ---- */

/* Call the `after` of all @count outermost ones whose mark is there, the innermost first. Once one
 * of them keeps @delivery, it is another thread's. @return false: so it is */
static bool leave(struct stages *stages, struct delivery *delivery, size_t count)
{
    void **marks = marks_of(stages, delivery);

    while (marks && count-- > 0) {
        struct stage *stage = &stages->items[count];
        void *mark = marks[count];

        if (!mark)
            continue;
        marks[count] = NULL;
        delivery->stage = stage;
        if (!stage->calls.after(passage_of(delivery), (enum warren_outcome)delivery->outcome, mark,
                                stage->calls.state))
            return false;
    }
    free_marks(stages, delivery);
    return true;
}

bool stages_leave(struct stages *stages, struct delivery *delivery)
{
    return !delivery->mark || leave(stages, delivery, stages->count);
}

void stages_drop(struct stages *stages, struct delivery *delivery)
{
    void **marks = delivery->mark ? marks_of(stages, delivery) : NULL;

    for (size_t i = stages->count; marks && i > 0; i--)
        if (marks[i - 1])
            stages->items[i - 1].calls.after(NULL, WARREN_REQUEUE, marks[i - 1],
                                             stages->items[i - 1].calls.state);
    if (marks)
        free_marks(stages, delivery);
}

/* The outcome is written; those further out are still to hear of it. */
static void go_on(struct delivery *delivery)
{
    struct stage *stage = delivery->stage;
    struct stages *stages = stage->all;

    if (leave(stages, delivery, (size_t)(stage - stages->items)))
        stages->calls->settled(stages->user, delivery);
}

void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome)
{
    struct delivery *delivery = delivery_of(passage);

    delivery->outcome = (uint8_t)outcome;
    go_on(delivery);
}

void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms)
{
    struct delivery *delivery = delivery_of(passage);
    const struct stage *stage = delivery->stage;

    delivery->outcome = WARREN_RETRY;
    delivery->forgiven = true;
    delivery->retry_at_ms = clock_now_ms(stage->all->job->source->clock) + delay_ms;
    go_on(delivery);
}
