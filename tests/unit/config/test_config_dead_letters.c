/* Where dead letters go, and what is declared for them besides the topology as written. */
#include "config_helper.h"

#define ONE "subscriptions: [{queue: payments, handler: p.charge}]\n"
#define TWO                                                                                        \
    "subscriptions: [{queue: payments, handler: p.charge}, {queue: mails, handler: p.send}]\n"

static const struct config_queue *queue_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->topology.queue_count; i++)
        if (strcmp(config->topology.queues[i].name, name) == 0)
            return &config->topology.queues[i];
    fail_msg("queue %s is not declared", name);
    return NULL;
}

/* The text value of @queue's argument, "" if there is none. */
static const char *argument(const struct config_queue *queue, const char *name)
{
    static char text[64];
    const struct warren_value *value = warren_table_get(&queue->arguments, name);

    if (!value)
        return "";
    assert_int_equal(value->type, WARREN_STRING);
    snprintf(text, sizeof text, "%.*s", (int)value->as.bytes.len,
             (const char *)value->as.bytes.data);
    return text;
}

/* Each consumed queue has an exchange, a queue without a limit of deliveries, and a binding; those
 * that are not written in the topology too, which itself is shown as written. */
static void each_queue_has_its_own(void **state)
{
    struct config *config =
        helper_config("topology: {queues: [{name: payments}]}\n" TWO, NULL, NULL);
    const struct config_topology *declared = &config->topology;
    const struct config_queue *dlq = queue_of(config, "mails.dlq");
    char text[16384];

    (void)state;
    assert_string_equal(config->subscriptions[0].dead_exchange, "payments.dlx");
    assert_string_equal(config->subscriptions[0].dead_queue, "payments.dlq");
    assert_int_equal(declared->exchange_count, 2);
    assert_string_equal(declared->exchanges[1].name, "mails.dlx");
    assert_string_equal(declared->exchanges[1].type, "fanout");
    assert_true(declared->exchanges[1].durable);
    assert_int_equal(declared->queue_count, 3);
    assert_string_equal(dlq->type, "quorum");
    assert_true(dlq->durable);
    assert_int_equal(dlq->arguments.count, 1);
    assert_string_equal(dlq->arguments.fields[0].name, "x-delivery-limit");
    assert_true(dlq->arguments.fields[0].value.as.integer >= 1000000000);
    assert_int_equal(declared->binding_count, 2);
    assert_string_equal(declared->bindings[0].source, "payments.dlx");
    assert_string_equal(declared->bindings[0].destination, "payments.dlq");
    helper_effective(config, text, sizeof text);
    assert_non_null(strstr(text, "  queues:\n    - name: \"payments\"\n      type: quorum\n"
                                 "subscriptions:\n"));
    assert_null(strstr(text, "  exchanges:\n"));
    config_free(config);
}

/* A consumed queue dead-letters there too; how, depends on its type and on what the user chose. */
static void consumed_queues_dead_letter_there(void **state)
{
    static const struct {
        const char *queue;
        const char *exchange;
        const char *strategy;
        const char *overflow;
    } cases[] = {
        {"", "payments.dlx", "at-least-once", "reject-publish"},
        {"type: classic", "payments.dlx", "", ""},
        {"type: stream", "", "", ""},
        {"passive: true", "", "", ""},
        {"arguments: {x-dead-letter-exchange: mine}", "mine", "", ""},
        {"arguments: {x-overflow: drop-head}", "payments.dlx", "", "drop-head"},
        {"arguments: {x-dead-letter-strategy: at-most-once}", "payments.dlx", "at-most-once", ""},
        {"arguments: {x-max-length: 10}", "payments.dlx", "", ""},
        {"arguments: {x-max-length-bytes: 10}", "payments.dlx", "", ""},
        {"arguments: {x-delivery-limit: 3}", "payments.dlx", "at-least-once", "reject-publish"},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        char yaml[512];
        struct config *config;
        const struct config_queue *queue;

        snprintf(yaml, sizeof yaml, "topology: {queues: [{name: payments, %s}]}\n" ONE,
                 cases[i].queue);
        config = helper_config(yaml, NULL, NULL);
        queue = queue_of(config, "payments");
        assert_string_equal(argument(queue, "x-dead-letter-exchange"), cases[i].exchange);
        assert_string_equal(argument(queue, "x-dead-letter-strategy"), cases[i].strategy);
        assert_string_equal(argument(queue, "x-overflow"), cases[i].overflow);
        config_free(config);
    }
}

/* Switched off, nothing is declared and nothing named. */
static void it_can_be_switched_off(void **state)
{
    struct config *config = helper_config(
        "dead_letter: {enabled: false}\ntopology: {queues: [{name: payments}]}\n" ONE, NULL, NULL);

    (void)state;
    assert_null(config->subscriptions[0].dead_exchange);
    assert_null(config->subscriptions[0].dead_queue);
    assert_int_equal(config->topology.queue_count, 1);
    assert_int_equal(config->topology.exchange_count, 0);
    assert_string_equal(argument(&config->topology.queues[0], "x-dead-letter-exchange"), "");
    config_free(config);
}

/* Each quorum queue that is declared has a limit of deliveries that is never reached, also without
 * dead letters and subscriptions; what the user chose stands. */
static void nothing_is_given_up_for_restarts(void **state)
{
    static const struct {
        const char *yaml;
        int64_t limit; /* 0: the argument is not there */
        bool added;
    } cases[] = {
        {"topology: {queues: [{name: payments}]}\n" ONE, 1000000000, true},
        {"topology: {queues: [{name: payments}]}\n", 1000000000, true},
        {"dead_letter: {enabled: false}\ntopology: {queues: [{name: payments}]}\n" ONE, 1000000000,
         true},
        {"topology: {queues: [{name: payments, arguments: {x-delivery-limit: 3}}]}\n" ONE, 3,
         false},
        {"topology: {queues: [{name: payments, arguments: {x-delivery-limit: -1}}]}\n" ONE, -1,
         false},
        {"topology: {queues: [{name: payments, passive: true}]}\n" ONE, 0, false},
        {"topology: {queues: [{name: payments, type: classic}]}\n" ONE, 0, false},
        {"topology: {queues: [{name: payments, type: stream}]}\n" ONE, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        struct config *config = helper_config(cases[i].yaml, NULL, NULL);
        const struct config_queue *queue = queue_of(config, "payments");
        const struct warren_value *limit = warren_table_get(&queue->arguments, "x-delivery-limit");
        char text[16384];

        assert_int_equal(limit ? limit->as.integer : 0, cases[i].limit);
        assert_int_equal(queue->limit_added, cases[i].added);
        if (cases[i].added) /* so that it can be left out */
            assert_string_equal(queue->arguments.fields[queue->arguments.count - 1].name,
                                "x-delivery-limit");
        helper_effective(config, text, sizeof text); /* as written */
        assert_int_equal(strstr(text, "x-delivery-limit") != NULL,
                         cases[i].limit && !cases[i].added);
        config_free(config);
    }
}

/* What the topology has already is not declared twice; a fanout or a topic exchange is bound. */
static void what_is_written_stays(void **state)
{
    static const struct {
        const char *type;
        const char *key; /* NULL: not bound */
    } cases[] = {{"fanout", ""}, {"topic", "#"}, {"direct", NULL}, {"headers", NULL}};

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        char yaml[512];
        struct config *config;

        snprintf(yaml, sizeof yaml,
                 "topology:\n"
                 "  exchanges: [{name: payments.dlx, type: %s}]\n"
                 "  queues: [{name: payments.dlq, type: classic}]\n" ONE,
                 cases[i].type);
        config = helper_config(yaml, NULL, NULL);
        assert_int_equal(config->topology.exchange_count, 1);
        assert_int_equal(config->topology.queue_count, 1);
        assert_string_equal(config->topology.queues[0].type, "classic");
        assert_int_equal(config->topology.binding_count, cases[i].key ? 1 : 0);
        if (cases[i].key)
            assert_string_equal(config->topology.bindings[0].routing_key, cases[i].key);
        config_free(config);
    }
}

/* All may share one queue, by one exchange or by several. */
static void one_queue_for_all(void **state)
{
    struct config *config =
        helper_config("dead_letter: {exchange: dead, queue: dead}\n" TWO, NULL, NULL);

    (void)state;
    assert_int_equal(config->topology.exchange_count, 1);
    assert_int_equal(config->topology.queue_count, 1);
    assert_int_equal(config->topology.binding_count, 1);
    config_free(config);
    config = helper_config("dead_letter: {exchange: 'x-{queue}', queue: dead}\n" TWO, NULL, NULL);
    assert_int_equal(config->topology.exchange_count, 2);
    assert_int_equal(config->topology.queue_count, 1);
    assert_int_equal(config->topology.binding_count, 2);
    config_free(config);
}

/* The word may stand anywhere, and more than once. */
static void patterns_are_filled_in(void **state)
{
    struct config *config = helper_config(
        "dead_letter: {exchange: '{queue}{queue}', queue: 'a.{queue}.b}.{queue}'}\n" ONE, NULL,
        NULL);

    (void)state;
    assert_string_equal(config->subscriptions[0].dead_exchange, "paymentspayments");
    assert_string_equal(config->subscriptions[0].dead_queue, "a.payments.b}.payments");
    config_free(config);
}

/* Names that cannot be, or that lead dead letters astray, are errors with their place. */
static void bad_patterns_are_refused(void **state)
{
    char longest[512];
    char queue[252];

    (void)state;
    helper_refused("dead_letter: {exchange: ''}\n" ONE, NULL, NULL,
                   "the name of a dead-letter exchange");
    helper_refused("dead_letter: {queue: ''}\n" ONE, NULL, NULL, "the name of a dead-letter queue");
    helper_refused("dead_letter: {queue: '{queue}'}\n" ONE, NULL, NULL, "is that queue itself");
    helper_refused("dead_letter: {exchange: dead}\n" TWO, NULL, NULL,
                   "dead_letter.exchange needs {queue}");
    helper_refused("dead_letter: {queue: '{quue}.x'}\n" ONE, NULL, NULL,
                   "1:22: '{quue}' stands for nothing; did you mean '{queue}'?");
    helper_refused("dead_letter: {exchange: 'x.{queue'}\n" ONE, NULL, NULL,
                   "1:25: '{queue' stands for nothing; did you mean '{queue}'?");
    memset(queue, 'q', sizeof queue - 1);
    queue[sizeof queue - 1] = '\0';
    snprintf(longest, sizeof longest, "subscriptions: [{queue: %s, handler: p.charge}]\n", queue);
    config_free(helper_config(longest, NULL, NULL)); /* 251 and ".dlx" */
    snprintf(longest, sizeof longest, "subscriptions: [{queue: %sq, handler: p.charge}]\n", queue);
    helper_refused(longest, NULL, NULL, "1:17: the name of a dead-letter exchange has 256 bytes");
}

/* What is in force is printed with where dead letters go, and is still a configuration. */
static void the_effective_configuration_names_them(void **state)
{
    struct config *config =
        helper_config("topology: {queues: [{name: payments}]}\n" ONE, NULL, NULL);
    char text[16384];
    char again[16384];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(
        strstr(text, "# dead letters: exchange \"payments.dlx\", queue \"payments.dlq\""));
    assert_non_null(strstr(text, "exchange: \"{queue}.dlx\""));
    config_free(config);
    config = helper_config(text, NULL, NULL);
    helper_effective(config, again, sizeof again);
    assert_int_equal(config->topology.queue_count, 2);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(each_queue_has_its_own),
        HELPER_TEST(consumed_queues_dead_letter_there),
        HELPER_TEST(it_can_be_switched_off),
        HELPER_TEST(nothing_is_given_up_for_restarts),
        HELPER_TEST(what_is_written_stays),
        HELPER_TEST(one_queue_for_all),
        HELPER_TEST(patterns_are_filled_in),
        HELPER_TEST(bad_patterns_are_refused),
        HELPER_TEST(the_effective_configuration_names_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
