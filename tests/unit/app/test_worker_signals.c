/* test_worker_signals.c - the signals of a worker: caught, told, and given back. */
#include <sys/wait.h>
#include <unistd.h>

#include "app/worker_signals.h"
#include "support/test.h"

/* Whoever waits is woken; a child that was forked meanwhile dies as it would in any program; and
 * what was before is there again. */
static void caught_and_given_back(void **state)
{
    struct sigaction before;
    struct sigaction after;
    sem_t *wake;
    int status;
    pid_t child;

    (void)state;
    sigaction(SIGTERM, NULL, &before);
    wake = worker_signals_take();
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(sem_trywait(wake), 0);
    assert_int_equal(worker_signals()->stop, SIGTERM);
    child = fork();
    if (child == 0) {
        raise(SIGTERM);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    worker_signals_give_back();
    sigaction(SIGTERM, NULL, &after);
    assert_ptr_equal(after.sa_handler, before.sa_handler);
}

static void own(int number)
{
    (void)number;
}

/* One worker has them, SIGPIPE, too; what the program has replaced meanwhile stays its own. */
static void of_one_worker(void **state)
{
    struct sigaction now;

    (void)state;
    assert_non_null(worker_signals_take());
    assert_null(worker_signals_take());
    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
    signal(SIGINT, own);
    worker_signals_give_back();
    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    assert_ptr_equal(signal(SIGINT, SIG_DFL), own);
    assert_non_null(worker_signals_take());
    worker_signals_give_back();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caught_and_given_back),
        cmocka_unit_test(of_one_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
