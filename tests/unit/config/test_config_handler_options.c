/* A subscription's `options:` against the table of its handler. */
#include "config_helper.h"

#include <signal.h>
#include <sys/wait.h>

static const struct warren_option table[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where to write."},
    {"fsync", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "Sync."},
    {"limit", WARREN_OPTION_INT, "10", 1, 100, NULL, "Limit."},
    {"size", WARREN_OPTION_SIZE, "64KiB", 0, 0, NULL, "Size."},
    {"every", WARREN_OPTION_DURATION, "5m", 0, 0, NULL, "Interval."},
    {"name", WARREN_OPTION_STRING, "", 0, 0, NULL, "Name."},
    {"mode", WARREN_OPTION_ENUM, "fast", 0, 0, "fast|safe", "Mode."},
    {"command", WARREN_OPTION_LIST, "", 0, 0, NULL, "Command."},
    {0},
};

/* Load a file with one subscription with @options and check them against @rows. */
static enum warren_status check(const char *options, const struct warren_option *rows,
                                struct config **config, const struct warren_options **ret,
                                struct warren_error *error)
{
    char yaml[512];

    snprintf(yaml, sizeof yaml, "subscriptions:\n  - queue: q\n    handler: log.write\n%s%s\n",
             options ? "    options: " : "", options ? options : "");
    *config = helper_config(yaml, NULL, NULL);
    return config_handler_options(*config, &(*config)->subscriptions[0], rows, ret, error);
}

/* Each type arrives through its accessor; what is not given has the table's default. */
static void values_and_defaults_are_read(void **state)
{
    const struct warren_options *options;
    struct warren_error error;
    struct config *config;
    size_t count;

    (void)state;
    assert_int_equal(check("{path: /x, limit: 20, mode: safe, command: [ls, -l]}", table, &config,
                           &options, &error),
                     WARREN_OK);
    assert_string_equal(warren_options_text(options, "path"), "/x");
    assert_false(warren_options_bool(options, "fsync"));
    assert_int_equal(warren_options_int(options, "limit"), 20);
    assert_int_equal(warren_options_int(options, "size"), 65536);
    assert_int_equal(warren_options_int(options, "every"), 300000);
    assert_string_equal(warren_options_text(options, "name"), "");
    assert_string_equal(warren_options_text(options, "mode"), "safe");
    assert_string_equal(warren_options_list(options, "command", &count)[1], "-l");
    assert_int_equal(count, 2);
    config_free(config);
}

/* An empty list is NULL; a single text is a list of one. */
static void lists_may_be_short(void **state)
{
    const struct warren_options *options;
    struct warren_error error;
    struct config *config;
    size_t count = 9;

    (void)state;
    assert_int_equal(check("{path: /x}", table, &config, &options, &error), WARREN_OK);
    assert_null(warren_options_list(options, "command", &count));
    assert_int_equal(count, 0);
    config_free(config);
    assert_int_equal(check("{path: /x, command: 'ls'}", table, &config, &options, &error),
                     WARREN_OK);
    assert_string_equal(warren_options_list(options, "command", &count)[0], "ls");
    assert_int_equal(count, 1);
    config_free(config);
}

/* A file name is relative to the YAML file; "-" and "" are no file names. */
static void paths_are_relative_to_the_file(void **state)
{
    static const char yaml[] = "subscriptions:\n"
                               "  - {queue: q, handler: a.b, options: {path: out}}\n"
                               "  - {queue: q, handler: a.b, options: {path: '-'}}\n";
    const struct warren_options *options;
    struct warren_error error;
    struct config *config;
    char file[128];
    char expected[128];

    (void)state;
    helper_write("worker.yaml", yaml, strlen(yaml));
    snprintf(file, sizeof file, "%s/worker.yaml", helper_folder);
    snprintf(expected, sizeof expected, "%s/out", helper_folder);
    assert_int_equal(config_load(file, NULL, NULL, 0, &config, &error), WARREN_OK);
    assert_int_equal(
        config_handler_options(config, &config->subscriptions[0], table, &options, &error),
        WARREN_OK);
    assert_string_equal(warren_options_text(options, "path"), expected);
    assert_int_equal(
        config_handler_options(config, &config->subscriptions[1], table, &options, &error),
        WARREN_OK);
    assert_string_equal(warren_options_text(options, "path"), "-");
    config_free(config);
}

/* Mistakes of the user, and of the plugin's author, each with its place. */
static void wrong_options_are_refused(void **state)
{
    static const struct warren_option no_choices[] = {
        {"mode", WARREN_OPTION_ENUM, "a", 0, 0, NULL, NULL}, {0}};
    static const struct warren_option no_type[] = {
        {"mode", (enum warren_option_type)99, "a", 0, 0, NULL, NULL}, {0}};
    static const struct warren_option bad_default[] = {
        {"limit", WARREN_OPTION_INT, "many", 0, 0, NULL, NULL}, {0}};
    static const struct {
        const char *options;
        const struct warren_option *table;
        const char *expected;
    } cases[] = {
        {"{path: /x, limit: 101}", table,
         "worker.yaml:4:32: limit is '101', expected a whole number, from 1 to 100"},
        {"{pth: /x}", table,
         "worker.yaml:4:15: unknown key 'pth' in the options of log.write; did you mean 'path'?"},
        {"{limit: 5}", table, "worker.yaml:4:14: 'path' is missing in the options of log.write"},
        {NULL, table, "worker.yaml:2: 'path' is missing in the options of log.write"},
        {"[a]", table, "worker.yaml:4:14: the options of log.write must be a mapping"},
        {"{a: 1}", NULL, "unknown key 'a' in the options of log.write, which takes none"},
        {"{}", no_choices, "handler log.write: its option 'mode' names no choices"},
        {"{}", no_type, "handler log.write: its option 'mode' has the unknown type 99"},
        {"{}", bad_default, "default in the options of log.write: limit is 'many'"},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(cases); i++) {
        const struct warren_options *options;
        struct warren_error error = {0};
        struct config *config;

        assert_int_equal(check(cases[i].options, cases[i].table, &config, &options, &error),
                         WARREN_ECONFIG);
        if (!strstr(error.text, cases[i].expected))
            fail_msg("the error is: %s\nexpected: %s", error.text, cases[i].expected);
        config_free(config);
    }
}

/* A handler without a table takes no options. */
static void no_table_and_no_options_is_fine(void **state)
{
    const struct warren_options *options;
    struct warren_error error;
    struct config *config;

    (void)state;
    assert_int_equal(check(NULL, NULL, &config, &options, &error), WARREN_OK);
    config_free(config);
}

/* Run @wrong in a child and return what it wrote before it aborted. */
static void aborts_with(void (*wrong)(const struct warren_options *options),
                        const struct warren_options *options, const char *expected)
{
    char text[512] = "";
    size_t len = 0;
    ssize_t got;
    int fds[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        dup2(fds[1], STDERR_FILENO);
        wrong(options);
        _exit(0);
    }
    close(fds[1]);
    while ((got = read(fds[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!strstr(text, expected))
        fail_msg("it wrote: %s", text);
}

static void ask_unknown(const struct warren_options *options)
{
    warren_options_int(options, "limitt");
}

static void ask_wrong_type(const struct warren_options *options)
{
    warren_options_int(options, "path");
}

/* A name or a type that the table does not declare ends the program, saying which. */
static void undeclared_names_abort(void **state)
{
    const struct warren_options *options;
    struct warren_error error;
    struct config *config;

    (void)state;
    assert_int_equal(check("{path: /x}", table, &config, &options, &error), WARREN_OK);
    aborts_with(ask_unknown, options,
                "handler log.write: warren_options_int(\"limitt\"): its table declares no such");
    aborts_with(ask_wrong_type, options,
                "warren_options_int(\"path\"): its table declares it as file name");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(values_and_defaults_are_read),    HELPER_TEST(lists_may_be_short),
        HELPER_TEST(paths_are_relative_to_the_file),  HELPER_TEST(wrong_options_are_refused),
        HELPER_TEST(no_table_and_no_options_is_fine), HELPER_TEST(undeclared_names_abort),
    };

    signal(SIGABRT, SIG_DFL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
