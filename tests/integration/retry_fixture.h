/* retry_fixture.h - what the tests of retries under faults share: a node of their own, a worker of
 * timed.record with its retries, and books on every attempt at every message.
 */
#ifndef TESTS_INTEGRATION_RETRY_FIXTURE_H
#define TESTS_INTEGRATION_RETRY_FIXTURE_H

#include <inttypes.h>
#include <signal.h>

#include "support/due.h"
#include "support/fixture.h"

#define PLUGINS      "plugins=" WARREN_PLUGIN_DIR "/timed.so"
#define ATTEMPTS_MAX 32

/* The attempts at one message, as its handler saw them. */
struct attempts {
    unsigned calls[ATTEMPTS_MAX]; /* by number of the attempt */
    int64_t at_ms[ATTEMPTS_MAX];  /* the first of them */
    unsigned latest;
    unsigned done; /* successes */
};

/* What timed.record wrote about the messages "...-0" to "...-(COUNT-1)". */
struct books {
    FILE *file;
    unsigned count;
    unsigned fail_first;
    unsigned lines;
    unsigned done;    /* messages that were handled at last */
    unsigned repeats; /* calls with the attempt number of an earlier one */
    struct attempts *of;
};

static int setup(void **state)
{
    struct fixture *f;

    fixture_setup(state);
    f = *state;
    f->own = calloc(1, sizeof(struct books));
    assert_non_null(f->own);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct books *books = f->own;

    if (books->file)
        fclose(books->file);
    free(books->of);
    return fixture_teardown(state);
}

/* A worker of timed.record that fails the first @fail_first attempts at each of @count messages;
 * @top are lines of the configuration's top, @options further ones of the handler. Not yet running.
 */
static void configure(struct fixture *f, unsigned count, unsigned fail_first, const char *top,
                      const char *options, const char *retry)
{
    struct books *books = f->own;
    char *record;

    f->worker = worker_new(f->broker->uri,
                           "%s\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: timed.record\n"
                           "    options: {path: calls, fail_first: %u, %s}\n"
                           "    middleware: [log, {retry: {%s}}, recover]\n",
                           top, f->queue, fail_first, options, retry);
    record = write_file(f->worker->directory, "calls", "");
    *books = (struct books){.file = fopen(record, "r"),
                            .count = count,
                            .fail_first = fail_first,
                            .of = calloc(count, sizeof *books->of)};
    assert_non_null(books->file);
    assert_non_null(books->of);
    free(record);
}

static void run(struct fixture *f)
{
    WORKER_RUN(f->worker, PLUGINS);
    if (!WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) == 1, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(f->worker->proc));
}

static void kill_worker(struct fixture *f)
{
    proc_signal(f->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
}

static void book(struct books *books, const char *line)
{
    const char *number_at = strrchr(line, '-');
    struct attempts *of;
    unsigned attempt;
    unsigned number;
    int64_t ms;

    assert_int_equal(sscanf(line, "%" SCNd64 " %u", &ms, &attempt), 2);
    assert_non_null(number_at);
    number = (unsigned)strtoul(number_at + 1, NULL, 10);
    assert_true(number < books->count);
    assert_in_range(attempt, 1, ATTEMPTS_MAX - 1);
    of = &books->of[number];
    books->lines++;
    if (of->calls[attempt]++ == 0)
        of->at_ms[attempt] = ms;
    else
        books->repeats++;
    if (attempt > of->latest)
        of->latest = attempt;
    if (attempt > books->fail_first && of->done++ == 0)
        books->done++;
}

/* Read what was added. */
static struct books *read_books(struct fixture *f)
{
    struct books *books = f->own;
    long at = ftell(books->file);
    char line[128];

    clearerr(books->file);
    while (fgets(line, sizeof line, books->file) && strchr(line, '\n')) {
        book(books, line);
        at = ftell(books->file);
    }
    fseek(books->file, at, SEEK_SET); /* half a line is read again */
    return books;
}

static bool all_tried(struct fixture *f, unsigned attempt)
{
    const struct books *books = read_books(f);

    for (unsigned i = 0; i < books->count; i++) {
        if (books->of[i].latest < attempt)
            return false;
    }
    return true;
}

static void wait_until_all_tried(struct fixture *f, unsigned attempt)
{
    if (!WAIT_FOR(all_tried(f, attempt), PATIENCE_MS))
        fail_msg("not all had attempt %u:\n%s", attempt, proc_stderr(f->worker->proc));
}

static void wait_until_all_done(struct fixture *f, int64_t ms)
{
    const struct books *books = f->own;

    if (!WAIT_FOR(read_books(f)->done == books->count, ms))
        fail_msg("%u of %u are handled:\n%s", books->done, books->count,
                 proc_stderr(f->worker->proc));
}

/* Each message had attempts 1, 2 and so on to the first that could succeed, each once. */
static void assert_counted_without_a_gap(struct fixture *f)
{
    const struct books *books = read_books(f);

    for (unsigned i = 0; i < books->count; i++) {
        for (unsigned attempt = 1; attempt <= books->fail_first + 1; attempt++)
            assert_int_equal(books->of[i].calls[attempt], 1);
        assert_int_equal(books->of[i].latest, books->fail_first + 1);
    }
}

/* The worker ends; all are handled, and none is given up. */
static void assert_none_lost(struct fixture *f)
{
    const struct books *books = f->own;

    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(read_books(f)->done, books->count);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
}

/* Nor is anything left in the queue. */
static void assert_all_gone(struct fixture *f)
{
    assert_none_lost(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

static void report(const struct fixture *f, const char *kind, const char *faults)
{
    const struct books *books = f->own;

    printf("%s, %s: %u messages, %u failures each; calls %u; handled %u; lost %u; "
           "attempts repeated %u; faults: %s\n",
           f->broker->name, kind, books->count, books->fail_first, books->lines, books->done,
           books->count - books->done, books->repeats, faults);
}

#endif
