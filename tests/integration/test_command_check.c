/* test_command_check.c - `warren check --connect`: what it finds at a broker, without changing
 * anything there, and the worker that is run although the broker refuses a declaration.
 */
#include <signal.h>

#include "support/broker.h"
#include "support/command.h"
#include "support/mock.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/test.h"
#include "support/wait.h"

#define SECRET "Hors3Staple"

static struct broker *broker;
static struct peer *peer;
static char *directory;
static char *clerk;     /* a user who may read and write everything, and declare nothing */
static char *clerk_uri; /* logs in as that one */

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    peer = peer_new(broker->uri);
    directory = scratch_new();
    clerk = unique_name("clerk");
    clerk_uri = text("amqp://%s:" SECRET "@127.0.0.1:%u/", clerk, broker->port);
    broker_add_user(broker, clerk, SECRET);
    broker_permit(broker, clerk, "/", "^$", ".*", ".*");
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

static int count(const char *text, const char *part)
{
    int found = 0;

    while ((text = strstr(text, part))) {
        found++;
        text += strlen(part);
    }
    return found;
}

/* A configuration that consumes @queue; the path of its file, which the caller frees. */
static char *config(const char *uri, const char *queue, const char *topology)
{
    char *yaml = text("broker: {uri: [%s], connect_timeout: 5s}\n"
                      "plugins: [" WARREN_HANDLER_DIR "/log.so]\n"
                      "dead_letter: {enabled: false}\n"
                      "topology:\n%s\n"
                      "subscriptions: [{queue: '%s', handler: log.write}]\n",
                      uri, topology, queue);
    char *path = write_file(directory, "worker.yaml", yaml);

    free(yaml);
    return path;
}

/* Run the check on it; no password may be printed. */
static struct command check(const char *uri, const char *queue, const char *topology)
{
    char *path = config(uri, queue, topology);
    struct command command = COMMAND("check", "--connect", "-c", path);

    assert_null(strstr(command.out, SECRET));
    assert_null(strstr(command.err, SECRET));
    free(path);
    return command;
}

/* Expect status 1, and one error. */
static void expect_refused(struct command *command, const char *what, const char *words)
{
    command_expect(command, 1);
    assert_has(command->err, "warren check: error: ");
    assert_has(command->err, what);
    assert_has(command->err, words);
    assert_int_equal(count(command->err, "error: "), 1);
    command_done(command);
}

/* ---- the connection ---- */

static void refused_credentials(void **state)
{
    char *uri = text("amqp://guest:" SECRET "@127.0.0.1:%u/", broker->port);
    struct command command = check(uri, "q", "");

    (void)state;
    expect_refused(&command, "amqp://127.0.0.1:", "403 ACCESS_REFUSED");
    free(uri);
}

static void missing_vhost(void **state)
{
    char *uri = text("%snosuchvhost", broker->uri);
    struct command command = check(uri, "q", "");

    (void)state;
    expect_refused(&command, "/nosuchvhost: ", "530 NOT_ALLOWED - vhost nosuchvhost not found");
    free(uri);
}

/* On request a lone slash is the virtual host whose name is empty, which is not there. */
static void the_vhost_without_a_name(void **state)
{
    struct command command;

    (void)state;
    setenv("WARREN_BROKER_UNNAMED_VHOST", "true", 1);
    command = check(broker->uri, "q", "");
    unsetenv("WARREN_BROKER_UNNAMED_VHOST");
    expect_refused(&command, "/: ", "530 NOT_ALLOWED - vhost  not found");
}

static void no_broker(void **state)
{
    struct command command = check("amqp://127.0.0.1:1/", "q", "");

    (void)state;
    expect_refused(&command, "amqp://127.0.0.1:1/: ", "connection refused");
}

/* Of several addresses one that answers is enough. */
static void a_second_address(void **state)
{
    char *queue = unique_name("check");
    char *uris = text("'amqp://127.0.0.1:1/', '%s'", broker->uri);
    char *topology = text("  queues: [{name: %s}]", queue);
    struct command command = check(uris, queue, topology);

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, ": connected, RabbitMQ ");
    command_done(&command);
    free(topology);
    free(uris);
    free(queue);
}

/* ---- queues ---- */

/* What is missing is told, and is still missing afterwards. */
static void a_missing_queue(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}]", queue);
    struct command command = check(broker->uri, queue, topology);

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "1 subscription, 1 plugin: the configuration is valid\n");
    assert_has(command.out, "': does not exist yet; the worker will declare it\n");
    assert_has(command.out, queue);
    assert_null(strstr(command.err, "error"));
    assert_int_equal(peer_count(peer, queue), -1);
    command_done(&command);
    free(topology);
    free(queue);
}

/* What a terminal would obey is not written as it is. */
static void a_name_that_rings(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}, {name: \"%s\\a\\e[31m\"}]", queue, queue);
    struct command command = check(broker->uri, queue, topology);

    (void)state;
    command_expect(&command, 0);
    assert_int_equal(count(command.out, "does not exist yet"), 2);
    assert_has(command.out, "??[31m': does not exist yet");
    assert_null(strchr(command.out, '\a'));
    assert_null(strchr(command.out, '\033'));
    command_done(&command);
    free(topology);
    free(queue);
}

/* What exists as configured needs no words. */
static void a_present_queue(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}]", queue);
    struct command command;

    (void)state;
    peer_declare(peer, queue, "quorum");
    command = check(broker->uri, queue, topology);
    command_expect(&command, 0);
    assert_int_equal(lines_in(command.out), 2); /* valid, connected */
    command_done(&command);
    peer_delete(peer, queue);
    free(topology);
    free(queue);
}

/* A queue that exists with other arguments is refused with both sides. */
static void an_inequivalent_queue(void **state)
{
    char *queue = unique_name("check");
    char *topology =
        text("  queues: [{name: %s, type: classic, arguments: {x-max-length: 5}}]", queue);
    struct command command;

    (void)state;
    peer_declare(peer, queue, "classic");
    command = check(broker->uri, queue, topology);
    expect_refused(&command, queue, "406 PRECONDITION_FAILED - inequivalent arg 'x-max-length'");
    peer_delete(peer, queue);
    free(topology);
    free(queue);
}

/* A queue that this user may not declare is refused, whether it exists or not. */
static void a_queue_that_may_not_be_declared(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}]", queue);
    struct command command = check(clerk_uri, queue, topology);

    (void)state;
    expect_refused(&command, queue, "403 ACCESS_REFUSED");
    assert_int_equal(peer_count(peer, queue), -1);
    peer_declare(peer, queue, "quorum");
    command = check(clerk_uri, queue, topology);
    expect_refused(&command, queue, "403 ACCESS_REFUSED");
    peer_delete(peer, queue);
    free(topology);
    free(queue);
}

/* Passive is for those who may not declare: it must exist, and that is enough. */
static void a_passive_queue(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s, passive: true}]", queue);
    struct command command = check(clerk_uri, queue, topology);

    (void)state;
    expect_refused(&command, queue, "404 NOT_FOUND");
    peer_declare(peer, queue, "classic");
    command = check(clerk_uri, queue, topology);
    command_expect(&command, 0);
    command_done(&command);
    peer_delete(peer, queue);
    free(topology);
    free(queue);
}

/* A queue that is consumed and declared by nobody must exist. */
static void a_queue_of_others(void **state)
{
    char *queue = unique_name("check");
    struct command command = check(broker->uri, queue, "");

    (void)state;
    expect_refused(&command, queue, "404 NOT_FOUND");
    peer_declare(peer, queue, "classic");
    command = check(broker->uri, queue, "");
    command_expect(&command, 0);
    command_done(&command);
    peer_delete(peer, queue);
    free(queue);
}

/* One that gives messages up after some deliveries is warned of, and stays as it is; so is one that
 * exists without the limit that the worker would give it, where the broker has one of its own. */
static void a_delivery_limit_of_others(void **state)
{
    const amqp_table_entry_t limit = {.key = amqp_cstring_bytes("x-delivery-limit"),
                                      .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = 6}}};
    bool has_one = broker_at_least(broker, 4, 0);
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}]", queue);
    struct command command;

    (void)state;
    peer_declare_with(peer, queue, "quorum", &limit, 1);
    command = check(broker->uri, queue, "");
    command_expect(&command, 0);
    assert_has(command.err, "has a delivery limit of 6");
    assert_has(command.err, queue);
    command_done(&command);
    peer_delete(peer, queue);
    peer_declare(peer, queue, "quorum");
    command = check(broker->uri, queue, topology);
    command_expect(&command, 0);
    if (has_one)
        assert_has(command.err, "has a delivery limit of 20");
    else
        assert_string_equal(command.err, "");
    command_done(&command);
    peer_delete(peer, queue);
    free(topology);
    free(queue);
}

/* Of several refusals each is told. */
static void all_refusals_are_told(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  exchanges: [{name: %s-x, type: direct, passive: true}]\n"
                          "  queues: [{name: %s}, {name: %s-b, passive: true}, {name: %s-c}]",
                          queue, queue, queue, queue);
    struct command command = check(broker->uri, queue, topology);

    (void)state;
    command_expect(&command, 1);
    assert_int_equal(count(command.err, "error: "), 2);
    assert_has(command.err, "-x': 404 NOT_FOUND");
    assert_has(command.err, "-b': 404 NOT_FOUND");
    assert_int_equal(lines_in(command.out), 4); /* valid, connected, two that will be declared */
    command_done(&command);
    free(topology);
    free(queue);
}

/* A worker with five subscriptions, their dead letters as well, all of it new: fifteen refusals for
 * what is not there, fifteen for what is tried. That takes round trips, not delays that double. */
static void five_subscriptions(void **state)
{
    char *names[5];
    char *yaml;
    char *path;
    struct command command;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        names[i] = unique_name("check");
    yaml = text("broker: {uri: [%s]}\n"
                "plugins: [" WARREN_HANDLER_DIR "/log.so]\n"
                "topology: {queues: [{name: %s}, {name: %s}, {name: %s}, {name: %s}, {name: %s}]}\n"
                "subscriptions:\n"
                "- {queue: %s, handler: log.write}\n- {queue: %s, handler: log.write}\n"
                "- {queue: %s, handler: log.write}\n- {queue: %s, handler: log.write}\n"
                "- {queue: %s, handler: log.write}\n",
                broker->uri, names[0], names[1], names[2], names[3], names[4], names[0], names[1],
                names[2], names[3], names[4]);
    path = write_file(directory, "five.yaml", yaml);
    command = COMMAND("check", "--connect", "-c", path);
    command_expect(&command, 0);
    assert_int_equal(count(command.out, "the worker will declare it"), 15);
    command_done(&command);
    free(path);
    free(yaml);
    for (size_t i = 0; i < 5; i++)
        free(names[i]);
}

static void allow_one(struct mock_peer *other, int connection, void *user)
{
    static const struct mock_tune tune = {.channel_max = 1, .frame_max = 131072, .heartbeat_s = 60};

    (void)connection;
    (void)user;
    mock_handshake(other, &tune);
    mock_serve(other, 60000);
}

/* Too few channels on a connection: both numbers, and what to do. All else is checked. */
static void too_few_channels(void **state)
{
    struct mock *mock = mock_new(allow_one, NULL);
    struct command command = check(mock_uri(mock), "q", "  queues: [{name: q}]");

    (void)state;
    expect_refused(&command, "2 channels are needed on one connection, and the broker allows 1: ",
                   "raise channel_max");
    mock_free(mock);
}

/* Says nothing to what is declared for longer than a second. */
static void answer_slowly(struct mock_peer *other, int connection, void *user)
{
    amqp_queue_declare_ok_t ok = {.queue = amqp_cstring_bytes("q")};
    uint16_t channel;

    (void)connection;
    (void)user;
    mock_handshake(other, NULL);
    channel = mock_expect(other, AMQP_QUEUE_DECLARE_METHOD)->channel;
    mock_rest(other, 1500);
    mock_send_method(other, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
    mock_serve(other, 60000);
}

/* What takes longer than a second is told of; without a terminal, by a line. */
static void progress_is_told(void **state)
{
    struct mock *mock = mock_new(answer_slowly, NULL);
    struct command command = check(mock_uri(mock), "q", "  queues: [{name: q}]");

    (void)state;
    command_expect(&command, 0);
    assert_has(command.err, "warren check: still looking: 0 of 2\n");
    command_done(&command);
    mock_free(mock);
}

/* ---- exchanges ---- */

static void exchanges(void **state)
{
    char *name = unique_name("check");
    char *topology =
        text("  exchanges: [{name: %s, type: topic}]\n  queues: [{name: %s}]", name, name);
    struct command command = check(broker->uri, name, topology);

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "exchange '");
    command_done(&command);
    command = check(broker->uri, name, topology); /* the first did not make it */
    command_expect(&command, 0);
    assert_has(command.out, "exchange '");
    command_done(&command);
    command = check(clerk_uri, name, topology);
    command_expect(&command, 1);
    assert_has(command.err, "exchange '");
    assert_has(command.err, "403 ACCESS_REFUSED - ");
    assert_has(command.err, "access to exchange");
    command_done(&command);
    peer_exchange(peer, name, "fanout"); /* nor did the second */
    command = check(broker->uri, name, topology);
    expect_refused(&command, "exchange '", "406 PRECONDITION_FAILED - inequivalent arg 'type'");
    free(topology);
    free(name);
}

/* A type that the broker does not know, over which RabbitMQ 3 closes the connection, is one error,
 * too, and what is behind it is checked. */
static void an_unknown_type_of_exchange(void **state)
{
    char *name = unique_name("check");
    char *topology = text("  exchanges: [{name: %s, type: x-none}, {name: %s-2, type: x-nil}]\n"
                          "  queues: [{name: %s-3}]",
                          name, name, name);
    struct command command;

    (void)state;
    peer_declare(peer, name, "classic");
    command = check(broker->uri, name, topology);
    command_expect(&command, 1);
    assert_int_equal(count(command.err, "error: "), 2);
    assert_has(command.err, "unknown exchange type 'x-none'");
    assert_has(command.err, "unknown exchange type 'x-nil'");
    assert_int_equal(count(command.out, "the worker will declare it"), 1);
    command_done(&command);
    peer_delete(peer, name);
    free(topology);
    free(name);
}

/* ---- run ---- */

/* The worker says once what it was refused, with what it asked for; it goes on, and consumes as
 * soon as somebody else made the queue. */
static void run_goes_on(void **state)
{
    char *queue = unique_name("check");
    char *topology = text("  queues: [{name: %s}]", queue);
    char *path = config(clerk_uri, queue, topology);
    struct proc *worker = WARREN("run", "-c", path);

    (void)state;
    assert_true(WAIT_FOR(strstr(proc_stderr(worker), "consuming interrupted"), 20000 * slowness()));
    assert_int_equal(count(proc_stderr(worker), "broker refused a declaration"), 1);
    assert_has(proc_stderr(worker), "(quorum, durable)\" code=403 reason=\"ACCESS_REFUSED");
    assert_null(strstr(proc_stderr(worker), SECRET));
    peer_declare(peer, queue, "quorum");
    assert_true(
        WAIT_FOR(count(proc_stderr(worker), "msg=consuming queue=") == 1, 30000 * slowness()));
    proc_signal(worker, SIGTERM);
    assert_int_equal(proc_wait(worker, 20000 * slowness()), 0);
    proc_free(worker);
    peer_delete(peer, queue);
    free(path);
    free(topology);
    free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_credentials),
        cmocka_unit_test(missing_vhost),
        cmocka_unit_test(the_vhost_without_a_name),
        cmocka_unit_test(no_broker),
        cmocka_unit_test(a_second_address),
        cmocka_unit_test(a_missing_queue),
        cmocka_unit_test(a_name_that_rings),
        cmocka_unit_test(a_present_queue),
        cmocka_unit_test(an_inequivalent_queue),
        cmocka_unit_test(a_queue_that_may_not_be_declared),
        cmocka_unit_test(a_passive_queue),
        cmocka_unit_test(a_queue_of_others),
        cmocka_unit_test(a_delivery_limit_of_others),
        cmocka_unit_test(all_refusals_are_told),
        cmocka_unit_test(five_subscriptions),
        cmocka_unit_test(too_few_channels),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(exchanges),
        cmocka_unit_test(an_unknown_type_of_exchange),
        cmocka_unit_test(run_goes_on),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
