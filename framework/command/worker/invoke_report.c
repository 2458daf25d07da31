#include "command/worker/invoke_report.h"

#include <inttypes.h>
#include <string.h>

#include "app/testing_delivery.h"
#include "base/utf8.h"
#include "command/cli/print.h"
#include "command/dump/dump_json.h"

/* Bytes of a body that are shown to people. */
#define SHOWN_MAX 200

/* ---- for people ---- */

/* What a terminal would obey, or is no character, is a dot for each byte. */
static void write_plain(FILE *out, const void *text, size_t len)
{
    const char *bytes = text;

    for (size_t i = 0; i < len;) {
        size_t size = utf8_plain_len(bytes + i, len - i);

        if (size > 0)
            fwrite(bytes + i, 1, size, out);
        else
            fputc('.', out);
        i += size > 0 ? size : 1;
    }
}

/* "WHAT TEXT" */
static void write_named(FILE *out, const char *what, struct warren_bytes text)
{
    fprintf(out, "%s ", what);
    write_plain(out, text.data, text.len);
}

/* No half of a character stands at the end. */
static void write_body(FILE *out, struct warren_bytes body)
{
    const unsigned char *bytes = body.data;
    size_t len = body.len < SHOWN_MAX ? body.len : SHOWN_MAX;

    while (len > 0 && len < body.len && (bytes[len] & 0xc0) == 0x80)
        len--;
    fprintf(out, ": %zu byte%s%s", body.len, body.len == 1 ? "" : "s", body.len > 0 ? ": " : "");
    write_plain(out, bytes, len);
    fputs(len < body.len ? "...\n" : "\n", out);
}

static void write_published(FILE *out, const struct warren_test *test,
                            const struct warren_test_published *published)
{
    struct warren_bytes exchange = warren_test_text(test, published->exchange);
    struct warren_bytes key = warren_test_text(test, published->routing_key);

    if (published->reply) {
        write_named(out, "reply:     to", key);
    } else if (exchange.len > 0) {
        write_named(out, "published: to exchange", exchange);
        write_named(out, " with routing key", key);
    } else {
        write_named(out, "published: to queue", key);
    }
    write_body(out, published->message.body);
}

void invoke_report_text(const struct invoke_report *report, FILE *out)
{
    const struct warren_test_attempt *attempt = report->attempt;
    const char *id = report->dump->message.properties.message_id;

    fprintf(out, "%s: ", report->handler);
    write_named(out, "message", arena_bytes(report->dump->texts, id ? id : "without an id"));
    write_named(out, " of queue", warren_text(report->dump->queue));
    fprintf(out, ", attempt %" PRIu32 "\n", attempt->attempt);
    fprintf(out, "outcome:   %s", warren_outcome_name(attempt->outcome));
    if (attempt->retry_after_ms >= 0)
        fprintf(out, ", after %" PRId64 " ms", attempt->retry_after_ms);
    fputs(attempt->forgiven ? ", not counted as an attempt\n" : "\n", out);
    if (attempt->error) {
        write_named(out, "error:    ", warren_text(attempt->error));
        fputc('\n', out);
    }
    fprintf(out, "time:      %" PRId64 ".%03" PRId64 " ms\n", report->took_us / 1000,
            report->took_us % 1000);
    for (size_t i = 0; i < attempt->published_count; i++)
        write_published(out, report->test, &attempt->published[i]);
}

/* ---- as JSON ---- */

static json_t *published_json(struct dump_json *json, const struct warren_test_published *published)
{
    json_t *object = json_object();

    dump_json_put_text(json, object, "exchange", arena_bytes(json->texts, published->exchange));
    dump_json_put_text(json, object, "routing_key",
                       arena_bytes(json->texts, published->routing_key));
    dump_json_put(json, object, "reply", json_boolean(published->reply));
    dump_json_put_message(json, object, &published->message);
    return object;
}

static void put_optional(struct dump_json *json, json_t *object, const char *key,
                         struct warren_bytes text)
{
    if (text.data)
        dump_json_put_text(json, object, key, text);
    else
        dump_json_put(json, object, key, json_null());
}

static json_t *report_json(struct dump_json *json, const struct invoke_report *report)
{
    const struct warren_test_attempt *attempt = report->attempt;
    json_t *object = json_object();
    json_t *list = json_array();
    json_t *delay =
        attempt->retry_after_ms < 0 ? json_null() : json_integer(attempt->retry_after_ms);

    for (size_t i = 0; i < attempt->published_count; i++)
        if (json_array_append_new(list, published_json(json, &attempt->published[i])) < 0)
            json->status = WARREN_ENOMEM;
    dump_json_put_text(json, object, "handler", warren_text(report->handler));
    dump_json_put_text(json, object, "queue", warren_text(report->dump->queue));
    put_optional(json, object, "message_id",
                 arena_bytes(report->dump->texts, report->dump->message.properties.message_id));
    dump_json_put(json, object, "attempt", json_integer(attempt->attempt));
    dump_json_put_text(json, object, "outcome", warren_text(warren_outcome_name(attempt->outcome)));
    put_optional(json, object, "error", arena_bytes(NULL, attempt->error));
    dump_json_put(json, object, "retry_after_ms", delay);
    dump_json_put(json, object, "forgiven", json_boolean(attempt->forgiven));
    dump_json_put(json, object, "time_us", json_integer(report->took_us));
    dump_json_put(json, object, "published", list);
    return object;
}

enum warren_status invoke_report_json(const struct invoke_report *report)
{
    struct dump_json json = {.texts = testing_texts(report->test)};
    json_t *object = report_json(&json, report);

    if (json.status == WARREN_OK)
        cli_print_json(object);
    else
        json_decref(object);
    return json.status;
}
