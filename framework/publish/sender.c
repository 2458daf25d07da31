/* sender.c - the publisher's own thread: window to connection, confirms to callbacks. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "amqp/properties.h"
#include "base/error.h"
#include "base/log.h"
#include "publish/publisher_private.h"

/* Messages with a deadline of their own are looked through at most this often. */
#define EXPIRY_STEP_MS 50

/* The close handshake, after every message has ended. */
#define CLOSE_TIMEOUT_MS 1000

static _Thread_local const struct warren_publisher *thread_publisher;

bool sender_is_caller(const struct warren_publisher *p)
{
    return thread_publisher == p;
}

static int64_t now_ms(const struct warren_publisher *p)
{
    return clock_now_ms(loop_clock(p->loop));
}

static struct publisher_observer observer_of(struct warren_publisher *p, void **user)
{
    struct publisher_observer observer;

    pthread_mutex_lock(&p->lock);
    observer = p->observer;
    *user = p->observer_user;
    pthread_mutex_unlock(&p->lock);
    return observer;
}

/* ---- deadlines ---- */

/* One timer for all: armed for the earliest deadline that was ever seen since it last fired, so
 * that messages which come and go in time cost nothing. */
static void arm_expiry(struct warren_publisher *p, int64_t not_before_ms)
{
    int64_t at_ms = p->window.deadline_ms;

    if (at_ms == INT64_MAX)
        return;
    if (at_ms < not_before_ms)
        at_ms = not_before_ms;
    if (at_ms >= p->expiry_ms)
        return;
    p->expiry_ms = at_ms;
    loop_timer_arm_ms(&p->expiry, at_ms - now_ms(p));
}

/* ---- incoming to window ---- */

static void take_incoming(struct warren_publisher *p)
{
    struct list taken;
    struct list *link;

    list_init(&taken);
    pthread_mutex_lock(&p->lock);
    list_splice(&taken, &p->incoming);
    pthread_mutex_unlock(&p->lock);
    while ((link = list_pop(&taken)))
        window_add(&p->window, list_entry(link, struct record, link));
    if (p->window.deadline_ms < p->expiry_ms)
        arm_expiry(p, 0);
}

/* ---- window to connection ---- */

/* @return false: stop, the connection is of no more use */
static bool write_record(struct warren_publisher *p, struct record *record)
{
    uint32_t frame_max = connection_frame_max(p->connection);
    enum warren_status status = WARREN_OK;

    if (record != p->writing) {
        if (!record_fits(record, frame_max)) {
            window_refuse(&p->window, record, AMQP_CONTENT_TOO_LARGE,
                          "the properties do not fit into a frame of this broker");
            return true;
        }
        status = window_sent(&p->window, record);
    }
    if (status == WARREN_OK)
        status = record_write(record, connection_out(p->connection), channel_number(p->channel),
                              frame_max, CONNECTION_OUT_HIGH);
    p->writing = record_half_written(record) ? record : NULL;
    if (status == WARREN_EFULL)
        connection_fail(p->connection, status,
                        "the broker did not confirm a message, but %zu later ones",
                        WINDOW_TAGS_MAX - 1);
    else if (status != WARREN_OK)
        connection_fail(p->connection, status, "out of memory for the send buffer");
    return status == WARREN_OK;
}

static void pump(struct warren_publisher *p)
{
    struct buffer *out = connection_out(p->connection);
    struct record *record;

    if (!p->ready || p->blocked || p->pumping)
        return;
    /* Sending what is there may call back as `writable`. */
    p->pumping = true;
    do {
        size_t before = buffer_len(out);

        while (buffer_len(out) <= CONNECTION_OUT_HIGH) {
            record = p->writing ? p->writing : window_next(&p->window);
            if (!record || !write_record(p, record))
                break;
        }
        if (buffer_len(out) == before)
            break;
        connection_wrote(p->connection);
    } while (p->ready && buffer_len(out) <= CONNECTION_OUT_HIGH);
    p->pumping = false;
}

/* ---- ended to callbacks ---- */

struct batch {
    struct list records;
    uint64_t results[WARREN_EXPIRED + 1];
    uint32_t count;
    size_t bytes;
};

static void collect(struct batch *batch, struct list *ended)
{
    *batch = (struct batch){.count = 0};
    list_init(&batch->records);
    list_splice(&batch->records, ended);
    for (struct list *link = batch->records.next; link != &batch->records; link = link->next) {
        const struct record *record = list_entry(link, struct record, link);

        batch->results[record->result]++;
        batch->bytes += record_size(record);
        batch->count++;
    }
}

/* Before the callbacks, so that they find room, and callers need not wait for them. */
static void account(struct warren_publisher *p, const struct batch *batch)
{
    pthread_mutex_lock(&p->lock);
    p->stats.confirmed += batch->results[WARREN_CONFIRMED];
    p->stats.nacked += batch->results[WARREN_NACKED];
    p->stats.returned += batch->results[WARREN_RETURNED];
    p->stats.timeout += batch->results[WARREN_TIMEOUT];
    p->stats.expired += batch->results[WARREN_EXPIRED];
    p->stats.resent = p->window.resent;
    room_give(&p->room, batch->count, batch->bytes);
    if (p->room_waiters > 0 && room_is_wide(&p->room))
        pthread_cond_broadcast(&p->room_cond);
    pthread_mutex_unlock(&p->lock);
}

static void call_back(struct record *record)
{
    struct warren_receipt receipt = {
        .result = record->result,
        .message_id = record_id(record),
        .reply_code = record->reply_code,
        .reply_text = record->reply_text ? record->reply_text : "",
        .sends = record->sends,
    };

    if (record->on_receipt)
        record->on_receipt(&receipt, record->user);
    record_free(record);
}

static void deliver(struct warren_publisher *p)
{
    struct batch batch;
    struct list *link;

    if (list_empty(&p->window.ended))
        return;
    collect(&batch, &p->window.ended);
    account(p, &batch);
    while ((link = list_pop(&batch.records)))
        call_back(list_entry(link, struct record, link));
    pthread_mutex_lock(&p->lock);
    p->ended_below = window_ended_below(&p->window);
    if (p->ended_below >= p->flush_target) {
        p->flush_target = UINT64_MAX;
        pthread_cond_broadcast(&p->ended_cond);
    }
    pthread_mutex_unlock(&p->lock);
}

/* What every event ends with. Sending goes first: callbacks are the user's. */
static void work(void *arg)
{
    struct warren_publisher *p = arg;

    take_incoming(p);
    pump(p);
    deliver(p);
}

static void expiry_fired(void *arg)
{
    struct warren_publisher *p = arg;
    int64_t now = now_ms(p);

    p->expiry_ms = INT64_MAX;
    take_incoming(p);
    window_expire(&p->window, now);
    arm_expiry(p, now + EXPIRY_STEP_MS);
    work(p);
}

/* ---- channel ---- */

static void confirms_on(void *user, uint32_t id, void *decoded)
{
    struct warren_publisher *p = user;
    struct publisher_observer observer = observer_of(p, &user);

    (void)id;
    (void)decoded;
    p->ready = true;
    pthread_mutex_lock(&p->lock);
    p->connected = true;
    pthread_cond_broadcast(&p->connected_cond);
    pthread_mutex_unlock(&p->lock);
    if (observer.open)
        observer.open(user, connection_where(p->connection), connection_server(p->connection));
    work(p);
}

static void channel_opened(void *user)
{
    struct warren_publisher *p = user;
    amqp_confirm_select_t select = {0};
    enum warren_status status =
        channel_call(p->channel, AMQP_CONFIRM_SELECT_METHOD, &select, confirms_on, p);

    if (status != WARREN_OK)
        connection_fail(p->connection, status, "cannot send confirm.select");
}

/* The broker's words for a message it cannot take. @text is not ours: it may name anything. */
static void blame(struct warren_publisher *p, uint16_t code, const char *text)
{
    void *user;
    struct publisher_observer observer = observer_of(p, &user);
    struct record *culprit = window_blame(&p->window, code, text);

    log_debug("publisher: the broker refused %s: %u %s",
              culprit ? record_id(culprit) : "one of several messages", code, text);
    if (observer.refused)
        observer.refused(user, culprit ? record_id(culprit) : NULL, code, text);
}

static void keep_failure(struct warren_publisher *p, const char *where, const char *text)
{
    pthread_mutex_lock(&p->lock);
    p->connected = false;
    snprintf(p->last_failure, sizeof p->last_failure, "%s: %s", where, text);
    pthread_mutex_unlock(&p->lock);
}

static void channel_was_lost(void *user, const struct channel_loss *loss)
{
    struct warren_publisher *p = user;

    p->ready = false;
    p->writing = NULL;
    p->returned.waiting = false;
    window_restart(&p->window);
    if (loss->code != 0) {
        keep_failure(p, connection_where(p->connection), loss->text);
        if (loss->method == AMQP_BASIC_PUBLISH_METHOD || loss->method == 0)
            blame(p, loss->code, loss->text);
    }
    work(p);
}

/* ---- confirms and returns ---- */

static void confirm(struct warren_publisher *p, uint64_t tag, bool multiple, bool negative)
{
    if (window_confirm(&p->window, tag, multiple, negative) != WARREN_OK)
        connection_fail(p->connection, WARREN_EPROTOCOL,
                        "the broker confirmed tag %llu, which it was never sent or has confirmed "
                        "before",
                        (unsigned long long)tag);
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
    struct warren_publisher *p = user;

    if (id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = decoded;

        confirm(p, ack->delivery_tag, ack->multiple != 0, false);
    } else if (id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = decoded;

        confirm(p, nack->delivery_tag, nack->multiple != 0, true);
    } else if (id == AMQP_BASIC_RETURN_METHOD) {
        keep_return(&p->returned, decoded);
    } else {
        connection_fail(p->connection, WARREN_EPROTOCOL,
                        "the broker sent %s to a channel that only publishes",
                        amqp_method_name(id));
    }
}

static uint8_t *channel_content(void *user, const struct content_header *header)
{
    struct warren_publisher *p = user;
    struct sender_return *returned = &p->returned;
    struct warren_properties properties;

    if (!returned->waiting)
        return NULL;
    returned->waiting = false;
    arena_reset(&p->scratch);
    if (properties_decode(header->properties, &p->scratch, &properties) == WARREN_OK &&
        properties.message_id) {
        struct window_return from = {
            .exchange = {returned->exchange, returned->exchange_len},
            .routing_key = {returned->routing_key, returned->routing_key_len},
            .message_id = properties.message_id,
            .code = returned->code,
            .text = returned->text,
        };

        window_returned(&p->window, &from);
    }
    return NULL;
}

/* ---- connection ---- */

static void connection_opened_event(void *user)
{
    struct warren_publisher *p = user;

    pthread_mutex_lock(&p->lock);
    p->stats.connects++;
    pthread_mutex_unlock(&p->lock);
}

/* Errors of a whole connection that the content of a message can cause. */
static bool is_poison(const struct connection_loss *loss)
{
    return loss->was_open && (loss->code == AMQP_FRAME_ERROR || loss->code == AMQP_SYNTAX_ERROR ||
                              loss->code == AMQP_NOT_IMPLEMENTED);
}

/* The channel was lost before, so the window is ready for its next connection. */
static void connection_was_lost(void *user, const struct connection_loss *loss)
{
    struct warren_publisher *p = user;
    struct publisher_observer observer = observer_of(p, &user);

    keep_failure(p, loss->where, loss->text);
    if (observer.lost)
        observer.lost(user, loss);
    if (is_poison(loss))
        blame(p, loss->code, loss->text);
    work(p);
}

static void connection_was_blocked(void *user, bool blocked, const char *reason)
{
    struct warren_publisher *p = user;
    struct publisher_observer observer = observer_of(p, &user);

    p->blocked = blocked;
    pthread_mutex_lock(&p->lock);
    p->stats.is_blocked = blocked;
    p->stats.blocked += blocked;
    pthread_mutex_unlock(&p->lock);
    if (observer.blocked)
        observer.blocked(user, blocked, reason);
    work(p);
}

static void connection_writable(void *user)
{
    pump(user);
}

static void connection_is_closed(void *user)
{
    struct warren_publisher *p = user;

    loop_stop(p->loop);
}

/* ---- the life of the thread ---- */

static void close_now(void *arg)
{
    struct warren_publisher *p = arg;

    take_incoming(p);
    deliver(p);
    p->ready = false;
    p->writing = NULL;
    window_end_all(&p->window);
    for (struct list *link = p->window.ended.next; link != &p->window.ended; link = link->next)
        p->abandoned++;
    deliver(p);
    connection_close(p->connection, CLOSE_TIMEOUT_MS);
}

enum warren_status sender_init(struct warren_publisher *p, const struct connection_options *options,
                               struct warren_error *error)
{
    static const struct connection_events connection_events = {
        .open = connection_opened_event,
        .lost = connection_was_lost,
        .blocked = connection_was_blocked,
        .turn = work,
        .writable = connection_writable,
        .closed = connection_is_closed,
    };
    static const struct channel_events channel_events = {
        .open = channel_opened,
        .lost = channel_was_lost,
        .method = channel_method,
        .content = channel_content,
    };
    enum warren_status status = loop_new(&p->loop);

    loop_task_init(&p->wake_task, work, p);
    loop_task_init(&p->close_task, close_now, p);
    arena_init(&p->scratch);
    p->expiry_ms = INT64_MAX;
    if (status == WARREN_OK)
        status = window_init(&p->window);
    if (status == WARREN_OK)
        status = loop_timer_init(&p->expiry, p->loop, expiry_fired, p);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's loop: %s",
                         warren_status_name(status));
    status = connection_new(p->loop, options, &connection_events, p, &p->connection, error);
    if (status != WARREN_OK)
        return status;
    status = channel_new(p->connection, &channel_events, p, &p->channel);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's channel: %s",
                         warren_status_name(status));
    return WARREN_OK;
}

void *sender_run(void *arg)
{
    struct warren_publisher *p = arg;

    thread_publisher = p;
    connection_start(p->connection);
    loop_run(p->loop);
    thread_publisher = NULL;
    return NULL;
}

void sender_done(struct warren_publisher *p)
{
    channel_free(p->channel);
    connection_free(p->connection);
    loop_timer_done(&p->expiry);
    window_done(&p->window);
    arena_done(&p->scratch);
    loop_free(p->loop);
}
