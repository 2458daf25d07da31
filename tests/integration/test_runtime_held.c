/* test_runtime_held.c - messages that the runtime keeps from its workers: retries that wait for
 * their time, gates, and middlewares that look ahead; on a real broker.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "consume/runtime/runtime.h"
#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"

#define PREFETCH 20
#define DRAIN_MS 10000
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

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    char *name; /* of the connection */
    struct runtime *runtime;

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

    atomic_bool stopped;
    atomic_int status;
    atomic_uint handed_back;
    atomic_uint lost;
};

/* ---- the parts ---- */

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct fixture *f = state;
    uint32_t attempt = warren_job_attempt(job);

    atomic_fetch_add(&f->calls, 1);
    atomic_store(&f->last_attempt, attempt);
    if (warren_job_redelivered(job))
        atomic_store(&f->redelivered, true);
    if (attempt <= atomic_load(&f->failures)) {
        warren_job_retry_after(job, atomic_load(&f->delay_ms));
        return WARREN_RETRY;
    }
    atomic_store(&f->waited_ms, warren_job_now_ms(job) - warren_job_first_ms(job));
    atomic_fetch_add(&f->done, 1);
    return WARREN_ACK;
}

static const struct warren_handler handler = {.name = "held", .handle = handle};

static uint32_t may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct fixture *f = state;
    uint32_t tokens = atomic_load(&f->tokens);

    (void)now_ms;
    atomic_fetch_add(&f->asked, 1);
    *ret_retry_ms = 20;
    return tokens < want ? tokens : want;
}

static void took(void *state, uint32_t count, int64_t now_ms)
{
    struct fixture *f = state;

    (void)now_ms;
    atomic_fetch_sub(&f->tokens, count);
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

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct fixture *f = user;

    print_message("lost: %s\n", loss->text);
    atomic_fetch_add(&f->lost, 1);
}

static void on_draining(void *user, uint32_t handed_back, uint32_t running)
{
    struct fixture *f = user;

    (void)running;
    atomic_store(&f->handed_back, handed_back);
}

static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct fixture *f = user;

    assert_int_equal(unfinished, 0);
    atomic_store(&f->status, (int)status);
    atomic_store(&f->stopped, true);
}

/* ---- life ---- */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->broker = broker_shared();
    f->peer = peer_new(f->broker->uri);
    f->queue = unique_name("held");
    f->name = unique_name("held-worker");
    for (int i = 0; i < 2; i++)
        pthread_mutex_init(&f->lookers[i].lock, NULL);
    *state = f;
    return 0;
}

static struct runtime_stats stats(struct fixture *f)
{
    struct runtime_stats now;

    runtime_stats(f->runtime, &now);
    return now;
}

static void start(struct fixture *f, const char *type, bool gated)
{
    static const struct config_topology no_topology;
    static const struct runtime_events events = {
        .lost = on_lost, .draining = on_draining, .stopped = on_stopped};
    static const struct warren_middleware looks = {.before = before, .after = after};
    static const struct warren_middleware gate = {.may = may, .took = took};
    const struct chain_member middlewares[] = {
        {&looks, &f->lookers[0], false}, {&looks, &f->lookers[1], false}, {&gate, f, false}};
    struct connection_options connection;
    struct uri uri;
    struct runtime_subscription subscription = {.queue = f->queue,
                                                .handler_name = "test.held",
                                                .handler = &handler,
                                                .state = f,
                                                .middlewares = middlewares,
                                                .middleware_count = gated ? 3 : 2,
                                                .prefetch = PREFETCH,
                                                .concurrency = 2};
    struct runtime_options options = {.connection = &connection,
                                      .topology = &no_topology,
                                      .subscriptions = &subscription,
                                      .subscription_count = 1,
                                      .message_max = 1 << 20,
                                      .straggler_age_ms = 10,
                                      .drain_timeout_ms = DRAIN_MS};
    struct warren_error error = {WARREN_OK, ""};

    peer_declare(f->peer, f->queue, type);
    connection_options_init(&connection);
    connection.name = f->name;
    connection.uris = &uri;
    connection.uri_count = 1;
    connection.reconnect_delay_min_ms = 10;
    connection.reconnect_delay_max_ms = 100;
    assert_int_equal(uri_parse(f->broker->uri, &uri, &error), WARREN_OK);
    assert_int_equal(runtime_new(&options, &events, f, &f->runtime, &error), WARREN_OK);
    assert_int_equal(runtime_start(f->runtime, &error), WARREN_OK);
    assert_true(WAIT_FOR(stats(f).consuming, PATIENCE_MS));
}

static void stop(struct fixture *f)
{
    runtime_stop(f->runtime);
    assert_true(WAIT_FOR(atomic_load(&f->stopped), PATIENCE_MS));
    assert_int_equal(atomic_load(&f->status), WARREN_OK);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->runtime && !atomic_load(&f->stopped))
        stop(f);
    runtime_free(f->runtime);
    peer_delete(f->peer, f->queue);
    peer_free(f->peer);
    broker_free(f->broker);
    free(f->queue);
    free(f->name);
    free(f);
    return 0;
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
    struct fixture *f = *state;

    atomic_store(&f->failures, 3);
    atomic_store(&f->delay_ms, 50);
    start(f, "quorum", false);
    peer_publish_many(f->peer, f->queue, "m", 5);
    assert_true(WAIT_FOR(atomic_load(&f->done) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->calls), 20);
    assert_int_equal(atomic_load(&f->last_attempt), 4);
    assert_true(atomic_load(&f->waited_ms) >= 150);
    assert_false(atomic_load(&f->redelivered));
    stop(f);
    assert_int_equal(stats(f).counts[COUNT_DELIVERED], 5);
    assert_int_equal(stats(f).counts[COUNT_RETRIED], 15);
    assert_int_equal(stats(f).counts[COUNT_SETTLED + WARREN_ACK], 5);
    assert_int_equal(stats(f).counts[COUNT_SETTLED + WARREN_RETRY], 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

static void fail_forever(struct fixture *f, const char *type)
{
    atomic_store(&f->failures, UINT32_MAX);
    atomic_store(&f->delay_ms, LONG_MS);
    start(f, type, false);
}

/* While some wait for long, others come, are handled and acked: no worker waits with them. */
static void others_pass_those_that_wait(void **state)
{
    struct fixture *f = *state;

    fail_forever(f, "classic");
    peer_publish_many(f->peer, f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(f).held == 5, PATIENCE_MS));
    atomic_store(&f->failures, 0);
    peer_publish_many(f->peer, f->queue, "good", 200);
    assert_true(WAIT_FOR(stats(f).counts[COUNT_SETTLED + WARREN_ACK] == 200, PATIENCE_MS));
    /* Acks behind a gap leave singly, once they are old enough. */
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 5, PATIENCE_MS));
}

/* Those that wait cost nothing: no tick runs for them. */
static void waiting_costs_no_time(void **state)
{
    struct fixture *f = *state;
    int64_t before_ms;

    fail_forever(f, "classic");
    peer_publish_many(f->peer, f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(f).held == 5, PATIENCE_MS));
    before_ms = cpu_ms();
    rest_ms(500); /* a tick every 2 ms would take some 250 turns */
    assert_true(cpu_ms() - before_ms < 25 * slowness());
}

/* More than half of the prefetch do not wait here: the broker gets them back. */
static void holding_ends_at_half_of_the_prefetch(void **state)
{
    struct fixture *f = *state;

    fail_forever(f, "classic");
    peer_publish_many(f->peer, f->queue, "bad", PREFETCH);
    assert_true(WAIT_FOR(stats(f).counts[COUNT_SETTLED + WARREN_RETRY] > 0, PATIENCE_MS));
    assert_int_equal(stats(f).held, PREFETCH / 2);
    atomic_store(&f->failures, 0);
    assert_true(WAIT_FOR(atomic_load(&f->done) == PREFETCH / 2, PATIENCE_MS));
}

/* Draining does not wait for a retry: it hands back what waits. */
static void draining_hands_back_what_waits(void **state)
{
    struct fixture *f = *state;

    fail_forever(f, "classic");
    peer_publish_many(f->peer, f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(f).held == 5, PATIENCE_MS));
    stop(f);
    assert_int_equal(atomic_load(&f->handed_back), 5);
    assert_int_equal(stats(f).counts[COUNT_SETTLED + WARREN_REQUEUE], 5);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 5, PATIENCE_MS));
}

/* With the connection their tags are gone: they are dropped, and come again from the broker. */
static void a_lost_connection_drops_what_waits(void **state)
{
    struct fixture *f = *state;

    fail_forever(f, "classic");
    peer_publish_many(f->peer, f->queue, "bad", 5);
    assert_true(WAIT_FOR(stats(f).held == 5, PATIENCE_MS));
    atomic_store(&f->failures, 0);
    assert_int_equal(broker_close_connections(f->broker, f->name), 1);
    assert_true(WAIT_FOR(atomic_load(&f->done) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->lost), 1);
    assert_int_equal(stats(f).counts[COUNT_STALE], 5);
    assert_int_equal(stats(f).held, 0);
    assert_true(atomic_load(&f->redelivered));
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- middlewares that look ahead ---- */

/* Five messages wait for the inner one; the outer one has let them go on. */
static void wait_inside(struct fixture *f)
{
    f->lookers[1].waits = true;
    start(f, "classic", false);
    peer_publish_many(f->peer, f->queue, "m", 5);
    assert_true(WAIT_FOR(atomic_load(&f->lookers[1].seen) == 5, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->lookers[0].seen), 5);
    assert_int_equal(atomic_load(&f->calls), 0);
}

/* With the answers all go, and come back past both. */
static void both_look_ahead_and_behind(void **state)
{
    struct fixture *f = *state;

    wait_inside(f);
    answer(&f->lookers[1]);
    assert_true(WAIT_FOR(stats(f).counts[COUNT_SETTLED + WARREN_ACK] == 5, PATIENCE_MS));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&f->lookers[i].acked), 5);
        assert_int_equal(atomic_load(&f->lookers[i].dropped), 0);
    }
}

/* The channel is lost while they wait: each mark comes back once, and the messages come again. */
static void a_lost_connection_drops_what_waits_ahead(void **state)
{
    struct fixture *f = *state;

    wait_inside(f);
    assert_int_equal(broker_close_connections(f->broker, f->name), 1);
    assert_true(WAIT_FOR(atomic_load(&f->lost) == 1, PATIENCE_MS));
    answer(&f->lookers[1]);
    assert_true(WAIT_FOR(stats(f).counts[COUNT_SETTLED + WARREN_ACK] == 5, PATIENCE_MS));
    assert_int_equal(stats(f).counts[COUNT_STALE], 5);
    assert_int_equal(atomic_load(&f->calls), 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&f->lookers[i].seen), 10);
        assert_int_equal(atomic_load(&f->lookers[i].acked), 5);
        assert_int_equal(atomic_load(&f->lookers[i].dropped), 5);
    }
}

/* Draining hands back what has its answer only now. */
static void draining_hands_back_what_waits_ahead(void **state)
{
    struct fixture *f = *state;

    wait_inside(f);
    runtime_stop(f->runtime);
    assert_true(WAIT_FOR(!stats(f).consuming, PATIENCE_MS)); /* it has begun to drain */
    answer(&f->lookers[1]);
    stop(f);
    assert_int_equal(stats(f).counts[COUNT_SETTLED + WARREN_REQUEUE], 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(atomic_load(&f->lookers[i].dropped), 5);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 5, PATIENCE_MS));
}

/* ---- gates ---- */

/* A closed gate holds everything in the prefetch window; each token lets one through. */
static void a_gate_lets_through_what_it_may(void **state)
{
    struct fixture *f = *state;

    start(f, "classic", true);
    peer_publish_many(f->peer, f->queue, "m", 3 * PREFETCH);
    assert_true(WAIT_FOR(stats(f).held == PREFETCH, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->calls), 0);
    atomic_store(&f->tokens, 7);
    assert_true(WAIT_FOR(atomic_load(&f->done) == 7, PATIENCE_MS));
    assert_true(WAIT_FOR(stats(f).held == PREFETCH, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->done), 7);
    atomic_store(&f->tokens, 1000);
    assert_true(WAIT_FOR(atomic_load(&f->done) == 3 * PREFETCH, PATIENCE_MS));
    assert_int_equal(stats(f).counts[COUNT_DELIVERED], 3 * PREFETCH);
}

/* A gate that stays closed is asked every 20 ms, as it wished, and nothing else turns. */
static void a_closed_gate_is_asked_as_it_wishes(void **state)
{
    struct fixture *f = *state;
    unsigned before;
    int64_t began_ms;

    start(f, "classic", true);
    peer_publish_many(f->peer, f->queue, "m", 3);
    assert_true(WAIT_FOR(stats(f).held == 3, PATIENCE_MS));
    before = atomic_load(&f->asked);
    began_ms = now_ms();
    assert_true(WAIT_FOR(atomic_load(&f->asked) >= before + 20, PATIENCE_MS));
    /* The first one may have been due, and no busy machine makes the others come sooner. */
    assert_true(now_ms() - began_ms >= (20 - 2) * 20);
}

/* Draining does not wait for a gate. */
static void draining_hands_back_what_a_gate_held(void **state)
{
    struct fixture *f = *state;

    start(f, "quorum", true);
    peer_publish_many(f->peer, f->queue, "m", 8);
    assert_true(WAIT_FOR(stats(f).held == 8, PATIENCE_MS));
    stop(f);
    assert_int_equal(atomic_load(&f->handed_back), 8);
    assert_int_equal(atomic_load(&f->calls), 0);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 8, PATIENCE_MS));
}

/* A retry asks the gate again: with two tokens one message has two attempts. */
static void a_retry_needs_admission_again(void **state)
{
    struct fixture *f = *state;

    atomic_store(&f->failures, 2);
    atomic_store(&f->tokens, 2);
    start(f, "classic", true);
    peer_publish_many(f->peer, f->queue, "m", 1);
    assert_true(WAIT_FOR(stats(f).counts[COUNT_RETRIED] == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(stats(f).held == 1, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->calls), 2);
    atomic_store(&f->tokens, 1);
    assert_true(WAIT_FOR(atomic_load(&f->done) == 1, PATIENCE_MS));
    assert_int_equal(atomic_load(&f->last_attempt), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
