/* flight_recorder.h - who is in a handler with which message, in memory that outlives the process;
 * and what earlier processes left of it: failed attempts, and messages that are suspected of
 * having ended one.
 *
 *   begin > the handler > end > ... begin    a few stores each: no lock, no system call
 *                  |           |
 *                  |           +-- the process falls: the last message of each thread is suspected
 *                  +-- a fault, or the hard limit: the thread is parked, the process is tainted
 *                  +-- SIGKILL: the next process finds the slot as it was
 *
 * The event loop has slots, too, one for each subscription, for what a plugin does on it with a
 * message (`key`, `before`). A fault there cannot be parked: it is noted, and the process ends as
 * one that falls; but the next one knows who did it.
 *
 * A process **falls** by a fatal signal outside of a handler, or when something of warren's own was
 * taken away under it. Memory that a handler spoiled is often found out after it has returned, so
 * the last message of each thread may have done it. Each of them runs alone in the next process,
 * behind a round trip that settles all others. Who is the only message that a process has begun
 * when it falls is guilty; who is not only stays suspected. After FLIGHT_FALLS_MAX falls in a row
 * all messages run alone, one after the other: then what was spoiled is found out while its message
 * is not settled, or that message is gone, and with it the trouble.
 *
 * Elsewhere: the signals (fault.h), what becomes of a suspect (guard.h), the end of a tainted
 * process (app/worker_flight.h).
 */
#ifndef WARREN_CONSUME_FLIGHT_RECORDER_H
#define WARREN_CONSUME_FLIGHT_RECORDER_H

#include <semaphore.h>
#include <signal.h>
#include <sys/types.h>

#include "base/backtrace.h"
#include "base/metrics.h"
#include "consume/crash/exclusive_gate.h"
#include "consume/crash/flight_notes.h"

struct flight_options {
    const char *directory; /* NULL: memory, that flight_hand_on() passes to the next process */
    int inherited;         /* what that passed to this one; owned; -1: nothing */
    const char *key;       /* broker and queues: recorders of others are left alone */
    uint32_t slots;        /* worker threads, and what the loop needs */
    uint32_t notes;        /* messages that can be remembered besides those in the slots */
    uint32_t crashes_max;  /* a message with more crashes is not run any more */
    sem_t *wake;           /* posted when flight_told() has something new; borrowed; may be NULL */
};

/** A worker thread's view. In memory of the process alone, which no heap that is overrun reaches.
 */
struct flight_worker {
    struct flight *flight;
    struct flight_slot *slot;
    const struct delivery *delivery; /* while a handler runs */
    _Atomic int64_t begun_ns;        /* of the last attempt, by the worker's clock */
    _Atomic int64_t hard_ms;         /* by the worker's clock; INT64_MAX: none */
    _Atomic pid_t thread;            /* 0: not started */
    _Atomic pid_t waits_for;         /* of its job, while it sleeps until that is done: who says
                                        where the handler is; 0: it says so itself */
    _Atomic pid_t reporter;          /* the thread that has crashed first, or was asked; 0: none */
    _Atomic uint32_t *lost;          /* of the subscription: counts threads that do not come back */
    atomic_bool taken;
    bool inside;      /* of the exclusive gate */
    atomic_uint step; /* of the fault that is being reported; see fault.c */
    uint32_t call_count;
    void *calls[BACKTRACE_CALLS];
    /* Slots for the other messages of a batch, one each; more may come while it runs. */
    _Atomic(struct flight_worker *) next_member;
};

/** Of the recorder's numbers, when somebody reads. */
struct flight_metrics {
    struct warren_series *tallies[FLIGHT_TALLIES];
    struct warren_series *suspects;
    struct warren_series *falls_in_row;
    struct warren_series *notes;
    struct warren_series *notes_max;
    struct metric_collector collector; /* behind the series */
};

struct flight {
    struct flight_file file;
    struct flight_notes notes;
    struct exclusive_gate exclusive_gate;
    uint32_t crashes_max;
    pid_t pid; /* a child that a handler forks has all of this, too, and must not touch it */
    struct flight_worker *workers;
    size_t workers_size;
    _Atomic uint32_t worker_count; /* given out so far; those that came back are free */
    uint32_t reported;             /* of own reports; the main thread's */
    sem_t *wake;
    atomic_bool told; /* a thread was lost, or its report is done, or there is a limit to watch */
    atomic_bool tainted;
    _Atomic int64_t hard_least_ms; /* the shortest hard limit so far; INT64_MAX: none */
    int64_t started_ms;            /* monotonic */
    atomic_bool narrow;            /* one message at a time */
    struct fault_plan *plan;       /* see fault.h */
    struct flight *next;           /* of those with a plan; see fault.c */
    struct flight_metrics metrics;
};

/** As flight_file_create(). Thread: main. */
enum warren_status flight_open(const struct flight_options *options, struct flight **ret_flight,
                               struct warren_error *error);
/**
 * From now on it is of @key, as the options say it: the process consumes from other queues. Nothing
 * happens if it was before.
 *
 * @return as flight_file_rekey()
 */
enum warren_status flight_rekey(struct flight *flight, const char *key, struct warren_error *error);
/**
 * The process ends. What is still awaited is left to the next one, if there is a directory.
 *
 * @landed  in good order: messages that are in a handler are not suspected for it
 */
void flight_close(struct flight *flight, bool landed);

/** Slots that are free. Thread: main, or one that it waits for; so are the next two. */
uint32_t flight_room(const struct flight *flight);
/** Hand out a slot, of a worker thread, or with @ahead of the loop. NULL: there is none. */
struct flight_worker *flight_take(struct flight *flight, const char *queue, const char *handler,
                                  bool ahead, _Atomic uint32_t *lost);
/**
 * Another slot for worker thread @worker, for the next message of a batch. It is the last of its
 * members, and given back with it. NULL: there is none.
 */
struct flight_worker *flight_take_member(struct flight_worker *worker);
/** Its thread has ended. NULL is fine. Thread: any, while nobody takes one. */
void flight_give_back(struct flight_worker *worker);

/* ---- a worker thread ---- */

/**
 * @worker's handler gets @delivery, which is @message; attempts @failed before, and it is suspected
 * of @crashes.
 */
void flight_begin(struct flight_worker *worker, const struct delivery *delivery,
                  const struct identity *message, struct warren_bytes message_id, bool alone,
                  uint32_t failed, uint32_t crashes);
/** A message of a batch. */
struct flight_batch_item {
    const struct delivery *delivery;
    struct identity message;
    struct warren_bytes message_id;
    uint32_t failed;
    uint32_t crashes;
};
/**
 * The same for each message of a batch of that @level: of the members of a worker from the first
 * one on, then of the worker itself. flight_end() of the worker ends all of them.
 */
void flight_begin_member(struct flight_worker *member, const struct flight_batch_item *item,
                         uint8_t level);
/** The handler has returned. @return false: too late, the thread was given up; it must park */
bool flight_end(struct flight_worker *worker);
/** Is a handler running, or given up? Async-signal-safe. */
static inline bool flight_is_up(const struct flight_worker *worker)
{
    return (atomic_load_explicit(&worker->slot->state, memory_order_relaxed) & FLIGHT_STATE_MASK) !=
           FLIGHT_IDLE;
}
/** Has a handler of this process @message now? Thread: any. */
bool flight_has(const struct flight *flight, const struct identity *message);
/** Has its handler crashed, or been given up? Thread: any. */
static inline bool flight_is_lost(const struct flight_worker *worker)
{
    return (atomic_load_explicit(&worker->slot->state, memory_order_relaxed) & FLIGHT_STATE_MASK) >=
           FLIGHT_CRASHED;
}
/** The handler shall have returned by @until_ms of the worker's clock, @limit_ms after now. */
void flight_limit(struct flight_worker *worker, int64_t until_ms, int64_t limit_ms);

/* ---- of a thread that is lost ---- */

/**
 * From a signal's handler: the thread's handler has crashed. Taints the process.
 *
 * @return the report to be completed; NULL: there is no room for it
 */
struct flight_report *flight_crashed(struct flight_worker *worker, int signal, int code,
                                     const void *address);
/**
 * The thread's handler ends the process, by exit(3) or on the loop: noted as a crash, for the next
 * process. From a signal's handler, too.
 */
void flight_ends(struct flight_worker *worker, int signal, int code, const void *address);
/** From a signal's handler: the report is complete, as far as it can be. */
void flight_reported(struct flight_worker *worker);
/** The report of @worker; NULL: none. */
struct flight_report *flight_report_of(const struct flight_worker *worker);

/* ---- the main thread ---- */

/**
 * Look for handlers that have not returned by their hard limit: their threads are given up and
 * asked to report where they are.
 *
 * @return when to look again, in ms from now; -1: no need
 */
int64_t flight_watch(struct flight *flight, int64_t now_ms);

/** Was a thread lost, of whatever recorder of this process? Thread: any. */
bool flight_process_tainted(void);

/** Is there something new to look at, since the last call? */
static inline bool flight_told(struct flight *flight)
{
    return atomic_exchange(&flight->told, false);
}

/** Is @thread lost: parked after a crash, or given up? Thread: main. */
bool flight_has_lost(const struct flight *flight, pid_t thread);

/** The next report that was not taken yet, or NULL. Thread: main. */
struct flight_report *flight_next_report(struct flight *flight);

/** Log the calls of @report, a line for each. */
void flight_log_calls(const struct flight_report *report);

/** The process is about to re-execute itself: count that. Async-signal-safe. */
void flight_count_restart(struct flight *flight);
/** How long this process should wait before it takes messages, in ms: it restarts too often. */
int64_t flight_restart_delay_ms(const struct flight *flight);
/** The same for a number of restarts in a row. */
int64_t flight_delay_ms(uint32_t restarts);

/** How many messages of earlier processes are suspected. */
uint32_t flight_suspects(const struct flight *flight);

/* ---- a process that falls ---- */

/** After this many falls in a row the next process runs one message at a time. */
#define FLIGHT_FALLS_MAX 3
/** A process that lived this long ends the row. */
#define FLIGHT_CALM_MS 60000

/** Messages begun here. Async-signal-safe. */
uint64_t flight_begun(const struct flight *flight);

/**
 * From a signal's handler, or when something of warren's own was taken away: the process falls.
 *
 * @signal  0: none
 * @return  the report to be completed; NULL: there is no room for it
 */
struct flight_report *flight_fell(struct flight *flight, int signal, int code, const void *address);

/** Is every message to run alone? */
static inline bool flight_is_narrow(const struct flight *flight)
{
    return atomic_load_explicit(&flight->narrow, memory_order_relaxed);
}
/** No longer, if this process has lived for FLIGHT_CALM_MS by @now_ms. */
void flight_look_for_calm(struct flight *flight, int64_t now_ms);
/** The message that made processes fall was found: the row ends. */
void flight_found(struct flight *flight);

#endif
