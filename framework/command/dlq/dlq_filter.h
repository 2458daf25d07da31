/* dlq_filter.h - which dead letters are meant.
 * Thread: any; the clock is passed in.
 */
#ifndef WARREN_COMMAND_DLQ_FILTER_H
#define WARREN_COMMAND_DLQ_FILTER_H

#include "command/dlq/dlq_letter.h"

#define DLQ_HEADERS_MAX 32

/** All that is given must hold; NULL, 0 and no header: not given. In a text \0 stands for a NUL,
 * too. */
struct dlq_filter {
    const char *source; /* the queue that it died in */
    const char *id;     /* "": those that have none */
    const char *reason;
    const char *handler;
    const char *group;
    int64_t since_s; /* died then or later */
    int64_t until_s; /* died before */
    struct {
        const char *name;
        const char *value; /* as text; NULL: whatever it is */
    } headers[DLQ_HEADERS_MAX];
    size_t header_count;
};

/** Is @found what somebody writes as @wanted? Where @found has a NUL, @wanted has \0. */
bool dlq_text_is(const char *wanted, struct warren_bytes found);
bool dlq_filter_matches(const struct dlq_filter *filter, const struct dlq_letter *letter);
/** Does it let everything through? */
bool dlq_filter_is_empty(const struct dlq_filter *filter);

/**
 * A time of a command line: 2024-05-01T12:30:00Z or 2024-05-01T12:30 or 2024-05-01 (UTC if it ends
 * with Z, else local), @1714566600 (seconds since 1970), or 90s, 15m, 2h, 7d (before @now_s).
 *
 * @return false: it is none of them
 */
bool dlq_time_parse(const char *text, int64_t now_s, int64_t *ret_s);

#endif
