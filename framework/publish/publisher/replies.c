/* replies.c - the publisher's thread: requests that wait, and the replies that come for them.
 *
 * RabbitMQ's direct reply-to is a consumer without acks on the channel that publishes the
 * requests; a reply finds no other channel. So the consumer is made anew on each channel, before
 * the first request is written to it, and what was sent on a lost channel has lost its reply.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/properties.h"
#include "base/random.h"
#include "publish/delay/delay.h"
#include "publish/publisher/publisher_private.h"

#define BUCKETS 1024 /* a power of two */

#define REPLY_BODY_MAX ((size_t)128 * 1024 * 1024)

/* All open requests are looked through for their deadline at most this often. */
#define DEADLINE_STEP_MS 20

/* What the caller gets; while its body comes in, the sender's. */
struct reply {
    struct warren_reply reply;
    struct arena properties;
    uint64_t number;
    uint8_t body[];
};

static void reply_free(struct reply *reply)
{
    if (!reply)
        return;
    arena_done(&reply->properties);
    free(reply);
}

void warren_reply_free(struct warren_reply *reply)
{
    if (reply)
        reply_free(list_entry(reply, struct reply, reply));
}

const struct arena *publisher_reply_texts(const struct warren_reply *reply)
{
    const struct reply *whole = list_entry(reply, struct reply, reply);

    return &whole->properties;
}

struct warren_bytes warren_reply_text(const struct warren_reply *reply, const char *text)
{
    return arena_bytes(publisher_reply_texts(reply), text);
}

static int64_t now_ms(const struct warren_publisher *p)
{
    return loop_now_ms(p->loop);
}

/* ---- the end of a request ---- */

static struct request *request_of(struct list *link)
{
    return list_entry(link, struct request, link);
}

static void release(struct request *request)
{
    if (request->ended && !request->record)
        free(request);
}

/* Tell the caller, once. The callback may publish, and so request; nothing here changes by that. */
static void end(struct request *request, enum warren_status status, struct warren_reply *reply,
                const char *why)
{
    struct warren_publisher *p = request->publisher;

    if (request->ended)
        return;
    request->ended = true;
    list_remove(&request->link);
    p->replies.open--;
    p->replies.answered += status == WARREN_OK;
    request->on_reply(status, reply, why, request->user);
}

/* Each open request; @each may end it. */
static void for_each(struct warren_publisher *p, void (*each)(struct request *request, void *arg),
                     void *arg)
{
    for (size_t i = 0; p->replies.buckets && i < BUCKETS; i++) {
        struct list *bucket = &p->replies.buckets[i];
        struct list *link = bucket->next;

        while (link != bucket) {
            struct request *request = request_of(link);

            link = link->next;
            each(request, arg);
        }
    }
}

/* ---- deadlines ---- */

static void arm(struct replies *replies, int64_t now)
{
    int64_t at_ms = replies->deadline_ms;

    if (at_ms == INT64_MAX || at_ms >= replies->timer_ms)
        return;
    replies->timer_ms = at_ms;
    loop_timer_arm_ms(&replies->timer, at_ms > now ? at_ms - now + 1 : 1);
}

static void end_late(struct request *request, const char *what)
{
    char why[128];

    snprintf(why, sizeof why, "%s within %u ms", what, request->timeout_ms);
    end(request, WARREN_ETIMEOUT, NULL, why);
}

/* One that was not sent yet ends with its message, which then cannot be sent any more. */
static void end_if_late(struct request *request, void *arg)
{
    struct warren_publisher *p = request->publisher;
    const int64_t *now = arg;
    bool sent = !request->record || request->record->sends > 0;

    if (request->deadline_ms > *now || !sent) {
        if (request->deadline_ms < p->replies.deadline_ms)
            p->replies.deadline_ms = request->deadline_ms;
        return;
    }
    end_late(request, "no reply");
    release(request);
}

static void deadline_passed(void *arg)
{
    struct warren_publisher *p = arg;
    int64_t now = now_ms(p);

    p->replies.timer_ms = INT64_MAX;
    p->replies.deadline_ms = INT64_MAX;
    for_each(p, end_if_late, &now);
    if (p->replies.deadline_ms < now + DEADLINE_STEP_MS)
        p->replies.deadline_ms = now + DEADLINE_STEP_MS;
    arm(&p->replies, now);
}

enum warren_status replies_init(struct warren_publisher *p)
{
    p->replies.salt = random_seed();
    p->replies.timer_ms = p->replies.deadline_ms = INT64_MAX;
    return loop_timer_init(&p->replies.timer, p->loop, deadline_passed, p);
}

void replies_done(struct warren_publisher *p)
{
    loop_timer_done(&p->replies.timer);
    reply_free(p->replies.incoming);
    free(p->replies.buckets);
}

void replies_stats(const struct warren_publisher *p, struct warren_publisher_stats *stats)
{
    stats->requests = p->replies.numbers - p->replies.unsent;
    stats->replies = p->replies.answered;
    stats->replies_late = p->replies.late;
}

/* ---- a request enters, and is sent ---- */

static struct list *buckets_new(void)
{
    struct list *buckets = malloc(BUCKETS * sizeof *buckets);

    for (size_t i = 0; buckets && i < BUCKETS; i++)
        list_init(&buckets[i]);
    return buckets;
}

void replies_expect(struct warren_publisher *p, struct record *record)
{
    struct replies *replies = &p->replies;
    struct request *request = record->user;
    int64_t now = now_ms(p);

    request->record = record;
    if (!replies->buckets)
        replies->buckets = buckets_new();
    if (!replies->buckets) {
        end(request, WARREN_ENOMEM, NULL, "out of memory for a request");
        return;
    }
    list_push(&replies->buckets[request->number & (BUCKETS - 1)], &request->link);
    request->deadline_ms = now + request->timeout_ms;
    if (request->deadline_ms < replies->deadline_ms) {
        replies->deadline_ms = request->deadline_ms;
        arm(replies, now);
    }
}

enum warren_status replies_consume(struct warren_publisher *p)
{
    amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(DIRECT_REPLY), .no_ack = true};
    enum warren_status status;

    if (p->replies.consuming)
        return WARREN_OK;
    status = channel_call(p->channel, AMQP_BASIC_CONSUME_METHOD, &consume, NULL, NULL);
    p->replies.consuming = status == WARREN_OK;
    return status;
}

/* ---- the request's own message ends ---- */

void replies_receipt(const struct warren_receipt *receipt, void *user)
{
    struct request *request = user;
    struct warren_publisher *p = request->publisher;
    char why[WARREN_ERROR_TEXT_MAX];

    request->record = NULL;
    switch (receipt->result) {
    case WARREN_CONFIRMED:
    case WARREN_SPOOLED: /* a request never is */
        break;
    case WARREN_RETURNED:
        snprintf(why, sizeof why, "returned: %u %s", receipt->reply_code, receipt->reply_text);
        end(request, WARREN_ENOTFOUND, NULL, why);
        break;
    case WARREN_NACKED:
        end(request, WARREN_EBROKER, NULL, "a queue refused the request (basic.nack)");
        break;
    case WARREN_TIMEOUT:
        if (request->lost)
            end(request, WARREN_EIO, NULL, p->replies.lost_why);
        else
            end_late(request, "no reply, and no confirm of the request,");
        break;
    case WARREN_EXPIRED:
        end_late(request, "never sent: no connection");
        break;
    }
    release(request);
}

static void lose(struct request *request, void *arg)
{
    const struct replies *replies = arg;

    if (request->record && request->record->sends == 0)
        return;
    request->lost = true;
    if (request->record) /* its receipt is on the way, and may say more */
        return;
    end(request, WARREN_EIO, NULL, replies->lost_why);
    release(request);
}

void replies_lost(struct warren_publisher *p, const struct channel_loss *loss)
{
    struct replies *replies = &p->replies;

    reply_free(replies->incoming);
    replies->incoming = NULL;
    replies->consuming = replies->announced = false;
    snprintf(replies->lost_why, sizeof replies->lost_why,
             "the %s was lost before a reply came: %u %s", loss->code ? "channel" : "connection",
             loss->code, loss->text);
    if (loss->code == 0)
        snprintf(replies->lost_why, sizeof replies->lost_why,
                 "the connection was lost before a reply came: %s", loss->text);
    for_each(p, lose, replies);
}

static void close_request(struct request *request, void *arg)
{
    (void)arg;
    end(request, WARREN_ECLOSED, NULL, "the publisher was closed before a reply came");
    release(request);
}

void replies_end_all(struct warren_publisher *p)
{
    for_each(p, close_request, NULL);
}

/* ---- replies ---- */

void replies_announced(struct warren_publisher *p)
{
    p->replies.announced = true;
}

static struct request *find(const struct replies *replies, uint64_t number)
{
    struct list *bucket = replies->buckets ? &replies->buckets[number & (BUCKETS - 1)] : NULL;

    for (struct list *link = bucket ? bucket->next : NULL; link != bucket; link = link->next)
        if (request_of(link)->number == number)
            return request_of(link);
    return NULL;
}

/* The request that a correlation id of ours names, if it still waits. */
static struct request *find_by_id(const struct replies *replies, struct warren_bytes id)
{
    char expected[CORRELATION_ID_SIZE];
    uint64_t number;

    if (id.len != CORRELATION_ID_SIZE - 1)
        return NULL;
    number = strtoull((const char *)id.data + 16, NULL, 16); /* a NUL stands behind it */
    snprintf(expected, sizeof expected, CORRELATION_ID_FORMAT, replies->salt, number);
    return memcmp(id.data, expected, id.len) == 0 ? find(replies, number) : NULL;
}

static struct reply *reply_new(const struct content_header *header)
{
    struct reply *reply = NULL;

    if (header->body_size <= REPLY_BODY_MAX)
        reply = malloc(sizeof *reply + (size_t)header->body_size);
    if (!reply)
        return NULL;
    *reply = (struct reply){.number = 0};
    arena_init(&reply->properties);
    reply->reply.message.body = (struct warren_bytes){reply->body, (size_t)header->body_size};
    if (properties_decode(header->properties, &reply->properties,
                          &reply->reply.message.properties) == WARREN_OK)
        return reply;
    reply_free(reply);
    return NULL;
}

static void end_unkept(struct request *request, const struct content_header *header)
{
    char why[128];

    if (header->body_size <= REPLY_BODY_MAX) {
        end(request, WARREN_ENOMEM, NULL, "out of memory for the reply");
    } else {
        snprintf(why, sizeof why, "the reply's body of %" PRIu64 " bytes is over %zu",
                 header->body_size, REPLY_BODY_MAX);
        end(request, WARREN_ETOOBIG, NULL, why);
    }
    release(request);
}

uint8_t *replies_content(struct warren_publisher *p, const struct content_header *header)
{
    struct replies *replies = &p->replies;
    struct warren_properties properties = {0};
    struct request *request;

    if (!replies->announced)
        return NULL;
    replies->announced = false;
    arena_reset(&p->scratch);
    if (!header->unfit)
        properties_decode(header->properties, &p->scratch, &properties);
    request = find_by_id(replies, arena_bytes(&p->scratch, properties.correlation_id));
    if (!request) {
        p->replies.late++;
        return NULL;
    }
    replies->incoming = reply_new(header);
    if (!replies->incoming) {
        end_unkept(request, header);
        return NULL;
    }
    replies->incoming->number = request->number;
    return replies->incoming->body;
}

/* While the body came, the request may have ended. */
void replies_content_end(struct warren_publisher *p)
{
    struct reply *reply = p->replies.incoming;
    struct request *request;

    if (!reply)
        return;
    p->replies.incoming = NULL;
    request = find(&p->replies, reply->number);
    if (request) {
        end(request, WARREN_OK, &reply->reply, "");
        release(request);
    } else {
        p->replies.late++;
        reply_free(reply);
    }
}
