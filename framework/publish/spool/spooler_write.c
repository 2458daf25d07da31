/* spooler_write.c - what the spooler writes in one transaction, and what is true after it. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "publish/spool/spooler_private.h"

/* The least time between two reports of what was removed. */
#define REPORT_STEP_MS 1000

#define AGE_STEP_MS 1000
/* How soon tickets that found no room are tried again. */
#define CROWDED_STEP_MS 20
/* More than this of what was ended does not wait for a group. */
#define ENDED_MANY 1024

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static struct spool_ticket *ticket_of(struct list *link)
{
    return list_entry(link, struct spool_ticket, link);
}

void spooler_report(struct spooler *s, bool trouble, const char *format, ...)
{
    char text[WARREN_ERROR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    s->events.report(s->user, trouble, text);
}

/* ---- a round ---- */

bool spooler_ended_are_due(const struct spooler *s, int64_t now)
{
    if (s->ended_count == 0)
        return false;
    if (!list_empty(&s->tickets))
        return true;
    return now >= spooler_retry_ms(s) &&
           (s->stopping || now >= s->ended_due_ms || s->ended_count >= ENDED_MANY || s->nacked > 0);
}

/* What is in a file that was deleted or moved is still sent, and removed; no more is accepted. */
static void look_for_file(struct spooler *s)
{
    struct warren_error error = {WARREN_OK, ""};
    bool displaced = database_in_place(spool_database(s->spool), &error) != WARREN_OK;

    if (displaced && !s->displaced)
        spooler_report(s, true, "%s", error.text);
    else if (!displaced && s->displaced)
        spooler_report(s, false, "%s is in its place again", s->options.path);
    s->displaced = displaced;
}

static void begin_round(struct spooler *s)
{
    struct spool_round *round = &s->round;
    int64_t now = now_ms();

    look_for_file(s);
    pthread_mutex_lock(&s->lock);
    round->begun = true;
    round->ended_count = spooler_ended_are_due(s, now) ? s->ended_count : 0;
    round->age = s->options.max_age_ms > 0 && now >= s->age_ms && !s->halted;
    list_splice(&round->tickets, &s->tickets);
    if (round->age)
        s->age_ms = now + AGE_STEP_MS;
    pthread_mutex_unlock(&s->lock);
}

static void drop_gone(struct spool_round *round)
{
    struct list *link;

    while ((link = list_pop(&round->gone)))
        record_free(list_entry(link, struct record, link));
}

/* Nothing of it is written yet, or no more. */
static void reset(struct spooler *s)
{
    struct spool_round *round = &s->round;

    drop_gone(round);
    round->bytes = round->messages = round->refused = 0;
    round->dropped = round->expired = 0;
    LIST_EACH(link, &round->tickets)
        ticket_of(link)->status = s->displaced ? WARREN_EIO : WARREN_OK;
}

/* ---- writing ---- */

static enum warren_status write_ended(struct spooler *s, struct spool *spool,
                                      const struct spool_ended *ended, struct warren_error *error)
{
    const struct offered_message *offered = offered_find(&s->offered, ended->id);
    struct spool_round *round = &s->round;

    switch (ended->result) {
    case WARREN_CONFIRMED:
    case WARREN_TIMEOUT:
    case WARREN_EXPIRED:
    case WARREN_RETURNED:
        break;
    case WARREN_NACKED:
    case WARREN_SPOOLED:
        return WARREN_OK;
    }
    round->messages--;
    if (ended->refused) {
        round->refused++;
        return spool_refuse(spool, ended->id, ended->refused, error);
    }
    round->expired += ended->result == WARREN_TIMEOUT || ended->result == WARREN_EXPIRED;
    round->bytes -= offered ? offered->bytes : 0;
    return spool_remove(spool, ended->id, NULL, error);
}

/* Without memory it is counted, and has no receipt. */
static bool take_gone(void *user, const struct spool_message *message)
{
    struct spool_round *round = user;
    struct record *receipt = record_of_id(message->message_id);

    if (!receipt)
        return false;
    receipt->result = WARREN_EXPIRED;
    /* Its refusal was reported before: this text shows that it was sent once. */
    receipt->reply_text = message->refused ? strdup(message->refused) : NULL;
    list_push(&round->gone, &receipt->link);
    return true;
}

/* What will be on disk if all tickets are. */
static int64_t bytes_of(struct spooler *s)
{
    int64_t bytes;

    pthread_mutex_lock(&s->lock);
    bytes = s->bytes + s->round.bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* @count  of those that it removes: they were not sent */
static enum warren_status remove_oldest(struct spooler *s, struct spool *spool, int64_t bytes,
                                        int64_t before_ms, uint64_t *count,
                                        struct warren_error *error)
{
    struct spool_round *round = &s->round;
    const struct spool_removal removal = {.after = s->offered_id,
                                          .bytes = bytes,
                                          .before_ms = before_ms,
                                          .each = s->options.tell_gone ? take_gone : NULL,
                                          .user = round};
    struct spool_removed removed;
    enum warren_status status = spool_remove_oldest(spool, &removal, &removed, error);

    round->bytes -= removed.bytes;
    round->messages -= removed.messages - removed.refused;
    round->refused -= removed.refused;
    *count += (uint64_t)removed.messages;
    return status;
}

static enum warren_status remove_old(struct spooler *s, struct spool *spool,
                                     struct warren_error *error)
{
    int64_t before_ms = clock_wall_ms() - (int64_t)s->options.max_age_ms;

    return s->round.age ? remove_oldest(s, spool, INT64_MAX, before_ms, &s->round.expired, error)
                        : WARREN_OK;
}

/* The policy is to make room, and tickets took more than there is. */
static enum warren_status make_room(struct spooler *s, struct spool *spool,
                                    struct warren_error *error)
{
    int64_t over = bytes_of(s) - (int64_t)s->options.max_bytes;

    return s->options.when_full == WARREN_SPOOL_DROP_OLDEST && over > 0
               ? remove_oldest(s, spool, over, INT64_MAX, &s->round.dropped, error)
               : WARREN_OK;
}

/* What is being sent cannot be dropped: then the last tickets find no room. */
static void turn_away_last(struct spooler *s)
{
    struct list *tickets = &s->round.tickets;
    int64_t bytes = bytes_of(s);

    for (struct list *link = tickets->prev;
         link != tickets && bytes > (int64_t)s->options.max_bytes; link = link->prev) {
        ticket_of(link)->status = WARREN_EFULL;
        bytes -= ticket_of(link)->bytes;
    }
}

static enum warren_status append_tickets(struct spooler *s, struct spool *spool,
                                         struct warren_error *error)
{
    struct list *tickets = &s->round.tickets;
    enum warren_status status = WARREN_OK;

    if (s->options.when_full == WARREN_SPOOL_DROP_OLDEST)
        turn_away_last(s);
    for (struct list *link = tickets->next; status == WARREN_OK && link != tickets;
         link = link->next) {
        if (ticket_of(link)->status != WARREN_OK)
            continue;
        status = spool_append(spool, &ticket_of(link)->message, error);
        s->round.messages++;
    }
    return status;
}

static enum warren_status write_round(struct writer_work *work, struct writer_side *side,
                                      struct warren_error *error)
{
    struct spooler *s = (struct spooler *)(void *)work->client;
    enum warren_status status = WARREN_OK;

    if (!s->round.begun)
        begin_round(s);
    reset(s);
    /* The sender adds behind them; the array is moved by this thread alone. */
    for (size_t i = 0; status == WARREN_OK && i < s->round.ended_count; i++)
        status = write_ended(s, side->spool, &s->ended[i], error);
    if (status == WARREN_OK)
        status = remove_old(s, side->spool, error);
    if (status == WARREN_OK)
        status = make_room(s, side->spool, error);
    return status == WARREN_OK ? append_tickets(s, side->spool, error) : status;
}

/* ---- after the commit ---- */

static void mark_done(struct spooler *s, const struct spool_ended *ended)
{
    struct offered_message *offered = offered_find(&s->offered, ended->id);

    s->offered_open--;
    s->progress = s->progress || ended->result == WARREN_CONFIRMED;
    if (ended->result == WARREN_NACKED) {
        if (s->nacked == 0 || ended->id < s->nacked)
            s->nacked = ended->id;
    } else if (offered && ended->result != WARREN_SPOOLED) {
        offered->done = true;
        s->offered_bytes -= offered->bytes;
    }
    if (ended->refused)
        spooler_report(s, true, "%s message %" PRId64 " of the spool: %s; it is kept",
                       ended->unsound ? "cannot send" : "the broker refused", ended->id,
                       ended->refused);
}

static void forget_ended(struct spooler *s)
{
    size_t count = s->round.ended_count;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        mark_done(s, &s->ended[i]);
        free(s->ended[i].refused);
    }
    pthread_mutex_lock(&s->lock);
    s->ended_count -= count;
    memmove(s->ended, s->ended + count, s->ended_count * sizeof *s->ended);
    pthread_mutex_unlock(&s->lock);
    offered_drop_done(&s->offered);
}

/* A spool that stays full drops with each commit: one line a second says how many. */
void spooler_report_removed(struct spooler *s, bool at_any_rate)
{
    int64_t now = now_ms();

    if (s->unreported_dropped + s->unreported_expired == 0 || (now < s->report_ms && !at_any_rate))
        return;
    if (s->unreported_dropped > 0)
        spooler_report(s, true, "%s is full: the %" PRIu64 " oldest messages were dropped",
                       s->options.path, s->unreported_dropped);
    if (s->unreported_expired > 0)
        spooler_report(s, true, "%" PRIu64 " messages of the spool were too old and are dropped",
                       s->unreported_expired);
    s->unreported_dropped = s->unreported_expired = 0;
    s->report_ms = now + REPORT_STEP_MS;
}

/* Of what was written; the room that tickets took and did not use is given back. */
static void account(struct spooler *s)
{
    const struct spool_round *round = &s->round;
    int64_t unused = 0;

    pthread_mutex_lock(&s->lock);
    LIST_EACH(link, &round->tickets) {
        if (ticket_of(link)->status != WARREN_OK) {
            unused += ticket_of(link)->bytes;
            continue;
        }
        s->spooled++;
        s->last_id = ticket_of(link)->message.id;
    }
    s->bytes += round->bytes - unused;
    s->messages += round->messages;
    s->refused += round->refused;
    s->dropped += round->dropped;
    s->expired += round->expired;
    s->unreported_dropped += round->dropped;
    s->unreported_expired += round->expired;
    s->oldest_moved = true;
    if (round->bytes < 0 || unused > 0)
        condition_broadcast(&s->room_cond);
    pthread_mutex_unlock(&s->lock);
}

/* Nothing was written; the callers that wait get @status. */
static void fail_round(struct spooler *s, enum warren_status status)
{
    reset(s);
    LIST_EACH(link, &s->round.tickets)
        ticket_of(link)->status = status == WARREN_ENOMEM ? status : WARREN_EIO;
}

/* Where the oldest is to make room, and what is being sent alone takes it: that ends soon, or what
 * was written just now is what can be dropped. Under the lock. */
static void put_back(struct spooler *s)
{
    struct list *link = s->round.tickets.prev;
    int64_t now = now_ms();

    s->crowded_ms = INT64_MAX;
    while (link != &s->round.tickets) {
        struct spool_ticket *ticket = ticket_of(link);

        link = link->prev;
        if (ticket->status != WARREN_EFULL || now >= ticket->deadline_ms || s->closing)
            continue;
        s->bytes += ticket->bytes;
        s->crowded_ms = now + CROWDED_STEP_MS;
        list_remove(&ticket->link);
        list_push_front(&s->tickets, &ticket->link);
    }
}

/* Callers go on when their messages are on disk and on their way. */
static void answer_tickets(struct spooler *s)
{
    struct list *tickets = &s->round.tickets;
    struct list *link;

    pthread_mutex_lock(&s->lock);
    put_back(s);
    pthread_mutex_unlock(&s->lock);
    LIST_EACH(each, tickets) {
        struct spool_ticket *ticket = ticket_of(each);

        if (ticket->status == WARREN_OK && !spooler_hand_over(s, ticket))
            record_free(ticket->record);
    }
    pthread_mutex_lock(&s->lock);
    while ((link = list_pop(tickets))) {
        ticket_of(link)->done = true;
        condition_signal(&ticket_of(link)->cond); /* under the lock: the caller's stack has it */
    }
    s->is_writing = false;
    pthread_mutex_unlock(&s->lock);
}

static void written(struct writer_work *work, enum warren_status status)
{
    struct spooler *s = (struct spooler *)(void *)work->client;
    struct list *link;

    if (!s->round.begun) /* there was no transaction */
        begin_round(s);
    if (status != WARREN_OK)
        fail_round(s, status);
    while ((link = list_pop(&s->round.gone)))
        s->events.pass(s->user, list_entry(link, struct record, link));
    account(s);
    if (status == WARREN_OK)
        forget_ended(s);
    s->is_at_once = false;
    s->ended_due_ms = INT64_MAX;
    s->round.begun = false;
    answer_tickets(s);
    s->client.due_ms = 0; /* there may be more to do */
}

const struct writer_kind spooler_writes = {.run = write_round, .done = written, .anywhere = true};
