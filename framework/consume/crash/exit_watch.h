/* exit_watch.h - a process that ends by exit(3) or quick_exit(3), or whose first thread is ended by
 * pthread_exit(3), before its program wants to: a handler did it, or a library that it uses.
 * Whoever supervises the process would take that for a good end. _exit(2) cannot be watched.
 * Mutable globals here: a process ends but once.
 */
#ifndef WARREN_CONSUME_EXIT_WATCH_H
#define WARREN_CONSUME_EXIT_WATCH_H

/**
 * From now on such an end is reported in one sentence and has the status 1. A second call has the
 * watch come before what others have registered for the end since the first. Thread: the process's
 * first.
 */
void exit_watch_begin(void);
/** The program ends as it wants to. Thread: the process's first. */
void exit_watch_end(void);

#endif
