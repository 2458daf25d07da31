/* semaphores_private.h - what semaphores.c and semaphore_hold.c share. All of it is under the lock.
 */
#ifndef WARREN_CONSUME_SEMAPHORES_PRIVATE_H
#define WARREN_CONSUME_SEMAPHORES_PRIVATE_H

#include "consume/job/semaphores.h"

/** The index of @name; -1: there is none. */
long semaphores_find(const struct semaphores *semaphores, const char *name);
/** Tell those that were granted what they waited for. */
void semaphores_tell(struct semaphores *semaphores);
/** Threads that wait look again whether they still may. */
void semaphores_look_at_waits(struct semaphores *semaphores);

#endif
