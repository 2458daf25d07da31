/* thread.h - the one place where threads start, and what signals they block; and what a process
 * does with a signal, without a trace in the programs that it executes: those inherit what is
 * blocked or ignored, and find the default where there was a handler.
 * Thread: any; dispositions are the process's.
 */
#ifndef WARREN_BASE_THREAD_H
#define WARREN_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include <warren/status.h>

/** Asks a thread where it is: see observe/stack_sampler.h. */
#define THREAD_SAMPLE_SIGNAL SIGPROF

/**
 * As pthread_create(3), with a name (15 bytes are kept) and every signal blocked but those that
 * tell of a fault of the thread itself, or are the sampler's: the others are for the program's own
 * threads. It cannot be cancelled (pthread_cancel(3)).
 *
 * @return WARREN_OK, or WARREN_EIO with the reason in @error
 */
enum warren_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg),
                                void *arg, struct warren_error *error);

/** Did warren start this thread, or is it the process's first? Async-signal-safe. */
bool thread_is_ours(void);

/**
 * The same for a thread that runs a plugin's functions. The programs that these start inherit its
 * mask, so it is the caller's, without the faults. Where SIGPIPE would end the process, as in a
 * program that does nothing about it, it is blocked.
 */
enum warren_status thread_start_for_plugins(pthread_t *thread, const char *name,
                                            void *(*run)(void *arg), void *arg,
                                            struct warren_error *error);

/** Is more than half of the calling thread's stack left? False, too, where nobody knows. */
bool thread_has_stack(void);

/** As SIG_IGN, for this program alone. What is not at its default is left as it is. */
void signals_disregard(int number);
/** At its default again, if signals_disregard() has changed that and nobody has since. */
void signals_regard(int number);

#endif
