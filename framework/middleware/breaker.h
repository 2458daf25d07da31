/* breaker.h - the breaker middleware: lets what keeps failing rest, and tries it with probes.
 *
 * A failed attempt (WARREN_RETRY) is a failure, WARREN_ACK and WARREN_DISCARD are successes.
 * WARREN_REJECT is the message's own fault and says nothing, unless reject_counts; nor does
 * WARREN_REQUEUE, nor an attempt that was forgiven.
 *
 * While closed, a success costs one atomic addition (5 ns here, against 50 for a clock
 * reading and a mutex), a failure one mutex. Not closed, each message takes the mutex. It is held
 * for some arithmetic only.
 * Thread: any at once. Elsewhere: when it trips and closes (base/breaker_state.h).
 */
#ifndef WARREN_MIDDLEWARE_BREAKER_H
#define WARREN_MIDDLEWARE_BREAKER_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_breaker;

#endif
