/* owner_lock.h - which processes use a database file, and whether one that had it still lives.
 *
 * Locks of the kernel on a file beside it ("-lock"), which end with the process, however it ends.
 * Source: fcntl(2), open file description locks.
 * Thread: one at a time.
 */
#ifndef WARREN_STORE_OWNER_LOCK_H
#define WARREN_STORE_OWNER_LOCK_H

#include "store/db/database.h"

struct owner_lock;

/**
 * Become a user of the file of @database: the only one, or one of several.
 *
 * @return WARREN_OK; WARREN_ECONFIG if others use it and do not share, with what to do; WARREN_EIO
 *         or WARREN_ENOMEM
 */
enum warren_status owner_lock_new(const struct database *database, bool shared,
                                  struct owner_lock **ret_lock, struct warren_error *error);
/** NULL is fine. */
void owner_lock_free(struct owner_lock *lock);

/** A number that no other process had or will have for this file; above 0. */
int64_t owner_lock_id(const struct owner_lock *lock);
/** Does the process with this number still use the file? It is not this one. */
bool owner_lock_lives(const struct owner_lock *lock, int64_t id);

#endif
