/* publisher.c - what callers' threads do: begin, wait for room, flush, close. */
#include "publish/publisher/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "publish/message/pace.h"
#include "publish/publisher/publisher_private.h"

/* A caller that waits for room is woken when a quarter of the window is free; as messages that
 * get stuck may keep it fuller than that for long, it also looks for itself this often. */
#define ROOM_STEP_MS 20

/* ---- begin ---- */

static struct warren_publisher *allocate(const struct warren_publisher_options *options)
{
    struct warren_publisher *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    condition_init(&p->room_cond);
    condition_init(&p->ended_cond);
    condition_init(&p->connected_cond);
    condition_init(&p->declared_cond);
    list_init(&p->incoming);
    list_init(&p->declares);
    list_init(&p->send_turns);
    atomic_init(&p->frame_max, RECORD_FRAME_MAX);
    p->options = *options;
    p->forks = forked_begin();
    p->room.messages_max =
        pace_window(options->rate, options->timeout_ms, options->window_messages);
    p->rate = options->rate;
    p->burst = options->burst;
    p->room.bytes_max = options->window_bytes;
    p->next_seq = 1;
    p->ended_below = 1;
    p->flush_target = UINT64_MAX;
    return p;
}

static void release(struct warren_publisher *p)
{
    struct list *link;

    publisher_metrics_done(p);
    spooler_free(p->spooler); /* before the rest, for it wakes the loop */
    while ((link = list_pop(&p->incoming)))
        record_free(list_entry(link, struct record, link));
    sender_free(p->sender);
    condition_done(&p->room_cond);
    condition_done(&p->ended_cond);
    condition_done(&p->connected_cond);
    condition_done(&p->declared_cond);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

enum warren_status publisher_new(const struct warren_publisher_options *options,
                                 const struct publisher_observer *observer, void *user,
                                 struct warren_publisher **ret_publisher,
                                 struct warren_error *error)
{
    struct publisher_settings settings;
    struct warren_publisher *p;
    enum warren_status status;

    if (!ret_publisher)
        return error_set(error, WARREN_EINVAL, "ret_publisher is NULL");
    status = publisher_settings_init(options, &settings, error);
    if (status != WARREN_OK)
        return status;
    p = allocate(&settings.options);
    if (!p) {
        publisher_settings_done(&settings);
        return error_set(error, WARREN_ENOMEM, "out of memory for a publisher");
    }
    p->observer = observer ? *observer : report_observer;
    p->observer_user = observer ? user : p;
    status = sender_new(p, &settings.connection, error);
    if (status == WARREN_OK)
        status = publisher_spool_open(p, &settings.options, error);
    if (status == WARREN_OK)
        publisher_metrics_init(p, settings.connection.name);
    publisher_settings_done(&settings);
    if (status == WARREN_OK)
        status = thread_start(&p->thread, "warren-publish", sender_run, p->sender, error);
    if (status != WARREN_OK) {
        release(p);
        return status;
    }
    *ret_publisher = p;
    return WARREN_OK;
}

enum warren_status warren_publisher_new(const struct warren_publisher_options *options,
                                        struct warren_publisher **ret_publisher,
                                        struct warren_error *error)
{
    return publisher_new(options, NULL, NULL, ret_publisher, error);
}

/* ---- who may call ---- */

enum warren_status publisher_check(const struct warren_publisher *p, struct warren_error *error)
{
    if (p && !forked_since(p->forks))
        return WARREN_OK;
    if (!p)
        return error_set(error, WARREN_EINVAL, "the publisher is NULL");
    return error_set(error, WARREN_ECLOSED,
                     "the publisher belongs to the parent process: a child of fork() makes one of "
                     "its own");
}

enum warren_status publisher_check_wait(const struct warren_publisher *p,
                                        struct warren_error *error)
{
    enum warren_status status = publisher_check(p, error);

    if (status == WARREN_OK && sender_is_caller(p))
        status = error_set(error, WARREN_EINVAL,
                           "a callback of the publisher must not wait for it: publish, and return");
    return status;
}

enum warren_status warren_publisher_wait_connected(struct warren_publisher *p, uint32_t timeout_ms,
                                                   struct warren_error *error)
{
    int64_t deadline_ms = clock_deadline_ms(timeout_ms);
    enum warren_status status = publisher_check_wait(p, error);

    if (status != WARREN_OK)
        return status;
    pthread_mutex_lock(&p->lock);
    while (!p->connected && condition_wait_until_ms(&p->connected_cond, &p->lock, deadline_ms))
        ;
    if (!p->connected)
        status = error_set(error, WARREN_ETIMEOUT, "not connected within %u ms: %s", timeout_ms,
                           p->last_failure[0] ? p->last_failure : "the first try is under way");
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* ---- room ---- */

/* One caller who waits for room; under the lock, as is all of waiting. */
struct send_turn {
    struct list link;
    publisher_fits_fn *fits;
    size_t bytes;
};

static bool is_next(const struct warren_publisher *p, const struct send_turn *turn)
{
    return p->send_turns.next == &turn->link;
}

static bool may_enter(const struct warren_publisher *p, const struct send_turn *turn)
{
    return turn->fits(&p->room, turn->bytes) && (!p->room_kept || is_next(p, turn));
}

/* The turn is over, well or not; those who stood behind one that room was kept for may go now. */
static void end_turn(struct warren_publisher *p, struct send_turn *turn)
{
    bool was_kept = p->room_kept && is_next(p, turn);

    list_remove(&turn->link);
    if (!was_kept)
        return;
    p->room_kept = false;
    if (!list_empty(&p->send_turns))
        condition_broadcast(&p->room_cond);
    if (p->spooler)
        spooler_room(p->spooler);
}

/* Usually whoever comes first takes the room that there is: those who sleep would lose it to those
 * who run, but to hand it over one by one would cost a switch of threads for each message. Who has
 * waited for long, however, such as with a message that is larger than what is free now and then,
 * has the room kept until the message fits. */
static enum warren_status wait_for_turn(struct warren_publisher *p, struct send_turn *turn,
                                        int64_t wait_ms)
{
    int64_t began_ms = clock_now_ms(clock_monotonic());
    int64_t deadline_ms = clock_deadline_ms(wait_ms);
    bool entered;

    list_push(&p->send_turns, &turn->link);
    while (!p->closing && !may_enter(p, turn)) {
        int64_t now = clock_now_ms(clock_monotonic());

        if (now >= deadline_ms)
            break;
        if (now - began_ms >= ROOM_STEP_MS && is_next(p, turn))
            p->room_kept = true;
        condition_wait_until_ms(&p->room_cond, &p->lock,
                                deadline_ms - now < ROOM_STEP_MS ? deadline_ms
                                                                 : now + ROOM_STEP_MS);
    }
    entered = may_enter(p, turn);
    end_turn(p, turn);
    if (p->closing)
        return WARREN_ECLOSED;
    return entered ? WARREN_OK : WARREN_ETIMEOUT;
}

/* Who cannot wait takes what fits, also if it is kept for another one. */
static enum warren_status wait_for_room(struct warren_publisher *p, size_t bytes,
                                        publisher_fits_fn *fits, int64_t wait_ms)
{
    struct send_turn turn = {.fits = fits, .bytes = bytes};

    if (p->options.when_full == WARREN_FAIL || sender_is_caller(p))
        wait_ms = 0;
    if (p->closing)
        return WARREN_ECLOSED;
    if (fits(&p->room, bytes) && (!p->room_kept || wait_ms == 0))
        return WARREN_OK;
    p->stats.window_full++;
    if (wait_ms == 0)
        return WARREN_EFULL;
    return wait_for_turn(p, &turn, wait_ms);
}

bool publisher_take_in(struct warren_publisher *p, struct record *record)
{
    bool first = list_empty(&p->incoming);

    record->seq = p->next_seq++;
    list_push(&p->incoming, &record->link);
    return first;
}

enum warren_status publisher_enter(struct warren_publisher *p, struct record *record,
                                   publisher_fits_fn *fits, int64_t wait_ms)
{
    enum warren_status status;
    bool tell = false;

    pthread_mutex_lock(&p->lock);
    status = wait_for_room(p, record_size(record), fits, wait_ms);
    if (status == WARREN_OK) {
        tell = publisher_take_in(p, record);
        room_take(&p->room, record_size(record));
        p->stats.published++;
    }
    pthread_mutex_unlock(&p->lock);
    if (tell)
        sender_wake(p->sender);
    return status;
}

/* ---- flush, stats, close ---- */

/* The last one on disk; without a spool, one that counts as done from the beginning. */
static int64_t spool_last_id(const struct warren_publisher *p)
{
    return p->spooler ? spooler_last_id(p->spooler) : -1;
}

/* Under the lock. @timeout_ms negative: for ever */
static bool wait_ended(struct warren_publisher *p, int64_t timeout_ms, int64_t spool_target)
{
    int64_t deadline_ms = clock_deadline_ms(timeout_ms);
    uint64_t target = p->next_seq;

    while (p->ended_below < target || p->spool_done_below <= spool_target) {
        if (target < p->flush_target)
            p->flush_target = target;
        if (!condition_wait_until_ms(&p->ended_cond, &p->lock, deadline_ms))
            break;
    }
    return p->ended_below >= target && p->spool_done_below > spool_target;
}

enum warren_status warren_publisher_flush(struct warren_publisher *p, uint32_t timeout_ms)
{
    int64_t spool_target;
    bool ended;

    enum warren_status status = publisher_check_wait(p, NULL);

    if (status != WARREN_OK)
        return status;
    spool_target = spool_last_id(p);
    pthread_mutex_lock(&p->lock);
    ended = wait_ended(p, timeout_ms > 0 ? (int64_t)timeout_ms : -1, spool_target);
    pthread_mutex_unlock(&p->lock);
    return ended ? WARREN_OK : WARREN_ETIMEOUT;
}

enum warren_status warren_publisher_set_rate(struct warren_publisher *p, double rate,
                                             uint32_t burst, struct warren_error *error)
{
    enum warren_status status = publisher_check(p, error);

    if (status == WARREN_OK)
        status = pace_check(rate, burst, p->options.timeout_ms, error);
    if (status != WARREN_OK)
        return status;
    pthread_mutex_lock(&p->lock);
    p->rate = rate;
    p->burst = burst;
    p->room.messages_max = pace_window(rate, p->options.timeout_ms, p->options.window_messages);
    pthread_mutex_unlock(&p->lock);
    condition_broadcast(&p->room_cond);
    if (p->spooler)
        spooler_room(p->spooler);
    sender_change_rate(p->sender);
    return WARREN_OK;
}

void warren_publisher_stats(struct warren_publisher *p, struct warren_publisher_stats *stats)
{
    if (!stats)
        return;
    *stats = (struct warren_publisher_stats){0};
    if (publisher_check(p, NULL) != WARREN_OK)
        return;
    pthread_mutex_lock(&p->lock);
    *stats = p->stats;
    stats->in_flight = p->room.messages;
    pthread_mutex_unlock(&p->lock);
    replies_stats(p->replies, stats);
    if (p->spooler)
        spooler_stats(p->spooler, stats);
}

void publisher_set_handshake(struct warren_publisher *p, uint32_t most_ms)
{
    if (most_ms < p->handshake_ms)
        p->handshake_ms = most_ms;
}

enum warren_status warren_publisher_close(struct warren_publisher *p, uint32_t timeout_ms)
{
    enum warren_status status = WARREN_OK;
    int64_t spool_target;

    if (!p)
        return WARREN_OK;
    status = publisher_check_wait(p, NULL);
    if (status != WARREN_OK)
        return status;
    if (p->spooler)
        spooler_close(p->spooler);
    spool_target = spool_last_id(p);
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    condition_broadcast(&p->room_cond);
    if (!wait_ended(p, timeout_ms, spool_target))
        status = WARREN_ETIMEOUT;
    p->halted = true;
    pthread_mutex_unlock(&p->lock);
    if (p->spooler)
        spooler_halt(p->spooler);
    sender_close(p->sender);
    pthread_join(p->thread, NULL);
    release(p);
    return status;
}
