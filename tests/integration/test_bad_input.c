/* test_bad_input.c - what `warren run` and `warren check` say to a configuration, a plugin or an
 * option that is wrong: one line that names the place and the cause, status 2, no secret, no crash.
 *
 * Wherever a file holds a password it is SECRET, and nothing of what is printed may hold that.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/test.h"
#include "support/wait.h"

#define SECRET "Hors3Staple"

/* What most rows begin or end with. */
#define LOG_PLUGIN   "plugins: [" WARREN_HANDLER_DIR "/log.so]\n"
#define EXEC_PLUGIN  "plugins: [" WARREN_HANDLER_DIR "/exec.so]\n"
#define PROBE_PLUGIN "plugins: [" WARREN_PLUGIN_DIR "/probe.so]\n"
#define ONE_QUEUE    "subscriptions: [{queue: q, handler: log.write}]\n"
#define GOOD         LOG_PLUGIN ONE_QUEUE

struct row {
    const char *yaml;
    const char *says;    /* the line has this ... */
    const char *also;    /* ... and this; may be NULL */
    const char *sets[2]; /* each a --set; may be NULL */
    const char *env;     /* "NAME=value"; may be NULL */
};

#define ROW(...)                                                                                   \
    {                                                                                              \
        .yaml = __VA_ARGS__                                                                        \
    }

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

static bool has_secret(const struct command *command)
{
    return strstr(command->out, SECRET) || strstr(command->err, SECRET);
}

/* One line on standard error that says @says, nothing else anywhere, status 2. */
static void expect_one_line(const struct command *command, const char *verb, const char *says,
                            const char *also)
{
    char *lead = text("warren %s: error: ", verb);

    command_expect(command, 2);
    assert_string_equal(command->out, "");
    if (lines_in(command->err) != 1 || strncmp(command->err, lead, strlen(lead)) != 0 ||
        !strstr(command->err, says) || (also && !strstr(command->err, also)))
        fail_msg("expected one line with \"%s\" and \"%s\", it said:\n%s", says, also ? also : "",
                 command->err);
    if (has_secret(command))
        fail_msg("a password is printed:\n%s%s", command->out, command->err);
    free(lead);
}

static struct command run(const char *verb, const struct row *row)
{
    const char *words[8] = {verb, "-c", "worker.yaml"};
    const char *env[2] = {row->env};
    size_t count = 3;

    for (size_t i = 0; i < 2 && row->sets[i]; i++) {
        words[count++] = "--set";
        words[count++] = row->sets[i];
    }
    return command_run(words, NULL, env);
}

/* `check` has to see all that `run` sees, but for what only opening a handler tells. */
static void refuse(const struct row *rows, size_t count, bool check_too)
{
    for (size_t i = 0; i < count; i++) {
        struct command command;

        free(write_file(directory, "worker.yaml", rows[i].yaml));
        command = run("run", &rows[i]);
        expect_one_line(&command, "run", rows[i].says, rows[i].also);
        command_done(&command);
        if (!check_too)
            continue;
        command = run("check", &rows[i]);
        expect_one_line(&command, "check", rows[i].says, rows[i].also);
        command_done(&command);
    }
}

#define REFUSE(rows)        refuse(rows, sizeof(rows) / sizeof *(rows), true)
#define REFUSE_TO_RUN(rows) refuse(rows, sizeof(rows) / sizeof *(rows), false)

/* ---- the file ---- */

static void malformed_yaml(void **state)
{
    static const struct row rows[] = {
        ROW("", "worker.yaml: the file is empty"),
        ROW("# nothing but a comment\n", "worker.yaml: the file is empty"),
        ROW("broker: [1\n", "worker.yaml:2:1: malformed YAML: "),
        ROW("broker: {uri: 'amqp://u:" SECRET "@h/'\n", "worker.yaml:2:1: malformed YAML: "),
        ROW("broker: {uri: \"amqp://u:" SECRET "@h/\n", "malformed YAML: "),
        ROW("broker:\n\turi: x\n", "worker.yaml:2:1: malformed YAML: "),
        ROW("broker: 1\n  uri: 2\n", "worker.yaml:2:", "malformed YAML: "),
        ROW("broker: \303(\n", "worker.yaml: byte 9: malformed text: ", "UTF-8"),
        ROW("\377\376x", "worker.yaml: byte ", "malformed text: "),
        ROW("broker: \001\n", "worker.yaml: byte ", "malformed text: "),
        ROW("broker: *other\n", "worker.yaml:1:9: this alias names no anchor"),
        ROW("- one\n- two\n", "worker.yaml:1:1: the file must be a mapping"),
        ROW("just a text\n", "worker.yaml:1:1: the file must be a mapping"),
        ROW("log: {level: info}\n---\nlog: {level: info}\n", "worker.yaml:2:1: a second document"),
        ROW("log: {level: info}\nlog: {level: info}\n", "worker.yaml:2:1: this key stands twice",
            "line 1"),
        ROW("log: !!binary x\n", "worker.yaml:1:6: YAML tags are not supported"),
    };

    (void)state;
    REFUSE(rows);
}

static void unknown_keys(void **state)
{
    static const struct row rows[] = {
        ROW("brokr: {}\n" GOOD, "worker.yaml:1:1: unknown key 'brokr' in the file",
            "did you mean 'broker'?"),
        ROW("broker:\n  hartbeat: 3s\n" GOOD, "worker.yaml:2:3: unknown key 'hartbeat' in broker",
            "did you mean 'heartbeat'?"),
        ROW("broker:\n  prefetch: 3\n" GOOD, "worker.yaml:2:3: unknown key 'prefetch' in broker",
            "did you mean 'prefetch' in consumer?"),
        ROW("broker:\n  tls:\n    cafile: x\n" GOOD, "worker.yaml:3:5: unknown key 'cafile'",
            "did you mean 'ca_file'?"),
        ROW("topology:\n  queue: []\n" GOOD, "worker.yaml:2:3: unknown key 'queue' in topology",
            "did you mean 'queues'?"),
        ROW("topology:\n  queues:\n    - nam: x\n" GOOD, "worker.yaml:3:7: unknown key 'nam'",
            "did you mean 'name'?"),
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n    handlr: log.write\n",
            "worker.yaml:4:5: unknown key 'handlr'", "did you mean 'handler'?"),
        ROW("amqp://u:" SECRET "@h/: 1\n" GOOD, "worker.yaml:1:1: unknown key"),
    };

    (void)state;
    REFUSE(rows);
}

static void wrong_values(void **state)
{
    static const struct row rows[] = {
        ROW("consumer:\n  prefetch: lots\n" GOOD, "worker.yaml:2:13: consumer.prefetch is 'lots'",
            "expected a whole number, from 1 to 65535"),
        ROW("consumer:\n  prefetch: 70000\n" GOOD, "worker.yaml:2:13: consumer.prefetch is '70000'",
            "from 1 to 65535"),
        ROW("consumer: {prefetch: -1}\n" GOOD, "worker.yaml:1:22: consumer.prefetch is '-1'"),
        ROW("consumer: {prefetch: 99999999999999999999}\n" GOOD, "worker.yaml:1:22: "),
        ROW("consumer: {prefetch: [1]}\n" GOOD, "worker.yaml:1:22: consumer.prefetch is a list"),
        ROW("consumer: {prefetch: }\n" GOOD, "worker.yaml:1:", "consumer.prefetch is empty"),
        ROW("consumer: {message_max: 3 pounds}\n" GOOD, "'3 pounds', expected a size such as"),
        ROW("broker: {heartbeat: 3 parsecs}\n" GOOD, "'3 parsecs', expected a duration such as"),
        ROW("broker: {heartbeat: 300h}\n" GOOD, "worker.yaml:1:21: ", "from 0 to 1h"),
        ROW("log: {level: inof}\n" GOOD, "worker.yaml:1:14: log.level is 'inof'",
            "did you mean 'info'?"),
        ROW("log: [level]\n" GOOD, "worker.yaml:1:6: log must be a mapping"),
        ROW("broker: {reconnect_delay_min: 40s}\n" GOOD, "worker.yaml:1:31: ", "must not exceed"),
        ROW("broker: {sasl: external}\n" GOOD, "worker.yaml:1:16: ", "broker.tls.cert_file"),
        ROW("topology: 3\n" GOOD, "worker.yaml:1:11: topology must be a mapping"),
        ROW("topology:\n  queues:\n    - {name: x, type: quorun}\n" GOOD,
            "worker.yaml:3:23: type is 'quorun'", "did you mean 'quorum'?"),
        ROW("topology:\n  queues:\n    - {type: classic}\n" GOOD,
            "worker.yaml:3:7: 'name' is missing"),
        ROW(LOG_PLUGIN "subscriptions: {queue: q}\n",
            "worker.yaml:2:16: subscriptions must be a list"),
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n", "worker.yaml:3:5: 'handler' is missing"),
        ROW(LOG_PLUGIN "subscriptions: [{queue: '', handler: log.write}]\n", "worker.yaml:2:"),
        ROW(LOG_PLUGIN "subscriptions: [{queue: q, handler: write}]\n",
            "worker.yaml:2:37: handler is 'write', expected PLUGIN.HANDLER"),
        ROW(LOG_PLUGIN "subscriptions: [{queue: q, handler: log.write, concurrency: 1000}]\n",
            "worker.yaml:2:61: concurrency is '1000'", "from 1 to 256"),
        ROW(LOG_PLUGIN, "worker.yaml: there is nothing to do"),
    };

    (void)state;
    REFUSE(rows);
}

/* The file itself cannot be had. */
static void no_file(void **state)
{
    struct command missing = COMMAND("run", "-c", "nonexistent.yaml");
    struct command folder = COMMAND("run", "-c", directory);

    (void)state;
    expect_one_line(&missing, "run", "nonexistent.yaml: cannot be read: No such file", NULL);
    expect_one_line(&folder, "run", "cannot be read: Is a directory", NULL);
    command_done(&missing);
    command_done(&folder);
}

/* Something endless, or something huge, is not read to its end. */
static void a_huge_file(void **state)
{
    struct command endless = COMMAND("check", "-c", "/dev/zero");

    (void)state;
    expect_one_line(&endless, "check", "/dev/zero: larger than 1 MiB", NULL);
    command_done(&endless);
}

/* ---- plugins and handlers ---- */

static void bad_plugins(void **state)
{
    static const struct row rows[] = {
        ROW("plugins: [nonexistent.so]\n" ONE_QUEUE, "nonexistent.so: cannot open the plugin",
            "No such file"),
        ROW("plugins: [worker.yaml]\n" ONE_QUEUE, "worker.yaml: not a shared object",
            "cc -fPIC -shared"),
        ROW("plugins: [.]\n" ONE_QUEUE, ".: not a shared object"),
        ROW("plugins: ['']\n" ONE_QUEUE, "worker.yaml:1:11: plugins has an empty entry"),
        ROW("plugins: [" WARREN_PLUGIN_DIR "/no_plugin.so]\n" ONE_QUEUE,
            "/no_plugin.so: not a warren plugin", "WARREN_PLUGIN()"),
        ROW("plugins: [" WARREN_PLUGIN_DIR "/bad_abi.so]\n" ONE_QUEUE,
            "/bad_abi.so: was compiled for ABI 100, this warren has ABI 2", "compile it anew"),
        ROW("plugins: [" WARREN_PLUGIN_DIR "/unit/plugin/undefined.so]\n" ONE_QUEUE,
            "/undefined.so: cannot load the plugin", "undefined symbol: charge_the_card_of_nobody"),
        ROW("plugins: [" WARREN_HANDLER_DIR "/log.so, " WARREN_HANDLER_DIR "/log.so]\n" ONE_QUEUE,
            "worker.yaml:1:", "a plugin named log is already loaded"),
    };

    (void)state;
    REFUSE(rows);
}

static void unknown_handlers(void **state)
{
    static const struct row rows[] = {
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n    handler: log.wriet\n",
            "worker.yaml:3: there is no handler log.wriet", "did you mean log.write?"),
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n    handler: mail.send\n",
            "worker.yaml:3: there is no handler mail.send", "there are: log.write"),
        ROW(ONE_QUEUE, "worker.yaml:1: there is no handler log.write: no plugin is loaded"),
    };

    (void)state;
    REFUSE(rows);
}

static void wrong_handler_options(void **state)
{
    static const struct row rows[] = {
        ROW(PROBE_PLUGIN "subscriptions: [{queue: q, handler: probe.record}]\n",
            "worker.yaml:2: 'path' is missing in the options of probe.record"),
        ROW(PROBE_PLUGIN "subscriptions: [{queue: q, handler: probe.record, options: {pth: x}}]\n",
            "worker.yaml:2:61: unknown key 'pth' in the options of probe.record",
            "did you mean 'path'?"),
        ROW(PROBE_PLUGIN "subscriptions:\n  - queue: q\n    handler: probe.record\n"
                         "    options: {path: x, outcome: akc}\n",
            "worker.yaml:5:33: outcome is 'akc'", "did you mean 'ack'?"),
        ROW(PROBE_PLUGIN "subscriptions:\n  - queue: q\n    handler: probe.record\n"
                         "    options: {path: x, delay: soon}\n",
            "worker.yaml:5:31: delay is 'soon', expected a duration"),
        ROW(PROBE_PLUGIN "subscriptions:\n  - queue: q\n    handler: probe.record\n"
                         "    options: [path]\n",
            "worker.yaml:5:14: ", "must be a mapping"),
        ROW(PROBE_PLUGIN "subscriptions:\n  - queue: q\n    handler: probe.reply\n"
                         "    order: {by: handler}\n",
            "worker.yaml:5:17: by is handler, and probe.reply has no key function"),
        ROW(PROBE_PLUGIN "middleware: {retry: {max_delay: 1h}}\n"
                         "subscriptions:\n  - queue: q\n    handler: probe.reply\n"
                         "    order: {by: message_id}\n",
            "worker.yaml:6:12: retry's max_delay is 3600 s; with order and on_failure: wait"),
        ROW(PROBE_PLUGIN "subscriptions:\n  - queue: q\n    handler: probe.reply\n"
                         "    order: {by: customer}\n",
            "worker.yaml:5:17: by is 'customer', expected header:NAME, routing_key, message_id"),
        ROW(PROBE_PLUGIN "subscriptions: [{queue: q, handler: probe.reply, options: {path: x}}]\n",
            "worker.yaml:2:60: unknown key 'path'", "which takes none"),
    };

    (void)state;
    REFUSE(rows);
}

/* A handler that does not open keeps the worker from starting; its own words are passed on. */
static void handlers_that_do_not_open(void **state)
{
    static const struct row rows[] = {
        ROW(PROBE_PLUGIN "subscriptions: [{queue: q, handler: probe.open_fails}]\n",
            "queue q: handler probe.open_fails failed to open: the probe does not want to open"),
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n    handler: log.write\n"
                       "    options: {path: nowhere/at/all}\n",
            "queue q: handler log.write failed to open: cannot open /", "No such file"),
        ROW(LOG_PLUGIN "subscriptions:\n  - queue: q\n    handler: log.write\n"
                       "    options: {path: .}\n",
            "failed to open: cannot open /", "/. for appending: Is a directory"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: [no-such-command, x]}\n",
            "queue q: handler exec.run failed to open: command: cannot run no-such-command"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: ./worker.yaml}\n",
            "command: cannot run ./worker.yaml", "not executable"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: []}\n",
            "command: it must name a program"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: 'true', reject_on: [3, 300]}\n",
            "reject_on: \"300\" is no exit status from 1 to 255"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: 'true', reject_on: 3, requeue_on: [4, 3]}\n",
            "exit status 3 is in both reject_on and requeue_on"),
        ROW(EXEC_PLUGIN "subscriptions:\n  - queue: q\n    handler: exec.run\n"
                        "    options: {command: /}\n",
            "command: cannot run /: no such program, a directory"),
    };

    (void)state;
    REFUSE_TO_RUN(rows);
}

/* ---- addresses and secrets ---- */

static void bad_addresses(void **state)
{
#define WITH(uri) "broker:\n  uri: '" uri "'\n" GOOD
    static const struct row rows[] = {
        ROW(WITH("amqp://u:" SECRET "@h:99999/"),
            "worker.yaml:2:8: broker URI: the port is not a number from 1 to 65535"),
        ROW(WITH("amqp://u:" SECRET "@h:0/"), "worker.yaml:2:8: broker URI: the port"),
        ROW(WITH("amqp://u:" SECRET "@h:http/"), "worker.yaml:2:8: broker URI: the port"),
        ROW(WITH("amqp://u:" SECRET "@h:/"), "worker.yaml:2:8: broker URI: the port"),
        ROW(WITH("http://u:" SECRET "@h/"),
            "worker.yaml:2:8: broker URI: it must begin with amqp://"),
        ROW(WITH("u:" SECRET "@h"), "worker.yaml:2:8: broker URI: it must begin with amqp://"),
        ROW(WITH(SECRET), "worker.yaml:2:8: broker URI: it must begin with amqp://"),
        ROW(WITH("amqp://u:" SECRET "%zz@h/"), "worker.yaml:2:8: broker URI: the password has a %",
            "write % as %25"),
        ROW(WITH("amqp://u:" SECRET "%0@h/"), "the password has a %"),
        ROW(WITH("amqp://u:" SECRET "%00@h/"), "the password holds %00"),
        ROW(WITH("amqp://u:" SECRET "@h/%4"), "the vhost has a %"),
        ROW(WITH("amqp://u:" SECRET " x@h/"), "the password holds a space"),
        ROW(WITH("amqp://u:a/" SECRET "@h/"), "the port is not a number", "write / as %2F"),
        ROW(WITH("amqp://u:a@" SECRET "@h/"), "more than one @", "@ as %40"),
        ROW(WITH("amqp://u:a#" SECRET "@h/"), "? and # are not allowed", "# as %23"),
        ROW(WITH("amqp://u:" SECRET "@[::1/"), "a [ without a ]"),
        ROW(WITH("amqp://u:" SECRET "@[hello]/"), "no IPv6 address"),
        ROW(WITH("amqp://u:" SECRET "@::1/"), "an IPv6 address stands in [ ]"),
        ROW(WITH(""), "worker.yaml:2:8: broker.uri"),
        ROW("broker:\n  uri:\n    - amqp://h/\n    - amqp://u:" SECRET "@h:x/\n" GOOD,
            "worker.yaml:4:7: broker URI: the port"),
    };
#undef WITH

    (void)state;
    REFUSE(rows);
}

static void unreadable_secrets(void **state)
{
    static const struct row rows[] = {
        ROW("broker: {password_file: nowhere/secret}\n" GOOD, "nowhere/secret: No such file"),
        ROW("broker: {password_file: .}\n" GOOD, "password file ", ".: Is a directory"),
        ROW("broker: {password_file: empty}\n" GOOD, "empty: it is empty"),
        ROW("broker: {password_file: blank}\n" GOOD, "blank: its first line is empty"),
        ROW("broker: {password_file: long}\n" GOOD, "long: its first line is longer"),
        ROW("broker: {uri: amqps://h/, tls: {ca_file: nowhere/ca}}\n" GOOD,
            "cannot read the CA file \"", "nowhere/ca\": No such file"),
        ROW("broker: {uri: amqps://h/, tls: {ca_file: blank}}\n" GOOD, "the CA file \"", "blank\""),
        ROW("broker: {uri: amqps://h/, tls: {cert_file: blank}}\n" GOOD,
            "worker.yaml:1:44: ", "broker.tls.key_file"),
        ROW("broker: {uri: amqps://h/, tls: {cert_file: blank, key_file: blank}}\n" GOOD,
            "blank\""),
    };
    char *over = calloc(1, 301);

    (void)state;
    assert_non_null(over);
    memset(over, 'x', 300);
    memcpy(over, SECRET, strlen(SECRET));
    free(write_file(directory, "empty", ""));
    free(write_file(directory, "blank", "\n" SECRET "\n"));
    free(write_file(directory, "long", over));
    free(over);
    REFUSE(rows);
}

/* A file that this user may not read. Root may read all files, and becomes nobody for it. */
static void a_secret_of_others(void **state)
{
    char *path = write_file(directory, "others", SECRET);
    struct command command;

    (void)state;
    free(write_file(directory, "worker.yaml", "broker: {password_file: others}\n" GOOD));
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    command = command_shell(
        "[ $(id -u) != 0 ] || nobody='setpriv --reuid=65534 --regid=65534 --clear-groups';"
        "exec $nobody $WARREN check -c worker.yaml",
        NULL, NULL);
    expect_one_line(&command, "check", "password file others: ", "Permission denied");
    command_done(&command);
    free(path);
}

/* ---- environment and --set ---- */

static void wrong_sets(void **state)
{
    static const struct row rows[] = {
        ROW(GOOD, "--set consumer.prefetch: consumer.prefetch is 'x'", "a whole number",
            .sets = {"consumer.prefetch=x"}),
        ROW(GOOD, "--set consumer.prefech: there is no such option", "'consumer.prefetch'?",
            .sets = {"consumer.prefech=1"}),
        ROW(GOOD, "--set: expected KEY=VALUE", .sets = {SECRET}),
        ROW(GOOD, "--set: expected KEY=VALUE", .sets = {"=" SECRET}),
        ROW(GOOD, "--set subscriptions: ", "only in the file", .sets = {"subscriptions=1"}),
        ROW(GOOD, "--set broker.uri: broker URI: it must begin",
            .sets = {"broker.uri=http://u:" SECRET "@h"}),
        ROW(GOOD, "--set log.level: log.level is 'loud'",
            .sets = {"log.level=info", "log.level=loud"}),
        ROW(GOOD, "--set broker.password: there is no such option",
            .sets = {"broker.password=" SECRET}),
    };

    (void)state;
    REFUSE(rows);
}

static void wrong_variables(void **state)
{
    static const struct row rows[] = {
        ROW(GOOD, "WARREN_CONSUMER_PREFETCH: consumer.prefetch is '0'", "from 1 to 65535",
            .env = "WARREN_CONSUMER_PREFETCH=0"),
        ROW(GOOD, "environment variable WARREN_CONSUMER_PREFECH: ", "'WARREN_CONSUMER_PREFETCH'?",
            .env = "WARREN_CONSUMER_PREFECH=10"),
        ROW(GOOD, "WARREN_BROKER_URI: broker URI: the port",
            .env = "WARREN_BROKER_URI=amqp://u:" SECRET "@h:x/"),
        ROW(GOOD, "WARREN_BROKER_URI: broker URI: it must begin",
            .env = "WARREN_BROKER_URI=" SECRET),
        ROW(GOOD, "environment variable WARREN_BROKER_PASSWORD: ",
            .env = "WARREN_BROKER_PASSWORD=" SECRET),
    };

    (void)state;
    REFUSE(rows);
}

/* --set goes over the environment, which goes over the file: what is overridden may be wrong. */
static void the_order_of_sources(void **state)
{
    const char *const words[] = {"check", "-c", "worker.yaml", "--effective", NULL};
    const char *const env[] = {"WARREN_LOG_LEVEL=warn", NULL};
    struct command of_env, of_set;

    (void)state;
    free(write_file(directory, "worker.yaml", "log: {level: error}\n" GOOD));
    of_env = command_run(words, NULL, env);
    command_expect(&of_env, 0);
    assert_non_null(strstr(of_env.out, "  level: warn  # WARREN_LOG_LEVEL\n"));
    of_set = command_run((const char *const[]){"check", "-c", "worker.yaml", "--effective", "--set",
                                               "log.level=debug", NULL},
                         NULL, env);
    command_expect(&of_set, 0);
    assert_non_null(strstr(of_set.out, "  level: debug  # --set log.level\n"));
    command_done(&of_env);
    command_done(&of_set);
}

/* What is in force can be shown without showing a password. */
static void effective_without_secrets(void **state)
{
    struct command command;

    (void)state;
    free(write_file(directory, "worker.yaml",
                    "broker:\n  uri: [amqp://u:" SECRET "@h/, 'amqps://" SECRET "@i/']\n" LOG_PLUGIN
                    "topology:\n  queues:\n    - {name: q, arguments: {x-token: " SECRET "}}\n"
                    "subscriptions: [{queue: q, handler: log.write, options: {path: x}}]\n"));
    command = COMMAND("check", "-c", "worker.yaml", "--effective");
    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "amqp://***@h/"));
    assert_false(has_secret(&command));
    command_done(&command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_yaml),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(no_file),
        cmocka_unit_test(a_huge_file),
        cmocka_unit_test(bad_plugins),
        cmocka_unit_test(unknown_handlers),
        cmocka_unit_test(wrong_handler_options),
        cmocka_unit_test(handlers_that_do_not_open),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(unreadable_secrets),
        cmocka_unit_test(a_secret_of_others),
        cmocka_unit_test(wrong_sets),
        cmocka_unit_test(wrong_variables),
        cmocka_unit_test(the_order_of_sources),
        cmocka_unit_test(effective_without_secrets),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
