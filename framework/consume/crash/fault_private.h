/* fault_private.h - what fault.c and fault_fall.c share. */
#ifndef WARREN_CONSUME_FAULT_PRIVATE_H
#define WARREN_CONSUME_FAULT_PRIVATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct flight;

/** Async-signal-safe. */
void fault_sleep_ms(int64_t ms);
/** Is it a fault of this process, which has @flight? Async-signal-safe. */
bool fault_is_ours(const struct flight *flight, const siginfo_t *info);

/**
 * From a signal's handler, outside of a plugin's: the process falls. Returns where the signal is to
 * have its way.
 *
 * @plain  it would end the process, without warren
 */
void fault_fall(int signal, const siginfo_t *info, void *context, bool plain);

/** Under the lock of fault.c: falls are noted in @flight, and no more. */
void fault_falls_add(struct flight *flight);
void fault_falls_remove(struct flight *flight);

#endif
