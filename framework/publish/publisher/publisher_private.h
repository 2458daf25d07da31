/* publisher_private.h - the inside of a publisher, and what its files ask of each other:
 * publisher.c, publish.c, publisher_spool.c and request.c run on callers' threads; sender.c,
 * sender_events.c and replies.c on the publisher's own.
 *
 *   caller: encode > room > incoming || sender: window > connection
 *   caller: room, flush, receipts    || sender: confirms > ended > callbacks
 */
#ifndef WARREN_PUBLISH_PUBLISHER_PRIVATE_H
#define WARREN_PUBLISH_PUBLISHER_PRIVATE_H

#include <stdatomic.h>

#include "amqp/connection/channel.h"
#include "base/condition.h"
#include "base/forked.h"
#include "publish/message/options.h"
#include "publish/message/window.h"
#include "publish/publisher/publisher.h"
#include "publish/publisher/publisher_metrics.h"
#include "publish/spool/spooler.h"

struct sender;
struct replies;

struct warren_publisher {
    /* Guarded by the lock. */
    pthread_mutex_t lock;
    struct condition room_cond;  /* room is wide again, or kept for one who waits; or closing */
    struct condition ended_cond; /* ended_below reached flush_target */
    struct condition connected_cond;
    struct condition declared_cond;
    struct list declares; /* handed over, not yet seen by the sender */
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
    int64_t blocked_since_ns; /* while stats.is_blocked; */
    int64_t blocked_ns;       /* and all times before */
    char last_failure[WARREN_ERROR_TEXT_MAX];
    bool spool_trouble; /* what is to be said about the spool */
    char spool_words[WARREN_ERROR_TEXT_MAX];
    double rate; /* wanted; the sender keeps it in `pace` */
    uint32_t burst;

    /* Set once. */
    struct warren_publisher_options options; /* its texts are not the publisher's: gone */
    struct publisher_observer observer;
    void *observer_user;
    _Atomic uint32_t frame_max; /* of the latest connection; written by the sender */
    uint32_t forks;             /* of forked_begin() */
    pthread_t thread;
    uint32_t handshake_ms;   /* longest time for the close handshake; before sender_close() */
    struct spooler *spooler; /* NULL: no spool */
    struct sender *sender;
    struct replies *replies;
    struct publisher_metrics metrics;
};

/* publisher.c */

/**
 * What every function of a publisher asks first: before a lock, a descriptor, or the thread that is
 * not there, is touched.
 *
 * @return WARREN_OK; WARREN_EINVAL: NULL; WARREN_ECLOSED: it was inherited by fork(2); with @error
 */
enum warren_status publisher_check(const struct warren_publisher *publisher,
                                   struct warren_error *error);

/** The same for who is about to wait; WARREN_EINVAL also in a callback of this publisher. */
enum warren_status publisher_check_wait(const struct warren_publisher *publisher,
                                        struct warren_error *error);

/** Does a message of @bytes fit? One of those of window.h. */
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
 * @return whether the sender must be woken; for what waits already it was
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

/**
 * Why publishing failed, in words; nothing if @error is NULL.
 *
 * @return @status
 */
enum warren_status publisher_explain(struct warren_publisher *publisher,
                                     const struct warren_publish *publish, int64_t delay_ms,
                                     enum warren_status status, struct warren_error *error);

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

/** Everything on the loop: connection, channel, tasks, timers; and the replies. On failure,
 * sender_free() cleans. */
enum warren_status sender_new(struct warren_publisher *publisher,
                              const struct connection_options *options, struct warren_error *error);
/** The publisher's thread: returns after sender_close(), when the connection was closed. */
void *sender_run(void *sender);
/** After the thread ended. NULL is fine. */
void sender_free(struct sender *sender);
/** The caller is the thread of @publisher, so a callback. */
bool sender_is_caller(const struct warren_publisher *publisher);
/** Destinations of delays that it remembers, and how often it forgot them all. Thread: any. */
void sender_delays(const struct sender *sender, uint32_t *ret_destinations,
                   uint64_t *ret_forgotten);
/** `incoming` is no longer empty. Thread: any. */
void sender_wake(struct sender *sender);
/** Rate and burst were changed. Thread: any. */
void sender_change_rate(struct sender *sender);
/** End all messages, and the connection. Thread: any. */
void sender_close(struct sender *sender);

/* report.c */

/** Tells the options' on_log and on_state; its user is the publisher. */
extern const struct publisher_observer report_observer;

/* replies.c */

enum warren_status replies_new(struct loop *loop, struct replies **ret_replies);
/** NULL is fine. */
void replies_free(struct replies *replies);
/** Thread: any. */
void replies_stats(const struct replies *replies, struct warren_publisher_stats *stats);
/** A record whose `user` is a request enters the window. */
void replies_expect(struct replies *replies, struct record *record);
/** A request is about to be written: see that replies come to this channel. */
enum warren_status replies_consume(struct replies *replies, struct channel *channel);
/** basic.deliver, and what follows it. @return false: there is no consumer */
bool replies_announced(struct replies *replies);
uint8_t *replies_content(struct replies *replies, const struct content_header *header);
void replies_content_end(struct replies *replies);
/** The channel is gone, and with it every reply to what was sent on it. */
void replies_lost(struct replies *replies, const struct channel_loss *loss);
/** The publisher is being closed. */
void replies_end_all(struct replies *replies);

#endif
