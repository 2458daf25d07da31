/* spooler_disk.c - what the spooler writes in one transaction, and how it reads back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "publish/delay.h"
#include "publish/spooler_private.h"

/* What is read back at once, before callers get their turn. */
#define FEED_MESSAGES 256
#define FEED_BYTES    ((int64_t)1024 * 1024)

#define FED_CAPACITY_MIN 1024

/* A disk that failed is tried again after this; callers try it at once. */
#define RETRY_MS 1000

/* ---- what was offered ---- */

static struct spool_fed *fed_at(const struct spooler *s, size_t index)
{
    return &s->fed[(s->fed_first + index) & (s->fed_capacity - 1)];
}

/* Ids ascend. NULL: it was not offered since spooler_go_back(). */
static struct spool_fed *find_fed(const struct spooler *s, int64_t id)
{
    size_t low = 0;
    size_t high = s->fed_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (fed_at(s, middle)->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->fed_count && fed_at(s, low)->id == id ? fed_at(s, low) : NULL;
}

static bool grow_fed(struct spooler *s)
{
    size_t capacity = s->fed_capacity > 0 ? s->fed_capacity * 2 : FED_CAPACITY_MIN;
    struct spool_fed *fed = malloc(capacity * sizeof *fed);

    if (!fed)
        return false;
    for (size_t i = 0; i < s->fed_count; i++)
        fed[i] = *fed_at(s, i);
    free(s->fed);
    s->fed = fed;
    s->fed_capacity = capacity;
    s->fed_first = 0;
    return true;
}

/* So that the sender can end one more without memory. */
static bool reserve_ended(struct spooler *s)
{
    size_t wanted = s->fed_open + 1;
    struct spool_ended *ended;
    bool reserved = true;

    pthread_mutex_lock(&s->lock);
    if (s->ended_capacity < wanted) {
        wanted = wanted < FED_CAPACITY_MIN ? FED_CAPACITY_MIN : wanted * 2;
        ended = realloc(s->ended, wanted * sizeof *ended);
        reserved = ended != NULL;
        if (ended) {
            s->ended = ended;
            s->ended_capacity = wanted;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return reserved;
}

/* Its age is kept in the window, where it may wait for long. */
static int64_t deadline_of(const struct spooler *s, int64_t at_ms)
{
    int64_t left_ms;

    if (s->options.max_age_ms == 0)
        return INT64_MAX;
    left_ms = at_ms + (int64_t)s->options.max_age_ms - clock_wall_ms();
    return clock_now_ms(clock_monotonic()) + (left_ms > 0 ? left_ms : 0);
}

/* @return false: no room, or no memory; it is still ours */
static bool offer(struct spooler *s, struct record *record, int64_t id, int64_t at_ms,
                  int64_t bytes)
{
    if (!reserve_ended(s) || (s->fed_count == s->fed_capacity && !grow_fed(s)))
        return false;
    record->spool_id = id;
    record->deadline_ms = deadline_of(s, at_ms);
    /* Before it is offered, for it may end at once. */
    s->fed_count++;
    s->fed_open++;
    *fed_at(s, s->fed_count - 1) = (struct spool_fed){.id = id, .bytes = bytes};
    if (s->events.offer(s->user, record)) {
        s->fed_id = id;
        return true;
    }
    s->fed_count--;
    s->fed_open--;
    return false;
}

static void set_hungry(struct spooler *s, bool hungry)
{
    pthread_mutex_lock(&s->lock);
    s->hungry = hungry;
    pthread_mutex_unlock(&s->lock);
}

bool spooler_hand_over(struct spooler *s, struct spool_ticket *ticket)
{
    struct record *record = ticket->record;

    /* Others append to the same table within transactions of their own. */
    if (ticket->message.id != s->fed_id + 1)
        s->backlog = true;
    if (!s->backlog && s->nacked == 0 &&
        offer(s, record, ticket->message.id, ticket->message.at_ms, ticket->bytes))
        return true;
    s->backlog = true;
    if (!record->on_receipt)
        return false;
    record->result = WARREN_SPOOLED;
    s->events.pass(s->user, record);
    return true;
}

void spooler_go_back(struct spooler *s, int64_t id)
{
    s->fed_count = 0;
    s->fed_id = id - 1;
    s->nacked = 0;
    s->backlog = true;
}

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
    const struct spool_fed *fed = find_fed(s, ended->id);

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
    return spool_remove(s->spool, ended->id, error);
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
    struct spool_fed *fed = find_fed(s, ended->id);

    s->fed_open--;
    s->progress = s->progress || ended->result == WARREN_CONFIRMED;
    if (ended->result == WARREN_NACKED) {
        if (s->nacked == 0 || ended->id < s->nacked)
            s->nacked = ended->id;
    } else if (fed) {
        fed->done = ended->result != WARREN_SPOOLED;
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
    while (s->fed_count > 0 && fed_at(s, 0)->done) {
        s->fed_first = (s->fed_first + 1) & (s->fed_capacity - 1);
        s->fed_count--;
    }
}

void spooler_report_done(struct spooler *s)
{
    int64_t below = s->fed_count > 0 ? fed_at(s, 0)->id : s->fed_id + 1;

    if (s->nacked > 0 && s->nacked < below)
        below = s->nacked;
    if (below == s->done_below)
        return;
    s->done_below = below;
    s->events.done(s->user, below);
}

static void begin_trouble(struct spooler *s, const struct warren_error *error)
{
    if (!s->trouble)
        spooler_tell(s, true, "%s", error->text);
    s->trouble = true;
    s->retry_ms = clock_now_ms(clock_monotonic()) + RETRY_MS;
}

static void end_trouble(struct spooler *s)
{
    if (s->trouble)
        spooler_tell(s, false, "%s can be written again", s->options.path);
    s->trouble = false;
    s->retry_ms = 0;
}

static void tell_removed(struct spooler *s, const struct change *change)
{
    if (change->dropped > 0)
        spooler_tell(s, true, "%s is full: the %" PRIu64 " oldest messages were dropped",
                     s->options.path, change->dropped);
    if (change->expired > 0)
        spooler_tell(s, true, "%" PRIu64 " messages of the spool were too old and are dropped",
                     change->expired);
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
        pthread_cond_broadcast(&s->room_cond);
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

void spooler_write(struct spooler *s, struct spool_round *round)
{
    struct warren_error error = {WARREN_OK, ""};
    struct change change = {0};
    enum warren_status status;

    list_init(&change.gone);
    status = write_round(s, round, &change, &error);
    pass_gone(s, &change, status == WARREN_OK);
    if (status != WARREN_OK) {
        fail_tickets(round, status);
        account(s, round, &(struct change){0});
        begin_trouble(s, &error);
        return;
    }
    account(s, round, &change);
    if (round->ended_count > 0)
        forget_ended(s, round->ended_count);
    tell_removed(s, &change);
    end_trouble(s);
}

/* ---- reading back ---- */

struct feeding {
    struct spooler *spooler;
    int messages;
    int64_t bytes;
    bool full; /* there is no room */
    enum warren_status status;
};

static struct delay *delay_of(const struct spool_message *message)
{
    struct delay *delay = malloc(sizeof *delay + message->delay_to.len + 1);

    if (!delay)
        return NULL;
    delay->seconds = message->delay_s;
    delay->to_queue = (message->flags & SPOOL_TO_QUEUE) != 0;
    memcpy(delay->destination, message->delay_to.data, message->delay_to.len);
    delay->destination[message->delay_to.len] = '\0';
    return delay;
}

static enum warren_status restore(const struct spool_message *message, struct record **ret_record)
{
    const struct record_parts parts = {
        .exchange = message->exchange,
        .routing_key = message->routing_key,
        .id = message->message_id,
        .properties = message->properties,
        .body = message->body,
        .mandatory = (message->flags & SPOOL_OPTIONAL) == 0,
    };
    enum warren_status status = record_restore(&parts, ret_record);

    if (status != WARREN_OK || message->delay_s == 0)
        return status;
    (*ret_record)->delay = delay_of(message);
    if ((*ret_record)->delay)
        return WARREN_OK;
    record_free(*ret_record);
    return WARREN_ENOMEM;
}

/* A row that is no message, made by somebody else: it can only be kept. */
static bool refuse_row(struct spooler *s, int64_t id)
{
    struct spool_ended ended = {.id = id, .result = WARREN_RETURNED};

    ended.refused = strdup("it cannot be read");
    if (!ended.refused || !reserve_ended(s)) {
        free(ended.refused);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    s->ended[s->ended_count++] = ended;
    pthread_mutex_unlock(&s->lock);
    s->fed_open++; /* until it is written */
    s->fed_id = id;
    return true;
}

static bool feed_one(void *user, const struct spool_message *message)
{
    struct feeding *feeding = user;
    struct spooler *s = feeding->spooler;
    int64_t bytes = spool_message_bytes(message);
    struct record *record;

    feeding->status = restore(message, &record);
    if (feeding->status == WARREN_EINVAL && refuse_row(s, message->id)) {
        feeding->status = WARREN_OK;
    } else if (feeding->status == WARREN_OK &&
               !offer(s, record, message->id, message->at_ms, bytes)) {
        record_free(record);
        feeding->full = true;
    }
    feeding->messages++;
    feeding->bytes += bytes;
    return feeding->status == WARREN_OK && !feeding->full && feeding->messages < FEED_MESSAGES &&
           feeding->bytes < FEED_BYTES;
}

/* Nothing is left behind fed_id, where the last ones may have been removed without being sent. */
static void caught_up(struct spooler *s)
{
    s->backlog = false;
    if (s->fed_id < s->last_id)
        s->fed_id = s->last_id;
}

bool spooler_feed(struct spooler *s)
{
    struct feeding feeding = {.spooler = s, .status = WARREN_OK};
    struct warren_error error = {WARREN_ENOMEM, "out of memory for a message of the spool"};
    enum warren_status status;
    bool more;

    /* From here on the sender tells of room; it may do so before it was found to be missing. */
    set_hungry(s, true);
    status = spool_read(s->spool, s->fed_id, SPOOL_TO_SEND, true, feed_one, &feeding, &error);
    if (status != WARREN_OK || feeding.status != WARREN_OK) {
        begin_trouble(s, &error);
        return false;
    }
    if (feeding.full)
        return false;
    set_hungry(s, false);
    more = feeding.messages >= FEED_MESSAGES || feeding.bytes >= FEED_BYTES;
    if (!more)
        caught_up(s);
    return more;
}
