/* The tests' own tools: what they claim about brokers, networks and peers must itself be true. */
#include <signal.h>

#include "support/broker.h"
#include "support/mock.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/proxy.h"
#include "support/test.h"
#include "support/wait.h"

static struct broker *broker;

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_free(broker);
    return 0;
}

/* A message that went through a proxy cutting everything into single bytes arrives unharmed. */
static void proxy_slices_without_harm(void **state)
{
    struct proxy *proxy = proxy_new(broker->port);
    struct peer *peer;
    struct peer_message message;
    char *queue = unique_name("support");
    const struct proxy_rule single = {.slice = 1};

    (void)state;
    proxy_set(proxy, PROXY_TO_BROKER, &single);
    proxy_set(proxy, PROXY_TO_CLIENT, &single);
    peer = peer_new(proxy_uri(proxy));
    peer_declare(peer, queue, "classic");
    peer_publish(peer, "", queue, "hello", 5, NULL);
    assert_true(peer_get(peer, queue, &message));
    assert_string_equal(message.body, "hello");
    assert_string_equal(message.routing_key, queue);
    assert_int_equal(proxy_accepted(proxy), 1);
    assert_true(proxy_passed(proxy, PROXY_TO_BROKER) > 100);
    peer_message_done(&message);
    peer_delete(peer, queue);
    peer_free(peer);
    proxy_free(proxy);
    free(queue);
}

/* Counts of a queue are those of the broker, and -1 where there is no queue. */
static void peer_counts(void **state)
{
    struct peer *peer = peer_new(broker->uri);
    char *queue = unique_name("support");

    (void)state;
    assert_int_equal(peer_count(peer, queue), -1);
    peer_declare(peer, queue, "quorum");
    peer_publish_many(peer, queue, "m", 1500);
    assert_true(WAIT_FOR(peer_count(peer, queue) == 1500, 10000));
    assert_int_equal(peer_consumers(peer, queue), 0);
    assert_int_equal(peer_drain(peer, queue, NULL, NULL), 1500);
    peer_delete(peer, queue);
    peer_free(peer);
    free(queue);
}

static void serve_publish(struct mock_peer *peer, int connection, void *user)
{
    const struct mock_frame *frame;
    amqp_basic_ack_t ack = {.delivery_tag = 1};

    (void)connection;
    mock_handshake(peer, NULL);
    frame = mock_expect(peer, AMQP_BASIC_PUBLISH_METHOD);
    memcpy(user, frame->body, frame->body_size);
    mock_send_method(peer, frame->channel, AMQP_BASIC_ACK_METHOD, &ack);
    mock_serve(peer, 10000);
}

/* The mock is broker enough for another client library to log in, publish, and get its confirm. */
static void mock_speaks_amqp(void **state)
{
    char body[16] = "";
    struct mock *mock = mock_new(serve_publish, body);
    struct peer *peer = peer_new(mock_uri(mock));

    (void)state;
    peer_publish(peer, "", "q", "to the mock", 11, NULL);
    peer_free(peer);
    assert_true(WAIT_FOR(mock_finished(mock) == 1, 5000));
    assert_string_equal(mock_error(mock), "");
    assert_string_equal(body, "to the mock");
    mock_free(mock);
}

/* A connection that the broker closes by its client-given name is found and counted. */
static void broker_evaluates(void **state)
{
    char *answer = broker_eval(broker, "%d + %d.", 40, 2);

    (void)state;
    assert_string_equal(answer, "42");
    assert_int_equal(broker_count_connections(broker, "no such name"), 0);
    free(answer);
}

/* Exit status, signals and both output streams of a program are told apart. */
static void proc_reports(void **state)
{
    struct proc *proc = proc_start(
        (const char *const[]){"sh", "-c", "cat; echo oops >&2; exit 3", NULL}, "in\n", NULL);

    (void)state;
    assert_int_equal(proc_wait(proc, 10000), 3);
    assert_string_equal(proc_stdout(proc), "in\n");
    assert_string_equal(proc_stderr(proc), "oops\n");
    proc_free(proc);
    proc = proc_start((const char *const[]){"sleep", "600", NULL}, NULL, NULL);
    assert_int_equal(proc_wait(proc, 20), PROC_RUNNING);
    proc_signal(proc, SIGTERM);
    assert_int_equal(proc_wait(proc, 10000), PROC_SIGNAL + SIGTERM);
    proc_free(proc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proc_reports),     cmocka_unit_test(broker_evaluates),
        cmocka_unit_test(peer_counts),      cmocka_unit_test(proxy_slices_without_harm),
        cmocka_unit_test(mock_speaks_amqp),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
