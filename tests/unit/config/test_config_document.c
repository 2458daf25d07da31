/* YAML files that are malformed, too large, or use what is not supported. */
#include "config_helper.h"

/* Each piece of malformed YAML is refused with file and line. */
static void malformed_yaml_is_refused_with_its_place(void **state)
{
    static const struct helper_bad bad[] = {
        {"broker: {uri: [a\n", "worker.yaml:2:1: malformed YAML"},
        {"broker:\n\turi: a\n", "worker.yaml:2:1: malformed YAML"},
        {"log:\n  level: info\n level: warn\n", "worker.yaml:3:2: malformed YAML"},
        {"log: \"info\n", "worker.yaml:2:1: malformed YAML"},
        {"log: &a {level: *b}\n", "worker.yaml:1:17: this alias names no anchor"},
        {"log: &a [*a]\n", "worker.yaml:1:10: this alias names no anchor"},
        {"log: \xff\xfe\n", "worker.yaml: byte 5: malformed text"},
        {"log: {level: \"in\\0fo\"}\n", "worker.yaml:1:14: a text may not hold a NUL byte"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* A text that ends in a colon is half a key to the parser: what was expected is said. */
static void a_colon_at_the_end_is_told(void **state)
{
#define EXPECTED "; expected a text directly behind the colon, such as header:NAME, or quotes"
    static const struct helper_bad bad[] = {
        {"broker: {uri: amqp:}\n",
         "worker.yaml:1:19: malformed YAML: found unexpected ':' while scanning a plain "
         "scalar" EXPECTED},
        {"plugins: [a:, b]\n", "worker.yaml:1:12: malformed YAML: found unexpected ':' while "
                               "scanning a plain scalar" EXPECTED},
        {"log: {level: info: }\n", "worker.yaml:1:18: malformed YAML: did not find expected ',' or "
                                   "'}' while parsing a flow mapping" EXPECTED},
        {"log: {level: info: x}\n", "worker.yaml:1:18: malformed YAML: did not find expected"},
        {"log:\n  level: info:\n", "worker.yaml:2:14: malformed YAML: mapping values are not "
                                   "allowed in this context" EXPECTED},
        {"log: info\n  level: warn\n", "or a key on a line of its own"},
    };
    struct warren_error error;
    struct config *config;

    (void)state;
    HELPER_ALL_REFUSED(bad);
    assert_int_equal(helper_load("log: {level: info [}\n", NULL, NULL, &config, &error),
                     WARREN_ECONFIG);
    assert_null(strstr(error.text, "colon")); /* it is another mistake */
}

/* What would be read otherwise than it was meant is refused. */
static void unsupported_yaml_is_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"log: {level: info}\nlog: {level: warn}\n",
         "worker.yaml:2:1: this key stands twice, first in line 1"},
        {"log:\n  level: info\n  level: warn\n",
         "worker.yaml:3:3: this key stands twice, first in line 2"},
        {"log: {level: info}\n---\nlog: {level: warn}\n",
         "worker.yaml:2:1: a second document begins here"},
        {"consumer: {prefetch: !!int 5}\n", "worker.yaml:1:22: YAML tags are not supported"},
        {"a: &a {level: info}\nlog:\n  <<: *a\n", "worker.yaml:3:3: merge keys (<<)"},
        {"? [a]\n: b\n", "worker.yaml:1:3: a key must be a text"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* A file that says nothing is a mistake, not the defaults. */
static void an_empty_file_is_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"", "worker.yaml: the file is empty"},
        {"# only a comment\n", "worker.yaml: the file is empty"},
        {"---\n", "worker.yaml: the file is empty"},
        {"null\n", "worker.yaml: the file is empty"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* The root must be a mapping. */
static void another_root_is_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {"hello\n", "worker.yaml:1:1: the file must be a mapping"},
        {"- a\n- b\n", "worker.yaml:1:1: the file must be a mapping"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
}

/* A file that is not there is named with the system's reason. */
static void a_missing_file_is_named(void **state)
{
    struct warren_error error;
    struct config *config;

    (void)state;
    assert_int_equal(config_load("none.yaml", NULL, NULL, 0, &config, &error), WARREN_ECONFIG);
    assert_string_equal(error.text, "none.yaml: cannot be read: No such file or directory");
    assert_int_equal(config_load(helper_folder, NULL, NULL, 0, &config, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "cannot be read: Is a directory"));
}

/* A NULL error is allowed. */
static void nobody_has_to_want_the_words(void **state)
{
    struct config *config;

    (void)state;
    assert_int_equal(config_load("none.yaml", NULL, NULL, 0, &config, NULL), WARREN_ECONFIG);
}

/* More than 1 MiB is refused before it is parsed. */
static void a_huge_file_is_refused(void **state)
{
    size_t len = 1024 * 1024 + 1;
    char *text = malloc(len + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '#', len);
    text[len] = '\0';
    helper_refused(text, NULL, NULL, "worker.yaml: larger than 1 MiB");
    free(text);
}

/* Deep nesting ends at a bound and not at the end of the stack. */
static void deep_nesting_is_refused(void **state)
{
    char text[1024] = "plugins: ";

    (void)state;
    memset(text + strlen(text), '[', 500);
    helper_refused(text, NULL, NULL, "nested too deep");
}

/* Aliases of aliases multiply ("billion laughs"): what they stand for is counted. */
static void multiplied_aliases_are_refused(void **state)
{
    char text[2048] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";

    (void)state;
    for (int i = 1; i < 9; i++) {
        char line[128];

        snprintf(line, sizeof line, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        strcat(text, line);
    }
    helper_refused(text, NULL, NULL, "more than 100000 values in one file");
}

/* An alias stands for what its anchor holds. */
static void an_alias_is_followed(void **state)
{
    struct config *config =
        helper_config("subscriptions:\n"
                      "  - {queue: a, handler: log.write, arguments: &x {n: 7}}\n"
                      "  - {queue: b, handler: log.write, arguments: *x}\n",
                      NULL, NULL);

    (void)state;
    assert_int_equal(config->subscription_count, 2);
    assert_int_equal(config->subscriptions[1].arguments.count, 1);
    assert_int_equal(config->subscriptions[1].arguments.fields[0].value.as.integer, 7);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(malformed_yaml_is_refused_with_its_place),
        HELPER_TEST(a_colon_at_the_end_is_told),
        HELPER_TEST(unsupported_yaml_is_refused),
        HELPER_TEST(an_empty_file_is_refused),
        HELPER_TEST(another_root_is_refused),
        HELPER_TEST(a_missing_file_is_named),
        HELPER_TEST(nobody_has_to_want_the_words),
        HELPER_TEST(a_huge_file_is_refused),
        HELPER_TEST(deep_nesting_is_refused),
        HELPER_TEST(multiplied_aliases_are_refused),
        HELPER_TEST(an_alias_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
