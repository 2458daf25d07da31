#include "app/worker_report.h"

#include <stdio.h>
#include <unistd.h>

#include <warren/version.h>

#include "amqp/wire/property_spans.h"
#include "base/log.h"

/* ---- both connections: one consumes, the other publishes ---- */

static void report_connected(const char *purpose, const char *where, const char *server)
{
    struct log_line line;

    log_begin(&line, WARREN_LOG_INFO, "connected");
    log_text(&line, "connection", purpose);
    log_text(&line, "broker", where);
    log_text(&line, "server", server);
    log_end(&line);
}

/* Each try of an outage is told; the backoff bounds how many. */
static void report_lost(const char *purpose, const struct connection_loss *loss)
{
    struct log_line line;
    const char *event = loss->refused    ? "broker refused the connection"
                        : loss->was_open ? "connection lost"
                                         : "cannot connect";

    log_begin(&line, loss->refused ? WARREN_LOG_ERROR : WARREN_LOG_WARN, event);
    log_text(&line, "connection", purpose);
    log_text(&line, "broker", loss->where);
    log_text(&line, "reason", loss->text);
    if (loss->code)
        log_int(&line, "code", loss->code);
    log_int(&line, "retry_ms", loss->retry_ms);
    log_end(&line);
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
    struct log_line line;

    (void)user;
    log_begin(&line, blocked ? WARREN_LOG_WARN : WARREN_LOG_INFO,
              blocked ? "broker blocks publishing" : "broker lets publish again");
    if (blocked)
        log_text(&line, "reason", reason);
    log_end(&line);
}

/* Without an id the culprit is still being searched: the line that names it follows. */
static void on_publisher_refused(void *user, struct warren_bytes message_id, uint16_t code,
                                 const char *text)
{
    struct log_line line;

    (void)user;
    if (!message_id.data)
        return;
    log_begin(&line, WARREN_LOG_ERROR, "broker refused a published message");
    log_bytes(&line, "message_id", message_id);
    log_int(&line, "code", code);
    log_text(&line, "reason", text);
    log_end(&line);
}

static void on_publisher_spool(void *user, bool trouble, const char *text)
{
    struct log_line line;

    (void)user;
    log_begin(&line, trouble ? WARREN_LOG_ERROR : WARREN_LOG_INFO, "spool");
    log_text(&line, "reason", text);
    log_end(&line);
}

void worker_report_spool(struct warren_publisher *publisher)
{
    struct warren_publisher_stats stats;
    struct log_line line;

    warren_publisher_stats(publisher, &stats);
    if (stats.spool_messages == 0 && stats.spool_refused == 0)
        return;
    log_begin(&line, stats.spool_refused > 0 ? WARREN_LOG_WARN : WARREN_LOG_INFO,
              "messages in the spool");
    log_int(&line, "messages", (int64_t)stats.spool_messages);
    log_int(&line, "refused", (int64_t)stats.spool_refused);
    log_int(&line, "bytes", (int64_t)stats.spool_bytes);
    log_end(&line);
}

/* ---- consuming ---- */

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    struct log_line line;
    char reason[256];

    (void)user;
    snprintf(reason, sizeof reason, CONNECTION_FEW_CHANNELS, needed, allowed, needed);
    log_begin(&line, WARREN_LOG_ERROR, "too few channels: some queues are not consumed");
    log_int(&line, "needed", needed);
    log_int(&line, "allowed", allowed);
    log_text(&line, "reason", reason);
    log_end(&line);
}

static void on_declaring(void *user, size_t done, size_t total)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_INFO, "still declaring");
    log_int(&line, "done", (int64_t)done);
    log_int(&line, "of", (int64_t)total);
    log_end(&line);
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_ERROR, "broker refused a declaration");
    log_text(&line, "item", item);
    if (code)
        log_int(&line, "code", code);
    log_text(&line, "reason", text);
    log_end(&line);
}

static void on_consuming(void *user, const char *queue)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_INFO, "consuming");
    log_text(&line, "queue", queue);
    log_end(&line);
}

static void on_interrupted(void *user, const char *queue, const char *reason, uint32_t retry_ms)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_WARN, "consuming interrupted");
    log_text(&line, "queue", queue);
    log_text(&line, "reason", reason);
    log_int(&line, "retry_ms", retry_ms);
    log_end(&line);
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
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_WARN,
              "message is tried again: what it published was not confirmed");
    log_text(&line, "queue", queue);
    log_bytes(&line, "exchange", delivery_exchange_bytes(&attempt->delivery));
    log_bytes(&line, "routing_key", delivery_routing_key_bytes(&attempt->delivery));
    log_text(&line, "reason", attempt->unpublished);
    log_end(&line);
}

static void on_unrelayed(void *user, const struct runtime_unrelayed *what)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_WARN,
              what->dead ? "dead letter is not confirmed: the message stays in its queue"
                         : "retry is not confirmed: the message stays in its queue");
    log_text(&line, "queue", what->queue);
    log_bytes(&line, "message_id", what->message_id);
    if (what->exchange[0])
        log_text(&line, "exchange", what->exchange);
    log_text(&line, "target", what->target);
    log_text(&line, "reason", what->why);
    if (what->retry_ms >= 0)
        log_int(&line, "retry_ms", what->retry_ms);
    log_int(&line, "waiting", what->waiting);
    log_end(&line);
}

static void on_relayed(void *user, const char *queue)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_INFO, "dead letters and retries are confirmed again");
    log_text(&line, "queue", queue);
    log_end(&line);
}

static void on_memory(void *user, bool full, size_t bytes, uint32_t times)
{
    struct log_line line;

    (void)user;
    log_begin(&line, full ? WARREN_LOG_WARN : WARREN_LOG_INFO,
              full ? "consumer.memory_max reached: not reading" : "reading again");
    log_int(&line, "bytes", (int64_t)bytes);
    if (times > 1 || (times > 0 && !full))
        log_int(&line, "times", times);
    log_end(&line);
}

static void on_draining(void *user, uint32_t handed_back, uint32_t running)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_INFO, "draining");
    log_int(&line, "handed_back", handed_back);
    log_int(&line, "running", running);
    log_end(&line);
}

void worker_report_gap(const char *queue, uint64_t expected, uint64_t offset, bool stops)
{
    struct log_line line;

    log_begin(&line, stops ? WARREN_LOG_ERROR : WARREN_LOG_WARN,
              stops ? "the stream's retention removed messages that were not handled: ending, as "
                      "on_gap says; to go on behind them, start once with on_gap: continue"
                    : "the stream's retention removed messages that were not handled: going on "
                      "behind them");
    log_text(&line, "queue", queue);
    log_int(&line, "missing", (int64_t)(offset - expected));
    log_int(&line, "expected_offset", (int64_t)expected);
    log_int(&line, "offset", (int64_t)offset);
    log_end(&line);
}

static void on_limited(void *user, const char *queue, int64_t limit)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_WARN,
              "the queue has a delivery limit, and a restart counts as a delivery of all that was "
              "prefetched: the broker gives up messages that no handler has run; see "
              "x-delivery-limit in docs/dead-letters.md");
    log_text(&line, "queue", queue);
    log_int(&line, "delivery_limit", limit);
    log_end(&line);
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
    struct log_line line;

    log_begin(&line, WARREN_LOG_INFO, "starting");
    log_text(&line, "version", WARREN_VERSION);
    log_int(&line, "pid", getpid());
    log_text(&line, "config", config->file);
    log_int(&line, "subscriptions", (int64_t)config->subscription_count);
    log_end(&line);
}

void worker_report_stop(const char *reason, int64_t timeout_ms)
{
    struct log_line line;

    log_begin(&line, WARREN_LOG_INFO, "stopping");
    log_text(&line, "reason", reason);
    log_int(&line, "drain_timeout_ms", timeout_ms);
    log_end(&line);
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
    log_int(&line, "delivered", (int64_t)stats->delivered);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        log_int(&line, keys[i], (int64_t)stats->settled[i]);
    log_int(&line, "dead_lettered", (int64_t)stats->dead_lettered);
    log_int(&line, "redelivered", (int64_t)stats->redelivered);
    log_int(&line, "stale", (int64_t)stats->stale);
    log_int(&line, "unfinished", unfinished);
    log_int(&line, "connects", (int64_t)stats->connects);
    log_int(&line, "lifetime_ms", lifetime_ms);
    log_end(&line);
}
