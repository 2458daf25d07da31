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

/* What a request breaks of the rules that are its own; NULL: none. */
static const char *refusal_of(const struct warren_publish *publish, uint32_t timeout_ms,
                              warren_reply_fn *on_reply)
{
    if (!publish)
        return "what to publish is NULL";
    if (!publish->message)
        return "there is no message";
    if (publish->message->properties.reply_to || publish->message->properties.correlation_id)
        return "a request brings no reply_to and no correlation_id of its own: the publisher sets "
               "both";
    if (timeout_ms == 0)
        return "timeout_ms is 0; a request waits at least 1 ms";
    return on_reply ? NULL : "on_reply is NULL";
}

enum warren_status warren_publisher_request_async(struct warren_publisher *p,
                                                  const struct warren_publish *publish,
                                                  uint32_t timeout_ms, warren_reply_fn *on_reply,
                                                  void *user, struct warren_error *error)
{
    enum warren_status status = publisher_check(p, error);
    const char *refusal = refusal_of(publish, timeout_ms, on_reply);
    struct request *request;

    if (status != WARREN_OK)
        return status;
    if (refusal)
        return error_set(error, WARREN_EINVAL, "%s", refusal);
    request = calloc(1, sizeof *request);
    if (!request)
        return error_set(error, WARREN_ENOMEM, "out of memory for a request");
    list_init(&request->link);
    request->replies = p->replies;
    request->on_reply = on_reply;
    request->user = user;
    request->number = ++p->replies->numbers;
    if (++p->replies->open > REQUESTS_MAX) {
        p->replies->full++;
        status = error_set(error, WARREN_EFULL, "%d requests are open", REQUESTS_MAX);
    } else {
        status = publisher_explain(p, publish, 0, publish_request(p, publish, timeout_ms, request),
                                   error);
    }
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
    status = warren_publisher_request_async(p, publish, timeout_ms, waiter_reply, &waiter, error);
    if (status == WARREN_OK) {
        while (sem_wait(&waiter.done) != 0) /* a signal's handler ran */
            continue;
        status = waiter.status;
        if (status == WARREN_OK)
            *ret_reply = waiter.reply;
    }
    sem_destroy(&waiter.done);
    return status;
}
