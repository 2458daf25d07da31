/* connection_reconnect.c - the states of a connection: connecting, losing it, reconnecting. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "amqp/connection/channel_private.h"
#include "base/log.h"

#define BIT CONNECTION_BIT

static const struct {
    const char *name;
    unsigned next; /* states that may follow */
} states[] = {
    [CONNECTION_IDLE] = {"idle", BIT(RESOLVING) | BIT(CLOSED)},
    [CONNECTION_RESOLVING] = {"resolving", BIT(CONNECTING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_CONNECTING] = {"connecting",
                               BIT(SECURING) | BIT(GREETING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_SECURING] = {"securing", BIT(GREETING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_GREETING] = {"greeting", BIT(TUNING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_TUNING] = {"tuning", BIT(OPENING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_OPENING] = {"opening", BIT(OPEN) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_OPEN] = {"open", BIT(CLOSING) | BIT(WAITING) | BIT(CLOSED)},
    [CONNECTION_CLOSING] = {"closing", BIT(CLOSED)},
    [CONNECTION_WAITING] = {"waiting", BIT(RESOLVING) | BIT(CLOSED)},
    [CONNECTION_CLOSED] = {"closed", 0},
};

const char *connection_state_name(enum connection_state state)
{
    return states[state].name;
}

void connection_enter(struct connection *c, enum connection_state next)
{
    assert(states[c->state].next & (1u << next));
    log_debug("connection %s to %s: %s -> %s", c->name, c->where, connection_state_name(c->state),
              states[next].name);
    c->state = next;
    c->state_since_ms = connection_now_ms(c);
}

/* ---- a connection is lost, or could not be made ---- */

static void drop(struct connection *c)
{
    loop_timer_disarm(&c->deadline);
    dialer_cancel(&c->dialer);
    stream_close(&c->stream);
}

static uint32_t next_delay_ms(struct connection *c, bool refused)
{
    uint32_t delay_ms;

    if (c->state == CONNECTION_OPEN &&
        connection_now_ms(c) - c->state_since_ms >= c->numbers.stable_ms)
        backoff_reset(&c->backoff);
    delay_ms = backoff_next_ms(&c->backoff);
    if (refused)
        delay_ms = c->numbers.refused_delay_ms + delay_ms / 4;
    return delay_ms;
}

static void lose_for_good(struct connection *c)
{
    drop(c);
    connection_enter(c, CONNECTION_CLOSED);
    loop_post(c->loop, &c->closed_task);
}

static void lose_and_wait(struct connection *c)
{
    struct connection_loss loss = {
        .where = c->where,
        .was_open = c->state == CONNECTION_OPEN,
        .code = c->failing_code,
        .text = c->failing_text,
    };
    bool was_blocked = c->blocked;

    loss.refused =
        !loss.was_open && (loss.code == AMQP_ACCESS_REFUSED || loss.code == AMQP_NOT_ALLOWED);
    c->retry_ms = next_delay_ms(c, loss.refused);
    drop(c);
    connection_enter(c, CONNECTION_WAITING);
    loop_timer_arm_ms(&c->retry, c->retry_ms);
    c->uri_current = (c->uri_current + 1) % c->numbers.uri_count;
    c->blocked = false;
    c->reading_paused = false;
    c->hears_since_ms = 0;
    channel_set_lost(c->channels, c->failing_method, loss.text);
    if (was_blocked && c->events.blocked)
        c->events.blocked(c->user, false, "");
    loss.retry_ms = c->retry_ms; /* a channel's owner may have known what it was */
    if (c->events.lost)
        c->events.lost(c->user, &loss);
}

void connection_retry_now(struct connection *c)
{
    if (c->state != CONNECTION_WAITING)
        return;
    backoff_reset(&c->backoff);
    c->retry_ms = 0;
    loop_timer_arm_ms(&c->retry, 0);
}

void connection_lose(void *arg)
{
    struct connection *c = arg;

    if (!c->failing)
        return;
    c->failing = false;
    if (c->state == CONNECTION_CLOSING)
        lose_for_good(c);
    else
        lose_and_wait(c);
}

void connection_abandon(struct connection *c)
{
    loop_cancel(c->loop, &c->fail_task);
    c->failing = false;
    channel_set_lost(c->channels, 0, "the connection was closed");
    lose_for_good(c);
}

void connection_fail_code(struct connection *c, uint16_t code, uint32_t method, const char *text)
{
    bool live = c->state != CONNECTION_IDLE && c->state != CONNECTION_WAITING &&
                c->state != CONNECTION_CLOSED;

    if (c->failing || !live)
        return;
    c->failing = true;
    c->failing_code = code;
    c->failing_method = method;
    snprintf(c->failing_text, sizeof c->failing_text, "%s", text);
    stream_stop(&c->stream);
    loop_post(c->loop, &c->fail_task);
}

void connection_fail(struct connection *c, const char *format, ...)
{
    char text[CONNECTION_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    connection_fail_code(c, 0, 0, text);
}

/* ---- connecting ---- */

static void on_dialer_step(void *user, enum dialer_step step)
{
    static const enum connection_state of_step[] = {
        [DIALER_RESOLVING] = CONNECTION_RESOLVING,
        [DIALER_CONNECTING] = CONNECTION_CONNECTING,
        [DIALER_SECURING] = CONNECTION_SECURING,
    };

    connection_enter(user, of_step[step]);
}

static void on_dialed(void *user, const struct transport *transport)
{
    struct connection *c = user;
    int64_t left_ms = c->connect_deadline_ms - connection_now_ms(c);
    enum warren_status status = stream_open(&c->stream, transport, c->numbers.frame_max);

    if (status != WARREN_OK) {
        connection_fail(c, "out of memory for a connection");
        return;
    }
    loop_timer_arm_ms(&c->deadline, left_ms > 0 ? left_ms : 0);
    connection_enter(c, CONNECTION_GREETING);
    connection_sent(c, handshake_put_header(&c->stream.out));
}

void connection_opened(struct connection *c)
{
    loop_timer_disarm(&c->deadline);
    connection_enter(c, CONNECTION_OPEN);
    stream_set_heartbeat(&c->stream, c->agreed.heartbeat_s);
    stream_set_rest(&c->stream, c->numbers.read_coalesce_us, c->numbers.read_window);
    channel_set_open(c->channels, c->agreed.channel_max);
    if (c->events.open)
        c->events.open(c->user);
}

static void on_dial_failed(void *user, const char *text)
{
    connection_fail(user, "%s", text);
}

const struct dialer_events connection_dialer_events = {
    .step = on_dialer_step,
    .connected = on_dialed,
    .failed = on_dial_failed,
};

void connection_connect(void *arg)
{
    struct connection *c = arg;
    const struct uri *uri = &c->uris[c->uri_current];

    uri_describe(uri, c->where, sizeof c->where);
    c->connect_deadline_ms = connection_now_ms(c) + c->numbers.connect_timeout_ms;
    dialer_begin(&c->dialer, uri, uri->tls ? c->tls : NULL, c->numbers.connect_timeout_ms);
}

void connection_deadline_passed(void *arg)
{
    struct connection *c = arg;

    connection_fail(c, "timed out while %s%s", connection_state_name(c->state),
                    c->state == CONNECTION_GREETING
                        ? ": the peer accepted the connection and then sent no AMQP greeting"
                        : "");
}
