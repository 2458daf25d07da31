#include "command/dlq/dlq_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "base/ascii.h"
#include "base/field_type.h"

/* ---- as dump files ---- */

#define ID_MAX 100

/* What we give queues and handlers; a NUL is in none of them. */
static bool is_name(const struct dlq_letter *letter, const char *text)
{
    return *text && strlen(text) == arena_bytes(letter->texts, text).len;
}

struct dump_message dlq_dump_of(const struct dlq_letter *letter, const char *dlq)
{
    int64_t attempts = letter->attempts;

    return (struct dump_message){
        .texts = letter->texts,
        .queue = is_name(letter, letter->queue) ? letter->queue : dlq,
        .handler = is_name(letter, letter->handler) ? letter->handler : NULL,
        .exchange = letter->exchange,
        .routing_key = letter->routing_key,
        .redelivered = false,
        .attempts = attempts < 0 || attempts > UINT32_MAX ? 0 : (uint32_t)attempts,
        .message = letter->message,
    };
}

void dlq_file_name(const struct dlq_letter *letter, uint64_t number, char name[DLQ_FILE_NAME_SIZE])
{
    struct warren_bytes bytes = arena_bytes(letter->texts, letter->id);
    const char *id = bytes.len > 0 ? bytes.data : "message";
    size_t id_len = bytes.len > 0 ? bytes.len : strlen(id);
    int len = snprintf(name, DLQ_FILE_NAME_SIZE, "%05" PRIu64 "-", number);

    for (size_t i = 0; i < id_len && i < ID_MAX; i++)
        name[len++] = ascii_is_alnum(id[i]) || memchr(".-_", id[i], 3) ? id[i] : '_';
    snprintf(name + len, DLQ_FILE_NAME_SIZE - (size_t)len, ".json");
}

/* ---- values of headers ---- */

struct reading {
    const struct warren_table *headers;
    struct arena *arena;
    struct dlq_letter *letter;
    const struct delivery *delivery;
};

static const char *text_of(const struct reading *r, const struct warren_value *value)
{
    const char *text = NULL;

    if (value && value->type == WARREN_STRING)
        text = arena_text(r->arena, value->as.bytes.data, value->as.bytes.len);
    return text ? text : "";
}

/* "": it is no name of AMQP. */
static const char *name_of(const struct reading *r, const struct warren_value *value)
{
    bool is_name = value && value->type == WARREN_STRING && notes_is_name(value->as.bytes);

    return text_of(r, is_name ? value : NULL);
}

static const char *text_in(const struct reading *r, const char *name)
{
    return text_of(r, table_get(r->headers, name, r->arena));
}

static const char *name_in(const struct reading *r, const struct warren_table *table,
                           const char *name)
{
    return name_of(r, table_get(table, name, r->arena));
}

/* 0: it is no number that counts something. */
static int64_t count_in(const struct reading *r, const char *name)
{
    const struct warren_value *value = table_get(r->headers, name, r->arena);

    if (!value || !field_is_integer(value))
        return 0;
    return value->as.integer < 0 || value->as.integer > NOTES_COUNT_MAX ? 0 : value->as.integer;
}

/* 0: nothing can have happened then. */
static int64_t time_in(const struct reading *r, const struct warren_table *table, const char *name)
{
    const struct warren_value *value = table_get(table, name, r->arena);

    if (!value || value->type != WARREN_TIMESTAMP || !notes_is_past(value->as.timestamp))
        return 0;
    return (int64_t)value->as.timestamp;
}

/* ---- the broker's x-death: tables, the latest first ---- */

static bool death_queue_is(const struct reading *r, const struct warren_value *death,
                           const char *queue)
{
    return annotation_is(arena_bytes(r->arena, name_in(r, &death->as.table, "queue")), queue);
}

/* The latest death that was not in the dead-letter queue itself. */
static const struct warren_value *last_death(const struct reading *r, const char *dlq)
{
    const struct warren_value *deaths = table_get(r->headers, "x-death", r->arena);

    if (!deaths || deaths->type != WARREN_ARRAY)
        return NULL;
    for (size_t i = 0; i < deaths->as.array.count; i++) {
        const struct warren_value *death = &deaths->as.array.values[i];

        if (death->type == WARREN_TABLE && !death_queue_is(r, death, "") &&
            !death_queue_is(r, death, dlq))
            return death;
    }
    return NULL;
}

static const char *first_key(const struct reading *r, const struct warren_value *death)
{
    const struct warren_value *keys = table_get(&death->as.table, "routing-keys", r->arena);

    if (!keys || keys->type != WARREN_ARRAY || keys->as.array.count == 0)
        return "";
    return name_of(r, &keys->as.array.values[0]);
}

/* A copy of warren's, or a replay, had come into the queue by the default exchange. */
static bool was_copy(const struct reading *r, struct notes *notes)
{
    struct dlq_letter *letter = r->letter;

    return arena_bytes(r->arena, letter->exchange).len == 0 &&
           annotation_is(arena_bytes(r->arena, letter->routing_key), letter->queue) &&
           notes_read(r->delivery, letter->queue, notes);
}

static void take_notes(const struct reading *r, const struct notes *notes)
{
    struct dlq_letter *letter = r->letter;

    letter->copied = true;
    letter->attempts = notes->attempts;
    letter->replays = notes->replays;
    letter->first_failure_s = (int64_t)notes->first_failure_s;
    if (!notes->exchange.data)
        return;
    letter->exchange = name_in(r, r->headers, NOTE_EXCHANGE);
    letter->routing_key = name_in(r, r->headers, NOTE_ROUTING_KEY);
}

/* The broker says where it died, whatever a sender's headers say. */
static void read_death(const struct reading *r, const struct warren_value *death)
{
    struct dlq_letter *letter = r->letter;
    struct notes notes;

    letter->queue = name_in(r, &death->as.table, "queue");
    letter->reason = name_in(r, &death->as.table, "reason");
    letter->died_s = time_in(r, &death->as.table, "time");
    letter->exchange = name_in(r, &death->as.table, "exchange");
    letter->routing_key = first_key(r, death);
    if (was_copy(r, &notes))
        take_notes(r, &notes);
}

/* ---- warren's envelope ---- */

/* What a dead letter may lack is a text where it is there. */
static bool are_texts(const struct reading *r)
{
    static const char *const names[] = {NOTE_HANDLER,   NOTE_ERROR, NOTE_SIGNAL,
                                        NOTE_BACKTRACE, NOTE_HOST,  NOTE_VERSION};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct warren_value *value = table_get(r->headers, names[i], r->arena);

        if (value && value->type != WARREN_STRING)
            return false;
    }
    return true;
}

/* All that each dead letter of a worker's has. One header alone names no queue. */
static bool is_envelope(const struct reading *r, struct notes *notes)
{
    const char *queue = name_in(r, r->headers, NOTE_QUEUE);

    return *queue && notes_read(r->delivery, queue, notes) &&
           table_get(r->headers, NOTE_ATTEMPTS, r->arena) && *text_in(r, NOTE_REASON) &&
           time_in(r, r->headers, NOTE_LAST_FAILURE) > 0 && are_texts(r);
}

/* A dead letter of a worker's has no x-death, for that leaves it out. What is no dead letter may be
 * a copy or a replay that was put into this queue. */
static void read_envelope(const struct reading *r, const char *dlq)
{
    struct dlq_letter *letter = r->letter;
    struct notes notes;

    if (!is_envelope(r, &notes)) {
        if (notes_of_copy(r->delivery, dlq, &notes))
            take_notes(r, &notes);
        return;
    }
    take_notes(r, &notes);
    letter->queue = name_in(r, r->headers, NOTE_QUEUE);
    letter->reason = text_in(r, NOTE_REASON);
    letter->handler = text_in(r, NOTE_HANDLER);
    letter->error = text_in(r, NOTE_ERROR);
    letter->signal = text_in(r, NOTE_SIGNAL);
    letter->backtrace = text_in(r, NOTE_BACKTRACE);
    letter->host = text_in(r, NOTE_HOST);
    letter->version = text_in(r, NOTE_VERSION);
    letter->died_s = time_in(r, r->headers, NOTE_LAST_FAILURE);
}

static const struct dlq_letter nothing = {.id = "",
                                          .queue = "",
                                          .exchange = "",
                                          .routing_key = "",
                                          .reason = "",
                                          .handler = "",
                                          .signal = "",
                                          .error = "",
                                          .backtrace = "",
                                          .host = "",
                                          .version = ""};

enum warren_status dlq_letter_read(struct delivery *delivery, const char *dlq, struct arena *arena,
                                   struct dlq_letter *letter)
{
    struct reading reading = {.arena = arena, .letter = letter, .delivery = delivery};
    const struct warren_value *death;
    struct warren_bytes error;
    enum warren_status status;

    *letter = nothing;
    letter->texts = arena;
    status = properties_decode(delivery_properties(delivery), arena, &letter->message.properties);
    if (status != WARREN_OK)
        return status;
    letter->message.body = (struct warren_bytes){delivery_body(delivery), delivery->body_len};
    reading.headers = &letter->message.properties.headers;
    letter->id = letter->message.properties.message_id ? letter->message.properties.message_id : "";
    death = last_death(&reading, dlq);
    if (death)
        read_death(&reading, death);
    else
        read_envelope(&reading, dlq);
    if (delivery->redelivered)
        letter->handed_back = count_in(&reading, "x-delivery-count");
    letter->came_back =
        letter->handed_back > 0 ||
        (delivery->redelivered && count_in(&reading, "x-acquired-count") > 0); /* of 4.3 */
    if (arena_bytes(arena, letter->reason).len == 0)
        letter->reason = "unknown";
    error = arena_bytes(arena, letter->error);
    dlq_fold_error(error.data, error.len, letter->folded);
    dlq_group(arena_bytes(arena, letter->reason), arena_bytes(arena, letter->handler),
              arena_bytes(arena, letter->signal), letter->folded, letter->group);
    return WARREN_OK;
}

/* ---- the way back ---- */

/* What the message had, and no copy may have, stays aside. */
static bool stays(const struct dlq_letter *letter, const struct warren_field *field)
{
    struct warren_bytes name = arena_bytes(letter->texts, field->name);

    return (letter->copied && notes_is_aside(name, &field->value)) ||
           (!annotation_is_warrens(name) && !annotation_is_brokers(name) &&
            !annotation_is(name, "CC") && !annotation_is(name, "BCC"));
}

static struct warren_field text_field(const struct dlq_letter *letter, const char *name,
                                      const char *text)
{
    struct warren_field field = {.name = name, .value.type = WARREN_STRING};

    field.value.as.bytes = arena_bytes(letter->texts, text);
    return field;
}

/* A dead letter of the broker's still has what a worker would have put aside. */
static size_t put_aside(const struct dlq_letter *letter, struct warren_properties *properties,
                        struct warren_field *fields)
{
    const struct warren_value *cc = table_get(&properties->headers, "CC", letter->texts);
    size_t count = 0;

    if (properties->user_id)
        fields[count++] = text_field(letter, NOTE_USER_ID, properties->user_id);
    properties->user_id = NULL;
    if (cc)
        fields[count++] = (struct warren_field){NOTE_CC, *cc};
    return count;
}

enum warren_status dlq_letter_renew(const struct dlq_letter *letter, struct arena *arena,
                                    struct warren_message *message)
{
    const struct warren_table *old = &letter->message.properties.headers;
    struct warren_field *fields = arena_alloc(arena, (old->count + 5) * sizeof *fields);
    size_t count = 0;

    if (!fields)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < old->count; i++)
        if (stays(letter, &old->fields[i]))
            fields[count++] = old->fields[i];
    if (arena_bytes(letter->texts, letter->exchange).len > 0 ||
        arena_bytes(letter->texts, letter->routing_key).len > 0) {
        fields[count++] = text_field(letter, NOTE_EXCHANGE, letter->exchange);
        fields[count++] = text_field(letter, NOTE_ROUTING_KEY, letter->routing_key);
    }
    fields[count++] =
        warren_field_i64(NOTE_REPLAYS, letter->replays < NOTES_COUNT_MAX ? letter->replays + 1 : 1);
    *message = letter->message;
    count += put_aside(letter, &message->properties, fields + count);
    message->properties.headers = (struct warren_table){fields, count};
    return WARREN_OK;
}
