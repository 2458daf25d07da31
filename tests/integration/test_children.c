/* test_children.c - processes that handlers start: the signals that they inherit, and who waits
 * for them and for what they leave behind.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "support/fixture.h"

/* What a worker may find when it starts, made by this very program: see main(). */
#define AS_SUBREAPER "--as-subreaper"
#define DEAF         "--deaf"

static void start(struct fixture *f, const char *handler, const char *options, const char *how)
{
    const char *argv[] = {"/proc/self/exe", how, WARREN_COMMAND, "run", "-c", NULL, NULL};

    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: children.%s\n"
                           "    concurrency: 2\n"
                           "    options: {path: children.out, %s}\n",
                           f->queue, handler, options);
    f->record = worker_path(f->worker, "children.out");
    argv[5] = f->worker->config;
    f->worker->proc = proc_start(how ? argv : argv + 2, NULL, NULL);
    worker_expect_logged(f->worker, "consuming queue=", NULL, 1);
}

/* Wait for the line number @number, which is the last one by then. */
static void expect_line(struct fixture *f, size_t number, const char *line)
{
    char *all;

    if (!WAIT_FOR(count_lines(f->record) >= number, PATIENCE_MS))
        fail_msg("no line %zu; the worker said:\n%s", number, proc_stderr(f->worker->proc));
    all = read_file(f->record, NULL);
    assert_true(strlen(all) >= strlen(line));
    assert_string_equal(all + strlen(all) - strlen(line), line);
    free(all);
}

/* ---- signals ---- */

static uint64_t mask_of(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16);
}

static uint64_t bit(int number)
{
    return UINT64_C(1) << (number - 1);
}

/* Nothing is blocked, and what warren does about SIGPIPE and others is its own matter. */
static void a_child_finds_signals_as_at_a_start(void **state)
{
    struct fixture *f = *state;
    char *path, *command, *status;

    start(f, "shell", "", NULL);
    path = worker_path(f->worker, "status");
    command = text("grep ^Sig /proc/self/status > %s", path);
    fixture_publish(f, NULL, command);
    expect_line(f, 1, "exited 0\n");
    status = read_file(path, NULL);
    assert_int_equal(mask_of(status, "SigBlk:"), 0);
    assert_int_equal(mask_of(status, "SigIgn:") & (bit(SIGPIPE) | bit(SIGXFSZ)), 0);
    free(status);
    free(command);
    free(path);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* A shell that waits for its child learns of its end; SIGTERM ends what a handler started. */
static void a_child_hears_its_signals(void **state)
{
    struct fixture *f = *state;

    start(f, "shell", "", NULL);
    fixture_publish(f, NULL, "sleep .1 & wait");
    expect_line(f, 1, "exited 0\n");
    fixture_publish(f, NULL, "kill -TERM $$; exec sleep 30");
    expect_line(f, 2, "signal 15\n");
    assert_int_equal(worker_stop(f->worker), 0);
}

/* The signals of a child that executes nothing are its own, though it has the worker's handlers. */
static void a_forked_child_does_not_stop_the_worker(void **state)
{
    struct fixture *f = *state;

#ifdef __SANITIZE_THREAD__
    skip(); /* it delivers no signals to a child that a process of many threads forked */
#endif
    start(f, "fork", "", NULL);
    fixture_publish(f, NULL, "x");
    expect_line(f, 1, "signal 15\n");
    fixture_publish(f, NULL, "x");
    expect_line(f, 2, "signal 15\n");
    assert_int_equal(worker_logged(f->worker, "SIGTERM", NULL), 0);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* A child that comes back from the handler is no second worker: it ends, and says so. */
static void a_child_that_returns_is_ended(void **state)
{
    struct fixture *f = *state;

    start(f, "twin", "", NULL);
    fixture_publish(f, "id-1", "x");
    expect_line(f, 1, "exited 1\n");
    worker_expect_logged(f->worker, "a child of fork(2) came back from a handler",
                         "message_id=id-1", 1);
    fixture_publish(f, "id-2", "p");
    expect_line(f, 2, "exited 1\n");
    fixture_stop_and_expect(f, 0, 0);
}

/* A worker that was started with SIGCHLD ignored and SIGTERM blocked is none the worse for it. */
static void a_bad_start_is_made_good(void **state)
{
    struct fixture *f = *state;

    start(f, "shell", "", DEAF);
    fixture_publish(f, NULL, "exit 3");
    expect_line(f, 1, "exited 3\n");
    assert_int_equal(worker_stop(f->worker), 0);
}

/* ---- orphans ---- */

/* A worker that is given the orphans of its handlers buries them. What a plugin's `open` started
 * stays that plugin's to wait for. */
static void orphans_are_buried(void **state)
{
    struct fixture *f = *state;

    start(f, "shell", "at_open: 'exit 5'", AS_SUBREAPER);
    fixture_publish(f, NULL, "(sleep .05 &) ; exit 4");
    expect_line(f, 1, "exited 4\n");
    fixture_publish(f, NULL, "(sleep .05 &) ; exit 4");
    expect_line(f, 2, "exited 4\n");
    assert_true(WAIT_FOR(proc_children(proc_pid(f->worker->proc)) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    expect_line(f, 3, "beside exited 5\n");
}

/* What a plugin has started while it was tried for a reload is killed, and buried. */
static void what_a_trial_leaves_is_buried(void **state)
{
    struct fixture *f = *state;
    char *path, *old, *now, *at, *whole;
    size_t len;
    FILE *file;

    start(f, "shell", "", AS_SUBREAPER);
    whole = read_file(WARREN_PLUGIN_DIR "/restless.so", &len);
    at = memmem(whole, len, "restless-nothing", strlen("restless-nothing"));
    path = worker_path(f->worker, "forks.so");
    file = fopen(path, "we");
    assert_true(at && file);
    memcpy(at, "restless-forks_0", strlen("restless-forks_0"));
    assert_int_equal(fwrite(whole, len, 1, file), 1);
    fclose(file);
    old = read_file(f->worker->config, NULL);
    at = strstr(old, "plugins: [");
    now = text("%.*splugins: [forks.so, %s", (int)(at - old), old, at + strlen("plugins: ["));
    free(write_file(f->worker->directory, "worker.yaml", now));
    proc_signal(f->worker->proc, SIGHUP);
    worker_expect_logged(f->worker, "stays as it was", "forks.so: loading it ended", 1);
    assert_true(WAIT_FOR(proc_children(proc_pid(f->worker->proc)) == 0, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    free(now);
    free(old);
    free(path);
    free(whole);
}

/* A handler that is late to wait for its child finds it, while orphans are buried beside it. */
static void a_childs_end_is_its_handlers(void **state)
{
    struct fixture *f = *state;
    char *gate, *orphan, *command;

    start(f, "late", "gate: children.gate", AS_SUBREAPER);
    gate = write_file(f->worker->directory, "children.gate", "");
    orphan = worker_path(f->worker, "orphan");
    command = text("(sleep .05; echo >>%s) & exit 4", orphan);
    fixture_publish(f, NULL, command);
    fixture_publish(f, NULL, command);
    assert_true(WAIT_FOR(count_lines(orphan) == 2, PATIENCE_MS));
    expect_line(f, 2, "started\nstarted\n");
    assert_true(WAIT_FOR(proc_children(proc_pid(f->worker->proc)) == 2, PATIENCE_MS));
    assert_int_equal(unlink(gate), 0);
    expect_line(f, 4, "exited 4\nexited 4\n");
    assert_true(WAIT_FOR(proc_children(proc_pid(f->worker->proc)) == 0, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    free(command);
    free(orphan);
    free(gate);
}

/* This test's own program, started again, becomes a worker: see start(). */
static void become_a_worker(char **argv)
{
    sigset_t term;

    if (strcmp(argv[1], AS_SUBREAPER) == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    } else {
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        signal(SIGCHLD, SIG_IGN);
    }
    execv(argv[2], argv + 2);
    _exit(127);
}

#define TEST(name) FIXTURE_TEST(name, "classic")

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_finds_signals_as_at_a_start),
        TEST(a_child_hears_its_signals),
        TEST(a_forked_child_does_not_stop_the_worker),
        TEST(a_child_that_returns_is_ended),
        TEST(a_bad_start_is_made_good),
        TEST(orphans_are_buried),
        TEST(what_a_trial_leaves_is_buried),
        TEST(a_childs_end_is_its_handlers),
    };

    if (argc > 2)
        become_a_worker(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
