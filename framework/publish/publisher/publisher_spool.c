/* publisher_spool.c - a publisher with a spool: between callers, the spooler and the window. */
#include "base/error.h"
#include "publish/publisher/publisher_private.h"

/* ---- what the spooler asks: on its thread ---- */

/* One that alone is larger than the window, which was larger once, goes when nothing else does. */
static bool has_room(const struct warren_publisher *p, size_t bytes)
{
    if (p->room_kept)
        return false;
    return room_fits(&p->room, bytes) || p->room.messages == 0;
}

static bool offer(void *user, struct record *record)
{
    struct warren_publisher *p = user;
    bool first = false;
    bool taken;

    pthread_mutex_lock(&p->lock);
    taken = !p->halted && has_room(p, record_size(record));
    if (taken) {
        first = publisher_take_in(p, record);
        room_take(&p->room, record_size(record));
    }
    pthread_mutex_unlock(&p->lock);
    if (first)
        sender_wake(p->sender);
    return taken;
}

static void pass(void *user, struct record *record)
{
    struct warren_publisher *p = user;
    bool first;

    record->aside = true;
    pthread_mutex_lock(&p->lock);
    first = publisher_take_in(p, record);
    pthread_mutex_unlock(&p->lock);
    if (first)
        sender_wake(p->sender);
}

static void done(void *user, int64_t below)
{
    struct warren_publisher *p = user;

    pthread_mutex_lock(&p->lock);
    p->spool_done_below = below;
    condition_broadcast(&p->ended_cond);
    pthread_mutex_unlock(&p->lock);
}

static void report(void *user, bool trouble, const char *text)
{
    const struct warren_publisher *p = user;

    if (p->observer.spool)
        p->observer.spool(p->observer_user, trouble, text);
}

static void appended(void *user, int64_t messages)
{
    struct warren_publisher *p = user;

    pthread_mutex_lock(&p->lock);
    p->stats.published += (uint64_t)messages;
    pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

enum warren_status publisher_spool_open(struct warren_publisher *p,
                                        const struct warren_publisher_options *options,
                                        struct warren_error *error)
{
    static const struct spooler_events events = {offer, pass, done, report, appended};
    const struct spooler_options spool = {
        .path = options->spool_path,
        .synchronous = options->spool_unsynced ? DATABASE_NORMAL : DATABASE_FULL,
        .max_bytes = options->spool_max_bytes,
        .max_age_ms = options->spool_max_age_ms,
        .when_full = options->spool_when_full,
        .tell_gone = options->spool_receipt != NULL,
    };

    if (!options->spool_path)
        return WARREN_OK;
    return spooler_new(&spool, &events, p, &p->spooler, error);
}

/* ---- callers ---- */

/* A callback must not wait for room; the disk it does wait for. */
enum warren_status publisher_spool_enter(struct warren_publisher *p, struct record *record,
                                         int64_t wait_ms)
{
    enum warren_status status =
        spooler_publish(p->spooler, record, sender_is_caller(p) ? 0 : wait_ms);

    if (status != WARREN_OK)
        return status;
    pthread_mutex_lock(&p->lock);
    p->stats.published++;
    pthread_mutex_unlock(&p->lock);
    return WARREN_OK;
}

/* ---- transactions of others ---- */

enum warren_status publisher_append(struct warren_publisher *p,
                                    const struct warren_publish *publish, const struct arena *texts,
                                    int64_t delay_ms, struct warren_outbox *outbox,
                                    struct warren_error *error)
{
    struct spool_message message;
    struct record *record;
    enum warren_status status;
    int64_t bytes;

    status = publisher_check(p, error);
    if (status != WARREN_OK)
        return status;
    if (!p->spooler)
        return error_set(error, WARREN_ECLOSED, "there is no spool");
    status = publisher_encode(p, publish, texts, delay_ms, &record);
    if (status != WARREN_OK)
        return error_set(error, status, "the message cannot be encoded");
    spooler_message_of(record, &message);
    bytes = outbox->bytes + spool_message_bytes(&message);
    if (bytes > (int64_t)p->options.spool_max_bytes)
        status = error_set(error, WARREN_ETOOBIG,
                           "what this transaction publishes is larger than the spool may be");
    else if (spooler_has_room(p->spooler, bytes))
        status = outbox->append(outbox, &message, error);
    else
        status = error_set(error, WARREN_EFULL, "the spool is full");
    record_free(record);
    return status;
}
