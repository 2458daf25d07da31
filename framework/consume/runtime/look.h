/* look.h - is each subscription at work, and if not, why? Looked at on the loop, when somebody asks
 * (runtime_look()), and kept for any thread to read.
 *
 * A broker may believe in a consumer that gets nothing. So a subscription that has free prefetch,
 * holds nothing and got nothing for three periods of the depth look (depth_look.h: 45 s), while
 * the broker's counts say that its queue is not empty and did not shrink for two of them, is
 * starved; unless another consumer may be the single active one. That is found within a minute.
 *
 * Thread: any, but for runtime_look(). Elsewhere: what is made of it (observe/health.h).
 */
#ifndef WARREN_CONSUME_LOOK_H
#define WARREN_CONSUME_LOOK_H

#include "consume/runtime/runtime.h"

/** Periods without a message, */
#define LOOK_SILENT_PERIODS 3
/** and with a queue that does not shrink. */
#define LOOK_STUCK_PERIODS 2
#define LOOK_REASON_MAX    384

/**
 * The first of these that holds is the state. Each with its name, and whether the subscription is
 * ready then: at work, or at rest for a good reason.
 *
 * FULL: prefetch_bytes. INTERRUPTED: by the broker. STARTING: not yet declared, or not yet
 * consumed. HELD: a middleware lets nothing through, such as an open breaker. STANDBY: behind a
 * single active consumer, or a shard that another worker has; PERHAPS_STANDBY: it cannot be known
 * whether the queue has one.
 */
#define LOOK_STATES(X)                                                                             \
    X(DRAINING, "draining", false)                                                                 \
    X(DISCONNECTED, "no connection", false)                                                        \
    X(GAP, "stopped at a gap", false)                                                              \
    X(FULL, "bytes full", true)                                                                    \
    X(INTERRUPTED, "interrupted", false)                                                           \
    X(STARTING, "starting", false)                                                                 \
    X(MEMORY, "memory full", true)                                                                 \
    X(HELD, "held", true)                                                                          \
    X(STANDBY, "standby", true)                                                                    \
    X(PERHAPS_STANDBY, "perhaps standby", true)                                                    \
    X(STARVED, "starved", false)                                                                   \
    X(CONSUMING, "consuming", true)

enum look_state {
#define LOOK_STATE(id, name, ready) LOOK_##id,
    LOOK_STATES(LOOK_STATE)
#undef LOOK_STATE
};

/** "consuming" and its like. */
const char *look_state_name(enum look_state state);
bool look_state_is_ready(enum look_state state);

struct subscription_look {
    const char *queue; /* borrowed from the runtime's options */
    const char *handler;
    enum look_state state;
    char reason[LOOK_REASON_MAX]; /* "": consuming */
    uint32_t running;
    uint32_t queued;
    uint32_t held;
    uint32_t prefetch;
    int64_t messages;   /* in the queue, that no consumer has; -1: not known */
    int64_t consumers;  /* of the queue; -1: not known */
    int64_t silent_ms;  /* since a message came, or consuming began */
    int64_t overdue_ms; /* that an attempt has been running beyond its time limit; 0: none is */
};

/** The loop, for who asks whether it turns. Valid until runtime_free(). */
struct loop *runtime_loop(struct runtime *runtime);
/** Look at all of them now. Thread: the loop's. */
void runtime_look(struct runtime *runtime);
/** What was seen last of one, counted from 0. @return false: there is none, or nobody has looked
 * yet
 */
bool runtime_look_read(struct runtime *runtime, size_t index, struct subscription_look *ret);

#endif
