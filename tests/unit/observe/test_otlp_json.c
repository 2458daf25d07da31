/* test_otlp_json.c - what a collector is sent, read by another reader of JSON. */
#include <jansson.h>

#include "observe/otlp_json.h"
#include "support/test.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

static const struct otlp_attribute resource[] = {{"service.name", "pay\"ments"}};
static const struct otlp_origin origin = {
    .resource = resource, .resource_count = 1, .server = "broker", .port = 5672, .wall_ns = 1000};

/* The request of @span, read. */
static json_t *request_of(const struct span *span, int times)
{
    struct buffer out;
    json_t *root;

    buffer_init(&out, 1 << 20);
    assert_int_equal(otlp_json_begin(&out, &origin), WARREN_OK);
    for (int i = 0; i < times; i++)
        assert_int_equal(otlp_json_span(&out, &origin, span, i == 0), WARREN_OK);
    assert_int_equal(otlp_json_end(&out), WARREN_OK);
    root = json_loadb((const char *)buffer_front(&out), buffer_len(&out), JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    buffer_done(&out);
    return root;
}

static const json_t *inside(const json_t *root, const char *member)
{
    return json_array_get(json_object_get(root, member), 0);
}

static const json_t *span_in(const json_t *root)
{
    return inside(inside(inside(root, "resourceSpans"), "scopeSpans"), "spans");
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* "" if it is not there; fails the test if it is there twice. */
static const char *attribute(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, "attributes");
    const char *found = "";

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *value = json_object_get(one, "value");

        if (strcmp(member(one, "key"), key) != 0)
            continue;
        assert_string_equal(found, "");
        found = json_object_get(value, "intValue") ? member(value, "intValue")
                                                   : member(value, "stringValue");
    }
    return found;
}

static void init(struct span *span, enum span_operation operation, enum span_kind kind)
{
    span_init(span, operation, kind);
    assert_true(traceparent_parse(warren_text("00-" TRACE "-00f067aa0ba902b7-01"), &span->self));
    span->begin_ns = 5;
    span->end_ns = 7;
}

/* Everything stands where OTLP has it, 64-bit numbers as texts. */
static void a_span_is_written_whole(void **state)
{
    struct traceparent cause;
    const json_t *span, *link;
    struct span one;
    json_t *root;

    (void)state;
    init(&one, SPAN_PROCESS, SPAN_CONSUMER);
    strcpy(one.parent_id, "00f067aa0ba902b8");
    assert_true(traceparent_parse(warren_text("00-" TRACE "-00f067aa0ba902b9-01"), &cause));
    span_link(&one, &cause);
    span_put_text(&one, SPAN_EXCHANGE, "shop");
    span_put_text(&one, SPAN_ROUTING_KEY, "order.new");
    span_put_text(&one, SPAN_QUEUE, "orders");
    span_put_text(&one, SPAN_HANDLER, "p.h");
    span_put_text(&one, SPAN_MESSAGE_ID, "m-1");
    span_put_text(&one, SPAN_CORRELATION_ID, "c-1");
    span_put_text(&one, SPAN_OUTCOME, "retry");
    span_put_text(&one, SPAN_ERROR_TYPE, "error");
    span_put_text(&one, SPAN_ERROR, "no such account");
    one.settles = one.has_message = true;
    one.delivery_tag = UINT64_MAX;
    one.body_size = 12;
    one.attempt = 3;
    one.batch = 7;
    root = request_of(&one, 2);
    span = span_in(root);
    assert_string_equal(member(span, "traceId"), TRACE);
    assert_string_equal(member(span, "spanId"), "00f067aa0ba902b7");
    assert_string_equal(member(span, "parentSpanId"), "00f067aa0ba902b8");
    assert_string_equal(member(span, "name"), "process orders");
    assert_int_equal(json_integer_value(json_object_get(span, "kind")), 5);
    assert_string_equal(member(span, "startTimeUnixNano"), "1005");
    assert_string_equal(member(span, "endTimeUnixNano"), "1007");
    assert_string_equal(attribute(span, "messaging.system"), "rabbitmq");
    assert_string_equal(attribute(span, "messaging.operation.name"), "process");
    assert_string_equal(attribute(span, "messaging.operation.type"), "process");
    assert_string_equal(attribute(span, "messaging.destination.name"), "shop:order.new:orders");
    assert_string_equal(attribute(span, "messaging.rabbitmq.destination.routing_key"), "order.new");
    assert_string_equal(attribute(span, "messaging.rabbitmq.message.delivery_tag"),
                        "18446744073709551615");
    assert_string_equal(attribute(span, "messaging.message.id"), "m-1");
    assert_string_equal(attribute(span, "messaging.message.conversation_id"), "c-1");
    assert_string_equal(attribute(span, "messaging.message.body.size"), "12");
    assert_string_equal(attribute(span, "server.address"), "broker");
    assert_string_equal(attribute(span, "server.port"), "5672");
    assert_string_equal(attribute(span, "warren.handler"), "p.h");
    assert_string_equal(attribute(span, "warren.attempt"), "3");
    assert_string_equal(attribute(span, "messaging.batch.message_count"), "7");
    assert_string_equal(attribute(span, "warren.outcome"), "retry");
    assert_string_equal(attribute(span, "warren.delay_ms"), "");
    assert_string_equal(attribute(span, "error.type"), "error");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(span, "status"), "code")),
                     2);
    assert_string_equal(member(json_object_get(span, "status"), "message"), "no such account");
    link = inside(span, "links");
    assert_string_equal(member(link, "traceId"), TRACE);
    assert_string_equal(member(link, "spanId"), "00f067aa0ba902b9");
    assert_string_equal(
        attribute(json_object_get(inside(root, "resourceSpans"), "resource"), "service.name"),
        "pay\"ments");
    json_decref(root);
}

/* How exchange, key and queue make a destination, and a name with few values. */
static void destinations_are_named_as_agreed(void **state)
{
    static const struct {
        enum span_operation operation;
        const char *exchange;
        const char *key;
        const char *queue;
        const char *destination;
        const char *name;
    } rows[] = {
        {SPAN_PUBLISH, "shop", "order.17", NULL, "shop:order.17", "publish shop"},
        {SPAN_PUBLISH, "", "orders", NULL, "orders", "publish orders"},
        {SPAN_PUBLISH, "shop", "", NULL, "shop", "publish shop"},
        {SPAN_PUBLISH, "", "", NULL, "amq.default", "publish"},
        {SPAN_PROCESS, "", "orders", "orders", "orders", "process orders"},
        {SPAN_PROCESS, "shop", "orders", "orders", "shop:orders", "process orders"},
        {SPAN_RECEIVE, "shop", "a", "orders", "shop:a:orders", "receive orders"},
        {SPAN_ACK, "shop", "a", "orders", "shop:a:orders", "ack orders"},
        {SPAN_DEAD_LETTER, "orders.dlx", NULL, "orders", "orders.dlx", "dead_letter orders.dlx"},
        {SPAN_RETRY, "", "orders", "orders", "orders", "retry orders"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span span;
        json_t *root;

        init(&span, rows[i].operation, SPAN_CLIENT);
        span_put_text(&span, SPAN_EXCHANGE, rows[i].exchange);
        span_put_text(&span, SPAN_ROUTING_KEY, rows[i].key);
        span_put_text(&span, SPAN_QUEUE, rows[i].queue);
        root = request_of(&span, 1);
        assert_string_equal(attribute(span_in(root), "messaging.destination.name"),
                            rows[i].destination);
        assert_string_equal(member(span_in(root), "name"), rows[i].name);
        assert_null(json_object_get(span_in(root), "parentSpanId"));
        assert_null(json_object_get(span_in(root), "status"));
        json_decref(root);
    }
}

/* Whatever a name holds, it is JSON, and what can be read comes out as it went in. */
static void hostile_texts_are_escaped(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *read;
        size_t read_len;
    } rows[] = {
        {"a\"b\\c", 5, "a\"b\\c", 5},
        {"<script>\n\t\x01", 11, "<script>\n\t\x01", 11},
        {"a\0b", 3, "a\0b", 3},
        {"\xc3\xa4\xf0\x9f\x90\x87", 6, "\xc3\xa4\xf0\x9f\x90\x87", 6},
        {"a\xffz", 3, "a\xef\xbf\xbdz", 5},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 9},
        {"cut \xc3", 5, "cut \xef\xbf\xbd", 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span span;
        const json_t *status;
        json_t *root;

        init(&span, SPAN_PROCESS, SPAN_CONSUMER);
        span_put(&span, SPAN_ERROR, (struct warren_bytes){rows[i].text, rows[i].len});
        span_put(&span, SPAN_QUEUE, (struct warren_bytes){rows[i].text, rows[i].len});
        span_put_text(&span, SPAN_ERROR_TYPE, "error");
        root = request_of(&span, 1);
        status = json_object_get(json_object_get(span_in(root), "status"), "message");
        assert_int_equal(json_string_length(status), rows[i].read_len);
        assert_memory_equal(json_string_value(status), rows[i].read, rows[i].read_len);
        json_decref(root);
    }
}

/* The largest span, of bytes that each need six, has the promised room; with less nothing is
 * written. */
static void the_largest_span_fits(void **state)
{
    static char worst[SPAN_TEXT_MAX];
    struct buffer out;
    struct span span;

    (void)state;
    memset(worst, 1, sizeof worst);
    for (int which = 0; which < SPAN_TEXTS; which++) {
        init(&span, SPAN_PROCESS, SPAN_CONSUMER);
        span_put(&span, (enum span_text)which, (struct warren_bytes){worst, sizeof worst});
        buffer_init(&out, OTLP_SPAN_MAX);
        assert_int_equal(otlp_json_span(&out, &origin, &span, false), WARREN_OK);
        buffer_done(&out);
    }
    init(&span, SPAN_PROCESS, SPAN_CONSUMER);
    span_put(&span, SPAN_QUEUE, (struct warren_bytes){worst, sizeof worst});
    buffer_init(&out, 1024);
    assert_int_equal(buffer_append(&out, "x", 1), WARREN_OK);
    assert_int_equal(otlp_json_span(&out, &origin, &span, false), WARREN_EFULL);
    assert_int_equal(buffer_len(&out), 1);
    buffer_done(&out);
}

static void rejected_spans_are_read(void **state)
{
    (void)state;
    assert_int_equal(otlp_json_rejected("{}"), 0);
    assert_int_equal(otlp_json_rejected(""), 0);
    assert_int_equal(otlp_json_rejected("{\"partialSuccess\":{\"rejectedSpans\":\"12\"}}"), 12);
    assert_int_equal(otlp_json_rejected("{\"partialSuccess\": {\"rejectedSpans\" : 3 }}"), 3);
    assert_int_equal(otlp_json_rejected("{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}"), 0);
    assert_int_equal(otlp_json_rejected("{\"errorMessage\":\"\\\"rejectedSpans\\\":5\"}"), 0);
    assert_int_equal(otlp_json_rejected("{\"rejectedSpans\""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_written_whole),
        cmocka_unit_test(destinations_are_named_as_agreed),
        cmocka_unit_test(hostile_texts_are_escaped),
        cmocka_unit_test(the_largest_span_fits),
        cmocka_unit_test(rejected_spans_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
