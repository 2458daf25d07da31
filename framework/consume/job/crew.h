/* crew.h - what the workers of one subscription have: a job each, or several for a batch, and the
 * guard.
 * Thread: a worker's for crew_run(), the loop's for the rest. Owner:
 * struct subscription embeds one. Elsewhere: who these workers are (consume/workers/runner.h).
 */
#ifndef WARREN_CONSUME_CREW_H
#define WARREN_CONSUME_CREW_H

#include "consume/attempt/batch.h"
#include "consume/job/edition.h"
#include "consume/job/guard.h"
#include "consume/job/meter.h"

struct crew {
    struct guard guard;
    struct meter meter;
    const struct job_source *source;
    struct roster jobs;    /* struct warren_job, one a worker */
    struct roster hands;   /* struct crew_hand, the same; NULL: it gets no batches */
    uint32_t concurrency;  /* the most that there were so far */
    _Atomic uint32_t more; /* messages of batches that have not ended, beside one a worker */
};

/**
 * @source   borrowed
 * @return   WARREN_OK; WARREN_ENOMEM; as guard_init(). @crew must stay where it is.
 */
enum warren_status crew_init(struct crew *crew, const struct job_source *source,
                             const struct guard_options *guard);
/**
 * There are to be @concurrency workers; with fewer than before nothing is taken away. @batch and
 * @ahead as in guard_options.
 *
 * @return as crew_init(); then nothing has changed for those that there are
 */
enum warren_status crew_grow(struct crew *crew, uint32_t concurrency, uint32_t batch, bool ahead);
/** A zeroed one is fine, and one that crew_init() left half made. */
void crew_done(struct crew *crew);

/**
 * Worker @worker makes @attempt in its edition, begun at @begun_ns of the source's clock.
 * guard_ended() is to follow.
 *
 * @return as job_end()
 */
bool crew_run(struct crew *crew, uint32_t worker, struct attempt *attempt, int64_t begun_ns);
/** An attempt of a batch has ended. @settled  as job_end() has it */
typedef void crew_ended_fn(void *user, struct attempt *attempt, bool settled);
/**
 * The same for all of @batch, which it empties: together, but for those that are suspected.
 * guard_ended() is called in it, behind @ended of what has run. The jobs beside the worker's own
 * are made when they are needed first; without memory for them the batch is handled in parts.
 */
void crew_run_batch(struct crew *crew, uint32_t worker, struct batch *batch, int64_t begun_ns,
                    crew_ended_fn *ended, void *user);
/** That took @took_ns, with handing it on. On the same worker, after it. */
void crew_ran(struct crew *crew, uint32_t worker, int64_t took_ns);

/** How long an attempt has been running beyond its time limit, the one that does so longest, in ms;
 * 0: none does. */
int64_t crew_overdue_ms(const struct crew *crew, int64_t now_ms);

/** Workers whose threads are lost: what their jobs hold of semaphores is given back. Thread: any;
 * harmless to repeat. */
void crew_give_back_lost(struct crew *crew);

/** The source's deadline has become an earlier one. */
void crew_deadline_moved(struct crew *crew);

#endif
