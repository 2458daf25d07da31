#include "app/settings.h"

#include <string.h>
#include <unistd.h>

#include "amqp/net/transport.h"
#include "amqp/net/uri.h"
#include "app/tracing_settings.h"
#include "base/error.h"
#include "base/suggest.h"
#include "http/login.h"

/* Long enough for a path of usual length; longer ones are cut. */
#define PLACE_SIZE 320

/* The configuration keeps sizes and times in 64 bits, within ranges that the option table sets. */
static uint32_t u32(int64_t number)
{
    return number > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

void settings_publisher(const struct config *config, const char *name,
                        struct warren_publisher_options *options)
{
    warren_publisher_options_init(options);
    options->uris = config->broker.uri;
    options->uri_count = config->broker.uri_count;
    options->password_file = config->broker.password_file;
    options->unnamed_vhost = config->broker.unnamed_vhost;
    options->ca_file = config->broker.tls_ca_file;
    options->cert_file = config->broker.tls_cert_file;
    options->key_file = config->broker.tls_key_file;
    options->sasl_external = strcmp(config->broker.sasl, "external") == 0;
    options->name = name;
    options->window_messages = u32(config->publisher.window_messages);
    options->window_bytes = (size_t)config->publisher.window_bytes;
    options->when_full =
        strcmp(config->publisher.when_full, "fail") == 0 ? WARREN_FAIL : WARREN_BLOCK;
    options->block_timeout_ms = u32(config->publisher.block_timeout_ms);
    options->timeout_ms = u32(config->publisher.timeout_ms);
    options->heartbeat_s = u32(config->broker.heartbeat_ms / 1000);
    options->connect_timeout_ms = u32(config->broker.connect_timeout_ms);
    options->reconnect_delay_min_ms = u32(config->broker.reconnect_delay_min_ms);
    options->reconnect_delay_max_ms = u32(config->broker.reconnect_delay_max_ms);
    options->delay_longest_ms = (uint64_t)config->delay.longest_ms;
    options->rate = (double)config->publisher.rate;
    options->burst = u32(config->publisher.burst);
}

void settings_spool(const struct config *config, struct warren_publisher_options *options)
{
    options->spool_path = config->spool.path;
    options->spool_max_bytes = (uint64_t)config->spool.max_bytes;
    options->spool_max_age_ms = (uint64_t)config->spool.max_age_ms;
    options->spool_unsynced = strcmp(config->spool.synchronous, "normal") == 0;
    options->spool_when_full = (enum warren_spool_when_full)choices_find("block|fail|drop_oldest",
                                                                         config->spool.when_full);
}

enum warren_status settings_connection(const struct config *config, const char *name,
                                       struct publisher_settings *settings,
                                       struct warren_error *error)
{
    struct connection_options *connection = &settings->connection;
    struct warren_publisher_options publisher;
    enum warren_status status;

    settings_publisher(config, name, &publisher);
    status = publisher_settings_init(&publisher, settings, error);
    if (status != WARREN_OK)
        return status;
    connection->rpc_timeout_ms = u32(config->broker.rpc_timeout_ms);
    connection->read_coalesce_us = u32(config->consumer.coalesce_us);
    connection->read_window = 0;
    for (size_t i = 0; i < config->subscription_count; i++) {
        uint32_t prefetch = u32(config->subscriptions[i].prefetch);

        /* The smallest: a rest must not let any subscription run dry. */
        if (i == 0 || prefetch < connection->read_window)
            connection->read_window = prefetch;
    }
    return WARREN_OK;
}

static enum warren_status check_addresses(const struct config *config, bool *ret_tls,
                                          struct warren_error *error)
{
    for (size_t i = 0; i < config->broker.uri_count; i++) {
        struct warren_error why = {WARREN_OK, ""};
        char where[PLACE_SIZE];
        struct uri uri;

        if (uri_parse(config->broker.uri[i], &uri, &why) != WARREN_OK) {
            config_where(config, "broker.uri", i, where, sizeof where);
            return error_set(error, WARREN_ECONFIG, "%s: %s", where, why.text);
        }
        *ret_tls = *ret_tls || uri.tls;
        explicit_bzero(&uri, sizeof uri);
    }
    return WARREN_OK;
}

/* As it is in the browser of who looks at the API itself. */
static bool names_api(const char *base)
{
    const char *slash = strrchr(base, '/');

    return slash && strcmp(slash, "/api") == 0 && slash > base && slash[-1] != '/';
}

static enum warren_status check_management(const struct config *config, struct http_login *ret,
                                           struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    char where[PLACE_SIZE];

    if (http_login_parse(config->broker.management, ret, &why) == WARREN_OK &&
        !names_api(ret->base))
        return WARREN_OK;
    if (why.status == WARREN_OK)
        error_set(&why, WARREN_ECONFIG,
                  "it must be http://HOST:PORT or https://HOST:PORT, without /api, which is added; "
                  "behind PORT stands RabbitMQ's management.path_prefix, if it has one");
    config_where(config, "broker.management", 0, where, sizeof where);
    return error_set(error, WARREN_ECONFIG, "%s: broker.management: %s", where, why.text);
}

/* User and password stand in the address, in the file of its own, or are those of the broker. */
static void choose_login(const struct uri *uri, bool own_file, struct http_login *login)
{
    if (!login->has_user)
        memcpy(login->user, uri->user, sizeof login->user);
    if (own_file || !login->has_user)
        memcpy(login->password, uri->password, sizeof login->password);
}

enum warren_status settings_management(const struct config *config,
                                       struct settings_management *settings,
                                       struct warren_error *error)
{
    struct warren_publisher_options options;
    struct publisher_settings broker;
    enum warren_status status = check_management(config, &settings->login, error);

    if (status != WARREN_OK)
        return status;
    settings_publisher(config, "warren", &options);
    if (config->broker.management_password_file)
        options.password_file = config->broker.management_password_file;
    status = publisher_settings_init(&options, &broker, error);
    if (status != WARREN_OK)
        return status;
    choose_login(&broker.connection.uris[0], config->broker.management_password_file != NULL,
                 &settings->login);
    memcpy(settings->vhost, broker.connection.uris[0].vhost, sizeof settings->vhost);
    settings->tls = broker.connection.tls;
    settings->timeout_ms =
        u32(config->broker.connect_timeout_ms) + u32(config->broker.rpc_timeout_ms);
    publisher_settings_done(&broker);
    return WARREN_OK;
}

void settings_management_done(struct settings_management *settings)
{
    explicit_bzero(settings, sizeof *settings);
}

enum warren_status settings_check(const struct config *config, struct warren_error *error)
{
    struct publisher_settings settings;
    struct tls_context *context = NULL;
    struct tracing_settings tracing = {0};
    struct http_login login;
    bool tls = false;
    enum warren_status status = check_addresses(config, &tls, error);

    if (status == WARREN_OK && *config->broker.management) {
        status = check_management(config, &login, error);
        explicit_bzero(&login, sizeof login);
    }
    if (status == WARREN_OK)
        status = settings_connection(config, "warren", &settings, error);
    if (status != WARREN_OK)
        return status;
    if (tls)
        status = tls_context_new(&settings.connection.tls, &context, error);
    if (status == WARREN_OK)
        status = tracing_settings_init(config, environ, &tracing, error);
    tracing_settings_done(&tracing);
    tls_context_free(context);
    publisher_settings_done(&settings);
    return status;
}

void settings_log(const struct config *config)
{
    enum warren_log_level level =
        (enum warren_log_level)choices_find(LOG_LEVELS, config->log.level);

    log_set(level, strcmp(config->log.format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
}
