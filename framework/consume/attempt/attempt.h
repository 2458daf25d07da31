/* attempt.h - what the runtime knows of a delivery while it tries to have it handled: what came of
 * the attempts so far, and where the message stands now. The delivery itself, as it came from the
 * wire, is the last member, so both are one piece of memory: the consumer leaves attempt_room() in
 * front of each delivery, zeroed, which is an attempt that has not begun. In front of it are the
 * marks of middlewares (consume/runtime/stage.h), as many as the subscription has such middlewares.
 * Owner: one at a time; it moves with the queues (consumer > runner > worker > settlement).
 */
#ifndef WARREN_CONSUME_ATTEMPT_H
#define WARREN_CONSUME_ATTEMPT_H

#include <stdatomic.h>

#include "amqp/wire/delivery.h"

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

/** What an attempt has of semaphores. */
enum weighs {
    WEIGHS_NOT,
    WEIGHS_ALL,    /* what its edition wants */
    WEIGHS_NOTHING /* it has put that down, and is among those that had it all the same */
};

/** Where a copy of a message goes that was not run. */
enum move {
    MOVE_NOT,
    MOVE_AWAY, /* into its queue, later */
    MOVE_SLOW  /* into the slow lane */
};

struct owed;
struct attempt_trace;
struct edition;
struct order_line;
struct fair_line;

struct attempt {
    struct attempt *next;    /* of the queue that owns it */
    bool forgiven;           /* the last attempt does not count */
    uint8_t outcome;         /* enum warren_outcome, once handled */
    bool reserved;           /* it has a place among those held for a retry */
    uint8_t weighs;          /* enum weighs */
    uint8_t relay;           /* enum relay_state */
    uint8_t relay_result;    /* RELAY_FAILED: enum warren_result, unless it was not accepted */
    uint16_t relay_code;     /* of that result */
    int16_t relay_status;    /* RELAY_FAILED: enum warren_status of the publisher */
    uint32_t failed;         /* attempts in this process that count */
    uint8_t reason;          /* enum failure_reason of the last one */
    uint8_t moves;           /* enum move */
    bool suspect;            /* the flight recorder knows it, so it goes back as it is: no copy */
    uint32_t note;           /* of the flight recorder about this message; 0: none */
    int64_t first_failure_s; /* when the first of these ended, since 1970; 0: there was none */
    uint64_t place;          /* in the line for semaphores, from when it came there: */
    int64_t in_line_ns;
    int64_t arrived_ns;    /* when it was given to the subscription */
    int64_t first_ns;      /* when the first attempt began, as far as known; 0: there was none */
    bool first_moved;      /* to one of an earlier process */
    int64_t retry_at_ms;   /* with the outcome WARREN_RETRY: not before this; -1: whenever */
    atomic_uint holds;     /* the handler, and each of its publishes without a receipt */
    uint8_t publish_end;   /* enum publish_end */
    uint8_t unconfirmed;   /* attempts that ended as PUBLISH_UNCONFIRMED; not above 255 */
    uint8_t in_part;       /* of these, in which something was confirmed; not above 255 */
    bool publish_returned; /* the attempt failed after it was over: see
                              consume/job/returned_publish.h */
    char *unpublished;     /* what of it, and why; owned. NULL: nothing, or no memory */
    struct owed *owed; /* for a copy in its place: see consume/relay/owed.h. One piece of memory,
                          owned; NULL: nothing, or no memory */
    struct attempt_trace *trace; /* see consume/job/job_span.h; owned. NULL: it is not sampled */
    struct edition *edition; /* that it is run through: see consume/job/edition.h. NULL: it waits,
                                and gets that of the day */
    struct order_line
        *line; /* of which it is the first: see consume/order/order_lines.h. NULL: of none */
    struct fair_line
        *fair;         /* of which it has a place: see consume/order/fair_lines.h. NULL: of none */
    uint16_t together; /* with the runner, the first of a batch: how many messages that has */
    const char *refused; /* why it is rejected without being run; borrowed. NULL: it is run */
    atomic_bool may_go;  /* to the workers; this and the next one: see consume/runtime/stage.h */
    void *stage;
    struct delivery delivery; /* last: its data follow */
};

/** Bytes of an attempt without its marks. */
#define ATTEMPT_SIZE offsetof(struct attempt, delivery)

/** Bytes to leave in front of a delivery. */
static inline size_t attempt_room(size_t marks)
{
    return marks * sizeof(void *) + ATTEMPT_SIZE;
}

/** The attempt of @delivery, which has that room. */
static inline struct attempt *attempt_of(struct delivery *delivery)
{
    return (struct attempt *)(void *)((char *)delivery - ATTEMPT_SIZE);
}

/** One of its marks; NULL at first. */
static inline void **attempt_mark(struct attempt *attempt, size_t index)
{
    return (void **)(void *)((char *)attempt - (index + 1) * sizeof(void *));
}

/** Free what it owns; it and its delivery stay. To be called before consumer_settle(). */
void attempt_done(struct attempt *attempt);
/** The same, and free both. NULL is fine. */
void attempt_free(struct attempt *attempt);

/**
 * The same delivery and marks in other memory, with what @attempt owns. It stays as long as others
 * still write its may_go. NULL: no memory.
 *
 * @room  bytes in front of the delivery there, at least as many as here
 */
struct attempt *attempt_move(struct attempt *attempt, size_t room);

/** It has failed, and counts. */
void attempt_count_failure(struct attempt *attempt);

#endif
