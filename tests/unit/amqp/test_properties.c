/* test_properties.c - property lists and tables: proved, decoded, encoded. */
#include <float.h>
#include <math.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/properties.h"
#include "support/test.h"

#define NO_LIMIT ((size_t)1 << 20)

/* ---- helpers ---- */

struct fixture {
    struct arena arena;
    struct buffer out;
    struct warren_error error;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        return -1;
    arena_init(&fixture->arena);
    buffer_init(&fixture->out, NO_LIMIT * 2);
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

/* The payload of a content header frame around a property list, in memory of exactly its size. */
static uint8_t *header_payload(struct warren_bytes list, uint64_t body_size)
{
    uint8_t *payload = calloc(1, 12 + list.len);

    assert_non_null(payload);
    payload[1] = 60;
    for (int i = 0; i < 8; i++)
        payload[4 + i] = (uint8_t)(body_size >> (56 - 8 * i));
    memcpy(payload + 12, list.data, list.len);
    return payload;
}

/* Check @list inside of a content header; if it passes, decode it, too. */
static enum warren_status check_list(struct fixture *fixture, struct warren_bytes list,
                                     struct warren_properties *properties)
{
    uint8_t *payload = header_payload(list, 5);
    struct warren_bytes bytes = {payload, 12 + list.len};
    struct content_header header;
    const char *why = NULL;
    enum warren_status status = content_header_read(bytes, false, &header, &why);

    if (status == WARREN_OK && header.unfit)
        status = WARREN_ETOOBIG;
    else if (status == WARREN_OK)
        status = properties_decode(header.properties, &fixture->arena, properties);
    else
        assert_non_null(why);
    free(payload);
    return status;
}

static struct warren_bytes written(const struct fixture *fixture)
{
    struct warren_bytes bytes = {buffer_front(&fixture->out), buffer_len(&fixture->out)};

    return bytes;
}

static enum warren_status encode(struct fixture *fixture,
                                 const struct warren_properties *properties)
{
    memset(&fixture->error, 0, sizeof fixture->error);
    return properties_encode(properties, NULL, NO_LIMIT, &fixture->arena, &fixture->out,
                             &fixture->error);
}

static const struct warren_value inner_values[] = {
    {.type = WARREN_I32, .as.integer = -5},
    {.type = WARREN_STRING, .as.bytes = {"in array", 8}},
    {.type = WARREN_VOID},
};
static const struct warren_field inner_fields[] = {
    {"deep", {.type = WARREN_BOOL, .as.boolean = true}},
};

/* Every field type, at an end of its range. */
static const struct warren_field every_field[] = {
    {"void", {.type = WARREN_VOID}},
    {"true", {.type = WARREN_BOOL, .as.boolean = true}},
    {"false", {.type = WARREN_BOOL, .as.boolean = false}},
    {"i8", {.type = WARREN_I8, .as.integer = INT8_MIN}},
    {"u8", {.type = WARREN_U8, .as.integer = UINT8_MAX}},
    {"i16", {.type = WARREN_I16, .as.integer = INT16_MIN}},
    {"u16", {.type = WARREN_U16, .as.integer = UINT16_MAX}},
    {"i32", {.type = WARREN_I32, .as.integer = INT32_MIN}},
    {"u32", {.type = WARREN_U32, .as.integer = UINT32_MAX}},
    {"i64", {.type = WARREN_I64, .as.integer = INT64_MIN}},
    {"f32", {.type = WARREN_F32, .as.real = 1.5}},
    {"f64", {.type = WARREN_F64, .as.real = -1e300}},
    {"decimal", {.type = WARREN_DECIMAL, .as.decimal = {2, 314}}},
    {"string", {.type = WARREN_STRING, .as.bytes = {"text\0nul", 8}}},
    {"empty", {.type = WARREN_STRING, .as.bytes = {"", 0}}},
    {"bytes", {.type = WARREN_BYTES, .as.bytes = {"\x00\xFF", 2}}},
    {"timestamp", {.type = WARREN_TIMESTAMP, .as.timestamp = UINT64_MAX}},
    {"array", {.type = WARREN_ARRAY, .as.array = {inner_values, 3}}},
    {"no values", {.type = WARREN_ARRAY, .as.array = {NULL, 0}}},
    {"table", {.type = WARREN_TABLE, .as.table = {inner_fields, 1}}},
    {"no fields", {.type = WARREN_TABLE, .as.table = {NULL, 0}}},
};

#define EVERY_FIELD (sizeof every_field / sizeof *every_field)

static const struct warren_properties every_property = {
    .content_type = "application/json",
    .content_encoding = "utf-8",
    .headers = {every_field, EVERY_FIELD},
    .delivery_mode = 2,
    .has_priority = true,
    .priority = 255,
    .correlation_id = "correlation",
    .reply_to = "reply",
    .expiration = "60000",
    .message_id = "id",
    .has_timestamp = true,
    .timestamp = 1700000000,
    .type = "type",
    .user_id = "guest",
    .app_id = "app",
    .cluster_id = "",
};

static void assert_same_table(const struct warren_table *a, const struct warren_table *b);

static void assert_same_bytes(struct warren_bytes a, struct warren_bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.data, b.data, a.len);
}

static void assert_same_value(const struct warren_value *a, const struct warren_value *b)
{
    assert_int_equal(a->type, b->type);
    switch (a->type) {
    case WARREN_VOID:
        break;
    case WARREN_BOOL:
        assert_int_equal(a->as.boolean, b->as.boolean);
        break;
    case WARREN_F32:
    case WARREN_F64:
        assert_true(a->as.real >= b->as.real && a->as.real <= b->as.real);
        break;
    case WARREN_DECIMAL:
        assert_int_equal(a->as.decimal.scale, b->as.decimal.scale);
        assert_int_equal(a->as.decimal.unscaled, b->as.decimal.unscaled);
        break;
    case WARREN_STRING:
    case WARREN_BYTES:
        assert_same_bytes(a->as.bytes, b->as.bytes);
        break;
    case WARREN_ARRAY:
        assert_int_equal(a->as.array.count, b->as.array.count);
        for (size_t i = 0; i < a->as.array.count; i++)
            assert_same_value(&a->as.array.values[i], &b->as.array.values[i]);
        break;
    case WARREN_TABLE:
        assert_same_table(&a->as.table, &b->as.table);
        break;
    case WARREN_TIMESTAMP:
        assert_true(a->as.timestamp == b->as.timestamp);
        break;
    default:
        assert_true(a->as.integer == b->as.integer);
        break;
    }
}

static void assert_same_table(const struct warren_table *a, const struct warren_table *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->fields[i].name, b->fields[i].name);
        assert_same_value(&a->fields[i].value, &b->fields[i].value);
    }
}

static void assert_same_properties(const struct warren_properties *a,
                                   const struct warren_properties *b)
{
    const char *const of_a[] = {a->content_type, a->content_encoding, a->correlation_id,
                                a->reply_to,     a->expiration,       a->message_id,
                                a->type,         a->user_id,          a->app_id,
                                a->cluster_id};
    const char *const of_b[] = {b->content_type, b->content_encoding, b->correlation_id,
                                b->reply_to,     b->expiration,       b->message_id,
                                b->type,         b->user_id,          b->app_id,
                                b->cluster_id};

    for (size_t i = 0; i < sizeof of_a / sizeof *of_a; i++) {
        assert_int_equal(!of_a[i], !of_b[i]);
        if (of_a[i])
            assert_string_equal(of_a[i], of_b[i]);
    }
    assert_same_table(&a->headers, &b->headers);
    assert_int_equal(a->delivery_mode, b->delivery_mode);
    assert_int_equal(a->has_priority, b->has_priority);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->has_timestamp, b->has_timestamp);
    assert_true(a->timestamp == b->timestamp);
}

/* ---- there and back ---- */

/* All properties and all field types come back as they were. */
static void everything_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct warren_properties back;

    assert_int_equal(encode(fixture, &every_property), WARREN_OK);
    assert_int_equal(check_list(fixture, written(fixture), &back), WARREN_OK);
    assert_same_properties(&every_property, &back);
}

/* Each property alone comes back alone. */
static void each_property_alone_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const struct warren_properties alone[] = {
        {0},
        {.content_type = "x"},
        {.content_encoding = "x"},
        {.headers = {inner_fields, 1}},
        {.delivery_mode = 1},
        {.has_priority = true, .priority = 0},
        {.correlation_id = "x"},
        {.reply_to = "x"},
        {.expiration = "x"},
        {.message_id = "x"},
        {.has_timestamp = true, .timestamp = 0},
        {.type = "x"},
        {.user_id = "x"},
        {.app_id = "x"},
        {.cluster_id = "x"},
    };

    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        struct warren_properties back;

        buffer_taken(&fixture->out, buffer_len(&fixture->out));
        assert_int_equal(encode(fixture, &alone[i]), WARREN_OK);
        assert_int_equal(check_list(fixture, written(fixture), &back), WARREN_OK);
        assert_same_properties(&alone[i], &back);
    }
}

/* The bytes are those of the specification, counted by hand. */
static void the_bytes_are_as_specified(void **state)
{
    static const uint8_t expected[] = {
        0xB0, 0x00,                  /* content type, headers, delivery mode */
        1,    'x',                   /* content type */
        0,    0,    0,   10,         /* headers */
        1,    'u',  'u', 0xFF, 0xFE, /* unsigned short */
        1,    's',  's', 0xFF, 0xFE, /* signed short */
        2,                           /* delivery mode */
    };
    static const struct warren_field fields[] = {
        {"u", {.type = WARREN_U16, .as.integer = 0xFFFE}},
        {"s", {.type = WARREN_I16, .as.integer = -2}},
    };
    struct warren_properties properties = {
        .content_type = "x", .headers = {fields, 2}, .delivery_mode = 2};
    struct fixture *fixture = *state;

    assert_int_equal(encode(fixture, &properties), WARREN_OK);
    assert_int_equal(buffer_len(&fixture->out), sizeof expected);
    assert_memory_equal(buffer_front(&fixture->out), expected, sizeof expected);
}

/* rabbitmq-c, given the same message in its own structs, writes the same bytes. */
static void rabbitmq_c_writes_the_same_bytes(void **state)
{
    struct fixture *fixture = *state;
    amqp_basic_properties_t basic = {0};
    amqp_table_entry_t entries[2];
    uint8_t room[256];
    amqp_bytes_t bytes = {sizeof room, room};
    const struct warren_field fields[] = {
        {"d", {.type = WARREN_F64, .as.real = 0.1}},
        {"x", {.type = WARREN_BYTES, .as.bytes = {"\x01\x02", 2}}},
    };
    const struct warren_properties ours = {
        .headers = {fields, 2}, .message_id = "m", .has_timestamp = true, .timestamp = 9};
    int len;

    basic._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG;
    basic.message_id = amqp_cstring_bytes("m");
    basic.timestamp = 9;
    memset(entries, 0, sizeof entries);
    entries[0].key = amqp_cstring_bytes("d");
    entries[0].value.kind = AMQP_FIELD_KIND_F64;
    entries[0].value.value.f64 = 0.1;
    entries[1].key = amqp_cstring_bytes("x");
    entries[1].value.kind = AMQP_FIELD_KIND_BYTES;
    entries[1].value.value.bytes = (amqp_bytes_t){2, "\x01\x02"};
    basic.headers.num_entries = 2;
    basic.headers.entries = entries;
    len = amqp_encode_properties(AMQP_BASIC_CLASS, &basic, bytes);
    assert_true(len > 0);

    assert_int_equal(encode(fixture, &ours), WARREN_OK);
    assert_int_equal(buffer_len(&fixture->out), len);
    assert_memory_equal(buffer_front(&fixture->out), room, (size_t)len);
}

/* 'L', AMQP 0-9-1's own letter, is read as a signed 64-bit number. */
static void a_capital_l_is_read_as_i64(void **state)
{
    static const uint8_t list[] = {0x20, 0,    0,    0,    0,    11,   1,    'n', 'L',
                                   0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFD};
    struct warren_bytes bytes = {list, sizeof list};
    struct warren_properties back;

    assert_int_equal(check_list(*state, bytes, &back), WARREN_OK);
    assert_int_equal(back.headers.fields[0].value.type, WARREN_I64);
    assert_true(back.headers.fields[0].value.as.integer == -3);
}

/* ---- what is refused on the way out ---- */

/* An integer one outside of its type is EINVAL, and the error names field and type. */
static void integers_outside_of_their_type_are_refused(void **state)
{
    static const struct {
        enum warren_type type;
        int64_t below;
        int64_t above;
    } rows[] = {
        {WARREN_I8, INT8_MIN - 1, INT8_MAX + 1},
        {WARREN_U8, -1, UINT8_MAX + 1},
        {WARREN_I16, INT16_MIN - 1, INT16_MAX + 1},
        {WARREN_U16, -1, UINT16_MAX + 1},
        {WARREN_I32, (int64_t)INT32_MIN - 1, (int64_t)INT32_MAX + 1},
        {WARREN_U32, -1, (int64_t)UINT32_MAX + 1},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct warren_field field = {"amount", {.type = rows[i].type}};
        struct warren_properties properties = {.headers = {&field, 1}};

        field.value.as.integer = rows[i].below;
        assert_int_equal(encode(fixture, &properties), WARREN_EINVAL);
        field.value.as.integer = rows[i].above;
        assert_int_equal(encode(fixture, &properties), WARREN_EINVAL);
        assert_non_null(strstr(fixture->error.text, "\"amount\""));
        assert_non_null(strstr(fixture->error.text, warren_type_name(rows[i].type)));
        assert_int_equal(buffer_len(&fixture->out), 0);
    }
}

/* What RabbitMQ cannot read is EINVAL, also inside of tables and arrays; the largest numbers pass.
 */
static void only_finite_numbers_are_sent(void **state)
{
    const struct {
        enum warren_type type;
        double real;
        enum warren_status expected;
    } rows[] = {
        {WARREN_F64, (double)NAN, WARREN_EINVAL}, {WARREN_F64, HUGE_VAL, WARREN_EINVAL},
        {WARREN_F64, -HUGE_VAL, WARREN_EINVAL},   {WARREN_F64, -DBL_MAX, WARREN_OK},
        {WARREN_F32, (double)NAN, WARREN_EINVAL}, {WARREN_F32, HUGE_VAL, WARREN_EINVAL},
        {WARREN_F32, 1e39, WARREN_EINVAL},        {WARREN_F32, (double)-FLT_MAX, WARREN_OK},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct warren_value value = {.type = rows[i].type, .as.real = rows[i].real};
        struct warren_field inner = {"share", {.type = WARREN_ARRAY, .as.array = {&value, 1}}};
        struct warren_field field = {"all", {.type = WARREN_TABLE, .as.table = {&inner, 1}}};
        struct warren_properties properties = {.headers = {&field, 1}};

        assert_int_equal(encode(fixture, &properties), rows[i].expected);
        if (rows[i].expected == WARREN_OK)
            continue;
        assert_non_null(strstr(fixture->error.text, "field \"share\": "));
        assert_non_null(strstr(fixture->error.text, warren_type_name(rows[i].type)));
    }
}

/* A type octet that is none is EINVAL. */
static void an_unknown_type_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field field = {"odd", {.type = (enum warren_type)'q'}};
    struct warren_properties properties = {.headers = {&field, 1}};

    assert_int_equal(encode(fixture, &properties), WARREN_EINVAL);
    assert_non_null(strstr(fixture->error.text, "\"odd\""));
}

/* 255 bytes fit into a short string or a name, 256 do not. */
static void long_short_strings_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[257];
    struct warren_field field = {text, {.type = WARREN_VOID}};
    struct warren_properties in_property = {.message_id = text};
    struct warren_properties in_name = {.headers = {&field, 1}};

    memset(text, 'a', sizeof text);
    text[256] = '\0';
    assert_int_equal(encode(fixture, &in_property), WARREN_EINVAL);
    assert_non_null(strstr(fixture->error.text, "message_id"));
    assert_int_equal(encode(fixture, &in_name), WARREN_EINVAL);
    text[255] = '\0';
    assert_int_equal(encode(fixture, &in_property), WARREN_OK);
    assert_int_equal(encode(fixture, &in_name), WARREN_OK);
}

/* @max is exact: the size itself fits, one byte less is ETOOBIG and nothing is appended. */
static void the_limit_on_bytes_is_exact(void **state)
{
    struct fixture *fixture = *state;
    size_t size;

    assert_int_equal(encode(fixture, &every_property), WARREN_OK);
    size = buffer_len(&fixture->out);
    assert_int_equal(properties_encode(&every_property, NULL, size - 1, &fixture->arena,
                                       &fixture->out, &fixture->error),
                     WARREN_ETOOBIG);
    assert_int_equal(buffer_len(&fixture->out), size);
    assert_int_equal(properties_encode(&every_property, NULL, size, &fixture->arena, &fixture->out,
                                       &fixture->error),
                     WARREN_OK);
    assert_int_equal(buffer_len(&fixture->out), 2 * size);
}

/* A string whose length does not fit into a size is ETOOBIG, not an overflow. */
static void an_absurd_length_is_too_big(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field field = {"f", {.type = WARREN_BYTES, .as.bytes = {"", SIZE_MAX - 2}}};
    struct warren_properties properties = {.headers = {&field, 1}};

    assert_int_equal(encode(fixture, &properties), WARREN_ETOOBIG);
}

/* ---- nesting ---- */

/* @depth tables in each other, the headers table being the first. */
static struct warren_table nested(struct warren_field *fields, unsigned depth)
{
    struct warren_table table = {NULL, 0};

    for (unsigned i = 1; i < depth; i++) {
        fields[i] = (struct warren_field){"t", {.type = WARREN_TABLE, .as.table = table}};
        table.fields = &fields[i];
        table.count = 1;
    }
    return table;
}

/* Tables nested to the limit go out and come back; one deeper is EINVAL on the way out. */
static void nesting_is_bounded_on_the_way_out(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field fields[WARREN_NESTING_MAX + 1];
    struct warren_properties properties = {.headers = nested(fields, WARREN_NESTING_MAX)};
    struct warren_properties back;

    assert_int_equal(encode(fixture, &properties), WARREN_OK);
    assert_int_equal(check_list(fixture, written(fixture), &back), WARREN_OK);
    assert_same_properties(&properties, &back);

    properties.headers = nested(fields, WARREN_NESTING_MAX + 1);
    assert_int_equal(encode(fixture, &properties), WARREN_EINVAL);
    assert_non_null(strstr(fixture->error.text, "nested"));
}

/* @depth arrays (or tables) in each other as bytes, innermost empty, inside of headers. */
static struct warren_bytes nested_bytes(uint8_t *list, bool arrays, unsigned depth)
{
    size_t unit = arrays ? 5 : 7; /* 'A' and length, or a name "t", 'F' and length */
    size_t first = 7;             /* the headers' own field is always named */
    size_t len = depth ? first + (depth - 1) * unit : 0;
    uint8_t *at = list;

    *at++ = 0x20;
    *at++ = 0;
    for (unsigned i = 0; i <= depth; i++) {
        if (i == 1 || (i > 0 && !arrays)) {
            *at++ = 1;
            *at++ = 't';
        }
        if (i > 0)
            *at++ = arrays ? 'A' : 'F';
        at[0] = at[1] = 0;
        at[2] = (uint8_t)(len >> 8);
        at[3] = (uint8_t)len;
        at += 4;
        len -= i < depth ? (i == 0 ? first : unit) : 0;
    }
    return (struct warren_bytes){list, (size_t)(at - list)};
}

/* From the peer, the limit itself passes; one deeper is unfit before rabbitmq-c recurses. */
static void nesting_is_bounded_on_the_way_in(void **state)
{
    struct warren_properties back;
    uint8_t list[16 * 1024];

    for (int arrays = 0; arrays < 2; arrays++) {
        assert_int_equal(
            check_list(*state, nested_bytes(list, arrays, WARREN_NESTING_MAX - 1), &back),
            WARREN_OK);
        assert_int_equal(check_list(*state, nested_bytes(list, arrays, WARREN_NESTING_MAX), &back),
                         WARREN_ETOOBIG);
        assert_int_equal(check_list(*state, nested_bytes(list, arrays, 2000), &back),
                         WARREN_ETOOBIG);
    }
}

/* ---- what the peer may send ---- */

/* A valid list cut at any byte is refused, and nothing behind its end is read. */
static void a_list_cut_anywhere_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct warren_bytes whole;

    assert_int_equal(encode(fixture, &every_property), WARREN_OK);
    whole = written(fixture);
    for (size_t len = 0; len < whole.len; len++) {
        struct warren_bytes cut = {whole.data, len};
        struct warren_properties back;

        assert_int_equal(check_list(fixture, cut, &back), WARREN_EPROTOCOL);
    }
}

/* Seeded mutations never crash; what passes the check is decoded, or refused, cleanly. */
static void mutated_lists_never_crash(void **state)
{
    struct fixture *fixture = *state;
    unsigned accepted = 0;
    uint8_t mutant[1024];
    struct warren_bytes whole;

    assert_int_equal(encode(fixture, &every_property), WARREN_OK);
    whole = written(fixture);
    assert_true(whole.len < sizeof mutant);
    srand(7);
    for (int round = 0; round < 20000; round++) {
        struct warren_bytes bytes = {mutant, whole.len};
        struct warren_properties back;
        int changes = 1 + rand() % 4;

        memcpy(mutant, whole.data, whole.len);
        while (changes--)
            mutant[(size_t)rand() % whole.len] = (uint8_t)(rand() % 4 ? rand() : rand() % 8);
        if (rand() % 4 == 0)
            bytes.len = (size_t)rand() % whole.len;
        arena_reset(&fixture->arena);
        accepted += check_list(fixture, bytes, &back) == WARREN_OK;
    }
    assert_in_range(accepted, 100, 19900); /* the loop saw both sides of the check */
}

/* Every flaw of a list that a length cannot show. */
static void flaws_in_lists_are_refused(void **state)
{
    static const struct {
        uint8_t list[16];
        size_t len;
    } rows[] = {
        {{0, 1, 0, 0}, 4},                                    /* a second word of flags */
        {{0, 2}, 2},                                          /* a flag of no property */
        {{0, 0, 9}, 3},                                       /* bytes left over */
        {{0x80, 0, 2, 'x'}, 4},                               /* a string over the end */
        {{0x20, 0, 0, 0, 0, 3, 1, 'n', 'q'}, 9},              /* an unknown field type */
        {{0x20, 0, 0, 0, 0, 2, 1, 'n'}, 8},                   /* a name without a value */
        {{0x20, 0, 0, 0, 0, 3, 1, 'n', 't', 1}, 10},          /* a value over its table's end */
        {{0x20, 0, 0xFF, 0xFF, 0xFF, 0xFF}, 6},               /* a table of 4 GiB */
        {{0x20, 0, 0, 0, 0, 7, 1, 'n', 'S', 0, 0, 0, 1}, 13}, /* a string over its table's end */
    };
    struct warren_properties back;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct warren_bytes bytes = {rows[i].list, rows[i].len};

        assert_int_equal(check_list(*state, bytes, &back), WARREN_EPROTOCOL);
    }
}

/* An element that reaches over its array's end, though not over the list's, is refused. */
static void an_element_over_its_arrays_end_is_refused(void **state)
{
    static const uint8_t list[] = {0x20, 0, 0, 0, 0,   12, 1,   'a', 'A',
                                   0,    0, 0, 1, 's', 1,  'b', 'V', 0};
    struct warren_bytes bytes = {list, sizeof list};
    struct warren_properties back;

    assert_int_equal(check_list(*state, bytes, &back), WARREN_EPROTOCOL);
}

/* The fixed part of a content header: class, weight and the full range of body sizes. */
static void the_fixed_part_of_a_header_is_read(void **state)
{
    static const uint8_t list[] = {0x80, 0, 1, 'x'};
    struct warren_bytes bytes = {list, sizeof list};
    uint8_t *payload = header_payload(bytes, (uint64_t)1 << 63);
    struct warren_bytes whole = {payload, 12 + sizeof list};
    struct content_header header;
    const char *why;

    (void)state;
    assert_int_equal(content_header_read(whole, false, &header, &why), WARREN_OK);
    assert_int_equal(header.class_id, 60);
    assert_true(header.body_size == (uint64_t)1 << 63);
    assert_int_equal(header.properties.len, sizeof list);

    payload[3] = 1; /* weight */
    assert_int_equal(content_header_read(whole, false, &header, &why), WARREN_EPROTOCOL);
    payload[3] = 0;
    payload[1] = 50; /* class queue */
    assert_int_equal(content_header_read(whole, false, &header, &why), WARREN_EPROTOCOL);
    free(payload);
}

/* A table that stands alone is proved, whatever follows it; cut anywhere it is refused. */
static void a_table_alone_is_proved(void **state)
{
    static const uint8_t table[] = {0, 0, 0, 9, 1, 'a', 'S', 0, 0, 0, 2, 'x', 'y', 99, 99};
    struct warren_bytes bytes = {table, sizeof table};
    const char *why;

    (void)state;
    assert_int_equal(table_check(bytes, &why), WARREN_OK);
    for (size_t len = 0; len < 13; len++) {
        uint8_t *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy + 1, table, len);
        bytes = (struct warren_bytes){copy + 1, len};
        assert_int_equal(table_check(bytes, &why), WARREN_EPROTOCOL);
        free(copy);
    }
}

/* Properties and names at every depth that hold a NUL come back with their lengths, and go out with
 * them; one that goes on behind a NUL is another header. */
static void a_nul_ends_no_text(void **state)
{
    struct fixture *fixture = *state;
    const char *inner_name = arena_text(&fixture->arena, "in\0ner", 6);
    const char *long_name = arena_text(&fixture->arena, "name\0x", 6);
    const struct warren_field inner = {inner_name, {.type = WARREN_BOOL}};
    const struct warren_field fields[] = {
        {long_name, {.type = WARREN_TABLE, .as.table = {&inner, 1}}},
        {"name", {.type = WARREN_I8, .as.integer = 7}},
    };
    const struct warren_properties properties = {
        .message_id = arena_text(&fixture->arena, "dup\0A", 5),
        .correlation_id = arena_text(&fixture->arena, "\0", 1),
        .type = "t",
        .headers = {fields, 2},
    };
    struct warren_properties back;
    const struct warren_table *table;

    assert_int_equal(properties_encode(&properties, &fixture->arena, NO_LIMIT, &fixture->arena,
                                       &fixture->out, &fixture->error),
                     WARREN_OK);
    assert_int_equal(check_list(fixture, written(fixture), &back), WARREN_OK);
    assert_string_equal(back.message_id, "dup");
    assert_int_equal(arena_bytes(&fixture->arena, back.message_id).len, 5);
    assert_memory_equal(back.message_id, "dup\0A", 6);
    assert_int_equal(arena_bytes(&fixture->arena, back.correlation_id).len, 1);
    assert_int_equal(arena_bytes(&fixture->arena, back.type).len, 1);
    table = &back.headers.fields[0].value.as.table;
    assert_int_equal(arena_bytes(&fixture->arena, back.headers.fields[0].name).len, 6);
    assert_int_equal(arena_bytes(&fixture->arena, table->fields[0].name).len, 6);
    assert_memory_equal(table->fields[0].name, inner_name, 7);
    assert_ptr_equal(table_get(&back.headers, "name", &fixture->arena),
                     &back.headers.fields[1].value);
    assert_null(table_get(&back.headers, "nam", &fixture->arena));
}

/* What rabbitmq-c refuses although nobody checked it is EPROTOCOL, with nothing half-filled. */
static void a_refusal_of_the_codec_is_a_protocol_error(void **state)
{
    static const uint8_t list[] = {0xA0, 0, 1, 'x', 0, 0, 0, 99};
    struct warren_bytes bytes = {list, sizeof list};
    struct fixture *fixture = *state;
    struct warren_properties back;

    assert_int_equal(properties_decode(bytes, &fixture->arena, &back), WARREN_EPROTOCOL);
    assert_null(back.content_type);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_comes_back),
        TEST(each_property_alone_comes_back),
        TEST(the_bytes_are_as_specified),
        TEST(rabbitmq_c_writes_the_same_bytes),
        TEST(a_capital_l_is_read_as_i64),
        TEST(integers_outside_of_their_type_are_refused),
        TEST(only_finite_numbers_are_sent),
        TEST(an_unknown_type_is_refused),
        TEST(long_short_strings_are_refused),
        TEST(the_limit_on_bytes_is_exact),
        TEST(an_absurd_length_is_too_big),
        TEST(nesting_is_bounded_on_the_way_out),
        TEST(nesting_is_bounded_on_the_way_in),
        TEST(a_list_cut_anywhere_is_refused),
        TEST(mutated_lists_never_crash),
        TEST(flaws_in_lists_are_refused),
        TEST(an_element_over_its_arrays_end_is_refused),
        TEST(the_fixed_part_of_a_header_is_read),
        TEST(a_table_alone_is_proved),
        TEST(a_nul_ends_no_text),
        TEST(a_refusal_of_the_codec_is_a_protocol_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
