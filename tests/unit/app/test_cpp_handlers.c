/* test_cpp_handlers.c - <warren/warren.hpp>: what becomes of exceptions, objects and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <warren/testing.h>

#include "base/log.h"
#include "base/metrics.h"

/* Of fixtures/throwing.cpp. */
const struct warren_plugin *warren_plugin_entry(void);

static struct warren_test *test;
static struct warren_error error;

static enum warren_status try_handler(const char *handler, const char *option)
{
    struct warren_test_options options = {.size = sizeof options,
                                          .plugin = warren_plugin_entry(),
                                          .handler = handler,
                                          .options = &option,
                                          .option_count = option ? 1 : 0,
                                          .queue = "cards"};

    return warren_test_new(&options, &test, &error);
}

static void open_handler(const char *handler, const char *option)
{
    if (try_handler(handler, option) != WARREN_OK)
        fail_msg("%s", error.text);
}

static const struct warren_test_attempt *run(const struct warren_message *message)
{
    const struct warren_test_message delivered = {.message = *message};

    assert_int_equal(warren_test_deliver(test, &delivered, &error), WARREN_OK);
    return warren_test_run(test);
}

static const struct warren_test_attempt *run_body(const char *body)
{
    const struct warren_message message = {.body = warren_text(body)};

    return run(&message);
}

static void assert_attempt(const struct warren_test_attempt *attempt, enum warren_outcome outcome,
                           const char *text)
{
    assert_int_equal(attempt->outcome, outcome);
    if (text)
        assert_string_equal(attempt->error, text);
    else
        assert_null(attempt->error);
}

static int quiet(void **state)
{
    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* What leaves the function is a failed attempt, or a rejection; the stack was unwound. */
static void an_exception_is_a_failed_attempt(void **state)
{
    (void)state;
    open_handler("done", NULL);
    assert_attempt(run_body("fine"), WARREN_ACK, NULL);
    assert_attempt(run_body("throw"), WARREN_RETRY, "the card reader is 100% away");
    assert_attempt(run_body("refuse"), WARREN_REJECT, "there is no such card");
    assert_attempt(run_body("number"), WARREN_RETRY, "an exception that is no std::exception");
    assert_attempt(run_body("unwound"), WARREN_REJECT, "4");
}

static void what_it_says_may_be_anything(void **state)
{
    (void)state;
    open_handler("oddly", NULL);
    assert_attempt(run_body("null"), WARREN_RETRY, "an exception that says nothing");
    assert_attempt(run_body("nothing"), WARREN_RETRY, "an exception that says nothing");
    assert_in_range(strlen(run_body("enormous")->error), 100, 1024);
}

static void a_function_may_answer(void **state)
{
    (void)state;
    open_handler("answered", NULL);
    assert_attempt(run_body("x"), WARREN_RETRY, NULL);
    assert_attempt(warren_test_run(test), WARREN_ACK, NULL);
}

/* Publishing that is refused throws, and what the job says of it is the error. */
static void publishing_throws(void **state)
{
    const struct warren_message message = {.properties = {.reply_to = "asker"}};
    const struct warren_test_attempt *attempt;

    (void)state;
    open_handler("published", NULL);
    attempt = run(&message);
    assert_attempt(attempt, WARREN_ACK, NULL);
    assert_int_equal(attempt->published_count, 3);
    assert_int_equal(attempt->published[1].delay_ms, 1000);
    assert_non_null(attempt->reply);
    assert_attempt(run_body("no reply-to"), WARREN_REJECT, "nobody wants a reply");
    warren_test_publishing(test, WARREN_ETIMEOUT, WARREN_CONFIRMED);
    attempt = run(&message);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_true(attempt->forgiven);
    assert_non_null(strstr(attempt->error, "timeout"));
}

static void a_job_shows_its_message(void **state)
{
    const struct warren_field tenant = warren_field_text("tenant", "acme");
    const struct warren_message message = {
        .properties = {.headers = {&tenant, 1}, .message_id = "m-1"}};

    (void)state;
    open_handler("looked_at", NULL);
    assert_attempt(run(&message), WARREN_REJECT, "m-1,acme,cards,free");
}

static void an_object_has_state_options_and_a_key(void **state)
{
    (void)state;
    open_handler("counter", "step=5");
    assert_attempt(run_body("a"), WARREN_REJECT, "5 key of a");
    assert_attempt(run_body("no key"), WARREN_REJECT, "10 ");
}

static void a_constructor_that_throws_keeps_the_worker_from_starting(void **state)
{
    (void)state;
    assert_int_equal(try_handler("counter", "step=13"), WARREN_EPLUGIN);
    assert_non_null(strstr(error.text, "13 brings no luck"));
    test = NULL;
    assert_int_equal(try_handler("counter", "step=14"), WARREN_EPLUGIN);
    assert_non_null(strstr(error.text, "no memory"));
    test = NULL;
}

/* As counted by warren::series, or why there is none. */
static void figures_are_counted(void **state)
{
    const struct warren_metric sheets = {.size = sizeof sheets,
                                         .name = "cpp_sheets_total",
                                         .help = "Sheets of paper.",
                                         .type = WARREN_COUNTER,
                                         .labels = (const char *const[]){"queue", NULL}};
    const char *const values[] = {"cards", NULL};
    struct warren_series *series;

    (void)state;
    open_handler("metered", NULL);
    assert_attempt(run_body("three"), WARREN_ACK, NULL);
    assert_int_equal(warren_metric_series(&sheets, values, &series, &error), WARREN_OK);
    assert_true(metric_value(series) == 5);
    warren_test_free(test);
    test = NULL;
    assert_int_equal(try_handler("metered", "step=2"), WARREN_EPLUGIN);
    assert_non_null(strstr(error.text, "cpp sheets"));
}

/* What leaves a function is its failure; who leaves the handler's scope waits. */
static void functions_of_a_group_may_throw(void **state)
{
    (void)state;
    open_handler("grouped", NULL);
    assert_attempt(run_body("fine"), WARREN_REJECT, "5");
    assert_attempt(run_body("nested"), WARREN_REJECT, "10");
    assert_attempt(run_body("throw"), WARREN_RETRY, "the drawer is stuck");
    assert_attempt(run_body("number"), WARREN_RETRY, "an exception that is no std::exception");
    assert_attempt(run_body("leave"), WARREN_REJECT, "it is left");
}

static void deliver_all(const char *const *bodies)
{
    for (size_t i = 0; bodies[i]; i++) {
        const struct warren_test_message message = {.message = {.body = warren_text(bodies[i])}};

        assert_int_equal(i == 0 ? warren_test_deliver(test, &message, &error)
                                : warren_test_deliver_also(test, &message, &error),
                         WARREN_OK);
    }
}

/* One is rejected by itself; what leaves the function is of all others. */
static void a_batch_may_throw(void **state)
{
    const struct warren_test_attempt *attempts;
    size_t count;

    (void)state;
    open_handler("together", NULL);
    deliver_all((const char *const[]){"fine", "refuse", "fine", NULL});
    attempts = warren_test_run_batch(test, 10, &count);
    assert_int_equal(count, 3);
    assert_attempt(&attempts[0], WARREN_ACK, NULL);
    assert_attempt(&attempts[1], WARREN_REJECT, "there is no such card");
    assert_attempt(&attempts[2], WARREN_ACK, NULL);
    deliver_all((const char *const[]){"fine", "refuse", "throw", NULL});
    attempts = warren_test_run_batch(test, 10, &count);
    assert_attempt(&attempts[0], WARREN_RETRY, "the card reader is 100% away");
    assert_attempt(&attempts[1], WARREN_REJECT, "there is no such card");
    assert_attempt(&attempts[2], WARREN_RETRY, "the card reader is 100% away");
}

static void an_object_may_take_both(void **state)
{
    const struct warren_test_attempt *attempts;
    size_t count;

    (void)state;
    open_handler("both", NULL);
    deliver_all((const char *const[]){"a", "b", NULL});
    attempts = warren_test_run_batch(test, 10, &count);
    assert_int_equal(count, 2);
    assert_attempt(&attempts[1], WARREN_DISCARD, NULL);
    assert_attempt(run_body("a"), WARREN_REJECT, "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_exception_is_a_failed_attempt, teardown),
        cmocka_unit_test_teardown(what_it_says_may_be_anything, teardown),
        cmocka_unit_test_teardown(a_function_may_answer, teardown),
        cmocka_unit_test_teardown(publishing_throws, teardown),
        cmocka_unit_test_teardown(a_job_shows_its_message, teardown),
        cmocka_unit_test_teardown(figures_are_counted, teardown),
        cmocka_unit_test_teardown(functions_of_a_group_may_throw, teardown),
        cmocka_unit_test_teardown(an_object_has_state_options_and_a_key, teardown),
        cmocka_unit_test_teardown(a_batch_may_throw, teardown),
        cmocka_unit_test_teardown(an_object_may_take_both, teardown),
        cmocka_unit_test_teardown(a_constructor_that_throws_keeps_the_worker_from_starting,
                                  teardown),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
