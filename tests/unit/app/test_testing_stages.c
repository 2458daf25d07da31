/* test_testing_stages.c - <warren/testing.h>: middlewares that look at a message ahead of the
 * handler and behind it, some of them with answers that come later, from a thread of their own.
 */
#include <pthread.h>

#include <warren/middleware.h>
#include <warren/testing.h>

#include "base/log.h"
#include "support/test.h"

#define CALLS_SIZE 256

static struct warren_test *test;
static char calls[CALLS_SIZE]; /* what was called, in this order */
static struct warren_passage *passed;
static pthread_t thread;

static void note(const char *what)
{
    strncat(calls, what, sizeof calls - strlen(calls) - 1);
}

static void note_after(const char *name, enum warren_outcome outcome)
{
    note(name);
    note(warren_outcome_name(outcome));
    note(" ");
}

/* ---- the plugin under test ---- */

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct warren_message message = {.body = warren_text("out")};
    struct warren_bytes body = warren_job_body(job);

    (void)state;
    note("handler ");
    if (body.len == 3)
        return warren_job_publish(job, "", "nowhere", &message) == WARREN_OK ? WARREN_ACK
                                                                             : WARREN_RETRY;
    return WARREN_ACK;
}

static struct warren_bytes key(struct warren_job *job, void *state)
{
    (void)state;
    return warren_job_body(job);
}

static const struct warren_handler handlers[] = {{.name = "h", .handle = handle, .key = key}, {0}};

/* outer: at once. */

static char outer_mark[] = "outer ";

static bool outer_before(struct warren_job *job, struct warren_passage *passage, void *state,
                         void **ret_mark)
{
    (void)job;
    (void)passage;
    (void)state;
    note("before-outer ");
    *ret_mark = outer_mark;
    return true;
}

static bool outer_after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                        void *state)
{
    (void)state;
    assert_non_null(passage);
    assert_ptr_equal(mark, outer_mark);
    note_after("after-outer:", outcome);
    return true;
}

static enum warren_outcome say_mark(struct warren_job *job, const struct warren_link *next,
                                    void *state)
{
    (void)state;
    note(warren_job_mark(job, next));
    return warren_next(job, next);
}

/* inner: later, and it has the message come again once. */

static char inner_mark[] = "inner ";
static bool has_retried;

static void *let_go(void *arg)
{
    warren_passage_go(arg);
    return NULL;
}

static void *decide(void *arg)
{
    if (has_retried)
        warren_passage_settle(arg, WARREN_DISCARD);
    else
        warren_passage_retry(arg, 500);
    return NULL;
}

static bool inner_before(struct warren_job *job, struct warren_passage *passage, void *state,
                         void **ret_mark)
{
    (void)job;
    (void)state;
    note("before-inner ");
    *ret_mark = inner_mark;
    passed = passage;
    pthread_create(&thread, NULL, let_go, passage);
    return false;
}

static bool inner_after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                        void *state)
{
    (void)state;
    assert_ptr_equal(passage, passed);
    assert_ptr_equal(mark, inner_mark);
    note_after("after-inner:", outcome);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, decide, passage);
    return false;
}

static const struct warren_middleware middlewares[] = {
    {.name = "outer", .call = say_mark, .before = outer_before, .after = outer_after},
    {.name = "inner", .call = say_mark, .before = inner_before, .after = inner_after},
    {0}};

WARREN_PLUGIN(.name = "t", .version = "1", .handlers = handlers, WARREN_MIDDLEWARES(middlewares))

static void open_test(const char *chain, const char *body)
{
    const struct warren_test_options options = {
        .size = sizeof options, .plugin = warren_plugin_entry(), .chain = chain};
    const struct warren_test_message message = {.message = {.body = warren_text(body)}};
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK ||
        warren_test_deliver(test, &message, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static int setup(void **state)
{
    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    calls[0] = '\0';
    has_retried = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* ---- tests ---- */

/* Ahead outermost first, behind innermost first; each has its mark, and answers when it can. */
static void all_look_ahead_and_behind(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_test("[t.outer, t.inner]", "m");
    attempt = warren_test_run(test);
    pthread_join(thread, NULL);
    assert_string_equal(calls, "before-outer before-inner outer inner handler after-inner:ack "
                               "after-outer:retry ");
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_int_equal(attempt->retry_after_ms, 500);
    assert_true(attempt->forgiven);

    has_retried = true;
    calls[0] = '\0';
    attempt = warren_test_run(test);
    pthread_join(thread, NULL);
    assert_int_equal(attempt->attempt, 1);
    assert_int_equal(attempt->outcome, WARREN_DISCARD);
    assert_string_equal(calls, "before-outer before-inner outer inner handler after-inner:ack "
                               "after-outer:discard ");
}

/* What the broker refused made the attempt fail, and that was the last one: `after` hears so, once.
 */
static void after_is_told_of_a_late_failure(void **state)
{
    (void)state;
    open_test("[retry: {max_attempts: 1}, t.outer]", "out");
    warren_test_publishing(test, WARREN_OK, WARREN_RETURNED);
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REJECT);
    assert_string_equal(calls, "before-outer outer handler after-outer:reject ");
}

/* The handler's own key is asked for, as in a worker. */
static void the_handler_gives_the_key(void **state)
{
    (void)state;
    open_test("[idempotency: {key: handler, on_missing_key: reject}]", "m");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_ACK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_look_ahead_and_behind),
        TEST(after_is_told_of_a_late_failure),
        TEST(the_handler_gives_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
