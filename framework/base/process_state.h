/* process_state.h - what a program finds at its start and hands on through execve(2): working
 * directory, umask, environment, ignored signals, limits, an alarm. A handler may change all of it;
 * a process that executes itself again is to begin as it did at first.
 * Elsewhere: descriptors and the mask of signals (consume/crash/fault.c).
 */
#ifndef WARREN_BASE_PROCESS_STATE_H
#define WARREN_BASE_PROCESS_STATE_H

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <warren/status.h>

struct process_state {
    char directory[PATH_MAX]; /* "": it had none that can be named */
    mode_t umask;
    sigset_t ignored;
    struct rlimit limits[RLIM_NLIMITS];
    char **environment; /* ends with NULL */
};

/**
 * As it is now. To be called while there is one thread.
 *
 * @return WARREN_OK; WARREN_ENOMEM: process_state_done()
 */
enum warren_status process_state_take(struct process_state *state);
/**
 * Another one of @from, for who lives longer.
 *
 * @return as process_state_take()
 */
enum warren_status process_state_copy(const struct process_state *from, struct process_state *to);
/** Zeroed is fine. */
void process_state_done(struct process_state *state);

/**
 * As it was, but for the environment, which is execve(2)'s. Limits that this process may not raise
 * stay. Async-signal-safe.
 *
 * @return 0, or errno: the working directory is not there any more
 */
int process_state_restore(const struct process_state *state);

#endif
