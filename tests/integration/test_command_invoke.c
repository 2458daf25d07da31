/* test_command_invoke.c - `warren invoke`: one dumped message through a handler. No broker is
 * asked. */
#include <jansson.h>
#include <signal.h>

#include "support/command.h"
#include "support/proc.h"
#include "support/test.h"
#include "support/wait.h"

#define PROBE   WARREN_PLUGIN_DIR "/probe.so"
#define FRAGILE WARREN_PLUGIN_DIR "/fragile.so"

static char *directory;
static char *lines; /* "path=" and the file that probe.record writes to */

static int start(void **state)
{
    (void)state;
    directory = scratch_new();
    lines = text("path=%s/lines", directory);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(lines);
    scratch_free(directory);
    return 0;
}

/* A dump file of this body with some more members, ", ..."; the caller frees its path. */
static char *dump(const char *body, const char *more)
{
    char *content = text("{\"warren_dump\": 1, \"queue\": \"q\", \"body\": \"%s\"%s}", body, more);
    char *path = write_file(directory, "message.json", content);

    free(content);
    return path;
}

/* The last line that probe.record wrote. */
static void assert_recorded(const char *line)
{
    char *path = text("%s/lines", directory);
    char *all = read_file(path, NULL);
    size_t len = strlen(all);
    size_t wanted = strlen(line);

    if (len <= wanted || strncmp(all + len - 1 - wanted, line, wanted) != 0)
        fail_msg("\"%s\" is not the last line of:\n%s", line, all);
    free(all);
    free(path);
}

/* A handler that ends the program, or its first thread, has not succeeded. */
static void a_handler_that_ends_the_program(void **state)
{
    static const struct {
        const char *body;
        const char *says;
    } ends[] = {{"exit", "called exit(0): ending with status 1"},
                {"quick", "called quick_exit: ending with status 1"},
                {"leave", "called pthread_exit in the first thread: ending with status 1"}};

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *file = dump(ends[i].body, "");
        struct command ended =
            COMMAND("invoke", WARREN_PLUGIN_DIR "/crashing.so", "run", file, "-o", lines);

        command_expect(&ended, 1);
        if (!strstr(ended.err, ends[i].says))
            fail_msg("\"%s\" is not in:\n%s", ends[i].says, ended.err);
        command_done(&ended);
        free(file);
    }
}

/* The exit status tells whether the message would be off the queue by now. */
static void each_outcome_has_its_status(void **state)
{
    static const struct {
        const char *option;
        int status;
    } outcomes[] = {{"outcome=ack", 0},
                    {"outcome=discard", 0},
                    {"outcome=retry", 1},
                    {"outcome=reject", 1},
                    {"outcome=requeue", 1}};
    char *file = dump("hello", ", \"properties\": {\"message_id\": \"m-1\"}");

    (void)state;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        const char *name = strchr(outcomes[i].option, '=') + 1;
        struct command command =
            COMMAND("invoke", PROBE, "record", file, "-o", lines, "-o", outcomes[i].option);
        char *line = text("outcome:   %s\n", name);
        char *recorded = text("m-1\t1\t0\t5\t4f9f2cab\t%s", name);

        command_expect(&command, outcomes[i].status);
        assert_has(command.out, "probe.record: message m-1 of queue q, attempt 1\n");
        assert_has(command.out, line);
        if (i >= 1)
            assert_has(command.out, "error:     the probe was told to answer");
        assert_recorded(recorded);
        free(recorded);
        free(line);
        command_done(&command);
    }
    free(file);
}

static void the_attempt_is_the_one_after_those_that_failed(void **state)
{
    char *file = dump("x", ", \"attempts\": 3, \"redelivered\": true, \"headers\": "
                           "[{\"name\": \"x-delivery-count\", \"type\": \"i64\", \"value\": 9}]");
    struct command next = COMMAND("invoke", PROBE, "probe.record", file, "-o", lines);
    struct command given =
        COMMAND("invoke", PROBE, "probe.record", file, "-o", lines, "--attempt", "12");

    (void)state;
    command_expect(&next, 0);
    assert_has(next.out, "attempt 4\n");
    command_expect(&given, 0);
    assert_has(given.out, "attempt 12\n");
    assert_recorded("-\t12\t1\t1\tfd0c5087\tack");
    command_done(&next);
    command_done(&given);
    free(file);
}

/* Nothing is published, but everything is told. */
static void what_it_publishes_is_told(void **state)
{
    char *file = dump("some body", ", \"properties\": {\"reply_to\": \"answers\", "
                                   "\"correlation_id\": \"c-1\"}");
    struct command twice = COMMAND("invoke", PROBE, "forward", file, "-o", "to=there", "-o",
                                   "exchange=ex", "-o", "times=2");
    struct command reply = COMMAND("invoke", PROBE, "reply", file, "--json");
    json_t *object;
    json_t *message;

    (void)state;
    command_expect(&twice, 0);
    assert_has(twice.out, "published: to exchange ex with routing key there: 9 bytes: some body\n"
                          "published: to exchange ex");
    command_expect(&reply, 0);
    object = json_loads(reply.out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "handler")), "probe.reply");
    assert_string_equal(json_string_value(json_object_get(object, "outcome")), "ack");
    assert_true(json_is_null(json_object_get(object, "retry_after_ms")));
    assert_int_equal(json_array_size(json_object_get(object, "published")), 1);
    message = json_array_get(json_object_get(object, "published"), 0);
    assert_true(json_is_true(json_object_get(message, "reply")));
    assert_string_equal(json_string_value(json_object_get(message, "routing_key")), "answers");
    assert_string_equal(json_string_value(json_object_get(message, "body")), "some body");
    assert_string_equal(json_string_value(json_object_get(json_object_get(message, "properties"),
                                                          "correlation_id")),
                        "c-1");
    json_decref(object);
    command_done(&twice);
    command_done(&reply);
    free(file);
}

/* The handler sees every header with its type, and the exchange that it once went to. */
static void the_whole_message_is_there(void **state)
{
    char *file = dump("\\u00fc", ", \"exchange\": \"ex\", \"routing_key\": \"k\", \"properties\": "
                                 "{\"priority\": 7, \"timestamp\": 1700000000}, \"headers\": ["
                                 "{\"name\": \"n\", \"type\": \"u8\", \"value\": 200}, "
                                 "{\"name\": \"t\", \"type\": \"table\", \"value\": ["
                                 "{\"name\": \"f\", \"type\": \"f64\", \"value\": 0.5}]}]");
    struct command command = COMMAND("invoke", WARREN_HANDLER_DIR "/log.so", "write", file);

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "{\"body\":\"\xc3\xbc\",\"message_id\":null,\"queue\":\"q\","
                            "\"exchange\":\"ex\",\"routing_key\":\"k\"");
    assert_has(command.out, "\"priority\":7,\"timestamp\":1700000000");
    assert_has(command.out,
               "\"headers\":{\"n\":{\"type\":\"u8\",\"value\":200},\"t\":{\"type\":\"table\","
               "\"value\":{\"f\":{\"type\":\"f64\",\"value\":0.5}}}}");
    command_done(&command);
    free(file);
}

/* ---- the chain ---- */

static char *worker(const char *middleware)
{
    char *yaml = text("plugins: [" FRAGILE "]\n"
                      "middleware: {retry: {jitter: none, initial_delay: 250ms}}\n"
                      "subscriptions:\n"
                      "  - queue: q\n"
                      "    handler: fragile.run\n"
                      "    options: {path: lines}\n"
                      "    middleware: %s\n",
                      middleware);
    char *path = write_file(directory, "worker.yaml", yaml);

    free(yaml);
    return path;
}

/* Options and chain are the subscription's; the plugin is the one that is named. */
static void a_panic_is_a_failed_attempt_in_the_workers_chain(void **state)
{
    char *file = dump("panic", "");
    char *config = worker("[retry, recover]");
    struct command command = COMMAND("invoke", "-c", config, FRAGILE, "run", file);
    const char *after;

    (void)state;
    command_expect(&command, 1);
    after = strstr(command.out, "outcome:   retry, after ");
    assert_non_null(after);
    /* of the 250 ms that begin with the failure, what is left at the end */
    assert_in_range(atoi(after + strlen("outcome:   retry, after ")), 0, 250);
    assert_has(command.out, "message - is 100 frames too deep");
    command_done(&command);
    free(config);
    free(file);
}

/* Alone, a debugger stops where it happened. */
static void a_panic_alone_aborts(void **state)
{
    char *file = dump("panic", "");
    struct command command = COMMAND("invoke", FRAGILE, "run", file, "-o", lines);

    (void)state;
    assert_int_equal(command.status, PROC_SIGNAL + SIGABRT);
    assert_has(command.err, "100 frames too deep");
    command_done(&command);
    free(file);
}

static void a_handler_of_another_subscription_is_refused(void **state)
{
    char *file = dump("x", "");
    char *config = worker("[]");
    struct command command = COMMAND("invoke", "-c", config, PROBE, "record", file, "-o", lines);

    (void)state;
    command_expect(&command, 2);
    assert_has(command.err, "worker.yaml: no subscription has the handler probe.record; there are: "
                            "fragile.run");
    command_done(&command);
    free(config);
    free(file);
}

/* ---- mistakes: one error each, and nothing is run ---- */

static void assert_refused(const char *const *arguments, const char *words)
{
    struct command command = command_run(arguments, NULL, NULL);

    if (command.status != 2 || !strstr(command.err, words))
        fail_msg("status %d, expected 2 and \"%s\":\n%s", command.status, words, command.err);
    assert_string_equal(command.out, "");
    command_done(&command);
}
#define REFUSED(words, ...)                                                                        \
    assert_refused((const char *const[]){"invoke", __VA_ARGS__, NULL}, words)

static void wrong_command_lines_are_refused(void **state)
{
    char *file = dump("x", "");

    (void)state;
    assert_refused((const char *const[]){"invoke", NULL}, "which plugin? Name its .so file");
    REFUSED("which handler of the plugin?", PROBE);
    REFUSED("which message? Name its dump file", PROBE, "record");
    REFUSED("unexpected \"more\"", PROBE, "record", file, "more");
    REFUSED("unknown option --optoin; did you mean --option?", PROBE, "record", file, "--optoin=x");
    REFUSED("--attempt: \"0\" is no whole number from 1 to 4294967295", PROBE, "record", file, "-a",
            "0");
    free(file);
}

static void wrong_plugins_and_handlers_are_refused(void **state)
{
    char *file = dump("x", "");

    (void)state;
    REFUSED("/nowhere.so: cannot open the plugin: No such file", "/nowhere.so", "record", file);
    REFUSED("not a shared object", file, "record", file);
    REFUSED("not a warren plugin", WARREN_PLUGIN_DIR "/no_plugin.so", "record", file);
    REFUSED("was compiled for ABI", WARREN_PLUGIN_DIR "/bad_abi.so", "record", file);
    REFUSED("there is no handler probe.recrod; did you mean probe.record?", PROBE, "recrod", file);
    REFUSED("handler probe.open_fails failed to open: the probe does not want to open", PROBE,
            "open_fails", file);
    free(file);
}

static void wrong_options_are_refused(void **state)
{
    char *file = dump("x", "");

    (void)state;
    REFUSED("'path' is missing in the options of probe.record", PROBE, "record", file);
    REFUSED("option pth: unknown key 'pth' in the options of probe.record; did you mean 'path'?",
            PROBE, "record", file, "-o", "pth=x");
    REFUSED("option delay: delay is 'long', expected a duration", PROBE, "record", file, "-o",
            lines, "-o", "delay=long");
    REFUSED("option \"path\": expected NAME=VALUE", PROBE, "record", file, "-o", "path");
    REFUSED("/nowhere.yaml: cannot be read", PROBE, "record", file, "-c", "/nowhere.yaml");
    free(file);
}

static void a_damaged_dump_is_refused(void **state)
{
    char *file = dump("x", ", \"atempts\": 1");

    (void)state;
    REFUSED("cannot read /nowhere.json: No such file or directory", PROBE, "record",
            "/nowhere.json", "-o", lines);
    REFUSED("message.json: unknown member \"atempts\"; did you mean attempts?", PROBE, "record",
            file, "-o", lines);
    free(file);
    file = dump("x", ", \"headers\": [{\"name\": \"n\", \"type\": \"i8\", \"value\": 300}]");
    REFUSED("message.json: headers[0].value: expected a whole number from -128 to 127, found 300",
            PROBE, "record", file, "-o", lines);
    free(file);
    file = write_file(directory, "message.json", "{\"warren_dump\": 1,\n\"queue\": \"q\",\n");
    REFUSED("message.json:3:0: no dump: ", PROBE, "record", file, "-o", lines);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_outcome_has_its_status),
        cmocka_unit_test(a_handler_that_ends_the_program),
        cmocka_unit_test(the_attempt_is_the_one_after_those_that_failed),
        cmocka_unit_test(what_it_publishes_is_told),
        cmocka_unit_test(the_whole_message_is_there),
        cmocka_unit_test(a_panic_is_a_failed_attempt_in_the_workers_chain),
        cmocka_unit_test(a_panic_alone_aborts),
        cmocka_unit_test(a_handler_of_another_subscription_is_refused),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(wrong_plugins_and_handlers_are_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(a_damaged_dump_is_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
