/* test_job_failure.c - what a failed attempt leaves for the next one, and warren_panic(). */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job_rig.h"
#include "support/fake_clock.h"
#include "support/test.h"

/* ---- attempts ---- */

/* Each failed attempt counts in the next one; the delivery remembers, for the job forgets. */
static void failed_attempts_add_up(void **state)
{
    struct job_rig *rig = *state;

    assert_int_equal(warren_job_attempt(rig->job), 1);
    job_end(rig->job, WARREN_RETRY);
    job_rig_begin(rig);
    assert_int_equal(warren_job_attempt(rig->job), 2);
    job_end(rig->job, WARREN_RETRY);
    job_rig_begin(rig);
    assert_int_equal(warren_job_attempt(rig->job), 3);
}

/* What the broker counted before comes on top. */
static void they_come_after_the_brokers_count(void **state)
{
    struct job_rig *rig = *state;

    rig->attempt->delivery.redelivered = true;
    job_end(rig->job, WARREN_RETRY);
    job_rig_begin(rig);
    assert_int_equal(warren_job_attempt(rig->job), 3);
}

/* A forgiven attempt does not count; that it was forgiven is known of this attempt alone. */
static void a_forgiven_attempt_does_not_count(void **state)
{
    struct job_rig *rig = *state;

    warren_job_forgive(rig->job);
    job_end(rig->job, WARREN_RETRY);
    assert_true(rig->attempt->forgiven);
    job_rig_begin(rig);
    assert_int_equal(warren_job_attempt(rig->job), 1);
    job_end(rig->job, WARREN_RETRY);
    assert_false(rig->attempt->forgiven);
    job_rig_begin(rig);
    assert_int_equal(warren_job_attempt(rig->job), 2);
}

/* Only a failed attempt counts. */
static void other_outcomes_do_not_count(void **state)
{
    struct job_rig *rig = *state;

    job_end(rig->job, WARREN_REQUEUE);
    assert_int_equal(rig->attempt->failed, 0);
}

/* The first attempt's time stays, however many follow. */
static void the_first_attempt_keeps_its_time(void **state)
{
    struct job_rig *rig = *state;

    assert_int_equal(warren_job_first_ms(rig->job), JOB_RIG_START_MS);
    job_end(rig->job, WARREN_RETRY);
    clock_fake_advance_ms(&rig->clock, 700);
    job_rig_begin(rig);
    assert_int_equal(warren_job_first_ms(rig->job), JOB_RIG_START_MS);
    assert_int_equal(warren_job_now_ms(rig->job), JOB_RIG_START_MS + 700);
}

/* ---- delay ---- */

/* The delay counts from when it was asked for, and lasts for one attempt. */
static void the_delay_becomes_a_time(void **state)
{
    struct job_rig *rig = *state;

    assert_int_equal(warren_job_retry_delay_ms(rig->job), -1);
    warren_job_retry_after(rig->job, 9000);
    warren_job_retry_after(rig->job, 250);
    assert_int_equal(warren_job_retry_delay_ms(rig->job), 250);
    clock_fake_advance_ms(&rig->clock, 100);
    job_end(rig->job, WARREN_RETRY);
    assert_int_equal(rig->attempt->retry_at_ms, JOB_RIG_START_MS + 250);

    job_rig_begin(rig);
    assert_int_equal(warren_job_retry_delay_ms(rig->job), -1);
    job_end(rig->job, WARREN_RETRY);
    assert_int_equal(rig->attempt->retry_at_ms, -1);
}

/* Zero is a delay: again here, at once. */
static void no_time_at_all_is_a_delay(void **state)
{
    struct job_rig *rig = *state;

    warren_job_retry_after(rig->job, 0);
    job_end(rig->job, WARREN_RETRY);
    assert_int_equal(rig->attempt->retry_at_ms, JOB_RIG_START_MS);
}

/* A negative delay is none. */
static void a_delay_can_be_taken_back(void **state)
{
    struct job_rig *rig = *state;

    warren_job_retry_after(rig->job, 250);
    warren_job_retry_after(rig->job, -250);
    assert_int_equal(warren_job_retry_delay_ms(rig->job), -1);
    job_end(rig->job, WARREN_RETRY);
    assert_int_equal(rig->attempt->retry_at_ms, -1);
}

/* The longest possible one does not come out in the past. */
static void a_delay_does_not_overflow(void **state)
{
    struct job_rig *rig = *state;

    warren_job_retry_after(rig->job, INT64_MAX);
    job_end(rig->job, WARREN_RETRY);
    assert_true(rig->attempt->retry_at_ms == INT64_MAX);
}

/* A success has none, even if receipts turn it into a failure later. */
static void without_a_failure_there_is_no_delay(void **state)
{
    struct job_rig *rig = *state;

    warren_job_retry_after(rig->job, 250);
    job_end(rig->job, WARREN_ACK);
    assert_int_equal(rig->attempt->retry_at_ms, -1);
}

/* ---- panic ---- */

static void deepest(struct warren_job *job)
{
    warren_panic(job, "row %d is damaged", 42);
}

static void deep(struct warren_job *job)
{
    deepest(job);
    fail_msg("warren_panic() returned");
}

/* From any depth to the innermost recovery, with the text as the job's error. */
static void a_panic_unwinds_to_the_innermost_recovery(void **state)
{
    struct job_rig *rig = *state;
    struct warren_recovery outer;
    struct warren_recovery inner;

    if (setjmp(outer.at)) {
        fail_msg("the outer recovery was chosen");
    }
    warren_job_guard(rig->job, &outer);
    if (setjmp(inner.at) == 0) {
        warren_job_guard(rig->job, &inner);
        deep(rig->job);
    }
    assert_string_equal(warren_job_error(rig->job), "row 42 is damaged");
    assert_ptr_equal(rig->job->recovery, &outer);
    warren_job_unguard(rig->job, &inner); /* harmless: it is out already */
    assert_ptr_equal(rig->job->recovery, &outer);
    warren_job_unguard(rig->job, &outer);
    assert_null(rig->job->recovery);
}

/* Who recovers may panic in turn: that goes one further out. */
static void a_panic_while_recovering_goes_outwards(void **state)
{
    struct job_rig *rig = *state;
    struct warren_recovery outer;
    struct warren_recovery inner;

    if (setjmp(outer.at) == 0) {
        warren_job_guard(rig->job, &outer);
        if (setjmp(inner.at) == 0) {
            warren_job_guard(rig->job, &inner);
            warren_panic(rig->job, "first");
        }
        warren_panic(rig->job, "then after %s", warren_job_error(rig->job));
    }
    assert_string_equal(warren_job_error(rig->job), "then after first");
    assert_null(rig->job->recovery);
}

/* Leaving the outer one leaves the inner ones, whose frames are gone. */
static void unguarding_takes_out_what_is_inside(void **state)
{
    struct job_rig *rig = *state;
    struct warren_recovery outer;
    struct warren_recovery inner;

    warren_job_guard(rig->job, &outer);
    warren_job_guard(rig->job, &inner);
    warren_job_unguard(rig->job, &outer);
    assert_null(rig->job->recovery);
}

/* The next message does not jump into the last one's stack. */
static void a_forgotten_guard_ends_with_the_attempt(void **state)
{
    struct job_rig *rig = *state;
    struct warren_recovery recovery;

    warren_job_guard(rig->job, &recovery);
    job_end(rig->job, WARREN_RETRY);
    job_rig_begin(rig);
    assert_null(rig->job->recovery);
}

static void panic_in_child(struct warren_job *job, int out)
{
    dup2(out, STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    warren_panic(job, "nowhere to go");
}

/* Without any recovery the process ends by SIGABRT, after a line that says why. */
static void without_a_recovery_the_process_aborts(void **state)
{
    struct job_rig *rig = *state;
    char text[4096] = "";
    size_t len = 0;
    ssize_t more;
    int out[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(out), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        panic_in_child(rig->job, out[1]);
    close(out[1]);
    while ((more = read(out[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)more;
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "nowhere to go"));
    assert_non_null(strstr(text, "handler=p.charge"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(failed_attempts_add_up),
        JOB_TEST(they_come_after_the_brokers_count),
        JOB_TEST(a_forgiven_attempt_does_not_count),
        JOB_TEST(other_outcomes_do_not_count),
        JOB_TEST(the_first_attempt_keeps_its_time),
        JOB_TEST(the_delay_becomes_a_time),
        JOB_TEST(no_time_at_all_is_a_delay),
        JOB_TEST(a_delay_can_be_taken_back),
        JOB_TEST(a_delay_does_not_overflow),
        JOB_TEST(without_a_failure_there_is_no_delay),
        JOB_TEST(a_panic_unwinds_to_the_innermost_recovery),
        JOB_TEST(a_panic_while_recovering_goes_outwards),
        JOB_TEST(unguarding_takes_out_what_is_inside),
        JOB_TEST(a_forgotten_guard_ends_with_the_attempt),
        JOB_TEST(without_a_recovery_the_process_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
