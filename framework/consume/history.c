/* history.c - see history.h. */
#include "consume/history.h"

#include "amqp/annotations.h"
#include "amqp/properties.h"

static bool is_text(const struct warren_value *value)
{
    return value && value->type == WARREN_STRING;
}

static bool is_integer(const struct warren_value *value)
{
    if (!value)
        return false;
    switch (value->type) {
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        return true;
    default:
        return false;
    }
}

/* @return false: there is no such count */
static bool read_count(const struct warren_table *headers, const char *name,
                       const struct arena *arena, uint32_t *ret_count)
{
    const struct warren_value *value = table_get(headers, name, arena);

    if (!is_integer(value) || value->as.integer < 0 || value->as.integer >= UINT32_MAX)
        return false;
    *ret_count = (uint32_t)value->as.integer;
    return true;
}

/* A message may have come here with all its headers from a queue where it failed as well. */
static bool are_about(const struct warren_table *headers, const char *queue,
                      const struct arena *arena)
{
    const struct warren_value *value = table_get(headers, NOTE_QUEUE, arena);

    return !is_text(value) || (value->as.bytes.len == strlen(queue) &&
                               memcmp(value->as.bytes.data, queue, value->as.bytes.len) == 0);
}

static enum warren_status read_text(const struct warren_table *headers, const char *name,
                                    struct arena *arena, const char **ret_text)
{
    const struct warren_value *value = table_get(headers, name, arena);

    if (!is_text(value))
        return WARREN_OK;
    *ret_text = arena_text(arena, value->as.bytes.data, value->as.bytes.len);
    return *ret_text ? WARREN_OK : WARREN_ENOMEM;
}

static enum warren_status read_notes(const struct warren_table *headers, struct arena *arena,
                                     struct history *history)
{
    const struct warren_value *first = table_get(headers, NOTE_FIRST_FAILURE, arena);
    enum warren_status status = read_text(headers, NOTE_EXCHANGE, arena, &history->exchange);

    if (status == WARREN_OK)
        status = read_text(headers, NOTE_ROUTING_KEY, arena, &history->routing_key);
    if (first && first->type == WARREN_TIMESTAMP)
        history->first_failure_s = first->as.timestamp;
    read_count(headers, NOTE_ATTEMPTS, arena, &history->failed);
    return status;
}

enum warren_status history_read(const struct warren_properties *properties,
                                const struct history_of *of, struct arena *arena,
                                struct history *history)
{
    const struct warren_table *headers = &properties->headers;
    enum warren_status status = WARREN_OK;
    uint32_t broker = of->redelivered ? 1 : 0;

    *history = (struct history){0, 0, NULL, NULL};
    if (are_about(headers, of->queue, arena))
        status = read_notes(headers, arena, history);
    read_count(headers, "x-delivery-count", arena, &broker);
    if (of->broker_counts && __builtin_add_overflow(history->failed, broker, &history->failed))
        history->failed = UINT32_MAX;
    return status;
}
