/* worker_signals.c - see worker_signals.h. */
#include "app/worker_signals.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

#define EXIT_STOPPED 1

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static struct {
    struct signal_tally tally;
    sem_t wake;
    pid_t pid; /* a child that a handler forks has all of this, too */
    bool taken;
    bool held;
    volatile sig_atomic_t ends;
    struct sigaction before[NUMBERS];
    pthread_t taker; /* whose mask was: */
    sigset_t mask_before;
} signals;

/* ---- in the signals' handler ---- */

static void end_now(int signal)
{
    static const char text[] = "level=error msg=\"the second signal did not end the worker, which "
                               "waits for something: exiting\"\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

    (void)signal;
    (void)written;
    _exit(EXIT_STOPPED);
}

static void unblock(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Whoever should end the process may wait for a handler, or for a lock that is never released. */
static void end_soon(void)
{
    struct sigaction end = {.sa_handler = end_now};

    sigaction(SIGALRM, &end, NULL);
    unblock(SIGALRM);
    alarm(SIGNALS_END_S);
}

/* A child that is no worker does what it would without us. */
static void end_child(int number)
{
    signal(number, SIG_DFL);
    unblock(number);
    raise(number);
}

static void on_signal(int number)
{
    int before = errno;

    if (getpid() != signals.pid) {
        end_child(number);
    } else if (signals_note(&signals.tally, number, clock_now_ms(clock_monotonic()))) {
        if (signals.held && atomic_load(&signals.tally.again) && !signals.ends) {
            signals.ends = 1; /* further ones give it no more time */
            end_soon();
        }
        sem_post(&signals.wake);
    }
    errno = before;
}

/* ---- the main thread ---- */

void worker_signals_add(sigset_t *set)
{
    for (size_t i = 0; i < NUMBERS; i++)
        sigaddset(set, numbers[i]);
}

void worker_signals_hold(void)
{
    sigset_t set;

    sigemptyset(&set);
    worker_signals_add(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signals.held = true;
}

sem_t *worker_signals_take(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    bool inherited = signals.taken && signals.pid != getpid();
    sigset_t set;

    if (signals.taken && !inherited)
        return NULL;
    sigemptyset(&set);
    worker_signals_add(&set);
    action.sa_mask = set;
    atomic_store(&signals.tally.stop, 0);
    atomic_store(&signals.tally.again, 0);
    atomic_store(&signals.tally.hang_up, false);
    signals.pid = getpid();
    sem_init(&signals.wake, 0, 0);
    for (size_t i = 0; i < NUMBERS; i++)
        sigaction(numbers[i], &action, inherited ? NULL : &signals.before[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, &signals.mask_before);
    signals_disregard(SIGPIPE);
    signals.taker = pthread_self();
    signals.taken = true;
    return &signals.wake;
}

void worker_signals_give_back(void)
{
    struct sigaction now;

    if (!signals.taken || signals.held)
        return;
    signals.taken = false;
    for (size_t i = 0; i < NUMBERS; i++)
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            sigaction(numbers[i], &signals.before[i], NULL);
    signals_regard(SIGPIPE);
    if (pthread_equal(signals.taker, pthread_self()))
        pthread_sigmask(SIG_SETMASK, &signals.mask_before, NULL);
}

struct signal_tally *worker_signals(void)
{
    return &signals.tally;
}
