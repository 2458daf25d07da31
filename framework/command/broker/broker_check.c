#include "command/broker/broker_check.h"

#include <string.h>

#include "amqp/topology/doomed.h"
#include "amqp/topology/limit_probe.h"
#include "amqp/topology/topology.h"
#include "app/settings.h"
#include "base/error.h"
#include "command/broker/broker_plan.h"
#include "consume/runtime/runtime.h"

#define CLOSE_MS 2000

/* A check that takes this long reports how far it is, in these steps. */
#define SLOW_MS      1000
#define SLOW_STEP_MS 100

#define NOT_FOUND           404
#define PRECONDITION_FAILED 406

struct broker_check {
    const struct config *config;
    const struct broker_check_events *events;
    void *user;
    struct broker_plan plan;
    struct loop *loop;
    struct connection *connection;
    struct topology *look;
    struct topology *trial;
    struct limit_probe limit; /* of the queue of subscription `probed` */
    size_t probed;
    struct broker_rights rights; /* none unless the owner wants to know */
    struct right_probe right;    /* of the item `asked` */
    size_t asked;
    struct loop_timer deadline;
    struct loop_timer slow;
    size_t looked;        /* items of the first round, once it is over */
    size_t connects_left; /* one for each address */
    bool told_loss;       /* as the refusal of the item that the broker closed the connection for */
    enum warren_status status;
    struct warren_error *error;
};

static int64_t patience_ms(const struct broker_check *check)
{
    return check->config->broker.connect_timeout_ms + check->config->broker.rpc_timeout_ms;
}

static void finish(struct broker_check *check, enum warren_status status)
{
    check->status = status;
    loop_timer_disarm(&check->deadline);
    loop_timer_disarm(&check->slow);
    connection_close(check->connection, CLOSE_MS);
}

/* ---- first round: everything is looked for ---- */

static void on_not_found(void *user, const char *item, uint16_t code, const char *text)
{
    struct broker_check *check = user;
    enum broker_found *found = broker_plan_found(&check->plan, item);

    loop_timer_arm_ms(&check->deadline, patience_ms(check)); /* the rest needs a new channel */
    if (found)
        *found = code == NOT_FOUND ? BROKER_MISSING : BROKER_REFUSED;
    if (!found || code != NOT_FOUND)
        check->events->refused(check->user, item, code, text);
}

/* ---- third round: what limits have consumed queues that are not as the worker would have them? */

/* Those of the two rounds before are still open. */
#define CHANNELS_MIN 3

/* A queue that is not there, or not to be seen, has been reported. */
static bool has_limit_to_tell(const struct broker_check *check, size_t index)
{
    const struct config *config = check->config;
    const char *queue = config->subscriptions[index].queue;

    for (size_t i = 0; i < index; i++)
        if (strcmp(config->subscriptions[i].queue, queue) == 0)
            return false;
    return broker_plan_is_present(&check->plan, queue) && !topology_declares(check->trial, queue);
}

static void probe_next(struct broker_check *check);

static void on_limit(void *user, int64_t limit)
{
    struct broker_check *check = user;
    const char *queue = check->config->subscriptions[check->probed++].queue;

    if (limit >= 0)
        check->events->limited(check->user, queue, limit);
    probe_next(check);
}

/* ---- fourth round: what may this user do? ---- */

static void ask_next(struct broker_check *check);

static void on_right(void *user, enum right_answer answer, const char *text)
{
    struct broker_check *check = user;

    check->events->right(check->user, &check->rights.items[check->asked++], answer, text);
    ask_next(check);
}

static void ask_next(struct broker_check *check)
{
    const struct broker_rights *rights = &check->rights;

    loop_timer_arm_ms(&check->deadline, patience_ms(check));
    if (connection_channel_max(check->connection) < CHANNELS_MIN)
        while (check->asked < rights->count)
            check->events->right(check->user, &rights->items[check->asked++], RIGHT_UNKNOWN,
                                 "the broker allows too few channels");
    if (check->asked == rights->count ||
        right_probe_start(&check->right, check->connection, &rights->items[check->asked].right,
                          on_right, check) != WARREN_OK)
        finish(check, WARREN_OK);
}

static void probe_next(struct broker_check *check)
{
    const struct config *config = check->config;

    if (connection_channel_max(check->connection) < CHANNELS_MIN)
        check->probed = config->subscription_count;
    while (check->probed < config->subscription_count && !has_limit_to_tell(check, check->probed))
        check->probed++;
    loop_timer_arm_ms(&check->deadline, patience_ms(check));
    if (check->probed == config->subscription_count)
        ask_next(check);
    else if (limit_probe_start(&check->limit, check->connection,
                               config->subscriptions[check->probed].queue, on_limit,
                               check) != WARREN_OK)
        finish(check, WARREN_OK);
}

static void on_tried(void *user, uint32_t refused)
{
    (void)refused;
    probe_next(user);
}

static void on_trial_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct broker_check *check = user;
    const enum broker_found *found = broker_plan_found(&check->plan, item);

    loop_timer_arm_ms(&check->deadline, patience_ms(check));
    check->told_loss = code == 0;
    if (found && *found == BROKER_MISSING && code == PRECONDITION_FAILED && doomed_is_refusal(text))
        check->events->missing(check->user, item);
    else
        check->events->refused(check->user, item, code, text);
}

static void on_looked(void *user, uint32_t refused)
{
    static const struct topology_events events = {.refused = on_trial_refused, .done = on_tried};
    struct broker_check *check = user;
    enum warren_status status;
    size_t total;

    (void)refused;
    topology_progress(check->look, &check->looked, &total);
    topology_free(check->look); /* there may be one channel only */
    check->look = NULL;
    broker_plan_trial(&check->plan);
    status = topology_new(check->connection, &check->plan.round, &events, check, &check->trial);
    if (status != WARREN_OK)
        finish(check, error_set(check->error, status, "%s", warren_status_name(status)));
    else
        topology_declare(check->trial);
}

/* ---- the connection ---- */

/* Who shares shards out has a channel for each exchange. */
static size_t count_seats(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->subscription_count; i++)
        count += config->subscriptions[i].shards && config->subscriptions[i].shard == 0;
    return count;
}

static void on_open(void *user)
{
    struct broker_check *check = user;
    const struct config *config = check->config;
    uint32_t needed =
        runtime_channels(&config->topology, config->subscription_count + count_seats(config));
    uint32_t allowed = connection_channel_max(check->connection);

    if (check->trial) { /* an item of it had cost the connection before */
        topology_declare(check->trial);
        return;
    }
    check->events->connected(check->user, check->connection);
    if (needed > allowed)
        check->events->few_channels(check->user, needed, allowed);
    topology_declare(check->look);
}

static void on_slow(void *arg)
{
    struct broker_check *check = arg;
    size_t done = 0;
    size_t total = 0;

    if (check->trial)
        topology_progress(check->trial, &done, &total);
    else if (connection_state(check->connection) == CONNECTION_OPEN)
        topology_progress(check->look, &done, &total);
    if (total > 0)
        total = check->looked + total + (check->trial ? 0 : broker_plan_to_try(&check->plan)) +
                check->rights.count;
    check->events->progress(check->user, check->looked + done + check->asked, total);
    loop_timer_arm_ms(&check->slow, SLOW_STEP_MS);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct broker_check *check = user;

    if (!loss->was_open && check->connects_left > 1) {
        check->connects_left--;
        return;
    }
    if (check->told_loss)
        check->told_loss = false; /* the rest is tried on the next connection, made at once */
    else if (check->status == WARREN_ETIMEOUT)
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

static enum warren_status set_up(struct broker_check *check, const char *name)
{
    static const struct connection_events connection_events = {
        .open = on_open, .lost = on_lost, .closed = on_closed};
    static const struct topology_events look_events = {.refused = on_not_found, .done = on_looked};
    struct publisher_settings settings;
    enum warren_status status = settings_connection(check->config, name, &settings, check->error);

    if (status != WARREN_OK)
        return status;
    check->connects_left = settings.connection.uri_count;
    status = loop_new(clock_monotonic(), &check->loop);
    if (status == WARREN_OK)
        status = loop_timer_init(&check->deadline, check->loop, on_deadline, check);
    if (status == WARREN_OK)
        status = loop_timer_init(&check->slow, check->loop, on_slow, check);
    if (status == WARREN_OK)
        status = connection_new(check->loop, &settings.connection, &connection_events, check,
                                &check->connection, check->error);
    if (status == WARREN_OK)
        status =
            topology_new(check->connection, &check->plan.round, &look_events, check, &check->look);
    publisher_settings_done(&settings);
    return status;
}

enum warren_status broker_check(const struct config *config, const char *name,
                                const struct broker_check_events *events, void *user,
                                struct warren_error *error)
{
    struct broker_check check = {.config = config, .events = events, .user = user, .error = error};
    enum warren_status status;

    status = broker_plan_init(&check.plan, config, events->right);
    if (status == WARREN_OK && events->right)
        status = broker_rights_init(&check.rights, config);
    if (status == WARREN_OK)
        status = set_up(&check, name);
    if (status == WARREN_OK) {
        check.status = WARREN_ETIMEOUT; /* not ended yet */
        loop_timer_arm_ms(&check.deadline, patience_ms(&check));
        loop_timer_arm_ms(&check.slow, SLOW_MS);
        connection_start(check.connection);
        loop_run(check.loop);
        status = check.status;
    } else if (error && !*error->text) {
        error_set(error, status, "no memory");
    }
    right_probe_done(&check.right);
    limit_probe_done(&check.limit);
    topology_free(check.trial);
    topology_free(check.look);
    connection_free(check.connection);
    loop_timer_done(&check.deadline);
    loop_timer_done(&check.slow);
    loop_free(check.loop);
    broker_plan_done(&check.plan);
    broker_rights_done(&check.rights);
    return status;
}
