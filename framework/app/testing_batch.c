/* testing_batch.c - warren_test_run_batch(): a batch without a worker. Each of its messages has a
 * job; that of the first is the test's own.
 */
#include <stdlib.h>

#include "app/testing_private.h"
#include "consume/job/job_batch.h"

/* ---- memory ---- */

static bool make_room(struct warren_test *test, size_t room)
{
    struct testing_batch *b = &test->batch;
    size_t most = WARREN_TEST_MESSAGES_MAX;

    if (!b->jobs) {
        b->jobs = calloc(most, sizeof(struct warren_job *));
        b->members = calloc(most, sizeof(struct warren_job *));
        b->attempts = calloc(most, sizeof(struct attempt *));
        b->reports = calloc(most, sizeof *b->reports);
        b->dead = calloc(most, sizeof *b->dead);
    }
    if (!b->jobs || !b->members || !b->attempts || !b->reports || !b->dead)
        return false;
    for (; b->room < room; b->room++) {
        b->jobs[b->room] = b->room == 0 ? test->job : job_new(&test->source);
        if (!b->jobs[b->room])
            return false;
    }
    return true;
}

void testing_batch_deadline_moved(struct warren_test *test)
{
    for (size_t i = 1; i < test->batch.room; i++)
        job_deadline_moved(test->batch.jobs[i]);
}

void testing_batch_done(struct warren_test *test)
{
    struct testing_batch *b = &test->batch;

    for (size_t i = 1; i < b->room; i++)
        job_free(b->jobs[i]);
    free((void *)b->jobs);
    free((void *)b->members);
    free((void *)b->attempts);
    free(b->reports);
    free(b->dead);
}

/* ---- running ---- */

/* Each as if it were the only one. */
static void begin_all(struct warren_test *test, struct warren_batch *batch)
{
    struct testing_batch *b = &test->batch;

    for (uint32_t i = 0; i < batch->planned; i++) {
        test->job = b->jobs[i];
        testing_begin(test, b->attempts[i]);
        test->job->batch = batch;
        b->reports[i] = test->attempt;
    }
    test->job = b->jobs[0];
    testing_weigh(test);
}

static void end_all(struct warren_test *test, const struct warren_batch *batch,
                    size_t published_before)
{
    struct testing_batch *b = &test->batch;

    for (uint32_t i = 0; i < batch->planned; i++) {
        struct warren_test_attempt *report = &b->reports[i];

        test->job = b->jobs[i];
        test->job->batch = NULL;
        test->current = b->attempts[i];
        test->attempt = *report;
        test->published.attempt = report->attempt;
        test->published.is_dead = false;
        testing_end(test, test->job->answer, published_before);
        *report = test->attempt;
        report->error = warren_job_error(test->job);
        if (report->dead_letter) {
            b->dead[i] = *report->dead_letter;
            report->dead_letter = &b->dead[i];
        }
    }
    test->job = b->jobs[0];
    for (uint32_t i = 0; i < batch->planned; i++)
        b->reports[i].left = test->message_count - test->done.count;
}

static uint32_t take(struct warren_test *test, size_t most)
{
    struct attempt *attempt = testing_next(test);
    uint32_t count = 0;

    do
        test->batch.attempts[count++] = attempt;
    while (count < most && (attempt = batch_pop(&test->ready)));
    return count;
}

const struct warren_test_attempt *warren_test_run_batch(struct warren_test *test, size_t most,
                                                        size_t *ret_count)
{
    size_t published_before = test->published.count;
    struct warren_batch batch = {.chain = &test->setup.batches};

    *ret_count = 0;
    if (!test->setup.subscription->handler->handle_batch)
        testing_misused("warren_test_run_batch", "the handler takes no batches");
    if (most == 0)
        testing_misused("warren_test_run_batch", "a batch has one message at least");
    most = most < WARREN_TEST_MESSAGES_MAX ? most : WARREN_TEST_MESSAGES_MAX;
    if (!make_room(test, most))
        return NULL;
    batch.planned = take(test, most);
    batch.jobs = test->batch.jobs;
    batch.members = test->batch.members;
    begin_all(test, &batch);
    job_batch_run(&batch);
    end_all(test, &batch, published_before);
    *ret_count = batch.planned;
    return test->batch.reports;
}
