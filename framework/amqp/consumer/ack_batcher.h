/* ack_batcher.h - turns settled delivery tags into few basic.ack frames.
 *
 * Tags of one channel generation come in order and settle in any order. The longest settled
 * prefix leaves as one `multiple` ack; an ack behind a message that is still being handled leaves
 * singly, but only after `straggler_age`. A tag is never named twice, and a multiple ack only
 * names a tag that is itself outstanding (else: 406, and the channel is gone).
 * Thread: the loop's. Owner: struct consumer embeds one.
 * Elsewhere: which verdict a delivery gets (consume/relay/settlement.h).
 */
#ifndef WARREN_AMQP_ACK_BATCHER_H
#define WARREN_AMQP_ACK_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include <warren/status.h>

#include "base/counter.h"

/** What is sent to the broker about a delivery. */
enum verdict {
    VERDICT_ACK,     /* basic.ack */
    VERDICT_REJECT,  /* basic.reject, requeue=false: dead-letter */
    VERDICT_RETRY,   /* basic.reject, requeue=true: counts as a failed delivery */
    VERDICT_HANDBACK /* basic.nack, requeue=true: RabbitMQ 4.3 does not count it */
};

/**
 * Where the frames go; each returns what channel_send() returned. A failure ends the generation:
 * the batcher counts the tag as sent, so the caller drops the connection unless it is gone already.
 */
struct ack_sink {
    enum warren_status (*ack)(void *user, uint64_t tag, bool multiple);
    enum warren_status (*negative)(void *user, uint64_t tag, enum verdict verdict);
    void *user;
    /** basic.nack, multiple, requeue=true: everything up to @tag. */
    enum warren_status (*hand_back)(void *user, uint64_t tag);
};

/** Entries that the ring grows to: twice the largest prefetch of AMQP. */
#define ACK_BATCHER_MAX ((uint32_t)2 * 65536)

struct ack_entry; /* one tag */

struct ack_batcher {
    struct ack_sink sink;
    struct ack_entry *ring; /* in the order of tags, the first one not sent; may have gaps */
    uint32_t capacity;      /* a power of two */
    uint32_t head;          /* where the first entry is */
    uint32_t count;         /* entries */
    uint32_t told;          /* of these the broker knows already: they wait for a lower tag */
    uint32_t unsent;        /* acks settled but not sent */
    uint32_t generation;
    uint64_t next;     /* the tag that the next delivery must have */
    int64_t oldest_ms; /* no unsent ack was settled earlier */
    /* Read by any thread: see base/counter.h. */
    _Atomic uint64_t stale;     /* settles of an older generation, dropped */
    _Atomic uint64_t acks_sent; /* frames */
    _Atomic uint64_t settled;   /* deliveries */
};

/** In generation 0, to which no delivery belongs. WARREN_OK or WARREN_ENOMEM. */
enum warren_status ack_batcher_init(struct ack_batcher *batcher, const struct ack_sink *sink);
/** A zeroed batcher is fine. */
void ack_batcher_done(struct ack_batcher *batcher);

/** A new channel generation: forget all tags; they begin at 1 again. */
void ack_batcher_restart(struct ack_batcher *batcher, uint32_t generation);

/**
 * A delivery came. Tags must come as 1, 2, 3, ...
 *
 * @return WARREN_OK; WARREN_EPROTOCOL: another tag, or more than any prefetch allows; WARREN_ENOMEM
 */
enum warren_status ack_batcher_delivered(struct ack_batcher *batcher, uint64_t tag);

/**
 * Record that @tag is settled. Negative verdicts are sent at once, acks by ack_batcher_flush().
 *
 * @generation  of the channel that the delivery came from; an older one is counted as stale and
 *              dropped, for its tag means nothing now
 * @now_ms      to know later how long an ack has waited
 * @return      WARREN_OK; WARREN_EINVAL if @tag was settled before or never delivered; what the
 *              sink returned
 */
enum warren_status ack_batcher_settle(struct ack_batcher *batcher, uint32_t generation,
                                      uint64_t tag, enum verdict verdict, int64_t now_ms);

/** Never name @tag: it is the broker's again when the channel ends. */
void ack_batcher_abandon(struct ack_batcher *batcher, uint64_t tag);

/**
 * Send the settled prefix as one multiple ack, and every settled tag behind a gap that has waited
 * for @straggler_age_ms singly.
 *
 * @return the number of frames
 */
uint32_t ack_batcher_flush(struct ack_batcher *batcher, int64_t now_ms, int64_t straggler_age_ms);

/**
 * Hand back every tag that is not settled, with one frame. Nothing may wait in ack_batcher_flush().
 * Each of these tags is still to be settled, with VERDICT_HANDBACK, which then sends nothing.
 *
 * @return WARREN_OK; WARREN_ECLOSED: acks could not be sent before, so nothing was done; what the
 *         sink returned
 */
enum warren_status ack_batcher_hand_back(struct ack_batcher *batcher);

/** Tags that the broker still counts against the prefetch. */
static inline uint64_t ack_batcher_outstanding(const struct ack_batcher *batcher)
{
    return batcher->count - batcher->told;
}

#endif
