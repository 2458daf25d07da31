#include "app/worker_posts.h"

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
struct post_link {
    const struct config_middleware *config;
    const struct warren_options *options; /* in force, but for the fixed ones: */
    struct warren_subscription_info info; /* those are the options of the beginning */
    struct middleware_instance instance;
};

/* One subscription, open. */
struct post {
    const struct setup_subscription *setup;
    struct warren_subscription kept;
    struct warren_subscription_info info;
    struct instance handler;
    struct post_link *chain;
    size_t chain_count;
    struct warren_link *links; /* of those that have `call` */
    size_t link_count;
    struct warren_link *late; /* of those of them that have `late_failures` */
    size_t late_count;
    struct runtime_gate *gates; /* of those that have `may` */
    size_t gate_count;
    struct runtime_stage *stages; /* of those that have `before` */
    size_t stage_count;
};

struct posts {
    const struct worker_setup *setup;
    struct keeper *keeper;
    struct post *items; /* as many as there are subscriptions */
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

static void add_to_chain(struct post *post, const struct middleware_instance *instance)
{
    const struct warren_middleware *middleware = instance->middleware;
    struct warren_link link = {.call = middleware->call, .state = instance->state};

    if (middleware->before) {
        post->stages[post->stage_count++] = (struct runtime_stage){
            .before = middleware->before, .after = middleware->after, .state = instance->state};
        link.place = (unsigned)post->stage_count;
    }
    if (middleware->call)
        post->links[post->link_count++] = link;
    if (middleware->call && middleware->late_failures)
        post->late[post->late_count++] = link;
    if (middleware->may)
        post->gates[post->gate_count++] = (struct runtime_gate){
            .may = middleware->may, .took = middleware->took, .state = instance->state};
}

static enum warren_status error_at(const struct config_node *node, enum warren_status status,
                                   const struct warren_error *why, struct warren_error *error)
{
    char where[CONFIG_WHERE_SIZE];

    config_node_where(node, where, sizeof where);
    return error_set(error, status, "%s: %s", where, why->text);
}

static enum warren_status open_link(const struct posts *posts, struct post *post, size_t index,
                                    bool only_builtin, struct warren_error *error)
{
    const struct config_middleware *config = &post->setup->config->chain[index];
    struct post_link *link = &post->chain[index];
    const struct warren_middleware *middleware;
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status;

    link->config = config;
    link->options = config->options;
    link->info = post->info;
    link->info.options = config->options;
    status = registry_find_middleware(posts->setup->registry, config->name, &middleware, &why);
    if (status == WARREN_OK && (!only_builtin || is_builtin(middleware)))
        status = middleware_open(&link->instance, middleware, config->name, &link->info, &why);
    if (status != WARREN_OK)
        return error_at(config->node, status, &why, error);
    if (link->instance.is_open)
        add_to_chain(post, &link->instance);
    return WARREN_OK;
}

static enum warren_status open_chain(const struct posts *posts, struct post *post,
                                     bool only_builtin, struct warren_error *error)
{
    size_t count = post->setup->config->chain_count;
    enum warren_status status = WARREN_OK;

    post->chain = calloc(count + 1, sizeof *post->chain);
    post->links = calloc(count + 1, sizeof *post->links);
    post->late = calloc(count + 1, sizeof *post->late);
    post->gates = calloc(count + 1, sizeof *post->gates);
    post->stages = calloc(count + 1, sizeof *post->stages);
    if (!post->chain || !post->links || !post->late || !post->gates || !post->stages)
        return error_set(error, WARREN_ENOMEM, "no memory for the middlewares");
    post->chain_count = count;
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = open_link(posts, post, i, only_builtin, error);
    return status;
}

static struct sqlite3 *database_of(const struct posts *posts, const struct warren_handler *handler)
{
    if (!handler->transactional)
        return NULL;
    return posts->keeper ? transactor_handle(keeper_transactor(posts->keeper))
                         : posts->setup->scratch;
}

static enum warren_status open_post(const struct posts *posts, size_t index, bool only_builtin,
                                    struct warren_error *error)
{
    const struct setup_subscription *setup = &posts->setup->subscriptions[index];
    struct post *post = &posts->items[index];
    enum warren_status status;

    post->setup = setup;
    post->kept = (struct warren_subscription){.keeper = posts->keeper,
                                              .sqlite = database_of(posts, setup->handler)};
    post->info = (struct warren_subscription_info){
        .queue = setup->config->queue,
        .handler = setup->config->handler,
        .concurrency = (uint32_t)setup->config->concurrency,
        .options = setup->options,
        .dead_letters = setup->config->dead_exchange != NULL,
        .definition = setup->handler,
        .ack_timeout_ms = worker_limits_ack_timeout_ms(posts->setup->config, setup->config->queue),
        .subscription = &post->kept,
    };
    status = open_chain(posts, post, only_builtin, error);
    if (status != WARREN_OK || only_builtin)
        return status;
    return instance_open(&post->handler, setup->handler, &post->info, error);
}

static enum warren_status open_all(const struct worker_setup *setup, struct keeper *keeper,
                                   bool only_builtin, struct posts **ret_posts,
                                   struct warren_error *error)
{
    size_t count = setup->config->subscription_count;
    enum warren_status status = WARREN_OK;
    struct posts *posts = calloc(1, sizeof *posts);

    if (!posts || !(posts->items = calloc(count, sizeof *posts->items))) {
        free(posts);
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    }
    posts->setup = setup;
    posts->keeper = keeper;
    posts->count = count;
    *ret_posts = posts;
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = open_post(posts, i, only_builtin, error);
    return status;
}

enum warren_status posts_open(const struct worker_setup *setup, struct keeper *keeper,
                              struct posts **ret_posts, struct warren_error *error)
{
    *ret_posts = NULL;
    return open_all(setup, keeper, false, ret_posts, error);
}

enum warren_status posts_try(const struct worker_setup *setup, struct warren_error *error)
{
    struct posts *posts = NULL;
    enum warren_status status;

    builtin_try(true);
    status = open_all(setup, NULL, true, &posts, error);
    builtin_try(false);
    posts_close(posts);
    return status;
}

static void close_post(struct post *post)
{
    instance_close(&post->handler);
    for (size_t i = post->chain_count; i > 0; i--)
        middleware_close(&post->chain[i - 1].instance);
}

static void free_post(struct post *post)
{
    free(post->chain);
    free(post->links);
    free(post->late);
    free(post->gates);
    free(post->stages);
}

void posts_close_some(struct posts *posts, bool (*may)(void *user, size_t index), void *user)
{
    for (size_t i = posts->count; i > 0; i--)
        if (may(user, i - 1))
            close_post(&posts->items[i - 1]);
}

void posts_close(struct posts *posts)
{
    if (!posts)
        return;
    for (size_t i = posts->count; i > 0; i--)
        close_post(&posts->items[i - 1]);
    for (size_t i = 0; i < posts->count; i++)
        free_post(&posts->items[i]);
    free(posts->items);
    free(posts);
}

/* ---- running ---- */

/* As far as the configuration tells: RabbitMQ takes the argument for streams alone. */
static bool is_stream(const struct config *config, const struct config_subscription *subscription)
{
    const struct config_queue *queue = config_find_queue(&config->topology, subscription->queue);

    if (queue && strcmp(queue->type, "stream") == 0)
        return true;
    return warren_table_get(&subscription->arguments, "x-stream-offset") != NULL;
}

void posts_fill(const struct posts *posts, size_t index, struct runtime_subscription *subscription)
{
    const struct post *post = &posts->items[index];
    const struct config_subscription *config = post->setup->config;

    *subscription = (struct runtime_subscription){
        .queue = config->queue,
        .handler_name = config->handler,
        .handler = post->handler.handler,
        .state = post->handler.state,
        .links = post->links,
        .link_count = post->link_count,
        .late_links = post->late,
        .late_count = post->late_count,
        .gates = post->gates,
        .gate_count = post->gate_count,
        .stages = post->stages,
        .stage_count = post->stage_count,
        .prefetch = (uint16_t)config->prefetch,
        .prefetch_bytes = (size_t)config->prefetch_bytes,
        .stop_at_gap = strcmp(config->on_gap, "stop") == 0,
        .concurrency = (uint32_t)config->concurrency,
        .arguments = &config->arguments,
        .dead_exchange = config->dead_exchange,
        .dead_queue = config->dead_queue,
        .is_stream = is_stream(posts->setup->config, config),
        .begin = STREAM_AS_CONFIGURED,
    };
}

void posts_reopen(const struct posts *posts)
{
    for (size_t i = 0; i < posts->count; i++)
        instance_reopen(&posts->items[i].handler);
}

/* ---- reloading ---- */

static bool same_links(const struct post *post, const struct config_subscription *now)
{
    if (post->chain_count != now->chain_count)
        return false;
    for (size_t i = 0; i < now->chain_count; i++)
        if (strcmp(post->chain[i].config->name, now->chain[i].name) != 0)
            return false;
    return true;
}

static void report_changed(const struct post *post, const struct post_link *link,
                           const struct name_list *changed)
{
    log_event(WARREN_LOG_INFO, "middleware has new options", LOG_TEXT("queue", post->info.queue),
              LOG_TEXT("handler", post->info.handler), LOG_TEXT("middleware", link->config->name),
              LOG_TEXT("changed", changed->text));
}

/* Since the worker began, for they are what they were then. */
static void note_fixed(const struct post_link *link, const struct warren_options *now,
                       struct name_list *fixed)
{
    const char *option;

    for (size_t at = 0; (option = config_options_differ(link->info.options, now, &at));)
        if (middleware_is_fixed(link->instance.middleware, option))
            name_list_add(fixed, "%s.%s of %s", link->config->name, option, link->info.queue);
}

static bool reload_link(struct post *post, struct post_link *link, const struct warren_options *now)
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
    report_changed(post, link, &changed);
    return true;
}

size_t posts_reload(struct posts *posts, const struct config *config, struct name_list *fixed)
{
    size_t changed = 0;

    for (size_t i = 0; i < posts->count; i++) {
        struct post *post = &posts->items[i];
        const struct config_subscription *now =
            config_same_subscription(posts->setup->config, i, config);

        if (!now || !same_links(post, now))
            continue;
        for (size_t k = 0; k < post->chain_count; k++) {
            note_fixed(&post->chain[k], now->chain[k].options, fixed);
            changed += reload_link(post, &post->chain[k], now->chain[k].options);
        }
    }
    return changed;
}
