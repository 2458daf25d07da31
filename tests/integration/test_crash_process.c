/* test_crash_process.c - the process of a handler that crashed: it finishes what it can and goes on
 * as another one, or ends, as it is told.
 */
#include <dirent.h>
#include <unistd.h>

#include "crash_fixture.h"
#include "support/letters.h"

/* The next process has the id, the arguments and the environment of the first. */
static void it_executes_itself_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    char *pid;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    fixture_publish(fixture, "m-1", "segv");
    worker_run(fixture->worker, (const char *const[]){"crash.max_attempts=0", NULL});
    pid = text(" pid=%d ", (int)proc_pid(fixture->worker->proc));
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(started(fixture, pid) == 2, PATIENCE_MS));
    assert_int_equal(recorded(fixture, "begin m-%d ", 1), 1);
    assert_int_equal(worker_stop(fixture->worker), 0);
    free(pid);
}

static bool status_has(const struct fixture *fixture, const char *line)
{
    char *path = text("/proc/%d/status", (int)proc_pid(fixture->worker->proc));
    char *status = read_file(path, NULL);
    bool has = status && strstr(status, line);

    free(status);
    free(path);
    return has;
}

/* The worker was given a relative name. Its handler went to a folder that was removed, took all
 * rights away by its umask, and crashed: the next process begins where the first one did. SIGHUP
 * finds the file, too. */
static void it_begins_where_it_began(void **state)
{
    struct fixture *fixture = *state;
    char *command;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "crash: {max_attempts: 0}");
    fixture_publish(fixture, "m-1", "stray");
    command = text("cd '%s' && umask 027 && exec '%s' run -c worker.yaml",
                   fixture->worker->directory, WARREN_COMMAND);
    fixture->worker->proc =
        proc_start((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL);
    free(command);
    await_dead_letter(fixture);
    assert_int_equal(started(fixture, NULL), 2);
    assert_true(status_has(fixture, "Umask:\t0027\n"));
    assert_false(status_has(fixture, "SigIgn:\t0000000000011000\n")); /* SIGPIPE and SIGCHLD */
    fixture_publish(fixture, "m-2", "good");
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", 2) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "read again", NULL) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
}

/* Who is told to end while it drains after a crash ends. The message is still there. */
static void told_to_stop_it_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    fixture_publish(fixture, "m-1", "slow");
    fixture_publish(fixture, "m-2", "segv");
    worker_consume(fixture->worker, 1);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "handler crashed", NULL) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 1);
    assert_int_equal(started(fixture, NULL), 1);
    assert_int_equal(recorded(fixture, "done m-%d ", 1), 1);
    assert_int_equal(recorded(fixture, "begin m-%d ", 2), 1);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
}

/* A second crash while the first one is being drained. */
static void two_crash_at_once(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    for (int i = 0; i < 4; i++)
        fixture_publish(fixture, (const char *const[]){"m-0", "m-1", "m-2", "m-3"}[i],
                        (const char *const[]){"segv", "slow", "abort", "slow"}[i]);
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", 1) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", 3) == 1, PATIENCE_MS));
    assert_int_equal(recorded(fixture, "begin m-%d ", 0), 2);
    assert_int_equal(recorded(fixture, "begin m-%d ", 2), 2);
    assert_int_equal(worker_stop(fixture->worker), 0);
}

/* The main thread waits for ever for a lock that the crashed one holds: the process executes itself
 * all the same. */
static void a_lock_that_is_never_released(void **state)
{
    struct fixture *fixture = *state;
    char *other = text("%s.other", fixture->queue);

    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_declare(fixture->peer, other, "classic");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "drain: {timeout: 2s}\n"
                                 "crash: {max_attempts: 0}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    options: {path: record}\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    options: {path: other, close_locks: true}\n",
                                 fixture->queue, other);
    fixture_publish(fixture, "m-1", "lock");
    worker_consume(fixture->worker, 2);
    await_dead_letter(fixture);
    assert_int_equal(started(fixture, NULL), 2);
    assert_int_equal(worker_logged(fixture->worker, "executing itself again", NULL), 0);
    assert_int_equal(worker_stop(fixture->worker), 0);
    peer_delete(fixture->peer, other);
    free(other);
}

static bool ends_by_sigterm(struct fixture *fixture)
{
    proc_signal(fixture->worker->proc, SIGTERM);
    return proc_wait(fixture->worker->proc, 200) != PROC_RUNNING;
}

/* All is drained, and the handler's `close` waits for ever: a second signal ends the process. */
static void a_second_signal_ends_what_hangs(void **state)
{
    struct fixture *fixture = *state;

#ifdef __SANITIZE_THREAD__
    skip(); /* it keeps a signal back until pthread_mutex_lock() returns, which it never does */
#endif
    peer_declare(fixture->peer, fixture->queue, "classic");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    options: {path: record, close_locks: true}\n",
                                 fixture->queue);
    fixture->record = worker_path(fixture->worker, "record");
    fixture_publish(fixture, "m-1", "hold");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", 1) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "msg=stopped", NULL) == 1, PATIENCE_MS));
    assert_int_equal(proc_wait(fixture->worker->proc, 100), PROC_RUNNING);
    assert_true(WAIT_FOR(ends_by_sigterm(fixture), PATIENCE_MS));
    assert_int_equal(proc_wait(fixture->worker->proc, 0), 1);
    worker_expect_logged(fixture->worker, "second signal did not end", NULL, 1);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* A handler spoils the heap and answers ACK: whoever uses it next crashes, such as warren behind
 * the handler, again and again. That one message is found, and all others are handled. */
static void a_heap_that_was_overrun(void **state)
{
    struct fixture *fixture = *state;
    char id[16];

    if (slowness() > 1) /* a sanitizer ends the process by itself */
        skip();
    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        fixture_publish(fixture, id, i == 12 ? "overrun" : "good");
    }
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    for (int i = 0; i < 30; i++)
        assert_true(WAIT_FOR(i == 12 || recorded(fixture, "done m-%d ", i) >= 1, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "message is quarantined", "message_id=m-12 ", 1);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "process fell", "signal=SIG") >= 1, PATIENCE_MS));
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 1);
}

/* A plugin's `key` or `before` crashes on the event loop. The process begins anew at once, the next
 * one says whose message it was, and gives it up when it does it again; all others are handled. */
static void a_crash_on_the_loop(void **state)
{
    static const struct {
        const char *handler, *link, *body;
    } ways[] = {{"keyed", "idempotency: {key: handler}", "key-segv"},
                {"keyed", "idempotency: {key: handler}", "key-overflow"},
                {"run", "crashing.ahead", "before-abort"}};
    struct fixture *f = *state;
    char id[16];

    if (slowness() > 1) /* a sanitizer ends the process by itself */
        skip();
    peer_declare(f->peer, f->queue, "quorum");
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct peer_message letter;

        f->worker = worker_new(f->broker->uri,
                               "store: {path: store.db}\n"
                               "subscriptions:\n"
                               "  - {queue: %s, handler: crashing.%s, prefetch: 8,\n"
                               "     options: {path: record}, middleware: [log, %s, recover]}\n",
                               f->queue, ways[way].handler, ways[way].link);
        f->record = worker_path(f->worker, "record");
        for (int i = 0; i < 20; i++) {
            snprintf(id, sizeof id, "m-%d", i);
            fixture_publish(f, id, i == 7 ? ways[way].body : id);
        }
        worker_consume(f->worker, 1);
        await_dead_letter(f);
        for (int i = 0; i < 20; i++)
            assert_true(WAIT_FOR(i == 7 || recorded(f, "done m-%d ", i) >= 1, PATIENCE_MS));
        assert_int_equal(worker_stop(f->worker), 0);
        assert_int_equal(recorded(f, "begin m-%d ", 7), 0);
        worker_expect_logged(f->worker, "process crashed in a plugin's `key` or `before`",
                             "message_id=m-7 ", 2);
        worker_expect_logged(f->worker, "message is quarantined", "on the event loop, 2 times", 1);
        assert_int_equal(peer_count(f->peer, f->queue), 0);
        assert_true(peer_get(f->peer, f->dlq, &letter));
        assert_string_equal(letter.message_id, "m-7");
        assert_true(letter_says(&letter, "x-warren-reason", "crash"));
        peer_message_done(&letter);
        worker_free(f->worker);
        free(f->record);
        f->worker = NULL;
        f->record = NULL;
    }
}

/* Somebody wants a core dump: that is no crash of a handler. */
static void a_signal_from_outside_ends_the_process(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    fixture_publish(fixture, "m-1", "slow");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "begin m-%d ", 1) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGABRT);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGABRT);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
}

/* ---- without a signal ---- */

/* A handler ends its thread: that is noticed, costs its own message, and nothing waits for ever. A
 * worker's thread cannot be cancelled. */
static void a_handler_that_ends_its_thread(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "");
    fixture_publish(fixture, "m-1", "cancel");
    fixture_publish(fixture, "m-2", "leave");
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", 1) == 1, PATIENCE_MS));
    assert_int_equal(recorded(fixture, "begin m-%d ", 2), 2);
    worker_expect_logged(fixture->worker, "handler ended its thread", "message_id=m-2 ", 2);
    worker_expect_logged(fixture->worker, "message is quarantined",
                         "the handler ended its thread, or the process, 2 times", 1);
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* A handler ends the process, as if all were well: that is told, is no success, and it is known who
 * did it. */
static void a_handler_that_ends_the_process(void **state)
{
    static const char *const says[] = {"called exit(0) for message \\\"m-1\\\"",
                                       "called quick_exit for message \\\"m-1\\\""};
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "state_dir: state");
    for (int i = 0; i < 2; i++) {
        fixture_publish(fixture, "m-1", (const char *const[]){"exit", "quick"}[i]);
        worker_run(fixture->worker, NULL);
        assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), 1);
        worker_expect_logged(fixture->worker, "level=error", says[i], 1);
        worker_run(fixture->worker, NULL); /* it runs alone, once more */
        assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), 1);
        worker_consume(fixture->worker, 1);
        assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == i + 1, PATIENCE_MS));
        assert_int_equal(worker_stop(fixture->worker), 0);
        assert_int_equal(
            worker_logged(fixture->worker, "message is quarantined", "message_id=m-1 crashes=2"),
            1);
    }
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* ---- what outlives it ---- */

/* The one thread has come back from what it handled: it has handled another message. */
static void pass_by(struct fixture *fixture, int number)
{
    char id[32];

    snprintf(id, sizeof id, "m-%d", number);
    fixture_publish(fixture, id, "good");
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d 1\n", number) >= 1, PATIENCE_MS));
}

/* Attempts of a message that waits in memory for the next one are not forgotten. */
static void attempts_survive_a_kill(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    concurrency = 1;
    make_worker(fixture, "log, {retry: {policy: immediate, max_attempts: 3}}, recover",
                "state_dir: state");
    fixture_publish(fixture, "m-1", "fail");
    for (int attempt = 1; attempt <= 2; attempt++) {
        worker_run(fixture->worker, NULL);
        assert_true(
            WAIT_FOR(worker_logged(fixture->worker, "message handled", "message_id=m-1 ") == 1,
                     PATIENCE_MS));
        pass_by(fixture, 1 + attempt);
        proc_signal(fixture->worker->proc, SIGKILL);
        assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
        for (int i = 1; i <= 3; i++) {
            char line[32];

            snprintf(line, sizeof line, "begin m-1 %d\n", i);
            assert_int_equal(recorded(fixture, line, 0), i <= attempt);
        }
    }
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_int_equal(recorded(fixture, "begin m-%d 3\n", 1), 1);
    assert_int_equal(recorded(fixture, "begin m-%d ", 1), 3);
    assert_int_equal(worker_stop(fixture->worker), 0);
}

/* The process is killed once, with equal messages in three threads: each runs alone, none is
 * blamed for more than one crash. */
static void equal_messages_survive_a_kill(void **state)
{
    struct fixture *fixture = *state;
    char *all;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "state_dir: state");
    for (int i = 0; i < 3; i++)
        fixture_publish(fixture, "m-1", "stay");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "begin m-%d 1\n", 1) == 3, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d 1\n", 1) == 3, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    worker_expect_logged(fixture->worker, "suspected message runs alone", "crashes=1", 3);
    all = read_file(fixture->record, NULL);
    assert_string_equal(all, "begin m-1 1\nbegin m-1 1\nbegin m-1 1\n"
                             "begin m-1 1\ndone m-1 1\nbegin m-1 1\ndone m-1 1\n"
                             "begin m-1 1\ndone m-1 1\n");
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 0);
    free(all);
}

/* The one file of the flight recorder; the caller frees. */
static char *flight_file(const struct fixture *fixture)
{
    char *directory = worker_path(fixture->worker, "state");
    DIR *entries = opendir(directory);
    struct dirent *entry;
    char *path = NULL;

    assert_non_null(entries);
    while ((entry = readdir(entries)))
        if (strncmp(entry->d_name, "flight-", 7) == 0 && !path)
            path = text("%s/%s", directory, entry->d_name);
    closedir(entries);
    free(directory);
    assert_non_null(path);
    return path;
}

/* What a killed process left is damaged: that is told, and costs no message. */
static void a_damaged_recorder(void **state)
{
    struct fixture *fixture = *state;
    char *path;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "state_dir: state");
    fixture_publish(fixture, "m-1", "stay");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "begin m-%d 1\n", 1) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    path = flight_file(fixture);
    assert_int_equal(truncate(path, 1000), 0);
    worker_consume(fixture->worker, 1);
    worker_expect_logged(fixture->worker, "level=warn", path, 1);
    worker_expect_logged(fixture->worker, path, "error=\"it is not as long as it says\"", 1);
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d 1\n", 1) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

/* Without a place for it the worker does not start, and says why. */
static void no_place_for_a_recorder(void **state)
{
    struct fixture *fixture = *state;
    const char *told;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "log, recover", "state_dir: /proc");
    worker_run(fixture->worker, NULL);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), 2);
    told = strstr(proc_stderr(fixture->worker->proc), "state_dir /proc: cannot make a file: ");
    assert_non_null(told);
    assert_null(strstr(told + 1, "state_dir"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_executes_itself_as_it_was),
        TEST(it_begins_where_it_began),
        TEST(told_to_stop_it_does_not_come_back),
        TEST(two_crash_at_once),
        TEST(a_lock_that_is_never_released),
        TEST(a_second_signal_ends_what_hangs),
        TEST(a_heap_that_was_overrun),
        TEST(a_crash_on_the_loop),
        TEST(a_signal_from_outside_ends_the_process),
        TEST(a_handler_that_ends_its_thread),
        TEST(a_handler_that_ends_the_process),
        TEST(attempts_survive_a_kill),
        TEST(equal_messages_survive_a_kill),
        TEST(a_damaged_recorder),
        TEST(no_place_for_a_recorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
