/* topology_yaml.c - see topology_yaml.h. */
#include "command/topology/topology_yaml.h"

#include <inttypes.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/field_type.h"
#include "base/utf8.h"
#include "command/topology/topology_wanted.h"

/* ---- texts and values ---- */

static uint32_t code_point(const unsigned char *c, size_t len)
{
    uint32_t code = len == 1 ? c[0] : c[0] & (0x7fU >> len);

    for (size_t i = 1; i < len; i++)
        code = code << 6 | (c[i] & 0x3fU);
    return code;
}

/* libyaml reads no others (https://yaml.org/spec/1.1, c-printable), nor the mark of UTF-16; and
 * what ends a line is none inside of a text. */
static bool is_printable(uint32_t code)
{
    return (code >= 0x20 && code <= 0x7e) ||
           (code >= 0xa0 && code <= 0xd7ff && code != 0x2028 && code != 0x2029) ||
           (code >= 0xe000 && code <= 0xfffd && code != 0xfeff) ||
           (code >= 0x10000 && code <= 0x10ffff);
}

static void write_escaped(FILE *out, uint32_t code)
{
    if (code <= 0xff)
        fprintf(out, "\\x%02" PRIx32, code);
    else if (code <= 0xffff)
        fprintf(out, "\\u%04" PRIx32, code);
    else
        fprintf(out, "\\U%08" PRIx32, code);
}

void topology_yaml_text(FILE *out, const char *text, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len;) {
        const unsigned char *c = (const unsigned char *)text + i;
        size_t size = utf8_len(c, len - i);
        uint32_t code = size > 0 ? code_point(c, size) : 0xfffd;

        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (char)code);
        else if (size > 0 && is_printable(code))
            fwrite(c, 1, size, out);
        else
            write_escaped(out, code);
        i += size > 0 ? size : 1;
    }
    fputc('"', out);
}

static void write_name(FILE *out, const char *name)
{
    topology_yaml_text(out, name, strlen(name));
}

/* With a point or an exponent, or it would be read as a whole number. */
static void write_real(FILE *out, double real)
{
    char text[64];

    c_snprintf(text, sizeof text, "%.17g", real);
    fprintf(out, "%s%s", text, text[strcspn(text, ".e")] ? "" : ".0");
}

static void write_table(FILE *out, const struct warren_table *table)
{
    fputc('{', out);
    for (size_t i = 0; i < table->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        write_name(out, table->fields[i].name);
        fputs(": ", out);
        topology_yaml_value(out, &table->fields[i].value);
    }
    fputc('}', out);
}

static void write_array(FILE *out, const struct warren_array *array)
{
    fputc('[', out);
    for (size_t i = 0; i < array->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        topology_yaml_value(out, &array->values[i]);
    }
    fputc(']', out);
}

void topology_yaml_value(FILE *out, const struct warren_value *value)
{
    const struct field_type *type = field_type_of(value->type);

    switch (type ? type->form : FIELD_VOID) {
    case FIELD_BOOL:
        fputs(value->as.boolean ? "true" : "false", out);
        break;
    case FIELD_INTEGER:
        fprintf(out, "%" PRId64, value->as.integer);
        break;
    case FIELD_REAL:
        write_real(out, value->as.real);
        break;
    case FIELD_TIMESTAMP:
        fprintf(out, "%" PRIu64, value->as.timestamp);
        break;
    case FIELD_BYTES:
        topology_yaml_text(out, value->as.bytes.data, value->as.bytes.len);
        break;
    case FIELD_ARRAY:
        write_array(out, &value->as.array);
        break;
    case FIELD_TABLE:
        write_table(out, &value->as.table);
        break;
    case FIELD_VOID:
    case FIELD_DECIMAL: /* the file has none */
        fputs("null", out);
        break;
    }
}

/* ---- which items ---- */

static bool is_brokers(const char *name)
{
    return strncmp(name, "amq.", 4) == 0;
}

static bool is_one_of(const char *type, const char *const *types)
{
    while (*types && strcmp(type, *types) != 0)
        types++;
    return *types != NULL;
}

static bool knows_exchange(const struct config_exchange *exchange)
{
    static const char *const types[] = {"direct", "fanout", "topic", "headers", NULL};

    return is_one_of(exchange->type, types) || strncmp(exchange->type, "x-", 2) == 0;
}

static bool knows_queue(const struct config_queue *queue)
{
    static const char *const types[] = {"quorum", "classic", "stream", NULL};

    return is_one_of(queue->type, types) &&
           (strcmp(queue->type, "classic") == 0 || (queue->durable && !queue->auto_delete));
}

static bool has_exchange(const struct config_exchange *exchange)
{
    return !is_brokers(exchange->name) && !topology_is_delay(exchange->name) &&
           knows_exchange(exchange);
}

static bool has_queue(const struct config_queue *queue)
{
    return !is_brokers(queue->name) && !topology_is_delay(queue->name) && !queue->exclusive &&
           knows_queue(queue);
}

struct left_out {
    struct topology_yaml_left_out *counts;
    FILE *out;
};

static void leave_out(const struct left_out *left, const char *kind, const char *name,
                      const char *type, bool exclusive)
{
    struct topology_yaml_left_out *counts = left->counts;

    if (is_brokers(name)) {
        counts->amq++;
    } else if (topology_is_delay(name)) {
        counts->delay++;
    } else if (exclusive) {
        counts->exclusive++;
    } else {
        counts->unknown++;
        fprintf(left->out, "# left out: %s ", kind);
        write_name(left->out, name);
        fputs(", for the file has no such one of type ", left->out);
        write_name(left->out, type);
        fputc('\n', left->out);
    }
}

/* ---- items ---- */

static void write_arguments(FILE *out, const struct warren_table *arguments)
{
    if (arguments->count == 0)
        return;
    fputs("      arguments: ", out);
    write_table(out, arguments);
    fputc('\n', out);
}

static void write_flag(FILE *out, const char *name, bool value, bool usual)
{
    if (value != usual)
        fprintf(out, "      %s: %s\n", name, value ? "true" : "false");
}

static void write_exchanges(FILE *out, const struct config_topology *topology,
                            const struct left_out *left)
{
    const char *title = "  exchanges:\n";

    for (size_t i = 0; i < topology->exchange_count; i++) {
        const struct config_exchange *exchange = &topology->exchanges[i];

        if (!has_exchange(exchange)) {
            leave_out(left, "exchange", exchange->name, exchange->type, false);
            continue;
        }
        fprintf(out, "%s    - name: ", title);
        title = "";
        write_name(out, exchange->name);
        fputs("\n      type: ", out);
        write_name(out, exchange->type);
        fputc('\n', out);
        write_flag(out, "durable", exchange->durable, true);
        write_flag(out, "auto_delete", exchange->auto_delete, false);
        write_flag(out, "internal", exchange->internal, false);
        write_arguments(out, &exchange->arguments);
    }
}

static void write_queues(FILE *out, const struct config_topology *topology,
                         const struct left_out *left)
{
    const char *title = "  queues:\n";

    for (size_t i = 0; i < topology->queue_count; i++) {
        const struct config_queue *queue = &topology->queues[i];

        if (!has_queue(queue)) {
            leave_out(left, "queue", queue->name, queue->type, queue->exclusive);
            continue;
        }
        fprintf(out, "%s    - name: ", title);
        title = "";
        write_name(out, queue->name);
        fprintf(out, "\n      type: %s\n", queue->type);
        write_flag(out, "durable", queue->durable, true);
        write_flag(out, "auto_delete", queue->auto_delete, false);
        write_arguments(out, &queue->arguments);
    }
}

/* All of a destination that is written: without one of them it would count as left over. */
static bool has_binding(const struct topology_index *index, const struct config_binding *binding)
{
    const struct config_exchange *exchange;
    const struct config_queue *queue;

    if (binding->to_exchange) {
        exchange = topology_index_exchange(index, binding->destination);
        return exchange && has_exchange(exchange);
    }
    queue = topology_index_queue(index, binding->destination);
    return queue && has_queue(queue);
}

static void write_bindings(FILE *out, const struct config_topology *topology,
                           const struct topology_index *index)
{
    const char *title = "  bindings:\n";

    for (size_t i = 0; i < topology->binding_count; i++) {
        const struct config_binding *binding = &topology->bindings[i];

        if (!has_binding(index, binding))
            continue;
        fprintf(out, "%s    - exchange: ", title);
        title = "";
        write_name(out, binding->source);
        fprintf(out, "\n      %s: ", binding->to_exchange ? "to_exchange" : "queue");
        write_name(out, binding->destination);
        fputs("\n      routing_key: ", out);
        write_name(out, binding->routing_key);
        fputc('\n', out);
        write_arguments(out, &binding->arguments);
    }
}

bool topology_yaml_write(FILE *out, const struct config_topology *topology, struct arena *arena,
                         struct topology_yaml_left_out *ret)
{
    struct left_out left = {ret, out};
    struct topology_index index;

    *ret = (struct topology_yaml_left_out){0};
    if (!topology_index_make(&index, topology, arena))
        return false;
    fputs("topology:\n", out);
    write_exchanges(out, topology, &left);
    write_queues(out, topology, &left);
    write_bindings(out, topology, &index);
    return true;
}
