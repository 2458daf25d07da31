/* test_stage.c - what a middleware sees ahead of the workers and behind them: the order, the marks,
 * and that each mark comes back once.
 */
#include "consume/runtime/stage.h"
#include "support/test.h"

#define COUNT 5

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct stage stage;
    bool waits[COUNT]; /* `before` says so for the delivery with this tag */
    bool marks[COUNT]; /* and marks it */
    bool holds[COUNT]; /* `after` wants to settle it itself */
    int afters[COUNT];
    bool without_passage[COUNT];
    enum warren_outcome outcomes[COUNT];
    struct warren_passage *passages[COUNT];
    int wakes;
};

static int numbers[COUNT] = {0, 1, 2, 3, 4};

static bool before(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark)
{
    struct rig *rig = state;
    uint64_t tag = job->delivery->tag;

    assert_string_equal(warren_job_queue(job), "payments");
    assert_true(warren_job_body(job).len == tag);
    rig->passages[tag] = passage;
    if (rig->marks[tag])
        *ret_mark = &numbers[tag];
    return !rig->waits[tag];
}

static bool after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                  void *state)
{
    struct rig *rig = state;
    int tag = *(int *)mark;

    rig->afters[tag]++;
    rig->outcomes[tag] = outcome;
    rig->without_passage[tag] = passage == NULL;
    return !rig->holds[tag];
}

static void wake(void *user)
{
    ((struct rig *)user)->wakes++;
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct runtime_stage calls = {before, after, rig};

    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){
        .queue = "payments", .clock = &rig->clock.clock, .deadline_ms = &rig->deadline_ms};
    for (int i = 0; i < COUNT; i++)
        rig->marks[i] = true;
    *state = rig;
    return stage_init(&rig->stage, &calls, &rig->source, wake, rig) == WARREN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    stage_done(&rig->stage);
    free(rig);
    return 0;
}

static void enter_all(struct rig *rig, struct batch *go)
{
    struct warren_bytes none = {"", 0};
    struct batch arrived = {NULL, NULL, 0};

    for (uint64_t tag = 0; tag < COUNT; tag++) {
        struct delivery *delivery = delivery_new(none, none, none, tag);

        assert_non_null(delivery);
        delivery->tag = tag;
        batch_add(&arrived, delivery);
    }
    stage_enter(&rig->stage, &arrived, go);
    assert_int_equal(arrived.count, 0);
}

static void free_all(struct batch *batch)
{
    struct delivery *delivery;

    while ((delivery = batch_pop(batch)))
        delivery_free(delivery);
}

/* One that waits holds back those behind it; with its answer all go, in their order. */
static void the_order_is_that_of_arrival(void **state)
{
    struct rig *rig = *state;
    struct batch go = {NULL, NULL, 0};
    uint64_t tag = 0;

    rig->waits[1] = rig->waits[3] = true;
    enter_all(rig, &go);
    assert_int_equal(go.count, 1);
    warren_passage_go(rig->passages[3]);
    stage_take(&rig->stage, &go);
    assert_int_equal(go.count, 1);
    warren_passage_go(rig->passages[1]);
    assert_int_equal(rig->wakes, 2);
    stage_take(&rig->stage, &go);
    assert_int_equal(go.count, COUNT);
    for (const struct delivery *d = go.first; d; d = d->next)
        assert_int_equal(d->tag, tag++);
    free_all(&go);
}

/* `after` is called once for each mark, with the final outcome; what it holds is not settled. */
static void after_is_called_once(void **state)
{
    struct rig *rig = *state;
    struct batch go = {NULL, NULL, 0};

    rig->holds[2] = true;
    rig->marks[4] = false;
    enter_all(rig, &go);
    for (struct delivery *d = go.first; d; d = d->next) {
        d->outcome = WARREN_DISCARD;
        assert_int_equal(stage_leave(&rig->stage, d), d->tag != 2);
        assert_true(stage_leave(&rig->stage, d));
        stage_drop(&rig->stage, d);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(rig->afters[i], i == 4 ? 0 : 1);
        if (i != 4)
            assert_int_equal(rig->outcomes[i], WARREN_DISCARD);
        assert_false(rig->without_passage[i]);
    }
    free_all(&go);
}

/* What no worker took leaves with REQUEUE, and there is nothing that could be settled later. */
static void what_is_dropped_is_told(void **state)
{
    struct rig *rig = *state;
    struct batch go = {NULL, NULL, 0};

    enter_all(rig, &go);
    for (struct delivery *d = go.first; d; d = d->next)
        stage_drop(&rig->stage, d);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(rig->afters[i], 1);
        assert_int_equal(rig->outcomes[i], WARREN_REQUEUE);
        assert_true(rig->without_passage[i]);
    }
    free_all(&go);
}

/* Without such a middleware everything passes. */
static void without_one_everything_passes(void **state)
{
    struct rig *rig = *state;
    struct stage none = {.job = NULL};
    struct stage mine = rig->stage;
    struct batch go = {NULL, NULL, 0};

    assert_int_equal(stage_init(&none, NULL, &rig->source, wake, rig), WARREN_OK);
    rig->stage = none;
    enter_all(rig, &go);
    assert_int_equal(go.count, COUNT);
    assert_true(stage_leave(&rig->stage, go.first));
    stage_drop(&rig->stage, go.first);
    free_all(&go);
    rig->stage = mine;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_is_that_of_arrival),
        TEST(after_is_called_once),
        TEST(what_is_dropped_is_told),
        TEST(without_one_everything_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
