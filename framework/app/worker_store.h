/* worker_store.h - the store of handled messages that a worker's configuration asks for.
 * Thread: main.
 */
#ifndef WARREN_APP_WORKER_STORE_H
#define WARREN_APP_WORKER_STORE_H

#include "app/worker_setup.h"
#include "consume/crash/flight_recorder.h"
#include "store/writer/key_writer.h"

/**
 * Is the store named if a subscription needs one, and has each transactional handler one? After
 * worker_setup_chains().
 *
 * @return WARREN_OK; WARREN_ECONFIG with @error
 */
enum warren_status worker_store_check(const struct worker_setup *setup, struct warren_error *error);
/** The second of these alone. */
enum warren_status worker_store_check_chains(const struct worker_setup *setup,
                                             struct warren_error *error);

/**
 * Open it, if a subscription needs one; what it cannot do goes to the log.
 *
 * @ret_keys  NULL: none does
 * @return      WARREN_OK; WARREN_ECONFIG (another program's file, one in use), WARREN_EIO,
 *              WARREN_EFULL, WARREN_ETIMEOUT or WARREN_ENOMEM with @error
 */
enum warren_status worker_store_open(const struct worker_setup *setup, struct key_writer **ret_keys,
                                     struct warren_error *error);

/** Threads of @flight were lost: if one of them is in the transaction of transactional handlers, it
 * keeps it, and what this process would write is given up. @key_writer may be NULL. */
void worker_store_lost(struct key_writer *key_writer, const struct flight *flight);
/** May the handler of this subscription be closed, which finalizes its statements? */
bool worker_store_may_close(struct key_writer *key_writer, const struct setup_subscription *of);

/**
 * Can @setup be run with what is open?
 *
 * @return WARREN_OK; WARREN_ECONFIG with @error: it needs a store, or transactions, which are made
 *         at the start
 */
enum warren_status worker_store_is_open(const struct worker_setup *setup,
                                        struct key_writer *key_writer, struct warren_error *error);

#endif
