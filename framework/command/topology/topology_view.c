/* topology_view.c - see topology_view.h. */
#include "command/topology/topology_view.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "command/broker/broker_check.h"

#define NOT_FOUND           404
#define PRECONDITION_FAILED 406

#define NO_ADDRESS                                                                                 \
    "no address of RabbitMQ's management API is given (broker.management, or --management)"

/* ---- by the management API ---- */

/* Whatever the API does wrong, AMQP may still tell something. */
static enum warren_status not_seen(struct topology_view *view, enum warren_status status,
                                   const struct warren_error *why, struct warren_error *error)
{
    if (status == WARREN_ENOMEM || status == WARREN_ECONFIG)
        return error_set(error, status, "%s", why->text);
    snprintf(view->why, sizeof view->why, "%s", why->text);
    return WARREN_OK;
}

static enum warren_status compare(struct topology_view *view, const struct config *config)
{
    struct topology_pair pair = {.wanted = &view->wanted.topology, .found = &view->found.topology};
    enum warren_status status =
        topology_wanted(config, &view->found.topology, &view->arena, &view->wanted);

    if (status != WARREN_OK || !view->whole)
        return status;
    pair.shared = view->wanted.shared;
    pair.shared_count = view->wanted.shared_count;
    return topology_diff(&pair, &view->arena, &view->steps);
}

static enum warren_status ask(struct topology_view *view, const struct config *config,
                              struct warren_error *error)
{
    struct settings_management settings;
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = settings_management(config, &settings, &why);

    if (status != WARREN_OK)
        return error_set(error, status, "%s", why.text);
    memcpy(view->vhost, settings.vhost, sizeof view->vhost);
    status = management_new(&settings, &view->management, &why);
    settings_management_done(&settings);
    if (status == WARREN_OK)
        status = management_read(view->management, &view->arena, &view->found, &why);
    view->whole = status == WARREN_OK;
    if (view->whole)
        snprintf(view->where, sizeof view->where, "%s", management_where(view->management));
    return view->whole ? WARREN_OK : not_seen(view, status, &why, error);
}

/* Until somebody else tells. */
static void describe_broker(struct topology_view *view, const struct config *config)
{
    struct uri broker;

    if (uri_parse(config->broker.uri[0], &broker, NULL) == WARREN_OK)
        uri_describe(&broker, view->where, sizeof view->where);
    explicit_bzero(&broker, sizeof broker);
}

enum warren_status topology_view_init(struct topology_view *view, const struct config *config,
                                      struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    *view = (struct topology_view){.whole = false};
    arena_init(&view->arena);
    describe_broker(view, config);
    if (*config->broker.management)
        status = ask(view, config, error);
    else
        snprintf(view->why, sizeof view->why, NO_ADDRESS);
    if (status != WARREN_OK)
        return status;
    if (!view->whole) /* half of an answer is none */
        view->found = (struct management_topology){.skipped = 0};
    status = compare(view, config);
    if (status == WARREN_OK)
        return WARREN_OK;
    return error_set(error, status, "no memory for the topology");
}

void topology_view_done(struct topology_view *view)
{
    management_free(view->management);
    arena_done(&view->arena);
    view->management = NULL;
}

/* ---- by AMQP ---- */

struct asked {
    struct topology_view *view;
    struct topology_step *steps;
    size_t count;
    size_t most;
    bool no_memory;
};

/* @item is "queue 'payments' (passive)"; names may hold quotes. */
static bool is_named(const char *item, const char *kind, const char *name)
{
    size_t kind_len = strlen(kind);
    size_t len = strlen(name);

    return strncmp(item, kind, kind_len) == 0 && strncmp(item + kind_len, name, len) == 0 &&
           strncmp(item + kind_len + len, "' (", 3) == 0;
}

/* All NULL: it is none that is wanted, such as the queue of others that is consumed. */
static struct declare_item find(const struct config_topology *topology, const char *item)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (is_named(item, "exchange '", topology->exchanges[i].name))
            return (struct declare_item){.exchange = &topology->exchanges[i]};
    for (size_t i = 0; i < topology->queue_count; i++)
        if (is_named(item, "queue '", topology->queues[i].name))
            return (struct declare_item){.queue = &topology->queues[i]};
    return (struct declare_item){NULL, NULL, NULL};
}

static void add(struct asked *asked, const char *item, enum topology_step_kind kind,
                const char *words)
{
    struct declare_item found = find(&asked->view->wanted.topology, item);
    const char *copy = arena_copy(&asked->view->arena, words, strlen(words));

    asked->no_memory = asked->no_memory || !copy;
    if ((found.exchange || found.queue) && copy && asked->count < asked->most)
        asked->steps[asked->count++] =
            (struct topology_step){.kind = kind, .item = found, .words = *copy ? copy : NULL};
}

static void on_connected(void *user, const struct connection *connection)
{
    struct asked *asked = user;

    snprintf(asked->view->where, sizeof asked->view->where, "%s", connection_where(connection));
}

static void on_missing(void *user, const char *item)
{
    add(user, item, TOPOLOGY_DECLARE, "");
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    add(user, item,
        code == PRECONDITION_FAILED ? TOPOLOGY_DIFFERENT
        : code == NOT_FOUND         ? TOPOLOGY_ABSENT
                                    : TOPOLOGY_REFUSED,
        text);
}

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    (void)user;
    (void)needed;
    (void)allowed;
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
}

static void on_limited(void *user, const char *queue, int64_t limit)
{
    (void)user;
    (void)queue;
    (void)limit;
}

enum warren_status topology_view_ask_amqp(struct topology_view *view, const struct config *config,
                                          struct warren_error *error)
{
    static const struct broker_check_events events = {.connected = on_connected,
                                                      .missing = on_missing,
                                                      .refused = on_refused,
                                                      .few_channels = on_few_channels,
                                                      .limited = on_limited,
                                                      .progress = on_progress};
    const struct config_topology *wanted = &view->wanted.topology;
    struct asked asked = {.view = view};
    enum warren_status status;

    asked.most = 2 * (wanted->exchange_count + wanted->queue_count);
    asked.steps = arena_alloc(&view->arena, (asked.most + 1) * sizeof *asked.steps);
    if (!asked.steps)
        return error_set(error, WARREN_ENOMEM, "no memory for the topology");
    status = broker_check(config, "warren topology", &events, &asked, error);
    if (status == WARREN_OK && asked.no_memory)
        status = error_set(error, WARREN_ENOMEM, "no memory for the topology");
    view->steps = (struct topology_steps){asked.steps, asked.count};
    return status;
}
