/* errand.h - what takes too long for the thread of the admin listener: one thing at a time, on a
 * thread of its own, which is there while it lasts.
 * Thread: the listener's for errand_run(), main for the rest. Owner: struct admin embeds one.
 */
#ifndef WARREN_OBSERVE_ERRAND_H
#define WARREN_OBSERVE_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>

#include "http/exchange.h"

struct errand {
    pthread_t thread;
    bool started; /* there is a thread to be joined */
    atomic_bool busy;
    atomic_bool ending;
    struct http_later *later;
    void (*run)(struct errand *errand, struct http_later *later);
    uint32_t number; /* what it is about, such as seconds */
};

/**
 * Have @run answer @exchange, within @most_ms: it calls one of the functions of http_later once. It
 * ends soon once errand_is_over(). If another one is under way the answer is 409.
 */
void errand_run(struct errand *errand, struct http_exchange *exchange, int64_t most_ms,
                void (*run)(struct errand *errand, struct http_later *later), uint32_t number);
/** Nobody waits for it any more. Thread: its own. */
bool errand_is_over(const struct errand *errand);
/** End the one under way, and wait for that. Before the server is freed. A zeroed one is fine. */
void errand_done(struct errand *errand);

#endif
