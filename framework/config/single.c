/* single.c - a configuration cut down to one subscription, with options and a chain from texts. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"
#include "config/document.h"
#include "config/options.h"

/* The queue of a subscription that stands in no file. */
#define NO_QUEUE "test"
/* Where its dead letters go: the default of dead_letter.exchange. */
#define DEAD_EXCHANGE "%s.dlx"

/* Subscriptions that an error lists. */
#define LISTED_MAX 32

struct single {
    struct config_scope scope;
    struct config_private *private;
    const struct config_single *what;
};

/* ---- which subscription ---- */

static enum warren_status not_there(const struct single *single)
{
    const struct config *config = &single->private->config;
    const char *names[LISTED_MAX] = {NULL};
    const char *wanted = single->what->handler;
    const char *near;
    char list[400] = "";
    size_t len = 0;
    size_t count = 0;

    for (size_t i = 0; i < config->subscription_count && count < LISTED_MAX; i++)
        if (config_is_written(&config->subscriptions[i]))
            names[count++] = config->subscriptions[i].handler;
    near = wanted ? suggest(wanted, names, count) : NULL;
    if (near)
        return error_set(single->scope.error, WARREN_ECONFIG,
                         "%s: no subscription has the handler %s; did you mean %s?", config->file,
                         wanted, near);
    for (size_t i = 0; i < count && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", names[i]);
    return error_set(single->scope.error, WARREN_ECONFIG, "%s: no subscription has the %s %s; %s%s",
                     config->file, wanted ? "handler" : "queue",
                     wanted ? wanted : single->what->queue, count ? "there are: " : "it has none",
                     list);
}

/* Of the file. */
static size_t count_written(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->subscription_count; i++)
        count += config_is_written(&config->subscriptions[i]);
    return count;
}

static bool same(const char *wanted, const char *is)
{
    return !wanted || strcmp(wanted, is) == 0;
}

/* One that has both; if there is none, one that has the handler. */
static const struct config_subscription *choose(const struct single *single)
{
    const struct config *config = &single->private->config;
    const struct config_subscription *second = NULL;

    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *s = &config->subscriptions[i];

        if (!same(single->what->handler, s->handler))
            continue;
        if (same(single->what->queue, s->queue))
            return s;
        if (single->what->handler && !second)
            second = s;
    }
    return second;
}

static enum warren_status pick(const struct single *single, struct config_subscription *ret)
{
    const struct config *config = &single->private->config;
    const struct config_subscription *chosen;

    if (!config->file) {
        *ret = (struct config_subscription){.queue = NO_QUEUE,
                                            .concurrency = 1,
                                            .concurrency_least = 1,
                                            .workers = 1,
                                            .on_gap = "continue",
                                            .own_chain = true};
        return WARREN_OK;
    }
    if (!single->what->handler && !single->what->queue && count_written(config) != 1)
        return error_set(single->scope.error, WARREN_ECONFIG,
                         "%s has %zu subscriptions: name a handler or a queue", config->file,
                         count_written(config));
    chosen = choose(single);
    if (!chosen)
        return not_there(single);
    *ret = *chosen;
    return WARREN_OK;
}

/* What is given counts, whatever the file has. */
static enum warren_status set_names(struct single *single, struct config_subscription *subscription)
{
    if (single->what->queue)
        subscription->queue = config_copy(&single->scope, single->what->queue);
    if (single->what->handler)
        subscription->handler = config_copy(&single->scope, single->what->handler);
    if (!subscription->where)
        subscription->where = subscription->handler;
    if (!subscription->queue || !subscription->handler)
        return config_nomem(&single->scope);
    if (single->private->config.file)
        return WARREN_OK;
    subscription->dead_exchange = config_print(&single->scope, DEAD_EXCHANGE, subscription->queue);
    return subscription->dead_exchange ? WARREN_OK : config_nomem(&single->scope);
}

/* ---- texts ---- */

/* A list and a mapping are YAML; anything else is a text as it stands. */
static enum warren_status parse_value(struct single *single, const struct config_source *source,
                                      const char *text, const struct config_node **ret_node)
{
    if (*text == '[' || *text == '{')
        return config_document_parse(&single->scope, source, text, ret_node);
    *ret_node = config_node_text(&single->scope, source, config_copy(&single->scope, text));
    return *ret_node ? WARREN_OK : config_nomem(&single->scope);
}

static enum warren_status add_option(struct single *single, struct config_node *mapping,
                                     const char *text)
{
    struct config_scope *scope = &single->scope;
    int len = (int)strcspn(text, "=");
    const char *name = config_print(scope, "%.*s", len, text);
    const struct config_node *key = config_node_text(
        scope, config_source_new(scope, config_print(scope, "option %.*s", len, text), ""), name);
    enum warren_status status;

    if (len == 0 || !text[len])
        return error_set(scope->error, WARREN_ECONFIG, "option \"%.80s\": expected NAME=VALUE",
                         text);
    if (!key)
        return config_nomem(scope);
    if (config_node_get(mapping, name))
        return config_fail(scope, key, "it is given twice");
    mapping->items[mapping->count++] = key;
    status = parse_value(single, key->source, text + len + 1, &mapping->items[mapping->count]);
    mapping->count++;
    return status;
}

static enum warren_status set_options(struct single *single,
                                      struct config_subscription *subscription)
{
    size_t count = single->what->option_count;
    const struct config_node *file = subscription->options;
    struct config_node *mapping;
    enum warren_status status = WARREN_OK;

    if (count == 0)
        return WARREN_OK;
    mapping = config_node_list(
        &single->scope, config_source_new(&single->scope, subscription->where, ""), 2 * count);
    if (!mapping)
        return config_nomem(&single->scope);
    mapping->kind = CONFIG_MAPPING;
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = add_option(single, mapping, single->what->options[i]);
    if (status != WARREN_OK)
        return status;
    subscription->options = file && file->kind == CONFIG_MAPPING
                                ? config_node_merge(&single->scope, mapping, file)
                                : mapping;
    return subscription->options ? WARREN_OK : config_nomem(&single->scope);
}

static enum warren_status set_chain(struct single *single, struct config_subscription *subscription)
{
    const struct config_source *source;
    const struct config_node *node = NULL;
    enum warren_status status;

    if (!single->what->chain)
        return WARREN_OK;
    source = config_source_new(&single->scope, "chain", "");
    if (!source)
        return config_nomem(&single->scope);
    status = config_document_parse(&single->scope, source, single->what->chain, &node);
    if (status != WARREN_OK)
        return status;
    subscription->own_chain = true;
    return config_chain_read(&single->scope, node, &subscription->chain,
                             &subscription->chain_count);
}

enum warren_status config_single(struct config *config, const struct config_single *what,
                                 struct warren_error *error)
{
    struct config_private *private = config->private;
    struct single single = {{&private->arena, error}, private, what};
    struct config_subscription *only = arena_alloc(&private->arena, sizeof *only);
    enum warren_status status;

    if (!only)
        return config_nomem(&single.scope);
    status = pick(&single, only);
    if (status == WARREN_OK)
        status = set_names(&single, only);
    if (status == WARREN_OK)
        status = set_options(&single, only);
    if (status == WARREN_OK)
        status = set_chain(&single, only);
    if (status != WARREN_OK)
        return status;
    config->subscriptions = private->subscriptions = only;
    config->subscription_count = 1;
    return WARREN_OK;
}
