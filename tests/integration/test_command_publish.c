/* test_command_publish.c - `warren publish` against a real broker: where bodies come from, what
 * properties and headers become, how it counts, and what it ends with.
 */
#include <signal.h>

#include "command_fixture.h"
#include "support/command.h"
#include "support/mock.h"
#include "support/proc.h"
#include "support/test.h"

#define LINE_MAX_BYTES (16 * 1024 * 1024)

static void expect_empty(struct fixture *f)
{
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- bodies ---- */

/* One text, once: persistent, to the default exchange, with a UUIDv7. */
static void a_body(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("publish", "-q", f->queue, "--body", "h\303\251llo");
    struct peer_message message;

    command_expect(&command, 0);
    assert_has(command.out, "published 1, confirmed 1 in ");
    assert_string_equal(command.err, "");
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.body, "h\303\251llo");
    assert_string_equal(message.exchange, "");
    assert_int_equal(message.properties->delivery_mode, 2);
    assert_int_equal(strlen(message.message_id), 36);
    assert_int_equal(message.message_id[14], '7');
    assert_int_equal(message.properties->_flags,
                     AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG);
    peer_message_done(&message);
    expect_empty(f);
    command_done(&command);
}

/* Nothing is a body, too. */
static void an_empty_body(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("publish", "-q", f->queue, "--body=");

    command_expect(&command, 0);
    expect_body(f, "", 0);
    expect_empty(f);
    command_done(&command);
}

/* A file's bytes are the body as they are: NUL, newlines, all 256 of them. */
static void a_binary_file(void **state)
{
    struct fixture *f = *state;
    char *path = text("%s/body", f->directory);
    FILE *file = fopen(path, "we");
    unsigned char bytes[1024];
    struct command command;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    assert_int_equal(fclose(file), 0);
    command = COMMAND("publish", "-q", f->queue, "--file", path);
    command_expect(&command, 0);
    expect_body(f, bytes, sizeof bytes);
    expect_empty(f);
    command_done(&command);
    free(path);
}

/* A file that cannot be read is told by its name, and nothing is published. */
static void an_unreadable_file(void **state)
{
    struct fixture *f = *state;
    struct command missing = COMMAND("publish", "-q", f->queue, "-f", "/nonexistent/body");
    struct command folder = COMMAND("publish", "-q", f->queue, "-f", f->directory);

    command_expect(&missing, 2);
    assert_has(missing.err, "error: cannot open /nonexistent/body: No such file or directory\n");
    command_expect(&folder, 2);
    assert_has(folder.err, "Is a directory");
    assert_int_equal(lines_in(folder.err), 1);
    expect_empty(f);
    command_done(&missing);
    command_done(&folder);
}

/* A line is a body: also an empty one, and a last one without its newline. */
static void lines_of_stdin(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND_READS("one\n\nthree \r\nfour", "publish", "-q", f->queue);

    command_expect(&command, 0);
    assert_has(command.out, "published 4, confirmed 4 in ");
    expect_body(f, "one", 3);
    expect_body(f, "", 0);
    expect_body(f, "three \r", 7);
    expect_body(f, "four", 4);
    expect_empty(f);
    command_done(&command);
}

/* Lines that come in pieces through a pipe are put together; a NUL is a byte like others. */
static void lines_in_pieces(void **state)
{
    struct fixture *f = *state;
    struct command command =
        command_shell("{ printf on; sleep 0.2; printf 'e\\nt\\000w'; sleep 0.2; printf 'o\\n'; } |"
                      " $WARREN publish -q \"$1\"",
                      f->queue, NULL);

    command_expect(&command, 0);
    expect_body(f, "one", 3);
    expect_body(f, "t\0wo", 4);
    expect_empty(f);
    command_done(&command);
}

/* No line is no message, and no failure. */
static void no_lines(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND_READS("", "publish", "-q", f->queue, "--json");

    command_expect(&command, 0);
    assert_has(command.out, "{\"published\":0,\"confirmed\":0,");
    expect_empty(f);
    command_done(&command);
}

/* --count bounds the lines that are read. */
static void count_bounds_lines(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND_READS("one\ntwo\nthree\n", "publish", "-q", f->queue, "--count", "2");

    command_expect(&command, 0);
    expect_body(f, "one", 3);
    expect_body(f, "two", 3);
    expect_empty(f);
    command_done(&command);
}

/* A line of 16 MiB passes; one byte more is an error that names it, behind those before it. */
static void the_longest_line(void **state)
{
    struct fixture *f = *state;
    char *size = text("%d", LINE_MAX_BYTES);
    char *over = text("%d", LINE_MAX_BYTES + 1);
    const char *script = "{ echo first; head -c \"$2\" /dev/zero | tr '\\000' x; } |"
                         " $WARREN publish -q \"$1\" --json";
    struct command fits = command_shell(script, f->queue, size);
    struct command exceeds = command_shell(script, f->queue, over);

    command_expect(&fits, 0);
    assert_has(fits.out, "{\"published\":2,\"confirmed\":2,");
    command_expect(&exceeds, 1);
    assert_has(exceeds.err, "error: line 2 is longer than 16777216 bytes\n");
    assert_has(exceeds.out, "{\"published\":1,\"confirmed\":1,");
    assert_int_equal(peer_count(f->peer, f->queue), 3);
    command_done(&fits);
    command_done(&exceeds);
    free(size);
    free(over);
}

/* ---- where to ---- */

static void by_exchange_and_key(void **state)
{
    struct fixture *f = *state;
    char *exchange = unique_name("exchange");
    struct peer_message message;
    struct command command;

    peer_exchange(f->peer, exchange, "topic");
    peer_bind(f->peer, f->queue, exchange, "orders.*");
    command = COMMAND("publish", "-e", exchange, "-k", "orders.paid", "-b", "x");
    command_expect(&command, 0);
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.exchange, exchange);
    assert_string_equal(message.routing_key, "orders.paid");
    peer_message_done(&message);
    command_done(&command);
    free(exchange);
}

/* The configuration's broker is used; --set goes over it. */
static void the_broker_of_a_configuration(void **state)
{
    struct fixture *f = *state;
    char *yaml = text("broker: {uri: '%s'}\n", f->broker->uri);
    char *path = write_file(f->directory, "worker.yaml", yaml);
    struct command from_file, over_file;

    unsetenv("WARREN_BROKER_URI");
    from_file = COMMAND("publish", "-c", path, "-q", f->queue, "-b", "x");
    command_expect(&from_file, 0);
    over_file = COMMAND("publish", "-c", path, "-q", f->queue, "-b", "x", "-t", "1s", "--set",
                        "broker.uri=amqp://127.0.0.1:1/");
    command_expect(&over_file, 1);
    assert_has(over_file.err, "amqp://127.0.0.1:1/");
    assert_int_equal(peer_count(f->peer, f->queue), 1);
    command_done(&from_file);
    command_done(&over_file);
    free(path);
    free(yaml);
}

/* ---- how many, how fast ---- */

static void note_id(const struct peer_message *message, void *user)
{
    char(*ids)[sizeof message->message_id] = user;
    size_t count = 0;

    while (*ids[count]) {
        assert_string_not_equal(ids[count], message->message_id);
        count++;
    }
    snprintf(ids[count], sizeof ids[count], "%s", message->message_id);
}

/* Each copy is a message of its own, with its own id. */
static void count_makes_copies(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("publish", "-q", f->queue, "-b", "x", "-n", "25", "--json");
    char ids[30][sizeof((struct peer_message *)NULL)->message_id] = {""};

    command_expect(&command, 0);
    assert_has(command.out, "{\"published\":25,\"confirmed\":25,");
    assert_int_equal(peer_drain(f->peer, f->queue, note_id, ids), 25);
    command_done(&command);
}

/* At most so many a second: 21 messages at 50/s take 0.4 s, less the burst that pacing allows. */
static void rate_is_kept(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-q", f->queue, "-b", "x", "-n", "21", "-r", "50", "--json");
    double seconds = 0;

    command_expect(&command, 0);
    assert_has(command.out, "\"seconds\":");
    assert_int_equal(sscanf(strstr(command.out, "\"seconds\":"), "\"seconds\":%lf", &seconds), 1);
    assert_true(seconds >= 0.39);
    assert_true(seconds < 0.39 + 2.0 * slowness());
    command_done(&command);
}

/* ---- properties and headers ---- */

#define HAS(message, FLAG) ((message).properties->_flags & AMQP_BASIC_##FLAG##_FLAG)

static void expect_text(amqp_bytes_t bytes, const char *expected)
{
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.bytes, expected, bytes.len);
}

/* Every property has its option. */
static void every_property(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-q", f->queue, "-b", "x", "--content-type=text/plain",
                "--content-encoding=gzip", "--message-id=m 1", "--correlation-id=c-1",
                "--reply-to=answers", "--expiration=60000", "--priority=7", "--type=greeting",
                "--user-id=guest", "--app-id=tests", "--timestamp=1700000000", "--transient");
    struct peer_message message;
    const amqp_basic_properties_t *p;

    command_expect(&command, 0);
    assert_true(peer_get(f->peer, f->queue, &message));
    p = message.properties;
    expect_text(p->content_type, "text/plain");
    expect_text(p->content_encoding, "gzip");
    expect_text(p->message_id, "m 1");
    expect_text(p->correlation_id, "c-1");
    expect_text(p->reply_to, "answers");
    expect_text(p->expiration, "60000");
    expect_text(p->type, "greeting");
    expect_text(p->user_id, "guest");
    expect_text(p->app_id, "tests");
    assert_int_equal(p->priority, 7);
    assert_true(HAS(message, TIMESTAMP));
    assert_true(p->timestamp == 1700000000);
    assert_int_not_equal(p->delivery_mode, 2);
    peer_message_done(&message);
    command_done(&command);
}

static const amqp_field_value_t *header_of(const struct peer_message *message, const char *name)
{
    const amqp_table_t *headers = &message->properties->headers;

    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_bytes_t *key = &headers->entries[i].key;

        if (key->len == strlen(name) && memcmp(key->bytes, name, key->len) == 0)
            return &headers->entries[i].value;
    }
    fail_msg("there is no header %s", name);
    return NULL;
}

/* A header's type arrives as it was written, with the ends of each range. */
static void typed_headers(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-q", f->queue, "-b", "x", "-H", "plain=a=b", "-H", "a:b:string=1", "-H",
                "empty=", "-H", "yes:bool=true", "-H", "i8:i8=-128", "-H", "u8:u8=255", "-H",
                "i16:i16=-32768", "-H", "u16:u16=65535", "-H", "i32:i32=-2147483648", "-H",
                "u32:u32=4294967295", "-H", "i64:i64=-9223372036854775808", "-H", "f32:f32=1.5",
                "-H", "f64:f64=-2.25e10", "-H", "when:timestamp=1700000000", "-H", "none:void=");
    struct peer_message message;

    command_expect(&command, 0);
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_int_equal(message.properties->headers.num_entries, 15);
    assert_int_equal(header_of(&message, "plain")->kind, AMQP_FIELD_KIND_UTF8);
    expect_text(header_of(&message, "plain")->value.bytes, "a=b");
    expect_text(header_of(&message, "a:b")->value.bytes, "1");
    assert_int_equal(header_of(&message, "empty")->value.bytes.len, 0);
    assert_int_equal(header_of(&message, "yes")->kind, AMQP_FIELD_KIND_BOOLEAN);
    assert_true(header_of(&message, "yes")->value.boolean);
    assert_int_equal(header_of(&message, "i8")->kind, AMQP_FIELD_KIND_I8);
    assert_int_equal(header_of(&message, "i8")->value.i8, -128);
    assert_int_equal(header_of(&message, "u8")->kind, AMQP_FIELD_KIND_U8);
    assert_int_equal(header_of(&message, "u8")->value.u8, 255);
    assert_int_equal(header_of(&message, "i16")->kind, AMQP_FIELD_KIND_I16);
    assert_int_equal(header_of(&message, "i16")->value.i16, INT16_MIN);
    assert_int_equal(header_of(&message, "u16")->kind, AMQP_FIELD_KIND_U16);
    assert_int_equal(header_of(&message, "u16")->value.u16, UINT16_MAX);
    assert_int_equal(header_of(&message, "i32")->kind, AMQP_FIELD_KIND_I32);
    assert_true(header_of(&message, "i32")->value.i32 == INT32_MIN);
    assert_int_equal(header_of(&message, "u32")->kind, AMQP_FIELD_KIND_U32);
    assert_true(header_of(&message, "u32")->value.u32 == UINT32_MAX);
    assert_int_equal(header_of(&message, "i64")->kind, AMQP_FIELD_KIND_I64);
    assert_true(header_of(&message, "i64")->value.i64 == INT64_MIN);
    assert_int_equal(header_of(&message, "f32")->kind, AMQP_FIELD_KIND_F32);
    assert_true(header_of(&message, "f32")->value.f32 == 1.5F);
    assert_int_equal(header_of(&message, "f64")->kind, AMQP_FIELD_KIND_F64);
    assert_true(header_of(&message, "f64")->value.f64 == -2.25e10);
    assert_int_equal(header_of(&message, "when")->kind, AMQP_FIELD_KIND_TIMESTAMP);
    assert_true(header_of(&message, "when")->value.u64 == 1700000000);
    assert_int_equal(header_of(&message, "none")->kind, AMQP_FIELD_KIND_VOID);
    peer_message_done(&message);
    command_done(&command);
}

/* A header that is wrong is repeated with what was expected; nothing is published. */
static void wrong_headers(void **state)
{
    static const char *const rows[][2] = {
        {"name", "it is written NAME=TEXT or NAME:TYPE=VALUE"},
        {"=x", "a name has 1 to 255 bytes"},
        {":i8=1", "a name has 1 to 255 bytes"},
        {"n:i8=128", "\"128\" is no i8, a whole number from -128 to 127"},
        {"n:u8=-1", "\"-1\" is no u8"},
        {"n:i32=1.5", "\"1.5\" is no i32"},
        {"n:i64=9223372036854775808", "is no i64"},
        {"n:i64=", "\"\" is no i64"},
        {"n:bool=yes", "\"yes\" is no bool"},
        {"n:f64=fast", "\"fast\" is no f64"},
        {"n:timestamp=-1", "\"-1\" is no timestamp"},
        {"n:void=x", "\"x\" is no void"},
        {"n:strng=x", "unknown type \"strng\"; did you mean \"string\"?"},
        {"urn:isbn=x", "a name with a colon is written NAME:string=TEXT"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command command = COMMAND("publish", "-q", f->queue, "-b", "x", "-H", rows[i][0]);

        command_expect(&command, 2);
        assert_string_equal(command.out, "");
        assert_has(command.err, rows[i][1]);
        command_done(&command);
    }
    expect_empty(f);
}

/* ---- how it ends ---- */

/* The summary has these members, in this order, and no other. */
static void the_summary(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("publish", "-q", f->queue, "-b", "x", "-n", "3", "--json");
    double seconds = -1;
    char *expected;

    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "\"seconds\":"));
    assert_int_equal(sscanf(strstr(command.out, "\"seconds\":"), "\"seconds\":%lf", &seconds), 1);
    expected = text("{\"published\":3,\"confirmed\":3,\"returned\":0,\"nacked\":0,\"timeout\":0,"
                    "\"seconds\":%.3f}\n",
                    seconds);
    assert_string_equal(command.out, expected);
    assert_string_equal(command.err, "");
    assert_true(seconds >= 0 && seconds < 30);
    free(expected);
    command_done(&command);
}

/* A message for which there is no queue, or no exchange, is returned: told with the broker's
 * words, once, and a failure. */
static void returned(void **state)
{
    struct fixture *f = *state;
    char *nowhere = unique_name("nowhere");
    struct command queue = COMMAND("publish", "-q", nowhere, "-b", "x", "-n", "5", "--json");
    struct command exchange = COMMAND("publish", "-e", nowhere, "-k", "k", "-b", "x", "--json");
    struct command optional = COMMAND("publish", "-q", nowhere, "-b", "x", "--optional", "--json");

    (void)f;
    command_expect(&queue, 1);
    assert_has(queue.out, "{\"published\":5,\"confirmed\":0,\"returned\":5,\"nacked\":0,");
    assert_has(queue.err, "returned: 312 NO_ROUTE");
    assert_int_equal(lines_in(queue.err), 1);
    command_expect(&exchange, 1);
    assert_has(exchange.out, "\"returned\":1,");
    assert_has(exchange.err, "404 NOT_FOUND - no exchange");
    command_expect(&optional, 0); /* dropped, as was asked for */
    assert_has(optional.out, "{\"published\":1,\"confirmed\":1,\"returned\":0,");
    command_done(&queue);
    command_done(&exchange);
    command_done(&optional);
    free(nowhere);
}

/* What a full queue refuses is nacked, and a failure. */
static void nacked(void **state)
{
    struct fixture *f = *state;
    char *full = unique_name("full");
    const amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-max-length"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 2}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8,
                   .value.bytes = amqp_cstring_bytes("reject-publish")}}};
    struct command command;

    peer_declare_with(f->peer, full, "classic", arguments, 2);
    /* One at a time: how many a burst puts in before the queue notices is the broker's affair. */
    command = COMMAND("publish", "-q", full, "-b", "x", "-n", "6", "-w", "1", "--json");
    command_expect(&command, 1);
    assert_has(command.out, "{\"published\":6,\"confirmed\":2,\"returned\":0,\"nacked\":4,");
    assert_has(command.err, ": nacked\n");
    peer_delete(f->peer, full);
    command_done(&command);
    free(full);
}

static void never_confirm(struct mock_peer *mock, int connection, void *user)
{
    (void)connection;
    (void)user;
    mock_handshake(mock, NULL);
    mock_expect(mock, AMQP_BASIC_PUBLISH_METHOD);
    mock_serve(mock, 60000);
}

/* What is not confirmed in time is a timeout, and a failure. */
static void timed_out(void **state)
{
    struct mock *mock = mock_new(never_confirm, NULL);
    struct command command =
        COMMAND("publish", "-u", mock_uri(mock), "-q", "q", "-b", "x", "--timeout", "3s", "--json");

    (void)state;
    command_expect(&command, 1);
    assert_has(command.out, "{\"published\":1,\"confirmed\":0,\"returned\":0,\"nacked\":0,"
                            "\"timeout\":1,\"seconds\":");
    assert_has(command.err, ": timeout\n");
    command_done(&command);
    mock_free(mock);
}

/* Without a broker it ends after --timeout, with the reason, and its summary. */
static void no_broker(void **state)
{
    struct command command = COMMAND("publish", "-u", "amqp://u:Hors3Staple@127.0.0.1:1/", "-q",
                                     "q", "-b", "x", "-t", "300ms", "--json");

    (void)state;
    command_expect(&command, 1);
    assert_has(command.out, "{\"published\":0,\"confirmed\":0,");
    assert_has(command.err, "no connection to the broker within 0.3 s: amqp://127.0.0.1:1/");
    assert_null(strstr(command.err, "Hors3Staple"));
    command_done(&command);
}

/* Credentials that the broker refuses are called so, and not repeated. */
static void wrong_password(void **state)
{
    struct fixture *f = *state;
    char *uri = text("amqp://guest:Hors3Staple@127.0.0.1:%u/", f->broker->port);
    struct command command =
        COMMAND("publish", "-u", uri, "-q", f->queue, "-b", "x", "-t", "1500ms");

    command_expect(&command, 1);
    assert_has(command.err, "403 ACCESS_REFUSED");
    assert_null(strstr(command.err, "Hors3Staple"));
    assert_null(strstr(command.out, "Hors3Staple"));
    command_done(&command);
    free(uri);
}

/* Headers that fit no frame are refused with the reason; a long body widens the window. */
static void too_big(void **state)
{
    struct fixture *f = *state;
    char *long_text = calloc(1, 70001);
    char *header = long_text;
    struct command headers, body;

    assert_non_null(long_text);
    memset(long_text, 'x', 70000);
    header[1] = '=';
    headers = COMMAND("publish", "-q", f->queue, "-b", "x", "-H", header, "-H", header);
    command_expect(&headers, 1);
    assert_has(headers.err, "message 1 cannot be published: its headers exceed a frame");
    expect_empty(f);
    body = COMMAND("publish", "-q", f->queue, "-b", long_text, "-s", "publisher.window_bytes=1KiB");
    command_expect(&body, 0);
    expect_body(f, long_text, 70000);
    command_done(&headers);
    command_done(&body);
    free(long_text);
}

/* --quiet: nothing where all is well; what went wrong is still said. */
static void quiet(void **state)
{
    struct fixture *f = *state;
    struct command good = COMMAND("publish", "-q", f->queue, "-b", "x", "--quiet");
    struct command bad = COMMAND("publish", "-q", "no such queue", "-b", "x", "--quiet");

    command_expect(&good, 0);
    assert_string_equal(good.out, "");
    assert_string_equal(good.err, "");
    command_expect(&bad, 1);
    assert_string_equal(bad.out, "");
    assert_has(bad.err, "NO_ROUTE");
    command_done(&good);
    command_done(&bad);
}

/* --delay: confirmed at once, in the queue after its time. */
static void delayed(void **state)
{
    struct fixture *f = *state;
    int64_t begin_ms = now_ms();
    struct command command =
        COMMAND("publish", "-q", f->queue, "-b", "later", "--delay", "1500ms", "--json");

    command_expect(&command, 0);
    assert_has(command.out, "{\"published\":1,\"confirmed\":1,");
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 1, 20000 * slowness()));
    assert_true(now_ms() - begin_ms >= 1500);
    expect_body(f, "later", 5);
    command_done(&command);
}

/* A delay that is none, that is too long, that an expiration would end; a queue that is not there.
 */
static void wrong_delays(void **state)
{
    struct fixture *f = *state;
    struct command no_time = COMMAND("publish", "-q", f->queue, "-b", "x", "--delay", "soon");
    struct command too_long = COMMAND("publish", "-q", f->queue, "-b", "x", "-d", "31d");
    struct command longer =
        COMMAND("publish", "-q", f->queue, "-b", "x", "-d", "2h", "--set", "delay.longest=1h");
    struct command expires =
        COMMAND("publish", "-q", f->queue, "-b", "x", "-d", "2s", "--expiration", "1000");
    struct command nowhere = COMMAND("publish", "-q", "no such queue", "-b", "x", "-d", "2s");

    command_expect(&no_time, 2);
    assert_has(no_time.err, "--delay soon: it is a time such as 250ms, 90s, 2h or 30d");
    command_expect(&too_long, 2);
    assert_has(too_long.err, "--delay: at most 30d (delay.longest)");
    command_expect(&longer, 2);
    assert_has(longer.err, "--delay: at most 1h (delay.longest)");
    command_expect(&expires, 2);
    assert_has(expires.err, "--delay or --expiration, not both");
    command_expect(&nowhere, 1);
    assert_has(nowhere.err, "404 NOT_FOUND - no queue 'no such queue'");
    command_done(&no_time);
    command_done(&too_long);
    command_done(&longer);
    command_done(&expires);
    command_done(&nowhere);
}

/* An interrupt ends a long run with its summary; what was published until then is confirmed. */
static void interrupted(void **state)
{
    struct fixture *f = *state;
    struct proc *proc =
        WARREN("publish", "-q", f->queue, "-b", "x", "-n", "100000", "-r", "20", "--json");
    int published = -1, confirmed = -1;

    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) >= 3, 20000));
    proc_signal(proc, SIGINT);
    assert_int_equal(proc_wait(proc, 20000), 1);
    assert_has(proc_stderr(proc), "interrupted");
    assert_int_equal(
        sscanf(proc_stdout(proc), "{\"published\":%d,\"confirmed\":%d", &published, &confirmed), 2);
    assert_true(published >= 3);
    assert_int_equal(confirmed, published);
    assert_int_equal(peer_count(f->peer, f->queue), published);
    proc_free(proc);
}

/* A standard input that whoever started us had closed is no empty one. */
static void a_closed_standard_input(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = {"sh",           "-c",     "exec \"$0\" publish -q \"$1\" <&-",
                                WARREN_COMMAND, f->queue, NULL};
    struct proc *proc = proc_start(argv, NULL, NULL);

    assert_int_equal(proc_wait(proc, 20000 * slowness()), 1);
    assert_has(proc_stderr(proc), "cannot read standard input");
    proc_free(proc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body),
        TEST(an_empty_body),
        TEST(a_binary_file),
        TEST(an_unreadable_file),
        TEST(lines_of_stdin),
        TEST(lines_in_pieces),
        TEST(no_lines),
        TEST(a_closed_standard_input),
        TEST(count_bounds_lines),
        TEST(the_longest_line),
        TEST(by_exchange_and_key),
        TEST(the_broker_of_a_configuration),
        TEST(count_makes_copies),
        TEST(rate_is_kept),
        TEST(every_property),
        TEST(typed_headers),
        TEST(wrong_headers),
        TEST(the_summary),
        TEST(returned),
        TEST(nacked),
        TEST(timed_out),
        TEST(no_broker),
        TEST(wrong_password),
        TEST(too_big),
        TEST(quiet),
        TEST(delayed),
        TEST(wrong_delays),
        TEST(interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
