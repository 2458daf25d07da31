/* base64.c - three bytes, four characters. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_len(size_t len)
{
    size_t groups = len / 3 + (len % 3 > 0);

    return groups <= SIZE_MAX / 4 ? groups * 4 : 0;
}

void base64_encode(const void *data, size_t len, char *text)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i += 3) {
        size_t rest = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16;

        if (rest > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (rest > 2)
            group |= bytes[i + 2];
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = rest > 1 ? alphabet[group >> 6 & 63] : '=';
        *text++ = rest > 2 ? alphabet[group & 63] : '=';
    }
}

size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3;
}

static bool sextet(char character, uint32_t *value)
{
    const char *at = character ? strchr(alphabet, character) : NULL;

    if (at)
        *value = (uint32_t)(at - alphabet);
    return at != NULL;
}

/* @digits of the four characters at @text; the rest is padding. */
static bool decode_group(const char *text, unsigned digits, uint8_t *bytes)
{
    uint32_t group = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint32_t value = 0;

        if (i < digits && !sextet(text[i], &value))
            return false;
        group = group << 6 | value;
    }
    for (unsigned i = 0; i + 1 < digits; i++)
        bytes[i] = (uint8_t)(group >> (16 - 8 * i));
    return (group & ((1u << (24 - 8 * (digits - 1))) - 1)) == 0;
}

bool base64_decode(const char *text, size_t len, void *data, size_t *ret_len)
{
    uint8_t *bytes = data;
    unsigned padding = 0;

    if (len % 4 != 0)
        return false;
    while (len > 0 && padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len; i += 4) {
        unsigned digits = i + 4 == len ? 4 - padding : 4;

        if (!decode_group(text + i, digits, bytes + i / 4 * 3))
            return false;
    }
    *ret_len = len / 4 * 3 - padding;
    return true;
}
