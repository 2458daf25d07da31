/* publisher_delay.c - publishing by way of the delay queues. */
#include <stdlib.h>

#include "publish/publisher_private.h"

static enum warren_status delayed_record(const struct warren_publisher *p,
                                         const struct warren_publish *publish, struct delay *delay,
                                         struct record **ret_record)
{
    struct delay_message message;
    enum warren_status status = delay_message_init(&message, delay, publish);

    if (status != WARREN_OK)
        return status;
    status = record_new(&message.publish, p->room.bytes_max, ret_record);
    delay_message_done(&message);
    return status;
}

static enum warren_status publish_now(struct warren_publisher *p,
                                      const struct warren_publish *publish, const char *to_queue,
                                      int64_t most_ms, warren_receipt_fn *on_receipt, void *user)
{
    struct warren_publish direct = *publish;

    if (to_queue) {
        direct.exchange = "";
        direct.routing_key = to_queue;
    }
    return publisher_publish_within(p, &direct, most_ms, on_receipt, user);
}

enum warren_status publisher_publish_after_within(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  const char *to_queue, int64_t delay_ms,
                                                  int64_t most_ms, warren_receipt_fn *on_receipt,
                                                  void *user)
{
    struct delay *delay;
    struct record *record;
    enum warren_status status;

    if (delay_ms <= 0)
        return publish_now(p, publish, to_queue, most_ms, on_receipt, user);
    if (delay_ms > p->delay_longest_ms || !publish->message)
        return WARREN_EINVAL;
    status = delay_new(publish, to_queue, delay_ms, &delay);
    if (status != WARREN_OK)
        return status;
    status = delayed_record(p, publish, delay, &record);
    if (status != WARREN_OK) {
        free(delay);
        return status;
    }
    record->delay = delay;
    record->timeout_ms = publish->timeout_ms > 0 ? publish->timeout_ms : p->timeout_ms;
    record->on_receipt = on_receipt;
    record->user = user;
    status = publisher_hand_over(p, record, most_ms);
    if (status != WARREN_OK)
        record_free(record);
    return status;
}

enum warren_status warren_publisher_publish_after(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  int64_t delay_ms, warren_receipt_fn *on_receipt,
                                                  void *user)
{
    const struct warren_message *message = publish->message;

    if (delay_ms > 0 && message && message->properties.expiration &&
        message->properties.expiration[0])
        return WARREN_EINVAL;
    return publisher_publish_after_within(p, publish, NULL, delay_ms, INT64_MAX, on_receipt, user);
}
