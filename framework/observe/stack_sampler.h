/* stack_sampler.h - where the threads of this process are: a signal asks each of them, and it
 * writes its calls, and the message that it handles, into a ring.
 *
 *   all      each thread is asked once, wherever it is. Who sleeps in a system call that is not
 *            restarted (sleep(3), poll(2)) finds it interrupted, once
 *   profile  a timer of each thread's CPU time asks it 99 times in a second of that time: who
 *            sleeps is left alone
 *
 * Nothing is taken before the first use: then the signal's disposition is, for the rest of the
 * process, for a late signal must not end it. A program that uses the signal itself is left alone.
 * Mutable globals here: the ring and the disposition, for a process has but one of each.
 * Thread: one at a time; others are refused. Bound: the ring of STACK_SAMPLES; what finds no room
 * is counted.
 * Source of the clocks' numbers: clock_gettime(2) and Linux, include/linux/posix-timers.h.
 */
#ifndef WARREN_OBSERVE_STACK_SAMPLER_H
#define WARREN_OBSERVE_STACK_SAMPLER_H

#include <sys/types.h>

#include <warren/status.h>

#include "base/backtrace.h"
#include "consume/crash/fault.h"

#define STACK_SAMPLES 512
/** Threads that are looked at; of more the first ones. */
#define STACK_THREADS 4096
/** Samples of a thread in a second of its CPU time. Not 100, so as not to go with what does. */
#define STACK_HERTZ 99

struct stack_sample {
    pid_t thread;
    bool is_worker; /* it has `work` */
    struct fault_work work;
    size_t call_count;
    void *calls[BACKTRACE_CALLS]; /* innermost first */
};

/** Called for each sample, on the thread that asked. */
typedef void stack_sample_fn(void *user, const struct stack_sample *sample);

/**
 * Ask each thread but the calling one once, and wait for the answers, at most @patience_ms.
 *
 * @return WARREN_OK, though some may not have answered: those block the signal, or hang in the
 *         kernel; WARREN_EFULL: another one is sampling; WARREN_EINVAL: the program uses the signal
 *         itself; WARREN_ENOMEM; with @error
 */
enum warren_status stack_sampler_all(int64_t patience_ms, stack_sample_fn *take, void *user,
                                     struct warren_error *error);

/**
 * Sample all threads that run for @ms, also those that begin meanwhile; the calling one sleeps.
 *
 * @ended        looked at ten times a second: true ends it early; may be NULL
 * @ret_dropped  samples that found no room
 * @return       as stack_sampler_all()
 */
enum warren_status stack_sampler_profile(int64_t ms, bool (*ended)(void *user),
                                         stack_sample_fn *take, void *user, uint64_t *ret_dropped,
                                         struct warren_error *error);

#endif
