/* test_poison.c - the whole course of a poison message: a worker gives it up, it is dumped, run
 * again without a broker, mended, and brought back.
 */
#include "crash_fixture.h"

#include <dirent.h>

#include "support/command.h"

#define FRAGILE  WARREN_PLUGIN_DIR "/fragile.so"
#define CRASHING WARREN_PLUGIN_DIR "/crashing.so"

/* Dump the one dead letter; the path of its file, which the caller frees. */
static char *dump(struct fixture *fixture)
{
    char *directory = worker_path(fixture->worker, "poison");
    struct command command =
        COMMAND("dlq", "dump", "-c", fixture->worker->config, fixture->queue, directory);
    char *path = text("%s/00001-poison.json", directory);

    command_expect(&command, 0);
    assert_has(command.out, "1 message written to ");
    command_done(&command);
    free(directory);
    return path;
}

/* A handler that crashed in the worker crashes in the same way where a debugger can look on. */
static void a_crash(void **state)
{
    struct fixture *fixture = *state;
    struct command invoke;
    char *file;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, "recover", "crash: {max_attempts: 0}");
    worker_consume(fixture->worker, 1);
    fixture_publish(fixture, "poison", "abort");
    await_dead_letter(fixture);
    assert_int_equal(worker_stop(fixture->worker), 0);
    file = dump(fixture);
    invoke = COMMAND("invoke", "-c", fixture->worker->config, CRASHING, "run", file);
    assert_int_equal(invoke.status, PROC_SIGNAL + SIGABRT);
    assert_int_equal(recorded(fixture, "begin poison 1\n", 0), 1); /* in the worker */
    assert_int_equal(recorded(fixture, "begin poison 2\n", 0), 1); /* alone */
    command_done(&invoke);
    free(file);
}

/* One that failed fails again with the same words in the worker's chain, until it is mended; then
 * it goes back, and the worker is content with it.
 */
static void a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct command invoke, edit;
    char *file, *mended, *done;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    fixture->worker =
        worker_new(fixture->broker->uri,
                   "subscriptions:\n"
                   "  - queue: %s\n"
                   "    handler: fragile.run\n"
                   "    options: {path: record}\n"
                   "    middleware:\n"
                   "      - retry: {max_attempts: 2, jitter: none, initial_delay: 1ms}\n"
                   "      - recover\n",
                   fixture->queue);
    fixture->record = worker_path(fixture->worker, "record");
    worker_consume(fixture->worker, 1);
    fixture_publish(fixture, "poison", "panic");
    await_dead_letter(fixture);
    file = dump(fixture);
    invoke = COMMAND("invoke", "-c", fixture->worker->config, FRAGILE, "run", file);
    command_expect(&invoke, 1);
    assert_has(invoke.out, "message poison is 100 frames too deep");
    mended = text("sed s/panic/peace/ '%s' >'%s.mended'", file, file);
    assert_int_equal(system(mended), 0);
    free(mended);
    mended = text("%s.mended", file);
    edit = COMMAND("dlq", "edit-and-replay", "-c", fixture->worker->config, fixture->queue,
                   "poison", "--file", mended);
    command_expect(&edit, 0);
    done = text("poison\t1\tpeace\n");
    assert_true(WAIT_FOR(recorded(fixture, done, 0) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 0);
    command_done(&invoke);
    command_done(&edit);
    free(done);
    free(mended);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_crash, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_failure, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
