/* dead_fixture.h - a worker of probe.record whose queue has dead letters, and what these say. */
#ifndef TESTS_INTEGRATION_DEAD_FIXTURE_H
#define TESTS_INTEGRATION_DEAD_FIXTURE_H

#include <unistd.h>

#include "amqp/wire/notes.h"
#include "support/fixture.h"

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
