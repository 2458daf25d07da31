/* flap.h - a state that comes and goes many times a second, reported seldom: the first change and
 * the change back at once, and what follows within FLAP_MS as one report at its end. Thread: none
 * of its own. Time is passed in.
 */
#ifndef WARREN_BASE_FLAP_H
#define WARREN_BASE_FLAP_H

#include <stdbool.h>
#include <stdint.h>

/** Two changes are reported within this time. */
#define FLAP_MS 10000

/** All zero: it is not on. */
struct flap {
    bool on;
    bool reported;    /* the last report */
    unsigned lines;   /* reports since @since_ms */
    uint32_t times;   /* it came on without a report */
    int64_t since_ms; /* when the first of these lines was */
};

/**
 * The state is @on now.
 *
 * @ret_times  how often it came on since the last report, where true is returned
 * @return     true: report it
 */
bool flap_set(struct flap *flap, bool on, int64_t now_ms, uint32_t *ret_times);

/** When flap_due() is to be called; INT64_MAX: no report is due later. */
int64_t flap_due_ms(const struct flap *flap);
/** As flap_set(), for what was not reported at once. */
bool flap_due(struct flap *flap, int64_t now_ms, uint32_t *ret_times);

#endif
