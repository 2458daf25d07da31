/* Exchanges, queues, bindings, subscriptions and their arguments. */
#include "config_helper.h"

/* What is not written has the default; a queue is a durable quorum queue. */
static void topology_is_read_with_defaults(void **state)
{
    struct config *config = helper_config("topology:\n"
                                          "  exchanges:\n"
                                          "    - name: shop\n"
                                          "    - {name: shop.dead, type: x-random, durable: false, "
                                          "internal: true, auto_delete: true, passive: true}\n"
                                          "  queues:\n"
                                          "    - name: payments\n"
                                          "    - {name: tmp, type: classic, exclusive: true}\n"
                                          "  bindings:\n"
                                          "    - {exchange: shop, queue: payments, "
                                          "routing_key: 'pay.#'}\n"
                                          "    - {exchange: shop, to_exchange: shop.dead}\n",
                                          NULL, NULL);
    const struct config_topology *topology = &config->topology;

    (void)state;
    assert_int_equal(topology->exchange_count, 2);
    assert_string_equal(topology->exchanges[0].type, "direct");
    assert_true(topology->exchanges[0].durable);
    assert_false(topology->exchanges[0].passive);
    assert_string_equal(topology->exchanges[1].type, "x-random");
    assert_false(topology->exchanges[1].durable);
    assert_true(topology->exchanges[1].internal);
    assert_int_equal(topology->queue_count, 2);
    assert_string_equal(topology->queues[0].name, "payments");
    assert_string_equal(topology->queues[0].type, "quorum");
    assert_true(topology->queues[0].durable);
    assert_true(topology->queues[0].limit_added);
    assert_int_equal(topology->queues[0].arguments.count, 1);
    assert_true(topology->queues[1].exclusive);
    assert_int_equal(topology->binding_count, 2);
    assert_string_equal(topology->bindings[0].source, "shop");
    assert_string_equal(topology->bindings[0].destination, "payments");
    assert_string_equal(topology->bindings[0].routing_key, "pay.#");
    assert_false(topology->bindings[0].to_exchange);
    assert_true(topology->bindings[1].to_exchange);
    assert_string_equal(topology->bindings[1].routing_key, "");
    config_free(config);
}

/* Each kind of scalar, quoted or not, gets its AMQP type. */
static void arguments_keep_their_types(void **state)
{
    static const struct {
        const char *text;
        enum warren_type type;
    } cases[] = {
        {"5", WARREN_I64},           {"-5", WARREN_I64},         {"+7", WARREN_I64},
        {"'5'", WARREN_STRING},      {"!!str 5", WARREN_STRING}, {"true", WARREN_BOOL},
        {"\"true\"", WARREN_STRING}, {"1.5", WARREN_F64},        {"-2e3", WARREN_F64},
        {".5", WARREN_F64},          {"1.2.3", WARREN_STRING},   {"1e", WARREN_STRING},
        {"e5", WARREN_STRING},       {"yes", WARREN_STRING},     {"1-2", WARREN_STRING},
        {"null", WARREN_VOID},       {"~", WARREN_VOID},         {"", WARREN_VOID},
        {"''", WARREN_STRING},       {"[1, a]", WARREN_ARRAY},   {"{a: 1}", WARREN_TABLE},
        {"[]", WARREN_ARRAY},        {"{}", WARREN_TABLE},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        char yaml[256];
        struct config *config;

        snprintf(yaml, sizeof yaml,
                 "topology: {queues: [{name: q, type: classic, arguments: {k: %s}}]}\n",
                 cases[i].text);
        config = helper_config(yaml, NULL, NULL);
        assert_int_equal(config->topology.queues[0].arguments.count, 1);
        if (config->topology.queues[0].arguments.fields[0].value.type != cases[i].type)
            fail_msg("%s: type %c", cases[i].text,
                     (int)config->topology.queues[0].arguments.fields[0].value.type);
        config_free(config);
    }
}

/* Values, also those inside of arrays and tables, arrive as they were written. */
static void arguments_keep_their_values(void **state)
{
    struct config *config =
        helper_config("topology: {queues: [{name: q, arguments: {big: 9223372036854775807, r: 2.5, "
                      "t: text, a: [1, {x: false}]}}]}\n",
                      NULL, NULL);
    const struct warren_field *fields = config->topology.queues[0].arguments.fields;
    const struct warren_table *inner;

    (void)state;
    assert_string_equal(fields[0].name, "big");
    assert_true(fields[0].value.as.integer == INT64_MAX);
    assert_true(fields[1].value.as.real == 2.5);
    assert_int_equal(fields[2].value.as.bytes.len, 4);
    assert_memory_equal(fields[2].value.as.bytes.data, "text", 4);
    assert_int_equal(fields[3].value.as.array.count, 2);
    assert_int_equal(fields[3].value.as.array.values[0].as.integer, 1);
    inner = &fields[3].value.as.array.values[1].as.table;
    assert_string_equal(inner->fields[0].name, "x");
    assert_false(inner->fields[0].value.as.boolean);
    config_free(config);
}

/* Mistakes in the topology are found before the broker sees them. */
static void wrong_topology_is_refused(void **state)
{
#define QUEUE(text)    "topology:\n  queues:\n    - " text "\n"
#define EXCHANGE(text) "topology:\n  exchanges:\n    - " text "\n"
#define BINDING(text)  "topology:\n  bindings:\n    - " text "\n"
    static const struct helper_bad bad[] = {
        {"topology: []\n", "topology must be a mapping"},
        {"topology: {queue: []}\n", "unknown key 'queue' in topology; did you mean 'queues'?"},
        {"topology: {queues: {name: a}}\n", "topology.queues must be a list"},
        {QUEUE("payments"), "worker.yaml:3:7: a queue must be a mapping"},
        {QUEUE("{type: classic}"), "worker.yaml:3:7: 'name' is missing in a queue"},
        {QUEUE("{name: ''}"), "the name of a queue must not be empty"},
        {QUEUE("{name: a, typ: classic}"), "unknown key 'typ' in a queue; did you mean 'type'?"},
        {QUEUE("{name: a, type: qorum}"), "did you mean 'quorum'?"},
        {QUEUE("{name: a, durable: yes}"), "durable is 'yes', expected true or false"},
        {QUEUE("{name: a, exclusive: true}"), "a quorum queue cannot be exclusive"},
        {QUEUE("{name: a, type: stream, auto_delete: true}"), "a stream queue cannot be auto_"},
        {QUEUE("{name: a, durable: false}"), "a quorum queue cannot be transient"},
        {QUEUE("{name: a, arguments: {x-queue-type: classic}}"), "x-queue-type is not an argument"},
        {QUEUE("{name: a, type: classic, arguments: {x-max-priority: 256}}"),
         "x-max-priority must be a whole number from 0 to 255"},
        {QUEUE("{name: a, type: classic, arguments: {x-max-priority: -1}}"),
         "x-max-priority must be a whole number from 0 to 255"},
        {QUEUE("{name: a, type: classic, arguments: {x-max-priority: many}}"),
         "x-max-priority must be a whole number from 0 to 255"},
        {QUEUE("{name: a, type: stream, arguments: {x-max-priority: 5}}"),
         "x-max-priority is no argument of a stream"},
        {QUEUE("{name: a, arguments: [1]}"), "arguments must be a mapping"},
        {QUEUE("{name: a, arguments: {k: 9223372036854775808}}"), "does not fit into 64 bits"},
        {QUEUE("{name: a, arguments: {'': 1}}"), "the name of an argument must not be empty"},
        {QUEUE("{name: a, arguments: {k: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}"),
         "arguments nest deeper than 16 levels"},
        {"topology: {queues: [{name: a}, {name: a}]}\n", "the queue 'a' stands twice"},
        {"topology: {exchanges: [{name: a}, {name: a}]}\n", "the exchange 'a' stands twice"},
        {EXCHANGE("{name: a, type: topc}"), "did you mean 'topic'?"},
        {EXCHANGE("{name: a, type: ''}"),
         "type is empty, expected one of direct, fanout, topic, headers, x-..."},
        {EXCHANGE("{name: ''}"), "the name of an exchange must not be empty"},
        {BINDING("{exchange: a}"), "a binding needs either 'queue' or 'to_exchange'"},
        {BINDING("{exchange: a, queue: b, to_exchange: c}"), "needs either 'queue' or"},
        {BINDING("{queue: a}"), "'exchange' is missing in a binding"},
        {BINDING("{exchange: '', queue: a}"), "the default exchange takes none"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* A name of 255 bytes is allowed, one more is not. */
static void names_end_at_255_bytes(void **state)
{
    char yaml[512] = "topology: {queues: [{name: ";
    size_t len = strlen(yaml);
    struct config *config;

    (void)state;
    memset(yaml + len, 'q', 255);
    strcpy(yaml + len + 255, "}]}\n");
    config = helper_config(yaml, NULL, NULL);
    assert_int_equal(strlen(config->topology.queues[0].name), 255);
    config_free(config);
    strcpy(yaml + len + 255, "q}]}\n");
    helper_refused(yaml, NULL, NULL, "the name of a queue has 256 bytes, but AMQP allows 255");
    helper_refused("topology: {queues: [{name: \"a\\nb\"}]}", NULL, NULL,
                   "the name of a queue must have no line ends");
}

/* What a subscription does not say comes from the section consumer, whatever its source. */
static void subscriptions_inherit(void **state)
{
    struct config *config =
        helper_config("consumer: {prefetch: 50}\n"
                      "subscriptions:\n"
                      "  - queue: a\n"
                      "    handler: log.write\n"
                      "  - {queue: a, handler: exec.run, prefetch: 7, prefetch_bytes: 1KiB, "
                      "concurrency: 1, arguments: {x-priority: 5}}\n",
                      NULL, "consumer.concurrency=9");
    const struct config_subscription *subscriptions = config->subscriptions;

    (void)state;
    assert_int_equal(config->subscription_count, 2);
    assert_string_equal(subscriptions[0].queue, "a");
    assert_string_equal(subscriptions[0].handler, "log.write");
    assert_int_equal(subscriptions[0].prefetch, 50);
    assert_int_equal(subscriptions[0].concurrency, 9);
    assert_int_equal(subscriptions[0].prefetch_bytes, 64 << 20);
    assert_string_equal(subscriptions[0].where, "worker.yaml:3");
    assert_int_equal(subscriptions[1].prefetch, 7);
    assert_int_equal(subscriptions[1].prefetch_bytes, 1024);
    assert_int_equal(subscriptions[1].concurrency, 1);
    assert_int_equal(subscriptions[1].arguments.fields[0].value.as.integer, 5);
    config_free(config);
}

/* Mistakes in subscriptions. */
static void wrong_subscriptions_are_refused(void **state)
{
#define SUBSCRIPTION(text) "subscriptions:\n  - " text "\n"
    static const struct helper_bad bad[] = {
        {"subscriptions: {queue: a}\n", "subscriptions must be a list"},
        {SUBSCRIPTION("{handler: a.b}"), "worker.yaml:2:5: 'queue' is missing in a subscription"},
        {SUBSCRIPTION("{queue: a}"), "'handler' is missing in a subscription"},
        {SUBSCRIPTION("{queue: '', handler: a.b}"), "must not be empty"},
        {SUBSCRIPTION("{queue: a, handler: log}"), "handler is 'log', expected PLUGIN.HANDLER"},
        {SUBSCRIPTION("{queue: a, handler: log.}"), "expected PLUGIN.HANDLER"},
        {SUBSCRIPTION("{queue: a, handler: .log}"), "expected PLUGIN.HANDLER"},
        {SUBSCRIPTION("{queue: a, handler: a.b, prefetch: 0}"), "from 1 to 65535"},
        {SUBSCRIPTION("{queue: a, handler: a.b, concurrency: 257}"), "from 1 to 256"},
        {SUBSCRIPTION("{queue: a, handler: a.b, option: {}}"), "did you mean 'options'?"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* A list that is compared with itself has a bound. */
static void lists_are_bounded(void **state)
{
    const size_t count = 10001;
    char *yaml = malloc(64 + count * 16);
    size_t len;

    (void)state;
    assert_non_null(yaml);
    len = (size_t)sprintf(yaml, "topology:\n  queues:\n");
    for (size_t i = 0; i < count; i++)
        len += (size_t)sprintf(yaml + len, "  - {}\n");
    helper_refused(yaml, NULL, NULL, "more than 10000 items in topology.queues");
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(topology_is_read_with_defaults),  HELPER_TEST(arguments_keep_their_types),
        HELPER_TEST(arguments_keep_their_values),     HELPER_TEST(wrong_topology_is_refused),
        HELPER_TEST(names_end_at_255_bytes),          HELPER_TEST(subscriptions_inherit),
        HELPER_TEST(wrong_subscriptions_are_refused), HELPER_TEST(lists_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
