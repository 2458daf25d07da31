/* test_doctor_config.c - what `warren doctor` makes of a configuration: limits against each other,
 * circles of dead letters, what RabbitMQ gives up.
 */
#include "doctor_rig.h"

static struct broker_facts broker;

static int setup(void **state)
{
    broker_facts_init(&broker);
    return rig_setup(state);
}

static int teardown(void **state)
{
    broker_facts_done(&broker);
    return rig_teardown(state);
}

#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- ack-timeout ---- */

#define JOBS "subscriptions: [{queue: jobs, handler: p.h, prefetch: 10, concurrency: 2}]\n"

static void expect_timeout(const char *yaml, enum finding_level level, const char *part)
{
    struct config *config = rig_config(yaml);

    judge_ack_timeout(&found, config, &broker);
    expect(level, "ack-timeout", part);
    config_free(config);
}

static void ack_timeouts(void **state)
{
    (void)state;
    expect_timeout(JOBS, FINDING_OK, "no deadline is in its chain");
    expect_timeout("middleware: {deadline: {limit: 6m}}\n" JOBS, FINDING_OK, "may take 6m");
    expect_timeout("middleware: {deadline: {limit: 7m}}\n" JOBS, FINDING_WARN,
                   "the last of 10 prefetched messages is done after 35m");
    expect_timeout("middleware: {deadline: {limit: 31m}}\n" JOBS, FINDING_WARN, "may take 31m");
    expect_timeout("middleware: {deadline: {limit: 1m, hard_limit: 40m}}\n" JOBS, FINDING_WARN,
                   "may take 40m");
    expect_timeout("consumer: {ack_timeout: 2h}\nmiddleware: {deadline: {limit: 20m}}\n" JOBS,
                   FINDING_OK, "after 2h");
}

/* 4.3 leaves consumers of classic queues alone. */
static void ack_timeout_of_a_classic_queue(void **state)
{
    static const char yaml[] = "topology: {queues: [{name: jobs, type: classic}]}\n"
                               "middleware: {deadline: {limit: 31m}}\n" JOBS;

    (void)state;
    broker_facts_server(&broker, "RabbitMQ 4.2.9");
    expect_timeout(yaml, FINDING_WARN, "31m");
    broker_facts_server(&broker, "RabbitMQ 4.3.0");
    expect_timeout(yaml, FINDING_OK, "4.3");
}

/* ---- delivery-limit ---- */

static void expect_limit(const char *yaml, enum finding_level level, const char *part)
{
    struct config *config = rig_config(yaml);

    judge_delivery_limit(&found, config, &broker);
    expect(level, "delivery-limit", part);
    config_free(config);
}

#define LIMITED "topology: {queues: [{name: jobs, arguments: {x-delivery-limit: 4}}]}\n"

static void delivery_limits(void **state)
{
    (void)state;
    expect_limit("topology: {queues: [{name: jobs}]}\n" JOBS, FINDING_OK, "none that is known");
    expect_limit(LIMITED JOBS, FINDING_WARN, "below retry's max_attempts of 5");
    expect_limit(LIMITED "middleware: {retry: {max_attempts: 4}}\n" JOBS, FINDING_OK, "4");
    expect_limit(LIMITED "middleware: {retry: {max_attempts: 0}}\n" JOBS, FINDING_WARN,
                 "retry has no limit");
    broker_facts_note(&broker,
                      &(struct broker_note){.kind = NOTE_LIMITED, .item = "jobs", .limit = 20});
    expect_limit(JOBS, FINDING_WARN, "each restart counts");
    expect_limit("middleware: {retry: {max_attempts: 21}}\n" JOBS, FINDING_WARN,
                 "max_attempts of 21");
}

/* ---- dead-letter-cycles ---- */

static void expect_cycle(const char *yaml, enum finding_level level, const char *part)
{
    struct config *config = rig_config(yaml);

    judge_dead_letter_cycles(&found, config);
    expect(level, "dead-letter-cycles", part);
    config_free(config);
}

#define DEAD(queue, to, more)                                                                      \
    "  - {name: " queue ", arguments: {x-dead-letter-exchange: '" to "'" more "}}\n"

static void no_cycle(void **state)
{
    (void)state;
    expect_cycle(JOBS, FINDING_OK, "none");
    expect_cycle("topology: {queues: [{name: jobs}]}\n" JOBS, FINDING_OK, "2 queues");
    /* By another key than that by which it is bound. */
    expect_cycle(
        "topology:\n  exchanges: [{name: x, type: topic}]\n  queues:\n" DEAD(
            "a", "x", ", x-dead-letter-routing-key: 'a.c.d'") "  bindings: [{exchange: x, queue: "
                                                              "a, routing_key: 'a.*'}]\n",
        FINDING_OK, "none");
}

static void cycles_at_once(void **state)
{
    (void)state;
    expect_cycle("topology:\n  exchanges: [{name: x, type: fanout}]\n  queues:\n" DEAD(
                     "a", "x", "") "  bindings: [{exchange: x, queue: a}]\n",
                 FINDING_FAIL, "'a' > 'a'");
    expect_cycle("topology:\n  queues:\n" DEAD("a", "", ", x-dead-letter-routing-key: b")
                     DEAD("b", "", ", x-dead-letter-routing-key: c")
                         DEAD("c", "", ", x-dead-letter-routing-key: b"),
                 FINDING_FAIL, "'b' > 'c' > 'b'");
    expect_cycle(
        "topology:\n  exchanges: [{name: x, type: topic}, {name: y, type: fanout}]\n"
        "  queues:\n" DEAD("a", "x",
                           ", x-dead-letter-routing-key: 'a.b.c'") "  bindings:\n"
                                                                   "  - {exchange: x, to_exchange: "
                                                                   "y, routing_key: 'a.#.c'}\n"
                                                                   "  - {exchange: y, queue: a}\n",
        FINDING_FAIL, "'a' > 'a'");
    /* What the worker itself publishes as dead letters. */
    expect_cycle("topology:\n  bindings: [{exchange: jobs.dlx, queue: jobs}]\n" JOBS, FINDING_FAIL,
                 "'jobs' > 'jobs'");
}

/* A queue whose messages expire makes of it a retry that warren does not count. */
static void cycles_that_wait(void **state)
{
    (void)state;
    expect_cycle("topology:\n  queues:\n" DEAD("a", "", ", x-dead-letter-routing-key: w")
                     DEAD("w", "", ", x-dead-letter-routing-key: a, x-message-ttl: 1000"),
                 FINDING_WARN, "'a' > 'w' > 'a'");
}

/* By a key that is not known, or an exchange of a type of which nothing is. */
static void cycles_perhaps(void **state)
{
    (void)state;
    expect_cycle("topology:\n  queues:\n" DEAD("a", "", ""), FINDING_WARN, "may come back");
    expect_cycle("topology:\n  exchanges: [{name: x}]\n  queues:\n" DEAD(
                     "a", "x", "") "  bindings: [{exchange: x, queue: a, routing_key: k}]\n",
                 FINDING_WARN, "may come back");
    expect_cycle(
        "topology:\n  exchanges: [{name: x, type: headers}]\n  queues:\n" DEAD(
            "a", "x", ", x-dead-letter-routing-key: k") "  bindings: [{exchange: x, queue: a}]\n",
        FINDING_WARN, "may come back");
}

/* ---- queue-types ---- */

static void expect_type(const char *yaml, enum finding_level level, const char *part)
{
    struct config *config = rig_config(yaml);

    judge_queue_types(&found, config, &broker);
    expect(level, "queue-types", part);
    config_free(config);
}

static void deprecated(void **state)
{
    static const struct {
        const char *yaml;
        const char *part;
    } cases[] = {
        {"topology: {queues: [{name: q, type: classic, durable: false}]}\n", "transient"},
        {"topology: {queues: [{name: q, type: classic, arguments: {x-queue-mode: lazy}}]}\n",
         "x-queue-mode"},
        {"topology: {queues: [{name: q, type: classic, arguments: {x-queue-version: 1}}]}\n",
         "x-queue-version"},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        broker_facts_server(&broker, "RabbitMQ 3.10.8");
        expect_type(cases[i].yaml, FINDING_WARN, cases[i].part);
        broker_facts_server(&broker, "RabbitMQ 4.3.6");
        expect_type(cases[i].yaml, FINDING_FAIL, cases[i].part);
    }
    expect_type("topology: {queues: [{name: q, arguments: {x-max-priority: 5}}]}\n", FINDING_WARN,
                "x-max-priority");
    expect_type("topology: {exchanges: [{name: x, type: x-delayed-message}]}\n", FINDING_WARN,
                "x-delayed-message");
    expect_type("topology: {queues: [{name: q, type: classic, durable: false, exclusive: true}]}\n",
                FINDING_OK, "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BROKER_TEST(ack_timeouts),    BROKER_TEST(ack_timeout_of_a_classic_queue),
        BROKER_TEST(delivery_limits), BROKER_TEST(no_cycle),
        BROKER_TEST(cycles_at_once),  BROKER_TEST(cycles_that_wait),
        BROKER_TEST(cycles_perhaps),  BROKER_TEST(deprecated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
