/* test_fair_lines.c - keys in turn, against a model, under a clock that is put forward: what is
 * promised of fairness holds in every schedule, whatever comes, ends, fails, is lost or sent away.
 */
#include "base/random.h"
#include "consume/order/fair_lines.h"
#include "support/attempt.h"
#include "support/test.h"

#define SCHEDULES 1000
#define STEPS     400
#define KEYS      12
#define MESSAGES  (STEPS + 1)
/* Of the line of those without. */
#define NO_KEY KEYS

struct start {
    uint32_t key;
    int64_t at_ms;
};

/* A worker with a bounded number of hands. */
struct model {
    struct fair_lines lines;
    struct fair_plan plan;
    struct random random;
    int64_t now_ms;
    uint32_t hands;
    uint32_t keys;
    struct attempt *out[MESSAGES];
    uint32_t out_count;
    struct batch delayed; /* failed; their next attempt is due at any time */
    uint64_t next_tag;
    uint32_t key_of[MESSAGES];
    bool tried[MESSAGES];
    uint64_t last_new[KEYS + 1]; /* the highest tag that was let go, of those that were not tried */
    uint32_t waiting[KEYS + 1];
    uint32_t waiting_tried[KEYS + 1];
    uint32_t on_the_way[KEYS + 1];
    struct start starts[8 * MESSAGES]; /* in their order */
    uint32_t start_count;
    uint32_t able_since[KEYS + 1]; /* starts by then: it has had all it needs ever since */
    bool able[KEYS + 1];
    uint32_t here;
};

static uint64_t upto(struct model *m, uint64_t limit)
{
    return random_upto(&m->random, limit);
}

static uint32_t key_of(const struct model *m, const struct attempt *attempt)
{
    return m->key_of[attempt->delivery.tag];
}

/* ---- what must be ---- */

/* The other keys that could have gone all the time since the last start of @key have gone. */
static void check_turn(const struct model *m, uint32_t key)
{
    uint32_t last = m->start_count;
    bool gone[KEYS + 1] = {false};

    while (last > 0 && m->starts[last - 1].key != key)
        gone[m->starts[--last].key] = true;
    if (last == 0)
        return;
    for (uint32_t other = 0; other <= KEYS; other++)
        if (m->able[other] && m->able_since[other] < last && !gone[other] && other != key)
            fail_msg("key %u goes again, and %u, which could go all the time, has not", key, other);
}

/* In any time t no more than burst + t * rate / per. */
static void check_rate(const struct model *m, uint32_t key)
{
    const struct token_plan *rate = &m->plan.rate;
    int64_t count = 0;

    for (uint32_t i = m->start_count; rate->rate > 0 && i > 0; i--) {
        if (m->starts[i - 1].key != key)
            continue;
        count++;
        assert_true((count - rate->burst) * rate->per_ms <=
                    (m->now_ms - m->starts[i - 1].at_ms) * rate->rate);
    }
}

/* Whose places and messages say that it may go; of the rate the model knows nothing. */
static void note_able(struct model *m, uint32_t key)
{
    bool able = m->waiting[key] > 0 &&
                (m->plan.concurrency == 0 || m->on_the_way[key] < m->plan.concurrency);

    if (able && !m->able[key])
        m->able_since[key] = m->start_count;
    m->able[key] = able;
}

static void check_counts(const struct model *m)
{
    uint32_t waiting = 0;
    uint32_t known = 0;

    for (uint32_t key = 0; key <= NO_KEY; key++) {
        waiting += m->waiting[key];
        known += key != NO_KEY && m->waiting[key] + m->on_the_way[key] > 0;
        if (m->plan.concurrency > 0)
            assert_true(m->on_the_way[key] <= m->plan.concurrency);
    }
    assert_int_equal(m->lines.waiting, waiting);
    assert_int_equal(m->lines.out, m->out_count);
    assert_true(m->lines.count <= m->plan.keys);
    if (m->plan.rate.rate == 0 && m->lines.shared == 0 && list_empty(&m->lines.resting))
        assert_int_equal(m->lines.count, known);
}

/* ---- what happens ---- */

static void enter(struct model *m, struct attempt *attempt)
{
    uint32_t key = key_of(m, attempt);
    bool tried = m->tried[attempt->delivery.tag];
    struct order_name name =
        order_name_of(m->lines.secret, KEY_TEXT, (struct warren_bytes){&key, sizeof key});

    fair_lines_enter(&m->lines, key == NO_KEY ? NULL : &name, attempt, tried, m->now_ms);
    assert_null(attempt->fair);
    m->waiting[key]++;
    m->waiting_tried[key] += tried;
    note_able(m, key);
}

static void arrive(struct model *m)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = ++m->next_tag;
    attempt->arrived_ns = m->now_ms * 1000000;
    m->key_of[m->next_tag] = (uint32_t)upto(m, m->keys);
    m->here++;
    enter(m, attempt);
}

static bool begin(struct model *m)
{
    struct attempt *attempt;
    uint32_t key;

    if (m->out_count >= m->hands)
        return false;
    attempt = fair_lines_next(&m->lines, m->now_ms);
    if (!attempt)
        return false;
    assert_non_null(attempt->fair);
    key = key_of(m, attempt);
    assert_int_equal(m->tried[attempt->delivery.tag], m->waiting_tried[key] > 0);
    if (m->tried[attempt->delivery.tag]) {
        m->waiting_tried[key]--;
    } else {
        assert_true(attempt->delivery.tag > m->last_new[key]);
        m->last_new[key] = attempt->delivery.tag;
    }
    if (m->plan.rate.rate == 0 && m->lines.shared == 0)
        check_turn(m, key);
    m->starts[m->start_count++] = (struct start){key, m->now_ms};
    check_rate(m, key);
    m->waiting[key]--;
    m->on_the_way[key]++;
    m->able[key] = false; /* from now on, anew */
    note_able(m, key);
    m->out[m->out_count++] = attempt;
    return true;
}

static void leave(struct model *m, struct attempt *attempt)
{
    uint32_t key = key_of(m, attempt);

    fair_lines_leave(&m->lines, attempt, m->now_ms);
    assert_null(attempt->fair);
    m->on_the_way[key]--;
    note_able(m, key);
}

static void end(struct model *m)
{
    uint32_t which = m->out_count > 0 ? (uint32_t)upto(m, m->out_count - 1) : 0;
    struct attempt *attempt;

    if (m->out_count == 0)
        return;
    attempt = m->out[which];
    m->out[which] = m->out[--m->out_count];
    leave(m, attempt);
    if (upto(m, 4) == 0 && m->start_count < 4 * MESSAGES) {
        m->tried[attempt->delivery.tag] = true;
        batch_add(&m->delayed, attempt);
        return;
    }
    attempt_free(attempt);
    m->here--;
}

static void due(struct model *m)
{
    struct attempt *attempt = batch_pop(&m->delayed);

    if (attempt)
        enter(m, attempt);
}

static void drop(struct model *m, struct batch *gone)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(gone))) {
        uint32_t key = key_of(m, attempt);

        assert_null(attempt->fair);
        m->waiting[key]--;
        m->waiting_tried[key] -= m->tried[attempt->delivery.tag];
        note_able(m, key);
        attempt_free(attempt);
        m->here--;
    }
}

/* The channel is gone: what waits is dropped, and what handlers have keeps its places. */
static void lose(struct model *m)
{
    struct batch gone = {NULL, NULL, 0};

    fair_lines_take_waiting(&m->lines, &gone, m->now_ms);
    assert_int_equal(m->lines.waiting, 0);
    drop(m, &gone);
}

/* Those that go are the last of one of the longest lines, and none that was tried. */
static void cut(struct model *m)
{
    struct batch gone = {NULL, NULL, 0};
    uint32_t most = (uint32_t)upto(m, 3) + 1;
    uint32_t longest = 0;
    int64_t last_ms = 0;

    for (uint32_t key = 0; key <= NO_KEY; key++)
        if (m->waiting[key] > longest && m->waiting_tried[key] < m->waiting[key])
            longest = m->waiting[key];
    fair_lines_cut(&m->lines, most, &gone, m->now_ms);
    assert_int_equal(gone.count > 0, longest > 0);
    assert_true(gone.count <= most);
    if (gone.first && m->lines.shared == 0)
        assert_int_equal(m->waiting[key_of(m, gone.first)], longest);
    for (struct attempt *attempt = gone.first; attempt; attempt = attempt->next) {
        assert_false(m->tried[attempt->delivery.tag]);
        assert_true(attempt->retry_at_ms >= m->now_ms + FAIR_AWAY_MIN_MS);
        assert_true(attempt->retry_at_ms <= m->now_ms + FAIR_AWAY_MAX_MS);
        assert_true(attempt->retry_at_ms >= last_ms); /* those behind are not back before */
        last_ms = attempt->retry_at_ms;
    }
    drop(m, &gone);
}

static void take_older(struct model *m)
{
    struct batch gone = {NULL, NULL, 0};
    int64_t before_ms = m->now_ms - (int64_t)upto(m, 100);

    fair_lines_take_older(&m->lines, before_ms * 1000000, 3, &gone, m->now_ms);
    assert_true(gone.count <= 3);
    for (struct attempt *attempt = gone.first; attempt; attempt = attempt->next)
        assert_true(attempt->arrived_ns < before_ms * 1000000);
    drop(m, &gone);
}

/* Time passes, or it is put to when somebody's rate lets go the next one. */
static void wait(struct model *m)
{
    int64_t due_ms = fair_lines_due_ms(&m->lines);

    if (due_ms < INT64_MAX && upto(m, 1) == 0 && due_ms > m->now_ms) {
        m->now_ms = due_ms;
        assert_true(fair_lines_ready(&m->lines, m->now_ms));
    } else {
        m->now_ms += (int64_t)upto(m, 30);
    }
}

static void step(struct model *m)
{
    uint64_t what = upto(m, 199);

    if (what < 70)
        arrive(m);
    else if (what < 120)
        begin(m);
    else if (what < 160)
        end(m);
    else if (what < 170)
        due(m);
    else if (what < 192)
        wait(m);
    else if (what < 195)
        cut(m);
    else if (what < 198)
        take_older(m);
    else
        lose(m);
    check_counts(m);
}

static void draw_plan(struct model *m, bool rates)
{
    m->keys = (uint32_t)upto(m, KEYS - 1) + 1; /* with all of them, NO_KEY is one */
    m->hands = (uint32_t)upto(m, 7) + 1;
    m->plan.concurrency = (uint32_t)upto(m, 3);
    m->plan.keys = upto(m, 3) == 0 ? (uint32_t)upto(m, 4) + 1 : 100;
    if (rates)
        m->plan.rate = (struct token_plan){.rate = (int64_t)upto(m, 40) + 1,
                                           .per_ms = (int64_t)upto(m, 1000) + 1,
                                           .burst = (int64_t)upto(m, 4) + 1};
}

/* Without anything more to come all of it is done: nobody starves. */
static void finish(struct model *m)
{
    for (int i = 0; m->here > 0 && i < 1000 * STEPS; i++) {
        due(m);
        while (begin(m))
            ;
        end(m);
        if (!fair_lines_ready(&m->lines, m->now_ms) && m->out_count == 0 &&
            fair_lines_due_ms(&m->lines) < INT64_MAX)
            m->now_ms = fair_lines_due_ms(&m->lines);
        check_counts(m);
    }
    assert_int_equal(m->here, 0);
}

static void run_schedule(uint64_t seed, bool rates)
{
    struct model *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->now_ms = 1000;
    random_init(&m->random, seed);
    draw_plan(m, rates);
    assert_int_equal(fair_lines_init(&m->lines, &m->plan), WARREN_OK);
    for (int i = 0; i < STEPS; i++)
        step(m);
    finish(m);
    fair_lines_done(&m->lines);
    free(m);
}

/* At most so many of a key, and each in its turn. */
static void keys_take_turns_within_their_places(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
        run_schedule(seed, false);
}

static void keys_keep_their_rates(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
        run_schedule(seed, true);
}

/* ---- shares ---- */

static struct attempt *message(uint64_t tag)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = tag;
    return attempt;
}

static void enter_key(struct fair_lines *lines, uint32_t key, struct attempt *attempt, int64_t now)
{
    struct order_name name =
        order_name_of(lines->secret, KEY_TEXT, (struct warren_bytes){&key, sizeof key});

    fair_lines_enter(lines, &name, attempt, false, now);
}

/* One key has a hundred times as many as the others: of what begins each has the same. */
static void a_hot_key_has_no_more_than_the_others(void **state)
{
    enum { OTHERS = 9, EACH = 20, HOT = EACH * 100 };
    struct fair_plan plan = {.keys = 100};
    struct fair_lines lines;
    struct attempt *attempt;
    uint32_t begun[OTHERS + 1] = {0};

    (void)state;
    assert_int_equal(fair_lines_init(&lines, &plan), WARREN_OK);
    for (uint64_t i = 0; i < HOT; i++)
        enter_key(&lines, 0, message(0), 1);
    for (uint64_t i = 0; i < EACH; i++)
        for (uint32_t key = 1; key <= OTHERS; key++)
            enter_key(&lines, key, message(key), 1);
    for (uint32_t i = 0; i < (OTHERS + 1) * EACH; i++) {
        attempt = fair_lines_next(&lines, 1);
        begun[attempt->delivery.tag]++;
        fair_lines_leave(&lines, attempt, 1);
        attempt_free(attempt);
    }
    for (uint32_t key = 0; key <= OTHERS; key++)
        assert_int_equal(begun[key], EACH);
    while ((attempt = fair_lines_next(&lines, 1))) {
        assert_int_equal(attempt->delivery.tag, 0);
        fair_lines_leave(&lines, attempt, 1);
        attempt_free(attempt);
    }
    fair_lines_done(&lines);
}

/* Those that are sent away come back at the pace of their line: a key of 10/s, of which 100 wait
 * and more are sent away, has one of these back each 100 ms from 10 s on. */
static void what_is_sent_away_is_back_when_it_can_be_handled(void **state)
{
    struct fair_plan plan = {.rate = {.rate = 10, .per_ms = 1000, .burst = 1}, .keys = 100};
    struct batch gone = {NULL, NULL, 0};
    struct fair_lines lines;
    struct attempt *attempt;
    int64_t now_ms = 1000;
    int64_t first_ms;
    int64_t last_ms;

    (void)state;
    assert_int_equal(fair_lines_init(&lines, &plan), WARREN_OK);
    for (uint32_t i = 0; i < 200; i++)
        enter_key(&lines, 0, message(i), now_ms);
    for (uint32_t i = 0; i < 50; i++) {
        attempt = fair_lines_next(&lines, now_ms);
        assert_non_null(attempt);
        fair_lines_leave(&lines, attempt, now_ms);
        attempt_free(attempt);
        assert_false(fair_lines_ready(&lines, now_ms));
        now_ms = fair_lines_due_ms(&lines);
    }
    while (lines.waiting > 100)
        fair_lines_cut(&lines, lines.waiting - 100, &gone, now_ms);
    assert_int_equal(gone.count, 50);
    first_ms = last_ms = gone.first->retry_at_ms;
    while ((attempt = batch_pop(&gone))) {
        if (attempt->retry_at_ms < first_ms)
            first_ms = attempt->retry_at_ms;
        if (attempt->retry_at_ms > last_ms)
            last_ms = attempt->retry_at_ms;
        attempt_free(attempt);
    }
    assert_in_range(first_ms - now_ms, 9000, 15000);
    assert_in_range(last_ms - first_ms, 4000, 6000);
    fair_lines_take_waiting(&lines, &gone, now_ms);
    while ((attempt = batch_pop(&gone)))
        attempt_free(attempt);
    fair_lines_done(&lines);
}

/* A flood of keys that nobody has seen: the table keeps its bound, and those above it are within
 * the limits of one. */
static void a_flood_of_keys_stays_within_the_bound(void **state)
{
    enum { FLOOD = 1000, BOUND = 50 };
    struct fair_plan plan = {
        .concurrency = 1, .rate = {.rate = 1, .per_ms = 60000, .burst = 1}, .keys = BOUND};
    struct attempt *out[BOUND + 1];
    struct batch gone = {NULL, NULL, 0};
    struct fair_lines lines;
    struct attempt *attempt;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(fair_lines_init(&lines, &plan), WARREN_OK);
    for (uint32_t key = 0; key < FLOOD; key++)
        enter_key(&lines, key, message(key), 1000);
    assert_int_equal(lines.count, BOUND);
    assert_int_equal(lines.shared, FLOOD - BOUND);
    while ((attempt = fair_lines_next(&lines, 1000))) {
        assert_true(count <= BOUND);
        out[count++] = attempt;
    }
    assert_int_equal(count, BOUND + 1);
    for (uint32_t i = 0; i < count; i++) {
        fair_lines_leave(&lines, out[i], 1000);
        attempt_free(out[i]);
    }
    assert_null(fair_lines_next(&lines, 1000));
    fair_lines_take_waiting(&lines, &gone, 1000);
    while ((attempt = batch_pop(&gone)))
        attempt_free(attempt);
    /* When their rates have rested, other keys take their places. */
    for (uint32_t key = FLOOD; key < FLOOD + BOUND; key++)
        enter_key(&lines, key, message(key), 100000);
    assert_int_equal(lines.count, BOUND);
    assert_int_equal(lines.shared, FLOOD - BOUND);
    fair_lines_take_waiting(&lines, &gone, 100000);
    while ((attempt = batch_pop(&gone)))
        attempt_free(attempt);
    fair_lines_done(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_take_turns_within_their_places),
        cmocka_unit_test(keys_keep_their_rates),
        cmocka_unit_test(a_hot_key_has_no_more_than_the_others),
        cmocka_unit_test(what_is_sent_away_is_back_when_it_can_be_handled),
        cmocka_unit_test(a_flood_of_keys_stays_within_the_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
