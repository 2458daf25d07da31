/* request.c - requests, on the callers' threads: what is published, and waiting for the reply. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "publish/delay/delay.h"
#include "publish/publisher/publisher_private.h"

/* Open at once, for each holds memory until its reply. */
#define REQUESTS_MAX 65536

/* A place among the open requests, and a number. */
static enum warren_status take_number(struct warren_publisher *p, uint64_t *ret_number)
{
    enum warren_status status = WARREN_OK;

    pthread_mutex_lock(&p->lock);
    if (p->requests_open == REQUESTS_MAX) {
        status = WARREN_EFULL;
    } else {
        p->requests_open++;
        p->stats.requests++;
        *ret_number = ++p->next_request;
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

static void give_number_back(struct warren_publisher *p)
{
    pthread_mutex_lock(&p->lock);
    p->requests_open--;
    p->stats.requests--;
    pthread_mutex_unlock(&p->lock);
}

static enum warren_status encode(struct warren_publisher *p, const struct warren_publish *publish,
                                 uint64_t number, struct record **ret_record)
{
    struct warren_message message = *publish->message;
    struct warren_publish request = *publish;
    char correlation_id[CORRELATION_ID_SIZE];

    snprintf(correlation_id, sizeof correlation_id, CORRELATION_ID_FORMAT, p->replies.salt, number);
    message.properties.reply_to = DIRECT_REPLY;
    message.properties.correlation_id = correlation_id;
    request.message = &message;
    return record_new(&request, p->room.bytes_max, ret_record);
}

/* The message may not outlive the request. */
static uint32_t life_ms(const struct warren_publisher *p, const struct warren_publish *publish,
                        uint32_t left_ms)
{
    uint32_t own_ms = publish->timeout_ms > 0 ? publish->timeout_ms : p->timeout_ms;

    return own_ms > 0 && own_ms < left_ms ? own_ms : left_ms;
}

static enum warren_status publish_request(struct warren_publisher *p,
                                          const struct warren_publish *publish, uint32_t timeout_ms,
                                          struct request *request)
{
    struct record *record;
    enum warren_status status = encode(p, publish, request->number, &record);

    if (status != WARREN_OK)
        return status;
    request->timeout_ms = timeout_ms;
    record->timeout_ms = life_ms(p, publish, timeout_ms);
    record->once = true;
    record->on_receipt = replies_receipt;
    record->user = request;
    status = publisher_hand_over(p, record, timeout_ms);
    if (status != WARREN_OK)
        record_free(record);
    return status;
}

static bool is_valid(const struct warren_publish *publish, uint32_t timeout_ms,
                     warren_reply_fn *on_reply)
{
    return publish->message && !publish->message->properties.reply_to &&
           !publish->message->properties.correlation_id && timeout_ms > 0 && on_reply;
}

enum warren_status warren_publisher_request_async(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  uint32_t timeout_ms, warren_reply_fn *on_reply,
                                                  void *user)
{
    struct request *request;
    enum warren_status status;

    if (!is_valid(publish, timeout_ms, on_reply))
        return WARREN_EINVAL;
    request = calloc(1, sizeof *request);
    if (!request)
        return WARREN_ENOMEM;
    list_init(&request->link);
    request->publisher = p;
    request->on_reply = on_reply;
    request->user = user;
    status = take_number(p, &request->number);
    if (status == WARREN_OK) {
        status = publish_request(p, publish, timeout_ms, request);
        if (status != WARREN_OK)
            give_number_back(p);
    }
    if (status != WARREN_OK)
        free(request);
    return status;
}

/* ---- waiting ---- */

struct waiter {
    pthread_mutex_t lock;
    struct condition cond;
    bool done;
    enum warren_status status;
    struct warren_reply *reply;
    struct warren_error *error;
};

static void waiter_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                         void *user)
{
    struct waiter *waiter = user;

    pthread_mutex_lock(&waiter->lock);
    waiter->status = status;
    waiter->reply = reply;
    if (status != WARREN_OK)
        error_set(waiter->error, status, "%s", why);
    waiter->done = true;
    condition_signal(&waiter->cond); /* under the lock: it lives on the waiting stack */
    pthread_mutex_unlock(&waiter->lock);
}

static const char *refusal_of(enum warren_status status)
{
    switch (status) {
    case WARREN_EINVAL:
        return "a request needs a time-out, and brings no reply-to and no correlation id of its "
               "own; names have at most 255 bytes";
    case WARREN_ETOOBIG:
        return "the request's headers exceed a frame, or it exceeds the window";
    case WARREN_EFULL:
        return "the window is full, or too many requests are open";
    case WARREN_ETIMEOUT:
        return "no room in the window in time: never sent";
    case WARREN_ECLOSED:
        return "the publisher is being closed";
    default:
        return warren_status_name(status);
    }
}

enum warren_status warren_publisher_request(struct warren_publisher *p,
                                            const struct warren_publish *publish,
                                            uint32_t timeout_ms, struct warren_reply **ret_reply,
                                            struct warren_error *error)
{
    struct waiter waiter = {.error = error};
    enum warren_status status;

    if (sender_is_caller(p))
        return error_set(error, WARREN_EINVAL, "a callback of the publisher must not wait");
    pthread_mutex_init(&waiter.lock, NULL);
    condition_init(&waiter.cond);
    status = warren_publisher_request_async(p, publish, timeout_ms, waiter_reply, &waiter);
    if (status != WARREN_OK) {
        error_set(error, status, "%s", refusal_of(status));
    } else {
        pthread_mutex_lock(&waiter.lock);
        while (!waiter.done)
            condition_wait(&waiter.cond, &waiter.lock);
        pthread_mutex_unlock(&waiter.lock);
        status = waiter.status;
        if (status == WARREN_OK)
            *ret_reply = waiter.reply;
    }
    condition_done(&waiter.cond);
    pthread_mutex_destroy(&waiter.lock);
    return status;
}
