/* spool_choice.h - messages of a spool that a command is to change: chosen by reading, and changed
 * in short transactions, between which a publisher that has the file gets its turn.
 * Thread: main. Owner: the caller, of a struct that begins as all zero.
 */
#ifndef WARREN_COMMAND_SPOOL_CHOICE_H
#define WARREN_COMMAND_SPOOL_CHOICE_H

#include "command/spool/command_spool.h"

struct spool_choice {
    struct spool_chosen *items;
    size_t count;
    size_t capacity;
    size_t unsent; /* of these, not refused: only the one sender of the file may change them */
};

/** Choose the messages of a kind, and if @ids are given, those alone. WARREN_OK, or as
 * spool_read(). */
enum warren_status spool_choose(struct spool_choice *choice, struct spool *spool,
                                enum spool_which which, const struct spool_ids *ids,
                                struct warren_error *error);
void spool_choice_done(struct spool_choice *choice);

/** spool_remove() or spool_unrefuse() */
typedef enum warren_status spool_change_fn(struct spool *spool, int64_t id, bool *ret_done,
                                           struct warren_error *error);

/**
 * Change each of them. What is gone by now, or sent, is passed over.
 *
 * @ret_count  how many were changed, for good, also on failure
 * @return     WARREN_OK, or as spool_commit()
 */
enum warren_status spool_choice_change(const struct spool_choice *choice, struct spool *spool,
                                       spool_change_fn *change, int64_t *ret_count,
                                       struct warren_error *error);

#endif
