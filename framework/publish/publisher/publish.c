/* publish.c - a message becomes a record, and that goes to the sender: at once or by way of the
 * delay queues, a message of the caller's own or a relay. On the callers' threads.
 */

#include <semaphore.h>
#include <stdlib.h>

#include "base/error.h"
#include "publish/delay/delay.h"
#include "publish/message/growth.h"
#include "publish/message/refusal.h"
#include "publish/publisher/publisher_private.h"

/* ---- encoding ---- */

/* Where a message goes, and how, besides what its struct warren_publish says. */
struct route {
    const struct arena *texts;
    enum record_kind kind;
    const char *to_queue; /* NULL: as it says */
    int64_t delay_ms;     /* 0: at once */
    size_t max_size;
};

static enum warren_status encode_delayed(const struct warren_publish *publish,
                                         const struct route *route, struct record **ret_record)
{
    struct delay_message message;
    struct delay *delay;
    enum warren_status status =
        delay_new(publish, route->texts, route->to_queue, route->delay_ms, &delay);

    if (status != WARREN_OK)
        return status;
    status = delay_message_init(&message, delay, publish, route->texts);
    if (status == WARREN_OK) {
        status =
            record_new(&message.publish, route->texts, route->kind, route->max_size, ret_record);
        delay_message_done(&message);
    }
    if (status == WARREN_OK)
        (*ret_record)->delay = delay;
    else
        free(delay);
    return status;
}

/* With room for what the broker will add. */
static enum warren_status encode(const struct warren_publish *publish, const struct route *route,
                                 struct record **ret_record)
{
    struct warren_publish direct = *publish;
    struct record *record;
    enum warren_status status;

    if (route->to_queue) {
        direct.exchange = "";
        direct.routing_key = route->to_queue;
    }
    status = route->delay_ms > 0
                 ? encode_delayed(publish, route, &record)
                 : record_new(&direct, route->texts, route->kind, route->max_size, &record);
    if (status != WARREN_OK)
        return status;
    record->growth = (uint32_t)growth_room(publish, route->texts, route->to_queue, route->delay_ms);
    if (!record_fits(record, RECORD_FRAME_MAX)) {
        record_free(record);
        return WARREN_ETOOBIG;
    }
    *ret_record = record;
    return WARREN_OK;
}

/* Of what is sent at once nothing is dead-lettered on its way, so it needs no room to grow. */
enum warren_status publisher_encode(const struct warren_publisher *p,
                                    const struct warren_publish *publish, const struct arena *texts,
                                    int64_t delay_ms, struct record **ret_record)
{
    const struct warren_message *message = publish ? publish->message : NULL;
    const struct route route = {
        .texts = texts, .kind = RECORD_OWN, .delay_ms = delay_ms, .max_size = p->room.bytes_max};

    if (!message)
        return WARREN_EINVAL;
    if (delay_ms <= 0)
        return record_new(publish, texts, RECORD_OWN, p->room.bytes_max, ret_record);
    if ((uint64_t)delay_ms > p->options.delay_longest_ms ||
        (message->properties.expiration && message->properties.expiration[0]))
        return WARREN_EINVAL;
    return encode(publish, &route, ret_record);
}

/* ---- handing over ---- */

enum warren_status publisher_send(struct warren_publisher *p, struct record *record,
                                  enum publisher_way way, int64_t most_ms,
                                  warren_receipt_fn *on_receipt, void *user)
{
    int64_t usual_ms = p->options.block_timeout_ms;
    enum warren_status status;

    if (usual_ms > 0 && most_ms > usual_ms)
        most_ms = usual_ms;
    record->on_receipt = on_receipt;
    record->user = user;
    if (way == PUBLISHER_SPOOLED && p->spooler)
        status = publisher_spool_enter(p, record, most_ms);
    else
        status = publisher_enter(p, record, way == PUBLISHER_RELAY ? room_fits_any_size : room_fits,
                                 most_ms);
    if (status != WARREN_OK)
        record_free(record);
    return status;
}

static uint32_t life_ms(const struct warren_publisher *p, const struct warren_publish *publish)
{
    return publish->timeout_ms > 0 ? publish->timeout_ms : p->options.timeout_ms;
}

enum warren_status publisher_publish(struct warren_publisher *p,
                                     const struct warren_publish *publish,
                                     const struct arena *texts, int64_t delay_ms, int64_t most_ms,
                                     warren_receipt_fn *on_receipt, void *user)
{
    struct record *record;
    enum warren_status status = publisher_check(p, NULL);

    if (status == WARREN_OK)
        status = publisher_encode(p, publish, texts, delay_ms, &record);
    if (status != WARREN_OK)
        return status;
    record->timeout_ms = life_ms(p, publish);
    return publisher_send(p, record, PUBLISHER_SPOOLED, most_ms, on_receipt, user);
}

enum warren_status publisher_relay(struct warren_publisher *p, const struct warren_publish *publish,
                                   const struct arena *texts, const char *to_queue,
                                   int64_t delay_ms, int64_t most_ms, warren_receipt_fn *on_receipt,
                                   void *user)
{
    int64_t longest_ms = (int64_t)p->options.delay_longest_ms;
    const struct route route = {.texts = texts,
                                .kind = RECORD_COPY,
                                .to_queue = to_queue,
                                .delay_ms = delay_ms < longest_ms ? delay_ms : longest_ms,
                                .max_size = PTRDIFF_MAX / 2};
    struct record *record;
    enum warren_status status = publisher_check(p, NULL);

    if (status == WARREN_OK)
        status = encode(publish, &route, &record);
    if (status != WARREN_OK)
        return status;
    record->timeout_ms = life_ms(p, publish);
    return publisher_send(p, record, PUBLISHER_RELAY, most_ms, on_receipt, user);
}

size_t publisher_properties_max(struct warren_publisher *p)
{
    return record_properties_max(atomic_load_explicit(&p->frame_max, memory_order_relaxed));
}

/* ---- why not ---- */

static enum warren_status explain_invalid(const struct warren_publisher *p,
                                          const struct warren_publish *publish, int64_t delay_ms,
                                          struct warren_error *error)
{
    if (!publish)
        return error_set(error, WARREN_EINVAL, "what to publish is NULL");
    if (!publish_explain(publish, NULL, delay_ms, error))
        error_set(error, WARREN_EINVAL, "a delay of %lld ms is above delay_longest_ms (%llu)",
                  (long long)delay_ms, (unsigned long long)p->options.delay_longest_ms);
    return WARREN_EINVAL;
}

static enum warren_status explain_size(const struct warren_publisher *p,
                                       const struct warren_publish *publish, int64_t delay_ms,
                                       struct warren_error *error)
{
    if (publish_explain(publish, NULL, delay_ms, error))
        return WARREN_ETOOBIG;
    if (delay_ms > 0 && publish->message->body.len < p->room.bytes_max / 2)
        return error_set(error, WARREN_ETOOBIG,
                         "the headers leave no room in a frame for those that the broker adds to a "
                         "delayed message");
    return error_set(error, WARREN_ETOOBIG,
                     "a message with a body of %zu bytes is larger than window_bytes (%zu)%s",
                     publish->message->body.len, p->room.bytes_max,
                     p->spooler ? " or spool_max_bytes" : "");
}

/* No room. What keeps it from becoming free is often that there is no connection. */
static enum warren_status explain_full(struct warren_publisher *p, enum warren_status status,
                                       struct warren_error *error)
{
    pthread_mutex_lock(&p->lock);
    error_set(error, status, "%s is full%s%s%s",
              p->spooler ? "the spool (spool_max_bytes)"
                         : "the window (window_messages, window_bytes)",
              status == WARREN_ETIMEOUT ? ", and stayed so for as long as may be waited" : "",
              p->connected ? "" : "; not connected: ", p->connected ? "" : p->last_failure);
    pthread_mutex_unlock(&p->lock);
    return status;
}

enum warren_status publisher_explain(struct warren_publisher *p,
                                     const struct warren_publish *publish, int64_t delay_ms,
                                     enum warren_status status, struct warren_error *error)
{
    if (!error || status == WARREN_OK || publisher_check(p, error) != WARREN_OK)
        return status;
    switch (status) {
    case WARREN_EINVAL:
        return explain_invalid(p, publish, delay_ms, error);
    case WARREN_ETOOBIG:
        return explain_size(p, publish, delay_ms, error);
    case WARREN_EFULL:
    case WARREN_ETIMEOUT:
        return explain_full(p, status, error);
    case WARREN_ECLOSED:
        return error_set(error, status, "the publisher is being closed");
    case WARREN_EIO:
        return error_set(error, status, "the spool cannot be written");
    default:
        return error_set(error, status, "%s", warren_status_name(status));
    }
}

/* ---- for applications ---- */

enum warren_status warren_publisher_publish_after(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  int64_t delay_ms, warren_receipt_fn *on_receipt,
                                                  void *user, struct warren_error *error)
{
    enum warren_status status =
        publisher_publish(p, publish, NULL, delay_ms, INT64_MAX, on_receipt, user);

    return publisher_explain(p, publish, delay_ms, status, error);
}

enum warren_status warren_publisher_publish(struct warren_publisher *p,
                                            const struct warren_publish *publish,
                                            warren_receipt_fn *on_receipt, void *user,
                                            struct warren_error *error)
{
    return warren_publisher_publish_after(p, publish, 0, on_receipt, user, error);
}

/* ---- publish and wait ---- */

struct waiter {
    sem_t done;
    enum warren_result result;
};

static void waiter_receipt(const struct warren_receipt *receipt, void *user)
{
    struct waiter *waiter = user;

    waiter->result = receipt->result;
    sem_post(&waiter->done);
}

enum warren_status warren_publisher_publish_wait(struct warren_publisher *p,
                                                 const struct warren_publish *publish,
                                                 enum warren_result *ret_result,
                                                 struct warren_error *error)
{
    enum warren_status status = publisher_check_wait(p, error);
    struct waiter waiter;

    if (status == WARREN_OK && !ret_result)
        status = error_set(error, WARREN_EINVAL, "ret_result is NULL");
    if (status != WARREN_OK)
        return status;
    sem_init(&waiter.done, 0, 0);
    status = warren_publisher_publish(p, publish, waiter_receipt, &waiter, error);
    if (status == WARREN_OK) {
        while (sem_wait(&waiter.done) != 0) /* a signal's handler ran */
            continue;
        *ret_result = waiter.result;
    }
    sem_destroy(&waiter.done);
    return status;
}
