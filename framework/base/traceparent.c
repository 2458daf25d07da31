/* traceparent.c - see traceparent.h. */
#include "base/traceparent.h"

#include <string.h>

#define VERSION_AT    0
#define TRACE_ID_AT   3
#define TRACE_ID_LEN  32
#define PARENT_ID_AT  36
#define PARENT_ID_LEN 16
#define FLAGS_AT      53
#define LEN           (TRACEPARENT_SIZE - 1)

#define FLAG_SAMPLED 0x01

/** A longer member of a tracestate is the first to go. */
#define MEMBER_MAX 128

/* The value of a digit; -1 also for a capital, which the format does not allow. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Two digits; -1 if they are none. */
static int byte_value(const char *text)
{
    int high = hex_value(text[0]);
    int low = hex_value(text[1]);

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* @len digits that are not all zero, with a NUL behind them. */
static bool copy_id(const char *text, size_t len, char *id)
{
    bool is_zero = true;

    for (size_t i = 0; i < len; i++) {
        if (hex_value(text[i]) < 0)
            return false;
        is_zero = is_zero && text[i] == '0';
    }
    memcpy(id, text, len);
    id[len] = '\0';
    return !is_zero;
}

/* Version 00 ends after the flags; a later one may go on after a dash. */
static bool ends_well(int version, const char *text, size_t len)
{
    return len == LEN || (version > 0 && text[LEN] == '-');
}

bool traceparent_parse(struct warren_bytes bytes, struct traceparent *parent)
{
    const char *text = bytes.data;
    int version, flags;

    if (bytes.len < LEN)
        return false;
    version = byte_value(text + VERSION_AT);
    flags = byte_value(text + FLAGS_AT);
    if (version < 0 || version == 0xff || flags < 0 || !ends_well(version, text, bytes.len))
        return false;
    if (text[TRACE_ID_AT - 1] != '-' || text[PARENT_ID_AT - 1] != '-' || text[FLAGS_AT - 1] != '-')
        return false;
    parent->sampled = flags & FLAG_SAMPLED;
    return copy_id(text + TRACE_ID_AT, TRACE_ID_LEN, parent->trace_id) &&
           copy_id(text + PARENT_ID_AT, PARENT_ID_LEN, parent->parent_id);
}

void traceparent_write(const struct traceparent *parent, char text[TRACEPARENT_SIZE])
{
    /* Not snprintf(): that was a quarter of the middleware (scripts/bench --cases chain-traced). */
    memcpy(text, "00-", 3);
    memcpy(text + TRACE_ID_AT, parent->trace_id, TRACE_ID_LEN);
    text[PARENT_ID_AT - 1] = '-';
    memcpy(text + PARENT_ID_AT, parent->parent_id, PARENT_ID_LEN);
    memcpy(text + FLAGS_AT - 1, parent->sampled ? "-01" : "-00", 4);
}

void traceparent_write_hex(uint64_t number, size_t digits, char *text)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = digits; i-- > 0; number >>= 4)
        text[i] = hex[number & 15];
    text[digits] = '\0';
}

/* ---- tracestate ---- */

static bool is_passable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\t' && (text[i] < ' ' || text[i] > '~'))
            return false;
    return len > 0;
}

/* Copy the members of at most MEMBER_MAX bytes, as many as there is room for. */
static size_t copy_members(const char *from, size_t len, char *to, size_t size)
{
    const char *end = from + len;
    size_t used = 0;

    while (from < end) {
        const char *comma = memchr(from, ',', (size_t)(end - from));
        size_t member = (size_t)((comma ? comma : end) - from);
        size_t separator = used > 0 ? 1 : 0;

        if (member <= MEMBER_MAX) {
            if (used + separator + member > size)
                break;
            if (separator)
                to[used++] = ',';
            memcpy(to + used, from, member);
            used += member;
        }
        from += member + 1;
    }
    return used;
}

bool tracestate_copy(struct warren_bytes from, char text[TRACESTATE_SIZE])
{
    size_t len = from.len;

    if (!is_passable(from.data, len))
        return false;
    if (len < TRACESTATE_SIZE)
        memcpy(text, from.data, len);
    else
        len = copy_members(from.data, len, text, TRACESTATE_SIZE - 1);
    text[len] = '\0';
    return len > 0;
}
