/* publisher_private.h - the inside of a publisher, for the three files that make it:
 * publisher.c (callers' threads), sender.c and sender_events.c (the publisher's own thread).
 *
 *   caller: encode > room > incoming || sender: window > connection
 *   caller: room, flush, receipts    || sender: confirms > ended > callbacks
 */
#ifndef WARREN_PUBLISH_PUBLISHER_PRIVATE_H
#define WARREN_PUBLISH_PUBLISHER_PRIVATE_H

#include <pthread.h>

#include "amqp/channel.h"
#include "base/arena.h"
#include "publish/options.h"
#include "publish/publisher_internal.h"
#include "publish/window.h"

/** What basic.return said, until the content that follows it names the message. */
struct sender_return {
    bool waiting;
    uint16_t code;
    uint8_t exchange_len;
    uint8_t routing_key_len;
    char text[256];
    char exchange[256];
    char routing_key[256];
};

struct warren_publisher {
    /* Guarded by the lock. */
    pthread_mutex_t lock;
    pthread_cond_t room_cond;  /* room is wide again, or closing */
    pthread_cond_t ended_cond; /* ended_below reached flush_target */
    pthread_cond_t connected_cond;
    struct list incoming; /* accepted, not yet seen by the sender */
    struct room room;
    uint64_t next_seq;
    uint64_t ended_below;  /* every message with a lower seq has ended, its callback returned */
    uint64_t flush_target; /* lowest ended_below that somebody waits for; UINT64_MAX: nobody */
    uint32_t room_waiters;
    bool closing;
    bool connected;
    struct warren_publisher_stats stats;
    char last_failure[WARREN_ERROR_TEXT_MAX];
    struct publisher_observer observer;
    void *observer_user;

    /* Set once. */
    enum warren_when_full when_full;
    uint32_t block_timeout_ms;
    uint32_t timeout_ms;
    pthread_t thread;
    struct loop *loop;
    struct loop_task wake_task; /* incoming is no longer empty */
    struct loop_task close_task;

    /* The sender's. */
    struct connection *connection;
    struct channel *channel;
    struct window window;
    struct record *writing; /* half written: nothing else may be sent before its rest */
    struct loop_timer expiry;
    int64_t expiry_ms;  /* what the timer is armed for; INT64_MAX: it is not */
    int64_t expired_ms; /* when it last fired */
    struct arena scratch;
    struct sender_return returned;
    bool ready;   /* the channel is open and confirms are on */
    bool blocked; /* by the broker */
    bool pumping;
    uint64_t abandoned; /* ended by close */
};

/* sender.c */

/** Everything on the loop: connection, channel, tasks, timers. On failure, sender_done() cleans. */
enum warren_status sender_init(struct warren_publisher *publisher,
                               const struct connection_options *options,
                               struct warren_error *error);
/** The publisher's thread: returns after close_task ran and the connection was closed. */
void *sender_run(void *publisher);
/** After the thread ended. */
void sender_done(struct warren_publisher *publisher);
/** The caller is the thread of @publisher, so a callback. */
bool sender_is_caller(const struct warren_publisher *publisher);
/** Take what callers handed over, send what may be sent, call back for what has ended. */
void sender_work(void *publisher);
/** Send what may be sent. */
void sender_pump(void *publisher);

/* sender_events.c */

extern const struct connection_events sender_connection_events;
extern const struct channel_events sender_channel_events;

#endif
