/* consumer.h - one subscription on a channel of its own: qos, consume, deliveries, acks; restored
 * after a loss of the connection, the channel, or a cancel by the broker.
 *
 * Thread: the loop's, but where it says so. Owner: the consumer runtime.
 * Elsewhere: who runs the deliveries and what verdict they get (consume/).
 */
#ifndef WARREN_AMQP_CONSUMER_H
#define WARREN_AMQP_CONSUMER_H

#include "amqp/connection/channel.h"
#include "amqp/consumer/ack_batcher.h"
#include "amqp/consumer/stream_offsets.h"
#include "amqp/wire/delivery.h"

struct consumer;

/** Everything is copied by consumer_new(). */
struct consumer_options {
    const char *queue;
    uint16_t prefetch;                    /* unsettled messages, 1 to 65535 */
    size_t prefetch_bytes;                /* unsettled bytes: above, the broker is asked to stop
                                             (basic.cancel), and to go on at half of it; 0: no bound */
    size_t message_max;                   /* a larger body is skipped and rejected */
    size_t room;                          /* bytes in front of each delivery; see delivery_new() */
    bool deliver_unfit;                   /* what is unfit is the owner's: see below */
    uint32_t straggler_age_ms;            /* see ack_batcher_flush() */
    const struct warren_table *arguments; /* of basic.consume, such as x-priority; may be NULL */
    bool is_stream;                       /* the queue. After a loss it goes on with what was not
                                             acked or rejected, whatever the arguments say; */
    stream_begin begin;                   /* and at first it begins there */
    bool stop_at_gap;                     /* nothing is delivered behind a gap */
};

/** Events for the owner, on the loop. */
struct consumer_events {
    /** A message; the callee owns it, and gives it back to consumer_settle(). */
    void (*deliver)(void *user, struct delivery *delivery);
    /** The broker sends (consume-ok); also after each recovery. */
    void (*consuming)(void *user);
    /** It stopped: channel error, broker's cancel, refused consume. It comes back by itself. */
    void (*interrupted)(void *user, const char *reason, uint32_t retry_ms);
    /** A body above message_max, or headers nested too deeply or too large: neither is kept, and of
     *  the properties only a message id. It is rejected; with deliver_unfit the callee owns it, as
     *  one of `deliver`. */
    void (*unfit)(void *user, struct delivery *without_body, const char *why, uint64_t body_size);
    /** A stream begins at @offset, and not at @expected as it was asked to: retention removed what
     *  was between them. With stop_at_gap nothing is delivered any more. May be NULL. */
    void (*gap)(void *user, uint64_t expected, uint64_t offset);
};

enum warren_status consumer_new(struct connection *connection,
                                const struct consumer_options *options,
                                const struct consumer_events *events, void *user,
                                struct consumer **ret_consumer);
/**
 * Have other options: prefetch, prefetch_bytes, message_max, room, straggler_age_ms, stop_at_gap,
 * and, with @other_arguments, which a stream cannot have, arguments; all else is as it was. What
 * counts at the broker makes it subscribe anew on the same channel (RabbitMQ takes basic.qos for
 * subscriptions to come): nothing that is unsettled comes again, and until it is settled, it counts
 * beside the new prefetch.
 *
 * @return WARREN_OK; WARREN_ENOMEM: the arguments are as they were, all else is changed
 */
enum warren_status consumer_change(struct consumer *consumer,
                                   const struct consumer_options *options, bool other_arguments);
/** Of these options, those that all consumers of a runtime have in common. */
void consumer_set_limits(struct consumer *consumer, size_t message_max, uint32_t straggler_age_ms);
/** Subscribe now and after every loss; the queue must be declared first. */
void consumer_start(struct consumer *consumer);

/**
 * Ask the broker to send no more (basic.cancel); what has come may still be settled. @done is
 * called once the broker has answered, or at once if nothing is open. Until consumer_resume().
 */
void consumer_pause(struct consumer *consumer, void (*done)(void *user), void *user);
void consumer_resume(struct consumer *consumer);
/**
 * Subscribe no more; the subscription that there is lasts until the channel ends, so that nobody
 * else gets what is behind the messages that consumer_hand_back() gives back. Until
 * consumer_resume(), which must not be called before that end.
 */
void consumer_stay(struct consumer *consumer);
/** After consumer_stay(), when nothing is left to be settled: end the channel, and with it the
 * subscription; what has come since goes back. Another channel is opened. */
void consumer_end(struct consumer *consumer);

/**
 * Tell the broker. The consumer frees @delivery. A delivery of an older generation is counted and
 * dropped: the broker delivers it again.
 */
void consumer_settle(struct consumer *consumer, struct delivery *delivery, enum verdict verdict);
/**
 * Give @delivery no verdict, and free it: it stays unsettled, and counts against the prefetch,
 * until consumer_hand_back() or the end of the channel.
 */
void consumer_leave(struct consumer *consumer, struct delivery *delivery);
/** @to is now what was @from, which is freed by the owner: they may differ in their room. */
void consumer_moved(struct consumer *consumer, const struct delivery *from,
                    const struct delivery *to);
/** Send acks that are due. @all: also those behind a gap, whatever their age. */
void consumer_flush(struct consumer *consumer, bool all);
/**
 * Send all acks, then hand back whatever is not settled, in its old order: with one basic.nack
 * where the broker does not count that as a delivery (RabbitMQ 4.3), else by the end of the
 * channel, once the broker has processed the acks; barriers that wait meanwhile are lost. All of
 * that which was not left is then to be settled with VERDICT_HANDBACK. Only while paused, or after
 * consumer_stay(): then by the end of the channel.
 */
void consumer_hand_back(struct consumer *consumer);
/** Whether the broker leaves a basic.nack out of its count of failed deliveries. */
bool consumer_hands_back_free(const struct consumer *consumer);
/** Less than half of the prefetch is taken, in messages and in bytes: acks may wait a little. */
bool consumer_roomy(const struct consumer *consumer);
/** Acks settled but not sent. */
uint32_t consumer_unsent(const struct consumer *consumer);

/**
 * A round trip that proves that the broker has processed what was sent before (basic.qos again).
 * @done(user, true), or (user, false) if the channel was lost meanwhile.
 */
void consumer_barrier(struct consumer *consumer, void (*done)(void *user, bool passed), void *user);

/**
 * The same for a channel that may be closed, or killed, next: proves that the queue has all that
 * was settled before. A channel has not passed that on when it answers consumer_barrier(): while
 * many ack frames for a quorum queue are not yet on its disk, it keeps further ones back, and
 * forgets them if it is closed (seen in 3.10.8). So where there were many, this goes through the
 * queue: a second subscription is made, answered behind all acks that were passed on, and
 * cancelled, answered behind those kept back until then. That one has the lowest priority and a
 * prefetch of 1. The message that it gets where no other takes one is given back at once, or,
 * while this consumer is paused, with the end of the channel; that counts as a delivery. Not for a
 * stream, which knows no priority.
 */
void consumer_queue_barrier(struct consumer *consumer, void (*done)(void *user, bool passed),
                            void *user);

/** The channel generation now; 0 while there is none. Thread: any. */
uint32_t consumer_generation(const struct consumer *consumer);
/** On a stream: where to begin so that nothing is lost. Thread: any. */
stream_begin consumer_begin(const struct consumer *consumer);
/** Bytes of the deliveries that are unsettled. Thread: any. */
size_t consumer_bytes(const struct consumer *consumer);

/** What keeps the broker from sending. */
struct consumer_look {
    bool consuming;     /* nothing: consume-ok came, and no cancel was sent since */
    bool full;          /* prefetch_bytes */
    bool at_gap;        /* of a stream, with stop_at_gap */
    const char *reason; /* of the interruption that lasts; "": there is none. Valid until the loop's
                           next turn */
};
void consumer_look(const struct consumer *consumer, struct consumer_look *ret);

struct consumer_stats {
    uint64_t delivered;
    uint64_t redelivered;
    uint64_t settled;
    uint64_t ack_frames;
    uint64_t stale; /* settled in an older generation: dropped */
    uint64_t unfit;
    uint64_t recoveries;
    uint64_t byte_pauses; /* times prefetch_bytes was reached */
};
/** Thread: any. */
void consumer_stats(const struct consumer *consumer, struct consumer_stats *stats);

/** Tell those who still wait for a barrier that it is lost: consumer_free() follows. */
void consumer_give_up_barriers(struct consumer *consumer);
/** The channel is closed. Not while deliveries are unsettled. NULL is fine. */
void consumer_free(struct consumer *consumer);

#endif
