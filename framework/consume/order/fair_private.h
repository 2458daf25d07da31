/* fair_private.h - what the parts of fair lines share: fair_lines.c, fair_away.c. */
#ifndef WARREN_CONSUME_FAIR_PRIVATE_H
#define WARREN_CONSUME_FAIR_PRIVATE_H

#include "consume/order/fair_lines.h"

/** One with nobody in it. */
void fair_line_init(const struct fair_lines *lines, struct fair_line *line, int64_t now_ms);
/** Somebody came to @line or left it: it goes where it belongs. It may be gone then. */
void fair_line_changed(struct fair_lines *lines, struct fair_line *line, int64_t now_ms);

/** How many wait in @line. */
static inline uint32_t fair_line_count(const struct fair_line *line)
{
    return line->again.count + line->waiting.count;
}

#endif
