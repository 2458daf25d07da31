/* chain.h - the links around a handler, in one array, the handler last.
 * Thread: any at once; a chain does not change after chain_init().
 */
#ifndef WARREN_CONSUME_CHAIN_H
#define WARREN_CONSUME_CHAIN_H

#include <warren/middleware.h>

/** A middleware as a subscription has it. */
struct chain_member {
    const struct warren_middleware *middleware; /* borrowed */
    void *state;                                /* of its `open` */
    bool is_own;                                /* one of warren's, not of a plugin */
};

struct chain {
    struct warren_link *links; /* the handler's own link is */
    struct warren_link *last;
    const struct warren_handler *handler;
    void *state; /* of the handler */
};

/**
 * @members  the middlewares, outermost first; those without `call` are left out
 * @late     and those without `late_failures`
 * @handler  borrowed, with what its `open` gave as @state
 * @return   WARREN_OK or WARREN_ENOMEM. @chain must stay where it is.
 */
enum warren_status chain_init(struct chain *chain, const struct chain_member *members, size_t count,
                              bool late, const struct warren_handler *handler, void *state);
/** Its handler gets batches, if it takes any: see job_batch.h. Before it runs. */
void chain_take_batches(struct chain *chain);
/** A zeroed chain is fine. */
void chain_done(struct chain *chain);

/** Run all of it for @job. An answer that is no outcome counts as WARREN_RETRY. */
enum warren_outcome chain_run(const struct chain *chain, struct warren_job *job);

/* ---- returned publish ----
 *
 * an attempt that failed when it was over: the handler had returned, and then the broker refused
 * what it had published. The middlewares that decide about failed attempts, and those that report
 * them, are run once more (`late_failures` in <warren/middleware.h>), so that such an attempt
 * counts as any other.
 *
 *   handler > ACK > receipt: returned > links with late_failures > RETRY or REJECT > as always
 *
 * Thread: the worker's. Elsewhere: what a receipt means (settlement.h).
 */

/** The delay of the next attempt if no middleware has another. */
#define RETURNED_PUBLISH_AGAIN_MS 1000

/** Of all middlewares of a subscription. As chain_init(). */
enum warren_status returned_publish_init(struct chain *judges, const struct chain_member *members,
                                         size_t count);

/** The delivery of @job, which has begun, has a returned publish: what shall become of it. */
enum warren_outcome returned_publish_run(const struct chain *judges, struct warren_job *job);

#endif
