/* basic_property.c - see basic_property.h. */
#include "amqp/wire/basic_property.h"

#include <stddef.h>

#include "amqp/wire/rabbitmq_c.h"

#define TEXT(member)                                                                               \
    {.name = #member,                                                                              \
     .form = PROPERTY_TEXT,                                                                        \
     .ours = offsetof(struct warren_properties, member),                                           \
     .theirs = offsetof(amqp_basic_properties_t, member)},
#define OTHER(member, what) {.name = #member, .form = (what)},

/* clang-format off */
const struct basic_property basic_properties[BASIC_PROPERTY_COUNT] = {
    BASIC_PROPERTIES(TEXT, OTHER)
};
/* clang-format on */
