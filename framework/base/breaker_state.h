/* breaker_state.h - a circuit breaker: closed, open, half-open.
 *
 * Closed, it counts calls over a sliding window and trips on a share of failures or on failures
 * in a row. Open, it stays so for a time that grows with each failed probing. Half-open, it lets
 * a few probes through, which close it or open it again.
 *
 * Each change of phase begins a new epoch. A call carries the epoch that it began in as its
 * ticket: what it says after the phase changed is not counted.
 *
 * Pure: the clock's reading is handed in. Thread: one at a time.
 * Source: Michael Nygard, "Release It!", 2007, stability pattern "circuit breaker".
 * Elsewhere: what being open means to messages (middleware/breaker.h).
 */
#ifndef WARREN_BASE_BREAKER_STATE_H
#define WARREN_BASE_BREAKER_STATE_H

#include <stdint.h>

/** Steps in which the window slides. */
#define BREAKER_STEPS 10

enum breaker_phase { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/** Neutral: says nothing about what the breaker guards. */
enum breaker_result { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NEUTRAL };

struct breaker_plan {
    int64_t window_ms;        /* at least BREAKER_STEPS */
    int64_t open_ms;          /* the first open time, at least 1 */
    int64_t open_max_ms;      /* and the longest */
    uint32_t open_factor;     /* of each open time to the one before */
    uint32_t failure_percent; /* of the window's calls, to trip; 0: not by share */
    uint32_t min_calls;       /* in the window, before the share counts; at least 1 */
    uint32_t consecutive;     /* failures in a row, to trip; 0: not so */
    uint32_t probes;          /* at a time, while half-open; at least 1 */
    uint32_t close_percent;   /* of the probes must succeed, to close; at least 1 */
};

struct breaker_step {
    uint32_t calls;
    uint32_t failures;
};

struct breaker_state {
    struct breaker_plan plan;
    enum breaker_phase phase;
    uint64_t epoch;   /* from 1 */
    int64_t until_ms; /* open: probes from then on; half-open: further ones from then on */
    int64_t open_ms;  /* the open time of now */

    /* closed */
    struct breaker_step steps[BREAKER_STEPS]; /* a ring */
    int64_t step;                             /* number of the newest: its time / its length */
    uint32_t in_a_row;

    /* half-open */
    uint32_t to_admit; /* probes that may still be let through */
    uint32_t to_start; /* that may still begin */
    uint32_t succeeded;
    uint32_t failed;
};

/** Begins closed. */
void breaker_state_init(struct breaker_state *state, const struct breaker_plan *plan,
                        int64_t now_ms);

/**
 * From now on @plan. The phase and an open time that runs stay as they are; a window of another
 * length begins empty.
 */
void breaker_state_change(struct breaker_state *state, const struct breaker_plan *plan,
                          int64_t now_ms);

/**
 * Admission by holding back: how many of @want may go to the workers. An open time that is over
 * ends here, and the window slides.
 *
 * @ret_retry_ms  written if fewer than @want may: ask again after this time, at least 1
 */
uint32_t breaker_state_may(struct breaker_state *state, uint32_t want, int64_t now_ms,
                           int64_t *ret_retry_ms);
/** @count messages went. */
void breaker_state_took(struct breaker_state *state, uint32_t count);

/**
 * A call begins, or would. An open time that is over ends here.
 *
 * @return  its ticket; 0 while open, or while half-open with no probe wanted: if it runs
 *          nevertheless, it is not counted
 */
uint64_t breaker_state_begin(struct breaker_state *state, int64_t now_ms);
/** A call ended. */
void breaker_state_end(struct breaker_state *state, uint64_t ticket, enum breaker_result result,
                       int64_t now_ms);

/** Closed: @count calls succeeded in the newest step; for who counts them apart. */
void breaker_state_add(struct breaker_state *state, uint32_t count);
/** When the newest step of the window ends. */
int64_t breaker_state_step_end_ms(const struct breaker_state *state);
/** The window's calls and failures, as of the last one. */
struct breaker_step breaker_state_sum(const struct breaker_state *state);

#endif
