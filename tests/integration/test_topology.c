/* test_topology.c - declaring on a real broker, what it refuses, and how that is told. */
#include "amqp/topology/topology.h"
#include "support/amqp_rig.h"
#include "support/fixture.h"

#define ANSWER_MS 20000

struct declaring {
    struct fixture *f;
    struct rig *rig;
    struct topology *topology;
    struct config_exchange exchange;
    struct config_queue queues[3];
    struct config_binding bindings[2];
    struct config_topology config;
    const char *names[4]; /* exchange, queues */
    int refusals;
    char item[1024];
    uint16_t code;
    char words[512];
    int rounds;
    uint32_t refused;
    bool declare_when_open;
};

static void on_refused(void *user, const char *item, uint16_t code, const char *words)
{
    struct declaring *d = user;

    d->refusals++;
    d->code = code;
    snprintf(d->item, sizeof d->item, "%s", item);
    snprintf(d->words, sizeof d->words, "%s", words);
}

static void on_done(void *user, uint32_t refused)
{
    struct declaring *d = user;

    d->rounds++;
    d->refused = refused;
}

static void on_connection_open(void *user)
{
    struct declaring *d = user;

    if (d->declare_when_open)
        topology_declare(d->topology);
}

static int setup(void **state)
{
    static const char *const types[] = {"quorum", "classic", "stream"};
    struct declaring *d = calloc(1, sizeof *d);

    assert_non_null(d);
    fixture_setup(state);
    d->f = *state;
    d->f->own = d;
    d->rig = rig_new(d->f->broker->uri);
    d->rig->opened = on_connection_open;
    d->rig->user = d;
    d->names[0] = d->names[1] = d->f->queue; /* names of exchanges are others */
    d->names[2] = d->f->other;
    d->names[3] = d->f->dlq;
    d->exchange = (struct config_exchange){.name = d->names[0], .type = "topic", .durable = true};
    for (size_t i = 0; i < 3; i++)
        d->queues[i] =
            (struct config_queue){.name = d->names[i + 1], .type = types[i], .durable = true};
    for (size_t i = 0; i < 2; i++)
        d->bindings[i] = (struct config_binding){
            .source = d->names[0], .destination = d->names[i + 1], .routing_key = "paid.#"};
    d->config = (struct config_topology){&d->exchange, 1, d->queues, 3, d->bindings, 2};
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct declaring *d = *state;
    amqp_exchange_delete_t delete = {.exchange = rig_text(d->names[0])};

    topology_free(d->topology);
    assert_int_equal(rig_call(d->rig, AMQP_EXCHANGE_DELETE_METHOD, &delete), 0);
    rig_free(d->rig);
    *state = d->f;
    return fixture_teardown(state);
}

static void create(struct declaring *d)
{
    static const struct topology_events events = {on_refused, on_done};

    assert_int_equal(topology_new(d->rig->connection, &d->config, &events, d, &d->topology),
                     WARREN_OK);
}

static void declare(struct declaring *d)
{
    int rounds = d->rounds;

    if (!d->topology)
        create(d);
    topology_declare(d->topology);
    assert_true(RIG_UNTIL(d->rig, d->rounds > rounds, ANSWER_MS));
}

/* The same items, declared anew by another topology. */
static void declare_anew(struct declaring *d)
{
    topology_free(d->topology);
    d->topology = NULL;
    declare(d);
}

/* All three queue types, an exchange and bindings come into being, and messages find their way. */
static void everything_is_declared(void **state)
{
    struct declaring *d = *state;
    amqp_basic_publish_t publish = {.exchange = rig_text(d->names[0]),
                                    .routing_key = rig_text("paid.now")};
    uint8_t header[14] = {0, AMQP_BASIC_CLASS};

    declare(d);
    assert_int_equal(d->refused, 0);
    assert_int_equal(channel_send(d->rig->channel, AMQP_BASIC_PUBLISH_METHOD, &publish), WARREN_OK);
    assert_int_equal(frame_put(connection_out(d->rig->connection), FRAME_HEADER,
                               channel_number(d->rig->channel), header, sizeof header),
                     WARREN_OK);
    connection_wrote(d->rig->connection);
    for (size_t i = 1; i < 3; i++)
        assert_true(RIG_UNTIL(d->rig, rig_messages(d->rig, d->names[i]) == 1, ANSWER_MS));
    assert_int_equal(rig_messages(d->rig, d->names[3]), 0);
}

/* What is there already, with the same arguments, is no refusal: also x-queue-type: classic. */
static void declaring_again_changes_nothing(void **state)
{
    struct declaring *d = *state;
    struct warren_field field = warren_field_i64("x-max-length", 1000);

    d->queues[1].arguments = (struct warren_table){&field, 1};
    declare(d);
    declare(d);
    declare_anew(d);
    assert_int_equal(d->rounds, 3);
    assert_int_equal(d->refusals, 0);
}

/* A queue that an older client declared without a type is the classic queue that we ask for. */
static void a_queue_without_a_type_is_classic(void **state)
{
    struct declaring *d = *state;
    amqp_queue_declare_t untyped = {.queue = rig_text(d->names[2]), .durable = true};

    assert_int_equal(rig_call(d->rig, AMQP_QUEUE_DECLARE_METHOD, &untyped), 0);
    declare(d);
    if (d->refusals)
        print_message("%s: %s\n", d->item, d->words);
    assert_int_equal(d->refusals, 0);
}

/* Other arguments than the broker's: one report with both sides, and the rest is declared. */
static void another_argument_is_reported_with_both_sides(void **state)
{
    struct declaring *d = *state;
    struct warren_field field = warren_field_i64("x-max-length", 1000);
    char *expected = text("queue '%s' (quorum, durable, x-max-length=1000)", d->names[1]);

    rig_declare_queue(d->rig, d->names[1], "quorum", NULL);
    d->queues[0].arguments = (struct warren_table){&field, 1};
    declare(d);
    assert_int_equal(d->refusals, 1);
    assert_int_equal(d->refused, 1);
    assert_int_equal(d->code, 406);
    assert_string_equal(d->item, expected);
    assert_non_null(strstr(d->words, "inequivalent arg 'x-max-length'"));
    assert_int_equal(rig_messages(d->rig, d->names[3]), 0); /* it is there */
    free(expected);
}

/* A queue of before that has no limit of deliveries is taken as it is; what else is different is
 * told without the limit, which nobody wrote. */
static void a_queue_without_the_added_limit_stays(void **state)
{
    struct declaring *d = *state;
    struct warren_field fields[2] = {warren_field_i64("x-delivery-limit", 1000000000)};
    char *expected = text("queue '%s' (quorum, durable, x-max-length=1000)", d->names[1]);

    rig_declare_queue(d->rig, d->names[1], "quorum", NULL);
    d->queues[0].arguments = (struct warren_table){fields, 1};
    d->queues[0].limit_added = true;
    declare(d);
    assert_int_equal(d->refusals, 0);
    assert_false(topology_declares(d->topology, d->names[1]));
    assert_true(topology_declares(d->topology, d->names[2]));
    rig_delete_queue(d->rig, d->names[1]);
    declare(d); /* anew, and with it */
    assert_true(topology_declares(d->topology, d->names[1]));

    fields[1] = fields[0];
    fields[0] = warren_field_i64("x-max-length", 1000);
    d->queues[0].arguments.count = 2;
    declare_anew(d);
    assert_int_equal(d->refusals, 1);
    assert_string_equal(d->item, expected);
    free(expected);
}

/* What a worker declares gives up no message, however often it was only prefetched: RabbitMQ 4 did
 * so at the 21st time. */
static void restarts_cost_no_message(void **state)
{
    struct declaring *d = *state;
    char *yaml =
        text("dead_letter: {enabled: false}\ntopology: {queues: [{name: %s}]}\n", d->names[1]);
    char *path = write_file(d->f->directory, "worker.yaml", yaml);
    struct warren_error error = {WARREN_OK, ""};
    struct config *config;
    struct peer *peer = d->f->peer;

    if (config_load(path, (char *const[]){NULL}, NULL, 0, &config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    d->config = config->topology;
    declare(d);
    assert_int_equal(d->refusals, 0);
    peer_publish_many(peer, d->names[1], "innocent", 1);
    for (int i = 0; i < 25; i++) {
        struct peer *restarted = peer_new(d->f->broker->uri);

        peer_hold(restarted, d->names[1], false);
        peer_free(restarted);
    }
    assert_true(WAIT_FOR(peer_count(peer, d->names[1]) == 1, ANSWER_MS));
    topology_free(d->topology);
    d->topology = NULL;
    config_free(config);
    free(path);
    free(yaml);
}

/* A refusal is told once: not in the next round, and not after a reconnect with the same words. */
static void the_same_refusal_is_reported_once(void **state)
{
    struct declaring *d = *state;

    rig_declare_queue(d->rig, d->names[1], "classic", NULL);
    d->declare_when_open = true;
    declare(d);
    assert_int_equal(d->refusals, 1);
    declare(d);
    assert_int_equal(d->refusals, 1);
    assert_int_equal(d->refused, 1);

    assert_int_equal(broker_close_connections(d->f->broker, d->rig->name), 1);
    assert_true(RIG_UNTIL(d->rig, d->rounds == 3, ANSWER_MS));
    assert_int_equal(d->refusals, 1);
    assert_int_equal(d->refused, 1);

    /* Now it is right, and found right after the next reconnect. */
    rig_delete_queue(d->rig, d->names[1]);
    assert_true(broker_close_connections(d->f->broker, d->rig->name) > 0);
    assert_true(RIG_UNTIL(d->rig, d->rounds == 4, ANSWER_MS));
    assert_int_equal(d->refusals, 1);
    assert_int_equal(d->refused, 0);
}

/* A passive queue is only looked for; what is bound to it is refused, too. */
static void a_missing_passive_queue_is_refused(void **state)
{
    struct declaring *d = *state;
    char *expected =
        text("binding of queue '%s' to exchange '%s' with key 'paid.#'", d->names[1], d->names[0]);

    d->queues[0].passive = true;
    declare(d);
    assert_int_equal(d->refusals, 2);
    assert_int_equal(d->refused, 2);
    assert_int_equal(d->code, 404);
    assert_string_equal(d->item, expected);
    assert_int_equal(rig_messages(d->rig, d->names[3]), 0);
    free(expected);
}

/* Passive declares pass whatever the arguments are. */
static void passive_finds_what_is_there(void **state)
{
    struct declaring *d = *state;

    declare(d);
    d->exchange.passive = true;
    d->exchange.durable = false;
    for (size_t i = 0; i < 3; i++) {
        d->queues[i].passive = true;
        d->queues[i].type = "quorum";
    }
    declare_anew(d);
    assert_int_equal(d->refusals, 0);
}

/* An exchange type that the broker does not know costs the connection (503) until RabbitMQ 4, then
 * the channel (406). It is reported once, left out from then on, and the rest is declared: no
 * reconnect loop. */
static void an_unknown_exchange_type_does_not_loop(void **state)
{
    struct declaring *d = *state;
    int losses;

    d->exchange.type = "x-no-such-type";
    d->config.binding_count = 0;
    d->declare_when_open = true;
    declare(d);
    losses = d->rig->losses;
    assert_int_equal(losses, d->code == 406 ? 0 : 1);
    assert_int_equal(d->refusals, 1);
    assert_int_equal(d->refused, 1);
    assert_non_null(strstr(d->words, "unknown exchange type"));
    assert_non_null(strstr(d->item, d->names[0]));
    assert_int_equal(rig_messages(d->rig, d->names[3]), 0);
    declare(d);
    assert_int_equal(d->rig->losses, losses);
    assert_int_equal(d->refusals, 1);
}

/* Every item refused: the round ends all the same. */
static void a_round_of_refusals_ends(void **state)
{
    struct declaring *d = *state;

    d->exchange.passive = true;
    for (size_t i = 0; i < 3; i++)
        d->queues[i].passive = true;
    declare(d);
    assert_int_equal(d->refused, 6);
    assert_int_equal(d->refusals, 6);
}

/* A refusal costs a round trip: not even forty of them, and the same again on the next connection,
 * take the time of a delay that doubles up to 30 s. */
static void refusals_do_not_wait(void **state)
{
    struct declaring *d = *state;
    struct config_queue missing[20];
    struct config_topology config = {.queues = missing, .queue_count = 20};

    for (size_t i = 0; i < 20; i++)
        missing[i] = (struct config_queue){
            .name = d->names[1], .type = "classic", .durable = true, .passive = true};
    d->config = config;
    d->declare_when_open = true;
    declare(d);
    assert_int_equal(d->refused, 20);
    assert_int_equal(broker_close_connections(d->f->broker, d->rig->name), 1);
    assert_true(RIG_UNTIL(d->rig, d->rounds == 2, ANSWER_MS));
    assert_int_equal(d->refused, 20);
}

/* Nothing to declare is done at once. */
static void an_empty_topology_is_done_at_once(void **state)
{
    struct declaring *d = *state;

    d->config = (struct config_topology){0};
    create(d);
    topology_declare(d->topology);
    assert_int_equal(d->rounds, 1);
    assert_int_equal(d->refused, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_declared),
        TEST(declaring_again_changes_nothing),
        TEST(a_queue_without_a_type_is_classic),
        TEST(another_argument_is_reported_with_both_sides),
        TEST(a_queue_without_the_added_limit_stays),
        TEST(restarts_cost_no_message),
        TEST(the_same_refusal_is_reported_once),
        TEST(a_missing_passive_queue_is_refused),
        TEST(passive_finds_what_is_there),
        TEST(an_unknown_exchange_type_does_not_loop),
        TEST(a_round_of_refusals_ends),
        TEST(refusals_do_not_wait),
        TEST(an_empty_topology_is_done_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
