/* turnstile.h - lets handlers in side by side, and a suspect alone. A suspect that waits goes
 * first. Thread: any. Who waits here has not begun, so that closing it loses nothing.
 */
#ifndef WARREN_CONSUME_TURNSTILE_H
#define WARREN_CONSUME_TURNSTILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct turnstile {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint32_t inside;
    uint32_t waiting; /* in turnstile_enter(), suspects among them */
    uint32_t suspects_waiting;
    bool alone; /* who is inside is to be alone */
    bool closed;
};

void turnstile_init(struct turnstile *turnstile);
void turnstile_done(struct turnstile *turnstile);

/** Wait for the turn. @return false: it is closed, and nobody is let in any more */
bool turnstile_enter(struct turnstile *turnstile, bool alone);
void turnstile_leave(struct turnstile *turnstile);
/** How many are inside or wait for their turn. */
uint32_t turnstile_present(struct turnstile *turnstile);
/** Send everybody away who waits or will come. */
void turnstile_close(struct turnstile *turnstile);

#endif
