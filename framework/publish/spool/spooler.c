/* spooler.c - what callers and the sender ask of the spooler; its life. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "publish/delay/delay.h"
#include "publish/spool/spooler_private.h"

/* ---- what the writer reports ---- */

static void failed(void *spooler, const char *error, size_t waiting)
{
    (void)waiting;
    spooler_report(spooler, true, "%s", error);
}

static void recovered(void *spooler)
{
    const struct spooler *s = spooler;

    spooler_report(spooler, false, "%s can be written again", s->options.path);
}

static void size(void *spooler, bool trouble, const char *text)
{
    spooler_report(spooler, trouble, "%s", text);
}

static void appended(struct writer_client *client, int64_t messages, int64_t bytes, int64_t last_id)
{
    spooler_appended((struct spooler *)(void *)client, messages, bytes, last_id);
}

/* ---- life ---- */

static struct spooler *allocate(const struct spooler_options *options,
                                const struct spooler_events *events, void *user)
{
    struct spooler *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->client = (struct writer_client){.synchronous = options->synchronous,
                                       .tend = spooler_tend,
                                       .events = {failed, recovered, size, s},
                                       .appended = appended};
    pthread_mutex_init(&s->lock, NULL);
    condition_init(&s->room_cond);
    list_init(&s->tickets);
    list_init(&s->round.tickets);
    list_init(&s->round.gone);
    s->write.kind = &spooler_writes;
    s->options = *options;
    s->events = *events;
    s->user = user;
    s->ended_due_ms = s->resume_ms = s->crowded_ms = INT64_MAX;
    return s;
}

/* What was left by an earlier process is the first to be sent. */
static enum warren_status take_stock(struct spooler *s, struct warren_error *error)
{
    struct spool_totals totals;
    enum warren_status status = spool_count(s->spool, &totals, error);

    if (status != WARREN_OK)
        return status;
    spooler_take_totals(s, &totals);
    s->backlog = totals.messages > 0;
    if (!s->backlog)
        s->offered_id = totals.last_id;
    return WARREN_OK;
}

static enum warren_status join(struct spooler *s, struct warren_error *error)
{
    enum warren_status status;
    bool taken;

    writer_pause(s->writer);
    s->spool = writer_own(s->writer)->spool;
    status = spool_claim(s->spool, &taken, error);
    s->claimed = status == WARREN_OK;
    if (status == WARREN_OK)
        status = take_stock(s, error);
    s->joined = status == WARREN_OK;
    if (s->joined)
        writer_join(s->writer, &s->client);
    writer_resume(s->writer);
    return status;
}

enum warren_status spooler_new(const struct spooler_options *options,
                               const struct spooler_events *events, void *user,
                               struct spooler **ret_spooler, struct warren_error *error)
{
    const struct database_options file = {.path = options->path,
                                          .synchronous = options->synchronous};
    struct spooler *s = allocate(options, events, user);
    enum warren_status status;

    if (!s)
        return error_set(error, WARREN_ENOMEM, "out of memory for a spool");
    /* First the file, for it says best what is wrong with a path. */
    status = writer_get(&file, &s->writer, error);
    if (status == WARREN_OK)
        status = join(s, error);
    if (status != WARREN_OK) {
        spooler_free(s);
        return status;
    }
    *ret_spooler = s;
    return WARREN_OK;
}

static void leave(struct spooler *s)
{
    pthread_mutex_lock(&s->lock);
    s->halted = s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    if (s->joined) {
        writer_kick(s->writer, &s->client);
        writer_leave(s->writer, &s->client);
    }
    if (s->claimed) {
        writer_pause(s->writer);
        spool_disclaim(s->spool);
        writer_resume(s->writer);
    }
    writer_put(s->writer);
}

void spooler_free(struct spooler *s)
{
    if (!s)
        return;
    leave(s);
    for (size_t i = 0; i < s->ended_count; i++)
        free(s->ended[i].refused);
    free(s->ended);
    offered_done(&s->offered);
    condition_done(&s->room_cond);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- callers ---- */

static void take_delay(const struct record *record, struct spool_message *message)
{
    if (!record->delay)
        return;
    message->delay_s = record->delay->seconds;
    message->delay_to = warren_text(record->delay->destination);
    if (record->delay->to_queue)
        message->flags |= SPOOL_TO_QUEUE;
}

void spooler_message_of(const struct record *record, struct spool_message *message)
{
    struct record_parts parts;

    record_parts(record, &parts);
    *message = (struct spool_message){.message_id = parts.id,
                                      .exchange = parts.exchange,
                                      .routing_key = parts.routing_key,
                                      .flags = parts.mandatory ? 0 : SPOOL_OPTIONAL,
                                      .properties = parts.properties,
                                      .body = parts.body};
    take_delay(record, message);
}

static void ticket_init(struct spool_ticket *ticket, struct record *record, int64_t wait_ms)
{
    *ticket = (struct spool_ticket){.record = record, .deadline_ms = clock_deadline_ms(wait_ms)};
    spooler_message_of(record, &ticket->message);
    ticket->bytes = spool_message_bytes(&ticket->message);
    list_init(&ticket->link);
    condition_init(&ticket->cond);
}

static bool fits(const struct spooler *s, int64_t bytes)
{
    return s->bytes + bytes <= (int64_t)s->options.max_bytes;
}

/* Under the lock. */
static enum warren_status take_room(struct spooler *s, int64_t bytes, int64_t wait_ms,
                                    int64_t deadline_ms)
{
    if (bytes > (int64_t)s->options.max_bytes)
        return WARREN_ETOOBIG;
    /* What is too much is removed in the same transaction. */
    if (s->options.when_full != WARREN_SPOOL_DROP_OLDEST && !s->closing && !fits(s, bytes)) {
        s->room_waits++;
        if (s->options.when_full == WARREN_SPOOL_FAIL || wait_ms == 0)
            return WARREN_EFULL;
        while (!s->closing && !fits(s, bytes) &&
               condition_wait_until_ms(&s->room_cond, &s->lock, deadline_ms))
            continue;
        if (!s->closing && !fits(s, bytes))
            return WARREN_ETIMEOUT;
    }
    if (s->closing)
        return WARREN_ECLOSED;
    s->bytes += bytes;
    return WARREN_OK;
}

enum warren_status spooler_publish(struct spooler *s, struct record *record, int64_t wait_ms)
{
    struct spool_ticket ticket;
    enum warren_status status;
    bool ask = false;

    ticket_init(&ticket, record, wait_ms);
    pthread_mutex_lock(&s->lock);
    status = take_room(s, ticket.bytes, wait_ms, ticket.deadline_ms);
    if (status == WARREN_OK) {
        list_push(&s->tickets, &ticket.link);
        ask = spooler_asks_to_write(s);
    }
    if (ask) { /* without the lock, which the writer's thread wants at once */
        pthread_mutex_unlock(&s->lock);
        writer_submit(s->writer, &s->client, &s->write);
        pthread_mutex_lock(&s->lock);
    }
    if (status == WARREN_OK) {
        while (!ticket.done)
            condition_wait(&ticket.cond, &s->lock);
        status = ticket.status;
    }
    pthread_mutex_unlock(&s->lock);
    condition_done(&ticket.cond);
    return status;
}

bool spooler_has_room(struct spooler *s, int64_t bytes)
{
    bool has_room;

    pthread_mutex_lock(&s->lock);
    has_room = s->options.when_full == WARREN_SPOOL_DROP_OLDEST || fits(s, bytes);
    s->room_waits += !has_room;
    pthread_mutex_unlock(&s->lock);
    return has_room;
}

void spooler_appended(struct spooler *s, int64_t messages, int64_t bytes, int64_t last_id)
{
    pthread_mutex_lock(&s->lock);
    if (last_id > s->counted_id) {
        s->bytes += bytes;
        s->messages += messages;
    }
    s->spooled += (uint64_t)messages;
    if (s->others_id < last_id)
        s->others_id = last_id;
    pthread_mutex_unlock(&s->lock);
    s->events.appended(s->user, messages);
    writer_kick(s->writer, &s->client);
}

int64_t spooler_last_id(struct spooler *s)
{
    int64_t id;

    pthread_mutex_lock(&s->lock);
    id = s->last_id > s->others_id ? s->last_id : s->others_id;
    pthread_mutex_unlock(&s->lock);
    return id;
}

void spooler_stats(struct spooler *s, struct warren_publisher_stats *stats)
{
    pthread_mutex_lock(&s->lock);
    stats->spooled = s->spooled;
    stats->spool_dropped = s->dropped;
    stats->spool_expired = s->expired;
    /* Below zero: what others put in line again was sent before it was seen. */
    stats->spool_messages = s->messages > 0 ? (uint64_t)s->messages : 0;
    stats->spool_refused = (uint64_t)s->refused;
    stats->spool_bytes = (uint64_t)s->bytes;
    stats->window_full += s->room_waits;
    pthread_mutex_unlock(&s->lock);
}

void spooler_levels(struct spooler *s, struct spooler_levels *levels)
{
    pthread_mutex_lock(&s->lock);
    *levels = (struct spooler_levels){.room_waits = s->room_waits,
                                      .bytes_max = (int64_t)s->options.max_bytes,
                                      .oldest_ms = s->messages > 0 ? s->oldest_ms : 0};
    pthread_mutex_unlock(&s->lock);
}

void spooler_close(struct spooler *s)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    condition_broadcast(&s->room_cond);
    pthread_mutex_unlock(&s->lock);
}

void spooler_halt(struct spooler *s)
{
    pthread_mutex_lock(&s->lock);
    s->halted = true;
    pthread_mutex_unlock(&s->lock);
}

/* ---- the sender ---- */

/* NULL without memory: then it is sent again, and refused again. */
static char *refusal_of(const struct record *record)
{
    char *text;

    if (asprintf(&text, "%u %s", record->reply_code, record->reply_text ? record->reply_text : "") <
        0)
        return NULL;
    return text;
}

void spooler_ended(struct spooler *s, const struct record *record, bool reported)
{
    struct spool_ended ended = {.id = record->spool_id, .result = record->result};
    bool kick;

    if (record->result == WARREN_RETURNED && !reported) {
        ended.refused = refusal_of(record);
        ended.result = ended.refused ? WARREN_RETURNED : WARREN_NACKED;
    }
    pthread_mutex_lock(&s->lock);
    s->ended[s->ended_count++] = ended;
    kick = s->ended_count == 1;
    pthread_mutex_unlock(&s->lock);
    if (kick)
        writer_kick(s->writer, &s->client);
}

void spooler_room(struct spooler *s)
{
    bool kick;

    pthread_mutex_lock(&s->lock);
    kick = s->hungry;
    s->hungry = false;
    pthread_mutex_unlock(&s->lock);
    if (kick)
        writer_kick(s->writer, &s->client);
}
