/* test_reload_request.c - who asks for a reload waits for its answer; one at a time, and none at
 * the end.
 */
#include "app/reload_request.h"
#include "support/test.h"
#include "support/wait.h"

struct asking {
    struct reload_request *request;
    sem_t *wake;
    struct reload_report report;
    pthread_t thread;
};

static void *ask(void *arg)
{
    struct asking *asking = arg;

    reload_request_ask(asking->request, asking->wake, &asking->report);
    return NULL;
}

static void begin(struct asking *asking, struct reload_request *request, sem_t *wake)
{
    *asking = (struct asking){.request = request, .wake = wake};
    assert_int_equal(pthread_create(&asking->thread, NULL, ask, asking), 0);
}

/* The main thread is woken, and its answer is that of who asked. */
static void who_asks_gets_the_answer(void **state)
{
    struct reload_request request;
    struct reload_report report = {.busy = false};
    struct asking asking;
    sem_t wake;

    (void)state;
    sem_init(&wake, 0, 0);
    reload_request_init(&request);
    assert_false(reload_request_take(&request));
    begin(&asking, &request, &wake);
    sem_wait(&wake);
    assert_true(reload_request_take(&request));
    assert_false(reload_request_take(&request));
    reload_report_changed(&report, "prefetch of %s", "a");
    reload_request_answer(&request, &report);
    pthread_join(asking.thread, NULL);
    assert_int_equal(asking.report.result, RELOAD_CHANGED);
    assert_string_equal(asking.report.changed.items[0].what, "prefetch of a");
    reload_report_done(&asking.report);
    reload_request_done(&request);
}

/* Two at once: the second is refused, and the first one gets its answer. */
static void one_at_a_time(void **state)
{
    struct reload_request request;
    struct reload_report report = {.busy = false};
    struct reload_report second = {.busy = false};
    struct asking first;
    sem_t wake;

    (void)state;
    sem_init(&wake, 0, 0);
    reload_request_init(&request);
    begin(&first, &request, &wake);
    sem_wait(&wake);
    reload_request_ask(&request, &wake, &second);
    assert_int_equal(second.result, RELOAD_REFUSED);
    assert_true(second.busy);
    assert_string_equal(second.refusal, "another reload is under way: one at a time");
    assert_true(reload_request_take(&request));
    reload_request_answer(&request, &report);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.report.result, RELOAD_UNCHANGED);
    reload_request_done(&request);
}

/* At the end nobody waits: neither who asked before, nor who asks then. */
static void the_end_answers(void **state)
{
    struct reload_request request;
    struct reload_report late = {.busy = false};
    struct asking asking;
    sem_t wake;

    (void)state;
    sem_init(&wake, 0, 0);
    reload_request_init(&request);
    begin(&asking, &request, &wake);
    sem_wait(&wake);
    reload_request_close(&request);
    pthread_join(asking.thread, NULL);
    reload_request_ask(&request, &wake, &late);
    assert_string_equal(asking.report.refusal, late.refusal);
    assert_true(late.busy && asking.report.busy);
    assert_false(reload_request_take(&request));
    reload_request_done(&request);
}

/* What was undone is not told. */
static void a_refusal_tells_no_changes(void **state)
{
    struct reload_report report = {.busy = false};

    (void)state;
    for (int i = 0; i < RELOAD_NOTES_MAX + 5; i++)
        reload_report_changed(&report, "%d", i);
    assert_int_equal(report.changed.kept, RELOAD_NOTES_MAX);
    assert_int_equal(report.changed.count, RELOAD_NOTES_MAX + 5);
    reload_report_fixed(&report, "because", "x");
    reload_report_refuse(&report, false, "wrong");
    assert_int_equal(report.changed.count, 0);
    assert_int_equal(report.fixed.count, 0);
    assert_int_equal(report.result, RELOAD_REFUSED);
    reload_report_done(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_gets_the_answer),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(the_end_answers),
        cmocka_unit_test(a_refusal_tells_no_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
