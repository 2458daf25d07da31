/* test_condition.c - base/condition.h */
#include "base/condition.h"
#include "support/test.h"

#include "base/clock.h"
#include "base/thread.h"

struct door {
    pthread_mutex_t mutex;
    struct condition moved;
    bool open;
};

static void door_init(struct door *door)
{
    *door = (struct door){.open = false};
    pthread_mutex_init(&door->mutex, NULL);
    condition_init(&door->moved);
}

static void door_done(struct door *door)
{
    condition_done(&door->moved);
    pthread_mutex_destroy(&door->mutex);
}

static void *open_door(void *arg)
{
    struct door *door = arg;

    pthread_mutex_lock(&door->mutex);
    door->open = true;
    condition_signal(&door->moved);
    pthread_mutex_unlock(&door->mutex);
    return NULL;
}

/* Nobody signals: the wait ends at its time of the monotonic clock, not before. */
static void a_wait_ends_at_its_time(void **state)
{
    struct clock *clock = clock_monotonic();
    struct door door;
    int64_t until_us = clock_now_ns(clock) / 1000 + 1500;
    int64_t until_ms = clock_deadline_ms(3);

    (void)state;
    door_init(&door);
    pthread_mutex_lock(&door.mutex);
    while (condition_wait_until_us(&door.moved, &door.mutex, until_us))
        continue;
    assert_true(clock_now_ns(clock) / 1000 >= until_us);
    while (condition_wait_until_ms(&door.moved, &door.mutex, until_ms))
        continue;
    assert_true(clock_now_ms(clock) >= until_ms);
    pthread_mutex_unlock(&door.mutex);
    door_done(&door);
}

/* A time that is past is no wait. */
static void a_time_that_is_past_ends_at_once(void **state)
{
    struct door door;

    (void)state;
    door_init(&door);
    pthread_mutex_lock(&door.mutex);
    assert_false(condition_wait_until_us(&door.moved, &door.mutex, 1));
    assert_false(condition_wait_until_ms(&door.moved, &door.mutex, 0));
    pthread_mutex_unlock(&door.mutex);
    door_done(&door);
}

/* A wait without an end lasts until the signal, in either unit. */
static void a_signal_ends_a_wait_without_an_end(void **state)
{
    for (int unit = 0; unit < 3; unit++) {
        struct door door;
        pthread_t thread;

        (void)state;
        door_init(&door);
        pthread_mutex_lock(&door.mutex);
        assert_int_equal(thread_start(&thread, "test", open_door, &door, NULL), WARREN_OK);
        while (!door.open) {
            if (unit == 0)
                condition_wait(&door.moved, &door.mutex);
            else if (unit == 1)
                assert_true(condition_wait_until_us(&door.moved, &door.mutex, INT64_MAX));
            else
                assert_true(condition_wait_until_ms(&door.moved, &door.mutex, INT64_MAX));
        }
        pthread_mutex_unlock(&door.mutex);
        pthread_join(thread, NULL);
        door_done(&door);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_at_its_time),
        cmocka_unit_test(a_time_that_is_past_ends_at_once),
        cmocka_unit_test(a_signal_ends_a_wait_without_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
