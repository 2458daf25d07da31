#include "amqp/topology/declare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "amqp/wire/properties.h"
#include "base/field_type.h"

/* The most bytes of a value in a message to the user. */
#define VALUE_MAX 255

/* Send the method @id, once the member @encoded of @method has its @arguments. */
static enum warren_status send_with(const struct declare_to *to, uint32_t id, void *method,
                                    amqp_table_t *encoded, const struct warren_table *arguments,
                                    struct warren_error *error)
{
    enum warren_status status = table_to_amqp(arguments, NULL, to->scratch, encoded, error);

    return status == WARREN_OK ? channel_call(to->channel, id, method, to->reply, to->user)
                               : status;
}

static enum warren_status declare_exchange(const struct declare_to *to,
                                           const struct config_exchange *exchange,
                                           struct warren_error *error)
{
    amqp_exchange_declare_t method = {
        .exchange = amqp_cstring_bytes(exchange->name),
        .type = amqp_cstring_bytes(exchange->type),
        .passive = exchange->passive,
        .durable = exchange->durable,
        .auto_delete = exchange->auto_delete,
        .internal = exchange->internal,
    };

    return send_with(to, AMQP_EXCHANGE_DECLARE_METHOD, &method, &method.arguments,
                     &exchange->arguments, error);
}

static enum warren_status declare_queue(const struct declare_to *to,
                                        const struct config_queue *queue,
                                        struct warren_error *error)
{
    size_t count = queue->arguments.count;
    struct warren_field *fields = arena_alloc(to->scratch, (count + 1) * sizeof *fields);
    struct warren_table arguments = {fields, count + 1};
    amqp_queue_declare_t method = {
        .queue = amqp_cstring_bytes(queue->name),
        .passive = queue->passive,
        .durable = queue->durable,
        .exclusive = queue->exclusive,
        .auto_delete = queue->auto_delete,
    };

    if (!fields)
        return WARREN_ENOMEM;
    if (count > 0)
        memcpy(fields, queue->arguments.fields, count * sizeof *fields);
    fields[count] = warren_field_text("x-queue-type", queue->type);
    return send_with(to, AMQP_QUEUE_DECLARE_METHOD, &method, &method.arguments, &arguments, error);
}

static enum warren_status declare_binding(const struct declare_to *to,
                                          const struct config_binding *binding,
                                          struct warren_error *error)
{
    amqp_queue_bind_t to_queue = {
        .queue = amqp_cstring_bytes(binding->destination),
        .exchange = amqp_cstring_bytes(binding->source),
        .routing_key = amqp_cstring_bytes(binding->routing_key),
    };
    amqp_exchange_bind_t to_exchange = {
        .destination = to_queue.queue,
        .source = to_queue.exchange,
        .routing_key = to_queue.routing_key,
    };

    if (binding->to_exchange)
        return send_with(to, AMQP_EXCHANGE_BIND_METHOD, &to_exchange, &to_exchange.arguments,
                         &binding->arguments, error);
    return send_with(to, AMQP_QUEUE_BIND_METHOD, &to_queue, &to_queue.arguments,
                     &binding->arguments, error);
}

enum warren_status declare_send(const struct declare_to *to, const struct declare_item *item,
                                struct warren_error *error)
{
    if (item->exchange)
        return declare_exchange(to, item->exchange, error);
    return item->queue ? declare_queue(to, item->queue, error)
                       : declare_binding(to, item->binding, error);
}

bool declare_is(uint32_t method)
{
    return method == AMQP_EXCHANGE_DECLARE_METHOD || method == AMQP_QUEUE_DECLARE_METHOD ||
           method == AMQP_EXCHANGE_BIND_METHOD || method == AMQP_QUEUE_BIND_METHOD;
}

/* ---- in words ---- */

/* Append to the text, cutting what does not fit. */
__attribute__((format(printf, 2, 3))) static void add(char text[DECLARE_TEXT_MAX],
                                                      const char *format, ...)
{
    size_t len = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + len, DECLARE_TEXT_MAX - len, format, arguments);
    va_end(arguments);
}

static void add_arguments(char text[DECLARE_TEXT_MAX], const struct warren_table *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        const struct warren_field *field = &arguments->fields[i];
        char room[FIELD_TEXT_SIZE];
        struct warren_bytes value = field_text(&field->value, room);
        int len = value.len < VALUE_MAX ? (int)value.len : VALUE_MAX;

        if (value.data)
            add(text, ", %s=%.*s", field->name, len, (const char *)value.data);
        else
            add(text, ", %s=<%s>", field->name, warren_type_name(field->value.type));
    }
}

/* What is declared of an exchange or a queue; @more and @most: what else it is, or "". */
static void add_kind(char text[DECLARE_TEXT_MAX], const char *type, bool durable, const char *more,
                     const char *most, const struct warren_table *arguments)
{
    add(text, " (%s, %s%s%s", type, durable ? "durable" : "transient", more, most);
    add_arguments(text, arguments);
    add(text, ")");
}

static void exchange_text(const struct config_exchange *exchange, char text[DECLARE_TEXT_MAX])
{
    snprintf(text, DECLARE_TEXT_MAX, "exchange '%s'", exchange->name);
    if (exchange->passive)
        add(text, " (passive)");
    else
        add_kind(text, exchange->type, exchange->durable,
                 exchange->auto_delete ? ", auto-delete" : "",
                 exchange->internal ? ", internal" : "", &exchange->arguments);
}

static void queue_text(const struct config_queue *queue, char text[DECLARE_TEXT_MAX])
{
    struct warren_table written = {queue->arguments.fields,
                                   queue->arguments.count - queue->limit_added};

    snprintf(text, DECLARE_TEXT_MAX, "queue '%s'", queue->name);
    if (queue->passive)
        add(text, " (passive)");
    else
        add_kind(text, queue->type, queue->durable, queue->exclusive ? ", exclusive" : "",
                 queue->auto_delete ? ", auto-delete" : "", &written);
}

static void binding_text(const struct config_binding *binding, char text[DECLARE_TEXT_MAX])
{
    snprintf(text, DECLARE_TEXT_MAX, "binding of %s '%s' to exchange '%s' with key '%s'",
             binding->to_exchange ? "exchange" : "queue", binding->destination, binding->source,
             binding->routing_key);
    if (binding->arguments.count > 0) {
        add(text, " (arguments");
        add_arguments(text, &binding->arguments);
        add(text, ")");
    }
}

void declare_text(const struct declare_item *item, char text[DECLARE_TEXT_MAX])
{
    if (item->exchange)
        exchange_text(item->exchange, text);
    else if (item->queue)
        queue_text(item->queue, text);
    else
        binding_text(item->binding, text);
}
