/* turn.h - whose turn it is, of the connections that this process has to one file, to write it.
 *
 * SQLite lets one writer in at a time, and the others poll: one that writes all the time starves
 * them. Here they queue. What this process knows of the file itself is kept here, too.
 * Thread: any; a turn may be given back by another thread than the one that took it.
 * Elsewhere: other processes (SQLite's busy time-out).
 */
#ifndef WARREN_STORE_TURN_H
#define WARREN_STORE_TURN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct turn;

/** That of the file @device, @inode: the same for all who ask. NULL: no memory. */
struct turn *turn_of(dev_t device, ino_t inode);
/** Once for each turn_of(). NULL is fine. */
void turn_put(struct turn *turn);

/**
 * Wait until all who came before have had theirs. Do not nest.
 *
 * @return false: it has none, for turn_break() was called
 */
bool turn_take(struct turn *turn);
void turn_give(struct turn *turn);
/** Who has it will never give it back: who waits, and who comes, is told so. */
void turn_break(struct turn *turn);

/** How large the file's log was when it was told of; 0: it was not, or is small again. Thread: any.
 */
int64_t turn_log_told(struct turn *turn);
/** It is told of now. @return what it was before */
int64_t turn_tell_log(struct turn *turn, int64_t bytes);

/** The file was emptied or overwritten: for as long as this process has it, whatever is in it then.
 * Thread: any. */
void turn_spoil(struct turn *turn);
bool turn_is_spoiled(const struct turn *turn);

/** Does somebody wait? */
bool turn_is_wanted(struct turn *turn);

#endif
