/* worker_order.h - what `order:` of a subscription needs of its handler and its chain. Thread:
 * main.
 */
#ifndef WARREN_APP_WORKER_ORDER_H
#define WARREN_APP_WORKER_ORDER_H

#include "app/worker_setup.h"

/**
 * WARREN_OK; WARREN_ECONFIG with @error: the handler has no key to be asked for, or retry has
 * delays that no message can wait for in memory.
 */
enum warren_status worker_order_check(const struct worker_setup *setup, struct warren_error *error);

#endif
