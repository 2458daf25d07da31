/* crash_private.h - what fault.c and fault_fall.c share, and the files of the flight recorder. */
#ifndef WARREN_CONSUME_CRASH_PRIVATE_H
#define WARREN_CONSUME_CRASH_PRIVATE_H

#include "consume/crash/flight_recorder.h"

/** Async-signal-safe. */
void fault_sleep_ms(int64_t ms);
/** Is it a fault of this process, which has @flight? Async-signal-safe. */
bool fault_is_ours(const struct flight *flight, const siginfo_t *info);

/**
 * From a signal's handler, outside of a plugin's: the process falls. Returns where the signal is to
 * have its way.
 *
 * @plain  it would end the process, without warren
 */
void fault_fall(int signal, const siginfo_t *info, void *context, bool plain);

/** Under the lock of fault.c: falls are noted in @flight, and no more. */
void fault_falls_add(struct flight *flight);
void fault_falls_remove(struct flight *flight);

/* ---- the flight recorder ---- */

/** Add what the recorder @from of an earlier process says to that of @user, a struct flight. */
void flight_load(void *user, const struct flight_file *from);

/** What the file @path of an earlier process knew is lost: log it. */
void flight_refuse(void *user, const char *path, const char *why);

/** The file @path of other queues, which nobody has had for long, is removed: log it. */
void flight_bury(void *user, const char *path);

/** One more. Async-signal-safe. */
static inline void flight_count(struct flight *flight, unsigned tally)
{
    atomic_fetch_add(&flight->file.head->tallies[tally], 1);
}

/** Its series; see flight_metrics.c. A zeroed one has none. */
void flight_metrics_init(struct flight *flight);
void flight_metrics_done(struct flight *flight);

/** Have the main thread look. Async-signal-safe. */
void flight_tell(struct flight *flight);

#endif
