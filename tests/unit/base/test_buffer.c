/* test_buffer.c - base/buffer.h */
#include "base/buffer.h"
#include "support/test.h"

/* What is appended comes out at the front, in order, through many laps of appending and taking. */
static void bytes_come_out_in_order(void **state)
{
    struct buffer buffer;
    uint8_t next_in = 0;
    uint8_t next_out = 0;

    (void)state;
    buffer_init(&buffer, 4096);
    for (size_t lap = 0; lap < 500; lap++) {
        uint8_t in[7];

        for (size_t i = 0; i < sizeof in; i++)
            in[i] = next_in++;
        assert_int_equal(buffer_append(&buffer, in, sizeof in), WARREN_OK);
        for (size_t i = 0; i < (lap < 100 ? 3 : 7) && buffer_len(&buffer) > 0; i++) {
            assert_int_equal(*buffer_front(&buffer), next_out++);
            buffer_taken(&buffer, 1);
        }
    }
    while (buffer_len(&buffer) > 0) {
        assert_int_equal(*buffer_front(&buffer), next_out++);
        buffer_taken(&buffer, 1);
    }
    assert_int_equal(next_in, next_out);
    buffer_done(&buffer);
}

/* The bound holds to the byte: exactly max fits, one more is refused and changes nothing. */
static void bound_is_exact(void **state)
{
    struct buffer buffer;
    char bytes[1000] = {0};

    (void)state;
    buffer_init(&buffer, sizeof bytes);
    assert_int_equal(buffer_append(&buffer, bytes, sizeof bytes), WARREN_OK);
    assert_int_equal(buffer_append(&buffer, bytes, 1), WARREN_EFULL);
    assert_int_equal(buffer_len(&buffer), sizeof bytes);
    assert_true(buffer.capacity <= sizeof bytes);
    buffer_done(&buffer);
}

/* A length that would overflow is too much, not a small number. */
static void huge_reserve_is_refused(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 1000);
    assert_int_equal(buffer_append(&buffer, "ab", 2), WARREN_OK);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), WARREN_EFULL);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 1), WARREN_EFULL);
    buffer_done(&buffer);
}

/* Room that was taken from the front counts again: a full buffer accepts what was taken. */
static void taken_bytes_make_room(void **state)
{
    struct buffer buffer;
    char bytes[600];
    const uint8_t *data;

    (void)state;
    memset(bytes, 'a', sizeof bytes);
    buffer_init(&buffer, sizeof bytes);
    assert_int_equal(buffer_append(&buffer, bytes, sizeof bytes), WARREN_OK);
    data = buffer.data;
    buffer_taken(&buffer, 10);
    assert_int_equal(buffer_append(&buffer, "0123456789", 10), WARREN_OK);
    assert_ptr_equal(buffer.data, data); /* moved down, not allocated anew */
    assert_int_equal(buffer_len(&buffer), sizeof bytes);
    assert_memory_equal(buffer_back(&buffer) - 10, "0123456789", 10);
    buffer_done(&buffer);
}

/* A steady stream moves what is left down instead of growing, also if the buffer never runs empty.
 */
static void steady_stream_does_not_grow(void **state)
{
    struct buffer buffer;
    char bytes[100] = {0};

    (void)state;
    buffer_init(&buffer, 1 << 20);
    assert_int_equal(buffer_append(&buffer, bytes, sizeof bytes), WARREN_OK);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(buffer_append(&buffer, bytes, sizeof bytes), WARREN_OK);
        buffer_taken(&buffer, sizeof bytes);
    }
    assert_int_equal(buffer_len(&buffer), sizeof bytes);
    assert_true(buffer.capacity <= 1024);
    buffer_done(&buffer);
}

/* reserve gives as many writable bytes as were asked for (a sanitizer watches). */
static void reserved_bytes_are_writable(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 1 << 20);
    for (size_t len = 1; len < 100000; len = len * 3 + 1) {
        assert_int_equal(buffer_reserve(&buffer, len), WARREN_OK);
        assert_true(buffer_room(&buffer) >= len);
        memset(buffer_back(&buffer), 1, len);
        buffer_added(&buffer, len);
        buffer_taken(&buffer, len / 2);
    }
    buffer_done(&buffer);
}

/* Nothing is allocated before there are bytes, and a zeroed buffer may be freed. */
static void empty_buffer_costs_nothing(void **state)
{
    struct buffer buffer;
    struct buffer zeroed = {0};

    (void)state;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_append(&buffer, NULL, 0), WARREN_OK);
    assert_null(buffer.data);
    buffer_done(&buffer);
    buffer_done(&zeroed);
    buffer_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_order),
        cmocka_unit_test(bound_is_exact),
        cmocka_unit_test(huge_reserve_is_refused),
        cmocka_unit_test(taken_bytes_make_room),
        cmocka_unit_test(steady_stream_does_not_grow),
        cmocka_unit_test(reserved_bytes_are_writable),
        cmocka_unit_test(empty_buffer_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
