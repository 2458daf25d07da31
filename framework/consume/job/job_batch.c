/* job_batch.c - see job_batch.h. */
#include "consume/job/job_batch.h"

#include "base/forked.h"
#include "base/thread.h"
#include "consume/job/chain.h"

/* ---- what a handler asks and says ---- */

size_t warren_batch_count(const struct warren_batch *batch)
{
    return batch->count;
}

struct warren_job *warren_batch_job(const struct warren_batch *batch, size_t index)
{
    return index < batch->count ? batch->members[index] : NULL;
}

enum warren_status warren_batch_set(struct warren_batch *batch, size_t index,
                                    enum warren_outcome outcome)
{
    struct warren_job *job = warren_batch_job(batch, index);

    if (!job || (unsigned)outcome > WARREN_REQUEUE)
        return WARREN_EINVAL;
    if (job->parted || forked_since(job->forks))
        return WARREN_ECLOSED;
    job->batch_outcome = outcome;
    job->has_outcome = true;
    return WARREN_OK;
}

int64_t warren_batch_time_left_ms(const struct warren_batch *batch)
{
    int64_t least_ms = INT64_MAX;

    for (uint32_t i = 0; i < batch->count; i++) {
        int64_t left_ms = warren_job_time_left_ms(batch->members[i]);

        least_ms = left_ms < least_ms ? left_ms : least_ms;
    }
    return least_ms;
}

bool warren_batch_cancelled(const struct warren_batch *batch)
{
    return warren_batch_time_left_ms(batch) <= 0;
}

size_t warren_job_batched(const struct warren_job *job)
{
    return job->batched;
}

/* ---- a message is done ---- */

/* What the handler, or it itself, has said of it: now that holds. A group that it has not waited
 * for may panic, and then this is called again. @more: another one's part of the transaction
 * follows */
static void part(struct warren_batch *batch, struct warren_job *job, bool more)
{
    enum warren_outcome outcome = job->has_outcome ? job->batch_outcome : batch->whole;

    if (job->parted)
        return;
    if ((unsigned)outcome > WARREN_REQUEUE) {
        warren_job_fail(job, "the handler returned %d, which is no outcome", (int)outcome);
        outcome = WARREN_RETRY;
    }
    if (job->groups.first != job->groups_before)
        outcome = job_groups_ended(job, job->groups_before, outcome, true);
    if (outcome == WARREN_RETRY)
        job_forgive_unpublished(job);
    if (batch->writes == job)
        outcome = job->leave_transaction(job, outcome, more, job->transaction_user);
    job->batch_outcome = outcome;
    job->parted = true;
}

/* It has the file for itself: the others wait for nothing of it. */
static void part_all(struct warren_batch *batch)
{
    if (batch->writes)
        part(batch, batch->writes, false);
    while (batch->parted < batch->count) {
        part(batch, batch->members[batch->parted], false);
        batch->parted++;
    }
}

bool job_batch_writes(struct warren_job *job)
{
    struct warren_batch *batch = job->batch;
    struct warren_job *before = batch->writes;

    if (!batch->running || !job->joined) {
        warren_job_fail(job, "in a batch the transaction is the handler's alone");
        return false;
    }
    if (before == job)
        return true;
    if (job->parted) {
        warren_job_fail(job, "its part of the transaction has ended");
        return false;
    }
    if (before)
        part(batch, before, true);
    batch->writes = job;
    return true;
}

/* ---- panic ---- */

void job_batch_panic(struct warren_job *job)
{
    struct warren_batch *batch = job->batch;

    for (uint32_t i = 0; i < batch->count; i++) { /* they may use what is on the stack that goes */
        struct warren_job *member = batch->members[i];

        if (member->groups.first != member->groups_before)
            job_groups_ended(member, member->groups_before, WARREN_RETRY, false);
    }
    batch->panicked = job;
    longjmp(batch->at, 1);
}

static void tell_panic(const struct warren_batch *batch, struct warren_job *job)
{
    struct log_line line;

    if (!log_enabled(WARREN_LOG_WARN))
        return;
    log_begin(&line, WARREN_LOG_WARN, "handler panicked");
    job_log_names(job, &line);
    log_int(&line, "attempt", warren_job_attempt(job));
    log_int(&line, "batch", batch->count);
    log_text(&line, "error", warren_job_error(job));
    log_end(&line);
}

static void say(struct warren_job *job, enum warren_outcome outcome)
{
    job->batch_outcome = outcome;
    job->has_outcome = true;
}

/* The one that it was has failed. Of those that the handler had said nothing of nobody knows; they
 * are innocent. */
static void take_panic(struct warren_batch *batch)
{
    struct warren_job *culprit = batch->panicked;

    tell_panic(batch, culprit);
    say(culprit, WARREN_RETRY);
    for (uint32_t i = 0; !batch->returned && i < batch->count; i++) {
        struct warren_job *job = batch->members[i];

        if (job->has_outcome || job->parted)
            continue;
        warren_job_fail(job, "another message of its batch panicked");
        warren_job_forgive(job);
        warren_job_retry_after(job, BATCH_AGAIN_MS);
        say(job, WARREN_RETRY);
    }
}

/* ---- running ---- */

static void call_handler(struct warren_batch *batch, const struct chain *chain)
{
    batch->called = batch->running = true;
    if (setjmp(batch->at) == 0) {
        batch->whole = chain->handler->handle_batch(batch, chain->state);
        job_stays_here(batch->members[0]);
        batch->returned = true;
    } else {
        take_panic(batch); /* of the handler, or of a group that it had left */
    }
    part_all(batch);
    batch->running = false;
}

static void join(struct warren_batch *batch, struct warren_job *job)
{
    job->joined = true;
    job->groups_before = job->groups.first;
    batch->members[batch->count++] = job;
}

static void begin_next(struct warren_batch *batch)
{
    struct warren_job *job = batch->jobs[batch->begun++];

    job->answer = chain_run(batch->chain, job);
}

static enum warren_outcome call_alone(struct warren_job *job, const struct chain *chain)
{
    struct warren_job *members[] = {job};
    struct warren_batch alone = {.members = members};

    job->batch = &alone;
    join(&alone, job);
    call_handler(&alone, chain);
    job->batch = NULL;
    return job->batch_outcome;
}

static void call_together(struct warren_batch *batch, const struct chain *chain)
{
    for (uint32_t i = 0; i < batch->count; i++)
        batch->members[i]->batched = batch->count;
    call_handler(batch, chain);
}

enum warren_outcome job_batch_call(struct warren_job *job, const struct warren_link *next,
                                   void *state)
{
    struct warren_batch *batch = job->batch;

    (void)next;
    if (job->joined) /* a middleware that calls the rest of the chain twice */
        return job->batch_outcome;
    if (!batch)
        return call_alone(job, state);
    join(batch, job);
    while (!batch->called && batch->begun < batch->planned && thread_has_stack())
        begin_next(batch);
    if (!batch->called)
        call_together(batch, state);
    return job->batch_outcome;
}

void job_batch_run(struct warren_batch *batch)
{
    while (batch->begun < batch->planned) {
        batch->count = batch->parted = 0;
        batch->called = batch->returned = false;
        batch->whole = WARREN_ACK;
        batch->writes = batch->panicked = NULL;
        begin_next(batch);
    }
}
