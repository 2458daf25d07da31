/* method_name.c - from rabbitmq-c's own AMQP_BASIC_CONSUME_OK_METHOD. */
#include "amqp/wire/method_name.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

#include "amqp/wire/rabbitmq_c.h"

#define PREFIX "AMQP_"
#define SUFFIX "_METHOD"

struct method_name method_name(uint32_t id)
{
    const char *known = amqp_method_name(id);
    struct method_name name;
    char between = '.'; /* class and method; later words of a method are hyphenated */
    size_t len;

    if (!known || strncmp(known, PREFIX, strlen(PREFIX)) != 0) {
        snprintf(name.text, sizeof name.text, "method %u.%u", id >> 16, id & 0xffff);
        return name;
    }
    len = strlen(known) - strlen(PREFIX) - strlen(SUFFIX);
    snprintf(name.text, sizeof name.text, "%.*s", (int)len, known + strlen(PREFIX));
    for (char *at = name.text; *at; at++) {
        if (*at == '_') {
            *at = between;
            between = '-';
        } else {
            *at = ascii_lower(*at);
        }
    }
    return name;
}
