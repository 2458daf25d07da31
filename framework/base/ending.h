/* ending.h - the end of a process from which something was taken away that it cannot do without.
 * Who supervises it starts it anew. Thread: any.
 */
#ifndef WARREN_BASE_ENDING_H
#define WARREN_BASE_ENDING_H

/** @before is called first of all, by the thread that ends the process. NULL: nobody. */
void ending_tell(void (*before)(void));

/**
 * Log one sentence as an error, write what is in the log, also where its descriptor is gone, and
 * exit with status 1, without running anything else.
 */
void ending_now(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
