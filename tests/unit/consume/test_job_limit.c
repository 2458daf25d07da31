/* test_job_limit.c - an attempt's time limit: time left, the flag, and the descriptor. The fake
 * clock says when; the descriptor's timer runs in real time from there.
 */
#include <poll.h>
#include <pthread.h>

#include "job_rig.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define PATIENCE_MS 10000

static bool readable(int fd, int timeout_ms)
{
    struct pollfd watched = {.fd = fd, .events = POLLIN};

    return poll(&watched, 1, timeout_ms) == 1;
}

/* No limit, no end. */
static void without_a_limit_time_is_endless(void **state)
{
    struct job_rig *rig = *state;

    assert_true(warren_job_time_left_ms(rig->job) == INT64_MAX);
    assert_false(warren_job_cancelled(rig->job));
}

/* The limit counts down and then cancels. */
static void the_limit_cancels_when_it_passed(void **state)
{
    struct job_rig *rig = *state;

    warren_job_limit(rig->job, JOB_RIG_START_MS + 100);
    assert_int_equal(warren_job_time_left_ms(rig->job), 100);
    clock_fake_advance_ms(&rig->clock, 99);
    assert_false(warren_job_cancelled(rig->job));
    clock_fake_advance_ms(&rig->clock, 1);
    assert_true(warren_job_cancelled(rig->job));
    clock_fake_advance_ms(&rig->clock, 5);
    assert_int_equal(warren_job_time_left_ms(rig->job), -5);
}

/* Nobody can lengthen what somebody else shortened; a new attempt has all its time again. */
static void the_earliest_limit_counts(void **state)
{
    struct job_rig *rig = *state;

    warren_job_limit(rig->job, JOB_RIG_START_MS + 100);
    warren_job_limit(rig->job, JOB_RIG_START_MS + 900);
    assert_int_equal(warren_job_time_left_ms(rig->job), 100);
    warren_job_limit(rig->job, JOB_RIG_START_MS + 10);
    assert_int_equal(warren_job_time_left_ms(rig->job), 10);
    job_end(rig->job, WARREN_RETRY);
    job_rig_begin(rig);
    assert_true(warren_job_time_left_ms(rig->job) == INT64_MAX);
}

/* Of limit and drain deadline the earlier counts, either way round. */
static void draining_limits_too(void **state)
{
    struct job_rig *rig = *state;

    warren_job_limit(rig->job, JOB_RIG_START_MS + 100);
    atomic_store(&rig->deadline_ms, JOB_RIG_START_MS + 300);
    assert_int_equal(warren_job_time_left_ms(rig->job), 100);
    atomic_store(&rig->deadline_ms, JOB_RIG_START_MS + 40);
    assert_int_equal(warren_job_time_left_ms(rig->job), 40);
    atomic_store(&rig->deadline_ms, JOB_RIG_START_MS);
    assert_true(warren_job_cancelled(rig->job));
}

/* Without a limit the descriptor exists and stays silent; asking again gives the same. */
static void the_descriptor_is_silent_without_a_limit(void **state)
{
    struct job_rig *rig = *state;
    int fd = warren_job_cancel_fd(rig->job);

    assert_true(fd >= 0);
    assert_int_equal(warren_job_cancel_fd(rig->job), fd);
    assert_false(readable(fd, 0));
}

/* It is readable if the time was over before it was asked for. */
static void the_descriptor_tells_of_a_limit_that_passed(void **state)
{
    struct job_rig *rig = *state;

    warren_job_limit(rig->job, JOB_RIG_START_MS - 1);
    assert_true(readable(warren_job_cancel_fd(rig->job), PATIENCE_MS));
}

/* It becomes readable by itself, and not for a limit that is far off. */
static void the_descriptor_follows_an_earlier_limit(void **state)
{
    struct job_rig *rig = *state;
    int fd;

    warren_job_limit(rig->job, JOB_RIG_START_MS + 3600 * 1000);
    fd = warren_job_cancel_fd(rig->job);
    assert_false(readable(fd, 0));
    warren_job_limit(rig->job, JOB_RIG_START_MS + 1);
    assert_true(readable(fd, PATIENCE_MS));
}

static void *move_deadline(void *arg)
{
    struct job_rig *rig = arg;

    atomic_store(&rig->deadline_ms, JOB_RIG_START_MS + 1);
    job_deadline_moved(rig->job);
    return NULL;
}

/* Draining, which begins on another thread, wakes who polls it. */
static void draining_wakes_the_descriptor(void **state)
{
    struct job_rig *rig = *state;
    int fd = warren_job_cancel_fd(rig->job);
    pthread_t loop;

    assert_int_equal(pthread_create(&loop, NULL, move_deadline, rig), 0);
    assert_true(readable(fd, PATIENCE_MS));
    pthread_join(loop, NULL);
}

/* Whoever asks for the descriptor while draining begins hears of it, whichever comes first. */
static void draining_is_never_missed(void **state)
{
    struct job_rig *rig = *state;

    for (int round = 0; round < 200; round++) {
        pthread_t loop;

        atomic_store(&rig->deadline_ms, INT64_MAX);
        assert_int_equal(pthread_create(&loop, NULL, move_deadline, rig), 0);
        assert_true(readable(warren_job_cancel_fd(rig->job), PATIENCE_MS));
        pthread_join(loop, NULL);
        job_end(rig->job, WARREN_ACK);
        job_rig_begin(rig);
    }
}

/* What one message left behind the next one does not see: same descriptor, silent again. */
static void the_next_message_begins_silent(void **state)
{
    struct job_rig *rig = *state;
    int fd = warren_job_cancel_fd(rig->job);

    warren_job_limit(rig->job, JOB_RIG_START_MS);
    assert_true(readable(fd, PATIENCE_MS));
    job_end(rig->job, WARREN_RETRY);
    assert_false(readable(fd, 0));
    job_rig_begin(rig);
    assert_int_equal(warren_job_cancel_fd(rig->job), fd);
    assert_false(readable(fd, 0));
}

/* A job that never asks owns no descriptor. */
static void who_does_not_ask_has_none(void **state)
{
    struct job_rig *rig = *state;

    warren_job_limit(rig->job, JOB_RIG_START_MS);
    job_deadline_moved(rig->job);
    job_end(rig->job, WARREN_ACK);
    assert_int_equal(rig->job->alarm.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(without_a_limit_time_is_endless),
        JOB_TEST(the_limit_cancels_when_it_passed),
        JOB_TEST(the_earliest_limit_counts),
        JOB_TEST(draining_limits_too),
        JOB_TEST(the_descriptor_is_silent_without_a_limit),
        JOB_TEST(the_descriptor_tells_of_a_limit_that_passed),
        JOB_TEST(the_descriptor_follows_an_earlier_limit),
        JOB_TEST(draining_wakes_the_descriptor),
        JOB_TEST(draining_is_never_missed),
        JOB_TEST(the_next_message_begins_silent),
        JOB_TEST(who_does_not_ask_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
