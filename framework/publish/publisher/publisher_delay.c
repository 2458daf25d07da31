/* publisher_delay.c - publishing by way of the delay queues, and relays, which may have to take it.
 */
#include <stdlib.h>

#include "publish/message/growth.h"
#include "publish/publisher/publisher_private.h"

/* record_new_whole(), or record_new_copy(). */
typedef enum warren_status make_fn(const struct warren_publish *publish, const struct arena *texts,
                                   size_t max_size, struct record **ret_record);

static enum warren_status delayed_record(make_fn *make, const struct warren_publish *publish,
                                         const struct arena *texts, struct delay *delay,
                                         size_t max_size, struct record **ret_record)
{
    struct delay_message message;
    enum warren_status status = delay_message_init(&message, delay, publish, texts);

    if (status != WARREN_OK)
        return status;
    status = make(&message.publish, texts, max_size, ret_record);
    delay_message_done(&message);
    if (status == WARREN_OK)
        (*ret_record)->delay = delay;
    return status;
}

static enum warren_status to_delay_queues(make_fn *make, const struct warren_publish *publish,
                                          const struct arena *texts, const char *to_queue,
                                          int64_t delay_ms, size_t max_size,
                                          struct record **ret_record)
{
    struct delay *delay;
    enum warren_status status = delay_new(publish, texts, to_queue, delay_ms, &delay);

    if (status != WARREN_OK)
        return status;
    status = delayed_record(make, publish, texts, delay, max_size, ret_record);
    if (status != WARREN_OK)
        free(delay);
    return status;
}

/* With room for what the broker will add. */
static enum warren_status new_record(make_fn *make, const struct warren_publish *publish,
                                     const struct arena *texts, const char *to_queue,
                                     int64_t delay_ms, size_t max_size, struct record **ret_record)
{
    struct warren_publish direct = *publish;
    struct record *record;
    enum warren_status status;

    if (to_queue) {
        direct.exchange = "";
        direct.routing_key = to_queue;
    }
    if (delay_ms > 0)
        status = to_delay_queues(make, publish, texts, to_queue, delay_ms, max_size, &record);
    else
        status = make(&direct, texts, max_size, &record);
    if (status != WARREN_OK)
        return status;
    record->growth = (uint32_t)growth_room(publish, texts, to_queue, delay_ms);
    if (!record_fits(record, RECORD_FRAME_MAX)) {
        record_free(record);
        return WARREN_ETOOBIG;
    }
    *ret_record = record;
    return WARREN_OK;
}

static void finish_record(const struct warren_publisher *p, const struct warren_publish *publish,
                          warren_receipt_fn *on_receipt, void *user, struct record *record)
{
    record->timeout_ms = publish->timeout_ms > 0 ? publish->timeout_ms : p->timeout_ms;
    record->on_receipt = on_receipt;
    record->user = user;
}

enum warren_status publisher_relay_within(struct warren_publisher *p,
                                          const struct warren_publish *publish,
                                          const struct arena *texts, const char *to_queue,
                                          int64_t delay_ms, int64_t most_ms,
                                          warren_receipt_fn *on_receipt, void *user)
{
    struct record *record;
    enum warren_status status;

    if (delay_ms > p->delay_longest_ms)
        delay_ms = p->delay_longest_ms;
    status =
        new_record(record_new_copy, publish, texts, to_queue, delay_ms, PTRDIFF_MAX / 2, &record);
    if (status != WARREN_OK)
        return status;
    finish_record(p, publish, on_receipt, user, record);
    status = publisher_hand_over_any_size(p, record, most_ms);
    if (status != WARREN_OK)
        record_free(record);
    return status;
}

enum warren_status publisher_new_delayed(const struct warren_publisher *p,
                                         const struct warren_publish *publish,
                                         const struct arena *texts, int64_t delay_ms,
                                         struct record **ret_record)
{
    const struct warren_message *message = publish->message;

    if (delay_ms > p->delay_longest_ms || !message ||
        (message->properties.expiration && message->properties.expiration[0]))
        return WARREN_EINVAL;
    return new_record(record_new_whole, publish, texts, NULL, delay_ms, p->room.bytes_max,
                      ret_record);
}

enum warren_status publisher_publish_after_within(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  const struct arena *texts, int64_t delay_ms,
                                                  int64_t most_ms, warren_receipt_fn *on_receipt,
                                                  void *user)
{
    struct record *record;
    enum warren_status status;

    if (delay_ms <= 0)
        return publisher_publish_within(p, publish, texts, most_ms, on_receipt, user);
    status = publisher_new_delayed(p, publish, texts, delay_ms, &record);
    if (status != WARREN_OK)
        return status;
    finish_record(p, publish, on_receipt, user, record);
    status = publisher_submit(p, record, most_ms);
    if (status != WARREN_OK)
        record_free(record);
    return status;
}

enum warren_status warren_publisher_publish_after(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  int64_t delay_ms, warren_receipt_fn *on_receipt,
                                                  void *user)
{
    return publisher_publish_after_within(p, publish, NULL, delay_ms, INT64_MAX, on_receipt, user);
}
