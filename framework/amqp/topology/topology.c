/* topology.c - all declares leave at once. Replies come in order, so the item after the last reply
 * is the one that the broker closed the channel for, and what follows it was not processed.
 */
#include "amqp/topology/topology.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology/declare.h"
#include "base/log.h"

#define PRECONDITION_FAILED 406

struct item {
    bool refused; /* on this connection */
    bool late;    /* in this round: the broker did not answer */
    bool fatal;   /* the broker closed the connection over it: never tried again */
    bool limited; /* in this round: a queue that is tried without the limit added to it */
    char *words;  /* of the last refusal that was reported */
};

struct topology {
    struct connection *connection;
    struct channel *channel; /* NULL if there is nothing to declare */
    const struct config_topology *config;
    struct topology_events events;
    void *user;
    struct item *items; /* exchanges, queues, bindings */
    size_t count;
    size_t position; /* the first item of this round that was not answered */
    bool running;
};

/* ---- one declare ---- */

/* The queue of an item, as it is to be declared in this round; NULL: it is no queue. */
static const struct config_queue *queue_at(const struct topology *topology, size_t index,
                                           struct config_queue *queue)
{
    const struct config_topology *config = topology->config;
    size_t first = config->exchange_count;

    if (index < first || index >= first + config->queue_count)
        return NULL;
    *queue = config->queues[index - first];
    if (topology->items[index].limited) {
        queue->arguments.count--;
        queue->limit_added = false;
    }
    return queue;
}

/* @queue is where its `queue` points to, if it is one. */
static struct declare_item item_at(const struct topology *topology, size_t index,
                                   struct config_queue *queue)
{
    const struct config_topology *config = topology->config;

    if (index < config->exchange_count)
        return (struct declare_item){.exchange = &config->exchanges[index]};
    if (queue_at(topology, index, queue))
        return (struct declare_item){.queue = queue};
    index -= config->exchange_count + config->queue_count;
    return (struct declare_item){.binding = &config->bindings[index]};
}

/* ---- a round ---- */

static void report(struct topology *topology, size_t index, uint16_t code, const char *words)
{
    struct item *item = &topology->items[index];
    char text[DECLARE_TEXT_MAX];
    struct config_queue queue;
    struct declare_item declared = item_at(topology, index, &queue);

    if (item->words && strcmp(item->words, words) == 0)
        return;
    free(item->words);
    item->words = strdup(words); /* without memory it is only reported once too often */
    declare_text(&declared, text);
    topology->events.refused(topology->user, text, code, words);
}

static void refuse(struct topology *topology, size_t index, uint16_t code, const char *words)
{
    topology->items[index].refused = true;
    report(topology, index, code, words);
}

/*
 * A queue that exists may be older than the limit that config/declared.c adds, and arguments
 * never change: then it is what it was.
 */
static bool try_without_limit(struct topology *topology, size_t index, uint16_t code)
{
    struct item *item = &topology->items[index];
    struct config_queue queue;

    if (code != PRECONDITION_FAILED || !queue_at(topology, index, &queue) || !queue.limit_added)
        return false;
    item->limited = true;
    return true;
}

static bool is_left_out(const struct item *item)
{
    return item->refused || item->late;
}

static void skip_left_out(struct topology *topology)
{
    while (topology->position < topology->count &&
           is_left_out(&topology->items[topology->position]))
        topology->position++;
}

/* The owner may free us in `done`: callers touch nothing afterwards. */
static void go_on(struct topology *topology)
{
    uint32_t refused = 0;

    skip_left_out(topology);
    if (!topology->running || topology->position < topology->count)
        return;
    topology->running = false;
    for (size_t i = 0; i < topology->count; i++)
        refused += is_left_out(&topology->items[i]);
    log_debug("topology: %zu items, %u refused", topology->count, refused);
    topology->events.done(topology->user, refused);
}

static void on_reply(void *user, void *decoded)
{
    struct topology *topology = user;

    (void)decoded;
    topology->position++;
    go_on(topology);
}

static void send_rest(struct topology *topology)
{
    enum warren_status status = WARREN_OK;
    struct arena arena;
    struct declare_to to = {topology->channel, &arena, on_reply, topology};

    skip_left_out(topology);
    arena_init(&arena);
    for (size_t i = topology->position; i < topology->count; i++) {
        struct warren_error error = {WARREN_OK, ""};
        struct config_queue queue;
        struct declare_item item = item_at(topology, i, &queue);

        if (is_left_out(&topology->items[i]))
            continue;
        arena_reset(&arena);
        status = declare_send(&to, &item, &error);
        if (status == WARREN_EINVAL || status == WARREN_ETOOBIG)
            refuse(topology, i, 0, error.text[0] ? error.text : "it does not fit into a frame");
        else if (status != WARREN_OK)
            break;
    }
    arena_done(&arena);
    if (status == WARREN_ENOMEM || status == WARREN_EFULL)
        connection_fail(topology->connection, "topology: cannot send a declare: %s",
                        warren_status_name(status));
    go_on(topology);
}

static void on_open(void *user)
{
    struct topology *topology = user;

    if (topology->running)
        send_rest(topology);
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct topology *topology = user;

    if (loss->unanswered) { /* the rest is not to wait for it */
        channel_reopen_now(topology->channel);
        topology->items[topology->position].late = true;
        report(topology, topology->position, 0, loss->text);
        go_on(topology);
    } else if (loss->code == 0) { /* the connection is gone: the next one tries everything again */
        for (size_t i = 0; i < topology->count; i++)
            topology->items[i].refused = topology->items[i].fatal;
        /* ... but what ended it: an unknown exchange type is a connection error (503). */
        if (topology->running && topology->position < topology->count && declare_is(loss->method)) {
            channel_reopen_now(topology->channel);
            topology->items[topology->position].fatal = true;
            refuse(topology, topology->position, 0, loss->text);
        }
        topology->running = false;
    } else if (topology->running) {
        channel_reopen_now(topology->channel);
        if (try_without_limit(topology, topology->position, loss->code))
            return;
        refuse(topology, topology->position, loss->code, loss->text);
        go_on(topology);
    }
}

/* ---- public ---- */

enum warren_status topology_new(struct connection *connection, const struct config_topology *config,
                                const struct topology_events *events, void *user,
                                struct topology **ret_topology)
{
    static const struct channel_events channel_events = {.open = on_open, .lost = on_lost};
    struct topology *topology = calloc(1, sizeof *topology);
    enum warren_status status = WARREN_OK;

    if (!topology)
        return WARREN_ENOMEM;
    topology->connection = connection;
    topology->config = config;
    topology->events = *events;
    topology->user = user;
    topology->count = config->exchange_count + config->queue_count + config->binding_count;
    topology->items = calloc(topology->count + 1, sizeof *topology->items);
    if (!topology->items)
        status = WARREN_ENOMEM;
    else if (topology->count > 0)
        status = channel_new(connection, &channel_events, topology, &topology->channel);
    if (status != WARREN_OK) {
        topology_free(topology);
        return status;
    }
    *ret_topology = topology;
    return WARREN_OK;
}

void topology_declare(struct topology *topology)
{
    if (topology->running)
        return;
    topology->running = true;
    topology->position = 0;
    for (size_t i = 0; i < topology->count; i++)
        topology->items[i].late = topology->items[i].limited = false;
    if (topology->count == 0)
        go_on(topology);
    else if (channel_is_open(topology->channel))
        send_rest(topology);
}

void topology_progress(const struct topology *topology, size_t *ret_done, size_t *ret_total)
{
    *ret_done = topology->position;
    *ret_total = topology->count;
}

bool topology_is_late(const struct topology *topology)
{
    for (size_t i = 0; i < topology->count; i++) {
        if (topology->items[i].late)
            return true;
    }
    return false;
}

bool topology_declares(const struct topology *topology, const char *queue)
{
    for (size_t i = 0; i < topology->count; i++) {
        struct config_queue at;

        if (queue_at(topology, i, &at) && strcmp(at.name, queue) == 0)
            return !at.passive && !topology->items[i].refused && !topology->items[i].limited;
    }
    return false;
}

void topology_free(struct topology *topology)
{
    if (!topology)
        return;
    channel_free(topology->channel);
    for (size_t i = 0; topology->items && i < topology->count; i++)
        free(topology->items[i].words);
    free(topology->items);
    free(topology);
}
