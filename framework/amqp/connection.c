/* connection.c - the states of a connection and its tries. */
#include "amqp/connection_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"

#define BIT(state) (1u << CONNECTION_##state)

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

static void begin_try(void *arg);

const char *connection_state_name(enum connection_state state)
{
    return states[state].name;
}

void connection_enter(struct connection *c, enum connection_state next)
{
    assert(states[c->state].next & (1u << next));
    log_debug("connection %s to %s: %s -> %s", c->name, c->where, states[c->state].name,
              states[next].name);
    c->state = next;
    c->state_since_ms = clock_now_ms(loop_clock(c->loop));
}

/* ---- the end of a try ---- */

static void drop_try(struct connection *c)
{
    resolver_abandon(c->lookup);
    c->lookup = NULL;
    if (c->addresses)
        freeaddrinfo(c->addresses);
    c->addresses = c->address = NULL;
    loop_timer_disarm(&c->deadline);
    connection_io_drop(c);
}

static bool code_refuses(const struct connection *c)
{
    return c->state != CONNECTION_OPEN &&
           (c->failing_code == AMQP_ACCESS_REFUSED || c->failing_code == AMQP_NOT_ALLOWED);
}

static uint32_t next_delay_ms(struct connection *c, bool refused)
{
    int64_t lived_ms = clock_now_ms(loop_clock(c->loop)) - c->state_since_ms;
    uint32_t delay_ms;

    if (c->state == CONNECTION_OPEN && lived_ms >= c->numbers.stable_ms)
        backoff_reset(&c->backoff);
    delay_ms = backoff_next_ms(&c->backoff);
    if (refused)
        delay_ms = c->numbers.refused_delay_ms + delay_ms / 4;
    return delay_ms;
}

/* The door through which every loss goes, whatever state it met. */
static void lose(void *arg)
{
    struct connection *c = arg;
    struct connection_loss loss = {
        .where = c->where,
        .was_open = c->state == CONNECTION_OPEN,
        .refused = code_refuses(c),
        .code = c->failing_code,
        .text = c->failing_text,
    };
    bool was_blocked = c->blocked;

    if (!c->failing)
        return;
    if (c->state == CONNECTION_CLOSING) {
        drop_try(c);
        c->failing = false;
        connection_enter(c, CONNECTION_CLOSED);
        loop_post(c->loop, &c->closed_task);
        return;
    }
    drop_try(c);
    loss.retry_ms = next_delay_ms(c, loss.refused);
    connection_enter(c, CONNECTION_WAITING);
    c->failing = false;
    c->blocked = false;
    c->uri_current = (c->uri_current + 1) % c->uri_count;
    loop_timer_arm_ms(&c->retry, loss.retry_ms);
    c->stats.losses += loss.was_open;
    channel_set_lost(c->channels, c->failing_method, loss.text);
    if (was_blocked && c->events.blocked)
        c->events.blocked(c->user, false, "");
    if (c->events.lost)
        c->events.lost(c->user, &loss);
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
    loop_post(c->loop, &c->fail_task);
}

void connection_fail(struct connection *c, enum warren_status status, const char *format, ...)
{
    char text[CONNECTION_TEXT_MAX];
    va_list arguments;

    (void)status;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    connection_fail_code(c, 0, 0, text);
}

/* ---- a try ---- */

static void arm_deadline(struct connection *c, int64_t at_most_ms)
{
    int64_t left_ms = c->try_deadline_ms - clock_now_ms(loop_clock(c->loop));

    if (left_ms > at_most_ms)
        left_ms = at_most_ms;
    loop_timer_arm_ms(&c->deadline, left_ms > 0 ? left_ms : 0);
}

static void greet(struct connection *c)
{
    connection_enter(c, CONNECTION_GREETING);
    handshake_begin(c);
}

static void secure(struct connection *c)
{
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status =
        transport_handshake(&c->transport, c->tls, c->uris[c->uri_current].host, &error);

    if (status == WARREN_OK) {
        loop_fd_want(&c->watch, LOOP_READ);
        greet(c);
    } else if (status == WARREN_EFULL) {
        loop_fd_want(&c->watch, c->transport.wants_write ? LOOP_WRITE : LOOP_READ);
    } else {
        connection_fail(c, status, "%s", error.text);
    }
}

static void try_address(struct connection *c);

static void address_failed(struct connection *c, const char *text)
{
    loop_fd_done(&c->watch);
    transport_close(&c->transport);
    if (c->address->ai_next) {
        c->address = c->address->ai_next;
        try_address(c);
    } else {
        connection_fail(c, WARREN_EIO, "%s", text);
    }
}

static void try_ready(void *arg, unsigned readiness)
{
    struct connection *c = arg;
    struct warren_error error = {WARREN_OK, ""};

    if (c->failing)
        return;
    if (c->state == CONNECTION_SECURING) {
        secure(c);
    } else if (c->state != CONNECTION_CONNECTING) {
        connection_io_ready(c, readiness);
    } else if (transport_connected(&c->transport, &error) != WARREN_OK) {
        address_failed(c, error.text);
    } else {
        arm_deadline(c, c->numbers.connect_timeout_ms);
        loop_fd_want(&c->watch, LOOP_READ);
        if (c->uris[c->uri_current].tls) {
            connection_enter(c, CONNECTION_SECURING);
            secure(c);
        } else {
            greet(c);
        }
    }
}

static void try_address(struct connection *c)
{
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;
    int64_t share = 1;

    for (const struct addrinfo *later = c->address->ai_next; later; later = later->ai_next)
        share++;
    arm_deadline(c, c->numbers.connect_timeout_ms / share);
    status = transport_connect(&c->transport, c->address->ai_addr, c->address->ai_addrlen, &error);
    if (status == WARREN_OK)
        status = loop_fd_init(&c->watch, c->loop, c->transport.fd, try_ready, c);
    if (status != WARREN_OK)
        address_failed(c, error.text[0] ? error.text : warren_status_name(status));
    else
        loop_fd_want(&c->watch, LOOP_WRITE);
}

static void resolved(void *arg, struct addrinfo *addresses, const struct warren_error *error)
{
    struct connection *c = arg;

    c->lookup = NULL;
    if (!addresses) {
        connection_fail(c, error->status, "%s", error->text);
        return;
    }
    c->addresses = c->address = addresses;
    connection_enter(c, CONNECTION_CONNECTING);
    try_address(c);
}

static void begin_try(void *arg)
{
    struct connection *c = arg;
    const struct uri *uri = &c->uris[c->uri_current];
    enum warren_status status;

    uri_describe(uri, c->where, sizeof c->where);
    connection_enter(c, CONNECTION_RESOLVING);
    c->try_deadline_ms = c->state_since_ms + c->numbers.connect_timeout_ms;
    arm_deadline(c, c->numbers.connect_timeout_ms);
    status = resolver_lookup(c->loop, uri->host, uri->port, resolved, c, &c->lookup);
    if (status != WARREN_OK)
        connection_fail(c, status, "cannot look up %s: %s", uri->host,
                        status == WARREN_EFULL ? "too many earlier look-ups are still hanging"
                                               : warren_status_name(status));
}

static void deadline_passed(void *arg)
{
    struct connection *c = arg;

    if (c->state == CONNECTION_CONNECTING && c->address && c->address->ai_next && !c->failing)
        address_failed(c, "");
    else
        connection_fail(c, WARREN_ETIMEOUT, "timed out while %s%s", states[c->state].name,
                        c->state == CONNECTION_GREETING
                            ? ": the peer accepted the connection and then sent no AMQP greeting"
                            : "");
}

void connection_opened(struct connection *c)
{
    loop_timer_disarm(&c->deadline);
    connection_enter(c, CONNECTION_OPEN);
    if (c->addresses)
        freeaddrinfo(c->addresses);
    c->addresses = c->address = NULL;
    c->stats.connects++;
    c->received_ms = c->sent_ms = c->state_since_ms;
    c->turn_ns = 0;
    c->messages_per_us = 0;
    if (c->heartbeat_s)
        loop_timer_arm_ms(&c->heartbeat, c->heartbeat_s * 500);
    channel_set_open(c->channels, c->channel_max);
    if (c->events.open)
        c->events.open(c->user);
}

/* ---- public ---- */

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

static enum warren_status init_timers(struct connection *c)
{
    enum warren_status status = loop_timer_init(&c->deadline, c->loop, deadline_passed, c);

    if (status == WARREN_OK)
        status = loop_timer_init(&c->retry, c->loop, begin_try, c);
    if (status == WARREN_OK)
        status = loop_timer_init(&c->heartbeat, c->loop, connection_io_heartbeat, c);
    if (status == WARREN_OK)
        status = loop_timer_init(&c->rest, c->loop, connection_io_rested, c);
    return status;
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
    c->transport.fd = -1;
    c->frame_max = options->frame_max;
    random_init(&c->random, random_seed());
    backoff_init(&c->backoff, options->reconnect_delay_min_ms, options->reconnect_delay_max_ms,
                 &c->random);
    buffer_init(&c->in, CONNECTION_READ_SIZE * 2 + options->frame_max);
    buffer_init(&c->out, CONNECTION_OUT_MAX);
    init_amqp_pool(&c->pool, 4096);
    loop_task_init(&c->fail_task, lose, c);
    loop_task_init(&c->closed_task, tell_closed, c);
    c->name = strdup(options->name ? options->name : "warren");
    c->uris = calloc(options->uri_count, sizeof *c->uris);
    c->channels = channel_set_new(c);
    status = init_timers(c);
    if (!c->name || !c->uris || !c->channels)
        status = error_set(error, WARREN_ENOMEM, "out of memory");
    if (status == WARREN_OK)
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
        handshake_close(c);
        connection_enter(c, CONNECTION_CLOSING);
        loop_timer_arm_ms(&c->deadline, timeout_ms);
        return;
    }
    loop_cancel(c->loop, &c->fail_task);
    c->failing = false;
    drop_try(c);
    channel_set_lost(c->channels, 0, "the connection was closed");
    connection_enter(c, CONNECTION_CLOSED);
    loop_post(c->loop, &c->closed_task);
}

void connection_free(struct connection *c)
{
    if (!c)
        return;
    drop_try(c);
    loop_cancel(c->loop, &c->fail_task);
    loop_cancel(c->loop, &c->closed_task);
    loop_timer_done(&c->deadline);
    loop_timer_done(&c->retry);
    loop_timer_done(&c->heartbeat);
    loop_timer_done(&c->rest);
    channel_set_free(c->channels);
    tls_context_free(c->tls);
    buffer_done(&c->in);
    buffer_done(&c->out);
    empty_amqp_pool(&c->pool);
    if (c->uris)
        explicit_bzero(c->uris, c->uri_count * sizeof *c->uris);
    free(c->uris);
    free(c->name);
    free(c);
}

enum connection_state connection_state(const struct connection *c)
{
    return c->state;
}

bool connection_is_blocked(const struct connection *c)
{
    return c->blocked;
}

uint32_t connection_frame_max(const struct connection *c)
{
    return c->frame_max;
}

const char *connection_where(const struct connection *c)
{
    return c->where;
}

const char *connection_server(const struct connection *c)
{
    return c->server;
}

const struct connection_stats *connection_stats(const struct connection *c)
{
    return &c->stats;
}

struct loop *connection_loop(struct connection *c)
{
    return c->loop;
}
