/* otlp_json.c - see otlp_json.h. */
#include "observe/otlp_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <warren/version.h>

#include "base/ascii.h"
#include "base/utf8.h"

#define STATUS_ERROR "2"
/* The least bit of the flags is "sampled", and nothing else is sent. */
#define FLAGS ",\"flags\":1"

static const struct {
    const char *name;
    const char *type; /* of messaging.operation.type; NULL: there is none */
} operations[SPAN_OPERATIONS] = {
    [SPAN_RECEIVE] = {"receive", "receive"},
    [SPAN_PROCESS] = {"process", "process"},
    [SPAN_PUBLISH] = {"publish", "send"},
    [SPAN_ACK] = {"ack", "settle"},
    [SPAN_REJECT] = {"reject", "settle"},
    [SPAN_REQUEUE] = {"requeue", "settle"},
    [SPAN_NACK] = {"nack", "settle"},
    [SPAN_RETRY] = {"retry", "send"},
    [SPAN_DEAD_LETTER] = {"dead_letter", "send"},
};

/* ---- JSON; the first failure stays ---- */

struct json {
    struct buffer *out;
    enum warren_status status;
};

static void put(struct json *json, const char *text, size_t len)
{
    if (json->status == WARREN_OK)
        json->status = buffer_append(json->out, text, len);
}

static void put_text(struct json *json, const char *text)
{
    put(json, text, strlen(text));
}

/* The character at @c, of @len bytes; 0: it is none. */
static void put_character(struct json *json, const unsigned char *c, size_t len)
{
    char escaped[8];

    if (len == 0) {
        put_text(json, "\\ufffd");
    } else if (*c == '"' || *c == '\\') {
        put(json, "\\", 1);
        put(json, (const char *)c, 1);
    } else {
        snprintf(escaped, sizeof escaped, "\\u%04x", *c);
        put_text(json, escaped);
    }
}

/* What needs no escape is put in one piece. */
static void put_inside(struct json *json, struct warren_bytes text)
{
    const unsigned char *c = text.data;
    const unsigned char *end = c + text.len;
    const unsigned char *plain = c;

    while (c < end) {
        size_t len = utf8_len(c, (size_t)(end - c));

        if (len == 0 || *c < ' ' || *c == '"' || *c == '\\') {
            put(json, (const char *)plain, (size_t)(c - plain));
            put_character(json, c, len);
            plain = c + 1;
        }
        c += len ? len : 1;
    }
    put(json, (const char *)plain, (size_t)(end - plain));
}

/* ---- attributes: each with a comma in front ---- */

static void put_key(struct json *json, const char *name)
{
    put_text(json, ",{\"key\":\"");
    put_inside(json, warren_text(name));
    put_text(json, "\",\"value\":{\"");
}

static void put_attribute(struct json *json, const char *name, struct warren_bytes value)
{
    if (value.len == 0)
        return;
    put_key(json, name);
    put_text(json, "stringValue\":\"");
    put_inside(json, value);
    put_text(json, "\"}}");
}

static void put_number(struct json *json, const char *name, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIu64, value);
    put_key(json, name);
    put_text(json, "intValue\":\"");
    put_text(json, digits);
    put_text(json, "\"}}");
}

/* The list of one attribute, to which the others are added. */
static void begin_attributes(struct json *json, const char *name, const char *value)
{
    put_text(json, "\"attributes\":[{\"key\":\"");
    put_inside(json, warren_text(name));
    put_text(json, "\",\"value\":{\"stringValue\":\"");
    put_inside(json, warren_text(value));
    put_text(json, "\"}}");
}

/* ---- one span ---- */

static bool is_same(struct warren_bytes a, struct warren_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void put_part(struct json *json, struct warren_bytes part, bool *some)
{
    if (part.len == 0)
        return;
    if (*some)
        put(json, ":", 1);
    put_inside(json, part);
    *some = true;
}

/* Exchange, routing key and queue: what there is of them, and the queue unless it is the key. */
static void put_destination(struct json *json, const struct span *span)
{
    struct warren_bytes key = span_text(span, SPAN_ROUTING_KEY);
    struct warren_bytes queue = span_text(span, SPAN_QUEUE);
    bool consumes = span->operation != SPAN_DEAD_LETTER;
    bool some = false;

    put_key(json, "messaging.destination.name");
    put_text(json, "stringValue\":\"");
    put_part(json, span_text(span, SPAN_EXCHANGE), &some);
    put_part(json, key, &some);
    if (consumes && !is_same(key, queue))
        put_part(json, queue, &some);
    if (!some)
        put_text(json, "amq.default");
    put_text(json, "\"}}");
}

/* Names are few: the queue that is consumed, or the exchange that is published to. A routing key,
 * of which there may be as many as messages, only where it names a queue. */
static void put_name(struct json *json, const struct span *span)
{
    struct warren_bytes exchange = span_text(span, SPAN_EXCHANGE);
    struct warren_bytes target = span_text(span, SPAN_QUEUE);

    if (target.len == 0 || span->operation == SPAN_DEAD_LETTER)
        target = exchange.len > 0 ? exchange : span_text(span, SPAN_ROUTING_KEY);
    put_text(json, ",\"name\":\"");
    put_text(json, operations[span->operation].name);
    if (target.len > 0)
        put(json, " ", 1);
    put_inside(json, target);
    put(json, "\"", 1);
}

static void put_ids(struct json *json, const struct span *span)
{
    put_text(json, "{\"traceId\":\"");
    put_text(json, span->self.trace_id);
    put_text(json, "\",\"spanId\":\"");
    put_text(json, span->self.parent_id);
    if (*span->parent_id) {
        put_text(json, "\",\"parentSpanId\":\"");
        put_text(json, span->parent_id);
    }
    put_text(json, "\"" FLAGS);
}

static void put_times(struct json *json, const struct span *span, int64_t wall_ns)
{
    char text[128];

    snprintf(text, sizeof text,
             ",\"kind\":%u,\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64
             "\",",
             span->kind, span->begin_ns + wall_ns, span->end_ns + wall_ns);
    put_text(json, text);
}

static void put_messaging(struct json *json, const struct span *span)
{
    const char *type = operations[span->operation].type;

    put_attribute(json, "messaging.operation.name", warren_text(operations[span->operation].name));
    if (type && span->kind != SPAN_INTERNAL)
        put_attribute(json, "messaging.operation.type", warren_text(type));
    put_destination(json, span);
    put_attribute(json, "messaging.rabbitmq.destination.routing_key",
                  span_text(span, SPAN_ROUTING_KEY));
    if (span->settles)
        put_number(json, "messaging.rabbitmq.message.delivery_tag", span->delivery_tag);
    put_attribute(json, "messaging.message.id", span_text(span, SPAN_MESSAGE_ID));
    put_attribute(json, "messaging.message.conversation_id", span_text(span, SPAN_CORRELATION_ID));
    if (span->has_message)
        put_number(json, "messaging.message.body.size", span->body_size);
}

static void put_own(struct json *json, const struct span *span)
{
    put_attribute(json, "warren.handler", span_text(span, SPAN_HANDLER));
    if (span->attempt > 0)
        put_number(json, "warren.attempt", span->attempt);
    if (span->batch > 0)
        put_number(json, "messaging.batch.message_count", span->batch);
    put_attribute(json, "warren.outcome", span_text(span, SPAN_OUTCOME));
    put_attribute(json, "warren.reason", span_text(span, SPAN_REASON));
    if (span->delay_ms >= 0)
        put_number(json, "warren.delay_ms", (uint64_t)span->delay_ms);
    put_attribute(json, "error.type", span_text(span, SPAN_ERROR_TYPE));
}

static void put_links(struct json *json, const struct span *span)
{
    for (unsigned i = 0; i < span->link_count; i++) {
        put_text(json, i == 0 ? ",\"links\":[{\"traceId\":\"" : ",{\"traceId\":\"");
        put_text(json, span->links[i].trace_id);
        put_text(json, "\",\"spanId\":\"");
        put_text(json, span->links[i].parent_id);
        put_text(json, "\"}");
    }
    if (span->link_count > 0)
        put(json, "]", 1);
}

static void put_status(struct json *json, const struct span *span)
{
    if (span_text(span, SPAN_ERROR_TYPE).len == 0)
        return;
    put_text(json, ",\"status\":{\"code\":" STATUS_ERROR ",\"message\":\"");
    put_inside(json, span_text(span, SPAN_ERROR));
    put_text(json, "\"}");
}

enum warren_status otlp_json_span(struct buffer *out, const struct otlp_origin *origin,
                                  const struct span *span, bool first)
{
    struct json json = {out, WARREN_OK};
    size_t before = buffer_len(out);

    if (!first)
        put(&json, ",", 1);
    put_ids(&json, span);
    put_name(&json, span);
    put_times(&json, span, origin->wall_ns);
    begin_attributes(&json, "messaging.system", "rabbitmq");
    put_messaging(&json, span);
    if (origin->server) {
        put_attribute(&json, "server.address", warren_text(origin->server));
        put_number(&json, "server.port", origin->port);
    }
    put_own(&json, span);
    put(&json, "]", 1);
    put_links(&json, span);
    put_status(&json, span);
    put(&json, "}", 1);
    if (json.status != WARREN_OK)
        out->end = out->begin + before;
    return json.status;
}

/* ---- around them ---- */

enum warren_status otlp_json_begin(struct buffer *out, const struct otlp_origin *origin)
{
    struct json json = {out, WARREN_OK};

    put_text(&json, "{\"resourceSpans\":[{\"resource\":{");
    begin_attributes(&json, "telemetry.sdk.name", "warren");
    put_attribute(&json, "telemetry.sdk.language", warren_text("c"));
    put_attribute(&json, "telemetry.sdk.version", warren_text(WARREN_VERSION));
    for (size_t i = 0; i < origin->resource_count; i++)
        put_attribute(&json, origin->resource[i].name, warren_text(origin->resource[i].value));
    put_text(&json,
             "]},\"scopeSpans\":[{\"scope\":{\"name\":\"warren\",\"version\":\"" WARREN_VERSION
             "\"},\"spans\":[");
    return json.status;
}

enum warren_status otlp_json_end(struct buffer *out)
{
    struct json json = {out, WARREN_OK};

    put_text(&json, "]}]}]}");
    return json.status;
}

/* ---- the answer ---- */

/* In a text of JSON these quotes would have a backslash in front. */
uint64_t otlp_json_rejected(const char *answer)
{
    const char *at = strstr(answer, "\"rejectedSpans\"");

    if (!at)
        return 0;
    at += strlen("\"rejectedSpans\"");
    while (*at && strchr(" \t\r\n:\"", *at))
        at++;
    return ascii_is_digit(*at) ? strtoull(at, NULL, 10) : 0;
}
