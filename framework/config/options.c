#include "config/options.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/token_bucket.h"

#define HOUR            3600000
#define DAY             86400000
#define DELAY_MAX       CONFIG_DELAY_MAX_MS
#define GIB             (INT64_C(1) << 30)
#define TIB             (INT64_C(1) << 40)
#define PREFETCH_MIN    1
#define PREFETCH_MAX    CONFIG_PREFETCH_MAX
#define CONCURRENCY_MIN 1
#define CONCURRENCY_MAX 256
#define BATCH_MAX       1000
#define SHARDS_MAX      CONFIG_SHARDS_MAX
#define BATCH_WAIT_MAX  600000
#define SECRET          CONFIG_OPTION_SECRET
#define RELOADS         CONFIG_OPTION_RELOADS
#define INHERITS        CONFIG_OPTION_INHERITS
#define NAME            CONFIG_OPTION_NAME
#define KEY             CONFIG_OPTION_KEY
#define SHOWN           CONFIG_OPTION_SHOWN
#define FILE            CONFIG_OPTION_FILE

#define ROW(member, name, type, min, max, fallback, choices, flags, help)                          \
    {name, (enum warren_option_type)WARREN_OPTION_##type, fallback, min, max, choices, help},
#define PLACE(target, member, name, type, min, max, fallback, choices, flags, help)                \
    {offsetof(target, member), flags},

const struct warren_option config_options[CONFIG_OPTION_COUNT + 1] = {
#define TOP                  ROW
#define OPTION(section, ...) ROW(__VA_ARGS__)
#include "config/options.def"
};

static const struct config_place option_places[] = {
#define TOP(...)                     PLACE(struct config, __VA_ARGS__)
#define OPTION(section, member, ...) PLACE(struct config, section.member, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option exchange_rows[] = {
#define EXCHANGE ROW
#include "config/options.def"
    {0}};

static const struct config_place exchange_places[] = {
#define EXCHANGE(...) PLACE(struct config_exchange, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option queue_rows[] = {
#define QUEUE ROW
#include "config/options.def"
    {0}};

static const struct config_place queue_places[] = {
#define QUEUE(...) PLACE(struct config_queue, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option binding_rows[] = {
#define BINDING ROW
#include "config/options.def"
    {0}};

static const struct config_place binding_places[] = {
#define BINDING(...) PLACE(struct config_binding, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option subscription_rows[] = {
#define SUBSCRIPTION ROW
#include "config/options.def"
    {0}};

static const struct config_place subscription_places[] = {
#define SUBSCRIPTION(...) PLACE(struct config_subscription, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option order_rows[] = {
#define ORDER ROW
#include "config/options.def"
    {0}};

static const struct config_place order_places[] = {
#define ORDER(...) PLACE(struct config_order, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option executor_rows[] = {
#define EXECUTOR ROW
#include "config/options.def"
    {0}};

static const struct config_place executor_places[] = {
#define EXECUTOR(...) PLACE(struct config_executor, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option fair_rows[] = {
#define FAIR ROW
#include "config/options.def"
    {0}};

static const struct config_place fair_places[] = {
#define FAIR(...) PLACE(struct config_fair, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option lanes_rows[] = {
#define LANE ROW
#include "config/options.def"
    {0}};

static const struct config_place lanes_places[] = {
#define LANE(...) PLACE(struct config_lanes, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option batch_rows[] = {
#define BATCH ROW
#include "config/options.def"
    {0}};

static const struct config_place batch_places[] = {
#define BATCH(...) PLACE(struct config_batch, __VA_ARGS__)
#include "config/options.def"
};

static const struct warren_option shards_rows[] = {
#define SHARD ROW
#include "config/options.def"
    {0}};

static const struct config_place shards_places[] = {
#define SHARD(...) PLACE(struct config_shards, __VA_ARGS__)
#include "config/options.def"
};

const struct config_table config_options_table = {NULL, config_options, option_places,
                                                  sizeof(struct config)};

#define TABLE(kind, article)                                                                       \
    const struct config_table config_##kind##_table = {                                            \
        article " " #kind, kind##_rows, kind##_places, sizeof(struct config_##kind)}

TABLE(exchange, "an");
TABLE(queue, "a");
TABLE(binding, "a");
TABLE(subscription, "a");
TABLE(order, "an");
TABLE(executor, "an");
TABLE(fair, "a");
TABLE(lanes, "the");
TABLE(batch, "a");
TABLE(shards, "the");

const struct config_section config_sections[] = {
#define SECTION(name, help) {#name, help},
#include "config/options.def"
    {0}};

static const struct config_source defaults = {.name = "default", .folder = ""};

const struct warren_option *config_option_find(const char *name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (strcmp(config_options[i].name, name) == 0)
            return &config_options[i];
    return NULL;
}

bool config_option_has(const struct warren_option *option, unsigned flag)
{
    return option_places[option - config_options].flags & flag;
}

void config_option_variable(const struct warren_option *option, char text[CONFIG_VARIABLE_SIZE])
{
    snprintf(text, CONFIG_VARIABLE_SIZE, "WARREN_%s", option->name);
    for (char *c = text; *c; c++)
        *c = *c == '.' ? '_' : ascii_upper(*c);
}

enum warren_status config_option_set(struct config_scope *scope, struct config_private *config,
                                     const struct warren_option *option,
                                     const struct config_node *node)
{
    struct config_value *value = &config->values[option - config_options];

    value->given = node->source != &defaults;
    return config_value_parse(scope, option, option->name,
                              config_option_has(option, CONFIG_OPTION_SECRET), node, value);
}

static void store(enum warren_option_type type, const struct config_value *value, void *member)
{
    switch ((int)type) {
    case WARREN_OPTION_LIST:
    case WARREN_OPTION_PATHS:
        *(const char *const **)member = value->list;
        *(size_t *)(void *)((char *)member + sizeof(char **)) = value->count;
        break;
    case WARREN_OPTION_RANGE:
        ((int64_t *)member)[0] = value->integer;
        ((int64_t *)member)[1] = value->least;
        break;
    case WARREN_OPTION_ENUM:
    case WARREN_OPTION_STRING:
        *(const char **)member = value->text;
        break;
    case WARREN_OPTION_PATH:
        *(const char **)member = *value->text ? value->text : NULL;
        break;
    case WARREN_OPTION_BOOL:
        *(bool *)member = value->boolean;
        break;
    case WARREN_OPTION_ARGUMENTS:
        *(struct warren_table *)member = value->table;
        break;
    case WARREN_OPTION_MAPPING:
    case WARREN_OPTION_CHAIN:
        *(const struct config_node **)member = value->node;
        break;
    default:
        *(int64_t *)member = value->integer;
    }
}

void config_store(const struct config_table *table, const struct config_value *values, void *target)
{
    for (size_t i = 0; table->rows[i].name; i++)
        store(table->rows[i].type, &values[i], (char *)target + table->places[i].offset);
}

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
    const struct warren_option *a = &config_options[low];
    const struct warren_option *b = &config_options[high];
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
    if (strcmp(config->config.broker.sasl, "external") == 0 && !cert)
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
    if (config->values[CONFIG_broker_heartbeat_ms].integer % 1000)
        return config_fail(scope, config->values[CONFIG_broker_heartbeat_ms].node,
                           "broker.heartbeat must be whole seconds");
    status = check_order(scope, config, CONFIG_broker_reconnect_delay_min_ms,
                         CONFIG_broker_reconnect_delay_max_ms);
    if (status == WARREN_OK)
        status =
            check_order(scope, config, CONFIG_consumer_message_max, CONFIG_consumer_memory_max);
    return status == WARREN_OK ? check_tls(scope, config) : status;
}

enum warren_status config_options_finish(struct config_scope *scope, struct config_private *config)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_node *node;
        enum warren_status status;

        if (config->values[i].given)
            continue;
        node = config_node_text(scope, &defaults, config_options[i].fallback);
        if (!node)
            return config_nomem(scope);
        status = config_option_set(scope, config, &config_options[i], node);
        if (status != WARREN_OK)
            return status;
    }
    config_store(&config_options_table, config->values, &config->config);
    return check(scope, config);
}
