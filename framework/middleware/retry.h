/* retry.h - the retry middleware: when a failed attempt is made again, and when no more.
 * Takes no lock and allocates nothing; a success costs it one comparison.
 * Thread: any at once. Elsewhere: the delays (base/retry_policy.h), who waits (consume/).
 */
#ifndef WARREN_MIDDLEWARE_RETRY_H
#define WARREN_MIDDLEWARE_RETRY_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_retry;

#endif
