/* flight_private.h - what the files of the flight recorder share. */
#ifndef WARREN_CONSUME_FLIGHT_PRIVATE_H
#define WARREN_CONSUME_FLIGHT_PRIVATE_H

#include "consume/crash/flight_recorder.h"

/** Add what the recorder @from of an earlier process says to that of @user, a struct flight. */
void flight_load(void *user, const struct flight_file *from);

/** What the file @path of an earlier process knew is lost: log it. */
void flight_refuse(void *user, const char *path, const char *why);

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
