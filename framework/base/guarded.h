/* guarded.h - memory apart from the heap, between pages that nobody may touch: what is to be right
 * even after somebody wrote beyond the end of his own memory. Whole pages: not for many things.
 * Thread: any.
 */
#ifndef WARREN_BASE_GUARDED_H
#define WARREN_BASE_GUARDED_H

#include <stddef.h>

/** All zero. NULL: there is none. */
void *guarded_alloc(size_t size);
/** As it is now, and never written again. @memory of @size bytes, as it was allocated. */
void guarded_seal(void *memory, size_t size);
/** @size as it was allocated; @memory NULL is fine. */
void guarded_free(void *memory, size_t size);

#endif
