/* fault_signals.h - which signals are those of a fault, what they are called, and the one by which
 * a thread is asked where it is. Elsewhere: what is done about them (fault.h). Async-signal-safe.
 */
#ifndef WARREN_CONSUME_FAULT_SIGNALS_H
#define WARREN_CONSUME_FAULT_SIGNALS_H

#include <signal.h>

#define FAULT_SIGNALS 7
extern const int fault_signals[FAULT_SIGNALS];

/** Sent to a thread whose handler did not return by its hard limit: it reports where it is. */
#define FAULT_TELL_SIGNAL (SIGRTMAX - 3)

/** The signals of a fault, numbered from 0; FAULT_SIGNALS: it is none of them. Async-signal-safe.
 */
unsigned fault_signal_place(int signal);
/** "SIGSEGV" and so on of such a number; "" for FAULT_SIGNALS. */
const char *fault_place_name(unsigned place);
/** "SIGSEGV" and so on; "" for 0. */
const char *fault_signal_name(int signal);

#endif
