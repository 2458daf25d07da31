/* worker_change.c - other subscriptions, chains, options while a worker runs: those that run are
 * compared with a new setup, what is new is opened, and the runtime is told. Nothing of it is in
 * force before that, but the options of middlewares that stay, which plans that are undone give
 * back: who is opened beside them may share something with them (rate_limit.name).
 */
#include <stdlib.h>
#include <string.h>

#include "app/worker_subscriptions_private.h"
#include "base/error.h"
#include "base/log_event.h"
#include "middleware/builtin.h"

/* ---- options of middlewares that stay ---- */

static void report_changed(const struct open_link *link, const struct name_list *changed)
{
    log_event(WARREN_LOG_INFO, "middleware has new options", LOG_TEXT("queue", link->info.queue),
              LOG_TEXT("handler", link->info.handler), LOG_TEXT("middleware", link->name),
              LOG_TEXT("changed", changed->text));
}

/* Since the worker began, for they are what they were then. */
static void note_fixed(const struct open_link *link, const struct warren_options *now,
                       struct name_list *fixed)
{
    const char *option;

    for (size_t at = 0; (option = config_options_differ(link->info.options, now, &at));)
        if (middleware_is_fixed(link->instance.middleware, option))
            name_list_add(fixed, "%s.%s of %s", link->name, option, link->info.queue);
}

/* @return whether any differ */
static bool list_changed(const struct open_link *link, const struct warren_options *now,
                         struct name_list *changed)
{
    const char *option;

    if (!link->instance.is_open)
        return false;
    for (size_t at = 0; (option = config_options_differ(link->options, now, &at));)
        if (!middleware_is_fixed(link->instance.middleware, option))
            name_list_add(changed, "%s", option);
    return changed->count > 0;
}

static void give_options(struct open_link *link, const struct warren_options *now)
{
    link->instance.middleware->reload(link->instance.state, now);
    link->options = now;
}

size_t subscriptions_reload(struct open_subscriptions *open, const struct config *config,
                            struct name_list *fixed)
{
    size_t changed = 0;

    for (size_t i = 0; i < open->count; i++) {
        const struct open_edition *edition = open->items[i].edition;
        const struct config_subscription *now =
            config_same_subscription(open->setup->config, i, config);

        if (!now || !config_same_chain(open->items[i].setup->config, now))
            continue;
        for (size_t k = 0; k < edition->link_count; k++) {
            struct open_link *link = edition->links[k];
            struct name_list names = {0};

            note_fixed(link, now->chain[k].options, fixed);
            if (!list_changed(link, now->chain[k].options, &names))
                continue;
            give_options(link, now->chain[k].options);
            report_changed(link, &names);
            changed++;
        }
    }
    return changed;
}

/* ---- comparing ---- */

/* One that is there before and now. */
struct pair {
    struct subscriptions_plan *plan;
    struct reload_report *report;
    const struct open_subscription *before;
    const struct setup_subscription *now;
    struct open_reuse reuse;
    bool is_stream;
};

static void note_row(void *user, const char *name, const char *why)
{
    const struct pair *pair = user;

    if (why)
        reload_report_fixed(pair->report, why, "%s", name);
    else if (!pair->is_stream || strncmp(name, "arguments", strlen("arguments")) != 0)
        reload_report_changed(pair->report, "%s", name);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void look_at(struct pair *pair)
{
    const struct config_subscription *before = pair->before->setup->config;
    const struct config_subscription *now = pair->now->config;

    pair->is_stream = pair->before->edition->runs.is_stream;
    pair->reuse = (struct open_reuse){
        .from = pair->before->edition,
        .concurrency_is_same = before->concurrency == now->concurrency,
        .dead_letters_are_same = !before->dead_exchange == !now->dead_exchange,
        .handler_is_same = !config_subscription_differs(before, now, "options")};
}

/* The link of the edition that runs which can go on as that of @config; NULL: none. */
static struct open_link *staying(const struct pair *pair, const struct config_middleware *config)
{
    const struct open_edition *from = pair->before->edition;
    const struct warren_middleware *middleware;
    struct warren_error error;

    if (registry_find_middleware(pair->plan->now->registry, config->name, &middleware, &error) !=
        WARREN_OK)
        return NULL;
    for (size_t i = 0; i < from->link_count; i++)
        if (strcmp(from->links[i]->name, config->name) == 0 &&
            link_can_stay(from->links[i], middleware, config->options, &pair->reuse))
            return from->links[i];
    return NULL;
}

static bool same_chain(const struct pair *pair)
{
    const struct config_subscription *now = pair->now->config;
    const struct open_edition *from = pair->before->edition;

    if (now->chain_count != from->link_count)
        return false;
    for (size_t i = 0; i < now->chain_count; i++)
        if (staying(pair, &now->chain[i]) != from->links[i])
            return false;
    return true;
}

static bool needs_edition(const struct pair *pair)
{
    const struct config_subscription *before = pair->before->setup->config;
    const struct config_subscription *now = pair->now->config;

    return pair->before->edition->handler->instance.handler != pair->now->handler ||
           !pair->reuse.handler_is_same || !pair->reuse.concurrency_is_same ||
           !same_text(before->dead_exchange, now->dead_exchange) ||
           !same_text(before->dead_queue, now->dead_queue) ||
           config_subscription_differs(before, now, "uses") ||
           config_subscription_differs(before, now, "batch") || !same_chain(pair);
}

static bool needs_change(const struct pair *pair)
{
    const struct runtime_subscription *runs = &pair->before->edition->runs;
    const struct config_subscription *now = pair->now->config;

    return pair->before->setup->config->prefetch != now->prefetch ||
           runs->prefetch_bytes != (size_t)now->prefetch_bytes ||
           runs->stop_at_gap != (strcmp(now->on_gap, "stop") == 0) ||
           runs->concurrency_least != (uint32_t)now->concurrency_least ||
           runs->target_wait_ms != now->concurrency_target_wait_ms ||
           config_subscription_differs(pair->before->setup->config, now, "arguments");
}

/* ---- what is told of it ---- */

static void name_chain(const struct config_subscription *subscription, struct name_list *names)
{
    for (size_t i = 0; i < subscription->chain_count; i++)
        name_list_add(names, "%s", subscription->chain[i].name);
}

static void tell_chain(const struct pair *pair)
{
    const struct config_subscription *before = pair->before->setup->config;
    const struct config_subscription *now = pair->now->config;
    struct name_list old = {0};
    struct name_list new = {0};

    if (config_same_chain(before, now))
        return;
    name_chain(before, &old);
    name_chain(now, &new);
    reload_report_changed(pair->report, "chain of %s: [%s] > [%s]", now->queue, old.text, new.text);
}

/* Options of links that are in both, in force by `reload` or by a link that is opened anew. */
static void tell_options(const struct pair *pair)
{
    const struct open_edition *from = pair->before->edition;
    const struct config_subscription *now = pair->now->config;
    const char *option;

    for (size_t i = 0; i < from->link_count; i++)
        for (size_t k = 0; k < now->chain_count; k++) {
            if (strcmp(from->links[i]->name, now->chain[k].name) != 0)
                continue;
            for (size_t at = 0; (option = config_options_differ(from->links[i]->options,
                                                                now->chain[k].options, &at));)
                reload_report_changed(pair->report, "%s.%s of %s", now->chain[k].name, option,
                                      now->queue);
        }
}

static void tell_stream(const struct pair *pair)
{
    if (pair->is_stream &&
        config_subscription_differs(pair->before->setup->config, pair->now->config, "arguments"))
        reload_report_fixed(pair->report, "where a stream is consumed from is said at the start",
                            "arguments of %s", pair->now->config->queue);
}

/* ---- the plan ---- */

static struct runtime_change *add_change(struct subscriptions_plan *plan, size_t place)
{
    plan->places[plan->change_count] = place;
    return &plan->changes[plan->change_count++];
}

/* Before anything is opened beside them. */
static void give_new_options(struct pair *pair)
{
    const struct config_subscription *now = pair->now->config;

    for (size_t i = 0; i < now->chain_count; i++) {
        struct open_link *link = staying(pair, &now->chain[i]);
        struct name_list changed = {0};

        if (!link || !list_changed(link, now->chain[i].options, &changed))
            continue;
        link->before = link->options;
        give_options(link, now->chain[i].options);
        report_changed(link, &changed);
    }
}

static enum warren_status open_edition(struct subscriptions_plan *plan, size_t place,
                                       const struct open_reuse *reuse, struct warren_error *error)
{
    struct open_edition *edition = NULL;
    enum warren_status status = subscriptions_open_edition(
        plan->open, plan->now, &plan->now->subscriptions[place], reuse, &edition, error);

    if (status == WARREN_OK)
        plan->items[place].edition = edition;
    else
        edition_close(edition);
    return status;
}

/* What the runtime has in place of the one that runs. A stream goes on as it was begun. */
static void keep_stream(const struct pair *pair, struct runtime_subscription *runs)
{
    const struct runtime_subscription *before = &pair->before->edition->runs;

    runs->is_stream = before->is_stream;
    runs->begin = before->begin;
    if (before->is_stream)
        runs->arguments = before->arguments;
}

/* Nor does it change whose threads it has. */
static void keep_threads(const struct pair *pair, struct runtime_subscription *runs)
{
    const struct runtime_subscription *before = &pair->before->edition->runs;
    bool is_same = same_text(runs->executor, before->executor);

    runs->executor = before->executor;
    runs->executor_threads = before->executor_threads;
    runs->share = before->share;
    if (!is_same) {
        runs->concurrency = before->concurrency;
        runs->concurrency_least = before->concurrency_least;
    } else if (runs->executor && runs->concurrency > runs->executor_threads) {
        runs->concurrency = runs->concurrency_least = runs->executor_threads;
    }
}

static enum warren_status plan_pair(struct pair *pair, size_t place, struct warren_error *error)
{
    struct subscriptions_plan *plan = pair->plan;
    struct open_subscription *item = &plan->items[place];
    bool other_edition = needs_edition(pair);
    struct runtime_change *change;

    *item = *pair->before;
    item->setup = pair->now;
    if (!other_edition && !needs_change(pair))
        return WARREN_OK;
    /* Also where the chain stays: what is borrowed of the configuration is then the new one's. */
    if (open_edition(plan, place, &pair->reuse, error) != WARREN_OK)
        return error->status;
    keep_stream(pair, &item->edition->runs);
    keep_threads(pair, &item->edition->runs);
    subscriptions_set_order(&item->edition->runs, pair->now->config,
                            pair->before->edition->runs.order, pair->before->edition->runs.fair,
                            pair->before->edition->runs.lanes);
    change = add_change(plan, place);
    *change = (struct runtime_change){
        .kind = RUNTIME_CHANGE,
        .subscription = item->running,
        .what = &item->edition->runs,
        .other_edition = true,
        .other_arguments =
            !pair->is_stream && config_subscription_differs(pair->before->setup->config,
                                                            pair->now->config, "arguments")};
    return WARREN_OK;
}

static enum warren_status plan_new(struct subscriptions_plan *plan, struct reload_report *report,
                                   size_t place, struct warren_error *error)
{
    static const struct open_reuse nothing = {.from = NULL};
    const struct setup_subscription *setup = &plan->now->subscriptions[place];
    enum warren_status status;

    plan->items[place] = (struct open_subscription){.setup = setup};
    status = open_edition(plan, place, &nothing, error);
    if (status != WARREN_OK)
        return status;
    *add_change(plan, place) =
        (struct runtime_change){.kind = RUNTIME_ADD, .what = &plan->items[place].edition->runs};
    reload_report_changed(report, "subscription %s (%s): added", setup->config->queue,
                          setup->config->handler);
    return WARREN_OK;
}

/* The place in the new setup of the one at @index of those that run; its count: there is none. */
static size_t place_of(const struct subscriptions_plan *plan, size_t index)
{
    const struct config *config = plan->now->config;
    const struct config_subscription *found =
        config_same_subscription(plan->open->setup->config, index, config);

    return found ? (size_t)(found - config->subscriptions) : config->subscription_count;
}

static void plan_removed(struct subscriptions_plan *plan, struct reload_report *report,
                         size_t index)
{
    const struct open_subscription *item = &plan->open->items[index];

    *add_change(plan, index) =
        (struct runtime_change){.kind = RUNTIME_REMOVE, .subscription = item->running};
    reload_report_changed(report, "subscription %s (%s): removed", item->setup->config->queue,
                          item->setup->config->handler);
}

static struct pair pair_of(struct subscriptions_plan *plan, struct reload_report *report,
                           size_t index, size_t place)
{
    struct pair pair = {.plan = plan,
                        .report = report,
                        .before = &plan->open->items[index],
                        .now = &plan->now->subscriptions[place]};

    look_at(&pair);
    return pair;
}

/* What needs nothing to be opened, and is told. */
static void plan_those_that_run(struct subscriptions_plan *plan, struct reload_report *report,
                                bool *stays)
{
    for (size_t i = 0; i < plan->open->count; i++) {
        size_t place = place_of(plan, i);
        struct pair pair;

        if (place == plan->now->config->subscription_count) {
            plan_removed(plan, report, i);
            continue;
        }
        stays[place] = true;
        pair = pair_of(plan, report, i, place);
        if (config_is_written(pair.now->config))
            config_subscription_changes(pair.before->setup->config, pair.now->config, note_row,
                                        &pair);
        tell_chain(&pair);
        tell_options(&pair);
        tell_stream(&pair);
        give_new_options(&pair);
    }
}

static enum warren_status plan_all(struct subscriptions_plan *plan, struct reload_report *report,
                                   bool *stays, struct warren_error *error)
{
    enum warren_status status =
        config_lanes_stay(plan->open->setup->config, plan->now->config, error);

    if (status == WARREN_OK)
        status = config_shards_stay(plan->open->setup->config, plan->now->config, error);
    if (status != WARREN_OK)
        return status;
    plan_those_that_run(plan, report, stays);
    for (size_t i = 0; status == WARREN_OK && i < plan->open->count; i++) {
        size_t place = place_of(plan, i);
        struct pair pair;

        if (place == plan->now->config->subscription_count)
            continue;
        pair = pair_of(plan, report, i, place);
        status = plan_pair(&pair, place, error);
    }
    for (size_t i = 0; status == WARREN_OK && i < plan->now->config->subscription_count; i++)
        if (!stays[i])
            status = plan_new(plan, report, i, error);
    return status;
}

enum warren_status subscriptions_plan(struct open_subscriptions *open,
                                      const struct worker_setup *now, struct reload_report *report,
                                      struct subscriptions_plan *plan, struct warren_error *error)
{
    size_t count = now->config->subscription_count;
    bool *stays = calloc(count + 1, sizeof *stays);
    enum warren_status status = WARREN_ENOMEM;

    *plan = (struct subscriptions_plan){.open = open, .now = now};
    plan->items = calloc(count + 1, sizeof *plan->items);
    plan->changes = calloc(count + open->count + 1, sizeof *plan->changes);
    plan->places = calloc(count + open->count + 1, sizeof *plan->places);
    if (stays && plan->items && plan->changes && plan->places)
        status = plan_all(plan, report, stays, error);
    else
        error_set(error, status, "no memory for the subscriptions");
    free(stays);
    return status;
}

struct runtime_subscription *subscriptions_planned(const struct subscriptions_plan *plan,
                                                   size_t index)
{
    return &plan->items[plan->places[index]].edition->runs;
}

/* ---- the end of a plan ---- */

static void plan_free(struct subscriptions_plan *plan)
{
    free(plan->items);
    free(plan->changes);
    free(plan->places);
    *plan = (struct subscriptions_plan){.open = NULL};
}

static void each_link(struct open_subscriptions *open, void (*call)(struct open_link *link))
{
    LIST_EACH(link, &open->editions) {
        const struct open_edition *edition = list_entry(link, struct open_edition, link);

        for (size_t i = 0; i < edition->link_count; i++)
            call(edition->links[i]);
    }
}

static void give_back(struct open_link *link)
{
    if (link->before)
        give_options(link, link->before);
    link->before = NULL;
}

static void keep(struct open_link *link)
{
    link->before = NULL;
}

void subscriptions_plan_undo(struct subscriptions_plan *plan)
{
    if (!plan->open)
        return;
    for (size_t i = plan->change_count; i > 0; i--)
        if (plan->changes[i - 1].kind != RUNTIME_REMOVE)
            edition_close(plan->items[plan->places[i - 1]].edition);
    each_link(plan->open, give_back);
    plan_free(plan);
}

void subscriptions_plan_done(struct subscriptions_plan *plan)
{
    struct open_subscriptions *open = plan->open;

    for (size_t i = 0; i < plan->change_count; i++) {
        const struct runtime_change *change = &plan->changes[i];
        size_t place = plan->places[i];

        if (change->kind == RUNTIME_ADD)
            plan->items[place].running = change->subscription;
        else if (change->kind == RUNTIME_REMOVE)
            open->items[place].edition->ended = change->subscription;
    }
    each_link(open, keep);
    pthread_mutex_lock(&open->lock);
    free(open->items);
    open->items = plan->items;
    open->count = plan->now->config->subscription_count;
    open->setup = plan->now;
    pthread_mutex_unlock(&open->lock);
    plan->items = NULL;
    plan_free(plan);
}
