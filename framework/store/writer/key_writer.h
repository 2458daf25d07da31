/* key_writer.h - keys of messages, claimed, completed and released by the writer of their file, so
 * that one commit serves many.
 *
 * A completion or a release that fails is tried again until it succeeds or the key writer is
 * stopped: the effect is there, only the note of it is not. A claim that fails is answered at once:
 * nothing was done yet. So is everything that will fail for ever. Elsewhere: what a claim is
 * (idempotency.h), who commits (writer.h), handlers that write in the same file (transactor.h).
 */
#ifndef WARREN_STORE_KEY_WRITER_H
#define WARREN_STORE_KEY_WRITER_H

#include "store/writer/writer.h"

struct key_writer;
struct key_writer_work;
struct transactor;

enum key_writer_task { KEY_CLAIM, KEY_COMPLETE, KEY_RELEASE };

/** Called once, on the writer's thread: short, without waiting. @work is the caller's again. */
typedef void key_writer_done_fn(struct key_writer_work *work, enum warren_status status);

/** Something to be done for one message. Embedded in what the caller keeps of it. */
struct key_writer_work {
    struct writer_work work; /* first */
    enum key_writer_task task;
    struct idempotency_claim claim;
    key_writer_done_fn *done;
    /* the key writer's */
    bool has_run;
    int64_t row;
};

struct key_writer_options {
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
enum warren_status key_writer_new(const struct key_writer_options *options,
                                  struct key_writer **ret_keys, struct warren_error *error);

/** For what is done in memory alone: trying, naming, retaining. */
struct idempotency_store *key_writer_store(struct key_writer *key_writer);

/** For handlers that write in the store's file; NULL: there are none. */
struct transactor *key_writer_transactor(struct key_writer *key_writer);

/** Hand @work over until its `done`. In the order of handing over for each key. Thread: any. */
void key_writer_submit(struct key_writer *key_writer, struct key_writer_work *work);

/**
 * Do what was handed over, each at most once more; what fails is done with its status. Nothing may
 * be handed over after. Harmless to repeat. NULL is fine.
 */
void key_writer_stop(struct key_writer *key_writer);
/** After key_writer_stop(): close the store. NULL is fine. */
void key_writer_free(struct key_writer *key_writer);

#endif
