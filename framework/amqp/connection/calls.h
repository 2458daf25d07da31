/* calls.h - methods that were sent and wait for their replies, oldest first. A channel's methods of
 * one kind are answered in order. Those of different kinds are not: RabbitMQ lets the queue's
 * process say consume-ok and cancel-ok, and what the channel's process answers may overtake that.
 * Thread: the loop's. Owner: struct channel embeds one.
 */
#ifndef WARREN_AMQP_CALLS_H
#define WARREN_AMQP_CALLS_H

#include <stdint.h>

#include <warren/status.h>

#include "base/list.h"

/** Calls that wait at once. */
#define CALLS_MAX 65536

struct call {
    struct list link;
    uint32_t id; /* of the method that was sent */
    int64_t sent_ms;
    int64_t deadline_ms;
    void (*reply)(void *user, void *decoded); /* may be NULL */
    void *user;
};

struct calls {
    struct list waiting;
    uint32_t count;
};

void calls_init(struct calls *calls);
/** Forget all of them, without their replies. */
void calls_done(struct calls *calls);

/** Append a copy of @call: WARREN_OK, WARREN_EFULL, WARREN_ENOMEM. */
enum warren_status calls_push(struct calls *calls, const struct call *call);
/** Take the newest back: it could not be sent. */
void calls_unpush(struct calls *calls);
/** The oldest one, or NULL. */
struct call *calls_oldest(struct calls *calls);
/**
 * Take the oldest that method @id answers.
 *
 * @return false: @id answers nothing
 */
bool calls_answer(struct calls *calls, uint32_t id, struct call *ret_call);

#endif
