/* test_lane_share.c - two lanes against a model, in whatever order messages come and end: each has
 * its share where both have messages, neither is kept waiting, no place is empty while one could
 * go.
 */
#include "base/random.h"
#include "consume/order/lane_share.h"
#include "support/test.h"

#define SCHEDULES 1500
#define STEPS     3000

/* Workers with places; a message takes some steps, in each lane others. */
struct model {
    struct lane_share share;
    struct random random;
    uint32_t shares[LANES];
    uint32_t places;
    uint32_t most[LANES]; /* of the places, of each */
    uint32_t takes[LANES];
    uint32_t waiting[LANES];
    uint32_t ends[64]; /* when each place is free, or 0 */
    enum lane has[64];
    uint32_t out[LANES];
    uint64_t begun[LANES];
    uint64_t both[LANES];    /* of these, while both could go */
    uint64_t refused[LANES]; /* starts of the other one in a row while this one could go */
    uint32_t now;
};

static uint64_t upto(struct model *m, uint64_t limit)
{
    return random_upto(&m->random, limit);
}

static bool can(const struct model *m, enum lane lane)
{
    return m->waiting[lane] > 0 && m->out[lane] < m->most[lane];
}

/* The other lane never goes more often in a row than its share says. */
static void note_refused(struct model *m, enum lane next, enum lane other, bool other_can)
{
    m->refused[next] = 0;
    m->refused[other] = other_can ? m->refused[other] + 1 : 0;
    assert_true(m->refused[other] <=
                (m->shares[next] + m->shares[other] - 1) / m->shares[other] + 1);
}

static void begin(struct model *m, uint32_t place)
{
    const bool could[LANES] = {can(m, LANE_FAST), can(m, LANE_SLOW)};
    enum lane next;

    if (!could[LANE_FAST] && !could[LANE_SLOW])
        return;
    next = lane_share_next(&m->share, could);
    assert_true(could[next]);
    note_refused(m, next, next == LANE_FAST ? LANE_SLOW : LANE_FAST,
                 could[next == LANE_FAST ? LANE_SLOW : LANE_FAST]);
    m->both[next] += could[LANE_FAST] && could[LANE_SLOW];
    m->begun[next]++;
    m->waiting[next]--;
    m->out[next]++;
    m->has[place] = next;
    m->ends[place] = m->now + 1 + (uint32_t)upto(m, 2ul * m->takes[next]);
}

static void step(struct model *m)
{
    m->now++;
    for (uint32_t i = 0; i < m->places; i++) {
        if (m->ends[i] > 0 && m->ends[i] <= m->now) {
            m->out[m->has[i]]--;
            m->ends[i] = 0;
        }
        if (m->ends[i] == 0)
            begin(m, i);
    }
}

static void draw(struct model *m, uint64_t seed)
{
    *m = (struct model){.now = 0};
    random_init(&m->random, seed);
    m->places = (uint32_t)upto(m, 15) + 1;
    for (int i = 0; i < LANES; i++) {
        m->shares[i] = (uint32_t)upto(m, 9) + 1;
        m->takes[i] = (uint32_t)upto(m, 5);
        m->most[i] = m->places;
    }
    lane_share_init(&m->share, m->shares);
}

/* Both always have messages: within a tenth each has its share of what begins, however long those
 * of the one take and those of the other. */
static void each_has_its_share(void **state)
{
    struct model m;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES / 10; seed++) {
        double fast;
        double wanted;

        draw(&m, seed);
        m.waiting[LANE_FAST] = m.waiting[LANE_SLOW] = 1000000;
        for (int i = 0; i < STEPS; i++)
            step(&m);
        fast = (double)m.begun[LANE_FAST] / (double)(m.begun[LANE_FAST] + m.begun[LANE_SLOW]);
        wanted = (double)m.shares[LANE_FAST] / (m.shares[LANE_FAST] + m.shares[LANE_SLOW]);
        assert_true(fast > 0.9 * wanted && fast < 1.1 * wanted);
    }
}

/* Messages come and go at random, the slow lane has fewer places: of what begins while both could
 * go each has its share, and none waits while there is a place that it may have. */
static void nobody_starves(void **state)
{
    struct model m;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        draw(&m, seed);
        m.most[LANE_SLOW] = (uint32_t)upto(&m, m.places - 1) + 1;
        for (int i = 0; i < STEPS / 10; i++) {
            m.waiting[upto(&m, 1)] += (uint32_t)upto(&m, 3);
            step(&m);
            for (uint32_t k = 0; k < m.places; k++)
                assert_true(m.ends[k] > 0 || (!can(&m, LANE_FAST) && !can(&m, LANE_SLOW)));
        }
        for (int i = 0; (m.waiting[LANE_FAST] > 0 || m.waiting[LANE_SLOW] > 0) && i < 100 * STEPS;
             i++)
            step(&m);
        assert_int_equal(m.waiting[LANE_FAST] + m.waiting[LANE_SLOW], 0);
    }
}

/* A lane that was empty for long is owed nothing: it has its share from now on, no more. */
static void rest_is_not_saved_up(void **state)
{
    const uint32_t share[LANES] = {1, 1};
    const bool fast[LANES] = {true, false};
    const bool both[LANES] = {true, true};
    struct lane_share lanes;
    uint32_t slow = 0;

    (void)state;
    lane_share_init(&lanes, share);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(lane_share_next(&lanes, fast), LANE_FAST);
    for (int i = 0; i < 10; i++)
        slow += lane_share_next(&lanes, both) == LANE_SLOW;
    assert_int_equal(slow, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_share),
        cmocka_unit_test(nobody_starves),
        cmocka_unit_test(rest_is_not_saved_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
