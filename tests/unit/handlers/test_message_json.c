/* test_message_json.c - a message as log.write writes it. */
#include <jansson.h>

#include "handlers/log/message_json.h"
#include "job_rig.h"
#include "support/test.h"

/* The line of the rig's job, parsed; it must be one line. */
static json_t *line_of(struct rig *rig)
{
    size_t len = 0;
    char *line = message_json(rig->job, &len);
    json_t *object;

    assert_non_null(line);
    assert_int_equal(line[len - 1], '\n');
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    object = json_loadb(line, len, 0, NULL);
    free(line);
    assert_non_null(object);
    return object;
}

static void assert_text(const json_t *object, const char *key, const char *text)
{
    assert_non_null(json_object_get(object, key));
    assert_string_equal(json_string_value(json_object_get(object, key)), text);
}

/* Body, origin and the flags of the delivery have the names that the documentation gives. */
static void what_is_always_there(void **state)
{
    struct rig *rig = *state;
    struct warren_properties properties = {.delivery_mode = 2};
    json_t *line;

    rig_begin(rig, &properties, warren_text("h\xc3\xa4llo\n\"x\""));
    line = line_of(rig);
    assert_text(line, "body", "h\xc3\xa4llo\n\"x\"");
    assert_text(line, "queue", "payments");
    assert_text(line, "exchange", "shop");
    assert_text(line, "routing_key", "eu.de");
    assert_true(json_is_false(json_object_get(line, "redelivered")));
    assert_int_equal(json_integer_value(json_object_get(line, "attempt")), 1);
    assert_true(json_is_null(json_object_get(line, "message_id")));
    assert_int_equal(json_object_size(json_object_get(line, "headers")), 0);
    assert_null(json_object_get(line, "content_type"));
    json_decref(line);
}

/* A text that holds a NUL is there to its end; a name that does cannot be a key of JSON. */
static void a_nul_ends_no_text(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {warren_field_text("x", "a"), warren_field_text("x", "b")};
    struct warren_properties properties = {.headers = {headers, 2}};
    struct arena texts;
    const json_t *found;
    json_t *line;
    size_t len = 0;
    char *written;

    arena_init(&texts);
    properties.message_id = arena_text(&texts, "dup\0A", 5);
    headers[0].name = arena_text(&texts, "x\0", 2);
    rig_begin_whole(rig, &properties, &texts, warren_text("b"));
    arena_done(&texts);
    written = message_json(rig->job, &len);
    assert_non_null(written);
    line = json_loadb(written, len, JSON_ALLOW_NUL, NULL);
    free(written);
    found = json_object_get(line, "message_id");
    assert_int_equal(json_string_length(found), 5);
    assert_memory_equal(json_string_value(found), "dup\0A", 5);
    found = json_object_get(line, "headers");
    assert_text(json_object_get(found, "eAA="), "value", "a");
    assert_text(json_object_get(found, "x"), "value", "b");
    json_decref(line);
}

/* Every property that the message has is there. */
static void all_properties(void **state)
{
    struct rig *rig = *state;
    struct warren_properties properties = {.content_type = "a/b",
                                           .content_encoding = "gzip",
                                           .delivery_mode = 2,
                                           .has_priority = true,
                                           .priority = 0,
                                           .correlation_id = "c",
                                           .reply_to = "r",
                                           .expiration = "60000",
                                           .message_id = "m",
                                           .has_timestamp = true,
                                           .timestamp = 1700000000,
                                           .type = "t",
                                           .user_id = "guest",
                                           .app_id = "a",
                                           .cluster_id = "k"};
    json_t *line;

    rig_begin(rig, &properties, warren_text(""));
    line = line_of(rig);
    assert_text(line, "body", "");
    assert_text(line, "content_type", "a/b");
    assert_text(line, "content_encoding", "gzip");
    assert_int_equal(json_integer_value(json_object_get(line, "delivery_mode")), 2);
    assert_non_null(json_object_get(line, "priority"));
    assert_text(line, "correlation_id", "c");
    assert_text(line, "reply_to", "r");
    assert_text(line, "expiration", "60000");
    assert_text(line, "message_id", "m");
    assert_int_equal(json_integer_value(json_object_get(line, "timestamp")), 1700000000);
    assert_text(line, "type", "t");
    assert_text(line, "user_id", "guest");
    assert_text(line, "app_id", "a");
    assert_text(line, "cluster_id", "k");
    json_decref(line);
}

/* Bytes that are no UTF-8 come as base64, and nothing under the plain name. */
static void a_binary_body_is_base64(void **state)
{
    struct rig *rig = *state;
    struct warren_properties properties = {0};
    json_t *line;

    rig_begin(rig, &properties, (struct warren_bytes){"\xff\xfe\x00", 3});
    line = line_of(rig);
    assert_text(line, "body_base64", "//4A");
    assert_null(json_object_get(line, "body"));
    json_decref(line);
}

/* A NUL is text, and is not the end of it. */
static void a_body_may_hold_nul(void **state)
{
    struct rig *rig = *state;
    struct warren_properties properties = {0};
    size_t len = 0;
    char *line;

    rig_begin(rig, &properties, (struct warren_bytes){"a\0b", 3});
    line = message_json(rig->job, &len);
    assert_non_null(line);
    assert_non_null(memmem(line, len, "\"body\":\"a\\u0000b\"", 16));
    free(line);
}

static const json_t *header(const json_t *line, const char *name, const char *type)
{
    const json_t *value = json_object_get(json_object_get(line, "headers"), name);

    assert_non_null(value);
    assert_text(value, "type", type);
    return json_object_get(value, "value");
}

/* 2.0, and what becomes of it: warren writes no NaN, and RabbitMQ lets none through, but a delivery
 * may hold one. */
#define STAND_IN 2.0
static void put_nan(struct rig *rig)
{
    static const uint8_t two[] = {'d', 0x40, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t nan[] = {'d', 0x7f, 0xf8, 0, 0, 0, 0, 0, 0};
    struct warren_bytes properties = delivery_properties(&rig->attempt->delivery);
    uint8_t *at = memmem(properties.data, properties.len, two, sizeof two);

    assert_non_null(at);
    memcpy(at, nan, sizeof nan);
}

/* Each type keeps its name, and numbers their value. */
static void headers_keep_their_types(void **state)
{
    struct rig *rig = *state;
    struct warren_value inner = {.type = WARREN_U8, .as.integer = 255};
    struct warren_field nested = warren_field_bool("yes", true);
    struct warren_field fields[] = {
        warren_field_text("text", "x"),
        warren_field_i64("low", INT64_MIN),
        {"none", {.type = WARREN_VOID}},
        {"nan", {.type = WARREN_F64, .as.real = STAND_IN}},
        {"half", {.type = WARREN_F32, .as.real = 0.5}},
        {"price", {.type = WARREN_DECIMAL, .as.decimal = {2, 1234}}},
        {"raw", {.type = WARREN_BYTES, .as.bytes = {"\x01", 1}}},
        {"late", {.type = WARREN_TIMESTAMP, .as.timestamp = UINT64_MAX}},
        {"list", {.type = WARREN_ARRAY, .as.array = {&inner, 1}}},
        {"map", {.type = WARREN_TABLE, .as.table = {&nested, 1}}},
        warren_field_text("text", "the second is not the one"),
    };
    struct warren_properties properties = {.headers = {fields, sizeof fields / sizeof *fields}};
    json_t *line;

    rig_begin(rig, &properties, warren_text("x"));
    put_nan(rig);
    line = line_of(rig);
    assert_string_equal(json_string_value(header(line, "text", "string")), "x");
    assert_true(json_integer_value(header(line, "low", "i64")) == INT64_MIN);
    assert_true(json_is_null(header(line, "none", "void")));
    assert_string_equal(json_string_value(header(line, "nan", "f64")), "nan");
    assert_true(json_real_value(header(line, "half", "f32")) == 0.5);
    assert_int_equal(
        json_integer_value(json_object_get(header(line, "price", "decimal"), "unscaled")), 1234);
    assert_null(header(line, "raw", "bytes"));
    assert_text(json_object_get(json_object_get(line, "headers"), "raw"), "value_base64", "AQ==");
    assert_string_equal(json_string_value(header(line, "late", "timestamp")),
                        "18446744073709551615");
    assert_text(json_array_get(header(line, "list", "array"), 0), "type", "u8");
    assert_text(json_object_get(header(line, "map", "table"), "yes"), "type", "bool");
    json_decref(line);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_always_there),    TEST(all_properties),      TEST(a_nul_ends_no_text),
        TEST(a_binary_body_is_base64), TEST(a_body_may_hold_nul), TEST(headers_keep_their_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
