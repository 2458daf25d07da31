/* effective.c - config_write_effective(): what is in force, as YAML that could be read again
 * (but for the masked secrets), and where each option came from. */
#include <inttypes.h>
#include <string.h>

#include "config/handler_options.h"
#include "config/options.h"
#include "config/secret.h"

#define TEXT_SIZE       1024
#define WORD_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-"

static void write_node(FILE *out, const struct config_node *node);

static void write_quoted(FILE *out, const char *text, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

/* @secret: an element of an option that may hold a password. */
static void write_text(FILE *out, const char *text, bool secret)
{
    char masked[TEXT_SIZE];

    if (secret || strstr(text, "://"))
        text = config_mask_uri(text, masked, sizeof masked);
    write_quoted(out, text, strlen(text));
}

static void write_value(FILE *out, const struct warren_option *option, bool secret,
                        const struct config_value *value)
{
    char number[CONFIG_NUMBER_SIZE];

    switch ((int)option->type) {
    case WARREN_OPTION_BOOL:
        fputs(value->boolean ? "true" : "false", out);
        break;
    case WARREN_OPTION_INT:
    case WARREN_OPTION_SIZE:
    case WARREN_OPTION_DURATION:
    case WARREN_OPTION_RANGE:
        config_value_numbers(option->type, value, number, sizeof number);
        fputs(number, out);
        break;
    case WARREN_OPTION_ENUM:
        fputs(value->text, out);
        break;
    case WARREN_OPTION_STRING:
    case WARREN_OPTION_PATH:
        write_text(out, value->text, false);
        break;
    case WARREN_OPTION_ARGUMENTS:
    case WARREN_OPTION_MAPPING:
        write_node(out, value->node);
        break;
    case WARREN_OPTION_LIST:
    case WARREN_OPTION_PATHS:
        fputc('[', out);
        for (size_t i = 0; i < value->count; i++) {
            fputs(i ? ", " : "", out);
            write_text(out, value->list[i], secret);
        }
        fputc(']', out);
        break;
    }
}

/* Write "broker:" and "  tls:" where @name enters a section that @last was not in. */
static int open_sections(FILE *out, const char *last, const char *name)
{
    int indent = 0;

    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        size_t len = (size_t)(dot - name) + 1;
        const char *begin = dot;

        while (begin > name && begin[-1] != '.')
            begin--;
        if (strncmp(last, name, len) != 0)
            fprintf(out, "%*s%.*s:\n", indent, "", (int)(dot - begin), begin);
        indent += 2;
    }
    return indent;
}

static void write_options(FILE *out, const struct config_private *private)
{
    const char *last = "";

    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct warren_option *option = &config_options[i];
        const char *name = option->name;
        const char *dot = strrchr(name, '.');
        char where[CONFIG_WHERE_SIZE];
        int indent;

        if (config_option_has(option, CONFIG_OPTION_FILE))
            continue;
        indent = open_sections(out, last, name);

        fprintf(out, "%*s%s: ", indent, "", dot ? dot + 1 : name);
        write_value(out, option, config_option_has(option, CONFIG_OPTION_SECRET),
                    &private->values[i]);
        config_node_where(private->values[i].node, where, sizeof where);
        fprintf(out, "  # %s\n", where);
        last = name;
    }
}

/* As written: the handler's table is not known here, and arguments have none. */
static void write_node(FILE *out, const struct config_node *node)
{
    bool mapping = node->kind == CONFIG_MAPPING;
    size_t step = mapping ? 2 : 1;

    if (node->kind == CONFIG_SCALAR) {
        /* All that YAML gives another type than text is made of these characters. */
        if (config_node_empty(node))
            fputs("null", out);
        else if (node->plain && !node->text[strspn(node->text, WORD_CHARACTERS)])
            fputs(node->text, out);
        else
            write_text(out, node->text, false);
        return;
    }
    fputc(mapping ? '{' : '[', out);
    for (size_t i = 0; i < node->count; i += step) {
        fputs(i ? ", " : "", out);
        if (mapping) {
            write_text(out, node->items[i]->text, false);
            fputs(": ", out);
        }
        if (mapping && config_key_is_secret(node->items[i]->text))
            fputs("\"***\"", out);
        else
            write_node(out, node->items[i + step - 1]);
    }
    fputc(mapping ? '}' : ']', out);
}

/* Of its threads: those of an executor are all of them, unless it is written how many; and only a
 * range has something to wait for. */
static bool in_force(const struct config_subscription *subscription, const char *name)
{
    if (strcmp(name, "concurrency") == 0)
        return !subscription->shares || config_node_get(subscription->written.node, name);
    if (strcmp(name, "concurrency_target_wait") == 0)
        return subscription->concurrency_least != subscription->concurrency;
    return true;
}

/* What is given, and what is always shown; of a chain its links, elsewhere.
 * @of  the subscription that has written it; NULL: it is no subscription */
static void write_item(FILE *out, const struct config_table *table,
                       const struct config_written *written, const struct config_subscription *of,
                       int indent)
{
    const char *lead = "- ";

    for (size_t i = 0; table->rows[i].name; i++) {
        const struct config_value *value = &written->values[i];

        if ((int)table->rows[i].type == WARREN_OPTION_CHAIN ||
            !(value->given || table->places[i].flags & CONFIG_OPTION_SHOWN) ||
            (of && !in_force(of, table->rows[i].name)))
            continue;
        fprintf(out, "%*s%s%s: ", indent, "", lead, table->rows[i].name);
        write_value(out, &table->rows[i], false, value);
        fputc('\n', out);
        lead = "  ";
    }
}

/* Every option in force, wherever it was given. */
static void write_link_options(FILE *out, const struct warren_options *options)
{
    fputs(": {", out);
    for (size_t i = 0; i < options->count; i++) {
        const struct warren_option *option = &options->table[i];

        fprintf(out, "%s%s: ", i ? ", " : "", option->name);
        if (config_key_is_secret(option->name))
            fputs("\"***\"", out);
        else
            write_value(out, option, false, &options->values[i]);
    }
    fputc('}', out);
}

static void write_chain(FILE *out, const struct config_subscription *subscription)
{
    const char *comment = subscription->own_chain ? "" : "  # the standard chain";

    if (!subscription->chain_count) {
        fputs(subscription->own_chain ? "    middleware: []\n" : "", out);
        return;
    }
    fprintf(out, "    middleware:%s\n", comment);
    for (size_t i = 0; i < subscription->chain_count; i++) {
        const struct config_middleware *link = &subscription->chain[i];

        fputs("      - ", out);
        write_text(out, link->name, false);
        if (link->options && link->options->count)
            write_link_options(out, link->options);
        fputc('\n', out);
    }
}

/* As a comment: they are options of the top. */
static void write_dead_letters(FILE *out, const struct config_subscription *subscription)
{
    if (!subscription->dead_exchange)
        return;
    fputs("    # dead letters: exchange ", out);
    write_text(out, subscription->dead_exchange, false);
    fputs(", queue ", out);
    write_text(out, subscription->dead_queue, false);
    fputc('\n', out);
}

static void write_subscription(FILE *out, const struct config_subscription *subscription)
{
    fprintf(out, "  # %s\n", subscription->where);
    write_item(out, &config_subscription_table, &subscription->written, subscription, 2);
    write_dead_letters(out, subscription);
    write_chain(out, subscription);
}

static void write_topology(FILE *out, const struct config_topology *topology)
{
    const struct {
        const char *name;
        const struct config_table *table;
        const void *items;
        size_t count;
    } lists[] = {
        {"exchanges", &config_exchange_table, topology->exchanges, topology->exchange_count},
        {"queues", &config_queue_table, topology->queues, topology->queue_count},
        {"bindings", &config_binding_table, topology->bindings, topology->binding_count},
    };
    const char *title = "topology:\n";

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t k = 0; k < lists[i].count; k++) {
            const struct config_written *item =
                (const void *)((const char *)lists[i].items + k * lists[i].table->size);

            if (!item->node)
                break; /* it and what is behind it was added */
            if (k == 0)
                fprintf(out, "%s  %s:\n", title, lists[i].name);
            title = "";
            write_item(out, lists[i].table, item, NULL, 4);
        }
}

static void write_semaphores(FILE *out, const struct config *config)
{
    if (config->semaphore_count == 0)
        return;
    fputs("semaphores:\n", out);
    for (size_t i = 0; i < config->semaphore_count; i++) {
        fputs("  ", out);
        write_text(out, config->semaphores[i].name, false);
        fprintf(out, ": %u\n", config->semaphores[i].size);
    }
}

static void write_executors(FILE *out, const struct config *config)
{
    if (config->executor_count == 0)
        return;
    fputs("executors:\n", out);
    for (size_t i = 0; i < config->executor_count; i++) {
        fputs("  ", out);
        write_text(out, config->executors[i].name, false);
        fprintf(out, ": {threads: %" PRId64 "}\n", config->executors[i].threads);
    }
}

void config_write_effective(const struct config *config, FILE *out)
{
    write_options(out, config->private);
    write_topology(out, &config->topology);
    write_semaphores(out, config);
    write_executors(out, config);
    if (config->subscription_count)
        fputs("subscriptions:\n", out);
    for (size_t i = 0; i < config->subscription_count; i++)
        if (config_is_written(&config->subscriptions[i]))
            write_subscription(out, &config->subscriptions[i]);
}
