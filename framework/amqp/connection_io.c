/* connection_io.c - the bytes of a connection: reading, resting, writing, heartbeats. */
#include "amqp/connection_private.h"

#include <string.h>

/* Below this a rest is not worth its two system calls. */
#define REST_MIN_US 50
/* A read that brought so much is a batch already. */
#define REST_MAX_BYTES ((size_t)48 * 1024)
/* Reads in one turn, when TLS holds more than one read takes. */
#define READS_PER_TURN 8

static bool has_socket(const struct connection *c)
{
    return c->transport.fd >= 0 && c->state >= CONNECTION_GREETING &&
           c->state <= CONNECTION_CLOSING;
}

void connection_io_want(struct connection *c)
{
    unsigned wanted = 0;

    if (!has_socket(c) || c->failing)
        return;
    if (!c->paused && !atomic_load_explicit(&c->resting, memory_order_relaxed))
        wanted |= LOOP_READ;
    if (buffer_len(&c->out) > 0 || c->transport.wants_write)
        wanted |= LOOP_WRITE;
    if (c->transport.wants_read)
        wanted |= LOOP_READ;
    loop_fd_want(&c->watch, wanted);
}

/* ---- writing ---- */

void connection_io_flush(struct connection *c)
{
    struct warren_error error = {WARREN_OK, ""};

    if (!has_socket(c) || c->failing)
        return;
    /* Before the write: a producer stopped at this mark, however much leaves now. */
    if (buffer_len(&c->out) > CONNECTION_OUT_HIGH)
        c->out_was_high = true;
    while (buffer_len(&c->out) > 0) {
        ssize_t taken =
            transport_write(&c->transport, buffer_front(&c->out), buffer_len(&c->out), &error);

        if (taken < 0) {
            connection_fail(c, WARREN_EIO, "%s", error.text);
            return;
        }
        if (taken == 0)
            break;
        buffer_taken(&c->out, (size_t)taken);
        c->stats.bytes_out += (uint64_t)taken;
        c->stats.writes++;
        c->sent_ms = clock_now_ms(loop_clock(c->loop));
    }
    connection_io_want(c);
    if (c->out_was_high && buffer_len(&c->out) <= CONNECTION_OUT_LOW) {
        c->out_was_high = false;
        if (c->events.writable && c->state == CONNECTION_OPEN)
            c->events.writable(c->user);
    }
}

struct buffer *connection_out(struct connection *c)
{
    return &c->out;
}

void connection_wrote(struct connection *c)
{
    if (c->corked == 0)
        connection_io_flush(c);
}

void connection_cork(struct connection *c)
{
    c->corked++;
}

void connection_uncork(struct connection *c)
{
    if (--c->corked == 0 && buffer_len(&c->out) > 0)
        connection_io_flush(c);
}

/* ---- reading ---- */

static void dispatch(struct connection *c, const struct frame *frame)
{
    if (frame->type == FRAME_HEARTBEAT)
        return;
    if (frame->channel == 0) {
        handshake_frame(c, frame);
        return;
    }
    if (frame->type == FRAME_METHOD)
        c->turn_messages++;
    if (c->state == CONNECTION_OPEN)
        channel_set_frame(c->channels, frame);
    else if (c->state != CONNECTION_CLOSING)
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent a frame for channel %u while %s",
                        frame->channel, connection_state_name(c->state));
}

static void broken(struct connection *c, const char *why)
{
    const char *guess = NULL;

    if (c->state == CONNECTION_GREETING)
        guess = handshake_recognise(buffer_front(&c->in), buffer_len(&c->in));
    connection_fail(c, WARREN_EPROTOCOL, "%s", guess ? guess : why);
}

static void take_frames(struct connection *c)
{
    struct frame frame;
    const char *why = "";
    size_t size = 0;

    while (!c->failing && c->transport.fd >= 0 && buffer_len(&c->in) > 0) {
        switch (frame_read(buffer_front(&c->in), buffer_len(&c->in), c->frame_max, &frame, &size,
                           &why)) {
        case FRAME_COMPLETE:
            dispatch(c, &frame);
            buffer_taken(&c->in, size);
            break;
        case FRAME_PARTIAL:
            return;
        case FRAME_BROKEN:
            broken(c, why);
            return;
        }
    }
}

static size_t read_once(struct connection *c)
{
    struct warren_error error = {WARREN_OK, ""};
    ssize_t got;

    if (buffer_reserve(&c->in, CONNECTION_READ_SIZE) != WARREN_OK) {
        connection_fail(c, WARREN_ENOMEM, "out of memory for the receive buffer");
        return 0;
    }
    got = transport_read(&c->transport, buffer_back(&c->in), CONNECTION_READ_SIZE, &error);
    c->stats.reads++;
    if (got < 0) {
        const char *guess = NULL;

        if (c->state == CONNECTION_GREETING && buffer_len(&c->in) > 0)
            guess = handshake_recognise(buffer_front(&c->in), buffer_len(&c->in));
        connection_fail(c, WARREN_EIO, "%s", guess ? guess : error.text);
        return 0;
    }
    if (got > 0) {
        buffer_added(&c->in, (size_t)got);
        c->stats.bytes_in += (uint64_t)got;
        c->received_ms = clock_now_ms(loop_clock(c->loop));
        take_frames(c);
    }
    return (size_t)got;
}

/*
 * Under load, read less often and more at a time: each read wakes threads further down, which
 * costs more than the message itself. The rest is as long as a quarter of the peer's window takes
 * to come, so it never makes the peer wait, and there is none when traffic is thin.
 */
static void maybe_rest(struct connection *c, size_t got)
{
    int64_t now_ns = clock_now_ns(loop_clock(c->loop));
    double passed_us = (double)(now_ns - c->turn_ns) / 1000.0;
    double rest_us;

    c->turn_ns = now_ns;
    if (passed_us < 1)
        passed_us = 1;
    c->messages_per_us += ((double)c->turn_messages / passed_us - c->messages_per_us) / 4;
    c->turn_messages = 0;
    if (c->numbers.read_coalesce_us == 0 || c->state != CONNECTION_OPEN || c->failing ||
        c->paused || got == 0 || got > REST_MAX_BYTES || c->messages_per_us <= 0)
        return;
    rest_us = (double)c->numbers.read_window / 4 / c->messages_per_us;
    if (rest_us > c->numbers.read_coalesce_us)
        rest_us = c->numbers.read_coalesce_us;
    if (rest_us < REST_MIN_US || rest_us * c->messages_per_us < 2)
        return;
    c->stats.rests++;
    atomic_store_explicit(&c->resting, true, memory_order_release);
    loop_timer_arm_us(&c->rest, (int64_t)rest_us);
}

static void read_turn(struct connection *c)
{
    size_t got = 0;
    unsigned reads = 0;

    connection_cork(c);
    do {
        got += read_once(c);
    } while (!c->failing && has_socket(c) && transport_pending(&c->transport) &&
             ++reads < READS_PER_TURN);
    maybe_rest(c, got);
    if (c->events.turn && c->state == CONNECTION_OPEN)
        c->events.turn(c->user);
    c->corked--;
    connection_io_flush(c);
}

void connection_io_ready(void *arg, unsigned readiness)
{
    struct connection *c = arg;

    if (c->failing)
        return;
    if ((readiness & LOOP_WRITE) || c->transport.wants_read)
        connection_io_flush(c);
    if (readiness & LOOP_READ || c->transport.wants_write)
        read_turn(c);
}

void connection_io_rested(void *arg)
{
    struct connection *c = arg;

    atomic_store_explicit(&c->resting, false, memory_order_release);
    if (has_socket(c) && !c->failing && !c->paused)
        read_turn(c);
}

bool connection_resting(const struct connection *c)
{
    return atomic_load_explicit(&c->resting, memory_order_acquire);
}

void connection_pause_reading(struct connection *c, bool pause)
{
    if (c->paused == pause)
        return;
    c->paused = pause;
    c->received_ms = clock_now_ms(loop_clock(c->loop));
    connection_io_want(c);
}

/* ---- heartbeats: one when half the interval passed in silence, death after two intervals ---- */

static bool peer_is_silent(const struct connection *c, int64_t now_ms)
{
    return !c->paused && now_ms - c->received_ms > c->heartbeat_s * INT64_C(2000);
}

void connection_io_heartbeat(void *arg)
{
    struct connection *c = arg;
    int64_t now_ms = clock_now_ms(loop_clock(c->loop));

    if (!has_socket(c) || c->failing)
        return;
    /* It may be us who slept: look at what has come before the peer is declared dead. */
    if (peer_is_silent(c, now_ms))
        read_turn(c);
    if (!c->failing && peer_is_silent(c, now_ms)) {
        connection_fail(c, WARREN_ETIMEOUT, "no bytes from the broker for %u s (two heartbeats)",
                        2u * c->heartbeat_s);
        return;
    }
    if (buffer_len(&c->out) == 0 && now_ms - c->sent_ms >= c->heartbeat_s * INT64_C(500)) {
        frame_put_heartbeat(&c->out);
        connection_io_flush(c);
    }
    if (!c->failing)
        loop_timer_arm_ms(&c->heartbeat, c->heartbeat_s * 500);
}

void connection_io_drop(struct connection *c)
{
    loop_timer_disarm(&c->heartbeat);
    loop_timer_disarm(&c->rest);
    atomic_store_explicit(&c->resting, false, memory_order_release);
    loop_fd_done(&c->watch);
    transport_close(&c->transport);
    /* Given back, so that an idle connection that was busy once costs little. */
    size_t max = c->in.max;
    buffer_done(&c->in);
    buffer_init(&c->in, max);
    buffer_done(&c->out);
    buffer_init(&c->out, CONNECTION_OUT_MAX);
    c->out_was_high = false;
    c->paused = false;
    c->turn_messages = 0;
}
