#include "command/dlq/dlq_letter.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/ascii.h"

/* Shorter words of hexadecimal digits are words: "dead", "add", "face". */
#define HEX_MIN 8

static bool is_word(char c)
{
    return ascii_is_alnum(c) || c == '_';
}

/* Bytes of a hexadecimal number or a UUID, whose parts are joined by hyphens; 0: there is none. */
static size_t hex_len(const char *text, size_t len)
{
    bool prefixed = len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
    size_t digits = 0;
    size_t i = prefixed ? 2 : 0;
    bool decimal = prefixed;

    for (; i < len; i++) {
        bool joint = text[i] == '-' && digits >= 4 && i + 1 < len && ascii_is_xdigit(text[i + 1]) &&
                     !prefixed;

        if (!joint && !ascii_is_xdigit(text[i]))
            break;
        decimal = decimal || ascii_is_digit(text[i]);
        digits += !joint;
    }
    if (i < len && is_word(text[i])) /* a word that begins like one */
        return 0;
    return digits >= (prefixed ? 1 : HEX_MIN) && decimal ? i : 0;
}

static size_t number_len(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && ascii_is_digit(text[i]))
        i++;
    return i;
}

void dlq_fold_error(const char *error, size_t len, char folded[DLQ_ERROR_SIZE])
{
    size_t out = 0;
    size_t i = 0;

    while (len > 0 && ascii_is_space(*error)) {
        error++;
        len--;
    }
    while (i < len && error[i] != '\n' && error[i] != '\r' && out < DLQ_ERROR_SIZE - 1) {
        bool begins = i == 0 || !is_word(error[i - 1]);
        size_t skip = begins ? hex_len(error + i, len - i) : 0;

        if (skip == 0)
            skip = number_len(error + i, len - i);
        if (skip > 0) {
            folded[out++] = '#';
            i += skip;
        } else {
            folded[out++] = ascii_is_cntrl(error[i]) ? ' ' : error[i];
            i++;
        }
    }
    folded[out] = '\0';
}

/* A NUL parts them: "a" "b" is not "ab" "". */
static uint64_t mix(uint64_t hash, struct warren_bytes text)
{
    const unsigned char *p = text.data;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash * UINT64_C(0x100000001b3);
}

void dlq_group(struct warren_bytes reason, struct warren_bytes handler, struct warren_bytes signal,
               const char *folded, char group[DLQ_GROUP_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    hash = mix(mix(mix(mix(hash, reason), handler), signal), warren_text(folded));
    snprintf(group, DLQ_GROUP_SIZE, "%08" PRIx32, (uint32_t)(hash ^ hash >> 32));
}
