/* test_offered.c - what was offered: found by its id, forgotten from the front. */
#include "publish/spool/offered.h"
#include "support/test.h"

static void push(struct offered *ring, int64_t id)
{
    assert_true(offered_reserve(ring));
    offered_push(ring, id, id * 10);
}

static void finish(struct offered *ring, int64_t id)
{
    struct offered_message *offered = offered_find(ring, id);

    assert_non_null(offered);
    assert_int_equal(offered->bytes, id * 10);
    offered->done = true;
}

/* Ids have gaps; only those that were pushed are found. */
static void found_by_id(void **state)
{
    struct offered ring = {0};

    (void)state;
    assert_null(offered_find(&ring, 1));
    for (int64_t id = 3; id < 60; id += 3)
        push(&ring, id);
    for (int64_t id = 0; id < 70; id++)
        assert_int_equal(offered_find(&ring, id) != NULL, id % 3 == 0 && id >= 3 && id < 60);
    offered_unpush(&ring);
    assert_null(offered_find(&ring, 57));
    assert_non_null(offered_find(&ring, 54));
    offered_done(&ring);
}

/* Done out of order, they are forgotten as far as none before them is open. */
static void forgotten_from_the_front(void **state)
{
    struct offered ring = {0};

    (void)state;
    for (int64_t id = 1; id <= 4; id++)
        push(&ring, id);
    finish(&ring, 2);
    finish(&ring, 3);
    offered_drop_done(&ring);
    assert_int_equal(offered_first(&ring, 99), 1);
    finish(&ring, 1);
    offered_drop_done(&ring);
    assert_int_equal(offered_first(&ring, 99), 4);
    finish(&ring, 4);
    offered_drop_done(&ring);
    assert_int_equal(offered_first(&ring, 99), 99);
    push(&ring, 5);
    offered_clear(&ring);
    assert_int_equal(offered_first(&ring, 99), 99);
    offered_done(&ring);
}

/* It moves round its memory and grows meanwhile; none is lost. */
static void grown_while_it_turns(void **state)
{
    struct offered ring = {0};
    int64_t first = 1;
    int64_t next = 1;

    (void)state;
    while (next < 20000) {
        for (int i = 0; i < 7; i++)
            push(&ring, next++);
        for (int i = 0; i < 4; i++)
            finish(&ring, first++);
        offered_drop_done(&ring);
        assert_int_equal(offered_first(&ring, 0), first);
        assert_non_null(offered_find(&ring, next - 1));
    }
    for (int64_t id = first; id < next; id++)
        assert_non_null(offered_find(&ring, id));
    offered_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_id),
        cmocka_unit_test(forgotten_from_the_front),
        cmocka_unit_test(grown_while_it_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
