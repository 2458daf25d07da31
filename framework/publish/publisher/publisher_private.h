/* publisher_private.h - the inside of a publisher, for the files that make it: publisher.c,
 * publish.c, publisher_spool.c and request.c (callers' threads), sender.c, sender_events.c and
 * replies.c (the publisher's own thread).
 *
 *   caller: encode > room > incoming || sender: window > connection
 *   caller: room, flush, receipts    || sender: confirms > ended > callbacks
 */
#ifndef WARREN_PUBLISH_PUBLISHER_PRIVATE_H
#define WARREN_PUBLISH_PUBLISHER_PRIVATE_H

#include <inttypes.h>
#include <stdatomic.h>

#include "amqp/connection/channel.h"
#include "base/arena.h"
#include "base/condition.h"
#include "publish/delay/delay_topology.h"
#include "publish/message/options.h"
#include "publish/message/pace.h"
#include "publish/message/window.h"
#include "publish/publisher/publisher.h"
#include "publish/spool/spooler.h"

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

/* One request, from its publishing until both its message and its reply have ended. */
struct request {
    struct list link; /* of the bucket, while a reply is waited for */
    struct warren_publisher *publisher;
    struct record *record; /* while that is in the window; then NULL */
    uint64_t number;       /* its correlation id says it */
    uint32_t timeout_ms;   /* from entering the window on */
    int64_t deadline_ms;
    bool ended; /* the caller was told */
    bool lost;  /* the way for its reply is gone */
    warren_reply_fn *on_reply;
    void *user;
};

struct reply; /* one that is coming in */

/* Requests that wait for a reply, by number; nothing is allocated before the first one. */
struct replies {
    _Atomic uint32_t open;    /* accepted, the caller was not told */
    _Atomic uint64_t numbers; /* given to requests, */
    _Atomic uint64_t unsent;  /* of which so many were given back */
    _Atomic uint64_t answered;
    _Atomic uint64_t late;
    struct list *buckets;
    uint64_t salt; /* of the correlation ids: those of another publisher are not ours */
    struct loop_timer timer;
    int64_t timer_ms;    /* what it is armed for; INT64_MAX: it is not */
    int64_t deadline_ms; /* no request's is earlier */
    bool consuming;      /* asked for, in this generation of the channel */
    bool announced;      /* basic.deliver came, its content not */
    struct reply *incoming;
    char lost_why[WARREN_ERROR_TEXT_MAX];
};

struct warren_publisher {
    /* Guarded by the lock. */
    pthread_mutex_t lock;
    struct condition room_cond;  /* room is wide again, or kept for one who waits; or closing */
    struct condition ended_cond; /* ended_below reached flush_target */
    struct condition connected_cond;
    struct list incoming; /* accepted, not yet seen by the sender */
    struct room room;
    uint64_t next_seq;
    uint64_t ended_below;   /* every message with a lower seq has ended, its callback returned */
    uint64_t flush_target;  /* lowest ended_below that somebody waits for; UINT64_MAX: nobody */
    struct list send_turns; /* of those who wait for room, the first of them first */
    bool room_kept;         /* for the first one, who has waited for long */
    bool closing;
    bool halted; /* nothing comes from the spool any more */
    bool connected;
    int64_t spool_done_below; /* everything with a lower id has left the disk */
    struct warren_publisher_stats stats;
    char last_failure[WARREN_ERROR_TEXT_MAX];
    double rate; /* wanted; the sender keeps it in `pace` */
    uint32_t burst;

    /* Set once. */
    struct warren_publisher_options options; /* its texts are not the publisher's: gone */
    struct publisher_observer observer;
    void *observer_user;
    _Atomic uint32_t frame_max; /* of the latest connection; written by the sender */
    pthread_t thread;
    struct loop *loop;
    struct loop_task wake_task; /* incoming is no longer empty */
    struct loop_task close_task;
    uint32_t handshake_ms;      /* longest time for the close handshake; before close_task runs */
    struct spooler *spooler;    /* NULL: no spool */
    struct loop_task rate_task; /* rate and burst were changed */

    /* The sender's. */
    struct connection *connection;
    struct channel *channel;
    struct window window;
    struct delay_topology delays;
    struct pace pace;
    struct loop_timer trial_timer; /* the first message for a delay queue is sent again, */
    int64_t trial_end_ms;          /* until then; 0: it was not refused yet */
    struct loop_timer pace_timer;  /* the next message may go, as far as the rate is concerned */
    struct record *writing;        /* half written: nothing else may be sent before its rest */
    struct loop_timer expiry;
    int64_t expiry_ms;  /* what the timer is armed for; INT64_MAX: it is not */
    int64_t expired_ms; /* when it last fired */
    struct arena scratch;
    struct sender_return returned;
    struct replies replies;
    bool ready;   /* the channel is open and confirms are on */
    bool blocked; /* by the broker */
    bool pumping;
    bool announced; /* the observer knows that this connection is open */
    bool refused;   /* the connection is being lost over a declare of the delay queues */
};

/* publisher.c */

/** Does a message of so many bytes fit? One of those of window.h. */
typedef bool publisher_fits_fn(const struct room *room, size_t bytes);

/**
 * Give @record to the sender when there is room, for which it waits at most @wait_ms, and not at
 * all where when_full says so.
 *
 * @return WARREN_OK: it is the sender's; else the caller's still
 */
enum warren_status publisher_enter(struct warren_publisher *publisher, struct record *record,
                                   publisher_fits_fn *fits, int64_t wait_ms);
/**
 * Number @record and hand it to the sender. Under the lock.
 *
 * @return whether the sender must be told; of what waits already it was
 */
bool publisher_take_in(struct warren_publisher *publisher, struct record *record);

/* publish.c */

/**
 * Encode what is published, @delay_ms from now.
 *
 * @return as warren_publisher_publish_after()
 */
enum warren_status publisher_encode(const struct warren_publisher *publisher,
                                    const struct warren_publish *publish, const struct arena *texts,
                                    int64_t delay_ms, struct record **ret_record);

/** How a record goes to the sender. */
enum publisher_way {
    PUBLISHER_SPOOLED, /* through the spool if there is one */
    PUBLISHER_DIRECT,
    PUBLISHER_RELAY /* of any size: see publisher_relay() */
};

/**
 * Hand @record over, whose receipt goes to @on_receipt; it waits for room at most @most_ms, and not
 * longer than the options allow. @record is the publisher's in any case.
 */
enum warren_status publisher_send(struct warren_publisher *publisher, struct record *record,
                                  enum publisher_way way, int64_t most_ms,
                                  warren_receipt_fn *on_receipt, void *user);

/* publisher_spool.c */

/** Nothing without options->spool_path. */
enum warren_status publisher_spool_open(struct warren_publisher *publisher,
                                        const struct warren_publisher_options *options,
                                        struct warren_error *error);
/** publisher_enter() for a publisher with a spool: it is on disk then. */
enum warren_status publisher_spool_enter(struct warren_publisher *publisher, struct record *record,
                                         int64_t wait_ms);

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
/** Nothing can be sent now: receipts of messages that are safe on disk need not wait for long. */
void sender_leave_soon(struct warren_publisher *publisher);
/** Send what may be sent. */
void sender_pump(void *publisher);
/** The window's trial was refused: it is sent again later, or has ended. */
void sender_trial_refused(struct warren_publisher *publisher);

/* replies.c */

/** How a reply's correlation id is written: 16 digits of salt, 16 of the number. */
#define CORRELATION_ID_FORMAT "%016" PRIx64 "%016" PRIx64
#define CORRELATION_ID_SIZE   33

enum warren_status replies_init(struct warren_publisher *publisher);
void replies_done(struct warren_publisher *publisher);
void replies_stats(const struct warren_publisher *publisher, struct warren_publisher_stats *stats);
/** A record whose `user` is a request enters the window. */
void replies_expect(struct warren_publisher *publisher, struct record *record);
/** A request is about to be written: see that replies come to this channel. */
enum warren_status replies_consume(struct warren_publisher *publisher);
/** Of a request's message; @user is the request. */
void replies_receipt(const struct warren_receipt *receipt, void *user);
/** basic.deliver, and what follows it. */
void replies_announced(struct warren_publisher *publisher);
uint8_t *replies_content(struct warren_publisher *publisher, const struct content_header *header);
void replies_content_end(struct warren_publisher *publisher);
/** The channel is gone, and with it every reply to what was sent on it. */
void replies_lost(struct warren_publisher *publisher, const struct channel_loss *loss);
/** The publisher is being closed. */
void replies_end_all(struct warren_publisher *publisher);

/* sender_events.c */

extern const struct connection_events sender_connection_events;
extern const struct channel_events sender_channel_events;

#endif
