/* test_management.c - RabbitMQ's management API: what is taken of its answers, and what is asked,
 * against a peer that says what the test wants.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command/topology/management.h"
#include "support/test.h"

/* ---- answers ---- */

typedef enum warren_status read_fn(const char *body, size_t len, struct arena *arena,
                                   struct management_topology *ret, struct warren_error *error);

static struct arena arena;
static struct management_topology topology;
static struct warren_error error;

static enum warren_status read_body(read_fn *read, const char *body)
{
    arena_reset(&arena);
    topology = (struct management_topology){.skipped = 0};
    error = (struct warren_error){WARREN_OK, ""};
    return read(body, strlen(body), &arena, &topology, &error);
}

static void exchanges(void **state)
{
    const struct config_exchange *exchange;

    (void)state;
    assert_int_equal(
        read_body(management_read_exchanges,
                  "[{\"name\":\"\",\"type\":\"direct\",\"durable\":true,\"auto_delete\":false,"
                  "\"internal\":false,\"arguments\":{}},"
                  "{\"name\":\"\\u00fc /\",\"type\":\"x-hash\",\"durable\":false,"
                  "\"auto_delete\":true,\"internal\":true,\"more\":1,"
                  "\"arguments\":{\"alternate-exchange\":\"a\"}}]"),
        WARREN_OK);
    assert_int_equal(topology.topology.exchange_count, 1); /* without the default exchange */
    exchange = &topology.topology.exchanges[0];
    assert_string_equal(exchange->name, "\u00fc /");
    assert_string_equal(exchange->type, "x-hash");
    assert_false(exchange->durable);
    assert_true(exchange->auto_delete && exchange->internal);
    assert_int_equal(exchange->arguments.count, 1);
}

#define QUEUE(more) "[{\"name\":\"q\",\"durable\":true,\"auto_delete\":false" more "}]"

/* The type is the API's, else the argument's, else the oldest; it is no argument here. */
static void queues(void **state)
{
    static const struct {
        const char *body, *type;
        size_t arguments;
    } cases[] = {
        {QUEUE(",\"exclusive\":false,\"type\":\"quorum\","
               "\"arguments\":{\"x-queue-type\":\"quorum\",\"x-max-length\":5}"),
         "quorum", 1},
        {QUEUE(",\"arguments\":{\"x-queue-type\":\"stream\"}"), "stream", 0},
        {QUEUE(",\"arguments\":{}"), "classic", 0},
        {QUEUE(",\"arguments\":[]"), "classic", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_body(management_read_queues, cases[i].body), WARREN_OK);
        assert_int_equal(topology.topology.queue_count, 1);
        assert_string_equal(topology.topology.queues[0].type, cases[i].type);
        assert_int_equal(topology.topology.queues[0].arguments.count, cases[i].arguments);
    }
}

#define BINDING(source, kind, arguments)                                                           \
    "{\"source\":\"" source "\",\"destination\":\"d\",\"destination_type\":\"" kind "\","          \
    "\"routing_key\":\"k\",\"arguments\":" arguments ",\"properties_key\":\"p~1\"}"

/* Without those to the default exchange; a void is told of as "undefined", or as null. */
static void bindings(void **state)
{
    const struct config_binding *binding;
    const struct warren_value *value;

    (void)state;
    assert_int_equal(
        read_body(management_read_bindings,
                  "[" BINDING("", "queue", "{}") "," BINDING("s", "exchange", "{}") "," BINDING(
                      "s", "queue",
                      "{\"a\":-1,\"b\":1.5,\"c\":true,\"d\":\"undefined\",\"e\":null,"
                      "\"f\":[1,{\"g\":\"h\"}]}") "]"),
        WARREN_OK);
    assert_int_equal(topology.topology.binding_count, 2);
    binding = &topology.topology.bindings[0];
    assert_true(binding->to_exchange);
    assert_string_equal(binding->destination, "d");
    assert_string_equal(topology.binding_keys[0], "p~1");
    binding = &topology.topology.bindings[1];
    assert_false(binding->to_exchange);
    assert_int_equal(binding->arguments.count, 6);
    assert_int_equal(warren_table_get(&binding->arguments, "a")->as.integer, -1);
    assert_true(warren_table_get(&binding->arguments, "b")->as.real == 1.5);
    assert_true(warren_table_get(&binding->arguments, "c")->as.boolean);
    assert_int_equal(warren_table_get(&binding->arguments, "d")->type, WARREN_VOID);
    assert_int_equal(warren_table_get(&binding->arguments, "e")->type, WARREN_VOID);
    value = warren_table_get(&binding->arguments, "f");
    assert_int_equal(value->type, WARREN_ARRAY);
    assert_int_equal(value->as.array.count, 2);
}

/* A NUL, or an argument without a name. */
static void what_no_file_can_have(void **state)
{
    (void)state;
    assert_int_equal(read_body(management_read_queues,
                               "[{\"name\":\"a\\u0000b\",\"durable\":true,\"auto_delete\":false,"
                               "\"arguments\":{}},"
                               "{\"name\":\"c\",\"durable\":true,\"auto_delete\":false,"
                               "\"arguments\":{\"x\":\"a\\u0000\"}}]"),
                     WARREN_OK);
    assert_int_equal(topology.topology.queue_count, 0);
    assert_int_equal(topology.skipped, 2);
    assert_int_equal(read_body(management_read_queues, QUEUE(",\"arguments\":{\"\":1}")),
                     WARREN_OK);
    assert_int_equal(topology.skipped, 1);
}

#define NAME_256                                                                                   \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define DEEP_18 "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"

/* Everything that an answer can be but a list of such items is refused, and said where. */
static void malformed_answers(void **state)
{
    static const struct {
        read_fn *read;
        const char *body, *expected;
    } cases[] = {
        {management_read_queues, "", "is no JSON"},
        {management_read_queues, "<html>", "is no JSON"},
        {management_read_queues, "[{\"name\":\"q\",\"durable\":tr", "is no JSON"},
        {management_read_queues, "[\"\xff\"]", "is no JSON"},
        {management_read_queues, "[99999999999999999999]", "is no JSON"},
        {management_read_queues, "{}", "no list of at most"},
        {management_read_queues, "[1]", "\"item\" of queue 1 of the list is no object"},
        {management_read_queues, "[{}]", "\"name\" of queue 1 of the list is no text"},
        {management_read_queues, "[{\"name\":\"\"}]", "\"name\" of queue 1 of the list is no name"},
        {management_read_queues, "[{\"name\":5}]", "\"name\" of queue 1 of the list is no text"},
        {management_read_queues, "[{\"name\":\"" NAME_256 "\"}]", "no name of at most 255 bytes"},
        {management_read_queues, "[{\"name\":\"q\",\"durable\":\"true\"}]",
         "\"durable\" of queue 1 of the list is no boolean"},
        {management_read_queues, "[{\"name\":\"q\",\"durable\":true,\"auto_delete\":false}]",
         "\"arguments\" of queue 1 of the list is no table"},
        {management_read_queues, QUEUE(",\"arguments\":[1]"), "is no table"},
        {management_read_queues, QUEUE(",\"arguments\":\"x\""), "is no table"},
        {management_read_queues, QUEUE(",\"exclusive\":1,\"arguments\":{}"), "no boolean"},
        {management_read_queues, QUEUE(",\"type\":{},\"arguments\":{}"), "\"type\" of queue 1"},
        {management_read_queues, QUEUE(",\"arguments\":{\"" NAME_256 "\":1}"), "255 bytes"},
        {management_read_queues, QUEUE(",\"arguments\":{\"a\":" DEEP_18 "}"), "16 levels"},
        {management_read_exchanges, "[{\"name\":\"e\",\"type\":null}]",
         "\"type\" of exchange 1 of the list is no text"},
        {management_read_bindings,
         "[" BINDING("s", "queue", "{}") "," BINDING("s", "topic", "{}") "]",
         "\"destination_type\" of binding 2 of the list"},
        {management_read_bindings, "[{\"source\":[]}]", "\"source\" of binding 1"},
        {management_read_bindings,
         "[{\"source\":\"s\",\"destination\":\"d\",\"destination_type\":\"queue\","
         "\"routing_key\":\"k\",\"arguments\":{}}]",
         "\"properties_key\" of binding 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_body(cases[i].read, cases[i].body), WARREN_EPROTOCOL);
        if (!strstr(error.text, cases[i].expected))
            fail_msg("%s: %s", cases[i].body, error.text);
    }
}

/* ---- requests ---- */

#define ANSWERS_MAX 4
#define REQUEST_MAX 4096

/* Gives one answer after the other, each on a connection of its own. */
static struct peer {
    int listener;
    pthread_t thread;
    const char *answers[ANSWERS_MAX + 1];
    size_t flood; /* further bytes of the first one */
    char requests[ANSWERS_MAX][REQUEST_MAX];
} peer;

static void read_request(int fd, char *request)
{
    size_t len = 0;

    while (len < REQUEST_MAX - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t got = recv(fd, request + len, REQUEST_MAX - 1 - len, 0);

        if (got <= 0)
            break;
        len += (size_t)got;
        request[len] = '\0';
    }
}

static void *serve(void *arg)
{
    char padding[4096];

    (void)arg;
    memset(padding, ' ', sizeof padding);
    for (size_t i = 0; peer.answers[i]; i++) {
        int fd = accept(peer.listener, NULL, NULL);

        read_request(fd, peer.requests[i]);
        send(fd, peer.answers[i], strlen(peer.answers[i]), MSG_NOSIGNAL);
        for (size_t sent = 0; i == 0 && sent < peer.flood; sent += sizeof padding)
            if (send(fd, padding, sizeof padding, MSG_NOSIGNAL) < 0)
                break;
        close(fd);
    }
    return NULL;
}

/* A client of the peer, which gives these answers. */
static struct management *start(const char *const *answers, size_t flood)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct settings_management settings = {
        .login = {.user = "u", .password = "Hors3"}, .vhost = "a/b c", .timeout_ms = 20000};
    struct management *management = NULL;
    socklen_t size = sizeof at;

    memset(&peer, 0, sizeof peer);
    for (size_t i = 0; answers[i]; i++)
        peer.answers[i] = answers[i];
    peer.flood = flood;
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(peer.listener, ANSWERS_MAX), 0);
    getsockname(peer.listener, (struct sockaddr *)&at, &size);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, NULL), 0);
    snprintf(settings.login.base, sizeof settings.login.base, "http://127.0.0.1:%u/mq",
             ntohs(at.sin_port));
    error = (struct warren_error){WARREN_OK, ""};
    arena_reset(&arena);
    assert_int_equal(management_new(&settings, &management, &error), WARREN_OK);
    return management;
}

static void stop(struct management *management)
{
    pthread_join(peer.thread, NULL);
    close(peer.listener);
    management_free(management);
    assert_null(strstr(error.text, "Hors3"));
}

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n"

static void a_virtual_host_is_read(void **state)
{
    struct management *management =
        start((const char *const[]){HEAD("200 OK") "[]", HEAD("200 OK") QUEUE(",\"arguments\":{}"),
                                    HEAD("200 OK") "[" BINDING("s", "queue", "{}") "]", NULL},
              0);

    (void)state;
    assert_int_equal(management_read(management, &arena, &topology, &error), WARREN_OK);
    stop(management);
    assert_int_equal(topology.topology.exchange_count, 0);
    assert_int_equal(topology.topology.queue_count, 1);
    assert_int_equal(topology.topology.binding_count, 1);
    assert_non_null(strstr(peer.requests[0], "GET /mq/api/exchanges/a%2Fb%20c?"));
    assert_non_null(strstr(peer.requests[1], "GET /mq/api/queues/a%2Fb%20c?disable_stats=true&"));
    assert_non_null(strstr(peer.requests[2], "GET /mq/api/bindings/a%2Fb%20c?"));
    assert_non_null(strstr(peer.requests[2], "Authorization: Basic dTpIb3JzMw==\r\n"));
}

/* Names with whatever there is in them; one that is gone already is removed, too. */
static void a_binding_is_removed(void **state)
{
    static const char *const answers[] = {HEAD("204 No Content"), HEAD("404 Not Found") "{}",
                                          HEAD("400 Bad Request") "{\"reason\":\"too bad\"}", NULL};
    const struct config_binding to_queue = {.source = "..", .destination = "\u00fc/?#%"};
    const struct config_binding to_exchange = {
        .source = "s", .destination = "d", .to_exchange = true};
    struct management *management = start(answers, 0);

    (void)state;
    assert_int_equal(management_unbind(management, &to_queue, "k%23~x+y", &error), WARREN_OK);
    assert_int_equal(management_unbind(management, &to_exchange, "~", &error), WARREN_OK);
    assert_int_equal(management_unbind(management, &to_exchange, "~", &error), WARREN_EBROKER);
    stop(management);
    assert_non_null(strstr(error.text, "answers 400: too bad"));
    assert_non_null(strstr(
        peer.requests[0],
        "DELETE /mq/api/bindings/a%2Fb%20c/e/%2E%2E/q/%C3%BC%2F%3F%23%25/k%2523~x%2By HTTP"));
    assert_non_null(strstr(peer.requests[1], "DELETE /mq/api/bindings/a%2Fb%20c/e/s/e/d/~ HTTP"));
}

static void what_goes_wrong(void **state)
{
    static const struct {
        const char *answer;
        size_t flood;
        enum warren_status status;
        const char *words;
    } cases[] = {
        {HEAD("401 Unauthorized") "{\"error\":\"x\",\"reason\":\"Not management user\"}", 0,
         WARREN_EBROKER, "answers 401: Not management user (user and password must be right"},
        {HEAD("404 Not Found") "<html>", 0, WARREN_EBROKER, "answers 404"},
        {HEAD("301 Moved\r\nLocation: http://127.0.0.1:1/") "", 0, WARREN_EBROKER, "answers 301"},
        {HEAD("200 OK") "[{\"na", 0, WARREN_EPROTOCOL, "/api/exchanges/a%2Fb%20c"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", 0, WARREN_EIO, "exchanges"},
        {"no HTTP at all\r\n\r\n", 0, WARREN_ECONFIG,
         "/mq answers, but not by HTTP: expected RabbitMQ's management API, which has a port of "
         "its "
         "own, such as 15672, or 15671 with TLS"},
        {"AMQP", 0, WARREN_ECONFIG, "answers, but not by HTTP"}, /* a broker's own port */
        {HEAD("200 OK") "[", MANAGEMENT_ANSWER_MAX + 4096, WARREN_EFULL, "the answer is above"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct management *management =
            start((const char *const[]){cases[i].answer, NULL}, cases[i].flood);
        enum warren_status status = management_read(management, &arena, &topology, &error);

        stop(management);
        if (status != cases[i].status || !strstr(error.text, cases[i].words))
            fail_msg("%s: %d %s", cases[i].answer, status, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanges),
        cmocka_unit_test(queues),
        cmocka_unit_test(bindings),
        cmocka_unit_test(what_no_file_can_have),
        cmocka_unit_test(malformed_answers),
        cmocka_unit_test(a_virtual_host_is_read),
        cmocka_unit_test(a_binding_is_removed),
        cmocka_unit_test(what_goes_wrong),
    };
    int failed;

    arena_init(&arena);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
