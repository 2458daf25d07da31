/* test_order_key.c - what of a message is its key, and what is none. */
#include "amqp/wire/properties.h"
#include "consume/order/order_key.h"
#include "support/test.h"

#define LONG_KEY 100000

struct rig {
    struct config_key by;
    struct arena arena;
    struct buffer out;
    struct delivery *delivery;
    struct order_key key;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    rig->by = (struct config_key){.source = ORDER_BY_HEADER, .header = "customer"};
    arena_init(&rig->arena);
    buffer_init(&rig->out, 2 * LONG_KEY);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    delivery_free(rig->delivery);
    buffer_done(&rig->out);
    arena_done(&rig->arena);
    free(rig);
    return 0;
}

/* The key of a message with such properties. */
static void find(struct rig *rig, const struct warren_properties *properties,
                 struct warren_bytes routing_key)
{
    struct warren_bytes list;

    delivery_free(rig->delivery);
    buffer_done(&rig->out);
    buffer_init(&rig->out, 2 * LONG_KEY);
    assert_int_equal(
        properties_encode(properties, &rig->arena, 2 * LONG_KEY, &rig->arena, &rig->out, NULL),
        WARREN_OK);
    list = (struct warren_bytes){buffer_front(&rig->out), buffer_len(&rig->out)};
    rig->delivery = delivery_new(0, (struct warren_bytes){"", 0}, routing_key, list, 0);
    assert_non_null(rig->delivery);
    order_key_find(&rig->key, &rig->by, rig->delivery);
}

static void find_value(struct rig *rig, const struct warren_value *value)
{
    struct warren_field fields[] = {{.name = "other", .value = {.type = WARREN_VOID}},
                                    {.name = "customer", .value = *value}};
    const struct warren_properties properties = {.headers = {.fields = fields, .count = 2}};

    find(rig, &properties, (struct warren_bytes){"", 0});
}

static void find_bytes(struct rig *rig, enum warren_type type, const void *data, size_t len)
{
    const struct warren_value value = {.type = type, .as.bytes = {data, len}};

    find_value(rig, &value);
}

static void find_integer(struct rig *rig, enum warren_type type, int64_t number)
{
    const struct warren_value value = {.type = type, .as.integer = number};

    find_value(rig, &value);
}

static void assert_text(const struct rig *rig, const void *data, size_t len)
{
    assert_int_equal(rig->key.kind, KEY_TEXT);
    assert_int_equal(rig->key.bytes.len, len);
    assert_memory_equal(rig->key.bytes.data, data, len);
}

/* The length counts: a text goes on behind a NUL, and may be 100 kB long. */
static void texts_of_any_length_are_keys(void **state)
{
    struct rig *rig = *state;
    char *longest = malloc(LONG_KEY);

    assert_non_null(longest);
    memset(longest, 'k', LONG_KEY);
    find_bytes(rig, WARREN_STRING, "ann", 3);
    assert_text(rig, "ann", 3);
    find_bytes(rig, WARREN_BYTES, "a\0b", 3);
    assert_text(rig, "a\0b", 3);
    find_bytes(rig, WARREN_STRING, "\0", 1);
    assert_text(rig, "\0", 1);
    find_bytes(rig, WARREN_STRING, longest, LONG_KEY);
    assert_text(rig, longest, LONG_KEY);
    free(longest);
}

/* A number is the same key however wide it was sent, and no text. */
static void whole_numbers_are_keys_whatever_their_type(void **state)
{
    static const enum warren_type types[] = {WARREN_I8,  WARREN_U8,  WARREN_I16, WARREN_U16,
                                             WARREN_I32, WARREN_U32, WARREN_I64};
    static const uint8_t seven[8] = {7};
    static const uint8_t less[8] = {0xf9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        find_integer(rig, types[i], 7);
        assert_int_equal(rig->key.kind, KEY_NUMBER);
        assert_int_equal(rig->key.bytes.len, sizeof seven);
        assert_memory_equal(rig->key.bytes.data, seven, sizeof seven);
    }
    find_integer(rig, WARREN_I16, -7);
    assert_memory_equal(rig->key.bytes.data, less, sizeof less);
    find_integer(rig, WARREN_TIMESTAMP, 7);
    assert_int_equal(rig->key.kind, KEY_NUMBER);
}

static void all_else_is_no_key(void **state)
{
    static const struct warren_value none[] = {
        {.type = WARREN_VOID},
        {.type = WARREN_BOOL, .as.boolean = true},
        {.type = WARREN_F64, .as.real = 1.5},
        {.type = WARREN_STRING, .as.bytes = {"", 0}},
        {.type = WARREN_TABLE},
        {.type = WARREN_ARRAY},
    };
    const struct warren_properties empty = {.message_id = NULL};
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        find_value(rig, &none[i]);
        assert_int_equal(rig->key.kind, 0);
    }
    find(rig, &empty, (struct warren_bytes){"", 0});
    assert_int_equal(rig->key.kind, 0);
}

/* A header whose name is longer, or shorter, is another one; of two the first one counts. */
static void the_header_is_the_one_of_that_name(void **state)
{
    struct warren_field fields[] = {
        {.name = "customer2", .value = {.type = WARREN_STRING, .as.bytes = {"x", 1}}},
        {.name = "custom", .value = {.type = WARREN_STRING, .as.bytes = {"x", 1}}},
        {.name = "customer", .value = {.type = WARREN_STRING, .as.bytes = {"ann", 3}}},
        {.name = "customer", .value = {.type = WARREN_STRING, .as.bytes = {"bob", 3}}}};
    struct warren_properties properties = {.headers = {.fields = fields, .count = 4}};
    struct rig *rig = *state;

    find(rig, &properties, (struct warren_bytes){"", 0});
    assert_text(rig, "ann", 3);
    properties.headers.count = 2;
    find(rig, &properties, (struct warren_bytes){"", 0});
    assert_int_equal(rig->key.kind, 0);
}

static void routing_key_and_message_id_are_keys(void **state)
{
    const struct warren_properties properties = {.message_id = "m-1"};
    struct rig *rig = *state;

    rig->by.source = ORDER_BY_MESSAGE_ID;
    find(rig, &properties, (struct warren_bytes){"a\0b", 3});
    assert_text(rig, "m-1", 3);
    rig->by.source = ORDER_BY_ROUTING_KEY;
    find(rig, &properties, (struct warren_bytes){"a\0b", 3});
    assert_text(rig, "a\0b", 3);
    find(rig, &properties, (struct warren_bytes){"", 0});
    assert_int_equal(rig->key.kind, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_of_any_length_are_keys),
        TEST(whole_numbers_are_keys_whatever_their_type),
        TEST(all_else_is_no_key),
        TEST(the_header_is_the_one_of_that_name),
        TEST(routing_key_and_message_id_are_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
