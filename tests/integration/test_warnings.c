/* test_warnings.c - what a worker says at its start about a configuration that is allowed, and will
 * not do what it seems to.
 */
#include "support/fixture.h"

/* Run a worker to its end. @arguments of the queue that it declares, @link of its chain. */
static void start(struct fixture *fixture, const char *arguments, const char *link)
{
    worker_free(fixture->worker);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "topology:\n"
                                 "  queues:\n"
                                 "    - {name: %s, type: quorum, arguments: {%s}}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: record}\n"
                                 "    middleware: [log, %s, recover]\n",
                                 fixture->queue, arguments, fixture->queue, link);
    worker_consume(fixture->worker, 1);
    assert_int_equal(worker_stop(fixture->worker), 0);
    peer_delete(fixture->peer, fixture->queue);
}

static int warned(struct fixture *fixture, const char *of)
{
    return worker_logged(fixture->worker, "level=warn", of);
}

/* The broker would give a message up before its last attempt. */
static void a_delivery_limit_below_the_attempts(void **state)
{
    struct fixture *fixture = *state;
    const char *retry = "{retry: {policy: immediate, max_attempts: 4}}";

    start(fixture, "x-delivery-limit: 4", retry);
    assert_int_equal(warned(fixture, "delivery_limit="), 0);
    start(fixture, "x-delivery-limit: 3", retry);
    assert_int_equal(warned(fixture, "delivery_limit=3 max_attempts=4"), 1);
    assert_int_equal(warned(fixture, fixture->queue), 1);
}

/* A queue that somebody else declared. @arguments of it, @count; how often it was warned of. */
static int warned_of_limit(struct fixture *fixture, const amqp_table_entry_t *arguments, int count,
                           const char *limit)
{
    int times;

    peer_declare_with(fixture->peer, fixture->queue, "quorum", arguments, count);
    worker_free(fixture->worker);
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: record}\n",
                                 fixture->queue);
    worker_consume(fixture->worker, 1);
    WAIT_FOR(warned(fixture, "delivery_limit=") > 0, limit ? 20000 : 500);
    assert_int_equal(worker_stop(fixture->worker), 0);
    times = warned(fixture, limit ? limit : "delivery_limit=");
    peer_delete(fixture->peer, fixture->queue);
    return times;
}

static amqp_table_entry_t number(const char *name, int value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                                .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = value}}};
}

/* A limit of a queue of others costs messages that were only prefetched: it is told, with what
 * other arguments the queue may have. RabbitMQ 4 has one of its own. */
static void a_limit_of_others(void **state)
{
    struct fixture *fixture = *state;
    const amqp_table_entry_t arguments[] = {
        number("x-max-length", 100),
        number("x-message-ttl", 600000),
        number("x-delivery-limit", 6),
    };

    assert_int_equal(warned_of_limit(fixture, arguments, 3, "delivery_limit=6"), 1);
    if (broker_at_least(fixture->broker, 4, 0))
        assert_int_equal(warned_of_limit(fixture, arguments, 2, "delivery_limit=20"), 1);
    else
        assert_int_equal(warned_of_limit(fixture, arguments, 2, NULL), 0);
}

/* The broker would take a message back from a handler that is within its limits. */
static void a_time_limit_above_the_ack_time_out(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, "", "{deadline: {limit: 29m, hard_limit: 30m}}");
    assert_int_equal(warned(fixture, "consumer_timeout="), 0);
    start(fixture, "", "{deadline: {limit: 29m, hard_limit: 31m}}");
    assert_int_equal(warned(fixture, "limit=29m hard_limit=31m consumer_timeout=30m"), 1);
    assert_int_equal(warned(fixture, fixture->queue), 1);
}

/* What the broker is known to have is what counts: as configured, or as the queue's own argument.
 */
static void an_ack_time_out_of_its_own(void **state)
{
    struct fixture *fixture = *state;

    setenv("WARREN_CONSUMER_ACK_TIMEOUT", "1h", 1);
    start(fixture, "", "{deadline: {limit: 31m}}");
    assert_int_equal(warned(fixture, "consumer_timeout="), 0);
    start(fixture, "x-consumer-timeout: 60000", "{deadline: {limit: 61s}}");
    assert_int_equal(warned(fixture, "limit=61s consumer_timeout=1m"), 1);
    unsetenv("WARREN_CONSUMER_ACK_TIMEOUT");
}

#define TEST(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_delivery_limit_below_the_attempts),
        TEST(a_limit_of_others),
        TEST(a_time_limit_above_the_ack_time_out),
        TEST(an_ack_time_out_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
