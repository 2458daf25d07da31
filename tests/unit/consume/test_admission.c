/* test_admission.c - gates and delayed retries, with the test as the loop and as the clock. */
#include "consume/runtime/admission.h"
#include "support/attempt.h"
#include "support/test.h"

#define DELAYED_MAX 3

/* A gate with tokens. */
struct gate {
    uint32_t tokens;
    int64_t retry_ms; /* what it says when there are too few; INT64_MIN: nothing */
    uint32_t asked;
    uint32_t last_want;
    int64_t last_now_ms;
    uint32_t took;
};

static uint32_t may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct gate *gate = state;

    gate->asked++;
    gate->last_want = want;
    gate->last_now_ms = now_ms;
    if (gate->tokens < want && gate->retry_ms != INT64_MIN)
        *ret_retry_ms = gate->retry_ms;
    return gate->tokens < want ? gate->tokens : want;
}

static void took(void *state, uint32_t count, int64_t now_ms)
{
    struct gate *gate = state;

    assert_int_equal(now_ms, gate->last_now_ms);
    assert_true(count <= gate->tokens);
    gate->tokens -= count;
    gate->took += count;
}

struct rig {
    struct gate gates[2];
    struct admission admission;
    struct batch go;
    uint64_t next_tag;
};

static int setup_with(void **state, size_t gate_count)
{
    struct rig *rig = calloc(1, sizeof *rig);
    static const struct warren_middleware gate = {.may = may, .took = took};
    static const struct warren_middleware other; /* no gate */
    struct chain_member members[] = {
        {&other, NULL, false}, {&gate, &rig->gates[0], false}, {&gate, &rig->gates[1], false}};

    for (size_t i = 0; i < 2; i++)
        rig->gates[i] = (struct gate){.tokens = 1000, .retry_ms = 10};
    rig->next_tag = 1;
    *state = rig;
    return admission_init(&rig->admission, members, 1 + gate_count, 2, DELAYED_MAX) == WARREN_OK
               ? 0
               : -1;
}

static int setup(void **state)
{
    return setup_with(state, 2);
}

static int setup_without_gates(void **state)
{
    return setup_with(state, 0);
}

static void free_all(struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(batch)))
        attempt_free(attempt);
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    admission_take_all(&rig->admission, &rig->go);
    free_all(&rig->go);
    admission_done(&rig->admission);
    free(rig);
    return 0;
}

static struct attempt *message(struct rig *rig)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = rig->next_tag++;
    return attempt;
}

static void arrive(struct rig *rig, uint32_t count)
{
    struct batch batch = {NULL, NULL, 0};

    while (count-- > 0)
        batch_add(&batch, message(rig));
    admission_add(&rig->admission, &batch);
    assert_int_equal(batch.count, 0);
}

static bool hold(struct rig *rig, struct attempt *attempt, int64_t at_ms, int64_t now_ms)
{
    attempt->retry_at_ms = at_ms;
    return admission_hold(&rig->admission, attempt, now_ms);
}

/* What goes at @now_ms are the tags from @first on, @count of them. */
static void expect(struct rig *rig, int64_t now_ms, uint64_t first, uint32_t count)
{
    struct attempt *attempt;

    admission_take(&rig->admission, now_ms, &rig->go);
    assert_int_equal(rig->go.count, count);
    while ((attempt = batch_pop(&rig->go))) {
        assert_int_equal(attempt->delivery.tag, first++);
        attempt_free(attempt);
    }
}

/* Open gates let all through in order, and are told how many went. */
static void open_gates_let_all_through(void **state)
{
    struct rig *rig = *state;

    arrive(rig, 5);
    expect(rig, 100, 1, 5);
    assert_int_equal(rig->gates[0].took, 5);
    assert_int_equal(rig->gates[1].took, 5);
    assert_int_equal(rig->gates[0].last_now_ms, 100);
    assert_true(admission_next_ms(&rig->admission) == INT64_MAX);
    assert_int_equal(admission_count(&rig->admission), 0);
}

/* The strictest gate decides; no gate is charged for what another one held back. */
static void the_strictest_gate_decides(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 4;
    rig->gates[1].tokens = 2;
    arrive(rig, 5);
    expect(rig, 100, 1, 2);
    assert_int_equal(rig->gates[0].last_want, 5);
    assert_int_equal(rig->gates[1].last_want, 4);
    assert_int_equal(rig->gates[0].took, 2);
    assert_int_equal(rig->gates[1].took, 2);
    assert_int_equal(admission_count(&rig->admission), 3);
}

/* What was not admitted is not asked for before the time the gate said, and then comes first. */
static void those_that_wait_go_before_later_ones(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 1;
    rig->gates[0].retry_ms = 40;
    arrive(rig, 3);
    expect(rig, 100, 1, 1);
    assert_int_equal(admission_next_ms(&rig->admission), 140);
    rig->gates[0].tokens = 2;
    arrive(rig, 2);
    expect(rig, 139, 0, 0);
    assert_int_equal(rig->gates[0].asked, 1);
    expect(rig, 140, 2, 2);
    rig->gates[0].tokens = 9;
    expect(rig, 180, 4, 2);
}

/* Of two that close, the one that opens sooner says when; and a closed one is the last asked. */
static void the_soonest_retry_counts(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 2;
    rig->gates[0].retry_ms = 30;
    rig->gates[1].tokens = 1;
    rig->gates[1].retry_ms = 20;
    arrive(rig, 3);
    expect(rig, 100, 1, 1);
    assert_int_equal(admission_next_ms(&rig->admission), 120);
    rig->gates[0].tokens = 0;
    expect(rig, 120, 0, 0);
    assert_int_equal(rig->gates[1].asked, 1);
    assert_int_equal(admission_next_ms(&rig->admission), 150);
    assert_int_equal(rig->gates[0].took, 1); /* nothing went: not told */
}

/* A gate that says nothing, zero, or a year is asked again within bounds. */
static void the_time_to_ask_again_is_bounded(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 0;
    rig->gates[0].retry_ms = INT64_MIN;
    arrive(rig, 1);
    expect(rig, 100, 0, 0);
    assert_int_equal(admission_next_ms(&rig->admission), 100 + ADMISSION_ASK_MS);
    rig->gates[0].retry_ms = 0;
    expect(rig, 200, 0, 0);
    assert_int_equal(admission_next_ms(&rig->admission), 201);
    rig->gates[0].retry_ms = INT64_MAX;
    expect(rig, 201, 0, 0);
    assert_int_equal(admission_next_ms(&rig->admission), 201 + ADMISSION_ASK_MAX_MS);
}

/* Something happened that may have opened a gate: it is asked before its time. */
static void a_gate_can_be_asked_at_once(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 0;
    rig->gates[0].retry_ms = 500;
    arrive(rig, 1);
    expect(rig, 100, 0, 0);
    rig->gates[0].tokens = 1;
    admission_ask_now(&rig->admission);
    expect(rig, 101, 1, 1);
}

/* A retry waits for its time, then for the gates, behind those that wait already. */
static void a_retry_passes_the_gates_again(void **state)
{
    struct rig *rig = *state;
    struct attempt *failed = message(rig); /* tag 1 */

    assert_true(hold(rig, failed, 150, 100));
    assert_int_equal(admission_next_ms(&rig->admission), 150);
    rig->gates[1].tokens = 0;
    arrive(rig, 2);
    expect(rig, 149, 0, 0);
    expect(rig, 150, 0, 0);
    assert_int_equal(rig->admission.waiting.count, 3);
    rig->gates[1].tokens = 9;
    admission_take(&rig->admission, 170, &rig->go);
    assert_int_equal(rig->go.count, 3);
    assert_ptr_equal(rig->go.last, failed);
}

/* Without gates a due retry goes at once. */
static void without_gates_a_due_retry_goes(void **state)
{
    struct rig *rig = *state;

    assert_true(hold(rig, message(rig), 150, 100));
    expect(rig, 149, 0, 0);
    expect(rig, 150, 1, 1);
    assert_true(admission_next_ms(&rig->admission) == INT64_MAX);
}

/* Only so many are held; nobody is held for longer than the broker bears. */
static void holding_is_bounded(void **state)
{
    struct rig *rig = *state;
    struct attempt *one_more = message(rig);

    for (int i = 0; i < DELAYED_MAX; i++)
        assert_true(hold(rig, message(rig), INT64_MAX, 100));
    assert_int_equal(admission_next_ms(&rig->admission), 100 + ADMISSION_DELAY_MAX_MS);
    assert_false(hold(rig, one_more, 150, 100));
    assert_int_equal(admission_count(&rig->admission), DELAYED_MAX);
    attempt_free(one_more);
}

/* At the end, or when the channel is lost, everything comes out, whatever the gates say. */
static void all_can_be_taken_out(void **state)
{
    struct rig *rig = *state;

    rig->gates[0].tokens = 0;
    arrive(rig, 2);
    expect(rig, 100, 0, 0);
    assert_true(hold(rig, message(rig), 9000, 100));
    admission_take_all(&rig->admission, &rig->go);
    assert_int_equal(rig->go.count, 3);
    assert_int_equal(admission_count(&rig->admission), 0);
    assert_true(admission_next_ms(&rig->admission) == INT64_MAX);
}

#define T(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T0(name) cmocka_unit_test_setup_teardown(name, setup_without_gates, teardown)

/* Places are given until there are no more; a message gives its own back when it is due. */
static void places_are_taken_ahead(void **state)
{
    struct rig *rig = *state;
    struct attempt *first = message(rig);
    struct attempt *second = message(rig);

    first->reserved = admission_reserve(&rig->admission);
    second->reserved = admission_reserve(&rig->admission);
    assert_true(first->reserved && second->reserved);
    assert_false(admission_reserve(&rig->admission));
    assert_true(hold(rig, first, 150, 100));
    assert_true(hold(rig, second, 900, 100));
    admission_take(&rig->admission, 150, &rig->go);
    assert_false(first->reserved);
    assert_true(admission_reserve(&rig->admission));
    assert_false(admission_reserve(&rig->admission));
    admission_unreserve(&rig->admission, first); /* has none */
    assert_false(admission_reserve(&rig->admission));
    admission_take_all(&rig->admission, &rig->go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(open_gates_let_all_through),
        T(the_strictest_gate_decides),
        T(those_that_wait_go_before_later_ones),
        T(the_soonest_retry_counts),
        T(the_time_to_ask_again_is_bounded),
        T(a_gate_can_be_asked_at_once),
        T(a_retry_passes_the_gates_again),
        T0(without_gates_a_due_retry_goes),
        T(holding_is_bounded),
        T(places_are_taken_ahead),
        T(all_can_be_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
