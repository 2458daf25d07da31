/* test_worker_limits.c - the warnings about a broker that gives messages up before retry does. */
#include "../config/config_helper.h"

#include "app/worker_limits.h"
#include "app/worker_setup.h"
#include "base/log.h"
#include "middleware/builtin.h"

#define QUEUES_LIMIT "the queue's x-delivery-limit"

/* What was logged. */
static char logged[4 * LOG_LINE_MAX];

/* A configuration with queue `jobs` of @queue, and @retry as options of its retry. */
static struct config *make(const char *queue, const char *retry)
{
    struct registry *registry = registry_new(builtin_middlewares);
    struct warren_error error = {WARREN_OK, ""};
    struct config *config;
    char yaml[500];

    snprintf(yaml, sizeof yaml,
             "topology:\n"
             "  queues:\n"
             "    - {name: jobs%s}\n"
             "subscriptions:\n"
             "  - queue: jobs\n"
             "    handler: p.h\n"
             "    middleware: [retry: {%s}]\n",
             queue, retry);
    config = helper_config(yaml, NULL, NULL);
    assert_non_null(registry);
    if (worker_setup_chains(registry, config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    registry_free(registry);
    return config;
}

/* All that is told of @config at a start. */
static void tell(struct config *config)
{
    int ends[2];
    ssize_t len;

    assert_int_equal(pipe(ends), 0);
    log_set(WARREN_LOG_WARN, LOG_LOGFMT);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    worker_limits_at_start(config);
    log_stop(10000);
    close(ends[1]);
    len = read(ends[0], logged, sizeof logged - 1);
    assert_true(len >= 0);
    logged[len] = '\0';
    close(ends[0]);
    config_free(config);
}

static void assert_silent(const char *queue, const char *retry)
{
    tell(make(queue, retry));
    assert_string_equal(logged, "");
}

/* Exactly one line, with all of the three. */
static void assert_told(const char *event, const char *limit, const char *attempts)
{
    const char *const parts[] = {event, limit, attempts, "queue=jobs"};

    for (size_t i = 0; i < HELPER_COUNT(parts); i++)
        if (!strstr(logged, parts[i]))
            fail_msg("%s is not in: %s", parts[i], logged);
    assert_ptr_equal(strchr(logged, '\n'), logged + strlen(logged) - 1);
}

/* A limit below the attempts is told at the start; one that suffices is not. */
static void the_queues_own_limit(void **state)
{
    (void)state;
    tell(make(", arguments: {x-delivery-limit: 4}", ""));
    assert_told(QUEUES_LIMIT, "delivery_limit=4 ", "max_attempts=5");
    tell(make(", arguments: {x-delivery-limit: 50}", "max_attempts: 51"));
    assert_told(QUEUES_LIMIT, "delivery_limit=50 ", "max_attempts=51");
    assert_silent(", arguments: {x-delivery-limit: 5}", "");
    assert_silent(", arguments: {x-delivery-limit: 50}", "max_attempts: 50");
}

/* Any limit is below none. -1 stands for none, and without an own one there is none, either. */
static void no_limit(void **state)
{
    (void)state;
    tell(make(", arguments: {x-delivery-limit: 1000}", "max_attempts: 0"));
    assert_told(QUEUES_LIMIT, "delivery_limit=1000 ", "max_attempts=0");
    assert_silent(", arguments: {x-delivery-limit: -1}", "max_attempts: 0");
    assert_silent("", "max_attempts: 0");
}

/* Other queues have no such limit, and of one that somebody else declares nothing is known. */
static void other_queues(void **state)
{
    static const char *const others[] = {", type: classic", ", type: stream", ", passive: true"};

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(others); i++)
        assert_silent(others[i], "max_attempts: 100");
}

/* What follows the drain gets what that has left of drain.timeout. */
static void what_is_left_of_a_drain(void **state)
{
    (void)state;
    assert_int_equal(worker_limits_left_ms(8000, 1000, 2000), 2000);
    assert_int_equal(worker_limits_left_ms(8000, 7000, 2000), 1000);
    assert_int_equal(worker_limits_left_ms(8000, 8000, 2000), 0);
    assert_int_equal(worker_limits_left_ms(8000, 9000, 2000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(the_queues_own_limit),
        HELPER_TEST(no_limit),
        HELPER_TEST(other_queues),
        cmocka_unit_test(what_is_left_of_a_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
