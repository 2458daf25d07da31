/* utf8.h - where a character of UTF-8 ends. Thread: any. Source: RFC 3629. */
#ifndef WARREN_BASE_UTF8_H
#define WARREN_BASE_UTF8_H

#include <stddef.h>

/**
 * The length of the character at @text, of which @left bytes are there, at least one; 0 if it is
 * none: an odd byte, one that is cut off, longer than need be, or half of a pair of UTF-16.
 */
size_t utf8_len(const unsigned char *text, size_t left);

/** The same; 0 also for what a terminal would obey: U+0000 to U+001F, and U+007F to U+009F. */
size_t utf8_plain_len(const char *text, size_t left);

#endif
