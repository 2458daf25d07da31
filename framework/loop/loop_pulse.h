/* loop_pulse.h - does a loop still turn? It is asked from another thread, by a task that does
 * nothing, or a little; a loop that does not run it hangs.
 * Thread: one that asks, besides the loop's.
 */
#ifndef WARREN_LOOP_LOOP_PULSE_H
#define WARREN_LOOP_LOOP_PULSE_H

#include <stdatomic.h>

#include "loop/loop.h"

struct loop_pulse {
    struct loop_task task;
    void (*beat)(void *arg);
    void *arg;
    _Atomic int64_t asked_ms; /* 0: nothing is unanswered */
};

/** @beat is called on the loop, each time that it answers; may be NULL. @pulse must outlive the
 * loop once it was asked. */
void loop_pulse_init(struct loop_pulse *pulse, void (*beat)(void *arg), void *arg);
/** Ask @loop, unless the last answer is still to come. @now_ms above 0 */
void loop_pulse_ask(struct loop_pulse *pulse, struct loop *loop, int64_t now_ms);
/** For how long the answer has been awaited; 0: it is there. */
int64_t loop_pulse_silent_ms(const struct loop_pulse *pulse, int64_t now_ms);

#endif
