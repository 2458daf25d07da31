#include "support/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <warren/message.h>

#define ENTRIES_MAX 16

struct entries {
    amqp_table_entry_t items[ENTRIES_MAX];
    int count;
};

static amqp_field_value_t *add(struct entries *entries, const char *name, uint8_t kind)
{
    amqp_table_entry_t *entry = &entries->items[entries->count++];

    memset(entry, 0, sizeof *entry);
    entry->key = amqp_cstring_bytes(name);
    entry->value.kind = kind;
    return &entry->value;
}

static void add_text(struct entries *entries, const char *name, const char *text)
{
    if (text)
        add(entries, name, AMQP_FIELD_KIND_UTF8)->value.bytes = amqp_cstring_bytes(text);
}

static void add_number(struct entries *entries, const char *name, int64_t number)
{
    if (number)
        add(entries, name, AMQP_FIELD_KIND_I64)->value.i64 = number;
}

static void add_time(struct entries *entries, const char *name, uint64_t seconds)
{
    add(entries, name, AMQP_FIELD_KIND_TIMESTAMP)->value.u64 = seconds;
}

/* What each dead letter of a worker's has. */
static void add_envelope(struct entries *entries, const struct letter *letter)
{
    uint64_t died_s = letter->died_s ? letter->died_s : (uint64_t)time(NULL);

    add_text(entries, "x-warren-queue", letter->queue);
    add_text(entries, "x-warren-exchange", "");
    add_text(entries, "x-warren-routing-key", letter->queue);
    add(entries, "x-warren-attempts", AMQP_FIELD_KIND_I64)->value.i64 = letter->attempts;
    add_text(entries, "x-warren-reason", letter->reason ? letter->reason : "rejected");
    add_time(entries, "x-warren-first-failure", died_s);
    add_time(entries, "x-warren-last-failure", died_s);
}

void letter_put(struct peer *peer, const char *dlq, const struct letter *letter)
{
    struct entries entries = {.count = 0};
    const char *body = letter->body ? letter->body : letter->id;
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};

    if (letter->queue)
        add_envelope(&entries, letter);
    add_text(&entries, "x-warren-handler", letter->handler);
    add_text(&entries, "x-warren-error", letter->error);
    add_text(&entries, "tenant", letter->tenant);
    add_number(&entries, "x-warren-replays", letter->replays);
    properties.headers.entries = entries.items;
    properties.headers.num_entries = entries.count;
    if (letter->id) {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(letter->id);
    }
    peer_publish(peer, "", dlq, body, strlen(body), &properties);
}

void letter_put_deep(struct peer *peer, const char *dlq, const char *id)
{
    amqp_table_entry_t entries[WARREN_NESTING_MAX + 1];
    size_t last = sizeof entries / sizeof *entries - 1;
    amqp_basic_properties_t properties = {._flags =
                                              AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(id),
                                          .headers = {1, entries}};

    for (size_t i = 0; i <= last; i++) {
        entries[i] = (amqp_table_entry_t){.key = amqp_cstring_bytes("k")};
        entries[i].value.kind = i < last ? AMQP_FIELD_KIND_TABLE : AMQP_FIELD_KIND_VOID;
        if (i < last)
            entries[i].value.value.table = (amqp_table_t){1, &entries[i + 1]};
    }
    peer_publish(peer, "", dlq, id, strlen(id), &properties);
}

const amqp_field_value_t *letter_header(const struct peer_message *message, const char *name)
{
    const amqp_table_t *headers = &message->properties->headers;

    if (!(message->properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        return NULL;
    for (int i = 0; i < headers->num_entries; i++)
        if (headers->entries[i].key.len == strlen(name) &&
            memcmp(headers->entries[i].key.bytes, name, strlen(name)) == 0)
            return &headers->entries[i].value;
    return NULL;
}

int64_t letter_number(const struct peer_message *message, const char *name)
{
    const amqp_field_value_t *value = letter_header(message, name);

    return value && value->kind == AMQP_FIELD_KIND_I64 ? value->value.i64 : -1;
}

bool letter_says(const struct peer_message *message, const char *name, const char *text)
{
    const amqp_field_value_t *value = letter_header(message, name);

    return value && value->kind == AMQP_FIELD_KIND_UTF8 && value->value.bytes.len == strlen(text) &&
           memcmp(value->value.bytes.bytes, text, strlen(text)) == 0;
}

static void count(const struct peer_message *message, void *user)
{
    struct letter_census *census = user;
    size_t len = strlen(census->prefix);
    const char *digits = message->message_id + len + 1;
    char *end;
    unsigned long number;

    if (strncmp(message->message_id, census->prefix, len) != 0 || message->message_id[len] != '-' ||
        strcmp(message->message_id, message->body) != 0) {
        census->unexpected++;
        return;
    }
    number = strtoul(digits, &end, 10);
    if (end == digits || *end || number >= census->count)
        census->unexpected++;
    else
        census->copies[number]++;
}

void letter_census(struct peer *peer, const char *queue, struct letter_census *census)
{
    peer_drain(peer, queue, count, census);
}
