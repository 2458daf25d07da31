/* flight_private.h - what the files of the flight recorder share. */
#ifndef WARREN_CONSUME_FLIGHT_PRIVATE_H
#define WARREN_CONSUME_FLIGHT_PRIVATE_H

#include "consume/crash/flight_recorder.h"

/** Add what the recorder @from of an earlier process says to that of @user, a struct flight. */
void flight_load(void *user, const struct flight_file *from);

/** What the file @path of an earlier process knew is lost: log it. */
void flight_refuse(void *user, const char *path, const char *why);

/** Have the main thread look. Async-signal-safe. */
void flight_tell(struct flight *flight);

#endif
