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
#include "publish/publisher/replies_private.h"

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
    return arena_bytes(reply ? publisher_reply_texts(reply) : NULL, text);
}

static int64_t now_ms(const struct replies *r)
{
    return loop_now_ms(r->loop);
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
    struct replies *r = request->replies;

    if (request->ended)
        return;
    request->ended = true;
    list_remove(&request->link);
    r->open--;
    r->answered += status == WARREN_OK;
    request->on_reply(status, reply, why, request->user);
}

/* Each open request; @each may end it. */
static void for_each(struct replies *r, void (*each)(struct request *request, void *arg), void *arg)
{
    for (size_t i = 0; r->buckets && i < BUCKETS; i++) {
        LIST_EACH(link, &r->buckets[i])
            each(request_of(link), arg);
    }
}

/* ---- deadlines ---- */

static void arm(struct replies *r, int64_t now)
{
    int64_t at_ms = r->deadline_ms;

    if (at_ms == INT64_MAX || at_ms >= r->timer_ms)
        return;
    r->timer_ms = at_ms;
    loop_timer_arm_ms(&r->timer, at_ms > now ? at_ms - now + 1 : 1);
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
    struct replies *r = request->replies;
    const int64_t *now = arg;
    bool sent = !request->record || request->record->sends > 0;

    if (request->deadline_ms > *now || !sent) {
        if (request->deadline_ms < r->deadline_ms)
            r->deadline_ms = request->deadline_ms;
        return;
    }
    end_late(request, "no reply");
    release(request);
}

static void deadline_passed(void *arg)
{
    struct replies *r = arg;
    int64_t now = now_ms(r);

    r->timer_ms = INT64_MAX;
    r->deadline_ms = INT64_MAX;
    for_each(r, end_if_late, &now);
    if (r->deadline_ms < now + DEADLINE_STEP_MS)
        r->deadline_ms = now + DEADLINE_STEP_MS;
    arm(r, now);
}

enum warren_status replies_new(struct loop *loop, struct replies **ret_replies)
{
    struct replies *r = *ret_replies = calloc(1, sizeof *r);

    if (!r)
        return WARREN_ENOMEM;
    r->loop = loop;
    r->salt = random_seed();
    r->timer_ms = r->deadline_ms = INT64_MAX;
    arena_init(&r->scratch);
    return loop_timer_init(&r->timer, loop, deadline_passed, r);
}

void replies_free(struct replies *r)
{
    if (!r)
        return;
    loop_timer_done(&r->timer);
    reply_free(r->incoming);
    arena_done(&r->scratch);
    free(r->buckets);
    free(r);
}

void replies_stats(const struct replies *r, struct warren_publisher_stats *stats)
{
    stats->requests = r->numbers - r->unsent;
    stats->replies = r->answered;
    stats->replies_late = r->late;
}

/* ---- a request enters, and is sent ---- */

static struct list *buckets_new(void)
{
    struct list *buckets = malloc(BUCKETS * sizeof *buckets);

    for (size_t i = 0; buckets && i < BUCKETS; i++)
        list_init(&buckets[i]);
    return buckets;
}

void replies_expect(struct replies *r, struct record *record)
{
    struct request *request = record->user;
    int64_t now = now_ms(r);

    request->record = record;
    if (!r->buckets)
        r->buckets = buckets_new();
    if (!r->buckets) {
        end(request, WARREN_ENOMEM, NULL, "out of memory for a request");
        return;
    }
    list_push(&r->buckets[request->number & (BUCKETS - 1)], &request->link);
    request->deadline_ms = now + request->timeout_ms;
    if (request->deadline_ms < r->deadline_ms) {
        r->deadline_ms = request->deadline_ms;
        arm(r, now);
    }
}

enum warren_status replies_consume(struct replies *r, struct channel *channel)
{
    amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(DIRECT_REPLY), .no_ack = true};
    enum warren_status status;

    if (r->consuming)
        return WARREN_OK;
    status = channel_call(channel, AMQP_BASIC_CONSUME_METHOD, &consume, NULL, NULL);
    r->consuming = status == WARREN_OK;
    return status;
}

/* ---- the request's own message ends ---- */

void replies_receipt(const struct warren_receipt *receipt, void *user)
{
    struct request *request = user;
    struct replies *r = request->replies;
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
            end(request, WARREN_EIO, NULL, r->lost_why);
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
    const struct replies *r = arg;

    if (request->record && request->record->sends == 0)
        return;
    request->lost = true;
    if (request->record) /* its receipt is on the way, and may say more */
        return;
    end(request, WARREN_EIO, NULL, r->lost_why);
    release(request);
}

void replies_lost(struct replies *r, const struct channel_loss *loss)
{

    reply_free(r->incoming);
    r->incoming = NULL;
    r->consuming = r->announced = false;
    snprintf(r->lost_why, sizeof r->lost_why, "the %s was lost before a reply came: %u %s",
             loss->code ? "channel" : "connection", loss->code, loss->text);
    if (loss->code == 0)
        snprintf(r->lost_why, sizeof r->lost_why, "the connection was lost before a reply came: %s",
                 loss->text);
    for_each(r, lose, r);
}

static void close_request(struct request *request, void *arg)
{
    (void)arg;
    end(request, WARREN_ECLOSED, NULL, "the publisher was closed before a reply came");
    release(request);
}

void replies_end_all(struct replies *r)
{
    for_each(r, close_request, NULL);
}

/* ---- replies ---- */

bool replies_announced(struct replies *r)
{
    r->announced = r->consuming;
    return r->consuming;
}

static struct request *find(const struct replies *r, uint64_t number)
{
    struct list *bucket = r->buckets ? &r->buckets[number & (BUCKETS - 1)] : NULL;

    for (struct list *link = bucket ? bucket->next : NULL; link != bucket; link = link->next)
        if (request_of(link)->number == number)
            return request_of(link);
    return NULL;
}

/* The request that a correlation id of ours names, if it still waits. */
static struct request *find_by_id(const struct replies *r, struct warren_bytes id)
{
    char expected[CORRELATION_ID_SIZE];
    uint64_t number;

    if (id.len != CORRELATION_ID_SIZE - 1)
        return NULL;
    number = strtoull((const char *)id.data + 16, NULL, 16); /* a NUL stands behind it */
    snprintf(expected, sizeof expected, CORRELATION_ID_FORMAT, r->salt, number);
    return memcmp(id.data, expected, id.len) == 0 ? find(r, number) : NULL;
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

uint8_t *replies_content(struct replies *r, const struct content_header *header)
{
    struct warren_properties properties = {0};
    struct request *request;

    if (!r->announced)
        return NULL;
    r->announced = false;
    arena_reset(&r->scratch);
    if (!header->unfit)
        properties_decode(header->properties, &r->scratch, &properties);
    request = find_by_id(r, arena_bytes(&r->scratch, properties.correlation_id));
    if (!request) {
        r->late++;
        return NULL;
    }
    r->incoming = reply_new(header);
    if (!r->incoming) {
        end_unkept(request, header);
        return NULL;
    }
    r->incoming->number = request->number;
    return r->incoming->body;
}

/* While the body came, the request may have ended. */
void replies_content_end(struct replies *r)
{
    struct reply *reply = r->incoming;
    struct request *request;

    if (!reply)
        return;
    r->incoming = NULL;
    request = find(r, reply->number);
    if (request) {
        end(request, WARREN_OK, &reply->reply, "");
        release(request);
    } else {
        r->late++;
        reply_free(reply);
    }
}
