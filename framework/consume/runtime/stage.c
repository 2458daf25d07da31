/* stage.c - see stage.h. A struct warren_passage is a struct delivery by another name. */
#include "consume/runtime/stage.h"

static struct warren_passage *passage_of(struct delivery *delivery)
{
    return (struct warren_passage *)(void *)delivery;
}

static struct delivery *delivery_of(struct warren_passage *passage)
{
    return (struct delivery *)(void *)passage;
}

enum warren_status stage_init(struct stage *stage, const struct runtime_stage *calls,
                              const struct job_source *source, void (*wake)(void *user), void *user)
{
    if (!calls || !calls->before)
        return WARREN_OK;
    stage->calls = *calls;
    stage->wake = wake;
    stage->user = user;
    stage->job = job_new(source);
    return stage->job ? WARREN_OK : WARREN_ENOMEM;
}

void stage_done(struct stage *stage)
{
    job_free(stage->job);
    stage->job = NULL;
}

/* ---- ahead of the workers ---- */

/* Not job_begin(): this is no attempt. */
static bool show(struct stage *stage, struct delivery *delivery)
{
    struct warren_job *job = stage->job;
    bool goes_on;

    delivery->stage = stage;
    delivery->mark = NULL;
    atomic_store_explicit(&delivery->may_go, false, memory_order_relaxed);
    job->delivery = delivery;
    job->decoded = false;
    job->history_known = false;
    goes_on = stage->calls.before(job, passage_of(delivery), stage->calls.state, &delivery->mark);
    job->delivery = NULL;
    arena_reset(&job->arena);
    return goes_on;
}

void stage_enter(struct stage *stage, struct batch *arrived, struct batch *go)
{
    struct delivery *delivery;

    if (!stage->calls.before) {
        batch_splice(go, arrived);
        return;
    }
    while ((delivery = batch_pop(arrived))) {
        if (show(stage, delivery))
            atomic_store_explicit(&delivery->may_go, true, memory_order_relaxed);
        batch_add(&stage->waiting, delivery);
    }
    stage_take(stage, go);
}

void stage_take(struct stage *stage, struct batch *go)
{
    while (stage->waiting.first &&
           atomic_load_explicit(&stage->waiting.first->may_go, memory_order_acquire))
        batch_add(go, batch_pop(&stage->waiting));
}

void warren_passage_go(struct warren_passage *passage)
{
    struct delivery *delivery = delivery_of(passage);
    struct stage *stage = delivery->stage;

    /* From here on the delivery may be anywhere; the stage stays. */
    atomic_store_explicit(&delivery->may_go, true, memory_order_release);
    stage->wake(stage->user);
}

/* ---- behind them ---- */

bool stage_leave(struct stage *stage, struct delivery *delivery)
{
    void *mark = delivery->mark;

    if (!mark)
        return true;
    delivery->mark = NULL;
    return stage->calls.after(passage_of(delivery), (enum warren_outcome)delivery->outcome, mark,
                              stage->calls.state);
}

void stage_drop(struct stage *stage, struct delivery *delivery)
{
    void *mark = delivery->mark;

    if (!mark)
        return;
    delivery->mark = NULL;
    stage->calls.after(NULL, WARREN_REQUEUE, mark, stage->calls.state);
}

void warren_passage_settle(struct warren_passage *passage, enum warren_outcome outcome)
{
    struct delivery *delivery = delivery_of(passage);
    struct stage *stage = delivery->stage;

    delivery->outcome = (uint8_t)outcome;
    runner_settled(stage->runner, delivery);
}

void warren_passage_retry(struct warren_passage *passage, int64_t delay_ms)
{
    struct delivery *delivery = delivery_of(passage);
    struct stage *stage = delivery->stage;

    delivery->outcome = WARREN_RETRY;
    delivery->forgiven = true;
    delivery->retry_at_ms = clock_now_ms(stage->job->source->clock) + delay_ms;
    runner_settled(stage->runner, delivery);
}

/* ---- what a job tells of it ---- */

void *warren_job_mark(const struct warren_job *job)
{
    return job->delivery->mark;
}

struct warren_bytes warren_job_key(struct warren_job *job)
{
    const struct warren_handler *definition = job->source->definition;
    struct warren_bytes none = {NULL, 0};

    return definition && definition->key ? definition->key(job, job->source->state) : none;
}

void warren_job_on_reply(struct warren_job *job, warren_job_reply_fn *on_reply, void *user)
{
    job->on_reply = on_reply;
    job->on_reply_user = user;
}

void warren_job_on_transaction(struct warren_job *job, warren_job_transaction_fn *give, void *user)
{
    job->give_transaction = give;
    job->transaction_user = user;
    if (give)
        return;
    job->in_transaction = false;
    job->outbox = NULL;
}

void warren_job_set_outbox(struct warren_job *job, struct warren_outbox *outbox)
{
    job->outbox = outbox;
}

/* What was published before could not be undone with the transaction. */
struct sqlite3 *warren_job_transaction(struct warren_job *job)
{
    struct sqlite3 *transaction;

    if (!job->give_transaction) {
        warren_job_fail(job, "there is no transaction: the handler must be `transactional`, and "
                             "the middleware idempotency have a store");
        return NULL;
    }
    if (job->settlement && !job->in_transaction) {
        warren_job_fail(job, "the handler published before it asked for its transaction");
        return NULL;
    }
    transaction = job->give_transaction(job, job->transaction_user);
    job->in_transaction = transaction != NULL;
    return transaction;
}
