/* No password leaves through an error text or the list of what is in force. */
#include "config_helper.h"

#include "config/secret.h"

/* Whatever is wrong with it, the text holds no piece of the password. */
static void errors_hold_no_password(void **state)
{
    static const char *const yaml[] = {
        "broker: amqp://u:hunter2@h\n",
        "broker: {uri: {'amqp://u:hunter2@h': 1}}\n",
        "broker: {'amqp://u:hunter2@h': 1}\n",
        "broker: {'amqp://u:hunter2': 1}\n",
        "'amqp://u:hunter2@h': 1\n",
        "broker: {uri: [[amqp://u:hunter2@h]]}\n",
        "broker: {sasl: amqp://u:hunter2@h}\n",
        "broker: {heartbeat: 'u:hunter2@h'}\n",
        "subscriptions: [{queue: a, handler: 'amqp://u:hunter2@h'}]\n",
        "topology: {exchanges: [{name: a, type: 'amqp://u:hunter2@h'}]}\n",
        "topology: {queues: [{name: 'amqp://u:hunter2@h'}, {name: 'amqp://u:hunter2@h'}]}\n",
    };
    static const char *const sets[] = {
        "amqp://u:hunter2@h",
        "amqp://u:hunter2@h/?heartbeat=1",
        "amqp://u:hunter2/?heartbeat=1",
        "broker.urii=amqp://u:hunter2@h",
        "broker.sasl=amqp://u:hunter2@h",
    };
    struct warren_error error;
    struct config *config;

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(yaml); i++) {
        assert_int_equal(helper_load(yaml[i], NULL, NULL, &config, &error), WARREN_ECONFIG);
        if (strstr(error.text, "hunter2"))
            fail_msg("%s", error.text);
    }
    for (size_t i = 0; i < HELPER_COUNT(sets); i++) {
        assert_int_equal(helper_load(NULL, NULL, sets[i], &config, &error), WARREN_ECONFIG);
        if (strstr(error.text, "hunter2"))
            fail_msg("%s", error.text);
    }
    assert_int_equal(helper_load(NULL, "WARREN_BROKER_PASSWORD=hunter2", NULL, &config, &error),
                     WARREN_ECONFIG);
    assert_null(strstr(error.text, "hunter2"));
}

/* Passwords in addresses, arguments and options are masked, the rest is shown. */
static void effective_masks_secrets(void **state)
{
    struct config *config =
        helper_config("broker: {uri: ['amqp://u:hunter2@h1:5672/v', 'amqp://u:hunter2', "
                      "'u:hunter2']}\n"
                      "topology: {queues: [{name: q, arguments: {u: 'http://u:hunter2@x'}}]}\n"
                      "subscriptions: [{queue: q, handler: a.b, options: {password: hunter2, "
                      "api_token: [hunter2], url: 'http://u:hunter2@h', path: out}}]\n",
                      NULL, NULL);
    char text[8192];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "amqp://***@h1:5672/v"));
    assert_non_null(strstr(text, "http://***@h"));
    assert_non_null(strstr(text, "\"path\": out"));
    config_free(config);
}

/* Everything between :// and the last @ goes, and control bytes with it. */
static void masks_are_generous(void **state)
{
    static const struct {
        const char *text;
        const char *plain;
        const char *uri;
    } cases[] = {
        {"amqp://u:p@h:1/v", "amqp://***@h:1/v", "amqp://***@h:1/v"},
        {"amqp://u:p@ss@h", "amqp://***@h", "amqp://***@h"},
        {"amqp://u:p/w@h", "amqp://***@h", "amqp://***@h"},
        {"u:p@h", "***@h", "***@h"},
        {"amqp://host:5672/v", "amqp://host:5672/v", "amqp://host:5672/v"},
        {"amqp://[::1]:5672", "amqp://[::1]:5672", "amqp://[::1]:5672"},
        {"amqp://u:p", "amqp://u:p", "amqp://***"},
        {"u:p", "u:p", "***"},
        {"a\nb\x7f", "a?b?", "***"},
    };
    char out[CONFIG_WORD_SIZE];

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        assert_string_equal(config_mask(cases[i].text, out, sizeof out), cases[i].plain);
        assert_string_equal(config_mask_uri(cases[i].text, out, sizeof out), cases[i].uri);
    }
}

/* A long text is cut to the space there is, with dots at its end. */
static void long_texts_are_cut(void **state)
{
    char out[8];

    (void)state;
    assert_string_equal(config_mask("abcdefghij", out, sizeof out), "abcd...");
    assert_string_equal(config_mask("abcdefg", out, sizeof out), "abcdefg");
}

/* What is written is YAML again, and means the same. */
static void effective_can_be_read_again(void **state)
{
    struct config *config =
        helper_config("broker: {uri: amqp://h, heartbeat: 0, tls: {ca_file: /ca}}\n"
                      "plugins: [/a/b.so]\n"
                      "topology: {exchanges: [{name: 'x\"\\y', type: topic}], queues: [{name: q, "
                      "arguments: {a: 5, b: '5', c: [1.0, true, null], d: {}}}], bindings: "
                      "[{exchange: x, queue: q, routing_key: '#'}]}\n"
                      "subscriptions: [{queue: q, handler: a.b, options: {cmd: 'a, b', n: 5}}]\n",
                      NULL, "consumer.prefetch=7");
    char text[8192];
    char again[8192];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(strstr(text, "prefetch: 7  # --set consumer.prefetch"));
    assert_non_null(strstr(text, "heartbeat: 0  # worker.yaml:1:36"));
    assert_non_null(strstr(text, "level: info  # default"));
    config_free(config);
    config = helper_config(text, NULL, NULL);
    assert_int_equal(config->consumer.prefetch, 7);
    assert_int_equal(config->broker.heartbeat_ms, 0);
    assert_int_equal(config->topology.queues[0].arguments.fields[1].value.type, WARREN_STRING);
    assert_string_equal(config->topology.exchanges[0].name, "x\"\\y");
    helper_effective(config, again, sizeof again);
    /* From topology on nothing but line numbers of subscriptions may differ. */
    assert_memory_equal(strstr(again, "topology:"), strstr(text, "topology:"),
                        (size_t)(strstr(text, "subscriptions:") - strstr(text, "topology:")));
    assert_string_equal(strstr(again, "options:"), strstr(text, "options:"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(errors_hold_no_password),     HELPER_TEST(effective_masks_secrets),
        HELPER_TEST(masks_are_generous),          HELPER_TEST(long_texts_are_cut),
        HELPER_TEST(effective_can_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
