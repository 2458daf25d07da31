/* test_order_lines.c - messages in lines, against a model: what is promised of an order holds in
 * every schedule, whatever comes, ends, fails and is lost when.
 */
#include "base/random.h"
#include "consume/order/order_lines.h"
#include "support/attempt.h"
#include "support/test.h"

#define SCHEDULES 3000
#define STEPS     400
#define KEYS      12
#define WORKERS   5
#define MESSAGES  (STEPS + 1)
/* Of the common line. */
#define NO_KEY KEYS

/* A worker with a bounded number of hands, and a queue before it. */
struct model {
    struct order_lines lines;
    struct random random;
    struct batch ready; /* may go, and wait for a hand */
    struct attempt *at_work[WORKERS];
    uint32_t working;
    struct batch delayed; /* failed; their next attempt is due at any time */
    bool skips;
    uint32_t keys;
    uint64_t next_tag;
    uint32_t key_of[MESSAGES];
    uint64_t last_done[KEYS + 1]; /* the highest tag that was handled */
    uint32_t in_line[KEYS + 1];   /* messages of the key that are here and in its line */
    bool busy[KEYS + 1];          /* one of them may go, is at work or, without skips, delayed */
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

static bool enter(struct model *m, struct attempt *attempt)
{
    uint32_t key = key_of(m, attempt);
    struct order_name name =
        order_lines_name(&m->lines, 't', (struct warren_bytes){&key, sizeof key});
    bool first = order_lines_enter(&m->lines, key == NO_KEY ? NULL : &name, attempt);

    assert_int_equal(first, !m->busy[key]);
    assert_int_equal(first, attempt->line != NULL);
    m->in_line[key]++;
    if (!first)
        return false;
    m->busy[key] = true;
    batch_add(&m->ready, attempt);
    return true;
}

static void arrive(struct model *m)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = ++m->next_tag;
    m->key_of[m->next_tag] = (uint32_t)upto(m, m->keys);
    m->here++;
    enter(m, attempt);
}

static void leave(struct model *m, struct attempt *attempt)
{
    uint32_t key = key_of(m, attempt);
    struct attempt *next = order_lines_leave(&m->lines, attempt);

    assert_null(attempt->line);
    m->in_line[key]--;
    assert_int_equal(next != NULL, m->in_line[key] > 0); /* nobody is left waiting */
    m->busy[key] = next != NULL;
    if (!next)
        return;
    assert_int_equal(key_of(m, next), key);
    assert_non_null(next->line);
    batch_add(&m->ready, next);
}

/* One at a time of each key, in the queue's order. */
static void begin(struct model *m)
{
    struct attempt *attempt = m->working < WORKERS ? batch_pop(&m->ready) : NULL;

    if (!attempt)
        return;
    for (uint32_t i = 0; i < m->working; i++)
        assert_int_not_equal(key_of(m, m->at_work[i]), key_of(m, attempt));
    if (!m->skips)
        assert_true(attempt->delivery.tag > m->last_done[key_of(m, attempt)]);
    m->at_work[m->working++] = attempt;
}

static void end(struct model *m)
{
    uint32_t which = m->working > 0 ? (uint32_t)upto(m, m->working - 1) : 0;
    struct attempt *attempt;

    if (m->working == 0)
        return;
    attempt = m->at_work[which];
    m->at_work[which] = m->at_work[--m->working];
    if (upto(m, 3) == 0) {
        batch_add(&m->delayed, attempt);
        if (m->skips)
            leave(m, attempt);
        return;
    }
    m->last_done[key_of(m, attempt)] = attempt->delivery.tag;
    leave(m, attempt);
    attempt_free(attempt);
    m->here--;
}

static void due(struct model *m)
{
    struct attempt *attempt = batch_pop(&m->delayed);

    if (!attempt)
        return;
    if (m->skips)
        enter(m, attempt);
    else
        batch_add(&m->ready, attempt);
}

/* The channel is gone: what waits is dropped, and what handlers have stays the first of its line.
 */
static void lose(struct model *m)
{
    struct batch gone = {NULL, NULL, 0};
    struct attempt *attempt;

    order_lines_take_waiting(&m->lines, &gone);
    assert_int_equal(m->lines.waiting, 0);
    for (attempt = gone.first; attempt; attempt = attempt->next) {
        assert_null(attempt->line);
        m->in_line[key_of(m, attempt)]--;
    }
    while ((attempt = batch_pop(&m->ready))) {
        leave(m, attempt);
        batch_add(&gone, attempt);
    }
    while ((attempt = batch_pop(&m->delayed))) {
        if (attempt->line)
            leave(m, attempt);
        batch_add(&gone, attempt);
    }
    while ((attempt = batch_pop(&gone))) {
        attempt_free(attempt);
        m->here--;
    }
}

static void check_counts(const struct model *m)
{
    uint32_t lines = 0;
    uint32_t in_lines = 0;

    for (uint32_t key = 0; key <= NO_KEY; key++) {
        lines += m->in_line[key] > 0;
        in_lines += m->in_line[key];
        assert_int_equal(m->busy[key], m->in_line[key] > 0);
    }
    assert_int_equal(m->lines.count, lines);
    assert_int_equal(m->lines.waiting, in_lines - lines);
}

static void step(struct model *m)
{
    uint64_t what = upto(m, 99);

    if (what < 35)
        arrive(m);
    else if (what < 65)
        begin(m);
    else if (what < 90)
        end(m);
    else if (what < 99)
        due(m);
    else
        lose(m);
    check_counts(m);
}

static void run_schedule(uint64_t seed, bool skips)
{
    struct model m = {.skips = skips};

    random_init(&m.random, seed);
    m.keys = (uint32_t)upto(&m, KEYS - 1) + 1; /* with all of them, NO_KEY is one */
    assert_int_equal(order_lines_init(&m.lines, 1), WARREN_OK);
    for (int i = 0; i < STEPS; i++)
        step(&m);
    /* Without anything more to come all of it is done: nobody starves. */
    for (int i = 0; m.here > 0 && i < 100 * STEPS; i++) {
        due(&m);
        begin(&m);
        end(&m);
        check_counts(&m);
    }
    assert_int_equal(m.here, 0);
    order_lines_done(&m.lines);
}

/* A failed message holds those behind it until it is done. */
static void each_key_is_in_order_one_at_a_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
        run_schedule(seed, false);
}

/* A failed message lets those behind it go on, and is never beside them. */
static void each_key_is_one_at_a_time_where_failures_are_skipped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
        run_schedule(seed, true);
}

static struct attempt *message(void)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    return attempt;
}

/* Without memory for a line keys share one: too much order, and never too little. */
static void want_of_memory_loses_no_order(void **state)
{
    struct order_lines lines;
    struct order_name a;
    struct order_name b;
    struct attempt *attempts[5];

    (void)state;
    assert_int_equal(order_lines_init(&lines, 1), WARREN_OK);
    a = order_lines_name(&lines, 't', (struct warren_bytes){"a", 1});
    b = order_lines_name(&lines, 't', (struct warren_bytes){"b", 1});
    for (int i = 0; i < 5; i++)
        attempts[i] = message();
    assert_true(order_lines_enter(&lines, &a, attempts[0]));
    lines.overflows = true; /* as if there had been none for another key */
    assert_true(order_lines_enter(&lines, &b, attempts[1]));
    assert_false(order_lines_enter(&lines, &b, attempts[2]));
    assert_false(order_lines_enter(&lines, &a, attempts[3])); /* it has its own line all the time */
    assert_ptr_equal(order_lines_leave(&lines, attempts[0]), attempts[3]);
    assert_null(order_lines_leave(&lines, attempts[3]));
    assert_false(order_lines_enter(&lines, &a, attempts[4])); /* now it shares that of b */
    assert_ptr_equal(order_lines_leave(&lines, attempts[1]), attempts[2]);
    assert_ptr_equal(order_lines_leave(&lines, attempts[2]), attempts[4]);
    assert_null(order_lines_leave(&lines, attempts[4]));
    assert_false(lines.overflows);
    assert_int_equal(lines.count, 0);
    order_lines_done(&lines);
    for (int i = 0; i < 5; i++)
        attempt_free(attempts[i]);
}

/* Names tell kinds, lengths and bytes behind a NUL; and another table has other names. */
static void names_tell_keys_apart(void **state)
{
    static const struct {
        char kind;
        struct warren_bytes key;
    } rows[] = {{'t', {"a", 1}},    {'n', {"a", 1}},        {'t', {"a\0", 2}},
                {'t', {"a\0b", 3}}, {'t', {"a\0c", 3}},     {'t', {"\0", 1}},
                {'t', {"\0\0", 2}}, {'t', {"aaaaaaaa", 8}}, {'n', {"aaaaaaaa", 8}}};
    struct order_name names[sizeof rows / sizeof *rows];
    struct order_lines lines;
    struct order_lines other;
    struct order_name again;

    (void)state;
    assert_int_equal(order_lines_init(&lines, 1), WARREN_OK);
    assert_int_equal(order_lines_init(&other, 1), WARREN_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        names[i] = order_lines_name(&lines, rows[i].kind, rows[i].key);
        again = order_lines_name(&lines, rows[i].kind, rows[i].key);
        assert_memory_equal(&names[i], &again, sizeof again);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(&names[i], &names[k], sizeof again);
        again = order_lines_name(&other, rows[i].kind, rows[i].key);
        assert_memory_not_equal(&names[i], &again, sizeof again);
    }
    order_lines_done(&lines);
    order_lines_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_in_order_one_at_a_time),
        cmocka_unit_test(each_key_is_one_at_a_time_where_failures_are_skipped),
        cmocka_unit_test(want_of_memory_loses_no_order),
        cmocka_unit_test(names_tell_keys_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
