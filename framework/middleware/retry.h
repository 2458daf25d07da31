/* retry.h - the retry middleware: when a failed attempt is made again, and when no more.
 * Takes no lock and allocates nothing; a success costs it one comparison.
 * Thread: any at once. Elsewhere: the delays (base/retry_policy.h), who waits (consume/).
 */
#ifndef WARREN_MIDDLEWARE_RETRY_H
#define WARREN_MIDDLEWARE_RETRY_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_retry;

/** What the option max_attempts means: attempts, 0 for no limit. */
int64_t retry_attempts(int64_t max_attempts, bool dead_letters);

#endif
