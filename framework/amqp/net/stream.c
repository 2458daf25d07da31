/* stream.c - see stream.h. */
#include "amqp/net/stream.h"

#include <stdio.h>

/* What one recv may add to the bytes that are not a whole frame yet. */
#define READ_SIZE ((size_t)128 * 1024)
/* Appended and not yet sent: the largest message of RabbitMQ 3.x twice. */
#define OUT_MAX ((size_t)256 * 1024 * 1024)
/* Below this a rest is not worth its system calls. */
#define REST_MIN_US 50
/* A read that brought so much is a batch already. */
#define REST_MAX_BYTES ((size_t)48 * 1024)
/* Reads in one turn, when TLS holds more than one read takes. */
#define READS_PER_TURN 8

static int64_t now_ms(const struct stream *s)
{
    return loop_now_ms(s->loop);
}

static void want(struct stream *s)
{
    unsigned wanted = 0;

    if (!s->open)
        return;
    if ((!s->paused && !atomic_load_explicit(&s->resting, memory_order_relaxed)) ||
        s->transport.wants_read)
        wanted |= LOOP_READ;
    if (buffer_len(&s->out) > 0 || s->transport.wants_write)
        wanted |= LOOP_WRITE;
    loop_fd_want(&s->watch, wanted);
}

/* ---- writing ---- */

void stream_flush(struct stream *s)
{
    struct warren_error error = {WARREN_OK, ""};

    if (!s->open)
        return;
    /* Before the write: a producer stopped at this mark, however much leaves now. */
    if (buffer_len(&s->out) > STREAM_OUT_HIGH)
        s->out_was_high = true;
    while (buffer_len(&s->out) > 0) {
        ssize_t taken =
            transport_write(&s->transport, buffer_front(&s->out), buffer_len(&s->out), &error);

        if (taken < 0) {
            s->events.failed(s->user, error.text);
            return;
        }
        if (taken == 0)
            break;
        buffer_taken(&s->out, (size_t)taken);
        s->sent_ms = now_ms(s);
    }
    want(s);
    if (s->out_was_high && buffer_len(&s->out) <= STREAM_OUT_LOW) {
        s->out_was_high = false;
        s->events.writable(s->user);
    }
}

void stream_wrote(struct stream *s)
{
    if (s->corked == 0)
        stream_flush(s);
}

void stream_cork(struct stream *s)
{
    s->corked++;
}

void stream_uncork(struct stream *s)
{
    if (--s->corked == 0 && buffer_len(&s->out) > 0)
        stream_flush(s);
}

/* ---- reading ---- */

struct warren_bytes stream_unread(const struct stream *s)
{
    struct warren_bytes bytes = {buffer_front(&s->in), buffer_len(&s->in)};

    return bytes;
}

/* Pass over what is left of a content header that is too large. */
static void skip(struct stream *s)
{
    size_t have = buffer_len(&s->in);
    size_t len = have < s->skipping ? have : s->skipping;
    bool at_end = len == s->skipping;
    bool ends = !at_end || frame_end(buffer_front(&s->in)[len - 1]);

    s->skipping -= (uint32_t)len;
    buffer_taken(&s->in, len);
    if (!ends)
        s->events.failed(s->user, FRAME_NO_END);
}

static void take_frames(struct stream *s)
{
    struct frame frame;
    const char *why = "";
    size_t size = 0;

    while (s->open && buffer_len(&s->in) > 0) {
        if (s->skipping > 0) {
            skip(s);
            continue;
        }
        switch (frame_read(buffer_front(&s->in), buffer_len(&s->in), s->frame_max, &frame, &size,
                           &why)) {
        case FRAME_COMPLETE:
            s->turn_messages += frame.type == FRAME_METHOD && frame.channel != 0;
            s->skipping = frame.skipped > 0 ? frame.skipped + 1 : 0;
            if (frame.type != FRAME_HEARTBEAT)
                s->events.frame(s->user, &frame);
            buffer_taken(&s->in, size);
            break;
        case FRAME_PARTIAL:
            return;
        case FRAME_BROKEN:
            s->events.failed(s->user, why);
            return;
        }
    }
}

static size_t read_once(struct stream *s)
{
    struct warren_error error = {WARREN_OK, ""};
    ssize_t got;

    if (buffer_reserve(&s->in, READ_SIZE) != WARREN_OK) {
        s->events.failed(s->user, "out of memory for the receive buffer");
        return 0;
    }
    got = transport_read(&s->transport, buffer_back(&s->in), READ_SIZE, &error);
    if (got < 0) {
        s->events.failed(s->user, error.text);
        return 0;
    }
    if (got > 0) {
        buffer_added(&s->in, (size_t)got);
        s->received_ms = now_ms(s);
        take_frames(s);
    }
    return (size_t)got;
}

/*
 * Under load, read less often and more at a time: each read wakes threads further down, which
 * costs more than the message itself. The rest is as long as a quarter of the peer's window takes
 * to come, so it never makes the peer wait, and there is none when traffic is thin.
 */
static void maybe_rest(struct stream *s, size_t got)
{
    int64_t now_ns = clock_now_ns(loop_clock(s->loop));
    double passed_us = (double)(now_ns - s->turn_ns) / 1000.0;
    double rest_us;

    s->turn_ns = now_ns;
    if (passed_us < 1)
        passed_us = 1;
    s->messages_per_us += ((double)s->turn_messages / passed_us - s->messages_per_us) / 4;
    s->turn_messages = 0;
    if (s->rest_max_us == 0 || !s->open || s->paused || got == 0 || got > REST_MAX_BYTES ||
        s->messages_per_us <= 0)
        return;
    rest_us = (double)s->rest_window / 4 / s->messages_per_us;
    if (rest_us > s->rest_max_us)
        rest_us = s->rest_max_us;
    if (rest_us < REST_MIN_US || rest_us * s->messages_per_us < 2)
        return;
    atomic_store_explicit(&s->resting, true, memory_order_release);
    loop_timer_arm_us(&s->rest, (int64_t)rest_us);
}

static void read_turn(struct stream *s)
{
    size_t got = 0;
    unsigned reads = 0;

    stream_cork(s);
    do {
        got += read_once(s);
    } while (s->open && transport_pending(&s->transport) && ++reads < READS_PER_TURN);
    maybe_rest(s, got);
    if (s->open)
        s->events.turn(s->user);
    s->corked--;
    stream_flush(s);
}

static void ready(void *arg, unsigned readiness)
{
    struct stream *s = arg;

    if ((readiness & LOOP_WRITE) || s->transport.wants_read)
        stream_flush(s);
    if (s->open && ((readiness & LOOP_READ) || s->transport.wants_write))
        read_turn(s);
}

static void rested(void *arg)
{
    struct stream *s = arg;

    atomic_store_explicit(&s->resting, false, memory_order_release);
    if (s->open && !s->paused)
        read_turn(s);
}

void stream_pause(struct stream *s, bool pause)
{
    if (s->paused == pause)
        return;
    s->paused = pause;
    s->received_ms = now_ms(s);
    want(s);
}

/* ---- heartbeats (AMQP 0-9-1, section 4.2.7) ---- */

static bool peer_is_silent(const struct stream *s)
{
    return !s->paused && now_ms(s) - s->received_ms > s->heartbeat_s * INT64_C(2000);
}

static void heartbeat_due(void *arg)
{
    struct stream *s = arg;
    char text[80];

    if (!s->open)
        return;
    /* It may be us who slept: look at what has come before the peer is declared dead. */
    if (peer_is_silent(s))
        read_turn(s);
    if (s->open && peer_is_silent(s)) {
        snprintf(text, sizeof text, "no bytes from the broker for %u s (two heartbeats)",
                 2u * s->heartbeat_s);
        s->events.failed(s->user, text);
    }
    if (!s->open)
        return;
    if (buffer_len(&s->out) == 0 && now_ms(s) - s->sent_ms >= s->heartbeat_s * INT64_C(500)) {
        frame_put_heartbeat(&s->out);
        stream_flush(s);
    }
    loop_timer_arm_ms(&s->heartbeat, s->heartbeat_s * INT64_C(500));
}

/* ---- life ---- */

static void empty_buffers(struct stream *s)
{
    buffer_done(&s->in);
    buffer_init(&s->in, 2 * READ_SIZE + s->frame_max + FRAME_GROWTH_MAX);
    s->skipping = 0;
    buffer_done(&s->out);
    buffer_init(&s->out, OUT_MAX);
}

enum warren_status stream_init(struct stream *s, struct loop *loop,
                               const struct stream_events *events, void *user)
{
    enum warren_status status;

    *s = (struct stream){.loop = loop, .events = *events, .user = user, .transport = {.fd = -1}};
    empty_buffers(s);
    status = loop_timer_init(&s->heartbeat, loop, heartbeat_due, s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->rest, loop, rested, s);
    return status;
}

enum warren_status stream_open(struct stream *s, const struct transport *transport,
                               uint32_t frame_max)
{
    enum warren_status status;

    s->transport = *transport;
    s->frame_max = frame_max;
    s->rest_max_us = 0;
    s->turn_ns = 0;
    s->messages_per_us = 0;
    s->turn_messages = 0;
    s->paused = false;
    s->out_was_high = false;
    s->received_ms = s->sent_ms = now_ms(s);
    empty_buffers(s);
    status = loop_fd_init(&s->watch, s->loop, s->transport.fd, ready, s);
    if (status != WARREN_OK)
        return status;
    s->open = true;
    want(s);
    return WARREN_OK;
}

void stream_set_heartbeat(struct stream *s, uint32_t heartbeat_s)
{
    s->heartbeat_s = heartbeat_s;
    s->received_ms = s->sent_ms = now_ms(s);
    if (heartbeat_s > 0)
        loop_timer_arm_ms(&s->heartbeat, heartbeat_s * INT64_C(500));
    else
        transport_keep_alive(&s->transport);
}

void stream_set_rest(struct stream *s, uint32_t max_us, uint32_t window)
{
    s->rest_max_us = max_us;
    s->rest_window = window;
}

void stream_stop(struct stream *s)
{
    s->open = false;
    loop_timer_disarm(&s->heartbeat);
    loop_timer_disarm(&s->rest);
    atomic_store_explicit(&s->resting, false, memory_order_release);
    loop_fd_want(&s->watch, 0);
}

void stream_close(struct stream *s)
{
    stream_stop(s);
    loop_fd_done(&s->watch);
    transport_close(&s->transport);
    /* Given back, so that an idle connection that was busy once costs little. */
    empty_buffers(s);
}

void stream_done(struct stream *s)
{
    if (!s->loop)
        return;
    stream_close(s);
    loop_timer_done(&s->heartbeat);
    loop_timer_done(&s->rest);
    buffer_done(&s->in);
    buffer_done(&s->out);
}
