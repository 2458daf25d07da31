/* worker.h - `warren run` with a configuration of its own. Thread: the test's.
 * Elsewhere: what its handlers did (tally.h).
 */
#ifndef TESTS_SUPPORT_WORKER_H
#define TESTS_SUPPORT_WORKER_H

#include <stdbool.h>

#include "support/broker.h"
#include "support/proc.h"

struct worker {
    struct proc *proc; /* NULL: not started */
    char *directory;   /* holds worker.yaml and what the handlers write */
    char *config;      /* path of worker.yaml */
};

/**
 * Write a configuration: broker @uri with short delays between reconnects, the plugins of
 * tests/plugins and handlers/ that tests use, then the YAML of @format, which has no section
 * `broker` or `plugins`.
 */
struct worker *worker_new(const char *uri, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Start `warren run`, each @sets ("broker.heartbeat=1s", NULL-terminated) as its --set. */
void worker_run(struct worker *worker, const char *const *sets);
#define WORKER_RUN(worker, ...) worker_run(worker, (const char *const[]){__VA_ARGS__, NULL})

/** The same without any, and wait until all its @subscriptions consume. Fails the test if not. */
void worker_consume(struct worker *worker, int subscriptions);

/**
 * Run it in many lives, each of which ends by SIGKILL right after so many commits, 1 to @most in
 * turn, until @done says that all is done: then it still runs. Another end fails the test.
 *
 * @return  how often it was killed
 */
int worker_live_and_die(struct worker *worker, int most, bool (*done)(void *user), void *user);

/** Wait until the classic @queue has no messages; else fail the test with what the worker said. */
void worker_expect_empty(struct worker *worker, const struct broker *broker, const char *queue);

/** SIGTERM, and the exit status, or PROC_RUNNING after 20 s (times slowness()). */
int worker_stop(struct worker *worker);

/** Ends the program and removes the directory. NULL is fine. */
void worker_free(struct worker *worker);

/** DIRECTORY/NAME; the caller frees. */
char *worker_path(const struct worker *worker, const char *name);

/** How many lines of the log have each of the texts; @second may be NULL. */
int worker_logged(struct worker *worker, const char *first, const char *second);

/** There are exactly @count such lines, soon: the log is written by a thread of its own, so a line
 * may come after what it tells of. */
void worker_expect_logged(struct worker *worker, const char *first, const char *second, int count);

/** The number behind " KEY=" in the last line of the log that has @event, or -1. */
long worker_number(struct worker *worker, const char *event, const char *key);

#endif
