/* test_traces.c - spans of real workers, as a collector gets them: one trace over two workers, a
 * failed attempt and its retry, a dead letter and its replay; and a collector that is no use.
 */
#include <signal.h>

#include "support/collector.h"
#include "support/command.h"
#include "support/fixture.h"
#include "support/letters.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

#define KIND_INTERNAL 1
#define KIND_CLIENT   3
#define KIND_PRODUCER 4
#define KIND_CONSUMER 5

static struct collector *collector;

static int setup(void **state)
{
    unsetenv("http_proxy");
    collector = collector_new();
    if (fixture_setup(state) != 0)
        return -1;
    setenv("WARREN_BROKER_URI", ((struct fixture *)*state)->broker->uri, 1);
    return 0;
}

static int teardown(void **state)
{
    int status = fixture_teardown(state);

    collector_free(collector);
    return status;
}

/* A worker of @queue whose spans go to the collector; @rest: more of the subscription, of four
 * spaces. */
static struct worker *make(struct fixture *f, const char *queue, const char *handler,
                           const char *rest)
{
    return worker_new(f->broker->uri,
                      "tracing: {endpoint: '%s', service_name: %s}\n"
                      "subscriptions:\n"
                      "  - queue: %s\n"
                      "    handler: %s\n"
                      "%s",
                      collector_url(collector), queue, queue, handler, rest);
}

static void stop(struct worker *worker)
{
    int status = worker_stop(worker);

    if (status != 0)
        fail_msg("the worker ended with %d:\n%s", status, proc_stderr(worker->proc));
}

/* Publish @body to the queue, with a traceparent unless @sampled is below 0. */
static void publish_traced(struct fixture *f, const char *body, int sampled)
{
    amqp_table_entry_t header = {.key = amqp_cstring_bytes("traceparent")};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes("m-1")};

    header.value.kind = AMQP_FIELD_KIND_UTF8;
    header.value.value.bytes =
        amqp_cstring_bytes(sampled ? "00-" TRACE "-" PARENT "-01" : "00-" TRACE "-" PARENT "-00");
    if (sampled >= 0) {
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = (amqp_table_t){1, &header};
    }
    peer_publish(f->peer, "", f->queue, body, strlen(body), &properties);
}

/* ---- looking at spans ---- */

/* The span "OPERATION QUEUE", of which there are @count. */
static const json_t *span_of(const char *operation, const char *queue, size_t index, size_t count)
{
    char *name = text("%s %s", operation, queue);
    const json_t *span;

    if (collector_named(collector, name) != count)
        fail_msg("%zu spans \"%s\", not %zu", collector_named(collector, name), name, count);
    span = collector_span(collector, name, index);
    free(name);
    return span;
}

static void assert_child(const json_t *span, const char *trace, const char *parent, int kind)
{
    assert_string_equal(span_member(span, "traceId"), trace);
    assert_string_equal(span_member(span, "parentSpanId"), parent);
    assert_int_equal(json_integer_value(json_object_get(span, "kind")), kind);
    assert_true(strtoull(span_member(span, "startTimeUnixNano"), NULL, 10) >
                UINT64_C(1600000000000000000));
    assert_true(strtoull(span_member(span, "endTimeUnixNano"), NULL, 10) >=
                strtoull(span_member(span, "startTimeUnixNano"), NULL, 10));
}

static const char *id_of(const json_t *span)
{
    return span_member(span, "spanId");
}

/* The one link of @span is to @cause. */
static void assert_linked(const json_t *span, const json_t *cause)
{
    const json_t *links = json_object_get(span, "links");

    assert_int_equal(json_array_size(links), 1);
    assert_string_equal(span_member(json_array_get(links, 0), "spanId"), id_of(cause));
    assert_string_equal(span_member(json_array_get(links, 0), "traceId"),
                        span_member(cause, "traceId"));
}

/* ---- the way of a message ---- */

/* From a traced message through a worker that publishes to the worker that gets that. */
static void one_trace_goes_through_two_workers(void **state)
{
    struct fixture *f = *state;
    const json_t *process, *publish;
    char *options;

    peer_declare(f->peer, f->other, "classic");
    options = text("    options: {to: %s}\n", f->other);
    f->worker = make(f, f->queue, "probe.forward", options);
    f->second = make(f, f->other, "probe.record", "    options: {path: record}\n");
    free(options);
    worker_consume(f->worker, 1);
    worker_consume(f->second, 1);
    publish_traced(f, "hello", 1);
    f->record = worker_path(f->second, "record");
    assert_true(WAIT_FOR(count_lines(f->record) == 1, PATIENCE_MS));
    stop(f->worker);
    stop(f->second);

    assert_child(span_of("receive", f->queue, 0, 1), TRACE, PARENT, KIND_CLIENT);
    process = span_of("process", f->queue, 0, 1);
    assert_child(process, TRACE, PARENT, KIND_CONSUMER);
    assert_string_equal(span_attribute(process, "messaging.message.id"), "m-1");
    assert_string_equal(span_attribute(process, "messaging.message.body.size"), "5");
    assert_string_equal(span_attribute(process, "messaging.destination.name"), f->queue);
    assert_string_equal(span_attribute(process, "warren.handler"), "probe.forward");
    assert_string_equal(span_attribute(process, "warren.outcome"), "ack");
    assert_string_equal(span_attribute(process, "server.address"), "127.0.0.1");
    assert_child(span_of("ack", f->queue, 0, 1), TRACE, id_of(process), KIND_CLIENT);
    publish = span_of("publish", f->other, 0, 1);
    assert_child(publish, TRACE, id_of(process), KIND_PRODUCER);
    assert_string_not_equal(span_attribute(publish, "messaging.message.id"), "");
    assert_child(span_of("receive", f->other, 0, 1), TRACE, id_of(publish), KIND_CLIENT);
    process = span_of("process", f->other, 0, 1);
    assert_child(process, TRACE, id_of(publish), KIND_CONSUMER);
    assert_child(span_of("ack", f->other, 0, 1), TRACE, id_of(process), KIND_CLIENT);
    assert_int_equal(collector_count(collector), 7);
}

/* Who is not sampled has no spans, and neither has what it publishes. */
static void an_unsampled_message_has_none(void **state)
{
    struct fixture *f = *state;
    char *options = text("    options: {to: %s}\n", f->other);
    const amqp_field_value_t *value;
    struct peer_message message;

    peer_declare(f->peer, f->other, "classic");
    f->worker = make(f, f->queue, "probe.forward", options);
    free(options);
    worker_consume(f->worker, 1);
    publish_traced(f, "hello", 0);
    assert_true(WAIT_FOR(peer_count(f->peer, f->other) == 1, PATIENCE_MS));
    stop(f->worker);
    assert_int_equal(collector_count(collector), 0);
    assert_true(peer_get(f->peer, f->other, &message));
    value = letter_header(&message, "traceparent");
    assert_non_null(value);
    assert_int_equal(value->value.bytes.len, 55);
    assert_memory_equal(value->value.bytes.bytes, "00-" TRACE, 35);
    assert_memory_equal((char *)value->value.bytes.bytes + 52, "-00", 3);
    peer_message_done(&message);
}

/* The ratio decides of messages without a trace; 0 is none, and says so to whoever comes after. */
static void a_ratio_of_0_samples_nothing(void **state)
{
    struct fixture *f = *state;

    f->worker = make(f, f->queue, "probe.record", "    options: {path: record}\n");
    WORKER_RUN(f->worker, "tracing.ratio=0");
    publish_traced(f, "hello", -1);
    f->record = worker_path(f->worker, "record");
    assert_true(fixture_recorded(f, 1));
    stop(f->worker);
    assert_int_equal(collector_count(collector), 0);
}

/* ---- failures ---- */

/* In memory, or by a copy: the second attempt is in the same trace, and links to the first. */
static void expect_a_retry(struct fixture *f, const char *retry, bool copied)
{
    const json_t *first, *second, *receive;
    char *rest = text("    options: {path: record, fail_first: 1}\n"
                      "    middleware: [trace, retry: {policy: constant, jitter: none, "
                      "initial_delay: 10ms, %s}]\n",
                      retry);

    f->worker = make(f, f->queue, "probe.record", rest);
    free(rest);
    worker_consume(f->worker, 1);
    publish_traced(f, "hello", -1);
    f->record = worker_path(f->worker, "record");
    assert_true(fixture_recorded(f, 2));
    stop(f->worker);

    first = span_of("process", f->queue, 0, 2);
    second = span_of("process", f->queue, 1, 2);
    receive = span_of("receive", f->queue, 0, copied ? 2 : 1);
    assert_child(receive, span_member(first, "traceId"), "", KIND_CLIENT);
    assert_child(first, span_member(receive, "traceId"), id_of(receive), KIND_CONSUMER);
    assert_string_equal(span_attribute(first, "error.type"), "error");
    assert_string_equal(span_attribute(first, "warren.attempt"), "1");
    assert_child(span_of("retry", f->queue, 0, 1), span_member(first, "traceId"), id_of(first),
                 copied ? KIND_CLIENT : KIND_INTERNAL);
    assert_string_equal(span_attribute(second, "warren.attempt"), "2");
    assert_string_equal(span_attribute(second, "error.type"), "");
    assert_linked(second, first);
    if (copied) {
        receive = span_of("receive", f->queue, 1, 2);
        assert_child(receive, span_member(first, "traceId"), id_of(first), KIND_CLIENT);
    }
    assert_child(second, span_member(first, "traceId"), id_of(receive), KIND_CONSUMER);
    assert_child(span_of("ack", f->queue, copied ? 1 : 0, copied ? 2 : 1),
                 span_member(first, "traceId"), id_of(second), KIND_CLIENT);
}

static void a_retry_in_memory_links_to_the_first_attempt(void **state)
{
    expect_a_retry(*state, "in_memory_max: 30s", false);
}

static void so_does_one_by_a_copy(void **state)
{
    expect_a_retry(*state, "in_memory_max: 0ms", true);
}

/* A dead letter knows the attempt that failed, and so does its replay. */
static void a_replay_links_to_what_died(void **state)
{
    struct fixture *f = *state;
    const json_t *first, *dead, *second;
    struct command command;
    char *target = text("%s.dlx", f->queue);

    f->worker = make(f, f->queue, "probe.record", "    options: {path: record, outcome: reject}\n");
    worker_consume(f->worker, 1);
    publish_traced(f, "hello", 1);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 1, PATIENCE_MS));
    stop(f->worker);
    first = span_of("process", f->queue, 0, 1);
    assert_string_equal(span_attribute(first, "error.type"), "rejected");
    dead = span_of("dead_letter", target, 0, 1);
    assert_child(dead, TRACE, id_of(first), KIND_CLIENT);
    assert_string_equal(span_attribute(dead, "warren.reason"), "rejected");
    assert_child(span_of("ack", f->queue, 0, 1), TRACE, id_of(first), KIND_CLIENT);

    f->second = make(f, f->queue, "probe.record", "    options: {path: record}\n");
    worker_consume(f->second, 1);
    command = COMMAND("dlq", "replay", f->queue, "all");
    command_expect(&command, 0);
    command_done(&command);
    f->record = worker_path(f->second, "record");
    assert_true(fixture_recorded(f, 1));
    stop(f->second);
    second = span_of("process", f->queue, 1, 2);
    assert_child(second, TRACE, PARENT, KIND_CONSUMER);
    assert_linked(second, first);
    free(target);
}

/* ---- a collector that is no use ---- */

#define MESSAGES 2000

static int told(const struct fixture *f, const char *words)
{
    return worker_logged(f->worker, "traces: the collector takes no spans", words);
}

/* All messages are handled, the end is as prompt as ever, and what is lost is told.
 *
 * @answers  the collector does; the worker ends after it did, else it would say that it was stopped
 */
static void expect_nothing_but_lost_spans(struct fixture *f, const char *words, bool answers)
{
    f->worker = make(f, f->queue, "probe.record", "    options: {path: record}\n");
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "m", MESSAGES);
    f->record = worker_path(f->worker, "record");
    assert_true(fixture_recorded(f, MESSAGES));
    assert_true(!answers || WAIT_FOR(told(f, words) > 0, PATIENCE_MS));
    stop(f->worker);
    assert_int_equal(count_lines(f->record), MESSAGES);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(collector_count(collector), 0);
    if (told(f, words) == 0)
        fail_msg("nothing is told:\n%s", proc_stderr(f->worker->proc));
    if (worker_number(f->worker, "traces: the collector takes no spans", "lost") <= 0)
        fail_msg("nothing is lost:\n%s", proc_stderr(f->worker->proc));
}

static void one_that_is_gone_costs_nothing(void **state)
{
    collector_go_away(collector);
    expect_nothing_but_lost_spans(*state, "127.0.0.1", false);
}

static void one_that_hangs_costs_nothing(void **state)
{
    collector_set(collector, COLLECTOR_HANGS, 0);
    expect_nothing_but_lost_spans(*state, "127.0.0.1", false);
}

static void one_that_fails_costs_nothing(void **state)
{
    collector_set(collector, COLLECTOR_ANSWERS, 500);
    expect_nothing_but_lost_spans(*state, "it answers 500", true);
}

static void one_that_says_too_much_costs_nothing(void **state)
{
    collector_set(collector, COLLECTOR_HUGE, 0);
    expect_nothing_but_lost_spans(*state, "127.0.0.1", false);
}

/* ---- configuration ---- */

/* One clear error at the start. */
static void a_wrong_address_is_refused(void **state)
{
    struct fixture *f = *state;
    struct command command;

    f->worker = make(f, f->queue, "probe.record", "    options: {path: record}\n");
    command = COMMAND("run", "-c", f->worker->config, "--set", "tracing.endpoint=collector:4318");
    command_expect(&command, 2);
    assert_has(command.err, "--set tracing.endpoint: expected the address of a collector");
    command_done(&command);
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, "classic")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_trace_goes_through_two_workers),
        TEST(an_unsampled_message_has_none),
        TEST(a_ratio_of_0_samples_nothing),
        TEST(a_retry_in_memory_links_to_the_first_attempt),
        TEST(so_does_one_by_a_copy),
        TEST(a_replay_links_to_what_died),
        TEST(one_that_is_gone_costs_nothing),
        TEST(one_that_hangs_costs_nothing),
        TEST(one_that_fails_costs_nothing),
        TEST(one_that_says_too_much_costs_nothing),
        TEST(a_wrong_address_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
