/* crew.h - what the workers of one subscription have: a job each, the chain that they run it
 * through, and the guard.
 * Thread: a worker's for crew_run(), the loop's for the rest. Owner:
 * struct subscription embeds one. Elsewhere: who these workers are (consume/workers/runner.h).
 */
#ifndef WARREN_CONSUME_CREW_H
#define WARREN_CONSUME_CREW_H

#include "consume/job/guard.h"
#include "consume/job/meter.h"

struct crew {
    struct chain chain;
    struct chain returned_publish; /* its judges: see returned_publish.h */
    struct guard guard;
    struct meter meter;
    struct warren_job **jobs; /* one a worker */
    uint32_t concurrency;
};

/**
 * @source   borrowed; its handler ends the chain
 * @members  all middlewares of the subscription, outermost first
 * @return   WARREN_OK; as chain_init() and guard_init(). @crew must stay where it is.
 */
enum warren_status crew_init(struct crew *crew, const struct job_source *source,
                             const struct chain_member *members, size_t count,
                             const struct guard_options *guard);
/** A zeroed one is fine, and one that crew_init() left half made. */
void crew_done(struct crew *crew);

/**
 * Worker @worker makes @attempt, begun at @begun_ns of the source's clock. guard_ended() is to
 * follow.
 *
 * @return as job_end()
 */
bool crew_run(struct crew *crew, uint32_t worker, struct attempt *attempt, int64_t begun_ns);
/** That took @took_ns, with handing it on. On the same worker, after it. */
void crew_ran(struct crew *crew, uint32_t worker, int64_t took_ns);

/** How long an attempt has been running beyond its time limit, the one that does so longest, in ms;
 * 0: none does. */
int64_t crew_overdue_ms(const struct crew *crew, int64_t now_ms);

/** The source's deadline has become an earlier one. */
void crew_deadline_moved(struct crew *crew);

#endif
