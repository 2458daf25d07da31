/* lines.h - the lines of a descriptor, one at a time, in bounded memory.
 * Thread: none of its own.
 */
#ifndef WARREN_COMMAND_LINES_H
#define WARREN_COMMAND_LINES_H

#include <warren/message.h>

#include "base/buffer.h"

/** Longest line, in bytes. */
#define LINES_MAX ((size_t)16 * 1024 * 1024)

struct lines {
    int fd; /* borrowed */
    struct buffer buffer;
    size_t searched; /* bytes at the front that are known to hold no newline */
    size_t taken;    /* bytes of the line that was handed out last */
    size_t line_max;
    bool ended;
};

/** @line_max: LINES_MAX, or less in tests. */
void lines_init(struct lines *lines, int fd, size_t line_max);
void lines_done(struct lines *lines);

/**
 * The next line without its newline; an unfinished last line counts.
 *
 * @ret_line  valid until the next call
 * @return    WARREN_OK; WARREN_ENOTFOUND at the end; WARREN_ETOOBIG for a longer line;
 *            WARREN_ETIMEOUT if a signal came first (call again); WARREN_EIO (errno), WARREN_ENOMEM
 */
enum warren_status lines_next(struct lines *lines, struct warren_bytes *ret_line);

#endif
