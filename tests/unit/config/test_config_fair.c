/* test_config_fair.c - `fair:` of a subscription, and what is wrong with one. */
#include "config_helper.h"

/* A subscription with this fairness. */
#define FAIR(fair)                                                                                 \
    "subscriptions:\n"                                                                             \
    "  - queue: a\n"                                                                               \
    "    handler: p.h\n"                                                                           \
    "    fair: " fair "\n"

static void what_is_written_is_read(void **state)
{
    struct config *config =
        helper_config(FAIR("{by: header:tenant, concurrency: 2, rate: 100, per: 1m, burst: 5, "
                           "missing: reject, held: 7, keys: 20}"),
                      NULL, NULL);
    const struct config_fair *fair = config->subscriptions[0].fair;

    (void)state;
    assert_non_null(fair);
    assert_int_equal(fair->key.source, ORDER_BY_HEADER);
    assert_string_equal(fair->key.header, "tenant");
    assert_int_equal(fair->concurrency, 2);
    assert_int_equal(fair->rate, 100);
    assert_int_equal(fair->per, 60000);
    assert_int_equal(fair->burst, 5);
    assert_int_equal(fair->without, FAIR_MISSING_REJECT);
    assert_int_equal(fair->held, 7);
    assert_int_equal(fair->keys, 20);
    config_free(config);
}

/* By itself it is turns, and no limit. */
static void defaults_limit_nobody(void **state)
{
    struct config *config = helper_config(FAIR("{by: routing_key}"), NULL, NULL);
    const struct config_fair *fair = config->subscriptions[0].fair;

    (void)state;
    assert_int_equal(fair->key.source, ORDER_BY_ROUTING_KEY);
    assert_int_equal(fair->concurrency, 0);
    assert_int_equal(fair->rate, 0);
    assert_int_equal(fair->without, FAIR_MISSING_ONE);
    assert_int_equal(fair->held, 1000);
    assert_int_equal(fair->keys, 10000);
    config_free(config);
}

static void nothing_is_no_fairness(void **state)
{
    struct config *config =
        helper_config("subscriptions: [{queue: a, handler: p.h}]\n", NULL, NULL);

    (void)state;
    assert_null(config->subscriptions[0].fair);
    config_free(config);
}

static void mistakes_name_place_and_cause(void **state)
{
    static const struct {
        const char *yaml;
        const char *says;
    } rows[] = {
        {FAIR(""), "fair is empty, expected a mapping such as"},
        {FAIR("~"), "fair is empty, expected a mapping such as"},
        {FAIR("tenant"), "worker.yaml:4:11: the fairness of a subscription must be a mapping"},
        {FAIR("{}"), "'by' is missing in the fairness of a subscription"},
        {FAIR("{rate: 5}"), "'by' is missing in the fairness of a subscription"},
        {FAIR("{by: tenant}"),
         "worker.yaml:4:16: by is 'tenant', expected header:NAME or routing_key"},
        {FAIR("{by: message_id}"), "by is 'message_id', expected header:NAME or routing_key"},
        {FAIR("{by: handler}"), "by is 'handler', expected header:NAME or routing_key"},
        {FAIR("{by: 'header:'}"), "by is 'header:' without a name"},
        {FAIR("{by: header:}"),
         "worker.yaml:4:22: malformed YAML: found unexpected ':' while scanning "
         "a plain scalar; expected a text directly behind the colon, such as "
         "header:NAME"},
        {FAIR("{by: header:t, concurrency: -1}"), "concurrency"},
        {FAIR("{by: header:t, concurrency: many}"), "concurrency"},
        {FAIR("{by: header:t, rate: -5}"), "rate"},
        {FAIR("{by: header:t, rate: 1000001}"), "rate"},
        {FAIR("{by: header:t, per: 1m}"), "per needs a rate beside it"},
        {FAIR("{by: header:t, burst: 5}"), "burst needs a rate beside it"},
        {FAIR("{by: header:t, rate: 0, burst: 5}"), "burst needs a rate beside it"},
        {FAIR("{by: header:t, missing: unordered}"), "missing"},
        {FAIR("{by: header:t, held: -1}"), "held"},
        {FAIR("{by: header:t, keys: 0}"), "keys"},
        {FAIR("{by: header:t, hold: 1}"), "did you mean 'held'?"},
        {FAIR("{by: header:t, held: 60000}") "    prefetch: 5536\n",
         "prefetch (5536) and held (60000) of a fair subscription must not exceed 65535"},
        {FAIR("{by: header:t, held: 30000}") "    order: {by: routing_key, held: 35535}\n"
                                             "    prefetch: 1\n",
         "held (30000, beside that of its order)"},
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
        TEST(what_is_written_is_read),
        TEST(defaults_limit_nobody),
        TEST(nothing_is_no_fairness),
        TEST(mistakes_name_place_and_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
