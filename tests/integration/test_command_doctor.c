/* test_command_doctor.c - `warren doctor` against a real broker: that it finds what is wrong, says
 * so for people and programs, and changes nothing.
 * Elsewhere: what it makes of which facts (tests/unit/command/test_doctor_*.c); certificates
 * (test_tls_broker.c).
 */
#include <jansson.h>

#include "support/broker.h"
#include "support/command.h"
#include "support/mock.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/test.h"
#include "support/wait.h"

static struct broker *broker;
static struct peer *peer;
static char *directory;
static char *clerk; /* a user, whose password is its name */
static char *clerk_uri;

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    peer = peer_new(broker->uri);
    directory = scratch_new();
    clerk = unique_name("clerk");
    clerk_uri = text("amqp://%s:%s@127.0.0.1:%u/", clerk, clerk, broker->port);
    broker_add_user(broker, clerk, clerk);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_delete_user(broker, clerk);
    free(clerk_uri);
    free(clerk);
    scratch_free(directory);
    peer_free(peer);
    broker_free(broker);
    return 0;
}

/* A configuration that consumes @queue, by what is @more; the caller frees its path. */
static char *config(const char *uri, const char *queue, const char *more)
{
    char *yaml = text("broker: {uri: '%s', connect_timeout: 2s, rpc_timeout: 2s}\n"
                      "plugins: [" WARREN_HANDLER_DIR "/log.so]\n"
                      "subscriptions: [{queue: '%s', handler: log.write}]\n%s",
                      uri, queue, more);
    char *path = write_file(directory, "worker.yaml", yaml);

    free(yaml);
    return path;
}

static struct command examine(const char *uri, const char *queue, const char *more)
{
    char *path = config(uri, queue, more);
    struct command command = COMMAND("doctor", "-c", path);

    free(path);
    return command;
}

/* The line of a check that has @part begins with that level. */
static void expect_line(const struct command *command, const char *level, const char *check,
                        const char *part)
{
    char *begin = text("\n%-4s  %-20s  ", level, check);
    char *all = text("\n%s", command->out);
    char *line = all;

    while ((line = strstr(line, begin))) {
        char *end = strchr(line + 1, '\n');

        *end = '\0';
        if (strstr(line, part))
            break;
        *end = '\n';
        line++;
    }
    if (!line)
        fail_msg("no line \"%s ... %s\" in:\n%s%s", begin + 1, part, command->out, command->err);
    free(all);
    free(begin);
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;

    while ((text = strstr(text, part))) {
        found++;
        text += strlen(part);
    }
    return found;
}

/* ---- a good one ---- */

/* Nothing fails, and afterwards the broker is as it was: what is missing is missing, a message that
 * waited waits, undelivered, and nobody consumes. */
static void it_changes_nothing(void **state)
{
    char *queue = unique_name("doctor");
    char *more = text("topology:\n"
                      "  exchanges: [{name: %s-x, type: topic}]\n"
                      "  queues: [{name: %s}]\n"
                      "  bindings: [{exchange: %s-x, queue: %s, routing_key: '#'}]\n"
                      "middleware: {retry: {max_delay: 2m}}\n"
                      "state_dir: state\nspool: {path: spool.db}\n",
                      queue, queue, queue, queue);
    char *path = config(broker->uri, queue, more);
    struct peer_message message;
    struct command command;

    (void)state;
    peer_declare(peer, queue, "classic"); /* not as it is configured, so rights alone are asked */
    peer_say(peer, queue, "it waits");
    command = COMMAND("doctor", "-c", path);
    expect_line(&command, "fail", "topology", "406 PRECONDITION_FAILED");
    command_done(&command);
    assert_int_equal(peer_consumers(peer, queue), 0);
    assert_true(peer_get(peer, queue, &message));
    assert_string_equal(message.body, "it waits");
    assert_false(message.redelivered);
    peer_message_done(&message);
    peer_delete_alone(peer, queue);
    command = COMMAND("doctor", "-c", path);
    command_expect(&command, 0);
    expect_line(&command, "ok", "broker", "logged in, RabbitMQ ");
    expect_line(&command, "ok", "plugins", "log.so: log ");
    expect_line(&command, "ok", "configuration", "1 subscription, 1 plugin");
    expect_line(&command, "ok", "topology", "4 that do not exist yet will be declared");
    expect_line(&command, "ok", "permissions", "all that the file needs");
    assert_has(command.out, " 0 failed\n");
    assert_string_equal(command.err, "");
    assert_null(strchr(command.out, '\033'));
    assert_int_equal(peer_count(peer, queue), -1);
    command_done(&command);
    free(path);
    free(more);
    free(queue);
}

/* Exchange and binding that exist stay, too. */
static void bindings_stay(void **state)
{
    char *queue = unique_name("doctor");
    char *exchange = text("%s-x", queue);
    char *more = text("topology:\n"
                      "  exchanges: [{name: %s, type: fanout}]\n"
                      "  bindings: [{exchange: %s, queue: %s}]\n"
                      "dead_letter: {exchange: '%s', queue: '{queue}.dlq'}\n",
                      exchange, exchange, queue, exchange);
    struct command command;

    (void)state;
    peer_declare(peer, queue, "classic");
    peer_exchange(peer, exchange, "fanout");
    peer_bind(peer, queue, exchange, "");
    command = examine(broker->uri, queue, more);
    /* Its dead letters would come back, which is found; that is not what this is about. */
    command_expect(&command, 1);
    expect_line(&command, "fail", "dead-letter-cycles", "come back at once");
    expect_line(&command, "ok", "permissions", "");
    command_done(&command);
    assert_int_equal(peer_count(peer, queue), 0); /* nothing was published */
    peer_publish(peer, exchange, "", "through", 7, NULL);
    assert_int_equal(peer_count(peer, queue), 1);
    peer_delete_alone(peer, queue);
    peer_delete_exchange(peer, exchange);
    free(more);
    free(exchange);
    free(queue);
}

/* ---- rights ---- */

/* With each right but one exactly what needs that one is refused. */
static void a_right_is_missing(void **state)
{
    static const struct {
        const char *configure;
        const char *write;
        const char *read;
        const char *lines[5];
    } cases[] = {
        {".*",
         ".*",
         "^$",
         {"read from queue 'Q'", "bind queue 'Q' to exchange 'Q-x'",
          "bind queue 'Q.dlq' to exchange 'Q.dlx'", "bind queue 'warren.delay.00'"}},
        {".*",
         "^$",
         ".*",
         {"write to exchange 'Q.dlx'", "write to exchange 'amq.default'",
          "bind queue 'Q' to exchange 'Q-x'", "write to exchange 'warren.delay.00'",
          "bind queue 'warren.delay.00'"}},
        {"^Q.*",
         ".*",
         ".*",
         {"configure exchange 'warren.delay.00'", "configure queue 'warren.delay.00'"}},
        {".*", "^(Q.*|warren.delay.*)$", ".*", {"write to exchange 'amq.default'"}},
        {".*", ".*", "^(Q-x|Q.dlx|Q.dlq|warren.delay.*)$", {"read from queue 'Q'"}},
    };
    static const char queue[] = "Q"; /* never made */
    char *give = text("> rabbitmqctl set_permissions -p / %s CONFIGURE WRITE READ", clerk);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command command;
        size_t wanted = 0;

        broker_permit(broker, clerk, "/", cases[i].configure, cases[i].write, cases[i].read);
        command = examine(clerk_uri, queue,
                          "topology:\n"
                          "  exchanges: [{name: Q-x}]\n  queues: [{name: Q}]\n"
                          "  bindings: [{exchange: Q-x, queue: Q}]\n"
                          "middleware: {retry: {max_delay: 2m}}\n");
        command_expect(&command, 1);
        for (; wanted < 5 && cases[i].lines[wanted]; wanted++)
            expect_line(&command, "fail", "permissions", cases[i].lines[wanted]);
        for (const char *at = command.out; (at = strstr(at, "fail  permissions")); at++)
            wanted--;
        if (wanted != 0 && i != 1) /* dead letters need more writes than are listed */
            fail_msg("case %zu: other rights, too:\n%s", i, command.out);
        assert_has(command.out, give);
        command_done(&command);
        assert_int_equal(peer_count(peer, queue), -1);
    }
    free(give);
}

/* A user that may do nothing is told of all of it; and of what the file declares. */
static void no_right_at_all(void **state)
{
    char *queue = unique_name("doctor");
    char *more = text("topology: {queues: [{name: %s}]}\n", queue);
    struct command command;

    (void)state;
    broker_permit(broker, clerk, "/", "^$", "^$", "^$");
    peer_declare(peer, queue, "quorum");
    command = examine(clerk_uri, queue, more);
    command_expect(&command, 1);
    expect_line(&command, "ok", "broker", "logged in");
    expect_line(&command, "fail", "permissions", "queue '");
    expect_line(&command, "fail", "permissions", "read from queue");
    expect_line(&command, "fail", "permissions", "for dead letters of");
    command_done(&command);
    peer_delete_alone(peer, queue);
    free(more);
    free(queue);
}

/* ---- what is wrong at the broker ---- */

static void a_dead_letter_exchange_that_is_not_there(void **state)
{
    char *queue = unique_name("doctor");
    char *more = text("topology: {queues: [{name: %s, arguments: "
                      "{x-dead-letter-exchange: %s-nowhere}}]}\n",
                      queue, queue);
    struct command command = examine(broker->uri, queue, more);

    (void)state;
    command_expect(&command, 1);
    expect_line(&command, "fail", "dead-letter-exchange", "-nowhere' is named by an argument");
    command_done(&command);
    free(more);
    free(queue);
}

/* A queue of others that gives messages up before retry does. */
static void a_delivery_limit_of_others(void **state)
{
    const amqp_table_entry_t limit = {.key = amqp_cstring_bytes("x-delivery-limit"),
                                      .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = 3}}};
    char *queue = unique_name("doctor");
    struct command command;

    (void)state;
    peer_declare_with(peer, queue, "quorum", &limit, 1);
    command = examine(broker->uri, queue, "");
    command_expect(&command, 0);
    expect_line(&command, "warn", "delivery-limit", "limit of 3, which is below retry's");
    command_done(&command);
    peer_delete_alone(peer, queue);
    free(queue);
}

/* Transient queues are refused by RabbitMQ 4.3, deprecated before. */
static void a_transient_queue(void **state)
{
    char *queue = unique_name("doctor");
    char *more = text("topology: {queues: [{name: %s, type: classic, durable: false}]}\n", queue);
    struct command command = examine(broker->uri, queue, more);
    bool refused = broker_at_least(broker, 4, 3);

    (void)state;
    command_expect(&command, refused ? 1 : 0);
    expect_line(&command, refused ? "fail" : "warn", "queue-types", "transient");
    command_done(&command);
    free(more);
    free(queue);
}

/* ---- no broker ---- */

/* All that needs none is checked all the same; what needs one is not told of. */
static void no_broker(void **state)
{
    struct command command = examine("amqp://127.0.0.1:1/", "q", "");

    (void)state;
    command_expect(&command, 1);
    expect_line(&command, "fail", "broker", "connection refused");
    expect_line(&command, "ok", "plugins", "log.so");
    expect_line(&command, "ok", "dead-letter-cycles", "none");
    assert_null(strstr(command.out, "permissions"));
    assert_null(strstr(command.out, "version"));
    assert_has(command.out, " 1 failed\n");
    command_done(&command);
}

static void wrong_password(void **state)
{
    char *uri = text("amqp://guest:Hors3Staple@127.0.0.1:%u/", broker->port);
    struct command command = examine(uri, "q", "");

    (void)state;
    command_expect(&command, 1);
    expect_line(&command, "fail", "broker", "403 ACCESS_REFUSED");
    assert_null(strstr(command.out, "Hors3Staple"));
    command_done(&command);
    free(uri);
}

static void accept_and_rest(struct mock_peer *other, int connection, void *user)
{
    (void)connection;
    (void)user;
    mock_rest(other, 60000);
}

/* One that accepts and says nothing costs the time-outs, not more. */
static void a_broker_that_is_silent(void **state)
{
    struct mock *mock = mock_new(accept_and_rest, NULL);
    int64_t begun_ms = now_ms();
    struct command command = examine(mock_uri(mock), "q", "");

    (void)state;
    command_expect(&command, 1);
    expect_line(&command, "fail", "broker", "amqp://127.0.0.1:");
    assert_in_range(now_ms() - begun_ms, 1500, 20000 * slowness());
    command_done(&command);
    mock_free(mock);
}

/* What takes longer than a second is told of on a terminal. */
static void progress_is_told(void **state)
{
    struct mock *mock = mock_new(accept_and_rest, NULL);
    char *path = config(mock_uri(mock), "q", "");
    const char *const arguments[] = {"doctor", "-c", path, NULL};
    struct command command = command_on_terminal(arguments, NULL);

    (void)state;
    command_expect(&command, 1);
    assert_has(command.out, "connecting");
    command_done(&command);
    free(path);
    mock_free(mock);
}

/* --offline asks nobody. */
static void offline(void **state)
{
    char *path = config("amqp://127.0.0.1:1/", "q", "");
    struct command command = COMMAND("doctor", "--offline", "-c", path);

    (void)state;
    command_expect(&command, 0);
    expect_line(&command, "ok", "configuration", "1 subscription");
    assert_null(strstr(command.out, "broker   "));
    command_done(&command);
    free(path);
}

/* Without a file: the machine, and the broker that the environment or the command line names. */
static void no_file(void **state)
{
    struct command command = COMMAND("doctor", "--uri", broker->uri);

    (void)state;
    command_expect(&command, 0);
    expect_line(&command, "ok", "broker", "logged in");
    expect_line(&command, "ok", "stack", "");
    assert_null(strstr(command.out, "plugins"));
    assert_null(strstr(command.out, "topology"));
    command_done(&command);
}

/* ---- plugins and files ---- */

static void a_plugin_of_another_abi(void **state)
{
    static const char plugins[] = "plugins=" WARREN_PLUGIN_DIR "/bad_abi.so";
    char *path = config("amqp://127.0.0.1:1/", "q", "state_dir: /nowhere/deep\n");
    struct command command = COMMAND("doctor", "--offline", "-c", path, "--set", plugins);

    (void)state;
    command_expect(&command, 1);
    expect_line(&command, "fail", "plugins", "bad_abi.so");
    expect_line(&command, "fail", "configuration", "without the plugins");
    expect_line(&command, "fail", "state-folder", "state_dir /nowhere/deep");
    command_done(&command);
    free(path);
}

/* ---- for programs ---- */

static void check_finding(const json_t *finding)
{
    const char *level = json_string_value(json_object_get(finding, "level"));

    assert_non_null(json_string_value(json_object_get(finding, "check")));
    assert_non_null(json_string_value(json_object_get(finding, "text")));
    assert_non_null(level);
    if (strcmp(level, "ok") == 0)
        assert_true(json_is_null(json_object_get(finding, "do")));
    else
        assert_true(json_is_string(json_object_get(finding, "do")));
}

/* One object: each finding with its parts, and how many there are of each level. */
static void as_json(void **state)
{
    char *queue = unique_name("doctor");
    char *path = config(broker->uri, queue, "");
    struct command command = COMMAND("doctor", "--json", "-c", path);
    json_t *all;
    const json_t *checks;
    size_t levels;

    (void)state;
    command_expect(&command, 1); /* the queue is not there */
    assert_int_equal(lines_in(command.out), 1);
    all = json_loads(command.out, 0, NULL);
    assert_non_null(all);
    checks = json_object_get(all, "checks");
    assert_true(json_array_size(checks) > 20);
    for (size_t i = 0; i < json_array_size(checks); i++)
        check_finding(json_array_get(checks, i));
    levels = (size_t)(json_integer_value(json_object_get(all, "ok")) +
                      json_integer_value(json_object_get(all, "warn")) +
                      json_integer_value(json_object_get(all, "fail")));
    assert_int_equal(levels, json_array_size(checks));
    assert_int_equal(json_integer_value(json_object_get(all, "fail")), 1);
    json_decref(all);
    command_done(&command);
    free(queue);
    free(path);
}

/* Levels have a colour on a terminal alone, and not where nobody wants one. */
static void on_a_terminal(void **state)
{
    static const char *const arguments[] = {"doctor", "--offline", NULL};
    static const char *const plain[] = {"NO_COLOR=1", NULL};
    struct command command = command_on_terminal(arguments, NULL);

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "\033[32mok  \033[0m  stack");
    command_done(&command);
    command = command_on_terminal(arguments, plain);
    assert_has(command.out, "ok    stack");
    assert_null(strstr(command.out, "\033[32m"));
    command_done(&command);
}

/* ---- bad input ---- */

static void expect_usage(struct command command, const char *words)
{
    command_expect(&command, 2);
    assert_has(command.err, words);
    assert_int_equal(count(command.err, "error: "), 1);
    command_done(&command);
}

static void bad_input(void **state)
{
    char *bad = write_file(directory, "bad.yaml", "broker: {urii: x}\n");
    char *worse = write_file(directory, "worse.yaml", "broker: {uri: 'http://host/'}\n");
    char *path = config("amqp://127.0.0.1:1/", "q", "middleware: {retry: {max_attempts: many}}\n");
    struct command command;

    (void)state;
    expect_usage(COMMAND("doctor", "-c", "/nowhere/at.all"), "/nowhere/at.all");
    expect_usage(COMMAND("doctor", "-c", bad), "did you mean");
    expect_usage(COMMAND("doctor", "-c", worse), "worse.yaml:1");
    expect_usage(COMMAND("doctor", bad), "unexpected");
    expect_usage(COMMAND("doctor", "--ofline"), "did you mean --offline?");
    expect_usage(COMMAND("doctor", "--set", "nothing"), "KEY=VALUE");
    /* What only the plugins can tell is told among the rest. */
    command = COMMAND("doctor", "--offline", "-c", path);
    command_expect(&command, 2);
    expect_line(&command, "fail", "configuration", "max_attempts");
    expect_line(&command, "ok", "stack", "");
    command_done(&command);
    free(path);
    free(worse);
    free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_changes_nothing),
        cmocka_unit_test(bindings_stay),
        cmocka_unit_test(a_right_is_missing),
        cmocka_unit_test(no_right_at_all),
        cmocka_unit_test(a_dead_letter_exchange_that_is_not_there),
        cmocka_unit_test(a_delivery_limit_of_others),
        cmocka_unit_test(a_transient_queue),
        cmocka_unit_test(no_broker),
        cmocka_unit_test(wrong_password),
        cmocka_unit_test(a_broker_that_is_silent),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(offline),
        cmocka_unit_test(no_file),
        cmocka_unit_test(a_plugin_of_another_abi),
        cmocka_unit_test(as_json),
        cmocka_unit_test(on_a_terminal),
        cmocka_unit_test(bad_input),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
