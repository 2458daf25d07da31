/* channel.c - the life of one channel, and its calls. */
#include <stdio.h>
#include <stdlib.h>

#include "amqp/connection/channel_private.h"
#include "amqp/wire/frame.h"

/* Delays before a channel whose owner does not know why it was closed is opened again; see
 * backoff.h. */
#define REOPEN_MIN_MS 100
#define REOPEN_MAX_MS 30000
/* A channel that was open this long begins again at the shortest delay. */
#define STABLE_MS 60000
/* Channels that we closed and the broker did not, or half of channel_max: then the connection. */
#define UNCLOSED_MAX 128

/* ---- calls ---- */

static void arm_deadline(struct channel *ch)
{
    const struct call *oldest = calls_oldest(&ch->calls);

    if (!oldest) {
        loop_timer_disarm(&ch->deadline);
    } else if (!loop_timer_armed(&ch->deadline)) {
        ch->frames_at_arming = ch->frames;
        loop_timer_arm_ms(&ch->deadline, oldest->deadline_ms - connection_now_ms(ch->connection));
    }
}

/* Answers come behind everything that the broker sent before: while that is coming, or while
 * nothing can come, an answer is not late. */
static int64_t answer_due_ms(const struct channel *ch)
{
    bool comes = ch->frames != ch->frames_at_arming;
    int64_t since_ms =
        comes ? connection_now_ms(ch->connection) : connection_hears_since_ms(ch->connection);

    return since_ms + connection_rpc_timeout_ms(ch->connection);
}

/* What came right behind the call may have been on its way before. */
static bool is_silent(const struct channel *ch, const struct call *call)
{
    uint32_t behind_ms = connection_rpc_timeout_ms(ch->connection) / 4;

    return connection_heard_ms(ch->connection) <= call->sent_ms + behind_ms;
}

static void give_up(struct channel *ch, const struct call *late);

static void deadline_passed(void *arg)
{
    struct channel *ch = arg;
    struct call *oldest = calls_oldest(&ch->calls);
    int64_t due_ms = answer_due_ms(ch);

    if (!oldest)
        return;
    if (oldest->deadline_ms < due_ms)
        oldest->deadline_ms = due_ms;
    /* The next heartbeat shows whether it is the channel or the connection. */
    due_ms = oldest->sent_ms + connection_silence_ms(ch->connection);
    if (ch->state == CHANNEL_OPEN && is_silent(ch, oldest) && oldest->deadline_ms < due_ms)
        oldest->deadline_ms = due_ms;
    if (oldest->deadline_ms > connection_now_ms(ch->connection))
        arm_deadline(ch);
    else
        give_up(ch, oldest);
}

static enum warren_status put(struct channel *ch, uint32_t id, void *decoded)
{
    enum warren_status status = frame_put_method(connection_out(ch->connection), ch->number, id,
                                                 decoded, connection_frame_max(ch->connection));

    if (status == WARREN_OK)
        connection_wrote(ch->connection);
    return status;
}

static enum warren_status call(struct channel *ch, uint32_t id, void *decoded,
                               channel_reply_fn *reply, void *user)
{
    const struct call new_call = {
        .id = id,
        .sent_ms = connection_now_ms(ch->connection),
        .deadline_ms =
            connection_now_ms(ch->connection) + connection_rpc_timeout_ms(ch->connection),
        .reply = reply,
        .user = user,
    };
    enum warren_status status = calls_push(&ch->calls, &new_call);

    if (status != WARREN_OK)
        return status;
    status = put(ch, id, decoded);
    if (status != WARREN_OK)
        calls_unpush(&ch->calls);
    else
        arm_deadline(ch);
    return status;
}

void channel_answered(struct channel *ch, uint32_t id, void *decoded)
{
    struct call answered;

    if (!calls_answer(&ch->calls, id, &answered)) {
        connection_fail(ch->connection, "the peer sent %s on channel %u, which answers nothing",
                        method_name(id).text, ch->number);
        return;
    }
    loop_timer_disarm(&ch->deadline);
    arm_deadline(ch);
    if (answered.reply)
        answered.reply(answered.user, decoded);
}

/* ---- opening, losing, opening again ---- */

static void opened(void *arg, void *decoded)
{
    struct channel *ch = arg;

    (void)decoded;
    ch->state = CHANNEL_OPEN;
    ch->generation++;
    ch->opened_ms = connection_now_ms(ch->connection);
    ch->events.open(ch->user);
}

void channel_open_now(struct channel *ch)
{
    amqp_channel_open_t open = {0};

    if (ch->state != CHANNEL_AWAY)
        return;
    ch->number = channel_numbers_take(&ch->set->numbers, ch);
    if (ch->number == 0) {
        channel_set_lack_number(ch->set);
        return;
    }
    ch->state = CHANNEL_OPENING;
    if (call(ch, AMQP_CHANNEL_OPEN_METHOD, &open, opened, ch) != WARREN_OK)
        connection_fail(ch->connection, "out of memory for a channel");
}

static void reopen(void *arg)
{
    struct channel *ch = arg;

    if (connection_state(ch->connection) == CONNECTION_OPEN)
        channel_open_now(ch);
}

void channel_lose(struct channel *ch, const struct channel_loss *loss)
{
    bool was_open = ch->state == CHANNEL_OPEN;

    if (ch->state == CHANNEL_AWAY)
        return;
    calls_done(&ch->calls);
    loop_timer_disarm(&ch->deadline);
    ch->state = CHANNEL_AWAY;
    ch->content = CONTENT_NONE;
    ch->number = 0;
    if (was_open)
        ch->events.lost(ch->user, loss);
}

/* @well_until_ms  when it worked last */
static void arm_reopen(struct channel *ch, int64_t well_until_ms)
{
    if (well_until_ms - ch->opened_ms >= STABLE_MS)
        backoff_reset(&ch->backoff);
    loop_timer_arm_ms(&ch->reopen, backoff_next_ms(&ch->backoff));
}

void channel_reopen_now(struct channel *ch)
{
    if (connection_state(ch->connection) != CONNECTION_OPEN) {
        connection_retry_now(ch->connection);
        return;
    }
    backoff_reset(&ch->backoff);
    loop_timer_arm_ms(&ch->reopen, 0);
}

void channel_closed(struct channel *ch, const amqp_channel_close_t *close)
{
    amqp_channel_close_ok_t close_ok = {0};
    char text[WIRE_SHORT_TEXT];
    struct channel_loss loss = {
        .code = close->reply_code,
        .text = text,
        .method = (uint32_t)close->class_id << 16 | close->method_id,
    };

    wire_text(close->reply_text, text, sizeof text);
    put(ch, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    channel_numbers_close(&ch->set->numbers, ch->number);
    arm_reopen(ch, connection_now_ms(ch->connection));
    channel_lose(ch, &loss);
}

/* Its number is taken until the broker closes it, too. */
static bool close_channel(struct channel *ch)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

    if (put(ch, AMQP_CHANNEL_CLOSE_METHOD, &close) != WARREN_OK)
        return false;
    channel_numbers_drain(&ch->set->numbers, ch->number);
    return true;
}

void channel_renew(struct channel *ch)
{
    const struct channel_loss loss = {.text = "", .renewed = true};

    if (ch->state != CHANNEL_OPEN)
        return;
    if (!close_channel(ch)) {
        connection_fail(ch->connection, "cannot send channel.close");
        return;
    }
    channel_reopen_now(ch);
    channel_lose(ch, &loss);
}

static uint32_t unclosed_max(const struct channel_set *set)
{
    return set->numbers.max / 2 < UNCLOSED_MAX ? set->numbers.max / 2 : UNCLOSED_MAX;
}

/* RabbitMQ may never answer a channel, such as basic.consume on a quorum queue without a leader
 * (rabbitmq-server issue 10070). That must not cost the other channels. */
static void give_up(struct channel *ch, const struct call *late)
{
    uint32_t patience_ms = connection_rpc_timeout_ms(ch->connection);
    bool in_s = patience_ms % 1000 == 0;
    struct method_name name = method_name(late->id);
    char text[128];
    struct channel_loss loss = {.text = text, .method = late->id, .unanswered = true};

    if (ch->state != CHANNEL_OPEN || is_silent(ch, late)) {
        connection_fail(ch->connection, "no answer to %s within %u ms", name.text, patience_ms);
        return;
    }
    if (ch->set->numbers.drain_count >= unclosed_max(ch->set) || !close_channel(ch)) {
        connection_fail(ch->connection,
                        "no answer to %s within %u ms, nor to the close of %u channels", name.text,
                        patience_ms, ch->set->numbers.drain_count);
        return;
    }
    snprintf(text, sizeof text, "the broker did not answer %s within %u%s", name.text,
             in_s ? patience_ms / 1000 : patience_ms, in_s ? "s" : "ms");
    arm_reopen(ch, late->sent_ms);
    channel_lose(ch, &loss);
}

/* ---- public ---- */

enum warren_status channel_new(struct connection *connection, const struct channel_events *events,
                               void *user, struct channel **ret_channel)
{
    struct channel_set *set = connection_channels(connection);
    struct channel *ch = calloc(1, sizeof *ch);
    enum warren_status status;

    if (!ch)
        return WARREN_ENOMEM;
    ch->set = set;
    ch->connection = connection;
    ch->events = *events;
    ch->user = user;
    calls_init(&ch->calls);
    backoff_init(&ch->backoff, REOPEN_MIN_MS, REOPEN_MAX_MS, &set->random);
    status = loop_timer_init(&ch->deadline, connection_loop(connection), deadline_passed, ch);
    if (status == WARREN_OK)
        status = loop_timer_init(&ch->reopen, connection_loop(connection), reopen, ch);
    if (status != WARREN_OK) {
        loop_timer_done(&ch->deadline);
        free(ch);
        return status;
    }
    list_push(&set->channels, &ch->link);
    set->count++;
    if (connection_state(connection) == CONNECTION_OPEN)
        channel_open_now(ch);
    *ret_channel = ch;
    return WARREN_OK;
}

void channel_free(struct channel *ch)
{
    if (!ch)
        return;
    if (ch->state == CHANNEL_AWAY || connection_state(ch->connection) != CONNECTION_OPEN ||
        !close_channel(ch))
        channel_numbers_release(&ch->set->numbers, ch->number);
    list_remove(&ch->link);
    ch->set->count--;
    calls_done(&ch->calls);
    loop_timer_done(&ch->deadline);
    loop_timer_done(&ch->reopen);
    free(ch);
}

bool channel_is_open(const struct channel *ch)
{
    return ch->state == CHANNEL_OPEN;
}

uint32_t channel_generation(const struct channel *ch)
{
    return ch->generation;
}

uint16_t channel_number(const struct channel *ch)
{
    return ch->number;
}

enum warren_status channel_call(struct channel *ch, uint32_t id, void *decoded,
                                channel_reply_fn *reply, void *user)
{
    if (ch->state != CHANNEL_OPEN || connection_state(ch->connection) != CONNECTION_OPEN)
        return WARREN_ECLOSED;
    return call(ch, id, decoded, reply, user);
}

enum warren_status channel_send(struct channel *ch, uint32_t id, void *decoded)
{
    if (ch->state != CHANNEL_OPEN || connection_state(ch->connection) != CONNECTION_OPEN)
        return WARREN_ECLOSED;
    return put(ch, id, decoded);
}
