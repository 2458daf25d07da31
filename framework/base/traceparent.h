/* traceparent.h - the texts of W3C Trace Context, read strictly and written as version 00.
 * Source: https://www.w3.org/TR/trace-context-1/, sections 3.2 (traceparent) and 3.3 (tracestate).
 * Pure functions. Thread: any. Elsewhere: what a job does with them (middleware/trace.c).
 */
#ifndef WARREN_BASE_TRACEPARENT_H
#define WARREN_BASE_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/message.h>

/** "00-" 32 "-" 16 "-" 2, and the NUL. */
#define TRACEPARENT_SIZE 56
/** What is passed on of a tracestate, and the NUL. */
#define TRACESTATE_SIZE 513

struct traceparent {
    char trace_id[33];  /* 32 lower-case hexadecimal digits, not all 0 */
    char parent_id[17]; /* 16 of them, not all 0: the span that is the parent */
    bool sampled;       /* of the flags, the only one that level 1 knows */
};

/**
 * Read @text as version 00, or as a later version by the rules for those: the same four fields,
 * ended by the text's end or a dash, and what follows is ignored.
 *
 * @return false: not valid; @parent is undefined
 */
bool traceparent_parse(struct warren_bytes text, struct traceparent *parent);

/** Write it as version 00; flags other than `sampled` are 0. */
void traceparent_write(const struct traceparent *parent, char text[TRACEPARENT_SIZE]);

/** Two digits a byte, high first, and a NUL: @digits characters of @number's lowest bits. */
void traceparent_write_hex(uint64_t number, size_t digits, char *text);

/**
 * Copy @from as it may be passed on. It is opaque, but has to be visible ASCII, spaces and tabs. If
 * it is longer than 512 bytes, whole members go: those above 128 bytes first, then from the right
 * (section 3.3.1.5).
 *
 * @return false: nothing is left to pass on
 */
bool tracestate_copy(struct warren_bytes from, char text[TRACESTATE_SIZE]);

#endif
