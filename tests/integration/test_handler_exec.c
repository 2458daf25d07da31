/* test_handler_exec.c - exec.run in a real worker: what a command is given, what its end does to
 * the message, and what it leaves behind.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fixture.h"

/*
 * A worker that runs @script, of a shell, for each message; @options are more of the handler's.
 * The script finds its directory in $dir.
 */
static void start(struct fixture *f, const char *script, const char *options)
{
    char *whole = text("#!/bin/sh\ndir=${0%%/*}\n%s", script);
    char *path = write_file(f->directory, "script", whole);

    f->record = text("%s/out", f->directory);
    assert_int_equal(chmod(path, 0755), 0);
    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: exec.run\n"
                           "    concurrency: 4\n"
                           "    options: {command: ['%s', first, 'a b'], %s}\n",
                           f->queue, path, options);
    worker_consume(f->worker, 1);
    free(path);
    free(whole);
}

/* The content of `out` once it has @lines lines; the caller frees. */
static char *out_of(struct fixture *f, size_t lines)
{
    if (!WAIT_FOR(count_lines(f->record) >= lines, PATIENCE_MS))
        fail_msg("%zu lines, expected %zu; the worker said:\n%s", count_lines(f->record), lines,
                 proc_stderr(f->worker->proc));
    return read_file(f->record, NULL);
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;

    while ((text = strstr(text, part))) {
        found++;
        text += strlen(part);
    }
    return found;
}

static void expect_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* ---- what a command is given ---- */

/* The body on standard input, byte for byte, and the words as they were written. */
static void body_and_words(void **state)
{
    struct fixture *f = *state;
    const char body[] = "one\ntwo \0 three";
    size_t length = 0;
    char *found;

    start(f, "cat > $dir/body; echo \"$# $1 $2\" > $dir/out", "");
    peer_publish(f->peer, "", f->queue, body, sizeof body, NULL);
    found = out_of(f, 1);
    assert_string_equal(found, "2 first a b\n");
    free(found);
    found = text("%s/body", f->directory);
    free(f->record);
    f->record = found;
    found = read_file(f->record, &length);
    assert_int_equal(length, sizeof body);
    assert_memory_equal(found, body, sizeof body);
    free(found);
    fixture_stop_and_expect(f, 0, 0);
}

/* 5 MB come whole; they do not matter to a command that does not read them. */
static void large_bodies(void **state)
{
    const size_t size = 5000000;
    struct fixture *f = *state;
    char *body = calloc(1, size);
    char *found;

    assert_non_null(body);
    start(f, "[ \"$WARREN_MESSAGE_ID\" = unread ] || wc -c > $dir/size; echo >> $dir/out", "");
    peer_publish(f->peer, "", f->queue, body, size, NULL);
    peer_publish(f->peer, "", f->queue, body, size,
                 &(amqp_basic_properties_t){._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                            .message_id = amqp_cstring_bytes("unread")});
    free(out_of(f, 2));
    fixture_stop_and_expect(f, 0, 0);
    free(f->record);
    f->record = text("%s/size", f->directory);
    found = out_of(f, 1);
    assert_int_equal(strtoul(found, NULL, 10), size);
    free(found);
    free(body);
}

/* Properties and headers are variables; the worker's own settings, which may be secret, are not. */
static void the_environment(void **state)
{
    struct fixture *f = *state;
    amqp_table_entry_t entries[] = {
        {.key = amqp_cstring_bytes("x-Retry.count"),
         .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = -3}},
        {.key = amqp_cstring_bytes("note"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("a = b")}}};
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG |
                                           AMQP_BASIC_MESSAGE_ID_FLAG |
                                           AMQP_BASIC_CORRELATION_ID_FLAG |
                                           AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_HEADERS_FLAG,
                                 .content_type = amqp_cstring_bytes("text/plain"),
                                 .message_id = amqp_cstring_bytes("m-1"),
                                 .correlation_id = amqp_cstring_bytes("c-1"),
                                 .priority = 4,
                                 .headers = {2, entries}};
    char *line;
    char *found;

    setenv("WARREN_BROKER_PASSWORD_FILE", "", 1); /* known to the worker, and nobody's business */
    setenv("SOME_VARIABLE", "inherited", 1);
    start(f, "env > $dir/env; mv $dir/env $dir/out", "");
    unsetenv("WARREN_BROKER_PASSWORD_FILE");
    peer_publish(f->peer, "", f->queue, "12345", 5, &p);
    found = out_of(f, 10);
    line = text("\nWARREN_QUEUE=%s\n", f->queue);
    expect_has(found, line);
    free(line);
    line = text("\nWARREN_ROUTING_KEY=%s\n", f->queue);
    expect_has(found, line);
    free(line);
    expect_has(found, "\nWARREN_EXCHANGE=\n");
    expect_has(found, "\nWARREN_REDELIVERED=false\n");
    expect_has(found, "\nWARREN_ATTEMPT=1\n");
    expect_has(found, "\nWARREN_BODY_SIZE=5\n");
    expect_has(found, "\nWARREN_CONTENT_TYPE=text/plain\n");
    expect_has(found, "\nWARREN_MESSAGE_ID=m-1\n");
    expect_has(found, "\nWARREN_CORRELATION_ID=c-1\n");
    expect_has(found, "\nWARREN_PRIORITY=4\n");
    expect_has(found, "\nWARREN_HEADER_X_RETRY_COUNT=-3\n");
    expect_has(found, "\nWARREN_HEADER_NOTE=a = b\n");
    expect_has(found, "SOME_VARIABLE=inherited\n");
    assert_null(strstr(found, "WARREN_REPLY_TO="));
    assert_null(strstr(found, "WARREN_BROKER"));
    assert_null(strstr(found, "WARREN_TEST_NODE"));
    free(found);
    fixture_stop_and_expect(f, 0, 0);
}

/* ---- what its end does ---- */

/* The body is the exit status of the first delivery's first attempt; any later one succeeds. */
static const char exit_as_told[] = "read status\n"
                                   "echo \"$status attempt $WARREN_ATTEMPT\" >> $dir/out\n"
                                   "[ $WARREN_ATTEMPT = 1 ] || exit 0\n"
                                   "[ $WARREN_REDELIVERED = false ] || exit 0\n"
                                   "exit $status\n";

/* 0 acks, 65 dead-letters, 75 and any other are tried again. */
static void exit_statuses(void **state)
{
    struct fixture *f = *state;
    char *found;

    start(f, exit_as_told, "");
    fixture_publish(f, NULL, "0\n");
    fixture_publish(f, NULL, "65\n");
    fixture_publish(f, NULL, "75\n");
    fixture_publish(f, NULL, "1\n");
    found = out_of(f, 6);
    fixture_stop_and_expect(f, 0, 1);
    free(found);
    found = out_of(f, 6);
    assert_int_equal(count(found, "\n"), 6);
    assert_int_equal(count(found, "0 attempt 1\n"), 1);
    assert_int_equal(count(found, "65 attempt 1\n"), 1);
    assert_int_equal(count(found, "75 attempt 2\n"), 1);
    assert_int_equal(count(found, "1 attempt 2\n"), 1);
    free(found);
    assert_true(WAIT_FOR(worker_logged(f->worker, "ended with status 65", NULL) >= 1, PATIENCE_MS));
}

/* The lists of the options say otherwise. */
static void other_exit_statuses(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;
    char *found;

    start(f, exit_as_told,
          "discard_on: [3, 65], requeue_on: 4, retry_on: [5], reject_on: [6], otherwise: reject");
    fixture_publish(f, NULL, "3\n");
    fixture_publish(f, NULL, "65\n");
    fixture_publish(f, NULL, "4\n");
    fixture_publish(f, NULL, "5\n");
    fixture_publish(f, NULL, "6\n");
    fixture_publish(f, NULL, "75\n");
    found = out_of(f, 8);
    fixture_stop_and_expect(f, 0, 2);
    free(found);
    found = out_of(f, 8);
    assert_int_equal(count(found, "\n"), 8);
    assert_int_equal(count(found, "4 attempt 1\n"), 2); /* handed back: no failed attempt */
    assert_int_equal(count(found, "5 attempt 2\n"), 1);
    free(found);
    while (peer_get(f->peer, f->dlq, &dead)) {
        assert_true(strcmp(dead.body, "6\n") == 0 || strcmp(dead.body, "75\n") == 0);
        peer_message_done(&dead);
    }
}

/* What is named goes before the default of another list, whichever comes first. */
static void defaults_give_way(void **state)
{
    struct fixture *f = *state;
    char *found;

    start(f, exit_as_told, "retry_on: [65], reject_on: [75], otherwise: reject");
    fixture_publish(f, NULL, "65\n");
    fixture_publish(f, NULL, "75\n");
    found = out_of(f, 3);
    fixture_stop_and_expect(f, 0, 1);
    assert_int_equal(count(found, "65 attempt 1\n"), 1);
    assert_int_equal(count(found, "65 attempt 2\n"), 1);
    assert_int_equal(count(found, "75 attempt 1\n"), 1);
    free(found);
}

/* A signal is a failed attempt, and named. */
static void ended_by_a_signal(void **state)
{
    struct fixture *f = *state;

    start(f,
          "echo $WARREN_ATTEMPT >> $dir/out; [ $WARREN_ATTEMPT = 1 ] || exit 0\n"
          "kill -SEGV $$",
          "");
    fixture_publish(f, NULL, "x");
    free(out_of(f, 2));
    fixture_stop_and_expect(f, 0, 0);
    worker_expect_logged(f->worker, "was ended by signal 11", NULL, 1);
}

/* A program that is gone meanwhile: the message waits for it. */
static void a_command_that_vanishes(void **state)
{
    struct fixture *f = *state;
    char *script = text("%s/script", f->directory);
    char *away = text("%s.away", script);

    start(f, "echo >> $dir/out", "");
    assert_int_equal(rename(script, away), 0);
    fixture_publish(f, NULL, "x");
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "cannot run ", "No such file") >= 2, PATIENCE_MS));
    assert_int_equal(rename(away, script), 0);
    free(out_of(f, 1));
    fixture_stop_and_expect(f, 0, 0);
    free(away);
    free(script);
}

/* What it writes goes to the log, with the message's queue. */
static void output_is_logged(void **state)
{
    struct fixture *f = *state;

    start(f, "echo to stdout; echo to stderr >&2; echo > $dir/out", "");
    fixture_publish(f, NULL, "x");
    free(out_of(f, 1));
    fixture_stop_and_expect(f, 0, 0);
    worker_expect_logged(f->worker, "command: to stdout", f->queue, 1);
    worker_expect_logged(f->worker, "command: to stderr", f->queue, 1);
    assert_string_equal(proc_stdout(f->worker->proc), "");
}

/* ---- time ---- */

/* Gone, or a zombie that only its new parent could bury. */
static bool is_dead(pid_t pid)
{
    char *path = text("/proc/%d/stat", (int)pid);
    char *stat = read_file(path, NULL);
    bool dead = !stat || strstr(stat, ") Z ");

    free(stat);
    free(path);
    return dead;
}

/* The limit ends the command and all that it started, even where SIGTERM is ignored; then the
 * message is tried again. */
static void the_time_limit(void **state)
{
    struct fixture *f = *state;
    char *found;
    int shell = 0, child = 0;

    start(f,
          "[ $WARREN_ATTEMPT = 1 ] || { echo again >> $dir/out; exit 0; }\n"
          "trap '' TERM; sleep 600 & echo \"$$ $!\" >> $dir/out; sleep 600; sleep 600",
          "timeout: 700ms, kill_after: 300ms");
    fixture_publish(f, NULL, "x");
    found = out_of(f, 2);
    assert_int_equal(sscanf(found, "%d %d\nagain\n", &shell, &child), 2);
    expect_has(found, "\nagain\n");
    free(found);
    assert_true(WAIT_FOR(is_dead(shell) && is_dead(child), PATIENCE_MS));
    fixture_stop_and_expect(f, 0, 0);
    worker_expect_logged(f->worker, "did not end in time and was stopped", NULL, 1);
}

/* A worker that is told to stop lets a command finish. */
static void draining_waits(void **state)
{
    struct fixture *f = *state;
    char *found;

    start(f, "echo begin >> $dir/out; sleep 0.7; echo end >> $dir/out", "");
    fixture_publish(f, NULL, "x");
    free(out_of(f, 1));
    fixture_stop_and_expect(f, 0, 0);
    found = out_of(f, 2);
    assert_string_equal(found, "begin\nend\n");
    free(found);
}

/* ... but not longer than drain.timeout: then the command is ended, and the message handed back. */
static void draining_ends(void **state)
{
    struct fixture *f = *state;
    char *found;
    int pid = 0;

    start(f, "echo $$ >> $dir/out; exec sleep 600", "kill_after: 200ms");
    worker_run(f->worker, (const char *const[]){"drain.timeout=2s", NULL});
    assert_true(WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) == 1, PATIENCE_MS));
    fixture_publish(f, NULL, "x");
    found = out_of(f, 1);
    assert_int_equal(sscanf(found, "%d", &pid), 1);
    /* Whether the end of the command and its outcome fit into what is left of the time, or not. */
    if (worker_stop(f->worker) != 0)
        worker_expect_logged(f->worker, "stopped by drain.timeout", NULL, 1);
    assert_true(WAIT_FOR(is_dead(pid), PATIENCE_MS));
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 1, PATIENCE_MS));
    free(found);
}

/* ---- what is left behind ---- */

static int open_files(pid_t pid)
{
    char *path = text("/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    int found = 0;

    assert_non_null(folder);
    while (readdir(folder))
        found++;
    closedir(folder);
    free(path);
    return found;
}

/* After many commands there is no zombie, and no descriptor more than before. */
static void nothing_is_left_behind(void **state)
{
    const unsigned messages = 200;
    struct fixture *f = *state;
    pid_t pid;
    int files;

    start(f, "echo >> $dir/out", "");
    pid = proc_pid(f->worker->proc);
    fixture_publish(f, NULL, "x");
    free(out_of(f, 1));
    assert_true(WAIT_FOR(proc_children(pid) == 0, PATIENCE_MS));
    files = open_files(pid);
    peer_publish_many(f->peer, f->queue, "m", messages);
    free(out_of(f, messages + 1));
    assert_true(WAIT_FOR(proc_children(pid) == 0, PATIENCE_MS));
    assert_int_equal(open_files(pid), files);
    fixture_stop_and_expect(f, 0, 0);
}

#define TEST(name) FIXTURE_TEST(name, "quorum")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(body_and_words),         TEST(large_bodies),
        TEST(the_environment),        TEST(exit_statuses),
        TEST(other_exit_statuses),    TEST(defaults_give_way),
        TEST(ended_by_a_signal),      TEST(a_command_that_vanishes),
        TEST(output_is_logged),       TEST(the_time_limit),
        TEST(draining_waits),         TEST(draining_ends),
        TEST(nothing_is_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
