/* late.h - an attempt that failed when it was over: the handler had returned, and then the broker
 * refused what it had published. The middlewares that decide about failed attempts, and those that
 * tell of them, are run once more (`late_failures` in <warren/middleware.h>), so that such an
 * attempt counts as any other.
 *
 *   handler > ACK > receipt: returned > links with late_failures > RETRY or REJECT > as always
 *
 * Thread: the worker's. Elsewhere: what a receipt means (settlement.h).
 */
#ifndef WARREN_CONSUME_LATE_H
#define WARREN_CONSUME_LATE_H

#include "consume/job/chain.h"
#include "consume/job/job.h"

/** The next attempt comes after so long if no middleware has another delay. */
#define LATE_AGAIN_MS 1000

/** Of all middlewares of a subscription. As chain_init(). */
enum warren_status late_init(struct chain *late, const struct chain_member *members, size_t count);

/** The delivery of @job, which has begun, is marked `late`: what shall become of it. */
enum warren_outcome late_run(const struct chain *late, struct warren_job *job);

#endif
