/* due.h - in which order things came that were due at different times.
 * Thread: any.
 */
#ifndef TESTS_SUPPORT_DUE_H
#define TESTS_SUPPORT_DUE_H

#include <stddef.h>
#include <stdint.h>

/** One that was due, and when it came; of the same clock. */
struct due {
    int64_t due_ms;
    int64_t came_ms;
};

/**
 * How far they are from the order of their due times: the most by which one was due before another
 * that came earlier. A machine that is busy makes all of them late, and this no larger.
 *
 * @items  sorted by when they came afterwards
 */
int64_t due_disorder_ms(struct due *items, size_t count);

#endif
