/* test_record.c - messages become the right frames, for any channel and frame_max. */
#include "amqp/wire/frame.h"
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "publish/message/record.h"
#include "support/test.h"

static struct record *make(const struct warren_publish *publish)
{
    struct record *record = NULL;

    assert_int_equal(record_new(publish, NULL, RECORD_OWN, (size_t)64 * 1024 * 1024, &record),
                     WARREN_OK);
    return record;
}

/* The next frame of @out, which must be whole. */
static struct frame next_frame(struct buffer *out, uint32_t frame_max)
{
    struct frame frame;
    const char *why = "";
    size_t size = 0;

    assert_int_equal(frame_read(buffer_front(out), buffer_len(out), frame_max, &frame, &size, &why),
                     FRAME_COMPLETE);
    buffer_taken(out, size);
    return frame;
}

/* basic.publish is what rabbitmq-c's own decoder makes of it. */
static void check_method(struct frame frame, uint16_t channel, const char *exchange,
                         const char *key, bool mandatory)
{
    const uint8_t *payload = frame.payload.data;
    amqp_bytes_t arguments = {frame.payload.len - 4, (void *)(uintptr_t)(payload + 4)};
    amqp_basic_publish_t *method = NULL;
    amqp_pool_t pool;
    void *decoded = NULL;

    assert_int_equal(frame.type, FRAME_METHOD);
    assert_int_equal(frame.channel, channel);
    assert_memory_equal(payload, "\0\x3c\0\x28", 4);
    init_amqp_pool(&pool, 0);
    assert_int_equal(amqp_decode_method(AMQP_BASIC_PUBLISH_METHOD, &pool, arguments, &decoded), 0);
    method = decoded;
    assert_int_equal(method->exchange.len, strlen(exchange));
    assert_memory_equal(method->exchange.bytes, exchange, strlen(exchange));
    assert_int_equal(method->routing_key.len, strlen(key));
    assert_memory_equal(method->routing_key.bytes, key, strlen(key));
    assert_int_equal(method->mandatory != 0, mandatory);
    assert_int_equal(method->immediate, 0);
    empty_amqp_pool(&pool);
}

static void check_header(struct frame frame, uint16_t channel, size_t body_len, struct arena *arena,
                         struct warren_properties *properties)
{
    struct content_header header;
    const char *why = "";

    assert_int_equal(frame.type, FRAME_HEADER);
    assert_int_equal(frame.channel, channel);
    assert_int_equal(content_header_read(frame.payload, false, &header, &why), WARREN_OK);
    assert_int_equal(header.class_id, 60);
    assert_int_equal(header.body_size, body_len);
    assert_int_equal(properties_decode(header.properties, arena, properties), WARREN_OK);
}

/* What a message without wishes gets: mandatory, persistent, a new UUIDv7. */
static void defaults(void **state)
{
    struct warren_message message = {.body = warren_text("hello")};
    struct warren_publish publish = {.routing_key = "q", .message = &message};
    struct record *record = make(&publish);
    struct record *other = make(&publish);
    struct warren_properties properties;
    struct buffer out;
    struct arena arena;
    struct frame body;

    (void)state;
    arena_init(&arena);
    buffer_init(&out, 1 << 20);
    assert_int_equal(record_write(record, &out, 7, 131072, SIZE_MAX), WARREN_OK);
    assert_int_equal(buffer_len(&out), record_size(record));
    check_method(next_frame(&out, 131072), 7, "", "q", true);
    check_header(next_frame(&out, 131072), 7, 5, &arena, &properties);
    assert_int_equal(properties.delivery_mode, 2);
    assert_string_equal(properties.message_id, record_id(record));
    assert_int_equal(strlen(record_id(record)), 36);
    assert_int_equal(record_id(record)[14], '7');
    assert_string_not_equal(record_id(record), record_id(other));
    body = next_frame(&out, 131072);
    assert_int_equal(body.type, FRAME_BODY);
    assert_int_equal(body.channel, 7);
    assert_int_equal(body.payload.len, 5);
    assert_memory_equal(body.payload.data, "hello", 5);
    assert_int_equal(buffer_len(&out), 0);
    assert_false(record_half_written(record));
    record_free(record);
    record_free(other);
    buffer_done(&out);
    arena_done(&arena);
}

/* What a message brings along stays, with its headers. */
static void own_properties_stay(void **state)
{
    struct warren_field fields[] = {warren_field_text("k", "v"), warren_field_i64("n", -5)};
    struct warren_message message = {
        .properties = {.message_id = "mine",
                       .delivery_mode = 1,
                       .content_type = "text/plain",
                       .headers = {fields, 2}},
    };
    struct warren_publish publish = {
        .exchange = "e", .routing_key = "k", .message = &message, .optional = true};
    struct record *record = make(&publish);
    struct warren_properties properties;
    struct buffer out;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    buffer_init(&out, 1 << 20);
    assert_int_equal(record_write(record, &out, 1, 131072, SIZE_MAX), WARREN_OK);
    check_method(next_frame(&out, 131072), 1, "e", "k", false);
    check_header(next_frame(&out, 131072), 1, 0, &arena, &properties);
    assert_int_equal(buffer_len(&out), 0); /* an empty body has no frame */
    assert_int_equal(properties.delivery_mode, 1);
    assert_string_equal(properties.message_id, "mine");
    assert_string_equal(record_id(record), "mine");
    assert_string_equal(properties.content_type, "text/plain");
    assert_int_equal(warren_table_get(&properties.headers, "n")->as.integer, -5);
    record_free(record);
    buffer_done(&out);
    arena_done(&arena);
}

/* A copy has a message id where the original has one; else what a return names is a header. */
static void a_copy_of_a_message(void **state)
{
    static const char *const ids[] = {"mine", NULL, ""};
    struct warren_field field = warren_field_text("k", "v");
    struct warren_message message = {.properties.headers = {&field, 1}};
    struct warren_publish publish = {.routing_key = "q", .message = &message};

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct warren_properties properties;
        const struct warren_value *note;
        struct record *record;
        struct buffer out;
        struct arena arena;

        arena_init(&arena);
        buffer_init(&out, 1 << 20);
        message.properties.message_id = ids[i];
        assert_int_equal(record_new(&publish, NULL, RECORD_COPY, 1 << 20, &record), WARREN_OK);
        assert_int_equal(record_write(record, &out, 1, 4096, SIZE_MAX), WARREN_OK);
        next_frame(&out, 4096);
        check_header(next_frame(&out, 4096), 1, 0, &arena, &properties);
        note = warren_table_get(&properties.headers, NOTE_COPY);
        assert_non_null(warren_table_get(&properties.headers, "k"));
        if (i == 0) {
            assert_string_equal(properties.message_id, "mine");
            assert_null(note);
        } else {
            assert_true(!properties.message_id || !*properties.message_id);
            assert_int_equal(note->as.bytes.len, 36);
            assert_memory_equal(note->as.bytes.data, record_id(record), 36);
        }
        record_free(record);
        buffer_done(&out);
        arena_done(&arena);
    }
}

/* `transient` is only for messages that say nothing themselves. */
static void transient_is_a_default(void **state)
{
    static const struct {
        uint8_t given;
        bool transient;
        uint8_t expected;
    } rows[] = {{0, false, 2}, {0, true, 1}, {2, true, 2}, {1, false, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct warren_message message = {.properties.delivery_mode = rows[i].given};
        struct warren_publish publish = {.message = &message, .transient = rows[i].transient};
        struct record *record = make(&publish);
        struct warren_properties properties;
        struct buffer out;
        struct arena arena;

        arena_init(&arena);
        buffer_init(&out, 1 << 20);
        assert_int_equal(record_write(record, &out, 1, 4096, SIZE_MAX), WARREN_OK);
        next_frame(&out, 4096);
        check_header(next_frame(&out, 4096), 1, 0, &arena, &properties);
        assert_int_equal(properties.delivery_mode, rows[i].expected);
        record_free(record);
        buffer_done(&out);
        arena_done(&arena);
    }
}

/* Write @record with stops above @high, and check that the frames carry @body. */
static void check_body(struct record *record, uint32_t frame_max, size_t high, const uint8_t *body,
                       size_t len)
{
    struct warren_properties properties;
    struct buffer out;
    struct arena arena;
    size_t seen = 0;
    unsigned frames = 0;

    arena_init(&arena);
    buffer_init(&out, (size_t)64 * 1024 * 1024);
    assert_int_equal(record_write(record, &out, 3, frame_max, high), WARREN_OK);
    check_method(next_frame(&out, frame_max), 3, "", "q", true);
    check_header(next_frame(&out, frame_max), 3, len, &arena, &properties);
    while (seen < len) {
        struct frame frame;

        if (buffer_len(&out) == 0) {
            assert_true(record_half_written(record));
            assert_int_equal(record_write(record, &out, 3, frame_max, high), WARREN_OK);
        }
        frame = next_frame(&out, frame_max);
        assert_int_equal(frame.type, FRAME_BODY);
        assert_int_equal(frame.channel, 3);
        assert_memory_equal(frame.payload.data, body + seen, frame.payload.len);
        seen += frame.payload.len;
        frames++;
    }
    assert_int_equal(seen, len);
    assert_int_equal(frames, (len + frame_max - 9) / (frame_max - 8));
    assert_int_equal(buffer_len(&out), 0);
    assert_false(record_half_written(record));
    buffer_done(&out);
    arena_done(&arena);
}

/* Bodies around the frame size, written whole or in pieces, and again after a rewind. */
static void bodies_around_frame_max(void **state)
{
    static const size_t lens[] = {0,    1,    4087,   4088,   4089,   8175,
                                  8176, 8177, 131064, 131065, 1000000};
    static const uint32_t frame_maxes[] = {4096, 131072};
    uint8_t *body = malloc(1000000);

    (void)state;
    assert_non_null(body);
    for (size_t i = 0; i < 1000000; i++)
        body[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct warren_message message = {.body = {body, lens[i]}};
        struct warren_publish publish = {.routing_key = "q", .message = &message};
        struct record *record = make(&publish);

        for (size_t f = 0; f < 2; f++) {
            check_body(record, frame_maxes[f], SIZE_MAX, body, lens[i]);
            record_rewind(record);
            check_body(record, frame_maxes[f], 20000, body, lens[i]);
            record_rewind(record);
        }
        record_free(record);
    }
    free(body);
}

/* Each thing that cannot be sent is told from the others. */
static void bad_messages(void **state)
{
    static char long_text[300];
    static char long_value[140000];
    struct warren_field field = {.name = "h"};
    struct warren_message plain = {.body = warren_text("0123456789")};
    struct warren_message long_id = {.properties.message_id = long_text};
    struct warren_message big_headers = {.properties.headers = {&field, 1}};
    struct warren_message no_body = {.body = {NULL, 5}};
    const struct {
        struct warren_publish publish;
        size_t max_size;
        enum warren_status expected;
    } rows[] = {
        {{.message = &plain}, 1000, WARREN_OK},
        {{.message = NULL}, 1000, WARREN_EINVAL},
        {{.message = &no_body}, 1000, WARREN_EINVAL},
        {{.message = &plain, .routing_key = long_text}, 1000, WARREN_EINVAL},
        {{.message = &plain, .exchange = long_text}, 1000, WARREN_EINVAL},
        {{.message = &long_id}, 1000, WARREN_EINVAL},
        {{.message = &big_headers}, 1000000, WARREN_ETOOBIG},
        {{.message = &plain}, 9, WARREN_ETOOBIG},
        {{.message = &plain}, 50, WARREN_ETOOBIG},
    };

    (void)state;
    memset(long_text, 'x', 256);
    memset(long_value, 'x', sizeof long_value);
    field.value.type = WARREN_STRING;
    field.value.as.bytes = (struct warren_bytes){long_value, sizeof long_value};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record *record = NULL;

        assert_int_equal(record_new(&rows[i].publish, NULL, RECORD_OWN, rows[i].max_size, &record),
                         rows[i].expected);
        record_free(record);
    }
}

/* A size bound is exact. */
static void size_bound_is_exact(void **state)
{
    struct warren_message message = {.body = warren_text("0123456789")};
    struct warren_publish publish = {.message = &message};
    struct record *record = make(&publish);
    size_t size = record_size(record);

    (void)state;
    record_free(record);
    assert_int_equal(record_new(&publish, NULL, RECORD_OWN, size - 1, &record), WARREN_ETOOBIG);
    assert_int_equal(record_new(&publish, NULL, RECORD_OWN, size, &record), WARREN_OK);
    record_free(record);
}

/* Id, names and properties that hold a NUL are sent, and restored, to their ends. */
static void texts_are_whole(void **state)
{
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.message = &message};
    struct warren_properties properties;
    struct record_parts parts;
    struct record *record;
    struct record *restored;
    const char *why;
    struct arena texts;

    (void)state;
    arena_init(&texts);
    publish.exchange = arena_text(&texts, "e\0x", 3);
    publish.routing_key = arena_text(&texts, "\0k", 2);
    message.properties.message_id = arena_text(&texts, "\0A", 2);
    message.properties.reply_to = arena_text(&texts, "r\0t", 3);
    assert_int_equal(record_new(&publish, &texts, RECORD_OWN, 4096, &record), WARREN_OK);
    arena_reset(&texts);
    record_parts(record, &parts);
    assert_int_equal(record_restore(&parts, &restored, &why), WARREN_OK);
    record_free(record);
    record_parts(restored, &parts);
    assert_int_equal(parts.exchange.len, 3);
    assert_memory_equal(parts.exchange.data, "e\0x", 3);
    assert_int_equal(parts.routing_key.len, 2);
    assert_int_equal(parts.id.len, 2);
    assert_memory_equal(parts.id.data, "\0A", 3);
    assert_int_equal(properties_decode(parts.properties, &texts, &properties), WARREN_OK);
    assert_int_equal(arena_bytes(&texts, properties.message_id).len, 2);
    assert_int_equal(arena_bytes(&texts, properties.reply_to).len, 3);
    record = record_receipt_only(restored);
    assert_int_equal(record_id_bytes(record).len, 2);
    record_free(record);
    record_free(restored);
    arena_done(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(own_properties_stay),
        cmocka_unit_test(a_copy_of_a_message),
        cmocka_unit_test(transient_is_a_default),
        cmocka_unit_test(bodies_around_frame_max),
        cmocka_unit_test(bad_messages),
        cmocka_unit_test(size_bound_is_exact),
        cmocka_unit_test(texts_are_whole),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
