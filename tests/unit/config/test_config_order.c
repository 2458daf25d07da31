/* test_config_order.c - `order:` of a subscription, and what is wrong with one. */
#include "config_helper.h"

/* A subscription with this order. */
#define ORDER(order)                                                                               \
    "subscriptions:\n"                                                                             \
    "  - queue: a\n"                                                                               \
    "    handler: p.h\n"                                                                           \
    "    order: " order "\n"

static void what_is_written_is_read(void **state)
{
    struct config *config = helper_config(
        ORDER("{by: header:customer, missing: reject, on_failure: skip, held: 7}"), NULL, NULL);
    const struct config_order *order = config->subscriptions[0].order;

    (void)state;
    assert_non_null(order);
    assert_int_equal(order->key.source, ORDER_BY_HEADER);
    assert_string_equal(order->key.header, "customer");
    assert_int_equal(order->without, ORDER_MISSING_REJECT);
    assert_true(order->skips);
    assert_int_equal(order->held, 7);
    config_free(config);
}

static void defaults_lose_no_order(void **state)
{
    static const struct {
        const char *yaml;
        enum config_order_by source;
    } rows[] = {{ORDER("{by: routing_key}"), ORDER_BY_ROUTING_KEY},
                {ORDER("{by: message_id}"), ORDER_BY_MESSAGE_ID},
                {ORDER("{by: handler}"), ORDER_BY_HANDLER},
                {ORDER("{by: 'header:a b:c'}"), ORDER_BY_HEADER}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config *config = helper_config(rows[i].yaml, NULL, NULL);
        const struct config_order *order = config->subscriptions[0].order;

        assert_int_equal(order->key.source, rows[i].source);
        assert_int_equal(order->without, ORDER_MISSING_ONE);
        assert_false(order->skips);
        assert_int_equal(order->held, 1000);
        config_free(config);
    }
}

static void nothing_is_no_order(void **state)
{
    struct config *config =
        helper_config("subscriptions: [{queue: a, handler: p.h}]\n", NULL, NULL);

    (void)state;
    assert_null(config->subscriptions[0].order);
    config_free(config);
}

static void mistakes_name_place_and_cause(void **state)
{
    static const struct {
        const char *yaml;
        const char *says;
    } rows[] = {
        {ORDER(""), "order is empty, expected a mapping such as"},
        {ORDER("~"), "order is empty, expected a mapping such as"},
        {ORDER("customer"), "worker.yaml:4:12: the order of a subscription must be a mapping"},
        {ORDER("{}"), "'by' is missing in the order of a subscription"},
        {ORDER("{missing: one}"), "'by' is missing in the order of a subscription"},
        {ORDER("{by: customer}"), "worker.yaml:4:17: by is 'customer', expected header:NAME, "
                                  "routing_key, message_id or handler"},
        {ORDER("{by: header customer}"), "by is 'header customer', expected header:NAME"},
        {ORDER("{by: 'header:'}"), "by is 'header:' without a name"},
        {ORDER("{by: header:}"),
         "worker.yaml:4:23: malformed YAML: found unexpected ':' while scanning "
         "a plain scalar; expected a text directly behind the colon, such as "
         "header:NAME"},
        {ORDER("{by: Routing_Key}"), "by is 'Routing_Key', expected"},
        {ORDER("{by: handler, missing: drop}"), "missing"},
        {ORDER("{by: handler, on_failure: stop}"), "on_failure"},
        {ORDER("{by: handler, held: -1}"), "held"},
        {ORDER("{by: handler, hold: 1}"), "did you mean 'held'?"},
        {ORDER("{by: handler, held: 60000}") "    prefetch: 5536\n",
         "prefetch (5536) and held (60000) of an ordered subscription must not exceed 65535"},
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

static void a_long_name_is_refused(void **state)
{
    char yaml[600];
    struct warren_error error;
    struct config *config;

    (void)state;
    snprintf(yaml, sizeof yaml, ORDER("{by: header:%0256d}"), 1);
    assert_int_equal(helper_load(yaml, NULL, NULL, &config, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "at most 255 bytes, and this one 256"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read), TEST(defaults_lose_no_order),
        TEST(nothing_is_no_order),     TEST(mistakes_name_place_and_cause),
        TEST(a_long_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
