/* test_runtime_held.c - messages that the runtime keeps from its workers: retries that wait for
 * their time, gates, and middlewares that look ahead; on a real broker.
 */
#include <pthread.h>
#include <time.h>

#include "runtime_fixture.h"

#define PREFETCH 20
#define LONG_MS  (600 * 1000)

/* A middleware that marks all that it sees. */
struct looker {
    pthread_mutex_t lock;
    bool waits;                                /* this one and the next two under the lock */
    struct warren_passage *passages[PREFETCH]; /* that wait for their answer */
    size_t count;
    atomic_uint seen;
    atomic_uint acked;   /* `after` was called so */
    atomic_uint dropped; /* without a passage */
};

struct held {
    struct run run;

    /* how the handler behaves */
    atomic_uint failures; /* attempts of each message that fail first */
    _Atomic int64_t delay_ms;
    /* what it saw */
    atomic_uint calls;
    atomic_uint done;
    atomic_uint last_attempt;
    _Atomic int64_t waited_ms; /* from the first attempt to the last */
    atomic_bool redelivered;

    /* the gate */
    atomic_uint tokens;
    atomic_uint asked;

    struct looker lookers[2]; /* outermost first */
};

/* ---- the parts ---- */

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct held *h = state;
    uint32_t attempt = warren_job_attempt(job);

    atomic_fetch_add(&h->calls, 1);
    atomic_store(&h->last_attempt, attempt);
    if (warren_job_redelivered(job))
        atomic_store(&h->redelivered, true);
    if (attempt <= atomic_load(&h->failures)) {
        warren_job_retry_after(job, atomic_load(&h->delay_ms));
        return WARREN_RETRY;
    }
    atomic_store(&h->waited_ms, warren_job_now_ms(job) - warren_job_first_ms(job));
    atomic_fetch_add(&h->done, 1);
    return WARREN_ACK;
}

static const struct warren_handler handler = {.name = "held", .handle = handle};

static uint32_t may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct held *h = state;
    uint32_t tokens = atomic_load(&h->tokens);

    (void)now_ms;
    atomic_fetch_add(&h->asked, 1);
    *ret_retry_ms = 20;
    return tokens < want ? tokens : want;
}

static void took(void *state, uint32_t count, int64_t now_ms)
{
    struct held *h = state;

    (void)now_ms;
    atomic_fetch_sub(&h->tokens, count);
}

static bool before(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark)
{
    struct looker *looker = state;
    bool waits;

    (void)job;
    atomic_fetch_add(&looker->seen, 1);
    *ret_mark = looker;
    pthread_mutex_lock(&looker->lock);
    waits = looker->waits;
    if (waits)
        looker->passages[looker->count++] = passage;
    pthread_mutex_unlock(&looker->lock);
    return !waits;
}

static bool after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                  void *state)
{
    struct looker *looker = state;

    assert_ptr_equal(mark, looker);
    if (!passage)
        atomic_fetch_add(&looker->dropped, 1);
    else if (outcome == WARREN_ACK)
        atomic_fetch_add(&looker->acked, 1);
    return true;
}

/* From now on it lets everything go at once; what waits goes now. */
static void answer(struct looker *looker)
{
    pthread_mutex_lock(&looker->lock);
    looker->waits = false;
    for (size_t i = 0; i < looker->count; i++)
        warren_passage_go(looker->passages[i]);
    looker->count = 0;
    pthread_mutex_unlock(&looker->lock);
}

/* ---- life ---- */

static int setup(void **state)
{
    struct held *h = run_setup(state, sizeof *h);

    for (int i = 0; i < 2; i++)
        pthread_mutex_init(&h->lookers[i].lock, NULL);
    return 0;
}

static struct runtime_stats stats(struct held *h)
{
    struct runtime_stats now;

    runtime_stats(h->run.runtime, &now);
    return now;
}

static void start(struct held *h, const char *type, bool gated)
{
    static const struct warren_middleware looks = {.before = before, .after = after};
    static const struct warren_middleware gate = {.may = may, .took = took};
    const struct chain_member middlewares[] = {
        {&looks, &h->lookers[0], false}, {&looks, &h->lookers[1], false}, {&gate, h, false}};
    const struct runtime_subscription subscription = {.handler_name = "test.held",
                                                      .handler = &handler,
                                                      .state = h,
                                                      .middlewares = middlewares,
                                                      .middleware_count = gated ? 3 : 2,
                                                      .prefetch = PREFETCH,
                                                      .concurrency = 2};

    run_start(&h->run, type, &subscription, 0);
    assert_true(WAIT_FOR(stats(h).consuming, PATIENCE_MS));
}

/* CPU time of the whole process. */
static int64_t cpu_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* ---- retries ---- */

/* A message fails three times, each time 50 ms before the next, and the broker never hears of it:
 * one delivery, one ack. */
static void a_retry_waits_here_for_its_time(void **state)
{
    struct held *h = *state;

    atomic_store(&h->failures, 3);
    atomic_store(&h->delay_ms, 50);
    start(h, "quorum", false);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 5);
    assert_true(WAIT_FOR(atomic_load(&h->done) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->calls), 20);
    assert_int_equal(atomic_load(&h->last_attempt), 4);
    assert_true(atomic_load(&h->waited_ms) >= 150);
    assert_false(atomic_load(&h->redelivered));
    run_stop(&h->run);
    assert_int_equal(stats(h).counts[COUNT_DELIVERED], 5);
    assert_int_equal(stats(h).counts[COUNT_RETRIED], 15);
    assert_int_equal(stats(h).counts[COUNT_SETTLED + WARREN_ACK], 5);
    assert_int_equal(stats(h).counts[COUNT_SETTLED + WARREN_RETRY], 0);
    assert_int_equal(peer_count(h->run.f->peer, h->run.f->queue), 0);
}

static void fail_forever(struct held *h, const char *type)
{
    atomic_store(&h->failures, UINT32_MAX);
    atomic_store(&h->delay_ms, LONG_MS);
    start(h, type, false);
}

/* While some wait for long, others come, are handled and acked: no worker waits with them. */
static void others_pass_those_that_wait(void **state)
{
    struct held *h = *state;

    fail_forever(h, "classic");
    peer_publish_many(h->run.f->peer, h->run.f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(h).held == 5, PATIENCE_MS));
    atomic_store(&h->failures, 0);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "good", 200);
    assert_true(WAIT_FOR(stats(h).counts[COUNT_SETTLED + WARREN_ACK] == 200, PATIENCE_MS));
    /* Acks behind a gap leave singly, once they are old enough. */
    assert_true(WAIT_FOR(broker_unacked(h->run.f->broker, h->run.f->queue) == 5, PATIENCE_MS));
}

/* Those that wait cost nothing: no tick runs for them. */
static void waiting_costs_no_time(void **state)
{
    struct held *h = *state;
    int64_t before_ms;

    fail_forever(h, "classic");
    peer_publish_many(h->run.f->peer, h->run.f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(h).held == 5, PATIENCE_MS));
    before_ms = cpu_ms();
    rest_ms(500); /* a tick every 2 ms would take some 250 turns */
    assert_true(cpu_ms() - before_ms < 25 * slowness());
}

/* More than half of the prefetch do not wait here: the broker gets them back. */
static void holding_ends_at_half_of_the_prefetch(void **state)
{
    struct held *h = *state;

    fail_forever(h, "classic");
    peer_publish_many(h->run.f->peer, h->run.f->queue, "bad", PREFETCH);
    assert_true(WAIT_FOR(stats(h).counts[COUNT_SETTLED + WARREN_RETRY] > 0, PATIENCE_MS));
    assert_true(WAIT_FOR(stats(h).held == PREFETCH / 2, PATIENCE_MS)); /* told a turn later */
    atomic_store(&h->failures, 0);
    assert_true(WAIT_FOR(atomic_load(&h->done) == PREFETCH / 2, PATIENCE_MS));
}

/* Draining does not wait for a retry: it hands back what waits. */
static void draining_hands_back_what_waits(void **state)
{
    struct held *h = *state;

    fail_forever(h, "classic");
    peer_publish_many(h->run.f->peer, h->run.f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(h).held == 5, PATIENCE_MS));
    run_stop(&h->run);
    assert_int_equal(atomic_load(&h->run.handed_back), 5);
    assert_int_equal(stats(h).counts[COUNT_SETTLED + WARREN_REQUEUE], 5);
    assert_true(WAIT_FOR(peer_count(h->run.f->peer, h->run.f->queue) == 5, PATIENCE_MS));
}

/* With the connection their tags are gone: they are dropped, and come again from the broker. */
static void a_lost_connection_drops_what_waits(void **state)
{
    struct held *h = *state;

    fail_forever(h, "classic");
    peer_publish_many(h->run.f->peer, h->run.f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(h).held == 5, PATIENCE_MS));
    atomic_store(&h->failures, 0);
    assert_int_equal(broker_close_connections(h->run.f->broker, h->run.name), 1);
    assert_true(WAIT_FOR(atomic_load(&h->done) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->run.lost), 1);
    assert_int_equal(stats(h).counts[COUNT_STALE], 5);
    assert_int_equal(stats(h).held, 0);
    assert_true(atomic_load(&h->redelivered));
    run_stop(&h->run);
    assert_int_equal(peer_count(h->run.f->peer, h->run.f->queue), 0);
}

/* ---- middlewares that look ahead ---- */

/* Five messages wait for the inner one; the outer one has let them go on. */
static void wait_inside(struct held *h)
{
    h->lookers[1].waits = true;
    start(h, "classic", false);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 5);
    assert_true(WAIT_FOR(atomic_load(&h->lookers[1].seen) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->lookers[0].seen), 5);
    assert_int_equal(atomic_load(&h->calls), 0);
}

/* With the answers all go, and come back past both. */
static void both_look_ahead_and_behind(void **state)
{
    struct held *h = *state;

    wait_inside(h);
    answer(&h->lookers[1]);
    assert_true(WAIT_FOR(stats(h).counts[COUNT_SETTLED + WARREN_ACK] == 5, PATIENCE_MS));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&h->lookers[i].acked), 5);
        assert_int_equal(atomic_load(&h->lookers[i].dropped), 0);
    }
}

/* The channel is lost while they wait: each mark comes back once, and the messages come again. */
static void a_lost_connection_drops_what_waits_ahead(void **state)
{
    struct held *h = *state;

    wait_inside(h);
    assert_int_equal(broker_close_connections(h->run.f->broker, h->run.name), 1);
    assert_true(WAIT_FOR(atomic_load(&h->run.lost) == 1, PATIENCE_MS));
    answer(&h->lookers[1]);
    assert_true(WAIT_FOR(stats(h).counts[COUNT_SETTLED + WARREN_ACK] == 5, PATIENCE_MS));
    assert_int_equal(stats(h).counts[COUNT_STALE], 5);
    assert_int_equal(atomic_load(&h->calls), 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&h->lookers[i].seen), 10);
        assert_int_equal(atomic_load(&h->lookers[i].acked), 5);
        assert_int_equal(atomic_load(&h->lookers[i].dropped), 5);
    }
}

/* Draining hands back what has its answer only now. */
static void draining_hands_back_what_waits_ahead(void **state)
{
    struct held *h = *state;

    wait_inside(h);
    runtime_stop(h->run.runtime);
    assert_true(WAIT_FOR(!stats(h).consuming, PATIENCE_MS)); /* it has begun to drain */
    answer(&h->lookers[1]);
    run_stop(&h->run);
    assert_int_equal(stats(h).counts[COUNT_SETTLED + WARREN_REQUEUE], 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(atomic_load(&h->lookers[i].dropped), 5);
    assert_true(WAIT_FOR(peer_count(h->run.f->peer, h->run.f->queue) == 5, PATIENCE_MS));
}

/* ---- gates ---- */

/* A closed gate holds everything in the prefetch window; each token lets one through. */
static void a_gate_lets_through_what_it_may(void **state)
{
    struct held *h = *state;

    start(h, "classic", true);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 3 * PREFETCH);
    assert_true(WAIT_FOR(stats(h).held == PREFETCH, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->calls), 0);
    atomic_store(&h->tokens, 7);
    assert_true(WAIT_FOR(atomic_load(&h->done) == 7, PATIENCE_MS));
    assert_true(WAIT_FOR(stats(h).held == PREFETCH, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->done), 7);
    atomic_store(&h->tokens, 1000);
    assert_true(WAIT_FOR(atomic_load(&h->done) == 3 * PREFETCH, PATIENCE_MS));
    assert_int_equal(stats(h).counts[COUNT_DELIVERED], 3 * PREFETCH);
}

/* A gate that stays closed is asked every 20 ms, as it wished, and nothing else turns. */
static void a_closed_gate_is_asked_as_it_wishes(void **state)
{
    struct held *h = *state;
    unsigned before;
    int64_t began_ms;

    start(h, "classic", true);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 3);
    assert_true(WAIT_FOR(stats(h).held == 3, PATIENCE_MS));
    before = atomic_load(&h->asked);
    began_ms = now_ms();
    assert_true(WAIT_FOR(atomic_load(&h->asked) >= before + 20, PATIENCE_MS));
    /* The first one may have been due, and no busy machine makes the others come sooner. */
    assert_true(now_ms() - began_ms >= (20 - 2) * 20);
}

/* Draining does not wait for a gate. */
static void draining_hands_back_what_a_gate_held(void **state)
{
    struct held *h = *state;

    start(h, "quorum", true);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 8);
    assert_true(WAIT_FOR(stats(h).held == 8, PATIENCE_MS));
    run_stop(&h->run);
    assert_int_equal(atomic_load(&h->run.handed_back), 8);
    assert_int_equal(atomic_load(&h->calls), 0);
    assert_true(WAIT_FOR(peer_count(h->run.f->peer, h->run.f->queue) == 8, PATIENCE_MS));
}

/* A retry asks the gate again: with two tokens one message has two attempts. */
static void a_retry_needs_admission_again(void **state)
{
    struct held *h = *state;

    atomic_store(&h->failures, 2);
    atomic_store(&h->tokens, 2);
    start(h, "classic", true);
    peer_publish_many(h->run.f->peer, h->run.f->queue, "m", 1);
    assert_true(WAIT_FOR(stats(h).counts[COUNT_RETRIED] == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(stats(h).held == 1, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->calls), 2);
    atomic_store(&h->tokens, 1);
    assert_true(WAIT_FOR(atomic_load(&h->done) == 1, PATIENCE_MS));
    assert_int_equal(atomic_load(&h->last_attempt), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, run_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_retry_waits_here_for_its_time),
        T(others_pass_those_that_wait),
        T(waiting_costs_no_time),
        T(holding_ends_at_half_of_the_prefetch),
        T(draining_hands_back_what_waits),
        T(a_lost_connection_drops_what_waits),
        T(both_look_ahead_and_behind),
        T(a_lost_connection_drops_what_waits_ahead),
        T(draining_hands_back_what_waits_ahead),
        T(a_gate_lets_through_what_it_may),
        T(a_closed_gate_is_asked_as_it_wishes),
        T(draining_hands_back_what_a_gate_held),
        T(a_retry_needs_admission_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
