/* test_handler_log.c - log.write in a real worker: what a message becomes in the file, and that a
 * line is whole or not there, whatever happens to the file.
 */
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fixture.h"

#define ROTATIONS 5

/* A worker with one subscription of log.write, configured and not yet started. */
static void configure(struct fixture *f, const char *options)
{
    f->worker = worker_new(f->broker->uri,
                           "subscriptions: [{queue: %s, handler: log.write, options: {%s}}]",
                           f->queue, options);
    f->record = worker_path(f->worker, "out");
}

static void start(struct fixture *f, const char *options)
{
    configure(f, options);
    worker_consume(f->worker, 1);
}

static void stop(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
}

static void publish(struct fixture *f, const void *body, size_t length)
{
    peer_publish(f->peer, "", f->queue, body, length, NULL);
}

/* The content of @path, once no line of it is half there: one that did not fit is taken back in a
 * moment. NULL: there is one. The caller frees. */
static char *whole_lines(const char *path)
{
    size_t length = 0;
    char *content = read_file(path, &length);

    if (content && (length == 0 || content[length - 1] == '\n'))
        return content;
    free(content);
    return NULL;
}

/* The lines of @path, when there are @count of them. The caller decrefs. */
static json_t *lines_of(const char *path, size_t count)
{
    json_t *lines = json_array();
    char *content = NULL;
    char *at;

    if (!WAIT_FOR(count_lines(path) >= count && (content = whole_lines(path)), PATIENCE_MS))
        fail_msg("%s has %zu whole lines, expected %zu", path, count_lines(path), count);
    for (at = content; *at; at += strcspn(at, "\n") + 1) {
        size_t length = strcspn(at, "\n");
        json_t *line = json_loadb(at, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

        if (!line || at[length] != '\n')
            fail_msg("a line is no whole JSON object: %.*s", (int)length, at);
        json_array_append_new(lines, line);
    }
    free(content);
    assert_int_equal(json_array_size(lines), count);
    return lines;
}

static json_t *one_line_of(struct fixture *f)
{
    json_t *lines = lines_of(f->record, 1);
    json_t *line = json_incref(json_array_get(lines, 0));

    json_decref(lines);
    return line;
}

static void expect_text(const json_t *object, const char *key, const char *expected)
{
    const char *found = json_string_value(json_object_get(object, key));

    if (!found || strcmp(found, expected) != 0)
        fail_msg("%s is %s, expected %s", key, found ? found : "missing", expected);
}

static void expect_number(const json_t *object, const char *key, json_int_t expected)
{
    const json_t *found = json_object_get(object, key);

    if (!json_is_integer(found) || json_integer_value(found) != expected)
        fail_msg("%s is wrong, expected %lld", key, (long long)expected);
}

/* ---- what is in a line ---- */

/* A message with nothing but a body: what is always there, and nothing else. */
static void a_plain_message(void **state)
{
    struct fixture *f = *state;
    json_t *line;

    start(f, "path: out");
    publish(f, "h\303\251llo \"you\"\n", 13);
    line = one_line_of(f);
    expect_text(line, "body", "h\303\251llo \"you\"\n");
    assert_true(json_is_null(json_object_get(line, "message_id")));
    expect_text(line, "queue", f->queue);
    expect_text(line, "exchange", "");
    expect_text(line, "routing_key", f->queue);
    assert_true(json_is_false(json_object_get(line, "redelivered")));
    expect_number(line, "attempt", 1);
    expect_number(line, "delivery_mode", 2);
    assert_int_equal(json_object_size(json_object_get(line, "headers")), 0);
    assert_int_equal(json_object_size(line), 9);
    json_decref(line);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* Bytes that are no text become base64; an empty body is an empty text. */
static void other_bodies(void **state)
{
    struct fixture *f = *state;
    json_t *lines;

    start(f, "path: out");
    /* One after the other: several workers write in any order. */
    publish(f, "\377\000\001", 3);
    json_decref(lines_of(f->record, 1));
    publish(f, "", 0);
    json_decref(lines_of(f->record, 2));
    publish(f, "a\000b", 3); /* a NUL is a character of JSON */
    lines = lines_of(f->record, 3);
    expect_text(json_array_get(lines, 0), "body_base64", "/wAB");
    assert_null(json_object_get(json_array_get(lines, 0), "body"));
    expect_text(json_array_get(lines, 1), "body", "");
    assert_int_equal(json_string_length(json_object_get(json_array_get(lines, 2), "body")), 3);
    json_decref(lines);
    stop(f);
}

static void all_properties(void **state)
{
    struct fixture *f = *state;
    amqp_basic_properties_t p = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
                  AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_EXPIRATION_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                  AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_CLUSTER_ID_FLAG,
        .content_type = amqp_cstring_bytes("text/plain"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
        .priority = 9,
        .correlation_id = amqp_cstring_bytes("c-1"),
        .reply_to = amqp_cstring_bytes("answers"),
        .expiration = amqp_cstring_bytes("600000"),
        .message_id = amqp_cstring_bytes("m-1"),
        .timestamp = 1700000000,
        .type = amqp_cstring_bytes("greeting"),
        .user_id = amqp_cstring_bytes("guest"),
        .app_id = amqp_cstring_bytes("tests"),
        .cluster_id = amqp_cstring_bytes("here")};
    json_t *line;

    start(f, "path: out");
    peer_publish(f->peer, "", f->queue, "x", 1, &p);
    line = one_line_of(f);
    expect_text(line, "content_type", "text/plain");
    expect_text(line, "content_encoding", "utf-8");
    expect_number(line, "priority", 9);
    expect_text(line, "correlation_id", "c-1");
    expect_text(line, "reply_to", "answers");
    expect_text(line, "expiration", "600000");
    expect_text(line, "message_id", "m-1");
    expect_number(line, "timestamp", 1700000000);
    expect_text(line, "type", "greeting");
    expect_text(line, "user_id", "guest");
    expect_text(line, "app_id", "tests");
    expect_text(line, "cluster_id", "here");
    json_decref(line);
    stop(f);
}

#define HEADER(name, KIND, member, ...)                                                            \
    {                                                                                              \
        .key = amqp_cstring_bytes(name), .value = {                                                \
            .kind = AMQP_FIELD_KIND_##KIND,                                                        \
            .value.member = __VA_ARGS__                                                            \
        }                                                                                          \
    }

/* Each type that RabbitMQ carries keeps its name and its value, also inside others. */
static void headers_of_every_type(void **state)
{
    static const char expected[] =
        "{\"text\": {\"type\": \"string\", \"value\": \"v\"},"
        " \"raw\": {\"type\": \"string\", \"value_base64\": \"/w==\"},"
        " \"bytes\": {\"type\": \"bytes\", \"value_base64\": \"AAE=\"},"
        " \"yes\": {\"type\": \"bool\", \"value\": true},"
        " \"i8\": {\"type\": \"i8\", \"value\": -128},"
        " \"u8\": {\"type\": \"u8\", \"value\": 255},"
        " \"i16\": {\"type\": \"i16\", \"value\": -32768},"
        " \"u16\": {\"type\": \"u16\", \"value\": 65535},"
        " \"i32\": {\"type\": \"i32\", \"value\": -2147483648},"
        " \"u32\": {\"type\": \"u32\", \"value\": 4294967295},"
        " \"i64\": {\"type\": \"i64\", \"value\": -9223372036854775808},"
        " \"f32\": {\"type\": \"f32\", \"value\": 1.5},"
        " \"f64\": {\"type\": \"f64\", \"value\": 2.25},"
        " \"money\": {\"type\": \"decimal\", \"value\": {\"scale\": 2, \"unscaled\": 1999}},"
        " \"when\": {\"type\": \"timestamp\", \"value\": 1700000000},"
        " \"none\": {\"type\": \"void\", \"value\": null},"
        " \"list\": {\"type\": \"array\", \"value\": [{\"type\": \"i32\", \"value\": 7},"
        " {\"type\": \"string\", \"value\": \"x\"}]},"
        " \"table\": {\"type\": \"table\", \"value\":"
        " {\"inner\": {\"type\": \"bool\", \"value\": false}}}}";
    struct fixture *f = *state;
    amqp_field_value_t items[] = {
        {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 7},
        {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("x")}};
    amqp_table_entry_t inner[] = {HEADER("inner", BOOLEAN, boolean, 0)};
    amqp_table_entry_t entries[] = {
        HEADER("text", UTF8, bytes, amqp_cstring_bytes("v")),
        HEADER("raw", UTF8, bytes, {1, "\377"}),
        HEADER("bytes", BYTES, bytes, {2, "\000\001"}),
        HEADER("yes", BOOLEAN, boolean, 1),
        HEADER("i8", I8, i8, INT8_MIN),
        HEADER("u8", U8, u8, UINT8_MAX),
        HEADER("i16", I16, i16, INT16_MIN),
        HEADER("u16", U16, u16, UINT16_MAX),
        HEADER("i32", I32, i32, INT32_MIN),
        HEADER("u32", U32, u32, UINT32_MAX),
        HEADER("i64", I64, i64, INT64_MIN),
        HEADER("f32", F32, f32, 1.5F),
        HEADER("f64", F64, f64, 2.25),
        HEADER("money", DECIMAL, decimal, {.decimals = 2, .value = 1999}),
        HEADER("when", TIMESTAMP, u64, 1700000000),
        HEADER("none", VOID, u64, 0),
        HEADER("list", ARRAY, array, {2, items}),
        HEADER("table", TABLE, table, {1, inner})};
    amqp_basic_properties_t p = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                 .headers = {sizeof entries / sizeof *entries, entries}};
    json_t *wanted = json_loads(expected, 0, NULL);
    json_t *line;

    start(f, "path: out");
    peer_publish(f->peer, "", f->queue, "x", 1, &p);
    line = one_line_of(f);
    assert_non_null(wanted);
    if (!json_equal(json_object_get(line, "headers"), wanted))
        fail_msg("headers are %s", json_dumps(json_object_get(line, "headers"), 0));
    json_decref(wanted);
    json_decref(line);
    stop(f);
}

/* Without a path, lines go to standard output, and nothing else does. */
static void to_standard_output(void **state)
{
    struct fixture *f = *state;
    const char *out;
    json_t *line;

    start(f, "");
    publish(f, "hello", 5);
    assert_true(WAIT_FOR(*proc_stdout(f->worker->proc), PATIENCE_MS));
    stop(f);
    out = proc_stdout(f->worker->proc);
    assert_int_equal(strcspn(out, "\n") + 1, strlen(out));
    line = json_loads(out, 0, NULL);
    assert_non_null(line);
    expect_text(line, "body", "hello");
    json_decref(line);
    assert_null(strstr(proc_stderr(f->worker->proc), "\"body\""));
}

/* Lines would be acked, and be nowhere. */
static void to_a_closed_standard_output(void **state)
{
    struct fixture *f = *state;

    configure(f, "");
    peer_publish(f->peer, "", f->queue, "x", 1, NULL);
    f->worker->proc = proc_start((const char *const[]){"sh", "-c", "exec \"$0\" run -c \"$1\" >&-",
                                                       WARREN_COMMAND, f->worker->config, NULL},
                                 NULL, NULL);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 2);
    assert_non_null(strstr(proc_stderr(f->worker->proc), "standard output is closed"));
    assert_int_equal(peer_count(f->peer, f->queue), 1);
}

/* ---- what happens to the file ---- */

static void expect_all_ids(const json_t *lines, const char *prefix, unsigned count)
{
    bool *seen = calloc(count, sizeof *seen);
    unsigned found = 0;
    json_t *line;
    size_t i;

    assert_non_null(seen);
    json_array_foreach(lines, i, line)
    {
        const char *id = json_string_value(json_object_get(line, "message_id"));
        unsigned long number = strtoul(id + strlen(prefix) + 1, NULL, 10);

        assert_true(number < count);
        found += !seen[number];
        seen[number] = true;
    }
    assert_int_equal(found, count);
    free(seen);
}

/* Moved away and reopened by SIGHUP while lines are being written: each line is in one of the
 * files, whole. */
static void reopened_while_writing(void **state)
{
    struct fixture *f = *state;
    json_t *ids = json_object();
    struct proc *publisher;
    unsigned confirmed = 0;

    start(f, "path: out");
    publisher = WARREN("publish", "-u", f->broker->uri, "-q", f->queue, "-b", "x", "-n", "1000000",
                       "-r", "500", "--json"); /* for as long as it takes */
    for (int i = 0; i < ROTATIONS; i++) {
        char *old = text("%s.%d", f->record, i);

        assert_true(WAIT_FOR(count_lines(f->record) >= 100, PATIENCE_MS));
        assert_int_equal(rename(f->record, old), 0);
        proc_signal(f->worker->proc, SIGHUP);
        free(old);
    }
    proc_signal(publisher, SIGINT);
    assert_int_equal(proc_wait(publisher, PATIENCE_MS), 1);
    assert_int_equal(
        sscanf(proc_stdout(publisher), "{\"published\":%*u,\"confirmed\":%u", &confirmed), 1);
    worker_expect_empty(f->worker, f->broker, f->queue); /* also of what it has in hand */
    stop(f);
    for (int i = 0; i <= ROTATIONS; i++) {
        char *path = i < ROTATIONS ? text("%s.%d", f->record, i) : text("%s", f->record);
        json_t *lines;
        json_t *line;
        size_t k;

        if (i == ROTATIONS && access(path, F_OK) != 0) { /* nothing came behind the last rotation */
            free(path);
            break;
        }
        lines = lines_of(path, count_lines(path));
        json_array_foreach(lines, k, line) json_object_set_new(
            ids, json_string_value(json_object_get(line, "message_id")), json_true());
        assert_true(json_array_size(lines) >= 100 || i == ROTATIONS);
        json_decref(lines);
        free(path);
    }
    assert_int_equal(json_object_size(ids), confirmed);
    json_decref(ids);
    proc_free(publisher);
}

/* A folder that is gone at SIGHUP is reported; lines go on into the old file, and none is lost. */
static void a_reopen_that_fails(void **state)
{
    struct fixture *f = *state;
    char *folder, *moved, *file;
    size_t lines = 1;

    configure(f, "path: logs/out");
    folder = worker_path(f->worker, "logs");
    moved = worker_path(f->worker, "moved");
    file = text("%s/out", moved);
    assert_int_equal(mkdir(folder, 0755), 0);
    worker_consume(f->worker, 1);
    publish(f, "before", 6);
    assert_int_equal(rename(folder, moved), 0);
    proc_signal(f->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(worker_logged(f->worker, "SIGHUP: reopening", NULL) == 1, PATIENCE_MS));
    do { /* the line says that it begins; a message then tells how it ended */
        publish(f, "after", 5);
        lines++;
    } while (!WAIT_FOR(worker_logged(f->worker, "cannot reopen", "still writing to the old file"),
                       200) &&
             lines < 100);
    worker_expect_logged(f->worker, "cannot reopen", "still writing to the old file", 1);
    json_decref(lines_of(file, lines));
    stop(f);
    free(file);
    free(moved);
    free(folder);
}

/* A file that takes nothing: the message waits, however many attempts that takes, and is written
 * when it can be. It is told once. */
static void a_full_device(void **state)
{
    struct fixture *f = *state;
    json_t *line;

    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - {queue: %s, handler: log.write, options: {path: out},\n"
                           "     middleware: [log, retry: {max_attempts: 1}]}",
                           f->queue);
    f->record = worker_path(f->worker, "out");
    assert_int_equal(symlink("/dev/full", f->record), 0);
    worker_consume(f->worker, 1);
    publish(f, "keep me", 7);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "No space left on device; messages wait", f->queue) == 1,
                 PATIENCE_MS));
    assert_int_equal(unlink(f->record), 0);
    proc_signal(f->worker->proc, SIGHUP);
    line = one_line_of(f);
    expect_text(line, "body", "keep me");
    expect_number(line, "attempt", 1);
    json_decref(line);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "can be written to again", NULL) == 1, PATIENCE_MS));
    stop(f);
    worker_expect_logged(f->worker, "messages wait", NULL, 1);
    assert_int_equal(worker_logged(f->worker, "outcome=reject", NULL), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* One that is told to stop meanwhile hands the message back. */
static void stopped_on_a_full_device(void **state)
{
    struct fixture *f = *state;

    start(f, "path: /dev/full");
    publish(f, "keep me", 7);
    assert_true(WAIT_FOR(worker_logged(f->worker, "messages wait", NULL) == 1, PATIENCE_MS));
    stop(f);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 1, PATIENCE_MS));
}

/* A file that is full for a while holds whole lines only, and all of them once there is room. */
static void a_full_file_gets_room(void **state)
{
    /* SIGXFSZ ignored, write(2) fails as on a full disk. Standard error is a file, too. */
    const char *script = "trap '' XFSZ; exec \"$0\" run -c \"$1\" 2>/dev/null";
    const struct rlimit full = {16 * 1024, RLIM_INFINITY};
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    const unsigned count = 40;
    struct fixture *f = *state;
    char body[1000];
    struct stat status;
    json_t *lines;

    memset(body, 'x', sizeof body);
    configure(f, "path: out");
    f->worker->proc = proc_start(
        (const char *const[]){"bash", "-c", script, WARREN_COMMAND, f->worker->config, NULL}, NULL,
        NULL);
    assert_true(WAIT_FOR(peer_consumers(f->peer, f->queue) == 1, PATIENCE_MS));
    assert_int_equal(prlimit(proc_pid(f->worker->proc), RLIMIT_FSIZE, &full, NULL), 0);
    for (unsigned i = 0; i < count; i++)
        publish(f, body, sizeof body);
    /* Full: 12 lines of more than 1,200 bytes fit into 16 KiB. */
    assert_true(WAIT_FOR(count_lines(f->record) >= 12, PATIENCE_MS));
    /* All others have been delivered, and are not acked. */
    assert_true(
        WAIT_FOR((unsigned)broker_unacked(f->broker, f->queue) + count_lines(f->record) == count,
                 PATIENCE_MS));
    lines = lines_of(f->record, count_lines(f->record));
    assert_true(json_array_size(lines) < count);
    assert_int_equal(stat(f->record, &status), 0);
    assert_true(status.st_size <= 16 * 1024);
    json_decref(lines);
    assert_int_equal(prlimit(proc_pid(f->worker->proc), RLIMIT_FSIZE, &unlimited, NULL), 0);
    json_decref(lines_of(f->record, count));
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* Two subscriptions on many threads share a file: their lines do not mix. */
static void a_shared_file(void **state)
{
    const unsigned count = 500;
    struct fixture *f = *state;
    char *other = unique_name("log");
    json_t *lines;

    peer_declare(f->peer, other, "classic");
    f->worker = worker_new(f->broker->uri,
                           "subscriptions:\n"
                           "  - {queue: %s, handler: log.write, options: {path: out}}\n"
                           "  - {queue: %s, handler: log.write, options: {path: out}}\n",
                           f->queue, other);
    f->record = worker_path(f->worker, "out");
    worker_consume(f->worker, 2);
    peer_publish_many(f->peer, f->queue, "a", count);
    peer_publish_many(f->peer, other, "b", count);
    lines = lines_of(f->record, 2 * count);
    expect_all_ids(lines, "x", count);
    json_decref(lines);
    stop(f);
    peer_delete(f->peer, other);
    free(other);
}

/* `sync: message` writes the same lines. */
static void synced(void **state)
{
    struct fixture *f = *state;
    json_t *lines;

    start(f, "path: out, sync: message");
    peer_publish_many(f->peer, f->queue, "m", 20);
    lines = lines_of(f->record, 20);
    expect_all_ids(lines, "m", 20);
    json_decref(lines);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

#define TEST(name) FIXTURE_TEST(name, "classic")

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plain_message),
        TEST(other_bodies),
        TEST(all_properties),
        TEST(headers_of_every_type),
        TEST(to_standard_output),
        TEST(to_a_closed_standard_output),
        TEST(reopened_while_writing),
        TEST(a_reopen_that_fails),
        TEST(a_full_device),
        TEST(stopped_on_a_full_device),
        TEST(a_full_file_gets_room),
        TEST(a_shared_file),
        TEST(synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
