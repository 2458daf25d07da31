/* test_worker.c - `warren run` on a real broker: what arrives, and what each outcome does there. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "support/fixture.h"

#define FRAME_MAX      131072 /* what RabbitMQ and warren agree on */
#define FRAME_BODY_MAX (FRAME_MAX - 8)
#define MESSAGE_MAX    (1 << 20)
#define HASH_OF_M      "e80c2f78" /* FNV-1a of "m" */

/* A worker with one subscription of probe.record; @options are more of the handler's. */
static void start(struct fixture *fixture, const char *options)
{
    fixture_declare_with_dlq(fixture, "quorum");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "consumer: {message_max: %d}\n"
                                 "subscriptions:\n"
                                 "  - queue: %s\n"
                                 "    handler: probe.record\n"
                                 "    options: {path: record, %s}",
                                 MESSAGE_MAX, fixture->queue, options);
    fixture->record = worker_path(fixture->worker, "record");
    worker_consume(fixture->worker, 1);
}

static void publish(struct fixture *fixture, const char *id, const void *body, size_t length)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(id)};

    peer_publish(fixture->peer, "", fixture->queue, body, length, &properties);
}

static void assert_record(struct fixture *fixture, const char *expected)
{
    char *content = read_file(fixture->record, NULL);

    assert_string_equal(content, expected);
    free(content);
}

/* ---- bodies ---- */

static uint32_t fnv1a(const unsigned char *bytes, size_t length)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

/* Bodies of no, one and several frames, and of all lengths around the border of a frame, arrive
 * whole. */
static void bodies_of_all_lengths(void **state)
{
    static const size_t lengths[] = {0,
                                     1,
                                     FRAME_BODY_MAX - 1,
                                     FRAME_BODY_MAX,
                                     FRAME_BODY_MAX + 1,
                                     2 * FRAME_BODY_MAX - 1,
                                     2 * FRAME_BODY_MAX,
                                     2 * FRAME_BODY_MAX + 1,
                                     MESSAGE_MAX};
    const size_t count = sizeof lengths / sizeof *lengths;
    struct fixture *fixture = *state;
    unsigned char *body = malloc(MESSAGE_MAX);
    char *record;

    assert_non_null(body);
    for (size_t i = 0; i < MESSAGE_MAX; i++)
        body[i] = (unsigned char)(i * 31 + i / 251);
    start(fixture, "");
    for (size_t i = 0; i < count; i++) {
        char *id = text("of-%zu", lengths[i]);

        publish(fixture, id, body, lengths[i]);
        free(id);
    }
    assert_true(fixture_recorded(fixture, count));
    record = read_file(fixture->record, NULL);
    for (size_t i = 0; i < count; i++) {
        char *line = text("of-%zu\t1\t0\t%zu\t%08" PRIx32 "\tack\n", lengths[i], lengths[i],
                          fnv1a(body, lengths[i]));

        if (!strstr(record, line))
            fail_msg("no line %s", line);
        free(line);
    }
    fixture_stop_and_expect(fixture, 0, 0);
    free(record);
    free(body);
}

/* A body above consumer.message_max goes to the dead letters without reaching the handler, is
 * logged with its size, and costs its neighbours nothing. */
static void body_above_the_maximum(void **state)
{
    struct fixture *fixture = *state;
    char *body = calloc(1, MESSAGE_MAX + 1);
    char *size = text("body_size=%d", MESSAGE_MAX + 1);
    struct peer_message dead;

    assert_non_null(body);
    start(fixture, "");
    publish(fixture, "before", "x", 1);
    publish(fixture, "too-large", body, MESSAGE_MAX + 1);
    publish(fixture, "after", "x", 1);
    assert_true(fixture_recorded(fixture, 2));
    /* Consumer and publisher, of which nobody waits for the second one otherwise. */
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "connected", NULL) == 2, PATIENCE_MS));
    fixture_stop_and_expect(fixture, 0, 1);
    assert_int_equal(count_lines(fixture->record), 2);
    worker_expect_logged(fixture->worker, "message rejected unread", size, 1);
    worker_expect_logged(fixture->worker, "connected", NULL, 2); /* both, once */
    assert_true(peer_get(fixture->peer, fixture->dlq, &dead));
    assert_string_equal(dead.message_id, "too-large");
    assert_int_equal(dead.length, MESSAGE_MAX + 1);
    peer_message_done(&dead);
    free(size);
    free(body);
}

/* ---- properties ---- */

#define NAMED(name, field, member, ...)                                                            \
    {                                                                                              \
        .key = amqp_cstring_bytes(name), .value = {.kind = (field), .value.member = __VA_ARGS__ }  \
    }

static amqp_table_t headers_of_every_type(void)
{
    static amqp_field_value_t values[2];
    static amqp_table_entry_t inner[1];
    static amqp_table_entry_t entries[17];
    amqp_table_entry_t in[] = {
        NAMED("bool", AMQP_FIELD_KIND_BOOLEAN, boolean, 1),
        NAMED("i8", AMQP_FIELD_KIND_I8, i8, -8),
        NAMED("u8", AMQP_FIELD_KIND_U8, u8, 200),
        NAMED("i16", AMQP_FIELD_KIND_I16, i16, -1600),
        NAMED("u16", AMQP_FIELD_KIND_U16, u16, 60000),
        NAMED("i32", AMQP_FIELD_KIND_I32, i32, -320000),
        NAMED("u32", AMQP_FIELD_KIND_U32, u32, 4000000000u),
        NAMED("i64", AMQP_FIELD_KIND_I64, i64, -64000000000),
        NAMED("f32", AMQP_FIELD_KIND_F32, f32, 0.5F),
        NAMED("f64", AMQP_FIELD_KIND_F64, f64, -2.25),
        NAMED("decimal", AMQP_FIELD_KIND_DECIMAL, decimal, {2, 1999}),
        NAMED("string", AMQP_FIELD_KIND_UTF8, bytes, amqp_cstring_bytes("text")),
        NAMED("bytes", AMQP_FIELD_KIND_BYTES, bytes, {3, (void *)(uintptr_t) "\0\1\2"}),
        NAMED("timestamp", AMQP_FIELD_KIND_TIMESTAMP, u64, 1700000000),
        NAMED("array", AMQP_FIELD_KIND_ARRAY, array, {2, values}),
        NAMED("table", AMQP_FIELD_KIND_TABLE, table, {1, inner}),
        {.key = amqp_cstring_bytes("void"), .value = {.kind = AMQP_FIELD_KIND_VOID}},
    };

    values[0] = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1};
    values[1] = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8,
                                     .value.bytes = amqp_cstring_bytes("two")};
    inner[0] = in[0];
    memcpy(entries, in, sizeof in);
    return (amqp_table_t){17, entries};
}

static const amqp_basic_properties_t *all_properties(void)
{
    static amqp_basic_properties_t properties;

    properties = (amqp_basic_properties_t){
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                  AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                  AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                  AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_USER_ID_FLAG |
                  AMQP_BASIC_APP_ID_FLAG,
        .content_type = amqp_cstring_bytes("text/plain"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
        .headers = headers_of_every_type(),
        .priority = 7,
        .correlation_id = amqp_cstring_bytes("correlation"),
        .reply_to = amqp_cstring_bytes("reply"),
        .expiration = amqp_cstring_bytes("600000"),
        .message_id = amqp_cstring_bytes("id"),
        .timestamp = 1700000001,
        .type = amqp_cstring_bytes("kind"),
        .user_id = amqp_cstring_bytes("guest"),
        .app_id = amqp_cstring_bytes("tests"),
    };
    return &properties;
}

/* RabbitMQ 4 sorts the headers. */
static void assert_same_json(const char *is, const char *shall)
{
    json_t *a = json_loads(is, 0, NULL);
    json_t *b = json_loads(shall, 0, NULL);

    assert_non_null(a);
    assert_non_null(b);
    if (!json_equal(a, b))
        fail_msg("expected %s, got %s", shall, is);
    json_decref(a);
    json_decref(b);
}

/* Every basic property and a header of every type arrive, as the JSON line of log.write shows. */
static void every_property_arrives(void **state)
{
    struct fixture *fixture = *state;
    char *line;
    char *expected = text(
        "{\"body\":\"hello\",\"message_id\":\"id\",\"queue\":\"%s\",\"exchange\":\"\","
        "\"routing_key\":\"%s\",\"redelivered\":false,\"attempt\":1,"
        "\"content_type\":\"text/plain\",\"content_encoding\":\"utf-8\",\"delivery_mode\":2,"
        "\"priority\":7,\"correlation_id\":\"correlation\",\"reply_to\":\"reply\","
        "\"expiration\":\"600000\",\"timestamp\":1700000001,\"type\":\"kind\","
        "\"user_id\":\"guest\",\"app_id\":\"tests\",\"headers\":{"
        "\"bool\":{\"type\":\"bool\",\"value\":true},\"i8\":{\"type\":\"i8\",\"value\":-8},"
        "\"u8\":{\"type\":\"u8\",\"value\":200},\"i16\":{\"type\":\"i16\",\"value\":-1600},"
        "\"u16\":{\"type\":\"u16\",\"value\":60000},\"i32\":{\"type\":\"i32\",\"value\":-320000},"
        "\"u32\":{\"type\":\"u32\",\"value\":4000000000},"
        "\"i64\":{\"type\":\"i64\",\"value\":-64000000000},"
        "\"f32\":{\"type\":\"f32\",\"value\":0.5},\"f64\":{\"type\":\"f64\",\"value\":-2.25},"
        "\"decimal\":{\"type\":\"decimal\",\"value\":{\"scale\":2,\"unscaled\":1999}},"
        "\"string\":{\"type\":\"string\",\"value\":\"text\"},"
        "\"bytes\":{\"type\":\"bytes\",\"value_base64\":\"AAEC\"},"
        "\"timestamp\":{\"type\":\"timestamp\",\"value\":1700000000},"
        "\"array\":{\"type\":\"array\",\"value\":[{\"type\":\"i32\",\"value\":1},"
        "{\"type\":\"string\",\"value\":\"two\"}]},"
        "\"table\":{\"type\":\"table\",\"value\":{\"bool\":{\"type\":\"bool\",\"value\":true}}},"
        "\"void\":{\"type\":\"void\",\"value\":null}}}\n",
        fixture->queue, fixture->queue);

    fixture_declare_with_dlq(fixture, "quorum");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - {queue: %s, handler: log.write, options: {path: lines}}",
                                 fixture->queue);
    fixture->record = worker_path(fixture->worker, "lines");
    worker_consume(fixture->worker, 1);
    peer_publish(fixture->peer, "", fixture->queue, "hello", 5, all_properties());
    assert_true(fixture_recorded(fixture, 1));
    line = read_file(fixture->record, NULL);
    assert_same_json(line, expected);
    fixture_stop_and_expect(fixture, 0, 0);
    free(line);
    free(expected);
}

/* ---- outcomes ---- */

/* ACK takes the message off the queue. */
static void ack_removes(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, "outcome: ack");
    publish(fixture, "m", "m", 1);
    assert_true(fixture_recorded(fixture, 1));
    fixture_stop_and_expect(fixture, 0, 0);
    assert_record(fixture, "m\t1\t0\t1\t" HASH_OF_M "\tack\n");
    assert_int_equal(worker_number(fixture->worker, "stopped", "acked"), 1);
}

/* DISCARD too, and nothing reaches the dead letters. */
static void discard_removes(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, "outcome: discard");
    publish(fixture, "m", "m", 1);
    assert_true(fixture_recorded(fixture, 1));
    fixture_stop_and_expect(fixture, 0, 0);
    assert_record(fixture, "m\t1\t0\t1\t" HASH_OF_M "\tdiscard\n");
}

/* REJECT dead-letters at the first attempt. */
static void reject_dead_letters(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message dead;

    start(fixture, "outcome: reject");
    publish(fixture, "m", "m", 1);
    assert_true(fixture_recorded(fixture, 1));
    fixture_stop_and_expect(fixture, 0, 1);
    assert_record(fixture, "m\t1\t0\t1\t" HASH_OF_M "\treject\n");
    assert_true(peer_get(fixture->peer, fixture->dlq, &dead));
    assert_string_equal(dead.message_id, "m");
    peer_message_done(&dead);
}

/* After RETRY the message is handled again, and the attempts count up, until one succeeds. It is
 * not redelivered: it waits in the worker. */
static void retry_comes_again(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, "fail_first: 2");
    publish(fixture, "m", "m", 1);
    assert_true(fixture_recorded(fixture, 3));
    fixture_stop_and_expect(fixture, 0, 0);
    assert_record(fixture, "m\t1\t0\t1\t" HASH_OF_M "\tretry\n"
                           "m\t2\t0\t1\t" HASH_OF_M "\tretry\n"
                           "m\t3\t0\t1\t" HASH_OF_M "\tack\n");
}

/* REQUEUE hands back: the message comes again, and is on the queue when the worker has gone. */
static void requeue_hands_back(void **state)
{
    struct fixture *fixture = *state;
    struct peer_message message;

    start(fixture, "outcome: requeue, delay: 2ms");
    publish(fixture, "m", "m", 1);
    assert_true(fixture_recorded(fixture, 3));
    fixture_stop_and_expect(fixture, 1, 0);
    assert_true(peer_get(fixture->peer, fixture->queue, &message));
    assert_string_equal(message.message_id, "m");
    assert_true(message.redelivered);
    peer_message_done(&message);
}

/* ---- files ---- */

/* After SIGHUP log.write goes on in a new file, as logrotate wants it; no line is lost. */
static void sighup_reopens(void **state)
{
    struct fixture *fixture = *state;
    char *rotated;

    fixture_declare_with_dlq(fixture, "quorum");
    fixture->worker = worker_new(fixture->broker->uri,
                                 "subscriptions:\n"
                                 "  - {queue: %s, handler: log.write, options: {path: lines}}",
                                 fixture->queue);
    fixture->record = worker_path(fixture->worker, "lines");
    rotated = worker_path(fixture->worker, "lines.1");
    worker_consume(fixture->worker, 1);
    publish(fixture, "first", "1", 1);
    assert_true(fixture_recorded(fixture, 1));
    assert_int_equal(rename(fixture->record, rotated), 0);
    publish(fixture, "second", "2", 1);
    assert_true(WAIT_FOR(count_lines(rotated) == 2, PATIENCE_MS));
    proc_signal(fixture->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(access(fixture->record, F_OK) == 0, PATIENCE_MS));
    assert_true(
        WAIT_FOR(worker_logged(fixture->worker, "SIGHUP: reopening", NULL) == 1, PATIENCE_MS));
    /* The file is created before it is used, so one line may still go to the old one. */
    assert_true(WAIT_FOR((publish(fixture, "more", "3", 1), count_lines(fixture->record) > 0),
                         PATIENCE_MS));
    /* The last ones may still be on their way: a drain would hand them back. */
    assert_true(WAIT_FOR(broker_messages(fixture->broker, fixture->queue) == 0, PATIENCE_MS));
    fixture_stop_and_expect(fixture, 0, 0);
    free(rotated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(bodies_of_all_lengths, NULL),  FIXTURE_TEST(body_above_the_maximum, NULL),
        FIXTURE_TEST(every_property_arrives, NULL), FIXTURE_TEST(ack_removes, NULL),
        FIXTURE_TEST(discard_removes, NULL),        FIXTURE_TEST(reject_dead_letters, NULL),
        FIXTURE_TEST(retry_comes_again, NULL),      FIXTURE_TEST(requeue_hands_back, NULL),
        FIXTURE_TEST(sighup_reopens, NULL),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
