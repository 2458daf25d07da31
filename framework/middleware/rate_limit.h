/* rate_limit.h - the rate limit middleware: so many messages a second and no more.
 * It only governs admission: no worker thread waits, and no attempt costs anything. A retried
 * message counts again.
 * Subscriptions with the same `name` share one limit, and take turns when it is short.
 * Thread: any; one mutex a limit, taken once for each batch that is admitted.
 * Elsewhere: the arithmetic (base/token_bucket.h).
 */
#ifndef WARREN_MIDDLEWARE_RATE_LIMIT_H
#define WARREN_MIDDLEWARE_RATE_LIMIT_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_rate_limit;

#endif
