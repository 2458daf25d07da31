/* relay.c - see relay.h. */
#include "consume/relay/relay.h"

#include <stdlib.h>
#include <string.h>

#include <warren/version.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "amqp/wire/property_spans.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "consume/relay/envelope.h"
#include "publish/message/growth.h"

/* Longest wait for room. A worker thread that waits handles nothing; what is not taken by then is
 * held and attempted again. */
#define WAIT_MAX_MS 5000
/* Bytes that the delay queues' own headers take: 29 levels, and a name. */
#define DELAY_ROOM 1024

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

static const char *queue_of(const struct relay *relay, const struct relay_facts *facts)
{
    return facts->to_queue ? facts->to_queue : relay->queue;
}

static struct envelope_facts envelope_of(const struct relay *relay, const struct history *history,
                                         const struct relay_facts *facts)
{
    uint64_t now_s = (uint64_t)(clock_wall_ms() / 1000);
    struct envelope_facts envelope = {
        .queue = queue_of(relay, facts),
        .exchange = history->exchange,
        .routing_key = history->routing_key,
        .attempts = (uint64_t)history->failed + facts->failed,
        .first_failure_s =
            history->first_failure_s ? history->first_failure_s : facts->first_failure_s,
        .replays = history->replays,
        .copied = history->copied,
        .reason = facts->reason,
        .error = facts->error,
        .signal = facts->signal,
        .backtrace = facts->backtrace,
        .trace = facts->trace,
    };

    if (facts->reason) {
        envelope.handler = relay->handler;
        envelope.last_failure_s = facts->last_failure_s ? facts->last_failure_s : now_s;
        envelope.host = relay->host;
        envelope.version = WARREN_VERSION;
    }
    /* A dead letter has failed; and those that only the broker has counted: see notes.h. */
    if (!envelope.first_failure_s && (facts->reason || envelope.attempts > 0))
        envelope.first_failure_s = facts->reason ? envelope.last_failure_s : now_s;
    return envelope;
}

enum warren_status relay_copy(const struct relay *relay, struct delivery *delivery,
                              const struct relay_facts *facts, struct arena *scratch,
                              warren_receipt_fn *on_receipt, void *user)
{
    const struct relay_outlet *outlet = &relay->outlet;
    const char *to_queue = facts->reason ? NULL : queue_of(relay, facts);
    int64_t most_ms = facts->left_ms < WAIT_MAX_MS ? facts->left_ms : WAIT_MAX_MS;
    size_t max = outlet->properties_max(outlet->publisher);
    size_t room = facts->delay_ms > 0 ? DELAY_ROOM : 0;
    struct warren_message message = {.body = {delivery_body(delivery), delivery->body_len}};
    struct warren_publish what = {.message = &message,
                                  .timeout_ms =
                                      facts->left_ms < UINT32_MAX ? (uint32_t)facts->left_ms : 0};
    struct envelope_facts envelope;
    struct original original;
    enum warren_status status = read_original(relay, delivery, scratch, &original);

    if (status != WARREN_OK)
        return status;
    if (facts->left_ms <= 0)
        return WARREN_ETIMEOUT;
    if (facts->reason) {
        what.exchange = relay->dead_exchange;
        what.routing_key = original.history.routing_key;
    }
    room += growth_room(&what, scratch, to_queue, facts->delay_ms);
    if (room >= max)
        return WARREN_ETOOBIG;
    envelope = envelope_of(relay, &original.history, facts);
    status =
        envelope_make(&original.properties, &envelope, max - room, scratch, &message.properties);
    if (status != WARREN_OK)
        return status;
    return outlet->publish(outlet->publisher, &what, scratch, to_queue, facts->delay_ms,
                           facts->wait ? most_ms : 0, on_receipt, user);
}

/* ---- what is owed: kept of an attempt whose outcome stands while the copy that it asks for is not
 * confirmed ---- */

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* @return the copy of @text at *@at, which moves behind it */
static const char *put(char **at, const char *text)
{
    size_t size = size_of(text);
    char *copy = *at;

    if (!text)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

void owed_keep(struct attempt *attempt, const struct relay_facts *facts, int64_t due_ms)
{
    size_t size = size_of(facts->reason) + size_of(facts->error) + size_of(facts->signal) +
                  size_of(facts->backtrace) + size_of(facts->trace);
    struct owed *owed = malloc(sizeof *owed + size);
    char *at;

    if (owed) {
        at = owed->texts;
        owed->due_ms = due_ms;
        owed->since_ms = -1;
        owed->failed = attempt->owed ? attempt->owed->failed : 0;
        owed->facts = *facts;
        owed->facts.reason = put(&at, facts->reason);
        owed->facts.error = put(&at, facts->error);
        owed->facts.signal = put(&at, facts->signal);
        owed->facts.backtrace = put(&at, facts->backtrace);
        owed->facts.trace = put(&at, facts->trace);
    }
    free(attempt->owed);
    attempt->owed = owed;
}

int64_t owed_again_ms(struct owed *owed, struct random *random)
{
    struct backoff backoff;

    backoff_init(&backoff, OWED_AGAIN_MIN_MS, OWED_AGAIN_MAX_MS - OWED_AGAIN_MIN_MS, random);
    backoff.attempt = owed->failed;
    if (owed->failed < UINT32_MAX)
        owed->failed++;
    return OWED_AGAIN_MIN_MS + backoff_next_ms(&backoff);
}

/* ---- history ---- */

/* Only a redelivered message has failed deliveries: the broker's header of a new one is its
 * publisher's. RabbitMQ 4.3 counts apart what was only handed back: that has not failed. */
static uint32_t broker_count(const struct delivery *delivery)
{
    struct property_spans spans;
    struct warren_bytes acquired;
    enum warren_type type;
    uint64_t count;

    if (!delivery->redelivered)
        return 0;
    property_spans_find(delivery_properties(delivery), &spans);
    count = property_spans_count(
        spans.headers, "x-delivery-count",
        !property_spans_header(spans.headers, "x-acquired-count", &type, &acquired));
    return count <= NOTES_COUNT_MAX ? (uint32_t)count : 1;
}

enum warren_status history_read(const struct delivery *delivery, const char *queue,
                                bool broker_counts, struct arena *arena, struct history *history)
{
    struct notes notes;

    *history = (struct history){.failed = broker_counts ? broker_count(delivery) : 0};
    if (!notes_of_copy(delivery, queue, &notes))
        return WARREN_OK;
    history->failed += notes.attempts;
    history->first_failure_s = notes.first_failure_s;
    history->replays = notes.replays;
    history->copied = true;
    if (!notes.exchange.data)
        return WARREN_OK;
    history->exchange = arena_text(arena, notes.exchange.data, notes.exchange.len);
    history->routing_key = arena_text(arena, notes.routing_key.data, notes.routing_key.len);
    return history->exchange && history->routing_key ? WARREN_OK : WARREN_ENOMEM;
}
