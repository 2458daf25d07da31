/* spooler_thread.c - the spooler's thread: what is due, and in which order. */
#include <stdlib.h>

#include "base/clock.h"
#include "publish/spool/spooler_private.h"

/* What was ended waits so long for a group of callers with which it shares a commit; a process that
 * is killed meanwhile sends it once more. */
#define ENDED_STEP_MS 20
/* Above so many it does not wait. */
#define ENDED_MANY 1024

#define AGE_STEP_MS  1000
#define LOOK_STEP_MS 1000
#define TEND_STEP_MS 1000

/* Rests after messages that a queue refused. */
#define REST_MIN_MS 500
#define REST_MAX_MS 30000

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* ---- waiting ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When there will be something to do, whatever else happens. Under the lock. */
static int64_t next_ms(const struct spooler *s)
{
    int64_t at = earlier(earlier(s->resume_ms, s->tend_ms), s->crowded_ms);

    if (s->ended_count > 0)
        at = earlier(at, s->ended_due_ms > s->retry_ms ? s->ended_due_ms : s->retry_ms);
    if (s->trouble && s->backlog)
        at = earlier(at, s->retry_ms);
    if (s->options.max_age_ms > 0)
        at = earlier(at, s->age_ms);
    if (s->refused > 0)
        at = earlier(at, s->look_ms);
    if (s->untold_dropped + s->untold_expired > 0)
        at = earlier(at, s->tell_ms);
    return at;
}

static void wait_for_work(struct spooler *s)
{
    int64_t now = now_ms();

    if (s->ended_count > 0 && s->ended_due_ms == INT64_MAX)
        s->ended_due_ms = now + ENDED_STEP_MS;
    while (!s->kick && now < next_ms(s)) {
        condition_wait_until_ms(&s->work_cond, &s->lock, next_ms(s));
        now = now_ms();
    }
    s->kick = false;
}

/* ---- a round ---- */

static bool ended_are_due(const struct spooler *s, int64_t now)
{
    if (s->ended_count == 0)
        return false;
    if (s->stopping || !list_empty(&s->tickets))
        return true;
    return now >= s->retry_ms &&
           (now >= s->ended_due_ms || s->ended_count >= ENDED_MANY || s->nacked > 0);
}

/* Under the lock. @return false: there is nothing to write */
static bool begin_round(struct spooler *s, struct spool_round *round)
{
    int64_t now = now_ms();

    *round = (struct spool_round){.ended_count = 0};
    list_init(&round->tickets);
    if (ended_are_due(s, now))
        round->ended_count = s->ended_count;
    list_splice(&round->tickets, &s->tickets);
    round->age = s->options.max_age_ms > 0 && now >= s->age_ms && !s->halted;
    if (round->age)
        s->age_ms = now + AGE_STEP_MS;
    return round->ended_count > 0 || !list_empty(&round->tickets) || round->age;
}

/* Where the oldest is to make room, and what is being sent alone takes it: that ends soon, or what
 * was written just now is what can be dropped. Under the lock. */
static void put_back(struct spooler *s, struct spool_round *round)
{
    struct list *link = round->tickets.prev;
    int64_t now = now_ms();

    s->crowded_ms = INT64_MAX;
    while (link != &round->tickets) {
        struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        link = link->prev;
        if (ticket->status != WARREN_EFULL || now >= ticket->deadline_ms || s->closing)
            continue;
        ticket->status = WARREN_OK;
        s->bytes += ticket->bytes;
        s->crowded_ms = now + ENDED_STEP_MS;
        list_remove(&ticket->link);
        list_push_front(&s->tickets, &ticket->link);
    }
}

/* Callers go on when their messages are on disk and on their way. */
static void answer_tickets(struct spooler *s, struct spool_round *round)
{
    struct list *link;

    pthread_mutex_lock(&s->lock);
    put_back(s, round);
    pthread_mutex_unlock(&s->lock);

    for (link = round->tickets.next; link != &round->tickets; link = link->next) {
        struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        if (ticket->status == WARREN_OK && !spooler_hand_over(s, ticket))
            record_free(ticket->record);
    }
    pthread_mutex_lock(&s->lock);
    while ((link = list_pop(&round->tickets))) {
        struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        ticket->done = true;
        condition_signal(&ticket->cond); /* under the lock: it lives on the caller's stack */
    }
    pthread_mutex_unlock(&s->lock);
}

/* A queue refused something: what is under way ends first, then it is begun again from there. */
static void see_to_nacked(struct spooler *s)
{
    int64_t now = now_ms();

    if (s->nacked == 0 || s->fed_open > 0)
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

static void look_if_due(struct spooler *s)
{
    int64_t now = now_ms();

    if (s->refused == 0 || now < s->look_ms)
        return;
    s->look_ms = now + LOOK_STEP_MS;
    spooler_look(s);
}

static void tend_if_due(struct spooler *s)
{
    struct database *database = spool_database(s->spool);
    char text[DATABASE_LOG_TEXT];
    enum database_log_news news;

    if (now_ms() < s->tend_ms)
        return;
    news = database_tend_log(database, text);
    s->tend_ms = database_log_is_large(database) ? now_ms() + TEND_STEP_MS : INT64_MAX;
    if (news != DATABASE_LOG_AS_BEFORE)
        spooler_tell(s, news == DATABASE_LOG_GREW, "%s", text);
}

static bool may_feed(struct spooler *s)
{
    bool halted;

    pthread_mutex_lock(&s->lock);
    halted = s->halted;
    pthread_mutex_unlock(&s->lock);
    if (s->trouble && now_ms() < s->retry_ms)
        return false;
    return !halted && s->backlog && s->nacked == 0;
}

/* Under the lock. Not sooner: what is read next has what they appended. */
static void take_note_of_others(struct spooler *s)
{
    if (s->last_id < s->others_id)
        s->last_id = s->others_id;
    if (s->fed_id < s->others_id)
        s->backlog = true;
}

void *spooler_run(void *arg)
{
    struct spooler *s = arg;
    struct spool_round round;
    bool stop = false;

    while (!stop) {
        bool write;

        pthread_mutex_lock(&s->lock);
        wait_for_work(s);
        write = begin_round(s, &round);
        take_note_of_others(s);
        stop = s->stopping;
        pthread_mutex_unlock(&s->lock);
        if (write) {
            spooler_write(s, &round);
            s->ended_due_ms = INT64_MAX;
            answer_tickets(s, &round);
            s->tend_ms = earlier(s->tend_ms, now_ms() + TEND_STEP_MS);
        }
        tend_if_due(s);
        look_if_due(s);
        see_to_nacked(s);
        if (may_feed(s) && spooler_feed(s)) {
            pthread_mutex_lock(&s->lock);
            s->kick = true;
            pthread_mutex_unlock(&s->lock);
        }
        spooler_report_done(s);
        spooler_tell_removed(s, stop);
    }
    return NULL;
}
