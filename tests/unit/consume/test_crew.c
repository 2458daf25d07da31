/* test_crew.c - what a worker does with an attempt: the whole chain, or, if what it published was
 * returned, its judges.
 */
#include "consume/job/crew.h"
#include "support/fake_clock.h"
#include "support/test.h"

static char trail[16];

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    strcat(trail, state);
    return WARREN_DISCARD;
}

static enum warren_outcome pass(struct warren_job *job, const struct warren_link *next, void *state)
{
    strcat(trail, state);
    return warren_next(job, next);
}

static bool before(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark)
{
    (void)job;
    (void)passage;
    (void)state;
    (void)ret_mark;
    abort(); /* that is the stages' */
}

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct crew crew;
    struct attempt *attempt;
};

static int setup(void **state)
{
    static const struct warren_handler handler = {.name = "h", .handle = handle};
    static const struct warren_middleware looks = {.before = before};
    static const struct warren_middleware plain = {.call = pass};
    static const struct warren_middleware judge = {.call = pass, .late_failures = true};
    const struct chain_member members[] = {
        {&looks, NULL, false}, {&plain, "p", false}, {&judge, "j", false}};
    const struct guard_options guard = {.queue = "q", .handler = "p.h", .concurrency = 2};
    struct warren_bytes none = {"", 0};
    struct rig *rig = calloc(1, sizeof *rig);

    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){.queue = "q",
                                      .handler = "p.h",
                                      .definition = &handler,
                                      .state = "h",
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms};
    rig->attempt = attempt_new(none, none, none, 0);
    trail[0] = '\0';
    *state = rig;
    return crew_init(&rig->crew, &rig->source, members, 3, &guard) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    crew_done(&rig->crew);
    attempt_free(rig->attempt);
    free(rig);
    return 0;
}

/* Each worker has a job; the outcome is in the attempt, which is settled. */
static void an_attempt_goes_through_the_chain(void **state)
{
    struct rig *rig = *state;

    for (uint32_t worker = 0; worker < 2; worker++) {
        assert_true(crew_run(&rig->crew, worker, rig->attempt, 5000000000));
        assert_int_equal(rig->attempt->outcome, WARREN_DISCARD);
    }
    assert_string_equal(trail, "pjhpjh");
}

/* The handler has returned before: only who judges failed attempts is asked. */
static void a_returned_publish_goes_to_its_judges(void **state)
{
    struct rig *rig = *state;

    rig->attempt->publish_returned = true;
    assert_true(crew_run(&rig->crew, 0, rig->attempt, 5000000000));
    assert_string_equal(trail, "j");
    assert_int_equal(rig->attempt->outcome, WARREN_RETRY);
    assert_int_equal(rig->attempt->failed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_attempt_goes_through_the_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_returned_publish_goes_to_its_judges, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
