/* declare.c - what an application declares through its publisher: the caller hands a copy over and
 * waits; on the publisher's thread amqp/topology declares it, on a channel of its own, and again on
 * each connection if that was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "amqp/topology/topology.h"
#include "amqp/wire/properties.h"
#include "base/error.h"
#include "publish/publisher/sender_private.h"

#define NAME_MAX_BYTES 255

struct declared {
    struct list link; /* of the new ones, or of the sender's */
    struct warren_publisher *p;
    struct arena arena; /* all texts and tables */
    struct config_topology config;
    bool again;
    struct topology *topology; /* the sender's; NULL: it has not taken it up */
    bool holds;                /* messages, until it is declared on this connection; the sender's */
    /* Guarded by the publisher's lock. */
    bool waited;               /* by the caller */
    bool ended;                /* the caller's answer is in `error` */
    struct warren_error error; /* until it is handed over: what is wrong with the copy */
};

static void declared_free(struct declared *d)
{
    if (!d)
        return;
    topology_free(d->topology);
    arena_done(&d->arena);
    free(d);
}

/* ---- the copy: the first thing that is wrong stays in `error` ---- */

/* A text of the caller's that must be there unless @usual stands in for it. */
static const char *copy_name(struct declared *d, const char *from, const char *usual,
                             const char *what)
{
    const char *text = from ? from : usual;
    const char *copy = text ? arena_copy(&d->arena, text, strlen(text)) : NULL;

    if (d->error.status != WARREN_OK)
        return NULL;
    if (!text)
        error_set(&d->error, WARREN_EINVAL, "%s is missing", what);
    else if (strlen(text) > NAME_MAX_BYTES)
        error_set(&d->error, WARREN_EINVAL, "%s '%.32s...' is longer than %d bytes", what, text,
                  NAME_MAX_BYTES);
    else if (!copy)
        error_set(&d->error, WARREN_ENOMEM, "out of memory");
    return copy;
}

/* By way of their encoding, which also says what is wrong with them. */
static struct warren_table copy_arguments(struct declared *d, const struct warren_table *from)
{
    struct warren_properties properties = {.headers = *from};
    struct warren_bytes encoded;
    struct buffer out;

    if (from->count == 0 || d->error.status != WARREN_OK)
        return (struct warren_table){NULL, 0};
    buffer_init(&out, RECORD_FRAME_MAX);
    properties_encode(&properties, NULL, RECORD_FRAME_MAX, &d->arena, &out, &d->error);
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    if (d->error.status == WARREN_OK &&
        properties_decode(encoded, &d->arena, &properties) != WARREN_OK)
        error_set(&d->error, WARREN_ENOMEM, "out of memory");
    buffer_done(&out);
    return properties.headers;
}

static void copy_queue(struct declared *d, const struct warren_queue *from, struct config_queue *to)
{
    *to = (struct config_queue){.name = copy_name(d, from->name, NULL, "a queue's name"),
                                .type = copy_name(d, from->type, "quorum", "a queue's type"),
                                .durable = !from->transient,
                                .auto_delete = from->auto_delete,
                                .passive = from->passive,
                                .arguments = copy_arguments(d, &from->arguments)};
}

static void copy_exchange(struct declared *d, const struct warren_exchange *from,
                          struct config_exchange *to)
{
    *to = (struct config_exchange){.name = copy_name(d, from->name, NULL, "an exchange's name"),
                                   .type = copy_name(d, from->type, "direct", "an exchange's type"),
                                   .durable = !from->transient,
                                   .auto_delete = from->auto_delete,
                                   .internal = from->internal,
                                   .passive = from->passive,
                                   .arguments = copy_arguments(d, &from->arguments)};
}

static void copy_binding(struct declared *d, const struct warren_binding *from,
                         struct config_binding *to)
{
    const char *destination = from->to_exchange ? from->to_exchange : from->queue;

    *to = (struct config_binding){
        .source = copy_name(d, from->exchange, NULL, "a binding's exchange"),
        .to_exchange = from->to_exchange != NULL,
        .destination = copy_name(d, destination, NULL, "a binding's queue or to_exchange"),
        .routing_key = copy_name(d, from->routing_key, "", "a binding's routing_key"),
        .arguments = copy_arguments(d, &from->arguments)};
    if (d->error.status == WARREN_OK && from->queue && from->to_exchange)
        error_set(&d->error, WARREN_EINVAL, "a binding has either queue or to_exchange");
}

/* Without items it is not NULL either. */
static void *some(struct declared *d, size_t count, size_t size)
{
    return count < SIZE_MAX / size ? arena_alloc(&d->arena, count * size) : NULL;
}

static enum warren_status copy_all(struct declared *d, const struct warren_topology *from)
{
    struct config_queue *queues = some(d, from->queue_count, sizeof *queues);
    struct config_exchange *exchanges = some(d, from->exchange_count, sizeof *exchanges);
    struct config_binding *bindings = some(d, from->binding_count, sizeof *bindings);

    if (!queues || !exchanges || !bindings)
        return error_set(&d->error, WARREN_ENOMEM, "out of memory");
    d->again = from->again;
    d->config = (struct config_topology){
        .exchanges = exchanges,
        .exchange_count = from->exchange_count,
        .queues = queues,
        .queue_count = from->queue_count,
        .bindings = bindings,
        .binding_count = from->binding_count,
    };
    for (size_t i = 0; i < from->queue_count; i++)
        copy_queue(d, &from->queues[i], &queues[i]);
    for (size_t i = 0; i < from->exchange_count; i++)
        copy_exchange(d, &from->exchanges[i], &exchanges[i]);
    for (size_t i = 0; i < from->binding_count; i++)
        copy_binding(d, &from->bindings[i], &bindings[i]);
    return d->error.status;
}

/* ---- on the publisher's thread ---- */

static void let_go(struct sender *s, struct declared *d)
{
    s->holding -= d->holds;
    d->holds = false;
}

/* The caller has its answer; who is not to be declared again is gone. */
static void end(struct sender *s, struct declared *d, bool keep)
{
    bool waited;

    let_go(s, d);
    if (!keep) {
        list_remove(&d->link);
        topology_free(d->topology);
        d->topology = NULL;
    }
    pthread_mutex_lock(&s->p->lock);
    d->ended = true;
    waited = d->waited;
    condition_broadcast(&s->p->declared_cond);
    pthread_mutex_unlock(&s->p->lock);
    if (!keep && !waited)
        declared_free(d);
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct declared *d = user;
    struct warren_publisher *p = d->p;
    bool waited;

    pthread_mutex_lock(&p->lock);
    waited = d->waited;
    if (!d->ended && d->error.status == WARREN_OK)
        error_set(&d->error, WARREN_EBROKER, "cannot declare %s: %.*u%s%s", item, code > 0, code,
                  code > 0 ? " " : "", text);
    pthread_mutex_unlock(&p->lock);
    if (!waited)
        report_undeclared(p->sender, item, code, text);
}

static void on_done(void *user, uint32_t refused)
{
    struct declared *d = user;
    struct sender *s = d->p->sender;

    /* What was declared once is tried on the next connection, too, whatever is refused now. */
    end(s, d, d->again && (d->ended || refused == 0));
    sender_pump(s);
}

static void take_up(struct sender *s, struct declared *d)
{
    static const struct topology_events events = {on_refused, on_done};
    enum warren_status status = topology_new(s->connection, &d->config, &events, d, &d->topology);

    list_push(&s->declared, &d->link);
    if (status != WARREN_OK) {
        error_set(&d->error, status, "%s", warren_status_name(status));
        end(s, d, false);
    } else if (connection_state(s->connection) == CONNECTION_OPEN) {
        topology_declare(d->topology);
    }
}

static void take_new(void *arg)
{
    struct sender *s = arg;
    struct list taken;
    struct list *link;

    list_init(&taken);
    pthread_mutex_lock(&s->p->lock);
    list_splice(&taken, &s->p->declares);
    pthread_mutex_unlock(&s->p->lock);
    while ((link = list_pop(&taken)))
        take_up(s, list_entry(link, struct declared, link));
}

/* Its caller went away, and it was not to be declared again. */
static bool is_forgotten(struct sender *s, const struct declared *d)
{
    bool forgotten;

    pthread_mutex_lock(&s->p->lock);
    forgotten = !d->again && !d->waited;
    pthread_mutex_unlock(&s->p->lock);
    return forgotten;
}

void declare_connected(struct sender *s)
{
    LIST_EACH(link, &s->declared) {
        struct declared *d = list_entry(link, struct declared, link);

        if (is_forgotten(s, d)) {
            end(s, d, false);
            continue;
        }
        d->holds = d->again;
        s->holding += d->holds;
        topology_declare(d->topology);
    }
}

void declare_lost(struct sender *s)
{
    LIST_EACH(link, &s->declared)
        let_go(s, list_entry(link, struct declared, link));
}

void declare_init(struct sender *s)
{
    list_init(&s->declared);
    loop_task_init(&s->declare_task, take_new, s);
}

void declare_done(struct sender *s)
{
    struct list *link;

    while ((link = list_pop(&s->declared)) || (link = list_pop(&s->p->declares)))
        declared_free(list_entry(link, struct declared, link));
}

/* ---- on the caller's ---- */

/* Under the lock. @return false: no answer in time; what is not to be declared again is forgotten
 */
static bool wait_answer(struct declared *d, uint32_t timeout_ms)
{
    struct warren_publisher *p = d->p;
    int64_t deadline_ms = clock_deadline_ms(timeout_ms > 0 ? (int64_t)timeout_ms : -1);

    while (!d->ended && condition_wait_until_ms(&p->declared_cond, &p->lock, deadline_ms))
        ;
    d->waited = false;
    return d->ended;
}

static enum warren_status hand_over(struct declared *d, uint32_t timeout_ms,
                                    struct warren_error *error)
{
    struct warren_publisher *p = d->p;
    enum warren_status status = WARREN_OK;
    bool mine; /* nobody else has it any more */

    d->waited = true;
    pthread_mutex_lock(&p->lock);
    if (!p->closing)
        list_push(&p->declares, &d->link);
    mine = p->closing;
    pthread_mutex_unlock(&p->lock);
    if (mine) {
        declared_free(d);
        return error_set(error, WARREN_ECLOSED, "the publisher is being closed");
    }
    loop_post(p->sender->loop, &p->sender->declare_task);
    pthread_mutex_lock(&p->lock);
    if (!wait_answer(d, timeout_ms))
        status = error_set(error, WARREN_ETIMEOUT, "not declared within %u ms: %s", timeout_ms,
                           p->connected         ? "the broker has not answered"
                           : p->last_failure[0] ? p->last_failure
                                                : "the first try to connect is under way");
    else if (d->error.status != WARREN_OK)
        status = error_set(error, d->error.status, "%s", d->error.text);
    mine = d->ended && (status != WARREN_OK || !d->again);
    pthread_mutex_unlock(&p->lock);
    if (mine)
        declared_free(d);
    return status;
}

enum warren_status warren_publisher_declare(struct warren_publisher *p,
                                            const struct warren_topology *topology,
                                            uint32_t timeout_ms, struct warren_error *error)
{
    enum warren_status status = publisher_check_wait(p, error);
    struct declared *d;

    if (status != WARREN_OK)
        return status;
    if (!topology)
        return error_set(error, WARREN_EINVAL, "what to declare is NULL");
    d = calloc(1, sizeof *d);
    if (!d)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    d->p = p;
    arena_init(&d->arena);
    list_init(&d->link);
    status = copy_all(d, topology);
    if (status == WARREN_OK)
        return hand_over(d, timeout_ms, error);
    error_set(error, status, "%s", d->error.text);
    declared_free(d);
    return status;
}
