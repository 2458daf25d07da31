/* testing_run.c - see <warren/testing.h>: the messages that are in flight, and their attempts, one
 * after the other. What waits, and for how long, is decided by the parts of a worker that decide it
 * there.
 */
#include <warren/sqlite.h>

#include <string.h>

#include "app/testing_delivery.h"
#include "app/testing_private.h"
#include "base/error.h"
#include "consume/job/chain.h"
#include "store/spool/spool.h"

/* A chain that admits nothing: how often it is asked at most, and for how long. */
#define ASKS_MAX     40000000
#define ADMIT_MAX_MS INT64_C(31536000000)

/* ---- messages come ---- */

enum warren_status warren_test_note_text(struct warren_test *test, const char *text, size_t len)
{
    return arena_note(&test->noted, text, len);
}

/* Also those whose `before` has not answered. */
void testing_forget_messages(struct warren_test *test)
{
    struct batch all = {NULL, NULL, 0};

    stages_give_up(&test->stages.stages, &all);
    while (stages_waiting(&test->stages.stages) > 0 && testing_stages_answered(&test->stages))
        stages_give_up(&test->stages.stages, &all);
    admission_take_all(&test->admission, &all);
    batch_splice(&all, &test->ready);
    batch_splice(&all, &test->done);
    for (struct attempt *attempt; (attempt = batch_pop(&all));) {
        stages_drop(&test->stages.stages, attempt);
        attempt_free(attempt);
    }
    test->message_count = 0;
}

static void arrive(struct warren_test *test, struct attempt *attempt)
{
    struct batch arrived = {NULL, NULL, 0};

    attempt->delivery.tag = ++test->tag;
    batch_add(&arrived, attempt);
    admission_add(&test->admission, &arrived);
}

static enum warren_status deliver(struct warren_test *test,
                                  const struct warren_test_message *message,
                                  const struct arena *texts, bool also, struct warren_error *error)
{
    struct attempt *attempt = NULL;
    enum warren_status status;

    if (!message)
        return error_set(error, WARREN_EINVAL, "the message is NULL");
    if (also && test->message_count == WARREN_TEST_MESSAGES_MAX)
        return error_set(error, WARREN_EFULL, "there are %d messages already",
                         WARREN_TEST_MESSAGES_MAX);
    status = testing_delivery_new(message, texts, test->source.queue, test->stages.stages.count,
                                  &attempt, error);
    if (status != WARREN_OK)
        return status;
    if (!also) {
        testing_forget_messages(test);
        testing_published_clear(&test->published);
    }
    test->messages[test->message_count++] =
        (struct testing_message){attempt, message->attempt, message->attempt};
    arrive(test, attempt);
    return WARREN_OK;
}

enum warren_status warren_test_deliver(struct warren_test *test,
                                       const struct warren_test_message *message,
                                       struct warren_error *error)
{
    return deliver(test, message, &test->noted, false, error);
}

enum warren_status warren_test_deliver_also(struct warren_test *test,
                                            const struct warren_test_message *message,
                                            struct warren_error *error)
{
    return deliver(test, message, &test->noted, true, error);
}

enum warren_status testing_deliver(struct warren_test *test,
                                   const struct warren_test_message *message,
                                   const struct arena *texts, struct warren_error *error)
{
    return deliver(test, message, texts, false, error);
}

/* ---- which is next ---- */

static struct testing_message *message_of(struct warren_test *test, const struct attempt *attempt)
{
    struct testing_message *message = test->messages;

    while (message->attempt != attempt)
        message++;
    return message;
}

/* The broker got the message back and delivers it again. */
static void come_again(struct warren_test *test, struct attempt *attempt, uint32_t number)
{
    attempt->delivery.redelivered = true;
    attempt->failed = 0;
    attempt->first_ns = 0;
    message_of(test, attempt)->number = number;
    arrive(test, attempt);
}

/* @number as far as possible: headers and the broker's flag may say that it is higher. */
static void count_attempts(struct warren_test *test, struct attempt *attempt)
{
    uint32_t number = message_of(test, attempt)->number;
    int64_t first_ns = attempt->first_ns;
    uint32_t least;

    if (number == 0)
        return;
    job_begin(test->job, attempt, clock_now_ns(&test->clock.clock));
    attempt->first_ns = first_ns; /* it does not begin yet */
    attempt->failed = 0;
    least = warren_job_attempt(test->job);
    if (number > least)
        attempt->failed = number - least;
    arena_reset(&test->job->arena);
}

/* Past the gates and each `before`, as far as may be now. */
static void admit(struct warren_test *test)
{
    struct batch go = {NULL, NULL, 0};
    struct batch unwanted = {NULL, NULL, 0};

    admission_take(&test->admission, warren_test_now_ms(test), &go);
    for (struct attempt *attempt = go.first; attempt; attempt = attempt->next)
        count_attempts(test, attempt);
    stages_pass(&test->stages.stages, &go, &test->ready, &unwanted);
}

/* To the time at which something may be due, or a gate is to be asked again. */
static void wait_for_time(struct warren_test *test, unsigned asks, int64_t *since_ms)
{
    int64_t now_ms = warren_test_now_ms(test);
    int64_t next_ms = admission_next_ms(&test->admission);
    struct batch due = {NULL, NULL, 0};

    if (test->admission.waiting.count == 0)
        *since_ms = next_ms;
    if (asks == ASKS_MAX || next_ms - *since_ms > ADMIT_MAX_MS)
        testing_misused("warren_test_run", "the chain never admits the message");
    if (next_ms <= now_ms || testing_put_forward(test, next_ms - now_ms))
        return;
    delay_take(&test->admission.delay, INT64_MAX, &due); /* at the end of time all is due */
    admission_add(&test->admission, &due);
}

struct attempt *testing_next(struct warren_test *test)
{
    int64_t since_ms = warren_test_now_ms(test);
    struct attempt *attempt;

    if (test->message_count == 0)
        testing_misused("warren_test_run", "there is no message: call warren_test_deliver() first");
    if (test->done.count == test->message_count)
        while ((attempt = batch_pop(&test->done)))
            come_again(test, attempt, message_of(test, attempt)->given);
    if (test->admission.waiting.count > 0)
        admission_ask_now(&test->admission); /* an outcome may have opened a gate */
    for (unsigned asks = 0; admit(test), test->ready.count == 0; asks++) {
        if (stages_waiting(&test->stages.stages) == 0)
            wait_for_time(test, asks, &since_ms);
        else if (!testing_stages_answered(&test->stages))
            testing_misused("warren_test_run",
                            "a middleware's `before` has not let the message go on for a minute");
    }
    return batch_pop(&test->ready);
}

/* ---- an attempt ---- */

static struct sqlite3 *give_transaction(struct warren_job *job, void *user)
{
    static struct warren_outbox outbox; /* testing_append() keeps what comes */
    struct warren_test *test = user;

    if (!scratch_enter(test->setup.scratch))
        return NULL;
    job_set_outbox(job, &outbox);
    return scratch_handle(test->setup.scratch);
}

/* In a batch: its part is kept, or not. */
static enum warren_outcome leave_transaction(struct warren_job *job, enum warren_outcome outcome,
                                             bool more, void *user)
{
    struct warren_test *test = user;
    const char *why = scratch_leave(test->setup.scratch, outcome == WARREN_ACK);

    (void)more;
    if (!why || outcome != WARREN_ACK)
        return outcome;
    warren_job_fail(job, "its transaction was rolled back: %s", why);
    return WARREN_RETRY;
}

struct sqlite3 *warren_test_sqlite(struct warren_test *test)
{
    return test->setup.scratch ? scratch_handle(test->setup.scratch) : NULL;
}

static void report_published(struct warren_test *test, size_t before)
{
    struct warren_test_attempt *attempt = &test->attempt;

    attempt->published = test->published.items + before;
    attempt->published_count = test->published.count - before;
    for (size_t i = before; i < test->published.count; i++)
        if (test->published.items[i].reply)
            attempt->reply = &test->published.items[i];
}

static void report(struct warren_test *test, size_t published_before)
{
    const struct attempt *current = test->current;
    struct warren_test_attempt *attempt = &test->attempt;

    attempt->outcome = (enum warren_outcome)current->outcome;
    attempt->ended_ms = warren_test_now_ms(test);
    attempt->error = test->error[0] ? test->error : NULL;
    attempt->retry_after_ms = -1;
    if (attempt->outcome == WARREN_RETRY && current->retry_at_ms >= 0)
        attempt->retry_after_ms =
            current->retry_at_ms > attempt->ended_ms ? current->retry_at_ms - attempt->ended_ms : 0;
    if (attempt->outcome == WARREN_REJECT && test->published.is_dead)
        attempt->dead_letter = &test->published.dead;
    report_published(test, published_before);
}

static void end(struct warren_test *test, enum warren_outcome outcome)
{
    test->attempt.forgiven = warren_job_forgiven(test->job);
    test->attempt.duplicate = test->job->duplicate;
    memcpy(test->error, test->job->error, sizeof test->error);
    test->source.relay = outcome == WARREN_REJECT ? &test->relay : NULL;
    job_end(test->job, outcome);
}

/* What was published has its receipts by now; see settlement_receipt(). */
static void end_late(struct warren_test *test)
{
    struct attempt *current = test->current;

    if (current->publish_returned) {
        job_begin(test->job, current, clock_now_ns(&test->clock.clock));
        end(test, returned_publish_run(&test->setup.returned_publish, test->job));
    } else if (current->publish_end != PUBLISH_FINE && current->forgiven &&
               current->retry_at_ms < 0) {
        test->attempt.forgiven = true;
        current->retry_at_ms = warren_test_now_ms(test) + settlement_again_ms(current);
    }
    current->publish_end = PUBLISH_FINE;
}

/* A middleware may have decided otherwise: see warren_passage_retry(). */
static void go_back(struct warren_test *test)
{
    const struct attempt *current = test->current;

    if (!testing_stages_behind(&test->stages, test->current))
        testing_misused(
            "warren_test_run",
            "a middleware's `after` keeps the message, and has not settled it for a minute");
    if (current->outcome == WARREN_RETRY && current->forgiven)
        test->attempt.forgiven = true;
}

/* Where it waits for what follows. */
static void put_back(struct warren_test *test, struct attempt *attempt)
{
    const struct warren_test_attempt *last = &test->attempt;
    bool failed = last->outcome == WARREN_RETRY;

    if (failed && attempt->retry_at_ms >= 0) {
        message_of(test, attempt)->number = 0; /* it never left: the delivery counts */
        delay_put(&test->admission.delay, attempt);
    } else if (failed || last->outcome == WARREN_REQUEUE) {
        come_again(test, attempt, last->attempt + (failed && !last->forgiven));
    } else {
        batch_add(&test->done, attempt);
    }
}

void testing_begin(struct warren_test *test, struct attempt *attempt)
{
    test->current = attempt;
    job_begin(test->job, attempt, clock_now_ns(&test->clock.clock));
    if (test->setup.scratch)
        job_on_transaction(test->job, give_transaction, leave_transaction, test);
    test->attempt = (struct warren_test_attempt){
        .attempt = warren_job_attempt(test->job),
        .message = (size_t)(message_of(test, attempt) - test->messages),
        .began_ms = warren_test_now_ms(test)};
    test->published.attempt = test->attempt.attempt;
    test->published.is_dead = false;
}

void testing_weigh(struct warren_test *test)
{
    if (test->wants) /* nobody else has any */
        semaphores_await(&test->semaphores, test->wants, test->setup.subscription->use_count);
    if (test->wants)
        semaphores_hold(&test->semaphores, &test->job->hold, test->wants,
                        test->setup.subscription->use_count);
}

void testing_end(struct warren_test *test, enum warren_outcome outcome, size_t published_before)
{
    end(test, outcome);
    end_late(test);
    go_back(test);
    report(test, published_before);
    put_back(test, test->current);
}

const struct warren_test_attempt *warren_test_run(struct warren_test *test)
{
    size_t published_before = test->published.count;
    const char *why = NULL;
    enum warren_outcome outcome;

    testing_begin(test, testing_next(test));
    testing_weigh(test);
    outcome = chain_run(&test->setup.chain, test->job);
    if (test->setup.scratch)
        why = scratch_leave(test->setup.scratch, outcome == WARREN_ACK);
    if (why && outcome == WARREN_ACK) {
        warren_job_fail(test->job, "its transaction was rolled back: %s", why);
        outcome = chain_run(&test->setup.returned_publish, test->job);
    }
    testing_end(test, outcome, published_before);
    test->attempt.left = test->message_count - test->done.count;
    return &test->attempt;
}

const struct warren_test_attempt *warren_test_settle(struct warren_test *test,
                                                     uint32_t attempts_max)
{
    const struct warren_test_attempt *attempt = warren_test_run(test);

    for (uint32_t i = 1; i < attempts_max && attempt->outcome == WARREN_RETRY; i++)
        attempt = warren_test_run(test);
    return attempt;
}
