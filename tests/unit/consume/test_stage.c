/* test_stage.c - what middlewares see ahead of the workers and behind them: the order of messages
 * and of middlewares, the marks, and that each mark comes back once.
 */
#include "consume/runtime/stage.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define COUNT      5 /* messages */
#define STAGES_MAX 3

struct rig;

/* One middleware. */
struct looker {
    struct rig *rig;
    char name;         /* 'a' is the outermost one */
    bool waits[COUNT]; /* `before` says so for the delivery with this tag */
    bool marks[COUNT]; /* and marks it */
    bool holds[COUNT]; /* `after` wants to settle it itself */
    bool seen[COUNT];
    int numbers[COUNT]; /* what the marks point to */
    int afters[COUNT];
    bool without_passage[COUNT];
    enum warren_outcome outcomes[COUNT];
    struct warren_passage *passages[COUNT];
};

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct stages stages;
    struct looker lookers[STAGES_MAX];
    size_t count;          /* of them */
    char after_of_0[8];    /* names, in the order in which `after` of tag 0 was called */
    bool unwanted[COUNT];  /* the owner says so */
    struct batch go;       /* to the workers */
    struct batch back;     /* what is not wanted */
    struct attempt *later; /* what was settled last by a passage */
    int wakes;
};

static bool before(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark)
{
    struct looker *looker = state;
    uint64_t tag = job->attempt->delivery.tag;

    assert_string_equal(warren_job_queue(job), "payments");
    assert_true(warren_job_body(job).len == tag);
    assert_null(*ret_mark);
    looker->passages[tag] = passage;
    looker->seen[tag] = true;
    if (looker->marks[tag])
        *ret_mark = &looker->numbers[tag];
    return !looker->waits[tag];
}

static bool after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                  void *state)
{
    struct looker *looker = state;
    int tag = *(int *)mark;

    assert_ptr_equal(mark, &looker->numbers[tag]); /* its own */
    if (tag == 0)
        strncat(looker->rig->after_of_0, &looker->name, 1);
    looker->afters[tag]++;
    looker->outcomes[tag] = outcome;
    looker->without_passage[tag] = passage == NULL;
    return !looker->holds[tag];
}

static void wake(void *user)
{
    ((struct rig *)user)->wakes++;
}

static void settled(void *user, struct attempt *attempt)
{
    ((struct rig *)user)->later = attempt;
}

static bool wanted(void *user, const struct attempt *attempt)
{
    return !((const struct rig *)user)->unwanted[attempt->delivery.tag];
}

static const struct stages_calls calls = {wake, settled, wanted};

static int setup_of(void **state, size_t count)
{
    struct rig *rig = calloc(1, sizeof *rig);
    static const struct warren_middleware stage = {.before = before, .after = after};
    struct chain_member given[STAGES_MAX];

    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){
        .queue = "payments", .clock = &rig->clock.clock, .deadline_ms = &rig->deadline_ms};
    rig->count = count;
    for (size_t i = 0; i < count; i++) {
        struct looker *looker = &rig->lookers[i];

        looker->rig = rig;
        looker->name = (char)('a' + i);
        for (int tag = 0; tag < COUNT; tag++) {
            looker->marks[tag] = true;
            looker->numbers[tag] = tag;
        }
        given[i] = (struct chain_member){&stage, looker, false};
    }
    *state = rig;
    return stages_init(&rig->stages, given, count, &rig->source, rig->source.definition, &calls,
                       rig) == WARREN_OK
               ? 0
               : -1;
}

static int none(void **state)
{
    return setup_of(state, 0);
}

static int one(void **state)
{
    return setup_of(state, 1);
}

static int two(void **state)
{
    return setup_of(state, 2);
}

static int three(void **state)
{
    return setup_of(state, 3);
}

static void free_all(struct rig *rig, struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(batch))) {
        stages_drop(&rig->stages, attempt); /* marks may be an array */
        attempt_free(attempt);
    }
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    free_all(rig, &rig->go);
    free_all(rig, &rig->back);
    stages_done(&rig->stages);
    free(rig);
    return 0;
}

static void enter_all(struct rig *rig)
{
    struct warren_bytes nothing = {"", 0};
    struct batch arrived = {NULL, NULL, 0};

    for (uint64_t tag = 0; tag < COUNT; tag++) {
        struct delivery *delivery =
            delivery_new(attempt_room(rig->count), nothing, nothing, nothing, tag);

        assert_non_null(delivery);
        delivery->tag = tag;
        batch_add(&arrived, attempt_of(delivery));
    }
    stages_pass(&rig->stages, &arrived, &rig->go, &rig->back);
    assert_int_equal(arrived.count, 0);
}

static void look_again(struct rig *rig)
{
    struct batch nothing = {NULL, NULL, 0};

    stages_pass(&rig->stages, &nothing, &rig->go, &rig->back);
}

static void assert_in_order(const struct batch *batch, uint64_t first, uint32_t count)
{
    assert_int_equal(batch->count, count);
    for (const struct attempt *d = batch->first; d; d = d->next)
        assert_int_equal(d->delivery.tag, first++);
}

/* One that waits holds back those behind it; with its answer all go, in their order. */
static void the_order_is_that_of_arrival(void **state)
{
    struct rig *rig = *state;
    struct looker *a = &rig->lookers[0];

    a->waits[1] = a->waits[3] = true;
    enter_all(rig);
    assert_in_order(&rig->go, 0, 1);
    assert_int_equal(stages_waiting(&rig->stages), COUNT - 1);
    warren_passage_go(a->passages[3]);
    look_again(rig);
    assert_in_order(&rig->go, 0, 1);
    warren_passage_go(a->passages[1]);
    assert_int_equal(rig->wakes, 2);
    look_again(rig);
    assert_in_order(&rig->go, 0, COUNT);
    assert_int_equal(stages_waiting(&rig->stages), 0);
}

/* The inner one sees a message once the outer one lets it go on; both keep the order. */
static void before_is_called_outermost_first(void **state)
{
    struct rig *rig = *state;
    struct looker *a = &rig->lookers[0];
    struct looker *b = &rig->lookers[1];

    a->waits[2] = true;
    b->waits[0] = b->waits[3] = true;
    enter_all(rig);
    for (int tag = 0; tag < COUNT; tag++) {
        assert_true(a->seen[tag]);
        assert_int_equal(b->seen[tag], tag < 2);
    }
    assert_int_equal(rig->go.count, 0); /* b's 0 holds 1 */
    assert_int_equal(stages_waiting(&rig->stages), COUNT);
    warren_passage_go(a->passages[2]);
    look_again(rig);
    assert_true(b->seen[4]);
    assert_int_equal(rig->go.count, 0);
    warren_passage_go(b->passages[0]);
    look_again(rig);
    assert_in_order(&rig->go, 0, 3);
    warren_passage_go(b->passages[3]);
    look_again(rig);
    assert_in_order(&rig->go, 0, COUNT);
}

/* `after` is called once for each mark, with the final outcome; what it holds is not settled. */
static void after_is_called_once(void **state)
{
    struct rig *rig = *state;
    struct looker *last = &rig->lookers[rig->count - 1];

    last->holds[2] = true;
    last->marks[4] = false;
    enter_all(rig);
    for (struct attempt *d = rig->go.first; d; d = d->next) {
        d->outcome = WARREN_DISCARD;
        assert_int_equal(stages_leave(&rig->stages, d), d->delivery.tag != 2);
        if (d->delivery.tag == 2) {
            assert_null(rig->later);
            warren_passage_settle(last->passages[2], WARREN_DISCARD);
            assert_ptr_equal(rig->later, d);
        }
        assert_true(stages_leave(&rig->stages, d));
        stages_drop(&rig->stages, d);
    }
    for (size_t i = 0; i < rig->count; i++) {
        for (int tag = 0; tag < COUNT; tag++) {
            bool marked = rig->lookers[i].marks[tag];

            assert_int_equal(rig->lookers[i].afters[tag], marked);
            assert_int_equal(rig->lookers[i].outcomes[tag], marked ? WARREN_DISCARD : WARREN_ACK);
            assert_false(rig->lookers[i].without_passage[tag]);
        }
    }
}

/* One that holds a message holds it from those further out, who hear what it made of it. */
static void after_is_called_innermost_first(void **state)
{
    struct rig *rig = *state;
    struct attempt *d;

    rig->lookers[2].holds[0] = rig->lookers[1].holds[0] = true;
    enter_all(rig);
    d = rig->go.first;
    assert_false(stages_leave(&rig->stages, d));
    assert_string_equal(rig->after_of_0, "c");
    warren_passage_settle(rig->lookers[2].passages[0], WARREN_REJECT);
    assert_string_equal(rig->after_of_0, "cb");
    assert_null(rig->later);
    warren_passage_retry(rig->lookers[1].passages[0], 250);
    assert_string_equal(rig->after_of_0, "cba");
    assert_ptr_equal(rig->later, d);
    assert_int_equal(rig->lookers[2].outcomes[0], WARREN_ACK);
    assert_int_equal(rig->lookers[1].outcomes[0], WARREN_REJECT);
    assert_int_equal(rig->lookers[0].outcomes[0], WARREN_RETRY);
    assert_int_equal(d->outcome, WARREN_RETRY);
    assert_true(d->forgiven);
    assert_int_equal(d->retry_at_ms, 5250);
    for (d = d->next; d; d = d->next)
        assert_true(stages_leave(&rig->stages, d));
}

/* A delay is 0 to 15 minutes, and what is no outcome is a retry. */
static void an_answer_is_bounded(void **state)
{
    static const struct {
        int64_t delay_ms;
        int64_t at_ms;
    } delays[] = {{INT64_MIN, 5000}, {-1, 5000}, {INT64_MAX, 5000 + 15 * 60 * 1000}};
    struct rig *rig = *state;
    struct attempt *d;

    for (size_t i = 0; i < 4; i++)
        rig->lookers[0].holds[i] = true;
    enter_all(rig);
    d = rig->go.first;
    for (size_t i = 0; i < 3; i++, d = d->next) {
        assert_false(stages_leave(&rig->stages, d));
        warren_passage_retry(rig->lookers[0].passages[i], delays[i].delay_ms);
        assert_int_equal(d->retry_at_ms, delays[i].at_ms);
    }
    assert_false(stages_leave(&rig->stages, d));
    warren_passage_settle(rig->lookers[0].passages[3], (enum warren_outcome)99);
    assert_int_equal(d->outcome, WARREN_RETRY);
    while ((d = d->next))
        assert_true(stages_leave(&rig->stages, d));
}

/* It comes again after a failed attempt: each sees it anew, and has a mark anew. */
static void a_message_that_comes_again_is_shown_again(void **state)
{
    struct rig *rig = *state;
    struct batch again;

    enter_all(rig);
    for (struct attempt *d = rig->go.first; d; d = d->next)
        assert_true(stages_leave(&rig->stages, d));
    again = rig->go;
    rig->go = (struct batch){NULL, NULL, 0};
    stages_pass(&rig->stages, &again, &rig->go, &rig->back);
    assert_in_order(&rig->go, 0, COUNT);
    for (struct attempt *d = rig->go.first; d; d = d->next)
        assert_true(stages_leave(&rig->stages, d));
    for (size_t i = 0; i < rig->count; i++)
        for (int tag = 0; tag < COUNT; tag++)
            assert_int_equal(rig->lookers[i].afters[tag], 2);
}

/* What no worker took leaves with REQUEUE, and there is nothing that could be settled later. */
static void what_is_dropped_is_told(void **state)
{
    struct rig *rig = *state;

    enter_all(rig);
    for (struct attempt *d = rig->go.first; d; d = d->next)
        stages_drop(&rig->stages, d);
    for (size_t i = 0; i < rig->count; i++) {
        for (int tag = 0; tag < COUNT; tag++) {
            assert_int_equal(rig->lookers[i].afters[tag], 1);
            assert_int_equal(rig->lookers[i].outcomes[tag], WARREN_REQUEUE);
            assert_true(rig->lookers[i].without_passage[tag]);
        }
    }
}

/* The channel was lost while it waited: with its answer it leaves, and no further one sees it. */
static void what_is_not_wanted_goes_back(void **state)
{
    struct rig *rig = *state;
    struct looker *a = &rig->lookers[0];

    a->waits[1] = true;
    enter_all(rig);
    for (int tag = 1; tag < COUNT; tag++)
        rig->unwanted[tag] = true;
    warren_passage_go(a->passages[1]);
    look_again(rig);
    assert_in_order(&rig->go, 0, 1);
    assert_in_order(&rig->back, 1, COUNT - 1);
    stages_drop(&rig->stages, rig->go.first);
    for (struct attempt *d = rig->back.first; d; d = d->next)
        stages_drop(&rig->stages, d);
    for (int tag = 0; tag < COUNT; tag++) {
        assert_int_equal(a->afters[tag], 1);
        assert_int_equal(rig->lookers[1].afters[tag], tag == 0);
    }
}

/* A drain does not wait for a plugin's answer: what waits goes back in other memory, each mark
 * comes back, and an answer that comes then is of no effect. */
static void what_waits_is_given_up(void **state)
{
    struct rig *rig = *state;
    struct looker *a = &rig->lookers[0];

    a->waits[1] = a->waits[3] = true;
    a->marks[3] = false;
    enter_all(rig);
    assert_in_order(&rig->go, 0, 1);
    stages_give_up(&rig->stages, &rig->back);
    assert_in_order(&rig->back, 1, COUNT - 1);
    assert_int_equal(stages_waiting(&rig->stages), 0);
    stages_drop(&rig->stages, rig->go.first);
    for (struct attempt *d = rig->back.first; d; d = d->next) {
        assert_int_equal((void *)d == (void *)a->passages[d->delivery.tag],
                         !a->waits[d->delivery.tag]);
        assert_int_equal(d->delivery.body_len, d->delivery.tag);
        stages_drop(&rig->stages, d);
    }
    for (int tag = 0; tag < COUNT; tag++)
        assert_int_equal(a->afters[tag], tag != 3);
    warren_passage_go(a->passages[1]);
    warren_passage_go(a->passages[3]);
    assert_int_equal(rig->wakes, 2);
    look_again(rig);
    assert_int_equal(rig->go.count, 1);
}

/* Warren's own answer is sure to come, and what it refers to must not move. */
static void what_waits_for_warren_is_kept(void **state)
{
    struct rig *rig = *state;

    rig->stages.items[0].member.is_own = true;
    rig->lookers[0].waits[1] = true;
    enter_all(rig);
    stages_give_up(&rig->stages, &rig->back);
    assert_int_equal(stages_waiting(&rig->stages), 1);
    assert_in_order(&rig->back, 2, COUNT - 2);
    warren_passage_go(rig->lookers[0].passages[1]);
    look_again(rig);
    assert_int_equal(stages_waiting(&rig->stages), 0);
    for (struct attempt *d = rig->go.first; d; d = d->next)
        stages_drop(&rig->stages, d);
    for (struct attempt *d = rig->back.first; d; d = d->next)
        stages_drop(&rig->stages, d);
}

/* Each finds its own mark in the chain, whatever links stand between them. */
static void each_has_its_own_mark(void **state)
{
    struct rig *rig = *state;
    const struct warren_link links[] = {{.place = 1}, {.place = 0}, {.place = 3}, {.place = 2}};
    struct warren_job *job = rig->stages.job;

    rig->lookers[1].marks[3] = false;
    enter_all(rig);
    for (struct attempt *d = rig->go.first; d; d = d->next) {
        job->attempt = d;
        assert_ptr_equal(warren_job_mark(job, &links[1]),
                         &rig->lookers[0].numbers[d->delivery.tag]);
        assert_null(warren_job_mark(job, &links[2]));
        assert_ptr_equal(warren_job_mark(job, &links[3]),
                         &rig->lookers[2].numbers[d->delivery.tag]);
        assert_ptr_equal(warren_job_mark(job, &links[4]),
                         d->delivery.tag == 3 ? NULL : &rig->lookers[1].numbers[d->delivery.tag]);
        stages_leave(&rig->stages, d);
        assert_null(warren_job_mark(job, &links[1]));
        job->attempt = NULL;
    }
}

/* Without such a middleware everything passes. */
static void without_one_everything_passes(void **state)
{
    struct rig *rig = *state;

    enter_all(rig);
    assert_int_equal(rig->go.count, COUNT);
    assert_true(stages_leave(&rig->stages, rig->go.first));
    stages_drop(&rig->stages, rig->go.first);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_is_that_of_arrival, one),
        TEST(the_order_is_that_of_arrival, three),
        TEST(before_is_called_outermost_first, two),
        TEST(after_is_called_once, one),
        TEST(after_is_called_once, three),
        TEST(after_is_called_innermost_first, three),
        TEST(an_answer_is_bounded, one),
        TEST(a_message_that_comes_again_is_shown_again, one),
        TEST(a_message_that_comes_again_is_shown_again, two),
        TEST(what_is_dropped_is_told, one),
        TEST(what_is_dropped_is_told, two),
        TEST(what_is_not_wanted_goes_back, two),
        TEST(what_waits_is_given_up, one),
        TEST(what_waits_for_warren_is_kept, one),
        TEST(each_has_its_own_mark, three),
        TEST(without_one_everything_passes, none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
