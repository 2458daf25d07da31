/* window.h - the messages that have not ended: what is to be sent next, and what a confirm, a
 * return, a deadline or a lost connection means for them. Sans-IO.
 *
 *   add > queued > next, sent > in flight > ack, nack, expire > ended
 *            ^                     |
 *            +------ restart ------+
 *
 * A message that is also on disk (spool_id) is lost by nothing that happens here, so its receipt
 * may come before its end: as SPOOLED.
 *
 * Messages stay in the order of their publishing, so after a restart they are sent again in that
 * order. A message that ended is moved to `ended`, with its result, for the owner to take.
 * Delivery tags count from 1 in each generation of the channel; a tag of a message that ran into
 * its deadline stays known until the broker confirms it, so that a late confirm is no error.
 *
 * A message that makes the broker close the channel (a missing exchange, say) is not named by the
 * broker. After such a loss everything that was in flight is suspect and is sent in groups, each
 * waiting for the confirms of the one before: one message, then two, then four. If the channel is
 * closed again, it was one of that group, and they begin again with one. The one that is alone in
 * flight when the channel is closed is the culprit: it ends as RETURNED with the broker's words,
 * together with the other suspects for the same exchange if that does not exist (404). Everything
 * else goes on. So of n messages one is found within about (log2 n)^2 / 2 round trips, and where
 * each is bad, each costs one channel. Thread: none of its own (the publisher's loop). Elsewhere:
 * the bytes (record.h).
 */
#ifndef WARREN_PUBLISH_WINDOW_H
#define WARREN_PUBLISH_WINDOW_H

#include "publish/message/record.h"

/** Tags between the oldest unconfirmed one and the next; more, and the broker forgot one. */
#define WINDOW_TAGS_MAX ((size_t)1 << 22)

struct window {
    struct list records;  /* those that have not ended, by seq */
    struct list *unsent;  /* the first queued one in records; the head itself if none is */
    struct list ended;    /* in the order in which they ended */
    struct record **tags; /* ring by tag: in flight, confirmed (NULL), or ended and unconfirmed */
    size_t tags_capacity; /* a power of two */
    uint64_t first_tag;   /* the oldest that was not confirmed */
    uint64_t next_tag;
    uint64_t returned_tag;   /* of the last return: the next one is behind it */
    uint32_t in_flight;      /* records that are sent and have not ended */
    uint64_t next_seq;       /* above all that were added */
    uint64_t suspects_until; /* up to this seq, in groups */
    uint32_t group_size;     /* of the next group */
    uint32_t group_left;     /* of the present one, not sent yet */
    uint64_t lost_until;     /* last seq in flight at the last restart; 0: none was */
    bool lost_alone;         /* and that was the only one */
    bool narrowed;           /* the last blame ended a message, or left fewer to be suspected */
    uint64_t trial_seq;      /* of the one that goes alone; 0: none does */
    bool trial_refused;      /* a queue did, and it waits for window_try_again() */
    uint64_t resent;
    int64_t deadline_ms; /* no record's is earlier */
};

enum warren_status window_init(struct window *window);
/** Frees the records that are left, without a result. */
void window_done(struct window *window);

/** Behind all others; its seq must be the highest. */
void window_add(struct window *window, struct record *record);

/** What shall be sent now, or NULL. */
struct record *window_next(const struct window *window);
/**
 * The record of window_next() is being written: it gets the next tag.
 *
 * @return WARREN_OK; WARREN_EFULL: WINDOW_TAGS_MAX later messages were sent while one is
 *         unconfirmed; WARREN_ENOMEM
 */
enum warren_status window_sent(struct window *window, struct record *record);
/**
 * The record of window_next() is sent alone: it waits until nothing else is in flight, and all
 * others for its end. If it is nacked it has not ended: see trial_refused. window_restart() forgets
 * that.
 */
void window_try(struct window *window, struct record *record);
/** While trial_refused: it is sent @again; else it ends as NACKED. */
void window_try_again(struct window *window, bool again);
/** The record of window_next() cannot be sent: it ends as RETURNED with @code and @text. */
void window_refuse(struct window *window, struct record *record, uint16_t code, const char *text);
/**
 * After window_restart(): end every message that @concerned picks as RETURNED.
 *
 * @return the first of them, or NULL
 */
struct record *window_refuse_those(struct window *window,
                                   bool (*concerned)(const struct record *record, const void *user),
                                   const void *user, uint16_t code, const char *text);

/**
 * basic.ack, or basic.nack if @negative.
 *
 * @return WARREN_OK, or WARREN_EPROTOCOL if the tag was not sent, or was confirmed before
 */
enum warren_status window_confirm(struct window *window, uint64_t tag, bool multiple,
                                  bool negative);

/** What basic.return and its content say. Strings need not end with NUL. */
struct window_return {
    struct warren_bytes exchange;
    struct warren_bytes routing_key;
    struct warren_bytes message_id;
    uint16_t code;
    const char *text;
};

/**
 * Mark the oldest unmarked message in flight with that id, exchange and routing key; its ack will
 * end it as RETURNED. One that ended meanwhile is ignored.
 */
void window_returned(struct window *window, const struct window_return *from);

/** The channel is gone: everything in flight is queued again; what was returned has ended. */
void window_restart(struct window *window);
/**
 * After window_restart(): the broker closed the channel, or the connection, because of something
 * that was published.
 *
 * What was in flight is sent in groups from then on, until the cause is in flight alone; of an
 * internal error (541), three times.
 *
 * @return the record that was the cause, ended now, or NULL if it is not known yet; `narrowed` says
 *         whether the next blame can only be for another one, or for fewer
 */
struct record *window_blame(struct window *window, uint16_t code, const char *text);

/**
 * After window_restart() and window_blame(): end what was sent and is not to be sent again, as
 * TIMEOUT.
 *
 * @return how many
 */
uint32_t window_end_once(struct window *window);
/**
 * End all whose deadline has come: TIMEOUT if sent, else EXPIRED. Not a half-written one.
 * Of spooled messages whose leave_ms has come the receipt ends, as SPOOLED; the message stays.
 */
void window_expire(struct window *window, int64_t now_ms);
/** The receipts of spooled messages come at @at_ms, if not before. */
void window_leave_by(struct window *window, int64_t at_ms);
/** A message for which there was no room: only its receipt ends, with the result that it has. */
void window_pass(struct window *window, struct record *record);
/** End all; spooled messages as SPOOLED. */
void window_end_all(struct window *window);

/** Every message with a lower seq has ended. */
uint64_t window_ended_below(const struct window *window);

/** How much is in the window, against its bounds. The publisher guards it by a lock. */
struct room {
    uint32_t messages;
    uint32_t messages_max;
    size_t bytes;
    size_t bytes_max;
};

static inline bool room_fits(const struct room *room, size_t bytes)
{
    return room->messages < room->messages_max && bytes <= room->bytes_max &&
           room->bytes <= room->bytes_max - bytes;
}

/**
 * For a message that the caller must be able to pass on, whatever its size: one above bytes_max
 * needs only that bytes_max is not reached yet. Its bound is the caller's.
 */
static inline bool room_fits_any_size(const struct room *room, size_t bytes)
{
    if (bytes <= room->bytes_max)
        return room_fits(room, bytes);
    return room->messages < room->messages_max && room->bytes < room->bytes_max;
}

static inline void room_take(struct room *room, size_t bytes)
{
    room->messages++;
    room->bytes += bytes;
}

static inline void room_give(struct room *room, uint32_t messages, size_t bytes)
{
    room->messages -= messages;
    room->bytes -= bytes;
}

/** A quarter is free: worth waking those who wait for room. */
static inline bool room_is_wide(const struct room *room)
{
    return room->messages <= room->messages_max - (room->messages_max + 3) / 4 &&
           room->bytes <= room->bytes_max - room->bytes_max / 4;
}

#endif
