/* test_readiness.c - consume/runtime/look.h: what a subscription is said to do, with a scripted
 * peer whose counts and deliveries the test chooses, and with a real broker.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "amqp/net/uri.h"
#include "base/exposition.h"
#include "consume/runtime/look.h"
#include "loop/loop_pulse.h"
#include "support/fixture.h"

/* Of the depth look: 45 seconds become 150 ms. */
#define PERIOD_MS 50

struct rig {
    struct fixture *fixture;
    struct config *config;
    struct runtime *runtime;
    struct loop_pulse pulse;
    atomic_bool stopped;
    /* the peer */
    _Atomic uint32_t messages;
    _Atomic int step; /* of the messages, from answer to answer */
    atomic_uint answers;
    /* the handler */
    atomic_bool held;
    _Atomic int64_t over_ms; /* it behaves as if its limit was so long ago; 0: no limit */
    /* the gate */
    atomic_bool closed;
};

/* ---- the parts ---- */

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct rig *rig = state;

    if (atomic_load(&rig->over_ms) > 0)
        warren_job_limit(job, warren_job_now_ms(job) - atomic_load(&rig->over_ms));
    while (atomic_load(&rig->held))
        rest_ms(5);
    return WARREN_ACK;
}

static const struct warren_handler handler = {.name = "handler", .handle = handle};

static uint32_t may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct rig *rig = state;

    (void)now_ms;
    *ret_retry_ms = 20;
    return atomic_load(&rig->closed) ? 0 : want;
}

static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct rig *rig = user;

    (void)status;
    (void)unfinished;
    atomic_store(&rig->stopped, true);
}

/* A broker that takes the consumer, says how many messages there are, and sends none. */
static void starve(struct mock_peer *peer, int connection, void *user)
{
    struct rig *rig = user;

    (void)connection;
    mock_handshake(peer, NULL);
    while (true) {
        const struct mock_frame *frame = mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD);
        const amqp_queue_declare_t *declare = frame->decoded;
        amqp_queue_declare_ok_t ok = {.queue = declare->queue,
                                      .message_count = atomic_load(&rig->messages),
                                      .consumer_count = 1};

        mock_send_method(peer, frame->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
        atomic_fetch_add(&rig->messages, (uint32_t)atomic_load(&rig->step));
        atomic_fetch_add(&rig->answers, 1);
    }
}

/* ---- life ---- */

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    fixture_setup(state);
    rig->fixture = *state;
    rig->fixture->own = rig;
    return 0;
}

static void look(void *arg)
{
    runtime_look(arg);
}

/* @topology: YAML, NULL for none */
static void start(struct rig *rig, const char *uri_text, const char *topology)
{
    static const struct runtime_events events = {.stopped = on_stopped};
    static const struct warren_middleware gate = {.name = "breaker", .may = may};
    const struct chain_member middlewares[] = {{&gate, rig, false}};
    struct connection_options connection;
    struct uri uri;
    struct runtime_subscription subscription = {.queue = rig->fixture->queue,
                                                .handler_name = "test.handler",
                                                .handler = &handler,
                                                .state = rig,
                                                .middlewares = middlewares,
                                                .middleware_count = 1,
                                                .prefetch = 10,
                                                .concurrency = 1};
    struct runtime_options options = {.connection = &connection,
                                      .subscriptions = &subscription,
                                      .subscription_count = 1,
                                      .message_max = 1 << 20,
                                      .straggler_age_ms = 10,
                                      .depth_period_ms = PERIOD_MS,
                                      .drain_timeout_ms = 5000};
    struct warren_error error = {WARREN_OK, ""};

    if (config_load_text(topology ? topology : "{}", "test", NULL, NULL, 0, &rig->config, &error) !=
        WARREN_OK)
        fail_msg("%s", error.text);
    options.topology = &rig->config->topology;
    connection_options_init(&connection);
    connection.name = "readiness";
    connection.uris = &uri;
    connection.uri_count = 1;
    connection.reconnect_delay_min_ms = 10;
    connection.reconnect_delay_max_ms = 100;
    assert_int_equal(uri_parse(uri_text, &uri, &error), WARREN_OK);
    assert_int_equal(runtime_new(&options, &events, rig, &rig->runtime, &error), WARREN_OK);
    loop_pulse_init(&rig->pulse, look, rig->runtime);
    assert_int_equal(runtime_start(rig->runtime, &error), WARREN_OK);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = fixture->own;

    atomic_store(&rig->held, false);
    atomic_store(&rig->closed, false);
    if (rig->runtime) {
        runtime_stop(rig->runtime);
        if (!WAIT_FOR(atomic_load(&rig->stopped), 500))
            runtime_abort(rig->runtime);
        runtime_free(rig->runtime);
    }
    if (rig->config)
        config_free(rig->config);
    return fixture_teardown(state);
}

/* ---- what is seen ---- */

static struct subscription_look seen(struct rig *rig)
{
    struct subscription_look look = {.state = LOOK_STARTING};

    loop_pulse_ask(&rig->pulse, runtime_loop(rig->runtime), now_ms());
    runtime_look_read(rig->runtime, 0, &look);
    return look;
}

static void expect(struct rig *rig, enum look_state state, const char *part)
{
    struct subscription_look look;

    if (!WAIT_FOR(seen(rig).state == state, PATIENCE_MS))
        fail_msg("it is %s, not %s", look_state_name(seen(rig).state), look_state_name(state));
    look = seen(rig);
    assert_int_equal(look.state, state);
    if (part)
        assert_has(look.reason, part);
    else
        assert_string_equal(look.reason, "");
}

/* ---- a peer that sends nothing ---- */

/* The value of @series is read into @ret_value. */
static bool exposes(const char *series, double *ret_value)
{
    struct buffer buffer;
    const char *found;

    buffer_init(&buffer, (size_t)16 << 20);
    assert_int_equal(exposition_write(&buffer), WARREN_OK);
    assert_int_equal(buffer_append(&buffer, "", 1), WARREN_OK);
    found = strstr((const char *)buffer_front(&buffer), series);
    if (found)
        *ret_value = strtod(found + strlen(series), NULL);
    buffer_done(&buffer);
    return found != NULL;
}

/* Messages wait, none comes: found, whether they grow or stay; and over when they are gone. */
static void a_starved_subscription_is_found(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    char *waiting = text("warren_queue_waiting_seconds{queue=\"%s\"} ", rig->fixture->queue);
    double waiting_s = -1;

    rig->fixture->mock = mock_new(starve, rig);
    start(rig, mock_uri(rig->fixture->mock), NULL);
    expect(rig, LOOK_CONSUMING, NULL);
    atomic_store(&rig->messages, 5);
    expect(rig, LOOK_STARVED, "5 messages wait");
    assert_false(look_state_is_ready(LOOK_STARVED));
    assert_true(exposes(waiting, &waiting_s) && waiting_s > 0);
    atomic_store(&rig->messages, 0);
    expect(rig, LOOK_CONSUMING, NULL);
    assert_true(exposes(waiting, &waiting_s) && waiting_s == 0);
    free(waiting);
    atomic_store(&rig->step, 3);
    expect(rig, LOOK_STARVED, "sent it nothing");
}

/* An empty queue is no reason to worry, nor is one that others empty. */
static void a_queue_that_shrinks_starves_nobody(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    unsigned before;

    atomic_store(&rig->messages, 1000000);
    atomic_store(&rig->step, -1);
    rig->fixture->mock = mock_new(starve, rig);
    start(rig, mock_uri(rig->fixture->mock), NULL);
    expect(rig, LOOK_CONSUMING, NULL);
    for (int round = 0; round < 2; round++) {
        before = atomic_load(&rig->answers);
        while (atomic_load(&rig->answers) < before + 10) {
            assert_int_equal(seen(rig).state, LOOK_CONSUMING);
            rest_ms(5);
        }
        atomic_store(&rig->step, 0);
        atomic_store(&rig->messages, 0);
    }
}

/* ---- a real broker ---- */

static void publish(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++)
        peer_say(rig->fixture->peer, rig->fixture->queue, "x");
}

/* Other consumers hold what is there: this one waits behind a single active one. */
static void declare_single_active(struct rig *rig)
{
    const amqp_table_entry_t single = {
        .key = amqp_cstring_bytes("x-single-active-consumer"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}}};

    peer_declare_with(rig->fixture->peer, rig->fixture->queue, "classic", &single, 1);
}

static void a_standby_is_ready(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    struct peer *active = peer_new(rig->fixture->broker->uri);
    char *topology = text("topology: {queues: [{name: %s, type: classic, arguments: "
                          "{x-single-active-consumer: true}}]}",
                          rig->fixture->queue);

    declare_single_active(rig);
    peer_hold(active, rig->fixture->queue, false);
    publish(rig, 3);
    start(rig, rig->fixture->broker->uri, topology);
    expect(rig, LOOK_STANDBY, "2 consumers");
    assert_true(look_state_is_ready(LOOK_STANDBY));
    assert_int_equal(seen(rig).messages, 2);
    assert_int_equal(seen(rig).consumers, 2);
    peer_free(active); /* now it is this one's turn */
    expect(rig, LOOK_CONSUMING, NULL);
    assert_true(WAIT_FOR(seen(rig).messages == 0, PATIENCE_MS));
    free(topology);
}

/* A quorum queue does not count who waits behind its single active consumer. */
static void a_standby_of_a_quorum_queue_is_ready(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    struct fixture *f = rig->fixture;
    struct peer *active = peer_new(f->broker->uri);
    const amqp_table_entry_t single = {
        .key = amqp_cstring_bytes("x-single-active-consumer"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}}};
    char *topology = text("topology: {queues: [{name: %s, passive: true, arguments: "
                          "{x-single-active-consumer: true}}]}",
                          f->queue);

    peer_declare_with(f->peer, f->queue, "quorum", &single, 1);
    peer_hold(active, f->queue, false);
    publish(rig, 3);
    start(rig, f->broker->uri, topology);
    expect(rig, LOOK_PERHAPS_STANDBY, "a single active consumer, which may be another one");
    assert_true(look_state_is_ready(LOOK_PERHAPS_STANDBY));
    peer_free(active);
    expect(rig, LOOK_CONSUMING, NULL);
    free(topology);
}

/* Declared by others, it cannot be known whether the queue has a single active one: said so. */
static void a_doubtful_standby_is_told(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    struct peer *active = peer_new(rig->fixture->broker->uri);

    declare_single_active(rig);
    peer_hold(active, rig->fixture->queue, false);
    publish(rig, 3);
    start(rig, rig->fixture->broker->uri, NULL);
    expect(rig, LOOK_PERHAPS_STANDBY, "may be the single active one");
    peer_free(active);
    expect(rig, LOOK_CONSUMING, NULL);
}

/* A gate that is closed is named, with how many wait for it. */
static void a_closed_gate_is_named(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;

    peer_declare(rig->fixture->peer, rig->fixture->queue, "classic");
    atomic_store(&rig->closed, true);
    publish(rig, 2);
    start(rig, rig->fixture->broker->uri, NULL);
    expect(rig, LOOK_HELD, "wait for breaker");
    atomic_store(&rig->closed, false);
    expect(rig, LOOK_CONSUMING, NULL);
}

/* A handler that runs beyond its limit is seen, and not any more once it has returned. */
static void an_overdue_handler_is_seen(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;

    peer_declare(rig->fixture->peer, rig->fixture->queue, "classic");
    atomic_store(&rig->held, true);
    atomic_store(&rig->over_ms, 20000);
    start(rig, rig->fixture->broker->uri, NULL);
    expect(rig, LOOK_CONSUMING, NULL);
    assert_int_equal(seen(rig).overdue_ms, 0);
    publish(rig, 1);
    assert_true(WAIT_FOR(seen(rig).overdue_ms >= 20000, PATIENCE_MS));
    atomic_store(&rig->held, false);
    assert_true(WAIT_FOR(seen(rig).overdue_ms == 0, PATIENCE_MS));
}

/* Depths are series while they are known; of a queue that is deleted nothing is known. */
static void depths_are_series_while_known(void **state)
{
    struct rig *rig = ((struct fixture *)*state)->own;
    char *messages = text("warren_queue_messages{queue=\"%s\"} ", rig->fixture->queue);
    char *consumers = text("warren_queue_consumers{queue=\"%s\"} ", rig->fixture->queue);
    double value = -1;

    peer_declare(rig->fixture->peer, rig->fixture->queue, "classic");
    start(rig, rig->fixture->broker->uri, NULL);
    assert_true(WAIT_FOR(exposes(messages, &value) && value == 0, PATIENCE_MS));
    assert_true(WAIT_FOR(exposes(consumers, &value) && value == 1, PATIENCE_MS));
    peer_delete_alone(rig->fixture->peer, rig->fixture->queue);
    assert_true(WAIT_FOR(!exposes(messages, &value), PATIENCE_MS));
    expect(rig, LOOK_INTERRUPTED, "");
    assert_int_equal(seen(rig).messages, -1);
    free(messages);
    free(consumers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_starved_subscription_is_found),
        TEST(a_queue_that_shrinks_starves_nobody),
        TEST(a_standby_is_ready),
        TEST(a_standby_of_a_quorum_queue_is_ready),
        TEST(a_doubtful_standby_is_told),
        TEST(a_closed_gate_is_named),
        TEST(an_overdue_handler_is_seen),
        TEST(depths_are_series_while_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
