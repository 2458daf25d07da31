/* flap.h - a state that comes and goes many times a second, told of seldom: there and back at once,
 * and what follows within a while as one, when that is over.
 * Thread: none of its own. Time is passed in.
 */
#ifndef WARREN_BASE_FLAP_H
#define WARREN_BASE_FLAP_H

#include <stdbool.h>
#include <stdint.h>

/** Within so long two changes are told. */
#define FLAP_MS 10000

/** All zero: it is not on. */
struct flap {
    bool on;
    bool told;        /* what was told last */
    unsigned lines;   /* told since @since_ms */
    uint32_t times;   /* it came on, and was not told of */
    int64_t since_ms; /* when the first of these lines was */
};

/**
 * The state is @on now.
 *
 * @ret_times  how often it came on since it was told of, where true is returned
 * @return     true: tell of it
 */
bool flap_set(struct flap *flap, bool on, int64_t now_ms, uint32_t *ret_times);

/** When flap_due() is to be called; INT64_MAX: there is nothing to be told later. */
int64_t flap_due_ms(const struct flap *flap);
/** As flap_set(), of what was not told at once. */
bool flap_due(struct flap *flap, int64_t now_ms, uint32_t *ret_times);

#endif
