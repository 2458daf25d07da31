#include "app/worker_subscriptions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/worker_limits.h"
#include "base/error.h"
#include "base/log_event.h"
#include "base/middleware_own.h"
#include "config/node.h"
#include "middleware/builtin.h"
#include "plugin/instance.h"
#include "store/writer/transactor.h"

/* One link of a chain, open. */
struct chain_link {
    const struct config_middleware *config;
    const struct warren_options *options; /* in force, but for the fixed ones: */
    struct warren_subscription_info info; /* those are the options of the beginning */
    struct middleware_instance instance;
};

/* One subscription, open. */
struct open_subscription {
    const struct setup_subscription *setup;
    struct warren_subscription kept;
    struct warren_subscription_info info;
    struct instance handler;
    struct chain_link *chain;
    size_t chain_count;
    struct runtime_subscription runs; /* how; it borrows what is below */
    struct chain_member *members;     /* of the chain, those that are open */
};

struct open_subscriptions {
    const struct worker_setup *setup;
    struct key_writer *key_writer;
    struct open_subscription *items; /* as many as there are subscriptions */
    size_t count;
};

/* ---- opening ---- */

static bool is_builtin(const struct warren_middleware *middleware)
{
    for (size_t i = 0; builtin_middlewares[i]; i++)
        if (builtin_middlewares[i] == middleware)
            return true;
    return false;
}

static enum warren_status error_at(const struct config_node *node, enum warren_status status,
                                   const struct warren_error *why, struct warren_error *error)
{
    char where[CONFIG_WHERE_SIZE];

    config_node_where(node, where, sizeof where);
    return error_set(error, status, "%s: %s", where, why->text);
}

static enum warren_status open_link(const struct open_subscriptions *open,
                                    struct open_subscription *one, size_t index, bool only_builtin,
                                    struct warren_error *error)
{
    const struct config_middleware *config = &one->setup->config->chain[index];
    struct chain_link *link = &one->chain[index];
    const struct warren_middleware *middleware;
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status;

    link->config = config;
    link->options = config->options;
    link->info = one->info;
    link->info.options = config->options;
    link->info.user = registry_user(open->setup->registry, config->name);
    status = registry_find_middleware(open->setup->registry, config->name, &middleware, &why);
    if (status == WARREN_OK && (!only_builtin || is_builtin(middleware)))
        status = middleware_open(&link->instance, middleware, config->name, &link->info, &why);
    else if (status == WARREN_OK)
        status =
            middleware_check(middleware, config->name, link->info.queue, config->options, &why);
    if (status != WARREN_OK)
        return error_at(config->node, status, &why, error);
    if (link->instance.is_open)
        one->members[one->runs.middleware_count++] = (struct chain_member){
            link->instance.middleware, link->instance.state, is_builtin(link->instance.middleware)};
    return WARREN_OK;
}

static struct sqlite3 *database_of(const struct open_subscriptions *open,
                                   const struct warren_handler *handler)
{
    if (!handler->transactional)
        return NULL;
    if (open->setup->scratch || !open->key_writer)
        return open->setup->scratch;
    return transactor_handle(key_writer_transactor(open->key_writer));
}

/* As far as the configuration says: RabbitMQ takes the argument for streams alone. */
static bool is_stream(const struct config *config, const struct config_subscription *subscription)
{
    const struct config_queue *queue = config_find_queue(&config->topology, subscription->queue);

    if (queue && strcmp(queue->type, "stream") == 0)
        return true;
    return warren_table_get(&subscription->arguments, "x-stream-offset") != NULL;
}

static void set_up_run(const struct open_subscriptions *open, struct open_subscription *one)
{
    const struct config_subscription *config = one->setup->config;

    one->runs = (struct runtime_subscription){
        .queue = config->queue,
        .handler_name = config->handler,
        .handler = one->setup->handler,
        .middlewares = one->members,
        .prefetch = (uint16_t)config->prefetch,
        .prefetch_bytes = (size_t)config->prefetch_bytes,
        .stop_at_gap = strcmp(config->on_gap, "stop") == 0,
        .concurrency = (uint32_t)config->concurrency,
        .arguments = &config->arguments,
        .dead_exchange = config->dead_exchange,
        .dead_queue = config->dead_queue,
        .is_stream = is_stream(open->setup->config, config),
        .begin = STREAM_AS_CONFIGURED,
    };
}

static enum warren_status open_chain(const struct open_subscriptions *open,
                                     struct open_subscription *one, bool only_builtin,
                                     struct warren_error *error)
{
    size_t count = one->setup->config->chain_count;
    enum warren_status status = WARREN_OK;

    one->chain = calloc(count + 1, sizeof *one->chain);
    one->members = calloc(count + 1, sizeof *one->members);
    if (!one->chain || !one->members)
        return error_set(error, WARREN_ENOMEM, "no memory for the middlewares");
    one->chain_count = count;
    set_up_run(open, one);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = open_link(open, one, i, only_builtin, error);
    return status;
}

static enum warren_status open_one(const struct open_subscriptions *open, size_t index,
                                   bool only_builtin, struct warren_error *error)
{
    const struct setup_subscription *setup = &open->setup->subscriptions[index];
    struct open_subscription *one = &open->items[index];
    enum warren_status status;

    one->setup = setup;
    one->kept = (struct warren_subscription){.key_writer = open->key_writer,
                                             .sqlite = database_of(open, setup->handler)};
    one->info = (struct warren_subscription_info){
        .queue = setup->config->queue,
        .handler = setup->config->handler,
        .concurrency = (uint32_t)setup->config->concurrency,
        .options = setup->options,
        .dead_letters = setup->config->dead_exchange != NULL,
        .definition = setup->handler,
        .ack_timeout_ms = worker_limits_ack_timeout_ms(open->setup->config, setup->config->queue),
        .subscription = &one->kept,
        .user = registry_user(open->setup->registry, setup->config->handler),
    };
    status = open_chain(open, one, only_builtin, error);
    if (status != WARREN_OK || only_builtin)
        return status;
    status = instance_open(&one->handler, setup->handler, &one->info, error);
    one->runs.state = one->handler.state;
    return status;
}

static enum warren_status open_all(const struct worker_setup *setup, struct key_writer *key_writer,
                                   bool only_builtin, struct open_subscriptions **ret_open,
                                   struct warren_error *error)
{
    size_t count = setup->config->subscription_count;
    enum warren_status status = WARREN_OK;
    struct open_subscriptions *open = calloc(1, sizeof *open);

    if (!open || !(open->items = calloc(count, sizeof *open->items))) {
        free(open);
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    }
    open->setup = setup;
    open->key_writer = key_writer;
    open->count = count;
    *ret_open = open;
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = open_one(open, i, only_builtin, error);
    return status;
}

enum warren_status subscriptions_open(const struct worker_setup *setup,
                                      struct key_writer *key_writer,
                                      struct open_subscriptions **ret_open,
                                      struct warren_error *error)
{
    *ret_open = NULL;
    return open_all(setup, key_writer, false, ret_open, error);
}

enum warren_status subscriptions_try(const struct worker_setup *setup, struct warren_error *error)
{
    struct open_subscriptions *open = NULL;
    enum warren_status status;

    builtin_try(true);
    status = open_all(setup, NULL, true, &open, error);
    builtin_try(false);
    subscriptions_close(open);
    return status;
}

static void close_one(struct open_subscription *one)
{
    instance_close(&one->handler);
    for (size_t i = one->chain_count; i > 0; i--)
        middleware_close(&one->chain[i - 1].instance);
}

static void free_one(struct open_subscription *one)
{
    free(one->chain);
    free(one->members);
}

void subscriptions_close_some(struct open_subscriptions *open,
                              bool (*may)(void *user, size_t index), void *user)
{
    for (size_t i = open->count; i > 0; i--)
        if (may(user, i - 1))
            close_one(&open->items[i - 1]);
}

void subscriptions_close(struct open_subscriptions *open)
{
    if (!open)
        return;
    for (size_t i = open->count; i > 0; i--)
        close_one(&open->items[i - 1]);
    for (size_t i = 0; i < open->count; i++)
        free_one(&open->items[i]);
    free(open->items);
    free(open);
}

/* ---- running ---- */

const struct runtime_subscription *subscriptions_at(const struct open_subscriptions *open,
                                                    size_t index)
{
    return &open->items[index].runs;
}

void subscriptions_reopen(const struct open_subscriptions *open)
{
    for (size_t i = 0; i < open->count; i++)
        instance_reopen(&open->items[i].handler);
}

/* ---- reloading ---- */

static void report_changed(const struct open_subscription *one, const struct chain_link *link,
                           const struct name_list *changed)
{
    log_event(WARREN_LOG_INFO, "middleware has new options", LOG_TEXT("queue", one->info.queue),
              LOG_TEXT("handler", one->info.handler), LOG_TEXT("middleware", link->config->name),
              LOG_TEXT("changed", changed->text));
}

/* Since the worker began, for they are what they were then. */
static void note_fixed(const struct chain_link *link, const struct warren_options *now,
                       struct name_list *fixed)
{
    const char *option;

    for (size_t at = 0; (option = config_options_differ(link->info.options, now, &at));)
        if (middleware_is_fixed(link->instance.middleware, option))
            name_list_add(fixed, "%s.%s of %s", link->config->name, option, link->info.queue);
}

static bool reload_link(struct open_subscription *one, struct chain_link *link,
                        const struct warren_options *now)
{
    struct name_list changed = {0};
    const char *option;

    for (size_t at = 0; (option = config_options_differ(link->options, now, &at));)
        if (!middleware_is_fixed(link->instance.middleware, option))
            name_list_add(&changed, "%s", option);
    if (changed.count == 0)
        return false;
    link->instance.middleware->reload(link->instance.state, now);
    link->options = now;
    report_changed(one, link, &changed);
    return true;
}

size_t subscriptions_reload(struct open_subscriptions *open, const struct config *config,
                            struct name_list *fixed)
{
    size_t changed = 0;

    for (size_t i = 0; i < open->count; i++) {
        struct open_subscription *one = &open->items[i];
        const struct config_subscription *now =
            config_same_subscription(open->setup->config, i, config);

        if (!now || !config_same_chain(one->setup->config, now))
            continue;
        for (size_t k = 0; k < one->chain_count; k++) {
            note_fixed(&one->chain[k], now->chain[k].options, fixed);
            changed += reload_link(one, &one->chain[k], now->chain[k].options);
        }
    }
    return changed;
}
