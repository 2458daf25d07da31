/* test_testing_parity.c - the same messages, plugin and chain in a real worker and in
 * <warren/testing.h>: both give the same attempts, outcomes and errors, and the same dead letters.
 */
#include "support/fixture.h"

#include <warren/testing.h>

#include "support/letters.h"

#define CALLS_MAX 16
#define LINE_SIZE 1024

/* With idempotency a copy in the queue may come while its original is at hand, and then waits: the
 * messages of the third chain are not put there again. */
enum { USUAL, BARE, KEYED, CHAINS };

#define WITNESS "act.witness: {path: record}"
#define RETRY   "retry: {policy: immediate, jitter: none, max_delay: 10ms, initial_delay: 1ms}"

static const char *const chains[CHAINS] = {"[" WITNESS ", " RETRY ", recover]",
                                           "[" WITNESS ", recover]",
                                           "[" WITNESS ", " RETRY ", idempotency, recover]"};

struct row {
    const char *id;
    const char *script; /* see plugins/act.c */
    size_t chain;
    bool returned; /* what is published is; so each attempt is looked at twice */
    bool twice;    /* it comes again when it is done */
    bool copied;   /* it is a copy of warren's, and three attempts failed */
};

static const struct row rows[] = {
    {.id = "acked", .script = "ack"},
    {.id = "acked-with-words", .script = "ack:all is well"},
    {.id = "discarded", .script = "discard:nobody wants it"},
    {.id = "rejected", .script = "reject"},
    {.id = "rejected-with-words", .script = "reject:no such card"},
    {.id = "rejected-oddly", .script = "odd:a reason of its own"},
    {.id = "retried", .script = "retry,retry:not yet,ack"},
    {.id = "given-up", .script = "retry:it is broken"},
    {.id = "given-up-silently", .script = "retry"},
    {.id = "later", .script = "later,later:soon,ack"},
    {.id = "forgiven", .script = "forgiven,forgiven,retry,forgiven,ack"},
    {.id = "requeued", .script = "requeue,requeue,requeue,ack"},
    {.id = "requeued-and-failed", .script = "retry,requeue,requeue,reject:at last"},
    {.id = "panicked", .script = "panic,ack"},
    {.id = "panicked-always", .script = "panic"},
    {.id = "returned", .script = "publish", .returned = true},
    {.id = "copied", .script = "retry:again", .copied = true},
    {.id = "copied-and-acked", .script = "requeue,ack", .copied = true},
    {.id = "acked-twice", .script = "retry,ack", .chain = KEYED, .twice = true},
    {.id = "discarded-twice", .script = "discard:once,ack", .chain = KEYED, .twice = true},
    {.id = "rejected-twice", .script = "reject,ack", .chain = KEYED, .twice = true},
    {.id = "bare-acked-twice", .script = "ack,discard", .chain = BARE, .twice = true},
    {.id = "bare-retried", .script = "retry,retry,retry,ack", .chain = BARE},
    {.id = "bare-requeued", .script = "retry,requeue,requeue,reject", .chain = BARE},
    {.id = "bare-forgiven", .script = "forgiven,requeue,retry,forgiven,ack", .chain = BARE},
    {.id = "bare-panicked", .script = "panic,panic,reject:enough", .chain = BARE},
};

#define ROWS (sizeof rows / sizeof *rows)

/* What came of one row, a line for each attempt: number, outcome, error. */
struct course {
    char lines[CALLS_MAX][LINE_SIZE];
    size_t count;
};

static const char *queue_of(const struct fixture *f, const struct row *row)
{
    return row->chain == USUAL ? f->queue : row->chain == BARE ? f->other : f->own;
}

static struct worker *configured(const struct fixture *f)
{
    return worker_new(f->broker->uri,
                      "store: {path: store.db}\n"
                      "subscriptions:\n"
                      "  - {queue: %s, handler: act.script, middleware: %s}\n"
                      "  - {queue: %s, handler: act.script, middleware: %s}\n"
                      "  - {queue: %s, handler: act.script, middleware: %s}\n",
                      f->queue, chains[USUAL], f->other, chains[BARE], (const char *)f->own,
                      chains[KEYED]);
}

/* ---- in testing.h ---- */

/* As the broker would bring it. */
static void deliver(struct warren_test *test, const struct row *row, const char *queue)
{
    struct warren_field fields[] = {
        warren_field_i64("x-warren-attempts", 3),
        warren_field_text("x-warren-queue", queue),
        warren_field_text("x-warren-exchange", "orders"),
        warren_field_text("x-warren-routing-key", "new"),
        {.name = "x-warren-first-failure",
         .value = {.type = WARREN_TIMESTAMP, .as.timestamp = 1700000000}}};
    struct warren_test_message message = {
        .message = {.properties.message_id = row->id, .body = warren_text(row->script)}};
    struct warren_error error;

    if (row->copied)
        message.message.properties.headers = (struct warren_table){fields, 5};
    if (warren_test_deliver(test, &message, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    warren_test_publishing(test, WARREN_OK, row->returned ? WARREN_RETURNED : WARREN_CONFIRMED);
}

static bool goes_on(enum warren_outcome outcome)
{
    return outcome == WARREN_RETRY || outcome == WARREN_REQUEUE;
}

/* @return the last attempt */
static const struct warren_test_attempt *run_in_test(struct warren_test *test,
                                                     struct course *course)
{
    const struct warren_test_attempt *attempt;

    do {
        assert_in_range(course->count, 0, CALLS_MAX - 1);
        attempt = warren_test_run(test);
        snprintf(course->lines[course->count++], LINE_SIZE, "%u\t%s\t%s", attempt->attempt,
                 warren_outcome_name(attempt->outcome), attempt->error ? attempt->error : "");
    } while (goes_on(attempt->outcome));
    return attempt;
}

/* ---- in a worker ---- */

/* Where a job's messages are looked at twice the second look counts. */
static void read_course(const char *record, const struct row *row, struct course *course)
{
    size_t id_len = strlen(row->id);
    size_t seen = 0;

    course->count = 0;
    for (const char *at = record; at && *at; at = strchr(at, '\n') + 1) {
        size_t len = strcspn(at, "\n");

        if (strncmp(at, row->id, id_len) != 0 || at[id_len] != '\t')
            continue;
        if (row->returned && ++seen % 2 == 1)
            continue;
        assert_in_range(course->count, 0, CALLS_MAX - 1);
        snprintf(course->lines[course->count++], LINE_SIZE, "%.*s", (int)(len - id_len - 1),
                 at + id_len + 1);
    }
}

static void publish(struct fixture *f, const struct row *row)
{
    const char *queue = queue_of(f, row);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(row->id)};
    amqp_table_entry_t entries[5] = {{.key = amqp_cstring_bytes("x-warren-attempts")},
                                     {.key = amqp_cstring_bytes("x-warren-queue")},
                                     {.key = amqp_cstring_bytes("x-warren-exchange")},
                                     {.key = amqp_cstring_bytes("x-warren-routing-key")},
                                     {.key = amqp_cstring_bytes("x-warren-first-failure")}};
    const char *const texts[] = {NULL, queue, "orders", "new"};

    entries[0].value.kind = AMQP_FIELD_KIND_I64;
    entries[0].value.value.i64 = 3;
    for (size_t i = 1; i < 4; i++) {
        entries[i].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[i].value.value.bytes = amqp_cstring_bytes(texts[i]);
    }
    entries[4].value.kind = AMQP_FIELD_KIND_TIMESTAMP;
    entries[4].value.value.u64 = 1700000000;
    if (row->copied) {
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = (amqp_table_t){5, entries};
    }
    peer_publish(f->peer, "", queue, row->script, strlen(row->script), &properties);
}

/* ---- side by side ---- */

static bool is_of_its_own(const char *name)
{
    return strcmp(name, "x-warren-last-failure") == 0 || strcmp(name, "x-warren-backtrace") == 0 ||
           strcmp(name, "x-warren-first-failure") == 0;
}

static void assert_same_header(const struct row *row, const struct warren_field *expected,
                               const amqp_field_value_t *value)
{
    const struct warren_value *wanted = &expected->value;

    if (!value)
        fail_msg("%s: the worker's dead letter has no %s", row->id, expected->name);
    if (is_of_its_own(expected->name))
        return;
    if (wanted->type == WARREN_I64) {
        assert_int_equal(value->kind, AMQP_FIELD_KIND_I64);
        assert_int_equal(value->value.i64, wanted->as.integer);
        return;
    }
    assert_int_equal(wanted->type, WARREN_STRING);
    assert_int_equal(value->kind, AMQP_FIELD_KIND_UTF8);
    if (value->value.bytes.len != wanted->as.bytes.len ||
        (wanted->as.bytes.len > 0 &&
         memcmp(value->value.bytes.bytes, wanted->as.bytes.data, wanted->as.bytes.len) != 0))
        fail_msg("%s: %s is '%.*s', in the test '%.*s'", row->id, expected->name,
                 (int)value->value.bytes.len, (const char *)value->value.bytes.bytes,
                 (int)wanted->as.bytes.len, (const char *)wanted->as.bytes.data);
}

/* x-delivery-count is of the dead-letter queue. */
static void assert_in_test(const struct row *row, amqp_bytes_t name,
                           const struct warren_table *headers)
{
    char text[256];

    snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.bytes);
    if (strcmp(text, "x-delivery-count") != 0 && !warren_table_get(headers, text))
        fail_msg("%s: the test's dead letter has no %s", row->id, text);
}

/* The letters of a worker. */
struct letters {
    struct peer_message items[ROWS];
    size_t count;
};

static void take_letters(struct fixture *f, const char *queue, struct letters *letters)
{
    char *dlq = text("%s.dlq", queue);

    while (peer_get(f->peer, dlq, &letters->items[letters->count]))
        assert_in_range(++letters->count, 1, ROWS - 1);
    free(dlq);
}

static const struct peer_message *find_letter(const struct letters *letters, const struct row *row)
{
    const struct peer_message *found = NULL;

    for (size_t i = 0; i < letters->count; i++)
        if (strcmp(letters->items[i].message_id, row->id) == 0) {
            assert_null(found);
            found = &letters->items[i];
        }
    return found;
}

static void assert_same_letter(const struct row *row, const struct peer_message *letter,
                               const struct warren_test_dead_letter *dead)
{
    const struct warren_table *headers;

    if (!letter != !dead)
        fail_msg("%s: only %s has a dead letter", row->id, letter ? "the worker" : "the test");
    if (!letter)
        return;
    headers = &dead->message.properties.headers;
    for (int i = 0; i < letter->properties->headers.num_entries; i++)
        assert_in_test(row, letter->properties->headers.entries[i].key, headers);
    for (size_t i = 0; i < headers->count; i++)
        assert_same_header(row, &headers->fields[i],
                           letter_header(letter, headers->fields[i].name));
    assert_true(letter_says(letter, "x-warren-reason", dead->reason));
    assert_string_equal(letter->exchange, dead->exchange);
    assert_string_equal(letter->routing_key, dead->routing_key);
    assert_string_equal(letter->body, row->script);
}

static void assert_same_course(const struct row *row, const struct course *worker,
                               const struct course *tested)
{
    for (size_t i = 0; i < worker->count && i < tested->count; i++)
        if (strcmp(worker->lines[i], tested->lines[i]) != 0)
            fail_msg("%s: in the worker '%s', in the test '%s'", row->id, worker->lines[i],
                     tested->lines[i]);
    if (worker->count != tested->count)
        fail_msg("%s: %zu attempts in the worker, %zu in the test", row->id, worker->count,
                 tested->count);
}

static void compare(struct fixture *f, const struct row *row, const char *record,
                    const struct letters *letters)
{
    struct warren_test_options options = {.size = sizeof options,
                                          .config_file = f->second->config,
                                          .handler = "act.script",
                                          .queue = queue_of(f, row)};
    const struct warren_test_attempt *last;
    struct course worker;
    struct course tested;
    struct warren_test *test;
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    deliver(test, row, options.queue);
    tested.count = 0;
    last = run_in_test(test, &tested);
    if (row->twice && last->dead_letter)
        assert_same_letter(row, find_letter(letters, row), last->dead_letter);
    if (row->twice)
        last = run_in_test(test, &tested);
    read_course(record, row, &worker);
    assert_same_course(row, &worker, &tested);
    if (!row->twice)
        assert_same_letter(row, find_letter(letters, row), last->dead_letter);
    warren_test_free(test);
}

static bool is_empty(struct fixture *f)
{
    return peer_count(f->peer, f->queue) == 0 && peer_count(f->peer, f->other) == 0 &&
           peer_count(f->peer, f->own) == 0;
}

/* @times: those that come twice */
static bool all_ended(const char *path, size_t times)
{
    char *record = read_file(path, NULL);
    struct course course;
    size_t ended = 0;

    for (size_t i = 0; i < ROWS; i++) {
        size_t ends = 0;

        read_course(record, &rows[i], &course);
        for (size_t k = 0; k < course.count; k++)
            ends += strstr(course.lines[k], "\tack\t") || strstr(course.lines[k], "\treject\t") ||
                    strstr(course.lines[k], "\tdiscard\t");
        ended += ends >= (rows[i].twice ? times : 1);
    }
    free(record);
    return ended == ROWS;
}

static void publish_all(struct fixture *f, bool again)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!again || rows[i].twice)
            publish(f, &rows[i]);
    if (!WAIT_FOR(all_ended(f->record, 1 + again), PATIENCE_MS))
        fail_msg("not all have ended:\n%s", proc_stderr(f->worker->proc));
}

static void both_give_the_same(void **state)
{
    struct fixture *f = *state;
    struct letters letters = {.count = 0};
    char *record;

    f->own = text("%s.keyed", f->queue);
    peer_declare(f->peer, f->other, "quorum");
    peer_declare(f->peer, f->own, "quorum");
    f->worker = configured(f);
    f->second = configured(f); /* its directory is the test's */
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 3);
    publish_all(f, false);
    /* Acked, and so remembered. */
    assert_true(WAIT_FOR(broker_messages(f->broker, f->own) == 0, PATIENCE_MS));
    publish_all(f, true);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_true(is_empty(f));
    record = read_file(f->record, NULL);
    take_letters(f, f->queue, &letters);
    take_letters(f, f->other, &letters);
    take_letters(f, f->own, &letters);
    peer_delete(f->peer, f->own);
    for (size_t i = 0; i < ROWS; i++)
        compare(f, &rows[i], record, &letters);
    for (size_t i = 0; i < letters.count; i++)
        peer_message_done(&letters.items[i]);
    free(record);
}

/* ---- several at once ---- */

/* Two of one order, and another one between them. */
static const struct {
    const char *id, *script, *order;
} flight[] = {
    {"first", "gated", "4711"}, {"other", "reject:no", "4712"}, {"second", "ack", "4711"}};

#define FLIGHT  (sizeof flight / sizeof *flight)
#define WAITING "second\t1\tretry\ta duplicate of it is being handled\n"

static void publish_flight(struct fixture *f)
{
    for (size_t i = 0; i < FLIGHT; i++) {
        amqp_table_entry_t order = {.key = amqp_cstring_bytes("order"),
                                    .value = {.kind = AMQP_FIELD_KIND_UTF8,
                                              .value.bytes = amqp_cstring_bytes(flight[i].order)}};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG |
                                                        AMQP_BASIC_HEADERS_FLAG,
                                              .message_id = amqp_cstring_bytes(flight[i].id),
                                              .headers = {1, &order}};

        peer_publish(f->peer, "", f->queue, flight[i].script, strlen(flight[i].script),
                     &properties);
    }
}

static bool has_recorded(const struct fixture *f, const char *line)
{
    char *record = read_file(f->record, NULL);
    bool has = record && strstr(record, line);

    free(record);
    return has;
}

/* Each wait of the second one is a line; how many there are depends on the machine. */
static void drop_repeated(struct course *course)
{
    size_t kept = 0;

    for (size_t i = 0; i < course->count; i++)
        if (kept == 0 || strcmp(course->lines[i], course->lines[kept - 1]) != 0)
            memmove(course->lines[kept++], course->lines[i], LINE_SIZE);
    course->count = kept;
}

static void fly_in_test(const struct fixture *f, struct course courses[FLIGHT])
{
    struct warren_test_options options = {
        .size = sizeof options, .config_file = f->worker->config, .queue = f->queue};
    const struct warren_test_attempt *attempt;
    struct warren_error error;
    struct warren_test *test;

    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < FLIGHT; i++) {
        struct warren_field order = warren_field_text("order", flight[i].order);
        struct warren_test_message message = {
            .message = {.properties = {.message_id = flight[i].id, .headers = {&order, 1}},
                        .body = warren_text(flight[i].script)}};

        assert_int_equal(warren_test_deliver_also(test, &message, &error), WARREN_OK);
    }
    do {
        struct course *course;

        attempt = warren_test_run(test);
        course = &courses[attempt->message];
        assert_in_range(course->count, 0, CALLS_MAX - 1);
        snprintf(course->lines[course->count++], LINE_SIZE, "%u\t%s\t%s", attempt->attempt,
                 warren_outcome_name(attempt->outcome), attempt->error ? attempt->error : "");
    } while (attempt->left > 0);
    warren_test_free(test);
}

/* In the worker the first one is held in its handler until the second one was seen to wait for it.
 */
static void both_have_several_in_flight(void **state)
{
    static struct course tested[FLIGHT];
    struct fixture *f = *state;
    char *record;

    f->worker = worker_new(f->broker->uri,
                           "store: {path: store.db}\n"
                           "subscriptions:\n"
                           "  - {queue: %s, handler: act.script, concurrency: 3, middleware: "
                           "[" WITNESS ", " RETRY ", idempotency: {key: handler}, recover]}\n",
                           f->queue);
    f->record = worker_path(f->worker, "record");
    publish_flight(f);
    worker_consume(f->worker, 1);
    assert_true(WAIT_FOR(has_recorded(f, WAITING), PATIENCE_MS));
    free(write_file(f->worker->directory, "gate", ""));
    assert_true(WAIT_FOR(has_recorded(f, "second\t1\tack\t"), PATIENCE_MS));
    assert_true(WAIT_FOR(has_recorded(f, "other\t1\treject\t"), PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    record = read_file(f->record, NULL);
    memset(tested, 0, sizeof tested);
    fly_in_test(f, tested);
    for (size_t i = 0; i < FLIGHT; i++) {
        const struct row row = {.id = flight[i].id};
        struct course worker;

        read_course(record, &row, &worker);
        drop_repeated(&worker);
        assert_same_course(&row, &worker, &tested[i]);
    }
    free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(both_give_the_same, "quorum"),
        FIXTURE_TEST(both_have_several_in_flight, "quorum"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
