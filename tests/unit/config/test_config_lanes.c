/* test_config_lanes.c - `lanes:` of a subscription, what becomes of it, and what is wrong with one.
 */
#include "config_helper.h"

/* A subscription with these lanes, and @more behind it. */
#define LANES(lanes, more)                                                                         \
    "subscriptions:\n"                                                                             \
    "  - queue: orders\n"                                                                          \
    "    handler: p.h\n"                                                                           \
    "    concurrency: 8\n"                                                                         \
    "    lanes: " lanes "\n" more

static void the_slow_lane_is_a_subscription_of_its_own(void **state)
{
    struct config *config = helper_config(
        LANES("{fast: orders, slow: orders.slow, slow_after: 5m, share: 4:1, concurrency: 3}", ""),
        NULL, NULL);
    const struct config_subscription *fast = &config->subscriptions[0];
    const struct config_subscription *slow = &config->subscriptions[1];

    (void)state;
    assert_int_equal(config->subscription_count, 2);
    assert_string_equal(fast->queue, "orders");
    assert_null(fast->slow_lane_of);
    assert_int_equal(fast->concurrency, 8);
    assert_int_equal(fast->lanes->fast_share, 4);
    assert_int_equal(fast->lanes->slow_share, 1);
    assert_int_equal(fast->lanes->slow_after, 300000);
    assert_string_equal(slow->queue, "orders.slow");
    assert_string_equal(slow->slow_lane_of, "orders");
    assert_string_equal(slow->handler, "p.h");
    assert_int_equal(slow->concurrency, 3);
    assert_ptr_equal(slow->lanes, fast->lanes);
    assert_string_equal(slow->dead_queue, fast->dead_queue); /* one place for both */
    config_free(config);
}

/* Its share of the places, one at least. */
static void the_slow_lane_has_its_share_of_the_places(void **state)
{
    static const struct {
        const char *yaml;
        int64_t concurrency;
    } rows[] = {{LANES("{slow: s}", ""), 2},
                {LANES("{slow: s, share: 1:1}", ""), 4},
                {LANES("{slow: s, share: 1000:1}", ""), 1},
                {LANES("{slow: s, share: 1:1000}", ""), 8},
                {LANES("{slow: s, concurrency: 8}", ""), 8}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config *config = helper_config(rows[i].yaml, NULL, NULL);

        assert_int_equal(config->subscriptions[0].lanes->slow_after, 0);
        assert_int_equal(config->subscriptions[1].concurrency, rows[i].concurrency);
        assert_int_equal(config->subscriptions[1].concurrency_least, rows[i].concurrency);
        config_free(config);
    }
}

/* Of a range each lane has one. */
static void a_range_is_one_for_each(void **state)
{
    struct config *config = helper_config("subscriptions:\n"
                                          "  - queue: orders\n"
                                          "    handler: p.h\n"
                                          "    concurrency: 2-32\n"
                                          "    lanes: {slow: s, share: 3:1}\n",
                                          NULL, NULL);

    (void)state;
    assert_int_equal(config->subscriptions[0].concurrency_least, 2);
    assert_int_equal(config->subscriptions[1].concurrency_least, 1);
    assert_int_equal(config->subscriptions[1].concurrency, 8);
    config_free(config);
}

/* As the fast one is, if that is written and this is not. */
static void the_slow_queue_is_declared(void **state)
{
    struct config *config = helper_config(
        LANES("{slow: orders.slow}",
              "topology:\n"
              "  queues:\n"
              "    - {name: orders, type: classic, arguments: {x-max-priority: 5}}\n"),
        NULL, NULL);
    const struct config_queue *slow = config_find_queue(&config->topology, "orders.slow");

    (void)state;
    assert_non_null(slow);
    assert_string_equal(slow->type, "classic");
    assert_non_null(warren_table_get(&slow->arguments, "x-max-priority"));
    assert_non_null(warren_table_get(&slow->arguments, "x-dead-letter-exchange"));
    assert_null(slow->written.node);
    config_free(config);
    config = helper_config(LANES("{slow: orders.slow}", "topology:\n"
                                                        "  queues:\n"
                                                        "    - {name: orders.slow}\n"),
                           NULL, NULL);
    assert_null(config_find_queue(&config->topology, "orders"));
    assert_int_equal(config->topology.queue_count, 2); /* and that of dead letters */
    config_free(config);
}

/* Where nothing is declared for dead letters, the name is as good as any. */
static void a_name_like_that_of_dead_letters_may_be_free(void **state)
{
    struct config *config =
        helper_config(LANES("{slow: orders.dlq}", "dead_letter: {enabled: false}\n"), NULL, NULL);

    (void)state;
    assert_string_equal(config->subscriptions[1].queue, "orders.dlq");
    config_free(config);
}

static void nothing_is_no_lanes(void **state)
{
    struct config *config =
        helper_config("subscriptions: [{queue: a, handler: p.h}]\n", NULL, NULL);

    (void)state;
    assert_null(config->subscriptions[0].lanes);
    assert_int_equal(config->subscription_count, 1);
    config_free(config);
}

static void mistakes_name_place_and_cause(void **state)
{
    static const struct {
        const char *yaml;
        const char *says;
    } rows[] = {
        {LANES("", ""), "lanes is empty, expected a mapping such as"},
        {LANES("slow", ""), "worker.yaml:5:12: the lanes of a subscription must be a mapping"},
        {LANES("{}", ""), "'slow' is missing in the lanes of a subscription"},
        {LANES("{fast: orders}", ""), "'slow' is missing in the lanes of a subscription"},
        {LANES("{slow: orders}", ""), "the slow lane is 'orders', which is the fast one"},
        {LANES("{slow: s, fast: other}", ""),
         "the fast lane is 'other', and the subscription's queue is 'orders'"},
        {LANES("{slow: ''}", ""), "the slow lane"},
        {LANES("{slow: \"a\\nb\"}", ""), "the slow lane must have no line ends"},
        {LANES("{slow: s, middle: m}", ""), "unknown"},
        {LANES("{slow: s, share: 0:0}", ""),
         "worker.yaml:5:29: share is '0:0', expected two numbers from 1 to 1000, such as 4:1"},
        {LANES("{slow: s, share: 4:0}", ""), "share is '4:0', expected"},
        {LANES("{slow: s, share: 0:1}", ""), "share is '0:1', expected"},
        {LANES("{slow: s, share: 4}", ""), "share is '4', expected"},
        {LANES("{slow: s, share: '4:1:1'}", ""), "share is '4:1:1', expected"},
        {LANES("{slow: s, share: '4:'}", ""), "share is '4:', expected"},
        {LANES("{slow: s, share: -4:1}", ""), "share is '-4:1', expected"},
        {LANES("{slow: s, share: 1001:1}", ""), "share is '1001:1', expected"},
        {LANES("{slow: s, share: 99999999999999999999:1}", ""), "expected two numbers"},
        {LANES("{slow: s, slow_after: 500ms}", ""), "slow_after is below a second"},
        {LANES("{slow: s, slow_after: -5m}", ""), "slow_after"},
        {LANES("{slow: s, concurrency: 9}", ""),
         "concurrency of the slow lane (9) must not exceed that of both (8)"},
        {"subscriptions: [{queue: a, handler: p.h, concurrency: 1, lanes: {slow: s, concurrency: "
         "1}}]\n",
         "worker.yaml:1:88: concurrency of the slow lane has no effect: that of both is 1"},
        {LANES("{slow: s}", "    order: {by: message_id}\n"), "lanes and order do not go together"},
        {LANES("{slow: s}", "    executor: e\nexecutors: {e: {threads: 9}}\n"),
         "lanes and executor do not go together"},
        {LANES("{slow: s}", "  - {queue: s, handler: p.g}\n"),
         "the slow lane 's' has a subscription of its own"},
        {LANES("{slow: s}", "  - {queue: b, handler: p.g, lanes: {slow: s}}\n"),
         "or is another's slow lane"},
        {LANES("{slow: s}", "  - {queue: b, handler: p.g, lanes: {slow: orders}}\n"),
         "the slow lane 'orders' has a subscription of its own"},
        {LANES("{slow: orders.dlq}", ""),
         "worker.yaml:5:19: the slow lane 'orders.dlq' is the queue "
         "of the dead letters of 'orders', expected another"},
        {LANES("{slow: b.dlq}", "  - {queue: b, handler: p.g}\n"),
         "worker.yaml:5:19: the slow lane 'b.dlq' is the queue of the dead letters of 'b'"},
        {LANES("{slow: orders.late}", "dead_letter: {queue: '{queue}.late'}\n"),
         "worker.yaml:5:19: the slow lane 'orders.late' is the queue of the dead letters"},
        {LANES("{slow: s}", "topology: {queues: [{name: orders, type: stream}]}\n"),
         "'orders' is a stream, which has no lanes"},
        {LANES("{slow: s}", "topology: {queues: [{name: s, type: stream}]}\n"),
         "'s' is a stream, which has no lanes"},
    };
    struct warren_error error;
    struct config *config;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(helper_load(rows[i].yaml, NULL, NULL, &config, &error), WARREN_ECONFIG);
        if (!strstr(error.text, rows[i].says))
            fail_msg("\"%s\" is not in: %s", rows[i].says, error.text);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_slow_lane_is_a_subscription_of_its_own),
        TEST(the_slow_lane_has_its_share_of_the_places),
        TEST(a_range_is_one_for_each),
        TEST(the_slow_queue_is_declared),
        TEST(a_name_like_that_of_dead_letters_may_be_free),
        TEST(nothing_is_no_lanes),
        TEST(mistakes_name_place_and_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
