/* forked.h - which process of a family this is: what belongs to threads cannot be used in a child
 * of fork(2), for only the thread that called it lives there.
 */
#ifndef WARREN_BASE_FORKED_H
#define WARREN_BASE_FORKED_H

#include <stdint.h>

/** So often fork(2) has led here since the first call of forked_begin(): who keeps the number knows
 * later whether it was inherited. No syscall. Thread: any. */
uint32_t forked_times(void);

/** Count from now on. @return forked_times() */
uint32_t forked_begin(void);

#endif
