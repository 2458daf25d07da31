/* recover.h - the recover middleware: warren_panic() ends here, as a failed attempt.
 *
 * What runs inside it (the handler, and middlewares further in) may give an attempt up from any
 * depth. The attempt becomes WARREN_RETRY with the panic's text, and one line at warn tells queue,
 * handler, message id and attempt. The stack between is left without being unwound.
 * Without a panic it costs one setjmp(), which saves no signal mask: no system call.
 * Thread: any at once.
 * Elsewhere: the jump itself (warren_panic() in consume/); what a retry means (retry.h).
 */
#ifndef WARREN_MIDDLEWARE_RECOVER_H
#define WARREN_MIDDLEWARE_RECOVER_H

#include <warren/middleware.h>

extern const struct warren_middleware middleware_recover;

#endif
