#include "app/worker_report.h"

#include <stdio.h>
#include <unistd.h>

#include <warren/version.h>

#include "amqp/wire/property_spans.h"
#include "base/log_event.h"

/* ---- both connections: one consumes, the other publishes ---- */

static void report_connected(const char *purpose, const char *where, const char *server)
{
    log_event(WARREN_LOG_INFO, "connected", LOG_TEXT("connection", purpose),
              LOG_TEXT("broker", where), LOG_TEXT("server", server));
}

/* Each failure to connect is reported; the backoff bounds how many. */
static void report_lost(const char *purpose, const struct connection_loss *loss)
{
    const char *event = loss->refused    ? "broker refused the connection"
                        : loss->was_open ? "connection lost"
                                         : "cannot connect";

    log_event(loss->refused ? WARREN_LOG_ERROR : WARREN_LOG_WARN, event,
              LOG_TEXT("connection", purpose), LOG_TEXT("broker", loss->where),
              LOG_TEXT("reason", loss->text), LOG_INT_IF(loss->code, "code", loss->code),
              LOG_INT("retry_ms", loss->retry_ms));
}

static void on_connected(void *user, const char *where, const char *server)
{
    (void)user;
    report_connected("consume", where, server);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    (void)user;
    report_lost("consume", loss);
}

static void on_publisher_open(void *user, const char *where, const char *server)
{
    (void)user;
    report_connected("publish", where, server);
}

static void on_publisher_lost(void *user, const struct connection_loss *loss)
{
    (void)user;
    report_lost("publish", loss);
}

static void on_publisher_blocked(void *user, bool blocked, const char *reason)
{
    (void)user;
    log_event(blocked ? WARREN_LOG_WARN : WARREN_LOG_INFO,
              blocked ? "broker blocks publishing" : "broker lets publish again",
              LOG_TEXT("reason", blocked ? reason : NULL));
}

/* Without an id the culprit is still being searched: the line that names it follows. */
static void on_publisher_refused(void *user, struct warren_bytes message_id, uint16_t code,
                                 const char *text)
{
    (void)user;
    if (!message_id.data)
        return;
    log_event(WARREN_LOG_ERROR, "broker refused a published message",
              LOG_BYTES("message_id", message_id), LOG_INT("code", code), LOG_TEXT("reason", text));
}

static void on_publisher_spool(void *user, bool trouble, const char *text)
{
    (void)user;
    log_event(trouble ? WARREN_LOG_ERROR : WARREN_LOG_INFO, "spool", LOG_TEXT("reason", text));
}

void worker_report_spool(struct warren_publisher *publisher)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(publisher, &stats);
    if (stats.spool_messages == 0 && stats.spool_refused == 0)
        return;
    log_event(stats.spool_refused > 0 ? WARREN_LOG_WARN : WARREN_LOG_INFO, "messages in the spool",
              LOG_INT("messages", stats.spool_messages), LOG_INT("refused", stats.spool_refused),
              LOG_INT("bytes", stats.spool_bytes));
}

/* ---- consuming ---- */

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    char reason[256];

    (void)user;
    snprintf(reason, sizeof reason, CONNECTION_FEW_CHANNELS, needed, allowed, needed);
    log_event(WARREN_LOG_ERROR, "too few channels: some queues are not consumed",
              LOG_INT("needed", needed), LOG_INT("allowed", allowed), LOG_TEXT("reason", reason));
}

static void on_declaring(void *user, size_t done, size_t total)
{
    (void)user;
    log_event(WARREN_LOG_INFO, "still declaring", LOG_INT("done", done), LOG_INT("of", total));
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    (void)user;
    log_event(WARREN_LOG_ERROR, "broker refused a declaration", LOG_TEXT("item", item),
              LOG_INT_IF(code, "code", code), LOG_TEXT("reason", text));
}

static void on_consuming(void *user, const char *queue)
{
    (void)user;
    log_event(WARREN_LOG_INFO, "consuming", LOG_TEXT("queue", queue));
}

static void on_interrupted(void *user, const char *queue, const char *reason, uint32_t retry_ms)
{
    (void)user;
    log_event(WARREN_LOG_WARN, "consuming interrupted", LOG_TEXT("queue", queue),
              LOG_TEXT("reason", reason), LOG_INT("retry_ms", retry_ms));
}

static void on_spread(void *user, const struct runtime_spread *spread)
{
    (void)user;
    if (spread->workers == 0)
        log_event(
            WARREN_LOG_WARN,
            "shards are not shared out: who is there cannot be seen, so this worker waits for "
            "all of them",
            LOG_TEXT("exchange", spread->exchange), LOG_INT("of", spread->shards));
    else
        log_event(WARREN_LOG_INFO, "shards", LOG_TEXT("exchange", spread->exchange),
                  LOG_INT("mine", spread->mine), LOG_INT("of", spread->shards),
                  LOG_INT("workers", spread->workers));
}

static void on_unfit(void *user, const char *queue, const struct delivery *without_body,
                     const char *why, uint64_t body_size)
{
    struct property_spans spans;
    struct log_line line;

    (void)user;
    property_spans_find(delivery_properties(without_body), &spans);
    log_begin(&line, WARREN_LOG_ERROR, "message rejected unread");
    log_text(&line, "queue", queue);
    if (spans.message_id.len > 0)
        log_bytes(&line, "message_id", spans.message_id);
    log_bytes(&line, "exchange", delivery_exchange_bytes(without_body));
    log_bytes(&line, "routing_key", delivery_routing_key_bytes(without_body));
    log_text(&line, "reason", why);
    log_int(&line, "body_size", (int64_t)body_size);
    log_end(&line);
}

static void on_unconfirmed(void *user, const char *queue, const struct attempt *attempt)
{
    (void)user;
    log_event(WARREN_LOG_WARN, "message is tried again: what it published was not confirmed",
              LOG_TEXT("queue", queue),
              LOG_BYTES("exchange", delivery_exchange_bytes(&attempt->delivery)),
              LOG_BYTES("routing_key", delivery_routing_key_bytes(&attempt->delivery)),
              LOG_TEXT("reason", attempt->unpublished));
}

static void on_unrelayed(void *user, const struct runtime_unrelayed *what)
{
    (void)user;
    log_event(WARREN_LOG_WARN,
              what->dead ? "dead letter is not confirmed: the message stays in its queue"
                         : "retry is not confirmed: the message stays in its queue",
              LOG_TEXT("queue", what->queue), LOG_BYTES("message_id", what->message_id),
              LOG_TEXT("exchange", what->exchange[0] ? what->exchange : NULL),
              LOG_TEXT("target", what->target), LOG_TEXT("reason", what->why),
              LOG_INT_IF(what->retry_ms >= 0, "retry_ms", what->retry_ms),
              LOG_INT("waiting", what->waiting));
}

static void on_relayed(void *user, const char *queue)
{
    (void)user;
    log_event(WARREN_LOG_INFO, "dead letters and retries are confirmed again",
              LOG_TEXT("queue", queue));
}

static void on_memory(void *user, bool full, size_t bytes, uint32_t times)
{
    (void)user;
    log_event(full ? WARREN_LOG_WARN : WARREN_LOG_INFO,
              full ? "consumer.memory_max reached: not reading" : "reading again",
              LOG_INT("bytes", bytes),
              LOG_INT_IF(times > 1 || (times > 0 && !full), "times", times));
}

static void on_draining(void *user, uint32_t handed_back, uint32_t running)
{
    (void)user;
    log_event(WARREN_LOG_INFO, "draining", LOG_INT("handed_back", handed_back),
              LOG_INT("running", running));
}

void worker_report_gap(const char *queue, uint64_t expected, uint64_t offset, bool stops)
{
    log_event(stops ? WARREN_LOG_ERROR : WARREN_LOG_WARN,
              stops ? "the stream's retention removed messages that were not handled: ending, as "
                      "on_gap says; to go on behind them, start once with on_gap: continue"
                    : "the stream's retention removed messages that were not handled: going on "
                      "behind them",
              LOG_TEXT("queue", queue), LOG_INT("missing", offset - expected),
              LOG_INT("expected_offset", expected), LOG_INT("offset", offset));
}

static void on_limited(void *user, const char *queue, int64_t limit)
{
    (void)user;
    log_event(WARREN_LOG_WARN,
              "the queue has a delivery limit, and a restart counts as a delivery of all that was "
              "prefetched: the broker gives up messages that no handler has run; see "
              "x-delivery-limit in docs/dead-letters.md",
              LOG_TEXT("queue", queue), LOG_INT("delivery_limit", limit));
}

void worker_report_events(struct runtime_events *events)
{
    *events = (struct runtime_events){
        .connected = on_connected,
        .lost = on_lost,
        .few_channels = on_few_channels,
        .declaring = on_declaring,
        .refused = on_refused,
        .limited = on_limited,
        .consuming = on_consuming,
        .interrupted = on_interrupted,
        .spread = on_spread,
        .unfit = on_unfit,
        .unconfirmed = on_unconfirmed,
        .unrelayed = on_unrelayed,
        .relayed = on_relayed,
        .memory = on_memory,
        .draining = on_draining,
    };
}

const struct publisher_observer worker_report_publisher = {
    .open = on_publisher_open,
    .lost = on_publisher_lost,
    .blocked = on_publisher_blocked,
    .refused = on_publisher_refused,
    .spool = on_publisher_spool,
};

void worker_report_start(const struct config *config)
{
    log_event(WARREN_LOG_INFO, "starting", LOG_TEXT("version", WARREN_VERSION),
              LOG_INT("pid", getpid()), LOG_TEXT("config", config->file),
              LOG_INT("subscriptions", config->subscription_count));
}

void worker_report_stop(const char *reason, int64_t timeout_ms)
{
    log_event(WARREN_LOG_INFO, "stopping", LOG_TEXT("reason", reason),
              LOG_INT("drain_timeout_ms", timeout_ms));
}

void worker_report_end(const struct runtime_stats *stats, enum warren_status status,
                       uint32_t unfinished, int64_t lifetime_ms)
{
    static const char *const keys[] = {"acked", "retried", "rejected", "discarded", "requeued"};
    struct log_line line;

    log_begin(&line, status == WARREN_OK ? WARREN_LOG_INFO : WARREN_LOG_WARN,
              status == WARREN_OK         ? "stopped"
              : status == WARREN_ETAINTED ? "stopped after a crash"
              : status == WARREN_ETIMEOUT ? "stopped by drain.timeout"
                                          : "stopped at once");
    log_int(&line, "delivered", (int64_t)stats->counts[COUNT_DELIVERED]);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        log_int(&line, keys[i], (int64_t)stats->counts[COUNT_SETTLED + i]);
    log_int(&line, "dead_lettered", (int64_t)stats->counts[COUNT_DEAD_LETTERED]);
    log_int(&line, "redelivered", (int64_t)stats->counts[COUNT_REDELIVERED]);
    log_int(&line, "stale", (int64_t)stats->counts[COUNT_STALE]);
    log_int(&line, "unfinished", unfinished);
    log_int(&line, "connects", (int64_t)stats->connects);
    log_int(&line, "lifetime_ms", lifetime_ms);
    log_end(&line);
}
