/* test_runtime_metrics.c - the series of a subscription and its runtime, on a real broker: what the
 * page says while messages are handled, and after.
 */
#include <time.h>

#include "runtime_fixture.h"
#include "support/metric_page.h"

#define MESSAGES       10
#define BODY           1000
#define PREFETCH       20
#define PREFETCH_BYTES 5000
#define MEMORY_MAX     2000

struct metered {
    struct run run;
    bool unbounded; /* in bytes */
    _Atomic int64_t delay_ms;
    atomic_bool go;
    atomic_uint first_attempts;
};

/* The first attempt of each message waits for the test, and fails. */
static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct metered *m = state;
    int64_t deadline = now_ms() + PATIENCE_MS;

    if (warren_job_attempt(job) > 1)
        return WARREN_ACK;
    atomic_fetch_add(&m->first_attempts, 1);
    while (!atomic_load(&m->go) && now_ms() < deadline)
        rest_ms(1);
    warren_job_retry_after(job, atomic_load(&m->delay_ms));
    return WARREN_RETRY;
}

static const struct warren_handler handler = {.name = "h", .handle = handle};

static int setup(void **state)
{
    struct metered *m = run_setup(state, sizeof *m);

    atomic_store(&m->delay_ms, 1);
    return 0;
}

static void start(struct metered *m)
{
    const struct runtime_subscription subscription = {.handler_name = "p.h",
                                                      .handler = &handler,
                                                      .state = m,
                                                      .prefetch = PREFETCH,
                                                      .prefetch_bytes =
                                                          m->unbounded ? 0 : PREFETCH_BYTES,
                                                      .concurrency = 2};

    run_start(&m->run, "classic", &subscription, m->unbounded ? 0 : MEMORY_MAX);
}

static int teardown(void **state)
{
    struct metered *m = *state;

    atomic_store(&m->go, true);
    return run_teardown(state);
}

/* NAME with the labels of the subscription, and perhaps one more: ",reason=\"error\"". */
static double of(const struct metered *m, const char *name, const char *more)
{
    char series[512];

    snprintf(series, sizeof series, "warren_%s{queue=\"%s\",handler=\"p.h\"%s}", name,
             m->run.f->queue, more);
    return metric_on_page(series);
}

static void publish(struct metered *m)
{
    char body[BODY];

    memset(body, 'x', sizeof body);
    for (int i = 0; i < MESSAGES; i++)
        peer_publish(m->run.f->peer, "", m->run.f->queue, body, sizeof body, NULL);
}

/* How near the bounds are, and that they were reached; then how the messages went. */
static void messages_are_seen(void **state)
{
    struct metered *m = *state;

    start(m);
    assert_true(WAIT_FOR(of(m, "subscription_consuming", "") == 1, PATIENCE_MS));
    assert_true(metric_on_page("warren_consumer_connected") == 1);
    assert_true(of(m, "prefetch", "") == PREFETCH);
    assert_true(of(m, "prefetch_bytes", "") == PREFETCH_BYTES);
    assert_true(metric_on_page("warren_deliveries_max_bytes") == MEMORY_MAX);
    publish(m);
    assert_true(WAIT_FOR(of(m, "unsettled_bytes", "") > MEMORY_MAX, PATIENCE_MS));
    assert_true(WAIT_FOR(metric_on_page("warren_deliveries_full_total") >= 1, PATIENCE_MS));
    assert_true(metric_on_page("warren_deliveries_bytes") == of(m, "unsettled_bytes", ""));
    assert_true(WAIT_FOR(of(m, "messages_in_flight", ",state=\"running\"") == 2, PATIENCE_MS));
    assert_true(of(m, "workers", "") == 2);
    atomic_store(&m->go, true);
    assert_true(
        WAIT_FOR(of(m, "messages_settled_total", ",outcome=\"ack\"") == MESSAGES, PATIENCE_MS));
    assert_true(WAIT_FOR(of(m, "unsettled_bytes", "") == 0, PATIENCE_MS));
    assert_true(of(m, "messages_received_total", "") == MESSAGES);
    assert_true(of(m, "messages_received_bytes_total", "") == MESSAGES * BODY);
    assert_true(of(m, "job_failures_total", ",reason=\"error\"") == MESSAGES);
    assert_true(of(m, "retries_scheduled_total", ",where=\"memory\"") == MESSAGES);
    assert_true(of(m, "queue_wait_seconds_count", "") == MESSAGES);
    assert_true(of(m, "handler_duration_seconds_count", "") == 2 * MESSAGES);
    assert_true(of(m, "critical_time_seconds_count", "") == 0); /* they have no timestamp */
    assert_true(WAIT_FOR(of(m, "ack_frames_total", "") >= 1, PATIENCE_MS));
    assert_true(of(m, "ack_frames_total", "") <= MESSAGES);
}

/* What has a timestamp has an age: from then until it is settled; one of the future has none. */
static void ages_are_seen(void **state)
{
    struct metered *m = *state;
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_TIMESTAMP_FLAG,
                                          .timestamp = (uint64_t)time(NULL) - 100};
    double sum;

    start(m);
    atomic_store(&m->go, true);
    peer_publish(m->run.f->peer, "", m->run.f->queue, "old", 3, &properties);
    assert_true(WAIT_FOR(of(m, "critical_time_seconds_count", "") == 1, PATIENCE_MS));
    sum = of(m, "critical_time_seconds_sum", "");
    assert_true(sum >= 100 && sum < 100 + (double)PATIENCE_MS);
    properties.timestamp = UINT64_MAX;
    peer_publish(m->run.f->peer, "", m->run.f->queue, "new", 3, &properties);
    assert_true(WAIT_FOR(of(m, "critical_time_seconds_count", "") == 2, PATIENCE_MS));
    assert_true(of(m, "critical_time_seconds_sum", "") == sum);
}

/* More than half of the prefetch finds no place to wait for its next attempt. */
static void held_retries_are_seen(void **state)
{
    struct metered *m = *state;

    m->unbounded = true;
    atomic_store(&m->delay_ms, 600 * 1000);
    start(m);
    assert_true(WAIT_FOR(of(m, "retries_max_held", "") == PREFETCH / 2, PATIENCE_MS));
    assert_true(of(m, "prefetch_reached_total", "") == 0);
    assert_true(of(m, "prefetch_bytes", "") == 0);
    peer_publish_many(m->run.f->peer, m->run.f->queue, "m", PREFETCH);
    assert_true(WAIT_FOR(of(m, "prefetch_reached_total", "") >= 1, PATIENCE_MS));
    assert_true(of(m, "retries_held", "") == 0);
    assert_true(of(m, "retries_full_total", "") == 0);
    atomic_store(&m->go, true);
    assert_true(WAIT_FOR(of(m, "retries_held", "") == PREFETCH / 2, PATIENCE_MS));
    assert_true(WAIT_FOR(of(m, "retries_full_total", "") >= 1, PATIENCE_MS));
    assert_true(of(m, "copies_owed", "") == 0);
}

/* A loss of the connection is one, and so is what comes back. */
static void losses_are_seen(void **state)
{
    struct metered *m = *state;
    double losses;
    double connects;

    start(m);
    assert_true(WAIT_FOR(of(m, "subscription_consuming", "") == 1, PATIENCE_MS));
    assert_true(of(m, "subscription_recoveries_total", "") == 0);
    losses = metric_on_page("warren_consumer_losses_total"); /* of workers before, too */
    connects = metric_on_page("warren_consumer_connects_total");
    assert_true(
        WAIT_FOR(broker_close_connections(m->run.f->broker, m->run.name) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(of(m, "subscription_recoveries_total", "") == 1, PATIENCE_MS));
    assert_true(metric_on_page("warren_consumer_losses_total") >= losses + 1);
    assert_true(metric_on_page("warren_consumer_connects_total") == connects + 1);
    assert_true(metric_on_page("warren_consumer_connected") == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_are_seen),
        TEST(ages_are_seen),
        TEST(held_retries_are_seen),
        TEST(losses_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
