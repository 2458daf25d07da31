/* test_shares.c - shares_*: a share is had when it is needed, what is not needed is lent, nobody
 * starves; of a model with threads and a virtual clock, over thousands of random schedules.
 */
#include "base/random.h"
#include "base/shares.h"
#include "support/test.h"

#define MEMBERS   6
#define THREADS   24
#define SCHEDULES 2000

/* ---- by hand ---- */

static struct shares_member *pick(struct shares_member *members, size_t count)
{
    struct shares_member *all[MEMBERS];

    for (size_t i = 0; i < count; i++)
        all[i] = &members[i];
    return shares_next(all, count);
}

static void who_has_least_of_its_share_is_next(void **state)
{
    struct shares_member m[3] = {{.share = 4, .most = 8, .running = 2, .waiting = 1},
                                 {.share = 2, .most = 8, .running = 2, .waiting = 9},
                                 {.share = 1, .most = 8, .running = 0, .waiting = 0}};

    (void)state;
    assert_ptr_equal(pick(m, 3), &m[0]);
    assert_false(shares_take(&m[0], 1));
    assert_int_equal(m[0].running, 3);
    assert_ptr_equal(pick(m, 3), &m[1]); /* nobody else wants any: it is lent */
    assert_true(shares_take(&m[1], 2));
    m[2].waiting = 1;
    assert_ptr_equal(pick(m, 3), &m[2]);
    m[2].running = 8; /* the most */
    assert_ptr_equal(pick(m, 3), &m[1]);
    m[1].waiting = 0;
    assert_null(pick(m, 3));
    assert_null(pick(m, 0));
}

static void those_who_have_the_same_take_turns(void **state)
{
    struct shares_member m[2] = {{.share = 1, .most = 4, .waiting = 2},
                                 {.share = 1, .most = 4, .waiting = 2}};

    (void)state;
    for (uint64_t turn = 1; turn <= 4; turn++) {
        struct shares_member *next = pick(m, 2);

        assert_ptr_equal(next, &m[(turn - 1) % 2]);
        shares_take(next, turn);
        next->running = 0;
    }
}

/* ---- the model ---- */

struct thread {
    int member; /* -1: free */
    int64_t ends_ms;
};

struct rig {
    struct random random;
    struct shares_member members[MEMBERS];
    struct shares_member *all[MEMBERS];
    int64_t takes_ms[MEMBERS];
    int64_t empty_ms[MEMBERS]; /* since when it waits and has nothing; -1: it is not so */
    int64_t had_ms[MEMBERS];   /* thread time */
    struct thread threads[THREADS];
    size_t count;
    size_t thread_count;
    int64_t longest_ms; /* a message takes */
    int64_t now_ms;
    uint64_t turn;
    uint64_t lent;
};

static uint64_t between(struct random *random, uint64_t least, uint64_t most)
{
    return least + random_upto(random, most - least);
}

static void begin(struct rig *rig, uint64_t seed)
{
    size_t left;

    memset(rig, 0, sizeof *rig);
    random_init(&rig->random, seed);
    rig->count = (size_t)between(&rig->random, 1, MEMBERS);
    rig->thread_count = (size_t)between(&rig->random, rig->count, THREADS);
    left = rig->thread_count - rig->count;
    for (size_t i = 0; i < rig->count; i++) {
        uint32_t more = (uint32_t)between(&rig->random, 0, left);

        left -= more;
        rig->members[i] = (struct shares_member){
            .share = 1 + more,
            .most = (uint32_t)between(&rig->random, 1 + more, rig->thread_count)};
        rig->all[i] = &rig->members[i];
        rig->takes_ms[i] = (int64_t)between(&rig->random, 1, 50);
        rig->empty_ms[i] = -1;
        if (rig->takes_ms[i] > rig->longest_ms)
            rig->longest_ms = rig->takes_ms[i];
    }
    for (size_t i = 0; i < rig->thread_count; i++)
        rig->threads[i].member = -1;
}

static bool could_run(const struct shares_member *member)
{
    return member->waiting > 0 && member->running < member->most;
}

/* Somebody who has less than its share comes before all that have it. */
static void expect_fair(const struct rig *rig, const struct shares_member *next)
{
    for (size_t i = 0; next->running >= next->share && i < rig->count; i++)
        assert_false(could_run(rig->all[i]) && rig->all[i]->running < rig->all[i]->share);
}

static void give_threads(struct rig *rig)
{
    for (size_t i = 0; i < rig->thread_count; i++) {
        struct shares_member *next = shares_next(rig->all, rig->count);
        size_t who = next ? (size_t)(next - rig->members) : 0;

        if (rig->threads[i].member >= 0 || !next)
            continue;
        expect_fair(rig, next);
        rig->lent += shares_take(next, ++rig->turn);
        rig->threads[i] = (struct thread){(int)who, rig->now_ms + rig->takes_ms[who]};
    }
}

static void expect_sound(struct rig *rig)
{
    size_t running = 0;
    size_t could = 0;

    for (size_t i = 0; i < rig->count; i++) {
        const struct shares_member *member = rig->all[i];

        assert_true(member->running <= member->most);
        running += member->running;
        could += could_run(member);
        rig->had_ms[i] += member->running;
        if (member->waiting == 0 || member->running > 0)
            rig->empty_ms[i] = -1;
        else if (rig->empty_ms[i] < 0)
            rig->empty_ms[i] = rig->now_ms;
        /* Nobody waits longer than it takes until so many threads are free. */
        assert_true(rig->empty_ms[i] < 0 ||
                    rig->now_ms - rig->empty_ms[i] <= (int64_t)rig->count * rig->longest_ms);
    }
    assert_true(running <= rig->thread_count);
    assert_true(running == rig->thread_count || could == 0);
}

static void step(struct rig *rig)
{
    for (size_t i = 0; i < rig->thread_count; i++) {
        struct thread *thread = &rig->threads[i];

        if (thread->member < 0 || thread->ends_ms > rig->now_ms)
            continue;
        rig->members[thread->member].running--;
        thread->member = -1;
    }
    give_threads(rig);
    expect_sound(rig);
    rig->now_ms++;
}

static void any_load(struct rig *rig, int64_t ms)
{
    for (int64_t end_ms = rig->now_ms + ms; rig->now_ms < end_ms; step(rig))
        if (random_upto(&rig->random, 3) == 0)
            rig->members[random_upto(&rig->random, rig->count - 1)].waiting +=
                (uint32_t)random_upto(&rig->random, 20);
}

static void any_schedule_is_sound(void **state)
{
    static struct rig rig;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        begin(&rig, seed);
        any_load(&rig, 200);
    }
}

/* All that want something all the time have their shares, within a tenth, in the long run; and all
 * threads are at work. */
static void shares_are_had(void **state)
{
    static struct rig rig;

    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES / 10; seed++) {
        int64_t begun_ms;
        bool wants[MEMBERS];

        begin(&rig, seed);
        any_load(&rig, 100);
        for (size_t i = 0; i < rig.count; i++) {
            wants[i] = random_upto(&rig.random, 3) > 0;
            rig.members[i].waiting = wants[i] ? UINT32_MAX / 2 : 0;
        }
        for (int i = 0; i < 100; i++) /* what was lent comes back */
            step(&rig);
        memset(rig.had_ms, 0, sizeof rig.had_ms);
        begun_ms = rig.now_ms;
        while (rig.now_ms < begun_ms + 2000)
            step(&rig);
        for (size_t i = 0; i < rig.count; i++)
            if (wants[i] && rig.had_ms[i] * 10 < 2000 * 9 * (int64_t)rig.members[i].share)
                fail_msg("seed %lu: member %zu had %ld of %u threads", (unsigned long)seed, i,
                         (long)rig.had_ms[i], rig.members[i].share);
    }
}

/* By their shares also what belongs to nobody, or is lent. */
static void what_is_lent_is_lent_by_shares(void **state)
{
    static struct rig rig;

    (void)state;
    begin(&rig, 1);
    rig.count = 3;
    rig.thread_count = 12;
    rig.longest_ms = 30;
    for (size_t i = 0; i < THREADS; i++)
        rig.threads[i].member = -1;
    for (size_t i = 0; i < 3; i++) {
        rig.members[i] = (struct shares_member){
            .share = (uint32_t)(i + 1), .most = 12, .waiting = UINT32_MAX / 2};
        rig.all[i] = &rig.members[i];
        rig.takes_ms[i] = (int64_t)(30 / (i + 1));
        rig.empty_ms[i] = -1;
    }
    while (rig.now_ms < 6000)
        step(&rig);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(rig.had_ms[i], 6000 * 2 * (i + 1) * 9 / 10, 6000 * 2 * (i + 1) * 11 / 10);
    rig.members[2].waiting = 0;
    for (int i = 0; i < 100; i++)
        step(&rig);
    assert_int_equal(rig.members[0].running, 4);
    assert_int_equal(rig.members[1].running, 8);
    rig.members[2].waiting = 1000000;
    for (int i = 0; i < 31; i++)
        step(&rig);
    assert_int_equal(rig.members[2].running, 6);
    assert_true(rig.lent > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_least_of_its_share_is_next),
        cmocka_unit_test(those_who_have_the_same_take_turns),
        cmocka_unit_test(any_schedule_is_sound),
        cmocka_unit_test(shares_are_had),
        cmocka_unit_test(what_is_lent_is_lent_by_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
