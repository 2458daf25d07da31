/* publisher.h - what the framework itself may ask of a publisher beyond
 * <warren/publisher.h>.
 */
#ifndef WARREN_PUBLISH_PUBLISHER_H
#define WARREN_PUBLISH_PUBLISHER_H

#include <warren/publisher.h>

#include "amqp/connection/connection.h"
#include "base/arena.h"

/** What happens to a publisher's connection, for a log. Any may be NULL. */
struct publisher_observer {
    /** Told first, before it connects. */
    void (*begun)(void *user);
    /** Confirms are on: messages can be sent. Told once a connection. */
    void (*open)(void *user, const char *where, const char *server);
    void (*lost)(void *user, const struct connection_loss *loss);
    void (*blocked)(void *user, bool blocked, const char *reason);
    /**
     * The broker closed the channel because of something published.
     * @message_id  of the message that is known to be the cause and has ended as RETURNED; data
     *              NULL while it is being searched
     */
    void (*refused)(void *user, struct warren_bytes message_id, uint16_t code, const char *text);
    /** What happened to the spool; on its thread. @trouble: else it is over */
    void (*spool)(void *user, bool trouble, const char *text);
    /** The connection is closed. Told last. */
    void (*closed)(void *user);
};

/**
 * warren_publisher_new() with an observer, whose functions run on the publisher's thread without a
 * lock held. Everything in @observer is copied; NULL: the options' on_log and on_state are told.
 */
enum warren_status publisher_new(const struct warren_publisher_options *options,
                                 const struct publisher_observer *observer, void *user,
                                 struct warren_publisher **ret_publisher,
                                 struct warren_error *error);

/* In all that follow @texts knows the lengths of texts in @publish that hold a NUL, as
 * arena_bytes() gives them; NULL: none does. */

/**
 * warren_publisher_publish_after(), spool included, that waits for room no longer than @most_ms,
 * whatever block_timeout_ms says. @delay_ms of 0 or less: at once.
 */
enum warren_status publisher_publish(struct warren_publisher *publisher,
                                     const struct warren_publish *publish,
                                     const struct arena *texts, int64_t delay_ms, int64_t most_ms,
                                     warren_receipt_fn *on_receipt, void *user);

/** What knows the lengths of the texts of @reply; as arena_bytes(). */
const struct arena *publisher_reply_texts(const struct warren_reply *reply);

struct loop;
struct warren_outbox;

/**
 * Have @publish published once the transaction of @outbox (store/spool/spool.h), of a handler in
 * the file of the spool, is committed: nothing is sent before, and nothing if it is rolled back.
 * Never waits. There is no receipt; the spool reports how it ends.
 *
 * @delay_ms  as for warren_publisher_publish_after()
 * @return    as that; WARREN_ECLOSED if the publisher has no spool, WARREN_EFULL if that is full;
 *            WARREN_EIO and others if the disk failed, with @error
 */
enum warren_status publisher_append(struct warren_publisher *publisher,
                                    const struct warren_publish *publish, const struct arena *texts,
                                    int64_t delay_ms, struct warren_outbox *outbox,
                                    struct warren_error *error);

/**
 * Publish again what came from the broker, without the spool. A message that is larger than
 * window_bytes is taken as well, as soon as the window is not full: the caller still has the
 * message that it is a copy of, so whatever bounds those bounds the window. One without a message
 * id stays without (NOTE_COPY).
 *
 * @to_queue  the queue that it goes to, whatever the exchange of @publish is; NULL: as @publish
 *            says. After a delay it arrives with the queue's name as its routing key: what it was
 *            published with first belongs into its headers (NOTE_EXCHANGE, NOTE_ROUTING_KEY).
 * @delay_ms  it arrives not before, by way of the delay queues; 0: at once. One that is longer than
 *            delay_longest_ms becomes that. A delayed message has no expiration
 * @most_ms   longest wait for room, whatever block_timeout_ms says
 * @return    as warren_publisher_publish_after()
 */
enum warren_status publisher_relay(struct warren_publisher *publisher,
                                   const struct warren_publish *publish, const struct arena *texts,
                                   const char *to_queue, int64_t delay_ms, int64_t most_ms,
                                   warren_receipt_fn *on_receipt, void *user);

/** The loop of its thread, for who asks whether it turns; until warren_publisher_close(). Thread:
 * any. */
struct loop *publisher_loop(struct warren_publisher *publisher);

/** For warren_publisher_close(), which follows: longest time of its handshake, if that is below the
 * usual second. Thread: the caller's. */
void publisher_set_handshake(struct warren_publisher *publisher, uint32_t most_ms);

/**
 * Bytes that the encoded property list of a message may have, as far as is known: by frame_max of
 * the latest connection, or the largest that warren agrees to. Thread: any.
 */
size_t publisher_properties_max(struct warren_publisher *publisher);

#endif
