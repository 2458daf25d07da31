/* test_idempotency.c - messages that come twice, or again after a crash, are handled once; and what
 * happens while the store cannot be written.
 */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/command.h"
#include "support/fixture.h"
#include "support/stored.h"

/* probe.record behind idempotency; @store and @options are of the sections of these names. */
static struct worker *recorder(struct fixture *f, const char *uri, const char *store,
                               const char *options, const char *handler)
{
    return worker_new(
        uri,
        "store: {path: store.db%s}\n"
        "subscriptions:\n"
        "  - queue: %s\n"
        "    handler: probe.record\n"
        "    options: {path: record%s}\n"
        "    middleware: [log: {acked: debug}, retry: {max_attempts: 3}, idempotency: {%s}]\n",
        store, f->queue, handler, options);
}

static void begin(struct fixture *f, const char *store, const char *options, const char *handler)
{
    f->worker = recorder(f, f->broker->uri, store, options, handler);
    worker_consume(f->worker, 1);
}

static size_t handled(struct fixture *f)
{
    char *path = worker_path(f->worker, "record");
    size_t count = count_lines(path);

    free(path);
    return count;
}

static void publish_body(struct fixture *f, const char *id, const char *reply_to, const char *body,
                         size_t len, amqp_table_t headers)
{
    amqp_basic_properties_t properties = {.headers = headers};

    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = 2;
    if (id) {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(id);
    }
    if (reply_to) {
        properties._flags |= AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
        properties.reply_to = amqp_cstring_bytes(reply_to);
        properties.correlation_id = amqp_cstring_bytes("c");
    }
    if (headers.num_entries > 0)
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    peer_publish(f->peer, "", f->queue, body, len, &properties);
}

static void publish(struct fixture *f, const char *id, const char *reply_to)
{
    publish_body(f, id, reply_to, "x", 1, amqp_empty_table);
}

/* ---- once ---- */

/* Each of 1,000 messages is published twice, half of the second ones while the first are handled:
 * each is handled once, and both are acked. */
static void what_comes_twice_is_handled_once(void **state)
{
    enum { COUNT = 1000 };
    struct fixture *f = *state;
    char *path;

    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    begin(f, "", "", "");
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    worker_expect_empty(f->worker, f->broker, f->queue);
    path = worker_path(f->worker, "record");
    f->tally = tally_new(path, f->queue, COUNT);
    free(path);
    assert_int_equal(tally_update(f->tally), COUNT);
    assert_int_equal(f->tally->lines, COUNT);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM done"), COUNT);
}

/* A duplicate of a message that is being handled waits for its end; no attempt is spent on it,
 * however often it is looked at. */
static void a_duplicate_waits_for_the_first(void **state)
{
    struct fixture *f = *state;
    char *name = unique_name("gate");
    char *gate = write_file(WARREN_BINARY_DIR, name, "");
    char *options = text(", gate: '%s'", gate);

    f->worker = recorder(f, f->broker->uri, "", "", options);
    WORKER_RUN(f->worker, "log.level=debug");
    publish(f, "one", NULL);
    publish(f, "one", NULL);
    assert_true(WAIT_FOR(
        worker_logged(f->worker, "outcome=retry", "a duplicate of it is being handled") > 3,
        PATIENCE_MS));
    assert_int_equal(unlink(gate), 0);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 1);
    assert_int_equal(worker_logged(f->worker, "outcome=reject", NULL), 0);
    free(options);
    free(gate);
    free(name);
}

/* What an earlier process has handled is not handled again by the next. */
static void it_is_known_after_a_restart(void **state)
{
    struct fixture *f = *state;

    begin(f, "", "", "");
    publish(f, "one", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(worker_stop(f->worker), 0);
    worker_consume(f->worker, 1);
    publish(f, "one", NULL);
    publish(f, "two", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 2);
}

/* Attempts that fail leave nothing behind; the one that succeeds is remembered. */
static void failed_attempts_are_not_remembered(void **state)
{
    struct fixture *f = *state;

    begin(f, "", "", ", fail_first: 2");
    publish(f, "one", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 3);
    publish(f, "one", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 3);
}

/* The acks never arrive, for the network is gone, and the worker is killed after everything was
 * noted: all messages come again, and none is handled again. */
static void processed_but_not_acked_is_acked(void **state)
{
    enum { COUNT = 500 };
    struct fixture *f = *state;
    struct proxy_rule slow = {.delay_ms = 600000};

    f->proxy = proxy_new(f->broker->port);
    f->worker = recorder(f, proxy_uri(f->proxy), "", "", "");
    worker_consume(f->worker, 1);
    proxy_set(f->proxy, PROXY_TO_BROKER, &slow);
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    /* So many as the prefetch lets through: none of them is acked. */
    assert_true(
        WAIT_FOR(stored_number(f->worker, "SELECT count(*) FROM done") == 100, PATIENCE_MS));
    assert_int_equal(broker_unacked(f->broker, f->queue), 100);
    proc_signal(f->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    proxy_cut(f->proxy, PROXY_RST);
    slow.delay_ms = 0;
    proxy_set(f->proxy, PROXY_TO_BROKER, &slow);
    assert_int_equal(handled(f), 100);
    worker_consume(f->worker, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), COUNT);
}

/* A duplicate that asks for a reply gets that of then, with a correlation id of its own. The log
 * calls it a duplicate. */
static void a_duplicate_gets_the_reply_of_then(void **state)
{
    struct fixture *f = *state;
    char *answers = unique_name("answers");
    struct peer_message answer;

    peer_declare(f->peer, answers, "classic");
    f->worker = worker_new(f->broker->uri,
                           "store: {path: store.db}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.reply\n"
                           "    middleware: [log: {acked: info}, idempotency]\n",
                           f->queue);
    worker_consume(f->worker, 1);
    publish(f, "one", answers);
    worker_expect_empty(f->worker, f->broker, f->queue);
    publish(f, "one", answers);
    publish(f, "one", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(peer_count(f->peer, answers), 2);
    for (int i = 0; i < 2; i++) {
        assert_true(peer_get(f->peer, answers, &answer));
        assert_string_equal(answer.body, "x");
        assert_memory_equal(answer.properties->correlation_id.bytes, "c", 1);
        peer_message_done(&answer);
    }
    assert_true(WAIT_FOR(worker_logged(f->worker, "outcome=ack", NULL) == 3, PATIENCE_MS));
    worker_expect_logged(f->worker, "outcome=ack", "duplicate=true", 2);
    peer_delete(f->peer, answers);
    free(answers);
}

/* A reply that is too large to be kept is told of, and so is a duplicate that gets none; and one
 * that an operator has replayed, which is not handled again. */
static void what_a_duplicate_does_not_get_is_told(void **state)
{
    enum { LARGE = 300 * 1024 };
    struct fixture *f = *state;
    char *answers = unique_name("answers");
    char *body = calloc(1, LARGE);
    amqp_table_entry_t replayed = {.key = amqp_cstring_bytes("x-warren-replays"),
                                   .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 1}};

    assert_non_null(body);
    peer_declare(f->peer, answers, "classic");
    f->worker = worker_new(f->broker->uri,
                           "store: {path: store.db}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.reply\n"
                           "    middleware: [idempotency]\n",
                           f->queue);
    worker_consume(f->worker, 1);
    publish_body(f, "one", answers, body, LARGE, amqp_empty_table);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(worker_logged(f->worker, "reply is not kept", "256 KiB"), PATIENCE_MS));
    publish_body(f, "one", answers, body, LARGE, (amqp_table_t){1, &replayed});
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(worker_logged(f->worker, "duplicate gets no reply", NULL), PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "is not handled again", "one"), PATIENCE_MS));
    assert_int_equal(peer_count(f->peer, answers), 1);
    peer_delete(f->peer, answers);
    free(answers);
    free(body);
}

static amqp_bytes_t bytes_of(const char *data, size_t len)
{
    return (amqp_bytes_t){len, (void *)(uintptr_t)data};
}

/* Ids that differ behind a NUL are those of three messages, and so are correlation ids in replies.
 */
static void ids_that_hold_a_nul(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } ids[] = {{"dup\0A", 5}, {"dup\0B", 5}, {"dup", 3}};
    struct fixture *f = *state;
    char *answers = unique_name("answers");
    struct peer_message answer;

    peer_declare(f->peer, answers, "classic");
    f->worker = worker_new(f->broker->uri,
                           "store: {path: store.db}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.reply\n"
                           "    middleware: [log: {acked: info}, idempotency]\n",
                           f->queue);
    worker_consume(f->worker, 1);
    for (size_t i = 0; i < 6; i++) {
        amqp_bytes_t id = bytes_of(ids[i % 3].data, ids[i % 3].len);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG |
                                                        AMQP_BASIC_REPLY_TO_FLAG |
                                                        AMQP_BASIC_CORRELATION_ID_FLAG,
                                              .message_id = id,
                                              .reply_to = amqp_cstring_bytes(answers),
                                              .correlation_id = id};

        peer_publish(f->peer, "", f->queue, "x", 1, &properties);
        worker_expect_empty(f->worker, f->broker, f->queue);
        if (!WAIT_FOR(peer_count(f->peer, answers) == 1, PATIENCE_MS))
            fail_msg("message %zu has no reply", i);
        assert_true(peer_get(f->peer, answers, &answer));
        assert_int_equal(answer.properties->correlation_id.len, ids[i % 3].len);
        assert_memory_equal(answer.properties->correlation_id.bytes, ids[i % 3].data,
                            ids[i % 3].len);
        peer_message_done(&answer);
    }
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM done"), 3);
    worker_expect_logged(f->worker, "outcome=ack", "duplicate=true", 3);
    worker_expect_logged(f->worker, "message_id=\"dup\\u0000A\"", "outcome=ack", 2);
    worker_expect_logged(f->worker, "message_id=dup ", "outcome=ack", 2);
    peer_delete(f->peer, answers);
    free(answers);
}

/* Two workers take from one queue and share the file: each message is handled once. */
static void two_processes_share_the_file(void **state)
{
    enum { COUNT = 1000 };
    struct fixture *f = *state;
    char *store;
    char *record;

    f->worker = recorder(f, f->broker->uri, ", shared: true", "", "");
    f->second = recorder(f, f->broker->uri, ", shared: true", "", "");
    store = text("store.path=%s/store.db", f->worker->directory);
    record = text("%s/record", f->worker->directory);
    worker_consume(f->worker, 1);
    WORKER_RUN(f->second, store);
    assert_true(WAIT_FOR(worker_logged(f->second, "consuming queue=", NULL) > 0, PATIENCE_MS));
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(worker_stop(f->second), 0);
    free(record);
    record = worker_path(f->second, "record");
    assert_true(count_lines(record) > 0); /* both did their part */
    assert_int_equal(count_lines(record) + handled(f), COUNT);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM done"), COUNT);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM claim"), 0);
    free(record);
    free(store);
}

/* A worker that is killed while it handles leaves a claim behind: another takes it over. */
static void a_dead_owner_is_taken_over(void **state)
{
    struct fixture *f = *state;
    char *name = unique_name("gate");
    char *gate = write_file(WARREN_BINARY_DIR, name, "");
    char *options = text(", gate: '%s'", gate);

    begin(f, ", shared: true", "lease: 1h", options);
    publish(f, "one", NULL);
    assert_true(WAIT_FOR(stored_number(f->worker, "SELECT count(*) FROM claim") == 1, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGKILL);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
    assert_int_equal(unlink(gate), 0);
    worker_consume(f->worker, 1);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 1);
    free(options);
    free(gate);
    free(name);
}

/* ---- a store that fails ---- */

static sqlite3 *holder;

static void hold_lock(struct fixture *f)
{
    char *path = worker_path(f->worker, "store.db");

    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    sqlite3_busy_timeout(holder, 5000);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    free(path);
}

static void assert_fails_then_recovers(struct fixture *f, const char *why, unsigned count,
                                       void (*repair)(struct fixture *f))
{
    if (!WAIT_FOR(worker_logged(f->worker, "store failed", why) > 0, PATIENCE_MS))
        fail_msg("no word of it:\n%s", proc_stderr(f->worker->proc));
    assert_true(WAIT_FOR(handled(f) == count, PATIENCE_MS));
    assert_int_equal(broker_unacked(f->broker, f->queue), count);
    repair(f);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(worker_logged(f->worker, "store works again", NULL) > 0, PATIENCE_MS));
    assert_int_equal(handled(f), count);
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM done"), count);
}

static void let_go(struct fixture *f)
{
    (void)f;
    assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(holder);
}

/* While another process keeps the file locked nothing is acked; then everything is, and nothing
 * was handled twice. */
static void a_locked_store_acks_nothing(void **state)
{
    enum { COUNT = 20 };
    struct fixture *f = *state;

    begin(f, ", busy_timeout: 10ms", "", "");
    hold_lock(f);
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    assert_fails_then_recovers(f, "another process keeps it locked", COUNT, let_go);
}

/* No file of the process may grow: as good as a full disk. */
static void fill_disk(struct fixture *f, rlim_t most)
{
    struct rlimit limit = {most, RLIM_INFINITY};

    assert_int_equal(prlimit(proc_pid(f->worker->proc), RLIMIT_FSIZE, &limit, NULL), 0);
}

static void make_room(struct fixture *f)
{
    fill_disk(f, RLIM_INFINITY);
}

/* While the file cannot grow nothing is acked; then everything is. */
static void a_full_disk_acks_nothing(void **state)
{
    struct fixture *f = *state;

    begin(f, "", "", "");
    publish(f, "first", NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    fill_disk(f, 8192); /* the log of the store is beyond it, what the handler writes is not */
    peer_publish_many(f->peer, f->queue, "m", 3);
    if (!WAIT_FOR(worker_logged(f->worker, "store failed", NULL) > 0, PATIENCE_MS))
        fail_msg("no word of it:\n%s", proc_stderr(f->worker->proc));
    assert_int_equal(broker_unacked(f->broker, f->queue), 3);
    make_room(f);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_true(WAIT_FOR(worker_logged(f->worker, "store works again", NULL) > 0, PATIENCE_MS));
    assert_int_equal(stored_number(f->worker, "SELECT count(*) FROM done"), 4);
}

static void rename_store(struct fixture *f, const char *from, const char *to)
{
    char *old = worker_path(f->worker, from);
    char *new = worker_path(f->worker, to);

    assert_int_equal(rename(old, new), 0);
    free(new);
    free(old);
}

static void put_back(struct fixture *f)
{
    rename_store(f, "aside.db", "store.db");
}

/* While the file is not in its place, where nobody would find what is written into it, nothing is
 * acked; put back, it is gone on with. */
static void a_moved_store_acks_nothing(void **state)
{
    enum { COUNT = 20 };
    struct fixture *f = *state;

    begin(f, "", "", "");
    rename_store(f, "store.db", "aside.db");
    peer_publish_many(f->peer, f->queue, f->queue, COUNT);
    assert_fails_then_recovers(f, "store.db was deleted or moved", COUNT, put_back);
}

/* ---- bad input ---- */

/* Without a key: rejected, and with the reason. */
static void a_message_without_key_is_rejected(void **state)
{
    struct fixture *f = *state;

    begin(f, "", "on_missing_key: reject", "");
    publish(f, NULL, NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 0);
    worker_expect_logged(f->worker, "outcome=reject", "it has no message id", 1);
}

/* Or handled each time it comes, and the log says so once. */
static void a_message_without_key_is_handled_unprotected(void **state)
{
    struct fixture *f = *state;

    begin(f, "", "", "");
    publish(f, NULL, NULL);
    publish(f, NULL, NULL);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 2);
    worker_expect_logged(f->worker, "without a key is handled unprotected", NULL, 1);
}

/* A key in a header; one that is too long is rejected with its length. */
static void a_key_in_a_header(void **state)
{
    struct fixture *f = *state;
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("idempotency-key"),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {.num_entries = 1, .entries = &entry}};
    char longest[1026];

    memset(longest, 'k', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    begin(f, "", "key: header idempotency-key", "");
    entry.value.value.bytes = amqp_cstring_bytes("k1");
    peer_publish(f->peer, "", f->queue, "x", 1, &properties);
    peer_publish(f->peer, "", f->queue, "x", 1, &properties);
    entry.value.value.bytes = amqp_cstring_bytes(longest);
    peer_publish(f->peer, "", f->queue, "x", 1, &properties);
    worker_expect_empty(f->worker, f->broker, f->queue);
    assert_int_equal(handled(f), 1);
    worker_expect_logged(f->worker, "outcome=reject", "key has 1025 bytes", 1);
}

static void assert_refused(struct fixture *f, const char *words)
{
    struct command check = COMMAND("run", "-c", f->worker->config);

    assert_true(check.status == 1 || check.status == 2);
    if (!strstr(check.err, words))
        fail_msg("\"%s\" is not in: %s", words, check.err);
    command_done(&check);
}

/* What cannot be used as a store ends the start with one clear error. */
static void a_bad_store_is_refused(void **state)
{
    struct fixture *f = *state;

    f->worker = recorder(f, f->broker->uri, "", "", "");
    free(write_file(f->worker->directory, "store.db", "dear diary, this is no database at all\n"));
    assert_refused(f, "no SQLite database");
    worker_free(f->worker);
    f->worker = recorder(f, f->broker->uri, "", "key: handler", "");
    assert_refused(f, "has no key function");
    worker_free(f->worker);
    f->worker = recorder(f, f->broker->uri, "", "key: body", "");
    assert_refused(f, "none of message_id, header NAME and handler");
    worker_free(f->worker);
    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.reply\n"
                           "    middleware: [log, idempotency]\n",
                           f->queue);
    assert_refused(f, "set store.path");
}

/* A second worker on a file that is not shared is told what to do. */
static void a_store_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    struct command second;

    begin(f, "", "", "");
    second = COMMAND("run", "-c", f->worker->config);
    command_expect(&second, 2);
    assert_non_null(strstr(second.err, "store.shared: true"));
    command_done(&second);
}

#define TEST(name) FIXTURE_TEST(name, "classic")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_twice_is_handled_once),
        TEST(a_duplicate_waits_for_the_first),
        TEST(it_is_known_after_a_restart),
        TEST(failed_attempts_are_not_remembered),
        TEST(processed_but_not_acked_is_acked),
        TEST(a_duplicate_gets_the_reply_of_then),
        TEST(what_a_duplicate_does_not_get_is_told),
        TEST(ids_that_hold_a_nul),
        TEST(two_processes_share_the_file),
        TEST(a_dead_owner_is_taken_over),
        TEST(a_locked_store_acks_nothing),
        TEST(a_full_disk_acks_nothing),
        TEST(a_moved_store_acks_nothing),
        TEST(a_message_without_key_is_rejected),
        TEST(a_message_without_key_is_handled_unprotected),
        TEST(a_key_in_a_header),
        TEST(a_bad_store_is_refused),
        TEST(a_store_in_use_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
