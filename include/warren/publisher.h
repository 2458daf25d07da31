/* publisher.h - publish to RabbitMQ with confirms, from any thread, through outages.
 *
 * A publisher owns a thread and a connection. A message given to it is copied, kept in a bounded
 * window until the broker confirms it, sent again (same order, same message id) after every
 * reconnect, and ends in exactly one result. A request is a message whose reply is waited for.
 *
 * With a spool (`spool_path`) a message is also on disk when publish returns, in one commit with
 * those of other threads. It leaves the disk when the broker has confirmed it, so it survives an
 * outage of the broker and the end of the process: the next publisher on that file sends it, with
 * the same message id, in the same order. What the broker may have received twice, consumers know
 * by that id. Its receipt says CONFIRMED, or SPOOLED where that takes longer: when there is no
 * connection for a second, when `timeout_ms` is over, or at once when the window is full, for which
 * publish does not wait then. SPOOLED is not an end; `spool_receipt` reports that. How it can
 * end other than as CONFIRMED:
 *  - refused for good (RETURNED), and its receipt says so: it is the callback's, and not on disk
 *  - the same, after SPOOLED or without a callback: kept on disk as refused, for `warren spool`
 *  - refused by a queue (NACKED): sent again and again, with rests of 0.5 to 30 s
 *  - older than `spool_max_age_ms`, or in the way of newer ones (WARREN_SPOOL_DROP_OLDEST): lost,
 *    and counted
 * Requests and relays are not spooled. One publisher at a time has a file.
 *
 * NULL in place of a publisher, or of anything else that is needed, is WARREN_EINVAL; where nothing
 * is returned nothing is done.
 *
 * fork(2): a publisher stays the parent's. In the child every call on it answers WARREN_ECLOSED at
 * once and touches nothing, neither its connection nor its spool; statistics are zero, close frees
 * nothing, and no callback is called. The child makes one of its own, with another spool's path:
 * SQLite forbids that a child opens a file that its parent had open.
 * What the broker refuses by closing the channel (an exchange that does not exist: 404; a property
 * it does not like: 406) costs the others in flight a second sending: the broker neither names the
 * message nor says which of the others it has stored. They are sent again in groups of 1, 2, 4, ...
 * until it is found, with the same ids, so some of them may be in their queues twice.
 *
 * Elsewhere: publishing from inside a handler (handler.h).
 */
#ifndef WARREN_PUBLISHER_H
#define WARREN_PUBLISHER_H

#include <warren/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How one message ended. */
enum warren_result {
    WARREN_CONFIRMED, /**< the broker took responsibility (basic.ack) */
    WARREN_NACKED,    /**< a queue refused it, such as overflow=reject-publish (basic.nack) */
    WARREN_RETURNED,  /**< mandatory, and no queue is bound for it (basic.return); or the broker
                           closes the channel or the connection over it, such as with 404 or 541 */
    WARREN_TIMEOUT,   /**< sent, but not confirmed in time: it may be stored or not */
    WARREN_EXPIRED,   /**< never sent before its time was over: it is certainly not stored */
    WARREN_SPOOLED    /**< only with a spool: it stays on disk, and is sent when that is possible */
};

/** The whole story of one ended message; lives until the callback returns. */
struct warren_receipt {
    enum warren_result result;
    const char *message_id;  /**< as sent, so generated if the caller gave none */
    uint16_t reply_code;     /**< RETURNED: such as 312; or 0 */
    const char *reply_text;  /**< RETURNED: such as "NO_ROUTE"; EXPIRED, if it lay on disk refused:
                                  such as "312 NO_ROUTE"; or "" */
    uint32_t sends;          /**< how often it was written to a connection */
    const char *exchange;    /**< where it was published to; "" if the message is on disk alone */
    const char *routing_key; /**< as above. Since: 0.1, both */
    /* The three names with their lengths: they may hold a NUL if the message is one that warren
     * passes on (message.h). Since: 0.1. */
    struct warren_bytes message_id_bytes;
    struct warren_bytes exchange_bytes;
    struct warren_bytes routing_key_bytes;
};

/**
 * Told once for each accepted message.
 *
 * Thread: the publisher's own; keep it short. No lock is held: it may publish (which then never
 * blocks: a full window answers WARREN_EFULL). What waits answers WARREN_EINVAL at once:
 * publish_wait, request, wait_connected, flush and close.
 */
typedef void warren_receipt_fn(const struct warren_receipt *receipt, void *user);

/** What a publisher's connection is doing. */
enum warren_publisher_state {
    WARREN_PUBLISHER_CONNECTING, /**< told first, once; tries follow each other from then on */
    WARREN_PUBLISHER_READY,      /**< messages are sent; also when the broker blocks no longer */
    WARREN_PUBLISHER_BLOCKED,    /**< the broker takes nothing at present (connection.blocked) */
    WARREN_PUBLISHER_LOST,       /**< the connection, or a try to make one: the words say why and
                                      when the next try is made */
    WARREN_PUBLISHER_CLOSED      /**< told last, in warren_publisher_close() */
};

/**
 * Told of each change of the state; LOST also of each try that failed.
 *
 * @words   READY: the address, or "" after BLOCKED; BLOCKED: the broker's reason; LOST: one
 * sentence; or "". Never a secret. They live until the callback returns Thread: as for
 * warren_receipt_fn, which also says what it may call.
 */
typedef void warren_publisher_state_fn(enum warren_publisher_state state, const char *words,
                                       void *user);

/** What publish does when the window is full. */
enum warren_when_full {
    WARREN_BLOCK = 0, /**< wait for room, at most `block_timeout_ms` */
    WARREN_FAIL       /**< answer WARREN_EFULL at once */
};

/** What publish does when the spool is full. */
enum warren_spool_when_full {
    WARREN_SPOOL_BLOCK = 0,  /**< wait for room, at most `block_timeout_ms` */
    WARREN_SPOOL_FAIL,       /**< answer WARREN_EFULL at once */
    WARREN_SPOOL_DROP_OLDEST /**< remove the oldest messages that are not being sent: they are lost
                                  and counted as spool_dropped */
};

/** How to reach the broker and how much to keep. Start from warren_publisher_options_init(). */
struct warren_publisher_options {
    size_t size;             /**< sizeof of this struct, set by warren_publisher_options_init() */
    const char *const *uris; /**< amqp:// or amqps://, tried in rotation */
    size_t uri_count;
    const char *password_file; /**< first line replaces the URIs' password; NULL: none */
    const char *ca_file;       /**< PEM, amqps; NULL: the system's store */
    const char *cert_file;     /**< PEM, client certificate; NULL: none */
    const char *key_file;      /**< PEM, its key */
    bool sasl_external;        /**< log in by the client certificate */
    const char
        *name; /**< shown in the broker's connection list, at most 1024 bytes; NULL: "warren" */
    uint32_t window_messages; /**< unconfirmed messages, 1 to 1000000 (1000) */
    size_t window_bytes;      /**< unconfirmed bytes, headers and bodies (64 MiB) */
    enum warren_when_full when_full;
    uint32_t block_timeout_ms; /**< longest wait for room; 0: for ever (30000) */
    uint32_t timeout_ms;       /**< a message's longest life in the window; 0: for ever (120000) */
    uint32_t heartbeat_s;      /**< 0: none (30) */
    uint32_t connect_timeout_ms;     /**< look-up, TCP, TLS and handshake of one try (10000) */
    uint32_t reconnect_delay_min_ms; /**< first ceiling of the full-jitter backoff (100) */
    uint32_t reconnect_delay_max_ms; /**< last ceiling (10000) */
    uint64_t delay_longest_ms;       /**< longest of warren_publisher_publish_after() (30 days) */
    double rate;    /**< messages a second, see warren_publisher_set_rate(); 0: no limit (0) */
    uint32_t burst; /**< messages at once after a rest; 0: evenly spaced (0) */
    const char *spool_path;    /**< a file of SQLite's in which messages wait; NULL: none */
    uint64_t spool_max_bytes;  /**< of messages on disk, at least 4096 (1 GiB) */
    uint64_t spool_max_age_ms; /**< an older message ends, unsent, as EXPIRED; 0: none does (0) */
    enum warren_spool_when_full spool_when_full; /**< (WARREN_SPOOL_BLOCK) */
    /** Reports the end of each spooled message whose end no receipt reported: its own said SPOOLED,
     * or there was no callback, or an earlier process published it. CONFIRMED; RETURNED (it is kept
     * as refused); EXPIRED or TIMEOUT (it was too old, or in the way). By its message id alone is
     * it known. Thread: as for any warren_receipt_fn. NULL: no report. */
    warren_receipt_fn *spool_receipt;
    void *spool_user;    /**< for it */
    bool spool_unsynced; /**< publish returns before the disk has flushed: a message survives the
                               end of the process, but perhaps not a loss of power (false) */
    bool unnamed_vhost;  /**< a lone slash behind an address is the virtual host whose name is
                               empty, as RabbitMQ's URI rules have it; false: it is / (false) */
    /** Told of connections, refusals, and what happens to the spool. Thread: as for
     * warren_publisher_state_fn. NULL: nobody wants the lines. */
    warren_log_fn *on_log;
    warren_publisher_state_fn *on_state; /**< NULL: nobody wants to know */
    /** Told of each message without a callback that was not confirmed, so that none is lost in
     * silence: RETURNED (such as published before its queue was declared), NACKED, TIMEOUT or
     * EXPIRED. Not of those on disk if there is a spool_receipt. NULL: their number and the last of
     * them are a line at level warn, of on_log or else on standard error, every 10 s at most. */
    warren_receipt_fn *on_returned;
    void *user; /**< for on_log, on_state and on_returned */
};

/** Fill @options with the defaults in brackets above; uris must then be set. Since: 0.1. */
WARREN_API void warren_publisher_options_init(struct warren_publisher_options *options);

struct warren_publisher;

/**
 * Start a publisher. It connects in the background and never gives up; messages may be published
 * at once.
 *
 * @return WARREN_OK; WARREN_EINVAL or WARREN_ECONFIG (a bad URI, an unreadable file); of a spool:
 *         WARREN_EIO (it cannot be opened, is damaged, or another publisher has it), WARREN_ECONFIG
 *         (another program's file, or a newer warren's), WARREN_EFULL (no space left); with @error
 */
WARREN_API enum warren_status warren_publisher_new(const struct warren_publisher_options *options,
                                                   struct warren_publisher **ret_publisher,
                                                   struct warren_error *error);

/**
 * Wait until the broker accepted the connection. Only for those who want to fail early.
 *
 * @return WARREN_OK; WARREN_ETIMEOUT with the last reason of failure in @error
 * Thread: any but the publisher's own.
 */
WARREN_API enum warren_status warren_publisher_wait_connected(struct warren_publisher *publisher,
                                                              uint32_t timeout_ms,
                                                              struct warren_error *error);

/** Where a message goes, and how. Zero what you do not need. Everything is copied. */
struct warren_publish {
    const char *exchange; /**< NULL or "": the default exchange */
    const char *routing_key;
    const struct warren_message *message;
    bool optional;       /**< not mandatory: an unroutable message is dropped, and confirmed */
    bool transient;      /**< delivery mode 1 where the message says none (default: 2) */
    uint32_t timeout_ms; /**< this message's life in the window; 0: the publisher's */
};

/**
 * Put a message into the window, or onto the disk if there is a spool, and then into the window.
 * A message without an id gets a UUIDv7 (RFC 9562).
 *
 * @on_receipt  called exactly once if this returned WARREN_OK, never otherwise; may be NULL
 * @return      WARREN_OK; WARREN_EINVAL (a name over 255 bytes, a number outside of its type),
 *              WARREN_ETOOBIG (headers over a frame, or more than the whole window or spool),
 *              WARREN_EFULL, WARREN_ETIMEOUT (no room in time), WARREN_ECLOSED, WARREN_ENOMEM;
 *              WARREN_EIO: the spool could not be written, so the message is not accepted
 * @error       which field, and what was expected; which bound, and whether there is a connection.
 *              Put together only where publishing failed; may be NULL
 * Thread: any.
 */
WARREN_API enum warren_status warren_publisher_publish(struct warren_publisher *publisher,
                                                       const struct warren_publish *publish,
                                                       warren_receipt_fn *on_receipt, void *user,
                                                       struct warren_error *error);

/**
 * Publish and wait for the end of that message.
 *
 * @ret_result  written if WARREN_OK is returned; look at it: RETURNED and NACKED are results
 * @return      as warren_publisher_publish(), with @error
 * Thread: any but the publisher's own.
 */
WARREN_API enum warren_status warren_publisher_publish_wait(struct warren_publisher *publisher,
                                                            const struct warren_publish *publish,
                                                            enum warren_result *ret_result,
                                                            struct warren_error *error);

/**
 * Publish a message that reaches its exchange or queue @delay_ms later, by way of delay queues on
 * the broker: it is safe there once this is CONFIRMED, and needs neither the publisher nor a
 * worker until then. Delays are rounded up to whole seconds and counted from the moment at which
 * the broker has the message; it comes within about two seconds after that time. Messages of
 * different delays do not wait for each other.
 *
 * The exchange, or the queue where that is the default exchange, must exist: else the message
 * ends as RETURNED with the broker's words, also if `optional`. From RabbitMQ 4.3 on the broker
 * says so only to a user who has some right on it (4.3.0: the one to configure); for anybody else
 * the message waits in the queue "warren.delay.queue." + its name until it is there. Whether the
 * exchange has a binding for it shows only after the delay; until there is one, the message stays
 * in the queue "warren.delay.exchange." + its name, with what comes behind it for the same
 * exchange.
 *
 * The message arrives with some more headers: warren-delay-*, and x-death of the broker. Headers
 * of these names that it had before are left out. The headers CC and BCC do not reach a queue that
 * it is sent to by the default exchange.
 *
 * The first delays of a connection declare what they need: exchanges and quorum queues named
 * "warren.delay." and two digits, and a queue for each destination (RabbitMQ 3.10 or later). It
 * takes the rights to configure, write and read "warren.delay.*", and the one to write to the
 * exchange; where that is the default exchange, to "amq.default".
 *
 * @delay_ms  0 or less: warren_publisher_publish()
 * @return    as warren_publisher_publish(), with @error; WARREN_ETOOBIG also if the headers leave
 * no room in a frame for those that the broker adds on the way, at most about 200 bytes and the
 * keys (routing key, CC) for each bit of the delay in seconds, and 2 KiB; WARREN_EINVAL also if
 * @delay_ms is above the option delay_longest_ms, if the message has an `expiration` (it would end
 * the delay), or if there is neither an exchange nor a queue's name, or that of a direct reply, or
 * one that holds a NUL Thread: any. Since: 0.1. Source:
 * https://www.rabbitmq.com/docs/quorum-queues, dead lettering at least once.
 */
WARREN_API enum warren_status warren_publisher_publish_after(
    struct warren_publisher *publisher, const struct warren_publish *publish, int64_t delay_ms,
    warren_receipt_fn *on_receipt, void *user, struct warren_error *error);

/**
 * Wait until every message accepted so far has ended and its callback has returned. What is
 * published meanwhile, by callbacks or other threads, is not waited for, so this ends however much
 * that is. There is no error in words, for each status has one reason; how many messages are left,
 * warren_publisher_stats() says, and why, on_state.
 *
 * @timeout_ms  0: for ever
 * @return      WARREN_OK; WARREN_ETIMEOUT (the messages stay in the window); WARREN_EINVAL, in a
 *              callback
 * Thread: any but the publisher's own.
 */
WARREN_API enum warren_status warren_publisher_flush(struct warren_publisher *publisher,
                                                     uint32_t timeout_ms);

/* ---- declaring ---- */

/** A queue. Zero what you do not need. */
struct warren_queue {
    const char *name;
    const char *type; /**< "quorum", "classic" or "stream"; NULL: "quorum" */
    bool transient;   /**< it does not survive a restart of the broker; classic queues only */
    bool auto_delete; /**< it is deleted when its last consumer goes; classic queues only */
    bool passive;     /**< only check that it exists */
    struct warren_table arguments; /**< such as x-max-length; not x-queue-type */
};

/** An exchange. */
struct warren_exchange {
    const char *name;
    const char *type; /**< "direct", "fanout", "topic", "headers" or "x-..."; NULL: "direct" */
    bool transient;   /**< it does not survive a restart of the broker */
    bool auto_delete; /**< it is deleted when its last binding goes */
    bool internal;    /**< nobody may publish to it */
    bool passive;     /**< only check that it exists */
    struct warren_table arguments;
};

/** Messages of an exchange go to a queue, or to another exchange. */
struct warren_binding {
    const char *exchange;
    const char *queue;       /**< either this */
    const char *to_exchange; /**< or this */
    const char *routing_key; /**< NULL: "" */
    struct warren_table arguments;
};

/** What is declared together: exchanges, then queues, then bindings. */
struct warren_topology {
    const struct warren_queue *queues;
    size_t queue_count;
    const struct warren_exchange *exchanges;
    size_t exchange_count;
    const struct warren_binding *bindings;
    size_t binding_count;
    bool again; /**< also on each later connection, before any message is sent on it */
};

/**
 * Declare queues, exchanges and bindings, and wait for the broker's answers. Messages that were
 * published before may be sent before; so it is best called right after warren_publisher_new().
 * What exists already as it is declared is no error. All is tried, also behind what is refused.
 *
 * With `again` it is kept until the publisher is closed, on a channel of the connection's own; also
 * after WARREN_ETIMEOUT, such as without a broker: it is declared when there is a connection. A
 * refusal then is a line of on_log, at level error, and messages are sent all the same. What was
 * refused at first is not kept.
 *
 * @topology    copied
 * @timeout_ms  0: for ever
 * @return      WARREN_OK; WARREN_EBROKER: the broker refused something, of which @error names the
 *              first, with its words (406: it exists with other properties; 403: no right to);
 *              WARREN_ETIMEOUT, with the reason if there is no connection; WARREN_EINVAL,
 *              WARREN_ETOOBIG, WARREN_ENOMEM, WARREN_ECLOSED; with @error
 * Thread: any but the publisher's own. Since: 0.1.
 */
WARREN_API enum warren_status warren_publisher_declare(struct warren_publisher *publisher,
                                                       const struct warren_topology *topology,
                                                       uint32_t timeout_ms,
                                                       struct warren_error *error);

/* ---- request and reply ---- */

/** The reply to a request, with its properties and body; all of it is freed at once. */
struct warren_reply {
    struct warren_message message;
};

/** NULL is fine. Thread: any. */
WARREN_API void warren_reply_free(struct warren_reply *reply);

/**
 * A property of @reply or the name of a header, as its message has it, with its length: it may hold
 * a NUL (message.h).
 *
 * @return  of any other text its bytes up to the first NUL; NULL and 0 of NULL
 * Thread: any. Ownership: as @text. Since: 0.1.
 */
WARREN_API struct warren_bytes warren_reply_text(const struct warren_reply *reply,
                                                 const char *text);

/**
 * Told once for each accepted request.
 *
 * @status  WARREN_OK: the reply came
 *          WARREN_ETIMEOUT: no reply in time; the request may still be handled, unless @why says
 *          that it was never sent
 *          WARREN_ENOTFOUND: returned: no queue is bound for it, or there is no such exchange
 *          WARREN_EBROKER: a queue or the broker refused it
 *          WARREN_EIO: the connection or the channel was lost after the request was sent, and the
 *          way for its reply with it; it may have been handled or not, and is not sent again
 *          WARREN_ETOOBIG: the reply's body is over 128 MiB; WARREN_ENOMEM
 *          WARREN_ECLOSED: the publisher is being closed
 * @reply   with WARREN_OK: the callee's, to be freed by warren_reply_free(); else NULL
 * @why     one sentence if it failed; lives until the callback returns
 * Thread: as for warren_receipt_fn.
 */
typedef void warren_reply_fn(enum warren_status status, struct warren_reply *reply, const char *why,
                             void *user);

/**
 * Publish a request and be called with its reply, which comes by RabbitMQ's direct reply-to
 * (https://www.rabbitmq.com/docs/direct-reply-to): no queue is declared, and a reply is delivered
 * at most once. The request's reply-to and correlation id are set here; a reply finds its request
 * by that id.
 *
 * A request is sent at most once. One that waits for a connection is sent when there is one, in
 * the order of publishing.
 * @publish     as for warren_publisher_publish(); its message has no reply-to and no correlation id
 * @timeout_ms  from now until the reply has come; at least 1
 * @on_reply    called exactly once if this returned WARREN_OK, never otherwise
 * @return      as warren_publisher_publish(), which also waits for room at most @timeout_ms, with
 *              @error; and WARREN_EFULL while 65,536 requests are open
 * Thread: any.
 */
WARREN_API enum warren_status warren_publisher_request_async(struct warren_publisher *publisher,
                                                             const struct warren_publish *publish,
                                                             uint32_t timeout_ms,
                                                             warren_reply_fn *on_reply, void *user,
                                                             struct warren_error *error);

/**
 * The same, waiting for the reply.
 *
 * @ret_reply  written if WARREN_OK is returned; the caller frees it by warren_reply_free()
 * @return     as warren_publisher_request_async() or warren_reply_fn says, with @error
 * Thread: any but the publisher's own.
 */
WARREN_API enum warren_status warren_publisher_request(struct warren_publisher *publisher,
                                                       const struct warren_publish *publish,
                                                       uint32_t timeout_ms,
                                                       struct warren_reply **ret_reply,
                                                       struct warren_error *error);

/**
 * Send at most @rate messages a second from now on, also those that are sent again. What has to
 * wait for its turn stays in the window: so callers meet a full window, with the rules of
 * `when_full`, and never wait otherwise. The window then holds no more than can leave within half
 * of the publisher's `timeout_ms`; a message with a shorter time of its own may end as EXPIRED.
 *
 * @rate   0.001 to 1000000; 0: no limit
 * @burst  messages that may go at once after a rest, up to 1000000; 0: evenly spaced
 * @return WARREN_OK; with @error: WARREN_EINVAL: which is out of bounds, or that it is less than
 * one message in `timeout_ms`; WARREN_ECLOSED Thread: any. Since: 0.1.
 */
WARREN_API enum warren_status warren_publisher_set_rate(struct warren_publisher *publisher,
                                                        double rate, uint32_t burst,
                                                        struct warren_error *error);

/**
 * What a publisher did since it was started. Counts only grow; in_flight, is_blocked and what is in
 * the spool are as of now.
 */
struct warren_publisher_stats {
    uint64_t published; /**< accepted by publish */
    uint64_t confirmed;
    uint64_t nacked;
    uint64_t returned;
    uint64_t timeout;
    uint64_t expired;
    uint64_t resent;      /**< written again after a reconnect */
    uint64_t connects;    /**< connections that reached the broker */
    uint64_t losses;      /**< connections and channels that were lost or could not be made */
    uint64_t blocked;     /**< times the broker said connection.blocked */
    uint64_t window_full; /**< times a publish found the window full */
    uint32_t in_flight;
    bool is_blocked;
    uint64_t requests;       /**< accepted by request; they count as published, too */
    uint64_t replies;        /**< requests that got their reply */
    uint64_t replies_late;   /**< replies that came for no request that still waits: dropped */
    uint64_t spooled;        /**< accepted, and written to the spool */
    uint64_t spool_dropped;  /**< removed from it unsent, to make room for newer ones */
    uint64_t spool_expired;  /**< removed from it because of their age */
    uint64_t spool_messages; /**< in it now, to be sent */
    uint64_t spool_refused;  /**< in it now, refused by the broker: see `warren spool` */
    uint64_t spool_bytes;    /**< of both */
};

/** Read the counts. Thread: any. Since: 0.1. */
WARREN_API void warren_publisher_stats(struct warren_publisher *publisher,
                                       struct warren_publisher_stats *stats);

/**
 * Accept nothing more, wait for what is in the window, close the connection, free everything.
 * What has not ended by then ends as TIMEOUT or EXPIRED, with its callback; what is in a spool
 * stays there, and ends as SPOOLED. Replies are not waited for: the requests that are open when
 * everything else has ended fail with WARREN_ECLOSED.
 *
 * @timeout_ms  0: end the open messages at once
 * @return      WARREN_OK if every message had ended by itself, WARREN_ETIMEOUT otherwise; freed
 *              in both cases. NULL is fine. WARREN_EINVAL in a callback of this publisher, which is
 *              not freed then, nor closed.
 * Thread: any but the publisher's own; no other call may be under way or follow.
 */
WARREN_API enum warren_status warren_publisher_close(struct warren_publisher *publisher,
                                                     uint32_t timeout_ms);

/** "confirmed", "nacked", "returned", "timeout", "expired", "spooled"; "unknown" for any other. */
WARREN_API const char *warren_result_name(enum warren_result result);

#ifdef __cplusplus
}
#endif
#endif
