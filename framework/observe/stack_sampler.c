/* stack_sampler.c - see stack_sampler.h. */
#include "observe/stack_sampler.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

#define LOOK_MS   10  /* how often answers are taken */
#define SEARCH_MS 100 /* how often new threads are looked for */

enum slot_state { SLOT_FREE, SLOT_WRITING, SLOT_READY };

struct slot {
    _Atomic int state; /* enum slot_state */
    struct stack_sample sample;
};

static struct {
    pthread_mutex_t lock; /* held by who samples */
    bool taken;           /* the signal is ours */
    struct slot *slots;   /* made once, kept */
    atomic_bool active;   /* answers are wanted */
    _Atomic uint32_t next;
    _Atomic uint64_t dropped;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- in the signal's handler: async-signal-safe but for the unwinder, see backtrace.h ---- */

static struct slot *claim(void)
{
    struct slot *slot = &ring.slots[atomic_fetch_add(&ring.next, 1) % STACK_SAMPLES];
    int expected = SLOT_FREE;

    if (atomic_compare_exchange_strong(&slot->state, &expected, SLOT_WRITING))
        return slot;
    atomic_fetch_add(&ring.dropped, 1);
    return NULL;
}

static void on_sample(int signal, siginfo_t *info, void *context)
{
    int before = errno;
    struct slot *slot;

    (void)signal;
    (void)info;
    if (atomic_load(&ring.active) && (slot = claim())) {
        slot->sample.thread = (pid_t)syscall(SYS_gettid);
        slot->sample.is_worker = fault_thread_work(&slot->sample.work);
        slot->sample.call_count = backtrace_take(context, slot->sample.calls);
        atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);
    }
    errno = before;
}

/* ---- life ---- */

/* SA_ONSTACK: a thread of a handler may be near the end of its stack. */
static enum warren_status take_signal(struct warren_error *error)
{
    struct sigaction action = {.sa_sigaction = on_sample,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction now;

    sigaction(THREAD_SAMPLE_SIGNAL, NULL, &now);
    if (ring.taken && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sample)
        return WARREN_OK;
    if ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL)
        return error_set(error, WARREN_EINVAL,
                         "the program uses SIGPROF itself, such as for a profiler of its own");
    if (!ring.slots)
        ring.slots = calloc(STACK_SAMPLES, sizeof *ring.slots);
    if (!ring.slots)
        return error_set(error, WARREN_ENOMEM, "no memory for samples");
    backtrace_prepare();
    sigemptyset(&action.sa_mask);
    sigaction(THREAD_SAMPLE_SIGNAL, &action, NULL);
    ring.taken = true;
    return WARREN_OK;
}

static enum warren_status begin(struct warren_error *error)
{
    enum warren_status status;

    if (pthread_mutex_trylock(&ring.lock) != 0)
        return error_set(error, WARREN_EFULL, "somebody else is looking at the threads: try later");
    status = take_signal(error);
    if (status != WARREN_OK) {
        pthread_mutex_unlock(&ring.lock);
        return status;
    }
    atomic_store(&ring.dropped, 0);
    atomic_store(&ring.active, true);
    return WARREN_OK;
}

static size_t take_ready(stack_sample_fn *take, void *user)
{
    size_t count = 0;

    for (size_t i = 0; i < STACK_SAMPLES; i++) {
        struct slot *slot = &ring.slots[i];

        if (atomic_load_explicit(&slot->state, memory_order_acquire) != SLOT_READY)
            continue;
        if (take)
            take(user, &slot->sample);
        atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release);
        count++;
    }
    return count;
}

/* Whoever is still writing ends soon; what it wrote is thrown away by the next one. */
static void end(void)
{
    atomic_store(&ring.active, false);
    take_ready(NULL, NULL);
    pthread_mutex_unlock(&ring.lock);
}

static void sleep_ms(int64_t ms)
{
    struct timespec end_at = clock_timespec_us((clock_now_ms(clock_monotonic()) + ms) * 1000);

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end_at, NULL) == EINTR)
        continue;
}

/* ---- the threads there are ---- */

/* All but the calling one. @return how many, STACK_THREADS at most */
static size_t list_threads(pid_t *threads)
{
    pid_t self = (pid_t)syscall(SYS_gettid);
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;

    while (tasks && count < STACK_THREADS && (entry = readdir(tasks))) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

        if (thread > 0 && thread != self)
            threads[count++] = thread;
    }
    if (tasks)
        closedir(tasks);
    return count;
}

/* ---- each of them once ---- */

enum warren_status stack_sampler_all(int64_t patience_ms, stack_sample_fn *take, void *user,
                                     struct warren_error *error)
{
    enum warren_status status = begin(error);
    int64_t end_ms = clock_now_ms(clock_monotonic()) + patience_ms;
    pid_t *threads;
    size_t answers = 0;
    size_t asked = 0;
    size_t count;

    if (status != WARREN_OK)
        return status;
    threads = malloc(STACK_THREADS * sizeof *threads);
    count = threads ? list_threads(threads) : 0;
    while (answers < count && clock_now_ms(clock_monotonic()) < end_ms) {
        /* No more at once than the ring has room for. */
        while (asked < count && asked - answers < STACK_SAMPLES / 2) {
            if (syscall(SYS_tgkill, getpid(), threads[asked], THREAD_SAMPLE_SIGNAL) != 0)
                answers++; /* it has ended */
            asked++;
        }
        answers += take_ready(take, user);
        if (answers < count)
            sleep_ms(1);
    }
    free(threads);
    end();
    return threads ? WARREN_OK : error_set(error, WARREN_ENOMEM, "no memory for a list of threads");
}

/* ---- those that run ---- */

struct watch {
    pid_t thread;
    timer_t timer;
    bool seen;
};

struct watches {
    struct watch *items;
    pid_t *threads;
    size_t count;
};

/* The clock of a thread's CPU time: its number, as an ~ in the upper bits, over the kind of clock
 * (2, what the scheduler counts) and of a thread (4). */
static clockid_t cpu_clock_of(pid_t thread)
{
    return (clockid_t)(~(unsigned)thread << 3 | 6u);
}

static bool watch_thread(struct watch *watch, pid_t thread)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = THREAD_SAMPLE_SIGNAL};
    struct itimerspec every = {.it_value.tv_nsec = 1000000000 / STACK_HERTZ,
                               .it_interval.tv_nsec = 1000000000 / STACK_HERTZ};

    event._sigev_un._tid = thread;
    *watch = (struct watch){.thread = thread, .seen = true};
    if (timer_create(cpu_clock_of(thread), &event, &watch->timer) != 0)
        return false;
    if (timer_settime(watch->timer, 0, &every, NULL) == 0)
        return true;
    timer_delete(watch->timer);
    return false;
}

static struct watch *find_watch(const struct watches *watches, pid_t thread)
{
    for (size_t i = 0; i < watches->count; i++)
        if (watches->items[i].thread == thread)
            return &watches->items[i];
    return NULL;
}

/* Timers for threads that have begun; those of others go. */
static void look_for_threads(struct watches *watches)
{
    size_t count = list_threads(watches->threads);

    for (size_t i = 0; i < watches->count; i++)
        watches->items[i].seen = false;
    for (size_t i = 0; i < count; i++) {
        struct watch *there = find_watch(watches, watches->threads[i]);

        if (there)
            there->seen = true;
        else if (watches->count < STACK_THREADS &&
                 watch_thread(&watches->items[watches->count], watches->threads[i]))
            watches->count++;
    }
    for (size_t i = 0; i < watches->count;) {
        if (watches->items[i].seen) {
            i++;
            continue;
        }
        timer_delete(watches->items[i].timer);
        watches->items[i] = watches->items[--watches->count];
    }
}

static void sample_for(struct watches *watches, int64_t ms, bool (*ended)(void *user),
                       stack_sample_fn *take, void *user)
{
    int64_t now_ms = clock_now_ms(clock_monotonic());
    int64_t end_ms = now_ms + ms;
    int64_t search_ms = now_ms;

    while (now_ms < end_ms) {
        if (now_ms >= search_ms) {
            look_for_threads(watches);
            search_ms = now_ms + SEARCH_MS;
            if (ended && ended(user))
                break;
        }
        sleep_ms(LOOK_MS);
        take_ready(take, user);
        now_ms = clock_now_ms(clock_monotonic());
    }
    for (size_t i = 0; i < watches->count; i++)
        timer_delete(watches->items[i].timer);
    take_ready(take, user);
}

enum warren_status stack_sampler_profile(int64_t ms, bool (*ended)(void *user),
                                         stack_sample_fn *take, void *user, uint64_t *ret_dropped,
                                         struct warren_error *error)
{
    enum warren_status status = begin(error);
    struct watches watches = {NULL, NULL, 0};

    if (status != WARREN_OK)
        return status;
    watches.items = malloc(STACK_THREADS * sizeof *watches.items);
    watches.threads = malloc(STACK_THREADS * sizeof *watches.threads);
    if (watches.items && watches.threads)
        sample_for(&watches, ms, ended, take, user);
    else
        status = error_set(error, WARREN_ENOMEM, "no memory for a list of threads");
    free(watches.items);
    free(watches.threads);
    *ret_dropped = atomic_load(&ring.dropped);
    end();
    return status;
}
