/* runtime_fixture.h - what the tests of the runtime alone share: one of a single subscription, of
 * the fixture's queue on the shared broker.
 */
#ifndef TESTS_INTEGRATION_RUNTIME_FIXTURE_H
#define TESTS_INTEGRATION_RUNTIME_FIXTURE_H

#include <stdatomic.h>

#include "consume/runtime/runtime.h"
#include "support/fixture.h"

/* The struct of a test begins with one. */
struct run {
    struct fixture *f;
    char *name; /* of the connection */
    struct runtime *runtime;
    atomic_bool stopped;
    atomic_int status;
    atomic_uint handed_back; /* when it began to drain */
    atomic_uint lost;        /* connections */
};

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct run *run = user;

    print_message("lost: %s\n", loss->text);
    atomic_fetch_add(&run->lost, 1);
}

static void on_draining(void *user, uint32_t handed_back, uint32_t running)
{
    struct run *run = user;

    (void)running;
    atomic_store(&run->handed_back, handed_back);
}

static void on_stopped(void *user, enum warren_status status, uint32_t unfinished)
{
    struct run *run = user;

    assert_int_equal(unfinished, 0);
    atomic_store(&run->status, (int)status);
    atomic_store(&run->stopped, true);
}

/* *state becomes a zeroed struct of @size, which begins with a run. @return it */
static void *run_setup(void **state, size_t size)
{
    struct run *run = calloc(1, size);

    assert_non_null(run);
    fixture_setup(state);
    run->f = *state;
    run->f->own = run;
    run->name = unique_name("runtime");
    *state = run;
    return run;
}

/* Declare the queue, and consume it as @what says, but for its name. */
static void run_start(struct run *run, const char *type, const struct runtime_subscription *what,
                      size_t memory_max)
{
    static const struct config_topology no_topology;
    static const struct runtime_events events = {
        .lost = on_lost, .draining = on_draining, .stopped = on_stopped};
    struct runtime_subscription subscription = *what;
    struct connection_options connection;
    const struct runtime_options options = {.connection = &connection,
                                            .topology = &no_topology,
                                            .subscriptions = &subscription,
                                            .subscription_count = 1,
                                            .message_max = 1 << 20,
                                            .memory_max = memory_max,
                                            .straggler_age_ms = 10,
                                            .drain_timeout_ms = 10000};
    struct warren_error error = {WARREN_OK, ""};
    struct uri uri;

    peer_declare(run->f->peer, run->f->queue, type);
    subscription.queue = run->f->queue;
    connection_options_init(&connection);
    connection.name = run->name;
    connection.uris = &uri;
    connection.uri_count = 1;
    connection.reconnect_delay_min_ms = 10;
    connection.reconnect_delay_max_ms = 100;
    assert_int_equal(uri_parse(run->f->broker->uri, &uri, &error), WARREN_OK);
    assert_int_equal(runtime_new(&options, &events, run, &run->runtime, &error), WARREN_OK);
    assert_int_equal(runtime_start(run->runtime, &error), WARREN_OK);
}

static void run_stop(struct run *run)
{
    runtime_stop(run->runtime);
    assert_true(WAIT_FOR(atomic_load(&run->stopped), PATIENCE_MS));
    assert_int_equal(atomic_load(&run->status), WARREN_OK);
}

static int run_teardown(void **state)
{
    struct run *run = *state;

    if (run->runtime && !atomic_load(&run->stopped))
        run_stop(run);
    runtime_free(run->runtime);
    free(run->name);
    *state = run->f;
    return fixture_teardown(state);
}

#endif
