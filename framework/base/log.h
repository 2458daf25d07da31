/* log.h - one structured line per event, as logfmt or JSON.
 *
 * Lines go through a bounded ring to a writer thread: whoever logs never waits. If the sink is
 * slow, lines are dropped and the number of lost lines is written as soon as there is room.
 * Before log_start() and after log_stop(), and in a child of fork(2), lines are written directly to
 * stderr.
 * Mutable globals here: the level, the format and the ring (one process, one log).
 * Thread: any.
 */
#ifndef WARREN_BASE_LOG_H
#define WARREN_BASE_LOG_H

#include <warren/handler.h>

#include "base/log_line.h"

/** The words of enum warren_log_level, in its order: see base/choices.h. */
#define LOG_LEVELS "error|warn|info|debug"

void log_set(enum warren_log_level level, enum log_format format);
bool log_enabled(enum warren_log_level level);

/** Start the writer thread, which writes to @fd (borrowed). */
enum warren_status log_start(int fd);
/**
 * Have @take called with each line, in place of stderr and of what log_start() is given: by the
 * writer thread, or, before log_start() and after log_stop(), by whoever logs. NULL: no longer;
 * then no call is under way when this returns.
 *
 * @return WARREN_OK; WARREN_EINVAL: the thread runs, or there is a function already
 */
enum warren_status log_divert(warren_log_fn *take, void *user);
/** Write what is in the ring, within @timeout_ms, and end the thread. */
void log_stop(uint32_t timeout_ms);
/** Lines lost since the start because the sink was slow. */
uint64_t log_dropped(void);

/** Hand the line over; nothing if its level is not enabled. */
void log_end(struct log_line *line);

/** A line with only a message; @format and its arguments make the msg. */
void log_printf(enum warren_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_printf(level, __VA_ARGS__);                                                        \
    } while (0)
#define log_error(...) log_at(WARREN_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(WARREN_LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(WARREN_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(WARREN_LOG_DEBUG, __VA_ARGS__)

#endif
