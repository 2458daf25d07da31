/* utf8.c - see utf8.h. */
#include "base/utf8.h"

size_t utf8_len(const unsigned char *text, size_t left)
{
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t len;

    if (text[0] < 0x80)
        return 1;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (len > left)
        return 0;
    if (text[0] == 0xe0)
        low = 0xa0;
    if (text[0] == 0xed)
        high = 0x9f;
    if (text[0] == 0xf0)
        low = 0x90;
    if (text[0] == 0xf4)
        high = 0x8f;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    return len;
}

size_t utf8_plain_len(const char *text, size_t left)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t len = utf8_len(c, left);

    if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && len == 2 && c[1] < 0xa0))
        return 0;
    return len;
}
