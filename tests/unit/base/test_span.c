/* test_span.c - base/span.h and base/ring.h: records, what finds no room, who is sampled. */
#include <pthread.h>

#include "base/span.h"
#include "support/test.h"

static int setup(void **state)
{
    static struct tracer tracer;

    memset(&tracer, 0, sizeof tracer);
    *state = &tracer;
    return tracer_init(&tracer, 0.25) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    tracer_done(*state);
    return 0;
}

static bool is_text(const struct span *span, enum span_text which, const char *text)
{
    struct warren_bytes bytes = span_text(span, which);

    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* Texts, links and numbers come out as they were put in, and one that was not put in is empty. */
static void a_record_keeps_what_it_is_told(void **state)
{
    struct tracer *tracer = *state;
    struct span *span = span_begin(tracer, SPAN_PROCESS, SPAN_CONSUMER);
    struct traceparent cause;
    const struct span *out;

    assert_non_null(span);
    span_begin_trace(&span->self);
    span_begin_trace(&cause);
    span_put_text(span, SPAN_QUEUE, "payments");
    span_put(span, SPAN_MESSAGE_ID, (struct warren_bytes){"a\0b", 3});
    span_put_text(span, SPAN_ERROR, NULL);
    for (int i = 0; i < SPAN_LINKS + 1; i++)
        span_link(span, &cause);
    span_link(span, NULL);
    span_end(tracer, span);
    out = tracer_peek(tracer);
    assert_non_null(out);
    assert_true(is_text(out, SPAN_QUEUE, "payments"));
    assert_int_equal(span_text(out, SPAN_MESSAGE_ID).len, 3);
    assert_int_equal(span_text(out, SPAN_ERROR).len, 0);
    assert_int_equal(out->link_count, SPAN_LINKS);
    assert_string_equal(out->links[0].trace_id, cause.trace_id);
    tracer_pop(tracer);
    assert_null(tracer_peek(tracer));
}

/* What is beyond the room for texts is cut, and the next ones are empty. */
static void long_texts_are_cut(void **state)
{
    static char text[SPAN_TEXT_MAX];
    struct span span;

    (void)state;
    memset(text, 'x', sizeof text);
    span_init(&span, SPAN_ACK, SPAN_CLIENT);
    for (int i = 0; i < SPAN_TEXTS; i++)
        span_put(&span, (enum span_text)i, (struct warren_bytes){text, 300});
    assert_int_equal(span_text(&span, (enum span_text)0).len, 300);
    assert_int_equal(span_text(&span, (enum span_text)3).len, SPAN_TEXT_MAX - 900);
    assert_int_equal(span_text(&span, (enum span_text)4).len, 0);
    assert_int_equal(span.used, SPAN_TEXT_MAX);
}

/* A full ring refuses, and counts; each span that leaves makes room for one. */
static void what_finds_no_room_is_counted(void **state)
{
    struct tracer *tracer = *state;
    double before = metric_value(tracer->full);
    struct span kept;

    for (int i = 0; i < SPAN_SLOTS; i++)
        span_end(tracer, span_begin(tracer, SPAN_ACK, SPAN_CLIENT));
    assert_null(span_begin(tracer, SPAN_ACK, SPAN_CLIENT));
    span_init(&kept, SPAN_PUBLISH, SPAN_PRODUCER);
    span_copy(tracer, &kept);
    assert_int_equal(metric_value(tracer->full) - before, 2);
    assert_int_equal(ring_count(&tracer->ring), SPAN_SLOTS);
    tracer_pop(tracer);
    assert_int_equal(ring_count(&tracer->ring), SPAN_SLOTS - 1);
    span_copy(tracer, &kept);
    assert_int_equal(metric_value(tracer->full) - before, 2);
    for (int i = 0; i < SPAN_SLOTS - 1; i++)
        tracer_pop(tracer);
    assert_int_equal(tracer_peek(tracer)->operation, SPAN_PUBLISH);
}

/* The exporter is woken once for each batch. */
static void each_batch_wakes(void **state)
{
    struct tracer *tracer = *state;
    int waiting;

    for (int i = 0; i < 3 * SPAN_BATCH - 1; i++)
        span_end(tracer, span_begin(tracer, SPAN_ACK, SPAN_CLIENT));
    sem_getvalue(&tracer->wake, &waiting);
    assert_int_equal(waiting, 2);
}

/* ---- many threads ---- */

#define THREADS 4
#define EACH    20000

static void *fill(void *arg)
{
    struct tracer *tracer = arg;

    for (int i = 0; i < EACH; i++) {
        struct span *span = span_begin(tracer, SPAN_ACK, SPAN_CLIENT);

        if (!span)
            continue;
        span->delivery_tag = (uint64_t)i;
        span->body_size = ~(uint64_t)i;
        span_end(tracer, span);
    }
    return NULL;
}

/* Every span is whole, and every one either comes out or is counted. */
static void threads_lose_nothing_unseen(void **state)
{
    struct tracer *tracer = *state;
    double before = metric_value(tracer->full);
    pthread_t threads[THREADS];
    long taken = 0;
    int left = THREADS;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill, tracer), 0);
    do {
        const struct span *span;

        while (left > 0 && pthread_tryjoin_np(threads[left - 1], NULL) == 0)
            left--;
        while ((span = tracer_peek(tracer))) {
            assert_true(span->delivery_tag == ~span->body_size);
            tracer_pop(tracer);
            taken++;
        }
    } while (left > 0 || tracer_peek(tracer));
    assert_true((double)taken + metric_value(tracer->full) - before == THREADS * EACH);
}

/* ---- sampling ---- */

static void a_ratio_is_met(void **state)
{
    struct tracer *tracer = *state;
    struct tracer all = {0}, none = {0};
    int sampled = 0;

    assert_int_equal(tracer_init(&all, 1), WARREN_OK);
    assert_int_equal(tracer_init(&none, 0), WARREN_OK);
    for (uint64_t i = 0; i < 10000; i++) {
        bool is = tracer_samples(tracer, i);

        assert_int_equal(tracer_samples(tracer, i), is);
        assert_true(tracer_samples(&all, i));
        assert_false(tracer_samples(&none, i));
        sampled += is;
    }
    assert_in_range(sampled, 2300, 2700);
    tracer_done(&all);
    tracer_done(&none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_keeps_what_it_is_told), TEST(long_texts_are_cut),
        TEST(what_finds_no_room_is_counted),  TEST(each_batch_wakes),
        TEST(threads_lose_nothing_unseen),    TEST(a_ratio_is_met),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
