/* Scalar options: values, ranges, defaults, and which source wins. */
#include "../comma_locale.h"
#include "config_helper.h"

/* Without any source every option has the default of its row. */
static void defaults_are_those_of_the_table(void **state)
{
    struct config *config = helper_config(NULL, NULL, NULL);

    (void)state;
    assert_int_equal(config->broker.uri_count, 1);
    assert_null(config->broker.password_file);
    assert_null(config->broker.tls_ca_file);
    assert_string_equal(config->broker.sasl, "plain");
    assert_int_equal(config->broker.heartbeat_ms, 30000);
    assert_int_equal(config->broker.connect_timeout_ms, 10000);
    assert_int_equal(config->broker.rpc_timeout_ms, 20000);
    assert_int_equal(config->broker.reconnect_delay_min_ms, 100);
    assert_int_equal(config->broker.reconnect_delay_max_ms, 10000);
    assert_int_equal(config->consumer.prefetch, 100);
    assert_int_equal(config->consumer.prefetch_bytes, 64 << 20);
    assert_int_equal(config->consumer.concurrency, 4);
    assert_int_equal(config->consumer.message_max, 128 << 20);
    assert_int_equal(config->consumer.memory_max, 256 << 20);
    assert_int_equal(config->consumer.coalesce_us, 300);
    assert_int_equal(config->consumer.ack_straggler_age_ms, 1000);
    assert_int_equal(config->consumer.ack_timeout_ms, 1800000);
    assert_int_equal(config->publisher.window_messages, 1000);
    assert_int_equal(config->publisher.window_bytes, 64 << 20);
    assert_string_equal(config->publisher.when_full, "block");
    assert_int_equal(config->publisher.block_timeout_ms, 30000);
    assert_int_equal(config->publisher.timeout_ms, 120000);
    assert_int_equal(config->delay.longest_ms, INT64_C(30) * 86400000);
    assert_int_equal(config->drain.timeout_ms, 30000);
    assert_string_equal(config->log.level, "info");
    assert_string_equal(config->log.format, "logfmt");
    assert_int_equal(config->plugins_count, 0);
    assert_null(config->file);
    config_free(config);
}

/* Each unit of sizes and durations means what it says. */
static void units_are_understood(void **state)
{
    static const struct {
        const char *set;
        int64_t expected;
    } cases[] = {
        {"publisher.block_timeout=0", 0},        {"publisher.block_timeout=250ms", 250},
        {"publisher.block_timeout=30s", 30000},  {"publisher.block_timeout=5m", 300000},
        {"publisher.block_timeout=2h", 7200000}, {"publisher.block_timeout=1d", 86400000},
        {"publisher.block_timeout=30 s", 30000},
    };
    static const struct {
        const char *set;
        int64_t expected;
    } sizes[] = {
        {"consumer.prefetch_bytes=0", 0},          {"consumer.prefetch_bytes=512", 512},
        {"consumer.prefetch_bytes=64KiB", 65536},  {"consumer.prefetch_bytes=16MiB", 16 << 20},
        {"consumer.prefetch_bytes=1GiB", 1 << 30},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        struct config *config = helper_config(NULL, NULL, cases[i].set);

        assert_int_equal(config->publisher.block_timeout_ms, cases[i].expected);
        config_free(config);
    }
    for (size_t i = 0; i < HELPER_COUNT(sizes); i++) {
        struct config *config = helper_config(NULL, NULL, sizes[i].set);

        assert_int_equal(config->consumer.prefetch_bytes, sizes[i].expected);
        config_free(config);
    }
}

/* A value of a wrong type or out of range: place, value, and what was expected. */
static void wrong_values_are_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"consumer:\n  prefetch: 70000\n",
         "worker.yaml:2:13: consumer.prefetch is '70000', expected a whole number, from 1 to "
         "65535"},
        {"consumer: {prefetch: 0}\n", "is '0', expected a whole number, from 1 to 65535"},
        {"consumer: {prefetch: -1}\n", "is '-1'"},
        {"consumer: {prefetch: 10 }\nlog: {level: 1.5}\n", "log.level is '1.5', expected one of"},
        {"consumer: {prefetch: 1.5}\n", "is '1.5', expected a whole number"},
        {"consumer: {prefetch: many}\n", "is 'many', expected a whole number"},
        {"consumer: {prefetch: 99999999999999999999}\n", "is '99999999999999999999'"},
        {"consumer: {prefetch: }\n", "consumer.prefetch is empty, expected a whole number"},
        {"consumer: {prefetch: [1]}\n", "consumer.prefetch is a list, expected a whole number"},
        {"consumer: {prefetch: {a: 1}}\n", "consumer.prefetch is a mapping, expected"},
        {"consumer: {prefetch_bytes: 64KB}\n",
         "is '64KB', expected a size such as 512, 64KiB or 1GiB, from 0 to 1024GiB"},
        {"consumer: {prefetch_bytes: 9999999999999GiB}\n", "is '9999999999999GiB'"},
        {"broker: {heartbeat: 30}\n",
         "is '30', expected a duration such as 250ms, 30s or 5m, from 0 to 1h"},
        {"broker: {heartbeat: 2h}\n", "is '2h', expected a duration"},
        {"broker: {heartbeat: 1500ms}\n", "broker.heartbeat must be whole seconds"},
        {"publisher: {when_full: blok}\n",
         "is 'blok', expected one of block, fail; did you mean 'block'?"},
        {"broker: {sasl: none}\n", "is 'none', expected one of plain, external"},
        {"broker: {uri: {host: a}}\n", "broker.uri is a mapping, expected a text or a list"},
        {"broker: {uri: []}\n", "worker.yaml:1:15: broker.uri is empty"},
        {"broker: {uri: [a, [b]]}\n", "worker.yaml:1:19: broker.uri is a list"},
        {"plugins: [a.so, '']\n", "plugins has an empty entry"},
        {"consumer: fast\n", "worker.yaml:1:11: consumer must be a mapping"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* An unknown key names the nearest known one, also one of another section. */
static void unknown_keys_are_refused_with_a_suggestion(void **state)
{
    static const struct helper_bad bad[] = {
        {"consumer:\n  prefech: 5\n",
         "worker.yaml:2:3: unknown key 'prefech' in consumer; did you mean 'prefetch'?"},
        {"brokr: {}\n", "unknown key 'brokr' in the file; did you mean 'broker'?"},
        {"plugin: []\n", "did you mean 'plugins'?"},
        {"subscription: []\n", "did you mean 'subscriptions'?"},
        {"broker: {tls: {ca: x}}\n", "unknown key 'ca' in broker.tls, expected ca_file, "},
        {"broker: {prefetch: 5}\n",
         "unknown key 'prefetch' in broker; did you mean 'prefetch' in consumer?"},
        {"consumer.prefetch: 5\n",
         "unknown key 'consumer.prefetch' in the file; did you mean 'prefetch' in consumer?"},
        {"zzzzzzzz: 5\n",
         "unknown key 'zzzzzzzz' in the file, expected plugins, state_dir, broker, "},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* Options that contradict each other: the one that was given is blamed. */
static void contradictions_are_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"broker: {reconnect_delay_min: 1m}\n",
         "worker.yaml:1:31: broker.reconnect_delay_min (1m) must not exceed "
         "broker.reconnect_delay_max (10s)"},
        {"consumer: {memory_max: 64MiB}\n",
         "worker.yaml:1:24: consumer.message_max (128MiB) must not exceed"},
        {"broker: {tls: {cert_file: a}}\n", "cert_file and broker.tls.key_file need each other"},
        {"broker: {sasl: external}\n", "external, which needs broker.tls.cert_file"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* The environment wins over the file, --set over both; the last --set counts. */
static void sources_override_each_other_in_order(void **state)
{
    static const char yaml[] = "consumer: {prefetch: 11}\n";
    static const char *const sets[] = {"consumer.prefetch=33", "consumer.prefetch=44"};
    struct config *config = helper_config(yaml, NULL, NULL);

    (void)state;
    assert_int_equal(config->consumer.prefetch, 11);
    config_free(config);
    config = helper_config(yaml, "WARREN_CONSUMER_PREFETCH=22", NULL);
    assert_int_equal(config->consumer.prefetch, 22);
    config_free(config);
    config = helper_config(yaml, "WARREN_CONSUMER_PREFETCH=22", "consumer.prefetch=33");
    assert_int_equal(config->consumer.prefetch, 33);
    config_free(config);
    assert_int_equal(config_load("worker.yaml", NULL, sets, 2, &config, NULL), WARREN_OK);
    assert_int_equal(config->consumer.prefetch, 44);
    config_free(config);
}

/* A text is a list of one; in a variable, commas separate, but not inside of a password. */
static void addresses_may_be_a_list(void **state)
{
    struct config *config = helper_config("broker: {uri: amqp://a}\n", NULL, NULL);

    (void)state;
    assert_int_equal(config->broker.uri_count, 1);
    config_free(config);
    config = helper_config("broker: {uri: [amqp://a, amqps://b]}\n", NULL, NULL);
    assert_int_equal(config->broker.uri_count, 2);
    assert_string_equal(config->broker.uri[1], "amqps://b");
    config_free(config);
    config = helper_config(NULL, "WARREN_BROKER_URI=amqp://u:p,w@a, amqps://b", NULL);
    assert_int_equal(config->broker.uri_count, 2);
    assert_string_equal(config->broker.uri[0], "amqp://u:p,w@a");
    assert_string_equal(config->broker.uri[1], "amqps://b");
    config_free(config);
}

/* A wrong variable is named; only what begins like a section is ours. */
static void wrong_variables_are_refused(void **state)
{
    (void)state;
    helper_refused(NULL, "WARREN_CONSUMER_PREFETCH=x", NULL,
                   "WARREN_CONSUMER_PREFETCH: consumer.prefetch is 'x', expected a whole number");
    helper_refused(NULL, "WARREN_CONSUMER_PREFECH=5", NULL,
                   "environment variable WARREN_CONSUMER_PREFECH: there is no such option; did you "
                   "mean 'WARREN_CONSUMER_PREFETCH'?");
    helper_refused(
        NULL, "WARREN_MIDDLEWARE_RETRY_MAX_ATTEMPTS=1", NULL,
        "environment variable WARREN_MIDDLEWARE_RETRY_MAX_ATTEMPTS: topology, middleware "
        "and subscriptions can be given only in the file");
    helper_refused(NULL, "WARREN_BROKER_=5", NULL,
                   "environment variable WARREN_BROKER_: there is no such option");
    helper_refused(NULL, "WARREN_BROKER_PORT=5672", NULL,
                   "environment variable WARREN_BROKER_PORT: there is no such option");
    helper_refused(NULL, "WARREN_TOPOLOGY_QUEUES=a", NULL, "can be given only in the file");
    helper_refused(NULL, "WARREN_SUBSCRIPTIONS=a", NULL, "can be given only in the file");
    config_free(helper_config(NULL, "WARREN_HOME=/x", NULL));
    config_free(helper_config(NULL, "WARREN_TOPOLOGYS=3", NULL));
    config_free(helper_config(NULL, "WARREN_MIDDLEWARE_SERVICE_HOST=10.0.0.1", NULL));
    config_free(helper_config(NULL, "WARREN_CONSUMERS=3", NULL));
    config_free(helper_config(NULL, "WARREN_", NULL));
    config_free(helper_config(NULL, "PATH=/bin", NULL));
}

static void count_line(enum warren_log_level level, const char *line, void *user)
{
    if (level == WARREN_LOG_WARN && strstr(line, "WARREN_BROKR_URI is ignored") &&
        strstr(line, "did you mean WARREN_BROKER_URI?"))
        ++*(int *)user;
    else
        *(int *)user = 1000;
}

/* One that is nearly an option's is left alone, too, and warned of; another program's is not. */
static void a_misspelt_section_is_warned_of(void **state)
{
    int lines = 0;

    (void)state;
    assert_int_equal(log_divert(count_line, &lines), WARREN_OK);
    config_free(helper_config(NULL, "WARREN_BROKR_URI=amqp://b", NULL));
    assert_int_equal(lines, 1);
    config_free(helper_config(NULL, "WARREN_TEST_NODE=x", NULL));
    config_free(helper_config(NULL, "WARREN_HOME=/x", NULL));
    assert_int_equal(lines, 1);
    log_divert(NULL, NULL);
}

/* What Kubernetes sets for a service named warren-broker is not for us. */
static void variables_of_kubernetes_are_ignored(void **state)
{
    static const char *const theirs[] = {
        "WARREN_BROKER_SERVICE_HOST=10.0.0.1", "WARREN_BROKER_SERVICE_PORT=5672",
        "WARREN_BROKER_SERVICE_PORT_AMQP=5672", "WARREN_BROKER_PORT=tcp://10.0.0.1:5672",
        "WARREN_BROKER_PORT_5672_TCP_ADDR=10.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        config_free(helper_config(NULL, theirs[i], NULL));
    helper_refused(NULL, "WARREN_BROKER_PORTS=1", NULL, "there is no such option");
}

/* A wrong --set is named, with the nearest option. */
static void wrong_sets_are_refused(void **state)
{
    (void)state;
    helper_refused(NULL, NULL, "consumer.prefetch=x",
                   "--set consumer.prefetch: consumer.prefetch "
                   "is 'x', expected a whole number");
    helper_refused(NULL, NULL, "consumer.prefech=5",
                   "--set consumer.prefech: there is no such option; did you mean "
                   "'consumer.prefetch'?");
    helper_refused(NULL, NULL, "consumer.prefetch", "--set: expected KEY=VALUE");
    helper_refused(NULL, NULL, "=5", "--set: expected KEY=VALUE");
    helper_refused(NULL, NULL, "topology.queues=a", "can be given only in the file");
}

/* Files of the YAML are relative to its folder, those of other sources to the cwd. */
static void paths_are_relative_to_where_they_are_written(void **state)
{
    static const char yaml[] = "broker: {password_file: secret, tls: {ca_file: /etc/ca.pem}}\n"
                               "plugins: [handlers/log.so, ../x.so, /a/b.so, log.so]\n";
    static const char *const sets[] = {"plugins=x/y.so,z.so"};
    char path[128];
    char expected[192];
    struct config *config;

    (void)state;
    helper_write("worker.yaml", yaml, strlen(yaml));
    snprintf(path, sizeof path, "%s/worker.yaml", helper_folder);
    assert_int_equal(config_load(path, NULL, NULL, 0, &config, NULL), WARREN_OK);
    snprintf(expected, sizeof expected, "%s/secret", helper_folder);
    assert_string_equal(config->broker.password_file, expected);
    assert_string_equal(config->broker.tls_ca_file, "/etc/ca.pem");
    assert_int_equal(config->plugins_count, 4);
    snprintf(expected, sizeof expected, "%s/handlers/log.so", helper_folder);
    assert_string_equal(config->plugins[0], expected);
    assert_string_equal(config->plugins[2], "/a/b.so");
    snprintf(expected, sizeof expected, "%s/log.so", helper_folder);
    assert_string_equal(config->plugins[3], expected);
    config_free(config);
    assert_int_equal(config_load(path, NULL, sets, 1, &config, NULL), WARREN_OK);
    assert_string_equal(config->plugins[0], "x/y.so");
    config_free(config);
}

/* A section or list with nothing in it is as if it were not there. */
static void empty_sections_are_fine(void **state)
{
    struct config *config = helper_config("consumer:\nplugins:\ntopology:\nsubscriptions:\n"
                                          "broker: {tls: , password_file: }\n",
                                          NULL, NULL);

    (void)state;
    assert_int_equal(config->plugins_count, 0);
    assert_int_equal(config->subscription_count, 0);
    assert_null(config->broker.password_file);
    config_free(config);
}

/* A number has a point where it is read and where it is shown, also after a plugin called
 * setlocale(3), as before a SIGHUP. */
static void numbers_have_a_point(void **state)
{
    struct config *config;
    char text[20000];
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    TAKE_COMMA_LOCALE();
    config = helper_config("topology:\n"
                           "  queues:\n"
                           "    - {name: q, arguments: {x-half: 1.5, x-whole: 5.0}}\n",
                           NULL, NULL);
    config_write_effective(config, out);
    fclose(out);
    setlocale(LC_ALL, "C");
    assert_true(config->topology.queues[0].arguments.fields[0].value.as.real == 1.5);
    assert_non_null(strstr(text, "1.5"));
    assert_non_null(strstr(text, "5.0"));
    assert_null(strstr(text, "1,5"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(defaults_are_those_of_the_table),
        HELPER_TEST(units_are_understood),
        HELPER_TEST(wrong_values_are_refused),
        HELPER_TEST(unknown_keys_are_refused_with_a_suggestion),
        HELPER_TEST(contradictions_are_refused),
        HELPER_TEST(sources_override_each_other_in_order),
        HELPER_TEST(addresses_may_be_a_list),
        HELPER_TEST(wrong_variables_are_refused),
        HELPER_TEST(a_misspelt_section_is_warned_of),
        HELPER_TEST(variables_of_kubernetes_are_ignored),
        HELPER_TEST(numbers_have_a_point),
        HELPER_TEST(wrong_sets_are_refused),
        HELPER_TEST(paths_are_relative_to_where_they_are_written),
        HELPER_TEST(empty_sections_are_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
