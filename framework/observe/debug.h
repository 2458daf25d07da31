/* debug.h - looking inside of a running worker: what each thread does, and where the CPU time goes.
 * Both answer from a thread of their own (errand.h), for they wait.
 * Thread: the listener's. Elsewhere: sampling (stack_sampler.h), folding (profile.h).
 */
#ifndef WARREN_OBSERVE_DEBUG_H
#define WARREN_OBSERVE_DEBUG_H

#include "observe/errand.h"

/** /debug/threads: JSON, a member for each thread: name, state, CPU time, of a worker's thread its
 * queue, handler and message and for how long; and its calls, innermost first. */
void debug_threads(struct errand *errand, struct http_exchange *exchange);

/** /debug/profile?seconds=N: folded stacks, as profile_take(). */
void debug_profile(struct errand *errand, struct http_exchange *exchange);

#endif
