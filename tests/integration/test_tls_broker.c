/* test_tls_broker.c - TLS to a real broker, for the publisher, the worker, `warren check` and
 * `warren doctor`: whom they trust and who they are; and where that fails, a sentence that says
 * why, without a secret.
 * Elsewhere: TLS against scripted peers (tests/unit/amqp/test_tls.c).
 */
#include <unistd.h>

#include "support/broker.h"
#include "support/ledger.h"
#include "support/peer.h"
#include "support/socket.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define SECRET "Hors3Staple"

/* Listeners of the broker. */
enum door {
    PLAIN,
    TLS,
    STRICT, /* asks for a client certificate */
    EXPIRED,
    WRONG_HOST,
    SOON, /* its certificate ends in ten days */
    DOORS
};

static struct broker *broker;
static uint16_t ports[DOORS];

/* One more listener of the node, with the certificate @name. */
static uint16_t open_door(const char *name, bool strict)
{
    uint16_t port;
    char *answer;

    close(socket_listen(&port));
    answer = broker_eval(broker,
                         "rabbit_networking:start_ssl_listener({\"127.0.0.1\", %u}, ["
                         "{cacertfile, \"%s/ca.pem\"}, {certfile, \"%s/%s.pem\"},"
                         "{keyfile, \"%s/%s.key\"}, {verify, verify_peer},"
                         "{fail_if_no_peer_cert, %s}], 1).",
                         port, broker->certs, broker->certs, name, broker->certs, name,
                         strict ? "true" : "false");
    assert_string_equal(answer, "ok");
    free(answer);
    return port;
}

static int start(void **state)
{
    (void)state;
    broker = broker_own("tls", true);
    ports[PLAIN] = broker->port;
    ports[TLS] = broker->tls_port;
    ports[STRICT] = open_door("server", true);
    ports[EXPIRED] = open_door("expired", false);
    ports[WRONG_HOST] = open_door("wronghost", false);
    ports[SOON] = open_door("soon", false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_free(broker);
    return 0;
}

/* ---- one way to reach the broker ---- */

struct way {
    enum door door;
    const char *scheme;    /* NULL: amqps */
    const char *host;      /* NULL: localhost */
    const char *login;     /* NULL: guest and a wrong, secret password; "": none */
    const char *authority; /* NULL: ca; "": that of the system */
    const char *identity;  /* the client's certificate; NULL: none */
    bool external;
};

static const char right[] = "guest:guest@"; /* a login */

static char *uri_of(const struct way *way)
{
    return text("%s://%s%s:%u/", way->scheme ? way->scheme : "amqps",
                way->login ? way->login : "guest:" SECRET "@", way->host ? way->host : "localhost",
                ports[way->door]);
}

static char *file_of(const char *name, const char *ending)
{
    return name && *name ? text("%s/%s.%s", broker->certs, name, ending) : NULL;
}

static struct warren_publisher *publisher_by(const struct way *way)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    char *uri = uri_of(way);
    char *ca = file_of(way->authority ? way->authority : "ca", "pem");
    char *cert = file_of(way->identity, "pem");
    char *key = file_of(way->identity, "key");

    warren_publisher_options_init(&options);
    options.name = "tls-publisher";
    options.ca_file = ca;
    options.cert_file = cert;
    options.key_file = key;
    options.sasl_external = way->external;
    publisher = publisher_open(uri, &options);
    free(uri);
    free(ca);
    free(cert);
    free(key);
    return publisher;
}

#define SETS_MAX 4

/* What --set is given; the caller frees each. */
static void fill_sets(const struct way *way, char *sets[SETS_MAX + 1])
{
    size_t count = 0;

    sets[count++] = text("broker.sasl=%s", way->external ? "external" : "plain");
    if (!way->authority || *way->authority)
        sets[count++] = text("broker.tls.ca_file=%s/%s.pem", broker->certs,
                             way->authority ? way->authority : "ca");
    if (way->identity) {
        sets[count++] = text("broker.tls.cert_file=%s/%s.pem", broker->certs, way->identity);
        sets[count++] = text("broker.tls.key_file=%s/%s.key", broker->certs, way->identity);
    }
    sets[count] = NULL;
}

/* A worker on @queue that has not been started. */
static struct worker *worker_by(const struct way *way, const char *queue)
{
    char *uri = uri_of(way);
    struct worker *worker = worker_new(uri,
                                       "topology: {queues: [{name: %s, type: classic}]}\n"
                                       "subscriptions:\n"
                                       "  - {queue: %s, handler: probe.record,\n"
                                       "     options: {path: record}}\n",
                                       queue, queue);

    free(uri);
    return worker;
}

/* Start it, or have it checked. */
static struct proc *command(const struct worker *worker, const struct way *way, const char *verb)
{
    const char *arguments[4 + 2 * SETS_MAX + 1] = {verb, "-c", worker->config};
    char *sets[SETS_MAX + 1];
    size_t count = 3;
    struct proc *proc;

    fill_sets(way, sets);
    if (strcmp(verb, "check") == 0)
        arguments[count++] = "--connect";
    for (size_t i = 0; sets[i]; i++) {
        arguments[count++] = "--set";
        arguments[count++] = sets[i];
    }
    proc = warren_start(arguments, NULL);
    for (size_t i = 0; sets[i]; i++)
        free(sets[i]);
    return proc;
}

/* ---- what fails ---- */

static void assert_says(const char *who, const char *output, const char *says)
{
    if (!strstr(output, says))
        fail_msg("%s: expected \"%s\" in: %s", who, says, output);
    if (strstr(output, SECRET))
        fail_msg("%s: a password is in: %s", who, output);
}

static bool publisher_says(struct warren_publisher *publisher, const char *says,
                           struct warren_error *error)
{
    return warren_publisher_wait_connected(publisher, 20, error) == WARREN_ETIMEOUT &&
           strstr(error->text, says);
}

static void publisher_refuses(const struct way *way, const char *says)
{
    struct warren_publisher *publisher = publisher_by(way);
    struct warren_error error = {WARREN_OK, ""};

    (void)WAIT_FOR(publisher_says(publisher, says, &error), PATIENCE_MS);
    assert_says("publisher", error.text, says);
    warren_publisher_close(publisher, 0);
}

static void worker_refuses(const struct way *way, const char *says)
{
    struct worker *worker = worker_by(way, "never");

    worker->proc = command(worker, way, "run");
    (void)WAIT_FOR(worker_logged(worker, "broker=", says) > 0, PATIENCE_MS);
    assert_says("warren run", proc_stderr(worker->proc), says);
    assert_int_equal(worker_logged(worker, "consuming", NULL), 0);
    assert_int_equal(worker_stop(worker), 0);
    worker_free(worker);
}

static void check_refuses(const struct way *way, const char *says)
{
    struct worker *worker = worker_by(way, "never");

    worker->proc = command(worker, way, "check");
    assert_int_equal(proc_wait(worker->proc, PATIENCE_MS), 1);
    assert_says("warren check", proc_stderr(worker->proc), says);
    worker_free(worker);
}

static void refused(const struct way *way, const char *says)
{
    publisher_refuses(way, says);
    worker_refuses(way, says);
    check_refuses(way, says);
}

/* A server whose certificate is out of date is not trusted. */
static void expired_certificate(void **state)
{
    (void)state;
    refused(&(struct way){.door = EXPIRED},
            "certificate expired: the peer's certificate is valid until 2021-01-01");
}

/* Nor is one that shows a certificate for another name, which the sentence has. */
static void certificate_of_another_host(void **state)
{
    (void)state;
    refused(&(struct way){.door = WRONG_HOST}, "host name mismatch");
    refused(&(struct way){.door = WRONG_HOST, .host = "127.0.0.1"}, "DNS:elsewhere.invalid");
}

/* Nor one whose certificate comes from an authority that was not named. */
static void certificate_of_an_unknown_authority(void **state)
{
    (void)state;
    refused(&(struct way){.door = TLS, .authority = "other-ca"}, "unknown authority");
    refused(&(struct way){.door = TLS, .authority = ""}, "name its CA file");
}

/* A broker that wants a client certificate says so. */
static void missing_client_certificate(void **state)
{
    (void)state;
    refused(&(struct way){.door = STRICT}, "client certificate");
}

/* A client that shows a server's certificate is sent away; by which alert depends on Erlang. */
static void unfit_client_certificate(void **state)
{
    (void)state;
    refused(&(struct way){.door = STRICT, .identity = "wronghost"}, "client certificate");
}

/* Plain text to a port of TLS, and TLS to a port of plain text. */
static void mixed_up_ports(void **state)
{
    (void)state;
    refused(&(struct way){.door = TLS, .scheme = "amqp"}, "the peer speaks TLS: use amqps://");
    refused(&(struct way){.door = PLAIN}, "does not speak TLS: is this a plain-text port?");
}

/* Behind a good certificate a wrong password is a wrong password. */
static void wrong_password(void **state)
{
    (void)state;
    refused(&(struct way){.door = TLS}, "403");
}

/* ---- what the doctor says ---- */

static void doctor_says(const struct way *way, int status, const char *says)
{
    struct worker *worker = worker_by(way, "never");

    worker->proc = command(worker, way, "doctor");
    assert_int_equal(proc_wait(worker->proc, PATIENCE_MS), status);
    assert_says("warren doctor", proc_stdout(worker->proc), says);
    worker_free(worker);
}

/* A certificate that ends soon is warned of; one that has ended fails, and so does another name. */
static void doctor(void **state)
{
    (void)state;
    doctor_says(&(struct way){.door = SOON, .login = right}, 0,
                "warn  tls                   amqps://localhost:");
    doctor_says(&(struct way){.door = SOON, .login = right}, 0,
                "the certificate of 'localhost' ends in 9 days");
    doctor_says(&(struct way){.door = TLS, .login = right, .identity = "client"}, 0,
                "ok    certificates          broker.tls.cert_file ");
    doctor_says(&(struct way){.door = TLS, .login = right}, 0,
                "ok    tls                   amqps://localhost:");
    doctor_says(&(struct way){.door = TLS, .login = right, .identity = "expired"}, 1,
                "fail  certificates          broker.tls.cert_file ");
    doctor_says(&(struct way){.door = EXPIRED, .login = right}, 1, "certificate expired");
    doctor_says(&(struct way){.door = WRONG_HOST}, 1, "host name mismatch");
}

/* ---- what works ---- */

static struct ledger *publish_over(const struct way *way, const char *queue, unsigned count,
                                   size_t body_size)
{
    struct warren_publisher *publisher = publisher_by(way);
    struct ledger_plan plan = {.routing_key = queue, .body_size = body_size};
    struct ledger *ledger = ledger_new(count, &plan);

    ledger_publish_many(ledger, publisher, count);
    assert_int_equal(warren_publisher_close(publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    assert_int_equal(ledger_confirmed(ledger), count);
    return ledger;
}

/* A message goes through a publisher and a worker that both come this way. */
static void accepted(const struct way *way)
{
    char *queue = unique_name("tls");
    struct worker *worker = worker_by(way, queue);
    char *record = worker_path(worker, "record");
    struct peer *peer = peer_new(broker->uri);

    worker->proc = command(worker, way, "run");
    if (!WAIT_FOR(worker_logged(worker, "consuming", NULL) > 0, PATIENCE_MS))
        fail_msg("the worker does not consume: %s", proc_stderr(worker->proc));
    ledger_free(publish_over(way, queue, 10, 0));
    assert_true(WAIT_FOR(count_lines(record) == 10, PATIENCE_MS));
    assert_int_equal(worker_stop(worker), 0);
    peer_delete(peer, queue);
    peer_free(peer);
    worker_free(worker);
    free(record);
    free(queue);
}

/* The name of the host is in the certificate. */
static void host_name(void **state)
{
    (void)state;
    accepted(&(struct way){.door = TLS, .login = right});
}

/* So is its address. */
static void host_address(void **state)
{
    (void)state;
    accepted(&(struct way){.door = TLS, .login = right, .host = "127.0.0.1"});
}

/* Who shows a certificate is let in, and logs in as before. */
static void client_certificate(void **state)
{
    (void)state;
    accepted(&(struct way){.door = STRICT, .login = right, .identity = "client"});
}

/* Or logs in by it (SASL EXTERNAL): no password is needed, and none would help. */
static void login_by_certificate(void **state)
{
    (void)state;
    accepted(&(struct way){.door = TLS, .login = "", .identity = "client", .external = true});
    accepted(&(struct way){.door = STRICT, .identity = "client", .external = true});
}

/* Large and small messages pass over TLS unharmed, also when the connection is closed meanwhile. */
static void load_over_tls(void **state)
{
    const struct way way = {.door = TLS, .login = right};
    char *queue = unique_name("tls-load");
    struct peer *peer = peer_new(broker->uri);
    struct ledger_plan plan = {.routing_key = queue, .body_size = 20000};
    struct ledger *ledger = ledger_new(3000, &plan);
    struct warren_publisher *publisher = publisher_by(&way);

    (void)state;
    peer_declare(peer, queue, "classic");
    ledger_start(ledger, publisher, 2);
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(WAIT_FOR(ledger_confirmed(ledger) >= 700 * i, PATIENCE_MS));
        /* It may still be coming back from the last time. */
        assert_true(WAIT_FOR(broker_close_connections(broker, "tls-publisher") == 1, PATIENCE_MS));
    }
    ledger_stop(ledger, false);
    assert_int_equal(warren_publisher_close(publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    ledger_drain(ledger, peer, queue);
    ledger_report(ledger, broker, "classic, publisher over TLS", "3 closed connections");
    ledger_check(ledger);
    assert_int_equal(ledger_totals(ledger).results[WARREN_CONFIRMED], 3000);
    ledger_free(ledger);
    ledger = publish_over(&way, queue, 5, 3000000);
    ledger_drain(ledger, peer, queue);
    ledger_check(ledger);
    ledger_free(ledger);
    peer_delete(peer, queue);
    peer_free(peer);
    free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expired_certificate),
        cmocka_unit_test(certificate_of_another_host),
        cmocka_unit_test(certificate_of_an_unknown_authority),
        cmocka_unit_test(missing_client_certificate),
        cmocka_unit_test(unfit_client_certificate),
        cmocka_unit_test(mixed_up_ports),
        cmocka_unit_test(wrong_password),
        cmocka_unit_test(doctor),
        cmocka_unit_test(host_name),
        cmocka_unit_test(host_address),
        cmocka_unit_test(client_certificate),
        cmocka_unit_test(login_by_certificate),
        cmocka_unit_test(load_over_tls),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
