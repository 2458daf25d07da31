/* test_runtime_metrics.c - the series of a subscription and its runtime, on a real broker: what the
 * page says while messages are handled, and after.
 */
#include <stdatomic.h>
#include <time.h>

#include "consume/runtime/runtime.h"
#include "support/broker.h"
#include "support/metric_page.h"
#include "support/peer.h"
#include "support/wait.h"

#define MESSAGES       10
#define BODY           1000
#define PREFETCH       20
#define PREFETCH_BYTES 5000
#define MEMORY_MAX     2000

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue;
    char *name; /* of the connection */
    struct runtime *runtime;
    bool unbounded; /* in bytes */
    _Atomic int64_t delay_ms;
    atomic_bool go;
    atomic_uint first_attempts;
    atomic_bool stopped;
};

/* The first attempt of each message waits for the test, and fails. */
static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct fixture *f = state;
    int64_t deadline = now_ms() + PATIENCE_MS;

    if (warren_job_attempt(job) > 1)
        return WARREN_ACK;
    atomic_fetch_add(&f->first_attempts, 1);
    while (!atomic_load(&f->go) && now_ms() < deadline)
        rest_ms(1);
    warren_job_retry_after(job, atomic_load(&f->delay_ms));
    return WARREN_RETRY;
}

static const struct warren_handler handler = {.name = "h", .handle = handle};

static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct fixture *f = user;

    (void)status;
    assert_int_equal(unfinished, 0);
    atomic_store(&f->stopped, true);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->broker = broker_shared();
    f->peer = peer_new(f->broker->uri);
    atomic_store(&f->delay_ms, 1);
    f->queue = unique_name("metered");
    f->name = unique_name("metered-worker");
    *state = f;
    return 0;
}

static void start(struct fixture *f)
{
    static const struct config_topology no_topology;
    static const struct runtime_events events = {.stopped = on_stopped};
    const struct runtime_subscription subscription = {.queue = f->queue,
                                                      .handler_name = "p.h",
                                                      .handler = &handler,
                                                      .state = f,
                                                      .prefetch = PREFETCH,
                                                      .prefetch_bytes =
                                                          f->unbounded ? 0 : PREFETCH_BYTES,
                                                      .concurrency = 2};
    struct connection_options connection;
    const struct runtime_options options = {.connection = &connection,
                                            .topology = &no_topology,
                                            .subscriptions = &subscription,
                                            .subscription_count = 1,
                                            .message_max = 1 << 20,
                                            .memory_max = f->unbounded ? 0 : MEMORY_MAX,
                                            .straggler_age_ms = 10,
                                            .drain_timeout_ms = 10000};
    struct warren_error error = {WARREN_OK, ""};
    struct uri uri;

    peer_declare(f->peer, f->queue, "classic");
    connection_options_init(&connection);
    connection.name = f->name;
    connection.uris = &uri;
    connection.uri_count = 1;
    connection.reconnect_delay_min_ms = 10;
    connection.reconnect_delay_max_ms = 100;
    assert_int_equal(uri_parse(f->broker->uri, &uri, &error), WARREN_OK);
    assert_int_equal(runtime_new(&options, &events, f, &f->runtime, &error), WARREN_OK);
    assert_int_equal(runtime_start(f->runtime, &error), WARREN_OK);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    atomic_store(&f->go, true);
    runtime_stop(f->runtime);
    assert_true(WAIT_FOR(atomic_load(&f->stopped), PATIENCE_MS));
    runtime_free(f->runtime);
    peer_delete(f->peer, f->queue);
    peer_free(f->peer);
    broker_free(f->broker);
    free(f->queue);
    free(f->name);
    free(f);
    return 0;
}

/* NAME with the labels of the subscription, and perhaps one more: ",reason=\"error\"". */
static double of(const struct fixture *f, const char *name, const char *more)
{
    char series[512];

    snprintf(series, sizeof series, "warren_%s{queue=\"%s\",handler=\"p.h\"%s}", name, f->queue,
             more);
    return metric_on_page(series);
}

static void publish(struct fixture *f)
{
    char body[BODY];

    memset(body, 'x', sizeof body);
    for (int i = 0; i < MESSAGES; i++)
        peer_publish(f->peer, "", f->queue, body, sizeof body, NULL);
}

/* How near the bounds are, and that they were reached; then how the messages went. */
static void messages_are_seen(void **state)
{
    struct fixture *f = *state;

    start(f);
    assert_true(WAIT_FOR(of(f, "subscription_consuming", "") == 1, PATIENCE_MS));
    assert_true(metric_on_page("warren_consumer_connected") == 1);
    assert_true(of(f, "prefetch", "") == PREFETCH);
    assert_true(of(f, "prefetch_bytes", "") == PREFETCH_BYTES);
    assert_true(metric_on_page("warren_deliveries_max_bytes") == MEMORY_MAX);
    publish(f);
    assert_true(WAIT_FOR(of(f, "unsettled_bytes", "") > MEMORY_MAX, PATIENCE_MS));
    assert_true(WAIT_FOR(metric_on_page("warren_deliveries_full_total") >= 1, PATIENCE_MS));
    assert_true(metric_on_page("warren_deliveries_bytes") == of(f, "unsettled_bytes", ""));
    assert_true(WAIT_FOR(of(f, "messages_in_flight", ",state=\"running\"") == 2, PATIENCE_MS));
    assert_true(of(f, "workers", "") == 2);
    atomic_store(&f->go, true);
    assert_true(
        WAIT_FOR(of(f, "messages_settled_total", ",outcome=\"ack\"") == MESSAGES, PATIENCE_MS));
    assert_true(WAIT_FOR(of(f, "unsettled_bytes", "") == 0, PATIENCE_MS));
    assert_true(of(f, "messages_received_total", "") == MESSAGES);
    assert_true(of(f, "messages_received_bytes_total", "") == MESSAGES * BODY);
    assert_true(of(f, "job_failures_total", ",reason=\"error\"") == MESSAGES);
    assert_true(of(f, "retries_scheduled_total", ",where=\"memory\"") == MESSAGES);
    assert_true(of(f, "queue_wait_seconds_count", "") == MESSAGES);
    assert_true(of(f, "handler_duration_seconds_count", "") == 2 * MESSAGES);
    assert_true(of(f, "critical_time_seconds_count", "") == 0); /* they have no timestamp */
    assert_true(WAIT_FOR(of(f, "ack_frames_total", "") >= 1, PATIENCE_MS));
    assert_true(of(f, "ack_frames_total", "") <= MESSAGES);
}

/* What has a timestamp has an age: from then until it is settled; one of the future has none. */
static void ages_are_seen(void **state)
{
    struct fixture *f = *state;
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_TIMESTAMP_FLAG,
                                          .timestamp = (uint64_t)time(NULL) - 100};
    double sum;

    start(f);
    atomic_store(&f->go, true);
    peer_publish(f->peer, "", f->queue, "old", 3, &properties);
    assert_true(WAIT_FOR(of(f, "critical_time_seconds_count", "") == 1, PATIENCE_MS));
    sum = of(f, "critical_time_seconds_sum", "");
    assert_true(sum >= 100 && sum < 100 + (double)PATIENCE_MS);
    properties.timestamp = UINT64_MAX;
    peer_publish(f->peer, "", f->queue, "new", 3, &properties);
    assert_true(WAIT_FOR(of(f, "critical_time_seconds_count", "") == 2, PATIENCE_MS));
    assert_true(of(f, "critical_time_seconds_sum", "") == sum);
}

/* More than half of the prefetch finds no place to wait for its next attempt. */
static void held_retries_are_seen(void **state)
{
    struct fixture *f = *state;

    f->unbounded = true;
    atomic_store(&f->delay_ms, 600 * 1000);
    start(f);
    assert_true(WAIT_FOR(of(f, "retries_max_held", "") == PREFETCH / 2, PATIENCE_MS));
    assert_true(of(f, "prefetch_reached_total", "") == 0);
    assert_true(of(f, "prefetch_bytes", "") == 0);
    peer_publish_many(f->peer, f->queue, "m", PREFETCH);
    assert_true(WAIT_FOR(of(f, "prefetch_reached_total", "") >= 1, PATIENCE_MS));
    assert_true(of(f, "retries_held", "") == 0);
    assert_true(of(f, "retries_full_total", "") == 0);
    atomic_store(&f->go, true);
    assert_true(WAIT_FOR(of(f, "retries_held", "") == PREFETCH / 2, PATIENCE_MS));
    assert_true(WAIT_FOR(of(f, "retries_full_total", "") >= 1, PATIENCE_MS));
    assert_true(of(f, "copies_owed", "") == 0);
}

/* A loss of the connection is one, and so is what comes back. */
static void losses_are_seen(void **state)
{
    struct fixture *f = *state;
    double losses;
    double connects;

    start(f);
    assert_true(WAIT_FOR(of(f, "subscription_consuming", "") == 1, PATIENCE_MS));
    assert_true(of(f, "subscription_recoveries_total", "") == 0);
    losses = metric_on_page("warren_consumer_losses_total"); /* of workers before, too */
    connects = metric_on_page("warren_consumer_connects_total");
    assert_true(WAIT_FOR(broker_close_connections(f->broker, f->name) == 1, PATIENCE_MS));
    assert_true(WAIT_FOR(of(f, "subscription_recoveries_total", "") == 1, PATIENCE_MS));
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
