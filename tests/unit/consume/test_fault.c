/* test_fault.c - the signals of a fault in a process of their own: whose handler is told, and who
 * ends how.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"
#include "support/test.h"

/* ThreadSanitizer blocks all signals while the handler of one runs. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_FAULT_IN_A_FAULT true
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define NO_FAULT_IN_A_FAULT true
#endif
#ifndef NO_FAULT_IN_A_FAULT
#define NO_FAULT_IN_A_FAULT false
#endif

#define PATIENCE_MS 20000
#define DONE        42 /* exit status of a child that saw what it expected */
#define BEFORE      43 /* of the disposition that was there before */
#define FALLEN      45

/* A worker thread in a child process, and what it does. */
struct rig {
    struct flight *flight;
    struct flight_worker *worker;
    struct delivery *delivery;
    struct fault_plan plan;
    _Atomic uint32_t lost;
    void (*act)(struct rig *rig);
    bool in_handler;
};

static FILE *trouble; /* the parent's standard error, for children */

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(trouble, "not so: %s\n", what);
    fflush(trouble);
    _exit(1);
}
#define EXPECT(condition) expect(condition, #condition)

static void rig_open(struct rig *rig)
{
    const struct flight_options options = {.inherited = -1, .key = "", .slots = 1};
    struct warren_bytes none = {"", 0};

    EXPECT(flight_open(&options, &rig->flight, NULL) == WARREN_OK);
    rig->worker = flight_take(rig->flight, "q", "p.h", false, &rig->lost);
    rig->delivery = delivery_new(0, none, none, none, 0);
    rig->plan.keep_fd = -1;
    rig->plan.flight = rig->flight;
    if (rig->plan.patience_ms == 0)
        rig->plan.patience_ms = 1000000;
    fault_install(rig->flight, &rig->plan);
}

static void *work(void *arg)
{
    struct rig *rig = arg;
    struct identity message = {1, 1};
    struct warren_bytes id = {"m-1", 3};

    /* ThreadSanitizer loses a signal that interrupts a thread's first blocking call. */
    poll(NULL, 0, 0);
    fault_thread_begin(rig->worker);
    if (rig->in_handler)
        flight_begin(rig->worker, rig->delivery, &message, id, false, 0, 0);
    rig->act(rig);
    if (rig->in_handler && !flight_end(rig->worker))
        fault_given_up(rig->worker);
    fault_thread_end(rig->worker);
    return NULL;
}

static struct flight_report *await_report(struct rig *rig)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        struct flight_report *report = atomic_load(&rig->flight->file.head->own_reports) > 0
                                           ? &rig->flight->file.reports[0]
                                           : NULL;

        if (report && atomic_load(&report->done))
            return report;
        poll(NULL, 0, 1);
    }
    return NULL;
}

/* Run @child in a process of its own. @return its exit status, or 1000 + the signal that ended it
 */
static int run_child(void (*child)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        trouble = fdopen(dup(STDERR_FILENO), "w");
        for (int signal = 1; signal < 32; signal++) /* the test runner has some of its own */
            if (signal != SIGKILL && signal != SIGSTOP)
                (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        child();
        _exit(DONE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- acts ---- */

#define FAULT __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

static int *volatile nowhere;

static FAULT void fault(struct rig *rig)
{
    (void)rig;
    *nowhere = 1;
}

static void raise_ill(struct rig *rig)
{
    (void)rig;
    raise(SIGILL);
}

static void nothing(struct rig *rig)
{
    (void)rig;
}

static void stay(struct rig *rig)
{
    (void)rig;
    for (;;)
        poll(NULL, 0, 1000);
}

static void fork_and_fault(struct rig *rig)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        fault(rig);
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- in a handler ---- */

static void child_told(void)
{
    struct rig rig = {.act = fault, .in_handler = true};
    const struct flight_report *report;
    pthread_t thread;

    rig_open(&rig);
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    report = await_report(&rig);
    EXPECT(report != NULL);
    EXPECT(report->reason == FLIGHT_SIGNAL);
    EXPECT(report->signal == SIGSEGV);
    EXPECT(report->code == SEGV_MAPERR);
    EXPECT(report->address == 0);
    EXPECT(report->attempt == 1);
    EXPECT(strcmp(report->message_id, "m-1") == 0);
    EXPECT(strncmp(report->backtrace, "#0 0x", 5) == 0);
    EXPECT(strstr(report->backtrace, " fault+0x") < strchr(report->backtrace, '\n'));
    EXPECT(strstr(report->backtrace, " work+0x") != NULL);
    EXPECT(atomic_load(&rig.lost) == 1);
    EXPECT(atomic_load(&rig.flight->tainted));
    EXPECT(pthread_tryjoin_np(thread, NULL) != 0); /* parked */
}

/* The fault of a handler is told with all that is known, and its thread is parked. */
static void a_fault_in_a_handler(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_told), DONE);
}

static void child_raised(void)
{
    struct rig rig = {.act = raise_ill, .in_handler = true};
    const struct flight_report *report;
    pthread_t thread;

    rig_open(&rig);
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    report = await_report(&rig);
    EXPECT(report && report->signal == SIGILL && report->code == SI_TKILL);
}

/* So is a signal that it sends to itself. */
static void a_raised_signal(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_raised), DONE);
}

static void child_broken(void)
{
    struct rig rig = {.act = fault, .in_handler = true};
    pthread_t thread;

    rig_open(&rig);
    rig.worker->slot->report = 0;
    rig.worker->lost = NULL; /* a fault while the fault is told */
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    EXPECT(await_report(&rig) != NULL);
}

/* A fault in what tells of it does not end in a loop: the rest is told all the same. */
static void a_fault_in_the_telling(void **state)
{
    (void)state;
    if (NO_FAULT_IN_A_FAULT)
        skip();
    assert_int_equal(run_child(child_broken), DONE);
}

static void child_forked(void)
{
    struct rig rig = {.act = fork_and_fault, .in_handler = true};
    pthread_t thread;

    rig_open(&rig);
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(!atomic_load(&rig.flight->tainted));
    EXPECT(!flight_is_up(rig.worker));
}

/* A child that a handler forks ends by its own fault, and accuses nobody. */
static void a_fault_of_a_forked_child(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_forked), DONE);
}

/* ---- elsewhere ---- */

static void child_outside(void)
{
    struct rig rig = {.act = fault};
    pthread_t thread;

    rig_open(&rig);
    pthread_create(&thread, NULL, work, &rig);
    pthread_join(thread, NULL);
}

/* Outside of a handler a fault ends the process, as if nobody had taken the signal. */
static void a_fault_outside_of_a_handler(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_outside), 1000 + SIGSEGV);
}

static void end_as_before(int signal)
{
    (void)signal;
    _exit(BEFORE);
}

static void child_with_handler(void)
{
    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = end_as_before}, NULL);
    child_outside();
}

/* A disposition that was there before gets its turn, such as a sanitizer's. */
static void the_handler_of_before(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_with_handler), BEFORE);
}

static void child_removed(void)
{
    struct rig rig = {.act = nothing};
    struct sigaction now;

    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = end_as_before}, NULL);
    rig_open(&rig);
    sigaction(SIGSEGV, NULL, &now);
    EXPECT(now.sa_handler != end_as_before);
    fault_remove(rig.flight);
    sigaction(SIGSEGV, NULL, &now);
    EXPECT(now.sa_handler == end_as_before);
    sigaction(SIGABRT, NULL, &now);
    EXPECT(now.sa_handler == SIG_DFL);
}

/* With the last recorder the signals are given back. */
static void the_signals_are_given_back(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_removed), DONE);
}

/* ---- the hard limit ---- */

static void child_given_up(void)
{
    struct rig rig = {.act = stay, .in_handler = true};
    const struct flight_report *report;
    pthread_t thread;

    rig_open(&rig);
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    for (int ms = 0; ms < PATIENCE_MS && !flight_is_up(rig.worker); ms++)
        poll(NULL, 0, 1);
    flight_limit(rig.worker, 100, 1);
    flight_watch(rig.flight, 100);
    report = await_report(&rig);
    EXPECT(report && report->reason == FLIGHT_LIMIT && report->signal == 0);
    EXPECT(strstr(report->backtrace, " stay+0x") != NULL);
    EXPECT(strstr(report->backtrace, " work+0x") != NULL);
}

/* A thread that is given up tells where it is, from within the system call that it waits in. */
static void a_thread_that_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_given_up), DONE);
}

static void become_late(struct rig *rig)
{
    atomic_store(&rig->worker->thread, 0); /* the signal comes to nobody */
    flight_limit(rig->worker, 100, 1);
    flight_watch(rig->flight, 100);
}

static void child_late(void)
{
    struct rig rig = {.act = become_late, .in_handler = true};
    const struct flight_report *report;
    pthread_t thread;

    rig_open(&rig);
    EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    report = await_report(&rig);
    EXPECT(report && report->reason == FLIGHT_LIMIT);
    EXPECT(strstr(report->backtrace, " work+0x") != NULL);
    EXPECT(pthread_tryjoin_np(thread, NULL) != 0);
}

/* One that returns in the very moment that it is given up is not let go on. */
static void a_handler_that_returns_too_late(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_late), DONE);
}

/* ---- the end of a process that does not end ---- */

static void wait_for_the_end(struct rig *rig)
{
    pthread_t thread;

    rig->act = fault;
    rig->in_handler = true;
    rig->plan.patience_ms = 10;
    rig_open(rig);
    EXPECT(pthread_create(&thread, NULL, work, rig) == 0);
    pthread_join(thread, NULL);
}

static void child_ends_by_signal(void)
{
    struct rig rig = {.lost = 0};

    wait_for_the_end(&rig);
}

/* A program that cannot be executed again ends by the signal after all, if it does not end itself.
 */
static void it_ends_by_the_signal(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_ends_by_signal), 1000 + SIGSEGV);
}

static void child_told_to_stop(void)
{
    struct rig rig = {.plan.ending = true};

    wait_for_the_end(&rig);
}

/* One that was told to stop exits. */
static void it_exits_if_it_was_told_to_stop(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_told_to_stop), 1);
}

/* ---- executing again ---- */

/* A program of its own for the test: this one, with an argument; see main(). */
static void child_executes(void)
{
    char *argv[] = {"test_fault", "again", "two words", NULL};
    char *env[] = {"MARK=of the first", NULL};
    struct rig rig = {.plan = {.argv = argv, .env = env}};
    sigset_t usr1;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    rig.plan.mask = usr1;
    dup2(STDERR_FILENO, 100); /* an open descriptor that somebody forgot to close */
    wait_for_the_end(&rig);
}

static void end_and_fault(struct rig *rig)
{
    struct identity message = {1, 1};
    struct warren_bytes id = {"m-1", 3};

    flight_begin(rig->worker, rig->delivery, &message, id, false, 0, 0);
    EXPECT(flight_end(rig->worker));
    fault(rig);
}

static char *fallen[] = {(char *)"test_fault", (char *)"fallen", NULL};

static void fall_in(bool ours)
{
    struct rig rig = {.act = end_and_fault, .plan.argv = fallen, .plan.env = environ};
    pthread_t thread;

    rig_open(&rig);
    sigemptyset(&rig.plan.mask);
    if (ours)
        EXPECT(thread_start(&thread, "w0", work, &rig, NULL) == WARREN_OK);
    else
        EXPECT(pthread_create(&thread, NULL, work, &rig) == 0);
    pthread_join(thread, NULL);
}

static void child_fell(void)
{
    fall_in(true);
}

static void child_fell_elsewhere(void)
{
    fall_in(false);
}

/* A fault of one of warren's threads, where messages were handled: the process begins anew. */
static void a_fall_executes_it_again(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_fell), FALLEN);
}

/* One of a thread that is not warren's ends the process, as it would have without warren. */
static void a_fall_of_a_strange_thread(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_fell_elsewhere), 1000 + SIGSEGV);
}

static int again(int argc, char **argv)
{
    sigset_t mask;

    if (argc == 2 && strcmp(argv[1], "fallen") == 0)
        return FALLEN;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return argc == 3 && strcmp(argv[2], "two words") == 0 && getenv("MARK") && !getenv("PATH") &&
                   sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGSEGV) == 0 &&
                   write(100, "", 0) < 0
               ? DONE
               : 1;
}

/* The next process has arguments, environment and mask of the plan, and no descriptors. The parked
 * thread did it, from within the signal's handler. */
static void the_parked_thread_executes_it_again(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_executes), DONE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_a_handler),
        cmocka_unit_test(a_raised_signal),
        cmocka_unit_test(a_fault_in_the_telling),
        cmocka_unit_test(a_fault_of_a_forked_child),
        cmocka_unit_test(a_fault_outside_of_a_handler),
        cmocka_unit_test(a_fall_executes_it_again),
        cmocka_unit_test(a_fall_of_a_strange_thread),
        cmocka_unit_test(the_handler_of_before),
        cmocka_unit_test(the_signals_are_given_back),
        cmocka_unit_test(a_thread_that_is_given_up),
        cmocka_unit_test(a_handler_that_returns_too_late),
        cmocka_unit_test(it_ends_by_the_signal),
        cmocka_unit_test(it_exits_if_it_was_told_to_stop),
        cmocka_unit_test(the_parked_thread_executes_it_again),
    };

    if (argc > 1)
        return again(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
