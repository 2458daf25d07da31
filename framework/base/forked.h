/* forked.h - which process of a family this is: what belongs to threads cannot be used in a child
 * of fork(2), for only the thread that called it lives there.
 */
#ifndef WARREN_BASE_FORKED_H
#define WARREN_BASE_FORKED_H

#include <stdbool.h>
#include <stdint.h>

/** @return a number for forked_since(). Thread: any. */
uint32_t forked_begin(void);

/** Has fork(2) led here since forked_begin() returned @times? Then what has kept that number is
 * inherited. No syscall. Thread: any. */
bool forked_since(uint32_t times);

#endif
