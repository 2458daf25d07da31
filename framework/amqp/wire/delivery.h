/* delivery.h - one delivered message, in one flat piece of memory: no pointer leads out of it,
 * and it is not decoded until somebody asks.
 * Owner: one at a time; it moves with the queues (consumer > dispatcher > worker > settlement).
 */
#ifndef WARREN_AMQP_DELIVERY_H
#define WARREN_AMQP_DELIVERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <warren/handler.h>

/** What became of the copy that was published in a delivery's place. */
enum relay_state {
    RELAY_NONE,
    RELAY_SENT,
    RELAY_CONFIRMED, /* the delivery can be acked */
    RELAY_FAILED     /* the delivery waits, and the copy is tried again */
};

/** How what a job published has ended so far. */
enum publish_end {
    PUBLISH_FINE,
    PUBLISH_UNCONFIRMED, /* something was not confirmed, for no fault of the message */
    PUBLISH_REFUSED      /* something is refused for good, such as for a missing exchange */
};

struct owed;

struct delivery {
    struct delivery *next; /* of the queue that owns it */
    uint64_t tag;
    uint32_t generation; /* of the channel that brought it; a later channel knows no such tag */
    uint32_t exchange_len;
    uint32_t routing_key_len;
    uint32_t properties_len;
    size_t body_len;
    uint64_t offset; /* in its stream; else of no meaning */
    bool redelivered;
    bool forgiven;           /* the last attempt does not count */
    uint8_t outcome;         /* enum warren_outcome, once handled */
    bool reserved;           /* it has a place among those held for a retry */
    uint8_t relay;           /* enum relay_state */
    uint8_t relay_result;    /* RELAY_FAILED: enum warren_result, unless it was not accepted */
    uint16_t relay_code;     /* of that result */
    int16_t relay_status;    /* RELAY_FAILED: enum warren_status of the publisher */
    uint32_t failed;         /* attempts in this process that count */
    bool suspect;            /* the flight recorder knows it, so it goes back as it is: no copy */
    uint32_t note;           /* of the flight recorder about this message; 0: none */
    int64_t first_failure_s; /* when the first of these ended, since 1970; 0: there was none */
    int64_t first_ns;        /* when the first attempt began, as far as known; 0: there was none */
    bool first_moved;        /* to one of an earlier process */
    int64_t retry_at_ms;     /* with the outcome WARREN_RETRY: not before this; -1: whenever */
    atomic_uint holds;       /* the handler, and each of its publishes without a receipt */
    uint8_t publish_end;     /* enum publish_end */
    uint8_t unconfirmed;     /* attempts that ended as PUBLISH_UNCONFIRMED; not above 255 */
    uint8_t in_part;         /* of these, in which something was confirmed; not above 255 */
    bool late;               /* the attempt failed after it was over: see consume/attempt/late.h */
    char *unpublished;       /* what of it, and why; owned. NULL: nothing, or no memory */
    struct owed *owed;  /* for a copy in its place: see consume/relay/owed.h. One piece of memory,
                           owned; NULL: nothing, or no memory */
    atomic_bool may_go; /* to the workers; this and the next two: see consume/runtime/stage.h */
    void *stage;
    void *mark;     /* of the middleware that has seen it ahead of them; NULL: none */
    uint8_t data[]; /* exchange NUL, routing key NUL, property list, body */
};

/** The attempt has failed, and counts. */
void delivery_count_failure(struct delivery *delivery);

/** One allocation of this shape; the body is left to be filled in. NULL: no memory. */
struct delivery *delivery_new(struct warren_bytes exchange, struct warren_bytes routing_key,
                              struct warren_bytes properties, size_t body_len);
void delivery_free(struct delivery *delivery);

static inline const char *delivery_exchange(const struct delivery *delivery)
{
    return (const char *)delivery->data;
}

static inline const char *delivery_routing_key(const struct delivery *delivery)
{
    return (const char *)delivery->data + delivery->exchange_len + 1;
}

/* As C strings these two end at their first NUL; here are their lengths. */

static inline struct warren_bytes delivery_exchange_bytes(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery_exchange(delivery), delivery->exchange_len};
    return bytes;
}

static inline struct warren_bytes delivery_routing_key_bytes(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery_routing_key(delivery), delivery->routing_key_len};
    return bytes;
}

static inline struct warren_bytes delivery_properties(const struct delivery *delivery)
{
    struct warren_bytes bytes = {delivery->data + delivery->exchange_len + 1 +
                                     delivery->routing_key_len + 1,
                                 delivery->properties_len};
    return bytes;
}

static inline uint8_t *delivery_body(struct delivery *delivery)
{
    return delivery->data + delivery->exchange_len + 1 + delivery->routing_key_len + 1 +
           delivery->properties_len;
}

/** Bytes that it holds, for the bounds by bytes. */
static inline size_t delivery_size(const struct delivery *delivery)
{
    return sizeof *delivery + delivery->exchange_len + delivery->routing_key_len + 2 +
           delivery->properties_len + delivery->body_len;
}

#endif
