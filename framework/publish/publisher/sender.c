/* sender.c - the publisher's own thread: from callers to the window, and from there to the
 * connection. */
#include <stdlib.h>

#include "base/error.h"
#include "publish/publisher/sender_private.h"

/* The window is searched for messages whose time is over at most this often. */
#define EXPIRY_STEP_MS 50

/* While nothing can be sent, the longest wait for the receipt of a message that is safe on disk. */
#define SPOOL_PATIENCE_MS 1000

/* RabbitMQ refuses what comes for a quorum queue that somebody else is declaring, until it is up:
 * the first message for a delay queue is sent again at this interval, for this time. */
#define TRIAL_STEP_MS 100
#define TRIAL_MS      5000

/* The close handshake, after every message has ended. */
#define CLOSE_TIMEOUT_MS 1000

static _Thread_local const struct warren_publisher *thread_publisher;

bool sender_is_caller(const struct warren_publisher *p)
{
    return thread_publisher == p;
}

struct loop *publisher_loop(struct warren_publisher *p)
{
    return p->sender->loop;
}

static int64_t now_ms(const struct sender *s)
{
    return loop_now_ms(s->loop);
}

/* ---- deadlines ---- */

/* One timer for all: armed for the earliest deadline that was seen since it last fired, so that
 * messages which come and go in time cost nothing. */
static void arm_expiry(struct sender *s)
{
    int64_t at_ms = s->window.deadline_ms;

    if (at_ms == INT64_MAX)
        return;
    if (at_ms < s->expired_ms + EXPIRY_STEP_MS)
        at_ms = s->expired_ms + EXPIRY_STEP_MS;
    if (at_ms >= s->expiry_ms)
        return;
    s->expiry_ms = at_ms;
    loop_timer_arm_ms(&s->expiry, at_ms - now_ms(s) + 1); /* now is rounded down */
}

/* ---- incoming to window ---- */

/* On disk it has its deadline already; here only its receipt has one. */
static void set_times(const struct sender *s, struct record *record, int64_t now)
{
    if (record->spool_id == 0) {
        if (record->timeout_ms > 0)
            record->deadline_ms = now + record->timeout_ms;
        return;
    }
    if (!record->on_receipt)
        return;
    if (record->timeout_ms > 0)
        record->leave_ms = now + record->timeout_ms;
    if ((!s->ready || s->blocked) && now + SPOOL_PATIENCE_MS < record->leave_ms)
        record->leave_ms = now + SPOOL_PATIENCE_MS;
}

static void take_one(struct sender *s, struct record *record, int64_t now)
{
    if (record->aside) {
        window_pass(&s->window, record);
        return;
    }
    set_times(s, record, now);
    if (record->once)
        replies_expect(s->p->replies, record);
    window_add(&s->window, record);
}

void sender_leave_soon(struct sender *s)
{
    if (!s->p->spooler)
        return;
    window_leave_by(&s->window, now_ms(s) + SPOOL_PATIENCE_MS);
    arm_expiry(s);
}

/* Deadlines begin here, so that a batch costs one look at the clock. */
static void take_incoming(struct sender *s)
{
    struct list taken;
    struct list *link;
    int64_t now;

    list_init(&taken);
    pthread_mutex_lock(&s->p->lock);
    list_splice(&taken, &s->p->incoming);
    pthread_mutex_unlock(&s->p->lock);
    if (list_empty(&taken))
        return;
    now = now_ms(s);
    while ((link = list_pop(&taken))) {
        struct record *record = list_entry(link, struct record, link);

        take_one(s, record, now);
    }
    if (s->window.deadline_ms < s->expiry_ms)
        arm_expiry(s);
}

/* ---- window to connection ---- */

/* What must be there before a delayed record is written. @return false: not now, or it has ended */
static bool prepare_delay(struct sender *s, struct record *record, bool *ret_stop)
{
    const struct delay_refusal *refusal =
        delay_topology_refused(&s->delays, record->delay, now_ms(s));
    enum warren_status status;
    bool is_new;

    if (refusal) {
        window_refuse(&s->window, record, refusal->code, refusal->text);
        return false;
    }
    status = delay_topology_declare(&s->delays, s->channel, record->delay, &s->scratch, &is_new);
    if (status == WARREN_OK && is_new) {
        window_try(&s->window, record);
        s->trial_end_ms = 0;
    }
    if (status != WARREN_OK && status != WARREN_ECLOSED)
        connection_fail(s->connection, "cannot declare the delay queues: %s",
                        warren_status_name(status));
    *ret_stop = status != WARREN_OK || window_next(&s->window) != record;
    return !*ret_stop;
}

void sender_trial_refused(struct sender *s)
{
    if (s->trial_end_ms == 0) /* the first time */
        s->trial_end_ms = now_ms(s) + TRIAL_MS;
    if (now_ms(s) < s->trial_end_ms)
        loop_timer_arm_ms(&s->trial_timer, TRIAL_STEP_MS);
    else
        window_try_again(&s->window, false);
}

/* The window may have been restarted meanwhile, or the message is too old by now. */
static void trial_due(void *arg)
{
    struct sender *s = arg;

    if (s->window.trial_refused)
        window_try_again(&s->window, true);
    sender_pump(s);
}

/* @return false: stop, nothing can be sent on the connection now */
static bool write_record(struct sender *s, struct record *record)
{
    uint32_t frame_max = connection_frame_max(s->connection);
    enum warren_status status = WARREN_OK;
    bool stop = false;

    if (record != s->writing && record->once)
        status = replies_consume(s->p->replies, s->channel);
    if (record != s->writing && status == WARREN_OK) {
        if (!record_fits(record, frame_max)) {
            window_refuse(&s->window, record, AMQP_CONTENT_TOO_LARGE,
                          "the properties do not fit into a frame of this broker");
            return true;
        }
        if (record->delay && !prepare_delay(s, record, &stop))
            return !stop;
        status = window_sent(&s->window, record);
        record->sent_ns = s->writing_ns;
    }
    if (status == WARREN_OK)
        status = record_write(record, connection_out(s->connection), channel_number(s->channel),
                              frame_max, CONNECTION_OUT_HIGH);
    s->writing = record_half_written(record) ? record : NULL;
    if (status == WARREN_EFULL)
        connection_fail(s->connection, "the broker did not confirm a message, but %zu later ones",
                        WINDOW_TAGS_MAX - 1);
    else if (status != WARREN_OK)
        connection_fail(s->connection, "out of memory for the send buffer");
    return status == WARREN_OK;
}

/* Until the connection's buffer is full, or no message may go. */
static void write_some(struct sender *s, const struct buffer *out)
{
    int64_t may = pace_may(&s->pace, s->pace.limited ? now_ms(s) : 0);
    int64_t went = 0;

    s->writing_ns = clock_now_ns(clock_monotonic());
    while (buffer_len(out) <= CONNECTION_OUT_HIGH) {
        struct record *record = s->writing ? s->writing : window_next(&s->window);
        bool begins = record && record != s->writing;

        if (begins && went == may)
            loop_timer_arm_ms(&s->pace_timer, pace_wait_ms(&s->pace));
        if (!record || (begins && went == may) || !write_record(s, record))
            break;
        went += begins;
    }
    pace_took(&s->pace, went);
}

void sender_pump(void *arg)
{
    struct sender *s = arg;
    struct buffer *out = connection_out(s->connection);

    if (!s->ready || s->blocked || s->pumping || s->holding > 0)
        return;
    /* Sending what is there may call back as `writable`. */
    s->pumping = true;
    do {
        size_t before = buffer_len(out);

        write_some(s, out);
        if (buffer_len(out) == before)
            break;
        connection_wrote(s->connection);
    } while (s->ready && buffer_len(out) <= CONNECTION_OUT_HIGH);
    s->pumping = false;
}

/* ---- what every event ends with ---- */

/* What every event ends with. Sending goes first: callbacks are the user's. */
void sender_work(void *arg)
{
    struct sender *s = arg;

    take_incoming(s);
    sender_pump(s);
    receipts_deliver(s);
}

static void expiry_fired(void *arg)
{
    struct sender *s = arg;

    s->expiry_ms = INT64_MAX;
    s->expired_ms = now_ms(s);
    take_incoming(s);
    window_expire(&s->window, s->expired_ms);
    /* Half a message cannot be taken back from a connection, only with it. */
    if (s->writing && s->writing->deadline_ms <= s->expired_ms)
        connection_fail(s->connection, "the broker did not take the rest of a message in time");
    arm_expiry(s);
    sender_work(s);
}

static void change_rate(void *arg)
{
    struct sender *s = arg;
    uint32_t burst;
    double rate;

    pthread_mutex_lock(&s->p->lock);
    rate = s->p->rate;
    burst = s->p->burst;
    pthread_mutex_unlock(&s->p->lock);
    pace_set(&s->pace, rate, burst, now_ms(s));
    loop_timer_disarm(&s->pace_timer);
    loop_timer_disarm(&s->trial_timer);
    sender_pump(s);
}

/* ---- the life of the thread ---- */

static void close_now(void *arg)
{
    struct sender *s = arg;

    take_incoming(s);
    receipts_deliver(s);
    s->ready = false;
    s->writing = NULL;
    replies_end_all(s->p->replies);
    window_end_all(&s->window);
    receipts_deliver(s);
    report_rest(s);
    connection_close(s->connection, s->p->handshake_ms);
}

/* The loop and what is on it, but for connection and channel. */
static enum warren_status init_loop(struct sender *s)
{
    enum warren_status status = loop_new(clock_monotonic(), &s->loop);

    loop_task_init(&s->wake_task, sender_work, s);
    loop_task_init(&s->close_task, close_now, s);
    loop_task_init(&s->rate_task, change_rate, s);
    arena_init(&s->scratch);
    delay_topology_init(&s->delays);
    declare_init(s);
    s->expiry_ms = INT64_MAX;
    s->expired_ms = INT64_MIN / 2;
    if (status == WARREN_OK)
        status = window_init(&s->window);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->expiry, s->loop, expiry_fired, s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->pace_timer, s->loop, sender_pump, s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->trial_timer, s->loop, trial_due, s);
    if (status == WARREN_OK)
        status = report_init(s);
    return status == WARREN_OK ? replies_new(s->loop, &s->p->replies) : status;
}

enum warren_status sender_new(struct warren_publisher *p, const struct connection_options *options,
                              struct warren_error *error)
{
    struct sender *s = calloc(1, sizeof *s);
    enum warren_status status;

    p->sender = s;
    p->handshake_ms = CLOSE_TIMEOUT_MS;
    if (!s)
        return error_set(error, WARREN_ENOMEM, "out of memory for a publisher");
    s->p = p;
    status = init_loop(s);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's loop: %s",
                         warren_status_name(status));
    status = connection_new(s->loop, options, &sender_connection_events, s, &s->connection, error);
    if (status != WARREN_OK)
        return status;
    status = channel_new(s->connection, &sender_channel_events, s, &s->channel);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's channel: %s",
                         warren_status_name(status));
    return WARREN_OK;
}

void *sender_run(void *arg)
{
    struct sender *s = arg;

    thread_publisher = s->p;
    if (s->p->observer.begun)
        s->p->observer.begun(s->p->observer_user);
    change_rate(s);
    connection_start(s->connection);
    loop_run(s->loop);
    thread_publisher = NULL;
    return NULL;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    declare_done(s);
    channel_free(s->channel);
    connection_free(s->connection);
    loop_timer_done(&s->expiry);
    loop_timer_done(&s->pace_timer);
    loop_timer_done(&s->trial_timer);
    report_done(s);
    replies_free(s->p->replies);
    window_done(&s->window);
    delay_topology_done(&s->delays);
    arena_done(&s->scratch);
    loop_free(s->loop);
    free(s);
}

/* ---- from other threads ---- */

void sender_wake(struct sender *s)
{
    loop_post(s->loop, &s->wake_task);
}

void sender_delays(const struct sender *s, uint32_t *ret_destinations, uint64_t *ret_forgotten)
{
    *ret_destinations = atomic_load(&s->delays.destination_count);
    *ret_forgotten = atomic_load(&s->delays.forgotten);
}

void sender_change_rate(struct sender *s)
{
    loop_post(s->loop, &s->rate_task);
}

void sender_close(struct sender *s)
{
    loop_post(s->loop, &s->close_task);
}
