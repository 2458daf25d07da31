/* dlq_courier.h - publishes, mandatory and confirmed; on the loop come events of how each message
 * ended.
 * Thread: main (the session's loop); receipts come on the publisher's and are carried over.
 */
#ifndef WARREN_COMMAND_DLQ_COURIER_H
#define WARREN_COMMAND_DLQ_COURIER_H

#include <warren/publisher.h>

#include "base/arena.h"
#include "base/list.h"
#include "config/config.h"
#include "loop/loop.h"

#define DLQ_REPLY_SIZE 256

struct dlq_courier;

/** One message under way; the owner's struct begins with it. */
struct dlq_parcel {
    struct list link; /* the courier's, until `ended` */
    struct dlq_courier *courier;
    enum warren_result result;
    uint16_t reply_code;
    char reply_text[DLQ_REPLY_SIZE];
};

/** How a message ended; several of one turn, then `turn`. */
struct dlq_courier_events {
    void (*ended)(void *user, struct dlq_parcel *parcel);
    void (*turn)(void *user);
};

/**
 * Start a publisher, and wait until it is connected.
 *
 * @window  messages under way at once
 * @return  WARREN_OK; WARREN_ETIMEOUT: no connection; as warren_publisher_new(); with @error
 */
enum warren_status dlq_courier_new(const struct config *config, uint32_t window, struct loop *loop,
                                   const struct dlq_courier_events *events, void *user,
                                   struct dlq_courier **ret_courier, struct warren_error *error);

/**
 * To @queue.
 *
 * @texts   knows the lengths of texts in @message that hold a NUL
 * @return  WARREN_OK: `ended` follows; else as warren_publisher_publish()
 */
enum warren_status dlq_courier_send(struct dlq_courier *courier, const char *queue,
                                    const struct warren_message *message, const struct arena *texts,
                                    struct dlq_parcel *parcel);

/**
 * Wait for what is under way, at most @patience_ms (0: not at all), then give it up: `ended` is
 * called for each, and the courier freed. The loop must not run. NULL is fine.
 */
void dlq_courier_free(struct dlq_courier *courier, uint32_t patience_ms);

#endif
