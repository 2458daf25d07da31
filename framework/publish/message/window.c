/* window.c - order, tags and endings of unconfirmed messages. */
#include "publish/message/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TAGS_CAPACITY_MIN 1024

#define NOT_FOUND      404
#define INTERNAL_ERROR 541

/* RabbitMQ says 541 of troubles of its own, too: a message was their cause if it was the only one
 * in flight this many times. */
#define INTERNAL_ERRORS_MAX 3

/* In a slot of the ring: its message has ended, its confirm is still to come. */
#define ENDED (&ended_mark)
static struct record ended_mark;

static struct record *record_of(struct list *link)
{
    return list_entry(link, struct record, link);
}

static struct record **slot(const struct window *w, uint64_t tag)
{
    return &w->tags[tag & (w->tags_capacity - 1)];
}

enum warren_status window_init(struct window *w)
{
    *w = (struct window){
        .first_tag = 1,
        .next_tag = 1,
        .next_seq = 1,
        .deadline_ms = INT64_MAX,
        .group_size = 1,
        .tags_capacity = TAGS_CAPACITY_MIN,
    };
    list_init(&w->records);
    list_init(&w->ended);
    w->unsent = &w->records;
    w->tags = calloc(w->tags_capacity, sizeof *w->tags);
    return w->tags ? WARREN_OK : WARREN_ENOMEM;
}

static void free_all(struct list *records)
{
    struct list *link;

    while ((link = list_pop(records)))
        record_free(record_of(link));
}

void window_done(struct window *w)
{
    if (!w->tags)
        return;
    free_all(&w->records);
    free_all(&w->ended);
    free(w->tags);
    w->tags = NULL;
}

static void note_deadline(struct window *w, const struct record *record)
{
    if (record->deadline_ms < w->deadline_ms)
        w->deadline_ms = record->deadline_ms;
    if (record->leave_ms < w->deadline_ms)
        w->deadline_ms = record->leave_ms;
}

void window_add(struct window *w, struct record *record)
{
    assert(record->seq >= w->next_seq);
    w->next_seq = record->seq + 1;
    list_push(&w->records, &record->link);
    if (w->unsent == &w->records)
        w->unsent = &record->link;
    note_deadline(w, record);
}

/* ---- endings ---- */

static void keep_text(struct record *record, uint16_t code, const char *text)
{
    free(record->reply_text);
    record->reply_text = strdup(text); /* NULL: the receipt has no text, but the code */
    record->reply_code = code;
}

/* The one door out of the window. What was returned is known not to be stored. */
static void end(struct window *w, struct record *record, enum warren_result result)
{
    if (w->unsent == &record->link)
        w->unsent = record->link.next;
    if (record->tag)
        w->in_flight--;
    if (record->seq == w->trial_seq) {
        w->trial_seq = 0;
        w->trial_refused = false;
    }
    record->result = record->returned ? WARREN_RETURNED : result;
    list_remove(&record->link);
    list_push(&w->ended, &record->link);
}

static void end_refused(struct window *w, struct record *record, uint16_t code, const char *text)
{
    keep_text(record, code, text);
    end(w, record, WARREN_RETURNED);
}

static void end_late(struct window *w, struct record *record)
{
    if (record->tag)
        *slot(w, record->tag) = ENDED;
    end(w, record, record->sends > 0 ? WARREN_TIMEOUT : WARREN_EXPIRED);
}

/* Without memory it stays, until there is some. */
static void leave(struct window *w, struct record *record)
{
    struct record *receipt = record_receipt_only(record);

    if (!receipt)
        return;
    receipt->result = WARREN_SPOOLED;
    list_push(&w->ended, &receipt->link);
}

void window_expire(struct window *w, int64_t now_ms)
{

    w->deadline_ms = INT64_MAX;
    LIST_EACH(link, &w->records) {
        struct record *record = record_of(link);

        if (record->leave_ms <= now_ms)
            leave(w, record);
        if (record->deadline_ms <= now_ms && !record_half_written(record))
            end_late(w, record);
        else
            note_deadline(w, record);
    }
}

void window_leave_by(struct window *w, int64_t at_ms)
{
    LIST_EACH(link, &w->records) {
        struct record *record = record_of(link);

        if (record->spool_id == 0 || !record->on_receipt || record->leave_ms <= at_ms)
            continue;
        record->leave_ms = at_ms;
        note_deadline(w, record);
    }
}

void window_pass(struct window *w, struct record *record)
{
    assert(record->seq >= w->next_seq);
    w->next_seq = record->seq + 1;
    record->aside = true;
    list_push(&w->ended, &record->link);
}

void window_end_all(struct window *w)
{
    while (!list_empty(&w->records)) {
        struct record *record = record_of(w->records.next);

        if (record->spool_id > 0)
            end(w, record, WARREN_SPOOLED);
        else
            end_late(w, record);
    }
    w->deadline_ms = INT64_MAX;
}

uint64_t window_ended_below(const struct window *w)
{
    return list_empty(&w->records) ? w->next_seq : record_of(w->records.next)->seq;
}

/* ---- sending ---- */

static bool suspects_left(const struct window *w)
{
    return !list_empty(&w->records) && record_of(w->records.next)->seq <= w->suspects_until;
}

struct record *window_next(const struct window *w)
{
    if (w->unsent == &w->records)
        return NULL;
    if (w->trial_seq > 0 && record_of(w->unsent)->seq >= w->trial_seq &&
        (w->in_flight > 0 || w->trial_refused))
        return NULL;
    if (w->in_flight > 0 && suspects_left(w) &&
        (w->group_left == 0 || record_of(w->unsent)->seq > w->suspects_until))
        return NULL;
    return record_of(w->unsent);
}

/* A group may be as large as all that was sent before: when it is too large, nothing is lost. */
static void count_suspect(struct window *w, const struct record *record)
{
    if (record->seq > w->suspects_until)
        return;
    if (w->in_flight == 0) {
        w->group_left = w->group_size;
        w->group_size = w->group_size < UINT32_MAX / 2 ? w->group_size * 2 : UINT32_MAX;
    }
    w->group_left--;
}

static enum warren_status grow_tags(struct window *w)
{
    size_t capacity = w->tags_capacity * 2;
    struct record **tags;

    if (w->tags_capacity >= WINDOW_TAGS_MAX)
        return WARREN_EFULL;
    tags = calloc(capacity, sizeof *tags);
    if (!tags)
        return WARREN_ENOMEM;
    for (uint64_t tag = w->first_tag; tag < w->next_tag; tag++)
        tags[tag & (capacity - 1)] = *slot(w, tag);
    free(w->tags);
    w->tags = tags;
    w->tags_capacity = capacity;
    return WARREN_OK;
}

enum warren_status window_sent(struct window *w, struct record *record)
{
    assert(&record->link == w->unsent);
    if (w->next_tag - w->first_tag == w->tags_capacity) {
        enum warren_status status = grow_tags(w);

        if (status != WARREN_OK)
            return status;
    }
    count_suspect(w, record);
    record->tag = w->next_tag++;
    *slot(w, record->tag) = record;
    w->unsent = record->link.next;
    w->in_flight++;
    if (record->sends++ > 0)
        w->resent++;
    return WARREN_OK;
}

void window_try(struct window *w, struct record *record)
{
    assert(&record->link == w->unsent);
    w->trial_seq = record->seq;
}

void window_try_again(struct window *w, bool again)
{
    assert(w->trial_refused);
    w->trial_refused = false;
    if (!again)
        end(w, record_of(w->unsent), WARREN_NACKED);
}

void window_refuse(struct window *w, struct record *record, uint16_t code, const char *text)
{
    assert(&record->link == w->unsent);
    end_refused(w, record, code, text);
}

struct record *window_refuse_those(struct window *w,
                                   bool (*concerned)(const struct record *record, const void *user),
                                   const void *user, uint16_t code, const char *text)
{
    struct record *first = NULL;

    LIST_EACH(link, &w->records) {
        struct record *record = record_of(link);

        if (!concerned(record, user))
            continue;
        first = first ? first : record;
        end_refused(w, record, code, text);
    }
    return first;
}

/* ---- confirms ---- */

/* Nothing was sent after it, so it is the first that was not. */
static void queue_trial(struct window *w, struct record *record)
{
    w->in_flight--;
    w->unsent = &record->link;
    w->trial_refused = true;
    record_rewind(record);
}

static void confirm_one(struct window *w, struct record **at, bool negative)
{
    struct record *record = *at;

    *at = NULL;
    if (record && record != ENDED && negative && record->seq == w->trial_seq && !record->returned)
        queue_trial(w, record);
    else if (record && record != ENDED)
        end(w, record, negative ? WARREN_NACKED : WARREN_CONFIRMED);
}

static bool half_written(const struct record *record)
{
    return record != ENDED && record_half_written(record);
}

enum warren_status window_confirm(struct window *w, uint64_t tag, bool multiple, bool negative)
{
    if (tag < w->first_tag || tag >= w->next_tag)
        return WARREN_EPROTOCOL;
    if (!multiple && !*slot(w, tag))
        return WARREN_EPROTOCOL;
    if (*slot(w, tag) && half_written(*slot(w, tag)))
        return WARREN_EPROTOCOL;
    if (multiple) {
        for (; w->first_tag <= tag; w->first_tag++)
            confirm_one(w, slot(w, w->first_tag), negative);
    } else {
        confirm_one(w, slot(w, tag), negative);
    }
    while (w->first_tag < w->next_tag && !*slot(w, w->first_tag))
        w->first_tag++;
    return WARREN_OK;
}

/* ---- returns ---- */

static bool same(struct warren_bytes a, struct warren_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static struct record *find_returned(const struct window *w, const struct window_return *from,
                                    uint64_t begin, uint64_t finish)
{
    for (uint64_t tag = begin; tag < finish; tag++) {
        struct record *record = *slot(w, tag);

        if (record && record != ENDED && !record->returned &&
            same(record_id_bytes(record), from->message_id) &&
            same(record_exchange(record), from->exchange) &&
            same(record_routing_key(record), from->routing_key))
            return record;
    }
    return NULL;
}

void window_returned(struct window *w, const struct window_return *from)
{
    uint64_t behind = w->returned_tag + 1 > w->first_tag ? w->returned_tag + 1 : w->first_tag;
    /* Returns come in the order of publishing, so looking on where the last one was found keeps
     * a flood of them linear. */
    struct record *record = find_returned(w, from, behind, w->next_tag);

    if (!record)
        record = find_returned(w, from, w->first_tag, behind);
    if (!record)
        return;
    keep_text(record, from->code, from->text);
    record->returned = true;
    w->returned_tag = record->tag;
}

/* ---- losses ---- */

void window_restart(struct window *w)
{
    struct list *link = w->records.next;

    w->lost_alone = w->in_flight == 1 && w->next_tag - w->first_tag == 1;
    w->lost_until = 0;
    while (link != w->unsent) {
        struct record *record = record_of(link);

        link = link->next;
        w->lost_until = record->seq;
        if (record->returned)
            end(w, record, WARREN_RETURNED);
        record_rewind(record);
    }
    w->unsent = w->records.next;
    w->in_flight = 0;
    w->trial_seq = 0;
    w->trial_refused = false;
    w->first_tag = w->next_tag = 1;
    w->returned_tag = 0;
}

uint32_t window_end_once(struct window *w)
{
    uint32_t ended = 0;

    LIST_EACH(link, &w->records) {
        struct record *record = record_of(link);

        if (record->once && record->sends > 0) {
            end_late(w, record);
            ended++;
        }
    }
    return ended;
}

static void end_suspects_of(struct window *w, struct warren_bytes exchange, uint16_t code,
                            const char *text)
{
    LIST_EACH(link, &w->records) {
        struct record *record = record_of(link);

        if (record->seq > w->suspects_until)
            break;
        if (same(record_exchange(record), exchange))
            end_refused(w, record, code, text);
    }
}

struct record *window_blame(struct window *w, uint16_t code, const char *text)
{
    struct record *first = list_empty(&w->records) ? NULL : record_of(w->records.next);

    w->narrowed = code != INTERNAL_ERROR && w->lost_until > 0;
    w->group_size = 1;
    if (w->lost_until > w->suspects_until)
        w->suspects_until = w->lost_until;
    if (!w->lost_alone || !first || first->seq != w->lost_until)
        return NULL;
    if (code == INTERNAL_ERROR && ++first->internal_errors < INTERNAL_ERRORS_MAX)
        return NULL;
    w->narrowed = true;
    end_refused(w, first, code, text);
    if (code == NOT_FOUND)
        end_suspects_of(w, record_exchange(first), code, text);
    return first;
}
