/* crew_batch.c - what a worker does with a batch: those that may be anybody's company run together,
 * then those that were in a batch that crashed, a few at a time, and then each of the others.
 */
#include <stdlib.h>

#include "consume/job/crew_private.h"
#include "consume/job/job_span.h"

/* A batch under way on a worker. */
struct handling {
    struct crew *crew;
    uint32_t worker;
    struct crew_hand *hand;
    int64_t begun_ns; /* of what is next; 0: now */
    uint8_t weighs;   /* what the batch has of semaphores, in its first message until then */
    crew_ended_fn *ended;
    void *user;
    uint32_t left; /* messages that have not ended */
};

/* ---- what a worker has for it ---- */

struct crew_hand *crew_hand_new(void)
{
    return calloc(1, sizeof(struct crew_hand));
}

void crew_hand_free(struct crew_hand *hand)
{
    if (!hand)
        return;
    for (uint32_t i = 0; i < hand->count; i++)
        job_free(roster_at(&hand->jobs, i));
    roster_done(&hand->jobs);
    free(hand->messages);
    free((void *)hand->begun);
    free((void *)hand->members);
    free(hand);
}

static bool make_room(struct crew_hand *hand, uint32_t count)
{
    struct guard_message *messages = realloc(hand->messages, count * sizeof *messages);
    struct warren_job **begun = realloc(hand->begun, count * sizeof(struct warren_job *));
    struct warren_job **members = realloc(hand->members, count * sizeof(struct warren_job *));

    hand->messages = messages ? messages : hand->messages;
    hand->begun = begun ? begun : hand->begun;
    hand->members = members ? members : hand->members;
    if (!messages || !begun || !members)
        return false;
    hand->room = count;
    return true;
}

/* Jobs for @count messages, with the worker's own. */
static bool make_jobs(struct handling *h, uint32_t count)
{
    struct crew_hand *hand = h->hand;

    if (!roster_reserve(&hand->jobs, count - 1))
        return false;
    while (hand->count < count - 1) {
        struct warren_job *job = job_new(h->crew->source);

        if (!job)
            return false;
        job->worker = crew_job(h->crew, h->worker)->worker;
        roster_put(&hand->jobs, hand->count, job);
        atomic_fetch_add(&hand->count, 1);
    }
    return true;
}

/* For how many of @count messages there is all that it takes to run them together; 1 at least. */
static uint32_t prepare(struct handling *h, uint32_t count)
{
    uint32_t most = guard_batch_max(&h->crew->guard, h->worker);

    count = count < most ? count : most;
    if (!h->hand || count < 2)
        return 1;
    if (count > h->hand->room && !make_room(h->hand, count) && h->hand->room < 2)
        return 1;
    count = count < h->hand->room ? count : h->hand->room;
    if (!make_jobs(h, count) && h->hand->count == 0)
        return 1;
    return count < h->hand->count + 1 ? count : h->hand->count + 1;
}

/* ---- running ---- */

/* The weights of the batch are those of its first part, whoever is in that: who waits to run alone
 * must have put them down, and nothing else runs beside it. */
static void lend_weights(struct handling *h, struct attempt *first)
{
    first->weighs = h->weighs;
    h->weighs = WEIGHS_NOT;
}

/* The last one counts as long as the worker is at it, as a single message does. */
static void tell_ended(struct handling *h, struct attempt *attempt, bool settled)
{
    if (--h->left > 0)
        atomic_fetch_sub(&h->crew->more, 1);
    h->ended(h->user, attempt, settled);
}

static int64_t now_or_begun(struct handling *h)
{
    int64_t begun_ns = h->begun_ns ? h->begun_ns : clock_now_ns(h->crew->source->clock);

    h->begun_ns = 0;
    return begun_ns;
}

static void run_alone(struct handling *h, struct attempt *attempt)
{
    struct warren_job *job = crew_job(h->crew, h->worker);
    bool settled;

    lend_weights(h, attempt);
    settled = crew_run(h->crew, h->worker, attempt, now_or_begun(h));
    if (h->hand && job->has_run) { /* others may come behind it */
        h->hand->ran++;
        job->has_run = false;
    }
    tell_ended(h, attempt, settled);
    guard_ended(&h->crew->guard, h->worker);
}

static struct warren_job *begin(struct handling *h, uint32_t index, struct attempt *attempt,
                                struct warren_batch *batch, int64_t begun_ns)
{
    struct warren_job *job =
        index == 0 ? crew_job(h->crew, h->worker) : roster_at(&h->hand->jobs, index - 1);

    meter_begun(&h->crew->meter, attempt, begun_ns);
    job_begin(job, attempt, begun_ns);
    job->batch = batch;
    return job;
}

static void find_first_span(struct warren_batch *batch)
{
    for (uint32_t i = 0; i < batch->planned && !batch->has_first; i++) {
        const struct warren_job *job = batch->jobs[i];

        batch->has_first = job->traced;
        if (job->traced)
            batch->first = job->attempt->trace->self;
    }
}

/* @messages: 2 at least, for which all is there. */
static void run_together(struct handling *h, struct guard_message *messages, uint32_t count,
                         bool few)
{
    struct crew_hand *hand = h->hand;
    struct warren_batch batch = {.chain = &messages[0].attempt->edition->chain,
                                 .jobs = hand->begun,
                                 .planned = count,
                                 .members = hand->members};
    int64_t begun_ns = now_or_begun(h);

    lend_weights(h, messages[0].attempt);
    for (uint32_t i = 0; i < count; i++)
        hand->begun[i] = begin(h, i, messages[i].attempt, &batch, begun_ns);
    guard_run_batch(&h->crew->guard, h->worker, messages, count, few, &batch);
    hand->ran += count;
    find_first_span(&batch);
    for (uint32_t i = 0; i < count; i++) {
        struct warren_job *job = hand->begun[i];
        struct attempt *attempt = job->attempt;
        bool settled = crew_end(h->crew, job, job->answer);

        job->batch = NULL;
        tell_ended(h, attempt, settled);
    }
    guard_ended(&h->crew->guard, h->worker);
}

/* Those at the front of @batch that are anybody's company, up to @most; suspects go to @few, what
 * runs by itself to @nobody. */
static void run_front(struct handling *h, struct batch *batch, uint32_t most, struct batch *few,
                      struct batch *nobody)
{
    struct guard_message *messages = h->hand->messages;
    uint32_t count = 0;

    while (batch->count > 0 && count < most) {
        struct attempt *attempt = batch_pop(batch);
        enum guard_company company;

        messages[count] = (struct guard_message){.attempt = attempt};
        if (attempt->refused || attempt->publish_returned)
            company = GUARD_NOBODY;
        else
            company = guard_look(&h->crew->guard, &messages[count]);
        if (company == GUARD_ANYBODY)
            count++;
        else
            batch_add(company == GUARD_FEW ? few : nobody, attempt);
    }
    if (count > 1)
        run_together(h, messages, count, false);
    else if (count == 1)
        run_alone(h, messages[0].attempt);
}

/* As many of @few as the first of them may run with: those behind it that may, too. */
static void run_few(struct handling *h, struct batch *few, uint32_t most)
{
    struct guard_message *messages = h->hand->messages;
    struct batch rest = {NULL, NULL, 0};
    uint32_t count = 0;
    struct attempt *attempt;

    while ((attempt = batch_pop(few))) {
        messages[count] = (struct guard_message){.attempt = attempt};
        if (count < most)
            guard_look(&h->crew->guard, &messages[count]);
        if (count < most && messages[count].most > count) {
            most = messages[count].most < most ? messages[count].most : most;
            count++;
        } else {
            batch_add(&rest, attempt);
        }
    }
    *few = rest;
    if (count > 1)
        run_together(h, messages, count, true);
    else
        run_alone(h, messages[0].attempt);
}

void crew_run_batch(struct crew *crew, uint32_t worker, struct batch *batch, int64_t begun_ns,
                    crew_ended_fn *ended, void *user)
{
    struct handling h = {.crew = crew,
                         .worker = worker,
                         .hand = crew_hand(crew, worker),
                         .begun_ns = begun_ns,
                         .weighs = batch->first->weighs,
                         .ended = ended,
                         .user = user,
                         .left = batch->count};
    struct batch few = {NULL, NULL, 0};
    struct batch nobody = {NULL, NULL, 0};
    uint32_t most = prepare(&h, batch->count);
    struct attempt *attempt;

    atomic_fetch_add(&crew->more, batch->count - 1);
    while (most > 1 && batch->count > 0)
        run_front(&h, batch, most, &few, &nobody);
    while (few.count > 0)
        run_few(&h, &few, most);
    batch_splice(batch, &nobody);
    while ((attempt = batch_pop(batch)))
        run_alone(&h, attempt);
}
