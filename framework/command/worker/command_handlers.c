#include <stdlib.h>

#include <jansson.h>

#include "command/cli/print.h"
#include "command/worker/command_worker.h"
#include "plugin/loader.h"

static const struct cli_option options[] = {
    {.name = "json", .letter = 'j', .help = "Print one JSON object", .take = cli_take_flag},
    CLI_END};

static const char *type_name(enum warren_option_type type)
{
    static const char *const names[] = {NULL,     "bool", "int",  "size", "duration",
                                        "string", "path", "enum", "list"};

    return type >= WARREN_OPTION_BOOL && type <= WARREN_OPTION_LIST ? names[type] : "unknown";
}

/* ---- for people ---- */

static void write_option(const struct warren_option *option)
{
    printf("    %-16s %s", option->name, type_name(option->type));
    if (option->type == WARREN_OPTION_ENUM && option->choices)
        printf(" %s", option->choices);
    if (option->fallback)
        printf(", default %s", *option->fallback ? option->fallback : "none");
    else
        printf(", required");
    printf("\n%s%s%s", option->help ? "        " : "", option->help ? option->help : "",
           option->help ? "\n" : "");
}

static void write_item(const struct plugin *plugin, const char *name, const char *kind,
                       const char *help, const struct warren_option *table)
{
    printf("\n  %s.%s%s\n", plugin->name, name, kind);
    if (help)
        printf("    %s\n", help);
    for (const struct warren_option *o = table; o && o->name; o++)
        write_option(o);
}

static void write_plugin(const struct plugin *plugin)
{
    printf("%s %s (%s)\n", plugin->name, plugin->version, plugin->where);
    for (size_t i = 0; i < plugin->handler_count; i++) {
        const struct warren_handler *handler = &plugin->handlers[i];

        write_item(plugin, handler->name, handler->handle_batch ? " (batches)" : "", handler->help,
                   handler->options);
    }
    for (size_t i = 0; i < plugin->middleware_count; i++) {
        const struct warren_middleware *middleware = &plugin->middlewares[i];

        write_item(plugin, middleware->name, " (middleware)", middleware->help,
                   middleware->options);
    }
}

/* ---- for programs ---- */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *option_json(const struct warren_option *option)
{
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", option->name, "type",
                  type_name(option->type), "required", option->fallback == NULL, "default",
                  text_or_null(option->fallback), "help", text_or_null(option->help));

    if (object && option->choices)
        json_object_set_new(object, "choices", json_string(option->choices));
    if (object && (option->min != 0 || option->max != 0)) {
        json_object_set_new(object, "min", json_integer(option->min));
        json_object_set_new(object, "max", json_integer(option->max));
    }
    return object;
}

static json_t *item_json(const struct plugin *plugin, const char *name, const char *help,
                         const struct warren_option *table)
{
    json_t *list = json_array();

    for (const struct warren_option *o = table; o && o->name; o++)
        json_array_append_new(list, option_json(o));
    return json_pack("{s:o, s:o, s:o}", "name", json_sprintf("%s.%s", plugin->name, name), "help",
                     text_or_null(help), "options", list);
}

static enum cli_status write_json(struct cli *cli, const struct plugin *plugin)
{
    json_t *handlers = json_array();
    json_t *middlewares = json_array();
    json_t *object;

    for (size_t i = 0; i < plugin->handler_count; i++) {
        const struct warren_handler *h = &plugin->handlers[i];

        json_t *item = item_json(plugin, h->name, h->help, h->options);

        if (item)
            json_object_set_new(item, "batches", json_boolean(h->handle_batch != NULL));
        json_array_append_new(handlers, item);
    }
    for (size_t i = 0; i < plugin->middleware_count; i++) {
        const struct warren_middleware *m = &plugin->middlewares[i];

        json_array_append_new(middlewares, item_json(plugin, m->name, m->help, m->options));
    }
    object =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "plugin", plugin->name, "version", plugin->version,
                  "file", plugin->where, "handlers", handlers, "middlewares", middlewares);
    if (!object)
        return cli_failed(cli, "%s cannot be written as JSON: its texts are not UTF-8",
                          plugin->where);
    cli_print_json(object);
    return CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;
    enum cli_status status = CLI_OK;
    bool json = false;
    const char *file;

    if (!cli_read(cli, &json))
        return cli->status;
    file = cli_argument(cli);
    if (!file)
        return cli_usage(cli, "which plugin? Name its .so file");
    if (cli_argument(cli))
        return cli_usage(cli, "one plugin at a time");
    if (plugin_load(file, &plugin, &error) != WARREN_OK)
        return cli_error(cli, &error);
    if (json)
        status = write_json(cli, plugin);
    else
        write_plugin(plugin);
    plugin_free(plugin);
    return status;
}

const struct command command_handlers = {
    .name = "handlers",
    .arguments = "PLUGIN.so",
    .summary = "List the handlers and middlewares of a plugin, and their options",
    .options = options,
    .run = run,
};
