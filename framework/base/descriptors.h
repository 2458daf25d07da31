/* descriptors.h - the descriptors that warren keeps open, and whether they still are what they
 * were. A plugin that closes a number twice may close one of warren's; the number is then free for
 * another file, into which warren would write. Whoever finds that ends the process (ending.h): to
 * go on would be to guess. Bound: DESCRIPTORS_MAX; those beyond it are not looked at. A
 * child of fork(2) begins with an empty list. Mutable
 * globals here: the list, for a process has but one set of descriptors. Thread: any.
 */
#ifndef WARREN_BASE_DESCRIPTORS_H
#define WARREN_BASE_DESCRIPTORS_H

#include <stdbool.h>

#define DESCRIPTORS_MAX 1024
/** How often a worker looks. */
#define DESCRIPTORS_LOOK_MS 1000

/**
 * From now on @fd is what it is now.
 *
 * @set   an epoll set that has @fd, which proves that both are the same still; -1: none
 * @what  for the sentence: "the socket to the broker"; not copied
 */
void descriptors_add(int fd, int set, const char *what);
/** @fd is about to be closed. Ends the process if it is another one: that must not be closed. */
void descriptors_remove(int fd);
/** It is not looked at any more, whatever it is. */
void descriptors_forget(int fd);
/** Look at all of them; end the process if one is another, or closed. */
void descriptors_check(void);

/** descriptors_remove() and close(2); -1 is fine. */
void descriptors_close(int fd);

#endif
