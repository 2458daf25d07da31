/* test_fault_admin.c - readiness while the broker goes and comes. */
#include "http/client.h"
#include "support/fixture.h"

/* /healthz or /readyz of @address. @return the status of the answer; 0: none */
static long get(const char *address, const char *path, char **ret_body)
{
    const struct http_client_options options = {.direct = true};
    struct http_client_response response;
    struct http_client *client;
    struct warren_error error;
    char *url = text("http://%s%s", address, path);
    const struct http_client_request request = {.url = url};
    long status;

    assert_int_equal(http_client_new(&options, &client, &error), WARREN_OK);
    http_client_send(client, &request, &response, &error);
    status = response.status;
    *ret_body = response.body ? response.body : strdup("");
    http_client_free(client);
    free(url);
    return status;
}

static bool is_ready(const char *address, long status, const char *part)
{
    char *body;
    bool right = get(address, "/readyz", &body) == status && strstr(body, part);

    free(body);
    return right;
}

/* Without its broker a worker is not ready, which it says with the address; but it is alive. */
static void readiness_follows_the_broker(void **state)
{
    struct fixture *f = *state;
    char address[64] = "";
    const char *at;
    char *body;

    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\nsubscriptions:\n"
                           "  - {queue: %s, handler: probe.record, options: {path: record}}",
                           f->queue);
    worker_consume(f->worker, 1);
    at = strstr(proc_stderr(f->worker->proc), " address=");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " address=%63s", address), 1);
    assert_true(WAIT_FOR(is_ready(address, 200, "consuming"), PATIENCE_MS));
    broker_do(f->broker, "stop");
    assert_true(WAIT_FOR(is_ready(address, 503, "there is no connection to amqp://127.0.0.1:"),
                         PATIENCE_MS));
    assert_int_equal(get(address, "/healthz", &body), 200);
    free(body);
    broker_do(f->broker, "start");
    peer_free(f->peer); /* its connection is gone, too */
    f->peer = peer_new(f->broker->uri);
    assert_true(WAIT_FOR(is_ready(address, 200, "consuming"), PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(readiness_follows_the_broker, "quorum"),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
