/* connection.c - the states of a connection, its tries, and what is answered on channel 0. */
#include "amqp/connection.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/dialer.h"
#include "amqp/handshake.h"
#include "amqp/method_name.h"
#include "amqp/opener.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/log.h"

#define CHANNEL_MAX 2047
#define TEXT_MAX    512
#define BIT(state)  (1u << CONNECTION_##state)

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

struct connection {
    struct loop *loop;
    struct connection_events events;
    void *user;
    struct connection_channels channels;
    void *channels_user;

    char *name;
    struct uri *uris;
    size_t uri_count;
    size_t uri_current;
    bool sasl_external;
    struct connection_options numbers; /* its pointers are not used */
    struct tls_context *tls;
    char where[2 * URI_PART_MAX + 32];

    enum connection_state state;
    int64_t state_since_ms;
    int64_t try_deadline_ms;
    struct random random;
    struct backoff backoff;
    struct loop_timer deadline; /* of the handshakes */
    struct loop_timer retry;
    struct loop_task fail_task;
    struct loop_task closed_task;

    struct dialer dialer;
    struct stream stream;
    struct opener opener;
    struct handshake_limits agreed;
    bool blocked;
    bool reading_paused;
    int64_t hears_since_ms; /* when neither of both was the case any more; 0: it never was */
    amqp_pool_t pool;       /* for decoding methods of channel 0 */

    bool failing; /* lost, and the owner does not know yet */
    uint16_t failing_code;
    uint32_t failing_method; /* that the broker blames */
    char failing_text[TEXT_MAX];

    uint64_t connects;
    uint64_t losses;
};

static int64_t now_ms(const struct connection *c)
{
    return clock_now_ms(loop_clock(c->loop));
}

const char *connection_state_name(enum connection_state state)
{
    return states[state].name;
}

static void enter(struct connection *c, enum connection_state next)
{
    assert(states[c->state].next & (1u << next));
    log_debug("connection %s to %s: %s -> %s", c->name, c->where, states[c->state].name,
              states[next].name);
    c->state = next;
    c->state_since_ms = now_ms(c);
}

/* ---- the end of a try, or of an open connection ---- */

static void drop(struct connection *c)
{
    loop_timer_disarm(&c->deadline);
    dialer_cancel(&c->dialer);
    stream_close(&c->stream);
}

static uint32_t next_delay_ms(struct connection *c, bool refused)
{
    uint32_t delay_ms;

    if (c->state == CONNECTION_OPEN && now_ms(c) - c->state_since_ms >= c->numbers.stable_ms)
        backoff_reset(&c->backoff);
    delay_ms = backoff_next_ms(&c->backoff);
    if (refused)
        delay_ms = c->numbers.refused_delay_ms + delay_ms / 4;
    return delay_ms;
}

static void tell_channels_lost(struct connection *c, uint32_t method, const char *text)
{
    if (c->channels_user)
        c->channels.lost(c->channels_user, method, text);
}

static void lose_for_good(struct connection *c)
{
    drop(c);
    enter(c, CONNECTION_CLOSED);
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
    loss.retry_ms = next_delay_ms(c, loss.refused);
    drop(c);
    enter(c, CONNECTION_WAITING);
    loop_timer_arm_ms(&c->retry, loss.retry_ms);
    c->uri_current = (c->uri_current + 1) % c->uri_count;
    c->blocked = false;
    c->reading_paused = false;
    c->hears_since_ms = 0;
    c->losses += loss.was_open;
    tell_channels_lost(c, c->failing_method, loss.text);
    if (was_blocked && c->events.blocked)
        c->events.blocked(c->user, false, "");
    if (c->events.lost)
        c->events.lost(c->user, &loss);
}

/* The door through which every loss goes, whatever state it met. */
static void lose(void *arg)
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

static void fail_code(struct connection *c, uint16_t code, uint32_t method, const char *text)
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

void connection_fail(struct connection *c, enum warren_status status, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;

    (void)status;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fail_code(c, 0, 0, text);
}

/* ---- channel 0 of an open connection ---- */

static void on_close(struct connection *c, const amqp_connection_close_t *close)
{
    char text[TEXT_MAX];

    handshake_close_text(close, text, sizeof text);
    if (handshake_put_close_ok(&c->stream.out) == WARREN_OK)
        stream_flush(&c->stream);
    fail_code(c, close->reply_code, (uint32_t)close->class_id << 16 | close->method_id, text);
}

static void on_blocked(struct connection *c, bool blocked, amqp_bytes_t reason)
{
    char text[256];

    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    c->hears_since_ms = now_ms(c);
    snprintf(text, sizeof text, "%.*s", (int)(reason.len < 255 ? reason.len : 255),
             reason.len ? (const char *)reason.bytes : "");
    if (c->events.blocked)
        c->events.blocked(c->user, blocked, text);
}

static void on_method(struct connection *c, const struct handshake_method *method)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD)
        on_close(c, method->decoded);
    else if (method->id == AMQP_CONNECTION_CLOSE_OK_METHOD && c->state == CONNECTION_CLOSING)
        connection_fail(c, WARREN_ECLOSED, "closed");
    else if (method->id == AMQP_CONNECTION_BLOCKED_METHOD)
        on_blocked(c, true, ((amqp_connection_blocked_t *)method->decoded)->reason);
    else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD)
        on_blocked(c, false, amqp_empty_bytes);
    else
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent %s while %s",
                        method_name(method->id).text, states[c->state].name);
}

static void on_channel_0(struct connection *c, const struct frame *frame)
{
    struct handshake_method method = {0};
    char why[TEXT_MAX];

    if (handshake_read(frame, &c->pool, &method, why, sizeof why) != WARREN_OK)
        connection_fail(c, WARREN_EPROTOCOL, "%s", why);
    else
        on_method(c, &method);
    recycle_amqp_pool(&c->pool);
}

/* ---- what the stream tells ---- */

static void on_frame(void *user, const struct frame *frame)
{
    struct connection *c = user;

    if (c->state < CONNECTION_OPEN)
        opener_frame(&c->opener, frame);
    else if (frame->channel == 0)
        on_channel_0(c, frame);
    else if (c->state == CONNECTION_OPEN && c->channels_user)
        c->channels.frame(c->channels_user, frame);
    else if (c->state == CONNECTION_OPEN)
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent a frame for channel %u, not open",
                        frame->channel);
}

static void on_stream_failed(void *user, const char *text)
{
    struct connection *c = user;
    struct warren_bytes unread = stream_unread(&c->stream);

    if (c->state == CONNECTION_GREETING && unread.len > 0)
        text = handshake_recognise(unread);
    connection_fail(c, WARREN_EIO, "%s", text);
}

static void on_turn(void *user)
{
    struct connection *c = user;

    if (c->state == CONNECTION_OPEN && c->events.turn)
        c->events.turn(c->user);
}

static void on_writable(void *user)
{
    struct connection *c = user;

    if (c->state == CONNECTION_OPEN && c->events.writable)
        c->events.writable(c->user);
}

/* ---- a try ---- */

static void on_dialer_stage(void *user, enum dialer_stage stage)
{
    static const enum connection_state of_stage[] = {
        [DIALER_RESOLVING] = CONNECTION_RESOLVING,
        [DIALER_CONNECTING] = CONNECTION_CONNECTING,
        [DIALER_SECURING] = CONNECTION_SECURING,
    };

    enter(user, of_stage[stage]);
}

static void on_opener_stage(void *user, enum opener_stage stage)
{
    static const enum connection_state of_stage[] = {
        [OPENER_GREETING] = CONNECTION_GREETING,
        [OPENER_TUNING] = CONNECTION_TUNING,
        [OPENER_OPENING] = CONNECTION_OPENING,
    };

    enter(user, of_stage[stage]);
}

static void on_dialed(void *user, const struct transport *transport)
{
    struct connection *c = user;
    const struct opener_options options = {
        .name = c->name,
        .uri = &c->uris[c->uri_current],
        .sasl_external = c->sasl_external,
        .wanted = {CHANNEL_MAX, c->numbers.frame_max, (uint16_t)c->numbers.heartbeat_s},
    };
    int64_t left_ms = c->try_deadline_ms - now_ms(c);
    enum warren_status status = stream_open(&c->stream, transport, c->numbers.frame_max);

    if (status != WARREN_OK) {
        connection_fail(c, status, "out of memory for a connection");
        return;
    }
    loop_timer_arm_ms(&c->deadline, left_ms > 0 ? left_ms : 0);
    opener_begin(&c->opener, &options);
}

static void on_opened(void *user, const struct handshake_limits *agreed)
{
    struct connection *c = user;

    c->agreed = *agreed;
    loop_timer_disarm(&c->deadline);
    enter(c, CONNECTION_OPEN);
    c->connects++;
    stream_set_heartbeat(&c->stream, agreed->heartbeat_s);
    stream_set_rest(&c->stream, c->numbers.read_coalesce_us, c->numbers.read_window);
    if (c->channels_user)
        c->channels.open(c->channels_user, agreed->channel_max);
    if (c->events.open)
        c->events.open(c->user);
}

static void on_open_failed(void *user, uint16_t code, const char *text)
{
    fail_code(user, code, 0, text);
}

static void on_dial_failed(void *user, const char *text)
{
    connection_fail(user, WARREN_EIO, "%s", text);
}

static void begin_try(void *arg)
{
    struct connection *c = arg;
    const struct uri *uri = &c->uris[c->uri_current];

    uri_describe(uri, c->where, sizeof c->where);
    c->try_deadline_ms = now_ms(c) + c->numbers.connect_timeout_ms;
    dialer_begin(&c->dialer, uri, uri->tls ? c->tls : NULL, c->numbers.connect_timeout_ms);
}

static void deadline_passed(void *arg)
{
    struct connection *c = arg;

    connection_fail(c, WARREN_ETIMEOUT, "timed out while %s%s", states[c->state].name,
                    c->state == CONNECTION_GREETING
                        ? ": the peer accepted the connection and then sent no AMQP greeting"
                        : "");
}

/* ---- life ---- */

void connection_options_init(struct connection_options *options)
{
    *options = (struct connection_options){
        .heartbeat_s = 30,
        .connect_timeout_ms = 10000,
        .rpc_timeout_ms = 20000,
        .reconnect_delay_min_ms = 100,
        .reconnect_delay_max_ms = 10000,
        .refused_delay_ms = 30000,
        .stable_ms = 30000,
        .frame_max = 131072,
        .read_coalesce_us = 300,
    };
}

static void tell_closed(void *arg)
{
    struct connection *c = arg;

    if (c->events.closed)
        c->events.closed(c->user);
}

static enum warren_status check_options(const struct connection_options *o,
                                        struct warren_error *error)
{
    if (o->uri_count == 0)
        return error_set(error, WARREN_EINVAL, "a connection needs at least one URI");
    if (o->frame_max < 8192 || o->frame_max > 131072)
        return error_set(error, WARREN_EINVAL, "frame_max %u is not between 8192 and 131072",
                         o->frame_max);
    for (size_t i = 0; i < o->uri_count; i++) {
        if (o->sasl_external && (!o->uris[i].tls || !o->tls.cert_file))
            return error_set(error, WARREN_ECONFIG,
                             "SASL EXTERNAL needs amqps:// and a client certificate");
    }
    return WARREN_OK;
}

static enum warren_status init_tls(struct connection *c, const struct connection_options *o,
                                   struct warren_error *error)
{
    for (size_t i = 0; i < o->uri_count; i++) {
        if (o->uris[i].tls)
            return tls_context_new(&o->tls, &c->tls, error);
    }
    return WARREN_OK;
}

static enum warren_status init_parts(struct connection *c)
{
    static const struct dialer_events dialer_events = {on_dialer_stage, on_dialed, on_dial_failed};
    static const struct opener_events opener_events = {on_opener_stage, on_opened, on_open_failed};
    static const struct stream_events stream_events = {on_frame, on_stream_failed, on_turn,
                                                       on_writable};
    enum warren_status status = loop_timer_init(&c->deadline, c->loop, deadline_passed, c);

    opener_init(&c->opener, &c->stream, &opener_events, c);
    if (status == WARREN_OK)
        status = loop_timer_init(&c->retry, c->loop, begin_try, c);
    if (status == WARREN_OK)
        status = dialer_init(&c->dialer, c->loop, &dialer_events, c);
    if (status == WARREN_OK)
        status = stream_init(&c->stream, c->loop, &stream_events, c);
    return status;
}

enum warren_status connection_new(struct loop *loop, const struct connection_options *options,
                                  const struct connection_events *events, void *user,
                                  struct connection **ret_connection, struct warren_error *error)
{
    enum warren_status status = check_options(options, error);
    struct connection *c;

    if (status != WARREN_OK)
        return status;
    c = calloc(1, sizeof *c);
    if (!c)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    c->loop = loop;
    c->events = *events;
    c->user = user;
    c->numbers = *options;
    c->uri_count = options->uri_count;
    c->sasl_external = options->sasl_external;
    c->agreed.frame_max = options->frame_max;
    random_init(&c->random, random_seed());
    backoff_init(&c->backoff, options->reconnect_delay_min_ms, options->reconnect_delay_max_ms,
                 &c->random);
    init_amqp_pool(&c->pool, 4096);
    loop_task_init(&c->fail_task, lose, c);
    loop_task_init(&c->closed_task, tell_closed, c);
    c->name = strdup(options->name ? options->name : "warren");
    c->uris = calloc(options->uri_count, sizeof *c->uris);
    status = init_parts(c);
    if (!c->name || !c->uris)
        status = WARREN_ENOMEM;
    if (status != WARREN_OK)
        error_set(error, status, "connection: %s", warren_status_name(status));
    else
        status = init_tls(c, options, error);
    if (status != WARREN_OK) {
        connection_free(c);
        return status;
    }
    memcpy(c->uris, options->uris, options->uri_count * sizeof *c->uris);
    uri_describe(&c->uris[0], c->where, sizeof c->where);
    *ret_connection = c;
    return WARREN_OK;
}

void connection_start(struct connection *c)
{
    if (c->state == CONNECTION_IDLE)
        begin_try(c);
}

void connection_close(struct connection *c, uint32_t timeout_ms)
{
    if (c->state == CONNECTION_CLOSING || c->state == CONNECTION_CLOSED)
        return;
    loop_timer_disarm(&c->retry);
    if (c->state == CONNECTION_OPEN && !c->failing) {
        enter(c, CONNECTION_CLOSING);
        if (handshake_put_close(&c->stream.out) == WARREN_OK)
            stream_wrote(&c->stream);
        loop_timer_arm_ms(&c->deadline, timeout_ms);
        return;
    }
    loop_cancel(c->loop, &c->fail_task);
    c->failing = false;
    tell_channels_lost(c, 0, "the connection was closed");
    lose_for_good(c);
}

void connection_free(struct connection *c)
{
    if (!c)
        return;
    loop_cancel(c->loop, &c->fail_task);
    loop_cancel(c->loop, &c->closed_task);
    dialer_done(&c->dialer);
    stream_done(&c->stream);
    opener_done(&c->opener);
    loop_timer_done(&c->deadline);
    loop_timer_done(&c->retry);
    if (c->channels_user)
        c->channels.free(c->channels_user);
    tls_context_free(c->tls);
    empty_amqp_pool(&c->pool);
    if (c->uris)
        explicit_bzero(c->uris, c->uri_count * sizeof *c->uris);
    free(c->uris);
    free(c->name);
    free(c);
}

/* ---- for producers and for channels ---- */

struct buffer *connection_out(struct connection *c)
{
    return &c->stream.out;
}

void connection_wrote(struct connection *c)
{
    stream_wrote(&c->stream);
}

void connection_cork(struct connection *c)
{
    stream_cork(&c->stream);
}

void connection_uncork(struct connection *c)
{
    stream_uncork(&c->stream);
}

bool connection_resting(const struct connection *c)
{
    return atomic_load_explicit(&c->stream.resting, memory_order_acquire);
}

void connection_pause_reading(struct connection *c, bool pause)
{
    if (c->reading_paused == pause)
        return;
    c->reading_paused = pause;
    c->hears_since_ms = now_ms(c);
    stream_pause(&c->stream, pause);
}

void connection_attach_channels(struct connection *c, const struct connection_channels *channels,
                                void *user)
{
    assert(!c->channels_user);
    c->channels = *channels;
    c->channels_user = user;
}

void *connection_attached(const struct connection *c)
{
    return c->channels_user;
}

/* ---- readers ---- */

enum connection_state connection_state(const struct connection *c)
{
    return c->state;
}

int64_t connection_hears_since_ms(const struct connection *c)
{
    return c->blocked || c->reading_paused ? now_ms(c) : c->hears_since_ms;
}

int64_t connection_heard_ms(const struct connection *c)
{
    return c->stream.received_ms;
}

uint32_t connection_silence_ms(const struct connection *c)
{
    return c->agreed.heartbeat_s * 1000u;
}

uint16_t connection_channel_max(const struct connection *c)
{
    return c->agreed.channel_max;
}

uint32_t connection_frame_max(const struct connection *c)
{
    return c->agreed.frame_max;
}

const char *connection_where(const struct connection *c)
{
    return c->where;
}

const char *connection_server(const struct connection *c)
{
    return c->opener.server;
}

void connection_stats(const struct connection *c, struct connection_stats *stats)
{
    *stats = (struct connection_stats){c->connects, c->losses, c->stream.stats};
}

struct loop *connection_loop(struct connection *c)
{
    return c->loop;
}

uint32_t connection_rpc_timeout_ms(const struct connection *c)
{
    return c->numbers.rpc_timeout_ms;
}
