/* test_job.c - what a handler reads from a job and does with it; the publisher is the test's. */
#include <math.h>

#include "amqp/wire/properties.h"
#include "consume/job/job.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct warren_job *job;
    struct attempt *attempt;
    struct attempt *settled_late;
};

/* What the publisher was last asked, and how it answers. */
static struct {
    enum warren_status answer;
    struct warren_publish publish;
    struct warren_properties properties;
    const struct arena *texts;
    char routing_key[64];
    size_t key_len;
    size_t correlation_len;
    size_t headers_seen;
    char tenant[64];
    char traceparent[64];
    char tracestate[64];
    int64_t delay_ms;
    int64_t most_ms;
    warren_receipt_fn *on_receipt;
    void *user;
} published;

/* The headers live only during the call. */
static void copy_header(const struct warren_table *headers, const char *name, char text[64])
{
    const struct warren_value *value = warren_table_get(headers, name);

    snprintf(text, 64, "%.*s", value ? (int)value->as.bytes.len : 0,
             value ? (const char *)value->as.bytes.data : "");
}

static enum warren_status take_published(struct warren_publisher *publisher,
                                         const struct warren_publish *publish,
                                         const struct arena *texts, int64_t delay_ms,
                                         int64_t most_ms, warren_receipt_fn *on_receipt, void *user)
{
    assert_non_null(publisher);
    published.texts = texts;
    published.delay_ms = delay_ms;
    published.most_ms = most_ms;
    published.publish = *publish;
    published.properties = publish->message->properties;
    published.headers_seen = published.properties.headers.count;
    copy_header(&published.properties.headers, "tenant", published.tenant);
    copy_header(&published.properties.headers, "traceparent", published.traceparent);
    copy_header(&published.properties.headers, "tracestate", published.tracestate);
    published.key_len = arena_bytes(texts, publish->routing_key).len;
    published.correlation_len = arena_bytes(texts, published.properties.correlation_id).len;
    strncpy(published.routing_key, publish->routing_key, sizeof published.routing_key - 1);
    published.on_receipt = on_receipt;
    published.user = user;
    return published.answer;
}

static void settled_late(void *user, struct attempt *attempt)
{
    struct rig *rig = user;

    rig->settled_late = attempt;
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    memset(&published, 0, sizeof published);
    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){.queue = "payments",
                                      .handler = "p.charge",
                                      .publish = take_published,
                                      .publisher = (void *)rig,
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms,
                                      .broker_counts = true,
                                      .settled = settled_late,
                                      .user = rig};
    rig->job = job_new(&rig->source);
    *state = rig;
    return rig->job ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    job_free(rig->job);
    attempt_free(rig->attempt);
    free(rig);
    return 0;
}

/* A delivery with these properties and this body becomes the job's. */
static void begin_whole(struct rig *rig, const struct warren_properties *properties,
                        const struct arena *texts, struct warren_bytes key, const char *body)
{
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;

    arena_init(&scratch);
    buffer_init(&out, 65536);
    assert_int_equal(properties_encode(properties, texts, 65536, &scratch, &out, NULL), WARREN_OK);
    encoded.data = buffer_front(&out);
    encoded.len = buffer_len(&out);
    rig->attempt = attempt_new(warren_text("shop"), key, encoded, strlen(body));
    assert_non_null(rig->attempt);
    memcpy(delivery_body(&rig->attempt->delivery), body, strlen(body));
    buffer_done(&out);
    arena_done(&scratch);
    job_begin(rig->job, rig->attempt, clock_now_ns(&rig->clock.clock));
}

static void begin(struct rig *rig, const struct warren_properties *properties, const char *body)
{
    begin_whole(rig, properties, NULL, warren_text("eu.de"), body);
}

static const struct warren_properties no_properties;

/* Body, origin and properties are those of the delivery. */
static void the_message_is_readable(void **state)
{
    struct rig *rig = *state;
    struct warren_field header = warren_field_text("tenant", "acme");
    struct warren_properties properties = {
        .content_type = "text/plain", .message_id = "m-1", .headers = {&header, 1}};
    const struct warren_value *tenant;

    begin(rig, &properties, "hello");
    assert_int_equal(warren_job_body(rig->job).len, 5);
    assert_memory_equal(warren_job_body(rig->job).data, "hello", 5);
    assert_string_equal(warren_job_queue(rig->job), "payments");
    assert_string_equal(warren_job_exchange(rig->job), "shop");
    assert_string_equal(warren_job_routing_key(rig->job), "eu.de");
    assert_string_equal(warren_job_properties(rig->job)->message_id, "m-1");
    assert_string_equal(warren_job_properties(rig->job)->content_type, "text/plain");
    assert_null(warren_job_properties(rig->job)->reply_to);
    tenant = warren_job_header(rig->job, "tenant");
    assert_non_null(tenant);
    assert_int_equal(tenant->as.bytes.len, 4);
    assert_memory_equal(tenant->as.bytes.data, "acme", 4);
    assert_null(warren_job_header(rig->job, "absent"));
}

/* Where the broker counts deliveries, its count is the attempt; it may be 0 on the first. */
static void the_attempt_is_the_brokers_count(void **state)
{
    struct rig *rig = *state;
    struct warren_field header = warren_field_i64("x-delivery-count", 4);
    struct warren_properties properties = {.headers = {&header, 1}};

    begin(rig, &properties, "");
    rig->attempt->delivery.redelivered = true;
    assert_int_equal(warren_job_attempt(rig->job), 5);
}

/* Where it does not, redelivered is all that is known. */
static void without_a_count_redelivered_decides(void **state)
{
    struct rig *rig = *state;

    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_attempt(rig->job), 1);
    job_begin(rig->job, rig->attempt, clock_now_ns(&rig->clock.clock));
    rig->attempt->delivery.redelivered = true;
    assert_int_equal(warren_job_attempt(rig->job), 2);
    assert_true(warren_job_redelivered(rig->job));
}

/* A count that is no number is not believed. */
static void a_count_of_another_type_is_ignored(void **state)
{
    struct rig *rig = *state;
    struct warren_field header = warren_field_text("x-delivery-count", "4");
    struct warren_properties properties = {.headers = {&header, 1}};

    begin(rig, &properties, "");
    assert_int_equal(warren_job_attempt(rig->job), 1);
}

/* Time is unlimited until the worker drains, then it runs out, and below zero. */
static void time_left_follows_the_deadline(void **state)
{
    struct rig *rig = *state;

    begin(rig, &no_properties, "");
    assert_true(warren_job_time_left_ms(rig->job) == INT64_MAX);
    atomic_store(&rig->deadline_ms, 5300);
    assert_int_equal(warren_job_time_left_ms(rig->job), 300);
    clock_fake_advance_ms(&rig->clock, 400);
    assert_int_equal(warren_job_time_left_ms(rig->job), -100);
    assert_int_equal(warren_job_elapsed_us(rig->job), 400000);
}

/* The same in each attempt, another for another delivery or another channel's. */
static void a_seed_stands_for_the_message(void **state)
{
    struct rig *rig = *state;
    uint64_t seed;

    rig->source.seed = 7;
    begin(rig, &no_properties, "");
    rig->attempt->delivery.tag = 1;
    seed = warren_job_seed(rig->job);
    assert_true(job_end(rig->job, WARREN_RETRY));
    job_begin(rig->job, rig->attempt, 9000);
    assert_true(warren_job_seed(rig->job) == seed);
    rig->attempt->delivery.tag = 2;
    assert_true(warren_job_seed(rig->job) != seed);
    rig->attempt->delivery.tag = 1;
    rig->attempt->delivery.generation = 1;
    assert_true(warren_job_seed(rig->job) != seed);
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* A long reason is cut at 1 KiB; the next message begins without one. */
static void the_reason_of_a_failure_is_kept_for_one_message(void **state)
{
    struct rig *rig = *state;
    char longer[3000];

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    begin(rig, &no_properties, "");
    assert_null(warren_job_error(rig->job));
    warren_job_fail(rig->job, "no such card: %d", 42);
    assert_string_equal(warren_job_error(rig->job), "no such card: 42");
    warren_job_fail(rig->job, "again: %s", warren_job_error(rig->job));
    assert_string_equal(warren_job_error(rig->job), "again: no such card: 42");
    warren_job_fail(rig->job, "%s", longer);
    assert_int_equal(strlen(warren_job_error(rig->job)), 1024);
    assert_true(job_end(rig->job, WARREN_REJECT));
    job_begin(rig->job, rig->attempt, 0);
    assert_null(warren_job_error(rig->job));
}

/* Without a publish the end of the handler settles, with the handler's outcome. */
static void a_job_that_published_nothing_is_settled_at_once(void **state)
{
    struct rig *rig = *state;

    begin(rig, &no_properties, "");
    assert_non_null(warren_job_alloc(rig->job, 100));
    assert_true(job_end(rig->job, WARREN_DISCARD));
    assert_int_equal(rig->attempt->outcome, WARREN_DISCARD);
}

/* With one, the receipt settles: confirmed keeps the outcome. */
static void a_confirmed_publish_keeps_the_outcome(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};
    struct warren_receipt receipt = {.result = WARREN_CONFIRMED};

    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_OK);
    assert_false(published.publish.optional);
    assert_int_equal(published.publish.timeout_ms, 0);
    assert_false(job_end(rig->job, WARREN_ACK));
    assert_null(rig->settled_late);
    published.on_receipt(&receipt, published.user);
    assert_ptr_equal(rig->settled_late, rig->attempt);
    assert_int_equal(rig->attempt->outcome, WARREN_ACK);
}

/* A delayed message is held for as any other. */
static void a_publish_may_be_delayed(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};
    struct warren_receipt receipt = {.result = WARREN_CONFIRMED};

    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_publish_after(rig->job, "x", "k", &message, 90000), WARREN_OK);
    assert_int_equal(published.delay_ms, 90000);
    assert_false(job_end(rig->job, WARREN_ACK));
    published.on_receipt(&receipt, published.user);
    assert_ptr_equal(rig->settled_late, rig->attempt);
}

/* A message that is not confirmed makes the input come again. */
static void a_nacked_publish_means_retry(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};
    struct warren_receipt receipt = {.result = WARREN_NACKED};

    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_OK);
    published.on_receipt(&receipt, published.user);
    assert_true(job_end(rig->job, WARREN_ACK));
    assert_int_equal(rig->attempt->outcome, WARREN_RETRY);
}

/* Of each rule that a publish breaks the error says which. */
static void an_invalid_publish_says_why(void **state)
{
    struct rig *rig = *state;
    struct warren_message good = {.body = {"b", 1}};
    struct warren_message expires = {.properties.expiration = "5000", .body = {"b", 1}};
    struct warren_message without_data = {.body = {NULL, 1}};
    char name[257];
    const struct {
        const char *exchange, *key;
        const struct warren_message *message;
        int64_t delay_ms;
        const char *why;
    } rows[] = {{"x", "k", &expires, 1000, "a delayed message has no expiration"},
                {"", "", &good, 1000, "a delay needs an exchange, or a queue's name"},
                {"", "amq.rabbitmq.reply-to.g1h2", &good, 1000, "a direct reply cannot be delayed"},
                {"x", "k", &good, INT64_MAX, "is above delay.longest"},
                {name, "k", &good, 0, "the exchange's name is longer than 255 bytes"},
                {"x", name, &good, 1000, "the routing key is longer than 255 bytes"},
                {"x", "k", &without_data, 0, "the body has a length, and no data"}};

    memset(name, 'n', 256);
    name[256] = '\0';
    begin(rig, &no_properties, "");
    published.answer = WARREN_EINVAL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(warren_job_publish_after(rig->job, rows[i].exchange, rows[i].key,
                                                  rows[i].message, rows[i].delay_ms),
                         WARREN_EINVAL);
        if (!warren_job_error(rig->job) || !strstr(warren_job_error(rig->job), rows[i].why))
            fail_msg("\"%s\" is not in: %s", rows[i].why, warren_job_error(rig->job));
    }
    assert_true(job_end(rig->job, WARREN_RETRY));
}

/* A publish that was refused leaves nothing to wait for. */
static void a_refused_publish_is_not_awaited(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};

    begin(rig, &no_properties, "");
    published.answer = WARREN_ETOOBIG;
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_ETOOBIG);
    assert_true(job_end(rig->job, WARREN_ACK));
    assert_int_equal(rig->attempt->outcome, WARREN_ACK);
}

/* What no message can carry is named, for whoever reads why the attempt failed. */
static void a_field_that_cannot_be_published_is_named(void **state)
{
    struct rig *rig = *state;
    struct warren_field share = {"share", {.type = WARREN_F64, .as.real = HUGE_VAL}};
    struct warren_message message = {.properties.headers = {&share, 1}};

    begin(rig, &no_properties, "");
    published.answer = WARREN_EINVAL;
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_EINVAL);
    assert_string_equal(warren_job_error(rig->job),
                        "cannot publish: field \"share\": inf is outside of type f64, which has "
                        "finite numbers only");
    assert_true(job_end(rig->job, WARREN_RETRY));
}

/* Once the time is over nothing is published; before, a message lives no longer than the job. */
static void publishing_is_bounded_by_the_deadline(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};

    begin(rig, &no_properties, "");
    published.answer = WARREN_EFULL;
    atomic_store(&rig->deadline_ms, 5250);
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_EFULL);
    assert_int_equal(published.publish.timeout_ms, 250);
    assert_int_equal(published.most_ms, 250);
    clock_fake_advance_ms(&rig->clock, 250);
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_ETIMEOUT);
    assert_true(job_end(rig->job, WARREN_RETRY));
}

/* A worker without a publisher says so. */
static void without_a_publisher_publishing_is_closed(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};

    rig->source.publish = NULL;
    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_publish(rig->job, "x", "k", &message), WARREN_ECLOSED);
}

/* A reply goes to reply-to by the default exchange, with the request's correlation id. */
static void a_reply_goes_to_reply_to(void **state)
{
    struct rig *rig = *state;
    struct warren_properties request = {.reply_to = "answers", .correlation_id = "c-9"};
    struct warren_message message = {.body = warren_text("out")};

    begin(rig, &request, "");
    published.answer = WARREN_EFULL; /* refused: nothing to wait for */
    assert_int_equal(warren_job_reply(rig->job, &message), WARREN_EFULL);
    assert_string_equal(published.publish.exchange, "");
    assert_string_equal(published.routing_key, "answers");
    assert_string_equal(published.properties.correlation_id, "c-9");
    assert_true(published.publish.optional);
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* Without a reply-to there is nobody to answer. */
static void no_reply_without_reply_to(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};

    begin(rig, &no_properties, "");
    assert_int_equal(warren_job_reply(rig->job, &message), WARREN_ENOTFOUND);
}

/* ---- texts that hold a NUL ---- */

/* The job knows the lengths of all it hands out, and what it passes on keeps them. */
static void texts_have_lengths(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {warren_field_text("a", "long"),
                                     warren_field_text("a", "short")};
    struct warren_properties request = {.headers = {headers, 2}};
    struct warren_message message = {.body = warren_text("out")};
    struct arena texts;

    arena_init(&texts);
    headers[0].name = arena_text(&texts, "a\0b", 3);
    request.message_id = arena_text(&texts, "dup\0A", 5);
    request.reply_to = arena_text(&texts, "\0q", 2);
    request.correlation_id = arena_text(&texts, "c\0", 2);
    begin_whole(rig, &request, &texts, (struct warren_bytes){"eu\0de", 5}, "");
    arena_done(&texts);
    assert_int_equal(job_message_id(rig->job).len, 5);
    assert_memory_equal(job_message_id(rig->job).data, "dup\0A", 5);
    assert_string_equal(warren_job_properties(rig->job)->message_id, "dup");
    assert_int_equal(warren_job_text(rig->job, warren_job_routing_key(rig->job)).len, 5);
    assert_int_equal(warren_job_text(rig->job, warren_job_exchange(rig->job)).len, 4);
    assert_null(warren_job_text(rig->job, NULL).data);
    assert_int_equal(warren_job_header(rig->job, "a")->as.bytes.len, 5);
    published.answer = WARREN_EFULL;
    assert_int_equal(warren_job_reply(rig->job, &message), WARREN_EFULL);
    assert_int_equal(published.key_len, 2);
    assert_int_equal(published.correlation_len, 2);
    assert_int_equal(warren_job_publish(rig->job, "x", warren_job_routing_key(rig->job), &message),
                     WARREN_EFULL);
    assert_int_equal(published.key_len, 5);
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* ---- the trace context ---- */

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* Refused, so that there is nothing to wait for. */
static void publish_refused(struct rig *rig, const struct warren_message *message)
{
    published.answer = WARREN_EFULL;
    assert_int_equal(warren_job_publish(rig->job, "x", "k", message), WARREN_EFULL);
}

/* What the job publishes carries its context, besides its own headers; the text was copied. */
static void a_trace_goes_into_what_is_published(void **state)
{
    struct rig *rig = *state;
    struct warren_field own = warren_field_text("tenant", "acme");
    struct warren_message message = {.properties.headers = {&own, 1}};
    char parent[] = PARENT;
    char vendor[] = "congo=t61rcWkgMzE";

    begin(rig, &no_properties, "");
    assert_string_equal(warren_job_traceparent(rig->job), "");
    warren_job_set_trace(rig->job, parent, vendor);
    memset(parent, 'x', sizeof parent);
    memset(vendor, 'x', sizeof vendor);
    assert_string_equal(warren_job_traceparent(rig->job), PARENT);
    publish_refused(rig, &message);
    assert_int_equal(published.headers_seen, 3);
    assert_string_equal(published.tenant, "acme");
    assert_string_equal(published.traceparent, PARENT);
    assert_string_equal(published.tracestate, "congo=t61rcWkgMzE");
    assert_int_equal(message.properties.headers.count, 1);
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* A message with a context of its own keeps it, whole. */
static void a_messages_own_trace_stays(void **state)
{
    struct rig *rig = *state;
    struct warren_field own = warren_field_text("traceparent", "00-mine");
    struct warren_message message = {.properties.headers = {&own, 1}};

    begin(rig, &no_properties, "");
    warren_job_set_trace(rig->job, PARENT, "a=b");
    publish_refused(rig, &message);
    assert_int_equal(published.headers_seen, 1);
    assert_string_equal(published.traceparent, "00-mine");
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* Headers beyond what fits on the stack. */
static void a_trace_goes_behind_many_headers(void **state)
{
    struct rig *rig = *state;
    struct warren_field own[40];
    struct warren_message message = {.properties.headers = {own, 40}};

    for (int i = 0; i < 40; i++)
        own[i] = warren_field_i64("n", i);
    begin(rig, &no_properties, "");
    warren_job_set_trace(rig->job, PARENT, NULL);
    publish_refused(rig, &message);
    assert_int_equal(published.headers_seen, 41);
    assert_string_equal(published.traceparent, PARENT);
    assert_string_equal(published.tracestate, "");
    assert_true(job_end(rig->job, WARREN_ACK));
}

/* Taken away, and gone with the attempt. */
static void a_trace_ends(void **state)
{
    struct rig *rig = *state;
    struct warren_message message = {.body = warren_text("out")};

    begin(rig, &no_properties, "");
    warren_job_set_trace(rig->job, PARENT, "a=b");
    warren_job_set_trace(rig->job, NULL, "a=b");
    publish_refused(rig, &message);
    assert_int_equal(published.headers_seen, 0);
    warren_job_set_trace(rig->job, PARENT, NULL);
    assert_true(job_end(rig->job, WARREN_RETRY));
    job_begin(rig->job, rig->attempt, 0);
    assert_string_equal(warren_job_traceparent(rig->job), "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_message_is_readable),
        T(the_attempt_is_the_brokers_count),
        T(without_a_count_redelivered_decides),
        T(a_count_of_another_type_is_ignored),
        T(time_left_follows_the_deadline),
        T(a_seed_stands_for_the_message),
        T(the_reason_of_a_failure_is_kept_for_one_message),
        T(a_job_that_published_nothing_is_settled_at_once),
        T(a_confirmed_publish_keeps_the_outcome),
        T(a_publish_may_be_delayed),
        T(an_invalid_publish_says_why),
        T(a_nacked_publish_means_retry),
        T(a_refused_publish_is_not_awaited),
        T(a_field_that_cannot_be_published_is_named),
        T(publishing_is_bounded_by_the_deadline),
        T(without_a_publisher_publishing_is_closed),
        T(a_reply_goes_to_reply_to),
        T(no_reply_without_reply_to),
        T(texts_have_lengths),
        T(a_trace_goes_into_what_is_published),
        T(a_messages_own_trace_stays),
        T(a_trace_goes_behind_many_headers),
        T(a_trace_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
