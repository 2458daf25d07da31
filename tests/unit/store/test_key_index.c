/* test_key_index.c - which row has a key: never a wrong "surely new", whatever comes and goes. */
#include "base/random.h"
#include "store/idempotency/key_index.h"
#include "support/test.h"

static bool has(const struct key_index *index, uint64_t hash, int64_t row)
{
    size_t cursor = 0;
    int64_t found;

    while ((found = key_index_find(index, hash, &cursor)) != 0)
        if (found == row)
            return true;
    return false;
}

/* A key that was put is found with its row, another is surely new. */
static void what_was_put_is_found(void **state)
{
    struct key_index *index = key_index_new(100);
    size_t cursor = 0;

    (void)state;
    key_index_put(index, UINT64_C(0x123456789abcdef0), 7);
    assert_int_equal(key_index_find(index, UINT64_C(0x123456789abcdef0), &cursor), 7);
    assert_int_equal(key_index_find(index, UINT64_C(0x123456789abcdef0), &cursor), 0);
    cursor = 0;
    assert_int_equal(key_index_find(index, UINT64_C(0x923456789abcdef0), &cursor), 0);
    key_index_free(index);
}

/* Two rows of keys alike in 36 bits are both found. */
static void keys_alike_are_both_found(void **state)
{
    struct key_index *index = key_index_new(100);

    (void)state;
    key_index_put(index, UINT64_C(0xffffffff00000001), 1);
    key_index_put(index, UINT64_C(0xffffffff00000002), 2);
    assert_true(has(index, UINT64_C(0xffffffff00000001), 1));
    assert_true(has(index, UINT64_C(0xffffffff00000001), 2));
    key_index_free(index);
}

/* Rows that end in 28 zero bits would look like a free slot: their number is left out. */
static void a_row_that_cannot_be_kept_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(key_index_fit(1), 1);
    assert_int_equal(key_index_fit(INT64_C(1) << KEY_INDEX_ROW_BITS),
                     (INT64_C(1) << KEY_INDEX_ROW_BITS) + 1);
}

/* A window of keys moves over many times its size, beyond where the bits of rows wrap around: all
 * that are in it are found, none below is, and the table does not fill up. */
static void a_moving_window_is_exact(void **state)
{
    enum { KEYS = 3000, ROWS = 60000 };
    uint64_t *hashes = calloc(ROWS, sizeof *hashes);
    struct key_index *index = key_index_new(KEYS);
    int64_t first = (INT64_C(1) << KEY_INDEX_ROW_BITS) - 20000;
    int64_t row = first;
    struct random random;

    (void)state;
    random_init(&random, 42);
    for (int i = 0; i < ROWS; i++) {
        row = key_index_fit(row);
        hashes[i] = random_u64(&random);
        /* Every few keys share a home, so that chains form and wrap around the end. */
        if (i % 3 == 0)
            hashes[i] |= UINT64_C(0xfff) << 52;
        if (i >= KEYS)
            key_index_raise(index, row - KEYS);
        key_index_put(index, hashes[i], row);
        assert_true(has(index, hashes[i], row));
        if (i >= KEYS && i % 50 == 0) {
            int back = (int)random_upto(&random, KEYS - 2);
            int64_t gap = row > INT64_C(1) << KEY_INDEX_ROW_BITS ? 1 : 0;
            int64_t then = row - back;

            if (then > INT64_C(1) << KEY_INDEX_ROW_BITS || gap == 0)
                assert_true(has(index, hashes[i - back], then));
            assert_false(has(index, hashes[i - KEYS], row - KEYS - 1));
        }
        row++;
    }
    assert_in_range(key_index_used(index), KEYS, 8192);
    key_index_free(index);
    free(hashes);
}

/* The floor is raised over everything at once: nothing is found, and there is room again. */
static void all_can_die_at_once(void **state)
{
    struct key_index *index = key_index_new(600);

    (void)state;
    for (int64_t row = 1; row <= 600; row++)
        key_index_put(index, (uint64_t)row << 40, row);
    key_index_raise(index, 601);
    for (int64_t row = 601; row <= 1200; row++)
        key_index_put(index, (uint64_t)row << 40, row);
    for (int64_t row = 1; row <= 600; row++)
        assert_false(has(index, (uint64_t)row << 40, row));
    for (int64_t row = 601; row <= 1200; row++)
        assert_true(has(index, (uint64_t)row << 40, row));
    key_index_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(keys_alike_are_both_found),
        cmocka_unit_test(a_row_that_cannot_be_kept_is_left_out),
        cmocka_unit_test(a_moving_window_is_exact),
        cmocka_unit_test(all_can_die_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
