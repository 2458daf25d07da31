/* test_config_shards.c - `shards:` of a subscription, what becomes of it, and what is wrong with
 * one.
 */
#include "config_helper.h"

/* A subscription with these shards, and @more behind it. */
#define SHARDS(shards, more)                                                                       \
    "subscriptions:\n"                                                                             \
    "  - handler: p.h\n"                                                                           \
    "    concurrency: 2\n"                                                                         \
    "    shards: " shards "\n" more

#define FOUR "{exchange: orders, count: 4, by: header:customer}"

static const struct config_exchange *exchange(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->topology.exchange_count; i++)
        if (strcmp(config->topology.exchanges[i].name, name) == 0)
            return &config->topology.exchanges[i];
    return NULL;
}

static void expect_argument(const struct warren_table *table, const char *name, const char *text)
{
    const struct warren_value *value = warren_table_get(table, name);

    assert_non_null(value);
    assert_int_equal(value->type, WARREN_STRING);
    assert_int_equal(value->as.bytes.len, strlen(text));
    assert_memory_equal(value->as.bytes.data, text, strlen(text));
}

static void each_shard_is_a_subscription_of_its_own(void **state)
{
    static const char *const queues[] = {"orders.0", "other", "orders.1", "orders.2", "orders.3"};
    struct config *config = helper_config(SHARDS(FOUR, "    order: {by: header:customer}\n"
                                                       "  - {queue: other, handler: p.g}\n"),
                                          NULL, NULL);

    (void)state;
    assert_int_equal(config->subscription_count, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct config_subscription *s = &config->subscriptions[i];

        assert_string_equal(s->queue, queues[i]);
        assert_int_equal(config_is_written(s), i < 2);
        if (i == 1) {
            assert_null(s->shards);
            continue;
        }
        assert_ptr_equal(s->shards, config->subscriptions[0].shards);
        assert_int_equal(s->shard, i == 0 ? 0 : i - 1);
        assert_string_equal(s->handler, "p.h");
        assert_int_equal(s->concurrency, 2);
        assert_non_null(s->order);
        assert_int_equal(s->prefetch_bytes, 0);
        assert_string_equal(s->dead_queue, "orders.dlq"); /* one place for all */
    }
    assert_int_equal(config->subscriptions[0].shards->count, 4);
    assert_string_equal(config->subscriptions[0].shards->key.header, "customer");
    config_free(config);
}

static void all_of_it_is_declared(void **state)
{
    struct config *config = helper_config(SHARDS(FOUR, ""), NULL, NULL);
    const struct config_topology *topology = &config->topology;
    unsigned bound = 0;

    (void)state;
    assert_string_equal(exchange(config, "orders")->type, "x-consistent-hash");
    expect_argument(&exchange(config, "orders")->arguments, "hash-header", "customer");
    assert_int_equal(topology->queue_count, 4 + 4 + 1);
    for (unsigned i = 0; i < 4; i++) {
        char name[32];
        const struct config_queue *queue;

        snprintf(name, sizeof name, "orders.%u", i);
        queue = config_find_queue(topology, name);
        assert_string_equal(queue->type, "quorum");
        assert_true(warren_table_get(&queue->arguments, "x-single-active-consumer")->as.boolean);
        expect_argument(&queue->arguments, "x-dead-letter-exchange", "orders.dlx");
        assert_non_null(warren_table_get(&queue->arguments, CONFIG_DELIVERY_LIMIT));
        snprintf(name, sizeof name, "orders.seat.%u", i);
        assert_string_equal(config_find_queue(topology, name)->type, "classic");
    }
    for (size_t i = 0; i < topology->binding_count; i++)
        if (strcmp(topology->bindings[i].source, "orders") == 0) {
            assert_string_equal(topology->bindings[i].routing_key, "10");
            assert_int_equal(topology->bindings[i].destination[strlen("orders.")],
                             '0' + (int)bound++);
        }
    assert_int_equal(bound, 4);
    assert_int_equal(topology->binding_count, 5);
    config_free(config);
}

static void the_exchange_knows_the_key(void **state)
{
    struct config *config =
        helper_config(SHARDS("{exchange: o, count: 1, by: message_id}", ""), NULL, NULL);

    (void)state;
    expect_argument(&exchange(config, "o")->arguments, "hash-property", "message_id");
    config_free(config);
    config = helper_config(SHARDS("{exchange: o, count: 128, by: routing_key}", ""), NULL, NULL);
    assert_int_equal(exchange(config, "o")->arguments.count, 0);
    assert_int_equal(config->subscription_count, 128);
    config_free(config);
    config = helper_config(SHARDS("{exchange: o, count: 2, by: routing_key, hash: modulus}", ""),
                           NULL, NULL);
    assert_string_equal(exchange(config, "o")->type, "x-modulus-hash");
    config_free(config);
}

/* What is written in the topology is taken as it is, if it can be a shard. */
static void what_is_written_is_kept(void **state)
{
    struct config *config =
        helper_config(SHARDS(FOUR, "topology:\n"
                                   "  exchanges: [{name: orders, passive: true}]\n"
                                   "  queues:\n"
                                   "    - {name: orders.0, passive: true}\n"
                                   "    - {name: orders.1, type: classic, arguments: "
                                   "{x-single-active-consumer: true}}\n"),
                      NULL, NULL);

    (void)state;
    assert_true(exchange(config, "orders")->passive);
    assert_true(config_find_queue(&config->topology, "orders.0")->passive);
    assert_string_equal(config_find_queue(&config->topology, "orders.1")->type, "classic");
    assert_string_equal(config_find_queue(&config->topology, "orders.2")->type, "quorum");
    config_free(config);
}

static void without_an_order_bytes_are_bounded(void **state)
{
    struct config *config = helper_config(SHARDS(FOUR, ""), NULL, NULL);

    (void)state;
    assert_int_equal(config->subscriptions[3].prefetch_bytes, 64 << 20);
    config_free(config);
    config = helper_config(SHARDS(FOUR, "    order: {by: routing_key}\n    prefetch_bytes: 0\n"),
                           NULL, NULL);
    assert_int_equal(config->subscriptions[3].prefetch_bytes, 0);
    config_free(config);
}

/* Two of a file, each with its own. */
static void there_may_be_several(void **state)
{
    struct config *config = helper_config(
        SHARDS(FOUR, "  - {handler: p.g, shards: {exchange: mails, count: 3, by: message_id}}\n"
                     "  - {queue: b, handler: p.g, lanes: {slow: c}}\n"),
        NULL, NULL);

    (void)state;
    assert_int_equal(config->subscription_count, 9);
    assert_string_equal(config->subscriptions[1].queue, "mails.0");
    assert_string_equal(config->subscriptions[7].queue, "mails.2");
    assert_string_equal(config->subscriptions[8].queue, "c");
    config_free(config);
}

static enum warren_status stay(const char *before, const char *now, struct warren_error *error)
{
    struct config *a = helper_config(before, NULL, NULL);
    struct config *b = helper_config(now, NULL, NULL);
    enum warren_status status = config_shards_stay(a, b, error);

    config_free(a);
    config_free(b);
    return status;
}

static void a_reload_has_the_same_shards(void **state)
{
    static const char *const none = "subscriptions: [{queue: a, handler: p.h}]\n";
    static const char *const four = SHARDS(FOUR, "");
    struct warren_error error;

    (void)state;
    assert_int_equal(stay(four, four, &error), WARREN_OK);
    assert_int_equal(stay(four, SHARDS(FOUR, "    prefetch: 7\n"), &error), WARREN_OK);
    assert_int_equal(stay(none, none, &error), WARREN_OK);
    assert_int_equal(
        stay(four, SHARDS("{exchange: orders, count: 5, by: header:customer}", ""), &error),
        WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "worker.yaml:2: the shards of orders are other ones"));
    assert_int_equal(stay(four, none, &error), WARREN_ECONFIG);
    assert_int_equal(stay(none, four, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "there are more shards"));
}

#define LONG_NAME /* 249 bytes */                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"          \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"          \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void mistakes_name_place_and_cause(void **state)
{
    static const struct {
        const char *yaml;
        const char *says;
    } rows[] = {
        {SHARDS("", ""), "worker.yaml:4:12: shards is empty, expected a mapping such as"},
        {SHARDS("16", ""), "the shards of a subscription must be a mapping"},
        {SHARDS("{}", ""), "'exchange' is missing in the shards of a subscription"},
        {SHARDS("{exchange: o, by: message_id}", ""), "'count' is missing in the shards"},
        {SHARDS("{exchange: o, count: 4}", ""), "'by' is missing in the shards"},
        {SHARDS("{exchange: '', count: 4, by: message_id}", ""), "the exchange of shards"},
        {SHARDS("{exchange: \"a\\nb\", count: 4, by: message_id}", ""),
         "the exchange of shards must have no line ends"},
        {SHARDS("{exchange: " LONG_NAME ", count: 4, by: message_id}", ""), "expected 246 at most"},
        {SHARDS("{exchange: o, count: 0, by: message_id}", ""), "worker.yaml:4:34: count"},
        {SHARDS("{exchange: o, count: 129, by: message_id}", ""), "128"},
        {SHARDS("{exchange: o, count: -1, by: message_id}", ""), "count"},
        {SHARDS("{exchange: o, count: many, by: message_id}", ""), "count is 'many'"},
        {SHARDS("{exchange: o, count: 4, by: customer}", ""),
         "worker.yaml:4:41: by is 'customer', expected header:NAME, routing_key or message_id"},
        {SHARDS("{exchange: o, count: 4, by: handler}", ""), "by is 'handler', expected"},
        {SHARDS("{exchange: o, count: 4, by: 'header:'}", ""), "by is 'header:' without a name"},
        {SHARDS("{exchange: o, count: 4, by: message_id, hash: modulo}", ""), "hash is 'modulo'"},
        {SHARDS("{exchange: o, count: 4, by: message_id, hash: modulus}", ""),
         "by is 'message_id', and hash is modulus, which knows routing_key alone"},
        {SHARDS("{exchange: o, count: 4, by: message_id, weight: 3}", ""), "unknown"},
        {SHARDS(FOUR, "    queue: orders\n"),
         "worker.yaml:5:12: shards and queue do not go together: the queues are the exchange's "
         "name with .0 to .3"},
        {SHARDS(FOUR, "    lanes: {slow: s}\n"), "shards and lanes do not go together"},
        {SHARDS(FOUR, "    arguments: {x-stream-offset: first}\n"),
         "x-stream-offset is of streams, and a shard is none"},
        {SHARDS(FOUR, "    order: {by: routing_key}\n    prefetch_bytes: 1MiB\n"),
         "worker.yaml:6:21: prefetch_bytes must be 0 where shards have an order"},
        {SHARDS(FOUR, "  - {queue: orders.3, handler: p.g}\n"),
         "the shard 'orders.3' has another subscription"},
        {SHARDS(FOUR, "  - {handler: p.g, shards: " FOUR "}\n"),
         "the shard 'orders.0' has another subscription"},
        {SHARDS(FOUR, "  - {queue: b, handler: p.g, lanes: {slow: orders.1}}\n"),
         "the slow lane 'orders.1' has a subscription of its own"},
        {SHARDS(FOUR, "topology: {exchanges: [{name: orders, type: topic}]}\n"),
         "the exchange 'orders' is declared by shards"},
        {SHARDS(FOUR, "topology: {queues: [{name: orders.2}]}\n"),
         "worker.yaml:5:21: 'orders.2' is a shard, and needs"},
        {SHARDS(FOUR, "topology: {queues: [{name: orders.2, type: stream}]}\n"),
         "'orders.2' is a shard, and needs"},
        {SHARDS(FOUR, "topology: {queues: [{name: orders.seat.2}]}\n"),
         "'orders.seat.2' stands for a worker"},
        {SHARDS(FOUR, "dead_letter: {exchange: '{queue}'}\n"),
         "worker.yaml:4:24: dead letters of 'orders.0' go to 'orders', and so to shards"},
        {SHARDS(FOUR, "dead_letter: {queue: '{queue}.3'}\n"),
         "dead letters of 'orders.0' go to 'orders.3', and so to shards"},
        {SHARDS(FOUR, "  - {queue: o, handler: p.g}\n"
                      "dead_letter: {queue: '{queue}rders.2'}\n"),
         "dead letters of 'o' go to 'orders.2', and so to shards"},
        {SHARDS(FOUR, "  - {queue: orders.seat.3, handler: p.g}\n"),
         "worker.yaml:4:24: the queue 'orders.seat.3' of these shards is another subscription's"},
        {SHARDS(FOUR, "  - {queue: o, handler: p.g, lanes: {fast: o, slow: orders.seat.0}}\n"),
         "worker.yaml:4:24: the queue 'orders.seat.0' of these shards is another subscription's"},
        {SHARDS(FOUR, "  - handler: p.g\n"
                      "    shards: {exchange: orders.seat, count: 4, by: routing_key}\n"),
         "the queue 'orders.seat.0' of these shards is another subscription's"},
        {"subscriptions:\n"
         "  - {handler: p.g, shards: {exchange: a.seat, count: 2, by: routing_key}}\n"
         "  - {handler: p.h, shards: {exchange: a, count: 2, by: routing_key}}\n",
         "worker.yaml:3:39: the queue 'a.seat.0' of these shards is another subscription's"},
        {SHARDS(FOUR, "dead_letter: {queue: orders.seat.1}\n"),
         "dead letters of 'orders.0' go to 'orders.seat.1', which stands for a worker and drops"},
        {"subscriptions: [{handler: p.h}]\n", "'queue' is missing in a subscription"},
        {"subscriptions: [{handler: p.h, queue: ''}]\n", "the queue of a subscription"},
        {"subscriptions:\n"
         "  - {handler: p.h, shards: {exchange: a, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: b, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: c, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: d, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: e, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: f, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: g, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: h, count: 128, by: message_id}}\n"
         "  - {handler: p.h, shards: {exchange: i, count: 1, by: message_id}}\n",
         "worker.yaml:10:49: there are more than 1024 shards in the file"},
    };
    struct warren_error error;
    struct config *config;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (helper_load(rows[i].yaml, NULL, NULL, &config, &error) != WARREN_ECONFIG)
            fail_msg("it is taken: %s", rows[i].yaml);
        if (!strstr(error.text, rows[i].says))
            fail_msg("\"%s\" is not in: %s", rows[i].says, error.text);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_shard_is_a_subscription_of_its_own),
        TEST(all_of_it_is_declared),
        TEST(the_exchange_knows_the_key),
        TEST(what_is_written_is_kept),
        TEST(without_an_order_bytes_are_bounded),
        TEST(there_may_be_several),
        TEST(a_reload_has_the_same_shards),
        TEST(mistakes_name_place_and_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
