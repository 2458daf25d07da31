/* fault.h - the signals of a fault, in a thread that runs a handler: written into the flight
 * recorder with a backtrace, after which the thread is parked for ever. The process goes on,
 * tainted, as long as it takes to end in good order; and if it cannot, the parked thread sees to
 * it.
 *
 * A handler that ends its thread (pthread_exit(3)) is treated as one that crashed, without a
 * signal. So is a function of a handler's group (warren/group.h), on whatever thread it runs.
 *
 * A fault of warren's own threads outside of a handler makes the process fall (flight_recorder.h):
 * what it says is written, and the process executes itself at once, if it may; nothing of it can be
 * trusted to drain. A fault of a thread that a handler started is noted and goes the way it went
 * before, as does a signal that somebody sent: to the handler that was there (a sanitizer's), or it
 * ends the process with a core dump.
 * Mutable globals here: the dispositions, for a process has but one of each.
 * Everything in a signal's handler is async-signal-safe but two things: the unwinder and the list
 * of modules share a lock with dlopen(3).
 */
#ifndef WARREN_CONSUME_FAULT_H
#define WARREN_CONSUME_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "consume/crash/fault_signals.h"

struct flight;
struct flight_worker;
struct process_state;

/**
 * What a parked thread does if the process has not ended long after a fault: whoever should have
 * ended it may wait for a lock that the parked one holds.
 */
struct fault_plan {
    int64_t patience_ms;
    char **argv; /* NULL: the process cannot re-execute itself, so the signal ends it after all */
    char **env;
    const struct process_state *start; /* what the next process finds again; NULL: what is now */
    sigset_t mask;                     /* for the next process */
    int keep_fd;                       /* to be handed to it; -1: none */
    struct flight *flight;             /* to count the restart */
    atomic_bool ending;                /* the process was asked to stop: exit instead */
    atomic_int *told_to_stop;          /* as soon as it is not 0, the same; may be NULL */
    atomic_bool called_off;            /* the process is in good hands */
};

/**
 * Take the signals for the threads of @flight. To be called once for each flight recorder of the
 * process.
 *
 * @plan  borrowed until fault_remove()
 */
void fault_install(struct flight *flight, struct fault_plan *plan);
/** The last one gives the signals back. */
void fault_remove(struct flight *flight);

/** This thread gets a stack for signals. Without one it cannot report a stack that is full. */
void fault_stack_begin(void);
void fault_stack_end(void);

/** This thread, which has such a stack, is @worker's from now on; of several, one after the other.
 */
void fault_thread_begin(struct flight_worker *worker);
void fault_thread_end(struct flight_worker *worker);
/**
 * A thread that runs functions of handlers beside these: it gets such a stack, and ends with
 * fault_stack_end(). Then what happens between fault_beside() and fault_beside(NULL) is @worker's,
 * as on its own thread. Of several threads that crash for one worker, the first one reports.
 */
void fault_beside_begin(void);
void fault_beside(struct flight_worker *worker);
/** The loop's thread: what happens until the next call is @worker's; NULL: nobody's. */
void fault_watch(struct flight_worker *worker);
/** flight_end() came too late: report where the thread is, and do nothing more. */
void fault_given_up(struct flight_worker *worker) __attribute__((noreturn));

/**
 * The process ends by exit(3). If this thread is in a handler, its message is known to have done
 * it: noted as after a crash, with the calls, for the next process.
 *
 * @return the thread's; NULL: it is in no handler
 */
const struct flight_worker *fault_exits(void);

/**
 * Become a new process, as @plan says, or exit if this one was asked to stop. Returns only if
 * execv(3) failed. Async-signal-safe.
 */
void fault_reexecute(const struct fault_plan *plan);

/** What a worker's thread does. */
struct fault_work {
    bool handling;    /* a handler runs; else what follows is of the last message */
    int64_t begun_ns; /* of the attempt, by the worker's clock */
    char queue[256];
    char handler[256];
    char message_id[256];
    size_t id_len;
};

/**
 * What the calling thread does, for who has interrupted it. Async-signal-safe.
 *
 * @return false: it is no worker's, and nothing is written
 */
bool fault_thread_work(struct fault_work *work);

#endif
