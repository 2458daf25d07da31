/* test_dead_letters.c - where the messages go that no attempt can help, on a real broker: what a
 * worker rejects and what the broker itself gives up, with its envelope; and that nothing is lost
 * while the way there is blocked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/version.h>

#include "amqp/annotations.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/wait.h"
#include "support/worker.h"

#define PATIENCE_MS (30000 * (int64_t)slowness())
#define PLUGINS     "plugins=" WARREN_PLUGIN_DIR "/probe.so," WARREN_PLUGIN_DIR "/timed.so"

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    char *dlq;
    char *dlx;
    struct worker *worker;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->broker = broker_shared();
    f->peer = peer_new(f->broker->uri);
    f->queue = unique_name("dead");
    f->dlq = text("%s.dlq", f->queue);
    f->dlx = text("%s.dlx", f->queue);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    worker_free(f->worker);
    peer_delete(f->peer, f->queue); /* with .dlq and .dlx */
    peer_free(f->peer);
    broker_free(f->broker);
    free(f->queue);
    free(f->dlq);
    free(f->dlx);
    free(f);
    return 0;
}

/* A worker that declares the queue with @arguments, has @top in its file, and gives the messages to
 * probe.record with @options and @chain. Not yet running. */
static void configure(struct fixture *f, const char *arguments, const char *top,
                      const char *options, const char *chain)
{
    f->worker = worker_new(f->broker->uri,
                           "topology:\n"
                           "  queues:\n"
                           "    - {name: %s, %s}\n"
                           "%s\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, %s}\n"
                           "    middleware: %s\n",
                           f->queue, arguments, top, f->queue, options, chain);
}

static void run(struct fixture *f)
{
    WORKER_RUN(f->worker, PLUGINS);
    if (!WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) > 0, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(f->worker->proc));
}

static void stop(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
}

static bool has_dead(struct fixture *f, int count)
{
    return WAIT_FOR(peer_count(f->peer, f->dlq) == count, PATIENCE_MS);
}

/* ---- what a dead letter says ---- */

static const amqp_field_value_t *header(const struct peer_message *message, const char *name)
{
    const amqp_table_t *headers = &message->properties->headers;

    if (!(message->properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        return NULL;
    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];

        if (entry->key.len == strlen(name) && memcmp(entry->key.bytes, name, entry->key.len) == 0)
            return &entry->value;
    }
    return NULL;
}

static void assert_header(const struct peer_message *message, const char *name,
                          const char *expected)
{
    const amqp_field_value_t *value = header(message, name);
    char found[512];

    if (!value)
        fail_msg("there is no header %s", name);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_UTF8);
    snprintf(found, sizeof found, "%.*s", (int)value->value.bytes.len,
             (const char *)value->value.bytes.bytes);
    assert_string_equal(found, expected);
}

static void assert_integer(const struct peer_message *message, const char *name, int64_t expected)
{
    const amqp_field_value_t *value = header(message, name);

    if (!value)
        fail_msg("there is no header %s", name);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_I64);
    assert_int_equal(value->value.i64, expected);
}

static uint64_t time_in(const struct peer_message *message, const char *name)
{
    const amqp_field_value_t *value = header(message, name);

    if (!value)
        fail_msg("there is no header %s", name);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_TIMESTAMP);
    return value->value.u64;
}

static void take_dead(struct fixture *f, struct peer_message *message)
{
    assert_true(has_dead(f, 1));
    assert_true(peer_get(f->peer, f->dlq, message));
}

/* A rejected message is in the dead-letter queue, body and properties as they were, with an
 * envelope that says what happened; and nowhere else. */
static void a_rejected_message_has_its_envelope(void **state)
{
    struct fixture *f = *state;
    amqp_table_entry_t own = {
        .key = amqp_cstring_bytes("tenant"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("acme")}};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG |
                  AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                  AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_HEADERS_FLAG |
                  AMQP_BASIC_USER_ID_FLAG,
        .message_id = amqp_cstring_bytes("m-1"),
        .content_type = amqp_cstring_bytes("text/plain"),
        .correlation_id = amqp_cstring_bytes("c-1"),
        .reply_to = amqp_cstring_bytes("amq.rabbitmq.reply-to.gone"),
        .priority = 3,
        .timestamp = 1600000000,
        .type = amqp_cstring_bytes("order"),
        .app_id = amqp_cstring_bytes("shop"),
        .expiration = amqp_cstring_bytes("3600000"),
        .user_id = amqp_cstring_bytes("guest"),
        .headers = {1, &own}};
    uint64_t began = (uint64_t)time(NULL);
    struct peer_message dead;
    char host[65] = "";

    configure(f, "type: quorum", "", "outcome: reject", "[log, retry, recover]");
    run(f);
    peer_bind(f->peer, f->queue, "amq.topic", f->queue);
    peer_publish(f->peer, "amq.topic", f->queue, "a \0 body", 8, &properties);
    take_dead(f, &dead);
    assert_int_equal(dead.length, 8);
    assert_memory_equal(dead.body, "a \0 body", 8);
    assert_string_equal(dead.message_id, "m-1");
    assert_int_equal(dead.properties->_flags,
                     (properties._flags | AMQP_BASIC_DELIVERY_MODE_FLAG) &
                         ~(amqp_flags_t)(AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_USER_ID_FLAG));
    assert_int_equal(dead.properties->delivery_mode, 2);
    assert_int_equal(dead.properties->priority, 3);
    assert_int_equal(dead.properties->timestamp, 1600000000);
    assert_memory_equal(dead.properties->reply_to.bytes, "amq.rabbitmq.reply-to.gone", 26);
    assert_header(&dead, "tenant", "acme");
    assert_header(&dead, NOTE_REASON, REASON_REJECTED);
    assert_header(&dead, NOTE_QUEUE, f->queue);
    assert_header(&dead, NOTE_EXCHANGE, "amq.topic");
    assert_header(&dead, NOTE_ROUTING_KEY, f->queue);
    assert_header(&dead, NOTE_HANDLER, "probe.record");
    assert_header(&dead, NOTE_ERROR, "the probe was told to answer reject");
    assert_header(&dead, NOTE_VERSION, WARREN_VERSION);
    assert_header(&dead, NOTE_EXPIRATION, "3600000");
    assert_header(&dead, NOTE_USER_ID, "guest");
    gethostname(host, sizeof host - 1);
    assert_header(&dead, NOTE_HOST, host);
    assert_integer(&dead, NOTE_ATTEMPTS, 1);
    assert_in_range(time_in(&dead, NOTE_FIRST_FAILURE), began, (uint64_t)time(NULL));
    assert_in_range(time_in(&dead, NOTE_LAST_FAILURE), began, (uint64_t)time(NULL));
    assert_string_equal(dead.exchange, f->dlx);
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "rejected"), 1);
    assert_int_equal(worker_number(f->worker, "stopped", "dead_lettered"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rejected_message_has_its_envelope, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
