/* stream.h - the bytes of an open socket: reads and splits them into frames, rests between reads
 * under load, writes from one buffer, sends and watches heartbeats.
 * Thread: the loop's. Owner: struct connection embeds one.
 * Elsewhere: how the socket came to be (dialer.h), what frames mean (connection.c, channel.c).
 */
#ifndef WARREN_AMQP_STREAM_H
#define WARREN_AMQP_STREAM_H

#include <stdatomic.h>

#include "amqp/net/transport.h"
#include "amqp/wire/frame.h"
#include "base/buffer.h"
#include "loop/loop.h"

/** Producers should stop appending above HIGH, and go on at `writable`, which comes at LOW. */
#define STREAM_OUT_HIGH ((size_t)256 * 1024)
#define STREAM_OUT_LOW  ((size_t)64 * 1024)

/** Events for the owner. */
struct stream_events {
    void (*frame)(void *user, const struct frame *frame);
    /** No more can be read or written; why, in one sentence. The owner answers stream_stop(). */
    void (*failed)(void *user, const char *text);
    /** All bytes of one read became frames. */
    void (*turn)(void *user);
    void (*writable)(void *user);
};

struct stream {
    struct loop *loop;
    struct stream_events events;
    void *user;
    struct transport transport;
    struct loop_fd watch;
    bool open; /* there is a socket, and it has not failed */
    bool paused;
    struct buffer in;
    struct buffer out;
    unsigned corked;
    bool out_was_high;
    uint32_t frame_max; /* a longer frame is refused; see frame.h for content headers */
    uint32_t skipping;  /* bytes of such a one still to be passed over, the end byte included */

    struct loop_timer heartbeat;
    uint32_t heartbeat_s;
    int64_t received_ms;
    int64_t sent_ms;

    struct loop_timer rest;
    atomic_bool resting;
    uint32_t rest_max_us;
    uint32_t rest_window;
    int64_t turn_ns;        /* when the last turn was */
    double messages_per_us; /* moving average over the turns */
    uint32_t turn_messages;
};

enum warren_status stream_init(struct stream *stream, struct loop *loop,
                               const struct stream_events *events, void *user);
/** A zeroed stream is fine. */
void stream_done(struct stream *stream);

/** Begin with a connected socket, which is the stream's from now on. */
enum warren_status stream_open(struct stream *stream, const struct transport *transport,
                               uint32_t frame_max);
/** From now on: a heartbeat after half of @heartbeat_s in silence, death after twice; 0: none. */
void stream_set_heartbeat(struct stream *stream, uint32_t heartbeat_s);
/** From now on rest up to @max_us between reads, never for longer than a quarter of @window
 * messages takes to come; 0: do not rest. */
void stream_set_rest(struct stream *stream, uint32_t max_us, uint32_t window);
/** Read and write no more; may be called from any event. The socket stays until stream_close(). */
void stream_stop(struct stream *stream);
/** Close the socket, forget what was not sent; harmless to repeat. Not from inside an event. */
void stream_close(struct stream *stream);

/** Have what was appended to `out` sent: now, or when uncorked. */
void stream_wrote(struct stream *stream);
void stream_cork(struct stream *stream);
void stream_uncork(struct stream *stream);
/** Send now, corked or not. */
void stream_flush(struct stream *stream);
void stream_pause(struct stream *stream, bool pause);
/** Received bytes that are no frame (yet), such as after `failed`. */
struct warren_bytes stream_unread(const struct stream *stream);

#endif
