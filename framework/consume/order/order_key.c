/* order_key.c - see order_key.h. */
#include "consume/order/order_key.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "amqp/wire/property_spans.h"
#include "amqp/wire/wire.h"
#include "base/random.h"

static void set_text(struct order_key *key, struct warren_bytes text)
{
    if (text.len == 0)
        return;
    key->kind = KEY_TEXT;
    key->bytes = text;
}

static void set_number(struct order_key *key, const struct field_type *type, const uint8_t *at)
{
    uint64_t number = htole64((uint64_t)wire_get_integer(at, type->size, type->min < 0));

    key->kind = KEY_NUMBER;
    memcpy(key->number, &number, sizeof number);
    key->bytes = (struct warren_bytes){key->number, sizeof key->number};
}

static void find_header(struct order_key *key, const char *name, struct warren_bytes headers)
{
    const struct field_type *known;
    struct warren_bytes value;
    enum warren_type type;

    if (!property_spans_header(headers, name, &type, &value))
        return;
    known = field_type_of_letter((uint8_t)type);
    if (known && known->form == FIELD_BYTES)
        set_text(key, value);
    else if (known && (known->form == FIELD_INTEGER || known->form == FIELD_TIMESTAMP))
        set_number(key, known, value.data);
}

void order_key_find(struct order_key *key, const struct config_key *by,
                    const struct delivery *delivery)
{
    struct property_spans spans;

    key->kind = 0;
    if (by->source == ORDER_BY_ROUTING_KEY) {
        set_text(key, delivery_routing_key_bytes(delivery));
        return;
    }
    property_spans_find(delivery_properties(delivery), &spans);
    if (by->source == ORDER_BY_MESSAGE_ID)
        set_text(key, spans.message_id);
    else if (by->source == ORDER_BY_HEADER)
        find_header(key, by->header, spans.headers);
}

void order_secret_draw(uint8_t secret[SIPHASH_SIZE])
{
    for (size_t i = 0; i < SIPHASH_SIZE; i += sizeof(uint64_t)) {
        uint64_t bits = random_seed();

        memcpy(secret + i, &bits, sizeof bits);
    }
}

struct order_name order_name_of(const uint8_t secret[SIPHASH_SIZE], char kind,
                                struct warren_bytes key)
{
    uint8_t out[SIPHASH_SIZE];
    struct order_name name;
    struct siphash hash;

    siphash_begin(&hash, secret);
    siphash_add(&hash, &kind, sizeof kind);
    siphash_add(&hash, key.data, key.len);
    siphash_end(&hash, out);
    memcpy(&name.low, out, sizeof name.low);
    memcpy(&name.high, out + sizeof name.low, sizeof name.high);
    return name;
}

void order_key_lacks(const struct config_key *by, char *text, size_t size)
{
    switch (by->source) {
    case ORDER_BY_HEADER:
        snprintf(text, size, "no header '%s' that is a text or a whole number", by->header);
        break;
    case ORDER_BY_ROUTING_KEY:
        snprintf(text, size, "an empty routing key");
        break;
    case ORDER_BY_MESSAGE_ID:
        snprintf(text, size, "no message id");
        break;
    case ORDER_BY_HANDLER:
        snprintf(text, size, "no key from its handler");
        break;
    }
}
