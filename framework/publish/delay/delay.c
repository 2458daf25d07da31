#include "publish/delay/delay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/notes.h"

/* Of a name too long for its departure queue: how much of it stays, before ~ and a hash. */
#define NAME_KEPT 200

/* ---- a delay ---- */

static bool holds_nul(const struct arena *texts, const char *name)
{
    return arena_bytes(texts, name).len != strlen(name);
}

enum warren_status delay_new(const struct warren_publish *publish, const struct arena *texts,
                             const char *to_queue, int64_t delay_ms, struct delay **ret_delay)
{
    const char *exchange = !to_queue && publish->exchange ? publish->exchange : "";
    const char *queue = to_queue ? to_queue : publish->routing_key ? publish->routing_key : "";
    const char *name = *exchange ? exchange : queue;
    size_t size = strlen(name) + 1;
    struct delay *delay;

    if (size == 1 || size > DELAY_NAME_SIZE || holds_nul(texts, exchange) || holds_nul(texts, name))
        return WARREN_EINVAL;
    /* It ends with a connection, and at-least-once dead-lettering does not know it. */
    if (!*exchange && strncmp(name, DIRECT_REPLY, sizeof DIRECT_REPLY - 1) == 0)
        return WARREN_EINVAL;
    delay = malloc(sizeof *delay + size);
    if (!delay)
        return WARREN_ENOMEM;
    delay->seconds = (uint32_t)((delay_ms + 999) / 1000);
    delay->to_queue = !*exchange;
    memcpy(delay->destination, name, size);
    *ret_delay = delay;
    return WARREN_OK;
}

/* ---- names ---- */

void delay_level_name(unsigned level, char name[DELAY_NAME_SIZE])
{
    snprintf(name, DELAY_NAME_SIZE, DELAY_PREFIX "%02u", level);
}

const char *delay_level_header(unsigned level)
{
#define BIT(digits) NOTE_DELAY_PREFIX digits
    static const char *const names[DELAY_LEVELS_MAX] = {
        BIT("00"), BIT("01"), BIT("02"), BIT("03"), BIT("04"), BIT("05"), BIT("06"), BIT("07"),
        BIT("08"), BIT("09"), BIT("10"), BIT("11"), BIT("12"), BIT("13"), BIT("14"), BIT("15"),
        BIT("16"), BIT("17"), BIT("18"), BIT("19"), BIT("20"), BIT("21"), BIT("22"), BIT("23"),
        BIT("24"), BIT("25"), BIT("26"), BIT("27"), BIT("28"),
    };
#undef BIT

    return names[level];
}

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t hash(const char *text)
{
    uint64_t sum = UINT64_C(14695981039346656037);

    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return sum;
}

/* Not in the middle of a character of UTF-8. */
static int kept(const char *name)
{
    int len = NAME_KEPT;

    while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void delay_departure_name(const struct delay *delay, char name[DELAY_NAME_SIZE])
{
    const char *prefix = delay->to_queue ? DELAY_TO_QUEUE : DELAY_TO_EXCHANGE;
    const char *destination = delay->destination;

    if (strlen(prefix) + strlen(destination) < DELAY_NAME_SIZE)
        stpcpy(stpcpy(name, prefix), destination);
    else
        snprintf(name, DELAY_NAME_SIZE, "%s%.*s~%016llx", prefix, kept(destination), destination,
                 (unsigned long long)hash(destination));
}

/* ---- the message ---- */

/* It has a way behind it that must not count for the one before it. */
static bool is_left_out(struct warren_bytes name)
{
    return annotation_is_brokers(name) || annotation_begins(name, NOTE_DELAY_PREFIX);
}

static size_t keep_headers(struct warren_field *fields, const struct warren_table *headers,
                           const struct arena *texts)
{
    size_t count = 0;

    for (size_t i = 0; i < headers->count; i++)
        if (!is_left_out(arena_bytes(texts, headers->fields[i].name)))
            fields[count++] = headers->fields[i];
    return count;
}

static size_t put_delay(struct warren_field *fields, const struct delay *delay,
                        const char *departure)
{
    size_t count = 0;

    for (unsigned level = 0; level <= delay_top(delay); level++)
        fields[count++] =
            warren_field_bool(delay_level_header(level), (delay->seconds >> level & 1) != 0);
    fields[count++] = warren_field_text(DELAY_TO_HEADER, departure);
    return count;
}

enum warren_status delay_message_init(struct delay_message *m, const struct delay *delay,
                                      const struct warren_publish *publish,
                                      const struct arena *texts)
{
    struct warren_table *headers = &m->message.properties.headers;

    m->publish = *publish;
    m->message = *publish->message;
    m->fields = calloc(headers->count + DELAY_LEVELS_MAX + 1, sizeof *m->fields);
    if (!m->fields)
        return WARREN_ENOMEM;
    delay_level_name(delay_top(delay), m->exchange);
    delay_departure_name(delay, m->departure);
    m->publish.exchange = m->exchange;
    m->publish.message = &m->message;
    m->publish.optional = false;
    m->message.properties.expiration = NULL;
    headers->count = keep_headers(m->fields, headers, texts);
    headers->count += put_delay(m->fields + headers->count, delay, m->departure);
    headers->fields = m->fields;
    return WARREN_OK;
}

void delay_message_done(struct delay_message *m)
{
    free(m->fields);
}
