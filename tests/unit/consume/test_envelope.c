/* What the properties of a copy are: the message's own, and the notes; always within their bound.
 */
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "consume/relay/envelope.h"
#include "support/test.h"

/* What a frame of 128 KiB leaves for the property list. */
#define MAX (131072 - 8 - 12)
/* Publishing may add a message id and a delivery mode. */
#define GIVEN 56

struct rig {
    struct arena arena;
    struct warren_properties copy;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    arena_init(&rig->arena);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    arena_done(&rig->arena);
    free(rig);
    return 0;
}

static const struct envelope_facts facts = {
    .queue = "payments",
    .exchange = "shop",
    .routing_key = "eu.de",
    .attempts = 5,
    .first_failure_s = 1700000000,
    .reason = REASON_ATTEMPTS,
    .handler = "payments.charge",
    .error = "the bank is closed",
    .signal = "SIGSEGV",
    .backtrace = "#0 charge\n#1 main",
    .last_failure_s = 1700000100,
    .host = "host-1",
    .version = "0.1.0",
};

static enum warren_status make(struct rig *rig, const struct warren_properties *original,
                               const struct envelope_facts *from, size_t max)
{
    return envelope_make(original, from, max, &rig->arena, &rig->copy);
}

/* The size on the wire. */
static size_t encoded_size(struct rig *rig)
{
    struct warren_error error = {WARREN_OK, ""};
    struct buffer out;
    size_t size;

    buffer_init(&out, 1 << 20);
    if (properties_encode(&rig->copy, &rig->arena, 1 << 19, &rig->arena, &out, &error) != WARREN_OK)
        fail_msg("it cannot be encoded: %s", error.text);
    size = buffer_len(&out);
    buffer_done(&out);
    return size;
}

static const struct warren_value *note(struct rig *rig, const char *name)
{
    return warren_table_get(&rig->copy.headers, name);
}

static void assert_text(struct rig *rig, const char *name, const char *expected)
{
    const struct warren_value *value = note(rig, name);

    if (!value)
        fail_msg("there is no %s", name);
    assert_int_equal(value->type, WARREN_STRING);
    assert_int_equal(value->as.bytes.len, strlen(expected));
    assert_memory_equal(value->as.bytes.data, expected, strlen(expected));
}

static void assert_number(struct rig *rig, const char *name, enum warren_type type, int64_t number)
{
    const struct warren_value *value = note(rig, name);

    if (!value)
        fail_msg("there is no %s", name);
    assert_int_equal(value->type, type);
    assert_int_equal(value->as.integer, number);
}

/* Own headers are known by their whole names, and texts of the wire are noted to their ends. */
static void a_nul_ends_no_name(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {warren_field_text("x-death", "of the broker"),
                                     warren_field_text("CC", "c"), warren_field_text("x", "y")};
    struct warren_properties original = {.headers = {headers, 3}};
    struct envelope_facts whole = facts;
    const struct warren_value *key;

    headers[0].name = arena_text(&rig->arena, "x-death\0mine", 12);
    headers[1].name = arena_text(&rig->arena, "CC\0", 3);
    original.message_id = arena_text(&rig->arena, "dup\0A", 5);
    whole.routing_key = arena_text(&rig->arena, "eu\0de", 5);
    assert_int_equal(make(rig, &original, &whole, MAX), WARREN_OK);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(rig->copy.headers.fields[i].name, headers[i].name);
    assert_null(table_get(&rig->copy.headers, NOTE_CC, &rig->arena));
    assert_ptr_equal(rig->copy.message_id, original.message_id);
    key = note(rig, NOTE_ROUTING_KEY);
    assert_int_equal(key->as.bytes.len, 5);
    assert_memory_equal(key->as.bytes.data, "eu\0de", 5);
}

/* Each fact stands in its header, with the type that notes.h says. */
static void every_fact_is_noted(void **state)
{
    struct rig *rig = *state;
    struct warren_properties none = {0};

    assert_int_equal(make(rig, &none, &facts, MAX), WARREN_OK);
    assert_text(rig, NOTE_QUEUE, "payments");
    assert_text(rig, NOTE_EXCHANGE, "shop");
    assert_text(rig, NOTE_ROUTING_KEY, "eu.de");
    assert_number(rig, NOTE_ATTEMPTS, WARREN_I64, 5);
    assert_number(rig, NOTE_FIRST_FAILURE, WARREN_TIMESTAMP, 1700000000);
    assert_number(rig, NOTE_LAST_FAILURE, WARREN_TIMESTAMP, 1700000100);
    assert_text(rig, NOTE_REASON, "attempts");
    assert_text(rig, NOTE_HANDLER, "payments.charge");
    assert_text(rig, NOTE_ERROR, "the bank is closed");
    assert_text(rig, NOTE_SIGNAL, "SIGSEGV");
    assert_text(rig, NOTE_BACKTRACE, "#0 charge\n#1 main");
    assert_text(rig, NOTE_HOST, "host-1");
    assert_text(rig, NOTE_VERSION, "0.1.0");
    assert_int_equal(rig->copy.headers.count, 13);
}

/* What is not known is not noted. */
static void an_absent_fact_is_left_out(void **state)
{
    struct rig *rig = *state;
    struct envelope_facts few = {.queue = "q", .exchange = "", .routing_key = "q", .attempts = 1};
    struct warren_properties none = {0};

    assert_int_equal(make(rig, &none, &few, MAX), WARREN_OK);
    assert_int_equal(rig->copy.headers.count, 4);
    assert_text(rig, NOTE_EXCHANGE, "");
    assert_number(rig, NOTE_ATTEMPTS, WARREN_I64, 1);
}

/* Properties and the message's own headers stay as they are, in their order. */
static void the_message_is_unchanged(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {warren_field_text("tenant", "acme"),
                                     warren_field_i64("x-priority", 3),
                                     warren_field_bool("CCC", true)};
    struct warren_properties original = {.content_type = "text/plain",
                                         .content_encoding = "gzip",
                                         .headers = {headers, 3},
                                         .delivery_mode = 1,
                                         .has_priority = true,
                                         .priority = 7,
                                         .correlation_id = "c",
                                         .reply_to = "r",
                                         .message_id = "m-1",
                                         .has_timestamp = true,
                                         .timestamp = 1600000000,
                                         .type = "t",
                                         .app_id = "a",
                                         .cluster_id = "k"};
    struct warren_properties expected = original;

    assert_int_equal(make(rig, &original, &facts, MAX), WARREN_OK);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&rig->copy.headers.fields[i], &headers[i], sizeof headers[i]);
    expected.headers = rig->copy.headers;
    assert_memory_equal(&rig->copy, &expected, sizeof expected);
}

/* Notes of the way so far do not pile up: those of the broker go, those of warren are renewed. */
static void old_notes_go(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {
        warren_field_i64("x-death", 1),
        warren_field_text("x-first-death-queue", "q"),
        warren_field_text("x-last-death-reason", "expired"),
        warren_field_i64("x-delivery-count", 3),
        warren_field_i64("x-acquired-count", 3),
        warren_field_text(NOTE_REASON, "rejected"),
        warren_field_i64(NOTE_ATTEMPTS, 2),
        warren_field_i64("warren-delay-03", 1),
    };
    struct warren_properties original = {.headers = {headers, 8}};
    struct envelope_facts few = {.queue = "q", .exchange = "", .routing_key = "q", .attempts = 4};

    assert_int_equal(make(rig, &original, &few, MAX), WARREN_OK);
    assert_int_equal(rig->copy.headers.count, 4);
    assert_number(rig, NOTE_ATTEMPTS, WARREN_I64, 4);
    assert_null(note(rig, NOTE_REASON));
}

/* Replays are counted over all copies. */
static void the_count_of_replays_stays(void **state)
{
    struct rig *rig = *state;
    struct warren_properties none = {0};
    struct envelope_facts replayed = facts;

    replayed.replays = 2;
    assert_int_equal(make(rig, &none, &replayed, MAX), WARREN_OK);
    assert_number(rig, NOTE_REPLAYS, WARREN_I64, 2);
}

/* What a sender has noted is no note: neither where the message is no copy, nor where a copy cannot
 * have it. So a note of any size costs nothing, not even the copy. */
static void notes_of_a_sender_go(void **state)
{
    static char text[100000];
    struct rig *rig = *state;
    struct warren_value huge = {.type = WARREN_STRING, .as.bytes = {text, sizeof text}};
    struct warren_field headers[] = {{NOTE_CC, huge},         {NOTE_EXPIRATION, huge},
                                     {NOTE_USER_ID, huge},    {NOTE_LEFT_OUT, huge},
                                     {NOTE_REPLAYS, huge},    {NOTE_REASON, huge},
                                     {NOTE_ROUTING_KEY, huge}};
    struct warren_field small[] = {warren_field_text(NOTE_EXPIRATION, "1"),
                                   warren_field_text(NOTE_USER_ID, "root"),
                                   warren_field_text(NOTE_LEFT_OUT, "all")};
    struct warren_properties original = {.headers = {headers, 7}};
    struct envelope_facts retry = facts;

    retry.reason = NULL;
    for (int copied = 0; copied < 2; copied++) {
        retry.copied = copied;
        assert_int_equal(make(rig, &original, &retry, 4000), WARREN_OK);
        assert_null(note(rig, NOTE_CC));
        assert_null(note(rig, NOTE_EXPIRATION));
        assert_null(note(rig, NOTE_USER_ID));
        assert_null(note(rig, NOTE_LEFT_OUT));
        assert_null(note(rig, NOTE_REPLAYS));
    }
    original.headers = (struct warren_table){small, 3};
    assert_int_equal(make(rig, &original, &facts, MAX), WARREN_OK);
    assert_int_equal(rig->copy.headers.count, 13);
}

/* What the broker would act on becomes a note, and stays one in the copy of a copy. */
static void properties_that_would_act_are_put_aside(void **state)
{
    struct rig *rig = *state;
    struct warren_value key = warren_field_text("", "elsewhere").value;
    struct warren_field headers[] = {
        {"CC", {.type = WARREN_ARRAY, .as.array = {&key, 1}}},
    };
    struct warren_properties original = {
        .headers = {headers, 1}, .expiration = "5000", .user_id = "guest"};
    struct envelope_facts again = facts;

    for (int copies = 0; copies < 2; copies++) {
        assert_int_equal(make(rig, &original, &again, MAX), WARREN_OK);
        assert_null(rig->copy.expiration);
        assert_null(rig->copy.user_id);
        assert_null(note(rig, "CC"));
        assert_text(rig, NOTE_EXPIRATION, "5000");
        assert_text(rig, NOTE_USER_ID, "guest");
        assert_non_null(note(rig, NOTE_CC));
        assert_int_equal(note(rig, NOTE_CC)->type, WARREN_ARRAY);
        original = rig->copy;
        again.copied = true;
    }
}

/* A copy names the attempt that it follows; one that knows of none keeps what is noted. */
static void the_trace_of_the_attempt_is_noted(void **state)
{
    static const char first[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char second[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01";
    struct rig *rig = *state;
    struct warren_properties original = {0};
    struct envelope_facts traced = facts;

    traced.trace = first;
    assert_int_equal(make(rig, &original, &traced, MAX), WARREN_OK);
    assert_text(rig, NOTE_TRACE, first);
    original = rig->copy;
    traced.copied = true;
    traced.trace = NULL;
    assert_int_equal(make(rig, &original, &traced, MAX), WARREN_OK);
    assert_text(rig, NOTE_TRACE, first);
    traced.trace = second;
    assert_int_equal(make(rig, &original, &traced, MAX), WARREN_OK);
    assert_text(rig, NOTE_TRACE, second);
}

/* ---- cutting ---- */

static char *long_text(char c, size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, c, len);
    text[len] = '\0';
    return text;
}

static void assert_cut(struct rig *rig, const char *name, size_t least, size_t most)
{
    const struct warren_value *value = note(rig, name);

    if (!value)
        fail_msg("there is no %s", name);
    assert_in_range(value->as.bytes.len, least, most);
    assert_memory_equal((const char *)value->as.bytes.data + value->as.bytes.len - 6, " [cut]", 6);
}

/* A text of 1 MB, error or backtrace or both, is cut, and says so. */
static void long_texts_are_cut(void **state)
{
    struct rig *rig = *state;
    struct warren_properties none = {0};
    char *text = long_text('x', 1000000);
    struct envelope_facts long_facts = facts;

    long_facts.error = text;
    assert_int_equal(make(rig, &none, &long_facts, MAX), WARREN_OK);
    assert_cut(rig, NOTE_ERROR, ENVELOPE_TEXT_MAX - 4, ENVELOPE_TEXT_MAX);
    assert_text(rig, NOTE_BACKTRACE, facts.backtrace);
    assert_true(encoded_size(rig) <= MAX);
    long_facts.backtrace = text;
    assert_int_equal(make(rig, &none, &long_facts, MAX), WARREN_OK);
    assert_cut(rig, NOTE_ERROR, ENVELOPE_TEXT_MAX - 4, ENVELOPE_TEXT_MAX);
    assert_cut(rig, NOTE_BACKTRACE, ENVELOPE_TEXT_MAX - 4, ENVELOPE_TEXT_MAX);
    free(text);
}

/* Where there is little room, error and backtrace share it. */
static void two_texts_share_the_room(void **state)
{
    struct rig *rig = *state;
    struct warren_properties none = {0};
    char *text = long_text('x', 100000);
    struct envelope_facts long_facts = facts;

    long_facts.error = long_facts.backtrace = text;
    assert_int_equal(make(rig, &none, &long_facts, 8192 - 20), WARREN_OK);
    assert_cut(rig, NOTE_ERROR, 3000, 4096);
    assert_cut(rig, NOTE_BACKTRACE, 3000, 4096);
    assert_true(encoded_size(rig) + GIVEN <= 8192 - 20);
    free(text);
}

/* A cut does not leave half a character. */
static void a_cut_keeps_characters_whole(void **state)
{
    struct rig *rig = *state;
    struct warren_properties none = {0};
    struct envelope_facts long_facts = facts;
    char *text = long_text('x', ENVELOPE_TEXT_MAX * 3);
    const struct warren_value *value;

    for (size_t i = 1; i + 3 < ENVELOPE_TEXT_MAX * 3; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3); /* the euro sign */
    long_facts.error = text;
    assert_int_equal(make(rig, &none, &long_facts, MAX), WARREN_OK);
    value = note(rig, NOTE_ERROR);
    assert_non_null(value);
    assert_int_equal((value->as.bytes.len - 1 - strlen(" [cut]")) % 3, 0);
    free(text);
}

/* Two hundred headers of any size, of which many do not fit with the notes: the largest go, and are
 * named; the copy fits, and every note that makes a dead letter stands in it. */
static void the_largest_headers_go_as_the_last_resort(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 600, 1200, 60000};
    struct rig *rig = *state;
    struct warren_field headers[200];
    char names[200][16];
    char *text = long_text('x', 1000000);
    struct envelope_facts long_facts = facts;
    struct warren_properties original = {.headers = {headers, 200}, .message_id = "m-1"};

    long_facts.error = long_facts.backtrace = text;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int i = 0; i < 200; i++) {
            snprintf(names[i], sizeof names[i], "header-%d", i);
            headers[i] = warren_field_text(names[i], text);
            headers[i].value.as.bytes.len = i % 4 == 3 ? 10 : sizes[s];
        }
        assert_int_equal(make(rig, &original, &long_facts, MAX), WARREN_OK);
        assert_true(encoded_size(rig) + GIVEN - 1 <= MAX);
        assert_text(rig, NOTE_REASON, "attempts");
        assert_text(rig, NOTE_QUEUE, "payments");
        assert_non_null(note(rig, "header-3"));
        if (sizes[s] * 150 < MAX)
            assert_null(note(rig, NOTE_LEFT_OUT));
        else
            assert_non_null(note(rig, NOTE_LEFT_OUT));
    }
    free(text);
}

/* The one that had to go is named. */
static void what_is_left_out_is_named(void **state)
{
    struct rig *rig = *state;
    char *text = long_text('x', 3000);
    struct warren_field headers[] = {warren_field_text("small", "x"),
                                     warren_field_text("big", text), warren_field_text("tiny", "")};
    struct warren_properties original = {.headers = {headers, 3}};
    struct envelope_facts later = facts;

    assert_int_equal(make(rig, &original, &facts, 3000), WARREN_OK);
    assert_text(rig, NOTE_LEFT_OUT, "big");
    assert_null(note(rig, "big"));

    headers[1] = warren_field_text("big", "small now");
    headers[2] = warren_field_text(NOTE_LEFT_OUT, "earlier");
    later.copied = true;
    assert_int_equal(make(rig, &original, &later, 3000), WARREN_OK);
    assert_text(rig, NOTE_LEFT_OUT, "earlier");
    headers[1] = warren_field_text("big", text);
    assert_int_equal(make(rig, &original, &later, 3000), WARREN_OK);
    assert_text(rig, NOTE_LEFT_OUT, "earlier, big");
    assert_non_null(note(rig, "small"));
    free(text);
}

/* Keys of CC that fill the frame are left out of a dead letter like any header. */
static void keys_without_room_are_left_out(void **state)
{
    enum { KEYS = 510 };
    struct rig *rig = *state;
    char *text = long_text('k', 255);
    struct warren_value keys[KEYS];
    struct warren_field header = {"CC", {.type = WARREN_ARRAY, .as.array = {keys, KEYS}}};
    struct warren_properties original = {.headers = {&header, 1}};

    for (size_t i = 0; i < KEYS; i++)
        keys[i] = warren_field_text("", text).value;
    assert_int_equal(make(rig, &original, &facts, MAX), WARREN_OK);
    assert_null(note(rig, NOTE_CC));
    assert_text(rig, NOTE_LEFT_OUT, NOTE_CC);
    free(text);
}

/* Notes that do not fit even alone are an error, and not a copy without them. */
static void a_bound_below_the_notes_is_refused(void **state)
{
    struct rig *rig = *state;
    struct warren_field header = warren_field_text("tenant", "acme");
    struct warren_properties original = {.headers = {&header, 1}, .message_id = "m-1"};

    for (size_t max = 0; max < 300; max += 10)
        assert_int_equal(make(rig, &original, &facts, max), WARREN_ETOOBIG);
}

/* The size that it reckons with is the one on the wire, for every type of value. */
static void sizes_are_those_of_the_wire(void **state)
{
    struct rig *rig = *state;
    struct warren_value values[] = {
        {.type = WARREN_VOID},      {.type = WARREN_BOOL},  {.type = WARREN_I8},
        {.type = WARREN_U8},        {.type = WARREN_I16},   {.type = WARREN_U16},
        {.type = WARREN_I32},       {.type = WARREN_U32},   {.type = WARREN_I64},
        {.type = WARREN_F32},       {.type = WARREN_F64},   {.type = WARREN_DECIMAL},
        {.type = WARREN_TIMESTAMP}, {.type = WARREN_BYTES}, {.type = WARREN_STRING},
        {.type = WARREN_ARRAY},     {.type = WARREN_TABLE},
    };
    struct warren_field inner[] = {{"a", {.type = WARREN_I16}}, {"bc", {.type = WARREN_VOID}}};
    size_t count = sizeof values / sizeof *values;
    struct warren_field headers[32];
    struct warren_properties original = {.headers = {headers, count}};
    struct envelope_facts few = {.queue = "q", .exchange = "", .routing_key = "q", .error = NULL};
    size_t size;

    values[13].as.bytes = warren_text("bytes");
    values[15].as.array = (struct warren_array){values, 15};
    values[16].as.table = (struct warren_table){inner, 2};
    for (size_t i = 0; i < count; i++)
        headers[i] = (struct warren_field){"name", values[i]};
    assert_int_equal(make(rig, &original, &few, MAX), WARREN_OK);
    /* Less than what is reserved for id, mode, priority and timestamp, which it has not. */
    size = encoded_size(rig) + 1 + 1 + 8 + GIVEN;
    assert_int_equal(make(rig, &original, &few, size), WARREN_OK);
    assert_int_equal(rig->copy.headers.count, count + 4);
    assert_int_equal(make(rig, &original, &few, size - 1), WARREN_ETOOBIG);
}

/* What is attempted again has every header of its own, or there is no copy. */
static void a_retry_leaves_nothing_out(void **state)
{
    struct rig *rig = *state;
    char *text = long_text('x', 3000);
    struct warren_field headers[] = {warren_field_text("small", "x"),
                                     warren_field_text("big", text)};
    struct warren_properties original = {.headers = {headers, 2}};
    struct envelope_facts retry = facts;

    retry.reason = NULL;
    assert_int_equal(make(rig, &original, &retry, 3000), WARREN_ETOOBIG);
    assert_int_equal(make(rig, &original, &retry, 4000), WARREN_OK);
    assert_non_null(note(rig, "big"));
    assert_null(note(rig, NOTE_LEFT_OUT));
    assert_int_equal(make(rig, &original, &facts, 3000), WARREN_OK);
    assert_text(rig, NOTE_LEFT_OUT, "big");
    free(text);
}

/* As many headers as two frames can hold: of a hostile message each is looked at once. */
static void many_headers_are_left_out_in_no_time(void **state)
{
    enum { COUNT = 2 * MAX / 4 };
    struct rig *rig = *state;
    struct warren_field *headers = calloc(COUNT, sizeof *headers);
    struct warren_properties original = {.headers = {headers, COUNT}};

    assert_non_null(headers);
    for (size_t i = 0; i < COUNT; i++)
        headers[i] = (struct warren_field){"ab", {.type = WARREN_VOID}};
    assert_int_equal(make(rig, &original, &facts, MAX), WARREN_OK);
    assert_true(encoded_size(rig) + GIVEN <= MAX);
    assert_non_null(note(rig, NOTE_LEFT_OUT));
    free(headers);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_nul_ends_no_name),
        T(every_fact_is_noted),
        T(an_absent_fact_is_left_out),
        T(the_message_is_unchanged),
        T(old_notes_go),
        T(the_count_of_replays_stays),
        T(properties_that_would_act_are_put_aside),
        T(the_trace_of_the_attempt_is_noted),
        T(long_texts_are_cut),
        T(two_texts_share_the_room),
        T(a_cut_keeps_characters_whole),
        T(the_largest_headers_go_as_the_last_resort),
        T(what_is_left_out_is_named),
        T(a_bound_below_the_notes_is_refused),
        T(sizes_are_those_of_the_wire),
        T(a_retry_leaves_nothing_out),
        T(many_headers_are_left_out_in_no_time),
        T(notes_of_a_sender_go),
        T(keys_without_room_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
