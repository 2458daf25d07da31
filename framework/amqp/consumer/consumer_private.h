/* consumer_private.h - the inside of a consumer, for consumer.c (the subscription),
 * consumer_deliveries.c (what comes on it and goes back), consumer_stream.c (where it begins on a
 * stream) and consumer_waiters.c (pauses and barriers).
 */
#ifndef WARREN_AMQP_CONSUMER_PRIVATE_H
#define WARREN_AMQP_CONSUMER_PRIVATE_H

#include <stdatomic.h>

#include "amqp/consumer/consumer.h"
#include "base/arena.h"
#include "base/backoff.h"
#include "base/list.h"

#define CONSUMER_REASON_MAX 512

/* Consumer tags: PREFIX and 16 hexadecimal digits, PROBE and a number. */
#define CONSUMER_PREFIX   "warren-"
#define CONSUMER_PROBE    "warren-probe-"
#define CONSUMER_TAG_SIZE (sizeof CONSUMER_PROBE + 20)

enum consumer_state {
    CONSUMER_AWAY,      /* no channel */
    CONSUMER_IDLE,      /* a channel, no subscription on it */
    CONSUMER_ASKING,    /* basic.consume sent */
    CONSUMER_CONSUMING, /* consume-ok came */
    CONSUMER_CANCELLING /* basic.cancel sent; deliveries still come until cancel-ok */
};

/* A delivery whose content has not come whole. */
struct consumer_incoming {
    struct delivery *delivery; /* NULL: no header yet */
    const char *unfit;         /* why the body is skipped and the message rejected; or NULL */
    uint64_t body_size;
    uint64_t tag;
    bool redelivered;
    bool probed; /* it came to a probe: not for the owner */
    size_t exchange_len;
    size_t routing_key_len;
    char exchange[WIRE_SHORT_MAX];
    char routing_key[WIRE_SHORT_MAX];
};

/* Somebody who waits for cancel-ok or for a barrier. */
struct consumer_waiter {
    struct list link;
    void (*paused)(void *user);
    void (*passed)(void *user, bool passed);
    void *user;
    uint64_t frames; /* of a probe: those sent before it, */
    uint64_t number; /* and which one it is */
};

struct consumer {
    struct connection *connection;
    struct channel *channel;
    struct consumer_events events;
    void *user;

    struct consumer_options options; /* its pointers are not used */
    char *queue;
    struct arena arena; /* of arguments, all that there were */
    amqp_table_t arguments;

    /* Of a stream alone. */
    stream_begin begin_later;     /* if nothing came */
    amqp_table_entry_t *begin_at; /* of the arguments: the last one */
    struct stream_offsets offsets;
    uint64_t expected; /* the offset that this subscription asked for; STREAM_NO_OFFSET: none, or
                          something has come */
    bool at_gap;       /* and so it is stopped */

    enum consumer_state state;
    char tag[CONSUMER_TAG_SIZE]; /* of the subscription, new for each */
    bool started;
    bool paused;    /* by the owner */
    bool stays;     /* the subscription, to the end of the channel: see consumer_stay() */
    bool outdated;  /* the subscription: it is to be made anew */
    bool full;      /* prefetch_bytes was reached, and half of it is not yet settled */
    bool announced; /* the owner knows that the broker sends */
    bool lost;      /* since the last consume-ok */
    bool asking;    /* whether the queue is there, after the broker's cancel: no subscription yet */
    bool ending;    /* the channel, once it has processed the acks: so the rest is handed back */
    int64_t consuming_since_ms;
    char reason[CONSUMER_REASON_MAX]; /* of the last interruption that was reported */
    struct random random;
    struct backoff backoff;
    struct loop_timer retry;
    struct list pauses;   /* of struct consumer_waiter */
    struct list barriers; /* oldest first */
    struct list probes;   /* those of consumer_queue_barrier(), oldest first */
    uint64_t probe_number;
    uint64_t frames;        /* that settle, sent on all channels; */
    uint64_t frames_passed; /* of them the queue has, or never will have */

    _Atomic uint32_t generation;
    struct ack_batcher batcher;
    struct consumer_incoming incoming;
    /* Read by any thread: see base/counter.h. What is not here counts the batcher. */
    _Atomic uint64_t bytes;
    _Atomic uint64_t delivered;
    _Atomic uint64_t redelivered;
    _Atomic uint64_t unfit;
    _Atomic uint64_t recoveries;
    _Atomic uint64_t byte_pauses;
};

static inline int64_t consumer_now_ms(const struct consumer *consumer)
{
    return loop_now_ms(connection_loop(consumer->connection));
}

/* consumer_deliveries.c, which knows nothing of subscribing: it says when `full` changed. */
/** A frame could not be appended: drop the connection, unless it is gone. Returns @status. */
enum warren_status consumer_sent(struct consumer *consumer, enum warren_status status);
extern const struct ack_sink consumer_ack_sink; /* without user */
void consumer_on_deliver(struct consumer *consumer, const amqp_basic_deliver_t *deliver);
uint8_t *consumer_on_content(void *user, const struct content_header *header);
/** The content is whole. @return whether `full` changed */
bool consumer_complete(struct consumer *consumer);
/** consumer_settle(). @return whether `full` changed */
bool consumer_settle_delivery(struct consumer *consumer, struct delivery *delivery,
                              enum verdict verdict);
/** consumer_leave(). @return whether `full` changed */
bool consumer_leave_delivery(struct consumer *consumer, struct delivery *delivery);
/** The channel is gone, or the consumer is freed: forget the message that was being read. */
void consumer_drop_incoming(struct consumer *consumer);

/* consumer_stream.c */
/** The queue is a stream; the arguments are copied. WARREN_OK or WARREN_ENOMEM. */
enum warren_status consumer_stream_init(struct consumer *consumer,
                                        const struct consumer_options *options);
/** Have the arguments say where the next subscription begins. */
void consumer_stream_begin(struct consumer *consumer);
/** The offset of a delivery, or STREAM_NO_OFFSET. */
uint64_t consumer_stream_offset(struct warren_bytes properties);
/** @delivery came. @return whether it was settled already */
bool consumer_stream_settled(struct consumer *consumer, const struct delivery *delivery);

/** The first delivery of a subscription: does something lie before it that was to come? @return
 *  false: it is not to be handled, nor what follows */
bool consumer_stream_goes_on(struct consumer *consumer, const struct delivery *delivery);

/* consumer_waiters.c */
/** Append a copy of @waiter. @return false: no memory */
bool consumer_wait(struct list *list, const struct consumer_waiter *waiter);
/** Tell those who wait for a pause, and @barriers_too those whose barrier was lost. One of them may
 *  free the consumer: touch nothing afterwards. */
void consumer_answer(struct consumer *consumer, bool barriers_too);
void consumer_forget_waiters(struct consumer *consumer);
/** End the channel, once the broker has processed what was sent on it. */
enum warren_status consumer_end_channel(struct consumer *consumer);
enum warren_status consumer_send_qos(struct consumer *consumer, channel_reply_fn *reply);

#endif
