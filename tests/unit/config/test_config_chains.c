/* Chains of middlewares: from a list, from the top of the file, from the standard one. */
#include "config_helper.h"

static const struct warren_option retry_options[] = {
    {"max_attempts", WARREN_OPTION_INT, "5", 1, 100, NULL, NULL},
    {"policy", WARREN_OPTION_ENUM, "constant", 0, 0, "constant|linear", NULL},
    {"path", WARREN_OPTION_PATH, "", 0, 0, NULL, NULL},
    {"api_password", WARREN_OPTION_STRING, "", 0, 0, NULL, NULL},
    {0},
};

static const struct warren_option limit_options[] = {
    {"limit", WARREN_OPTION_DURATION, NULL, 1, 60000, NULL, NULL}, {0}};

static enum warren_status find(void *user, const char *name, const struct warren_option **ret_table,
                               struct warren_error *error)
{
    (void)user;
    *ret_table = NULL;
    if (strcmp(name, "retry") == 0)
        *ret_table = retry_options;
    else if (strcmp(name, "limit") == 0)
        *ret_table = limit_options;
    else if (strcmp(name, "log") != 0 && strcmp(name, "mine.own") != 0) {
        snprintf(error->text, sizeof error->text, "there is no middleware %s", name);
        return WARREN_ENOTFOUND;
    }
    return WARREN_OK;
}

/* The only rule here: log stands first. */
static bool in_order(const char *const *names, size_t count, size_t *ret_culprit, char *why,
                     size_t size)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i], "log") != 0)
            continue;
        *ret_culprit = i;
        snprintf(why, size, "log must be first");
        return false;
    }
    return true;
}

static const struct config_standard_link standard[] = {
    {"log", true}, {"retry", true}, {"limit", false}};

static const struct config_catalog catalog = {
    .find = find, .in_order = in_order, .standard = standard, .standard_count = 3};

#define SUBSCRIPTION                                                                               \
    "subscriptions:\n"                                                                             \
    "  - queue: a\n"                                                                               \
    "    handler: p.h\n"

static struct config *chains(const char *yaml)
{
    struct config *config = helper_config(yaml, NULL, NULL);
    struct warren_error error = {WARREN_OK, ""};

    if (config_chains(config, &catalog, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    return config;
}

static void assert_chain(const struct config *config, size_t index, const char *expected)
{
    const struct config_subscription *subscription = &config->subscriptions[index];
    char names[200] = "";

    for (size_t i = 0; i < subscription->chain_count; i++) {
        strcat(names, i ? " " : "");
        strcat(names, subscription->chain[i].name);
    }
    assert_string_equal(names, expected);
}

/* Which of the standard links are not always there are those that the top names, in its order. */
static void without_a_list_the_chain_is_the_standard_one(void **state)
{
    struct config *config = chains(SUBSCRIPTION);

    (void)state;
    assert_chain(config, 0, "log retry");
    config_free(config);
    config = chains("middleware: {limit: {limit: 5s}}\n" SUBSCRIPTION);
    assert_chain(config, 0, "log retry limit");
    assert_int_equal(warren_options_int(config->subscriptions[0].chain[2].options, "limit"), 5000);
    config_free(config);
}

static void a_list_is_the_chain(void **state)
{
    struct config *config = chains(SUBSCRIPTION "    middleware:\n"
                                                "      - log\n"
                                                "      - mine.own\n"
                                                "      - retry:\n"
                                                "  - queue: b\n"
                                                "    handler: p.h\n"
                                                "    middleware: []\n");

    (void)state;
    assert_chain(config, 0, "log mine.own retry");
    assert_chain(config, 1, "");
    config_free(config);
}

/* The link's own, else the top's, else the table's, key by key. */
static void options_are_inherited_one_by_one(void **state)
{
    struct config *config = chains("middleware: {retry: {max_attempts: 8, policy: linear}}\n"
                                   "subscriptions:\n"
                                   "  - queue: a\n"
                                   "    handler: p.h\n"
                                   "    middleware: [{retry: {max_attempts: 3, path: x}}]\n"
                                   "  - {queue: b, handler: p.h, middleware: [retry]}\n");
    const struct warren_options *own = config->subscriptions[0].chain[0].options;
    const struct warren_options *inherited = config->subscriptions[1].chain[0].options;
    size_t at = 0;

    (void)state;
    assert_int_equal(warren_options_int(own, "max_attempts"), 3);
    assert_string_equal(warren_options_text(own, "policy"), "linear");
    assert_string_equal(warren_options_text(own, "path"), "x");
    assert_int_equal(warren_options_int(inherited, "max_attempts"), 8);
    assert_string_equal(warren_options_text(inherited, "path"), "");
    assert_string_equal(config_options_differ(own, inherited, &at), "max_attempts");
    assert_string_equal(config_options_differ(own, inherited, &at), "path");
    assert_null(config_options_differ(own, inherited, &at));
    at = 0;
    assert_null(config_options_differ(own, own, &at));
    config_free(config);
}

static void refused(const char *yaml, const char *expected)
{
    struct config *config = helper_config(yaml, NULL, NULL);
    struct warren_error error = {WARREN_OK, ""};

    assert_int_equal(config_chains(config, &catalog, &error), WARREN_ECONFIG);
    if (strncmp(error.text, expected, strlen(expected)) != 0)
        fail_msg("the error is: %s\nexpected: %s", error.text, expected);
    config_free(config);
}

/* Found while the file is read. */
static void what_is_no_chain_is_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"middleware: [retry]\n", "worker.yaml:1:13: middleware must be a mapping"},
        {SUBSCRIPTION "    middleware: {retry: {}}\n",
         "worker.yaml:4:17: middleware of a subscription must be a list"},
        {SUBSCRIPTION "    middleware: retry\n", "must be a list, outermost first"},
        {SUBSCRIPTION "    middleware: [{retry: {}, log: {}}]\n",
         "worker.yaml:4:18: a middleware must be one name"},
        {SUBSCRIPTION "    middleware: [[retry]]\n", "a middleware must be one name"},
        {SUBSCRIPTION "    middleware: [~]\n", "a middleware must be one name"},
        {SUBSCRIPTION "    middleware: [retry, log, {retry: {}}]\n",
         "worker.yaml:4:31: retry stands twice"},
        {"middlewares: {}\n", "unknown key 'middlewares' in the file; did you mean 'middleware'?"},
        {"middleware.x: {}\n", "unknown key 'middleware.x'"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
    helper_refused(NULL, NULL, "middleware.retry=5", "can be given only in the file");
}

/* Found once it is known which middlewares there are. */
static void what_fits_no_middleware_is_refused(void **state)
{
    (void)state;
    refused(SUBSCRIPTION "    middleware: [log, rety]\n",
            "worker.yaml:4:23: there is no middleware rety");
    refused("middleware: {rety: {}}\n" SUBSCRIPTION,
            "worker.yaml:1:14: there is no middleware rety");
    refused(SUBSCRIPTION "    middleware: [retry, log]\n", "worker.yaml:4:25: log must be first");
    refused(SUBSCRIPTION "    middleware: [{retry: {max_attempts: 0}}]\n",
            "worker.yaml:4:41: max_attempts is '0', expected a whole number, from 1 to 100");
    refused(SUBSCRIPTION "    middleware: [{retry: {max: 1}}]\n",
            "worker.yaml:4:27: unknown key 'max' in the options of retry");
    refused(SUBSCRIPTION "    middleware: [{retry: 5}]\n",
            "worker.yaml:4:26: the options of retry must be a mapping");
    refused(SUBSCRIPTION "    middleware: [limit]\n",
            "worker.yaml:4:18: 'limit' is missing in the options of limit");
    refused("middleware: {limit: {limt: 5s}}\n" SUBSCRIPTION,
            "worker.yaml:1:22: unknown key 'limt' in the options of limit; did you mean 'limit'?");
    refused("middleware: {limit: }\n" SUBSCRIPTION,
            "worker.yaml:1:14: 'limit' is missing in the options of limit");
    refused("middleware: {mine.own: {x: 1}}\n" SUBSCRIPTION,
            "worker.yaml:1:25: unknown key 'x' in the options of mine.own, which takes none");
}

/* All values in force, secrets masked; what is printed reads the same again. */
static void the_effective_chain_is_shown(void **state)
{
    static const char yaml[] = "middleware: {retry: {api_password: hush}}\n"
                               "subscriptions:\n"
                               "  - {queue: a, handler: p.h}\n"
                               "  - {queue: b, handler: p.h, middleware: [mine.own]}\n"
                               "  - {queue: c, handler: p.h, middleware: []}\n";
    static char text[16384];
    static char again[16384];
    struct config *config = chains(yaml);

    (void)state;
    helper_effective(config, text, sizeof text);
    config_free(config);
    assert_non_null(strstr(text, "    middleware:  # the standard chain\n"
                                 "      - \"log\"\n"
                                 "      - \"retry\": {max_attempts: 5, policy: constant, "
                                 "path: \"\", api_password: \"***\"}\n"));
    assert_non_null(strstr(text, "    middleware:\n      - \"mine.own\"\n"));
    assert_non_null(strstr(text, "    middleware: []\n"));
    config = chains(text);
    helper_effective(config, again, sizeof again);
    assert_non_null(strstr(again, "      - \"retry\": {max_attempts: 5, policy: constant, "
                                  "path: \"\", api_password: \"***\"}\n"));
    config_free(config);
}

/* ---- what a running worker can take over ---- */

#define BASE                                                                                       \
    "middleware: {retry: {max_attempts: 8}}\n"                                                     \
    "topology: {queues: [{name: a}]}\n"                                                            \
    "subscriptions:\n"                                                                             \
    "  - {queue: a, handler: p.h, options: {x: 1}}\n"                                              \
    "  - {queue: b, handler: p.h, middleware: [log]}\n"

static void add(void *user, const char *name, const char *why)
{
    name_list_add(user, "%s%s", why ? "!" : "", name);
}

/* What needs a restart has a ! before it. */
static void changes(const char *yaml, const char *expected)
{
    struct config *before = chains(BASE);
    struct config *now = chains(yaml);
    struct name_list found = {0};

    config_changes(before, now, add, &found);
    for (size_t i = 0; i < before->subscription_count; i++) {
        const struct config_subscription *same = config_same_subscription(before, i, now);

        if (same)
            config_subscription_changes(&before->subscriptions[i], same, add, &found);
    }
    assert_string_equal(found.text, expected);
    config_free(before);
    config_free(now);
}

static void changes_are_named(void **state)
{
    (void)state;
    changes(BASE, "");
    changes("# moved down\n\nmiddleware: {retry: {max_attempts: 9}}\n"
            "topology:\n  queues:\n    - name: a\n"
            "subscriptions:\n"
            "  - {queue: a, handler: p.h, options: {x: 1}}\n"
            "  - {queue: b, handler: p.h, middleware: [log]}\n",
            "");
    changes(BASE "publisher: {rate: 7, burst: 7}\n",
            "publisher.rate: 0 > 7, publisher.burst: 0 > 7");
    changes(BASE "consumer: {prefetch: 7}\nbroker: {uri: 'amqp://u:p@h/'}\n",
            "!broker.uri, consumer.prefetch: 100 > 7, prefetch of a: 100 > 7, "
            "prefetch of b: 100 > 7");
    changes(BASE "  - {queue: c, handler: p.h}\n", "");
    changes("middleware: {retry: {max_attempts: 8}}\n"
            "topology: {queues: [{name: b}]}\n"
            "subscriptions:\n"
            "  - {queue: a, handler: p.h, options: {x: 2}}\n"
            "  - {queue: b, handler: p.h, middleware: [log, retry]}\n",
            "topology, options of a");
}

/* Of two of the same queue and handler, the second is the second. */
static void subscriptions_are_found_again(void **state)
{
    struct config *before = chains("subscriptions:\n"
                                   "  - {queue: a, handler: p.h}\n"
                                   "  - {queue: a, handler: p.h}\n");
    struct config *now = chains("subscriptions:\n"
                                "  - {queue: a, handler: p.h}\n"
                                "  - {queue: b, handler: p.h}\n"
                                "  - {queue: a, handler: p.h}\n");

    (void)state;
    assert_ptr_equal(config_same_subscription(before, 0, now), &now->subscriptions[0]);
    assert_ptr_equal(config_same_subscription(before, 1, now), &now->subscriptions[2]);
    assert_null(config_same_subscription(now, 1, before));
    config_free(before);
    config_free(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(without_a_list_the_chain_is_the_standard_one),
        HELPER_TEST(a_list_is_the_chain),
        HELPER_TEST(options_are_inherited_one_by_one),
        HELPER_TEST(what_is_no_chain_is_refused),
        HELPER_TEST(what_fits_no_middleware_is_refused),
        HELPER_TEST(the_effective_chain_is_shown),
        HELPER_TEST(changes_are_named),
        HELPER_TEST(subscriptions_are_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
