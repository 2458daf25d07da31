/* growth.c - see growth.h. */
#include "publish/message/growth.h"

#include <string.h>

#include "amqp/wire/properties.h"
#include "publish/delay/delay.h"

#define DEATH       103 /* without queue, exchange and keys */
#define DEATHS      13
#define FIRST_LAST  183
#define COUNTS      52
#define KEY         5 /* of the list of keys: type and length of each */
#define NAME_MAX    255
#define LEVEL_NAMES (sizeof DELAY_PREFIX + 1 + sizeof DELAY_DELIVER - 1)

/* The routing key, and those of the header CC: they stand in each note about a death. */
static size_t keys_size(const struct warren_publish *publish, const struct arena *texts)
{
    size_t size = KEY + arena_bytes(texts, publish->routing_key).len;
    const struct warren_value *cc = NULL;

    if (publish->message)
        cc = table_get(&publish->message->properties.headers, "CC", texts);
    if (!cc || cc->type != WARREN_ARRAY)
        return size;
    for (size_t i = 0; i < cc->as.array.count; i++)
        if (cc->as.array.values[i].type == WARREN_STRING)
            size += KEY + cc->as.array.values[i].as.bytes.len;
    return size;
}

/* Where the highest bit of the delay is: each below it may be set, too. */
static size_t levels_of(int64_t delay_ms)
{
    int64_t seconds = delay_ms / 1000 + (delay_ms % 1000 != 0);

    return delay_ms <= 0 ? 0 : 64 - (size_t)__builtin_clzll((unsigned long long)seconds);
}

size_t growth_room(const struct warren_publish *publish, const struct arena *texts,
                   const char *to_queue, int64_t delay_ms)
{
    struct warren_bytes to_exchange = arena_bytes(texts, publish->exchange);
    bool default_exchange = to_queue || to_exchange.len == 0;
    const char *name = to_queue ? to_queue : publish->routing_key;
    size_t queue = default_exchange && name ? arena_bytes(texts, name).len : NAME_MAX;
    size_t exchange = default_exchange ? 0 : to_exchange.len;
    size_t keys = keys_size(publish, texts) + (to_queue ? strlen(to_queue) : 0);
    size_t levels = levels_of(delay_ms);
    size_t room = DEATHS + FIRST_LAST + COUNTS;

    if (levels > DELAY_LEVELS_MAX)
        levels = DELAY_LEVELS_MAX;
    if (levels > 0) { /* the names on the way may be longer than those at its end */
        queue = NAME_MAX;
        if (exchange < strlen(DELAY_DELIVER))
            exchange = strlen(DELAY_DELIVER);
        room += DEATH + queue + strlen(DELAY_DELIVER) + keys;
    }
    room += levels * (DEATH + LEVEL_NAMES + keys);
    return room + DEATH + queue + exchange + keys + 2 * (queue + exchange);
}
