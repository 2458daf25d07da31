/* test_bad_policies.c - policies that contradict themselves, chains that make no sense, middlewares
 * that are not there: `warren run` and `warren check` say one line that names file, line and column
 * and what would be right, and exit with 2.
 */
#include <unistd.h>

#include "support/command.h"
#include "support/test.h"
#include "support/wait.h"

#define LOG_SO   WARREN_HANDLER_DIR "/log.so"
#define LINKS_SO WARREN_PLUGIN_DIR "/links.so"

struct row {
    const char *chain; /* line 6 of the file, from column 17 on */
    const char *says;  /* the whole line behind "worker.yaml:" */
};

static char *directory; /* the working directory of every run, with worker.yaml */

static int start(void **state)
{
    (void)state;
    directory = scratch_new();
    assert_int_equal(chdir(directory), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    scratch_free(directory);
    return 0;
}

/* Both verbs say this line and nothing else; what runs names the file so that a handler's chdir(2)
 * does not matter. */
static void expect_line(const char *says)
{
    static const char *const verbs[] = {"check", "run"};
    const char *const prefixes[] = {"", directory};

    for (size_t i = 0; i < 2; i++) {
        struct command command = COMMAND(verbs[i], "-c", "worker.yaml");
        char *line = text("warren %s: error: %s%s%s\n", verbs[i], prefixes[i],
                          *prefixes[i] ? "/" : "", says);

        command_expect(&command, 2);
        assert_string_equal(command.out, "");
        assert_string_equal(command.err, line);
        command_done(&command);
        free(line);
    }
}

/* The chain, with @top as line 2 of the file. */
static void refuse(const struct row *row, const char *top)
{
    char *yaml = text("plugins: [" LOG_SO ", " LINKS_SO "]\n"
                      "%s\n"
                      "subscriptions:\n"
                      "  - queue: q\n"
                      "    handler: log.write\n"
                      "    middleware: %s\n",
                      top, row->chain);
    char *line = text("worker.yaml:%s", row->says);

    free(write_file(directory, "worker.yaml", yaml));
    expect_line(line);
    free(line);
    free(yaml);
}

static void refuse_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refuse(&rows[i], "");
}

#define REFUSE(rows) refuse_all(rows, sizeof(rows) / sizeof((rows)[0]))

static void retries_that_contradict_themselves(void **state)
{
    static const struct row rows[] = {
        {"[{retry: {initial_delay: 10s, max_delay: 1s}}]",
         "6:19: queue q: middleware retry: initial_delay (10000 ms) is above max_delay (1000 ms)"},
        {"[{retry: {initial_delay: 1m}}]",
         "6:19: queue q: middleware retry: initial_delay (60000 ms) is above max_delay (30000 ms)"},
        {"[{retry: {initial_delay: 9s, jitter: none, max_age: 1s}}]",
         "6:19: queue q: middleware retry: the shortest delay (9000 ms) is above max_age (1000 "
         "ms): there would be no second attempt"},
        {"[{retry: {jitter: decorrelated, policy: linear}}]",
         "6:19: queue q: middleware retry: jitter decorrelated grows by itself and needs policy "
         "exponential"},
        {"[{retry: {jitter: decorrelated, initial_delay: 0ms}}]",
         "6:19: queue q: middleware retry: jitter decorrelated needs an initial_delay above 0 to "
         "grow from"},
        {"[{retry: {policy: cubic}}]",
         "6:35: policy is 'cubic', expected one of immediate, constant, linear, exponential"},
        {"[{retry: {factor: 1}}]", "6:35: factor is '1', expected a whole number, from 2 to 100"},
        {"[{retry: {max_attempts: -2}}]",
         "6:41: max_attempts is '-2', expected a whole number, from -1 to 1000000"},
        {"[{retry: {in_memory_max: 1h}}]",
         "6:42: in_memory_max is '1h', expected a duration such as 250ms, 30s or 5m, from 0 to "
         "15m"},
        {"[{retry: 5}]", "6:26: the options of retry must be a mapping (key: value)"},
    };

    (void)state;
    REFUSE(rows);
}

static void breakers_that_contradict_themselves(void **state)
{
    static const struct row rows[] = {
        {"[retry, {breaker: {window: 0ms}}]",
         "6:44: window is '0ms', expected a duration such as 250ms, 30s or 5m, from 100ms to 1h"},
        {"[retry, {breaker: {window: }}]",
         "6:44: window is empty, expected a duration such as 250ms, 30s or 5m, from 100ms to 1h"},
        {"[retry, {breaker: {failure_percent: 101}}]",
         "6:53: failure_percent is '101', expected a whole number, from 0 to 100"},
        {"[retry, {breaker: {failure_percent: 0.5}}]",
         "6:53: failure_percent is '0.5', expected a whole number, from 0 to 100"},
        {"[retry, {breaker: {close_percent: 150}}]",
         "6:51: close_percent is '150', expected a whole number, from 1 to 100"},
        {"[retry, {breaker: {failure_percent: 0}}]",
         "6:26: queue q: middleware breaker: with failure_percent 0 and consecutive 0 it would "
         "never open"},
        {"[retry, {breaker: {open_time: 2m}}]",
         "6:26: queue q: middleware breaker: open_time (120000 ms) is above max_open_time (60000 "
         "ms)"},
        {"[retry, {breaker: {probes: 0}}]",
         "6:44: probes is '0', expected a whole number, from 1 to 1000"},
        {"[retry, {breaker: {on_open: dead-leter}}]",
         "6:45: on_open is 'dead-leter', expected one of pause, retry, dead-letter; did you mean "
         "'dead-letter'?"},
    };

    (void)state;
    REFUSE(rows);
}

static void limits_that_contradict_themselves(void **state)
{
    static const struct row rows[] = {
        {"[retry, rate_limit]", "6:25: 'rate' is missing in the options of rate_limit"},
        {"[retry, {rate_limit: {rate: 0}}]",
         "6:45: rate is '0', expected a whole number, from 1 to 1000000"},
        {"[retry, {rate_limit: {rate: 5, kind: leaky, burst: 3}}]",
         "6:26: queue q: middleware rate_limit: kind leaky lets messages go one by one and has no "
         "burst"},
        {"[retry, {deadline: {limit: 5s, hard_limit: 1s}}]",
         "6:26: queue q: middleware deadline: hard_limit (1000 ms) is below limit (5000 ms)"},
        {"[retry, {deadline: {limit: 0ms}}]",
         "6:44: limit is '0ms', expected a duration such as 250ms, 30s or 5m, from 1ms to 365d"},
    };

    (void)state;
    REFUSE(rows);
}

static void orders_that_make_no_sense(void **state)
{
    static const struct row rows[] = {
        {"[recover, retry]", "6:18: recover turns a panic into a failed attempt, which retry must "
                             "see: put recover after retry"},
        {"[retry, recover, breaker]", "6:25: recover turns a panic into a failed attempt, which "
                                      "breaker must count: put recover after breaker"},
        {"[breaker, retry]", "6:18: breaker counts attempts, and retry decides what follows a "
                             "failed one: put breaker after retry"},
        {"[{deadline: {limit: 5s}}, retry]",
         "6:19: the time limit is one attempt's, and retry must see that it passed: put deadline "
         "after retry"},
        {"[retry, recover, {deadline: {limit: 5s}}]",
         "6:25: a panic would unwind past deadline, which could not tell a late one: put recover "
         "after deadline"},
        {"[retry, log]",
         "6:25: log tells the outcome that all others agreed on: put log first, before retry"},
        {"[retry, trace, retry]",
         "6:32: retry stands twice: a chain has each middleware at most once"},
    };

    (void)state;
    REFUSE(rows);
}

static void middlewares_that_are_not_there(void **state)
{
    static const struct row rows[] = {
        {"[rety]", "6:18: there is no middleware rety; did you mean retry?"},
        {"[links.outr]", "6:18: there is no middleware links.outr; did you mean links.outer?"},
        {"retry", "6:17: middleware of a subscription must be a list, outermost first, such as `- "
                  "retry` or `- retry: {max_attempts: 5}`"},
        {"[{retry: {}, breaker: {}}]", "6:18: a middleware must be one name, such as `- retry` or "
                                       "`- retry: {max_attempts: 5}`"},
    };
    static const struct row at_top = {"[retry]",
                                      "2:14: there is no middleware breker; did you mean breaker?"};

    (void)state;
    REFUSE(rows);
    refuse(&at_top, "middleware: {breker: {}}");
}

/* Options at the top of the file are those of the chain; the error points to the link. */
static void options_of_the_top(void **state)
{
    static const struct row row = {
        "[log, retry]",
        "6:23: queue q: middleware retry: initial_delay (120000 ms) is above max_delay (30000 ms)"};

    (void)state;
    refuse(&row, "middleware: {retry: {initial_delay: 2m}}");
}

/* Two subscriptions that share a breaker by its name must mean the same. */
static void one_name_with_two_meanings(void **state)
{
    (void)state;
    free(write_file(
        directory, "worker.yaml",
        "plugins: [" LOG_SO "]\n"
        "middleware: {breaker: {name: bank}}\n"
        "subscriptions:\n"
        "  - {queue: q, handler: log.write, middleware: [retry, breaker]}\n"
        "  - {queue: r, handler: log.write, middleware: [retry, {breaker: {probes: 3}}]}\n"));
    expect_line("worker.yaml:5:57: queue r: middleware breaker: name 'bank': queue r gives it "
                "other options than queue q");
}

/* The line that lists the plugin, the plugin, and what to do. */
static void middlewares_of_another_abi(void **state)
{
    static const char yaml[] = "plugins:\n"
                               "  - " LOG_SO "\n"
                               "  - " WARREN_PLUGIN_DIR "/%s.so\n"
                               "subscriptions:\n"
                               "  - {queue: q, handler: log.write, middleware: [%s.guard]}\n";
    static const struct {
        const char *plugin, *says;
    } rows[] = {
        {"bad_abi", "was compiled for ABI 100, this warren has ABI 2: compile it anew with the "
                    "headers of this version, or upgrade warren"},
        {"bad_middleware",
         "says that its struct warren_middleware has 16 bytes, but ABI 2 has at least 112: define "
         "the descriptor with WARREN_PLUGIN() and compile it anew with the headers of this "
         "version"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *file = text(yaml, rows[i].plugin, rows[i].plugin);
        char *line =
            text("worker.yaml:3:5: " WARREN_PLUGIN_DIR "/%s.so: %s", rows[i].plugin, rows[i].says);

        free(write_file(directory, "worker.yaml", file));
        expect_line(line);
        free(line);
        free(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_that_contradict_themselves),
        cmocka_unit_test(breakers_that_contradict_themselves),
        cmocka_unit_test(limits_that_contradict_themselves),
        cmocka_unit_test(orders_that_make_no_sense),
        cmocka_unit_test(middlewares_that_are_not_there),
        cmocka_unit_test(options_of_the_top),
        cmocka_unit_test(one_name_with_two_meanings),
        cmocka_unit_test(middlewares_of_another_abi),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
