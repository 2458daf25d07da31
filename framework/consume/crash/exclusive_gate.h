/* exclusive_gate.h - lets handlers in side by side, or one alone. A suspect runs alone, and goes
 * first. Thread: any. Who waits here has not begun, so that closing it loses nothing.
 */
#ifndef WARREN_CONSUME_EXCLUSIVE_GATE_H
#define WARREN_CONSUME_EXCLUSIVE_GATE_H

#include "base/condition.h"

/** After exclusive_gate_expect(): how long the first ones wait for a suspect. */
#define EXCLUSIVE_GATE_EXPECT_MS 500

struct exclusive_gate {
    pthread_mutex_t lock;
    struct condition moved;
    uint32_t inside;
    uint32_t waiting; /* in exclusive_gate_enter(), suspects among them */
    uint32_t suspects_waiting;
    int64_t expect_until_ms; /* monotonic; 0: nobody came yet */
    bool expects;            /* a suspect, which is to be the first one */
    bool alone;              /* who is inside is to be alone */
    bool closed;
};

/** How somebody enters. */
enum exclusive_gate_way {
    EXCLUSIVE_GATE_BESIDE, /* others */
    EXCLUSIVE_GATE_ALONE,
    EXCLUSIVE_GATE_SUSPECT /* alone, and before all others that wait */
};

void exclusive_gate_init(struct exclusive_gate *gate);
void exclusive_gate_done(struct exclusive_gate *gate);

/** A suspect will come soon: whoever else comes first waits for it, for a while. */
void exclusive_gate_expect(struct exclusive_gate *gate);
/** Wait for the turn. @return false: it is closed, and nobody is let in any more */
bool exclusive_gate_enter(struct exclusive_gate *gate, enum exclusive_gate_way way);
void exclusive_gate_leave(struct exclusive_gate *gate);
/** How many are inside or wait for their turn. */
uint32_t exclusive_gate_present(struct exclusive_gate *gate);
/** Send everybody away who waits or will come. */
void exclusive_gate_close(struct exclusive_gate *gate);

#endif
