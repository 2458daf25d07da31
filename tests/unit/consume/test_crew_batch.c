/* test_crew_batch.c - what a worker does with a batch: together, but for those that are suspected;
 * and how the message is found that ends the process, against a model.
 */
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "consume/job/crew_private.h"
#include "consume/job/job_span.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define BATCH       16
#define SCHEDULES   200
#define CRASHES_MAX 1

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct flight *flight;
    char directory[64];
    struct crew crew;
    struct edition edition;
    uint32_t calls;   /* of the handler */
    char sizes[256];  /* of its batches */
    uint64_t culprit; /* tag of the message that ends the process; 0: none */
    struct random random;
    struct attempt *here[3 * BATCH + 1]; /* by tag: those of this life */
    uint32_t ended;
    uint32_t settled;
};

static struct rig *rig;

/* The process dies here: what is behind is of the next one. */
static jmp_buf death;

static struct warren_bytes id_of(uint64_t tag, char text[16])
{
    return (struct warren_bytes){text, (size_t)snprintf(text, 16, "m-%u", (unsigned)tag)};
}

static enum warren_outcome handle_batch(struct warren_batch *batch, void *state)
{
    (void)state;
    rig->calls++;
    snprintf(rig->sizes + strlen(rig->sizes), sizeof rig->sizes - strlen(rig->sizes), "%zu ",
             warren_batch_count(batch));
    for (size_t i = 0; i < warren_batch_count(batch); i++)
        if (warren_batch_job(batch, i)->attempt->delivery.tag == rig->culprit)
            longjmp(death, 1);
    return WARREN_ACK;
}

static void open_crew(uint32_t batch)
{
    const struct flight_options flight = {.directory = rig->directory,
                                          .inherited = -1,
                                          .key = "k",
                                          .slots = 2 * BATCH,
                                          .notes = 4 * BATCH,
                                          .crashes_max = CRASHES_MAX};
    struct guard_options guard = {.queue = "q", .handler = "p.h", .concurrency = 1, .batch = batch};

    assert_int_equal(flight_open(&flight, &rig->flight, NULL), WARREN_OK);
    guard.flight = rig->flight;
    assert_int_equal(crew_init(&rig->crew, &rig->source, &guard), WARREN_OK);
}

static int setup_with(uint32_t batch)
{
    static const struct warren_handler handler = {.name = "h", .handle_batch = handle_batch};

    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    rig = calloc(1, sizeof *rig);
    strcpy(rig->directory, "/tmp/test_crew_batch.XXXXXX");
    if (!mkdtemp(rig->directory))
        return -1;
    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){.queue = "q",
                                      .handler = "p.h",
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms};
    rig->edition.batch.size = batch;
    if (edition_init(&rig->edition, NULL, 0, &handler, NULL) != WARREN_OK)
        return -1;
    open_crew(batch);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(BATCH);
}

static int teardown(void **state)
{
    (void)state;
    crew_done(&rig->crew);
    for (uint32_t i = 1; i <= rig->flight->file.head->note_count; i++)
        if (rig->flight->file.notes[i - 1].check)
            flight_notes_forget(&rig->flight->notes, i);
    flight_close(rig->flight, true);
    edition_done(&rig->edition);
    assert_int_equal(rmdir(rig->directory), 0);
    free(rig);
    return 0;
}

/* Whatever the process had is there for the next one. */
static void die_and_restart(void)
{
    for (uint32_t i = 0; i < rig->crew.concurrency; i++) /* its memory is gone */
        crew_job(&rig->crew, i)->groups.first = NULL;
    crew_done(&rig->crew);
    memset(&rig->crew, 0, sizeof rig->crew);
    flight_close(rig->flight, false);
    open_crew(rig->edition.batch.size);
}

static struct attempt *message(uint64_t tag)
{
    struct warren_bytes none = {"", 0};
    char text[16];
    struct warren_bytes id = id_of(tag, text);
    char properties[32] = {(char)0x00, (char)0x80, (char)id.len}; /* message_id alone */
    struct attempt *attempt;

    memcpy(properties + 3, id.data, id.len);
    attempt = attempt_new(none, none, (struct warren_bytes){properties, 3 + id.len}, 0);
    assert_non_null(attempt);
    attempt->delivery.tag = tag;
    attempt->delivery.redelivered = true;
    attempt->edition = &rig->edition;
    rig->here[tag] = attempt;
    return attempt;
}

static void forget(struct attempt *attempt)
{
    rig->here[attempt->delivery.tag] = NULL;
    guard_left(&rig->crew.guard, attempt, GUARD_SETTLED);
    attempt_free(attempt);
}

static void ended(void *user, struct attempt *attempt, bool settled)
{
    struct batch *done = user;

    rig->ended++;
    rig->settled += settled;
    batch_add(done, attempt);
}

static void run(struct batch *batch, struct batch *done)
{
    crew_run_batch(&rig->crew, 0, batch, 5000000000, ended, done);
    crew_ran(&rig->crew, 0, 16000);
    assert_int_equal(batch->count, 0);
}

static void free_all(struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(batch)))
        forget(attempt);
}

/* ---- without suspicion ---- */

/* All in one call; each has its share of the time. */
static void all_run_together(void **state)
{
    struct batch batch = {NULL, NULL, 0};
    struct batch done = {NULL, NULL, 0};
    double before = metric_value(rig->crew.meter.handler_time);

    (void)state;
    for (uint64_t i = 1; i <= BATCH; i++)
        batch_add(&batch, message(i));
    run(&batch, &done);
    assert_string_equal(rig->sizes, "16 ");
    assert_int_equal(rig->settled, BATCH);
    assert_true(metric_value(rig->crew.meter.handler_time) == before + BATCH);
    for (const struct attempt *attempt = done.first; attempt; attempt = attempt->next)
        assert_int_equal(attempt->outcome, WARREN_ACK);
    free_all(&done);
}

/* One that nobody may handle, and one that has a returned publish, are by themselves. */
static void who_is_not_handled_is_apart(void **state)
{
    struct batch batch = {NULL, NULL, 0};
    struct batch done = {NULL, NULL, 0};

    (void)state;
    for (uint64_t i = 1; i <= 4; i++)
        batch_add(&batch, message(i));
    batch.first->refused = "it has no key";
    batch.first->next->publish_returned = true;
    run(&batch, &done);
    assert_string_equal(rig->sizes, "2 ");
    assert_int_equal(rig->ended, 4);
    assert_int_equal(done.first->outcome, WARREN_ACK);
    assert_int_equal(done.last->outcome, WARREN_RETRY);
    assert_int_equal(done.first->next->next->outcome, WARREN_REJECT);
    free_all(&done);
}

/* More messages than the recorder has slots for: in parts. */
static void more_than_there_are_slots_for(void **state)
{
    struct batch batch = {NULL, NULL, 0};
    struct batch done = {NULL, NULL, 0};

    (void)state;
    for (uint64_t i = 1; i <= BATCH + 3; i++)
        batch_add(&batch, message(i));
    run(&batch, &done);
    assert_string_equal(rig->sizes, "16 3 ");
    free_all(&done);
}

static int setup_small(void **state)
{
    (void)state;
    return setup_with(1);
}

/* A reload has larger batches. */
static void a_crew_grows_for_batches(void **state)
{
    struct batch batch = {NULL, NULL, 0};
    struct batch done = {NULL, NULL, 0};

    (void)state;
    batch_add(&batch, message(1));
    run(&batch, &done);
    assert_int_equal(crew_grow(&rig->crew, 2, 4, false), WARREN_OK);
    for (uint64_t i = 2; i <= 5; i++)
        batch_add(&batch, message(i));
    run(&batch, &done);
    assert_int_equal(crew_grow(&rig->crew, 2, 3, false), WARREN_OK); /* no fewer slots */
    assert_int_equal(crew_grow(&rig->crew, 2, BATCH + 1, false), WARREN_EFULL);
    for (uint64_t i = 6; i <= 9; i++)
        batch_add(&batch, message(i));
    run(&batch, &done);
    assert_string_equal(rig->sizes, "1 4 4 ");
    free_all(&done);
}

/* ---- spans ---- */

/* As the middleware trace does it, each in a trace of its own. */
static enum warren_outcome begin_trace(struct warren_job *job, const struct warren_link *next,
                                       void *state)
{
    struct job_context context = {.has_message = false};

    (void)state;
    span_begin_trace(&context.self);
    span_new_self(&context.self);
    context.self.sampled = job->attempt->delivery.tag != 2;
    job_trace_begin(job, &context);
    return warren_next(job, next);
}

/* The next one of an attempt; others are passed over. */
static struct span next_process(struct tracer *tracer)
{
    const struct span *span;
    struct span copy;

    while ((span = tracer_peek(tracer)) && span->operation != SPAN_PROCESS)
        tracer_pop(tracer);
    assert_non_null(span);
    copy = span ? *span : (struct span){.operation = SPAN_PROCESS};
    tracer_pop(tracer);
    return copy;
}

/* Of three messages, one of which is not sampled: each has its own trace, and knows of the first.
 */
static void spans_of_a_batch_are_linked(void **state)
{
    static const struct warren_middleware tracing = {.call = begin_trace};
    static const struct warren_handler handler = {.name = "h", .handle_batch = handle_batch};
    const struct chain_member members[] = {{&tracing, NULL, false}};
    static struct tracer tracer;
    struct batch batch = {NULL, NULL, 0};
    struct batch done = {NULL, NULL, 0};
    struct span first, second;

    (void)state;
    assert_int_equal(tracer_init(&tracer, 1), WARREN_OK);
    rig->source.tracer = &tracer;
    edition_done(&rig->edition);
    assert_int_equal(edition_init(&rig->edition, members, 1, &handler, NULL), WARREN_OK);
    for (uint64_t i = 1; i <= 3; i++)
        batch_add(&batch, message(i));
    run(&batch, &done);
    first = next_process(&tracer);
    second = next_process(&tracer);
    assert_int_equal(first.batch, 3);
    assert_int_equal(second.batch, 3);
    assert_string_not_equal(first.self.trace_id, second.self.trace_id);
    assert_int_equal(first.link_count, 0);
    assert_int_equal(second.link_count, 1);
    assert_string_equal(second.links[0].trace_id, first.self.trace_id);
    assert_string_equal(second.links[0].parent_id, first.self.parent_id);
    free_all(&done);
    rig->source.tracer = NULL;
    tracer_done(&tracer);
}

/* ---- halving ---- */

/* What the broker has: messages by tag, which are handled or rejected in the end. */
struct queue {
    enum { HERE, HANDLED, DEAD } messages[3 * BATCH + 1];
    uint32_t count;
};

static void settle_all(struct queue *queue, struct batch *done)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(done))) {
        uint64_t tag = attempt->delivery.tag;

        assert_int_equal(queue->messages[tag], HERE);
        queue->messages[tag] = attempt->outcome == WARREN_ACK ? HANDLED : DEAD;
        forget(attempt);
    }
}

/* All that is in the queue, in batches of a random size. */
static void live(struct queue *queue)
{
    for (uint64_t tag = 1; tag <= queue->count;) {
        uint32_t size = (uint32_t)random_upto(&rig->random, BATCH - 1) + 1;
        struct batch batch = {NULL, NULL, 0};
        struct batch done = {NULL, NULL, 0};

        for (; tag <= queue->count && batch.count < size; tag++)
            if (queue->messages[tag] == HERE)
                batch_add(&batch, message(tag));
        if (batch.count > 0)
            run(&batch, &done);
        settle_all(queue, &done);
    }
}

/* @return true: it died in a handler, and all that it had is gone */
static bool dies(struct queue *queue)
{
    if (setjmp(death) == 0) {
        live(queue);
        return false;
    }
    for (size_t tag = 0; tag < sizeof rig->here / sizeof *rig->here; tag++) {
        attempt_free(rig->here[tag]);
        rig->here[tag] = NULL;
    }
    return true;
}

/* Whichever message it is, and however batches fall: it alone is given up, after as many deaths as
 * it takes to halve the batch down to one, and those that it may have alone. */
static void the_culprit_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        struct queue queue = {.count = 0};
        uint32_t deaths = 0;

        random_init(&rig->random, seed);
        queue.count = (uint32_t)random_upto(&rig->random, 2 * BATCH) + BATCH;
        rig->culprit = random_upto(&rig->random, queue.count - 1) + 1;
        while (dies(&queue)) {
            assert_true(++deaths <= 4 + CRASHES_MAX + 1); /* 16, 8, 4, 2, and 1 */
            die_and_restart();
            rig->sizes[0] = '\0';
        }
        for (uint64_t tag = 1; tag <= queue.count; tag++)
            assert_int_equal(queue.messages[tag], tag == rig->culprit ? DEAD : HANDLED);
        assert_true(deaths > CRASHES_MAX);
        assert_int_equal(flight_suspects(rig->flight), 0);
        rig->culprit = 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_run_together),
        TEST(who_is_not_handled_is_apart),
        TEST(more_than_there_are_slots_for),
        cmocka_unit_test_setup_teardown(a_crew_grows_for_batches, setup_small, teardown),
        TEST(spans_of_a_batch_are_linked),
        TEST(the_culprit_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
