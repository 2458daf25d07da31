/* test_tracing_settings.c - where spans go, by the file and by the environment of all programs. */
#include "../config/config_helper.h"

#include "app/tracing_settings.h"

#define ENV(...) ((char *const[]){__VA_ARGS__, NULL})

static struct tracing_settings settings;
static struct config *config;

/* The settings of @yaml in the environment @env. */
static enum warren_status read_settings(const char *yaml, char *const *env,
                                        struct warren_error *error)
{
    config = helper_config(yaml, NULL, NULL);
    *error = (struct warren_error){WARREN_OK, ""};
    return tracing_settings_init(config, env, &settings, error);
}

static void forget(void)
{
    tracing_settings_done(&settings);
    config_free(config);
}

static void assert_good(const char *yaml, char *const *env)
{
    struct warren_error error;

    if (read_settings(yaml, env, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

/* They are refused, in these words, and without a word of what may be secret. */
static void assert_refused(const char *yaml, char *const *env, const char *words)
{
    struct warren_error error;

    assert_int_equal(read_settings(yaml, env, &error), WARREN_ECONFIG);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    assert_null(strstr(error.text, "hunter2"));
    forget();
}

static const char *resource(const char *name)
{
    const struct otlp_options *o = &settings.options;

    for (size_t i = 0; i < o->resource_count; i++)
        if (strcmp(o->resource[i].name, name) == 0)
            return o->resource[i].value;
    return "";
}

/* Nobody asked for it: there is nothing. */
static void without_an_address_there_is_none(void **state)
{
    (void)state;
    assert_good(NULL, NULL);
    assert_false(settings.enabled);
    forget();
    assert_good("tracing: {ratio: 0.5}",
                ENV("OTEL_SERVICE_NAME=x", "OTEL_EXPORTER_OTLP_ENDPOINT="));
    assert_false(settings.enabled);
    forget();
}

static void the_path_is_appended(void **state)
{
    static const struct {
        const char *endpoint;
        const char *url;
    } rows[] = {
        {"http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"},
        {"https://collector/", "https://collector/v1/traces"},
        {"http://[::1]:4318/otlp//", "http://[::1]:4318/otlp/v1/traces"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char yaml[200];

        snprintf(yaml, sizeof yaml, "tracing: {endpoint: '%s'}", rows[i].endpoint);
        assert_good(yaml, ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere"));
        assert_true(settings.enabled);
        assert_string_equal(settings.options.url, rows[i].url);
        assert_true(settings.options.ratio == 1);
        forget();
    }
}

/* The variables of OpenTelemetry, below what the file says. */
static void the_environment_is_heard(void **state)
{
    (void)state;
    assert_good(NULL, ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318"));
    assert_string_equal(settings.options.url, "http://a:4318/v1/traces");
    assert_string_equal(resource("service.name"), "warren");
    forget();
    assert_good(NULL, ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318",
                          "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b/x",
                          "OTEL_EXPORTER_OTLP_HEADERS= api-key = a%2Cb , tenant=7,",
                          "OTEL_RESOURCE_ATTRIBUTES=service.name=other,deployment=prod%20eu",
                          "OTEL_SERVICE_NAME=pay", "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca.pem"));
    assert_string_equal(settings.options.url, "http://b/x");
    assert_int_equal(settings.options.header_count, 2);
    assert_string_equal(settings.options.headers[0], "api-key: a,b");
    assert_string_equal(settings.options.headers[1], "tenant: 7");
    assert_string_equal(resource("service.name"), "pay");
    assert_string_equal(resource("deployment"), "prod eu");
    assert_string_equal(settings.options.ca_file, "/ca.pem");
    forget();
    assert_good("tracing: {service_name: mine, tls: {ca_file: /own.pem}}",
                ENV("OTEL_EXPORTER_OTLP_ENDPOINT=https://a", "OTEL_SERVICE_NAME=pay",
                    "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca.pem"));
    assert_string_equal(resource("service.name"), "mine");
    assert_string_equal(settings.options.ca_file, "/own.pem");
    forget();
}

static void the_environment_can_say_no(void **state)
{
    static const char *const words[] = {"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none",
                                        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
                                        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char *const env[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=http://a", (char *)(uintptr_t)words[i],
                             NULL};

        assert_good(NULL, env);
        assert_false(settings.enabled);
        assert_int_equal(settings.is_grpc, i >= 2);
        forget();
        assert_good("tracing: {endpoint: http://b}", env);
        assert_true(settings.enabled);
        forget();
    }
}

static void headers_come_from_a_file(void **state)
{
    static const char text[] =
        "# for the collector\n\nAuthorization: Bearer hunter2\r\nX-Tenant:7\n";

    (void)state;
    helper_write("headers", text, strlen(text));
    assert_good("tracing: {endpoint: http://a, headers_file: headers}",
                ENV("OTEL_EXPORTER_OTLP_HEADERS=other=1"));
    assert_int_equal(settings.options.header_count, 2);
    assert_string_equal(settings.options.headers[0], "Authorization: Bearer hunter2");
    assert_string_equal(settings.options.headers[1], "X-Tenant: 7");
    forget();
    unlink("headers");
}

static void the_broker_is_named_if_there_is_one(void **state)
{
    (void)state;
    assert_good("broker: {uri: 'amqp://u:hunter2@rabbit:5673/x'}\ntracing: {endpoint: http://a}",
                NULL);
    assert_string_equal(settings.options.server, "rabbit");
    assert_int_equal(settings.options.port, 5673);
    forget();
    assert_good("broker: {uri: [amqp://one, amqp://two]}\ntracing: {endpoint: http://a}", NULL);
    assert_null(settings.options.server);
    forget();
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const endpoints[][2] = {
        {"collector:4318", "expected the address of a collector"},
        {"ftp://a", "expected the address of a collector"},
        {"http://", "has no host"},
        {"http://:4318", "has no host"},
        {"http://u:hunter2@a", "has a user"},
        {"http://a/?x", "has a query"},
        {"http://a b", "has a space"},
    };
    static const char *const ratios[] = {"2", "-1", "x", "", "0.5x", "nan", "1e9", "0,5"};
    static const char broken[] = "X: 1\nhunter2\n";
    char yaml[200];

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        snprintf(yaml, sizeof yaml, "tracing: {endpoint: '%s'}", endpoints[i][0]);
        assert_refused(yaml, NULL, endpoints[i][1]);
        assert_refused(yaml, NULL, "worker.yaml:1");
    }
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        snprintf(yaml, sizeof yaml, "tracing: {ratio: '%s'}", ratios[i]);
        assert_refused(yaml, NULL, "worker.yaml:1");
        assert_refused(yaml, NULL, "expected a number from 0 to 1");
    }
    assert_refused(NULL, ENV("OTEL_EXPORTER_OTLP_ENDPOINT=here"),
                   "environment variable OTEL_EXPORTER_OTLP_ENDPOINT: expected");
    assert_refused(
        NULL, ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_EXPORTER_OTLP_HEADERS=hunter2"),
        "OTEL_EXPORTER_OTLP_HEADERS: expected NAME=VALUE");
    assert_refused(NULL,
                   ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://a",
                       "OTEL_EXPORTER_OTLP_HEADERS=a=hunter2%0d%0aX: 1"),
                   "OTEL_EXPORTER_OTLP_HEADERS: expected");
    assert_refused(NULL,
                   ENV("OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_RESOURCE_ATTRIBUTES=a=%zz"),
                   "OTEL_RESOURCE_ATTRIBUTES: expected NAME=VALUE");
    assert_refused("tracing: {endpoint: http://a, headers_file: none}", NULL,
                   "cannot read tracing.headers_file: No such file");
    helper_write("headers", broken, strlen(broken));
    assert_refused("tracing: {endpoint: http://a, headers_file: headers}", NULL,
                   "line 2 of tracing.headers_file: expected \"Name: value\"");
    unlink("headers");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_address_there_is_none), TEST(the_path_is_appended),
        TEST(the_environment_is_heard),         TEST(the_environment_can_say_no),
        TEST(headers_come_from_a_file),         TEST(the_broker_is_named_if_there_is_one),
        TEST(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
