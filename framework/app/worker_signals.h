/* worker_signals.h - SIGTERM, SIGINT and SIGHUP of a worker: caught, counted, and reported by
 * a semaphore; SIGPIPE, which does nothing. That needs no descriptor, so a handler cannot close it.
 *
 * Mutable globals here: what has come, for a process has but one disposition of each signal.
 * Thread: main, but for the signals' handler.
 */
#ifndef WARREN_APP_WORKER_SIGNALS_H
#define WARREN_APP_WORKER_SIGNALS_H

#include <semaphore.h>
#include <signal.h>

#include "base/signal_tally.h"

/** After a second signal the process ends within this time, whatever its main thread waits for. */
#define SIGNALS_END_S 5

/** Add these signals to @set. */
void worker_signals_add(sigset_t *set);
/**
 * The process is a worker from now on: signals wait for worker_signals_take(), here or in a process
 * that this one becomes, and are never given back.
 */
void worker_signals_hold(void);
/** Catch them. @return what is posted for each that counts, and by whoever else likes; NULL: they
 *  are taken already, for another worker */
sem_t *worker_signals_take(void);
/** As it was before worker_signals_take(), unless they are held; but for what others have changed
 *  since. Harmless without it. */
void worker_signals_give_back(void);
/** What has come since worker_signals_take(). */
struct signal_tally *worker_signals(void);

#endif
