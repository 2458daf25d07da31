/* test_exit_watch.c - processes that end by exit(3) before their program wants to: the status, and
 * what is told.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ending.h"
#include "consume/crash/exit_watch.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"
#include "support/test.h"

#define STATUS      3  /* what exit(3) is given */
#define BROKEN      44 /* exit status of a child in which something else went wrong */
#define OTHERS      40
#define PATIENCE_MS 20000

static char told[4096]; /* what the last child wrote to standard error */

/* Run @child in a process of its own. @return its exit status */
static int run_child(void (*child)(void))
{
    FILE *file = tmpfile();
    int status;
    size_t len;
    pid_t pid = fork();

    assert_non_null(file);
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fileno(file), STDERR_FILENO);
        child();
        _exit(BROKEN);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rewind(file);
    len = fread(told, 1, sizeof told - 1, file);
    told[len] = '\0';
    fclose(file);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *call_exit(void *arg)
{
    if (arg)
        atomic_store((_Atomic pid_t *)arg, gettid());
    exit(STATUS);
}

/* Until another thread ends the process. */
static void start_and_wait(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, call_exit, NULL) != 0)
        _exit(BROKEN);
    poll(NULL, 0, PATIENCE_MS);
    _exit(BROKEN);
}

/* ---- how many call it ---- */

static bool sleeps(pid_t thread)
{
    char path[64];
    char line[256] = "";
    const char *state;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    file = fopen(path, "re");
    if (!file)
        return false;
    state = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    return state && strncmp(state, ") S", 3) == 0;
}

/* While the first one is about to tell. */
static void others_call_it_too(void)
{
    for (int i = 0; i < OTHERS; i++) {
        _Atomic pid_t id = 0;
        pthread_t thread;
        int ms = 0;

        if (pthread_create(&thread, NULL, call_exit, &id) != 0)
            _exit(BROKEN);
        while (!(atomic_load(&id) && sleeps(atomic_load(&id))) && ms++ < PATIENCE_MS)
            poll(NULL, 0, 1);
        if (ms > PATIENCE_MS)
            _exit(BROKEN);
    }
}

static void child_of_many(void)
{
    exit_watch_begin();
    ending_tell(others_call_it_too);
    start_and_wait();
}

/* The first one tells, all others wait for the end: none of them gets through. */
static void many_threads_end_the_process(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_of_many), 1);
    assert_non_null(strstr(told, "called exit(3): ending with status 1"));
    assert_null(strstr(strstr(told, "called exit(3)") + 1, "called exit(3)"));
}

static void child_of_quick_exits(void)
{
    exit_watch_begin();
    quick_exit(STATUS);
}

static void a_quick_exit_is_told(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_of_quick_exits), 1);
    assert_non_null(strstr(told, "called quick_exit: ending with status 1"));
}

static void child_that_wants_to(void)
{
    exit_watch_begin();
    exit_watch_end();
    exit(STATUS);
}

static void a_wanted_end_has_its_status(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_that_wants_to), STATUS);
    assert_string_equal(told, "");
}

/* ---- whose message it was ---- */

static struct warren_bytes message_id;

static void child_in_a_handler(void)
{
    const struct flight_options options = {.inherited = -1, .key = "", .slots = 1};
    const struct identity message = {1, 1};
    struct warren_bytes none = {"", 0};
    static struct fault_plan plan = {.keep_fd = -1};
    static _Atomic uint32_t lost;
    struct flight_worker *worker;
    struct flight *flight;

    exit_watch_begin();
    if (flight_open(&options, &flight, NULL) != WARREN_OK)
        _exit(BROKEN);
    worker = flight_take(flight, "orders", "shop.order", false, &lost);
    plan.flight = flight;
    fault_install(flight, &plan);
    fault_thread_begin(worker);
    flight_begin(worker, delivery_new(0, none, none, none, 0), &message, message_id, false, 0, 0);
    exit(STATUS);
}

static void a_handler_and_its_message_are_named(void **state)
{
    static const struct {
        const char *id, *says;
    } rows[] = {
        {"m-1",
         "handler shop.order of queue orders called exit(3) for message \\\"m-1\\\": ending"},
        {"", "handler shop.order of queue orders called exit(3) for a message without id: ending"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        message_id = (struct warren_bytes){rows[i].id, strlen(rows[i].id)};
        assert_int_equal(run_child(child_in_a_handler), 1);
        if (!strstr(told, rows[i].says))
            fail_msg("\"%s\" is not in: %s", rows[i].says, told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_end_the_process),
        cmocka_unit_test(a_quick_exit_is_told),
        cmocka_unit_test(a_wanted_end_has_its_status),
        cmocka_unit_test(a_handler_and_its_message_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
