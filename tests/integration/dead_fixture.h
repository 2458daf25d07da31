/* dead_fixture.h - a worker of probe.record whose queue has dead letters, and what these say. */
#ifndef TESTS_INTEGRATION_DEAD_FIXTURE_H
#define TESTS_INTEGRATION_DEAD_FIXTURE_H

#include <unistd.h>

#include "amqp/wire/annotations.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/proxy.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define PLUGINS "plugins=" WARREN_PLUGIN_DIR "/probe.so"

struct fixture {
    struct broker *broker; /* the shared one, and the peer's */
    struct proxy *proxy;   /* between worker and broker; NULL: there is none */
    struct peer *peer;
    char *queue; /* new for each test, as is */
    char *dlq;
    char *dlx;
    char *gate; /* a file */
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
    f->gate = write_file(WARREN_BINARY_DIR, f->queue, "");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    worker_free(f->worker);
    proxy_free(f->proxy);
    unlink(f->gate);
    peer_delete(f->peer, f->queue); /* with .dlq and .dlx */
    peer_free(f->peer);
    broker_free(f->broker);
    free(f->queue);
    free(f->dlq);
    free(f->dlx);
    free(f->gate);
    free(f);
    return 0;
}

/* A worker that declares the queue with @arguments, has @top below the queues in its file, and
 * gives the messages to probe.record with @options and @chain. Not yet running. */
static inline void configure(struct fixture *f, const char *arguments, const char *top,
                             const char *options, const char *chain)
{
    f->worker = worker_new(f->proxy ? proxy_uri(f->proxy) : f->broker->uri,
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

static inline void run(struct fixture *f)
{
    WORKER_RUN(f->worker, PLUGINS);
    if (!WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) > 0, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(f->worker->proc));
}

static inline void stop(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
}

static inline bool has_dead(struct fixture *f, int count)
{
    return WAIT_FOR(peer_count(f->peer, f->dlq) == count, PATIENCE_MS);
}

/* ---- what a dead letter says ---- */

static inline const amqp_field_value_t *header(const struct peer_message *message, const char *name)
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

static inline void assert_header(const struct peer_message *message, const char *name,
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

static inline void assert_integer(const struct peer_message *message, const char *name,
                                  int64_t expected)
{
    const amqp_field_value_t *value = header(message, name);

    if (!value)
        fail_msg("there is no header %s", name);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_I64);
    assert_int_equal(value->value.i64, expected);
}

static inline uint64_t time_in(const struct peer_message *message, const char *name)
{
    const amqp_field_value_t *value = header(message, name);

    if (!value)
        fail_msg("there is no header %s", name);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_TIMESTAMP);
    return value->value.u64;
}

static inline void take_dead(struct fixture *f, struct peer_message *message)
{
    assert_true(has_dead(f, 1));
    assert_true(peer_get(f->peer, f->dlq, message));
}

#endif
