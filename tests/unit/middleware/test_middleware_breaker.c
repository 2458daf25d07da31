/* test_middleware_breaker.c - what counts as failure, what an open breaker does to messages, and
 * sharing by name; job, options and time are the test's.
 */
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "middleware/builtin.h"
#include "policy_rig.h"
#include "support/metric_page.h"

/* Opens after three failures in a row, for a second. */
#define THREE            "consecutive", "3", "failure_percent", "0", "open_time", "1s"
#define OPEN(queue, ...) RIG_OPEN(&middleware_breaker, queue, __VA_ARGS__)

static const struct warren_middleware *const breaker = &middleware_breaker;

static struct warren_job job_at(int64_t now_ms, enum warren_outcome answer)
{
    struct warren_job job = rig_job(answer);

    job.now_ms = now_ms;
    return job;
}

static void handle(void *state, int times, int64_t now_ms, enum warren_outcome answer)
{
    for (int i = 0; i < times; i++) {
        struct warren_job job = job_at(now_ms, answer);

        assert_int_equal(rig_run(breaker, state, &job), answer);
        assert_true(job.ran);
    }
}

/* How many of 10 may go, and go. */
static uint32_t admit(void *state, int64_t now_ms, int64_t *ret_retry_ms)
{
    uint32_t may;

    *ret_retry_ms = 0;
    may = breaker->may(state, 10, now_ms, ret_retry_ms);
    assert_true(may == 10 || *ret_retry_ms >= 1);
    if (may > 0)
        breaker->took(state, may, now_ms);
    return may;
}

/* Paused: nothing is admitted until the open time is over, then one probe; its success lets all
 * go again. */
static void pausing_and_resuming_by_a_probe(void **state)
{
    void *bills = OPEN("bills", THREE);
    int64_t retry_ms;

    (void)state;
    assert_int_equal(admit(bills, 0, &retry_ms), 10);
    handle(bills, 3, 100, WARREN_RETRY);
    assert_int_equal(admit(bills, 100, &retry_ms), 0);
    assert_int_equal(retry_ms, 1000);
    assert_int_equal(admit(bills, 1099, &retry_ms), 0);
    assert_int_equal(retry_ms, 1);
    assert_int_equal(admit(bills, 1100, &retry_ms), 1);
    assert_int_equal(admit(bills, 1110, &retry_ms), 0);
    assert_in_range(retry_ms, 1, 50); /* the probe may be back soon */
    handle(bills, 1, 1120, WARREN_ACK);
    assert_int_equal(admit(bills, 1121, &retry_ms), 10);
    breaker->close(bills);
}

/* A failed probe closes the door for longer. */
static void a_failed_probe_pauses_for_longer(void **state)
{
    void *bills = OPEN("bills", THREE);
    int64_t retry_ms;

    (void)state;
    handle(bills, 3, 0, WARREN_RETRY);
    assert_int_equal(admit(bills, 1000, &retry_ms), 1);
    handle(bills, 1, 1200, WARREN_RETRY);
    assert_int_equal(admit(bills, 1200, &retry_ms), 0);
    assert_int_equal(retry_ms, 2000);
    breaker->close(bills);
}

/* Messages that were with the workers when it opened go back to the others, and that is no
 * attempt. */
static void messages_under_way_go_back(void **state)
{
    void *bills = OPEN("bills", THREE);
    int64_t retry_ms;

    (void)state;
    handle(bills, 3, 0, WARREN_RETRY);
    for (int i = 0; i < 5; i++) {
        struct warren_job job = job_at(10, WARREN_ACK);

        assert_int_equal(rig_run(breaker, bills, &job), WARREN_RETRY);
        assert_false(job.ran);
        assert_true(job.forgiven);
        assert_int_equal(job.retry_delay_ms, 0);
    }
    assert_int_equal(admit(bills, 10, &retry_ms), 0);
    assert_int_equal(retry_ms, 990);
    breaker->close(bills);
}

/* A handler whose answer is the time's: while it runs, the breaker opens and half-opens. */
static enum warren_outcome outlast(struct warren_job *job, const struct warren_link *next,
                                   void *state)
{
    int64_t retry_ms;

    (void)next;
    handle(state, 3, 0, WARREN_RETRY);
    assert_int_equal(admit(state, 1000, &retry_ms), 1);
    job->now_ms = 1001;
    return WARREN_ACK;
}

/* A success of a call that began before the breaker opened is no probe's. */
static void an_old_success_is_no_probe(void **state)
{
    void *bills = OPEN("bills", THREE);
    const struct warren_link links[] = {{breaker->call, bills, 0}, {outlast, bills, 0}};
    struct warren_job job = job_at(0, WARREN_ACK);
    int64_t retry_ms;

    (void)state;
    assert_int_equal(warren_next(&job, links), WARREN_ACK);
    assert_int_equal(admit(bills, 1002, &retry_ms), 0);
    breaker->close(bills);
}

/* With on_open retry the handler is spared, the attempt does not count, and the message comes
 * again when the open time is over; admission is not held. */
static void retrying_later(void **state)
{
    void *bills = OPEN("bills", THREE, "on_open", "retry");
    struct warren_job job = job_at(300, WARREN_ACK);
    struct warren_job probe = job_at(1100, WARREN_ACK);
    int64_t retry_ms;

    (void)state;
    handle(bills, 3, 100, WARREN_RETRY);
    assert_int_equal(admit(bills, 100, &retry_ms), 10);
    assert_int_equal(rig_run(breaker, bills, &job), WARREN_RETRY);
    assert_false(job.ran);
    assert_true(job.forgiven);
    assert_int_equal(job.retry_delay_ms, 800);
    assert_string_equal(job.error, "the breaker of bills is open");
    assert_int_equal(rig_run(breaker, bills, &probe), WARREN_ACK);
    assert_true(probe.ran);
    handle(bills, 1, 1101, WARREN_ACK);
    breaker->close(bills);
}

/* The handler of a probe; meanwhile another message comes. */
static enum warren_outcome probe_and_other(struct warren_job *job, const struct warren_link *next,
                                           void *state)
{
    struct warren_job other = job_at(job->now_ms, WARREN_ACK);

    (void)next;
    assert_int_equal(rig_run(breaker, state, &other), WARREN_RETRY);
    assert_false(other.ran);
    assert_true(other.forgiven);
    assert_in_range(other.retry_delay_ms, 1, 1000);
    return WARREN_ACK;
}

/* While the probe runs, others are still turned away. */
static void others_wait_for_the_probe(void **state)
{
    void *bills = OPEN("bills", THREE, "on_open", "retry");
    const struct warren_link links[] = {{breaker->call, bills, 0}, {probe_and_other, bills, 0}};
    struct warren_job job = job_at(5000, WARREN_ACK);

    (void)state;
    handle(bills, 3, 100, WARREN_RETRY);
    assert_int_equal(warren_next(&job, links), WARREN_ACK);
    handle(bills, 1, 5001, WARREN_ACK);
    breaker->close(bills);
}

/* With on_open dead-letter each message is dead-lettered with the reason. */
static void dead_lettering_at_once(void **state)
{
    void *bills = OPEN("bills", THREE, "on_open", "dead-letter", "name", "bank");
    struct warren_job job = job_at(10, WARREN_ACK);

    (void)state;
    handle(bills, 3, 0, WARREN_RETRY);
    assert_int_equal(rig_run(breaker, bills, &job), WARREN_REJECT);
    assert_false(job.ran);
    assert_true(job.forgiven);
    assert_string_equal(job.reason, "breaker");
    assert_string_equal(job.error, "the breaker of bank is open");
    breaker->close(bills);
}

static void reload(void *state, const char *const *given)
{
    struct warren_options options = {breaker->options, given};

    breaker->reload(state, &options);
}

#define RELOAD(state, ...) reload(state, (const char *const[]){__VA_ARGS__, NULL})

/* A reload changes when it trips, and what being open means, while it runs. */
static void a_reload_changes_it(void **state)
{
    void *bills = OPEN("bills", THREE);
    struct warren_job job = job_at(20, WARREN_ACK);
    int64_t retry_ms;

    (void)state;
    handle(bills, 2, 0, WARREN_RETRY);
    RELOAD(bills, "consecutive", "4", "failure_percent", "0", "open_time", "2s");
    handle(bills, 1, 1, WARREN_RETRY);
    assert_int_equal(admit(bills, 2, &retry_ms), 10);
    handle(bills, 1, 2, WARREN_RETRY);
    assert_int_equal(admit(bills, 2, &retry_ms), 0);
    assert_int_equal(retry_ms, 2000);
    RELOAD(bills, "consecutive", "4", "failure_percent", "0", "on_open", "dead-letter");
    assert_int_equal(admit(bills, 3, &retry_ms), 10);
    assert_int_equal(rig_run(breaker, bills, &job), WARREN_REJECT);
    breaker->close(bills);
}

/* Successes that are counted without the clock do not hide a change of the window. */
static void a_reload_of_the_window_is_seen_while_all_is_well(void **state)
{
    void *bills = OPEN("bills", "min_calls", "4", "window", "1h");
    int64_t retry_ms;

    (void)state;
    handle(bills, 100, 0, WARREN_ACK);
    assert_int_equal(admit(bills, 1, &retry_ms), 10);
    RELOAD(bills, "min_calls", "4", "window", "1s");
    assert_int_equal(admit(bills, 2, &retry_ms), 10);
    handle(bills, 4, 3, WARREN_RETRY);
    assert_int_equal(admit(bills, 4, &retry_ms), 0);
    breaker->close(bills);
}

/* Only failed attempts trip it; rejects do if the options say so; forgiven attempts never. */
static void what_counts_as_failure(void **state)
{
    static const struct {
        enum warren_outcome outcome;
        bool forgives;
        const char *reject_counts;
        bool opens;
    } rows[] = {{WARREN_ACK, false, "true", false},     {WARREN_DISCARD, false, "true", false},
                {WARREN_REQUEUE, false, "true", false}, {WARREN_REJECT, false, "false", false},
                {WARREN_REJECT, false, "true", true},   {WARREN_RETRY, false, "false", true},
                {WARREN_RETRY, true, "false", false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *bills = OPEN("bills", THREE, "reject_counts", rows[i].reject_counts);
        int64_t retry_ms;

        for (int n = 0; n < 3; n++) {
            struct warren_job job = job_at(0, rows[i].outcome);

            job.forgives = rows[i].forgives;
            assert_int_equal(rig_run(breaker, bills, &job), rows[i].outcome);
        }
        assert_int_equal(admit(bills, 0, &retry_ms), rows[i].opens ? 0 : 10);
        breaker->close(bills);
    }
}

/* The successes that need no lock count: 6 failures after 7 successes are under half, the seventh
 * is not; and they leave the window with their time, also if nothing comes for long. */
static void successes_without_a_lock_count(void **state)
{
    void *bills = OPEN("bills", "min_calls", "5", "window", "10s");
    int64_t retry_ms;

    (void)state;
    admit(bills, 20000, &retry_ms);
    handle(bills, 7, 20000, WARREN_ACK);
    handle(bills, 6, 20500, WARREN_RETRY);
    assert_int_equal(admit(bills, 20500, &retry_ms), 10);
    handle(bills, 1, 20500, WARREN_RETRY);
    assert_int_equal(admit(bills, 20500, &retry_ms), 0);
    breaker->close(bills);

    bills = OPEN("bills", "min_calls", "5", "window", "10s");
    admit(bills, 20000, &retry_ms);
    handle(bills, 100, 20000, WARREN_ACK);
    admit(bills, 31000, &retry_ms);
    handle(bills, 5, 31000, WARREN_RETRY);
    assert_int_equal(admit(bills, 31000, &retry_ms), 0);
    breaker->close(bills);
}

/* They move with the admissions: at each moment the window holds those of its time. */
static void successes_slide_with_the_admissions(void **state)
{
    void *bills = OPEN("bills", "min_calls", "5", "window", "10s");
    int64_t retry_ms;

    (void)state;
    for (int64_t now_ms = 20000; now_ms < 40000; now_ms += 100) {
        admit(bills, now_ms, &retry_ms);
        handle(bills, 1, now_ms, WARREN_ACK);
    }
    /* Those of the last nine steps, 90 of them, are in the window yet. */
    handle(bills, 89, 40000, WARREN_RETRY);
    assert_int_equal(admit(bills, 40000, &retry_ms), 10);
    handle(bills, 1, 40000, WARREN_RETRY);
    assert_int_equal(admit(bills, 40000, &retry_ms), 0);
    breaker->close(bills);
}

/* Subscriptions with one name share one breaker: what fails here pauses there. */
static void one_name_is_one_breaker(void **state)
{
    void *bills = OPEN("bills", THREE, "name", "bank");
    void *cards = OPEN("cards", THREE, "name", "bank");
    void *other = OPEN("cards", THREE);
    int64_t retry_ms;

    (void)state;
    handle(bills, 2, 0, WARREN_RETRY);
    handle(cards, 1, 0, WARREN_RETRY);
    assert_int_equal(admit(bills, 0, &retry_ms), 0);
    assert_int_equal(admit(cards, 0, &retry_ms), 0);
    assert_int_equal(admit(other, 0, &retry_ms), 10);
    breaker->close(bills);
    assert_int_equal(admit(cards, 1, &retry_ms), 0);
    breaker->close(cards);
    breaker->close(other);
    /* The last user took it along. */
    bills = OPEN("bills", THREE, "name", "bank");
    assert_int_equal(admit(bills, 1, &retry_ms), 10);
    breaker->close(bills);
}

#define STATE(state)                                                                               \
    "warren_breaker_state{queue=\"bills\",handler=\"p.charge\",state=\"" state "\"}"
#define OPENINGS "warren_breaker_openings_total{queue=\"bills\",handler=\"p.charge\"}"

static void assert_state(double closed, double open, double half_open, double openings)
{
    assert_true(metric_on_page(STATE("closed")) == closed);
    assert_true(metric_on_page(STATE("open")) == open);
    assert_true(metric_on_page(STATE("half-open")) == half_open);
    assert_true(metric_on_page(OPENINGS) == openings);
}

/* The state is a series of each subscription, also of one that shares its breaker. What is opened
 * to try options is not seen. */
static void its_state_is_seen(void **state)
{
    void *bills = OPEN("bills", THREE, "name", "bank");
    void *cards = OPEN("cards", THREE, "name", "bank");
    void *tried;
    int64_t retry_ms;

    (void)state;
    builtin_try(true);
    tried = OPEN("bills", THREE, "name", "bank");
    builtin_try(false);
    assert_state(1, 0, 0, 0);
    handle(cards, 3, 0, WARREN_RETRY);
    assert_state(0, 1, 0, 1);
    assert_int_equal(admit(bills, 1000, &retry_ms), 1);
    assert_state(0, 0, 1, 1);
    handle(bills, 1, 1001, WARREN_RETRY);
    assert_state(0, 1, 0, 2);
    breaker->close(tried);
    assert_state(0, 1, 0, 2);
    breaker->close(bills);
    breaker->close(cards);
    assert_true(isnan(metric_on_page(OPENINGS)));
}

/* One name with two meanings is refused, by naming both queues. */
static void one_name_has_one_meaning(void **state)
{
    static const char *const others[][2] = {
        {"failure_percent", "49"}, {"min_calls", "11"},      {"window", "2m"},
        {"consecutive", "9"},      {"open_time", "6s"},      {"open_growth", "3"},
        {"max_open_time", "2m"},   {"probes", "2"},          {"close_percent", "99"},
        {"on_open", "retry"},      {"reject_counts", "true"}};
    void *orders = OPEN("orders", "name", "bank");

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        RIG_REFUSED(breaker, "name 'bank': queue bills gives it other options than queue orders",
                    "name", "bank", others[i][0], others[i][1]);
    breaker->close(OPEN("bills", "name", "bank"));
    breaker->close(orders);
}

/* Options that contradict each other are refused with the reason. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    RIG_REFUSED(breaker, "would never open", "failure_percent", "0");
    RIG_REFUSED(breaker, "above max_open_time", "open_time", "2m");
}

/* Each change is logged once, with what led to it. */
static void changes_are_logged_once(void **state)
{
    void *bills;
    char text[4096] = "";
    int64_t retry_ms;
    ssize_t length;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log_set(WARREN_LOG_INFO, LOG_LOGFMT);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    bills = OPEN("bills", THREE, "name", "bank");
    handle(bills, 2, 0, WARREN_ACK);
    handle(bills, 3, 0, WARREN_RETRY);
    admit(bills, 500, &retry_ms);
    admit(bills, 1000, &retry_ms);
    admit(bills, 1000, &retry_ms);
    handle(bills, 2, 1001, WARREN_ACK);
    breaker->close(bills);
    log_stop(10000);
    close(ends[1]);
    length = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(length > 0);
    assert_non_null(strstr(text, "level=warn msg=\"breaker opened\" breaker=bank queue=bills "
                                 "open_ms=1000 calls=5 failures=3\n"));
    assert_non_null(strstr(text, "msg=\"breaker half-open\" breaker=bank queue=bills\n"));
    assert_non_null(strstr(text, "msg=\"breaker closed\" breaker=bank queue=bills\n"));
    for (int lines = 0; lines < 3; lines++)
        *strchr(text, '\n') = ' ';
    assert_null(strchr(text, '\n'));
}

/* ---- threads ---- */

struct storm {
    void *breaker;
    int64_t now_ms;
};

static void *storm(void *user)
{
    struct storm *mine = user;

    for (int i = 0; i < 20000; i++) {
        struct warren_job job =
            job_at(mine->now_ms + i / 100, i / 50 % 2 ? WARREN_RETRY : WARREN_ACK);
        int64_t retry_ms = 0;

        if (breaker->may(mine->breaker, 1, job.now_ms, &retry_ms) == 1)
            breaker->took(mine->breaker, 1, job.now_ms);
        rig_run(breaker, mine->breaker, &job);
    }
    return NULL;
}

/* Many threads, many changes of phase: afterwards it still opens and closes as one does. */
static void threads_share_it(void **state)
{
    void *bills = OPEN("bills", "consecutive", "3", "failure_percent", "0", "open_time", "1ms",
                       "max_open_time", "2ms", "window", "100ms");
    pthread_t threads[4];
    struct storm storms[4];
    int64_t retry_ms;

    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    for (int i = 0; i < 4; i++) {
        storms[i] = (struct storm){.breaker = bills, .now_ms = 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, storm, &storms[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* Whatever phase that ended in: a probe closes it, failures open it. */
    admit(bills, 50000, &retry_ms);
    handle(bills, 2, 50000, WARREN_ACK);
    assert_int_equal(admit(bills, 50000, &retry_ms), 10);
    handle(bills, 3, 50000, WARREN_RETRY);
    assert_int_equal(admit(bills, 50000, &retry_ms), 0);
    breaker->close(bills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pausing_and_resuming_by_a_probe),
        cmocka_unit_test(a_failed_probe_pauses_for_longer),
        cmocka_unit_test(messages_under_way_go_back),
        cmocka_unit_test(an_old_success_is_no_probe),
        cmocka_unit_test(retrying_later),
        cmocka_unit_test(others_wait_for_the_probe),
        cmocka_unit_test(dead_lettering_at_once),
        cmocka_unit_test(a_reload_changes_it),
        cmocka_unit_test(a_reload_of_the_window_is_seen_while_all_is_well),
        cmocka_unit_test(what_counts_as_failure),
        cmocka_unit_test(successes_without_a_lock_count),
        cmocka_unit_test(successes_slide_with_the_admissions),
        cmocka_unit_test(one_name_is_one_breaker),
        cmocka_unit_test(its_state_is_seen),
        cmocka_unit_test(one_name_has_one_meaning),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(changes_are_logged_once),
        cmocka_unit_test(threads_share_it),
    };

    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
