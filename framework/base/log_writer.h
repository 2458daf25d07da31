/* log_writer.h - brings finished lines to the sink: through the ring and its thread once
 * log_start() was called, directly to stderr, or the function of log_divert(), otherwise.
 * Thread: any. Elsewhere: log_start(), log_stop(), log_dropped() are declared in log.h.
 */
#ifndef WARREN_BASE_LOG_WRITER_H
#define WARREN_BASE_LOG_WRITER_H

#include "base/log.h"

/** Take over a copy of a line with its newline, at most LOG_LINE_MAX bytes. Never waits once the
 * thread runs; a line that finds the ring full is counted and lost. */
void log_writer_take(enum warren_log_level level, const char *text, uint32_t len);

/**
 * Write a line to the sink at once, past the ring, or, if the descriptor of the sink is another
 * file by now, to where it led. After log_stop(). A function gets it without its newline.
 */
void log_writer_last(enum warren_log_level level, char *text, uint32_t len);

#endif
