/* test_arena.c - base/arena.h */
#include "base/arena.h"
#include "support/test.h"

/* Pieces of many sizes are aligned, apart from each other, and keep what was written. */
static void pieces_are_aligned_and_apart(void **state)
{
    struct arena arena;
    unsigned char *pieces[300];

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = arena_alloc(&arena, i * 5);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), i * 5);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t j = 0; j < i * 5; j++)
            assert_int_equal(pieces[i][j], i & 0xff);
    arena_done(&arena);
}

/* Zero bytes are a piece like any other. */
static void zero_bytes_are_fine(void **state)
{
    struct arena arena;
    char *a;
    char *b;

    (void)state;
    arena_init(&arena);
    a = arena_alloc(&arena, 0);
    b = arena_alloc(&arena, 0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    arena_done(&arena);
}

/* A text is copied and ended, also when its bytes hold no NUL. */
static void text_is_ended(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_string_equal(arena_text(&arena, "payments", 3), "pay");
    assert_string_equal(arena_text(&arena, NULL, 0), "");
    arena_done(&arena);
}

/* A small job after a reset gets the same memory again; a huge piece is not kept. */
static void reset_keeps_only_the_first_block(void **state)
{
    struct arena arena;
    void *first;

    (void)state;
    arena_init(&arena);
    first = arena_alloc(&arena, 1 << 20);
    arena_reset(&arena);
    assert_ptr_equal(arena.first, arena.last);
    first = arena_alloc(&arena, 100);
    arena_alloc(&arena, 1 << 20);
    arena_alloc(&arena, 3000);
    arena_reset(&arena);
    assert_ptr_equal(arena.first, arena.last);
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    arena_done(&arena);
}

/* A size that no machine has is refused, not wrapped around. */
static void impossible_size_is_refused(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_text(&arena, "", SIZE_MAX));
    arena_done(&arena);
}

/* An arena that gave nothing may be reset and freed, repeatedly. */
static void empty_arena_can_be_freed(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    arena_reset(&arena);
    arena_done(&arena);
    arena_done(&arena);
    arena_done(NULL);
}

/* A text that holds a NUL keeps its length, however many there are, until the reset; of any other
 * pointer, into such a text too, the length is up to the NUL. */
static void lengths_of_texts_are_known(void **state)
{
    enum { COUNT = 1000 };
    const char *texts[COUNT];
    char outside[] = "x\0y";
    struct arena arena;
    struct arena other;

    (void)state;
    arena_init(&arena);
    arena_init(&other);
    assert_int_equal(arena_bytes(&arena, "plain").len, 5);
    assert_int_equal(arena_bytes(NULL, "plain").len, 5);
    assert_null(arena_bytes(&arena, NULL).data);
    for (size_t i = 0; i < COUNT; i++)
        texts[i] = arena_text(&arena, "dup\0A\0", 4 + i % 3);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(arena_bytes(&arena, texts[i]).len, 4 + i % 3);
        assert_int_equal(arena_bytes(&arena, texts[i] + 1).len, 2);
    }
    assert_int_equal(arena_note(&arena, outside, 3), WARREN_OK);
    assert_int_equal(arena_bytes(&arena, outside).len, 3);
    assert_int_equal(arena_note_all(&other, &arena), WARREN_OK);
    assert_int_equal(arena_note_all(&other, NULL), WARREN_OK);
    assert_int_equal(arena_bytes(&other, texts[2]).len, 6);
    assert_int_equal(arena_bytes(&other, outside).len, 3);
    assert_int_equal(arena_note(&arena, strcpy(outside, "xyz"), 3), WARREN_OK);
    assert_int_equal(arena_bytes(&arena, outside).len, 3);
    assert_int_equal(arena_note(&arena, strcpy(outside, ""), 0), WARREN_OK);
    assert_int_equal(arena_bytes(&arena, outside).len, 0);
    arena_reset(&arena);
    assert_int_equal(arena_bytes(&arena, outside).len, 0);
    arena_done(&other);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(zero_bytes_are_fine),
        cmocka_unit_test(text_is_ended),
        cmocka_unit_test(reset_keeps_only_the_first_block),
        cmocka_unit_test(impossible_size_is_refused),
        cmocka_unit_test(empty_arena_can_be_freed),
        cmocka_unit_test(lengths_of_texts_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
