/* right_probe.c - see right_probe.h. Source: the order of checks in rabbit_channel.erl, 3.8 to 4.3.
 */
#include "amqp/topology/right_probe.h"

#include <stdio.h>
#include <string.h>

#include "amqp/topology/declare.h"
#include "amqp/topology/doomed.h"
#include "base/random.h"

#define REFUSED 403

/* The oldest RabbitMQ of which it is known that wrong arguments of a consume are refused. */
#define KNOWN_MAJOR 3
#define KNOWN_MINOR 8

/* Longer than a name and what stands around it in a refusal. */
#define PHRASE_MAX 320

/* ---- what the broker says ---- */

/* Another exchange than @name, from which nothing is bound to it: that it may not be read says that
 * @name may be written. */
static const char *other_exchange(const char *name)
{
    return strcmp(name, "amq.direct") == 0 ? "amq.fanout" : "amq.direct";
}

static bool is_about_exchange(const char *text, const char *name)
{
    char phrase[PHRASE_MAX];

    snprintf(phrase, sizeof phrase, "access to exchange '%s' in vhost", name);
    return strstr(text, phrase);
}

enum right_answer right_probe_read(const struct right *right, uint16_t code, const char *text)
{
    if (code == 0)
        return RIGHT_UNKNOWN;
    if (code != REFUSED)
        return RIGHT_GRANTED; /* such as: there is no such thing, the argument is wrong */
    if (right->kind != RIGHT_PUBLISH)
        return RIGHT_REFUSED;
    /* What is not allowed to anybody, or of the other exchange, comes after the right to write. */
    if (strstr(text, "operation not permitted on the default exchange") ||
        is_about_exchange(text, other_exchange(right->name)))
        return RIGHT_GRANTED;
    return RIGHT_REFUSED;
}

/* ---- asking ---- */

static void answer(struct right_probe *probe, enum right_answer what, const char *text)
{
    right_probe_done(probe);
    probe->answer(probe->user, what, text);
}

static void on_reply(void *user, void *decoded)
{
    (void)decoded;
    answer(user, RIGHT_GRANTED, "");
}

static enum warren_status consume(struct right_probe *probe)
{
    /* Each of a type that it cannot have. */
    amqp_table_entry_t wrong[] = {
        {.key = amqp_cstring_bytes("x-priority"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes("?")}}},
        {.key = amqp_cstring_bytes("x-cancel-on-ha-failover"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes("?")}}}};
    amqp_basic_qos_t qos = {.prefetch_count = 1}; /* a broker that took it would send one at most */
    amqp_basic_consume_t method = {.queue = amqp_cstring_bytes(probe->right->name),
                                   .consumer_tag = amqp_cstring_bytes(""),
                                   .arguments = {2, wrong}};
    enum warren_status status =
        channel_call(probe->channel, AMQP_BASIC_QOS_METHOD, &qos, NULL, NULL);

    return status == WARREN_OK
               ? channel_call(probe->channel, AMQP_BASIC_CONSUME_METHOD, &method, on_reply, probe)
               : status;
}

/* Of a binding whose key nobody has used. */
static enum warren_status unbind(struct right_probe *probe, bool of_queue, const char *source)
{
    char key[sizeof "warren.right." + UUID_TEXT_SIZE] = "warren.right.";
    amqp_queue_unbind_t queue = {.queue = amqp_cstring_bytes(probe->right->name),
                                 .exchange = amqp_cstring_bytes(source)};
    amqp_exchange_unbind_t exchange = {.destination = queue.queue, .source = queue.exchange};

    uuid_v7(key + strlen(key));
    queue.routing_key = exchange.routing_key = amqp_cstring_bytes(key);
    if (of_queue)
        return channel_call(probe->channel, AMQP_QUEUE_UNBIND_METHOD, &queue, on_reply, probe);
    return channel_call(probe->channel, AMQP_EXCHANGE_UNBIND_METHOD, &exchange, on_reply, probe);
}

static enum warren_status declare(struct right_probe *probe, bool is_queue)
{
    struct config_queue queue = {.name = probe->right->name};
    struct config_exchange exchange = {
        .name = probe->right->name, .type = "direct", .durable = true};
    struct declare_item item = {0};
    struct warren_field argument;
    struct arena arena;
    struct declare_to to = {
        .channel = probe->channel, .scratch = &arena, .reply = on_reply, .user = probe};
    enum warren_status status;

    if (is_queue) {
        doomed_queue(&queue, &argument);
        item.queue = &queue;
    } else {
        doomed_exchange(&exchange, &argument);
        item.exchange = &exchange;
    }
    arena_init(&arena);
    status = declare_send(&to, &item, NULL);
    arena_done(&arena);
    return status;
}

static enum warren_status ask(struct right_probe *probe)
{
    const struct right *right = probe->right;

    switch (right->kind) {
    case RIGHT_CONSUME:
        return connection_server_at_least(probe->connection, KNOWN_MAJOR, KNOWN_MINOR)
                   ? consume(probe)
                   : WARREN_EINVAL;
    case RIGHT_PUBLISH:
        return unbind(probe, false, other_exchange(right->name));
    case RIGHT_BIND_QUEUE:
    case RIGHT_BIND_EXCHANGE:
        return unbind(probe, right->kind == RIGHT_BIND_QUEUE, right->source);
    default:
        return declare(probe, right->kind == RIGHT_DECLARE_QUEUE);
    }
}

static void on_open(void *user)
{
    struct right_probe *probe = user;

    if (ask(probe) != WARREN_OK)
        answer(probe, RIGHT_UNKNOWN, "");
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct right_probe *probe = user;

    if (loss->code != 0 || loss->unanswered)
        answer(probe, right_probe_read(probe->right, loss->code, loss->text), loss->text);
}

enum warren_status right_probe_start(struct right_probe *probe, struct connection *connection,
                                     const struct right *right, right_probe_fn *answer_fn,
                                     void *user)
{
    static const struct channel_events events = {.open = on_open, .lost = on_lost};

    *probe = (struct right_probe){
        .connection = connection, .right = right, .answer = answer_fn, .user = user};
    return channel_new(connection, &events, probe, &probe->channel);
}

void right_probe_done(struct right_probe *probe)
{
    channel_free(probe->channel);
    probe->channel = NULL;
}
