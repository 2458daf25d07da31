/* test_testing_groups.c - <warren/testing.h>: groups of functions and semaphores in a user's unit
 * test, without a broker.
 */
#include <pthread.h>
#include <unistd.h>

#include <warren/group.h>
#include <warren/middleware.h>
#include <warren/testing.h>

#include "support/test.h"

static struct warren_test *test;

struct part {
    pthread_t ran_on;
    int order;
    enum warren_status status;
};

static int begun;
static bool takes_time; /* long enough for another thread to wake up */

static enum warren_status work(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    part->ran_on = pthread_self();
    part->order = __atomic_fetch_add(&begun, 1, __ATOMIC_SEQ_CST);
    if (takes_time)
        usleep(1000);
    if (part->status != WARREN_OK)
        warren_group_fail(call, "number %d", part->order);
    return part->status;
}

static enum warren_status pass_time(struct warren_group_call *call, void *user)
{
    (void)user;
    warren_test_advance(test, 60000);
    return warren_group_cancelled(call) ? WARREN_ETIMEOUT : WARREN_OK;
}

static struct part parts[8];

/* By the body: "fine", "fails", "leaves", "late", "panics". */
static bool says(struct warren_job *job, const char *word)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static enum warren_status panics(struct warren_group_call *call, void *user)
{
    (void)call;
    warren_panic(user, "in a function");
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct warren_group *group;

    (void)state;
    begun = 0;
    memset(parts, 0, sizeof parts);
    if (warren_group_new(job, 3, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return WARREN_REJECT;
    if (says(job, "late"))
        warren_group_run(group, pass_time, NULL);
    if (says(job, "panics"))
        warren_group_run(group, panics, job);
    for (int i = 0; i < 8; i++) {
        parts[i].status = says(job, "fails") && i == 4 ? WARREN_EIO : WARREN_OK;
        warren_group_run(group, work, &parts[i]);
    }
    if (says(job, "leaves"))
        return WARREN_ACK;
    return warren_group_wait(group) == WARREN_OK ? WARREN_ACK : WARREN_RETRY;
}

static const struct warren_handler handler = {.name = "group", .handle = handle};

static void make(const struct warren_handler *bare, const char *file, size_t threads)
{
    const struct warren_test_options options = {
        .size = sizeof options,
        .bare = bare,
        .config_file = file,
        .chain = "[{deadline: {limit: 30s}}, recover]",
        .group_threads = threads,
    };
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static const struct warren_test_attempt *run(const char *body)
{
    struct warren_test_message message = {.message = {.body = warren_text(body)}};

    assert_int_equal(warren_test_deliver(test, &message, NULL), WARREN_OK);
    return warren_test_run(test);
}

static int end(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    takes_time = false;
    return 0;
}

/* As all else in a test: nothing happens at the same time. */
static void functions_run_in_order_on_the_tests_thread(void **state)
{
    (void)state;
    make(&handler, NULL, 0);
    assert_int_equal(run("fine")->outcome, WARREN_ACK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(parts[i].order, i);
        assert_true(pthread_equal(parts[i].ran_on, pthread_self()));
    }
}

static void threads_are_there_if_they_are_asked_for(void **state)
{
    bool beside = false;

    (void)state;
    make(&handler, NULL, 3);
    takes_time = true;
    for (int tries = 0; !beside && tries < 1000; tries++) {
        assert_int_equal(run("fine")->outcome, WARREN_ACK);
        assert_int_equal(begun, 8);
        for (int i = 0; i < 8; i++)
            beside |= !pthread_equal(parts[i].ran_on, pthread_self());
    }
    assert_true(beside);
}

static void an_error_is_the_attempts(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    make(&handler, NULL, 0);
    attempt = run("fails");
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_string_equal(attempt->error, "number 4");
    assert_int_equal(begun, 5);
}

static void what_is_left_is_told(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    make(&handler, NULL, 0);
    attempt = run("leaves");
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_string_equal(attempt->error,
                        "the handler returned before it had waited for its group: 8 of 8 functions "
                        "of a group were not begun: it was cancelled");
}

static void the_tests_clock_ends_them(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    make(&handler, NULL, 0);
    attempt = run("late");
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_int_equal(begun, 0);
}

static void a_panic_is_recovered(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    for (size_t threads = 0; threads < 3; threads += 2) {
        make(&handler, NULL, threads);
        attempt = run("panics");
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_string_equal(attempt->error, "in a function");
        end(NULL);
    }
}

static void too_many_threads_are_refused(void **state)
{
    const struct warren_test_options options = {
        .size = sizeof options, .bare = &handler, .group_threads = 1025};
    struct warren_error error;

    (void)state;
    assert_int_equal(warren_test_new(&options, &test, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "group_threads is 1025, and may be 1024 at most");
}

/* ---- semaphores ---- */

static enum warren_outcome acquire(struct warren_job *job, void *state)
{
    (void)state;
    if (says(job, "all"))
        return warren_job_acquire(job, "db", 3, 0) == WARREN_OK ? WARREN_ACK : WARREN_RETRY;
    return warren_job_acquire(job, "db", 2, 0) == WARREN_OK ? WARREN_ACK : WARREN_RETRY;
}

/* Those of the file, and what the file says that the subscription uses. */
static void semaphores_are_those_of_the_file(void **state)
{
    static const struct warren_handler acquires = {.name = "acquire", .handle = acquire};
    const struct warren_test_attempt *attempt;
    char path[] = "/tmp/warren-testing-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");

    (void)state;
    fputs("semaphores: {db: 3}\n"
          "subscriptions: [{queue: q, handler: test.acquire, uses: {db: 1}}]\n",
          file);
    fclose(file);
    make(&acquires, path, 0);
    for (int i = 0; i < 3; i++) /* it is given back each time */
        assert_int_equal(run("two")->outcome, WARREN_ACK);
    attempt = run("all");
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_string_equal(
        attempt->error,
        "3 more of semaphore db, of which the job has 1 of 3: it would wait for itself");
    end(NULL);
    make(&acquires, NULL, 0);
    attempt = run("two");
    assert_string_equal(attempt->error, "there is no semaphore 'db' in the configuration "
                                        "(semaphores)");
    unlink(path);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(functions_run_in_order_on_the_tests_thread),
        TEST(threads_are_there_if_they_are_asked_for),
        TEST(an_error_is_the_attempts),
        TEST(what_is_left_is_told),
        TEST(the_tests_clock_ends_them),
        TEST(a_panic_is_recovered),
        TEST(too_many_threads_are_refused),
        TEST(semaphores_are_those_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
