/* test_sizing.c - how many threads there are to be: by hand, and as properties of thousands of
 * random loads that a model of broker, window, queue and workers has under a virtual clock.
 */
#include "base/random.h"
#include "consume/workers/sizing.h"
#include "support/test.h"

/* ---- by hand ---- */

struct hand {
    struct sizing sizing;
    struct sizing_seen seen;
};

/* 2 to 32 threads, 100 ms; @size of them. */
static void take(struct hand *hand, uint32_t size)
{
    const struct sizing_range range = {2, 32, 100};

    *hand = (struct hand){.seen = {.now_ms = 1000, .size = size}};
    sizing_set(&hand->sizing, &range);
    sizing_begin(&hand->sizing, &hand->seen);
}

/* All at work for a period, in which @begun were begun, and @queued wait. @return the new size */
static uint32_t busy(struct hand *hand, uint32_t begun, uint32_t queued)
{
    struct sizing_seen *seen = &hand->seen;

    seen->now_ms += SIZING_PERIOD_MS;
    seen->begun += begun;
    seen->queued = queued;
    seen->running = seen->peak = seen->size;
    return seen->size = sizing_look(&hand->sizing, seen);
}

/* With @running at work, and none that wait. */
static uint32_t idle(struct hand *hand, uint32_t running)
{
    struct sizing_seen *seen = &hand->seen;

    seen->now_ms += SIZING_PERIOD_MS;
    seen->begun += running;
    seen->rested_ms += SIZING_PERIOD_MS * (seen->size - running);
    seen->queued = 0;
    seen->running = seen->peak = running;
    return seen->size = sizing_look(&hand->sizing, seen);
}

/* 30 of 200 a second wait 150 ms: half as many threads again. */
static void the_wait_says_how_many(void **state)
{
    struct hand hand;

    (void)state;
    take(&hand, 4);
    assert_int_equal(busy(&hand, 20, 20), 4);
    assert_int_equal(hand.sizing.wait_ms, 100);
    assert_int_equal(busy(&hand, 20, 30), 6);
    assert_int_equal(hand.sizing.wait_ms, 150);
    assert_int_equal(busy(&hand, 30, 400), 12);
    assert_int_equal(busy(&hand, 60, 3), 12);
}

/* No more are started than would have a message. */
static void what_waits_bounds_it(void **state)
{
    struct hand hand;

    (void)state;
    take(&hand, 8);
    assert_int_equal(busy(&hand, 0, 1), 8); /* 100 ms are the target */
    assert_int_equal(busy(&hand, 0, 1), 9);
    assert_int_equal(busy(&hand, 0, 3), 12);
}

/* What may wait for something else brings one thread at a time. */
static void one_thread_shows_what_it_is(void **state)
{
    struct hand hand;

    (void)state;
    take(&hand, 8);
    hand.seen.perhaps = 60;
    assert_int_equal(busy(&hand, 10, 0), 9);
    assert_int_equal(hand.sizing.wait_ms, 600);
    assert_int_equal(busy(&hand, 10, 0), 10);
    hand.seen.perhaps = 0;
    assert_int_equal(busy(&hand, 10, 0), 10);
}

/* A window that stays full: as many wait at the broker as nobody knows. */
static void a_full_window_doubles_it(void **state)
{
    static const uint32_t sizes[] = {4, 8, 16, 32, 32};
    struct hand hand;

    (void)state;
    take(&hand, 2);
    hand.seen.window_full = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(busy(&hand, 1000, 68), sizes[i]);
    take(&hand, 2);
    hand.seen.window_full = true;
    hand.seen.rested_ms = 21; /* of 200: it is not for want of threads */
    assert_int_equal(busy(&hand, 1000, 68), 2);
    take(&hand, 2);
    hand.seen.window_full = true;
    hand.seen.rested_ms = 20;
    assert_int_equal(busy(&hand, 1000, 68), 4);
}

/* What waits while threads sleep waits for something else. */
static void idle_threads_are_enough(void **state)
{
    struct hand hand;

    (void)state;
    take(&hand, 4);
    hand.seen.now_ms += 1000;
    hand.seen.queued = 50;
    hand.seen.running = 3;
    assert_int_equal(sizing_look(&hand.sizing, &hand.seen), 4);
}

/* By half, in steps of four seconds; to what was needed at once, and not below. */
static void idle_threads_end(void **state)
{
    static const uint32_t sizes[] = {32, 16, 8, 4, 2, 2};
    struct hand hand;

    (void)state;
    take(&hand, 32);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(hand.seen.size, sizes[i]);
        for (int k = 0; k < SIZING_IDLE_MS / SIZING_PERIOD_MS; k++)
            idle(&hand, 0);
    }
    take(&hand, 10);
    for (int k = 0; k < 300; k++)
        idle(&hand, k % 30 == 29 ? 7 : 1);
    assert_int_equal(hand.seen.size, 7);
}

/* A range that has changed is kept at once; little memory makes it a quarter less. */
static void the_range_is_kept(void **state)
{
    const struct sizing_range more = {6, 12, 100};
    const struct sizing_range fewer = {1, 3, 100};
    struct hand hand;

    (void)state;
    take(&hand, 4);
    sizing_set(&hand.sizing, &more);
    assert_int_equal(idle(&hand, 1), 6);
    sizing_set(&hand.sizing, &fewer);
    assert_int_equal(idle(&hand, 1), 3);
    take(&hand, 16);
    assert_int_equal(sizing_squeezed(&hand.sizing, 16), 12);
    assert_int_equal(sizing_squeezed(&hand.sizing, 3), 2);
    assert_int_equal(sizing_squeezed(&hand.sizing, 2), 2);
}

/* ---- the model ---- */

#define SCHEDULES 2000
#define STEP_MS   5
#define JOBS_MAX  512
#define PHASES    4

/* A load: @every_ms for @count messages at once. */
struct load {
    int64_t every_ms;
    uint32_t count;
};

struct model {
    struct random random;
    struct sizing sizing;
    struct sizing_seen seen;
    int64_t takes_ms;
    uint32_t prefetch;
    uint64_t at_broker;
    int64_t next_ms;        /* of the load */
    int64_t ends[JOBS_MAX]; /* of those that run, in this order, for all take as long */
    uint32_t first;
    int64_t changed_ms;
    uint32_t most; /* at work at once since then */
    uint32_t growths;
    uint32_t looks;
    uint32_t late; /* of these, with a wait above the target */
};

static uint64_t between(struct random *random, uint64_t least, uint64_t most)
{
    return least + random_upto(random, most - least);
}

static void begin_model(struct model *m, uint64_t seed)
{
    struct sizing_range range;

    memset(m, 0, sizeof *m);
    random_init(&m->random, seed);
    range.min = (uint32_t)between(&m->random, 1, 8);
    range.max = range.min + (uint32_t)between(&m->random, 0, 32);
    range.target_wait_ms = (int64_t)between(&m->random, 20, 500);
    m->takes_ms = (int64_t)between(&m->random, 1, 40) * STEP_MS;
    m->prefetch = range.max + (uint32_t)between(&m->random, 1, 200);
    m->seen.size = range.min;
    sizing_set(&m->sizing, &range);
    sizing_begin(&m->sizing, &m->seen);
}

static void deliver(struct model *m)
{
    uint32_t room = m->prefetch - m->seen.running - m->seen.queued;
    uint32_t came = m->at_broker < room ? (uint32_t)m->at_broker : room;

    m->at_broker -= came;
    m->seen.queued += came;
    if (came > 0 && came == room)
        m->seen.window_full = true;
}

static void begin_some(struct model *m)
{
    struct sizing_seen *seen = &m->seen;

    while (seen->queued > 0 && seen->running < seen->size) {
        m->ends[(m->first + seen->running) % JOBS_MAX] = seen->now_ms + m->takes_ms;
        seen->queued--;
        seen->running++;
        seen->begun++;
    }
    if (seen->running > seen->peak)
        seen->peak = seen->running;
    if (seen->running > m->most)
        m->most = seen->running;
}

static void end_some(struct model *m)
{
    struct sizing_seen *seen = &m->seen;

    while (seen->running > 0 && m->ends[m->first] <= seen->now_ms) {
        m->first = (m->first + 1) % JOBS_MAX;
        seen->running--;
        begin_some(m);
    }
}

/* What may never be, whatever comes. */
static void expect_sound(const struct model *m, uint32_t size)
{
    const struct sizing_range *range = &m->sizing.range;
    const struct sizing_seen *seen = &m->seen;

    assert_in_range(size, range->min, range->max);
    if (size > seen->size) {
        assert_true(seen->running >= seen->size && seen->queued > 0);
        assert_true(size <= 2 * seen->size && size <= seen->size + seen->queued);
    } else if (size < seen->size) {
        assert_true(seen->now_ms - m->changed_ms >= SIZING_IDLE_MS);
        assert_true(2 * size >= seen->size);
    }
}

static void look(struct model *m)
{
    uint32_t size = sizing_look(&m->sizing, &m->seen);

    expect_sound(m, size);
    m->looks++;
    m->late += m->sizing.wait_ms > m->sizing.range.target_wait_ms;
    m->growths += size > m->seen.size;
    if (size != m->seen.size)
        m->changed_ms = m->seen.now_ms;
    m->seen.size = size;
    m->seen.peak = m->seen.running;
    m->seen.window_full = m->seen.running + m->seen.queued == m->prefetch;
}

static void run(struct model *m, const struct load *load, int64_t ms)
{
    struct sizing_seen *seen = &m->seen;
    int64_t end_ms = seen->now_ms + ms;

    m->next_ms = seen->now_ms;
    while (seen->now_ms < end_ms) {
        for (; load->count > 0 && m->next_ms <= seen->now_ms; m->next_ms += load->every_ms)
            m->at_broker += load->count;
        end_some(m);
        deliver(m);
        begin_some(m);
        if (seen->running < seen->size)
            seen->rested_ms += STEP_MS * (seen->size - seen->running);
        seen->now_ms += STEP_MS;
        if (seen->now_ms % SIZING_PERIOD_MS == 0)
            look(m);
    }
}

static struct load any_load(struct model *m)
{
    return (struct load){.every_ms = (int64_t)between(&m->random, 1, 100) * STEP_MS,
                         .count = (uint32_t)between(&m->random, 0, 30)};
}

/* Within its bounds whatever comes; as many as there may be as long as too much comes, soon; and
 * few again when nothing does. */
static void any_load_is_borne(void **state)
{
    static const struct load nothing = {1, 0};
    static struct model m;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        begin_model(&m, seed);
        for (int i = 0; i < PHASES; i++) {
            struct load load = any_load(&m);

            run(&m, &load, (int64_t)between(&m.random, 1, 6000));
        }
        m.at_broker = UINT32_MAX;
        run(&m, &nothing, 2000 + m.sizing.range.target_wait_ms + 10 * m.takes_ms);
        if (m.seen.size != m.sizing.range.max)
            fail_msg("seed %lu: %u of %u threads", (unsigned long)seed, m.seen.size,
                     m.sizing.range.max);
        m.at_broker = 0;
        run(&m, &nothing, 30000 + m.prefetch * m.takes_ms / m.seen.size);
        if (m.seen.size != m.sizing.range.min)
            fail_msg("seed %lu: %u threads, and %u would do", (unsigned long)seed, m.seen.size,
                     m.sizing.range.min);
    }
}

/* A load that stays and can be borne: nobody waits too long, and the threads are not started and
 * ended again and again. */
static void a_load_that_stays_finds_its_size(void **state)
{
    static struct model m;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES / 10; seed++) {
        struct load load = {.every_ms = STEP_MS, .count = 1};

        begin_model(&m, seed);
        while (m.takes_ms * 10 > load.every_ms * 9 * m.sizing.range.max)
            load.every_ms += STEP_MS;
        run(&m, &load, 30000);
        m.growths = m.late = m.looks = 0;
        run(&m, &load, 60000);
        if (m.growths > 3 || m.late * 20 > m.looks)
            fail_msg("seed %lu: grown %u times, %u of %u looks late", (unsigned long)seed,
                     m.growths, m.late, m.looks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_says_how_many),
        cmocka_unit_test(what_waits_bounds_it),
        cmocka_unit_test(one_thread_shows_what_it_is),
        cmocka_unit_test(a_full_window_doubles_it),
        cmocka_unit_test(idle_threads_are_enough),
        cmocka_unit_test(idle_threads_end),
        cmocka_unit_test(the_range_is_kept),
        cmocka_unit_test(any_load_is_borne),
        cmocka_unit_test(a_load_that_stays_finds_its_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
