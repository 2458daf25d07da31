/* test_policies.c - retry, breaker and rate_limit in a worker, on a real broker: how often and when
 * the handler is called, and where every message ends.
 */
#include <inttypes.h>
#include <unistd.h>

#include "support/fixture.h"

/* Between the admission of a message and its line may lie so much, and for another one nothing. */
#define LINE_LATE_MS (300 * (int64_t)slowness())

/* One call of timed.record. */
struct call {
    int64_t ms;
    unsigned attempt;
    char body[64];
};

/* What calls() read last. */
static struct call *called;
static size_t call_count;

/* A worker of timed.record on the queue, with @options of it and @chain; not yet running. Its dead
 * letters go into `other`. */
static void configure(struct fixture *f, const char *consumer, const char *options,
                      const char *chain)
{
    f->worker = worker_new(f->broker->uri,
                           "consumer: {%s}\n"
                           "dead_letter: {queue: %s}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: timed.record\n"
                           "    options: {path: calls, broken: broken, %s}\n"
                           "    middleware: %s\n",
                           consumer, f->other, f->queue, options, chain);
}

static void stop(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
}

static void break_handler(struct fixture *f)
{
    free(write_file(f->worker->directory, "broken", ""));
}

static void mend_handler(struct fixture *f)
{
    char *broken = worker_path(f->worker, "broken");

    assert_int_equal(unlink(broken), 0);
    free(broken);
}

/* Read what the handler wrote so far. @return how many calls */
static size_t calls(struct fixture *f)
{
    char *path = worker_path(f->worker, "calls");
    char *content = read_file(path, NULL);
    size_t count = 0;

    free(called);
    called = calloc(count_lines(path) + 1, sizeof *called);
    assert_non_null(called);
    for (char *line = content; line && strchr(line, '\n'); line = strchr(line, '\n') + 1) {
        struct call *call = &called[count++];

        assert_int_equal(
            sscanf(line, "%" SCNd64 " %u %63[^\n]", &call->ms, &call->attempt, call->body), 3);
    }
    call_count = count;
    free(content);
    free(path);
    return count;
}

static void assert_settled(struct fixture *f, long acked, long rejected)
{
    assert_int_equal(worker_number(f->worker, "stopped", "acked"), acked);
    assert_int_equal(worker_number(f->worker, "stopped", "rejected"), rejected);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == rejected, PATIENCE_MS));
}

/* ---- retry ---- */

#define DELAYS 300

/* The call @index's due time, if it was a first attempt whose body began with the delay. */
static int64_t due_ms(const struct call *call)
{
    return call->ms + strtoll(call->body, NULL, 10);
}

static const struct call *first_attempt(const char *body)
{
    for (size_t i = 0; i < call_count; i++) {
        if (called[i].attempt == 1 && strcmp(called[i].body, body) == 0)
            return &called[i];
    }
    fail_msg("%s was never attempted", body);
    return NULL;
}

/* 300 messages ask for delays of up to 2 s in no order: each comes again once, not before its
 * time, soon after it, and in the order of their times. */
static void delays_are_kept_in_order(void **state)
{
    struct fixture *f = *state;
    int64_t latest_ms = 0;
    size_t again = 0;

    peer_declare(f->peer, f->queue, "classic");
    for (int i = 0; i < DELAYS; i++) {
        char *body = text("%d-%d", i * 7919 % 2000, i);

        peer_publish(f->peer, "", f->queue, body, strlen(body), NULL);
        free(body);
    }
    configure(f, "prefetch: 1000, concurrency: 1", "obey: true", "[log, retry, recover]");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(calls(f) == 2 * DELAYS, PATIENCE_MS));
    for (size_t i = 0; i < call_count; i++) {
        const struct call *call = &called[i];
        int64_t due;

        if (call->attempt == 1)
            continue;
        assert_int_equal(call->attempt, 2);
        due = due_ms(first_attempt(call->body));
        assert_true(call->ms >= due);
        /* The clock was read by the handler, and again by warren. */
        assert_true(due + LINE_LATE_MS >= latest_ms);
        latest_ms = due > latest_ms ? due : latest_ms;
        again++;
    }
    assert_int_equal(again, DELAYS);
    stop(f);
    assert_settled(f, DELAYS, 0);
}

/* A poison message is attempted as often as it may be and ends in the dead-letter queue; the
 * others are attempted once. */
static void poison_is_dead_lettered(struct fixture *f, const char *type)
{
    struct peer_message dead;
    unsigned attempt = 0;

    peer_declare(f->peer, f->queue, type);
    peer_publish_many(f->peer, f->queue, "m", 20);
    configure(f, "concurrency: 4", "poison: m-7",
              "[log, {retry: {policy: constant, initial_delay: 20ms, max_attempts: 4}}, recover]");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 1, PATIENCE_MS));
    stop(f);
    assert_int_equal(calls(f), 19 + 4);
    for (size_t i = 0; i < call_count; i++) {
        if (strcmp(called[i].body, "m-7") == 0)
            assert_int_equal(called[i].attempt, ++attempt);
        else
            assert_int_equal(called[i].attempt, 1);
    }
    assert_int_equal(attempt, 4);
    worker_expect_logged(f->worker, "outcome=reject",
                         "gave up after 4 attempts: failed as the test wants", 1);
    assert_settled(f, 19, 1);
    assert_true(peer_get(f->peer, f->other, &dead));
    assert_string_equal(dead.body, "m-7");
    assert_string_equal(dead.message_id, "m-7");
    peer_message_done(&dead);
}

static void poison_leaves_a_classic_queue(void **state)
{
    poison_is_dead_lettered(*state, "classic");
}

static void poison_leaves_a_quorum_queue(void **state)
{
    poison_is_dead_lettered(*state, "quorum");
}

#define STORM 2000

/* How many of the messages "m-0" and so on had an attempt after their @fail_first. */
static unsigned succeeded(struct fixture *f, unsigned count, unsigned fail_first)
{
    bool *seen = calloc(count, sizeof *seen);
    unsigned distinct = 0;
    unsigned number;

    assert_non_null(seen);
    calls(f);
    for (size_t i = 0; i < call_count; i++) {
        assert_int_equal(sscanf(called[i].body, "m-%u", &number), 1);
        assert_true(number < count);
        if (called[i].attempt <= fail_first || seen[number])
            continue;
        seen[number] = true;
        distinct++;
    }
    free(seen);
    return distinct;
}

/* 2,000 messages that each fail three times, with room for few of them to wait: every one is
 * handled at last and none given up. */
static void a_storm_loses_none(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "quorum");
    peer_publish_many(f->peer, f->queue, "m", STORM);
    configure(f, "prefetch: 100, concurrency: 4", "fail_first: 3",
              "[log, {retry: {initial_delay: 10ms, max_delay: 100ms, max_attempts: 20}}, recover]");
    worker_consume(f->worker, 1);
    if (!WAIT_FOR(succeeded(f, STORM, 3) == STORM, 3 * PATIENCE_MS))
        fail_msg("%u of %d are handled", succeeded(f, STORM, 3), STORM);
    stop(f);
    print_message("%d messages, 3 failures each: %zu attempts, lost 0\n", STORM, calls(f));
    assert_settled(f, STORM, 0);
}

/* ---- breaker ---- */

#define OPEN_MS 200

/* Three failures open it; it stays open for 200 ms each time. */
#define BREAKER                                                                                    \
    "breaker: {consecutive: 3, failure_percent: 0, open_time: 200ms, max_open_time: 200ms, "
#define RETRY_SOON "retry: {policy: constant, jitter: none, initial_delay: 10ms, "

static void wait_for_probes(struct fixture *f, int probes)
{
    if (!WAIT_FOR(worker_logged(f->worker, "breaker half-open", NULL) >= probes, PATIENCE_MS))
        fail_msg("there are no %d probes:\n%s", probes, proc_stderr(f->worker->proc));
}

/* What fails pauses the queue: nothing is called but a probe each time the open time is over, all
 * messages stay on the broker, and when a probe succeeds all are handled. */
static void a_breaker_pauses_and_resumes(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    peer_publish_many(f->peer, f->queue, "m", 50);
    configure(f, "prefetch: 10, concurrency: 1", "fail_first: 0",
              "[log, {" RETRY_SOON "max_attempts: 0}}, {" BREAKER "on_open: pause}}, recover]");
    break_handler(f);
    worker_consume(f->worker, 1);
    wait_for_probes(f, 4);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) + peer_count(f->peer, f->queue) == 50,
                         PATIENCE_MS));
    calls(f);
    assert_true(call_count >= 5);
    for (size_t i = 3; i < call_count; i++)
        assert_true(called[i].ms - called[i - 1].ms >= OPEN_MS - 2);
    mend_handler(f);
    assert_true(WAIT_FOR(worker_logged(f->worker, "breaker closed", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_messages(f->broker, f->queue) == 0, PATIENCE_MS));
    stop(f);
    assert_int_equal(succeeded(f, 50, 0), 50);
    assert_settled(f, 50, 0);
}

/* With on_open retry each message comes back later, and being turned away is no attempt: the
 * attempts at each message are numbered without a gap. */
static void a_breaker_retries_later(void **state)
{
    struct fixture *f = *state;
    unsigned attempts[20] = {0};

    peer_declare(f->peer, f->queue, "classic");
    peer_publish_many(f->peer, f->queue, "m", 20);
    configure(f, "prefetch: 100, concurrency: 1", "fail_first: 0",
              "[log, {" RETRY_SOON "max_attempts: 0}}, {" BREAKER "on_open: retry}}, recover]");
    break_handler(f);
    worker_consume(f->worker, 1);
    wait_for_probes(f, 4);
    mend_handler(f);
    assert_true(WAIT_FOR(worker_logged(f->worker, "breaker closed", NULL) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    stop(f);
    assert_int_equal(succeeded(f, 20, 0), 20);
    for (size_t i = 0; i < call_count; i++) {
        unsigned number = (unsigned)strtoul(called[i].body + 2, NULL, 10);

        assert_int_equal(called[i].attempt, ++attempts[number]);
    }
    assert_settled(f, 20, 0);
}

/* With on_open dead-letter each message is dead-lettered, and the handler not called. */
static void a_breaker_dead_letters_at_once(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    peer_publish_many(f->peer, f->queue, "m", 20);
    configure(
        f, "concurrency: 1", "fail_first: 0",
        "[log, retry, {breaker: {consecutive: 3, open_time: 1m, on_open: dead-letter}}, recover]");
    break_handler(f);
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 20, PATIENCE_MS));
    stop(f);
    assert_int_equal(calls(f), 3);
    worker_expect_logged(f->worker, "breaker opened", f->queue, 1);
    assert_settled(f, 0, 20);
}

/* ---- rate limit ---- */

/* From any call on, within any time, no more than burst + rate; and not much less in all. */
static void assert_rate(int64_t per_second, int64_t burst)
{
    int64_t took_ms = called[call_count - 1].ms - called[0].ms;
    int64_t planned_ms = ((int64_t)call_count - burst) * 1000 / per_second;

    for (size_t i = 0; i < call_count; i++) {
        for (size_t j = i; j < call_count; j++) {
            int64_t within_ms = called[j].ms - called[i].ms + LINE_LATE_MS;

            assert_true((int64_t)(j - i + 1) <= burst + within_ms * per_second / 1000);
        }
    }
    assert_in_range(took_ms, planned_ms - LINE_LATE_MS, planned_ms * 3 / 2 + 10 * LINE_LATE_MS);
}

/* 100 messages a second, 10 of them at once: in every part of the run. */
static void a_rate_is_held(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    peer_publish_many(f->peer, f->queue, "m", 210);
    configure(f, "concurrency: 4", "fail_first: 0", "[log, {rate_limit: {rate: 100, burst: 10}}]");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(calls(f) == 210, PATIENCE_MS));
    stop(f);
    assert_rate(100, 10);
    assert_settled(f, 210, 0);
}

/* The same one by one. */
static void an_even_rate_is_held(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->queue, "classic");
    peer_publish_many(f->peer, f->queue, "m", 100);
    configure(f, "concurrency: 4", "fail_first: 0", "[log, {rate_limit: {rate: 50, kind: leaky}}]");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(calls(f) == 100, PATIENCE_MS));
    stop(f);
    assert_rate(50, 1);
    assert_settled(f, 100, 0);
}

/* Two queues with one limit: together they keep it, and each gets its half. */
static void two_queues_share_a_rate(void **state)
{
    struct fixture *f = *state;
    unsigned first_half = 0;

    peer_declare(f->peer, f->queue, "classic");
    peer_declare(f->peer, f->other, "classic");
    peer_publish_many(f->peer, f->queue, "a", 100);
    peer_publish_many(f->peer, f->other, "b", 100);
    f->worker = worker_new(f->broker->uri,
                           "middleware: {rate_limit: {rate: 100, burst: 1, name: bank}}\n"
                           "subscriptions:\n"
                           "  - {queue: %s, handler: timed.record, options: {path: calls}}\n"
                           "  - {queue: %s, handler: timed.record, options: {path: calls}}\n",
                           f->queue, f->other);
    worker_consume(f->worker, 2);
    assert_true(WAIT_FOR(calls(f) == 200, PATIENCE_MS));
    stop(f);
    assert_rate(100, 1);
    for (size_t i = 0; i < 100; i++)
        first_half += called[i].body[0] == 'a';
    assert_in_range(first_half, 35, 65);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(delays_are_kept_in_order, NULL),
        FIXTURE_TEST(poison_leaves_a_classic_queue, NULL),
        FIXTURE_TEST(poison_leaves_a_quorum_queue, NULL),
        FIXTURE_TEST(a_storm_loses_none, NULL),
        FIXTURE_TEST(a_breaker_pauses_and_resumes, NULL),
        FIXTURE_TEST(a_breaker_retries_later, NULL),
        FIXTURE_TEST(a_breaker_dead_letters_at_once, NULL),
        FIXTURE_TEST(a_rate_is_held, NULL),
        FIXTURE_TEST(an_even_rate_is_held, NULL),
        FIXTURE_TEST(two_queues_share_a_rate, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
