/* connection.c - the life of a connection, and what others ask of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/connection/channel_private.h"
#include "base/error.h"

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
    enum warren_status status =
        loop_timer_init(&c->deadline, c->loop, connection_deadline_passed, c);

    if (status == WARREN_OK)
        status = loop_timer_init(&c->retry, c->loop, connection_connect, c);
    if (status == WARREN_OK)
        status = dialer_init(&c->dialer, c->loop, &connection_dialer_events, c);
    if (status == WARREN_OK)
        status = stream_init(&c->stream, c->loop, &connection_stream_events, c);
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
    c->agreed.frame_max = options->frame_max;
    random_init(&c->random, random_seed());
    backoff_init(&c->backoff, options->reconnect_delay_min_ms, options->reconnect_delay_max_ms,
                 &c->random);
    init_amqp_pool(&c->pool, 4096);
    loop_task_init(&c->fail_task, connection_lose, c);
    loop_task_init(&c->closed_task, tell_closed, c);
    c->name = strdup(options->name ? options->name : "warren");
    c->uris = calloc(options->uri_count, sizeof *c->uris);
    c->channels = channel_set_new(c);
    status = init_parts(c);
    if (!c->name || !c->uris || !c->channels)
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
        connection_connect(c);
}

void connection_close(struct connection *c, uint32_t timeout_ms)
{
    if (c->state == CONNECTION_CLOSING || c->state == CONNECTION_CLOSED)
        return;
    loop_timer_disarm(&c->retry);
    if (c->state == CONNECTION_OPEN && !c->failing) {
        connection_enter(c, CONNECTION_CLOSING);
        if (handshake_put_close(&c->stream.out) == WARREN_OK)
            stream_wrote(&c->stream);
        loop_timer_arm_ms(&c->deadline, timeout_ms);
        return;
    }
    connection_abandon(c);
}

void connection_free(struct connection *c)
{
    if (!c)
        return;
    loop_cancel(c->loop, &c->fail_task);
    loop_cancel(c->loop, &c->closed_task);
    dialer_done(&c->dialer);
    stream_done(&c->stream);
    loop_timer_done(&c->deadline);
    loop_timer_done(&c->retry);
    channel_set_free(c->channels);
    tls_context_free(c->tls);
    empty_amqp_pool(&c->pool);
    if (c->uris)
        explicit_bzero(c->uris, c->numbers.uri_count * sizeof *c->uris);
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
    c->hears_since_ms = connection_now_ms(c);
    stream_pause(&c->stream, pause);
}

void connection_lacks_channels(struct connection *c, uint32_t needed)
{
    uint32_t allowed = c->agreed.channel_max;

    if (c->events.few_channels)
        c->events.few_channels(c->user, needed, allowed);
    else
        connection_fail(c, CONNECTION_FEW_CHANNELS, needed, allowed, needed);
}

/* ---- readers ---- */

enum connection_state connection_state(const struct connection *c)
{
    return c->state;
}

uint16_t connection_channel_max(const struct connection *c)
{
    return c->agreed.channel_max;
}

const struct transport *connection_transport(const struct connection *c)
{
    return &c->stream.transport;
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
    return c->server;
}

bool connection_server_at_least(const struct connection *c, int major, int minor)
{
    int is_major = 0;
    int is_minor = 0;

    if (sscanf(c->server, "RabbitMQ %d.%d", &is_major, &is_minor) < 1)
        return false;
    return is_major > major || (is_major == major && is_minor >= minor);
}

const char *connection_codec_version(void)
{
    return amqp_version();
}

struct loop *connection_loop(struct connection *c)
{
    return c->loop;
}
