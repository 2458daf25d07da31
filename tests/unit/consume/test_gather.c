/* test_gather.c - messages that are gathered, against a model: what is promised of a batch holds in
 * every schedule, whenever messages come and workers are done.
 */
#include "base/random.h"
#include "consume/attempt/gather.h"
#include "support/attempt.h"
#include "support/test.h"

#define SCHEDULES 3000
#define STEPS     300
#define WORKERS   3

/* Workers that take batches, as a subscription's do, and a clock that the schedule moves. */
struct model {
    struct gather gather;
    struct gather_plan plan;
    struct random random;
    int64_t now_ms;
    uint64_t came;          /* tags given so far, */
    uint64_t next;          /* and the first that is in no batch yet */
    int64_t came_ms[STEPS]; /* by tag */
    struct batch closed;    /* rows, the first in front */
    uint32_t closed_count;  /* batches in it */
    uint32_t working;       /* workers that have one */
    uint32_t counted[GATHER_CLOSED];
};

static uint64_t upto(struct model *m, uint64_t limit)
{
    return random_upto(&m->random, limit);
}

/* Batches are rows in the order in which their messages came, and within the plan. */
static void check_closed(struct model *m, struct batch *go)
{
    while (go->count > 0) {
        uint32_t together = go->first->together;
        size_t bytes = 0;

        assert_in_range(together, 1, m->plan.size);
        assert_true(together <= go->count);
        for (uint32_t i = 0; i < together; i++) {
            struct attempt *attempt = batch_pop(go);

            assert_int_equal(attempt->delivery.tag, m->next++);
            assert_true(i == 0 || attempt->together == 0);
            bytes += attempt->delivery.body_len;
            batch_add(&m->closed, attempt);
        }
        assert_true(together == 1 || bytes <= m->plan.bytes);
        m->closed_count++;
    }
}

static uint32_t out(const struct model *m)
{
    return m->closed_count + m->working;
}

/* As subscription_batch.c does. */
static void look(struct model *m)
{
    struct batch go = {NULL, NULL, 0};

    if (gather_due_ms(&m->gather, &m->plan) > m->now_ms || out(m) >= WORKERS)
        return;
    assert_true(m->now_ms - m->came_ms[m->next] >= m->plan.wait_ms);
    gather_close(&m->gather, GATHER_WAIT, &go);
    check_closed(m, &go);
}

static void arrive(struct model *m)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, (size_t)upto(m, 40));
    struct batch go = {NULL, NULL, 0};

    assert_non_null(attempt);
    attempt->delivery.tag = m->came;
    m->came_ms[m->came++] = m->now_ms;
    gather_add(&m->gather, &m->plan, attempt, m->now_ms, &go);
    check_closed(m, &go);
    look(m);
}

static void begin(struct model *m)
{
    uint32_t together = m->closed.first ? m->closed.first->together : 0;

    if (together == 0 || m->working == WORKERS)
        return;
    while (together-- > 0)
        attempt_free(batch_pop(&m->closed));
    m->closed_count--;
    m->working++;
}

static void end(struct model *m)
{
    if (m->working == 0)
        return;
    m->working--;
    look(m);
}

/* Nobody waits for longer than `wait` while a worker is free, and never for more than that. */
static void check_waiting(const struct model *m)
{
    assert_int_equal(m->gather.open.count, m->came - m->next);
    assert_true(m->gather.open.count < m->plan.size);
    if (m->gather.open.count > 0 && out(m) < WORKERS)
        assert_true(m->now_ms - m->came_ms[m->next] < m->plan.wait_ms);
    assert_int_equal(gather_due_ms(&m->gather, &m->plan),
                     m->gather.open.count > 0 ? m->came_ms[m->next] + m->plan.wait_ms : INT64_MAX);
}

static void step(struct model *m)
{
    switch (upto(m, 4)) {
    case 0:
    case 1:
        arrive(m);
        break;
    case 2:
        m->now_ms += (int64_t)upto(m, 20);
        look(m); /* the timer */
        break;
    case 3:
        begin(m);
        break;
    default:
        end(m);
    }
    check_waiting(m);
}

static void finish(struct model *m)
{
    struct batch rest = {NULL, NULL, 0};
    uint64_t here = m->came - m->next;
    struct attempt *attempt;

    gather_take(&m->gather, &rest);
    assert_int_equal(rest.count, here);
    while ((attempt = batch_pop(&rest))) {
        assert_int_equal(attempt->delivery.tag, m->next++);
        assert_int_equal(attempt->together, 0);
        attempt_free(attempt);
    }
    assert_int_equal(m->gather.bytes, 0);
    while ((attempt = batch_pop(&m->closed)))
        attempt_free(attempt);
}

static void whatever_comes_when(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        struct model m = {.now_ms = 1000};
        uint32_t closed = 0;

        random_init(&m.random, seed);
        m.plan = (struct gather_plan){.size = (uint32_t)upto(&m, 9) + 1,
                                      .wait_ms = (uint32_t)upto(&m, 2) * 15,
                                      .bytes = (size_t)upto(&m, 100) + 1};
        for (int i = 0; i < STEPS; i++)
            step(&m);
        for (int i = 0; i < GATHER_CLOSED; i++)
            closed += m.gather.closed[i];
        assert_true(closed > 0 || m.came < 2 || m.plan.size > 1);
        finish(&m);
    }
}

static struct attempt *message(size_t bytes)
{
    struct warren_bytes none = {"", 0};

    return attempt_new(none, none, none, bytes);
}

/* What closes a batch is told: one is full, the next would be too large, one is as large as it may
 * be, and one is larger by itself. */
static void why_it_is_closed(void **state)
{
    static const struct {
        size_t bytes;
        enum gather_closed closes; /* GATHER_CLOSED: nothing */
    } rows[] = {{10, GATHER_CLOSED}, {10, GATHER_CLOSED}, {10, GATHER_SIZE},  {90, GATHER_CLOSED},
                {20, GATHER_BYTES},  {80, GATHER_BYTES},  {500, GATHER_BYTES}};
    const struct gather_plan plan = {.size = 3, .wait_ms = 10, .bytes = 100};
    struct gather gather = {.bytes = 0};
    struct batch go = {NULL, NULL, 0};
    struct attempt *attempt;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t before[GATHER_CLOSED];

        memcpy(before, gather.closed, sizeof before);
        gather_add(&gather, &plan, message(rows[i].bytes), 0, &go);
        for (int why = 0; why < GATHER_CLOSED; why++)
            assert_int_equal(gather.closed[why] - before[why], why == (int)rows[i].closes);
    }
    assert_int_equal(gather.open.count, 0);
    while ((attempt = batch_pop(&go)))
        attempt_free(attempt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_comes_when),
        cmocka_unit_test(why_it_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
