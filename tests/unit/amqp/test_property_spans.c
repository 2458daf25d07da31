/* test_property_spans.c - parts of an encoded property list, found without decoding it. */
#include "amqp/wire/properties.h"
#include "amqp/wire/property_spans.h"
#include "support/test.h"

struct fixture {
    struct arena arena;
    struct buffer out;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        return -1;
    arena_init(&fixture->arena);
    buffer_init(&fixture->out, 1 << 20);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    arena_done(&fixture->arena);
    buffer_done(&fixture->out);
    free(fixture);
    return 0;
}

/* The list in memory of exactly its size, so that a sanitizer sees a look behind it. */
static struct warren_bytes encode(struct fixture *fixture, const struct warren_properties *from)
{
    uint8_t *exact;
    size_t len;

    buffer_taken(&fixture->out, buffer_len(&fixture->out));
    assert_int_equal(properties_encode(from, NULL, 1 << 20, &fixture->arena, &fixture->out, NULL),
                     WARREN_OK);
    len = buffer_len(&fixture->out);
    exact = malloc(len);
    assert_non_null(exact);
    memcpy(exact, buffer_front(&fixture->out), len);
    return (struct warren_bytes){exact, len};
}

static void assert_bytes(struct warren_bytes bytes, const char *expected)
{
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.len);
}

static const struct warren_field fields[] = {
    {.name = "void", .value = {.type = WARREN_VOID}},
    {.name = "x-warren-attempts", .value = {.type = WARREN_I64, .as.integer = 7}},
    {.name = "small", .value = {.type = WARREN_U8, .as.integer = 200}},
    {.name = "below", .value = {.type = WARREN_I32, .as.integer = -3}},
    {.name = "text", .value = {.type = WARREN_STRING, .as.bytes = {"words", 5}}},
    {.name = "text", .value = {.type = WARREN_STRING, .as.bytes = {"second", 6}}},
    {.name = "last", .value = {.type = WARREN_U16, .as.integer = 300}},
};

static const struct warren_properties full = {
    .content_type = "text/plain",
    .content_encoding = "none",
    .headers = {.fields = fields, .count = sizeof fields / sizeof *fields},
    .delivery_mode = 2,
    .has_priority = true,
    .priority = 9,
    .correlation_id = "c-1",
    .reply_to = "r",
    .expiration = "60000",
    .message_id = "m-1",
    .has_timestamp = true,
    .timestamp = 1700000000,
    .type = "t",
    .user_id = "u",
    .app_id = "a",
};

/* Each part is found among all the others. */
static void parts_of_a_full_list(void **state)
{
    struct warren_bytes list = encode(*state, &full);
    struct property_spans spans;

    property_spans_find(list, &spans);
    assert_bytes(spans.message_id, "m-1");
    assert_bytes(spans.before_headers, "\x0atext/plain\x04none");
    /* delivery mode, priority, correlation id, reply-to, expiration, message id, timestamp, type,
     * user id, app id */
    assert_int_equal(spans.after_headers.len, 1 + 1 + 4 + 2 + 6 + 4 + 8 + 2 + 2 + 2);
    assert_int_equal(2 + spans.before_headers.len + 4 + spans.headers.len + spans.after_headers.len,
                     list.len);
    free((void *)(uintptr_t)list.data);
}

/* What is absent has no length. */
static void parts_of_an_empty_list(void **state)
{
    const struct warren_properties none = {.delivery_mode = 0};
    struct warren_bytes list = encode(*state, &none);
    struct property_spans spans;

    property_spans_find(list, &spans);
    assert_int_equal(spans.message_id.len, 0);
    assert_int_equal(spans.headers.len, 0);
    assert_int_equal(spans.before_headers.len, 0);
    assert_int_equal(spans.after_headers.len, 0);
    free((void *)(uintptr_t)list.data);
}

/* A list that ends too early is read as far as it goes, and no byte further. */
static void lists_that_are_cut(void **state)
{
    struct warren_bytes list = encode(*state, &full);
    struct property_spans spans;

    for (size_t len = 0; len < list.len; len++) {
        uint8_t *cut = malloc(len + !len);
        enum warren_type type;
        struct warren_bytes value;

        assert_non_null(cut);
        memcpy(cut, list.data, len);
        property_spans_find((struct warren_bytes){cut, len}, &spans);
        property_spans_header(spans.headers, "nothing", &type, &value);
        if (len > 2 + 64) /* likewise a table whose length says more than there is */
            property_spans_header((struct warren_bytes){cut + 24, len - 24}, "none", &type, &value);
        free(cut);
    }
    free((void *)(uintptr_t)list.data);
}

/* A header is found by its whole name; of two with the same name, the first. */
static void headers_by_name(void **state)
{
    struct warren_bytes list = encode(*state, &full);
    struct property_spans spans;
    struct warren_bytes value;
    enum warren_type type;

    property_spans_find(list, &spans);
    assert_true(property_spans_header(spans.headers, "text", &type, &value));
    assert_int_equal(type, WARREN_STRING);
    assert_bytes(value, "words");
    assert_true(property_spans_header(spans.headers, "void", &type, &value));
    assert_int_equal(value.len, 0);
    assert_false(property_spans_header(spans.headers, "tex", &type, &value));
    assert_false(property_spans_header(spans.headers, "texts", &type, &value));
    free((void *)(uintptr_t)list.data);
}

/* Counts are numbers of any width; what is none, or negative, does not count. */
static void headers_as_counts(void **state)
{
    struct warren_bytes list = encode(*state, &full);
    struct property_spans spans;

    property_spans_find(list, &spans);
    assert_int_equal(property_spans_count(spans.headers, "x-warren-attempts", 1), 7);
    assert_int_equal(property_spans_count(spans.headers, "small", 1), 200);
    assert_int_equal(property_spans_count(spans.headers, "last", 1), 300);
    assert_int_equal(property_spans_count(spans.headers, "below", 1), 1);
    assert_int_equal(property_spans_count(spans.headers, "text", 1), 1);
    assert_int_equal(property_spans_count(spans.headers, "absent", 1), 1);
    free((void *)(uintptr_t)list.data);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(parts_of_a_full_list), T(parts_of_an_empty_list), T(lists_that_are_cut),
        T(headers_by_name),      T(headers_as_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
