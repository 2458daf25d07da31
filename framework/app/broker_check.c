#include "app/broker_check.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology.h"
#include "app/settings.h"
#include "base/error.h"

#define CLOSE_MS 2000

#define NOT_FOUND 404

struct broker_check {
    const struct config *config;
    const struct broker_check_events *events;
    void *user;
    struct config_topology passive; /* everything only looked for */
    struct config_exchange *exchanges;
    struct config_queue *queues;
    struct loop *loop;
    struct connection *connection;
    struct topology *topology;
    struct loop_timer deadline;
    size_t tries_left; /* one for each address */
    enum warren_status status;
    struct warren_error *error;
};

/* ---- what to look for ---- */

static bool is_declared(const struct config_topology *topology, const char *queue)
{
    for (size_t i = 0; i < topology->queue_count; i++)
        if (strcmp(topology->queues[i].name, queue) == 0)
            return true;
    return false;
}

static bool make_passive(struct broker_check *check)
{
    const struct config *config = check->config;
    const struct config_topology *topology = &config->topology;
    size_t queue_max = topology->queue_count + config->subscription_count;

    check->exchanges = calloc(topology->exchange_count + 1, sizeof *check->exchanges);
    check->queues = calloc(queue_max + 1, sizeof *check->queues);
    if (!check->exchanges || !check->queues)
        return false;
    check->passive.exchanges = check->exchanges;
    check->passive.queues = check->queues;
    for (size_t i = 0; i < topology->exchange_count; i++) {
        check->exchanges[i] = topology->exchanges[i];
        check->exchanges[check->passive.exchange_count++].passive = true;
    }
    for (size_t i = 0; i < topology->queue_count; i++) {
        check->queues[i] = topology->queues[i];
        check->queues[check->passive.queue_count++].passive = true;
    }
    for (size_t i = 0; i < config->subscription_count; i++) {
        const char *queue = config->subscriptions[i].queue;

        if (!is_declared(&check->passive, queue))
            check->queues[check->passive.queue_count++] =
                (struct config_queue){.name = queue, .type = "classic", .passive = true};
    }
    return true;
}

/* The name in "queue 'payments' (passive)", as a word: names may hold quotes. */
static bool is_named(const char *item, const char *kind, const char *name)
{
    size_t kind_len = strlen(kind);
    size_t len = strlen(name);

    return strncmp(item, kind, kind_len) == 0 && strncmp(item + kind_len, name, len) == 0 &&
           strncmp(item + kind_len + len, "' (", 3) == 0;
}

/* Will the worker declare it? */
static bool will_be_declared(const struct config_topology *topology, const char *item)
{
    for (size_t i = 0; i < topology->exchange_count; i++)
        if (!topology->exchanges[i].passive &&
            is_named(item, "exchange '", topology->exchanges[i].name))
            return true;
    for (size_t i = 0; i < topology->queue_count; i++)
        if (!topology->queues[i].passive && is_named(item, "queue '", topology->queues[i].name))
            return true;
    return false;
}

/* ---- looking, on the loop ---- */

static int64_t patience_ms(const struct broker_check *check)
{
    return check->config->broker.connect_timeout_ms + check->config->broker.rpc_timeout_ms;
}

static void finish(struct broker_check *check, enum warren_status status)
{
    check->status = status;
    loop_timer_disarm(&check->deadline);
    connection_close(check->connection, CLOSE_MS);
}

static void on_item_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct broker_check *check = user;

    loop_timer_arm_ms(&check->deadline, patience_ms(check)); /* the rest needs a new channel */
    if (code == NOT_FOUND && will_be_declared(&check->config->topology, item))
        check->events->missing(check->user, item);
    else
        check->events->refused(check->user, item, code, text);
}

static void on_done(void *user, uint32_t refused)
{
    (void)refused;
    finish(user, WARREN_OK);
}

static void on_open(void *user)
{
    struct broker_check *check = user;

    check->events->connected(check->user, connection_where(check->connection),
                             connection_server(check->connection));
    topology_declare(check->topology);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct broker_check *check = user;

    if (check->tries_left > 1) {
        check->tries_left--;
        return;
    }
    if (check->status == WARREN_ETIMEOUT)
        finish(check, error_set(check->error, loss->refused ? WARREN_EBROKER : WARREN_EIO, "%s: %s",
                                loss->where, loss->text));
}

static void on_deadline(void *arg)
{
    struct broker_check *check = arg;

    finish(check, error_set(check->error, WARREN_ETIMEOUT, "%s: no answer within %lld ms",
                            connection_where(check->connection), (long long)patience_ms(check)));
}

static void on_closed(void *user)
{
    struct broker_check *check = user;

    loop_stop(check->loop);
}

/* ---- life ---- */

static enum warren_status set_up(struct broker_check *check)
{
    static const struct connection_events connection_events = {
        .open = on_open, .lost = on_lost, .closed = on_closed};
    static const struct topology_events topology_events = {.refused = on_item_refused,
                                                           .done = on_done};
    struct publisher_settings settings;
    enum warren_status status =
        settings_connection(check->config, "warren check", &settings, check->error);

    if (status != WARREN_OK)
        return status;
    check->tries_left = settings.connection.uri_count;
    status = loop_new(&check->loop);
    if (status == WARREN_OK)
        status = loop_timer_init(&check->deadline, check->loop, on_deadline, check);
    if (status == WARREN_OK)
        status = connection_new(check->loop, &settings.connection, &connection_events, check,
                                &check->connection, check->error);
    if (status == WARREN_OK)
        status = topology_new(check->connection, &check->passive, &topology_events, check,
                              &check->topology);
    publisher_settings_done(&settings);
    return status;
}

enum warren_status broker_check(const struct config *config,
                                const struct broker_check_events *events, void *user,
                                struct warren_error *error)
{
    struct broker_check check = {.config = config, .events = events, .user = user, .error = error};
    enum warren_status status;

    status = make_passive(&check) ? set_up(&check) : WARREN_ENOMEM;
    if (status == WARREN_OK) {
        check.status = WARREN_ETIMEOUT; /* not ended yet */
        loop_timer_arm_ms(&check.deadline, patience_ms(&check));
        connection_start(check.connection);
        loop_run(check.loop);
        status = check.status;
    } else if (error && !*error->text) {
        error_set(error, status, "no memory");
    }
    topology_free(check.topology);
    connection_free(check.connection);
    loop_timer_done(&check.deadline);
    loop_free(check.loop);
    free(check.exchanges);
    free(check.queues);
    return status;
}
