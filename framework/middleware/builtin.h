/* builtin.h - warren's own middlewares, each explained in its own file, and which order of a chain
 * makes sense. The one header of this floor that others need.
 * Thread: any; read-only.
 */
#ifndef WARREN_MIDDLEWARE_BUILTIN_H
#define WARREN_MIDDLEWARE_BUILTIN_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_log;
extern const struct warren_middleware middleware_trace;
extern const struct warren_middleware middleware_retry;
extern const struct warren_middleware middleware_breaker;
extern const struct warren_middleware middleware_rate_limit;
/**
 * Without a key writer in info->subscription (a configuration is checked, a message is tried alone)
 * every message is handled.
 */
extern const struct warren_middleware middleware_idempotency;
extern const struct warren_middleware middleware_deadline;
extern const struct warren_middleware middleware_recover;

#define BUILTIN_COUNT 8

/** All of them in the order of the standard chain, outermost first; NULL at the end. */
extern const struct warren_middleware *const builtin_middlewares[BUILTIN_COUNT + 1];

/** False: it has no numbers that fit all, and is in the standard chain only where it is named. */
bool builtin_is_standard(const char *name);

/**
 * Does the order of a chain make sense? Names that are not warren's may stand anywhere.
 *
 * @names        outermost first
 * @ret_culprit  written if not: which one stands wrong
 * @why          written if not: a sentence that says what to do
 */
bool builtin_in_order(const char *const *names, size_t count, size_t *ret_culprit, char *why,
                      size_t size);

/**
 * What this thread opens from now on, until builtin_try(false), shares nothing with what runs: for
 * options that are only tried while others of the same names are in force.
 */
void builtin_try(bool on);

/** What retry's option max_attempts means: attempts, 0 for no limit. */
int64_t retry_attempts(int64_t max_attempts, bool dead_letters);

#endif
