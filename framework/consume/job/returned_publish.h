/* returned_publish.h - an attempt that failed when it was over: the handler had returned, and then
 * the broker refused what it had published. The middlewares that decide about failed attempts, and
 * those that report them, are run once more (`late_failures` in <warren/middleware.h>), so that
 * such an attempt counts as any other.
 *
 *   handler > ACK > receipt: returned > links with late_failures > RETRY or REJECT > as always
 *
 * Thread: the worker's. Elsewhere: what a receipt means (settlement.h).
 */
#ifndef WARREN_CONSUME_RETURNED_PUBLISH_H
#define WARREN_CONSUME_RETURNED_PUBLISH_H

#include "consume/job/chain.h"
#include "consume/job/job.h"

/** The delay of the next attempt if no middleware has another. */
#define RETURNED_PUBLISH_AGAIN_MS 1000

/** Of all middlewares of a subscription. As chain_init(). */
enum warren_status returned_publish_init(struct chain *judges, const struct chain_member *members,
                                         size_t count);

/** The delivery of @job, which has begun, has a returned publish: what shall become of it. */
enum warren_outcome returned_publish_run(const struct chain *judges, struct warren_job *job);

#endif
