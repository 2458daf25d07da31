/* replies_private.h - requests and what waits for their replies: request.c on the callers' threads,
 * replies.c on the publisher's own.
 */
#ifndef WARREN_PUBLISH_REPLIES_PRIVATE_H
#define WARREN_PUBLISH_REPLIES_PRIVATE_H

#include <inttypes.h>

#include "base/arena.h"
#include "publish/publisher/publisher_private.h"

/** How a reply's correlation id is written: 16 digits of salt, 16 of the number. */
#define CORRELATION_ID_FORMAT "%016" PRIx64 "%016" PRIx64
#define CORRELATION_ID_SIZE   33

/* One request, from its publishing until both its message and its reply have ended. */
struct request {
    struct list link; /* of the bucket, while a reply is waited for */
    struct replies *replies;
    struct record *record; /* while that is in the window; then NULL */
    uint64_t number;       /* its correlation id says it */
    uint32_t timeout_ms;   /* from entering the window on */
    int64_t deadline_ms;
    bool ended; /* the caller has its reply, or why there is none */
    bool lost;  /* the way for its reply is gone */
    warren_reply_fn *on_reply;
    void *user;
};

/* Requests that wait for a reply, by number; nothing is allocated before the first one. */
struct replies {
    _Atomic uint32_t open;    /* accepted, and not ended */
    _Atomic uint64_t numbers; /* given to requests, */
    _Atomic uint64_t unsent;  /* how many of these were given back */
    _Atomic uint64_t answered;
    _Atomic uint64_t late;
    _Atomic uint64_t full; /* requests that were refused, for too many are open */
    struct loop *loop;
    struct list *buckets;
    uint64_t salt; /* of the correlation ids: those of another publisher are not ours */
    struct loop_timer timer;
    int64_t timer_ms;    /* what it is armed for; INT64_MAX: it is not */
    int64_t deadline_ms; /* no request's is earlier */
    bool consuming;      /* asked for, in this generation of the channel */
    bool announced;      /* basic.deliver came, its content not */
    struct reply *incoming;
    struct arena scratch;
    char lost_why[WARREN_ERROR_TEXT_MAX];
};

/** Of a request's message; @user is the request. */
void replies_receipt(const struct warren_receipt *receipt, void *user);

#endif
