/* within.h - do something that may hang or crash, such as to write into a folder of a server that
 * is gone, or to load a plugin, in a child process that has a time for it. What that prints goes to
 * standard error, and processes that it leaves behind are killed with its group.
 * Thread: main, while there is no other.
 */
#ifndef WARREN_COMMAND_DOCTOR_WITHIN_H
#define WARREN_COMMAND_DOCTOR_WITHIN_H

#include <stddef.h>
#include <stdint.h>

enum within_end {
    WITHIN_DONE,
    WITHIN_LATE,    /* it hangs; it was killed, which may take effect later */
    WITHIN_DIED,    /* see @ret_signal */
    WITHIN_NOT_RUN, /* no process could be made */
};

/** What is told while it lasts longer than a second, ten times a second. */
typedef void within_wait_fn(void *user);

/**
 * Run @work in a child, for @patience_ms at the most. What it writes to @facts, of @size bytes
 * without pointers, is here afterwards; else they are as they were.
 *
 * @wait        may be NULL
 * @ret_signal  of WITHIN_DIED: what ended the child; 0: it ended itself
 */
enum within_end within(int64_t patience_ms, void (*work)(const void *arg, void *facts),
                       const void *arg, void *facts, size_t size, within_wait_fn *wait, void *user,
                       int *ret_signal);

#endif
