/* sender.c - the publisher's own thread: window to connection, endings to callbacks. */
#include "base/error.h"
#include "publish/publisher/publisher_private.h"

/* The window is searched for messages whose time is over at most this often. */
#define EXPIRY_STEP_MS 50

/* While nothing can be sent, the receipt of a message that is safe on disk waits so long. */
#define SPOOL_PATIENCE_MS 1000

/* RabbitMQ refuses what comes for a quorum queue that somebody else is declaring, until it is up:
 * the first message for a delay queue is sent again so often, for so long. */
#define TRIAL_STEP_MS 100
#define TRIAL_MS      5000

/* The close handshake, after every message has ended. */
#define CLOSE_TIMEOUT_MS 1000

static _Thread_local const struct warren_publisher *thread_publisher;

bool sender_is_caller(const struct warren_publisher *p)
{
    return thread_publisher == p;
}

static int64_t now_ms(const struct warren_publisher *p)
{
    return loop_now_ms(p->loop);
}

/* ---- deadlines ---- */

/* One timer for all: armed for the earliest deadline that was seen since it last fired, so that
 * messages which come and go in time cost nothing. */
static void arm_expiry(struct warren_publisher *p)
{
    int64_t at_ms = p->window.deadline_ms;

    if (at_ms == INT64_MAX)
        return;
    if (at_ms < p->expired_ms + EXPIRY_STEP_MS)
        at_ms = p->expired_ms + EXPIRY_STEP_MS;
    if (at_ms >= p->expiry_ms)
        return;
    p->expiry_ms = at_ms;
    loop_timer_arm_ms(&p->expiry, at_ms - now_ms(p) + 1); /* now is rounded down */
}

/* ---- incoming to window ---- */

/* On disk it has its deadline already; here only its receipt has one. */
static void set_times(const struct warren_publisher *p, struct record *record, int64_t now)
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
    if ((!p->ready || p->blocked) && now + SPOOL_PATIENCE_MS < record->leave_ms)
        record->leave_ms = now + SPOOL_PATIENCE_MS;
}

static void take_one(struct warren_publisher *p, struct record *record, int64_t now)
{
    if (record->aside) {
        window_pass(&p->window, record);
        return;
    }
    set_times(p, record, now);
    if (record->once)
        replies_expect(p, record);
    window_add(&p->window, record);
}

void sender_leave_soon(struct warren_publisher *p)
{
    if (!p->spooler)
        return;
    window_leave_by(&p->window, now_ms(p) + SPOOL_PATIENCE_MS);
    arm_expiry(p);
}

/* Deadlines begin here, so that a batch costs one look at the clock. */
static void take_incoming(struct warren_publisher *p)
{
    struct list taken;
    struct list *link;
    int64_t now;

    list_init(&taken);
    pthread_mutex_lock(&p->lock);
    list_splice(&taken, &p->incoming);
    pthread_mutex_unlock(&p->lock);
    if (list_empty(&taken))
        return;
    now = now_ms(p);
    while ((link = list_pop(&taken))) {
        struct record *record = list_entry(link, struct record, link);

        take_one(p, record, now);
    }
    if (p->window.deadline_ms < p->expiry_ms)
        arm_expiry(p);
}

/* ---- window to connection ---- */

/* What must be there before a delayed record is written. @return false: not now, or it has ended */
static bool prepare_delay(struct warren_publisher *p, struct record *record, bool *ret_stop)
{
    const struct delay_refusal *refusal =
        delay_topology_refused(&p->delays, record->delay, now_ms(p));
    enum warren_status status;
    bool is_new;

    if (refusal) {
        window_refuse(&p->window, record, refusal->code, refusal->text);
        return false;
    }
    status = delay_topology_declare(&p->delays, p->channel, record->delay, &p->scratch, &is_new);
    if (status == WARREN_OK && is_new) {
        window_try(&p->window, record);
        p->trial_end_ms = 0;
    }
    if (status != WARREN_OK && status != WARREN_ECLOSED)
        connection_fail(p->connection, status, "cannot declare the delay queues: %s",
                        warren_status_name(status));
    *ret_stop = status != WARREN_OK || window_next(&p->window) != record;
    return !*ret_stop;
}

void sender_trial_refused(struct warren_publisher *p)
{
    if (p->trial_end_ms == 0) /* the first time */
        p->trial_end_ms = now_ms(p) + TRIAL_MS;
    if (now_ms(p) < p->trial_end_ms)
        loop_timer_arm_ms(&p->trial_timer, TRIAL_STEP_MS);
    else
        window_try_again(&p->window, false);
}

/* The window may have been restarted meanwhile, or the message is too old by now. */
static void trial_due(void *arg)
{
    struct warren_publisher *p = arg;

    if (p->window.trial_refused)
        window_try_again(&p->window, true);
    sender_pump(p);
}

/* @return false: stop, the connection is of no use now */
static bool write_record(struct warren_publisher *p, struct record *record)
{
    uint32_t frame_max = connection_frame_max(p->connection);
    enum warren_status status = WARREN_OK;
    bool stop = false;

    if (record != p->writing && record->once)
        status = replies_consume(p);
    if (record != p->writing && status == WARREN_OK) {
        if (!record_fits(record, frame_max)) {
            window_refuse(&p->window, record, AMQP_CONTENT_TOO_LARGE,
                          "the properties do not fit into a frame of this broker");
            return true;
        }
        if (record->delay && !prepare_delay(p, record, &stop))
            return !stop;
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

/* Until the connection's buffer is full, or no message may go. */
static void write_some(struct warren_publisher *p, const struct buffer *out)
{
    int64_t may = pace_may(&p->pace, p->pace.limited ? now_ms(p) : 0);
    int64_t went = 0;

    while (buffer_len(out) <= CONNECTION_OUT_HIGH) {
        struct record *record = p->writing ? p->writing : window_next(&p->window);
        bool begins = record && record != p->writing;

        if (begins && went == may)
            loop_timer_arm_ms(&p->pace_timer, pace_wait_ms(&p->pace));
        if (!record || (begins && went == may) || !write_record(p, record))
            break;
        went += begins;
    }
    pace_took(&p->pace, went);
}

void sender_pump(void *arg)
{
    struct warren_publisher *p = arg;
    struct buffer *out = connection_out(p->connection);

    if (!p->ready || p->blocked || p->pumping)
        return;
    /* Sending what is there may call back as `writable`. */
    p->pumping = true;
    do {
        size_t before = buffer_len(out);

        write_some(p, out);
        if (buffer_len(out) == before)
            break;
        connection_wrote(p->connection);
    } while (p->ready && buffer_len(out) <= CONNECTION_OUT_HIGH);
    p->pumping = false;
}

/* ---- ended to callbacks ---- */

struct batch {
    struct list records;
    uint64_t results[WARREN_SPOOLED + 1];
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

        if (record->aside)
            continue;
        batch->results[record->result]++;
        batch->bytes += record_size(record);
        batch->count++;
    }
}

/* Before the callbacks, so that they find room, and callers need not wait for them. */
static void account(struct warren_publisher *p, const struct batch *batch)
{
    bool wake;

    pthread_mutex_lock(&p->lock);
    p->stats.confirmed += batch->results[WARREN_CONFIRMED];
    p->stats.nacked += batch->results[WARREN_NACKED];
    p->stats.returned += batch->results[WARREN_RETURNED];
    p->stats.timeout += batch->results[WARREN_TIMEOUT];
    p->stats.expired += batch->results[WARREN_EXPIRED];
    p->stats.resent = p->window.resent;
    room_give(&p->room, batch->count, batch->bytes);
    wake = !list_empty(&p->send_turns) && (p->room_kept || room_is_wide(&p->room));
    pthread_mutex_unlock(&p->lock);
    if (wake)
        condition_broadcast(&p->room_cond);
    if (p->spooler && batch->count > 0)
        spooler_room(p->spooler);
}

/* What a queue refuses is sent again if it is on disk. */
static enum warren_result result_of(const struct record *record)
{
    return record->spool_id > 0 && record->result == WARREN_NACKED ? WARREN_SPOOLED
                                                                   : record->result;
}

/* Of what nobody else is told; what is aside without a callback was removed from the disk. */
static void tell_end(const struct warren_publisher *p, const struct record *record,
                     const struct warren_receipt *receipt)
{
    if (p->options.spool_receipt && (record->spool_id > 0 || record->aside) &&
        receipt->result != WARREN_SPOOLED)
        p->options.spool_receipt(receipt, p->options.spool_user);
}

/* Two names of AMQP, each with a NUL behind it. */
struct target {
    char exchange[256];
    char routing_key[256];
};

static struct warren_bytes copy_name(char to[256], struct warren_bytes name)
{
    memcpy(to, name.data, name.len);
    to[name.len] = '\0';
    return (struct warren_bytes){to, name.len};
}

/* Where the caller wanted it to go: a delayed message is published to the delay queues. */
static void name_target(const struct record *record, struct target *target,
                        struct warren_receipt *receipt)
{
    const struct delay *delay = record->delay;
    struct warren_bytes exchange = warren_text("");
    struct warren_bytes key = warren_text("");

    if (!record_is_id(record)) {
        exchange = record_exchange(record);
        key = record_routing_key(record);
    }
    if (delay)
        exchange = warren_text(delay->to_queue ? "" : delay->destination);
    if (delay && delay->to_queue)
        key = warren_text(delay->destination);
    receipt->exchange_bytes = copy_name(target->exchange, exchange);
    receipt->routing_key_bytes = copy_name(target->routing_key, key);
}

static void call_back(struct warren_publisher *p, struct record *record)
{
    struct target target;
    struct warren_receipt receipt = {
        .result = result_of(record),
        .message_id = record_id(record),
        .reply_code = record->reply_code,
        .reply_text = record->reply_text ? record->reply_text : "",
        .sends = record->sends,
        .exchange = target.exchange,
        .routing_key = target.routing_key,
        .message_id_bytes = record_id_bytes(record),
    };

    name_target(record, &target, &receipt);
    if (record->on_receipt)
        record->on_receipt(&receipt, record->user);
    else
        tell_end(p, record, &receipt);
    if (record->spool_id > 0 && !record->aside)
        spooler_ended(p->spooler, record, record->on_receipt != NULL);
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
        call_back(p, list_entry(link, struct record, link));
    pthread_mutex_lock(&p->lock);
    p->ended_below = window_ended_below(&p->window);
    if (p->ended_below >= p->flush_target) {
        p->flush_target = UINT64_MAX;
        condition_broadcast(&p->ended_cond);
    }
    pthread_mutex_unlock(&p->lock);
}

/* What every event ends with. Sending goes first: callbacks are the user's. */
void sender_work(void *arg)
{
    struct warren_publisher *p = arg;

    take_incoming(p);
    sender_pump(p);
    deliver(p);
}

static void expiry_fired(void *arg)
{
    struct warren_publisher *p = arg;

    p->expiry_ms = INT64_MAX;
    p->expired_ms = now_ms(p);
    take_incoming(p);
    window_expire(&p->window, p->expired_ms);
    /* Half a message cannot be taken back from a connection, only with it. */
    if (p->writing && p->writing->deadline_ms <= p->expired_ms)
        connection_fail(p->connection, WARREN_ETIMEOUT,
                        "the broker did not take the rest of a message in time");
    arm_expiry(p);
    sender_work(p);
}

static void change_rate(void *arg)
{
    struct warren_publisher *p = arg;
    uint32_t burst;
    double rate;

    pthread_mutex_lock(&p->lock);
    rate = p->rate;
    burst = p->burst;
    pthread_mutex_unlock(&p->lock);
    pace_set(&p->pace, rate, burst, now_ms(p));
    loop_timer_disarm(&p->pace_timer);
    loop_timer_disarm(&p->trial_timer);
    sender_pump(p);
}

/* ---- the life of the thread ---- */

static void close_now(void *arg)
{
    struct warren_publisher *p = arg;

    take_incoming(p);
    deliver(p);
    p->ready = false;
    p->writing = NULL;
    replies_end_all(p);
    window_end_all(&p->window);
    deliver(p);
    connection_close(p->connection, p->handshake_ms);
}

enum warren_status sender_init(struct warren_publisher *p, const struct connection_options *options,
                               struct warren_error *error)
{
    enum warren_status status = loop_new(clock_monotonic(), &p->loop);

    loop_task_init(&p->wake_task, sender_work, p);
    loop_task_init(&p->close_task, close_now, p);
    p->handshake_ms = CLOSE_TIMEOUT_MS;
    loop_task_init(&p->rate_task, change_rate, p);
    arena_init(&p->scratch);
    delay_topology_init(&p->delays);
    p->expiry_ms = INT64_MAX;
    p->expired_ms = INT64_MIN / 2;
    if (status == WARREN_OK)
        status = window_init(&p->window);
    if (status == WARREN_OK)
        status = loop_timer_init(&p->expiry, p->loop, expiry_fired, p);
    if (status == WARREN_OK)
        status = loop_timer_init(&p->pace_timer, p->loop, sender_pump, p);
    if (status == WARREN_OK)
        status = loop_timer_init(&p->trial_timer, p->loop, trial_due, p);
    if (status == WARREN_OK)
        status = replies_init(p);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's loop: %s",
                         warren_status_name(status));
    status = connection_new(p->loop, options, &sender_connection_events, p, &p->connection, error);
    if (status != WARREN_OK)
        return status;
    status = channel_new(p->connection, &sender_channel_events, p, &p->channel);
    if (status != WARREN_OK)
        return error_set(error, status, "cannot make the publisher's channel: %s",
                         warren_status_name(status));
    return WARREN_OK;
}

void *sender_run(void *arg)
{
    struct warren_publisher *p = arg;

    thread_publisher = p;
    change_rate(p);
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
    loop_timer_done(&p->pace_timer);
    loop_timer_done(&p->trial_timer);
    replies_done(p);
    window_done(&p->window);
    delay_topology_done(&p->delays);
    arena_done(&p->scratch);
    loop_free(p->loop);
}
