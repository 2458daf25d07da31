/* test_exclusive_gate.c - suspects alone, all others side by side. */
#include <sched.h>
#include <stdatomic.h>

#include "consume/crash/exclusive_gate.h"
#include "support/test.h"

#define THREADS 4
#define TURNS   400

struct rig {
    struct exclusive_gate exclusive_gate;
    atomic_int inside;
    atomic_int alone;
    atomic_int faults;
    atomic_int turns;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    exclusive_gate_init(&rig->exclusive_gate);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    exclusive_gate_done(&rig->exclusive_gate);
    free(rig);
    return 0;
}

static void take_a_turn(struct rig *rig, bool alone)
{
    if (!exclusive_gate_enter(&rig->exclusive_gate,
                              alone ? EXCLUSIVE_GATE_SUSPECT : EXCLUSIVE_GATE_BESIDE))
        return;
    atomic_fetch_add(&rig->inside, 1);
    atomic_fetch_add(&rig->alone, alone);
    if (atomic_load(&rig->alone) > 0 && atomic_load(&rig->inside) != 1)
        atomic_fetch_add(&rig->faults, 1);
    sched_yield();
    if (atomic_load(&rig->alone) > 0 && atomic_load(&rig->inside) != 1)
        atomic_fetch_add(&rig->faults, 1);
    atomic_fetch_sub(&rig->alone, alone);
    atomic_fetch_sub(&rig->inside, 1);
    atomic_fetch_add(&rig->turns, 1);
    exclusive_gate_leave(&rig->exclusive_gate);
}

static void *come_and_go(void *arg)
{
    struct rig *rig = arg;

    for (int i = 0; i < TURNS; i++)
        take_a_turn(rig, i % 7 == 3);
    return NULL;
}

/* Nobody is inside with a suspect, and everybody gets a turn. */
static void suspects_are_alone(void **state)
{
    struct rig *rig = *state;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, rig), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&rig->faults), 0);
    assert_int_equal(atomic_load(&rig->turns), THREADS * TURNS);
}

/* Without suspects nobody waits: one thread enters twice. */
static void others_are_side_by_side(void **state)
{
    struct rig *rig = *state;

    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    assert_int_equal(exclusive_gate_present(&rig->exclusive_gate), 2);
    exclusive_gate_leave(&rig->exclusive_gate);
    exclusive_gate_leave(&rig->exclusive_gate);
    assert_int_equal(exclusive_gate_present(&rig->exclusive_gate), 0);
}

static void *enter_alone(void *arg)
{
    struct rig *rig = arg;

    return exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_SUSPECT) ? rig : NULL;
}

/* Who waits when it is closed is sent away, and so is who comes later. */
static void closed_it_lets_nobody_in(void **state)
{
    struct rig *rig = *state;
    pthread_t waiting;
    void *entered = rig;

    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    assert_int_equal(pthread_create(&waiting, NULL, enter_alone, rig), 0);
    while (exclusive_gate_present(&rig->exclusive_gate) < 2) /* who waits counts */
        sched_yield();
    exclusive_gate_close(&rig->exclusive_gate);
    pthread_join(waiting, &entered);
    assert_null(entered);
    assert_false(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    exclusive_gate_leave(&rig->exclusive_gate);
}

static void *pass_beside(void *arg)
{
    struct rig *rig = arg;
    void *first = NULL;

    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    if (atomic_fetch_add(&rig->turns, 1) == 0)
        first = rig;
    exclusive_gate_leave(&rig->exclusive_gate);
    return first;
}

/* Where a suspect is expected, it is the first one, although another came before. */
static void an_expected_suspect_is_first(void **state)
{
    struct rig *rig = *state;
    pthread_t early;
    void *first;

    exclusive_gate_expect(&rig->exclusive_gate);
    assert_int_equal(pthread_create(&early, NULL, pass_beside, rig), 0);
    while (exclusive_gate_present(&rig->exclusive_gate) < 1)
        sched_yield();
    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_SUSPECT));
    atomic_fetch_add(&rig->turns, 1);
    exclusive_gate_leave(&rig->exclusive_gate);
    pthread_join(early, &first);
    if (atomic_load(&rig->turns) == 2 && first)
        skip(); /* so slow that the wait for the suspect was over */
    assert_null(first);
}

/* One that does not come is not waited for longer than a while. */
static void a_suspect_that_does_not_come(void **state)
{
    struct rig *rig = *state;

    exclusive_gate_expect(&rig->exclusive_gate);
    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_BESIDE));
    exclusive_gate_leave(&rig->exclusive_gate);
    exclusive_gate_leave(&rig->exclusive_gate);
    assert_true(exclusive_gate_enter(&rig->exclusive_gate, EXCLUSIVE_GATE_ALONE));
    exclusive_gate_leave(&rig->exclusive_gate);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(suspects_are_alone),           T(others_are_side_by_side),
        T(an_expected_suspect_is_first), T(a_suspect_that_does_not_come),
        T(closed_it_lets_nobody_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
