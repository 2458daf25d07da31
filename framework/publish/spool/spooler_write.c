/* spooler_write.c - what the spooler writes in one transaction, and what is true after it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "publish/spool/spooler_private.h"

/* What was removed is told of at most so often. */
#define TELL_STEP_MS 1000

/* ---- writing ---- */

/* What a transaction will have changed. */
struct change {
    int64_t bytes;
    int64_t messages;
    int64_t refused;
    uint64_t dropped;
    uint64_t expired;
    struct list gone; /* receipts of what is removed unsent */
};

static enum warren_status write_ended(struct spooler *s, const struct spool_ended *ended,
                                      struct change *change, struct warren_error *error)
{
    const struct spool_fed *fed = fed_ring_find(&s->fed, ended->id);

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
    change->messages--;
    if (ended->refused) {
        change->refused++;
        return spool_refuse(s->spool, ended->id, ended->refused, error);
    }
    change->expired += ended->result == WARREN_TIMEOUT || ended->result == WARREN_EXPIRED;
    change->bytes -= fed ? fed->bytes : 0;
    return spool_remove(s->spool, ended->id, NULL, error);
}

static enum warren_status write_all_ended(struct spooler *s, size_t count, struct change *change,
                                          struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    /* The sender adds behind them; the array is moved by this thread alone. */
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = write_ended(s, &s->ended[i], change, error);
    return status;
}

/* Without memory the counts alone tell. */
static bool take_gone(void *user, const struct spool_message *message)
{
    struct change *change = user;
    struct record *receipt = record_of_id(message->message_id);

    if (!receipt)
        return false;
    receipt->result = WARREN_EXPIRED;
    /* Its refusal was told before: the text tells it from those that were never sent. */
    receipt->reply_text = message->refused ? strdup(message->refused) : NULL;
    list_push(&change->gone, &receipt->link);
    return true;
}

static void take_removed(struct change *change, const struct spool_removed *removed)
{
    change->bytes -= removed->bytes;
    change->messages -= removed->messages - removed->refused;
    change->refused -= removed->refused;
}

/* The policy is to make room, and tickets took more than there is. */
static enum warren_status drop_oldest(struct spooler *s, struct change *change,
                                      struct warren_error *error)
{
    struct spool_removed removed;
    enum warren_status status;
    int64_t over;

    pthread_mutex_lock(&s->lock);
    over = s->bytes + change->bytes - (int64_t)s->options.max_bytes;
    pthread_mutex_unlock(&s->lock);
    if (over <= 0)
        return WARREN_OK;
    status = spool_drop(s->spool, s->fed_id, over, s->options.tell_gone ? take_gone : NULL, change,
                        &removed, error);
    take_removed(change, &removed);
    change->dropped += (uint64_t)removed.messages;
    return status;
}

static enum warren_status expire(struct spooler *s, struct change *change,
                                 struct warren_error *error)
{
    int64_t before_ms = clock_wall_ms() - (int64_t)s->options.max_age_ms;
    struct spool_removed removed;
    enum warren_status status =
        spool_expire(s->spool, s->fed_id, before_ms, s->options.tell_gone ? take_gone : NULL,
                     change, &removed, error);

    take_removed(change, &removed);
    change->expired += (uint64_t)removed.messages;
    return status;
}

static enum warren_status append_tickets(struct spooler *s, struct spool_round *round,
                                         struct change *change, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    int64_t bytes;

    pthread_mutex_lock(&s->lock);
    bytes = s->bytes + change->bytes; /* as if all were appended */
    pthread_mutex_unlock(&s->lock);
    for (struct list *link = round->tickets.prev; link != &round->tickets; link = link->prev) {
        struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        /* What is being sent cannot be dropped: then the last ones find no room. */
        if (bytes <= (int64_t)s->options.max_bytes ||
            s->options.when_full != WARREN_SPOOL_DROP_OLDEST)
            break;
        ticket->status = WARREN_EFULL;
        bytes -= ticket->bytes;
    }
    for (struct list *link = round->tickets.next; status == WARREN_OK && link != &round->tickets;
         link = link->next) {
        struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        if (ticket->status == WARREN_OK) {
            status = spool_append(s->spool, &ticket->message, error);
            change->messages++;
        }
    }
    return status;
}

static enum warren_status write_round(struct spooler *s, struct spool_round *round,
                                      struct change *change, struct warren_error *error)
{
    enum warren_status status = spool_begin(s->spool, error);

    if (status != WARREN_OK)
        return status;
    status = write_all_ended(s, round->ended_count, change, error);
    if (status == WARREN_OK && round->age)
        status = expire(s, change, error);
    if (status == WARREN_OK && s->options.when_full == WARREN_SPOOL_DROP_OLDEST)
        status = drop_oldest(s, change, error);
    if (status == WARREN_OK)
        status = append_tickets(s, round, change, error);
    if (status == WARREN_OK)
        return spool_commit(s->spool, error);
    spool_rollback(s->spool);
    return status;
}

/* ---- after the commit ---- */

static void mark_done(struct spooler *s, const struct spool_ended *ended)
{
    struct spool_fed *fed = fed_ring_find(&s->fed, ended->id);

    s->fed_open--;
    s->progress = s->progress || ended->result == WARREN_CONFIRMED;
    if (ended->result == WARREN_NACKED) {
        if (s->nacked == 0 || ended->id < s->nacked)
            s->nacked = ended->id;
    } else if (fed && ended->result != WARREN_SPOOLED) {
        fed->done = true;
        s->fed_bytes -= fed->bytes;
    }
    if (ended->refused)
        spooler_tell(s, true, "the broker refused message %" PRId64 " of the spool: %s; it is kept",
                     ended->id, ended->refused);
}

static void forget_ended(struct spooler *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mark_done(s, &s->ended[i]);
        free(s->ended[i].refused);
    }
    pthread_mutex_lock(&s->lock);
    s->ended_count -= count;
    memmove(s->ended, s->ended + count, s->ended_count * sizeof *s->ended);
    pthread_mutex_unlock(&s->lock);
    fed_ring_drop_done(&s->fed);
}

/* A spool that stays full drops with each commit: one line a second says how many. */
void spooler_tell_removed(struct spooler *s, bool at_any_rate)
{
    int64_t now = clock_now_ms(clock_monotonic());

    if (s->untold_dropped + s->untold_expired == 0 || (now < s->tell_ms && !at_any_rate))
        return;
    if (s->untold_dropped > 0)
        spooler_tell(s, true, "%s is full: the %" PRIu64 " oldest messages were dropped",
                     s->options.path, s->untold_dropped);
    if (s->untold_expired > 0)
        spooler_tell(s, true, "%" PRIu64 " messages of the spool were too old and are dropped",
                     s->untold_expired);
    s->untold_dropped = s->untold_expired = 0;
    s->tell_ms = now + TELL_STEP_MS;
}

static int64_t last_id_of(const struct spool_round *round)
{
    int64_t id = 0;

    for (struct list *link = round->tickets.next; link != &round->tickets; link = link->next) {
        const struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        if (ticket->status == WARREN_OK)
            id = ticket->message.id;
    }
    return id;
}

/* The room that tickets took and did not use is given back. */
static int64_t unused_bytes(const struct spool_round *round)
{
    int64_t bytes = 0;

    for (struct list *link = round->tickets.next; link != &round->tickets; link = link->next) {
        const struct spool_ticket *ticket = list_entry(link, struct spool_ticket, link);

        if (ticket->status != WARREN_OK)
            bytes += ticket->bytes;
    }
    return bytes;
}

static void account(struct spooler *s, const struct spool_round *round, const struct change *change)
{
    int64_t last_id = last_id_of(round);
    uint64_t appended = 0;

    for (struct list *link = round->tickets.next; link != &round->tickets; link = link->next)
        appended += list_entry(link, struct spool_ticket, link)->status == WARREN_OK;
    pthread_mutex_lock(&s->lock);
    s->bytes += change->bytes - unused_bytes(round);
    s->messages += change->messages;
    s->refused += change->refused;
    s->spooled += appended;
    s->dropped += change->dropped;
    s->expired += change->expired;
    if (last_id > 0)
        s->last_id = last_id;
    if (change->bytes < 0 || unused_bytes(round) > 0)
        condition_broadcast(&s->room_cond);
    pthread_mutex_unlock(&s->lock);
}

static void fail_tickets(struct spool_round *round, enum warren_status status)
{
    for (struct list *link = round->tickets.next; link != &round->tickets; link = link->next)
        list_entry(link, struct spool_ticket, link)->status =
            status == WARREN_ENOMEM ? status : WARREN_EIO;
}

/* @written  else they are still there */
static void pass_gone(struct spooler *s, struct change *change, bool written)
{
    struct list *link;

    while ((link = list_pop(&change->gone))) {
        struct record *receipt = list_entry(link, struct record, link);

        if (written)
            s->events.pass(s->user, receipt);
        else
            record_free(receipt);
    }
}

/* What is in a file that was deleted or moved is still sent, and removed; no more is accepted. */
static void look_for_file(struct spooler *s, struct spool_round *round)
{
    struct warren_error error = {WARREN_OK, ""};
    bool displaced = spool_in_place(s->spool, &error) != WARREN_OK;

    if (displaced)
        fail_tickets(round, WARREN_EIO);
    if (displaced && !s->displaced)
        spooler_tell(s, true, "%s", error.text);
    else if (!displaced && s->displaced)
        spooler_tell(s, false, "%s is in its place again", s->options.path);
    s->displaced = displaced;
}

void spooler_write(struct spooler *s, struct spool_round *round)
{
    struct warren_error error = {WARREN_OK, ""};
    struct change change = {0};
    enum warren_status status;

    list_init(&change.gone);
    look_for_file(s, round);
    status = write_round(s, round, &change, &error);
    pass_gone(s, &change, status == WARREN_OK);
    if (status != WARREN_OK) {
        fail_tickets(round, status);
        account(s, round, &(struct change){0});
        spooler_begin_trouble(s, &error);
        return;
    }
    account(s, round, &change);
    if (round->ended_count > 0)
        forget_ended(s, round->ended_count);
    s->untold_dropped += change.dropped;
    s->untold_expired += change.expired;
    spooler_end_trouble(s);
}
