/* test_dump.c - a message as a file, and back. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/dump/dump.h"
#include "support/test.h"

static char folder[] = "/tmp/warren-test-dump-XXXXXX";
static char path[64];
static struct warren_error error;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/m.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file was left */
}

static void put_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static char *get_file(size_t *ret_len)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    *ret_len = fread(text, 1, 65535, file);
    fclose(file);
    return text;
}

/* ---- every type, at its limits ---- */

#define VALUE(type_, ...)                                                                          \
    {                                                                                              \
        .type = (type_), .as = { __VA_ARGS__ }                                                     \
    }

static const struct warren_value in_array[] = {
    VALUE(WARREN_I64, .integer = INT64_MIN), VALUE(WARREN_I64, .integer = INT64_MAX),
    VALUE(WARREN_VOID, .integer = 0), VALUE(WARREN_STRING, .bytes = {"a\0b", 3}),
    VALUE(WARREN_ARRAY, .array = {NULL, 0})};

static const struct warren_field in_table[] = {
    {"x", VALUE(WARREN_F64, .real = 0.1)},
    {"x", VALUE(WARREN_ARRAY, .array = {in_array, 5})}, /* a name twice */
    {"", VALUE(WARREN_TABLE, .table = {NULL, 0})}};

static const struct warren_field every_type[] = {
    {"void", VALUE(WARREN_VOID, .integer = 0)},
    {"yes", VALUE(WARREN_BOOL, .boolean = true)},
    {"no", VALUE(WARREN_BOOL, .boolean = false)},
    {"i8", VALUE(WARREN_I8, .integer = INT8_MIN)},
    {"u8", VALUE(WARREN_U8, .integer = UINT8_MAX)},
    {"i16", VALUE(WARREN_I16, .integer = INT16_MIN)},
    {"u16", VALUE(WARREN_U16, .integer = UINT16_MAX)},
    {"i32", VALUE(WARREN_I32, .integer = INT32_MIN)},
    {"u32", VALUE(WARREN_U32, .integer = UINT32_MAX)},
    {"i64", VALUE(WARREN_I64, .integer = INT64_MIN)},
    {"i64 max", VALUE(WARREN_I64, .integer = INT64_MAX)},
    {"f32", VALUE(WARREN_F32, .real = (double)0.1f)},
    {"f32 max", VALUE(WARREN_F32, .real = (double)FLT_MAX)},
    {"f32 min", VALUE(WARREN_F32, .real = (double)FLT_TRUE_MIN)},
    {"f64", VALUE(WARREN_F64, .real = 1.0 / 3)},
    {"f64 max", VALUE(WARREN_F64, .real = DBL_MAX)},
    {"f64 min", VALUE(WARREN_F64, .real = DBL_TRUE_MIN)},
    {"-0", VALUE(WARREN_F64, .real = -0.0)},
    {"1", VALUE(WARREN_F64, .real = 1)},
    {"decimal", VALUE(WARREN_DECIMAL, .decimal = {255, UINT32_MAX})},
    {"string", VALUE(WARREN_STRING, .bytes = {"gr\xc3\xbc\xc3\x9f \"\\\n\t/\x7f", 13})},
    {"empty", VALUE(WARREN_STRING, .bytes = {NULL, 0})},
    {"latin", VALUE(WARREN_STRING, .bytes = {"gr\xfc\xdf", 4})},
    {"bytes", VALUE(WARREN_BYTES, .bytes = {"\0\1\xff", 3})},
    {"no bytes", VALUE(WARREN_BYTES, .bytes = {NULL, 0})},
    {"time", VALUE(WARREN_TIMESTAMP, .timestamp = 1700000000)},
    {"late", VALUE(WARREN_TIMESTAMP, .timestamp = UINT64_MAX)},
    {"array", VALUE(WARREN_ARRAY, .array = {in_array, 5})},
    {"table", VALUE(WARREN_TABLE, .table = {in_table, 3})},
    {"na\xefve", VALUE(WARREN_BOOL, .boolean = true)},
    {"i8", VALUE(WARREN_I8, .integer = INT8_MAX)}};

#define EVERY_TYPE (sizeof every_type / sizeof every_type[0])

static struct dump_message full(void)
{
    return (struct dump_message){.queue = "payments",
                                 .handler = "payments.charge",
                                 .exchange = "ex",
                                 .routing_key = "na\xefve",
                                 .redelivered = true,
                                 .attempts = UINT32_MAX,
                                 .message = {.properties = {.content_type = "text/plain",
                                                            .content_encoding = "",
                                                            .headers = {every_type, EVERY_TYPE},
                                                            .delivery_mode = 2,
                                                            .has_priority = true,
                                                            .priority = 255,
                                                            .correlation_id = "c\xff",
                                                            .reply_to = "amq.rabbitmq.reply-to",
                                                            .expiration = "60000",
                                                            .message_id = "m-1",
                                                            .has_timestamp = true,
                                                            .timestamp = UINT64_MAX,
                                                            .type = "t",
                                                            .user_id = "u",
                                                            .app_id = "a",
                                                            .cluster_id = "k"},
                                             .body = {"{\"id\":\"pay-1\"}\n", 15}}};
}

static void assert_same_value(const struct warren_value *a, const struct warren_value *b);

static void assert_same_table(const struct warren_table *a, const struct warren_table *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->fields[i].name, b->fields[i].name);
        assert_same_value(&a->fields[i].value, &b->fields[i].value);
    }
}

static void assert_same_bytes(struct warren_bytes a, struct warren_bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, a.len);
}

/* Bit by bit. */
static void assert_same_real(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
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
        assert_same_real(a->as.real, b->as.real);
        break;
    case WARREN_DECIMAL:
        assert_int_equal(a->as.decimal.scale, b->as.decimal.scale);
        assert_int_equal(a->as.decimal.unscaled, b->as.decimal.unscaled);
        break;
    case WARREN_STRING:
    case WARREN_BYTES:
        assert_same_bytes(a->as.bytes, b->as.bytes);
        break;
    case WARREN_TIMESTAMP:
        assert_true(a->as.timestamp == b->as.timestamp);
        break;
    case WARREN_ARRAY:
        assert_int_equal(a->as.array.count, b->as.array.count);
        for (size_t i = 0; i < a->as.array.count; i++)
            assert_same_value(&a->as.array.values[i], &b->as.array.values[i]);
        break;
    case WARREN_TABLE:
        assert_same_table(&a->as.table, &b->as.table);
        break;
    default:
        assert_true(a->as.integer == b->as.integer);
    }
}

static void assert_same_text(const char *a, const char *b)
{
    if (a && b)
        assert_string_equal(a, b);
    else
        assert_true(a == b);
}

static void assert_same_properties(const struct warren_properties *a,
                                   const struct warren_properties *b)
{
    assert_same_text(a->content_type, b->content_type);
    assert_same_text(a->content_encoding, b->content_encoding);
    assert_same_text(a->correlation_id, b->correlation_id);
    assert_same_text(a->reply_to, b->reply_to);
    assert_same_text(a->expiration, b->expiration);
    assert_same_text(a->message_id, b->message_id);
    assert_same_text(a->type, b->type);
    assert_same_text(a->user_id, b->user_id);
    assert_same_text(a->app_id, b->app_id);
    assert_same_text(a->cluster_id, b->cluster_id);
    assert_int_equal(a->delivery_mode, b->delivery_mode);
    assert_int_equal(a->has_priority, b->has_priority);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->has_timestamp, b->has_timestamp);
    assert_true(a->timestamp == b->timestamp);
    assert_same_table(&a->headers, &b->headers);
}

static void assert_comes_back(const struct dump_message *dump)
{
    struct dump_message *back;

    if (dump_write(path, dump, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    if (dump_read(path, &back, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    assert_same_text(back->queue, dump->queue);
    assert_same_text(back->handler, dump->handler);
    assert_same_text(back->exchange, dump->exchange ? dump->exchange : "");
    assert_same_text(back->routing_key, dump->routing_key ? dump->routing_key : "");
    assert_int_equal(back->redelivered, dump->redelivered);
    assert_int_equal(back->attempts, dump->attempts);
    assert_same_properties(&back->message.properties, &dump->message.properties);
    assert_same_bytes(back->message.body, dump->message.body);
    dump_free(back);
}

static void everything_comes_back(void **state)
{
    struct dump_message dump = full();

    (void)state;
    assert_comes_back(&dump);
}

/* What holds a NUL comes back to its end, and does not hide what stands before it. */
static void a_nul_comes_back(void **state)
{
    struct warren_field fields[] = {{"x", VALUE(WARREN_BOOL, .boolean = true)},
                                    {"x", VALUE(WARREN_BOOL, .boolean = true)}};
    struct dump_message dump = full();
    struct dump_message *back;
    struct arena texts;

    (void)state;
    arena_init(&texts);
    dump.texts = &texts;
    dump.exchange = arena_text(&texts, "e\0x", 3);
    dump.routing_key = arena_text(&texts, "\0", 1);
    dump.message.properties.message_id = arena_text(&texts, "dup\0A", 5);
    dump.message.properties.headers = (struct warren_table){fields, 2};
    fields[1].name = arena_text(&texts, "x\0", 2);
    assert_comes_back(&dump);
    assert_int_equal(dump_read(path, &back, &error), WARREN_OK);
    assert_same_bytes(arena_bytes(back->texts, back->exchange), (struct warren_bytes){"e\0x", 3});
    assert_int_equal(arena_bytes(back->texts, back->routing_key).len, 1);
    assert_same_bytes(arena_bytes(back->texts, back->message.properties.message_id),
                      (struct warren_bytes){"dup\0A", 5});
    assert_int_equal(arena_bytes(back->texts, back->message.properties.headers.fields[0].name).len,
                     1);
    assert_int_equal(arena_bytes(back->texts, back->message.properties.headers.fields[1].name).len,
                     2);
    dump_free(back);
    arena_done(&texts);
}

static void nothing_but_a_queue_comes_back(void **state)
{
    struct dump_message dump = {.queue = "q"};

    (void)state;
    assert_comes_back(&dump);
}

/* Text, bytes, half a character, a NUL, and a large one of each byte. */
static void bodies_come_back(void **state)
{
    static const struct warren_bytes bodies[] = {
        {"plain", 5}, {"\xff\xfe", 2}, {"\xc3", 1}, {"a\0b", 3}, {"\xf0\x9f\x90\x87", 4}};
    struct dump_message dump = full();
    uint8_t *large = malloc(1000000);

    (void)state;
    assert_non_null(large);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        dump.message.body = bodies[i];
        assert_comes_back(&dump);
    }
    for (size_t i = 0; i < 1000000; i++)
        large[i] = (uint8_t)(i * 31 >> 3);
    dump.message.body = (struct warren_bytes){large, 1000000};
    assert_comes_back(&dump);
    free(large);
}

/* Random bits as float and double: what JSON makes of them is the same number. */
static void reals_come_back(void **state)
{
    struct warren_field fields[64];
    struct dump_message dump = {.queue = "q", .message.properties.headers = {fields, 64}};
    uint64_t seed = 42;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        for (size_t i = 0; i < 64; i++) {
            uint32_t half;
            float single;

            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            half = (uint32_t)(seed >> 32);
            memcpy(&single, &half, sizeof single);
            fields[i] = (struct warren_field){"r", VALUE(i % 2 ? WARREN_F32 : WARREN_F64, )};
            if (i % 2)
                fields[i].value.as.real = (double)single;
            else
                memcpy(&fields[i].value.as.real, &seed, sizeof seed);
            if (!isfinite(fields[i].value.as.real))
                fields[i].value.as.real = 0;
        }
        assert_comes_back(&dump);
    }
}

static struct dump_message nested(struct warren_field *fields, unsigned levels)
{
    struct dump_message dump = {.queue = "q"};

    for (unsigned i = 0; i < levels; i++)
        fields[i] = (struct warren_field){
            "n", VALUE(WARREN_TABLE,
                       .table = {i + 1 < levels ? &fields[i + 1] : NULL, i + 1 < levels ? 1 : 0})};
    dump.message.properties.headers = (struct warren_table){fields, 1};
    return dump;
}

/* The headers themselves are the first level. */
static void nesting_is_bounded(void **state)
{
    struct warren_field fields[WARREN_NESTING_MAX];
    struct dump_message dump = nested(fields, WARREN_NESTING_MAX - 1);

    (void)state;
    assert_comes_back(&dump);
    dump = nested(fields, WARREN_NESTING_MAX);
    assert_int_equal(dump_write(path, &dump, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "nested too deeply"));
}

static void a_number_is_written_as_people_write_it(void **state)
{
    const struct warren_field fields[] = {{"a", VALUE(WARREN_F64, .real = 0.1)},
                                          {"b", VALUE(WARREN_F32, .real = (double)0.1f)},
                                          {"c", VALUE(WARREN_I64, .integer = -5)}};
    struct dump_message dump = {.queue = "q", .message.properties.headers = {fields, 3}};
    size_t len;
    char *text;

    (void)state;
    assert_int_equal(dump_write(path, &dump, &error), WARREN_OK);
    text = get_file(&len);
    assert_non_null(strstr(text,
                           "\n    {\"name\": \"a\", \"type\": \"f64\", \"value\": 0.1},\n"
                           "    {\"name\": \"b\", \"type\": \"f32\", \"value\": 0.1},\n"
                           "    {\"name\": \"c\", \"type\": \"i64\", \"value\": -5}\n  ],\n"));
    free(text);
}

/* ---- the file ---- */

static void only_the_owner_may_read_it(void **state)
{
    struct dump_message dump = full();
    struct stat about;

    (void)state;
    unlink(path);
    assert_int_equal(dump_write(path, &dump, &error), WARREN_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

/* What stood there stays until the new one is whole. */
static void a_failed_write_leaves_the_old_file(void **state)
{
    const struct warren_field strange[] = {{"?", VALUE('?', .integer = 0)}};
    struct dump_message dump = full();
    struct dump_message *back;

    (void)state;
    assert_int_equal(dump_write(path, &dump, &error), WARREN_OK);
    dump.message.properties.headers = (struct warren_table){strange, 1};
    assert_int_equal(dump_write(path, &dump, &error), WARREN_EINVAL);
    assert_int_equal(dump_read(path, &back, &error), WARREN_OK);
    assert_int_equal(back->message.properties.headers.count, EVERY_TYPE);
    dump_free(back);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    struct dump_message dump = full();
    struct dump_message *back;

    (void)state;
    assert_int_equal(dump_write("/nowhere/m.json", &dump, &error), WARREN_EIO);
    assert_string_equal(error.text, "cannot write /nowhere/m.json: No such file or directory");
    assert_int_equal(dump_read("/nowhere/m.json", &back, &error), WARREN_EIO);
    assert_string_equal(error.text, "cannot read /nowhere/m.json: No such file or directory");
    assert_int_equal(dump_read("/tmp", &back, &error), WARREN_EIO);
}

/* ---- damage ---- */

static enum warren_status read_text(const char *text, size_t len)
{
    struct dump_message *back = NULL;
    enum warren_status status;

    put_file(text, len);
    memset(&error, 0, sizeof error);
    status = dump_read(path, &back, &error);
    if (status == WARREN_OK)
        dump_free(back);
    return status;
}

/* What was cut off is missed, wherever the cut is; only the last newline may go. */
static void a_file_cut_anywhere_is_refused(void **state)
{
    struct dump_message dump = full();
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(dump_write(path, &dump, &error), WARREN_OK);
    text = get_file(&len);
    for (size_t cut = 0; cut + 1 < len; cut++) {
        if (read_text(text, cut) != WARREN_EINVAL)
            fail_msg("cut at %zu of %zu: taken", cut, len);
        assert_non_null(strstr(error.text, "m.json"));
    }
    free(text);
}

/* A file with a wrong byte is read or refused with words, and nothing worse. */
static void a_file_with_a_wrong_byte_does_no_harm(void **state)
{
    static const char wrong[] = {'\0', ' ', '"', '[', '}', '0', '-', '\\', '\xff', '9'};
    struct dump_message dump = full();
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(dump_write(path, &dump, &error), WARREN_OK);
    text = get_file(&len);
    for (size_t at = 0; at < len; at++) {
        char right = text[at];

        text[at] = wrong[at % sizeof wrong];
        if (read_text(text, len) != WARREN_OK)
            assert_non_null(strstr(error.text, "m.json"));
        text[at] = right;
    }
    free(text);
}

static const struct {
    const char *text;
    const char *error;
} mistakes[] = {
    {"", ":1:0: no dump: '[' or '{' expected near end of file"},
    {"{\"warren_dump\": 1,\n \"queue\": \"q\",\n \"body\": }", ":3:10: no dump: unexpected token"},
    {"{\"warren_dump\":1,\"queue\":\"q\",\"queue\":\"r\",\"body\":\"\"}", "duplicate object key"},
    {"[]", ": expected an object with warren_dump, queue and body, found a list"},
    {"{\"id\": 5}", ": warren_dump: expected the version of the format (is this a dump of "
                    "warren's?), found nothing"},
    {"{\"warren_dump\": 2}", ": warren_dump: expected version 1, for this warren reads no other, "
                             "found 2"},
    {"{\"warren_dump\": 1, \"body\": \"\"}",
     ": queue: expected the name of the queue that it came from, found nothing"},
    {"{\"warren_dump\": 1, \"queue\": \"q\"}",
     ": body: expected the message's body as a text, found nothing"},
    {"{\"warren_dump\": 1, \"queue\": 7, \"body\": \"\"}", ": queue: expected a text, found 7"},
#define DUMP(more) "{\"warren_dump\": 1, \"queue\": \"q\", \"body\": \"\", " more "}"
    {DUMP("\"routing_ky\": \"\""), ": unknown member \"routing_ky\"; did you mean routing_key?"},
    {DUMP("\"attempts\": -1"),
     ": attempts: expected a whole number from 0 to 4294967295, found -1"},
    {DUMP("\"attempts\": 1.5"),
     ": attempts: expected a whole number from 0 to 4294967295, found 1.5"},
    {DUMP("\"redelivered\": \"yes\""),
     ": redelivered: expected true or false, found the text \"yes\""},
    {DUMP("\"handler\": \"a\\u0000b\""),
     ": handler: expected a name without a NUL, found the text \"a?b\""},
    {DUMP("\"body_base64\": \"\""),
     ": body_base64: expected either a text or base64, not both, found the text \"\""},
    {DUMP("\"properties\": []"), ": properties: expected an object, found a list"},
    {DUMP("\"properties\": {\"prority\": 1}"),
     ": properties: unknown member \"prority\"; did you mean priority?"},
    {DUMP("\"properties\": {\"priority\": 256}"),
     ": properties.priority: expected a whole number from 0 to 255, found 256"},
    {DUMP("\"properties\": {\"delivery_mode\": 0}"),
     ": properties.delivery_mode: expected a whole number from 1 to 255, found 0"},
    {DUMP("\"properties\": {\"timestamp\": \"18446744073709551616\"}"),
     ": properties.timestamp: expected seconds since 1970, found the text "
     "\"18446744073709551616\""},
    {DUMP("\"properties\": {\"message_id_base64\": \"*\"}"),
     ": properties.message_id_base64: expected base64, found the text \"*\""},
    {DUMP("\"headers\": {}"), ": headers: expected a list, found an object"},
    {DUMP("\"headers\": [5]"), ": headers[0]: expected an object, found 5"},
    {DUMP("\"headers\": [{\"type\": \"void\"}]"),
     ": headers[0].name: expected the header's name, found nothing"},
    {DUMP("\"headers\": [{\"name\": \"n\"}]"),
     ": headers[0].type: expected a type such as string, i64, or table, found nothing"},
#define HEADER(type, value)                                                                        \
    DUMP("\"headers\": [{\"name\": \"n\", \"type\": \"" type "\", \"value\": " value "}]")
    {HEADER("strng", "\"\""), ": headers[0].type: expected a type (did you mean string?), found "
                              "the text \"strng\""},
    {HEADER("i8", "128"),
     ": headers[0].value: expected a whole number from -128 to 127, found 128"},
    {HEADER("u32", "-1"),
     ": headers[0].value: expected a whole number from 0 to 4294967295, found -1"},
    {HEADER("i64", "9223372036854775808"), "no dump: too big integer"},
    {HEADER("f64", "1e999"), "no dump: real number overflow"},
    {HEADER("f32", "1e39"), ": headers[0].value: expected a number that fits 32 bits, found 1e+39"},
    {HEADER("f64", "\"nan\""), ": headers[0].value: expected a number, found the text \"nan\""},
    {HEADER("f32", "\"-inf\""), ": headers[0].value: expected a number, found the text \"-inf\""},
    {HEADER("bool", "1"), ": headers[0].value: expected true or false, found 1"},
    {HEADER("void", "1"), ": headers[0].value: expected no value with type void, found 1"},
    {HEADER("decimal", "{\"scale\": 256, \"unscaled\": 1}"),
     ": headers[0].value.scale: expected a whole number from 0 to 255, found 256"},
    {HEADER("decimal", "{\"scale\": 2}"),
     ": headers[0].value: expected {\"scale\": S, \"unscaled\": U}, found an object"},
    {HEADER("table", "[{\"name\": \"x\", \"type\": \"array\", \"value\": [{\"type\": \"i8\", "
                     "\"value\": \"\"}]}]"),
     ": headers[0].value[0].value[0].value: expected a whole number from -128 to 127, found the "
     "text \"\""},
    {DUMP("\"headers\": [{\"name\": \"n\", \"type\": \"i8\", \"value_base64\": \"\"}]"),
     ": headers[0].value_base64: expected no base64 with this type, found the text \"\""},
    {DUMP("\"headers\": [{\"name\": \"n\", \"type\": \"string\"}]"),
     ": headers[0].value: expected a text, or base64 under value_base64, found nothing"},
};

/* One sentence, with the file, the line or the member, and what was expected there. */
static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        assert_int_equal(read_text(mistakes[i].text, strlen(mistakes[i].text)), WARREN_EINVAL);
        if (!strstr(error.text, mistakes[i].error) || strncmp(error.text, path, strlen(path)) != 0)
            fail_msg("%s\n  says: %s\n  not: %s", mistakes[i].text, error.text, mistakes[i].error);
    }
}

/* An edited file that nests too deeply: refused without recursing into it. */
static void deep_nesting_is_refused(void **state)
{
    char text[65536] = DUMP("\"headers\": [");
    size_t len = strlen(text) - 1;

    (void)state;
    for (unsigned i = 0; i < WARREN_NESTING_MAX; i++)
        len += (size_t)sprintf(text + len, "{\"name\":\"n\",\"type\":\"table\",\"value\":[");
    for (unsigned i = 0; i < WARREN_NESTING_MAX; i++)
        len += (size_t)sprintf(text + len, "]}");
    len += (size_t)sprintf(text + len, "]}");
    assert_int_equal(read_text(text, len), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "nested deeper than 16 tables and arrays"));
    memset(text, '[', sizeof text);
    assert_int_equal(read_text(text, sizeof text), WARREN_EINVAL);
}

/* A file of 20 MB of empty objects would take 1.6 GB. What stands in a text is no value. */
static void values_are_bounded(void **state)
{
    static const char head[] = "{\"warren_dump\": 1, \"queue\": \"q\", \"body\": \"";
    const size_t count = DUMP_VALUES_MAX + 1;
    char *text = malloc(sizeof head + 3 * count + 2);
    size_t len = 0;

    (void)state;
    text[len++] = '[';
    for (size_t i = 0; i <= count / 2; i++, len += 3)
        memcpy(text + len, "{},", 3);
    text[len - 1] = ']';
    assert_int_equal(read_text(text, len), WARREN_ETOOBIG);
    assert_non_null(strstr(error.text, "m.json: more than 2097152 values: no dump"));
    len = sizeof head - 1;
    memcpy(text, head, len);
    for (size_t i = 0; i < count; i++, len += 3)
        memcpy(text + len, "\\\"{", 3);
    memcpy(text + len, "\"}", 2);
    assert_int_equal(read_text(text, len + 2), WARREN_OK);
    free(text);
}

/* What a terminal would obey does not get into an error. */
static void errors_hold_no_control_characters(void **state)
{
    static const char text[] = "{\"\x1b[31m";

    (void)state;
    assert_int_equal(read_text(text, sizeof text - 1), WARREN_EINVAL);
    assert_null(strchr(error.text, '\x1b'));
    assert_null(strchr(error.text, '\n'));
}

/* A file as somebody writes it by hand for a test. */
static void few_members_are_enough(void **state)
{
    static const char text[] = "{\"warren_dump\": 1, \"queue\": \"q\", \"body\": \"hello\"}";
    struct dump_message *back;

    (void)state;
    put_file(text, strlen(text));
    assert_int_equal(dump_read(path, &back, &error), WARREN_OK);
    assert_null(back->handler);
    assert_string_equal(back->exchange, "");
    assert_string_equal(back->routing_key, "");
    assert_int_equal(back->message.body.len, 5);
    assert_memory_equal(back->message.body.data, "hello", 5);
    dump_free(back);
    dump_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(a_nul_comes_back),
        cmocka_unit_test(nothing_but_a_queue_comes_back),
        cmocka_unit_test(bodies_come_back),
        cmocka_unit_test(reals_come_back),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_number_is_written_as_people_write_it),
        cmocka_unit_test(only_the_owner_may_read_it),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_file_with_a_wrong_byte_does_no_harm),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(errors_hold_no_control_characters),
        cmocka_unit_test(few_members_are_enough),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
