/* test_headroom.c - whether there is room for more threads, by samples, and once of this machine.
 */
#include "base/clock.h"
#include "consume/workers/headroom.h"
#include "support/test.h"

#define SECOND INT64_C(1000000)

static const struct headroom_sample at_first = {
    .now_us = SECOND, .process_us = 500, .cpus = 4, .group = {.cpu_us = 700}};

static enum headroom judge(struct headroom_sample now)
{
    now.now_us = 2 * SECOND;
    return headroom_judge(&at_first, &now);
}

static void cpu_that_is_used_up_is_none(void **state)
{
    (void)state;
    assert_int_equal(
        judge((struct headroom_sample){.process_us = 500 + 35 * SECOND / 10, .cpus = 4}),
        HEADROOM_FREE);
    assert_int_equal(
        judge((struct headroom_sample){.process_us = 500 + 37 * SECOND / 10, .cpus = 4}),
        HEADROOM_NO_CPU);
    /* What the group may have, and all of its processes use. */
    assert_int_equal(
        judge((struct headroom_sample){.process_us = 600,
                                       .cpus = 4,
                                       .group = {.cpus_milli = 500, .cpu_us = 700 + SECOND / 2}}),
        HEADROOM_NO_CPU);
    assert_int_equal(
        judge((struct headroom_sample){.process_us = 600,
                                       .cpus = 4,
                                       .group = {.cpus_milli = 500, .cpu_us = 700 + SECOND / 4}}),
        HEADROOM_FREE);
}

static void little_memory_is_less_than_none(void **state)
{
    static const struct {
        int64_t used, max;
        enum headroom room;
    } rows[] = {{79, 100, HEADROOM_FREE},
                {80, 100, HEADROOM_NO_MEMORY},
                {89, 100, HEADROOM_NO_MEMORY},
                {90, 100, HEADROOM_LITTLE_MEMORY},
                {500, 100, HEADROOM_LITTLE_MEMORY},
                {500, 0, HEADROOM_FREE},
                {INT64_MAX, INT64_MAX, HEADROOM_LITTLE_MEMORY}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(judge((struct headroom_sample){
                             .group = {.memory_used = rows[i].used, .memory_max = rows[i].max}}),
                         rows[i].room);
}

/* Counts that go back, or are absurd, say nothing; nor does no time at all. */
static void nonsense_is_room(void **state)
{
    (void)state;
    assert_int_equal(headroom_judge(&at_first, &at_first), HEADROOM_FREE);
    assert_int_equal(judge((struct headroom_sample){.process_us = -5, .cpus = 4}), HEADROOM_FREE);
    assert_int_equal(judge((struct headroom_sample){.process_us = INT64_MAX / 2}), HEADROOM_FREE);
    assert_int_equal(judge((struct headroom_sample){
                         .cpus = -1, .group = {.cpus_milli = -4, .cpu_us = INT64_MAX}}),
                     HEADROOM_FREE);
    assert_int_equal(
        judge((struct headroom_sample){.group = {.cpus_milli = 1, .cpu_us = INT64_MAX}}),
        HEADROOM_NO_CPU);
}

/* Of this machine nobody knows what there is to be; what is read makes sense. */
static void the_kernel_is_asked(void **state)
{
    static struct headroom_looker looker;
    int64_t now_us = clock_now_ns(clock_monotonic()) / 1000;

    (void)state;
    headroom_look(&looker, now_us);
    assert_true(looker.last.cpus >= 1);
    assert_true(looker.last.process_us > 0);
    headroom_look(&looker, now_us + 60 * SECOND);
    assert_int_equal(looker.found_us, now_us + 60 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_that_is_used_up_is_none),
        cmocka_unit_test(little_memory_is_less_than_none),
        cmocka_unit_test(nonsense_is_room),
        cmocka_unit_test(the_kernel_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
