/* spooler_offer.c - what the spooler offers the sender: what was just committed, or read back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "publish/delay/delay.h"
#include "publish/spool/spooler_private.h"

/* What is read back at once, before callers get their turn. */
#define READ_BACK_MESSAGES 256
#define READ_BACK_BYTES    ((int64_t)1024 * 1024)

#define ENDED_CAPACITY_MIN 1024

/* ---- offering ---- */

/* So that the sender can end one more without memory. */
static bool reserve_ended(struct spooler *s)
{
    size_t wanted = s->offered_open + 1;
    struct spool_ended *ended;
    bool reserved = true;

    pthread_mutex_lock(&s->lock);
    if (s->ended_capacity < wanted) {
        wanted = wanted < ENDED_CAPACITY_MIN ? ENDED_CAPACITY_MIN : wanted * 2;
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

/* What is being sent cannot be dropped: so that there is something else, where the oldest is to
 * make room, no more than half of the spool is. */
static bool leaves_enough(const struct spooler *s, int64_t bytes)
{
    return s->options.when_full != WARREN_SPOOL_DROP_OLDEST || s->offered_bytes == 0 ||
           s->offered_bytes + bytes <= (int64_t)(s->options.max_bytes / 2);
}

/* @return false: no room, or no memory; it is still ours */
static bool offer(struct spooler *s, struct record *record, int64_t id, int64_t at_ms,
                  int64_t bytes)
{
    if (!leaves_enough(s, bytes) || !reserve_ended(s) || !offered_reserve(&s->offered))
        return false;
    record->spool_id = id;
    record->deadline_ms = deadline_of(s, at_ms);
    /* Before it is offered, for it may end at once. */
    offered_push(&s->offered, id, bytes);
    s->offered_open++;
    s->offered_bytes += bytes;
    if (s->events.offer(s->user, record)) {
        s->offered_id = id;
        return true;
    }
    offered_unpush(&s->offered);
    s->offered_open--;
    s->offered_bytes -= bytes;
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
    if (ticket->message.id != s->offered_id + 1)
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
    offered_clear(&s->offered);
    s->offered_bytes = 0;
    s->offered_id = id - 1;
    s->nacked = 0;
    s->backlog = true;
}

void spooler_report_done(struct spooler *s)
{
    int64_t below = offered_first(&s->offered, s->offered_id + 1);

    if (s->nacked > 0 && s->nacked < below)
        below = s->nacked;
    if (below == s->done_below)
        return;
    s->done_below = below;
    s->events.done(s->user, below);
}

/* ---- reading back ---- */

struct reading {
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

_Static_assert(SPOOL_DELAY_MAX_S * 1000 == DELAY_LONGEST_MAX_MS, "a file has every delay");

enum warren_status spooler_restore(const struct spool_message *message, struct record **ret_record,
                                   const char **ret_why)
{
    const struct record_parts parts = {
        .exchange = message->exchange,
        .routing_key = message->routing_key,
        .id = message->message_id,
        .properties = message->properties,
        .body = message->body,
        .mandatory = (message->flags & SPOOL_OPTIONAL) == 0,
    };
    enum warren_status status;

    *ret_why = message->unsound;
    if (message->unsound)
        return WARREN_EINVAL;
    status = record_restore(&parts, ret_record, ret_why);
    if (status != WARREN_OK || message->delay_s == 0)
        return status;
    (*ret_record)->delay = delay_of(message);
    if ((*ret_record)->delay)
        return WARREN_OK;
    record_free(*ret_record);
    return WARREN_ENOMEM;
}

/* A row that is no message, damaged or made by somebody else: it can only be kept. Others are read
 * behind it, unless its number is what is wrong. */
static bool refuse_row(struct spooler *s, const struct spool_message *message, const char *why)
{
    struct spool_ended ended = {.id = message->id, .result = WARREN_RETURNED, .unsound = true};

    if (asprintf(&ended.refused, "it is damaged: %s", why) < 0)
        return false;
    if (!reserve_ended(s)) {
        free(ended.refused);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    s->ended[s->ended_count++] = ended;
    pthread_mutex_unlock(&s->lock);
    s->offered_open++; /* until it is written */
    if (!message->misnumbered)
        s->offered_id = message->id;
    return true;
}

/* It is met whenever something is read, for nothing can be read behind it, and perhaps it cannot be
 * found to be refused. @return false: it was met before, or there are too many */
static bool is_new_misnumbered(struct spooler *s, int64_t id)
{
    for (size_t i = 0; i < s->misnumbered_count; i++)
        if (s->misnumbered[i] == id)
            return false;
    if (s->misnumbered_count == SPOOLER_MISNUMBERED_MAX || offered_find(&s->offered, id))
        return false;
    s->misnumbered[s->misnumbered_count++] = id;
    return true;
}

static bool offer_one(void *user, const struct spool_message *message)
{
    struct reading *reading = user;
    struct spooler *s = reading->spooler;
    int64_t bytes = spool_message_bytes(message);
    struct record *record;
    const char *why;

    if (message->misnumbered && !is_new_misnumbered(s, message->id))
        return true;
    reading->status = spooler_restore(message, &record, &why);
    if (reading->status == WARREN_EINVAL && refuse_row(s, message, why)) {
        reading->status = WARREN_OK;
    } else if (reading->status == WARREN_OK &&
               !offer(s, record, message->id, message->at_ms, bytes)) {
        record_free(record);
        reading->full = true;
    }
    reading->messages++;
    reading->bytes += bytes;
    return reading->status == WARREN_OK && !reading->full &&
           reading->messages < READ_BACK_MESSAGES && reading->bytes < READ_BACK_BYTES;
}

/* Nothing is left behind offered_id, where the last ones may have been removed without being sent.
 */
static void caught_up(struct spooler *s)
{
    s->backlog = false;
    if (s->offered_id < s->last_id)
        s->offered_id = s->last_id;
}

bool spooler_read_back(struct spooler *s)
{
    struct reading reading = {.spooler = s, .status = WARREN_OK};
    struct warren_error error = {WARREN_ENOMEM, "out of memory for a message of the spool"};
    enum warren_status status;
    bool more;

    /* From here on the sender reports room; it may do so before the room was found to be missing.
     */
    set_hungry(s, true);
    status = spool_read(s->spool, s->offered_id > 0 ? s->offered_id : INT64_MIN, SPOOL_TO_SEND,
                        true, offer_one, &reading, &error);
    if (status != WARREN_OK || reading.status != WARREN_OK) {
        writer_failed(s->writer, &s->client, &error);
        return false;
    }
    if (reading.full)
        return false;
    set_hungry(s, false);
    more = reading.messages >= READ_BACK_MESSAGES || reading.bytes >= READ_BACK_BYTES;
    if (!more)
        caught_up(s);
    return more;
}
