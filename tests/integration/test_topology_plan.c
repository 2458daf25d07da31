/* test_topology_plan.c - `warren topology plan`, `apply` and `export` on a broker with RabbitMQ's
 * management API, in a virtual host for each test.
 */
#include "support/broker.h"
#include "support/command.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"

#define SECRET "Hors3Staple"

/* What all tests have, and what each of them makes anew. */
static struct broker *broker;
static char *directory;
static char *vhost;
static char *uri;
static struct peer *peer;

static int start(void **state)
{
    (void)state;
    broker = broker_own_management("plan");
    directory = scratch_new();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scratch_free(directory);
    broker_free(broker);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    vhost = unique_name("plan");
    uri = broker_vhost(broker, vhost);
    peer = peer_new(uri);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_free(peer);
    broker_delete_vhost(broker, vhost);
    free(uri);
    free(vhost);
    return 0;
}

/* Run `warren topology` on a file with @topology. No password may be printed. */
static struct command topology_with(const char *management, const char *topology,
                                    const char *const *words)
{
    const char *argv[12] = {"topology"};
    char *yaml = text("broker: {uri: '%s', management: '%s'}\n%s", uri, management, topology);
    char *path = write_file(directory, "worker.yaml", yaml);
    struct command command;
    size_t count = 1;

    while (*words)
        argv[count++] = *words++;
    argv[count++] = "-c";
    argv[count++] = path;
    command = command_run(argv, NULL, NULL);
    assert_null(strstr(command.out, SECRET));
    assert_null(strstr(command.err, SECRET));
    free(path);
    free(yaml);
    return command;
}

#define TOPOLOGY(yaml, ...)                                                                        \
    topology_with(broker->management, yaml, (const char *const[]){__VA_ARGS__, NULL})
#define TOPOLOGY_AT(management, yaml, ...)                                                         \
    topology_with(management, yaml, (const char *const[]){__VA_ARGS__, NULL})

#define assert_has_not(text, part)                                                                 \
    do {                                                                                           \
        if (strstr(text, part))                                                                    \
            fail_msg("with \"%s\":\n%s", part, text);                                              \
    } while (0)

/* The status, and that @part is in what it printed. */
static void expect(struct command command, int status, const char *part)
{
    command_expect(&command, status);
    assert_has(command.out, part);
    command_done(&command);
}

#define NOTHING "Nothing to do: the broker has what the file wants."

/* The file's, and what warren adds for dead letters. */
#define SHOP(key)                                                                                  \
    "topology:\n"                                                                                  \
    "  exchanges: [{name: orders, type: topic}]\n"                                                 \
    "  queues: [{name: payments, arguments: {x-max-length: 100}}, {name: log, type: stream}]\n"    \
    "  bindings: [{exchange: orders, queue: payments, routing_key: " key "},\n"                    \
    "             {exchange: orders, queue: log, arguments: {a: 1, b: [x, null, 1.5]}}]\n"         \
    "subscriptions: [{queue: payments, handler: log.write}]\n"

static void what_is_missing_is_declared(void **state)
{
    struct command command = TOPOLOGY(SHOP("paid"), "plan");

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "  + exchange 'orders' (topic, durable)\n");
    assert_has(command.out, "  + exchange 'payments.dlx' (fanout, durable)\n");
    assert_has(command.out, "  + queue 'payments' (quorum, durable, x-max-length=100");
    assert_has(command.out, "  + queue 'payments.dlq' (quorum, durable)\n");
    assert_has(command.out, "  + binding of queue 'log' to exchange 'orders' with key '' and "
                            "arguments {\"a\": 1, \"b\": [\"x\", null, 1.5]}\n");
    assert_has(command.out, "\n8 to declare\n");
    command_done(&command);
    assert_int_equal(peer_count(peer, "payments"), -1); /* nothing was declared */

    expect(TOPOLOGY(SHOP("paid"), "plan", "--check"), 1, "8 to declare");
    expect(TOPOLOGY(SHOP("paid"), "apply"), 0, "Done: 8 declared");
    expect(TOPOLOGY(SHOP("paid"), "plan", "--check"), 0, NOTHING);
    expect(TOPOLOGY(SHOP("paid"), "apply", "--prune"), 0, NOTHING);
    assert_int_equal(peer_count(peer, "payments.dlq"), 0);
}

/* A routing key that was changed: the old binding stays until somebody says --prune. */
static void a_binding_left_over(void **state)
{
    static const char line[] =
        "  - binding of queue 'payments' to exchange 'orders' with key 'paid': not in the file\n";
    struct command command;

    (void)state;
    expect(TOPOLOGY(SHOP("paid"), "apply"), 0, "Done: 8 declared");
    expect(TOPOLOGY(SHOP("payed"), "plan"), 0, line);
    command = TOPOLOGY(SHOP("payed"), "apply");
    command_expect(&command, 0);
    assert_has(command.out, "Done: 1 declared\n");
    assert_has(command.err, "1 left over: --prune removes them");
    command_done(&command);
    peer_publish(peer, "orders", "paid", "a", 1, NULL);
    assert_int_equal(peer_count(peer, "payments"), 1);

    expect(TOPOLOGY(SHOP("payed"), "plan", "--check"), 1, "1 left over");
    command = TOPOLOGY(SHOP("payed"), "apply", "--prune");
    command_expect(&command, 0);
    assert_has(command.out, line);
    assert_has(command.out, "Done: 0 declared, 1 removed\n");
    command_done(&command);
    peer_publish(peer, "orders", "paid", "a", 1, NULL);
    peer_publish(peer, "orders", "payed", "a", 1, NULL);
    assert_true(WAIT_FOR(peer_count(peer, "payments") == 2, PATIENCE_MS));
    expect(TOPOLOGY(SHOP("payed"), "plan", "--check"), 0, NOTHING);
}

/* A binding with arguments is removed as it is, whatever is in them; others' stay. */
static void what_is_pruned(void **state)
{
    struct command command;

    (void)state;
    expect(TOPOLOGY("topology:\n"
                    "  exchanges: [{name: 'o/\u00fc?', type: headers}, {name: f, type: fanout}]\n"
                    "  queues: [{name: 'q %#', type: classic}, {name: other, type: classic}]\n"
                    "  bindings: [{exchange: 'o/\u00fc?', queue: 'q %#', arguments: {a: null}},\n"
                    "             {exchange: 'o/\u00fc?', queue: 'q %#', arguments: {a: 1.5}},\n"
                    "             {exchange: 'o/\u00fc?', queue: 'q %#', routing_key: 'a#/ ~%'},\n"
                    "             {exchange: f, to_exchange: 'o/\u00fc?', routing_key: k},\n"
                    "             {exchange: f, queue: other}]\n",
                    "apply"),
           0, "Done: 9 declared");
    command =
        TOPOLOGY("topology:\n"
                 "  exchanges: [{name: 'o/\u00fc?', type: headers}]\n"
                 "  queues: [{name: 'q %#', type: classic}]\n"
                 "  bindings: [{exchange: 'o/\u00fc?', queue: 'q %#', arguments: {a: null}}]\n",
                 "apply", "--prune", "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"declared\":0,\"removed\":[{\"kind\":\"binding\"");
    assert_has(command.out, "\"to_exchange\":\"o/\u00fc?\"");
    assert_has(command.out, "\"arguments\":{\"a\":1.5}");
    assert_has(command.out, "\"routing_key\":\"a#/ ~%\"");
    assert_has_not(command.out, "other");
    command_done(&command);
    command = TOPOLOGY("", "export");
    command_expect(&command, 0);
    assert_has(command.out, "queue: \"other\"\n");
    assert_has(command.out, "arguments: {\"a\": null}\n");
    assert_has_not(command.out, "1.5");
    assert_has_not(command.out, "a#/ ~%");
    assert_has_not(command.out, "to_exchange");
    command_done(&command);
}

/* What is there with other arguments is shown with both sides, and left alone. */
static void what_is_another(void **state)
{
    static const char *const wanted =
        "topology:\n"
        "  exchanges: [{name: e, type: topic}]\n"
        "  queues: [{name: q, type: classic, arguments: {x-max-length: 7, x-expires: 60000}},\n"
        "           {name: limited}, {name: quorum}, {name: new, type: classic}]\n"
        "  bindings: [{exchange: e, queue: q, routing_key: k}]\n";
    struct command command;

    (void)state;
    expect(TOPOLOGY("topology:\n"
                    "  exchanges: [{name: e, type: fanout, internal: true}]\n"
                    "  queues: [{name: q, type: classic, arguments: {x-max-length: 8}},\n"
                    "           {name: limited, arguments: {x-delivery-limit: 5}}]\n",
                    "apply"),
           0, "Done: 3 declared");
    peer_declare(peer, "quorum", "quorum"); /* without a limit */
    peer_say(peer, "q", "stays");
    command = TOPOLOGY(wanted, "apply");
    command_expect(&command, 1);
    assert_has(command.out, "  ! exchange 'e' is there with other arguments; they never change\n"
                            "      type: \"topic\" in the file, \"fanout\" at the broker\n"
                            "      internal: false in the file, true at the broker\n"
                            "      to do: write into the file what the broker has, or delete");
    assert_has(command.out, "  ! queue 'q' is there with other arguments; they never change\n"
                            "      x-max-length: 7 in the file, 8 at the broker\n"
                            "      x-expires: 60000 in the file, none at the broker\n"
                            "      to do: write into the file what the broker has; or take it out "
                            "of the file, and set it by a policy;");
    assert_has(command.out,
               "      x-delivery-limit: 1000000000 as warren adds it, 5 at the broker");
    assert_has(command.out, "  = queue 'quorum' has no x-delivery-limit, and is taken as it is\n");
    assert_has(command.out, "Done: 2 declared");
    assert_has(command.err, "3 items are not as the file wants");
    command_done(&command);
    assert_int_equal(peer_count(peer, "q"), 1);
    assert_int_equal(peer_count(peer, "new"), 0);
    command = TOPOLOGY(wanted, "plan", "--json", "--check");
    command_expect(&command, 1);
    assert_has(command.out, "\"whole\":true,\"changes\":3");
    assert_has(command.out, "{\"what\":\"x-expires\",\"file\":60000,\"broker\":null}");
    command_done(&command);
}

/* Nobody declares it, so nothing that goes with it is possible. */
static void what_nobody_declares(void **state)
{
    static const char *const wanted =
        "topology:\n"
        "  queues: [{name: p, passive: true}, {name: q, type: classic}]\n"
        "  bindings: [{exchange: gone, queue: q}, {exchange: amq.topic, queue: q}]\n";
    struct command command;

    (void)state;
    peer_declare(peer, "q", "classic");
    peer_bind(peer, "q", "amq.topic", "old");
    command = TOPOLOGY(wanted, "apply", "--prune");
    command_expect(&command, 1);
    assert_has(command.out, "  - binding of queue 'q' to exchange 'amq.topic' with key 'old'");
    assert_has(command.err, "nothing was removed, for something was refused or is missing");
    assert_has(command.out, "  ? queue 'p': it is not there, and passive");
    assert_has(command.out, "  ? binding of queue 'q' to exchange 'gone' with key '': there is no "
                            "exchange 'gone', and nobody declares it\n");
    assert_has(command.out, "Done: 1 declared\n");
    command_done(&command);
    peer_publish(peer, "amq.topic", "old", "a", 1, NULL);
    assert_true(WAIT_FOR(peer_count(peer, "q") == 1, PATIENCE_MS));
}

/* An export is what is there: the plan of it is empty. */
static void an_export_reads_back(void **state)
{
    struct command command;

    (void)state;
    expect(
        TOPOLOGY("topology:\n"
                 "  exchanges: [{name: 'a: \"b\"', type: topic, durable: false},\n"
                 "              {name: h, type: headers, auto_delete: true},\n"
                 "              {name: i, internal: true, arguments: {alternate-exchange: h}}]\n"
                 "  queues: [{name: \"tab\\tend\", type: stream, arguments: {x-max-age: 1D}},\n"
                 "           {name: c, type: classic, auto_delete: true,\n"
                 "            arguments: {x-max-priority: 3, x-message-ttl: 60000}},\n"
                 "           {name: quorum, arguments: {x-overflow: reject-publish}}]\n"
                 "  bindings: [{exchange: h, queue: c, arguments: {x-match: any, n: 1, t: '1'}},\n"
                 "             {exchange: h, to_exchange: 'a: \"b\"', routing_key: \"\\n#\"},\n"
                 "             {exchange: amq.direct, queue: quorum, routing_key: k}]\n"
                 "subscriptions: [{queue: quorum, handler: a.b}]\n",
                 "apply"),
        0, "Done: 12 declared");
    peer_declare(peer, "plain", "quorum");
    command = TOPOLOGY("", "export");
    command_expect(&command, 0);
    assert_has(command.out, "# left out: 6 of the broker's own (amq.*)\n");
    assert_has_not(command.out, "durable: true");
    expect(TOPOLOGY(command.out, "plan", "--check"), 0, NOTHING);
    expect(TOPOLOGY(command.out, "apply", "--prune"), 0, NOTHING);
    command_done(&command);
}

/* Only on a terminal. */
static void colours(void **state)
{
    char *yaml = text("broker: {uri: '%s', management: '%s'}\n" SHOP("k"), uri, broker->management);
    char *path = write_file(directory, "worker.yaml", yaml);
    const char *const words[] = {"topology", "plan", "-c", path, NULL};
    struct command command =
        command_on_terminal(words, (const char *const[]){"TERM=xterm", "NO_COLOR=", NULL});

    (void)state;
    command_expect(&command, 0);
    assert_has(command.out, "\033[32m+ exchange 'orders' (topic, durable)\033[0m");
    command_done(&command);
    command = command_run(words, NULL, NULL);
    command_expect(&command, 0);
    assert_null(strchr(command.out, '\033'));
    command_done(&command);
    free(path);
    free(yaml);
}

/* They are declared as messages need them; what is there must be as warren declares it. */
static void delay_queues(void **state)
{
    static const char *const wanted = "topology:\n  queues: [{name: q, type: classic}]\n";
    struct command command = {0};

    (void)state;
    peer_declare(peer, "q", "classic");
    command = COMMAND("publish", "--uri", uri, "--queue", "q", "--delay", "5s", "--body", "x");
    command_expect(&command, 0);
    command_done(&command);
    expect(TOPOLOGY(wanted, "plan", "--check"), 0, NOTHING);
    peer_bind(peer, "warren.delay.02", "amq.topic", "odd");
    expect(TOPOLOGY(wanted, "plan", "--check"), 1,
           "  - binding of queue 'warren.delay.02' to exchange 'amq.topic' with key 'odd'");
    peer_delete_exchange(peer, "warren.delay.00");
    command = TOPOLOGY(wanted, "apply", "--prune");
    command_expect(&command, 0);
    assert_has(command.out, "  + exchange 'warren.delay.00' (headers, durable)\n");
    assert_has(command.out, "  + binding of queue 'warren.delay.00' to exchange 'warren.delay.00'");
    assert_has(command.out, "1 removed\n");
    command_done(&command);
    expect(TOPOLOGY(wanted, "plan", "--check"), 0, NOTHING);
    peer_declare(peer, "warren.delay.05", "classic");
    expect(TOPOLOGY(wanted, "plan", "--check"), 1, "      to do: let it run empty, delete it");
    command = TOPOLOGY("", "export");
    command_expect(&command, 0);
    assert_has_not(command.out, "name: \"warren.delay");
    assert_has(command.out, "of warren's delay queues and their exchanges\n");
    command_done(&command);
}

/* ---- where the management API cannot be asked ---- */

/* The first difference, as the broker's refusal names it; bindings are declared blindly. */
static void without_the_api(void **state)
{
    static const char *const addresses[] = {"", "http://127.0.0.1:1"};
    struct command command;

    (void)state;
    peer_declare(peer, "log", "classic");
    for (size_t i = 0; i < 2; i++) {
        command = TOPOLOGY_AT(addresses[i], SHOP("paid"), "plan");
        command_expect(&command, 0);
        assert_has(command.out, "  + queue 'payments' (quorum, durable, x-max-length=100");
        assert_has(command.out, "  ! queue 'log' is there with other arguments; they never change\n"
                                "      the broker says: PRECONDITION_FAILED - inequivalent arg "
                                "'x-queue-type'");
        assert_has(command.out, "Not seen: ");
        assert_has(command.out, "whether the 3 bindings of the file are there");
        command_done(&command);
        command = TOPOLOGY_AT(addresses[i], SHOP("paid"), "apply", "--prune");
        command_expect(&command, 1);
        assert_has(command.err, "--prune needs to see which bindings there are: ");
        command_done(&command);
        assert_int_equal(peer_count(peer, "payments"), -1);
    }
    command = TOPOLOGY_AT("", SHOP("paid"), "apply");
    command_expect(&command, 1);
    assert_has(command.out, "Done: 7 declared (what was there already is as it was)\n");
    assert_has(command.err, "queue 'log' (stream, durable): 406 ");
    command_done(&command);
    assert_int_equal(peer_count(peer, "payments"), 0);
    command = TOPOLOGY_AT("", "topology: {queues: [{name: payments, passive: true}]}\n", "plan",
                          "--check");
    command_expect(&command, 1);
    assert_has(command.out, "Nothing to do, as far as it was seen.\n");
    assert_has(command.err, "not all could be seen: no address of RabbitMQ's management API");
    command_done(&command);
}

/* A user without the tag is told so; with it, user and password may come from anywhere. */
static void who_asks(void **state)
{
    static const char *const wanted = "topology: {queues: [{name: q, type: classic}]}\n";
    char *user = unique_name("clerk");
    char *password = write_file(directory, "password", SECRET "\n");
    char *host = strstr(broker->management, "127");
    char *with_user = text("http://%s@%s", user, host);
    char *with_both = text("http://%s:" SECRET "@%s", user, host);
    char *with_wrong = text("http://%s:" SECRET "x@%s", user, host);
    char *set = text("broker.management_password_file=%s", password);
    struct command command;

    (void)state;
    peer_declare(peer, "q", "classic");
    broker_add_user(broker, user, SECRET);
    broker_permit(broker, user, vhost, ".*", ".*", ".*");
    command = TOPOLOGY_AT(with_both, wanted, "plan");
    command_expect(&command, 0);
    assert_has(command.out, "answers 401: Not management user");
    assert_has(command.out, "the user needs the tag management");
    command_done(&command);
    broker_tag_user(broker, user, "management");
    expect(TOPOLOGY_AT(with_both, wanted, "plan"), 0, NOTHING);
    expect(TOPOLOGY_AT(with_user, wanted, "plan", "--set", set), 0, NOTHING);
    expect(TOPOLOGY_AT(with_wrong, wanted, "plan"), 0, "answers 401: ");
    expect(TOPOLOGY_AT("", wanted, "plan", "--management", with_both), 0, NOTHING);
    expect(TOPOLOGY_AT(with_both, wanted, "export"), 0, "name: \"q\"");
    broker_delete_user(broker, user);
    free(set);
    free(with_wrong);
    free(with_both);
    free(with_user);
    free(password);
    free(user);
}

static void by_tls(void **state)
{
    static const char *const wanted = "topology: {queues: [{name: q, type: classic}]}\n";
    char *set = text("broker.tls.ca_file=%s/ca.pem", broker->certs);

    (void)state;
    peer_declare(peer, "q", "classic");
    expect(TOPOLOGY_AT(broker->management_tls, wanted, "plan", "--set", set), 0, NOTHING);
    expect(TOPOLOGY_AT(broker->management_tls, wanted, "plan"), 0, "Not seen: https://localhost:");
    free(set);
}

/* Every command says that it is the wrong port; AMQP is not asked in place of it. */
static void the_port_of_amqp(void **state)
{
    static const char *const commands[] = {"plan", "apply", "export"};
    char *address = text("http://127.0.0.1:%u", broker->port);

    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct command command = TOPOLOGY_AT(address, SHOP("paid"), commands[i]);

        command_expect(&command, 2);
        assert_string_equal(command.out, "");
        assert_has(command.err, " answers, but not by HTTP: expected RabbitMQ's management API");
        command_done(&command);
    }
    assert_int_equal(peer_count(peer, "payments"), -1);
    free(address);
}

/* One sentence, and nothing done. */
static void bad_input(void **state)
{
    static const struct {
        const char *management, *topology, *words;
        const char *argv[4];
    } cases[] = {
        {"http://u:" SECRET "/x@h:1", "", "worker.yaml:1:", {"plan"}},
        {"127.0.0.1:15672", "", "broker.management: it must be http://HOST:PORT", {"plan"}},
        {"", "topology: {queues: 5}\n", "topology.queues must be a list", {"apply"}},
        {"", "", "whose? --management URL", {"export"}},
        {"http://h:1",
         "",
         "password file /nowhere: ",
         {"plan", "--set", "broker.management_password_file=/nowhere"}},
        {"", "", "unexpected \"x\"", {"plan", "x"}},
        {"", "", "it must be http://HOST:PORT", {"plan", "--management", "ftp://h"}},
        {"", "", "a number from 1 to 65535", {"plan", "--management", "http://127.0.0.1:70000"}},
        {"http://127.0.0.1:1/api/", "", "worker.yaml:1:", {"plan"}},
        {"", "", "--management: it is empty, expected URL", {"plan", "--management", ""}},
        {"", "", "without /api, which is added", {"plan", "--management", "http://h:1/api"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command command =
            topology_with(cases[i].management, cases[i].topology, cases[i].argv);

        command_expect(&command, 2);
        assert_string_equal(command.out, "");
        assert_has(command.err, cases[i].words);
        command_done(&command);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_missing_is_declared),
        TEST(a_binding_left_over),
        TEST(what_is_pruned),
        TEST(what_is_another),
        TEST(what_nobody_declares),
        TEST(an_export_reads_back),
        TEST(colours),
        TEST(delay_queues),
        TEST(without_the_api),
        TEST(who_asks),
        TEST(by_tls),
        TEST(the_port_of_amqp),
        TEST(bad_input),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
