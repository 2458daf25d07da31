#include "command/dlq/dlq_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amqp/wire/notes.h"
#include "base/field_type.h"
#include "base/utf8.h"
#include "command/cli/cli.h"
#include "command/cli/print.h"
#include "command/dump/dump_json.h"

#define HEX_WIDTH 16
#define UTF8_MAX  4

/* ---- text ---- */

/* A text of several lines, each below the other. */
static void write_lines(const char *name, struct warren_bytes text)
{
    const char *at = text.data;
    size_t left = text.len;

    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        size_t len = end ? (size_t)(end - at) : left;

        printf("  %-12s ", name);
        cli_write_safe(stdout, at, len);
        putchar('\n');
        len += end != NULL;
        at += len;
        left -= len;
        name = "";
    }
}

/* What no calendar has stays a number, such as a time in microseconds. */
static void write_time(const char *name, uint64_t at_s)
{
    int64_t ago_s = (int64_t)time(NULL) - (int64_t)at_s;
    char text[CLI_TIME_SIZE];
    char age[CLI_TIME_SIZE];

    cli_time_text(at_s > INT64_MAX ? 0 : (int64_t)at_s, text);
    if (*text == '-') {
        printf("  %-12s @%" PRIu64 "\n", name, at_s);
        return;
    }
    cli_age_text(ago_s < 0 ? -ago_s : ago_s, age);
    printf("  %-12s %s (%s%s%s)\n", name, text, ago_s < 0 ? "in " : "", age,
           ago_s < 0 ? "" : " ago");
}

static void write_note_time(const char *name, int64_t at_s)
{
    if (at_s > 0)
        write_time(name, (uint64_t)at_s);
}

static void write_number(const char *name, int64_t number)
{
    if (number > 0)
        printf("  %-12s %" PRId64 "\n", name, number);
}

static void write_envelope(const struct dlq_letter *letter)
{
    cli_write_line("queue", arena_bytes(letter->texts, letter->queue));
    cli_write_line("reason", arena_bytes(letter->texts, letter->reason));
    cli_write_line("handler", arena_bytes(letter->texts, letter->handler));
    write_lines("error", arena_bytes(letter->texts, letter->error));
    cli_write_line("signal", arena_bytes(letter->texts, letter->signal));
    write_lines("backtrace", arena_bytes(letter->texts, letter->backtrace));
    write_number("attempts", letter->attempts);
    write_note_time("first failed", letter->first_failure_s);
    write_note_time("died", letter->died_s);
    cli_write_line("host", arena_bytes(letter->texts, letter->host));
    cli_write_line("version", arena_bytes(letter->texts, letter->version));
    cli_write_line("exchange", arena_bytes(letter->texts, letter->exchange));
    cli_write_line("routing key", arena_bytes(letter->texts, letter->routing_key));
    write_number("replays", letter->replays);
    cli_write_line("group", warren_text(letter->group));
}

static void write_properties(const struct warren_properties *p, const struct arena *texts)
{
    const struct {
        const char *name;
        const char *text;
    } rows[] = {{"content type", p->content_type},
                {"encoding", p->content_encoding},
                {"correlation", p->correlation_id},
                {"reply to", p->reply_to},
                {"expiration", p->expiration},
                {"type", p->type},
                {"user", p->user_id},
                {"app", p->app_id}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cli_write_line(rows[i].name, arena_bytes(texts, rows[i].text));
    if (p->has_priority)
        printf("  %-12s %u\n", "priority", p->priority);
    if (p->delivery_mode == 1)
        printf("  %-12s transient\n", "delivery");
    if (p->has_timestamp)
        write_time("timestamp", p->timestamp);
}

/* ---- headers ---- */

static void write_value(const struct warren_value *value, const struct arena *texts);

static void write_array(const struct warren_value *value, const struct arena *texts)
{
    putchar('[');
    for (size_t i = 0; i < value->as.array.count; i++) {
        fputs(i ? ", " : "", stdout);
        write_value(&value->as.array.values[i], texts);
    }
    putchar(']');
}

static void write_table(const struct warren_table *table, const struct arena *texts)
{
    putchar('{');
    for (size_t i = 0; i < table->count; i++) {
        struct warren_bytes name = arena_bytes(texts, table->fields[i].name);

        fputs(i ? ", " : "", stdout);
        cli_write_safe(stdout, name.data, name.len);
        fputs(": ", stdout);
        write_value(&table->fields[i].value, texts);
    }
    putchar('}');
}

/* It recurs as deep as a message may nest, which is 16. */
static void write_value(const struct warren_value *value, const struct arena *texts)
{
    struct warren_bytes bytes;
    char text[FIELD_TEXT_SIZE];

    switch (value->type) {
    case WARREN_ARRAY:
        write_array(value, texts);
        break;
    case WARREN_TABLE:
        write_table(&value->as.table, texts);
        break;
    case WARREN_DECIMAL:
        printf("%" PRId64 "e-%u", (int64_t)value->as.decimal.unscaled, value->as.decimal.scale);
        break;
    case WARREN_VOID:
        fputs("void", stdout);
        break;
    default:
        bytes = field_text(value, text);
        cli_write_safe(stdout, bytes.data, bytes.len);
        break;
    }
}

/* Those that the publisher gave. */
static void write_headers(const struct warren_table *headers, const struct arena *texts)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct warren_field *field = &headers->fields[i];
        struct warren_bytes name = arena_bytes(texts, field->name);

        if (annotation_is_warrens(name) || annotation_is_brokers(name))
            continue;
        printf("  header       ");
        cli_write_safe(stdout, name.data, name.len);
        printf(" (%s) ", warren_type_name(field->value.type));
        write_value(&field->value, texts);
        putchar('\n');
    }
}

/* ---- the body ---- */

/* Whether there are but characters, tabs and ends of lines. */
static bool is_text(const char *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t size = utf8_plain_len(data + i, len - i);
        bool end = data[i] == '\n' || (data[i] == '\r' && i + 1 < len && data[i + 1] == '\n');

        if (size == 0 && (data[i] == '\t' || end))
            size = 1;
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

/* @len without the last character, if that is there in part. */
static size_t whole_characters(const char *data, size_t len)
{
    size_t at = len;

    while (at > 0 && len - at < UTF8_MAX - 1 && (data[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0 || (data[at - 1] & 0xc0) != 0xc0)
        return len;
    at--;
    return utf8_plain_len(data + at, len - at) > 0 ? len : at;
}

static void write_hex(const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len; at += HEX_WIDTH) {
        printf("    %08zx ", at);
        for (size_t i = at; i < at + HEX_WIDTH; i++)
            if (i < len)
                printf(" %02x", data[i]);
            else
                printf("   ");
        printf("  ");
        for (size_t i = at; i < at + HEX_WIDTH && i < len; i++)
            putchar(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.');
        putchar('\n');
    }
}

static void write_text_body(const char *data, size_t len)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t line = end ? (size_t)(end - data) : len;
        size_t shown = line > 0 && data[line - 1] == '\r' ? line - 1 : line;

        printf("    %.*s\n", (int)shown, data);
        line += end != NULL;
        data += line;
        len -= line;
    }
}

static void write_body(struct warren_bytes body, size_t max)
{
    size_t len = body.len < max ? body.len : max;
    bool cut = len < body.len;
    size_t text_len = cut ? whole_characters(body.data, len) : len;

    printf("  body         %zu bytes%s\n", body.len, cut ? ", of which these:" : "");
    if (is_text(body.data, text_len))
        write_text_body(body.data, text_len);
    else
        write_hex(body.data, len);
}

void dlq_show_message(const struct warren_message *message, const struct arena *texts,
                      size_t body_max)
{
    write_properties(&message->properties, texts);
    write_headers(&message->properties.headers, texts);
    write_body(message->body, body_max);
}

void dlq_show_text(const struct dlq_letter *letter, uint64_t number, size_t body_max)
{
    struct warren_bytes id = arena_bytes(letter->texts, letter->id);
    bool colour = cli_colour(stdout);

    printf("%s%s%" PRIu64 ". ", number > 1 ? "\n" : "", colour ? "\033[1m" : "", number);
    if (id.len > 0)
        cli_write_safe(stdout, id.data, id.len);
    else
        fputs("(without a message id)", stdout);
    printf("%s\n", colour ? "\033[0m" : "");
    write_envelope(letter);
    dlq_show_message(&letter->message, letter->texts, body_max);
}

/* ---- JSON ---- */

static json_t *text_or_null(const struct dlq_letter *letter, const char *text)
{
    struct warren_bytes bytes = arena_bytes(letter->texts, text);

    return bytes.len > 0 ? cli_json_bytes(bytes) : json_null();
}

bool dlq_show_json(const struct dlq_letter *letter)
{
    json_t *message = dump_json_message(&letter->message, letter->texts);

    if (!message)
        return false;
    cli_print_json(json_pack(
        "{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "message_id",
        text_or_null(letter, letter->id), "queue", text_or_null(letter, letter->queue), "reason",
        text_or_null(letter, letter->reason), "group", letter->group, "handler",
        text_or_null(letter, letter->handler), "error", text_or_null(letter, letter->error),
        "signal", text_or_null(letter, letter->signal), "backtrace",
        text_or_null(letter, letter->backtrace), "attempts", (json_int_t)letter->attempts,
        "replays", (json_int_t)letter->replays, "first_failure",
        cli_json_time(letter->first_failure_s), "died", cli_json_time(letter->died_s), "host",
        text_or_null(letter, letter->host), "version", text_or_null(letter, letter->version),
        "message", message));
    return true;
}
