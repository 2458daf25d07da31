/* fault_fall.c - a fault outside of a handler: see fault.h and flight_recorder.h. All of it but
 * adding and removing is async-signal-safe, as far as fault.h says.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/backtrace.h"
#include "base/ending.h"
#include "base/thread.h"
#include "consume/crash/crash_private.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"

/* A thread that falls beside another waits this long for the end. */
#define FALL_MS 10000

static struct flight *flights; /* linked by `next`; read by a signal's handler without a lock */
static _Atomic pid_t falling;  /* the thread that reports */

/* A signal that another process sent is no fault of the handler, and a child that the handler
 * forked is not the handler's thread. */
bool fault_is_ours(const struct flight *flight, const siginfo_t *info)
{
    pid_t pid = getpid();

    return pid == flight->pid && (info->si_code > 0 || info->si_pid == pid);
}

static void tell_fall(struct flight *flight, int signal, const siginfo_t *info, void *context)
{
    struct flight_report *report =
        flight_fell(flight, signal, info->si_code,
                    signal == SIGABRT || info->si_code <= 0 ? NULL : info->si_addr);
    void *calls[BACKTRACE_CALLS];
    size_t count;

    if (!report)
        return;
    count = backtrace_take(context, calls);
    backtrace_write(calls, count, report->backtrace, sizeof report->backtrace);
}

/* Not by a signal: something was taken away, such as a descriptor. */
static void fall_at_the_end(void)
{
    for (struct flight *f = flights; f; f = f->next)
        if (flight_begun(f) > 0)
            flight_fell(f, 0, 0, NULL);
}

/* Returns where the signal is to have its way. A fault of these very steps comes here again. Where
 * no message was begun, no handler has spoiled anything, and the next process would do the same. */
void fault_fall(int signal, const siginfo_t *info, void *context, bool plain)
{
    pid_t thread = (pid_t)syscall(SYS_gettid);
    pid_t nobody = 0;

    if (!flights || !fault_is_ours(flights, info))
        return;
    if (!atomic_compare_exchange_strong(&falling, &nobody, thread)) {
        if (nobody != thread)
            fault_sleep_ms(FALL_MS);
        return;
    }
    for (struct flight *f = flights; f; f = f->next)
        if (flight_begun(f) > 0)
            tell_fall(f, signal, info, context);
    if (!thread_is_ours() || !plain)
        return;
    for (struct flight *f = flights; f; f = f->next)
        if (flight_begun(f) > 0 && f->plan->argv && !atomic_load(&f->plan->ending))
            fault_reexecute(f->plan);
}

void fault_falls_add(struct flight *flight)
{
    flight->next = flights;
    flights = flight;
    ending_tell(fall_at_the_end);
}

void fault_falls_remove(struct flight *flight)
{
    struct flight **at = &flights;

    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    if (!flights)
        ending_tell(NULL);
}
