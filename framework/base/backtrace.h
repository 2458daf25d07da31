/* backtrace.h - the calls that a thread is in, as text that people can read.
 * Made for signal handlers: after backtrace_prepare() nothing here allocates or uses stdio. What it
 * cannot do without is the dynamic linker's list of modules, which is locked while one is loaded.
 */
#ifndef WARREN_BASE_BACKTRACE_H
#define WARREN_BASE_BACKTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The most calls that backtrace_take() gives. */
#define BACKTRACE_CALLS 48

/** Load the unwinder. Once, before the first signal; may allocate. */
void backtrace_prepare(void);

/**
 * The calls of this thread, innermost first.
 *
 * @context  the third argument of a signal's handler: begin with the call that it interrupted, not
 *           with the handler; NULL: with the caller of this
 * @return   how many were written to @calls, which has room for BACKTRACE_CALLS
 */
size_t backtrace_take(void *context, void **calls);

/**
 * Write a line for each call: its address, the function with an offset if the file of the module
 * has symbols, and the module with an offset, which addr2line(1) takes.
 *
 * @return bytes written, without the NUL; what does not fit is left out by whole lines
 */
size_t backtrace_write(void *const *calls, size_t count, char *text, size_t size);

/**
 * Name one call, as flame graphs have it: the function, or, if the module has no symbols, module
 * and offset; without a semicolon.
 *
 * @innermost  else @pc is an address to return to
 */
void backtrace_name(const void *pc, bool innermost, char *name, size_t size);

/* ---- text without stdio, cut to fit ---- */

struct backtrace_text {
    char *at;
    size_t left; /* with the NUL */
};

void backtrace_add(struct backtrace_text *text, const char *words);
void backtrace_add_hex(struct backtrace_text *text, uint64_t number);
void backtrace_add_int(struct backtrace_text *text, int64_t number);

#endif
