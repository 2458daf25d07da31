/* The publisher and `warren publish` while the broker closes, dies, freezes, runs full, or is not
 * there. Each run keeps books: what was confirmed lies in the queue (lost 0), nothing lies there
 * that cannot (unexpected 0), and no caller was held up beyond its deadline.
 */
#include <signal.h>

#include "support/fixture.h"
#include "support/proc.h"

#define BLOCK_MS 300  /* a caller's deadline */
#define LATE_MS  3000 /* on a busy machine */
#define WINDOW   100
#define MESSAGES 100000

/* ---- a run ---- */

struct run {
    struct fixture *f;
    const char *queue; /* NULL: this run is none */
    char *name;        /* of the publisher's connection */
    struct ledger *ledger;
    struct warren_publisher *publisher; /* NULL: closed */
};

static struct run runs[2]; /* of the test at hand */
static bool disk_is_low;

static struct warren_publisher_stats stats_of(const struct run *run)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(run->publisher, &stats);
    return stats;
}

static bool is_connected(const struct run *run)
{
    return warren_publisher_wait_connected(run->publisher, 1, NULL) == WARREN_OK;
}

static void disk_alarm(struct broker *broker, bool raised)
{
    disk_is_low = raised;
    free(broker_eval(broker, "ok = rabbit_disk_monitor:set_disk_free_limit(%s).",
                     raised ? "1000000000000000" : "20000000"));
}

/* Messages live for ever and callers wait BLOCK_MS. The broker may be away. */
static struct run *run_new(struct fixture *f)
{
    struct run *run = runs[0].queue ? &runs[1] : &runs[0];
    struct ledger_plan plan = {.pace_us = 300};
    struct warren_publisher_options options;

    run->f = f;
    run->queue = runs[0].queue ? f->other : f->queue;
    plan.routing_key = run->queue;
    run->name = unique_name("faulty");
    warren_publisher_options_init(&options);
    options.name = run->name;
    options.window_messages = WINDOW;
    options.block_timeout_ms = BLOCK_MS;
    options.timeout_ms = 0;
    options.heartbeat_s = 1;
    options.connect_timeout_ms = 1000;
    run->ledger = ledger_new(MESSAGES, &plan);
    run->publisher = publisher_open(f->broker->uri, &options);
    return run;
}

static void run_free(struct run *run)
{
    ledger_free(run->ledger);
    free(run->name);
    memset(run, 0, sizeof *run);
}

/* Two threads publish to a new queue of @type, and the first messages are confirmed. */
static struct run *run_start(struct fixture *f, const char *type)
{
    struct run *run = run_new(f);

    peer_declare(f->peer, run->queue, type);
    ledger_start(run->ledger, run->publisher, 2);
    assert_true(WAIT_FOR(ledger_confirmed(run->ledger) >= WINDOW, PATIENCE_MS));
    return run;
}

/* After each test: what one that failed left behind is no trouble of the next one. */
static int clean_up(void **state)
{
    const struct fixture *f = *state;

    broker_restore(f->broker);
    if (disk_is_low)
        disk_alarm(f->broker, false);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        if (!runs[i].queue)
            continue;
        ledger_stop(runs[i].ledger, true);
        if (runs[i].publisher)
            warren_publisher_close(runs[i].publisher, 0);
        run_free(&runs[i]);
    }
    return fixture_teardown(state);
}

/* How often the broker has the queue among those that outlive it: if not at all, it lost it. */
static char *durable(const struct run *run)
{
    return broker_eval(run->f->broker,
                       "length(mnesia:dirty_read(rabbit_durable_queue,"
                       " rabbit_misc:r(<<\"/\">>, queue, <<\"%s\">>))).",
                       run->queue);
}

/* So many more messages are confirmed. */
static void run_on(const struct run *run, unsigned more)
{
    unsigned goal = ledger_confirmed(run->ledger) + more;

    if (!WAIT_FOR(ledger_confirmed(run->ledger) >= goal, PATIENCE_MS))
        fail_msg("%s: no progress: %u attempts, %u confirmed of %u; connected %d, connects %u, "
                 "returned %u, in flight %u, messages in the queue %d, durably known %s",
                 run->queue, ledger_attempts(run->ledger), ledger_confirmed(run->ledger), goal,
                 is_connected(run), (unsigned)stats_of(run).connects,
                 (unsigned)stats_of(run).returned, stats_of(run).in_flight,
                 peer_count(fixture_new_peer(run->f), run->queue), durable(run));
}

/* Stop the load, let everything end, compare the books with the queue. */
static struct ledger_totals run_end(struct run *run, const char *what, const char *faults)
{
    struct ledger_totals totals;

    ledger_stop(run->ledger, true);
    assert_int_equal(warren_publisher_flush(run->publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    assert_int_equal(warren_publisher_close(run->publisher, 1000), WARREN_OK);
    run->publisher = NULL;
    ledger_drain(run->ledger, fixture_new_peer(run->f), run->queue);
    ledger_report(run->ledger, run->f->broker, what, faults);
    ledger_check(run->ledger);
    totals = ledger_totals(run->ledger);
    assert_int_equal(totals.results[WARREN_CONFIRMED], totals.accepted);
    assert_in_range(totals.longest_call_ms, 0, BLOCK_MS + LATE_MS);
    run_free(run);
    return totals;
}

/* ---- closed connections ---- */

/* The broker closes every connection, twenty times, in the middle of the load. */
static void connections_closed_in_a_loop(void **state)
{
    struct fixture *f = *state;
    struct run *run = run_start(f, "quorum");
    struct ledger_totals totals;

    for (int i = 0; i < 20; i++) {
        broker_do(f->broker, "cut");
        run_on(run, 2 * WINDOW);
    }
    assert_in_range(stats_of(run).connects, 21, 30); /* no busy reconnecting */
    totals = run_end(run, "quorum, publisher", "20 closed connections");
    assert_true(totals.recovered > 0);
}

/* When only one publisher's connection is closed, others do not notice. */
static void one_connection_closed(void **state)
{
    struct fixture *f = *state;
    struct run *run = run_start(f, "classic");
    struct run *other = run_start(f, "classic");

    for (int i = 0; i < 5; i++) {
        assert_true(WAIT_FOR(broker_close_connections(f->broker, run->name) > 0, PATIENCE_MS));
        run_on(run, 2 * WINDOW);
    }
    assert_in_range(stats_of(run).connects, 6, 8);
    assert_int_equal(stats_of(other).connects, 1);
    assert_int_equal(peer_consumers(f->peer, run->queue), 0); /* this connection lives, too */
    run_end(run, "classic, publisher", "5 closed connections, its own alone");
    run_end(other, "classic, other publisher", "none");
}

/* ---- a broker that dies, freezes, is not there ---- */

/* The broker is killed in the middle of the load and started again. */
static void broker_killed(void **state)
{
    struct fixture *f = *state;
    struct run *quorum = run_start(f, "quorum");
    struct run *classic = run_start(f, "classic");
    struct ledger_totals totals;

    for (int i = 0; i < 2; i++) {
        broker_kill(f->broker);
        assert_true(WAIT_FOR(!is_connected(quorum) && !is_connected(classic), PATIENCE_MS));
        broker_do(f->broker, "start");
        run_on(quorum, 5 * WINDOW);
        run_on(classic, 5 * WINDOW);
    }
    totals = run_end(quorum, "quorum, publisher", "2 SIGKILL");
    assert_true(totals.recovered > 0);
    run_end(classic, "classic, publisher", "2 SIGKILL");
}

/* Who waits for the end of a message waits no longer than its time limit. */
static void check_time_limit(struct warren_publisher *publisher)
{
    struct warren_message message = {.body = warren_text("late")};
    struct warren_publish publish = {
        .routing_key = "nowhere", .message = &message, .optional = true, .timeout_ms = 1000};
    enum warren_result result = WARREN_CONFIRMED;
    int64_t began = now_ms();

    assert_int_equal(warren_publisher_publish_wait(publisher, &publish, &result, NULL), WARREN_OK);
    assert_in_range(now_ms() - began, 999, 1000 + LATE_MS);
    assert_int_equal(result, WARREN_TIMEOUT);
}

/* A broker that freezes for several heartbeats is found dead after two of them; nobody waits
 * longer than his deadline, and when it thaws everything goes on. */
static void broker_frozen(void **state)
{
    struct fixture *f = *state;
    struct run *run = run_start(f, "classic");
    struct warren_publisher *idle = publisher_open(f->broker->uri, NULL);
    int64_t began;

    assert_int_equal(warren_publisher_wait_connected(idle, (uint32_t)PATIENCE_MS, NULL), WARREN_OK);
    began = now_ms();
    broker_do(f->broker, "pause");
    check_time_limit(idle);
    assert_true(WAIT_FOR(!is_connected(run), PATIENCE_MS));
    assert_true(now_ms() - began >= 1000);
    assert_false(WAIT_FOR(is_connected(run), began + 5000 - now_ms()));
    broker_do(f->broker, "resume");
    run_on(run, 5 * WINDOW);
    run_end(run, "classic, publisher, heartbeat 1 s", "SIGSTOP for 5 s");
    assert_int_equal(warren_publisher_close(idle, (uint32_t)PATIENCE_MS), WARREN_OK);
}

static void command_without_broker(const struct broker *broker)
{
    struct proc *late =
        WARREN("publish", "--uri", broker->uri, "--queue", "q", "--body", "x", "--timeout", "1s");
    struct proc *interrupted =
        WARREN("publish", "--uri", broker->uri, "--queue", "q", "--body", "x", "--timeout", "60s");

    assert_int_equal(proc_wait(late, PATIENCE_MS), 1);
    assert_non_null(strstr(proc_stderr(late), "no connection to the broker within 1.0 s"));
    assert_non_null(strstr(proc_stderr(late), "refused"));
    assert_int_equal(proc_wait(interrupted, 0), PROC_RUNNING);
    proc_signal(interrupted, SIGTERM);
    assert_int_equal(proc_wait(interrupted, PATIENCE_MS), 1);
    proc_free(late);
    proc_free(interrupted);
}

/* A publisher that starts without a broker takes messages, and sends them when it comes; one that
 * is closed meanwhile does not wait for it. `warren publish` says what is the matter. */
static void broker_absent_at_start(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher *in_vain;
    struct run *run;
    int64_t began;

    peer_declare(f->peer, f->queue, "quorum");
    broker_do(f->broker, "stop");
    run = run_new(f);
    ledger_publish_many(run->ledger, run->publisher, WINDOW);
    assert_int_equal(ledger_publish(run->ledger, run->publisher), WARREN_ETIMEOUT);
    in_vain = publisher_open(f->broker->uri, NULL);
    began = now_ms();
    assert_int_equal(warren_publisher_close(in_vain, 10 * LATE_MS), WARREN_OK);
    assert_in_range(now_ms() - began, 0, LATE_MS);
    command_without_broker(f->broker);
    assert_int_equal(ledger_ended(run->ledger), 0);
    broker_do(f->broker, "start");
    run_end(run, "quorum, publisher", "absent at start");
}

/* ---- alarms ---- */

static void run_with_alarm(struct fixture *f, void (*alarm)(struct broker *broker, bool raised),
                           const char *faults)
{
    struct run *run = run_start(f, "quorum");
    struct ledger_totals totals;

    alarm(f->broker, true);
    assert_true(WAIT_FOR(stats_of(run).is_blocked, PATIENCE_MS));
    assert_true(WAIT_FOR(stats_of(run).in_flight == WINDOW, PATIENCE_MS));
    /* Both callers were let go more than once. */
    assert_true(WAIT_FOR(ledger_refused(run->ledger) >= 4, PATIENCE_MS));
    assert_in_range(stats_of(run).in_flight, 1, WINDOW);
    alarm(f->broker, false);
    assert_true(WAIT_FOR(!stats_of(run).is_blocked, PATIENCE_MS));
    run_on(run, 5 * WINDOW);
    assert_true(stats_of(run).blocked >= 1);
    assert_int_equal(stats_of(run).connects, 1);
    totals = run_end(run, "quorum, publisher", faults);
    assert_true(totals.attempts > totals.accepted);
}

/* Low on memory, the broker blocks: it is seen, memory and waiting are bounded, and it passes. */
static void memory_alarm_blocks(void **state)
{
    run_with_alarm(*state, broker_memory_alarm, "memory alarm");
}

/* The same when it is low on disk. */
static void disk_alarm_blocks(void **state)
{
    run_with_alarm(*state, disk_alarm, "disk alarm");
}

static int blocked_connections(const struct broker *broker)
{
    char *answer = broker_eval(broker, "length([S || [{state, S}] <- "
                                       "rabbit_networking:connection_info_all([state]), "
                                       "S =:= blocked]).");
    int count = atoi(answer);

    free(answer);
    return count;
}

static struct proc *publish_much(const struct fixture *f)
{
    return WARREN("publish", "--uri", f->broker->uri, "--queue", f->queue, "--body", "x", "--count",
                  "1000000", "--timeout", "10m", "--json");
}

/* The summary is printed and adds up. */
static void check_interrupted(struct proc *proc)
{
    unsigned long published, confirmed, returned, nacked, timeout;

    assert_int_equal(proc_wait(proc, PATIENCE_MS), 1);
    assert_non_null(strstr(proc_stderr(proc), "interrupted"));
    assert_int_equal(sscanf(proc_stdout(proc),
                            "{\"published\":%lu,\"confirmed\":%lu,\"returned\":%lu,"
                            "\"nacked\":%lu,\"timeout\":%lu,",
                            &published, &confirmed, &returned, &nacked, &timeout),
                     5);
    assert_true(published > 0);
    assert_true(timeout > 0);
    assert_int_equal(returned + nacked, 0);
    assert_int_equal(confirmed + timeout, published);
}

/* Does not count within a second of the first one. */
static bool ends_by(struct proc *proc, int signal)
{
    proc_signal(proc, signal);
    return proc_wait(proc, 100) != PROC_RUNNING;
}

/* `warren publish`, blocked by an alarm, ends some seconds after SIGTERM or SIGINT and says how far
 * it came; a second signal ends it at once. */
static void blocked_command_ends_on_signals(void **state)
{
    struct fixture *f = *state;
    struct proc *terminated, *interrupted, *twice;

    peer_declare(f->peer, f->queue, "classic");
    broker_memory_alarm(f->broker, true);
    terminated = publish_much(f);
    interrupted = publish_much(f);
    twice = publish_much(f);
    assert_true(WAIT_FOR(blocked_connections(f->broker) == 3, PATIENCE_MS));
    proc_signal(terminated, SIGTERM);
    proc_signal(interrupted, SIGINT);
    proc_signal(twice, SIGTERM);
    proc_signal(terminated, SIGTERM); /* at once, as by timeout(1): it is the same request */
    assert_int_equal(proc_wait(twice, 500), PROC_RUNNING);
    assert_true(WAIT_FOR(ends_by(twice, SIGTERM), PATIENCE_MS));
    assert_int_equal(proc_wait(twice, 0), PROC_SIGNAL + SIGTERM);
    check_interrupted(terminated);
    check_interrupted(interrupted);
    broker_memory_alarm(f->broker, false);
    proc_free(terminated);
    proc_free(interrupted);
    proc_free(twice);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_closed_in_a_loop),
        TEST(one_connection_closed),
        TEST(memory_alarm_blocks),
        TEST(disk_alarm_blocks),
        TEST(blocked_command_ends_on_signals),
        TEST(broker_frozen),
        TEST(broker_killed),
        TEST(broker_absent_at_start),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
