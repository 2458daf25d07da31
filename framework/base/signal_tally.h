/* signal_tally.h - which of the signals that come to a program count, and as what.
 *
 * The first SIGTERM or SIGINT asks for the end. More of them within a second are the same request:
 * timeout(1) and some shells signal a child and then its group, a terminal all of a group. One
 * after that asks for the end at once. SIGHUP asks for something else.
 */
#ifndef WARREN_BASE_SIGNAL_TALLY_H
#define WARREN_BASE_SIGNAL_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Signals within this time count as one. */
#define SIGNALS_ONE_MS 1000

/** What came. All zero: nothing. */
struct signal_tally {
    _Atomic int stop;         /* the first of SIGTERM and SIGINT; 0: none */
    _Atomic int again;        /* a later one that counts; 0: none */
    _Atomic int64_t since_ms; /* when the last one came that counts */
    atomic_bool hang_up;
};

/** @signal came. Async-signal-safe. @return true: it counts; false: it is one with the last */
bool signals_note(struct signal_tally *tally, int signal, int64_t now_ms);

#endif
