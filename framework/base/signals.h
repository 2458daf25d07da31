/* signals.h - what a process does with a signal, without a trace in the programs that it executes:
 * those inherit what is blocked or ignored, and find the default where there was a handler.
 * Elsewhere: what a thread blocks (thread.h). Thread: any; dispositions are the process's.
 */
#ifndef WARREN_BASE_SIGNALS_H
#define WARREN_BASE_SIGNALS_H

/** As SIG_IGN, for this program alone. What is not at its default is left as it is. */
void signals_disregard(int number);

#endif
