/* thread.h - start a thread that signals are not meant for. Thread: any. */
#ifndef WARREN_BASE_THREAD_H
#define WARREN_BASE_THREAD_H

#include <pthread.h>

#include <warren/status.h>

/**
 * As pthread_create(3), with a name (15 bytes are kept) and every signal blocked but those that
 * tell of a fault of the thread itself.
 *
 * @return WARREN_OK, or WARREN_EIO with the reason in @error
 */
enum warren_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg),
                                void *arg, struct warren_error *error);

#endif
