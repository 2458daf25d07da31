/* publish_tally.h - how many of the messages of `warren publish` ended how, and saying so.
 * Thread: receipts come on the publisher's, all else is main's.
 */
#ifndef WARREN_COMMAND_PUBLISH_TALLY_H
#define WARREN_COMMAND_PUBLISH_TALLY_H

#include <stdatomic.h>
#include <stdio.h>

#include <warren/publisher.h>

/** Zeroed it is empty. */
struct publish_tally {
    uint64_t published;
    uint64_t earlier; /* messages that were in the spool before; the first ends are theirs */
    atomic_uint_fast64_t earlier_results[WARREN_SPOOLED + 1]; /* these ends, and those of refused
                                                                 messages that were too old */
    atomic_bool earlier_explained;
    bool has_spool; /* then SPOOLED is no failure */
    atomic_uint_fast64_t results[WARREN_SPOOLED + 1];
    atomic_bool explained; /* the first one that failed was reported with its reason */
};

/** For each message; @user is the tally. */
void publish_tally_receipt(const struct warren_receipt *receipt, void *user);
/** How one ended that was SPOOLED before: a spool_receipt. */
void publish_tally_end(const struct warren_receipt *receipt, void *user);

/** How many have ended, or are spooled. */
uint64_t publish_tally_ended(const struct publish_tally *tally);
/** How many have ended for good. */
uint64_t publish_tally_settled(const struct publish_tally *tally);
/** How many have ended that were in the spool before. */
uint64_t publish_tally_earlier(const struct publish_tally *tally);
/** True if there is nothing but confirmed messages, and spooled ones if there is a spool. */
bool publish_tally_is_clean(const struct publish_tally *tally);

/** The summary in one line; a second one if there were earlier messages. */
void publish_tally_write(const struct publish_tally *tally, double seconds, FILE *out);
/** The summary as one JSON object and a newline; what expired counts as timeout. If there were
 * earlier messages, `earlier` has their numbers. */
void publish_tally_write_json(const struct publish_tally *tally, double seconds, FILE *out);

#endif
