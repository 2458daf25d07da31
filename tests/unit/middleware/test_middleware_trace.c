/* test_middleware_trace.c - which trace a job gets from the headers of its message. */
#include <pthread.h>

#include "amqp/wire/notes.h"
#include "base/span.h"
#include "base/traceparent.h"
#include "fake_job.h"
#include "middleware/builtin.h"
#include "support/test.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

/* Run @job, whose message has the @count headers, through the middleware with `start`. */
static void run(struct warren_job *job, const char *start, const struct warren_field *headers,
                size_t count)
{
    const struct warren_options options = {{{"start", start}}};
    struct warren_subscription_info info;
    void *state = fake_open(&middleware_trace, &info, &options);
    struct warren_link links[] = {{middleware_trace.call, state, 0}, {fake_handle, NULL, 0}};

    job->properties.headers = (struct warren_table){headers, count};
    assert_int_equal(warren_next(job, links), job->outcome);
    middleware_trace.close(state);
}

static struct traceparent trace_of(const struct warren_job *job)
{
    struct traceparent parent;

    assert_true(traceparent_parse(warren_text(job->traceparent), &parent));
    return parent;
}

/* The job is a child: the same trace, an id of its own, sampled as it was. */
static void a_job_is_a_child_of_its_message(void **state)
{
    (void)state;
    for (int sampled = 0; sampled < 2; sampled++) {
        struct warren_field headers[] = {
            warren_field_text("traceparent", sampled ? "00-" TRACE "-" PARENT "-01"
                                                     : "00-" TRACE "-" PARENT "-00"),
            warren_field_text("tracestate", "rojo=1,congo=2")};
        struct warren_job job = {.outcome = WARREN_REJECT};
        struct traceparent parent;

        run(&job, "false", headers, 2);
        assert_int_equal(job.traces, 1);
        parent = trace_of(&job);
        assert_string_equal(parent.trace_id, TRACE);
        assert_string_not_equal(parent.parent_id, PARENT);
        assert_int_equal(parent.sampled, sampled);
        assert_string_equal(job.tracestate, "rojo=1,congo=2");
    }
}

/* A tracestate that cannot travel on costs the trace nothing. */
static void a_bad_tracestate_is_left_out(void **state)
{
    struct warren_field headers[] = {warren_field_text("traceparent", "00-" TRACE "-" PARENT "-01"),
                                     warren_field_text("tracestate", "a=\n")};
    struct warren_job job = {0};

    (void)state;
    run(&job, "false", headers, 2);
    assert_string_equal(trace_of(&job).trace_id, TRACE);
    assert_false(job.has_tracestate);
}

/* Some clients write texts as octets. */
static void octets_are_read_as_text(void **state)
{
    struct warren_field header = warren_field_text("traceparent", "00-" TRACE "-" PARENT "-01");
    struct warren_job job = {0};

    (void)state;
    header.value.type = WARREN_BYTES;
    run(&job, "false", &header, 1);
    assert_string_equal(trace_of(&job).trace_id, TRACE);
}

/* Without a valid one there is no trace, with or without a tracestate. */
static void without_a_valid_header_there_is_no_trace(void **state)
{
    struct warren_field headers[] = {warren_field_text("tracestate", "a=b"),
                                     warren_field_text("traceparent", "00-" TRACE "-" PARENT)};
    struct warren_field number = warren_field_i64("traceparent", 7);
    struct warren_job job = {0};

    (void)state;
    run(&job, "false", NULL, 0);
    run(&job, "false", headers, 1);
    run(&job, "false", headers, 2);
    run(&job, "false", &number, 1);
    assert_int_equal(job.traces, 0);
}

/* With `start` it begins one; a tracestate of nobody's trace is not passed on. */
static void a_trace_can_be_begun(void **state)
{
    struct warren_field headers[] = {
        warren_field_text("traceparent", "00-00000000000000000000000000000000-" PARENT "-01"),
        warren_field_text("tracestate", "a=b")};
    struct warren_job first = {0}, second = {0};

    (void)state;
    run(&first, "true", headers, 2);
    assert_true(trace_of(&first).sampled);
    assert_false(first.has_tracestate);
    run(&second, "true", NULL, 0);
    assert_string_not_equal(trace_of(&first).trace_id, trace_of(&second).trace_id);
    assert_string_not_equal(trace_of(&first).parent_id, trace_of(&second).parent_id);
}

/* ---- with a tracer ---- */

static struct tracer *tracer_of(double ratio)
{
    static struct tracer tracer;

    tracer_done(&tracer);
    assert_int_equal(tracer_init(&tracer, ratio), WARREN_OK);
    return &tracer;
}

/* A message without a trace begins one; the ratio says whether it is sampled, in every attempt. */
static void every_message_has_a_trace(void **state)
{
    (void)state;
    for (int ratio = 0; ratio < 2; ratio++) {
        struct warren_job job = {.tracer = tracer_of(ratio)};

        run(&job, "false", NULL, 0);
        assert_int_equal(trace_of(&job).sampled, ratio);
        assert_int_equal(job.context.self.sampled, ratio);
        assert_false(job.context.has_message);
        assert_false(job.context.has_earlier);
        assert_string_equal(job.context.self.parent_id, trace_of(&job).parent_id);
    }
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct warren_job first = {.tracer = tracer_of(0.5), .seed = seed};
        struct warren_job second = {.tracer = tracer_of(0.5), .seed = seed};

        run(&first, "false", NULL, 0);
        run(&second, "false", NULL, 0);
        assert_int_equal(trace_of(&first).sampled, trace_of(&second).sampled);
    }
}

/* What the message says goes before the ratio. */
static void the_flag_of_a_message_decides(void **state)
{
    (void)state;
    for (int sampled = 0; sampled < 2; sampled++) {
        struct warren_field header = warren_field_text(
            "traceparent", sampled ? "00-" TRACE "-" PARENT "-01" : "00-" TRACE "-" PARENT "-00");
        struct warren_job job = {.tracer = tracer_of(!sampled)};

        run(&job, "false", &header, 1);
        assert_int_equal(job.context.self.sampled, sampled);
        assert_true(job.context.has_message);
        assert_string_equal(job.context.message.parent_id, PARENT);
        assert_string_equal(job.context.self.trace_id, TRACE);
    }
}

/* A copy of a message without a trace goes on with that of the attempt before. */
static void a_copy_goes_on_with_its_trace(void **state)
{
    struct warren_field note = warren_field_text(NOTE_TRACE, "00-" TRACE "-" PARENT "-00");
    struct warren_job job = {.tracer = tracer_of(1)};
    struct warren_job untraced = {0};

    (void)state;
    run(&job, "false", &note, 1);
    assert_true(job.context.has_earlier);
    assert_string_equal(job.context.earlier.parent_id, PARENT);
    assert_string_equal(job.context.self.trace_id, TRACE);
    assert_false(job.context.self.sampled);
    run(&untraced, "false", &note, 1);
    assert_int_equal(untraced.traces, 0);
}

/* The attempt before in this process is nearer than what a header notes. */
static void the_attempt_before_is_known(void **state)
{
    struct warren_field headers[] = {warren_field_text(NOTE_TRACE, "00-" TRACE "-" PARENT "-01")};
    struct warren_job job = {.tracer = tracer_of(1), .has_earlier = true};

    (void)state;
    span_begin_trace(&job.earlier);
    job.earlier.sampled = true;
    run(&job, "false", headers, 1);
    assert_string_equal(job.context.earlier.parent_id, job.earlier.parent_id);
    assert_string_equal(job.context.self.trace_id, job.earlier.trace_id);
    assert_string_not_equal(job.context.self.parent_id, job.earlier.parent_id);
}

/* ---- ids ---- */

#define IDS     1000
#define THREADS 4

static void *make_ids(void *arg)
{
    struct warren_field header = warren_field_text("traceparent", "00-" TRACE "-" PARENT "-01");
    char(*ids)[17] = arg;

    for (int i = 0; i < IDS; i++) {
        struct warren_job job = {0};

        run(&job, "false", &header, 1);
        memcpy(ids[i], trace_of(&job).parent_id, sizeof ids[i]);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 17);
}

/* Threads do not give out each other's ids. */
static void ids_are_unique_over_threads(void **state)
{
    static char ids[THREADS * IDS][17];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids + i * IDS), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * IDS, sizeof *ids, compare);
    for (int i = 1; i < THREADS * IDS; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_a_child_of_its_message),
        cmocka_unit_test(a_bad_tracestate_is_left_out),
        cmocka_unit_test(octets_are_read_as_text),
        cmocka_unit_test(without_a_valid_header_there_is_no_trace),
        cmocka_unit_test(a_trace_can_be_begun),
        cmocka_unit_test(every_message_has_a_trace),
        cmocka_unit_test(the_flag_of_a_message_decides),
        cmocka_unit_test(a_copy_goes_on_with_its_trace),
        cmocka_unit_test(the_attempt_before_is_known),
        cmocka_unit_test(ids_are_unique_over_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
