/* sender_private.h - the inside of the publisher's own thread: sender.c, and sender_events.c,
 * which takes the events of connection and channel.
 */
#ifndef WARREN_PUBLISH_SENDER_PRIVATE_H
#define WARREN_PUBLISH_SENDER_PRIVATE_H

#include "base/arena.h"
#include "publish/delay/delay_topology.h"
#include "publish/message/pace.h"
#include "publish/publisher/publisher_private.h"

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

/** Messages without a callback that did not arrive, until a line tells of them. */
struct unheard {
    struct loop_timer timer;
    struct loop_task spool_task; /* what the spool says is to be told */
    uint64_t count;
    int64_t next_ms; /* no line before */
    char last[1024]; /* the latest one, in words */
};

struct sender {
    struct warren_publisher *p; /* what callers share with it */
    struct loop *loop;
    struct loop_task wake_task;
    struct loop_task close_task;
    struct loop_task rate_task;
    struct connection *connection;
    struct channel *channel;
    struct window window;
    struct delay_topology delays;
    struct pace pace;
    struct loop_timer trial_timer; /* the first message for a delay queue is sent again, */
    int64_t trial_end_ms;          /* until then; 0: it was not refused yet */
    struct loop_timer pace_timer;  /* the next message may go, as far as the rate is concerned */
    struct record *writing;        /* half written: nothing else may be sent before its rest */
    int64_t writing_ns;            /* when the records of this turn were begun */
    struct loop_timer expiry;
    int64_t expiry_ms;  /* what the timer is armed for; INT64_MAX: it is not */
    int64_t expired_ms; /* when it last fired */
    struct arena scratch;
    struct sender_return returned;
    struct unheard unheard;
    struct loop_task declare_task;
    struct list declared; /* see declare.c; */
    uint32_t holding;     /* of them, which are to be declared on this connection first */
    bool ready;           /* the channel is open and confirms are on */
    bool blocked;         /* by the broker */
    bool pumping;
    bool announced; /* the observer knows that this connection is open */
    bool refused;   /* the connection is being lost over a declare of the delay queues */
};

/** Take what callers handed over, send what may be sent, call back for what has ended. */
void sender_work(void *sender);
/** Nothing can be sent now: receipts of messages that are safe on disk need not wait for long. */
void sender_leave_soon(struct sender *sender);
/** Send what may be sent. */
void sender_pump(void *sender);
/** The window's trial was refused: it is sent again later, or has ended. */
void sender_trial_refused(struct sender *sender);

/* receipts.c */

/** Call back for all that has ended. */
void receipts_deliver(struct sender *sender);

/* declare.c */

void declare_init(struct sender *sender);
void declare_done(struct sender *sender);
/** The connection is open; or it is gone. */
void declare_connected(struct sender *sender);
void declare_lost(struct sender *sender);

/* report.c */

enum warren_status report_init(struct sender *sender);
void report_done(struct sender *sender);
/** A message without a callback has ended, and not well. */
void report_unheard(struct sender *sender, const struct warren_receipt *receipt);
/** The broker refused to declare @item again. */
void report_undeclared(const struct sender *sender, const char *item, uint16_t code,
                       const char *text);
/** Tell now of those that wait for a line. */
void report_rest(void *sender);

/* sender_events.c */

extern const struct connection_events sender_connection_events;
extern const struct channel_events sender_channel_events;

#endif
