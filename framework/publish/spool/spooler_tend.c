/* spooler_tend.c - what a spooler does on the writer's thread beside writing: what is due, and in
 * which order.
 */
#include "base/clock.h"
#include "publish/spool/spooler_private.h"

/* The longest wait of what was ended for a group of callers with which it shares a commit; a
 * process that is killed meanwhile sends it once more. */
#define ENDED_STEP_MS 20

#define LOOK_STEP_MS 1000

/* Rests after messages that a queue refused. */
#define REST_MIN_MS 500
#define REST_MAX_MS 30000

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* ---- what is due: under the lock ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool old_are_due(const struct spooler *s, int64_t now)
{
    return s->options.max_age_ms > 0 && now >= s->age_ms && !s->halted;
}

static bool has_to_write(const struct spooler *s, int64_t now)
{
    if (!list_empty(&s->tickets) && (s->crowded_ms == INT64_MAX || now >= s->crowded_ms))
        return true;
    return spooler_ended_are_due(s, now) || old_are_due(s, now);
}

/* When there will be something to do, whatever else happens. */
static int64_t next_ms(const struct spooler *s, int64_t now)
{
    int64_t retry_ms = spooler_retry_ms(s);
    int64_t at = s->resume_ms;

    if (!s->is_writing)
        at = earlier(at, s->crowded_ms);
    if (!s->is_writing && s->ended_count > 0)
        at = earlier(at, s->ended_due_ms > retry_ms ? s->ended_due_ms : retry_ms);
    if (!s->is_writing && s->options.max_age_ms > 0 && !s->halted)
        at = earlier(at, s->age_ms);
    if (s->backlog && now < retry_ms)
        at = earlier(at, retry_ms);
    if (s->refused > 0)
        at = earlier(at, s->look_ms);
    if (s->oldest_moved)
        at = earlier(at, s->oldest_at_ms);
    if (s->unreported_dropped + s->unreported_expired > 0)
        at = earlier(at, s->report_ms);
    return at;
}

/* ---- what is seen to ---- */

void spooler_take_totals(struct spooler *s, const struct spool_totals *totals)
{
    s->bytes = totals->bytes;
    LIST_EACH(link, &s->tickets)
        s->bytes += list_entry(link, struct spool_ticket, link)->bytes;
    s->messages = totals->messages;
    s->refused = totals->refused;
    s->last_id = s->counted_id = totals->last_id;
    s->oldest_moved = true;
}

/* A queue refused something: what is under way ends first, then it is begun again from there. */
static void see_to_nacked(struct spooler *s)
{
    int64_t now = now_ms();

    if (s->nacked == 0 || s->offered_open > 0)
        return;
    if (s->resume_ms == INT64_MAX) {
        s->rest_ms = s->progress || s->rest_ms == 0 ? REST_MIN_MS : s->rest_ms * 2;
        s->rest_ms = s->rest_ms < REST_MAX_MS ? s->rest_ms : REST_MAX_MS;
        s->resume_ms = now + s->rest_ms;
    } else if (now >= s->resume_ms) {
        s->resume_ms = INT64_MAX;
        s->progress = false;
        spooler_go_back(s, s->nacked);
    }
}

/* What others did to the refused messages of the file: an operator removes them, or puts them in
 * line again under new ids. That is seen by their number, which nothing else changes. A failure is
 * reported by the next write or read. */
static void look(struct spooler *s)
{
    struct warren_error error;
    struct spool_totals totals;
    int64_t refused;

    if (spool_count_refused(s->spool, &refused, &error) != WARREN_OK || refused == s->refused ||
        spool_count(s->spool, &totals, &error) != WARREN_OK)
        return;
    pthread_mutex_lock(&s->lock);
    /* What others appended and reported since they were counted would be forgotten: next time. */
    if (s->others_id <= totals.last_id) {
        spooler_take_totals(s, &totals);
        s->backlog = true;
        condition_broadcast(&s->room_cond);
    }
    pthread_mutex_unlock(&s->lock);
}

static void look_if_due(struct spooler *s)
{
    int64_t now = now_ms();

    if (s->refused == 0 || now < s->look_ms)
        return;
    s->look_ms = now + LOOK_STEP_MS;
    look(s);
}

/* For who asks how old it is. All that is below `done_below` has left the disk, or is refused. */
static void look_for_oldest_if_due(struct spooler *s, int64_t now)
{
    struct warren_error error;
    int64_t at_ms;
    bool look;

    pthread_mutex_lock(&s->lock);
    look = s->oldest_moved && now >= s->oldest_at_ms;
    s->oldest_moved = s->oldest_moved && !look;
    pthread_mutex_unlock(&s->lock);
    if (!look)
        return;
    s->oldest_at_ms = now + LOOK_STEP_MS;
    if (spool_oldest_to_send(s->spool, s->done_below - 1, &at_ms, &error) != WARREN_OK)
        return;
    pthread_mutex_lock(&s->lock);
    s->oldest_ms = at_ms;
    pthread_mutex_unlock(&s->lock);
}

/* What is too old goes first: it is not to be sent any more. */
static bool may_read_back(struct spooler *s, int64_t now)
{
    bool may;

    pthread_mutex_lock(&s->lock);
    may = !s->halted && !old_are_due(s, now);
    pthread_mutex_unlock(&s->lock);
    return may && now >= spooler_retry_ms(s) && s->backlog && s->nacked == 0;
}

/* Under the lock. Not sooner: what is read next has what they appended. */
static void take_note_of_others(struct spooler *s)
{
    if (s->last_id < s->others_id)
        s->last_id = s->others_id;
    if (s->offered_id < s->others_id)
        s->backlog = true;
}

/* @return is this the end? */
static bool see_to_writing(struct spooler *s, int64_t now)
{
    bool stop;
    bool ask;

    pthread_mutex_lock(&s->lock);
    stop = s->stopping;
    if (stop && !s->has_tried)
        s->has_tried = s->is_at_once = true;
    ask = has_to_write(s, now) && spooler_asks_to_write(s);
    take_note_of_others(s);
    pthread_mutex_unlock(&s->lock);
    if (ask)
        writer_submit(s->writer, &s->client, &s->write);
    return stop;
}

int64_t spooler_tend(struct writer_client *client, int64_t now)
{
    struct spooler *s = (struct spooler *)(void *)client;
    bool stop = see_to_writing(s, now);
    bool more = false;
    int64_t at;

    look_if_due(s);
    see_to_nacked(s);
    if (may_read_back(s, now))
        more = spooler_read_back(s);
    spooler_report_done(s);
    look_for_oldest_if_due(s, now);
    spooler_report_removed(s, stop);
    pthread_mutex_lock(&s->lock);
    if (s->ended_count > 0 && s->ended_due_ms == INT64_MAX)
        s->ended_due_ms = now + ENDED_STEP_MS;
    at = more ? 0 : next_ms(s, now);
    pthread_mutex_unlock(&s->lock);
    return at;
}
