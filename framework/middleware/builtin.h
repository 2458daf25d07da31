/* builtin.h - warren's own middlewares, and which order of a chain makes sense.
 * Thread: any; read-only.
 */
#ifndef WARREN_MIDDLEWARE_BUILTIN_H
#define WARREN_MIDDLEWARE_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>

#include <warren/middleware.h>

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

#endif
