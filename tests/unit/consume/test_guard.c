/* test_guard.c - what becomes of messages that earlier processes left a word about. */
#include <signal.h>

#include "base/log.h"
#include "consume/job/guard.h"
#include "job_rig.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define CRASHES_MAX 1

struct rig {
    struct job_rig job;
    struct flight *flight;
    struct guard guard;
    struct chain chain;
    struct warren_handler handler;

    enum warren_outcome outcome; /* that the handler answers */
    bool forgives;
    unsigned runs;
    bool was_alone;
    uint32_t attempt; /* that it saw */
    unsigned settled_up;
};

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct rig *rig = state;

    rig->runs++;
    rig->attempt = warren_job_attempt(job);
    rig->was_alone = guard_worker(&rig->guard, 0)->slot->alone;
    assert_true(flight_is_up(guard_worker(&rig->guard, 0)));
    if (rig->forgives)
        warren_job_forgive(job);
    return rig->outcome;
}

static void wait_for_acks(void *user)
{
    struct rig *rig = user;

    assert_int_equal(rig->runs, 0);
    rig->settled_up++;
}

static void open_flight(struct rig *rig)
{
    const struct flight_options options = {
        .inherited = -1, .key = "", .slots = 3, .notes = 4, .crashes_max = CRASHES_MAX};
    const struct guard_options guard = {.queue = "payments",
                                        .handler = "p.charge",
                                        .concurrency = 1,
                                        .ahead = true,
                                        .wait_for_acks = wait_for_acks,
                                        .user = rig};
    struct guard_options with = guard;

    assert_int_equal(flight_open(&options, &rig->flight, NULL), WARREN_OK);
    with.flight = rig->flight;
    assert_int_equal(guard_init(&rig->guard, &with), WARREN_OK);
}

static int setup(void **state)
{
    struct warren_bytes none = {"", 0};
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    clock_fake_init(&rig->job.clock, JOB_RIG_START_MS);
    atomic_store(&rig->job.deadline_ms, INT64_MAX);
    rig->job.source = (struct job_source){.queue = "payments",
                                          .handler = "p.charge",
                                          .clock = &rig->job.clock.clock,
                                          .deadline_ms = &rig->job.deadline_ms};
    rig->job.job = job_new(&rig->job.source);
    rig->job.attempt = attempt_new(none, none, none, 0);
    rig->handler = (struct warren_handler){.name = "charge", .handle = handle};
    open_flight(rig);
    if (!rig->job.job || !rig->job.attempt ||
        chain_init(&rig->chain, NULL, 0, false, &rig->handler, rig) != WARREN_OK)
        return -1;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    chain_done(&rig->chain);
    guard_done(&rig->guard);
    flight_close(rig->flight, true);
    job_free(rig->job.job);
    attempt_free(rig->job.attempt);
    free(rig);
    return 0;
}

static struct identity message_of(const struct rig *rig)
{
    struct warren_bytes id;

    return identity_of(&rig->job.attempt->delivery, rig->guard.seed, &id);
}

/* An earlier process left this word about the message of the rig. */
static void know(struct rig *rig, uint32_t crashes, uint32_t failed, enum flight_reason reason)
{
    struct flight_note note = {.message = message_of(rig),
                               .crashes = crashes,
                               .failed = failed,
                               .reason = reason,
                               .first_ms = 5000,
                               .noted_ms = clock_wall_ms()};

    flight_notes_load(&rig->flight->notes, &note, true);
}

static enum warren_outcome run(struct rig *rig)
{
    enum warren_outcome outcome;

    job_rig_begin(&rig->job);
    outcome = guard_run(&rig->guard, 0, rig->job.job, &rig->chain);
    guard_ended(&rig->guard, 0);
    return outcome;
}

/* ---- without suspicion ---- */

/* What succeeds leaves no trace. */
static void a_success(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(run(rig), WARREN_ACK);
    assert_int_equal(rig->attempt, 1);
    assert_false(rig->was_alone);
    assert_false(flight_is_up(guard_worker(&rig->guard, 0)));
    assert_int_equal(rig->job.attempt->note, 0);
    assert_int_equal(flight_notes_count(&rig->flight->notes), 0);
}

/* What fails is noted, and the note goes with the message: awaited when it goes back, found when it
 * comes again, forgotten when it is settled. */
static void a_failure(void **state)
{
    struct rig *rig = *state;

    rig->outcome = WARREN_RETRY;
    assert_int_equal(run(rig), WARREN_RETRY);
    assert_true(rig->job.attempt->note > 0);
    assert_false(flight_notes_any(&rig->flight->notes));
    guard_left(&rig->guard, rig->job.attempt, GUARD_RETURNED);
    assert_true(flight_notes_any(&rig->flight->notes));
    rig->outcome = WARREN_ACK;
    assert_int_equal(run(rig), WARREN_ACK);
    assert_int_equal(rig->attempt, 2);
    guard_left(&rig->guard, rig->job.attempt, GUARD_SETTLED);
    assert_int_equal(flight_notes_count(&rig->flight->notes), 0);
}

/* A copy bears its attempts itself. */
static void a_failure_that_is_copied(void **state)
{
    struct rig *rig = *state;

    rig->outcome = WARREN_RETRY;
    run(rig);
    guard_left(&rig->guard, rig->job.attempt, GUARD_COPIED);
    assert_int_equal(flight_notes_count(&rig->flight->notes), 0);
}

static void a_forgiven_failure(void **state)
{
    struct rig *rig = *state;

    rig->outcome = WARREN_RETRY;
    rig->forgives = true;
    assert_int_equal(run(rig), WARREN_RETRY);
    assert_int_equal(flight_notes_count(&rig->flight->notes), 0);
}

/* A delivery that comes again while a handler has the one before waits for that one's end; another
 * message, and one that comes for the first time, do not. */
static void what_a_handler_still_has(void **state)
{
    struct rig *rig = *state;
    struct attempt *attempt = rig->job.attempt;
    struct flight_worker *other =
        flight_take(rig->flight, "payments", "p.other", false, &rig->guard.lost);
    struct identity message = message_of(rig);
    struct warren_bytes no_id = {"", 0};

    assert_non_null(other);
    flight_begin(other, &attempt->delivery, &message, no_id, false, 0, 0);
    attempt->delivery.redelivered = true;
    assert_int_equal(run(rig), WARREN_RETRY);
    assert_int_equal(rig->runs, 0);
    assert_true(warren_job_forgiven(rig->job.job));
    assert_int_equal(warren_job_retry_delay_ms(rig->job.job), GUARD_AGAIN_MS);
    assert_int_equal(flight_notes_count(&rig->flight->notes), 0);
    attempt->delivery.redelivered = false;
    assert_int_equal(run(rig), WARREN_ACK);
    attempt->delivery.redelivered = true;
    message.low++;
    flight_begin(other, &attempt->delivery, &message, no_id, false, 0, 0);
    assert_int_equal(run(rig), WARREN_ACK);
    message.low--;
    flight_begin(other, &attempt->delivery, &message, no_id, false, 0, 0);
    assert_int_equal(run(rig), WARREN_RETRY);
    assert_true(flight_end(other));
    assert_int_equal(run(rig), WARREN_ACK);
    assert_int_equal(rig->runs, 3);
}

/* ---- suspects ---- */

/* After one crash: alone, when everything else is settled, and the attempt counts the crash. */
static void after_one_crash(void **state)
{
    struct rig *rig = *state;

    know(rig, 1, 1, FLIGHT_SIGNAL);
    assert_int_equal(run(rig), WARREN_ACK);
    assert_true(rig->was_alone);
    assert_int_equal(rig->settled_up, 1);
    assert_int_equal(rig->attempt, 2);
    assert_int_equal(rig->job.attempt->first_failure_s, 5);
    guard_left(&rig->guard, rig->job.attempt, GUARD_SETTLED);
    assert_int_equal(flight_suspects(rig->flight), 0);
}

/* A suspect stays one while it is retried, wherever it waits for that. */
static void a_suspect_that_fails(void **state)
{
    struct rig *rig = *state;

    know(rig, 1, 0, FLIGHT_KILLED);
    rig->outcome = WARREN_RETRY;
    run(rig);
    assert_int_equal(rig->attempt, 1);
    rig->job.attempt->failed = 1; /* as the end of the job does; then it waits in memory */
    rig->runs = 0;
    run(rig);
    assert_int_equal(rig->attempt, 2);
    assert_true(rig->was_alone);
    guard_left(&rig->guard, rig->job.attempt, GUARD_COPIED);
    rig->job.attempt->failed = 0; /* the copy's header tells */
    rig->runs = 0;
    run(rig);
    assert_int_equal(rig->attempt, 1);
    assert_true(rig->was_alone);
}

/* A handler that did not return harms nobody by its memory: it does not run alone. */
static void after_a_hard_limit(void **state)
{
    struct rig *rig = *state;

    know(rig, 1, 1, FLIGHT_LIMIT);
    assert_int_equal(run(rig), WARREN_ACK);
    assert_false(rig->was_alone);
    assert_int_equal(rig->settled_up, 0);
    assert_int_equal(rig->attempt, 2);
}

/* While the worker drains nothing begins; the suspicion waits for the next process. */
static void while_it_drains(void **state)
{
    struct rig *rig = *state;

    know(rig, 1, 1, FLIGHT_SIGNAL);
    exclusive_gate_close(&rig->flight->exclusive_gate);
    assert_int_equal(run(rig), WARREN_REQUEUE);
    assert_int_equal(rig->runs, 0);
    assert_true(rig->job.attempt->suspect);
    guard_left(&rig->guard, rig->job.attempt, GUARD_RETURNED);
    assert_int_equal(flight_suspects(rig->flight), 1);
    assert_true(flight_notes_any(&rig->flight->notes));
}

/* ---- quarantine ---- */

/* After too many crashes it is not run, but rejected with everything that is known. */
static void after_too_many_crashes(void **state)
{
    struct rig *rig = *state;
    struct flight_report *report = &rig->flight->file.reports[0];
    struct flight_note note = {.message = message_of(rig),
                               .crashes = CRASHES_MAX + 1,
                               .failed = 2,
                               .reason = FLIGHT_SIGNAL,
                               .report = 1,
                               .noted_ms = clock_wall_ms()};

    report->signal = SIGILL;
    strcpy(report->backtrace, "#0 charge\n");
    flight_notes_load(&rig->flight->notes, &note, true);
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_int_equal(rig->runs, 0);
    assert_string_equal(rig->job.job->reason, "crash");
    assert_string_equal(rig->job.job->signal, "SIGILL");
    assert_string_equal(rig->job.job->backtrace, "#0 charge\n");
    assert_string_equal(warren_job_error(rig->job.job), "the handler crashed by SIGILL, 2 times");
    assert_true(warren_job_forgiven(rig->job.job)); /* it has not failed once more */
    assert_int_equal(rig->job.attempt->failed, 2);
    guard_left(&rig->guard, rig->job.attempt, GUARD_SETTLED);
    assert_int_equal(flight_suspects(rig->flight), 0);
}

static void the_other_reasons(void **state)
{
    struct rig *rig = *state;

    know(rig, 2, 2, FLIGHT_LIMIT);
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_string_equal(warren_job_error(rig->job.job),
                        "the handler did not return by its hard limit, 2 times");
    assert_null(rig->job.job->signal);
    assert_null(rig->job.job->backtrace);
    guard_left(&rig->guard, rig->job.attempt, GUARD_SETTLED);
    know(rig, 3, 1, FLIGHT_KILLED);
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_string_equal(warren_job_error(rig->job.job),
                        "the process was killed while the handler ran, 3 times");
}

/* What crashed on the event loop is not shown there any more once it has had its attempts. */
static void on_the_loop(void **state)
{
    struct rig *rig = *state;

    know(rig, 1, 1, FLIGHT_AHEAD);
    assert_true(guard_shows(&rig->guard, rig->job.attempt));
    assert_true(flight_is_up(rig->guard.ahead));
    guard_shown(&rig->guard);
    assert_false(flight_is_up(rig->guard.ahead));
    guard_left(&rig->guard, rig->job.attempt, GUARD_SETTLED);
    know(rig, 2, 2, FLIGHT_AHEAD);
    assert_false(guard_shows(&rig->guard, rig->job.attempt));
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_int_equal(rig->runs, 0);
    assert_string_equal(warren_job_error(rig->job.job),
                        "`key` or `before` crashed on the event loop, 2 times");
}

/* A dead letter that was not accepted comes again, and is not run then either. */
static void quarantined_twice(void **state)
{
    struct rig *rig = *state;

    know(rig, 2, 1, FLIGHT_KILLED);
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_int_equal(run(rig), WARREN_REJECT);
    assert_int_equal(rig->runs, 0);
    assert_int_equal(rig->job.attempt->failed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_success),
        T(a_failure),
        T(a_failure_that_is_copied),
        T(a_forgiven_failure),
        T(what_a_handler_still_has),
        T(after_one_crash),
        T(a_suspect_that_fails),
        T(after_a_hard_limit),
        T(while_it_drains),
        T(after_too_many_crashes),
        T(the_other_reasons),
        T(on_the_loop),
        T(quarantined_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
