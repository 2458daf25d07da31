/* test_process_state.c - what outlives execve(2) is as it was at the start. */
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/process_state.h"
#include "support/test.h"

static mode_t umask_now(void)
{
    mode_t now = umask(0);

    umask(now);
    return now;
}

static bool is_ignored(int number)
{
    struct sigaction action;

    sigaction(number, NULL, &action);
    return action.sa_handler == SIG_IGN;
}

/* All that a handler may have changed. */
static void everything_is_restored(void **state)
{
    char here[PATH_MAX];
    char now[PATH_MAX];
    struct process_state start;
    struct itimerval timer;
    struct rlimit limit;
    mode_t mask = umask_now();

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    signal(SIGUSR1, SIG_IGN);
    assert_int_equal(process_state_take(&start), WARREN_OK);

    assert_int_equal(chdir("/"), 0);
    umask(mask ^ 0777);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGCHLD, SIG_IGN);
    alarm(1000);
    limit = (struct rlimit){20, start.limits[RLIMIT_NOFILE].rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(process_state_restore(&start), 0);

    assert_string_equal(getcwd(now, sizeof now), here);
    assert_int_equal(umask_now(), mask);
    assert_true(is_ignored(SIGUSR1));
    assert_false(is_ignored(SIGCHLD));
    assert_int_equal(getitimer(ITIMER_REAL, &timer), 0);
    assert_int_equal(timer.it_value.tv_sec, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == start.limits[RLIMIT_NOFILE].rlim_cur);
    signal(SIGUSR1, SIG_DFL);
    process_state_done(&start);
}

/* Nobody can go back to a folder that is gone: that is told, and all else is done. */
static void the_folder_is_gone(void **state)
{
    char gone[] = "/tmp/test_process_state.XXXXXX";
    char here[PATH_MAX];
    struct process_state start;
    mode_t mask = umask_now();

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_non_null(mkdtemp(gone));
    assert_int_equal(chdir(gone), 0);
    assert_int_equal(process_state_take(&start), WARREN_OK);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(rmdir(gone), 0);
    umask(mask ^ 0777);
    assert_int_equal(process_state_restore(&start), ENOENT);
    assert_int_equal(umask_now(), mask);
    process_state_done(&start);
}

/* The environment is that of the start, whatever is set later. */
static void the_environment_is_a_copy(void **state)
{
    struct process_state start;
    bool found = false;

    (void)state;
    setenv("TEST_PROCESS_STATE", "before", 1);
    assert_int_equal(process_state_take(&start), WARREN_OK);
    setenv("TEST_PROCESS_STATE", "after", 1);
    for (size_t i = 0; start.environment[i]; i++)
        found = found || strcmp(start.environment[i], "TEST_PROCESS_STATE=before") == 0;
    assert_true(found);
    process_state_done(&start);
}

/* A copy has all of it, and is its own. */
static void a_copy_outlives_the_first(void **state)
{
    struct process_state start;
    struct process_state copy;
    size_t count = 0;

    (void)state;
    setenv("TEST_PROCESS_STATE", "copied", 1);
    assert_int_equal(process_state_take(&start), WARREN_OK);
    while (start.environment[count])
        count++;
    assert_int_equal(process_state_copy(&start, &copy), WARREN_OK);
    process_state_done(&start);
    assert_string_equal(copy.directory, start.directory);
    for (size_t i = 0; i < count; i++)
        assert_non_null(strchr(copy.environment[i], '='));
    assert_null(copy.environment[count]);
    process_state_done(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_restored),
        cmocka_unit_test(the_folder_is_gone),
        cmocka_unit_test(the_environment_is_a_copy),
        cmocka_unit_test(a_copy_outlives_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
