/* crash_fixture.h - a queue, and a worker with `crashing.run`, whose messages crash. */
#ifndef TESTS_INTEGRATION_CRASH_FIXTURE_H
#define TESTS_INTEGRATION_CRASH_FIXTURE_H

#include <signal.h>
#include <time.h>

#include "amqp/wire/notes.h"
#include "support/fixture.h"

#define MESSAGES 50

/* How make_worker() makes it. */
static int concurrency;
static bool keys; /* it remembers what was handled */

/* A fixture, and the ways of a worker as they are by default. */
static inline int setup(void **state)
{
    concurrency = 4;
    keys = false;
    return fixture_setup(state);
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
                                 more, fixture->queue, MESSAGES, concurrency, chain);
    fixture->record = worker_path(fixture->worker, "record");
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
