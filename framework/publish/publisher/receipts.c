/* receipts.c - messages that have ended: their room is given back, and their callers hear of it. On
 * the publisher's thread.
 */
#include <string.h>

#include "publish/publisher/sender_private.h"

struct batch {
    struct list records;
    uint64_t results[WARREN_SPOOLED + 1];
    uint32_t count;
    size_t bytes;
};

static void collect(struct batch *batch, struct list *ended)
{
    *batch = (struct batch){.count = 0};
    list_init(&batch->records);
    list_splice(&batch->records, ended);
    for (struct list *link = batch->records.next; link != &batch->records; link = link->next) {
        const struct record *record = list_entry(link, struct record, link);

        if (record->aside)
            continue;
        batch->results[record->result]++;
        batch->bytes += record_size(record);
        batch->count++;
    }
}

/* Before the callbacks, so that they find room, and callers need not wait for them. */
static void account(struct sender *s, const struct batch *batch)
{
    bool wake;

    pthread_mutex_lock(&s->p->lock);
    s->p->stats.confirmed += batch->results[WARREN_CONFIRMED];
    s->p->stats.nacked += batch->results[WARREN_NACKED];
    s->p->stats.returned += batch->results[WARREN_RETURNED];
    s->p->stats.timeout += batch->results[WARREN_TIMEOUT];
    s->p->stats.expired += batch->results[WARREN_EXPIRED];
    s->p->stats.resent = s->window.resent;
    room_give(&s->p->room, batch->count, batch->bytes);
    wake = !list_empty(&s->p->send_turns) && (s->p->room_kept || room_is_wide(&s->p->room));
    pthread_mutex_unlock(&s->p->lock);
    if (wake)
        condition_broadcast(&s->p->room_cond);
    if (s->p->spooler && batch->count > 0)
        spooler_room(s->p->spooler);
}

/* What a queue refuses is sent again if it is on disk. */
static enum warren_result result_of(const struct record *record)
{
    return record->spool_id > 0 && record->result == WARREN_NACKED ? WARREN_SPOOLED
                                                                   : record->result;
}

/* Of what had no receipt; what is aside without a callback was removed from the disk. */
static void report_end(struct sender *s, const struct record *record,
                       const struct warren_receipt *receipt)
{
    bool on_disk = record->spool_id > 0 || record->aside;

    if (receipt->result == WARREN_SPOOLED)
        return;
    if (on_disk && s->p->options.spool_receipt)
        s->p->options.spool_receipt(receipt, s->p->options.spool_user);
    else if (receipt->result != WARREN_CONFIRMED && (!on_disk || s->p->options.on_returned))
        report_unheard(s, receipt);
}

/* Two names of AMQP, each with a NUL behind it. */
struct target {
    char exchange[256];
    char routing_key[256];
};

static struct warren_bytes copy_name(char to[256], struct warren_bytes name)
{
    memcpy(to, name.data, name.len);
    to[name.len] = '\0';
    return (struct warren_bytes){to, name.len};
}

/* Where the caller wanted it to go: a delayed message is published to the delay queues. */
static void name_target(const struct record *record, struct target *target,
                        struct warren_receipt *receipt)
{
    const struct delay *delay = record->delay;
    struct warren_bytes exchange = warren_text("");
    struct warren_bytes key = warren_text("");

    if (!record_is_id(record)) {
        exchange = record_exchange(record);
        key = record_routing_key(record);
    }
    if (delay)
        exchange = warren_text(delay->to_queue ? "" : delay->destination);
    if (delay && delay->to_queue)
        key = warren_text(delay->destination);
    receipt->exchange_bytes = copy_name(target->exchange, exchange);
    receipt->routing_key_bytes = copy_name(target->routing_key, key);
}

static void call_back(struct sender *s, struct record *record)
{
    struct target target;
    struct warren_receipt receipt = {
        .result = result_of(record),
        .message_id = record_id(record),
        .reply_code = record->reply_code,
        .reply_text = record->reply_text ? record->reply_text : "",
        .sends = record->sends,
        .exchange = target.exchange,
        .routing_key = target.routing_key,
        .message_id_bytes = record_id_bytes(record),
    };

    name_target(record, &target, &receipt);
    if (record->on_receipt)
        record->on_receipt(&receipt, record->user);
    else
        report_end(s, record, &receipt);
    if (record->spool_id > 0 && !record->aside)
        spooler_ended(s->p->spooler, record, record->on_receipt != NULL);
    record_free(record);
}

void receipts_deliver(struct sender *s)
{
    struct batch batch;
    struct list *link;

    if (list_empty(&s->window.ended))
        return;
    collect(&batch, &s->window.ended);
    account(s, &batch);
    publisher_metrics_ended(s->p, &batch.records);
    while ((link = list_pop(&batch.records)))
        call_back(s, list_entry(link, struct record, link));
    pthread_mutex_lock(&s->p->lock);
    s->p->ended_below = window_ended_below(&s->window);
    if (s->p->ended_below >= s->p->flush_target) {
        s->p->flush_target = UINT64_MAX;
        condition_broadcast(&s->p->ended_cond);
    }
    pthread_mutex_unlock(&s->p->lock);
}
