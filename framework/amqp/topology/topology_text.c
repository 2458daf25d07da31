/* topology_text.c - see topology_text_private.h. */
#include "amqp/topology/topology_text_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/field_type.h"

/* The most bytes of a value in a message to the user. */
#define VALUE_MAX 255

/* Append to the text, cutting what does not fit. */
__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t len = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + len, size - len, format, arguments);
    va_end(arguments);
}

static void add_arguments(char *text, size_t size, const struct warren_table *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        const struct warren_field *field = &arguments->fields[i];
        char room[FIELD_TEXT_SIZE];
        struct warren_bytes value = field_text(&field->value, room);
        int len = value.len < VALUE_MAX ? (int)value.len : VALUE_MAX;

        if (value.data)
            add(text, size, ", %s=%.*s", field->name, len, (const char *)value.data);
        else
            add(text, size, ", %s=<%s>", field->name, warren_type_name(field->value.type));
    }
}

/* What is declared of an exchange or a queue; @more and @most: what else it is, or "". */
static void add_kind(char *text, size_t size, const char *type, bool durable, const char *more,
                     const char *most, const struct warren_table *arguments)
{
    add(text, size, " (%s, %s%s%s", type, durable ? "durable" : "transient", more, most);
    add_arguments(text, size, arguments);
    add(text, size, ")");
}

void topology_text_exchange(const struct config_exchange *exchange, char *text, size_t size)
{
    snprintf(text, size, "exchange '%s'", exchange->name);
    if (exchange->passive)
        add(text, size, " (passive)");
    else
        add_kind(text, size, exchange->type, exchange->durable,
                 exchange->auto_delete ? ", auto-delete" : "",
                 exchange->internal ? ", internal" : "", &exchange->arguments);
}

void topology_text_queue(const struct config_queue *queue, char *text, size_t size)
{
    struct warren_table written = {queue->arguments.fields,
                                   queue->arguments.count - queue->limit_added};

    snprintf(text, size, "queue '%s'", queue->name);
    if (queue->passive)
        add(text, size, " (passive)");
    else
        add_kind(text, size, queue->type, queue->durable, queue->exclusive ? ", exclusive" : "",
                 queue->auto_delete ? ", auto-delete" : "", &written);
}

void topology_text_binding(const struct config_binding *binding, char *text, size_t size)
{
    snprintf(text, size, "binding of %s '%s' to exchange '%s' with key '%s'",
             binding->to_exchange ? "exchange" : "queue", binding->destination, binding->source,
             binding->routing_key);
    if (binding->arguments.count > 0) {
        add(text, size, " (arguments");
        add_arguments(text, size, &binding->arguments);
        add(text, size, ")");
    }
}
