/* test_batches.c - `batch:` on a real broker: messages come to the handler together, and each has
 * an end of its own, whatever fails, crashes, is cut off or killed.
 *
 * What the handler writes down (tests/plugins/batches.c) is read again.
 */
#include <inttypes.h>
#include <signal.h>

#include "support/admin.h"
#include "support/fixture.h"

#define MESSAGES_MAX 400

struct seen {
    unsigned batches;
    unsigned largest;
    unsigned smallest;
    unsigned messages; /* each time that one was given */
    unsigned at_once;  /* batches, at most */
    unsigned times[MESSAGES_MAX];
    unsigned done[MESSAGES_MAX]; /* in batches that ended */
};

/* The ids of one line, of a batch under way. */
struct running {
    int pid;
    unsigned count;
    unsigned numbers[MESSAGES_MAX];
};

static void begin_batch(struct seen *seen, struct running *running, char *line)
{
    unsigned count = 0;
    char *at;

    assert_int_equal(sscanf(line, "b %d %u", &running->pid, &running->count), 2);
    strtok(line, " ");
    strtok(NULL, " ");
    strtok(NULL, " ");
    while ((at = strtok(NULL, " \n"))) {
        const char *number = strrchr(at, '-');

        assert_non_null(number);
        running->numbers[count] = (unsigned)atoi(number + 1);
        seen->times[running->numbers[count++]]++;
    }
    assert_int_equal(count, running->count);
    seen->batches++;
    seen->messages += count;
    if (count > seen->largest)
        seen->largest = count;
    if (seen->smallest == 0 || count < seen->smallest)
        seen->smallest = count;
}

/* Read the record. Only with one thread it is known which batch ends. */
static struct seen read_record(const struct fixture *f)
{
    static char line[65536];
    struct seen seen = {.batches = 0};
    struct running last = {.count = 0};
    unsigned running = 0;
    FILE *file = fopen(f->record, "r");

    while (file && fgets(line, sizeof line, file) && strchr(line, '\n')) {
        if (*line == 'b') {
            begin_batch(&seen, &last, line);
            running++;
        } else {
            for (unsigned i = 0; i < last.count; i++)
                seen.done[last.numbers[i]]++;
            running -= running > 0;
        }
        seen.at_once = running > seen.at_once ? running : seen.at_once;
    }
    if (file)
        fclose(file);
    return seen;
}

static unsigned given(const struct fixture *f)
{
    return read_record(f).messages;
}

static void expect_given(struct fixture *f, unsigned count)
{
    if (!WAIT_FOR(given(f) >= count, PATIENCE_MS))
        fail_msg("%u of %u were given to the handler:\n%s", given(f), count,
                 proc_stderr(f->worker->proc));
}

/* Of @count messages all but @except are in batches that ended. Only with one thread, see above. */
static void expect_done(struct fixture *f, unsigned count, unsigned except)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    unsigned done = 0;

    while (done < count - 1) {
        struct seen seen = read_record(f);

        if (now_ms() > end_ms)
            fail_msg("%u of %u are done:\n%s", done, count, proc_stderr(f->worker->proc));
        done = 0;
        for (unsigned i = 0; i < count; i++)
            done += i != except && seen.done[i] > 0;
    }
}

static void publish(struct fixture *f, unsigned number, const char *body)
{
    char *id = text("m-%u", number);

    fixture_publish(f, id, body);
    free(id);
}

/* Those from @first to before @end are fine. */
static void publish_good(struct fixture *f, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        publish(f, i, "ok");
}

/* @top is of the file's top, @more of the subscription. */
static void make_worker(struct fixture *f, const char *uri, const char *top, const char *batch,
                        const char *options, const char *more)
{
    f->worker = worker_new(uri,
                           "%s\n"
                           "state_dir: state\n"
                           "drain: {timeout: 20s}\n"
                           "middleware: {retry: {policy: constant, initial_delay: 5ms}}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: batches.run\n"
                           "    prefetch: 100\n"
                           "    batch: {%s}\n"
                           "    options: {path: '%s'%s}\n"
                           "%s",
                           top, f->queue, batch, f->record, options, more);
}

static int setup(void **state)
{
    struct fixture *f;

    fixture_setup(state);
    f = *state;
    f->record = text("%s/record", f->directory);
    return 0;
}

static void stop_when_empty(struct fixture *f, int dead)
{
    if (!WAIT_FOR(broker_messages(f->broker, f->queue) == 0, PATIENCE_MS))
        fail_msg("the queue is not empty:\n%s", proc_stderr(f->worker->proc));
    fixture_stop_and_expect(f, 0, dead);
}

/* ---- what a batch is ---- */

/* Where there are enough messages, batches are full; what is left goes when it has waited. Who is
 * rejected is a dead letter, who fails comes again, and all others are done once. */
static void batches_are_filled(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    peer_declare(f->peer, f->queue, "quorum");
    for (unsigned i = 0; i < 105; i++)
        publish(f, i, i % 10 == 3 ? "reject" : i % 10 == 7 ? "retry" : "ok");
    make_worker(f, f->broker->uri, "log: {level: debug}", "size: 20, wait: 300ms", "",
                "    concurrency: 2\n");
    worker_consume(f->worker, 1);
    expect_given(f, 115);
    stop_when_empty(f, 11);
    seen = read_record(f);
    assert_int_equal(seen.messages, 115);
    assert_int_equal(seen.largest, 20);
    for (unsigned i = 0; i < 105; i++)
        assert_int_equal(seen.times[i], i % 10 == 7 ? 2 : 1);
    assert_true(worker_logged(f->worker, "message handled", "batch=20") >= 20);
}

/* The number of a line of /metrics; -1: there is none. */
static double metric_of(struct fixture *f, const char *series)
{
    char *address = admin_address(f->worker);
    char *page = NULL;
    const char *at;
    double value = -1;

    admin_get(address, "/metrics", NULL, &page);
    at = page ? strstr(page, series) : NULL;
    if (at && (at = strchr(at, '}')))
        value = strtod(at + 1, NULL);
    free(page);
    free(address);
    return value;
}

/* One message alone waits for others, and then goes alone. A batch is closed by bytes, too: six of
 * 300 bytes are three batches of 700. While the one worker is busy, what comes is gathered. */
static void what_closes_a_batch(void **state)
{
    struct fixture *f = *state;
    char large[301];
    char *options = text(", gate: '%s'", f->gate);

    memset(large, 'x', 300);
    large[300] = '\0';
    peer_declare(f->peer, f->queue, "classic");
    make_worker(f, f->broker->uri, "admin: {listen: '127.0.0.1:0'}",
                "size: 50, wait: 20ms, bytes: 700", options, "    concurrency: 1\n");
    worker_consume(f->worker, 1);
    publish(f, 0, "ok");
    expect_given(f, 1); /* and it stands at the gate */
    for (unsigned i = 1; i < 21; i++)
        publish(f, i, "ok");
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 21, PATIENCE_MS));
    fixture_open_gate(f);
    expect_given(f, 21);
    assert_in_range(read_record(f).batches, 2, 3);
    for (unsigned i = 21; i < 27; i++)
        publish(f, i, large);
    expect_given(f, 27);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    assert_true(metric_of(f, "warren_batch_messages_total{") == 27);
    assert_true(read_record(f).batches >= 5);
    assert_true(metric_of(f, "warren_batches_total{") >= 0); /* the first of three, by bytes */
    stop_when_empty(f, 0);
    free(options);
}

/* A batch holds the weights of one message, and no two are at work where there is one weight. */
static void a_batch_has_the_weights_of_one(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    peer_declare(f->peer, f->queue, "classic");
    publish_good(f, 0, 80);
    make_worker(f, f->broker->uri, "semaphores: {db: 1}", "size: 10, wait: 10ms", ", work: 5ms",
                "    concurrency: 4\n    uses: {db: 1}\n");
    worker_consume(f->worker, 1);
    expect_given(f, 80);
    stop_when_empty(f, 0);
    seen = read_record(f);
    assert_int_equal(seen.at_once, 1);
    assert_int_equal(seen.largest, 10);
}

/* With `order`, a batch has one message of each key, and each key is in the queue's order. */
static void with_an_order_each_key_is_there_once(void **state)
{
    static char line[65536];
    struct fixture *f = *state;
    unsigned next[7] = {0};
    FILE *file;

    peer_declare(f->peer, f->queue, "quorum");
    for (unsigned i = 0; i < 140; i++) {
        char *id = text("k%u-%u", i % 7, i / 7);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                        AMQP_BASIC_MESSAGE_ID_FLAG |
                                                        AMQP_BASIC_HEADERS_FLAG,
                                              .delivery_mode = 2,
                                              .message_id = amqp_cstring_bytes(id)};
        char *key = text("k%u", i % 7);
        amqp_table_entry_t header = {
            .key = amqp_cstring_bytes("customer"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(key)}};

        properties.headers = (amqp_table_t){1, &header};
        peer_publish(f->peer, "", f->queue, i % 11 == 5 ? "retry" : "ok", i % 11 == 5 ? 5 : 2,
                     &properties);
        free(key);
        free(id);
    }
    make_worker(f, f->broker->uri, "", "size: 20, wait: 10ms", "",
                "    concurrency: 3\n    order: {by: header:customer}\n");
    worker_consume(f->worker, 1);
    expect_given(f, 140 + 13);
    stop_when_empty(f, 0);
    file = fopen(f->record, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        bool here[7] = {false};
        unsigned key;
        unsigned number;

        if (*line != 'b')
            continue;
        for (char *at = strstr(line, " k"); at; at = strstr(at + 1, " k")) {
            assert_int_equal(sscanf(at, " k%u-%u", &key, &number), 2);
            assert_false(here[key]);
            here[key] = true;
            assert_in_range(number, next[key] > 0 ? next[key] - 1 : 0, next[key]);
            next[key] = number + 1;
        }
    }
    fclose(file);
    for (unsigned key = 0; key < 7; key++)
        assert_int_equal(next[key], 20);
}

/* ---- a reload ---- */

/* Larger batches from one moment to the next, with messages that wait for their batch; and none at
 * all is no mistake either, for the handler takes one at a time then. */
static void a_reload_changes_the_batch(void **state)
{
    struct fixture *f = *state;
    char *config;
    char *smaller;

    peer_declare(f->peer, f->queue, "classic");
    make_worker(f, f->broker->uri, "", "size: 30, wait: 10m", "", "");
    worker_consume(f->worker, 1);
    publish_good(f, 0, 29);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 29, PATIENCE_MS));
    assert_int_equal(given(f), 0);
    config = read_file(f->worker->config, NULL);
    smaller = strstr(config, "size: 30");
    assert_non_null(smaller);
    memcpy(smaller, "size: 07", 8);
    free(write_file(f->worker->directory, "worker.yaml", config));
    proc_signal(f->worker->proc, SIGHUP);
    expect_given(f, 28);
    assert_int_equal(read_record(f).largest, 7);
    assert_int_equal(broker_unacked(f->broker, f->queue), 1);
    fixture_stop_and_expect(f, 1, 0);
    free(config);
}

/* ---- what goes wrong ---- */

/* It names one message: that one is tried again, and given up in the end; the others are done. */
static void a_panic_costs_one_message(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    peer_declare(f->peer, f->queue, "quorum");
    for (unsigned i = 0; i < 30; i++)
        publish(f, i, i == 11 ? "panic" : "ok");
    make_worker(f, f->broker->uri, "", "size: 10, wait: 20ms", "", "    concurrency: 1\n");
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 1, PATIENCE_MS));
    expect_done(f, 30, 11);
    stop_when_empty(f, 1);
    seen = read_record(f);
    assert_int_equal(seen.times[11], 5);
    assert_true(worker_logged(f->worker, "handler panicked", "message_id=m-11 ") == 5);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(seen.done[i] > 0, i != 11);
}

/* The connection is cut again and again while batches are at work: nothing is lost. */
static void a_lost_connection_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    peer_declare(f->peer, f->queue, "classic");
    f->proxy = proxy_new(f->broker->port);
    publish_good(f, 0, 300);
    make_worker(f, proxy_uri(f->proxy), "", "size: 10, wait: 20ms", ", work: 4ms",
                "    concurrency: 2\n");
    worker_consume(f->worker, 1);
    for (unsigned i = 1; i <= 4; i++) {
        expect_given(f, i * 50);
        proxy_cut(f->proxy, PROXY_RST);
    }
    worker_expect_empty(f->worker, f->broker, f->queue);
    fixture_stop_and_expect(f, 0, 0);
    seen = read_record(f);
    for (unsigned i = 0; i < 300; i++)
        assert_true(seen.times[i] > 0);
}

/* A message crashes its handler: the process begins anew, and looks for it in half the batch, until
 * it is alone, and given up. All others are done. */
static void a_crash_is_found_by_halves(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    int crashes;

    peer_declare(f->peer, f->queue, "quorum");
    for (unsigned i = 0; i < 40; i++)
        publish(f, i, i == 13 ? "segv" : "ok");
    make_worker(f, f->broker->uri, "crash: {max_attempts: 1}", "size: 16, wait: 50ms", "",
                "    concurrency: 1\n");
    worker_consume(f->worker, 1);
    if (!WAIT_FOR(peer_count(f->peer, f->dlq) == 1, 2 * PATIENCE_MS))
        fail_msg("no dead letter:\n%s", proc_stderr(f->worker->proc));
    expect_done(f, 40, 13);
    stop_when_empty(f, 1);
    seen = read_record(f);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(seen.done[i] > 0, i != 13);
    crashes = worker_logged(f->worker, "msg=\"handler crashed\"", NULL);
    if (crashes < 2 || crashes > 6) /* of 16, 8, 4, 2, and twice alone */
        fail_msg("%d crashes:\n%s", crashes, proc_stderr(f->worker->proc));
    assert_int_equal(seen.times[13], crashes);
    worker_expect_logged(f->worker, "message is quarantined", "message_id=m-13 ", 1);
}

/* The same by SIGKILL, which leaves no word: each next process begins with what the recorder has.
 */
static void a_killer_is_found_by_halves(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    unsigned deaths = 0;

    peer_declare(f->peer, f->queue, "quorum");
    for (unsigned i = 0; i < 20; i++)
        publish(f, i, i == 5 ? "kill" : "ok");
    make_worker(f, f->broker->uri, "crash: {max_attempts: 1}", "size: 8, wait: 50ms", "",
                "    concurrency: 1\n");
    while (peer_count(f->peer, f->dlq) != 1) {
        worker_run(f->worker, NULL);
        assert_true(WAIT_FOR(proc_wait(f->worker->proc, 20) != PROC_RUNNING ||
                                 peer_count(f->peer, f->dlq) == 1,
                             PATIENCE_MS));
        if (proc_wait(f->worker->proc, 0) != PROC_RUNNING)
            assert_true(++deaths <= 5); /* of 8, 4, 2, and twice alone */
    }
    expect_done(f, 20, 5);
    stop_when_empty(f, 1);
    seen = read_record(f);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(seen.done[i] > 0, i != 5);
}

/* ---- bad input ---- */

/* A handler that takes no batches, in one clear sentence. */
static void who_takes_no_batches_is_refused(void **state)
{
    struct fixture *f = *state;

    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: log.write\n"
                           "    batch: {size: 10}\n",
                           f->queue);
    worker_run(f->worker, NULL);
    assert_int_not_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    if (!strstr(proc_stderr(f->worker->proc), "batch: log.write takes one message at a time"))
        fail_msg("%s", proc_stderr(f->worker->proc));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_are_filled),
        TEST(what_closes_a_batch),
        TEST(a_batch_has_the_weights_of_one),
        TEST(with_an_order_each_key_is_there_once),
        TEST(a_reload_changes_the_batch),
        TEST(a_panic_costs_one_message),
        TEST(a_lost_connection_loses_nothing),
        TEST(a_crash_is_found_by_halves),
        TEST(a_killer_is_found_by_halves),
        TEST(who_takes_no_batches_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
