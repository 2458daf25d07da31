/* topology_apply.c - see topology_apply.h. */
#include "command/topology/topology_apply.h"

#include "amqp/topology/topology.h"
#include "app/settings.h"
#include "base/error.h"

#define CLOSE_MS 2000

struct apply {
    const struct config *config;
    topology_refused_fn *refused;
    void *user;
    struct loop *loop;
    struct connection *connection;
    struct topology *topology;
    struct loop_timer deadline;
    size_t connects_left; /* one for each address */
    bool told_loss;       /* as the refusal of the item that the broker closed the connection for */
    bool ended;
    enum warren_status status;
    struct warren_error *error;
};

static int64_t patience_ms(const struct apply *apply)
{
    return apply->config->broker.connect_timeout_ms + apply->config->broker.rpc_timeout_ms;
}

static void finish(struct apply *apply, enum warren_status status)
{
    if (apply->ended)
        return;
    apply->ended = true;
    apply->status = status;
    loop_timer_disarm(&apply->deadline);
    connection_close(apply->connection, CLOSE_MS);
}

/* ---- the topology ---- */

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct apply *apply = user;

    loop_timer_arm_ms(&apply->deadline, patience_ms(apply)); /* the rest needs a new channel */
    apply->told_loss = code == 0;
    apply->refused(apply->user, item, code, text);
}

static void on_done(void *user, uint32_t refused)
{
    (void)refused;
    finish(user, WARREN_OK);
}

/* ---- the connection ---- */

static void on_open(void *user)
{
    struct apply *apply = user;

    loop_timer_arm_ms(&apply->deadline, patience_ms(apply));
    topology_declare(apply->topology);
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct apply *apply = user;

    if (!loss->was_open && apply->connects_left > 1) {
        apply->connects_left--;
        return;
    }
    if (apply->told_loss)
        apply->told_loss = false; /* the rest is declared on the next connection, made at once */
    else if (!apply->ended)
        finish(apply, error_set(apply->error, loss->refused ? WARREN_EBROKER : WARREN_EIO, "%s: %s",
                                loss->where, loss->text));
}

static void on_deadline(void *arg)
{
    struct apply *apply = arg;

    finish(apply, error_set(apply->error, WARREN_ETIMEOUT, "%s: no answer within %lld ms",
                            connection_where(apply->connection), (long long)patience_ms(apply)));
}

static void on_closed(void *user)
{
    struct apply *apply = user;

    loop_stop(apply->loop);
}

/* ---- life ---- */

static enum warren_status set_up(struct apply *apply, const struct config_topology *topology)
{
    static const struct connection_events connection_events = {
        .open = on_open, .lost = on_lost, .closed = on_closed};
    static const struct topology_events events = {.refused = on_refused, .done = on_done};
    struct publisher_settings settings;
    enum warren_status status =
        settings_connection(apply->config, "warren topology", &settings, apply->error);

    if (status != WARREN_OK)
        return status;
    apply->connects_left = settings.connection.uri_count;
    status = loop_new(clock_monotonic(), &apply->loop);
    if (status == WARREN_OK)
        status = loop_timer_init(&apply->deadline, apply->loop, on_deadline, apply);
    if (status == WARREN_OK)
        status = connection_new(apply->loop, &settings.connection, &connection_events, apply,
                                &apply->connection, apply->error);
    if (status == WARREN_OK)
        status = topology_new(apply->connection, topology, &events, apply, &apply->topology);
    publisher_settings_done(&settings);
    return status;
}

enum warren_status topology_apply(const struct config *config,
                                  const struct config_topology *topology,
                                  topology_refused_fn *refused, void *user,
                                  struct warren_error *error)
{
    struct apply apply = {.config = config, .refused = refused, .user = user, .error = error};
    enum warren_status status = set_up(&apply, topology);

    if (status == WARREN_OK) {
        loop_timer_arm_ms(&apply.deadline, patience_ms(&apply));
        connection_start(apply.connection);
        loop_run(apply.loop);
        status = apply.status;
    } else if (error && !*error->text) {
        error_set(error, status, "no memory");
    }
    topology_free(apply.topology);
    connection_free(apply.connection);
    loop_timer_done(&apply.deadline);
    loop_free(apply.loop);
    return status;
}
