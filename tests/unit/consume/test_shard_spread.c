/* test_shard_spread.c - shards over random sets of workers: each has one, nobody has more than one
 * above another, and few move when a worker comes or goes.
 */
#include "base/random.h"
#include "consume/order/shard_spread.h"
#include "support/test.h"

#define SETS 20000

struct model {
    struct random random;
    bool taken[SHARD_SPREAD_MAX];
    uint8_t owner[SHARD_SPREAD_MAX];
    uint32_t count;
    uint32_t workers;
};

static void draw(struct model *m, uint64_t seed)
{
    *m = (struct model){.count = 0};
    random_init(&m->random, seed);
    m->count = (uint32_t)random_upto(&m->random, SHARD_SPREAD_MAX - 1) + 1;
    for (uint64_t i = random_upto(&m->random, m->count); i > 0; i--)
        m->taken[random_upto(&m->random, m->count - 1)] = true;
    m->workers = shard_spread(m->taken, m->count, m->owner);
}

static void within_one(const struct model *m)
{
    uint32_t has[SHARD_SPREAD_MAX] = {0};

    for (uint32_t i = 0; i < m->count; i++) {
        assert_true(m->taken[m->owner[i]]);
        has[m->owner[i]]++;
    }
    for (uint32_t i = 0; i < m->count; i++)
        if (m->taken[i])
            assert_true(has[i] == m->count / m->workers || has[i] == m->count / m->workers + 1);
}

static void nobody_has_more_than_one_above_another(void **state)
{
    struct model m;

    (void)state;
    for (uint64_t seed = 1; seed <= SETS; seed++) {
        draw(&m, seed);
        if (m.workers > 0)
            within_one(&m);
    }
}

/* Each worker reckons for itself. */
static void all_reckon_the_same(void **state)
{
    struct model m;
    uint8_t again[SHARD_SPREAD_MAX];

    (void)state;
    for (uint64_t seed = 1; seed <= SETS / 10; seed++) {
        draw(&m, seed);
        assert_int_equal(shard_spread(m.taken, m.count, again), m.workers);
        if (m.workers > 0)
            assert_memory_equal(again, m.owner, m.count);
    }
}

/* Of @count shards between @workers of @seats, how many others move when one of them leaves. */
static uint32_t moves(struct random *random, uint32_t count, uint32_t workers)
{
    struct model m = {.count = count};
    uint8_t now[SHARD_SPREAD_MAX];
    uint32_t moved = 0;
    uint32_t gone;

    for (uint32_t placed = 0; placed < workers;) {
        uint64_t seat = random_upto(random, count - 1);

        placed += !m.taken[seat];
        m.taken[seat] = true;
    }
    shard_spread(m.taken, count, m.owner);
    do
        gone = (uint32_t)random_upto(random, count - 1);
    while (!m.taken[gone]);
    m.taken[gone] = false;
    shard_spread(m.taken, count, now);
    for (uint32_t i = 0; i < count; i++)
        moved += m.owner[i] != gone && now[i] != m.owner[i];
    return moved;
}

/* Those of the one that is gone have to move; of the others a fifth does at most, in the mean. */
static void most_shards_stay(void **state)
{
    static const uint32_t rows[][2] = {{16, 3}, {16, 4}, {16, 8}, {64, 5}, {128, 20}};
    struct random random;

    (void)state;
    random_init(&random, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t moved = 0;

        for (int times = 0; times < 1000; times++)
            moved += moves(&random, rows[i][0], rows[i][1]);
        if (moved > 1000 * rows[i][0] / 5)
            fail_msg("%u of %u move, with %u workers", moved, 1000 * rows[i][0], rows[i][1]);
    }
}

static void nobody_has_nothing_to_share_out(void **state)
{
    const bool taken[4] = {false};
    uint8_t owner[4] = {9, 9, 9, 9};

    (void)state;
    assert_int_equal(shard_spread(taken, 4, owner), 0);
    assert_int_equal(owner[0], 9);
}

/* Workers of other versions reckon so, too: these numbers must stay. */
static void the_spread_is_that_of_all_versions(void **state)
{
    static const uint8_t expected[8] = {0, 0, 0, 5, 5, 2, 5, 2};
    const bool taken[8] = {true, false, true, false, false, true, false, false};
    uint8_t owner[8];

    (void)state;
    assert_int_equal(shard_spread(taken, 8, owner), 3);
    assert_memory_equal(owner, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_more_than_one_above_another),
        cmocka_unit_test(all_reckon_the_same),
        cmocka_unit_test(most_shards_stay),
        cmocka_unit_test(nobody_has_nothing_to_share_out),
        cmocka_unit_test(the_spread_is_that_of_all_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
