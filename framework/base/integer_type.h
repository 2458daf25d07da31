/* integer_type.h - which field values are whole numbers (as.integer), and what each type holds.
 * Thread: any. Elsewhere: floating-point numbers (real.h).
 */
#ifndef WARREN_BASE_INTEGER_TYPE_H
#define WARREN_BASE_INTEGER_TYPE_H

#include <warren/message.h>

struct integer_type {
    enum warren_type type;
    int64_t min;
    int64_t max;
};

/** What @type holds; NULL if its values are not in as.integer. */
static inline const struct integer_type *integer_type(enum warren_type type)
{
    static const struct integer_type types[] = {
        {WARREN_I8, INT8_MIN, INT8_MAX},    {WARREN_U8, 0, UINT8_MAX},
        {WARREN_I16, INT16_MIN, INT16_MAX}, {WARREN_U16, 0, UINT16_MAX},
        {WARREN_I32, INT32_MIN, INT32_MAX}, {WARREN_U32, 0, UINT32_MAX},
        {WARREN_I64, INT64_MIN, INT64_MAX},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return &types[i];
    return NULL;
}

#endif
