/* settled.h - the way back: deliveries that are handled, from many threads to the loop, without a
 * lock. A Treiber stack that is only ever emptied as a whole, so there is no ABA.
 * Bounded by what was pushed to the executor: a delivery is here at most once.
 */
#ifndef WARREN_CONSUME_SETTLED_H
#define WARREN_CONSUME_SETTLED_H

#include <stdatomic.h>
#include <stdbool.h>

#include "consume/workers/batch.h"

/** All zero: empty. */
struct settled {
    _Atomic(struct delivery *) top;
};

/**
 * Give @delivery to the loop.
 *
 * @return true if nothing was waiting
 * Thread: any.
 */
bool settled_push(struct settled *settled, struct delivery *delivery);

/** Thread: any. */
bool settled_empty(const struct settled *settled);

/** Append everything to @batch, in the order of pushing. Thread: one. */
void settled_take(struct settled *settled, struct batch *batch);

#endif
