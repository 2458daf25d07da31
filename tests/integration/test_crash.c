/* test_crash.c - handlers that crash, on a real broker: one message of many ends the process, and
 * costs nothing but itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/annotations.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/wait.h"
#include "support/worker.h"

#define PATIENCE_MS (30000 * (int64_t)slowness())
#define MESSAGES    50
#define GUILTY      20

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    char *dlq;
    char *record; /* the file that the handler writes, once there is a worker */
    int concurrency;
    struct worker *worker;
};

static int setup(void **state)
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

static int teardown(void **state)
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

static void declare(struct fixture *fixture)
{
    peer_declare(fixture->peer, fixture->queue, "quorum");
}

/* A worker with crashing.run; @more are lines of the configuration's top. */
static void make_worker(struct fixture *fixture, const char *chain, const char *more)
{
    fixture->worker = worker_new(fixture->broker->uri,
                                 "%s\n"
                                 "drain: {timeout: 20s}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    prefetch: %d\n"
                                 "    concurrency: %d\n"
                                 "    options: {path: record, work: 5ms, slow: 500ms, again: 2s}\n"
                                 "    middleware: [%s]\n",
                                 more, fixture->queue, MESSAGES, fixture->concurrency, chain);
    fixture->record = worker_path(fixture->worker, "record");
}

static void publish(struct fixture *fixture, const char *id, const char *body)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(id)};

    peer_publish(fixture->peer, "", fixture->queue, body, strlen(body), &properties);
}

/* Number @guilty has @body; the others do no harm. */
static void publish_all(struct fixture *fixture, const char *body, int guilty)
{
    char id[32];

    for (int i = 0; i < MESSAGES; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        publish(fixture, id, i == guilty ? body : "good");
    }
}

/* The header @name of a dead letter as text; "" if there is none. */
static const char *header(const struct peer_message *message, const char *name, char *room,
                          size_t size)
{
    const amqp_table_t *headers = &message->properties->headers;

    room[0] = '\0';
    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];
        const amqp_bytes_t *bytes = &entry->value.value.bytes;

        if (entry->key.len != strlen(name) || memcmp(entry->key.bytes, name, entry->key.len) != 0)
            continue;
        if (entry->value.kind == AMQP_FIELD_KIND_I64)
            snprintf(room, size, "%lld", (long long)entry->value.value.i64);
        else if (entry->value.kind == AMQP_FIELD_KIND_UTF8)
            snprintf(room, size, "%.*s", (int)bytes->len, (const char *)bytes->bytes);
    }
    return room;
}

/* The dead letter is of this message, and says how it came to that. NULL: there is no such note. */
static void assert_dead_letter(struct fixture *fixture, const char *id, const char *signal,
                               const char *function, const char *attempts)
{
    struct peer_message dead;
    char room[8192];

    assert_true(peer_get(fixture->peer, fixture->dlq, &dead));
    assert_string_equal(dead.message_id, id);
    assert_string_equal(header(&dead, NOTE_REASON, room, sizeof room), REASON_CRASH);
    assert_string_equal(header(&dead, NOTE_SIGNAL, room, sizeof room), signal ? signal : "");
    assert_string_equal(header(&dead, NOTE_ATTEMPTS, room, sizeof room), attempts);
    header(&dead, NOTE_BACKTRACE, room, sizeof room);
    if (function ? !strstr(room, function) : *room)
        fail_msg("the backtrace is: %s", room);
    peer_message_done(&dead);
}

static int recorded(const struct fixture *fixture, const char *format, int number)
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

static int all_done(const struct fixture *fixture)
{
    int done = 0;

    for (int i = 0; i < MESSAGES; i++)
        done += recorded(fixture, "done m-%d 1\n", i) > 0;
    return done;
}

static void await_dead_letter(struct fixture *fixture)
{
    if (!WAIT_FOR(peer_count(fixture->peer, fixture->dlq) == 1, PATIENCE_MS))
        fail_msg("no dead letter:\n%s", proc_stderr(fixture->worker->proc));
}

/* Each message but the guilty one was handled once, in its first attempt. */
static void assert_innocent_are_handled_once(const struct fixture *fixture)
{
    for (int i = 0; i < MESSAGES; i++) {
        if (i == GUILTY)
            continue;
        assert_int_equal(recorded(fixture, "begin m-%d ", i), 1);
        assert_int_equal(recorded(fixture, "done m-%d 1\n", i), 1);
    }
}

/* The guilty message ends the process twice, the second time alone, and then is a dead letter. */
static void assert_one_crashes(struct fixture *fixture, const char *guilty, const char *signal,
                               const char *function)
{
    char name[16];

    declare(fixture);
    make_worker(fixture, "log, {retry: {policy: immediate}}, recover", "");
    publish_all(fixture, guilty, GUILTY);
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_innocent_are_handled_once(fixture);
    assert_int_equal(recorded(fixture, "begin m-%d 1\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d 2\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d ", GUILTY), 2);
    assert_int_equal(worker_logged(fixture->worker, "handler crashed", signal), 2);
    assert_true(worker_logged(fixture->worker, "msg=backtrace", function) >= 2);
    assert_int_equal(worker_logged(fixture->worker, "message is quarantined", "message_id=m-20"),
                     1);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signal + 7, " "), signal + 7);
    assert_dead_letter(fixture, "m-20", name, function, "2");
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

static void a_segmentation_fault(void **state)
{
    assert_one_crashes(*state, "segv", "signal=SIGSEGV address=0x0", " read_nowhere+0x");
}

static void a_bus_error(void **state)
{
    assert_one_crashes(*state, "bus", "signal=SIGBUS", " read_behind_the_file+0x");
}

static void a_division_by_zero(void **state)
{
    assert_one_crashes(*state, "fpe", "signal=SIGFPE", " divide_by_zero+0x");
}

static void an_illegal_instruction(void **state)
{
    assert_one_crashes(*state, "ill", "signal=SIGILL", " do_nonsense+0x");
}

static void a_raised_signal(void **state)
{
    assert_one_crashes(*state, "abrt", "signal=SIGABRT", " raise_abrt+0x");
}

/* abort() does not return, and does not end the process either. */
static void an_abort(void **state)
{
    assert_one_crashes(*state, "abort", "signal=SIGABRT", " run+0x");
}

/* There is no frame of the function that was called, only one of its caller. */
static void a_call_of_nothing(void **state)
{
    assert_one_crashes(*state, "null", "signal=SIGSEGV address=0x0", " call_null+0x");
}

/* The signal's handler has a stack of its own. */
static void a_stack_overflow(void **state)
{
    assert_one_crashes(*state, "overflow", "signal=SIGSEGV", " recurse+0x");
}

/* ---- the hard limit ---- */

/* A handler that never returns is told of with its calls, and costs its message alone. */
static void a_handler_that_hangs(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    make_worker(fixture,
                "log, {retry: {policy: immediate}}, {deadline: {limit: 100ms, hard_limit: 400ms}}, "
                "recover",
                "");
    publish_all(fixture, "hang", GUILTY);
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_innocent_are_handled_once(fixture);
    assert_int_equal(recorded(fixture, "begin m-%d 1\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d 2\n", GUILTY), 1);
    assert_int_equal(worker_logged(fixture->worker, "handler did not return by its hard limit",
                                   "message_id=m-20 attempt="),
                     2);
    assert_true(worker_logged(fixture->worker, "msg=backtrace", " hang+0x") >= 2);
    assert_dead_letter(fixture, "m-20", NULL, " hang+0x", "2");
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

/* ---- the process goes on ---- */

static int started(struct fixture *fixture, const char *with)
{
    return worker_logged(fixture->worker, "msg=starting", with);
}

/* The next process has the id, the arguments and the environment of the first. */
static void it_executes_itself_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    char *pid;

    declare(fixture);
    make_worker(fixture, "log, recover", "");
    publish(fixture, "m-1", "segv");
    worker_run(fixture->worker, (const char *const[]){"crash.max_attempts=0", NULL});
    pid = text(" pid=%d ", (int)proc_pid(fixture->worker->proc));
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(started(fixture, pid) == 2, PATIENCE_MS));
    assert_int_equal(recorded(fixture, "begin m-%d ", 1), 1);
    assert_int_equal(worker_stop(fixture->worker), 0);
    free(pid);
}

/* Who is told to end while it drains after a crash ends. The message is still there. */
static void told_to_stop_it_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    make_worker(fixture, "log, recover", "");
    publish(fixture, "m-1", "slow");
    publish(fixture, "m-2", "segv");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "msg=draining", NULL) == 1, PATIENCE_MS));
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

    declare(fixture);
    make_worker(fixture, "log, recover", "");
    for (int i = 0; i < 4; i++)
        publish(fixture, (const char *const[]){"m-0", "m-1", "m-2", "m-3"}[i],
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

    declare(fixture);
    peer_declare(fixture->peer, other, "classic");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "drain: {timeout: 100ms}\n"
                                 "crash: {max_attempts: 0}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    options: {path: record}\n"
                                 "  - queue: %s\n"
                                 "    handler: crashing.run\n"
                                 "    options: {path: other, close_locks: true}\n",
                                 fixture->queue, other);
    publish(fixture, "m-1", "lock");
    worker_consume(fixture->worker, 2);
    await_dead_letter(fixture);
    assert_int_equal(started(fixture, NULL), 2);
    assert_int_equal(worker_logged(fixture->worker, "executing itself again", NULL), 0);
    assert_int_equal(worker_stop(fixture->worker), 0);
    peer_delete(fixture->peer, other);
    free(other);
}

/* Somebody wants a core dump: that is no crash of a handler. */
static void a_signal_from_outside_ends_the_process(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    make_worker(fixture, "log, recover", "");
    publish(fixture, "m-1", "slow");
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(recorded(fixture, "begin m-%d ", 1) == 1, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGABRT);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGABRT);
    assert_true(WAIT_FOR(peer_count(fixture->peer, fixture->queue) == 1, PATIENCE_MS));
}

/* ---- SIGKILL ---- */

/* The one thread has come back from what it handled: it has handled another message. */
static void pass_by(struct fixture *fixture, int number)
{
    char id[32];

    snprintf(id, sizeof id, "m-%d", number);
    publish(fixture, id, "good");
    assert_true(WAIT_FOR(recorded(fixture, "done m-%d 1\n", number) >= 1, PATIENCE_MS));
}

/* Attempts of a message that waits in memory for the next one are not forgotten. */
static void attempts_survive_a_kill(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    fixture->concurrency = 1;
    make_worker(fixture, "log, {retry: {policy: immediate, max_attempts: 3}}, recover",
                "state_dir: state");
    publish(fixture, "m-1", "fail");
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

/* Nobody can say what killed the process, so whatever was in a handler then is suspected, and runs
 * alone once; only the guilty one does it again. */
static void a_message_that_kills_the_process_is_found(void **state)
{
    struct fixture *fixture = *state;

    declare(fixture);
    make_worker(fixture, "log, {retry: {policy: immediate}}, recover", "state_dir: state");
    publish_all(fixture, "kill", 0);
    for (int i = 0; i < 2; i++) {
        worker_run(fixture->worker, NULL);
        assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    }
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    for (int i = 1; i < MESSAGES; i++)
        assert_int_equal(recorded(fixture, "done m-%d ", i), 1);
    assert_int_equal(recorded(fixture, "begin m-%d ", 0), 2);
    assert_dead_letter(fixture, "m-0", NULL, NULL,
                       "1"); /* the first time it may have been others */
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_segmentation_fault),
        TEST(a_bus_error),
        TEST(a_division_by_zero),
        TEST(an_illegal_instruction),
        TEST(a_raised_signal),
        TEST(an_abort),
        TEST(a_call_of_nothing),
        TEST(a_stack_overflow),
        TEST(a_handler_that_hangs),
        TEST(it_executes_itself_as_it_was),
        TEST(told_to_stop_it_does_not_come_back),
        TEST(two_crash_at_once),
        TEST(a_lock_that_is_never_released),
        TEST(a_signal_from_outside_ends_the_process),
        TEST(attempts_survive_a_kill),
        TEST(a_message_that_kills_the_process_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
