/* crash_fixture.h - a queue, and a worker with `crashing.run`, whose messages crash. */
#ifndef TESTS_INTEGRATION_CRASH_FIXTURE_H
#define TESTS_INTEGRATION_CRASH_FIXTURE_H

#include <signal.h>
#include <time.h>

#include "amqp/wire/annotations.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

#define MESSAGES 50

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    char *dlq;
    char *record; /* the file that the handler writes, once there is a worker */
    int concurrency;
    bool keys; /* remember what was handled */
    struct worker *worker;
};

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->broker = broker_shared();
    fixture->peer = peer_new(fixture->broker->uri);
    fixture->queue = unique_name("crash");
    fixture->dlq = text("%s.dlq", fixture->queue);
    fixture->concurrency = 4;
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    peer_delete(fixture->peer, fixture->queue); /* with .dlq */
    peer_free(fixture->peer);
    broker_free(fixture->broker);
    free(fixture->queue);
    free(fixture->dlq);
    free(fixture->record);
    free(fixture);
    return 0;
}

static inline void declare(struct fixture *fixture)
{
    peer_declare(fixture->peer, fixture->queue, "quorum");
}

/* A worker with crashing.run; @more are lines of the configuration's top. */
static inline void make_worker(struct fixture *fixture, const char *chain, const char *more)
{
    fixture->worker = worker_new(fixture->broker->uri,
                                 "%s\n"
                                 "drain: {timeout: 20s}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    prefetch: %d\n"
                                 "    concurrency: %d\n"
                                 "    options: {path: record, gate: gate, work: 5ms, slow: 2s, "
                                 "again: 2s}\n"
                                 "    middleware: [%s]\n",
                                 more, fixture->queue, MESSAGES, fixture->concurrency, chain);
    fixture->record = worker_path(fixture->worker, "record");
}

static inline void publish(struct fixture *fixture, const char *id, const char *body)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(id)};

    peer_publish(fixture->peer, "", fixture->queue, body, strlen(body), &properties);
}

static inline int recorded(const struct fixture *fixture, const char *format, int number)
{
    char *all = read_file(fixture->record, NULL);
    char line[64];
    int count = 0;

    snprintf(line, sizeof line, format, number);
    for (const char *at = all; at && (at = strstr(at, line)); at += strlen(line))
        count += at == all || at[-1] == '\n';
    free(all);
    return count;
}

static inline void await_dead_letter(struct fixture *fixture)
{
    if (!WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == 1, PATIENCE_MS))
        fail_msg("no dead letter:\n%s", proc_stderr(fixture->worker->proc));
}

static inline int started(struct fixture *fixture, const char *with)
{
    return worker_logged(fixture->worker, "msg=starting", with);
}

#endif
