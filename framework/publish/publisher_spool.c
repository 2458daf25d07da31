/* publisher_spool.c - a publisher with a spool: between callers, the spooler and the window. */
#include "publish/publisher_private.h"

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
        loop_post(p->loop, &p->wake_task);
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
        loop_post(p->loop, &p->wake_task);
}

static void done(void *user, int64_t below)
{
    struct warren_publisher *p = user;

    pthread_mutex_lock(&p->lock);
    p->spool_done_below = below;
    pthread_cond_broadcast(&p->ended_cond);
    pthread_mutex_unlock(&p->lock);
}

static void tell(void *user, bool trouble, const char *text)
{
    struct warren_publisher *p = user;
    struct publisher_observer observer;

    pthread_mutex_lock(&p->lock);
    observer = p->observer;
    user = p->observer_user;
    pthread_mutex_unlock(&p->lock);
    if (observer.spool)
        observer.spool(user, trouble, text);
}

/* ---- life ---- */

enum warren_status publisher_spool_open(struct warren_publisher *p,
                                        const struct warren_publisher_options *options,
                                        struct warren_error *error)
{
    static const struct spooler_events events = {offer, pass, done, tell};
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
enum warren_status publisher_submit(struct warren_publisher *p, struct record *record,
                                    int64_t most_ms)
{
    int64_t usual_ms = p->block_timeout_ms > 0 ? (int64_t)p->block_timeout_ms : INT64_MAX;
    enum warren_status status;

    if (!p->spooler)
        return publisher_hand_over(p, record, most_ms);
    if (most_ms > usual_ms)
        most_ms = usual_ms;
    status = spooler_publish(p->spooler, record, sender_is_caller(p) ? 0 : most_ms);
    if (status != WARREN_OK)
        return status;
    pthread_mutex_lock(&p->lock);
    p->stats.published++;
    pthread_mutex_unlock(&p->lock);
    return WARREN_OK;
}
