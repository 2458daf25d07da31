/* turnstile.h - lets handlers in side by side, or one alone. A suspect runs alone, and goes first.
 * Thread: any. Who waits here has not begun, so that closing it loses nothing.
 */
#ifndef WARREN_CONSUME_TURNSTILE_H
#define WARREN_CONSUME_TURNSTILE_H

#include "base/condition.h"

/** After turnstile_expect(): how long the first ones wait for a suspect. */
#define TURNSTILE_EXPECT_MS 500

struct turnstile {
    pthread_mutex_t lock;
    struct condition moved;
    uint32_t inside;
    uint32_t waiting; /* in turnstile_enter(), suspects among them */
    uint32_t suspects_waiting;
    int64_t expect_until_ms; /* monotonic; 0: nobody came yet */
    bool expects;            /* a suspect, which is to be the first one */
    bool alone;              /* who is inside is to be alone */
    bool closed;
};

/** How somebody enters. */
enum turnstile_way {
    TURNSTILE_BESIDE, /* others */
    TURNSTILE_ALONE,
    TURNSTILE_SUSPECT /* alone, and before all others that wait */
};

void turnstile_init(struct turnstile *turnstile);
void turnstile_done(struct turnstile *turnstile);

/** A suspect will come soon: whoever else comes first waits for it, for a while. */
void turnstile_expect(struct turnstile *turnstile);
/** Wait for the turn. @return false: it is closed, and nobody is let in any more */
bool turnstile_enter(struct turnstile *turnstile, enum turnstile_way way);
void turnstile_leave(struct turnstile *turnstile);
/** How many are inside or wait for their turn. */
uint32_t turnstile_present(struct turnstile *turnstile);
/** Send everybody away who waits or will come. */
void turnstile_close(struct turnstile *turnstile);

#endif
