/* reference.c - the page docs/configuration.md and the help text, both from the tables. */
#include <string.h>

#include "base/suggest.h"
#include "config/options.h"

/* reference.txt: prose, and "@queue" on a line where that table stands. Made a text by CMake. */
extern const char config_reference_page[];

/* In a table of Markdown a bar ends the cell, even inside of `code`. */
static void write_cell(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '|')
            fputs("\\|", out);
        else
            fputc(*text, out);
}

static void write_type(FILE *out, const struct warren_option *option, const char *code)
{
    char min[CONFIG_NUMBER_SIZE];
    char max[CONFIG_NUMBER_SIZE];
    const char *choices = option->choices;
    const char *choice;
    size_t len;

    if (option->type == WARREN_OPTION_ENUM) {
        for (size_t i = 0; (len = choices_next(&choices, &choice)) > 0; i++)
            fprintf(out, "%s%s%.*s%s", i ? ", " : "", code, (int)len, choice, code);
        return;
    }
    fputs(config_type_name(option->type), out);
    if (!option->min && !option->max)
        return;
    config_value_number(option->type, option->min, min, sizeof min);
    config_value_number(option->type, option->max, max, sizeof max);
    fprintf(out, ", %s to %s", min, max);
}

static void write_default(FILE *out, const struct warren_option *option)
{
    if (!option->fallback)
        fputs("required", out);
    else if (!*option->fallback)
        fputs("none", out);
    else
        fprintf(out, "`%s`", option->fallback);
}

/* @variable NULL: it has none. */
static void write_row(FILE *out, const struct warren_option *row, const char *variable,
                      bool reloads)
{
    fprintf(out, "| `%s` | ", row->name);
    write_type(out, row, "`");
    fputs(" | ", out);
    write_default(out, row);
    if (variable)
        fprintf(out, " | `%s`", variable);
    fputs(" | ", out);
    write_cell(out, row->help);
    fputs(reloads ? " *Reloads.* |\n" : " |\n", out);
}

/* @section NULL: the options that are in none. */
static void write_section(FILE *out, const char *section)
{
    size_t len = section ? strlen(section) : 0;
    char variable[CONFIG_VARIABLE_SIZE];

    fputs("| option | type and range | default | variable | meaning |\n|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_options[i].name;

        if (config_option_has(&config_options[i], CONFIG_OPTION_FILE) ||
            !(section ? strncmp(name, section, len) == 0 && name[len] == '.' : !strchr(name, '.')))
            continue;
        config_option_variable(&config_options[i], variable);
        write_row(out, &config_options[i], variable,
                  config_option_has(&config_options[i], CONFIG_OPTION_RELOADS));
    }
}

/* @places NULL: nothing is known of its rows. */
static void write_table(FILE *out, const struct warren_option *table,
                        const struct config_place *places)
{
    fputs("| key | type and range | default | meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; table[i].name; i++)
        write_row(out, &table[i], NULL, places && places[i].flags & CONFIG_OPTION_RELOADS);
}

static void write_sections(FILE *out)
{
    for (const struct config_section *section = config_sections; section->name; section++) {
        fprintf(out, "\n## %s\n\n%s\n\n", section->name, section->help);
        write_section(out, section->name);
    }
}

static void write_middlewares(FILE *out, const struct config_middleware_help *middlewares)
{
    for (; middlewares && middlewares->name; middlewares++) {
        fprintf(out, "\n### %s\n\n%s\n\n", middlewares->name, middlewares->help);
        if (middlewares->options && middlewares->options->name)
            write_table(out, middlewares->options, NULL);
        else
            fputs("It takes no options.\n", out);
    }
}

/* @name: what stands behind the @ on a line of the page. */
static void write_part(FILE *out, const char *name,
                       const struct config_middleware_help *middlewares)
{
    static const struct config_table *const tables[] = {
        &config_exchange_table,     &config_queue_table, &config_binding_table,
        &config_subscription_table, &config_order_table, &config_executor_table,
        &config_fair_table,         &config_lanes_table, &config_shards_table,
        &config_batch_table};

    if (strncmp(name, "plugins", 7) == 0)
        write_section(out, NULL);
    else if (strncmp(name, "sections", 8) == 0)
        write_sections(out);
    else if (strncmp(name, "middlewares", 11) == 0)
        write_middlewares(out, middlewares);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const char *kind = strchr(tables[i]->what, ' ') + 1;

        if (strncmp(name, kind, strlen(kind)) == 0)
            write_table(out, tables[i]->rows, tables[i]->places);
    }
}

void config_write_reference(FILE *out, const struct config_middleware_help *middlewares)
{
    const char *line = config_reference_page;

    while (*line) {
        size_t len = strcspn(line, "\n") + 1;

        if (*line == '@')
            write_part(out, line + 1, middlewares);
        else
            fwrite(line, 1, len, out);
        line += len;
    }
}

void config_write_help(FILE *out)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct warren_option *option = &config_options[i];
        char variable[CONFIG_VARIABLE_SIZE];

        if (config_option_has(option, CONFIG_OPTION_FILE))
            continue;
        config_option_variable(option, variable);
        fprintf(out, "  %-28s %-34s ", option->name, variable);
        write_type(out, option, "");
        if (option->fallback && *option->fallback)
            fprintf(out, " (%s)", option->fallback);
        fprintf(out, "\n      %s\n", option->help);
    }
}
