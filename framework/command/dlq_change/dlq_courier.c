#include "command/dlq_change/dlq_courier.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/settings.h"
#include "base/error.h"
#include "publish/publisher/publisher.h"

/* Bodies under way. One larger than that still goes, alone. */
#define WINDOW_BYTES ((size_t)256 * 1024 * 1024)

struct dlq_courier {
    struct warren_publisher *publisher;
    struct loop *loop;
    struct loop_task task;
    struct dlq_courier_events events;
    void *user;
    pthread_mutex_t lock;
    struct list told; /* parcels that ended, under the lock */
};

static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    struct dlq_parcel *parcel = user;
    struct dlq_courier *courier = parcel->courier;

    parcel->result = receipt->result;
    parcel->reply_code = receipt->reply_code;
    snprintf(parcel->reply_text, sizeof parcel->reply_text, "%s", receipt->reply_text);
    pthread_mutex_lock(&courier->lock);
    list_push(&courier->told, &parcel->link);
    pthread_mutex_unlock(&courier->lock);
    loop_post(courier->loop, &courier->task);
}

static void tell(void *arg)
{
    struct dlq_courier *courier = arg;
    struct list told;
    struct list *link;

    list_init(&told);
    pthread_mutex_lock(&courier->lock);
    list_splice(&told, &courier->told);
    pthread_mutex_unlock(&courier->lock);
    while ((link = list_pop(&told)))
        courier->events.ended(courier->user, list_entry(link, struct dlq_parcel, link));
    courier->events.turn(courier->user);
}

enum warren_status dlq_courier_new(const struct config *config, uint32_t window, struct loop *loop,
                                   const struct dlq_courier_events *events, void *user,
                                   struct dlq_courier **ret_courier, struct warren_error *error)
{
    struct warren_publisher_options options;
    struct dlq_courier *courier = calloc(1, sizeof *courier);
    enum warren_status status;

    if (!courier)
        return error_set(error, WARREN_ENOMEM, "no memory");
    courier->loop = loop;
    courier->events = *events;
    courier->user = user;
    pthread_mutex_init(&courier->lock, NULL);
    list_init(&courier->told);
    loop_task_init(&courier->task, tell, courier);
    settings_publisher(config, "warren dlq", &options);
    options.when_full = WARREN_FAIL;      /* the loop must not wait */
    options.window_messages = 2 * window; /* receipts come before their room is free again */
    options.window_bytes = WINDOW_BYTES;
    status = warren_publisher_new(&options, &courier->publisher, error);
    if (status == WARREN_OK)
        status =
            warren_publisher_wait_connected(courier->publisher, options.connect_timeout_ms, error);
    if (status != WARREN_OK) {
        dlq_courier_free(courier, 0);
        return status;
    }
    *ret_courier = courier;
    return WARREN_OK;
}

enum warren_status dlq_courier_send(struct dlq_courier *courier, const char *queue,
                                    const struct warren_message *message, const struct arena *texts,
                                    struct dlq_parcel *parcel)
{
    struct warren_publish publish = {.routing_key = queue, .message = message};

    parcel->courier = courier;
    list_init(&parcel->link);
    return publisher_relay(courier->publisher, &publish, texts, queue, 0, 0, on_receipt, parcel);
}

void dlq_courier_free(struct dlq_courier *courier, uint32_t patience_ms)
{
    if (!courier)
        return;
    warren_publisher_close(courier->publisher, patience_ms);
    loop_cancel(courier->loop, &courier->task);
    if (!list_empty(&courier->told))
        tell(courier);
    pthread_mutex_destroy(&courier->lock);
    free(courier);
}
