/* test_admin.c - the admin listener of a real worker: what it tells, that it survives the drain and
 * a restart, and what is wrong at its start.
 */
#include <signal.h>
#include <sys/socket.h>

#include "support/admin.h"
#include "support/fixture.h"
#include "support/socket.h"

#define LISTEN "admin: {listen: '127.0.0.1:0'}\n"

/* ---- asking ---- */

/* Does the answer hold @part now? */
static bool says(const char *address, const char *path, long status, const char *part)
{
    char *body;
    bool right = admin_get(address, path, NULL, &body) == status && (!part || strstr(body, part));

    free(body);
    return right;
}

#define BECOMES(address, path, status, part)                                                       \
    do {                                                                                           \
        char *body_ = NULL;                                                                        \
        if (!WAIT_FOR(says(address, path, status, part), PATIENCE_MS)) {                           \
            long status_ = admin_get(address, path, NULL, &body_);                                 \
            fail_msg("%s answers %ld: %s", path, status_, body_);                                  \
        }                                                                                          \
    } while (0)

static void run_recording(struct fixture *f, const char *admin)
{
    f->worker = worker_new(f->broker->uri,
                           "%ssubscriptions:\n"
                           "  - {queue: %s, handler: probe.record, options: {path: record, gate: "
                           "'%s', gate_body: wait}}",
                           admin, f->queue, f->gate);
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 1);
}

/* ---- what is told ---- */

/* Each message that was handled is counted, under the names of its queue and handler. */
static void metrics_count_what_was_handled(void **state)
{
    struct fixture *f = *state;
    char *address, *settled, *depth, *body;

    run_recording(f, LISTEN);
    address = admin_address(f->worker);
    settled = text("\nwarren_messages_settled_total{queue=\"%s\",handler=\"probe.record\","
                   "outcome=\"ack\"} 7\n",
                   f->queue);
    depth = text("\nwarren_queue_messages{queue=\"%s\"} 0\n", f->queue);
    for (int i = 0; i < 7; i++)
        fixture_publish(f, NULL, "x");
    BECOMES(address, "/metrics", 200, settled);
    BECOMES(address, "/metrics", 200, depth);
    admin_get(address, "/metrics", NULL, &body);
    assert_has(body, "# HELP warren_messages_settled_total ");
    assert_has(body, "# TYPE warren_handler_duration_seconds histogram\n");
    assert_has(body, "warren_admin_requests_total{code=\"200\"}");
    free(body);
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
    free(settled);
    free(depth);
}

/* A handler may count by anything: what is beyond the bound of its series is still counted, and
 * told.
 */
static void series_of_a_handler_are_bounded(void **state)
{
    struct fixture *f = *state;
    char *address, *body;

    f->worker = worker_new(
        f->broker->uri,
        LISTEN "subscriptions:\n  - {queue: %s, handler: probe.count, concurrency: 1}", f->queue);
    worker_consume(f->worker, 1);
    address = admin_address(f->worker);
    for (const char *at = "abcdefa"; *at; at++)
        peer_publish(f->peer, "", f->queue, at, 1, NULL);
    BECOMES(address, "/metrics", 200, "\nprobe_bodies_total{body=\"a\"} 2\n");
    admin_get(address, "/metrics", NULL, &body);
    assert_has(body, "\nprobe_bodies_total{body=\"c\"} 1\n");
    assert_has(body, "\nprobe_bodies_total{body=\"other\"} 3\n");
    assert_null(strstr(body, "probe_bodies_total{body=\"d\"}"));
    assert_has(body, "\nwarren_metric_series_refused_total{metric=\"probe_bodies_total\"} 3\n");
    free(body);
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
}

/* A queue may have any name: what is told of it is still JSON, and still a label. */
static void strange_names_are_escaped(void **state)
{
    static const char name[] = "<script>\"\\\xc3\xa4\x7f";
    struct fixture *f = *state;
    char *address, *body;

    peer_declare(f->peer, name, "classic");
    f->worker =
        worker_new(f->broker->uri, LISTEN "dead_letter: {enabled: false}\nsubscriptions:\n"
                                          "  - {queue: \"<script>\\\"\\\\\xc3\xa4\\x7f\", handler: "
                                          "probe.record, options: {path: record}}");
    worker_consume(f->worker, 1);
    address = admin_address(f->worker);
    BECOMES(address, "/readyz", 200, "\"queue\":\"\\u003cscript\\u003e\\\"\\\\\xc3\xa4\\u007f\"");
    admin_get(address, "/metrics", NULL, &body);
    assert_has(body, "{queue=\"<script>\\\"\\\\\xc3\xa4\x7f\",");
    free(body);
    assert_int_equal(worker_stop(f->worker), 0);
    peer_delete_alone(f->peer, name);
    free(address);
}

static void wait_for_drain(struct fixture *f, const char *address)
{
    BECOMES(address, "/readyz", 503, "the worker drains, and ends");
    BECOMES(address, "/healthz", 200, "\"status\":\"ok\"");
    fixture_open_gate(f);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
}

/* Ready once it consumes; while it drains alive, but not ready; and the listener holds no end up.
 */
static void readiness_follows_the_worker(void **state)
{
    struct fixture *f = *state;
    char *address;

    run_recording(f, LISTEN);
    address = admin_address(f->worker);
    BECOMES(address, "/readyz", 200, "\"state\":\"consuming\"");
    BECOMES(address, "/healthz", 200, "\"status\":\"ok\"");
    fixture_publish(f, NULL, "wait");
    BECOMES(address, "/readyz", 200, "\"running\":1");
    proc_signal(f->worker->proc, SIGTERM);
    wait_for_drain(f, address);
    assert_int_equal(admin_get(address, "/readyz", NULL, NULL), 0);
    free(address);
}

/* Of one subscription that is not ready the reason is said once. */
static void expect_one_reason(const char *address, const char *reason)
{
    struct proc *proc = WARREN("health", address);
    const char *said;

    assert_int_equal(proc_wait(proc, PATIENCE_MS), 1);
    said = strstr(proc_stdout(proc), reason);
    assert_non_null(said);
    assert_null(strstr(said + 1, reason));
    proc_free(proc);
}

/* While the broker cannot be reached a worker is not ready, and says where it looks for it; but it
 * is alive. */
static void readiness_follows_the_broker(void **state)
{
    struct fixture *f = *state;
    char *address;

    f->proxy = proxy_new(f->broker->port);
    f->worker = worker_new(proxy_uri(f->proxy),
                           LISTEN "subscriptions:\n"
                                  "  - {queue: %s, handler: probe.record, options: {path: record}}",
                           f->queue);
    worker_consume(f->worker, 1);
    address = admin_address(f->worker);
    BECOMES(address, "/readyz", 200, "consuming");
    proxy_refuse(f->proxy, true);
    proxy_cut(f->proxy, PROXY_RST);
    BECOMES(address, "/readyz", 503, "there is no connection to amqp://127.0.0.1:");
    expect_one_reason(address, "there is no connection to amqp://127.0.0.1:");
    BECOMES(address, "/healthz", 200, "\"status\":\"ok\"");
    proxy_refuse(f->proxy, false);
    BECOMES(address, "/readyz", 200, "consuming");
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
}

/* With a token, metrics need it; who only asks for health does not. SIGHUP brings another one. */
static void a_token_is_needed(void **state)
{
    struct fixture *f = *state;
    char *token = write_file(f->directory, "token", "first\n");
    char *admin = text("admin: {listen: '127.0.0.1:0', token_file: %s}\n", token);
    char *address;

    run_recording(f, admin);
    address = admin_address(f->worker);
    assert_int_equal(admin_get(address, "/metrics", NULL, NULL), 401);
    assert_int_equal(admin_get(address, "/metrics", "second", NULL), 401);
    assert_int_equal(admin_get(address, "/metrics", "first", NULL), 200);
    assert_int_equal(admin_get(address, "/healthz", NULL, NULL), 200);
    BECOMES(address, "/readyz", 200, NULL);
    free(write_file(f->directory, "token", "second\n"));
    proc_signal(f->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(admin_get(address, "/metrics", "second", NULL) == 200, PATIENCE_MS));
    assert_int_equal(admin_get(address, "/metrics", "first", NULL), 401);
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
    free(admin);
    free(token);
}

/* A crash in a handler executes the process anew: the same port answers again. */
static void it_listens_again_after_a_crash(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int fd = socket_listen(&port);
    char *address = text("127.0.0.1:%u", port);

    socket_reset(fd); /* free again, as far as anybody knows */
    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:%u'}\nsubscriptions:\n"
                           "  - {queue: %s, handler: crashing.run, options: {path: record}}",
                           port, f->queue);
    worker_consume(f->worker, 1);
    BECOMES(address, "/readyz", 200, "\"state\":\"consuming\"");
    fixture_publish(f, "it", "segv");
    assert_true(WAIT_FOR(worker_logged(f->worker, "admin: listening", NULL) == 2, PATIENCE_MS));
    BECOMES(address, "/readyz", 200, "\"state\":\"consuming\"");
    assert_int_equal(worker_stop(f->worker), 0);
    free(address);
}

/* ---- warren health ---- */

static void expect_health(struct proc *proc, int status, const char *out, const char *err)
{
    assert_int_equal(proc_wait(proc, PATIENCE_MS), status);
    assert_has(proc_stdout(proc), out);
    assert_has(proc_stderr(proc), err);
    proc_free(proc);
}

/* The command asks, prints the reason, and its exit status is the answer. */
static void the_command_tells(void **state)
{
    struct fixture *f = *state;
    char *address;

    run_recording(f, LISTEN);
    address = admin_address(f->worker);
    BECOMES(address, "/readyz", 200, NULL);
    expect_health(WARREN("health", address), 0, "ready\n", "");
    expect_health(WARREN("health", address), 0, "ready\n", "");
    expect_health(WARREN("health", "--live", address), 0, "ok\n", "");
    expect_health(WARREN("health", "--json", address), 0, "{\"subscriptions\":[{\"queue\":", "");
    fixture_publish(f, NULL, "wait");
    BECOMES(address, "/readyz", 200, "\"running\":1");
    proc_signal(f->worker->proc, SIGTERM);
    BECOMES(address, "/readyz", 503, NULL);
    expect_health(WARREN("health", address), 1, "not ready: the worker drains, and ends\n", "");
    expect_health(WARREN("health", "--json", address), 1, "\"status\":\"not ready\"", "");
    fixture_open_gate(f);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    expect_health(WARREN("health", address), 1, "", "onnect");
    free(address);
}

static bool is_well(const char *config)
{
    struct proc *proc = WARREN("health", "-c", config);
    int status = proc_wait(proc, PATIENCE_MS);

    proc_free(proc);
    return status == 0;
}

/* The configuration says where the worker is, and what its certificate is. */
static void the_command_reads_the_configuration(void **state)
{
    struct fixture *f = *state;
    char *make_certs = text("%s/scripts/certs %s", WARREN_SOURCE_DIR, f->directory);
    uint16_t port;
    int fd = socket_listen(&port);
    char *admin = text("admin: {listen: '127.0.0.1:%u', tls: {cert_file: %s/wronghost.pem, "
                       "key_file: %s/wronghost.key}}\n",
                       port, f->directory, f->directory);
    char *address = text("https://127.0.0.1:%u", port);
    char *none = write_file(f->directory, "none.yaml", "log: {level: info}\n");

    assert_int_equal(system(make_certs), 0);
    socket_reset(fd);
    run_recording(f, admin);
    assert_true(WAIT_FOR(is_well(f->worker->config), PATIENCE_MS));
    expect_health(WARREN("health", "-c", f->worker->config), 0, "ready\n", "");
    expect_health(WARREN("health", address), 1, "", "certificate");
    expect_health(WARREN("health", "-c", none), 2, "", "has no admin.listen");
    expect_health(WARREN("health", "-c", "/nowhere/at.all"), 2, "", "/nowhere/at.all");
    expect_health(WARREN("health", "file:///etc/passwd"), 2, "", "no address of HTTP");
    assert_int_equal(worker_stop(f->worker), 0);
    free(admin);
    free(address);
    free(none);
    free(make_certs);
}

/* ---- wrong at the start ---- */

/* One line that says it, and exit status 2; `warren check` finds it, too, if @checked. */
static void refuse(struct fixture *f, const char *admin, const char *part, bool checked)
{
    struct worker *worker = worker_new(f->broker->uri,
                                       "admin: %s\nsubscriptions:\n"
                                       "  - {queue: %s, handler: probe.record, options: {path: r}}",
                                       admin, f->queue);
    struct proc *check = WARREN("check", "-c", worker->config);

    worker_run(worker, NULL);
    assert_int_equal(proc_wait(worker->proc, PATIENCE_MS), 2);
    assert_has(proc_stderr(worker->proc), part);
    assert_has(proc_stderr(worker->proc), "worker.yaml:");
    assert_int_equal(proc_wait(check, PATIENCE_MS), checked ? 2 : 0);
    if (checked)
        assert_has(proc_stderr(check), part);
    proc_free(check);
    worker_free(worker);
}

static void what_is_wrong_ends_the_start(void **state)
{
    struct fixture *f = *state;
    uint16_t port;
    int fd = socket_listen(&port);
    char *taken = text("{listen: '127.0.0.1:%u'}", port);
    char *empty = write_file(f->directory, "empty", "\n");
    char *empty_token = text("{listen: '127.0.0.1:0', token_file: %s}", empty);
    char *no_key = text("{listen: '127.0.0.1:0', tls: {cert_file: %s}}", empty);
    char *no_pem =
        text("{listen: '127.0.0.1:0', tls: {cert_file: %s, key_file: %s}}", empty, empty);

    refuse(f, taken, "somebody else listens there already", false);
    refuse(f, "{listen: '192.0.2.1:9464'}", "this machine has no such address", false);
    refuse(f, "{listen: ':9464'}", "names no address", true);
    refuse(f, "{listen: 'localhost'}", "has no port", true);
    refuse(f, "{listen: '127.0.0.1:0', token_file: nowhere}", "nowhere\": No such file", true);
    refuse(f, empty_token, "is empty", true);
    refuse(f, no_key, "two files", true);
    refuse(f, no_pem, "cannot be used", true);
    socket_reset(fd);
    free(taken);
    free(empty);
    free(empty_token);
    free(no_key);
    free(no_pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(metrics_count_what_was_handled, "classic"),
        FIXTURE_TEST(series_of_a_handler_are_bounded, "classic"),
        FIXTURE_TEST(strange_names_are_escaped, NULL),
        FIXTURE_TEST(readiness_follows_the_worker, "classic"),
        FIXTURE_TEST(readiness_follows_the_broker, "quorum"),
        FIXTURE_TEST(a_token_is_needed, "classic"),
        FIXTURE_TEST(it_listens_again_after_a_crash, "classic"),
        FIXTURE_TEST(the_command_tells, "classic"),
        FIXTURE_TEST(the_command_reads_the_configuration, "classic"),
        FIXTURE_TEST(what_is_wrong_ends_the_start, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
