/* fault.c - see fault.h. */
#include "consume/crash/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/backtrace.h"
#include "base/clock.h"
#include "base/process_state.h"
#include "consume/crash/crash_private.h"
#include "consume/crash/flight_recorder.h"

/* Room for the unwinder, which takes about 10 KiB, and the largest register file. */
#define STACK_SIZE   (128 * 1024)
#define EXIT_STOPPED 1

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static struct {
    pthread_mutex_t lock;
    unsigned users;
    struct sigaction before[FAULT_SIGNALS];
    struct sigaction before_tell;
} signals = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The thread's own. Initial-exec: reading it in a signal's handler allocates nothing. */
static __thread struct flight_worker *self __attribute__((tls_model("initial-exec")));
/* Also its own: its number, and whether it lets itself be asked where it is. */
static __thread pid_t own_id;
static __thread bool is_ready;
/* Also its own: the stack for signals. NULL: none. */
static __thread void *stack;
static __thread stack_t stack_before;

/* How far the report of a fault has come, so that a fault in it goes on with what is next. */
enum fault_step { NOT_YET, TOLD, UNWOUND, WRITTEN, PARKED };

/* ---- in a signal's handler ---- */

void fault_sleep_ms(int64_t ms)
{
    struct timespec end = clock_timespec_us((clock_now_ms(clock_monotonic()) + ms) * 1000);

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        continue;
}

/* Where they are caught nobody would read of them any more. */
static void let_end(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};

    sigaction(SIGTERM, &plain, NULL);
    sigaction(SIGINT, &plain, NULL);
}

void fault_reexecute(const struct fault_plan *plan)
{
    let_end();
    if (atomic_load(&plan->ending) || (plan->told_to_stop && atomic_load(plan->told_to_stop)))
        _exit(EXIT_STOPPED);
        /* Whatever others have opened without CLOEXEC shall not pile up. */
#ifdef SYS_close_range
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
#endif
    if (plan->keep_fd >= 0)
        fcntl(plan->keep_fd, F_SETFD, 0);
    flight_count_restart(plan->flight);
    if (plan->start)
        process_state_restore(plan->start);
    pthread_sigmask(SIG_SETMASK, &plan->mask, NULL);
    execve("/proc/self/exe", plan->argv, plan->env);
}

static void end_by(int signal)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t set;

    sigaction(signal, &plain, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
    _exit(EXIT_STOPPED);
}

/* The process had its time. */
static void see_to_the_end(const struct flight_worker *worker)
{
    struct fault_plan *plan = worker->flight->plan;
    const struct flight_report *report = flight_report_of(worker);

    if (!plan)
        return;
    fault_sleep_ms(plan->patience_ms);
    if (atomic_load(&plan->called_off))
        return;
    if (atomic_load(&plan->ending))
        _exit(EXIT_STOPPED);
    if (plan->argv)
        fault_reexecute(plan);
    end_by(report && report->signal ? report->signal : SIGABRT);
}

static void block_all(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void park(struct flight_worker *worker) __attribute__((noreturn));
static void park(struct flight_worker *worker)
{
    block_all();
    see_to_the_end(worker);
    for (;;)
        fault_sleep_ms(INT64_C(3600000));
}

/* Several threads may work for one handler: the first one reports, and sees to the end. */
static bool is_reporter(struct flight_worker *worker)
{
    pid_t thread = (pid_t)syscall(SYS_gettid);
    pid_t nobody = 0;

    return atomic_compare_exchange_strong(&worker->reporter, &nobody, thread) || nobody == thread;
}

/* Another one does that. */
static void park_beside(void) __attribute__((noreturn));
static void park_beside(void)
{
    block_all();
    for (;;)
        fault_sleep_ms(INT64_C(3600000));
}

static void write_calls(struct flight_worker *worker)
{
    struct flight_report *report = flight_report_of(worker);

    if (report)
        backtrace_write(worker->calls, worker->call_count, report->backtrace,
                        sizeof report->backtrace);
}

static void write_report(struct flight_worker *worker, void *context)
{
    if (worker->step < UNWOUND) {
        worker->step = UNWOUND;
        worker->call_count = (uint32_t)backtrace_take(context, worker->calls);
    }
    if (worker->step < WRITTEN) {
        worker->step = WRITTEN;
        write_calls(worker);
    }
}

/* A fault of these very steps comes here again and goes on behind the one that failed. */
static void tell_and_park(struct flight_worker *worker, void *context) __attribute__((noreturn));
static void tell_and_park(struct flight_worker *worker, void *context)
{
    write_report(worker, context);
    if (worker->step < PARKED) {
        worker->step = PARKED;
        flight_reported(worker);
    }
    park(worker);
}

static void pass_on(int signal, const siginfo_t *info)
{
    sigaction(signal, &signals.before[fault_signal_place(signal)], NULL);
    /* What an instruction did it does again when it is repeated; the rest has to be sent again. */
    if (info->si_code <= 0)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

/* A sanitizer, or whoever else was there before, has its turn first. */
static bool is_plain(int signal)
{
    const struct sigaction *before = &signals.before[fault_signal_place(signal)];

    return !(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_DFL;
}

static const void *address_of(int signal, const siginfo_t *info)
{
    return signal == SIGABRT || info->si_code <= 0 ? NULL : info->si_addr;
}

/* Without the loop nothing can be finished. Returns where the signal is to have its way. */
static void end_with_loop(struct flight_worker *worker, int signal, const siginfo_t *info,
                          void *context)
{
    const struct fault_plan *plan = worker->flight->plan;

    if (worker->step == NOT_YET) {
        worker->step = TOLD;
        flight_ends(worker, signal, info->si_code, address_of(signal, info));
    }
    write_report(worker, context);
    if (is_plain(signal) && plan && plan->argv && !atomic_load(&plan->ending))
        fault_reexecute(plan);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    struct flight_worker *worker = self;
    int before = errno;

    if (!worker || (worker->step == NOT_YET &&
                    (!fault_is_ours(worker->flight, info) || !flight_is_up(worker)))) {
        fault_fall(signal, info, context, is_plain(signal));
        pass_on(signal, info);
        errno = before;
        return;
    }
    if (worker->slot->ahead) {
        end_with_loop(worker, signal, info, context);
        pass_on(signal, info);
        errno = before;
        return;
    }
    if (!is_reporter(worker))
        park_beside();
    if (worker->step == NOT_YET) {
        worker->step = TOLD;
        flight_crashed(worker, signal, info->si_code, address_of(signal, info));
    }
    tell_and_park(worker, context);
}

/* The main thread has given this one up. */
static void on_tell(int signal, siginfo_t *info, void *context)
{
    struct flight_worker *worker = self;

    (void)signal;
    if (!worker || worker->step != NOT_YET || !fault_is_ours(worker->flight, info) ||
        (atomic_load(&worker->slot->state) & FLIGHT_STATE_MASK) != FLIGHT_STUCK ||
        !is_reporter(worker))
        return;
    worker->step = TOLD;
    tell_and_park(worker, context);
}

void fault_given_up(struct flight_worker *worker)
{
    block_all();
    if (!is_reporter(worker))
        park_beside();
    worker->step = TOLD;
    tell_and_park(worker, NULL);
}

/* ---- without a signal ---- */

static pthread_once_t end_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key; /* of a worker's thread: its worker */

/* pthread_exit(3) has taken all frames away, so there are no calls to report. */
static void on_thread_end(void *value)
{
    struct flight_worker *worker = value;

    if (worker->flight->pid != getpid() || !flight_is_up(worker))
        return;
    block_all();
    if (!is_reporter(worker))
        park_beside();
    worker->step = UNWOUND;
    flight_crashed(worker, 0, 0, NULL);
    tell_and_park(worker, NULL);
}

static void make_end_key(void)
{
    pthread_key_create(&end_key, on_thread_end);
}

const struct flight_worker *fault_exits(void)
{
    struct flight_worker *worker = self;

    if (!worker || worker->flight->pid != getpid() || !flight_is_up(worker))
        return NULL;
    flight_ends(worker, 0, 0, NULL);
    worker->call_count = (uint32_t)backtrace_take(NULL, worker->calls);
    write_calls(worker);
    return worker;
}

bool fault_thread_work(struct fault_work *work)
{
    const struct flight_worker *worker = self;
    const struct flight_slot *slot;

    if (!worker)
        return false;
    slot = worker->slot;
    work->handling = flight_is_up(worker);
    work->begun_ns = atomic_load_explicit(&worker->begun_ns, memory_order_relaxed);
    memcpy(work->queue, slot->queue, sizeof work->queue);
    memcpy(work->handler, slot->handler, sizeof work->handler);
    memcpy(work->message_id, slot->message_id, sizeof work->message_id);
    work->id_len = slot->id_len;
    return true;
}

/* ---- setting up ---- */

static void take_signals(void)
{
    struct sigaction fault = {.sa_sigaction = on_fault,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    struct sigaction tell = {.sa_sigaction = on_tell,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

    sigemptyset(&fault.sa_mask);
    sigfillset(&tell.sa_mask);
    for (size_t i = 0; i < FAULT_SIGNALS; i++) {
        sigdelset(&tell.sa_mask, fault_signals[i]);
        sigaction(fault_signals[i], &fault, &signals.before[i]);
    }
    sigaction(FAULT_TELL_SIGNAL, &tell, &signals.before_tell);
}

/* Those that somebody else has replaced meanwhile stay his. */
static void give_back(int signal, const struct sigaction *before)
{
    struct sigaction now;

    sigaction(signal, NULL, &now);
    if (now.sa_flags & SA_SIGINFO && (now.sa_sigaction == on_fault || now.sa_sigaction == on_tell))
        sigaction(signal, before, NULL);
}

void fault_install(struct flight *flight, struct fault_plan *plan)
{
    backtrace_prepare();
    flight->plan = plan;
    pthread_mutex_lock(&signals.lock);
    fault_falls_add(flight);
    if (signals.users++ == 0)
        take_signals();
    pthread_mutex_unlock(&signals.lock);
}

void fault_remove(struct flight *flight)
{
    if (!flight->plan)
        return;
    pthread_mutex_lock(&signals.lock);
    fault_falls_remove(flight);
    flight->plan = NULL;
    if (--signals.users == 0) {
        for (size_t i = 0; i < FAULT_SIGNALS; i++)
            give_back(fault_signals[i], &signals.before[i]);
        give_back(FAULT_TELL_SIGNAL, &signals.before_tell);
    }
    pthread_mutex_unlock(&signals.lock);
}

/* ---- worker threads ---- */

static void allow_tell_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, FAULT_TELL_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void fault_stack_begin(void)
{
    void *memory = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    stack_t own = {.ss_sp = memory, .ss_size = STACK_SIZE};

    if (memory != MAP_FAILED && sigaltstack(&own, &stack_before) == 0)
        stack = memory;
}

void fault_stack_end(void)
{
    if (!stack)
        return;
    sigaltstack(&stack_before, NULL);
    munmap(stack, STACK_SIZE);
    stack = NULL;
}

/* Once a thread: one that is shared begins anew with each message. */
static void get_ready(void)
{
    if (is_ready)
        return;
    own_id = (pid_t)syscall(SYS_gettid);
    pthread_once(&end_once, make_end_key);
    allow_tell_signal();
    is_ready = true;
}

void fault_thread_begin(struct flight_worker *worker)
{
    get_ready();
    atomic_store(&worker->thread, own_id);
    self = worker;
    pthread_setspecific(end_key, worker);
}

void fault_thread_end(struct flight_worker *worker)
{
    self = NULL;
    pthread_setspecific(end_key, NULL);
    atomic_store(&worker->thread, 0);
}

void fault_beside_begin(void)
{
    fault_stack_begin();
    get_ready();
}

void fault_beside(struct flight_worker *worker)
{
    self = worker;
    pthread_setspecific(end_key, worker);
}

void fault_watch(struct flight_worker *worker)
{
    self = worker;
}
