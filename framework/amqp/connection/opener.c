/* opener.c - see opener.h. */
#include "amqp/connection/opener.h"
#include "amqp/wire/method_name.h"

#include <stdio.h>

#define TEXT_MAX 512

static const char *const stage_names[] = {"greeting", "tuning", "opening"};

static void enter(struct opener *o, enum opener_stage stage)
{
    o->stage = stage;
    o->events.stage(o->user, stage);
}

static void sent(struct opener *o, enum warren_status status)
{
    if (status != WARREN_OK)
        o->events.failed(o->user, 0, warren_status_name(status));
    else
        stream_wrote(o->stream);
}

static void on_start(struct opener *o, const amqp_connection_start_t *start)
{
    const char *mechanism = o->options.sasl_external ? "EXTERNAL" : "PLAIN";
    struct handshake_login login = {.connection_name = o->options.name};
    char text[TEXT_MAX];

    handshake_server(start, o->server, sizeof o->server);
    if (!handshake_offers(start, mechanism)) {
        snprintf(text, sizeof text, "the broker does not offer SASL %s, only: %.*s", mechanism,
                 (int)(start->mechanisms.len < 200 ? start->mechanisms.len : 200),
                 (const char *)start->mechanisms.bytes);
        o->events.failed(o->user, AMQP_ACCESS_REFUSED, text);
        return;
    }
    if (!o->options.sasl_external) {
        login.user = o->options.uri->user;
        login.password = o->options.uri->password;
    }
    enter(o, OPENER_TUNING);
    sent(o, handshake_put_start_ok(&o->stream->out, &login));
}

static void on_tune(struct opener *o, const amqp_connection_tune_t *tune)
{
    char text[TEXT_MAX];

    if (handshake_agree(&o->options.wanted, tune, &o->agreed) != WARREN_OK) {
        snprintf(text, sizeof text, "the broker offers frames of only %u bytes",
                 (unsigned)tune->frame_max);
        o->events.failed(o->user, 0, text);
        return;
    }
    o->stream->frame_max = o->agreed.frame_max;
    enter(o, OPENER_OPENING);
    sent(o, handshake_put_open(&o->stream->out, &o->agreed, o->options.uri->vhost));
}

static void on_close(struct opener *o, const amqp_connection_close_t *close)
{
    char text[TEXT_MAX];

    handshake_close_text(close, text, sizeof text);
    if (handshake_put_close_ok(&o->stream->out) == WARREN_OK)
        stream_flush(o->stream);
    o->events.failed(o->user, close->reply_code, text);
}

static void on_method(struct opener *o, const struct handshake_method *method)
{
    char text[TEXT_MAX];

    if (method->id == AMQP_CONNECTION_START_METHOD && o->stage == OPENER_GREETING) {
        on_start(o, method->decoded);
    } else if (method->id == AMQP_CONNECTION_TUNE_METHOD && o->stage == OPENER_TUNING) {
        on_tune(o, method->decoded);
    } else if (method->id == AMQP_CONNECTION_OPEN_OK_METHOD && o->stage == OPENER_OPENING) {
        o->events.opened(o->user, &o->agreed);
    } else if (method->id == AMQP_CONNECTION_CLOSE_METHOD && o->stage != OPENER_GREETING) {
        on_close(o, method->decoded);
    } else {
        snprintf(text, sizeof text, "the peer sent %s while %s", method_name(method->id).text,
                 stage_names[o->stage]);
        o->events.failed(o->user, 0, text);
    }
}

void opener_frame(struct opener *o, const struct frame *frame)
{
    struct handshake_method method = {0};
    char text[TEXT_MAX];

    if (frame->channel != 0) {
        snprintf(text, sizeof text, "the peer sent a frame for channel %u while %s", frame->channel,
                 stage_names[o->stage]);
        o->events.failed(o->user, 0, text);
        return;
    }
    if (handshake_read(frame, &o->pool, &method, text, sizeof text) != WARREN_OK)
        o->events.failed(o->user, 0, text);
    else
        on_method(o, &method);
    recycle_amqp_pool(&o->pool);
}

void opener_begin(struct opener *o, const struct opener_options *options)
{
    o->options = *options;
    o->agreed = options->wanted;
    enter(o, OPENER_GREETING);
    sent(o, handshake_put_header(&o->stream->out));
}

void opener_init(struct opener *o, struct stream *stream, const struct opener_events *events,
                 void *user)
{
    *o = (struct opener){.stream = stream, .events = *events, .user = user};
    init_amqp_pool(&o->pool, 4096);
}

void opener_done(struct opener *o)
{
    empty_amqp_pool(&o->pool);
}
