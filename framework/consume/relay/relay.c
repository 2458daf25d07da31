/* relay.c - see relay.h. */
#include "consume/relay/relay.h"

#include <warren/version.h>

#include "amqp/wire/annotations.h"
#include "amqp/wire/properties.h"
#include "base/clock.h"
#include "consume/relay/envelope.h"
#include "publish/message/growth.h"
#include "publish/publisher/publisher_internal.h"

/* Longest wait for room. A worker thread that waits handles nothing; what is not taken by then is
 * held and attempted again. */
#define WAIT_MAX_MS 5000
/* Bytes that the delay queues' own headers take: 29 levels, and a name. */
#define DELAY_ROOM 1024

/* ---- the outlet ---- */

static enum warren_status publish(void *publisher, const struct warren_publish *what,
                                  const struct arena *texts, const char *to_queue, int64_t delay_ms,
                                  int64_t most_ms, warren_receipt_fn *receipt, void *receipt_user)
{
    return publisher_relay_within(publisher, what, texts, to_queue, delay_ms, most_ms, receipt,
                                  receipt_user);
}

static size_t properties_max(void *publisher)
{
    return publisher_properties_max(publisher);
}

void relay_outlet_init(struct relay_outlet *outlet, struct warren_publisher *publisher)
{
    *outlet = (struct relay_outlet){publish, properties_max, publisher};
}

/* ---- relaying ---- */

/* What is decoded of a delivery. */
struct original {
    struct warren_properties properties;
    struct history history;
};

static enum warren_status read_original(const struct relay *relay, const struct delivery *delivery,
                                        struct arena *scratch, struct original *original)
{
    struct history *history = &original->history;
    enum warren_status status =
        properties_decode(delivery_properties(delivery), scratch, &original->properties);

    if (status == WARREN_OK)
        status = history_read(delivery, relay->queue, relay->broker_counts, scratch, history);
    if (status == WARREN_OK)
        status = arena_note(scratch, delivery_exchange(delivery), delivery->exchange_len);
    if (status == WARREN_OK)
        status = arena_note(scratch, delivery_routing_key(delivery), delivery->routing_key_len);
    if (!history->exchange) {
        history->exchange = delivery_exchange(delivery);
        history->routing_key = delivery_routing_key(delivery);
    }
    return status;
}

static struct envelope_facts common_facts(const struct relay *relay,
                                          const struct original *original,
                                          const struct relay_facts *facts)
{
    const struct history *history = &original->history;
    struct envelope_facts envelope = {
        .queue = relay->queue,
        .exchange = history->exchange,
        .routing_key = history->routing_key,
        .attempts = (uint64_t)history->failed + facts->failed,
        .first_failure_s =
            history->first_failure_s ? history->first_failure_s : facts->first_failure_s,
        .replays = history->replays,
        .copied = history->copied,
    };

    /* Those that only the broker has counted: see notes.h. */
    if (envelope.attempts > 0 && !envelope.first_failure_s)
        envelope.first_failure_s = (uint64_t)(clock_wall_ms() / 1000);
    return envelope;
}

/* A copy on its way, and who is told. */
struct copy {
    struct warren_publish what;
    const char *to_queue; /* NULL: as `what` says */
    struct original original;
    struct envelope_facts envelope;
    warren_receipt_fn *on_receipt;
    void *user;
};

static enum warren_status send_copy(const struct relay *relay, struct delivery *delivery,
                                    const struct relay_facts *facts, struct arena *scratch,
                                    struct copy *copy)
{
    const struct relay_outlet *outlet = &relay->outlet;
    int64_t most_ms = facts->left_ms < WAIT_MAX_MS ? facts->left_ms : WAIT_MAX_MS;
    size_t max = outlet->properties_max(outlet->publisher);
    size_t room = growth_room(&copy->what, scratch, copy->to_queue, facts->delay_ms);
    struct warren_message message = {.body = {delivery_body(delivery), delivery->body_len}};
    enum warren_status status;

    if (facts->delay_ms > 0)
        room += DELAY_ROOM;
    if (room >= max)
        return WARREN_ETOOBIG;
    status = envelope_make(&copy->original.properties, &copy->envelope, max - room, scratch,
                           &message.properties);
    if (status != WARREN_OK)
        return status;
    copy->what.message = &message;
    copy->what.timeout_ms = facts->left_ms < UINT32_MAX ? (uint32_t)facts->left_ms : 0;
    return outlet->publish(outlet->publisher, &copy->what, scratch, copy->to_queue, facts->delay_ms,
                           facts->wait ? most_ms : 0, copy->on_receipt, copy->user);
}

static enum warren_status begin_copy(const struct relay *relay, const struct delivery *delivery,
                                     const struct relay_facts *facts, struct arena *scratch,
                                     struct copy *copy)
{
    enum warren_status status = read_original(relay, delivery, scratch, &copy->original);

    copy->envelope = common_facts(relay, &copy->original, facts);
    if (status == WARREN_OK && facts->left_ms <= 0)
        status = WARREN_ETIMEOUT;
    return status;
}

enum warren_status relay_dead(const struct relay *relay, struct delivery *delivery,
                              const struct relay_facts *facts, struct arena *scratch,
                              warren_receipt_fn *on_receipt, void *user)
{
    struct copy copy = {.on_receipt = on_receipt, .user = user};
    struct envelope_facts *envelope = &copy.envelope;
    enum warren_status status = begin_copy(relay, delivery, facts, scratch, &copy);

    if (status != WARREN_OK)
        return status;
    copy.what.exchange = relay->dead_exchange;
    copy.what.routing_key = copy.original.history.routing_key;
    envelope->reason = facts->reason;
    envelope->handler = relay->handler;
    envelope->error = facts->error;
    envelope->signal = facts->signal;
    envelope->backtrace = facts->backtrace;
    envelope->last_failure_s =
        facts->last_failure_s ? facts->last_failure_s : (uint64_t)(clock_wall_ms() / 1000);
    if (!envelope->first_failure_s)
        envelope->first_failure_s = envelope->last_failure_s;
    envelope->host = relay->host;
    envelope->version = WARREN_VERSION;
    return send_copy(relay, delivery, facts, scratch, &copy);
}

enum warren_status relay_later(const struct relay *relay, struct delivery *delivery,
                               const struct relay_facts *facts, struct arena *scratch,
                               warren_receipt_fn *on_receipt, void *user)
{
    struct copy copy = {.on_receipt = on_receipt, .user = user};
    enum warren_status status = begin_copy(relay, delivery, facts, scratch, &copy);

    if (status != WARREN_OK)
        return status;
    copy.to_queue = relay->queue;
    return send_copy(relay, delivery, facts, scratch, &copy);
}
