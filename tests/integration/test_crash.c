/* test_crash.c - handlers that crash, on a real broker: one message of many ends the process, and
 * costs nothing but itself.
 */
#include "crash_fixture.h"

#define GUILTY 20

/* Number @guilty has @body; the others do no harm. */
static void publish_all(struct fixture *fixture, const char *body, int guilty)
{
    char id[32];

    for (int i = 0; i < MESSAGES; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        fixture_publish(fixture, id, i == guilty ? body : "good");
    }
}

/* The header @name of a dead letter as text; "" if there is none. */
static const char *header(const struct peer_message *message, const char *name, char *room,
                          size_t size)
{
    const amqp_table_t *headers = &message->properties->headers;

    room[0] = '\0';
    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];
        const amqp_bytes_t *bytes = &entry->value.value.bytes;

        if (entry->key.len != strlen(name) || memcmp(entry->key.bytes, name, entry->key.len) != 0)
            continue;
        if (entry->value.kind == AMQP_FIELD_KIND_I64)
            snprintf(room, size, "%lld", (long long)entry->value.value.i64);
        else if (entry->value.kind == AMQP_FIELD_KIND_TIMESTAMP)
            snprintf(room, size, "%llu", (unsigned long long)entry->value.value.u64);
        else if (entry->value.kind == AMQP_FIELD_KIND_UTF8)
            snprintf(room, size, "%.*s", (int)bytes->len, (const char *)bytes->bytes);
    }
    return room;
}

static void assert_header(const struct peer_message *message, const char *name, const char *value)
{
    char room[8192];

    assert_string_equal(header(message, name, room, sizeof room), value);
}

/* Both failures have a time, of the last hour, in this order. */
static void assert_failure_times(const struct peer_message *message)
{
    char room[32];
    long long first = atoll(header(message, NOTE_FIRST_FAILURE, room, sizeof room));
    long long last = atoll(header(message, NOTE_LAST_FAILURE, room, sizeof room));
    long long now = (long long)time(NULL);

    assert_in_range(first, now - 3600, last);
    assert_in_range(last, first, now + 1);
}

/* What the one dead letter says about how it came to that. NULL: there is no such note. */
struct letter {
    const char *id;
    const char *body;
    const char *signal;
    const char *function; /* of its backtrace */
    const char *attempts;
    const char *error;
};

static void assert_dead_letter(struct fixture *fixture, const struct letter *letter)
{
    struct peer_message dead;
    char room[8192];

    assert_true(peer_get(fixture->peer, fixture->dlq, &dead));
    assert_string_equal(dead.message_id, letter->id);
    assert_string_equal(dead.body, letter->body);
    assert_header(&dead, NOTE_QUEUE, fixture->queue);
    assert_header(&dead, NOTE_HANDLER, "crashing.run");
    assert_header(&dead, NOTE_REASON, REASON_CRASH);
    assert_header(&dead, NOTE_ERROR, letter->error);
    assert_header(&dead, NOTE_SIGNAL, letter->signal ? letter->signal : "");
    assert_header(&dead, NOTE_ATTEMPTS, letter->attempts);
    assert_true(*header(&dead, NOTE_HOST, room, sizeof room));
    assert_true(*header(&dead, NOTE_VERSION, room, sizeof room));
    assert_failure_times(&dead);
    header(&dead, NOTE_BACKTRACE, room, sizeof room);
    if (letter->function ? !strstr(room, letter->function) : *room)
        fail_msg("the backtrace is: %s", room);
    peer_message_done(&dead);
}

static int all_done(const struct fixture *fixture)
{
    int done = 0;

    for (int i = 0; i < MESSAGES; i++)
        done += recorded(fixture, "done m-%d 1\n", i) > 0;
    return done;
}

/* Each message but the guilty one was handled once, in its first attempt. */
static void assert_innocent_are_handled_once(const struct fixture *fixture)
{
    for (int i = 0; i < MESSAGES; i++) {
        if (i == GUILTY)
            continue;
        assert_int_equal(recorded(fixture, "begin m-%d ", i), 1);
        assert_int_equal(recorded(fixture, "done m-%d ", i), 1);
        assert_int_equal(recorded(fixture, "done m-%d 1\n", i), 1);
    }
}

static void make_retrying_worker(struct fixture *fixture)
{
    if (keys)
        make_worker(fixture, "log, {retry: {policy: immediate}}, idempotency, recover",
                    "store: {path: keys.db}\nstate_dir: state");
    else
        make_worker(fixture, "log, {retry: {policy: immediate}}, recover", "state_dir: state");
}

/* The guilty message ends the process twice, the second time alone, and then is a dead letter. */
static void assert_one_crashes(struct fixture *fixture, const char *guilty, const char *signal,
                               const char *function)
{
    char *logged = text("signal=%s ", signal);
    char *error = text("the handler crashed by %s, 2 times", signal);

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_retrying_worker(fixture);
    publish_all(fixture, guilty, GUILTY);
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_innocent_are_handled_once(fixture);
    assert_int_equal(recorded(fixture, "begin m-%d 1\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d 2\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d ", GUILTY), 2);
    worker_expect_logged(fixture->worker, "handler crashed", logged, 2);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "msg=backtrace", function) >= 2, PATIENCE_MS));
    worker_expect_logged(fixture->worker, "message is quarantined", "message_id=m-20", 1);
    assert_dead_letter(fixture, &(struct letter){.id = "m-20",
                                                 .body = guilty,
                                                 .signal = signal,
                                                 .function = function,
                                                 .attempts = "2",
                                                 .error = error});
    assert_true(WAIT_FOR(started(fixture, NULL) == 3, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 0);
    free(logged);
    free(error);
}

static void a_segmentation_fault(void **state)
{
    struct fixture *fixture = *state;

    assert_one_crashes(fixture, "segv", "SIGSEGV", " read_nowhere+0x");
    worker_expect_logged(fixture->worker, "signal=SIGSEGV address=0x0", NULL, 2);
}

static void a_bus_error(void **state)
{
    assert_one_crashes(*state, "bus", "SIGBUS", " read_behind_the_file+0x");
}

static void a_division_by_zero(void **state)
{
    assert_one_crashes(*state, "fpe", "SIGFPE", " divide_by_zero+0x");
}

static void an_illegal_instruction(void **state)
{
    assert_one_crashes(*state, "ill", "SIGILL", " do_nonsense+0x");
}

static void a_raised_signal(void **state)
{
    assert_one_crashes(*state, "abrt", "SIGABRT", " raise_abrt+0x");
}

/* abort() does not return, and does not end the process either. */
static void an_abort(void **state)
{
    assert_one_crashes(*state, "abort", "SIGABRT", " run+0x");
}

/* There is no frame of the function that was called, only one of its caller. */
static void a_call_of_nothing(void **state)
{
    assert_one_crashes(*state, "null", "SIGSEGV", " call_null+0x");
}

/* The signal's handler has a stack of its own. */
static void a_stack_overflow(void **state)
{
    assert_one_crashes(*state, "overflow", "SIGSEGV", " recurse+0x");
}

/* A crash is no completion: with the keys of handled messages on the disk it is all the same. */
static void a_fault_beside_idempotency(void **state)
{
    struct fixture *fixture = *state;

    keys = true;
    assert_one_crashes(fixture, "segv", "SIGSEGV", " read_nowhere+0x");
}

/* ---- the hard limit ---- */

/* A handler that never returns is told of with its calls, and costs its message alone. */
static void assert_one_hangs(struct fixture *fixture, const char *guilty)
{
    /* By the limit a function of a group has begun, or it never does. */
    char *chain = text("log, {retry: {policy: immediate}}, "
                       "{deadline: {limit: %dms, hard_limit: %ds}}, recover",
                       500 * slowness(), slowness());

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_worker(fixture, chain, "");
    free(chain);
    publish_all(fixture, guilty, GUILTY);
    worker_consume(fixture->worker, 1);
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_innocent_are_handled_once(fixture);
    assert_int_equal(recorded(fixture, "begin m-%d 1\n", GUILTY), 1);
    assert_int_equal(recorded(fixture, "begin m-%d 2\n", GUILTY), 1);
    worker_expect_logged(fixture->worker, "handler did not return by its hard limit",
                         "message_id=m-20 attempt=", 2);
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "msg=backtrace", " hang+0x") >= 2, PATIENCE_MS));
    assert_dead_letter(fixture,
                       &(struct letter){.id = "m-20",
                                        .body = guilty,
                                        .function = " hang+0x",
                                        .attempts = "2",
                                        .error = "the handler did not return by its hard limit, "
                                                 "2 times"});
    assert_true(WAIT_FOR(started(fixture, NULL) == 3, PATIENCE_MS));
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
}

static void a_handler_that_hangs(void **state)
{
    assert_one_hangs(*state, "hang");
}

/* ---- functions of groups, on threads beside the handler's ---- */

static void a_fault_in_a_group(void **state)
{
    assert_one_crashes(*state, "group-segv", "SIGSEGV", " read_nowhere+0x");
}

/* It is that function which is asked where it is. */
static void a_function_of_a_group_that_hangs(void **state)
{
    assert_one_hangs(*state, "group-hang");
}

/* ---- SIGKILL ---- */

static void run_until_killed(struct fixture *fixture)
{
    worker_run(fixture->worker, NULL);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
}

/* @id is in the dead-letter queue, and the queue is empty. */
static void assert_killer_is_found(struct fixture *fixture, const char *id)
{
    await_dead_letter(fixture);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->queue) == 0, PATIENCE_MS));
    /* The first time it may have been others: that is no attempt of its own. */
    assert_dead_letter(
        fixture,
        &(struct letter){.id = id,
                         .body = "kill",
                         .attempts = "1",
                         .error = "the process was killed while the handler ran, 2 times"});
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->queue), 0);
    assert_int_equal(peer_count(fixture->peer, fixture->dlq), 0);
}

static void open_gate(const struct fixture *fixture)
{
    free(write_file(fixture->worker->directory, "gate", ""));
}

/* One of 50 in the prefetch window kills the process when the others have been handled: none of
 * them is handled again. */
static void a_message_that_kills_the_process(void **state)
{
    struct fixture *fixture = *state;

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_retrying_worker(fixture);
    publish_all(fixture, "kill", GUILTY);
    worker_consume(fixture->worker, 1);
    assert_true(WAIT_FOR(all_done(fixture) == MESSAGES - 1, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(fixture->broker, fixture->queue) == 1, PATIENCE_MS));
    open_gate(fixture);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    run_until_killed(fixture);
    worker_consume(fixture->worker, 1);
    assert_killer_is_found(fixture, "m-20");
    assert_int_equal(recorded(fixture, "begin m-%d ", GUILTY), 2);
    assert_innocent_are_handled_once(fixture);
}

/* Nobody can say what killed the process, so whatever was in a handler then is suspected, and runs
 * alone once; only the guilty one does it again. What was merely prefetched runs once. */
static void a_message_that_kills_beside_others(void **state)
{
    struct fixture *fixture = *state;
    char id[32];

    peer_declare(fixture->peer, fixture->queue, "quorum");
    make_retrying_worker(fixture);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        fixture_publish(fixture, id, i == 0 ? "kill" : i < concurrency ? "stay" : "good");
    }
    worker_consume(fixture->worker, 1);
    for (int i = 0; i < concurrency; i++)
        assert_true(WAIT_FOR(recorded(fixture, "begin m-%d 1\n", i) == 1, PATIENCE_MS));
    open_gate(fixture);
    assert_int_equal(proc_wait(fixture->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    run_until_killed(fixture);
    for (int i = 0; i < concurrency; i++) {
        snprintf(id, sizeof id, "message_id=m-%d\n", i);
        worker_expect_logged(fixture->worker, "was in a handler", id, 1);
    }
    worker_expect_logged(fixture->worker, "was in a handler", NULL, concurrency);
    worker_consume(fixture->worker, 1);
    assert_killer_is_found(fixture, "m-0");
    assert_int_equal(recorded(fixture, "begin m-%d ", 0), 2);
    for (int i = 1; i < MESSAGES; i++) {
        assert_int_equal(recorded(fixture, "begin m-%d ", i), i < concurrency ? 2 : 1);
        assert_int_equal(recorded(fixture, "done m-%d ", i), 1);
        assert_int_equal(recorded(fixture, "done m-%d 1\n", i), 1);
    }
}

/* Two subscriptions that remember what they handled, in commits that take their time. */
static void make_two_with_keys(struct fixture *fixture, const char *other)
{
    fixture->worker =
        worker_new(fixture->broker->uri,
                   "state_dir: state\n"
                   "store: {path: keys.db, group_delay_us: 100000}\n"
                   "subscriptions:\n"
                   "  - queue: %s\n"
                   "    handler: crashing.run\n"
                   "    options: {path: record, work: 1ms}\n"
                   "    middleware: [log, {retry: {policy: immediate}}, idempotency, recover]\n"
                   "  - queue: %s\n"
                   "    handler: crashing.run\n"
                   "    options: {path: guilty, gate: gate}\n"
                   "    middleware: [log, {retry: {policy: immediate}}, idempotency, recover]\n",
                   other, fixture->queue);
    fixture->record = worker_path(fixture->worker, "record");
}

/* A suspect runs alone, and no sooner than the broker has the acks of what was handled before: also
 * of what waits for its key to be on the disk. */
static void what_is_handled_beside_a_suspect(void **state)
{
    struct fixture *fixture = *state;
    char *other = text("%s.other", fixture->queue);

    peer_declare(fixture->peer, fixture->queue, "quorum");
    peer_declare(fixture->peer, other, "quorum");
    make_two_with_keys(fixture, other);
    fixture_publish(fixture, "guilty", "kill");
    open_gate(fixture);
    run_until_killed(fixture);
    peer_publish_many(fixture->peer, other, "m", MESSAGES);
    run_until_killed(fixture);
    worker_consume(fixture->worker, 2);
    await_dead_letter(fixture);
    for (int i = 0; i < MESSAGES; i++) {
        assert_true(WAIT_FOR(recorded(fixture, "done m-%d ", i) > 0, PATIENCE_MS));
        assert_int_equal(recorded(fixture, "done m-%d ", i), 1);
    }
    assert_int_equal(worker_stop(fixture->worker), 0);
    assert_int_equal(peer_count(fixture->peer, other), 0);
    peer_delete(fixture->peer, other);
    free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_segmentation_fault),
        TEST(a_bus_error),
        TEST(a_division_by_zero),
        TEST(an_illegal_instruction),
        TEST(a_raised_signal),
        TEST(an_abort),
        TEST(a_call_of_nothing),
        TEST(a_stack_overflow),
        TEST(a_fault_beside_idempotency),
        TEST(a_handler_that_hangs),
        TEST(a_fault_in_a_group),
        TEST(a_function_of_a_group_that_hangs),
        TEST(a_message_that_kills_the_process),
        TEST(a_message_that_kills_beside_others),
        TEST(what_is_handled_beside_a_suspect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
