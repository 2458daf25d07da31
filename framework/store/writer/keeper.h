/* keeper.h - the one thread that waits for the disk: it claims, completes and releases keys in
 * groups, so that one commit serves many messages.
 *
 * While a group is on its way to the disk the next one gathers. A completion that fails is tried
 * again until it succeeds or the keeper is stopped: the effect is there, only the note of it is
 * not. A claim that fails is answered at once: nothing was done yet. So is everything where the
 * store says that it will fail for ever. Bound: a work is in the hands of the keeper once, and
 * belongs to a message in a prefetch window. Elsewhere: what a claim is (idempotency.h).
 */
#ifndef WARREN_STORE_KEEPER_H
#define WARREN_STORE_KEEPER_H

#include "base/clock.h"
#include "store/idempotency/idempotency.h"

/** Most works of one transaction. */
#define KEEPER_GROUP_MAX 4096
/** So many do not wait for more. */
#define KEEPER_GROUP_GOOD 256

struct keeper;
struct keeper_work;
struct transactor;

enum keeper_task { KEEPER_CLAIM, KEEPER_COMPLETE, KEEPER_RELEASE };

/** Told once, on the keeper's thread: short, without waiting. @work is the caller's again. */
typedef void keeper_done_fn(struct keeper_work *work, enum warren_status status);

/** Something to be done for one message. Embedded in what the caller keeps of it. */
struct keeper_work {
    struct keeper_work *next; /* of the queue that it is in */
    enum keeper_task task;
    struct idempotency_claim claim;
    keeper_done_fn *done;
};

/** What is said of it, on the keeper's thread; any may be NULL. */
struct keeper_events {
    /** The first failure after a success; @retried: the works wait and are tried again. */
    void (*failed)(void *user, const char *error, size_t waiting);
    /** The first success after a failure. */
    void (*recovered)(void *user);
    void *user;
    /** What it takes on disk. @trouble: it grows; else that is over */
    void (*size)(void *user, bool trouble, const char *text);
    /** It forgets messages before their time, for there are too many. At most once an hour.
     * @age_ms  how long one is remembered at present */
    void (*forgot)(void *user, int64_t age_ms);
};

struct keeper_options {
    struct idempotency_store *store; /* the keeper's from now on, also on failure */
    uint32_t group_delay_us;         /* how long a group may wait for more, under load */
    int64_t renew_ms;                /* how often the claims of this process are renewed */
    struct keeper_events events;
    struct transactor *transactor; /* likewise; may be NULL */
};

/** Start the thread. WARREN_OK; WARREN_ENOMEM or WARREN_EIO with @error. */
enum warren_status keeper_new(const struct keeper_options *options, struct keeper **ret_keeper,
                              struct warren_error *error);

/** For try_claim, name and retain. */
struct idempotency_store *keeper_store(struct keeper *keeper);

/** For handlers that write in the store's file (transactor.h); NULL: there are none. */
struct transactor *keeper_transactor(struct keeper *keeper);

/** Hand @work over until its `done`. In the order of handing over for each key. Thread: any. */
void keeper_submit(struct keeper *keeper, struct keeper_work *work);

/** What it did. All counts only grow. */
struct keeper_stats {
    uint64_t claims; /* that needed the disk */
    uint64_t completions;
    uint64_t releases;
    uint64_t groups; /* transactions of completions */
    uint64_t failures;
    uint64_t overtaken; /* messages handled twice, for their claim had been taken over */
};

/** Thread: any. */
void keeper_stats(struct keeper *keeper, struct keeper_stats *stats);

/**
 * Do what was handed over, each at most once more; what fails is told so. Ends the thread; nothing
 * may be handed over after. Harmless to repeat. NULL is fine.
 */
void keeper_stop(struct keeper *keeper);
/** After keeper_stop(): close the store. NULL is fine. */
void keeper_free(struct keeper *keeper);

#endif
