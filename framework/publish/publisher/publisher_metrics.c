/* publisher_metrics.c - see publisher_metrics.h. */
#include "publish/publisher/publisher_metrics.h"

#include "publish/publisher/replies_private.h"

/* What a publisher has, at one moment or nearly so. */
struct figures {
    struct warren_publisher_stats stats;
    struct room room;
    struct spooler_levels spool;
    bool connected;
    int64_t blocked_ns;
    uint32_t requests_open;
    uint64_t requests_full;
    uint32_t destinations;
    uint64_t forgotten;
};

/* Which series has which value. */
#define PLAIN(X)                                                                                   \
    X(PUBLISH_ACCEPTED, f->stats.published)                                                        \
    X(WINDOW_MESSAGES, f->room.messages)                                                           \
    X(WINDOW_MAX_MESSAGES, f->room.messages_max)                                                   \
    X(WINDOW_BYTES, f->room.bytes)                                                                 \
    X(WINDOW_MAX_BYTES, f->room.bytes_max)                                                         \
    X(WINDOW_FULL, f->stats.window_full - f->spool.room_waits)                                     \
    X(RESENT, f->stats.resent)                                                                     \
    X(PUBLISHER_CONNECTED, f->connected)                                                           \
    X(PUBLISHER_CONNECTS, f->stats.connects)                                                       \
    X(PUBLISHER_LOSSES, f->stats.losses)                                                           \
    X(PUBLISHER_BLOCKED, f->stats.is_blocked)                                                      \
    X(PUBLISHER_BLOCKS, f->stats.blocked)                                                          \
    X(REQUESTS, f->stats.requests)                                                                 \
    X(REQUESTS_OPEN, f->requests_open)                                                             \
    X(REQUESTS_FULL, f->requests_full)                                                             \
    X(REPLIES, f->stats.replies)                                                                   \
    X(REPLIES_LATE, f->stats.replies_late)                                                         \
    X(DELAY_DESTINATIONS, f->destinations)                                                         \
    X(DELAY_FORGOTTEN, f->forgotten)

#define SPOOL(X)                                                                                   \
    X(SPOOLED, f->stats.spooled)                                                                   \
    X(SPOOL_BYTES, f->stats.spool_bytes)                                                           \
    X(SPOOL_MAX_BYTES, f->spool.bytes_max)                                                         \
    X(SPOOL_OLDEST, age_s(f->spool.oldest_ms))                                                     \
    X(SPOOL_FULL, f->spool.room_waits)                                                             \
    X(SPOOL_DROPPED, f->stats.spool_dropped)                                                       \
    X(SPOOL_EXPIRED, f->stats.spool_expired)

#define ID(id, value)    METRIC_##id,
#define VALUE(id, value) (double)(value),

static const enum metric_id plain_ids[PUBLISHER_SERIES] = {PLAIN(ID)};
static const enum metric_id spool_ids[SPOOL_SERIES] = {SPOOL(ID)};

/* ---- reading ---- */

/* @at_ms  since 1970; 0: there is nothing that has an age */
static double age_s(int64_t at_ms)
{
    int64_t age_ms = at_ms > 0 ? clock_minus_ms(clock_wall_ms(), at_ms) : 0;

    return age_ms > 0 ? (double)age_ms * 1e-3 : 0;
}

/* What the spooler says first, for the statistics have its waits, too, and no fewer. */
static void read(struct warren_publisher *p, struct figures *f)
{
    *f = (struct figures){.connected = false};
    if (p->spooler)
        spooler_levels(p->spooler, &f->spool);
    warren_publisher_stats(p, &f->stats);
    f->requests_open = atomic_load_explicit(&p->replies->open, memory_order_relaxed);
    f->requests_full = atomic_load_explicit(&p->replies->full, memory_order_relaxed);
    sender_delays(p->sender, &f->destinations, &f->forgotten);
    pthread_mutex_lock(&p->lock);
    f->room = p->room;
    f->connected = p->connected;
    f->blocked_ns = p->blocked_ns;
    if (f->stats.is_blocked && p->blocked_since_ns > 0)
        f->blocked_ns += clock_now_ns(clock_monotonic()) - p->blocked_since_ns;
    pthread_mutex_unlock(&p->lock);
}

static void put_spool(struct publisher_metrics *m, const struct figures *f)
{
    const double values[SPOOL_SERIES] = {SPOOL(VALUE)};

    for (int i = 0; i < SPOOL_SERIES; i++)
        metric_put(m->spool[i], values[i]);
    metric_put(m->spool_messages[0], (double)f->stats.spool_messages);
    metric_put(m->spool_messages[1], (double)f->stats.spool_refused);
}

static void put_plain(struct publisher_metrics *m, const struct figures *f)
{
    const double values[PUBLISHER_SERIES] = {PLAIN(VALUE)};
    const uint64_t results[] = {f->stats.confirmed, f->stats.nacked, f->stats.returned,
                                f->stats.timeout, f->stats.expired};

    for (int i = 0; i < PUBLISHER_SERIES; i++)
        metric_put(m->plain[i], values[i]);
    for (int i = 0; i <= WARREN_EXPIRED; i++)
        metric_put(m->results[i], (double)results[i]);
    metric_put(m->blocked_time, (double)f->blocked_ns * 1e-9);
}

static void put(void *user)
{
    struct warren_publisher *p = user;
    struct figures figures;

    read(p, &figures);
    put_plain(&p->metrics, &figures);
    if (p->spooler)
        put_spool(&p->metrics, &figures);
}

/* ---- life ---- */

static void open_spool(struct publisher_metrics *m, const char *name)
{
    for (int i = 0; i < SPOOL_SERIES; i++)
        m->spool[i] = metric_series(spool_ids[i], name);
    m->spool_messages[0] = metric_series(METRIC_SPOOL_MESSAGES, name, "waiting");
    m->spool_messages[1] = metric_series(METRIC_SPOOL_MESSAGES, name, "refused");
}

void publisher_metrics_init(struct warren_publisher *p, const char *name)
{
    struct publisher_metrics *m = &p->metrics;

    m->confirm_time = metric_series(METRIC_CONFIRM_TIME, name);
    m->blocked_time = metric_series(METRIC_PUBLISHER_BLOCKED_TIME, name);
    for (int i = 0; i <= WARREN_EXPIRED; i++)
        m->results[i] =
            metric_series(METRIC_PUBLISHED, name, warren_result_name((enum warren_result)i));
    for (int i = 0; i < PUBLISHER_SERIES; i++)
        m->plain[i] = metric_series(plain_ids[i], name);
    if (p->spooler)
        open_spool(m, name);
    m->collector = (struct metric_collector){.collect = put, .user = p, .lasts = true};
    metrics_collect_add(&m->collector);
}

void publisher_metrics_done(struct warren_publisher *p)
{
    struct publisher_metrics *m = &p->metrics;

    metrics_collect_remove(&m->collector);
    metric_release_all(m, offsetof(struct publisher_metrics, collector));
}

/* ---- the sender's thread ---- */

void publisher_metrics_ended(struct warren_publisher *p, struct list *records)
{
    int64_t now_ns = clock_now_ns(clock_monotonic());

    LIST_EACH(link, records) {
        const struct record *record = list_entry(link, struct record, link);

        if (record->result == WARREN_CONFIRMED && !record->aside)
            warren_observe(p->metrics.confirm_time, (double)(now_ns - record->sent_ns) * 1e-9);
    }
}
