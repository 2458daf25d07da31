/* test_thread.c - the signals that a new thread blocks. */
#include <signal.h>

#include "base/thread.h"
#include "support/test.h"

static void *read_mask(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, arg);
    return NULL;
}

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

static void expect_open_for_faults(const sigset_t *mask)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        assert_false(sigismember(mask, faults[i]));
}

/* A thread of the library's own is not interrupted, but by its faults. */
static void own_threads_block_all_but_faults(void **state)
{
    sigset_t mask, before, after;
    pthread_t thread;

    (void)state;
    sigemptyset(&mask);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(thread_start(&thread, "test", read_mask, &mask, NULL), WARREN_OK);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    expect_open_for_faults(&mask);
    assert_true(sigismember(&mask, SIGTERM));
    assert_true(sigismember(&mask, SIGCHLD));
    assert_true(sigismember(&mask, SIGPIPE));
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

/* One that runs plugins has the caller's mask, and faults come even if those were blocked. */
static void plugins_threads_have_the_callers_mask(void **state)
{
    sigset_t mask, callers, before;
    pthread_t thread;

    (void)state;
    sigemptyset(&mask);
    sigemptyset(&callers);
    sigaddset(&callers, SIGUSR1);
    sigaddset(&callers, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &callers, &before);
    assert_int_equal(thread_start_for_plugins(&thread, "test", read_mask, &mask, NULL), WARREN_OK);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    expect_open_for_faults(&mask);
    assert_true(sigismember(&mask, SIGUSR1));
    assert_false(sigismember(&mask, SIGTERM));
    assert_false(sigismember(&mask, SIGCHLD));
}

/* SIGPIPE is blocked there only where it would end the program. */
static void a_broken_pipe_ends_no_program(void **state)
{
    sigset_t mask;
    pthread_t thread;

    (void)state;
    sigemptyset(&mask);
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(thread_start_for_plugins(&thread, "test", read_mask, &mask, NULL), WARREN_OK);
    pthread_join(thread, NULL);
    assert_true(sigismember(&mask, SIGPIPE));
    signals_disregard(SIGPIPE);
    assert_int_equal(thread_start_for_plugins(&thread, "test", read_mask, &mask, NULL), WARREN_OK);
    pthread_join(thread, NULL);
    assert_false(sigismember(&mask, SIGPIPE));
    assert_int_equal(raise(SIGPIPE), 0);
    signal(SIGPIPE, SIG_DFL);
}

/* Who has done something about a signal keeps it. */
static void disregarding_takes_nothing_away(void **state)
{
    struct sigaction now;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    signals_disregard(SIGXFSZ);
    assert_int_equal(sigaction(SIGXFSZ, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
    signal(SIGXFSZ, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_threads_block_all_but_faults),
        cmocka_unit_test(plugins_threads_have_the_callers_mask),
        cmocka_unit_test(a_broken_pipe_ends_no_program),
        cmocka_unit_test(disregarding_takes_nothing_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
