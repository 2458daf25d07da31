/* ascii.h - letters and digits of ASCII, as keywords, names and numbers have them; those of
 * <ctype.h> and <strings.h> follow setlocale(3), and Turkish has another capital i.
 * Thread: any. Elsewhere: numbers with a point (c_locale.h).
 */
#ifndef WARREN_BASE_ASCII_H
#define WARREN_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_alnum(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool ascii_is_xdigit(char c)
{
    return ascii_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline bool ascii_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool ascii_is_cntrl(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static inline char ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static inline char ascii_upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/** As strncasecmp(3) == 0. */
static inline bool ascii_same_n(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
        if (!a[i])
            return true;
    }
    return true;
}

/** As strcasecmp(3) == 0. */
static inline bool ascii_same(const char *a, const char *b)
{
    return ascii_same_n(a, b, (size_t)-1);
}

/** As strcasestr(3) != NULL; @part is not empty. */
static inline bool ascii_has(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;

        while (part[i] && ascii_lower(text[i]) == ascii_lower(part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

#endif
