#include "command/cli/lines.h"

#include <errno.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 * 1024)

void lines_init(struct lines *lines, int fd, size_t line_max)
{
    *lines = (struct lines){.fd = fd, .line_max = line_max};
    buffer_init(&lines->buffer, line_max + READ_SIZE + 1);
}

void lines_done(struct lines *lines)
{
    buffer_done(&lines->buffer);
}

static enum warren_status read_more(struct lines *lines)
{
    enum warren_status status = buffer_reserve(&lines->buffer, READ_SIZE);
    ssize_t n;

    if (status != WARREN_OK)
        return status == WARREN_EFULL ? WARREN_ETOOBIG : status;
    n = read(lines->fd, buffer_back(&lines->buffer), READ_SIZE);
    if (n < 0)
        return errno == EINTR ? WARREN_ETIMEOUT : WARREN_EIO;
    if (n == 0)
        lines->ended = true;
    else
        buffer_added(&lines->buffer, (size_t)n);
    return WARREN_OK;
}

static void hand_out(struct lines *lines, size_t len, size_t newline, struct warren_bytes *ret_line)
{
    *ret_line = (struct warren_bytes){buffer_front(&lines->buffer), len};
    lines->taken = len + newline;
    lines->searched = 0;
}

enum warren_status lines_next(struct lines *lines, struct warren_bytes *ret_line)
{
    buffer_taken(&lines->buffer, lines->taken);
    lines->taken = 0;
    for (;;) {
        size_t len = buffer_len(&lines->buffer);
        const uint8_t *front = buffer_front(&lines->buffer);
        const uint8_t *newline = len > lines->searched
                                     ? memchr(front + lines->searched, '\n', len - lines->searched)
                                     : NULL;
        enum warren_status status;

        if (newline && (size_t)(newline - front) <= lines->line_max) {
            hand_out(lines, (size_t)(newline - front), 1, ret_line);
            return WARREN_OK;
        }
        if (len > lines->line_max)
            return WARREN_ETOOBIG;
        if (lines->ended && len == 0)
            return WARREN_ENOTFOUND;
        if (lines->ended) {
            hand_out(lines, len, 0, ret_line);
            return WARREN_OK;
        }
        lines->searched = len;
        status = read_more(lines);
        if (status != WARREN_OK)
            return status;
    }
}
