/* testing.c - <warren/testing.h>: a worker of one subscription, without threads and broker. */
#include <warren/sqlite.h>
#include <warren/testing.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/testing_delivery.h"
#include "app/testing_published.h"
#include "app/testing_setup.h"
#include "app/testing_stages.h"
#include "base/error.h"
#include "consume/job/job.h"
#include "consume/job/returned_publish.h"
#include "consume/runtime/admission.h"
#include "store/spool/spool.h"

/* When the clock begins: not at 0, which stands for "never" in places. */
#define BEGIN_MS 1000000
/* When it stands still: in 146 years, so that nobody who adds to it has an overflow. */
#define END_NS (INT64_MAX / 2)

/* A chain that admits nothing: how often it is asked at most, and for how long. */
#define ASKS_MAX     1000000
#define ADMIT_MAX_MS INT64_C(31536000000)

struct testing_clock {
    struct clock clock; /* first: its address is the clock's */
    bool runs;
    int64_t started_ns; /* of the real one */
    int64_t ahead_ns;
};

struct warren_test {
    struct testing_setup setup;
    struct testing_published published;
    struct arena noted; /* lengths of texts that hold a NUL */
    struct testing_clock clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct relay relay; /* for dead letters alone: what is attempted again stays here */
    struct warren_job *job;
    struct testing_stages stages;
    struct attempt *current; /* NULL: there is no message yet */
    uint64_t tag;            /* of the last delivery */
    uint32_t given;          /* number of the first attempt, in place of the headers; 0: none */
    uint32_t number;         /* that the next attempt shall have; 0: as the headers say */
    bool tried;              /* `attempt` is the delivery's last one */
    struct warren_test_attempt attempt;
    char error[JOB_ERROR_SIZE];
};

/* ---- time ---- */

static int64_t now_ns(struct clock *clock)
{
    const struct testing_clock *testing = (const struct testing_clock *)(void *)clock;
    int64_t ran_ns = testing->runs ? clock_now_ns(clock_monotonic()) - testing->started_ns : 0;

    return testing->ahead_ns + ran_ns;
}

static void init_clock(struct testing_clock *clock, bool runs)
{
    *clock = (struct testing_clock){.clock = {.now_ns = now_ns},
                                    .runs = runs,
                                    .started_ns = clock_now_ns(clock_monotonic()),
                                    .ahead_ns = INT64_C(1000000) * BEGIN_MS};
}

int64_t warren_test_now_ms(const struct warren_test *test)
{
    return clock_now_ms((struct clock *)(uintptr_t)&test->clock.clock); /* only read */
}

static void misused(const char *function, const char *words) __attribute__((noreturn));
static void misused(const char *function, const char *words)
{
    fprintf(stderr, "warren: %s(): %s\n", function, words);
    abort();
}

/* @return false: the clock would pass its end, and stands there */
static bool put_forward(struct warren_test *test, int64_t ms)
{
    struct testing_clock *clock = &test->clock;
    bool fits = ms <= (END_NS - clock->ahead_ns) / 1000000;

    clock->ahead_ns = fits ? clock->ahead_ns + ms * 1000000 : END_NS;
    job_deadline_moved(test->job);
    return fits;
}

void warren_test_advance(struct warren_test *test, int64_t ms)
{
    if (ms < 0)
        misused("warren_test_advance", "the clock does not go back");
    if (!put_forward(test, ms))
        misused("warren_test_advance", "the clock ends after 146 years");
}

void warren_test_drain(struct warren_test *test, int64_t left_ms)
{
    int64_t until_ms;

    if (left_ms < 0 || __builtin_add_overflow(warren_test_now_ms(test), left_ms, &until_ms))
        until_ms = INT64_MAX;
    atomic_store(&test->deadline_ms, until_ms);
    job_deadline_moved(test->job);
}

/* ---- life ---- */

static void not_late(void *user, struct attempt *current)
{
    (void)user;
    (void)current;
    assert(false && "every receipt comes while the handler runs");
}

/* A caller of an older version has a shorter struct; what it does not know is zero. */
static enum warren_status read_options(const struct warren_test_options *given,
                                       struct warren_test_options *options,
                                       struct warren_error *error)
{
    if (given->size == 0 || given->size > 4096)
        return error_set(error, WARREN_EINVAL,
                         "size is %zu: set it to sizeof(struct warren_test_options)", given->size);
    memset(options, 0, sizeof *options);
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    return WARREN_OK;
}

static void make_relay(struct warren_test *test)
{
    const struct runtime_subscription *runs = test->setup.subscription;

    test->relay = (struct relay){.outlet = testing_outlet(&test->published),
                                 .queue = runs->queue,
                                 .handler = runs->handler_name,
                                 .dead_exchange = runs->dead_exchange,
                                 .into_queue = true};
    if (gethostname(test->relay.host, sizeof test->relay.host - 1) != 0)
        test->relay.host[0] = '\0';
}

static enum warren_status init(struct warren_test *test, const struct warren_test_options *options,
                               bool by_hand, struct warren_error *error)
{
    enum warren_status status = testing_setup_init(&test->setup, options, by_hand, error);

    if (status != WARREN_OK)
        return status;
    init_clock(&test->clock, options->clock_runs);
    atomic_store(&test->deadline_ms, INT64_MAX);
    test->source = (struct job_source){.queue = test->setup.subscription->queue,
                                       .handler = test->setup.subscription->handler_name,
                                       .publish = testing_publish,
                                       .append = testing_append,
                                       .publisher = (void *)&test->published,
                                       .definition = test->setup.subscription->handler,
                                       .state = test->setup.subscription->state,
                                       .clock = &test->clock.clock,
                                       .seed = options->seed,
                                       .deadline_ms = &test->deadline_ms,
                                       .settled = not_late};
    make_relay(test);
    test->job = job_new(&test->source);
    if (!test->job || testing_published_init(&test->published) != WARREN_OK ||
        testing_stages_init(&test->stages, test->setup.subscription, &test->source) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory");
    return WARREN_OK;
}

static enum warren_status make(const struct warren_test_options *options, bool by_hand,
                               struct warren_test **ret_test, struct warren_error *error)
{
    struct warren_test_options known;
    enum warren_status status = read_options(options, &known, error);
    struct warren_test *test;

    if (status != WARREN_OK)
        return status;
    test = calloc(1, sizeof *test);
    if (!test)
        return error_set(error, WARREN_ENOMEM, "no memory");
    status = init(test, &known, by_hand, error);
    if (status != WARREN_OK) {
        warren_test_free(test);
        return status;
    }
    *ret_test = test;
    return WARREN_OK;
}

enum warren_status warren_test_new(const struct warren_test_options *options,
                                   struct warren_test **ret_test, struct warren_error *error)
{
    return make(options, false, ret_test, error);
}

enum warren_status testing_new(const struct warren_test_options *options,
                               struct warren_test **ret_test, struct warren_error *error)
{
    return make(options, true, ret_test, error);
}

void warren_test_free(struct warren_test *test)
{
    if (!test)
        return;
    job_free(test->job);
    attempt_free(test->current);
    testing_published_done(&test->published);
    arena_done(&test->noted);
    testing_setup_done(&test->setup);
    /* Not before middlewares are closed: a thread of theirs may still be in warren_passage_go(). */
    testing_stages_done(&test->stages);
    free(test);
}

enum warren_status warren_test_reload(struct warren_test *test, const char *chain,
                                      struct warren_error *error)
{
    return testing_setup_reload(&test->setup, chain, error);
}

const char *warren_test_handler(const struct warren_test *test)
{
    return test->source.handler;
}

/* ---- a message comes ---- */

enum warren_status warren_test_note_text(struct warren_test *test, const char *text, size_t len)
{
    return arena_note(&test->noted, text, len);
}

enum warren_status warren_test_deliver(struct warren_test *test,
                                       const struct warren_test_message *message,
                                       struct warren_error *error)
{
    return testing_deliver(test, message, &test->noted, error);
}

enum warren_status testing_deliver(struct warren_test *test,
                                   const struct warren_test_message *message,
                                   const struct arena *texts, struct warren_error *error)
{
    struct attempt *current = NULL;
    enum warren_status status = testing_delivery_new(message, texts, test->source.queue,
                                                     test->stages.stages.count, &current, error);

    if (status != WARREN_OK)
        return status;
    current->delivery.tag = ++test->tag;
    attempt_free(test->current);
    test->current = current;
    test->number = test->given = message->attempt;
    test->tried = false;
    testing_published_clear(&test->published);
    return WARREN_OK;
}

/* ---- an attempt ---- */

/* The broker got the message back and delivers it again. */
static void come_again(struct warren_test *test)
{
    const struct warren_test_attempt *last = &test->attempt;
    struct attempt *current = test->current;

    current->delivery.tag = ++test->tag;
    current->delivery.redelivered = true;
    current->failed = 0;
    current->first_ns = 0;
    if (last->outcome == WARREN_RETRY)
        test->number = last->attempt + !last->forgiven;
    else
        test->number = last->outcome == WARREN_REQUEUE ? last->attempt : test->given;
}

static void wait_until_due(struct warren_test *test)
{
    const struct attempt *current = test->current;
    int64_t wait_ms;

    if (!test->tried)
        return;
    if (test->attempt.outcome != WARREN_RETRY || current->retry_at_ms < 0) {
        come_again(test);
        return;
    }
    test->number = 0; /* it never left: the delivery counts */
    wait_ms = current->retry_at_ms - warren_test_now_ms(test);
    if (wait_ms > 0)
        put_forward(test, wait_ms);
}

static void wait_until_admitted(struct warren_test *test)
{
    const struct runtime_subscription *runs = test->setup.subscription;
    int64_t since_ms = warren_test_now_ms(test);
    int64_t retry_ms;

    for (unsigned asks = 0; asks < ASKS_MAX; asks++) {
        if (admission_ask(runs->middlewares, runs->middleware_count, 1, warren_test_now_ms(test),
                          &retry_ms) == 1)
            return;
        if (retry_ms > ADMIT_MAX_MS - (warren_test_now_ms(test) - since_ms))
            break;
        put_forward(test, retry_ms);
    }
    misused("warren_test_run", "the chain never admits the message");
}

static struct sqlite3 *give_transaction(struct warren_job *job, void *user)
{
    static struct warren_outbox outbox; /* testing_append() keeps what comes */
    struct warren_test *test = user;

    if (!scratch_enter(test->setup.scratch))
        return NULL;
    job_set_outbox(job, &outbox);
    return scratch_handle(test->setup.scratch);
}

struct sqlite3 *warren_test_sqlite(struct warren_test *test)
{
    return test->setup.scratch ? scratch_handle(test->setup.scratch) : NULL;
}

/* @number as far as possible: headers and the broker's flag may say that it is higher. */
static void begin(struct warren_test *test)
{
    uint32_t least;

    job_begin(test->job, test->current, clock_now_ns(&test->clock.clock));
    if (test->setup.scratch)
        job_on_transaction(test->job, give_transaction, test);
    if (test->number == 0)
        return;
    test->current->failed = 0;
    least = warren_job_attempt(test->job);
    if (test->number > least)
        test->current->failed = test->number - least;
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
        misused("warren_test_run",
                "a middleware's `after` keeps the message, and has not settled it for a minute");
    if (current->outcome == WARREN_RETRY && current->forgiven)
        test->attempt.forgiven = true;
}

const struct warren_test_attempt *warren_test_run(struct warren_test *test)
{
    size_t published_before = test->published.count;
    const char *why = NULL;
    enum warren_outcome outcome;

    if (!test->current)
        misused("warren_test_run", "there is no message: call warren_test_deliver() first");
    wait_until_due(test);
    wait_until_admitted(test);
    begin(test);
    if (!testing_stages_ahead(&test->stages, test->current))
        misused("warren_test_run",
                "a middleware's `before` has not let the message go on for a minute");
    test->attempt = (struct warren_test_attempt){.attempt = warren_job_attempt(test->job),
                                                 .began_ms = warren_test_now_ms(test)};
    test->published.attempt = test->attempt.attempt;
    test->published.is_dead = false;
    outcome = chain_run(&test->setup.chain, test->job);
    if (test->setup.scratch)
        why = scratch_leave(test->setup.scratch, outcome == WARREN_ACK);
    if (why && outcome == WARREN_ACK) {
        warren_job_fail(test->job, "its transaction was rolled back: %s", why);
        outcome = chain_run(&test->setup.returned_publish, test->job);
    }
    end(test, outcome);
    end_late(test);
    go_back(test);
    test->tried = true;
    report(test, published_before);
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

/* ---- publishing ---- */

void warren_test_publishing(struct warren_test *test, enum warren_status status,
                            enum warren_result result)
{
    test->published.status = status;
    test->published.result = result;
}

const struct warren_test_published *warren_test_all_published(const struct warren_test *test,
                                                              size_t *ret_count)
{
    *ret_count = test->published.count;
    return test->published.count > 0 ? test->published.items : NULL;
}

const struct arena *testing_texts(const struct warren_test *test)
{
    return &test->published.arena;
}

struct warren_bytes warren_test_text(const struct warren_test *test, const char *text)
{
    return arena_bytes(testing_texts(test), text);
}
