/* errand.h - what takes too long for the thread of the admin listener: one thing at a time, on a
 * thread of its own, which is there while it lasts.
 * Thread: the listener's for errand_run(), main for the rest. Owner: struct admin embeds one.
 */
#ifndef WARREN_OBSERVE_ERRAND_H
#define WARREN_OBSERVE_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>

#include "http/exchange.h"

struct errand;

/** What is answered, at the end: as http_later_answer(); with `why` as http_later_error(). */
struct errand_answer {
    int status;
    const char *type;
    char *body;
    size_t len;
    char why[256];
};

struct errand {
    pthread_t thread;
    bool started; /* there is a thread to be joined */
    atomic_bool busy;
    atomic_bool ending;
    struct http_later *later;
    void (*run)(struct errand *errand, struct errand_answer *answer);
    uint32_t number; /* what it is about, such as seconds */
};

/**
 * Have @run make the answer to @exchange, within @most_ms, on the errand's thread. It ends soon
 * once errand_is_over(). If another one is under way the answer is 409.
 */
void errand_run(struct errand *errand, struct http_exchange *exchange, int64_t most_ms,
                void (*run)(struct errand *errand, struct errand_answer *answer), uint32_t number);
/** Nobody waits for it any more. Thread: its own. */
bool errand_is_over(const struct errand *errand);
/** The one under way shall answer with what it has, and none begins any more. Thread: any. */
void errand_end(struct errand *errand);
/** Wait for its end. When the server has stopped, and before it is freed. A zeroed one is fine. */
void errand_done(struct errand *errand);

#endif
