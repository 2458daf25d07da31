/* test_frame.c - frames from and to bytes. */
#include "amqp/wire/frame.h"
#include "amqp/wire/rabbitmq_c.h"
#include "support/test.h"

#define FRAME_MAX 4096u

/* A copy of exactly @len bytes, so that the sanitizer sees a read behind the end. */
static enum frame_found read_copy(const void *data, size_t len, struct frame *frame, size_t *size,
                                  const char **why)
{
    uint8_t *copy = malloc(len ? len : 1);
    enum frame_found found;

    assert_non_null(copy);
    memcpy(copy, data, len);
    found = frame_read(len ? copy : NULL, len, FRAME_MAX, frame, size, why);
    free(copy);
    return found;
}

static void assert_broken(const void *data, size_t len, const char *expected)
{
    struct frame frame;
    const char *why = NULL;
    size_t size;

    assert_int_equal(read_copy(data, len, &frame, &size, &why), FRAME_BROKEN);
    assert_string_equal(why, expected);
}

/* A frame that comes byte by byte is PARTIAL, naming what is needed, until its last byte. */
static void a_frame_is_complete_only_with_its_last_byte(void **state)
{
    static const uint8_t bytes[] = {3, 0, 9, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o', 0xCE};
    struct frame frame;
    const char *why = NULL;
    size_t size = 0;

    (void)state;
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_int_equal(read_copy(bytes, len, &frame, &size, &why), FRAME_PARTIAL);
        assert_int_equal(size, len < 7 ? 7 : sizeof bytes);
    }
    assert_int_equal(frame_read(bytes, sizeof bytes, FRAME_MAX, &frame, &size, &why),
                     FRAME_COMPLETE);
    assert_int_equal(size, sizeof bytes);
    assert_int_equal(frame.type, FRAME_BODY);
    assert_int_equal(frame.channel, 9);
    assert_int_equal(frame.payload.len, 5);
    assert_ptr_equal(frame.payload.data, bytes + 7);
}

/* Of two frames in a row only the first is read. */
static void what_follows_a_frame_is_left(void **state)
{
    static const uint8_t bytes[] = {8, 0, 0, 0, 0, 0, 0, 0xCE, 0xFF};
    struct frame frame;
    const char *why = NULL;
    size_t size = 0;

    (void)state;
    assert_int_equal(frame_read(bytes, sizeof bytes, FRAME_MAX, &frame, &size, &why),
                     FRAME_COMPLETE);
    assert_int_equal(frame.type, FRAME_HEARTBEAT);
    assert_int_equal(size, 8);
}

/* Every type octet but 1, 2, 3 and 8 is refused at the first byte. */
static void unknown_types_are_broken_at_once(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t byte = (uint8_t)type;
        struct frame frame;
        const char *why = NULL;
        size_t size;

        if ((type >= 1 && type <= 3) || type == 8)
            assert_int_equal(read_copy(&byte, 1, &frame, &size, &why), FRAME_PARTIAL);
        else
            assert_broken(&byte, 1, "a frame has an unknown type");
    }
}

/* An HTTP server's answer is refused, not waited for. */
static void an_http_answer_is_broken(void **state)
{
    (void)state;
    assert_broken("HTTP/1.1 400 Bad Request\r\n", 26, "a frame has an unknown type");
}

/* A size at frame_max is waited for; one byte more is broken before the payload comes. */
static void a_size_over_frame_max_is_broken_before_it_comes(void **state)
{
    uint8_t header[7] = {3, 0, 1, 0, 0, 0, 0};
    uint32_t largest = FRAME_MAX - FRAME_OVERHEAD;
    struct frame frame;
    const char *why = NULL;
    size_t size = 0;

    (void)state;
    header[5] = (uint8_t)(largest >> 8);
    header[6] = (uint8_t)largest;
    assert_int_equal(read_copy(header, 7, &frame, &size, &why), FRAME_PARTIAL);
    assert_int_equal(size, FRAME_MAX);

    largest++;
    header[5] = (uint8_t)(largest >> 8);
    header[6] = (uint8_t)largest;
    assert_broken(header, 7, "a frame is larger than frame_max");

    memset(header + 3, 0xFF, 4);
    assert_broken(header, 7, "a frame is larger than frame_max");
}

static enum frame_found read_header_of(uint32_t size, size_t len, struct frame *frame,
                                       size_t *ret_size)
{
    uint8_t bytes[FRAME_HEADER_SIZE + HEADER_FIXED] = {2, 0, 1};
    const char *why = NULL;

    for (int i = 0; i < 4; i++)
        bytes[3 + i] = (uint8_t)(size >> (24 - 8 * i));
    return read_copy(bytes, len, frame, ret_size, &why);
}

/* A content header may outgrow frame_max on its way, and is taken whole, so far; beyond that its
 * fixed part alone is; and what no broker would send is broken. */
static void a_content_header_may_outgrow_frame_max(void **state)
{
    const uint32_t largest = FRAME_MAX - FRAME_OVERHEAD + FRAME_GROWTH_MAX;
    const size_t fixed = FRAME_HEADER_SIZE + HEADER_FIXED;
    struct frame frame;
    size_t size = 0;

    (void)state;
    assert_int_equal(read_header_of(largest, fixed, &frame, &size), FRAME_PARTIAL);
    assert_int_equal(size, largest + FRAME_OVERHEAD);

    assert_int_equal(read_header_of(largest + 1, fixed - 1, &frame, &size), FRAME_PARTIAL);
    assert_int_equal(size, fixed);
    assert_int_equal(read_header_of(largest + 1, fixed, &frame, &size), FRAME_COMPLETE);
    assert_int_equal(size, fixed);
    assert_int_equal(frame.payload.len, HEADER_FIXED);
    assert_int_equal(frame.skipped, largest + 1 - HEADER_FIXED);

    assert_int_equal(read_header_of(FRAME_SKIPPED_MAX, fixed, &frame, &size), FRAME_COMPLETE);
    assert_int_equal(read_header_of(FRAME_SKIPPED_MAX + 1, fixed, &frame, &size), FRAME_BROKEN);
    assert_int_equal(read_header_of(UINT32_MAX, fixed, &frame, &size), FRAME_BROKEN);
}

/* Of a skipped header what is left is its class and its body's size; it is unfit. */
static void a_skipped_header_is_unfit(void **state)
{
    static const uint8_t fixed[HEADER_FIXED] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2};
    struct content_header header;
    const char *why = NULL;

    (void)state;
    assert_int_equal(
        content_header_read((struct warren_bytes){fixed, sizeof fixed}, true, &header, &why),
        WARREN_OK);
    assert_int_equal(header.body_size, 258);
    assert_non_null(header.unfit);
    assert_int_equal(header.properties.len, 2);
    assert_memory_equal(header.properties.data, "\0\0", 2);
}

/* Each rule on channel and least size, broken by one. */
static void each_header_rule_has_its_own_words(void **state)
{
    static const struct {
        uint8_t header[7];
        const char *why;
    } rows[] = {
        {{1, 0, 0, 0, 0, 0, 3}, "a method frame is too short"},
        {{2, 0, 1, 0, 0, 0, 13}, "a content header frame is too short"},
        {{2, 0, 0, 0, 0, 0, 14}, "a content header came on channel 0"},
        {{3, 0, 0, 0, 0, 0, 1}, "a body frame came on channel 0"},
        {{8, 0, 1, 0, 0, 0, 0}, "a heartbeat came on a channel other than 0"},
        {{8, 0, 0, 0, 0, 0, 1}, "a heartbeat has a payload"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_broken(rows[i].header, 7, rows[i].why);
}

/* The end byte must be 0xCE. */
static void a_wrong_end_byte_is_broken(void **state)
{
    static const uint8_t bytes[] = {8, 0, 0, 0, 0, 0, 0, 0xCD};

    (void)state;
    assert_broken(bytes, sizeof bytes, "a frame does not end with 0xCE");
}

/* Random bytes never make frame_read() read outside of them. */
static void random_bytes_never_lead_outside(void **state)
{
    uint8_t bytes[64];

    (void)state;
    srand(42);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)rand() % sizeof bytes;
        struct frame frame;
        const char *why;
        size_t size;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i > 0 && i < 6 ? rand() % 2 : rand());
        if (len)
            bytes[0] = (uint8_t)(1 + rand() % 8);
        if (read_copy(bytes, len, &frame, &size, &why) == FRAME_COMPLETE)
            assert_true(size <= len &&
                        frame.payload.len + (frame.skipped ? FRAME_HEADER_SIZE : FRAME_OVERHEAD) ==
                            size);
    }
}

/* A method frame is id and rabbitmq-c's arguments: basic.ack, byte by byte. */
static void a_method_frame_is_written(void **state)
{
    static const uint8_t expected[] = {1, 0, 5, 0, 0, 0, 13, 0, 60, 0,   80,
                                       0, 0, 0, 0, 0, 0, 0,  7, 1,  0xCE};
    amqp_basic_ack_t ack = {.delivery_tag = 7, .multiple = 1};
    struct buffer out;

    (void)state;
    buffer_init(&out, 65536);
    assert_int_equal(frame_put_method(&out, 5, AMQP_BASIC_ACK_METHOD, &ack, FRAME_MAX), WARREN_OK);
    assert_int_equal(buffer_len(&out), sizeof expected);
    assert_memory_equal(buffer_front(&out), expected, sizeof expected);
    buffer_done(&out);
}

static enum warren_status put_declare(struct buffer *out, size_t text_len, uint32_t frame_max)
{
    char *text = calloc(1, text_len + 1);
    amqp_table_entry_t entry = {.key = {1, "k"}};
    amqp_queue_declare_t declare = {.queue = {1, "q"}};
    enum warren_status status;

    assert_non_null(text);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes.bytes = text;
    entry.value.value.bytes.len = text_len;
    declare.arguments.num_entries = 1;
    declare.arguments.entries = &entry;
    status = frame_put_method(out, 1, AMQP_QUEUE_DECLARE_METHOD, &declare, frame_max);
    free(text);
    return status;
}

/* Arguments may fill a frame to frame_max; one byte more is ETOOBIG and leaves nothing. */
static void a_method_fits_exactly_in_frame_max(void **state)
{
    /* 8 frame, 4 id, 2 ticket, 2 queue, 1 bits, 4 table, 2 key, 1 kind, 4 length */
    size_t fits = FRAME_MAX - 28;
    struct buffer out;

    (void)state;
    buffer_init(&out, 65536);
    assert_int_equal(put_declare(&out, fits, FRAME_MAX), WARREN_OK);
    assert_int_equal(buffer_len(&out), FRAME_MAX);
    assert_int_equal(put_declare(&out, fits + 1, FRAME_MAX), WARREN_ETOOBIG);
    assert_int_equal(buffer_len(&out), FRAME_MAX);
    buffer_done(&out);
}

/* A name over 255 bytes cannot be a short string. */
static void a_method_with_a_long_name_is_too_big(void **state)
{
    char name[256] = {0};
    amqp_queue_delete_t method = {.queue = {sizeof name, name}};
    struct buffer out;

    (void)state;
    buffer_init(&out, 65536);
    assert_int_equal(frame_put_method(&out, 1, AMQP_QUEUE_DELETE_METHOD, &method, FRAME_MAX),
                     WARREN_ETOOBIG);
    assert_int_equal(buffer_len(&out), 0);
    buffer_done(&out);
}

/* A buffer at its bound says EFULL and keeps what it has. */
static void a_full_buffer_is_left_as_it_was(void **state)
{
    uint8_t body[200] = {0};
    struct buffer out;

    (void)state;
    buffer_init(&out, 128);
    assert_int_equal(frame_put_heartbeat(&out), WARREN_OK);
    assert_int_equal(frame_put(&out, FRAME_BODY, 1, body, sizeof body), WARREN_EFULL);
    assert_int_equal(buffer_len(&out), FRAME_OVERHEAD);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_complete_only_with_its_last_byte),
        cmocka_unit_test(what_follows_a_frame_is_left),
        cmocka_unit_test(unknown_types_are_broken_at_once),
        cmocka_unit_test(an_http_answer_is_broken),
        cmocka_unit_test(a_size_over_frame_max_is_broken_before_it_comes),
        cmocka_unit_test(a_content_header_may_outgrow_frame_max),
        cmocka_unit_test(a_skipped_header_is_unfit),
        cmocka_unit_test(each_header_rule_has_its_own_words),
        cmocka_unit_test(a_wrong_end_byte_is_broken),
        cmocka_unit_test(random_bytes_never_lead_outside),
        cmocka_unit_test(a_method_frame_is_written),
        cmocka_unit_test(a_method_fits_exactly_in_frame_max),
        cmocka_unit_test(a_method_with_a_long_name_is_too_big),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
