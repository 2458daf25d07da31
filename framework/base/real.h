/* real.h - which floating-point numbers a message may carry.
 * Thread: any.
 */
#ifndef WARREN_BASE_REAL_H
#define WARREN_BASE_REAL_H

#include <math.h>

#include <warren/message.h>

/**
 * Whether @real can be sent as @type, F32 or F64: finite, also after rounding to 32 bits.
 *
 * RabbitMQ's parser knows nothing else: over such a value it closes the whole connection (541).
 */
static inline bool real_fits(enum warren_type type, double real)
{
    return isfinite(type == WARREN_F32 ? (double)(float)real : real);
}

#endif
