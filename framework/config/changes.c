/* changes.c - what of a new configuration a running worker cannot take over. */
#include <stdio.h>
#include <string.h>

#include "config/options.h"

#define NAME_SIZE   640
#define VALUES_SIZE 96

struct changes {
    config_change_fn *differs;
    void *user;
};

/* ---- why ---- */

/* What begins so, the first one that fits. */
static const struct {
    const char *begin;
    const char *why;
} reasons[] = {
    {"broker.", "it is of the connections, which stay open"},
    {"state_dir", "the flight recorder and the places of streams are open there"},
    {"consumer.", "the connection was made with it"},
    {"publisher.", "the publisher was made with it"},
    {"delay.", "the publisher was made with it"},
    {"spool.", "the publisher has its spool open"},
    {"store.", "the database is open"},
    {"drain.", "what ends a process with a crashed handler was set up with it"},
    {"crash.", "the flight recorder counts by it"},
    {"admin.", "the admin listener is open"},
    {"tracing.", "what sends spans runs"},
    {"executor", "threads that are shared are there from the start"},
    {"share", "threads that are shared are there from the start"},
    {"order", "messages that are here stand in lines by it"},
    {"fair", "messages that are here stand in lines by it"},
    {"", "the worker was made with it"},
};

static const char *why_of(const char *name)
{
    size_t i = 0;

    while (strncmp(name, reasons[i].begin, strlen(reasons[i].begin)) != 0)
        i++;
    return reasons[i].why;
}

/* What is not told whole: its parts are. */
static bool has_parts(const struct warren_option *row)
{
    return strcmp(row->name, "subscriptions") == 0 || strcmp(row->name, "middleware") == 0;
}

static bool is_number(const struct warren_option *row)
{
    return row->type == WARREN_OPTION_INT || row->type == WARREN_OPTION_SIZE ||
           row->type == WARREN_OPTION_DURATION || (int)row->type == WARREN_OPTION_RANGE;
}

/* ": 10 > 20", where that is short. */
static void write_values(const struct warren_option *row, const struct config_value *a,
                         const struct config_value *b, char text[VALUES_SIZE])
{
    char before[CONFIG_NUMBER_SIZE];
    char now[CONFIG_NUMBER_SIZE];

    text[0] = '\0';
    if (row->type == WARREN_OPTION_ENUM)
        snprintf(text, VALUES_SIZE, ": %s > %s", a->text, b->text);
    if (!is_number(row))
        return;
    config_value_numbers(row->type, a, before, sizeof before);
    config_value_numbers(row->type, b, now, sizeof now);
    snprintf(text, VALUES_SIZE, ": %s > %s", before, now);
}

/* @queue NULL: they are options of the worker. */
static void compare_values(const struct changes *changes, const struct config_table *table,
                           const struct config_value *a, const struct config_value *b,
                           const char *queue)
{
    for (size_t i = 0; table->rows[i].name; i++) {
        const struct warren_option *row = &table->rows[i];
        bool reloads = table->places[i].flags & CONFIG_OPTION_RELOADS;
        char values[VALUES_SIZE];
        char name[NAME_SIZE];

        if (has_parts(row) || config_value_equal(row->type, &a[i], &b[i]))
            continue;
        write_values(row, &a[i], &b[i], values);
        snprintf(name, sizeof name, "%s%s%s%s", row->name, queue ? " of " : "", queue ? queue : "",
                 reloads ? values : "");
        changes->differs(changes->user, name, reloads ? NULL : why_of(row->name));
    }
}

static bool same_subscription(const struct config_subscription *a,
                              const struct config_subscription *b)
{
    return strcmp(a->queue, b->queue) == 0 && strcmp(a->handler, b->handler) == 0;
}

bool config_same_chain(const struct config_subscription *a, const struct config_subscription *b)
{
    if (a->chain_count != b->chain_count)
        return false;
    for (size_t i = 0; i < a->chain_count; i++)
        if (strcmp(a->chain[i].name, b->chain[i].name) != 0)
            return false;
    return true;
}

/* Several may be of the same queue and handler: the first is the first, and so on. */
const struct config_subscription *config_same_subscription(const struct config *before,
                                                           size_t index, const struct config *now)
{
    const struct config_subscription *wanted = &before->subscriptions[index];
    size_t skip = 0;

    for (size_t i = 0; i < index; i++)
        skip += same_subscription(&before->subscriptions[i], wanted);
    for (size_t i = 0; i < now->subscription_count; i++)
        if (same_subscription(&now->subscriptions[i], wanted) && skip-- == 0)
            return &now->subscriptions[i];
    return NULL;
}

void config_changes(const struct config *before, const struct config *now,
                    config_change_fn *differs, void *user)
{
    const struct changes changes = {differs, user};

    compare_values(&changes, &config_options_table, before->private->values, now->private->values,
                   NULL);
}

void config_subscription_changes(const struct config_subscription *before,
                                 const struct config_subscription *now, config_change_fn *differs,
                                 void *user)
{
    const struct changes changes = {differs, user};

    compare_values(&changes, &config_subscription_table, before->written.values,
                   now->written.values, before->queue);
}

bool config_subscription_differs(const struct config_subscription *a,
                                 const struct config_subscription *b, const char *name)
{
    const struct config_table *table = &config_subscription_table;
    size_t i = 0;

    while (strcmp(table->rows[i].name, name) != 0)
        i++;
    return !config_value_equal(table->rows[i].type, &a->written.values[i], &b->written.values[i]);
}

bool config_topology_differs(const struct config *a, const struct config *b)
{
    size_t i = CONFIG_topology_node;

    return !config_value_equal(config_options[i].type, &a->private->values[i],
                               &b->private->values[i]);
}
