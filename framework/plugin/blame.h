/* blame.h - who it was that ended the process: a plugin's function that crashes while the process
 * starts (a C++ exception that leaves `open`, a wild pointer) is named on standard error; then the
 * signal does what it would have done without us.
 * Mutable globals: the dispositions, for a process has but one of each. Thread: main.
 * Elsewhere: crashes of a handler at work (consume/crash/fault.h).
 */
#ifndef WARREN_PLUGIN_BLAME_H
#define WARREN_PLUGIN_BLAME_H

/** From now on it is @kind ("handler", "middleware") @name of @queue, in its @function. */
void blame_begin(const char *kind, const char *name, const char *queue, const char *function);
void blame_end(void);

#endif
