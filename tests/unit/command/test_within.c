/* test_within.c - what may hang or crash is done by a child, and costs no more than its time. */
#include "command/doctor/within.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

#define PATIENCE_MS 20000

/* More than a pipe holds. */
struct facts {
    int number;
    char much[200000];
};

static void work(const void *arg, void *out)
{
    struct facts *facts = out;

    facts->number = *(const int *)arg;
    memset(facts->much, 'x', sizeof facts->much);
}

/* What it found is here; so much of it that the pipe is filled more than once. */
static void it_is_done(void **state)
{
    static struct facts facts;
    int number = 7;
    int signal = -1;

    (void)state;
    assert_int_equal(within(PATIENCE_MS, work, &number, &facts, sizeof facts, NULL, NULL, &signal),
                     WITHIN_DONE);
    assert_int_equal(facts.number, 7);
    assert_int_equal(facts.much[sizeof facts.much - 1], 'x');
    assert_int_equal(signal, 0);
}

static void hang(const void *arg, void *out)
{
    (void)arg;
    *(int *)out = 1;
    for (;;)
        pause();
}

static void count(void *user)
{
    ++*(int *)user;
}

/* One that hangs is ended, and whoever waits is told; the facts are as before. */
static void it_hangs(void **state)
{
    int64_t begun_ms = clock_now_ms(clock_monotonic());
    int facts = 5;
    int told = 0;
    int signal;

    (void)state;
    assert_int_equal(within(1300, hang, NULL, &facts, sizeof facts, count, &told, &signal),
                     WITHIN_LATE);
    assert_in_range(clock_now_ms(clock_monotonic()) - begun_ms, 1300, PATIENCE_MS);
    assert_int_equal(facts, 5);
    assert_true(told > 0);
}

static void crash(const void *arg, void *out)
{
    (void)arg;
    (void)out;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own */
    raise(SIGSEGV);
}

static void leave(const void *arg, void *out)
{
    (void)arg;
    (void)out;
    _exit(0);
}

/* One that crashes, or ends the process, ends the child alone. */
static void it_dies(void **state)
{
    int facts = 5;
    int signal = -1;

    (void)state;
    assert_int_equal(within(PATIENCE_MS, crash, NULL, &facts, sizeof facts, NULL, NULL, &signal),
                     WITHIN_DIED);
    assert_int_equal(signal, SIGSEGV);
    assert_int_equal(within(PATIENCE_MS, leave, NULL, &facts, sizeof facts, NULL, NULL, &signal),
                     WITHIN_DIED);
    assert_int_equal(signal, 0);
    assert_int_equal(facts, 5);
}

static void leave_a_child(const void *arg, void *out)
{
    pid_t left = fork();

    (void)arg;
    if (left == 0) {
        for (int fd = 0; fd <= STDERR_FILENO; fd++) /* whoever runs the test waits for its output */
            close(fd);
        alarm(30);
        for (;;)
            pause();
    }
    memcpy(out, &left, sizeof left);
}

/* A child of the child that stays does not keep anybody waiting, and is ended. */
static void it_leaves_a_child(void **state)
{
    int64_t begun_ms = clock_now_ms(clock_monotonic());
    pid_t left = 0;
    int status = 0;
    int signal;

    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(
        within(PATIENCE_MS, leave_a_child, NULL, &left, sizeof left, NULL, NULL, &signal),
        WITHIN_DONE);
    assert_in_range(clock_now_ms(clock_monotonic()) - begun_ms, 0, PATIENCE_MS / 2);
    assert_int_equal(waitpid(left, &status, 0), left);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void compare_outputs(const void *arg, void *out)
{
    struct stat output;
    struct stat error;

    (void)arg;
    if (fstat(STDOUT_FILENO, &output) == 0 && fstat(STDERR_FILENO, &error) == 0)
        *(bool *)out = output.st_ino == error.st_ino && output.st_dev == error.st_dev;
}

/* What a plugin prints is no part of what the command prints. */
static void it_prints_to_standard_error(void **state)
{
    bool same = false;
    int before = dup(STDOUT_FILENO);
    FILE *elsewhere = tmpfile();
    int signal;

    (void)state;
    fflush(stdout);
    dup2(fileno(elsewhere), STDOUT_FILENO);
    within(PATIENCE_MS, compare_outputs, NULL, &same, sizeof same, NULL, NULL, &signal);
    dup2(before, STDOUT_FILENO);
    close(before);
    fclose(elsewhere);
    assert_true(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_done),
        cmocka_unit_test(it_hangs),
        cmocka_unit_test(it_dies),
        cmocka_unit_test(it_leaves_a_child),
        cmocka_unit_test(it_prints_to_standard_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
