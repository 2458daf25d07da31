/* resolver.h - host names to addresses, off the loop thread.
 * A look-up runs getaddrinfo(3) on a thread of its own, so that /etc/hosts and NSS count; an
 * address that is written as a number needs no thread. A look-up that hangs can be abandoned; at
 * most RESOLVER_HANGING_MAX abandoned ones may be hanging, then a new look-up fails.
 * Thread: the loop's.
 */
#ifndef WARREN_AMQP_RESOLVER_H
#define WARREN_AMQP_RESOLVER_H

#include <netdb.h>

#include "loop/loop.h"

#define RESOLVER_HANGING_MAX 4

struct resolver_lookup;

/**
 * @addresses  getaddrinfo's list, owned by the callee from now on (freeaddrinfo); NULL on failure
 * @error      the reason, if @addresses is NULL
 */
typedef void resolver_done_fn(void *user, struct addrinfo *addresses,
                              const struct warren_error *error);

/**
 * Begin; @done is called on the loop, never before this returns.
 *
 * @return WARREN_OK; WARREN_EFULL: too many hang; WARREN_EIO: no thread; WARREN_ENOMEM
 */
enum warren_status resolver_lookup(struct loop *loop, const char *host, uint16_t port,
                                   resolver_done_fn *done, void *user,
                                   struct resolver_lookup **ret_lookup);
/** Forget it: @done will not be called. Not after it was called. NULL is fine. */
void resolver_abandon(struct resolver_lookup *lookup);

#endif
