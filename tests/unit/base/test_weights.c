/* test_weights.c - weights_*: never more than the size, first come first served, nobody starves;
 * against a model that is slow and plain, over thousands of random schedules.
 */
#include "base/random.h"
#include "base/weights.h"
#include "support/test.h"

#define SEMAPHORES 3
#define CLAIMS     24
#define SCHEDULES  2000
#define STEPS      120

static uint64_t below(struct random *random, uint64_t end)
{
    return random_upto(random, end - 1);
}

/* One who wants something, holds it, and gives it back. */
struct user {
    struct weights_claim claim;
    struct weights_want wants[SEMAPHORES];
    enum { AWAY, WAITS, HOLDS } state;
};

struct rig {
    struct weights weights;
    struct user users[CLAIMS];
    uint64_t sizes[SEMAPHORES];
    uint64_t sequence; /* of places that were drawn before */
    struct random random;
};

/* Room between places, for those that are drawn before. */
#define GAP 1000

static void begin(struct rig *rig, uint64_t seed)
{
    memset(rig, 0, sizeof *rig);
    random_init(&rig->random, seed);
    weights_init(&rig->weights);
    assert_true(weights_reserve(&rig->weights, SEMAPHORES));
    for (uint32_t i = 0; i < SEMAPHORES; i++) {
        rig->sizes[i] = 1 + below(&rig->random, 12);
        weights_resize(&rig->weights, i, rig->sizes[i]);
    }
    for (size_t i = 0; i < CLAIMS; i++)
        list_init(&rig->users[i].claim.link);
}

/* ---- the model ---- */

static uint64_t used(const struct rig *rig, uint32_t semaphore)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < CLAIMS; i++)
        for (size_t k = 0; rig->users[i].state == HOLDS && k < rig->users[i].claim.count; k++)
            if (rig->users[i].wants[k].semaphore == semaphore)
                sum += rig->users[i].wants[k].weight;
    return sum;
}

static bool wants(const struct user *user, uint32_t semaphore)
{
    for (size_t k = 0; k < user->claim.count; k++)
        if (user->wants[k].semaphore == semaphore)
            return true;
    return false;
}

static bool meet(const struct user *a, const struct user *b)
{
    for (uint32_t i = 0; i < SEMAPHORES; i++)
        if (wants(a, i) && wants(b, i))
            return true;
    return false;
}

static bool has_room(const struct rig *rig, const struct user *user)
{
    for (size_t k = 0; k < user->claim.count; k++)
        if (used(rig, user->wants[k].semaphore) + user->wants[k].weight >
            rig->sizes[user->wants[k].semaphore])
            return false;
    return true;
}

/* Somebody who came before it waits for something that it wants. */
static bool is_behind(const struct rig *rig, const struct user *user)
{
    for (size_t i = 0; i < CLAIMS; i++)
        if (rig->users[i].state == WAITS && rig->users[i].claim.place < user->claim.place &&
            meet(&rig->users[i], user))
            return true;
    return false;
}

/* The first of those that wait which may go now; NULL: none. */
static struct user *may_go(struct rig *rig)
{
    struct user *first = NULL;

    for (size_t i = 0; i < CLAIMS; i++) {
        struct user *user = &rig->users[i];

        if (user->state == WAITS && has_room(rig, user) && !is_behind(rig, user) &&
            (!first || user->claim.place < first->claim.place))
            first = user;
    }
    return first;
}

/* Whoever was granted is whom the model lets go, and nobody else. */
static void compare(struct rig *rig)
{
    struct user *user;
    size_t expected = 0;
    size_t granted = 0;

    while ((user = may_go(rig))) {
        user->state = HOLDS;
        assert_false(user->claim.waits);
        expected++;
    }
    while (weights_next_granted(&rig->weights))
        granted++;
    assert_true(granted <= expected);
    for (size_t i = 0; i < CLAIMS; i++)
        assert_int_equal(rig->users[i].claim.waits, rig->users[i].state == WAITS);
    for (uint32_t i = 0; i < SEMAPHORES; i++)
        assert_int_equal(rig->weights.semaphores[i].used, used(rig, i));
}

/* ---- what happens ---- */

static void come(struct rig *rig, struct user *user, bool earlier)
{
    user->claim.count = 0;
    user->claim.wants = user->wants;
    for (uint32_t i = 0; i < SEMAPHORES; i++)
        if (rig->sizes[i] > 0 && below(&rig->random, 2) == 0)
            user->wants[user->claim.count++] =
                (struct weights_want){i, 1 + (uint32_t)below(&rig->random, rig->sizes[i])};
    if (user->claim.count == 0)
        user->wants[user->claim.count++] = (struct weights_want){0, 1};
    user->claim.place = weights_place(&rig->weights) * GAP;
    if (earlier && user->claim.place > 6 * GAP) /* it drew its place before, and comes now */
        user->claim.place -= (1 + below(&rig->random, 5)) * GAP - ++rig->sequence;
    user->state = WAITS;
    if (weights_take(&rig->weights, &user->claim))
        assert_true(has_room(rig, user));
}

static void step(struct rig *rig, bool resizes)
{
    struct user *user = &rig->users[below(&rig->random, CLAIMS)];

    if (resizes && below(&rig->random, 12) == 0) {
        uint32_t i = (uint32_t)below(&rig->random, SEMAPHORES);

        rig->sizes[i] = below(&rig->random, 14);
        weights_resize(&rig->weights, i, rig->sizes[i]);
    } else if (user->state == AWAY) {
        come(rig, user, false);
    } else if (user->state == HOLDS) {
        user->state = AWAY;
        weights_give(&rig->weights, user->wants, user->claim.count);
    } else if (below(&rig->random, 4) == 0) {
        user->state = AWAY;
        weights_leave(&rig->weights, &user->claim);
    }
    compare(rig);
}

static void end(struct rig *rig)
{
    for (size_t i = 0; i < CLAIMS; i++)
        weights_leave(&rig->weights, &rig->users[i].claim);
    while (weights_next_granted(&rig->weights))
        continue;
    weights_done(&rig->weights);
}

/* ---- tests ---- */

static void any_schedule_is_as_the_model_says(void **state)
{
    struct rig rig;

    (void)state;
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        begin(&rig, seed);
        for (int i = 0; i < STEPS; i++)
            step(&rig, seed % 3 == 0);
        end(&rig);
    }
}

static void never_more_than_the_size(void **state)
{
    struct rig rig;

    (void)state;
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        begin(&rig, seed);
        for (int i = 0; i < STEPS; i++) {
            step(&rig, false);
            for (uint32_t k = 0; k < SEMAPHORES; k++)
                assert_true(rig.weights.semaphores[k].used <= rig.sizes[k]);
        }
        end(&rig);
    }
}

/* However many light ones come and go, the heavy one gets its turn when those are gone that came
 * before it. */
static void the_heavy_are_not_starved(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        struct rig rig;
        struct user *heavy = &rig.users[0];
        int before = 0;
        int given = 0;

        begin(&rig, seed);
        for (size_t i = 1; i < CLAIMS; i++) {
            come(&rig, &rig.users[i], false);
            compare(&rig);
        }
        for (uint32_t k = 0; k < SEMAPHORES; k++)
            heavy->wants[k] = (struct weights_want){k, (uint32_t)rig.sizes[k]};
        heavy->claim.wants = heavy->wants;
        heavy->claim.count = SEMAPHORES;
        heavy->claim.place = weights_place(&rig.weights) * GAP;
        heavy->state = WAITS;
        weights_take(&rig.weights, &heavy->claim);
        compare(&rig);
        for (size_t i = 1; i < CLAIMS; i++)
            before += rig.users[i].state != AWAY;
        /* Each one that gives back comes again at once. */
        while (heavy->state == WAITS) {
            size_t i = 1 + below(&rig.random, CLAIMS - 1);

            if (rig.users[i].state != HOLDS)
                continue;
            given += rig.users[i].claim.place < heavy->claim.place;
            rig.users[i].state = AWAY;
            weights_give(&rig.weights, rig.users[i].wants, rig.users[i].claim.count);
            compare(&rig);
            come(&rig, &rig.users[i], false);
            compare(&rig);
        }
        assert_true(given <= before);
        end(&rig);
    }
}

/* Who drew a place stands there, whenever it comes to the line. */
static void a_place_that_was_drawn_before_counts(void **state)
{
    struct rig rig;

    (void)state;
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        begin(&rig, seed);
        for (int i = 0; i < STEPS; i++) {
            struct user *user = &rig.users[below(&rig.random, CLAIMS)];

            if (user->state == AWAY) {
                come(&rig, user, true);
            } else if (user->state == HOLDS) {
                weights_give(&rig.weights, user->wants, user->claim.count);
                user->state = AWAY;
            }
            while (weights_next_granted(&rig.weights))
                continue;
            for (size_t k = 0; k < CLAIMS; k++)
                if (rig.users[k].state == WAITS && !rig.users[k].claim.waits)
                    rig.users[k].state = HOLDS;
            for (size_t k = 0; k < CLAIMS; k++) /* nobody waits who may go */
                if (rig.users[k].state == WAITS)
                    assert_true(!has_room(&rig, &rig.users[k]) || is_behind(&rig, &rig.users[k]));
        }
        end(&rig);
    }
}

static void who_leaves_lets_others_through(void **state)
{
    struct weights weights;
    const struct weights_want four = {0, 4};
    const struct weights_want three = {0, 3};
    const struct weights_want one = {0, 1};
    struct weights_claim holds = {.wants = &three, .count = 1, .place = 1};
    struct weights_claim heavy = {.wants = &four, .count = 1, .place = 2};
    struct weights_claim light = {.wants = &one, .count = 1, .place = 3};

    (void)state;
    list_init(&holds.link);
    list_init(&heavy.link);
    list_init(&light.link);
    weights_init(&weights);
    assert_true(weights_reserve(&weights, 1));
    weights_resize(&weights, 0, 4);
    assert_true(weights_take(&weights, &holds));
    assert_false(weights_take(&weights, &heavy));
    assert_false(weights_take(&weights, &light)); /* there is room, but not before the heavy one */
    weights_leave(&weights, &heavy);
    assert_ptr_equal(weights_next_granted(&weights), &light);
    assert_null(weights_next_granted(&weights));
    weights_give(&weights, &one, 1);
    weights_give(&weights, &three, 1);
    weights_done(&weights);
}

/* What is held stays held; nobody gets any before it is below the new size. */
static void a_smaller_size_takes_nothing_away(void **state)
{
    struct weights weights;
    const struct weights_want two = {0, 2};
    struct weights_claim a = {.wants = &two, .count = 1, .place = 1};
    struct weights_claim b = {.wants = &two, .count = 1, .place = 2};
    struct weights_claim c = {.wants = &two, .count = 1, .place = 3};

    (void)state;
    list_init(&a.link);
    list_init(&b.link);
    list_init(&c.link);
    weights_init(&weights);
    assert_true(weights_reserve(&weights, 1));
    weights_resize(&weights, 0, 4);
    assert_true(weights_take(&weights, &a));
    assert_true(weights_take(&weights, &b));
    assert_false(weights_take(&weights, &c));
    weights_resize(&weights, 0, 3);
    weights_give(&weights, &two, 1);
    assert_null(weights_next_granted(&weights));
    weights_resize(&weights, 0, 5);
    assert_ptr_equal(weights_next_granted(&weights), &c);
    weights_give(&weights, &two, 1);
    weights_give(&weights, &two, 1);
    assert_int_equal(weights.semaphores[0].used, 0);
    weights_done(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_schedule_is_as_the_model_says),
        cmocka_unit_test(never_more_than_the_size),
        cmocka_unit_test(the_heavy_are_not_starved),
        cmocka_unit_test(a_place_that_was_drawn_before_counts),
        cmocka_unit_test(who_leaves_lets_others_through),
        cmocka_unit_test(a_smaller_size_takes_nothing_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
