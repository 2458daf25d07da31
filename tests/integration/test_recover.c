/* test_recover.c - the chain around a handler on a real broker: panics, time limits, traces. */
#include "support/fixture.h"

#define ATTEMPTS 3

#define TRACE_ID    "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT_ID   "00f067aa0ba902b7"
#define TRACEPARENT "00-" TRACE_ID "-" PARENT_ID "-01"
#define TRACESTATE  "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"

/* A worker with fragile.run in the chain @chain, on a quorum queue with dead letters. */
static void start(struct fixture *fixture, const char *chain)
{
    const amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-dead-letter-exchange"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_empty_bytes}},
        {.key = amqp_cstring_bytes("x-dead-letter-routing-key"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(fixture->dlq)}}};

    peer_declare(fixture->peer, fixture->dlq, "classic");
    peer_declare(fixture->peer, fixture->other, "classic");
    peer_declare_with(fixture->peer, fixture->queue, "quorum", arguments, 2);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: fragile.run\n"
                                 "    options: {path: record, to: %s}\n"
                                 "    middleware: [%s]\n",
                                 fixture->queue, fixture->other, chain);
    fixture->record = worker_path(fixture->worker, "record");
    worker_consume(fixture->worker, 1);
}

static int recorded(const struct fixture *fixture, const char *line)
{
    char *all = read_file(fixture->record, NULL);
    int count = 0;

    for (const char *at = all; at && (at = strstr(at, line)); at += strlen(line))
        count += at == all || at[-1] == '\n';
    free(all);
    return count;
}

static void assert_recorded(const struct fixture *fixture, int times, const char *line)
{
    int count = recorded(fixture, line);

    if (count != times)
        fail_msg("%d times, not %d: %s", count, times, line);
}

/* ---- recover ---- */

#define CHAIN_RECOVER "log, {retry: {policy: immediate, max_attempts: 3}}, recover"

/* A message whose handler panics, from 100 frames deep, is tried again and then dead; every other
 * one of the same window is handled once, by the same process. */
static void a_panic_costs_its_own_message_alone(void **state)
{
    static const char error[] = "is 100 frames too deep\"";
    const int messages = 40, every = 8, bad = messages / every;
    struct fixture *fixture = *state;
    struct peer_message dead;
    char line[64];

    start(fixture, CHAIN_RECOVER);
    for (int i = 0; i < messages; i++) {
        snprintf(line, sizeof line, "m-%d", i);
        fixture_publish(fixture, line, i % every == 0 ? "panic" : "good");
    }
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == bad, PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->other) == messages - bad, PATIENCE_MS));
    for (int i = 0; i < messages; i++) {
        for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
            bool is_bad = i % every == 0;

            snprintf(line, sizeof line, "m-%d\t%d\t%s\n", i, attempt, is_bad ? "panic" : "good");
            assert_recorded(fixture, is_bad || attempt == 1, line);
        }
    }
    assert_int_equal(count_lines(fixture->record), messages - bad + bad * ATTEMPTS);
    worker_expect_logged(fixture->worker, "handler panicked", error, bad * ATTEMPTS);
    worker_expect_logged(fixture->worker, "message handled", "outcome=reject", bad);
    fixture_stop_and_expect(fixture, 0, bad);
    assert_true(peer_get(fixture->peer, fixture->dlq, &dead));
    assert_string_equal(dead.body, "panic");
    peer_message_done(&dead);
}

/* ---- deadline ---- */

#define CHAIN_DEADLINE                                                                             \
    "log, {retry: {policy: immediate, max_attempts: 2}}, {deadline: {limit: 150ms}}, recover"

/* A handler hears that its time is over by descriptor, flag and clock. What it has done late stays
 * done, and is reported. */
static void a_late_effect_stays_done(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, CHAIN_DEADLINE);
    fixture_publish(fixture, "late", "wait");
    fixture_publish(fixture, "quick", "good");
    assert_true(WAIT_FOR(count_lines(fixture->record) == 3, PATIENCE_MS));
    assert_recorded(fixture, 1, "late\treadable\tcancelled\tover\n");
    assert_recorded(fixture, 1, "quick\t1\tgood\n");
    fixture_stop_and_expect(fixture, 0, 0);
    worker_expect_logged(fixture->worker, "message handled after its time limit", NULL, 1);
    worker_expect_logged(fixture->worker, "message handled after its time limit",
                         "message_id=late outcome=ack limit=150ms", 1);
}

#define PASSED "time limit of 150ms passed"

/* Past the limit a failed attempt names it; the next one has a limit of its own. */
static void a_late_failure_names_the_limit(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, CHAIN_DEADLINE);
    fixture_publish(fixture, "slow", "wait retry");
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == 1, PATIENCE_MS));
    assert_recorded(fixture, 2, "slow\treadable\tcancelled\tover\n");
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "outcome=retry", PASSED) == 1, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "outcome=reject", PASSED) == 1, PATIENCE_MS));
    fixture_stop_and_expect(fixture, 0, 1);
}

/* A limit above what the broker grants by default is warned of, at the start and by a check. */
static void a_limit_above_the_brokers_is_warned_of(void **state)
{
    struct fixture *fixture = *state;
    struct proc *check;

    start(fixture, "log, {deadline: {limit: 31m}}, recover");
    worker_expect_logged(fixture->worker, "level=warn", "limit=31m consumer_timeout=30m", 1);
    fixture_stop_and_expect(fixture, 0, 0);
    check = WARREN("check", "-c", fixture->worker->config);
    assert_int_equal(proc_wait(check, PATIENCE_MS), 0);
    assert_non_null(strstr(proc_stderr(check), "limit=31m consumer_timeout=30m"));
    proc_free(check);
}

/* ---- trace ---- */

#define CHAIN_TRACE "{log: {acked: info}}, trace, recover"

static void publish_traced(struct fixture *fixture, const char *traceparent)
{
    amqp_table_entry_t headers[] = {
        {.key = amqp_cstring_bytes("traceparent"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(traceparent)}},
        {.key = amqp_cstring_bytes("tracestate"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(TRACESTATE)}}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {.num_entries = 2, .entries = headers}};

    peer_publish(fixture->peer, "", fixture->queue, "go on", 5, &properties);
}

/* The text of a header; "" if it is not there. The caller frees. */
static char *header(const struct peer_message *message, const char *name)
{
    const amqp_table_t *headers = &message->properties->headers;

    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];

        if (entry->key.len == strlen(name) && memcmp(entry->key.bytes, name, strlen(name)) == 0)
            return text("%.*s", (int)entry->value.value.bytes.len,
                        (const char *)entry->value.value.bytes.bytes);
    }
    return text("%s", "");
}

static void take_forwarded(struct fixture *fixture, struct peer_message *message)
{
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->other) == 1, PATIENCE_MS));
    assert_true(peer_get(fixture->peer, fixture->other, message));
}

/* What the handler publishes belongs to the same trace, as a child of the job; the log line names
 * the job's span. */
static void a_trace_goes_through_the_handler(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message forwarded;
    char *parent, *tracestate, *logged;

    start(fixture, CHAIN_TRACE);
    publish_traced(fixture, TRACEPARENT);
    take_forwarded(fixture, &forwarded);
    parent = header(&forwarded, "traceparent");
    tracestate = header(&forwarded, "tracestate");
    logged = text("traceparent=%s", parent);
    assert_int_equal(strlen(parent), strlen(TRACEPARENT));
    assert_memory_equal(parent, "00-" TRACE_ID "-", 36);
    assert_memory_not_equal(parent + 36, PARENT_ID, 16);
    assert_string_equal(parent + 52, "-01");
    assert_string_equal(tracestate, TRACESTATE);
    peer_message_done(&forwarded);
    fixture_stop_and_expect(fixture, 0, 0);
    worker_expect_logged(fixture->worker, "message handled", logged, 1);
    free(parent);
    free(tracestate);
    free(logged);
}

/* A traceparent that is none goes no further. */
static void a_malformed_trace_ends_here(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message forwarded;
    char *parent, *tracestate;

    start(fixture, CHAIN_TRACE);
    publish_traced(fixture, "00-" TRACE_ID "-0000000000000000-01");
    take_forwarded(fixture, &forwarded);
    parent = header(&forwarded, "traceparent");
    tracestate = header(&forwarded, "tracestate");
    assert_string_equal(parent, "");
    assert_string_equal(tracestate, "");
    peer_message_done(&forwarded);
    fixture_stop_and_expect(fixture, 0, 0);
    free(parent);
    free(tracestate);
}

#define T(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_panic_costs_its_own_message_alone), T(a_late_effect_stays_done),
        T(a_late_failure_names_the_limit),      T(a_limit_above_the_brokers_is_warned_of),
        T(a_trace_goes_through_the_handler),    T(a_malformed_trace_ends_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
