#include "app/worker_subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include "app/worker_limits.h"
#include "app/worker_subscriptions_private.h"
#include "base/error.h"
#include "base/log_event.h"
#include "config/node.h"
#include "middleware/builtin.h"
#include "store/writer/transactor.h"

/* ---- opening ---- */

bool subscriptions_is_builtin(const struct warren_middleware *middleware)
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

/* What is being opened. */
struct opening {
    struct open_subscriptions *open;
    const struct worker_setup *whole;
    const struct setup_subscription *setup;
    const struct open_reuse *reuse;
    struct open_edition *edition;
    struct warren_subscription_info info;
    struct warren_subscription kept;
};

bool link_can_stay(const struct open_link *link, const struct warren_middleware *middleware,
                   const struct warren_options *options, const struct open_reuse *reuse)
{
    const struct warren_middleware *own = link->instance.middleware;
    const char *option;

    if (own != middleware || !link->instance.is_open || !reuse->dead_letters_are_same ||
        (!reuse->concurrency_is_same && own->open && !subscriptions_is_builtin(own)))
        return false;
    for (size_t at = 0; (option = config_options_differ(link->info.options, options, &at));)
        if (middleware_is_fixed(own, option))
            return false;
    return true;
}

static struct open_link *find_link(const struct opening *o, const char *name,
                                   const struct warren_middleware *middleware,
                                   const struct warren_options *options)
{
    const struct open_edition *from = o->reuse->from;

    for (size_t i = 0; from && i < from->link_count; i++)
        if (strcmp(from->links[i]->name, name) == 0 &&
            link_can_stay(from->links[i], middleware, options, o->reuse))
            return from->links[i];
    return NULL;
}

static enum warren_status open_new_link(struct opening *o, const struct config_middleware *config,
                                        const struct warren_middleware *middleware,
                                        struct open_link *link, struct warren_error *error)
{
    link->name = config->name;
    link->options = config->options;
    link->kept = o->kept;
    link->info = o->info;
    link->info.subscription = &link->kept;
    link->info.options = config->options;
    link->info.user = registry_user(o->whole->registry, config->name);
    if (!o->open->only_builtin || subscriptions_is_builtin(middleware))
        return middleware_open(&link->instance, middleware, config->name, &link->info, error);
    return middleware_check(middleware, config->name, link->info.queue, config->options, error);
}

static enum warren_status open_link(struct opening *o, size_t index, struct warren_error *error)
{
    const struct config_middleware *config = &o->setup->config->chain[index];
    struct open_edition *edition = o->edition;
    const struct warren_middleware *middleware;
    struct warren_error why = {WARREN_OK, ""};
    struct open_link *link;
    enum warren_status status =
        registry_find_middleware(o->whole->registry, config->name, &middleware, &why);

    if (status != WARREN_OK)
        return error_at(config->node, status, &why, error);
    link = find_link(o, config->name, middleware, config->options);
    if (!link) {
        link = calloc(1, sizeof *link);
        if (!link)
            return error_set(error, WARREN_ENOMEM, "no memory for the middlewares");
        status = open_new_link(o, config, middleware, link, &why);
    }
    link->users++;
    edition->links[edition->link_count++] = link;
    if (status != WARREN_OK)
        return error_at(config->node, status, &why, error);
    if (link->instance.is_open)
        edition->members[edition->runs.middleware_count++] =
            (struct chain_member){link->instance.middleware, link->instance.state,
                                  subscriptions_is_builtin(link->instance.middleware)};
    return WARREN_OK;
}

static struct sqlite3 *database_of(const struct open_subscriptions *open,
                                   const struct worker_setup *whole,
                                   const struct warren_handler *handler)
{
    if (!handler->transactional)
        return NULL;
    if (whole->scratch || !open->key_writer)
        return whole->scratch;
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

void subscriptions_set_order(struct runtime_subscription *runs,
                             const struct config_subscription *config,
                             const struct config_order *order, const struct config_fair *fair,
                             const struct config_lanes *lanes)
{
    int64_t prefetch = config->prefetch + (order ? order->held : 0) + (fair ? fair->held : 0);

    runs->order = order;
    runs->fair = fair;
    runs->lanes = lanes;
    runs->lane = config->slow_lane_of ? LANE_SLOW : LANE_FAST;
    runs->shards = config->shards;
    runs->shard = config->shard;
    /* After a reload, `held` may be one that this prefetch was not checked with. */
    runs->prefetch = (uint16_t)(prefetch < UINT16_MAX ? prefetch : UINT16_MAX);
    /* What is tried again waits there and nowhere else. */
    runs->delayed_max = order && !order->skips ? runs->prefetch : 0;
}

static void set_up_run(const struct opening *o)
{
    const struct config_subscription *config = o->setup->config;
    struct open_edition *edition = o->edition;

    edition->runs = (struct runtime_subscription){
        .queue = config->queue,
        .handler_name = config->handler,
        .handler = o->setup->handler,
        .middlewares = edition->members,
        .prefetch_bytes = (size_t)config->prefetch_bytes,
        .stop_at_gap = strcmp(config->on_gap, "stop") == 0,
        .concurrency = (uint32_t)config->concurrency,
        .concurrency_least = (uint32_t)config->concurrency_least,
        .target_wait_ms = config->concurrency_target_wait_ms,
        .executor = config->shares ? config->shares->name : NULL,
        .executor_threads = config->shares ? (uint32_t)config->shares->threads : 0,
        .share = (uint32_t)config->share,
        .arguments = &config->arguments,
        .uses = config->uses,
        .use_count = config->use_count,
        .batch = config->batch,
        .dead_exchange = config->dead_exchange,
        .dead_queue = config->dead_queue,
        .is_stream = is_stream(o->whole->config, config),
        .begin = STREAM_AS_CONFIGURED,
        .token = edition,
    };
    subscriptions_set_order(&edition->runs, config, config->order, config->fair, config->lanes);
}

static enum warren_status open_chain(struct opening *o, struct warren_error *error)
{
    size_t count = o->setup->config->chain_count;
    struct open_edition *edition = o->edition;
    enum warren_status status = WARREN_OK;

    edition->links = calloc(count + 1, sizeof(struct open_link *));
    edition->members = calloc(count + 1, sizeof *edition->members);
    if (!edition->links || !edition->members)
        return error_set(error, WARREN_ENOMEM, "no memory for the middlewares");
    set_up_run(o);
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = open_link(o, i, error);
    return status;
}

static bool handler_can_stay(const struct opening *o)
{
    const struct open_reuse *reuse = o->reuse;
    const struct open_handler *handler = reuse->from ? reuse->from->handler : NULL;

    return handler && handler->instance.handler == o->setup->handler && reuse->handler_is_same &&
           reuse->dead_letters_are_same &&
           (reuse->concurrency_is_same || !handler->instance.handler->open);
}

static enum warren_status open_handler(struct opening *o, struct warren_error *error)
{
    struct open_edition *edition = o->edition;
    struct open_handler *handler;
    enum warren_status status = WARREN_OK;

    if (o->open->only_builtin)
        return WARREN_OK;
    if (handler_can_stay(o)) {
        handler = o->reuse->from->handler;
    } else {
        handler = calloc(1, sizeof *handler);
        if (!handler)
            return error_set(error, WARREN_ENOMEM, "no memory for a handler");
        handler->kept = o->kept;
        handler->info = o->info;
        handler->info.subscription = &handler->kept;
        status = instance_open(&handler->instance, o->setup->handler, &handler->info, error);
    }
    handler->users++;
    edition->handler = handler;
    edition->runs.state = handler->instance.state;
    return status;
}

/* Those of both lanes are the same messages', and a key may come to another shard. */
static const char *keys_of(const struct config_subscription *config)
{
    return config->shards ? config->shards->exchange : config->slow_lane_of;
}

static void begin_opening(struct opening *o)
{
    const struct config_subscription *config = o->setup->config;

    o->kept =
        (struct warren_subscription){.key_writer = o->open->key_writer,
                                     .sqlite = database_of(o->open, o->whole, o->setup->handler),
                                     .keys_of = keys_of(config)};
    o->info = (struct warren_subscription_info){
        .queue = config->queue,
        .handler = config->handler,
        .concurrency = (uint32_t)config->concurrency,
        .options = o->setup->options,
        .dead_letters = config->dead_exchange != NULL,
        .definition = o->setup->handler,
        .ack_timeout_ms = worker_limits_ack_timeout_ms(o->whole->config, config->queue),
        .user = registry_user(o->whole->registry, config->handler),
    };
}

enum warren_status subscriptions_open_edition(struct open_subscriptions *open,
                                              const struct worker_setup *whole,
                                              const struct setup_subscription *setup,
                                              const struct open_reuse *reuse,
                                              struct open_edition **ret, struct warren_error *error)
{
    struct opening opening = {.open = open, .whole = whole, .setup = setup, .reuse = reuse};
    enum warren_status status;

    *ret = opening.edition = calloc(1, sizeof *opening.edition);
    if (!opening.edition)
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    list_push(&open->editions, &opening.edition->link);
    begin_opening(&opening);
    status = open_chain(&opening, error);
    return status == WARREN_OK ? open_handler(&opening, error) : status;
}

static enum warren_status open_all(const struct worker_setup *setup, struct key_writer *key_writer,
                                   bool only_builtin, struct open_subscriptions **ret_open,
                                   struct warren_error *error)
{
    static const struct open_reuse nothing = {.from = NULL};
    size_t count = setup->config->subscription_count;
    enum warren_status status = WARREN_OK;
    struct open_subscriptions *open = calloc(1, sizeof *open);

    if (!open || !(open->items = calloc(count, sizeof *open->items))) {
        free(open);
        return error_set(error, WARREN_ENOMEM, "no memory for the subscriptions");
    }
    open->setup = setup;
    open->key_writer = key_writer;
    open->only_builtin = only_builtin;
    open->count = count;
    list_init(&open->editions);
    pthread_mutex_init(&open->lock, NULL);
    *ret_open = open;
    for (size_t i = 0; status == WARREN_OK && i < count; i++) {
        open->items[i].setup = &setup->subscriptions[i];
        status = subscriptions_open_edition(open, setup, &setup->subscriptions[i], &nothing,
                                            &open->items[i].edition, error);
    }
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

/* ---- closing ---- */

static void release_link(struct open_link *link)
{
    if (--link->users > 0)
        return;
    middleware_close(&link->instance);
    free(link);
}

static void release_handler(struct open_handler *handler)
{
    if (!handler || --handler->users > 0)
        return;
    instance_close(&handler->instance);
    free(handler);
}

void edition_close(struct open_edition *edition)
{
    if (!edition)
        return;
    list_remove(&edition->link);
    release_handler(edition->handler);
    for (size_t i = edition->link_count; i > 0; i--)
        release_link(edition->links[i - 1]);
    free(edition->links);
    free(edition->members);
    free(edition);
}

/* The process executes itself: memory does not matter. */
static void close_instances(struct open_edition *edition)
{
    instance_close(&edition->handler->instance);
    for (size_t i = edition->link_count; i > 0; i--)
        middleware_close(&edition->links[i - 1]->instance);
}

void subscriptions_close_some(struct open_subscriptions *open,
                              bool (*may)(void *user, const struct open_subscription *which),
                              void *user)
{
    for (size_t i = open->count; i > 0; i--)
        if (may(user, &open->items[i - 1]))
            close_instances(open->items[i - 1].edition);
}

void subscriptions_close(struct open_subscriptions *open)
{
    if (!open)
        return;
    while (!list_empty(&open->editions))
        edition_close(list_entry(open->editions.prev, struct open_edition, link));
    pthread_mutex_destroy(&open->lock);
    free(open->items);
    free(open);
}

/* ---- running ---- */

const struct runtime_subscription *subscriptions_at(const struct open_subscriptions *open,
                                                    size_t index)
{
    return &open->items[index].edition->runs;
}

struct subscription *subscriptions_running(struct open_subscriptions *open, size_t index,
                                           const char **ret_queue)
{
    struct subscription *running = NULL;

    pthread_mutex_lock(&open->lock);
    if (index < open->count) {
        running = open->items[index].running;
        *ret_queue = open->items[index].edition->runs.queue;
    }
    pthread_mutex_unlock(&open->lock);
    return running;
}

struct subscription *subscriptions_running_of(const struct open_subscription *which)
{
    return which->running;
}

const struct setup_subscription *subscriptions_setup_of(const struct open_subscription *which)
{
    return which->setup;
}

void subscriptions_run(struct open_subscriptions *open, struct runtime *runtime)
{
    for (size_t i = 0; i < open->count; i++)
        open->items[i].running = runtime_subscription(runtime, i);
}

void subscriptions_reopen(const struct open_subscriptions *open)
{
    for (size_t i = 0; i < open->count; i++)
        instance_reopen(&open->items[i].edition->handler->instance);
}

void subscriptions_retired(struct open_subscriptions *open, void *token, struct edition *edition)
{
    struct open_edition *own = token;

    pthread_mutex_lock(&open->lock);
    own->retired = edition;
    own->next = open->retired;
    open->retired = own;
    pthread_mutex_unlock(&open->lock);
}

static struct open_edition *take_retired(struct open_subscriptions *open)
{
    struct open_edition *edition;

    pthread_mutex_lock(&open->lock);
    edition = open->retired;
    if (edition)
        open->retired = edition->next;
    pthread_mutex_unlock(&open->lock);
    return edition;
}

void subscriptions_close_retired(struct open_subscriptions *open,
                                 void (*ended)(void *user, const struct subscription *running),
                                 void *user)
{
    struct open_edition *edition;

    while ((edition = take_retired(open))) {
        struct edition *retired = edition->retired;

        if (edition->ended)
            ended(user, edition->ended);
        edition_close(edition);
        runtime_edition_free(retired);
    }
}
