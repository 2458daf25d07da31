#include "config/options.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

#define HOUR            3600000
#define DAY             86400000
#define DELAY_MAX       CONFIG_DELAY_MAX_MS
#define GIB             (INT64_C(1) << 30)
#define TIB             CONFIG_BYTES_MAX
#define PREFETCH_MIN    CONFIG_PREFETCH_MIN
#define PREFETCH_MAX    CONFIG_PREFETCH_MAX
#define CONCURRENCY_MIN CONFIG_CONCURRENCY_MIN
#define CONCURRENCY_MAX CONFIG_CONCURRENCY_MAX
#define SECRET          CONFIG_OPTION_SECRET
#define RELOADS         CONFIG_OPTION_RELOADS
#define PLUGINS         CONFIG_OPTION_PLUGINS

const struct config_option config_options[CONFIG_OPTION_COUNT] = {
#define OPTION(id, name, type, member, min, max, fallback, choices, flags, help)                   \
    {{name, WARREN_OPTION_##type, fallback, min, max, choices, help},                              \
     offsetof(struct config_private, member),                                                      \
     flags},
#include "config/options.def"
#undef OPTION
};

const struct config_section config_sections[CONFIG_SECTION_COUNT] = {
    {"broker", "How to reach RabbitMQ, and how long to wait for it."},
    {"consumer", "How messages come in. A subscription may override some of it."},
    {"publisher", "How handlers and `warren publish` send messages."},
    {"spool", "Where the worker keeps what it publishes until the broker has it; without a path "
              "it is kept in memory."},
    {"delay", "Messages that shall be delivered later."},
    {"dead_letter", "Where messages go that no attempt can help."},
    {"drain", "How the worker stops."},
    {"store", "Where the middleware idempotency remembers what was done."},
    {"crash", "What becomes of a message whose handler crashes."},
    {"log", "What is written to standard error."},
};

static const struct config_source defaults = {.name = "default", .folder = ""};

const struct config_option *config_option_find(const char *name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (strcmp(config_options[i].option.name, name) == 0)
            return &config_options[i];
    return NULL;
}

void config_option_variable(const struct config_option *option, char text[CONFIG_VARIABLE_SIZE])
{
    snprintf(text, CONFIG_VARIABLE_SIZE, "WARREN_%s", option->option.name);
    for (char *c = text; *c; c++)
        *c = *c == '.' ? '_' : ascii_upper(*c);
}

static enum warren_status resolve_plugins(struct config_scope *scope, struct config_value *value)
{
    const char **paths = arena_alloc(scope->arena, value->count * sizeof *paths);

    if (!paths)
        return config_nomem(scope);
    for (size_t i = 0; i < value->count; i++) {
        paths[i] = config_path(scope, value->node->source, value->list[i]);
        if (!paths[i])
            return config_nomem(scope);
    }
    value->list = value->count ? paths : NULL;
    return WARREN_OK;
}

enum warren_status config_option_set(struct config_scope *scope, struct config_private *config,
                                     const struct config_option *option,
                                     const struct config_node *node)
{
    struct config_value *value = &config->values[option - config_options];
    enum warren_status status =
        config_value_parse(scope, &option->option, option->option.name,
                           option->flags & CONFIG_OPTION_SECRET, node, value);

    value->given = node->source != &defaults;
    if (status == WARREN_OK && option->flags & CONFIG_OPTION_PLUGINS)
        status = resolve_plugins(scope, value);
    return status;
}

static void store(struct config_private *config, const struct config_option *option,
                  const struct config_value *value)
{
    void *member = (char *)config + option->offset;

    switch (option->option.type) {
    case WARREN_OPTION_LIST:
        /* The number of texts is the member behind the list, see the assertions below. */
        *(const char *const **)member = value->list;
        *(size_t *)(void *)((char *)member + sizeof(char **)) = value->count;
        break;
    case WARREN_OPTION_ENUM:
    case WARREN_OPTION_STRING:
    case WARREN_OPTION_PATH:
        *(const char **)member = *value->text ? value->text : NULL;
        break;
    case WARREN_OPTION_BOOL:
        *(bool *)member = value->boolean;
        break;
    default:
        *(int64_t *)member = value->integer;
    }
}

_Static_assert(offsetof(struct config, plugin_count) ==
                   offsetof(struct config, plugins) + sizeof(char **),
               "store() relies on it");
_Static_assert(offsetof(struct config, broker.uri_count) ==
                   offsetof(struct config, broker.uri) + sizeof(char **),
               "store() relies on it");

/* Blame the one of two that was given; two defaults never contradict each other. */
static const struct config_node *culprit(const struct config_private *config,
                                         enum config_option_id a, enum config_option_id b)
{
    return config->values[a].given ? config->values[a].node : config->values[b].node;
}

static enum warren_status check_order(struct config_scope *scope,
                                      const struct config_private *config,
                                      enum config_option_id low, enum config_option_id high)
{
    const struct warren_option *a = &config_options[low].option;
    const struct warren_option *b = &config_options[high].option;
    char low_text[CONFIG_NUMBER_SIZE];
    char high_text[CONFIG_NUMBER_SIZE];

    if (config->values[low].integer <= config->values[high].integer)
        return WARREN_OK;
    config_value_number(a->type, config->values[low].integer, low_text, sizeof low_text);
    config_value_number(b->type, config->values[high].integer, high_text, sizeof high_text);
    return config_fail(scope, culprit(config, low, high), "%s (%s) must not exceed %s (%s)",
                       a->name, low_text, b->name, high_text);
}

static enum warren_status check_tls(struct config_scope *scope, const struct config_private *config)
{
    const char *cert = config->config.broker.tls_cert_file;
    const char *key = config->config.broker.tls_key_file;

    if (!cert != !key)
        return config_fail(scope,
                           culprit(config, CONFIG_broker_tls_cert_file, CONFIG_broker_tls_key_file),
                           "broker.tls.cert_file and broker.tls.key_file need each other");
    if (config->config.broker.sasl_external && !cert)
        return config_fail(scope, config->values[CONFIG_broker_sasl].node,
                           "broker.sasl is external, which needs broker.tls.cert_file");
    return WARREN_OK;
}

static enum warren_status check(struct config_scope *scope, struct config_private *config)
{
    const struct config_value *uri = &config->values[CONFIG_broker_uri];
    enum warren_status status;

    if (!uri->count)
        return config_fail(scope, uri->node,
                           "broker.uri is empty, expected an address such as "
                           "amqp://user:password@host:5672/vhost");
    if (config->values[CONFIG_broker_heartbeat].integer % 1000)
        return config_fail(scope, config->values[CONFIG_broker_heartbeat].node,
                           "broker.heartbeat must be whole seconds");
    status = check_order(scope, config, CONFIG_broker_reconnect_delay_min,
                         CONFIG_broker_reconnect_delay_max);
    if (status == WARREN_OK)
        status =
            check_order(scope, config, CONFIG_consumer_message_max, CONFIG_consumer_memory_max);
    return status == WARREN_OK ? check_tls(scope, config) : status;
}

enum warren_status config_options_finish(struct config_scope *scope, struct config_private *config)
{
    enum warren_status status;

    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *option = &config_options[i];
        const struct config_node *node;

        if (!config->values[i].given) {
            node = config_node_text(scope, &defaults, option->option.fallback);
            if (!node)
                return config_nomem(scope);
            status = config_option_set(scope, config, option, node);
            if (status != WARREN_OK)
                return status;
        }
        store(config, option, &config->values[i]);
    }
    config->config.broker.sasl_external = strcmp(config->sasl, "external") == 0;
    return check(scope, config);
}
