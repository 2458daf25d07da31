/* sender_events.c - what the connection and its channel report to the publisher. */
#include <stdio.h>
#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "base/log.h"
#include "publish/publisher/sender_private.h"

/* ---- channel ---- */

static void confirms_on(void *user, void *decoded)
{
    struct sender *s = user;

    (void)decoded;
    s->ready = true;
    atomic_store_explicit(&s->p->frame_max, connection_frame_max(s->connection),
                          memory_order_relaxed);
    pthread_mutex_lock(&s->p->lock);
    s->p->connected = true;
    condition_broadcast(&s->p->connected_cond);
    pthread_mutex_unlock(&s->p->lock);
    if (s->p->observer.open && !s->announced)
        s->p->observer.open(s->p->observer_user, connection_where(s->connection),
                            connection_server(s->connection));
    s->announced = true;
    sender_work(s);
}

static void channel_opened(void *user)
{
    struct sender *s = user;
    amqp_confirm_select_t select = {0};
    enum warren_status status =
        channel_call(s->channel, AMQP_CONFIRM_SELECT_METHOD, &select, confirms_on, s);

    if (status != WARREN_OK)
        connection_fail(s->connection, "cannot send confirm.select");
}

/* The broker's words for a message it cannot take. @text is not ours: it may name anything.
 * @return whether that message will not be sent again, or be found among fewer */
static bool blame(struct sender *s, uint16_t code, const char *text)
{
    struct record *culprit = window_blame(&s->window, code, text);
    const struct warren_bytes none = {NULL, 0};

    log_debug("publisher: the broker refused %s: %u %s",
              culprit ? record_id(culprit) : "one of the messages", code, text);
    if (s->p->observer.refused && (culprit || code != AMQP_INTERNAL_ERROR))
        s->p->observer.refused(s->p->observer_user, culprit ? record_id_bytes(culprit) : none, code,
                               text);
    return s->window.narrowed;
}

static bool needs_refused(const struct record *record, const void *refusal)
{
    return record->delay && delay_refusal_concerns(refusal, record->delay);
}

/* A part of the delay queues was refused: what needs it has ended, all else goes on. */
static void end_delayed(struct sender *s, const struct delay_refusal *refusal)
{
    struct record *first =
        window_refuse_those(&s->window, needs_refused, refusal, refusal->code, refusal->text);

    log_debug("publisher: the broker refused a declare: %u %s", refusal->code, refusal->text);
    if (first && s->p->observer.refused)
        s->p->observer.refused(s->p->observer_user, record_id_bytes(first), refusal->code,
                               refusal->text);
}

static void keep_failure(struct sender *s, const char *where, const char *text)
{
    pthread_mutex_lock(&s->p->lock);
    s->p->connected = false;
    s->p->stats.losses++;
    snprintf(s->p->last_failure, sizeof s->p->last_failure, "%s: %s", where, text);
    pthread_mutex_unlock(&s->p->lock);
}

static void channel_was_lost(void *user, const struct channel_loss *loss)
{
    struct sender *s = user;
    int64_t now_ms = loop_now_ms(s->loop);
    bool known;
    const struct delay_refusal *refusal = delay_topology_lost(&s->delays, loss, now_ms, &known);

    s->ready = false;
    s->writing = NULL;
    s->returned.waiting = false;
    s->refused = refusal != NULL;
    window_restart(&s->window);
    /* Half a message whose time is over must not be begun again. */
    window_expire(&s->window, now_ms);
    if (loss->unanswered) /* it is the only channel: another address may do better */
        connection_fail(s->connection, "%s", loss->text);
    else if (loss->code != 0)
        keep_failure(s, connection_where(s->connection), loss->text);
    if (refusal)
        end_delayed(s, refusal);
    else if (loss->code != 0 && (loss->method == AMQP_BASIC_PUBLISH_METHOD || loss->method == 0))
        known = blame(s, loss->code, loss->text);
    /* Requests, for which alone there is a consumer here. */
    known |= window_end_once(&s->window) > 0 && loss->method == AMQP_BASIC_CONSUME_METHOD;
    if (known && !loss->unanswered)
        channel_reopen_now(s->channel);
    replies_lost(s->p->replies, loss);
    sender_leave_soon(s);
    sender_work(s);
}

/* ---- confirms and returns ---- */

static void confirm(struct sender *s, uint64_t tag, bool multiple, bool negative)
{
    if (window_confirm(&s->window, tag, multiple, negative) != WARREN_OK)
        connection_fail(s->connection,
                        "the broker confirmed tag %llu, which it was never sent or has confirmed "
                        "before",
                        (unsigned long long)tag);
    if (s->window.trial_refused && !loop_timer_armed(&s->trial_timer))
        sender_trial_refused(s);
}

static uint8_t copy_shortstr(char to[256], amqp_bytes_t from)
{
    uint8_t len = (uint8_t)(from.len < 255 ? from.len : 255);

    if (len > 0)
        memcpy(to, from.bytes, len);
    to[len] = '\0';
    return len;
}

static void keep_return(struct sender_return *returned, const amqp_basic_return_t *method)
{
    returned->waiting = true;
    returned->code = method->reply_code;
    copy_shortstr(returned->text, method->reply_text);
    returned->exchange_len = copy_shortstr(returned->exchange, method->exchange);
    returned->routing_key_len = copy_shortstr(returned->routing_key, method->routing_key);
}

static void channel_method(void *user, uint32_t id, void *decoded)
{
    struct sender *s = user;

    if (id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = decoded;

        confirm(s, ack->delivery_tag, ack->multiple != 0, false);
    } else if (id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = decoded;

        confirm(s, nack->delivery_tag, nack->multiple != 0, true);
    } else if (id == AMQP_BASIC_RETURN_METHOD) {
        keep_return(&s->returned, decoded);
    } else if (id != AMQP_BASIC_DELIVER_METHOD || !replies_announced(s->p->replies)) {
        connection_fail(s->connection, "the broker sent %s to a channel that only publishes",
                        method_name(id).text);
    }
}

/* The message id, or what a copy without one is known by. */
static struct warren_bytes returned_id(const struct warren_properties *properties,
                                       const struct arena *texts)
{
    struct warren_bytes id = arena_bytes(texts, properties->message_id);
    const struct warren_value *note = table_get(&properties->headers, NOTE_COPY, texts);

    return id.len == 0 && note && note->type == WARREN_STRING ? note->as.bytes : id;
}

static uint8_t *channel_content(void *user, const struct content_header *header)
{
    struct sender *s = user;
    struct sender_return *returned = &s->returned;
    struct warren_properties properties;

    if (!returned->waiting)
        return replies_content(s->p->replies, header);
    returned->waiting = false;
    arena_reset(&s->scratch);
    if (!header->unfit &&
        properties_decode(header->properties, &s->scratch, &properties) == WARREN_OK) {
        struct window_return from = {
            .exchange = {returned->exchange, returned->exchange_len},
            .routing_key = {returned->routing_key, returned->routing_key_len},
            .message_id = returned_id(&properties, &s->scratch),
            .code = returned->code,
            .text = returned->text,
        };

        window_returned(&s->window, &from);
        /* A level was deleted. */
        if (strncmp(returned->exchange, DELAY_PREFIX, sizeof DELAY_PREFIX - 1) == 0)
            delay_topology_forget(&s->delays);
    }
    return NULL;
}

static void channel_content_end(void *user)
{
    const struct sender *s = user;

    replies_content_end(s->p->replies);
}

/* ---- connection ---- */

static void connection_opened_event(void *user)
{
    struct sender *s = user;

    pthread_mutex_lock(&s->p->lock);
    s->p->stats.connects++;
    pthread_mutex_unlock(&s->p->lock);
    declare_connected(s);
}

/* Errors of a whole connection that the content of a message can cause. */
static bool is_poison(const struct connection_loss *loss)
{
    return loss->was_open &&
           (loss->code == AMQP_FRAME_ERROR || loss->code == AMQP_SYNTAX_ERROR ||
            loss->code == AMQP_UNEXPECTED_FRAME || loss->code == AMQP_NOT_IMPLEMENTED ||
            loss->code == AMQP_INTERNAL_ERROR);
}

/* The channel was lost before, so the window is ready for its next connection. */
static void connection_was_lost(void *user, const struct connection_loss *loss)
{
    struct sender *s = user;
    struct connection_loss reported = *loss;

    keep_failure(s, loss->where, loss->text);
    declare_lost(s);
    if (is_poison(loss) && !s->refused && blame(s, loss->code, loss->text)) {
        connection_retry_now(s->connection);
        reported.retry_ms = 0;
    }
    s->refused = s->announced = false;
    if (s->p->observer.lost)
        s->p->observer.lost(s->p->observer_user, &reported);
    sender_work(s);
}

/* Under the lock. */
static void note_blocked(struct warren_publisher *p, bool blocked)
{
    int64_t now_ns = clock_now_ns(clock_monotonic());

    if (p->stats.is_blocked)
        p->blocked_ns += now_ns - p->blocked_since_ns;
    p->blocked_since_ns = now_ns;
    p->stats.is_blocked = blocked;
    p->stats.blocked += blocked;
}

static void connection_was_blocked(void *user, bool blocked, const char *reason)
{
    struct sender *s = user;

    s->blocked = blocked;
    if (blocked)
        sender_leave_soon(s);
    pthread_mutex_lock(&s->p->lock);
    note_blocked(s->p, blocked);
    pthread_mutex_unlock(&s->p->lock);
    if (s->p->observer.blocked)
        s->p->observer.blocked(s->p->observer_user, blocked, reason);
    sender_work(s);
}

static void connection_is_closed(void *user)
{
    struct sender *s = user;

    if (s->p->observer.closed)
        s->p->observer.closed(s->p->observer_user);
    loop_stop(s->loop);
}

const struct connection_events sender_connection_events = {
    .open = connection_opened_event,
    .lost = connection_was_lost,
    .blocked = connection_was_blocked,
    .turn = sender_work,
    .writable = sender_pump,
    .closed = connection_is_closed,
};

const struct channel_events sender_channel_events = {
    .open = channel_opened,
    .lost = channel_was_lost,
    .method = channel_method,
    .content = channel_content,
    .content_end = channel_content_end,
};
