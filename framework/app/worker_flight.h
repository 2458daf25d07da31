/* worker_flight.h - what the main thread does for handlers that crash or never return: it keeps the
 * flight recorder, logs what happened, and re-executes the process once it has drained.
 * Thread: main. Elsewhere: the recorder and the signals (consume/).
 */
#ifndef WARREN_APP_WORKER_FLIGHT_H
#define WARREN_APP_WORKER_FLIGHT_H

#include <warren/worker.h>

#include "base/process_state.h"
#include "config/config.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"

struct worker_service;

struct worker_flight {
    struct flight *flight;
    struct fault_plan plan;
    struct process_state start; /* but for the environment, which is in plan.env */
    size_t argv_size;           /* of what plan.argv is, with its texts */
    size_t env_size;
};

/**
 * Open the recorder that @config asks for and take the signals of faults.
 *
 * @wake    posted when the main thread has something to look at; borrowed
 * @return WARREN_OK; WARREN_EIO or WARREN_ENOMEM with @error; worker_flight_close() in any case
 */
enum warren_status worker_flight_open(struct worker_flight *flight, const struct config *config,
                                      sem_t *wake, struct warren_error *error);

/**
 * The queues are those of @now, while the connections are still those of @first: the next process,
 * which begins with these, finds the recorder. If it will not, that is logged.
 */
void worker_flight_follow(struct worker_flight *flight, const struct config *first,
                          const struct config *now);

/** The process is the worker's alone: it may re-execute itself. @start: what is @flight's then */
void worker_flight_own_process(struct worker_flight *flight, struct process_state *start);

/** Log the reports that have come. */
void worker_flight_report(struct worker_flight *flight);

/** Is a thread lost? */
static inline bool worker_flight_tainted(const struct worker_flight *flight)
{
    return atomic_load(&flight->flight->tainted);
}

/** Log why, end the log, and become a new process. Returns only if that failed, which is logged. */
void worker_flight_reexecute(struct worker_flight *flight);

/** The worker has ended; @abandoned: threads remain that may touch the recorder, so it stays. */
void worker_flight_close(struct worker_flight *flight, bool abandoned);

/**
 * To be called between warren_worker_new() and warren_worker_run(): after a crash in a handler
 * warren_worker_run() re-executes the process instead of returning WARREN_ETAINTED.
 *
 * @start    of the process, taken before warren_worker_new(); what it holds is the worker's then
 * @service  who started it: worker_service_take(), before warren_worker_new(); copied
 */
void worker_own_process(struct warren_worker *worker, struct process_state *start,
                        const struct worker_service *service);

#endif
