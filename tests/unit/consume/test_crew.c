/* test_crew.c - what a worker does with an attempt: the whole chain, or, if what it published was
 * returned, its judges.
 */
#include "consume/job/crew.h"
#include "consume/job/job_span.h"
#include "support/attempt.h"
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
    struct edition edition;
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
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms};
    rig->attempt = attempt_new(none, none, none, 0);
    rig->attempt->edition = &rig->edition;
    trail[0] = '\0';
    *state = rig;
    if (edition_init(&rig->edition, members, 3, &handler, "h") != WARREN_OK)
        return -1;
    return crew_init(&rig->crew, &rig->source, &guard) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    crew_done(&rig->crew);
    edition_done(&rig->edition);
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

/* More workers join; those that there are see no difference, and with fewer none is taken away. */
static void a_crew_grows(void **state)
{
    struct rig *rig = *state;

    for (uint32_t concurrency = 3; concurrency < 200; concurrency *= 2) {
        assert_int_equal(crew_grow(&rig->crew, concurrency, 0, false), WARREN_OK);
        for (uint32_t worker = 0; worker < concurrency; worker++) {
            trail[0] = '\0';
            assert_true(crew_run(&rig->crew, worker, rig->attempt, 5000000000));
            assert_string_equal(trail, "pjh");
        }
    }
    assert_int_equal(crew_grow(&rig->crew, 1, 0, false), WARREN_OK);
    assert_int_equal(rig->crew.concurrency, 192);
}

/* An attempt goes through its own edition, whatever there is by then. */
static void each_attempt_has_its_edition(void **state)
{
    static const struct warren_handler other = {.name = "o", .handle = handle};
    struct rig *rig = *state;
    struct edition edition = {.has_relay = false};

    assert_int_equal(edition_init(&edition, NULL, 0, &other, "o"), WARREN_OK);
    assert_true(crew_run(&rig->crew, 0, rig->attempt, 5000000000));
    rig->attempt->edition = &edition;
    assert_true(crew_run(&rig->crew, 0, rig->attempt, 5000000000));
    rig->attempt->edition = &rig->edition;
    assert_true(crew_run(&rig->crew, 0, rig->attempt, 5000000000));
    assert_string_equal(trail, "pjhopjh");
    edition_done(&edition);
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

/* Its time is counted once for each attempt that ran: not for its judges, and not for what a worker
 * did not run because its channel is gone. */
static void an_attempt_is_counted_once(void **state)
{
    struct rig *rig = *state;
    double before = metric_value(rig->crew.meter.handler_time);

    crew_run(&rig->crew, 0, rig->attempt, 5000000000);
    crew_ran(&rig->crew, 0, 1000);
    assert_true(metric_value(rig->crew.meter.handler_time) == before + 1);
    crew_ran(&rig->crew, 0, 1000);
    assert_true(metric_value(rig->crew.meter.handler_time) == before + 1);
    rig->attempt->publish_returned = true;
    crew_run(&rig->crew, 0, rig->attempt, 5000000000);
    crew_ran(&rig->crew, 0, 1000);
    assert_true(metric_value(rig->crew.meter.handler_time) == before + 1);
}

/* ---- spans ---- */

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

/* As the middleware trace does it: the trace of a message that came with one. */
static enum warren_outcome begin_trace(struct warren_job *job, const struct warren_link *next,
                                       void *state)
{
    struct job_context context = {.has_message = state != NULL};

    context.has_earlier = job_trace_earlier(job, &context.earlier);
    if (state)
        traceparent_parse(warren_text(state), &context.message);
    if (context.has_earlier)
        context.self = context.earlier;
    else
        span_begin_trace(&context.self);
    if (state)
        context.self = context.message;
    span_new_self(&context.self);
    context.self.sampled = true;
    job_trace_begin(job, &context);
    return warren_next(job, next);
}

static enum warren_outcome fails(struct warren_job *job, void *state)
{
    (void)state;
    warren_job_fail(job, "no such account");
    return WARREN_RETRY;
}

/* A rig whose attempts are traced; its messages came with @traceparent, or without. */
static struct tracer *trace_rig(struct rig *rig, const char *traceparent)
{
    static const struct warren_middleware trace = {.call = begin_trace, .late_failures = true};
    static const struct warren_handler handler = {.name = "h", .handle = fails};
    const struct chain_member members[] = {{&trace, (void *)(uintptr_t)traceparent, false}};
    const struct guard_options guard = {.queue = "q", .handler = "p.h", .concurrency = 1};
    static struct tracer tracer;

    tracer_done(&tracer);
    assert_int_equal(tracer_init(&tracer, 1), WARREN_OK);
    crew_done(&rig->crew);
    edition_done(&rig->edition);
    memset(&rig->crew, 0, sizeof rig->crew);
    rig->source.tracer = &tracer;
    assert_int_equal(edition_init(&rig->edition, members, 1, &handler, NULL), WARREN_OK);
    assert_int_equal(crew_init(&rig->crew, &rig->source, &guard), WARREN_OK);
    return &tracer;
}

static struct span taken(struct tracer *tracer, enum span_operation operation)
{
    const struct span *span = tracer_peek(tracer);
    struct span copy;

    assert_non_null(span);
    assert_int_equal(span->operation, operation);
    copy = *span;
    tracer_pop(tracer);
    return copy;
}

static bool says(const struct span *span, enum span_text which, const char *text)
{
    struct warren_bytes bytes = span_text(span, which);

    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* Receive and process are children of the message's span; a later attempt links to the one before,
 * and is not received again. */
static void attempts_are_children_of_their_message(void **state)
{
    struct rig *rig = *state;
    struct tracer *tracer = trace_rig(rig, "00-" TRACE "-00f067aa0ba902b7-01");
    struct span receive, first, second;

    rig->attempt->arrived_ns = 4000000000;
    crew_run(&rig->crew, 0, rig->attempt, 5000000000);
    clock_fake_advance_ms(&rig->clock, 7);
    crew_run(&rig->crew, 0, rig->attempt, 5001000000);
    receive = taken(tracer, SPAN_RECEIVE);
    assert_string_equal(receive.self.trace_id, TRACE);
    assert_string_equal(receive.parent_id, "00f067aa0ba902b7");
    assert_true(receive.begin_ns == 4000000000 && receive.end_ns == 5000000000);
    first = taken(tracer, SPAN_PROCESS);
    assert_string_equal(first.parent_id, "00f067aa0ba902b7");
    assert_int_equal(first.attempt, 1);
    assert_int_equal(first.link_count, 0);
    assert_true(says(&first, SPAN_ERROR_TYPE, "error"));
    assert_true(says(&first, SPAN_ERROR, "no such account"));
    assert_true(says(&first, SPAN_OUTCOME, "retry"));
    assert_true(says(&first, SPAN_QUEUE, "q"));
    second = taken(tracer, SPAN_PROCESS);
    assert_int_equal(second.attempt, 2);
    assert_int_equal(second.link_count, 1);
    assert_string_equal(second.links[0].parent_id, first.self.parent_id);
    assert_true(second.end_ns - second.begin_ns == 6000000);
    assert_null(tracer_peek(tracer));
}

/* Without a trace of the message receive is the root of all its attempts. */
static void receive_is_the_root(void **state)
{
    struct rig *rig = *state;
    struct tracer *tracer = trace_rig(rig, NULL);
    struct span receive, process;

    for (int attempt = 0; attempt < 2; attempt++)
        crew_run(&rig->crew, 0, rig->attempt, 5000000000);
    receive = taken(tracer, SPAN_RECEIVE);
    assert_string_equal(receive.parent_id, "");
    for (int attempt = 0; attempt < 2; attempt++) {
        process = taken(tracer, SPAN_PROCESS);
        assert_string_equal(process.self.trace_id, receive.self.trace_id);
        assert_string_equal(process.parent_id, receive.self.parent_id);
    }
}

/* What was found out after the handler's end is a failure of its own kind, and so it is counted. */
static void a_returned_publish_has_a_reason(void **state)
{
    struct rig *rig = *state;
    struct tracer *tracer = trace_rig(rig, NULL);
    double before = metric_value(rig->crew.meter.failures[FAILURE_RETURNED]);
    struct span process;

    rig->attempt->publish_returned = true;
    crew_run(&rig->crew, 0, rig->attempt, 5000000000);
    taken(tracer, SPAN_RECEIVE);
    process = taken(tracer, SPAN_PROCESS);
    assert_true(says(&process, SPAN_ERROR_TYPE, "returned"));
    assert_int_equal(metric_value(rig->crew.meter.failures[FAILURE_RETURNED]) - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_attempt_goes_through_the_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_returned_publish_goes_to_its_judges, setup, teardown),
        cmocka_unit_test_setup_teardown(an_attempt_is_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crew_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(each_attempt_has_its_edition, setup, teardown),
        cmocka_unit_test_setup_teardown(attempts_are_children_of_their_message, setup, teardown),
        cmocka_unit_test_setup_teardown(receive_is_the_root, setup, teardown),
        cmocka_unit_test_setup_teardown(a_returned_publish_has_a_reason, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
