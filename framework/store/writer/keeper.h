/* keeper.h - keys of messages, claimed, completed and released by the writer of their file, so that
 * one commit serves many.
 *
 * A completion or a release that fails is tried again until it succeeds or the keeper is stopped:
 * the effect is there, only the note of it is not. A claim that fails is answered at once: nothing
 * was done yet. So is everything that will fail for ever. Elsewhere: what a claim is
 * (idempotency.h), who commits (writer.h), handlers that write in the same file (transactor.h).
 */
#ifndef WARREN_STORE_KEEPER_H
#define WARREN_STORE_KEEPER_H

#include "store/writer/writer.h"

struct keeper;
struct keeper_work;
struct transactor;

enum keeper_task { KEEPER_CLAIM, KEEPER_COMPLETE, KEEPER_RELEASE };

/** Called once, on the writer's thread: short, without waiting. @work is the caller's again. */
typedef void keeper_done_fn(struct keeper_work *work, enum warren_status status);

/** Something to be done for one message. Embedded in what the caller keeps of it. */
struct keeper_work {
    struct writer_work work; /* first */
    enum keeper_task task;
    struct idempotency_claim claim;
    keeper_done_fn *done;
    /* the keeper's */
    bool has_run;
    int64_t row;
};

struct keeper_options {
    struct database_options database; /* read_only and must_exist false */
    struct idempotency_options keys;
    uint32_t group_delay_us; /* how long a group may wait for more, under load */
    int64_t renew_ms;        /* how often the claims of this process are renewed */
    struct writer_events events;
    /** It forgets messages before their time, for there are too many; on the writer's thread, at
     * most once an hour. May be NULL.
     * @user    of the events
     * @age_ms  how long one is remembered at present */
    void (*forgot)(void *user, int64_t age_ms);
    bool transactional; /* handlers write in the file, too */
};

/** WARREN_OK; else as writer_get() and idempotency_store_open(), with @error. */
enum warren_status keeper_new(const struct keeper_options *options, struct keeper **ret_keeper,
                              struct warren_error *error);

/** For what is done in memory alone: trying, naming, retaining. */
struct idempotency_store *keeper_store(struct keeper *keeper);

/** For handlers that write in the store's file; NULL: there are none. */
struct transactor *keeper_transactor(struct keeper *keeper);

/** The one that commits. */
struct writer *keeper_writer(struct keeper *keeper);

/** Hand @work over until its `done`. In the order of handing over for each key. Thread: any. */
void keeper_submit(struct keeper *keeper, struct keeper_work *work);

/**
 * Do what was handed over, each at most once more; what fails is done with its status. Nothing may
 * be handed over after. Harmless to repeat. NULL is fine.
 */
void keeper_stop(struct keeper *keeper);
/** After keeper_stop(): close the store. NULL is fine. */
void keeper_free(struct keeper *keeper);

#endif
