/* test_notes.c - which notes count, and which nobody but somebody else can have written. */
#include <time.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "support/test.h"

#define FIELDS_MAX 8

#define TEXT(bytes_, len_)                                                                         \
    {                                                                                              \
        .type = WARREN_STRING, .as.bytes = { bytes_, len_ }                                        \
    }
#define NUMBER(number)                                                                             \
    {                                                                                              \
        .type = WARREN_I64, .as.integer = number                                                   \
    }
#define INTEGER(type_, num)                                                                        \
    {                                                                                              \
        .type = type_, .as.integer = num                                                           \
    }
#define TIME(seconds)                                                                              \
    {                                                                                              \
        .type = WARREN_TIMESTAMP, .as.timestamp = seconds                                          \
    }
#define NONE                                                                                       \
    {                                                                                              \
        .type = WARREN_VOID                                                                        \
    }

static char long_name[65536];

/* A delivery from @exchange by @key with these headers. */
static struct delivery *deliver(const char *exchange, const char *key,
                                const struct warren_field *fields, size_t count)
{
    struct warren_properties properties = {.headers = {fields, count}};
    struct delivery *delivery;
    struct warren_bytes bytes;
    struct buffer encoded;
    struct arena scratch;

    arena_init(&scratch);
    buffer_init(&encoded, 1 << 20);
    assert_int_equal(properties_encode(&properties, NULL, 1 << 20, &scratch, &encoded, NULL),
                     WARREN_OK);
    bytes = (struct warren_bytes){buffer_front(&encoded), buffer_len(&encoded)};
    delivery = delivery_new(0, warren_text(exchange), warren_text(key), bytes, 0);
    assert_non_null(delivery);
    buffer_done(&encoded);
    arena_done(&scratch);
    return delivery;
}

/* What a worker writes into a copy for the queue "q". */
static const struct warren_field copy[] = {
    {NOTE_QUEUE, TEXT("q", 1)},
    {NOTE_EXCHANGE, TEXT("shop", 4)},
    {NOTE_ROUTING_KEY, TEXT("eu.de", 5)},
    {NOTE_ATTEMPTS, NUMBER(3)},
    {NOTE_FIRST_FAILURE, TIME(1700000000)},
    {NOTE_REPLAYS, NUMBER(2)},
};

#define COPY_FIELDS (sizeof copy / sizeof *copy)

/* The copy, with the note @name replaced by @value, or, if that is void, without it. */
static bool counts_with(const char *name, const struct warren_value *value, struct notes *notes)
{
    struct warren_field fields[FIELDS_MAX];
    struct delivery *delivery;
    size_t count = 0;
    bool counts;

    for (size_t i = 0; i < COPY_FIELDS; i++) {
        if (strcmp(copy[i].name, name) != 0)
            fields[count++] = copy[i];
        else if (value->type != WARREN_VOID)
            fields[count++] = (struct warren_field){name, *value};
    }
    delivery = deliver("", "q", fields, count);
    counts = notes_of_copy(delivery, "q", notes);
    delivery_free(delivery);
    return counts;
}

/* All notes of a copy are read. */
static void a_copy_counts(void **state)
{
    struct delivery *delivery = deliver("", "q", copy, COPY_FIELDS);
    struct notes notes;

    (void)state;
    assert_true(notes_of_copy(delivery, "q", &notes));
    assert_int_equal(notes.attempts, 3);
    assert_int_equal(notes.replays, 2);
    assert_int_equal(notes.first_failure_s, 1700000000);
    assert_int_equal(notes.exchange.len, 4);
    assert_memory_equal(notes.exchange.data, "shop", 4);
    assert_memory_equal(notes.routing_key.data, "eu.de", 5);
    delivery_free(delivery);
}

/* One note that warren cannot have written takes the others along; one that it can does not. */
static void one_bad_note_takes_all(void **state)
{
    const struct {
        const char *name;
        struct warren_value value;
        bool counts;
    } rows[] = {
        {NOTE_QUEUE, NONE, false},
        {NOTE_QUEUE, TEXT("", 0), false},
        {NOTE_QUEUE, TEXT("victim", 6), false},
        {NOTE_QUEUE, TEXT("q\0", 2), false},
        {NOTE_QUEUE, TEXT(long_name, 256), false},
        {NOTE_QUEUE, NUMBER(5), false},
        {NOTE_QUEUE, INTEGER(WARREN_BOOL, 1), false},
        {NOTE_EXCHANGE, NONE, false},
        {NOTE_EXCHANGE, TEXT("", 0), true},
        {NOTE_EXCHANGE, TEXT(long_name, 255), true},
        {NOTE_EXCHANGE, TEXT(long_name, 256), false},
        {NOTE_EXCHANGE, TEXT("a\0b", 3), true},
        {NOTE_EXCHANGE, NUMBER(0), false},
        {NOTE_ROUTING_KEY, NONE, false},
        {NOTE_ROUTING_KEY, TEXT("", 0), true},
        {NOTE_ROUTING_KEY, TEXT(long_name, 255), true},
        {NOTE_ROUTING_KEY, TEXT(long_name, 256), false},
        {NOTE_ROUTING_KEY, TEXT(long_name, 65535), false},
        {NOTE_ROUTING_KEY, TEXT("k\0", 2), true},
        {NOTE_ATTEMPTS, NONE, true},
        {NOTE_ATTEMPTS, NUMBER(0), true},
        {NOTE_ATTEMPTS, INTEGER(WARREN_U8, 200), true},
        {NOTE_ATTEMPTS, INTEGER(WARREN_I32, 7), true},
        {NOTE_ATTEMPTS, NUMBER(NOTES_COUNT_MAX), true},
        {NOTE_ATTEMPTS, NUMBER((int64_t)NOTES_COUNT_MAX + 1), false},
        {NOTE_ATTEMPTS, NUMBER(INT64_MAX), false},
        {NOTE_ATTEMPTS, NUMBER(INT64_MIN), false}, /* as 2^63 of no sign */
        {NOTE_ATTEMPTS, NUMBER(-1), false},
        {NOTE_ATTEMPTS, INTEGER(WARREN_I8, -1), false},
        {NOTE_ATTEMPTS, TEXT("3", 1), false},
        {NOTE_ATTEMPTS, TIME(3), false},
        {NOTE_ATTEMPTS, {.type = WARREN_F64, .as.real = 3}, false},
        {NOTE_ATTEMPTS, {.type = WARREN_ARRAY}, false},
        {NOTE_ATTEMPTS, {.type = WARREN_TABLE}, false},
        {NOTE_FIRST_FAILURE, NONE, false}, /* three attempts that failed at no time */
        {NOTE_FIRST_FAILURE, TIME(0), false},
        {NOTE_FIRST_FAILURE, TIME(UINT64_MAX), false},
        {NOTE_FIRST_FAILURE, TIME((uint64_t)1 << 63), false},
        {NOTE_FIRST_FAILURE, TIME((uint64_t)time(NULL) + 3600), true},
        {NOTE_FIRST_FAILURE, TIME((uint64_t)time(NULL) + 2 * NOTES_SKEW_S), false},
        {NOTE_FIRST_FAILURE, NUMBER(1700000000), false},
        {NOTE_FIRST_FAILURE, TEXT("yesterday", 9), false},
        {NOTE_REPLAYS, NONE, true},
        {NOTE_REPLAYS, NUMBER(-5), false},
        {NOTE_REPLAYS, NUMBER(INT64_MAX), false},
        {NOTE_REPLAYS, TEXT(long_name, 65535), false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct notes notes;
        const struct notes nothing = {.attempts = 0};

        if (counts_with(rows[i].name, &rows[i].value, &notes) != rows[i].counts)
            fail_msg("row %zu, %s", i, rows[i].name);
        if (!rows[i].counts)
            assert_memory_equal(&notes, &nothing, sizeof notes);
    }
}

/* A copy comes to its queue by the default exchange: what came otherwise is somebody else's. */
static void a_copy_comes_by_the_default_exchange(void **state)
{
    static const char *const ways[][2] = {
        {"orders", "q"}, {"", "other"}, {"amq.direct", "q"}, {"orders", "key"}};
    struct notes notes;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct delivery *delivery = deliver(ways[i][0], ways[i][1], copy, COPY_FIELDS);

        assert_false(notes_of_copy(delivery, "q", &notes));
        assert_true(notes_read(delivery, "q", &notes)); /* it may have been one before */
        assert_false(notes_read(delivery, "other", &notes));
        delivery_free(delivery);
    }
}

/* A replay names no queue and has no attempts; but with either it would have to be a copy. */
static void a_replay_counts(void **state)
{
    static const struct {
        struct warren_field fields[3];
        size_t count;
        bool counts;
    } rows[] = {
        {{{NOTE_REPLAYS, NUMBER(1)}}, 1, true},
        {{{NOTE_REPLAYS, NUMBER(0)}}, 1, false},
        {{{NOTE_REPLAYS, NUMBER(1)},
          {NOTE_EXCHANGE, TEXT("e", 1)},
          {NOTE_ROUTING_KEY, TEXT("k", 1)}},
         3,
         true},
        {{{NOTE_REPLAYS, NUMBER(1)}, {NOTE_EXCHANGE, TEXT("e", 1)}}, 2, false},
        {{{NOTE_REPLAYS, NUMBER(1)}, {NOTE_ROUTING_KEY, TEXT(long_name, 256)}}, 2, false},
        {{{NOTE_REPLAYS, NUMBER(1)}, {NOTE_ATTEMPTS, NUMBER(1000)}}, 2, false},
        {{{NOTE_REPLAYS, NUMBER(1)}, {NOTE_FIRST_FAILURE, TIME(5)}}, 2, false},
        {{{NOTE_ATTEMPTS, NUMBER(1000)}}, 1, false},
        {{{NOTE_ATTEMPTS, NUMBER(1000)}, {NOTE_FIRST_FAILURE, TIME(5)}}, 2, false},
        {{{NOTE_ROUTING_KEY, TEXT(long_name, 256)}}, 1, false},
        {{{"other", NUMBER(1)}}, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct delivery *delivery = deliver("", "q", rows[i].fields, rows[i].count);
        struct notes notes;

        if (notes_of_copy(delivery, "q", &notes) != rows[i].counts)
            fail_msg("row %zu", i);
        delivery_free(delivery);
    }
}

/* What was put aside has the type and the size of what it was. */
static void what_can_be_put_aside(void **state)
{
    static const struct warren_value keys[] = {TEXT("a", 1), TEXT("b", 1)};
    static const struct warren_value numbers[] = {TEXT("a", 1), NUMBER(1)};
    static const struct warren_value longs[] = {TEXT(long_name, 256)};
    const struct {
        struct warren_field field;
        bool can;
    } rows[] = {
        {{NOTE_EXPIRATION, TEXT("60000", 5)}, true},
        {{NOTE_EXPIRATION, TEXT("", 0)}, false},
        {{NOTE_EXPIRATION, TEXT("-1", 2)}, false},
        {{NOTE_EXPIRATION, TEXT("123456789012345678901", 21)}, false},
        {{NOTE_EXPIRATION, NUMBER(60000)}, false},
        {{NOTE_USER_ID, TEXT("guest", 5)}, true},
        {{NOTE_USER_ID, TEXT(long_name, 256)}, false},
        {{NOTE_USER_ID, {.type = WARREN_BYTES}}, false},
        {{NOTE_CC, {.type = WARREN_ARRAY, .as.array = {keys, 2}}}, true},
        {{NOTE_CC, {.type = WARREN_ARRAY, .as.array = {numbers, 2}}}, false},
        {{NOTE_CC, {.type = WARREN_ARRAY, .as.array = {longs, 1}}}, false},
        {{NOTE_CC, {.type = WARREN_TABLE}}, false},
        {{NOTE_CC, TEXT(long_name, 65535)}, false},
        {{NOTE_LEFT_OUT, TEXT("a, b", 4)}, true},
        {{NOTE_LEFT_OUT, TEXT(long_name, 65535)}, false},
        {{NOTE_TRACE, TEXT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 55)}, true},
        {{NOTE_TRACE, TEXT(long_name, 55)}, false},
        {{NOTE_REASON, TEXT("rejected", 8)}, false},
        {{"tenant", TEXT("a", 1)}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (notes_is_aside(warren_text(rows[i].field.name), &rows[i].field.value) != rows[i].can)
            fail_msg("row %zu, %s", i, rows[i].field.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_counts),
        cmocka_unit_test(one_bad_note_takes_all),
        cmocka_unit_test(a_copy_comes_by_the_default_exchange),
        cmocka_unit_test(a_replay_counts),
        cmocka_unit_test(what_can_be_put_aside),
    };

    memset(long_name, 'n', sizeof long_name);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
