/* test_tls.c - TLS: who is let in, what is said to who is not, and bytes in both directions. */
#include <poll.h>

#include "amqp/net/transport.h"
#include "base/clock.h"

#include "support/test.h"
#include "tls_peer.h"

#define DEADLINE_MS 10000
#define DAY         86400L

/* ---- certificates and files, made once ---- */

static struct {
    char folder[64];
    struct identity ca, other_ca;
    struct identity server;   /* DNS:broker.test, IP:127.0.0.1, IP:::1 */
    struct identity expired;  /* until yesterday */
    struct identity future;   /* from tomorrow on */
    struct identity nameless; /* CN=broker.test, no SAN */
    struct identity client;
} world;

/* "FOLDER/NAME"; the result lives until the fourth call from here. */
static const char *path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *made = paths[next++ % 4];

    snprintf(made, sizeof paths[0], "%s/%s", world.folder, name);
    return made;
}

static struct identity issue(const char *name, const char *san, long from_s, long until_s)
{
    struct identity_options options = {name, san, from_s, until_s, &world.ca};

    return identity_new(&options);
}

static int make_world(void **state)
{
    struct identity_options ca = {"test CA", NULL, -10 * DAY, 10 * DAY, NULL};
    FILE *file;

    (void)state;
    strcpy(world.folder, "/tmp/warren-tls-XXXXXX");
    if (!mkdtemp(world.folder))
        return -1;
    world.ca = identity_new(&ca);
    ca.common_name = "another CA";
    world.other_ca = identity_new(&ca);
    world.server = issue("x", "DNS:broker.test,IP:127.0.0.1,IP:::1", -DAY, DAY);
    world.expired = issue("x", "DNS:broker.test", -2 * DAY, -DAY);
    world.future = issue("x", "DNS:broker.test", DAY, 2 * DAY);
    world.nameless = issue("broker.test", NULL, -DAY, DAY);
    world.client = issue("worker", NULL, -DAY, DAY);
    write_certificate(path("ca.pem"), &world.ca);
    write_certificate(path("other.pem"), &world.other_ca);
    write_certificate(path("client.pem"), &world.client);
    write_key(path("client.key"), &world.client, NULL);
    write_key(path("server.key"), &world.server, NULL);
    write_key(path("encrypted.key"), &world.client, "open sesame");
    file = fopen(path("garbage.pem"), "w");
    fputs("this is no PEM\n", file);
    return fclose(file);
}

static int unmake_world(void **state)
{
    static const char *const files[] = {"ca.pem",     "other.pem",     "client.pem", "client.key",
                                        "server.key", "encrypted.key", "garbage.pem"};
    struct identity *all[] = {&world.ca,     &world.other_ca, &world.server, &world.expired,
                              &world.future, &world.nameless, &world.client};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(path(files[i]));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_done(all[i]);
    return rmdir(world.folder);
}

/* ---- a client ---- */

struct client {
    struct tls_context *context;
    struct transport transport;
    struct warren_error error;
};

static void client_start(struct client *client, struct peer *peer, const struct tls_options *tls)
{
    struct tls_options usual = {.ca_file = path("ca.pem")};

    memset(client, 0, sizeof *client);
    if (tls_context_new(tls ? tls : &usual, &client->context, &client->error) != WARREN_OK)
        fail_msg("%s", client->error.text);
    client->transport.fd = peer_start(peer);
}

static void client_stop(struct client *client, struct peer *peer)
{
    transport_close(&client->transport);
    tls_context_free(client->context);
    peer_join(peer);
}

/* Wait for what the last call wants. */
static void await(struct client *client)
{
    struct pollfd watch = {.fd = client->transport.fd};

    assert_true(client->transport.wants_read || client->transport.wants_write);
    watch.events = client->transport.wants_write ? POLLOUT : POLLIN;
    assert_int_equal(poll(&watch, 1, DEADLINE_MS), 1);
}

static enum warren_status handshake(struct client *client, const char *host)
{
    enum warren_status status;

    while ((status = transport_handshake(&client->transport, client->context, host,
                                         &client->error)) == WARREN_EFULL)
        await(client);
    return status;
}

/* Read once there is something. */
static ssize_t read_some(struct client *client, void *data, size_t size)
{
    ssize_t got;

    while ((got = transport_read(&client->transport, data, size, &client->error)) == 0)
        await(client);
    return got;
}

/* A handshake with @peer as @host fails, and the error holds @words. */
static void assert_refused(struct peer *peer, const char *host, const char *words)
{
    struct client client;

    client_start(&client, peer, NULL);
    assert_int_equal(handshake(&client, host), WARREN_EIO);
    assert_int_equal(client.error.status, WARREN_EIO);
    if (!strstr(client.error.text, words))
        fail_msg("no \"%s\" in: %s", words, client.error.text);
    client_stop(&client, peer);
}

/* ---- who is let in ---- */

/* A broker named in a SAN is accepted, is told the name (SNI), and speaks TLS 1.2 or later. */
static void a_named_broker_is_accepted(void **state)
{
    struct peer peer = {.identity = &world.server};
    struct client client;

    (void)state;
    client_start(&client, &peer, NULL);
    if (handshake(&client, "broker.test") != WARREN_OK)
        fail_msg("%s", client.error.text);
    client_stop(&client, &peer);
    assert_string_equal(peer.seen_host, "broker.test");
    assert_true(peer.seen_version >= TLS1_2_VERSION);
}

/* TLS 1.2 is enough. */
static void tls_1_2_is_accepted(void **state)
{
    struct peer peer = {.identity = &world.server, .max_version = TLS1_2_VERSION};
    struct client client;

    (void)state;
    client_start(&client, &peer, NULL);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    client_stop(&client, &peer);
    assert_int_equal(peer.seen_version, TLS1_2_VERSION);
}

/* An address must stand in an IP SAN; no SNI is sent for it (RFC 6066, section 3). */
static void an_address_is_found_in_the_ip_sans(void **state)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct peer peer = {.identity = &world.server};
        struct client client;

        client_start(&client, &peer, NULL);
        assert_int_equal(handshake(&client, addresses[i]), WARREN_OK);
        client_stop(&client, &peer);
        assert_string_equal(peer.seen_host, "");
    }
}

/* A client certificate is shown to a broker that asks. */
static void a_client_certificate_is_shown(void **state)
{
    struct tls_options tls = {path("ca.pem"), path("client.pem"), path("client.key")};
    struct peer peer = {.identity = &world.server, .client_ca = &world.ca};
    struct client client;

    (void)state;
    client_start(&client, &peer, &tls);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    client_stop(&client, &peer);
    assert_string_equal(peer.seen_client, "worker");
}

/* ---- who is not ---- */

/* A host that is in no SAN is refused; the error names it and those that are. */
static void another_host_is_refused(void **state)
{
    struct peer by_name = {.identity = &world.server};
    struct peer by_address = {.identity = &world.server};

    (void)state;
    assert_refused(&by_name, "wrong.test",
                   "host name mismatch: the peer's certificate is not for \"wrong.test\" but for "
                   "DNS:broker.test, IP:127.0.0.1, IP:::1");
    assert_refused(&by_address, "127.0.0.2", "not for \"127.0.0.2\"");
}

/* A common name is no host name. */
static void a_common_name_does_not_count(void **state)
{
    struct peer peer = {.identity = &world.nameless};

    (void)state;
    assert_refused(&peer, "broker.test", "no subjectAltName");
}

/* An expired certificate, and one that is not valid yet, are called so. */
static void certificates_out_of_their_time_are_refused(void **state)
{
    struct peer expired = {.identity = &world.expired};
    struct peer future = {.identity = &world.future};

    (void)state;
    assert_refused(&expired, "broker.test",
                   "certificate expired: the peer's certificate is valid until 2");
    assert_refused(&future, "broker.test", "certificate not yet valid");
}

/* A certificate of another authority is refused, with a hint at the CA file. */
static void an_unknown_authority_is_refused(void **state)
{
    struct peer peer = {.identity = &world.other_ca};

    (void)state;
    assert_refused(&peer, "broker.test", "unknown authority");
}

/* TLS 1.1 is too old. */
static void tls_1_1_is_refused(void **state)
{
    struct peer peer = {.identity = &world.server, .max_version = TLS1_1_VERSION};

    (void)state;
    assert_refused(&peer, "broker.test", "TLS 1.2 or later");
}

/* A plain-text AMQP port and an HTTP server are called what they are: no TLS. */
static void a_plain_text_peer_is_recognised(void **state)
{
    struct peer amqp = {.conduct = PEER_PLAIN_TEXT, .words = "AMQP\1\1\11\1"};
    struct peer http = {.conduct = PEER_PLAIN_TEXT, .words = "HTTP/1.1 400 Bad Request\r\n\r\n"};

    (void)state;
    assert_refused(&amqp, "broker.test", "the peer does not speak TLS");
    assert_refused(&http, "broker.test", "the peer does not speak TLS");
}

/* A peer that closes during the handshake. */
static void a_peer_that_closes_early_is_told(void **state)
{
    struct peer peer = {.conduct = PEER_CLOSE};

    (void)state;
    assert_refused(&peer, "broker.test", "handshake");
}

/* A broker that asks in vain for a client certificate: at TLS 1.3, the first read tells. */
static void a_missing_client_certificate_is_told(void **state)
{
    struct peer peer = {.identity = &world.server, .client_ca = &world.ca};
    struct client client;
    char byte;

    (void)state;
    client_start(&client, &peer, NULL);
    if (handshake(&client, "broker.test") == WARREN_OK)
        assert_int_equal(read_some(&client, &byte, 1), -1);
    if (!strstr(client.error.text, "client certificate"))
        fail_msg("%s", client.error.text);
    client_stop(&client, &peer);
}

/* ---- bytes ---- */

/* Half a megabyte goes out and comes back, over many records and full sockets. */
static void many_bytes_go_there_and_back(void **state)
{
    const size_t total = 512 * 1024;
    struct peer peer = {.identity = &world.server};
    uint8_t *out = malloc(total), *in = malloc(total);
    size_t sent = 0, got = 0;
    struct client client;

    (void)state;
    assert_non_null(out);
    assert_non_null(in);
    for (size_t i = 0; i < total; i++)
        out[i] = (uint8_t)(i * 7 + i / 255);
    client_start(&client, &peer, NULL);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    while (got < total) {
        struct pollfd watch = {.fd = client.transport.fd, .events = POLLIN};
        ssize_t more;

        if (sent < total) {
            more = transport_write(&client.transport, out + sent, total - sent, &client.error);
            assert_true(more >= 0);
            sent += (size_t)more;
            if (sent < total)
                watch.events |= POLLOUT;
        }
        more = transport_read(&client.transport, in + got, total - got, &client.error);
        assert_true(more >= 0);
        got += (size_t)more;
        if (more == 0 && got < total)
            assert_int_equal(poll(&watch, 1, DEADLINE_MS), 1);
    }
    assert_memory_equal(in, out, total);
    client_stop(&client, &peer);
    free(out);
    free(in);
}

/* What a small read leaves of a record is pending although the socket is not readable. */
static void the_rest_of_a_record_is_pending(void **state)
{
    struct peer peer = {.identity = &world.server};
    struct client client;
    char data[8];

    (void)state;
    client_start(&client, &peer, NULL);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    assert_int_equal(transport_write(&client.transport, "12345678", 8, &client.error), 8);
    assert_int_equal(read_some(&client, data, 3), 3);
    assert_true(transport_pending(&client.transport));
    assert_int_equal(transport_read(&client.transport, data, 5, &client.error), 5);
    assert_memory_equal(data, "45678", 5);
    assert_int_equal(transport_read(&client.transport, data, 1, &client.error), 0);
    assert_false(transport_pending(&client.transport));
    client_stop(&client, &peer);
}

/* When the peer does not read, a write takes what fits, and then nothing, without waiting. */
static void a_full_socket_stops_writing(void **state)
{
    const size_t total = 8 * 1024 * 1024;
    struct peer peer = {.identity = &world.server, .conduct = PEER_SILENT};
    uint8_t *out = calloc(1, total);
    struct client client;
    ssize_t sent;

    (void)state;
    assert_non_null(out);
    client_start(&client, &peer, NULL);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    sent = transport_write(&client.transport, out, total, &client.error);
    assert_in_range(sent, 1, total - 1);
    assert_true(client.transport.wants_write);
    assert_int_equal(
        transport_write(&client.transport, out + sent, total - (size_t)sent, &client.error), 0);
    assert_true(client.transport.wants_write);
    client_stop(&client, &peer);
    free(out);
}

/* A connection that ends without TLS's goodbye is closed; writing to it raises no SIGPIPE (whose
 * default would end this program). */
static void a_dropped_connection_raises_no_signal(void **state)
{
    struct peer peer = {.identity = &world.server, .conduct = PEER_DROP};
    struct client client;
    char byte;

    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    client_start(&client, &peer, NULL);
    assert_int_equal(handshake(&client, "broker.test"), WARREN_OK);
    assert_int_equal(read_some(&client, &byte, 1), -1);
    assert_non_null(strstr(client.error.text, "closed the connection"));
    assert_int_equal(transport_write(&client.transport, "x", 1, &client.error), -1);
    client_stop(&client, &peer);
}

/* ---- files ---- */

static void assert_unusable(const struct tls_options *options, const char *words, const char *file)
{
    struct tls_context *context = NULL;
    struct warren_error error = {0};

    assert_int_equal(tls_context_new(options, &context, &error), WARREN_ECONFIG);
    assert_null(context);
    if (!strstr(error.text, words) || !strstr(error.text, file))
        fail_msg("no \"%s\" or \"%s\" in: %s", words, file, error.text);
}

/* Each file that is missing, no PEM, or does not fit is an error that names it. */
static void unusable_files_are_named(void **state)
{
    const char *missing = "/nonexistent/file.pem";

    (void)state;
    assert_unusable(&(struct tls_options){.ca_file = missing}, "No such file", missing);
    assert_unusable(&(struct tls_options){.ca_file = path("garbage.pem")}, "CA file",
                    "garbage.pem");
    assert_unusable(&(struct tls_options){path("ca.pem"), missing, path("client.key")},
                    "No such file", missing);
    assert_unusable(&(struct tls_options){path("ca.pem"), path("client.pem"), missing},
                    "No such file", missing);
    assert_unusable(&(struct tls_options){path("ca.pem"), path("client.pem"), path("server.key")},
                    "does not belong", "server.key");
    assert_unusable(&(struct tls_options){path("ca.pem"), path("client.pem"), NULL}, "two files",
                    "key");
    /* the passphrase is not asked for on the terminal */
    assert_unusable(
        &(struct tls_options){path("ca.pem"), path("client.pem"), path("encrypted.key")},
        "must not be encrypted", "encrypted.key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_broker_is_accepted),
        cmocka_unit_test(tls_1_2_is_accepted),
        cmocka_unit_test(an_address_is_found_in_the_ip_sans),
        cmocka_unit_test(a_client_certificate_is_shown),
        cmocka_unit_test(another_host_is_refused),
        cmocka_unit_test(a_common_name_does_not_count),
        cmocka_unit_test(certificates_out_of_their_time_are_refused),
        cmocka_unit_test(an_unknown_authority_is_refused),
        cmocka_unit_test(tls_1_1_is_refused),
        cmocka_unit_test(a_plain_text_peer_is_recognised),
        cmocka_unit_test(a_peer_that_closes_early_is_told),
        cmocka_unit_test(a_missing_client_certificate_is_told),
        cmocka_unit_test(many_bytes_go_there_and_back),
        cmocka_unit_test(the_rest_of_a_record_is_pending),
        cmocka_unit_test(a_full_socket_stops_writing),
        cmocka_unit_test(a_dropped_connection_raises_no_signal),
        cmocka_unit_test(unusable_files_are_named),
    };

    return cmocka_run_group_tests(tests, make_world, unmake_world);
}
