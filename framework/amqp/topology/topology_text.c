/* topology_text.c - see topology_text.h. */
#include "amqp/topology/topology_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/integer_type.h"

/* Append to the text, cutting what does not fit. */
__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
    locale_t before = c_locale_begin();
    size_t len = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + len, size - len, format, arguments);
    va_end(arguments);
    c_locale_end(before);
}

static void add_value(char *text, size_t size, const struct warren_value *value)
{
    switch (value->type) {
    case WARREN_BOOL:
        add(text, size, "%s", value->as.boolean ? "true" : "false");
        break;
    case WARREN_F32:
    case WARREN_F64:
        add(text, size, "%g", value->as.real);
        break;
    case WARREN_STRING:
        add(text, size, "%.*s", (int)(value->as.bytes.len < 255 ? value->as.bytes.len : 255),
            value->as.bytes.len ? (const char *)value->as.bytes.data : "");
        break;
    default:
        if (integer_type(value->type))
            add(text, size, "%" PRId64, value->as.integer);
        else
            add(text, size, "<%s>", warren_type_name(value->type));
        break;
    }
}

static void add_arguments(char *text, size_t size, const struct warren_table *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        add(text, size, ", %s=", arguments->fields[i].name);
        add_value(text, size, &arguments->fields[i].value);
    }
}

void topology_text_exchange(const struct config_exchange *exchange, char *text, size_t size)
{
    text[0] = '\0';
    add(text, size, "exchange '%s' (", exchange->name);
    if (exchange->passive) {
        add(text, size, "passive)");
        return;
    }
    add(text, size, "%s, %s%s%s", exchange->type, exchange->durable ? "durable" : "transient",
        exchange->auto_delete ? ", auto-delete" : "", exchange->internal ? ", internal" : "");
    add_arguments(text, size, &exchange->arguments);
    add(text, size, ")");
}

void topology_text_queue(const struct config_queue *queue, char *text, size_t size)
{
    struct warren_table written = {queue->arguments.fields,
                                   queue->arguments.count - queue->limit_added};

    text[0] = '\0';
    add(text, size, "queue '%s' (", queue->name);
    if (queue->passive) {
        add(text, size, "passive)");
        return;
    }
    add(text, size, "%s, %s%s%s", queue->type, queue->durable ? "durable" : "transient",
        queue->exclusive ? ", exclusive" : "", queue->auto_delete ? ", auto-delete" : "");
    add_arguments(text, size, &written);
    add(text, size, ")");
}

void topology_text_binding(const struct config_binding *binding, char *text, size_t size)
{
    text[0] = '\0';
    add(text, size, "binding of %s '%s' to exchange '%s' with key '%s'",
        binding->to_exchange ? "exchange" : "queue", binding->destination, binding->source,
        binding->routing_key);
    if (binding->arguments.count > 0) {
        add(text, size, " (arguments");
        add_arguments(text, size, &binding->arguments);
        add(text, size, ")");
    }
}
