/* request.c - requests, on the callers' threads: what is published, and waiting for the reply. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "publish/delay/delay.h"
#include "publish/publisher/replies_private.h"

/* Open at once, for each holds memory until its reply. */
#define REQUESTS_MAX 65536

static enum warren_status encode(struct warren_publisher *p, const struct warren_publish *publish,
                                 uint64_t number, struct record **ret_record)
{
    struct warren_message message = *publish->message;
    struct warren_publish request = *publish;
    char correlation_id[CORRELATION_ID_SIZE];

    snprintf(correlation_id, sizeof correlation_id, CORRELATION_ID_FORMAT, p->replies->salt,
             number);
    message.properties.reply_to = DIRECT_REPLY;
    message.properties.correlation_id = correlation_id;
    request.message = &message;
    return record_new(&request, NULL, RECORD_OWN, p->room.bytes_max, ret_record);
}

/* The message may not outlive the request. */
static uint32_t life_ms(const struct warren_publisher *p, const struct warren_publish *publish,
                        uint32_t left_ms)
{
    uint32_t own_ms = publish->timeout_ms > 0 ? publish->timeout_ms : p->options.timeout_ms;

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
    return publisher_send(p, record, PUBLISHER_DIRECT, timeout_ms, replies_receipt, request);
}

static bool is_valid(const struct warren_publish *publish, uint32_t timeout_ms,
                     warren_reply_fn *on_reply)
{
    return publish && publish->message && !publish->message->properties.reply_to &&
           !publish->message->properties.correlation_id && timeout_ms > 0 && on_reply;
}

enum warren_status warren_publisher_request_async(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  uint32_t timeout_ms, warren_reply_fn *on_reply,
                                                  void *user)
{
    struct request *request;
    enum warren_status status = publisher_check(p, NULL);

    if (status != WARREN_OK)
        return status;
    if (!is_valid(publish, timeout_ms, on_reply))
        return WARREN_EINVAL;
    request = calloc(1, sizeof *request);
    if (!request)
        return WARREN_ENOMEM;
    list_init(&request->link);
    request->replies = p->replies;
    request->on_reply = on_reply;
    request->user = user;
    request->number = ++p->replies->numbers;
    status = ++p->replies->open > REQUESTS_MAX ? WARREN_EFULL
                                               : publish_request(p, publish, timeout_ms, request);
    if (status == WARREN_OK)
        return WARREN_OK;
    p->replies->open--;
    p->replies->unsent++;
    free(request);
    return status;
}

/* ---- waiting ---- */

struct waiter {
    sem_t done;
    enum warren_status status;
    struct warren_reply *reply;
    struct warren_error *error;
};

static void waiter_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                         void *user)
{
    struct waiter *waiter = user;

    waiter->status = status;
    waiter->reply = reply;
    if (status != WARREN_OK)
        error_set(waiter->error, status, "%s", why);
    sem_post(&waiter->done);
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
    enum warren_status status = publisher_check_wait(p, error);

    if (status == WARREN_OK && !ret_reply)
        status = error_set(error, WARREN_EINVAL, "ret_reply is NULL");
    if (status != WARREN_OK)
        return status;
    sem_init(&waiter.done, 0, 0);
    status = warren_publisher_request_async(p, publish, timeout_ms, waiter_reply, &waiter);
    if (status != WARREN_OK) {
        error_set(error, status, "%s", refusal_of(status));
    } else {
        while (sem_wait(&waiter.done) != 0) /* a signal's handler ran */
            continue;
        status = waiter.status;
        if (status == WARREN_OK)
            *ret_reply = waiter.reply;
    }
    sem_destroy(&waiter.done);
    return status;
}
