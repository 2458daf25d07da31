/* test_topology.c - declaring on a real broker, what it refuses, and how that is told. */
#include "amqp/topology/topology.h"
#include "support/amqp_rig.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"

#define ANSWER_MS 20000

struct fixture {
    struct broker *broker;
    struct rig *rig;
    struct topology *topology;
    struct config_exchange exchange;
    struct config_queue queues[3];
    struct config_binding bindings[2];
    struct config_topology config;
    char *names[4]; /* exchange, queues */
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
    struct fixture *fixture = user;

    fixture->refusals++;
    fixture->code = code;
    snprintf(fixture->item, sizeof fixture->item, "%s", item);
    snprintf(fixture->words, sizeof fixture->words, "%s", words);
}

static void on_done(void *user, uint32_t refused)
{
    struct fixture *fixture = user;

    fixture->rounds++;
    fixture->refused = refused;
}

static void on_connection_open(void *user)
{
    struct fixture *fixture = user;

    if (fixture->declare_when_open)
        topology_declare(fixture->topology);
}

static int setup(void **state)
{
    static const char *const types[] = {"quorum", "classic", "stream"};
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->broker = broker_shared();
    fixture->rig = rig_new(fixture->broker->uri);
    fixture->rig->opened = on_connection_open;
    fixture->rig->user = fixture;
    for (size_t i = 0; i < 4; i++)
        fixture->names[i] = unique_name("topology");
    fixture->exchange =
        (struct config_exchange){.name = fixture->names[0], .type = "topic", .durable = true};
    for (size_t i = 0; i < 3; i++)
        fixture->queues[i] =
            (struct config_queue){.name = fixture->names[i + 1], .type = types[i], .durable = true};
    for (size_t i = 0; i < 2; i++)
        fixture->bindings[i] = (struct config_binding){.source = fixture->names[0],
                                                       .destination = fixture->names[i + 1],
                                                       .routing_key = "paid.#"};
    fixture->config =
        (struct config_topology){&fixture->exchange, 1, fixture->queues, 3, fixture->bindings, 2};
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    amqp_exchange_delete_t delete = {.exchange = rig_text(fixture->names[0])};

    topology_free(fixture->topology);
    for (size_t i = 1; i < 4; i++)
        rig_delete_queue(fixture->rig, fixture->names[i]);
    assert_int_equal(rig_call(fixture->rig, AMQP_EXCHANGE_DELETE_METHOD, &delete), 0);
    rig_free(fixture->rig);
    broker_free(fixture->broker);
    for (size_t i = 0; i < 4; i++)
        free(fixture->names[i]);
    free(fixture);
    return 0;
}

static void create(struct fixture *fixture)
{
    static const struct topology_events events = {on_refused, on_done};

    assert_int_equal(topology_new(fixture->rig->connection, &fixture->config, &events, fixture,
                                  &fixture->topology),
                     WARREN_OK);
}

static void declare(struct fixture *fixture)
{
    int rounds = fixture->rounds;

    if (!fixture->topology)
        create(fixture);
    topology_declare(fixture->topology);
    assert_true(RIG_UNTIL(fixture->rig, fixture->rounds > rounds, ANSWER_MS));
}

/* The same items, declared anew by another topology. */
static void declare_anew(struct fixture *fixture)
{
    topology_free(fixture->topology);
    fixture->topology = NULL;
    declare(fixture);
}

/* All three queue types, an exchange and bindings come into being, and messages find their way. */
static void everything_is_declared(void **state)
{
    struct fixture *fixture = *state;
    amqp_basic_publish_t publish = {.exchange = rig_text(fixture->names[0]),
                                    .routing_key = rig_text("paid.now")};
    uint8_t header[14] = {0, AMQP_BASIC_CLASS};

    declare(fixture);
    assert_int_equal(fixture->refused, 0);
    assert_int_equal(channel_send(fixture->rig->channel, AMQP_BASIC_PUBLISH_METHOD, &publish),
                     WARREN_OK);
    assert_int_equal(frame_put(connection_out(fixture->rig->connection), FRAME_HEADER,
                               channel_number(fixture->rig->channel), header, sizeof header),
                     WARREN_OK);
    connection_wrote(fixture->rig->connection);
    for (size_t i = 1; i < 3; i++)
        assert_true(
            RIG_UNTIL(fixture->rig, rig_messages(fixture->rig, fixture->names[i]) == 1, ANSWER_MS));
    assert_int_equal(rig_messages(fixture->rig, fixture->names[3]), 0);
}

/* What is there already, with the same arguments, is no refusal: also x-queue-type: classic. */
static void declaring_again_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field field = warren_field_i64("x-max-length", 1000);

    fixture->queues[1].arguments = (struct warren_table){&field, 1};
    declare(fixture);
    declare(fixture);
    declare_anew(fixture);
    assert_int_equal(fixture->rounds, 3);
    assert_int_equal(fixture->refusals, 0);
}

/* A queue that an older client declared without a type is the classic queue that we ask for. */
static void a_queue_without_a_type_is_classic(void **state)
{
    struct fixture *fixture = *state;
    amqp_queue_declare_t untyped = {.queue = rig_text(fixture->names[2]), .durable = true};

    assert_int_equal(rig_call(fixture->rig, AMQP_QUEUE_DECLARE_METHOD, &untyped), 0);
    declare(fixture);
    if (fixture->refusals)
        print_message("%s: %s\n", fixture->item, fixture->words);
    assert_int_equal(fixture->refusals, 0);
}

/* Other arguments than the broker's: one report with both sides, and the rest is declared. */
static void another_argument_is_reported_with_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field field = warren_field_i64("x-max-length", 1000);
    char *expected = text("queue '%s' (quorum, durable, x-max-length=1000)", fixture->names[1]);

    rig_declare_queue(fixture->rig, fixture->names[1], "quorum", NULL);
    fixture->queues[0].arguments = (struct warren_table){&field, 1};
    declare(fixture);
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->refused, 1);
    assert_int_equal(fixture->code, 406);
    assert_string_equal(fixture->item, expected);
    assert_non_null(strstr(fixture->words, "inequivalent arg 'x-max-length'"));
    assert_int_equal(rig_messages(fixture->rig, fixture->names[3]), 0); /* it is there */
    free(expected);
}

/* A queue of before that has no limit of deliveries is taken as it is; what else is different is
 * told without the limit, which nobody wrote. */
static void a_queue_without_the_added_limit_stays(void **state)
{
    struct fixture *fixture = *state;
    struct warren_field fields[2] = {warren_field_i64("x-delivery-limit", 1000000000)};
    char *expected = text("queue '%s' (quorum, durable, x-max-length=1000)", fixture->names[1]);

    rig_declare_queue(fixture->rig, fixture->names[1], "quorum", NULL);
    fixture->queues[0].arguments = (struct warren_table){fields, 1};
    fixture->queues[0].limit_added = true;
    declare(fixture);
    assert_int_equal(fixture->refusals, 0);
    assert_false(topology_declares(fixture->topology, fixture->names[1]));
    assert_true(topology_declares(fixture->topology, fixture->names[2]));
    rig_delete_queue(fixture->rig, fixture->names[1]);
    declare(fixture); /* anew, and with it */
    assert_true(topology_declares(fixture->topology, fixture->names[1]));

    fields[1] = fields[0];
    fields[0] = warren_field_i64("x-max-length", 1000);
    fixture->queues[0].arguments.count = 2;
    declare_anew(fixture);
    assert_int_equal(fixture->refusals, 1);
    assert_string_equal(fixture->item, expected);
    free(expected);
}

/* What a worker declares gives up no message, however often it was only prefetched: RabbitMQ 4 did
 * so at the 21st time. */
static void restarts_cost_no_message(void **state)
{
    struct fixture *fixture = *state;
    char *directory = scratch_new();
    char *yaml = text("dead_letter: {enabled: false}\ntopology: {queues: [{name: %s}]}\n",
                      fixture->names[1]);
    char *path = write_file(directory, "worker.yaml", yaml);
    struct warren_error error = {WARREN_OK, ""};
    struct config *config;
    struct peer *peer = peer_new(fixture->broker->uri);

    if (config_load(path, (char *const[]){NULL}, NULL, 0, &config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    fixture->config = config->topology;
    declare(fixture);
    assert_int_equal(fixture->refusals, 0);
    peer_publish_many(peer, fixture->names[1], "innocent", 1);
    for (int i = 0; i < 25; i++) {
        struct peer *restarted = peer_new(fixture->broker->uri);

        peer_hold(restarted, fixture->names[1], false);
        peer_free(restarted);
    }
    assert_true(WAIT_FOR(peer_count(peer, fixture->names[1]) == 1, ANSWER_MS));
    topology_free(fixture->topology);
    fixture->topology = NULL;
    config_free(config);
    peer_free(peer);
    scratch_free(directory);
    free(path);
    free(yaml);
}

/* A refusal is told once: not in the next round, and not after a reconnect with the same words. */
static void the_same_refusal_is_reported_once(void **state)
{
    struct fixture *fixture = *state;

    rig_declare_queue(fixture->rig, fixture->names[1], "classic", NULL);
    fixture->declare_when_open = true;
    declare(fixture);
    assert_int_equal(fixture->refusals, 1);
    declare(fixture);
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->refused, 1);

    assert_int_equal(broker_close_connections(fixture->broker, fixture->rig->name), 1);
    assert_true(RIG_UNTIL(fixture->rig, fixture->rounds == 3, ANSWER_MS));
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->refused, 1);

    /* Now it is right, and found right after the next reconnect. */
    rig_delete_queue(fixture->rig, fixture->names[1]);
    assert_true(broker_close_connections(fixture->broker, fixture->rig->name) > 0);
    assert_true(RIG_UNTIL(fixture->rig, fixture->rounds == 4, ANSWER_MS));
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->refused, 0);
}

/* A passive queue is only looked for; what is bound to it is refused, too. */
static void a_missing_passive_queue_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *expected = text("binding of queue '%s' to exchange '%s' with key 'paid.#'",
                          fixture->names[1], fixture->names[0]);

    fixture->queues[0].passive = true;
    declare(fixture);
    assert_int_equal(fixture->refusals, 2);
    assert_int_equal(fixture->refused, 2);
    assert_int_equal(fixture->code, 404);
    assert_string_equal(fixture->item, expected);
    assert_int_equal(rig_messages(fixture->rig, fixture->names[3]), 0);
    free(expected);
}

/* Passive declares pass whatever the arguments are. */
static void passive_finds_what_is_there(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    fixture->exchange.passive = true;
    fixture->exchange.durable = false;
    for (size_t i = 0; i < 3; i++) {
        fixture->queues[i].passive = true;
        fixture->queues[i].type = "quorum";
    }
    declare_anew(fixture);
    assert_int_equal(fixture->refusals, 0);
}

/* An exchange type that the broker does not know costs the connection (503) until RabbitMQ 4, then
 * the channel (406). It is reported once, left out from then on, and the rest is declared: no
 * reconnect loop. */
static void an_unknown_exchange_type_does_not_loop(void **state)
{
    struct fixture *fixture = *state;
    int losses;

    fixture->exchange.type = "x-no-such-type";
    fixture->config.binding_count = 0;
    fixture->declare_when_open = true;
    declare(fixture);
    losses = fixture->rig->losses;
    assert_int_equal(losses, fixture->code == 406 ? 0 : 1);
    assert_int_equal(fixture->refusals, 1);
    assert_int_equal(fixture->refused, 1);
    assert_non_null(strstr(fixture->words, "unknown exchange type"));
    assert_non_null(strstr(fixture->item, fixture->names[0]));
    assert_int_equal(rig_messages(fixture->rig, fixture->names[3]), 0);
    declare(fixture);
    assert_int_equal(fixture->rig->losses, losses);
    assert_int_equal(fixture->refusals, 1);
}

/* Every item refused: the round ends all the same. */
static void a_round_of_refusals_ends(void **state)
{
    struct fixture *fixture = *state;

    fixture->exchange.passive = true;
    for (size_t i = 0; i < 3; i++)
        fixture->queues[i].passive = true;
    declare(fixture);
    assert_int_equal(fixture->refused, 6);
    assert_int_equal(fixture->refusals, 6);
}

/* A refusal costs a round trip: not even forty of them, and the same again on the next connection,
 * take the time of a delay that doubles up to 30 s. */
static void refusals_do_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct config_queue missing[20];
    struct config_topology config = {.queues = missing, .queue_count = 20};

    for (size_t i = 0; i < 20; i++)
        missing[i] = (struct config_queue){
            .name = fixture->names[1], .type = "classic", .durable = true, .passive = true};
    fixture->config = config;
    fixture->declare_when_open = true;
    declare(fixture);
    assert_int_equal(fixture->refused, 20);
    assert_int_equal(broker_close_connections(fixture->broker, fixture->rig->name), 1);
    assert_true(RIG_UNTIL(fixture->rig, fixture->rounds == 2, ANSWER_MS));
    assert_int_equal(fixture->refused, 20);
}

/* Nothing to declare is done at once. */
static void an_empty_topology_is_done_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->config = (struct config_topology){0};
    create(fixture);
    topology_declare(fixture->topology);
    assert_int_equal(fixture->rounds, 1);
    assert_int_equal(fixture->refused, 0);
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
