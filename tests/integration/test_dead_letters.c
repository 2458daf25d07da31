/* test_dead_letters.c - what dead letters say, on a real broker: of those that a worker gives up,
 * and of those that the broker itself does.
 */
#include <signal.h>
#include <time.h>

#include <warren/version.h>

#include "dead_fixture.h"
#include "support/test.h"

#define HEADERS 200

/* A rejected message is in the dead-letter queue, body and properties as they were, with an
 * envelope that says what happened; and nowhere else. */
static void a_rejected_message_has_its_envelope(void **state)
{
    struct fixture *f = *state;
    char *dlx = text("%s.dlx", f->queue);
    amqp_table_entry_t own = {
        .key = amqp_cstring_bytes("tenant"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("acme")}};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG |
                  AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                  AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_HEADERS_FLAG |
                  AMQP_BASIC_USER_ID_FLAG,
        .message_id = amqp_cstring_bytes("m-1"),
        .content_type = amqp_cstring_bytes("text/plain"),
        .correlation_id = amqp_cstring_bytes("c-1"),
        .reply_to = amqp_cstring_bytes("amq.rabbitmq.reply-to.gone"),
        .priority = 3,
        .timestamp = 1600000000,
        .type = amqp_cstring_bytes("order"),
        .app_id = amqp_cstring_bytes("shop"),
        .expiration = amqp_cstring_bytes("3600000"),
        .user_id = amqp_cstring_bytes("guest"),
        .headers = {1, &own}};
    uint64_t began = (uint64_t)time(NULL);
    struct peer_message dead;
    char host[65] = "";

    configure(f, "type: quorum", "", "outcome: reject", "[log, retry, recover]");
    worker_consume(f->worker, 1);
    peer_bind(f->peer, f->queue, "amq.topic", f->queue);
    peer_publish(f->peer, "amq.topic", f->queue, "a \0 body", 8, &properties);
    take_dead(f, &dead);
    assert_int_equal(dead.length, 8);
    assert_memory_equal(dead.body, "a \0 body", 8);
    assert_string_equal(dead.message_id, "m-1");
    assert_int_equal(dead.properties->_flags,
                     (properties._flags | AMQP_BASIC_DELIVERY_MODE_FLAG) &
                         ~(amqp_flags_t)(AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_USER_ID_FLAG));
    assert_int_equal(dead.properties->delivery_mode, 2);
    assert_int_equal(dead.properties->priority, 3);
    assert_int_equal(dead.properties->timestamp, 1600000000);
    assert_memory_equal(dead.properties->reply_to.bytes, "amq.rabbitmq.reply-to.gone", 26);
    assert_header(&dead, "tenant", "acme");
    assert_header(&dead, NOTE_REASON, REASON_REJECTED);
    assert_header(&dead, NOTE_QUEUE, f->queue);
    assert_header(&dead, NOTE_EXCHANGE, "amq.topic");
    assert_header(&dead, NOTE_ROUTING_KEY, f->queue);
    assert_header(&dead, NOTE_HANDLER, "probe.record");
    assert_header(&dead, NOTE_ERROR, "the probe was told to answer reject");
    assert_header(&dead, NOTE_VERSION, WARREN_VERSION);
    assert_header(&dead, NOTE_EXPIRATION, "3600000");
    assert_header(&dead, NOTE_USER_ID, "guest");
    gethostname(host, sizeof host - 1);
    assert_header(&dead, NOTE_HOST, host);
    assert_integer(&dead, NOTE_ATTEMPTS, 1);
    assert_in_range(time_in(&dead, NOTE_FIRST_FAILURE), began, (uint64_t)time(NULL));
    assert_in_range(time_in(&dead, NOTE_LAST_FAILURE), began, (uint64_t)time(NULL));
    assert_string_equal(dead.exchange, dlx);
    free(dlx);
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
    assert_int_equal(peer_count(f->peer, f->dlq), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "rejected"), 1);
    assert_int_equal(worker_number(f->worker, "stopped", "dead_lettered"), 1);
}

/* Texts that hold a NUL are in the dead letter to their ends, and a header that goes on behind the
 * name of one of the broker's is the message's own. */
static void a_nul_ends_no_text(void **state)
{
    struct fixture *f = *state;
    amqp_table_entry_t own = {
        .key = {13, "x-death\0other"},
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("acme")}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG |
                                                    AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG,
                                          .message_id = {5, "dup\0A"},
                                          .type = {1, "\0"},
                                          .headers = {1, &own}};
    char *key = text("%s..", f->queue);
    size_t len = strlen(key);
    struct peer_message dead;
    const amqp_field_value_t *noted;

    key[len - 2] = '\0'; /* QUEUE NUL . */
    configure(f, "type: quorum", "", "outcome: reject", "[log, retry, recover]");
    worker_consume(f->worker, 1);
    peer_exchange(f->peer, f->queue, "fanout");
    peer_bind(f->peer, f->queue, f->queue, "");
    peer_publish_bytes(f->peer, f->queue, key, len, "b", 1, &properties);
    take_dead(f, &dead);
    assert_int_equal(dead.properties->message_id.len, 5);
    assert_memory_equal(dead.properties->message_id.bytes, "dup\0A", 5);
    assert_int_equal(dead.properties->type.len, 1);
    assert_int_equal(dead.properties->headers.entries[0].key.len, 13);
    assert_memory_equal(dead.properties->headers.entries[0].key.bytes, "x-death\0other", 13);
    noted = header(&dead, NOTE_ROUTING_KEY);
    assert_non_null(noted);
    assert_int_equal(noted->value.bytes.len, len);
    assert_memory_equal(noted->value.bytes.bytes, key, len);
    peer_message_done(&dead);
    stop(f);
    worker_expect_logged(f->worker, "message_id=\"dup\\u0000A\"", "outcome=reject", 1);
    peer_delete_exchange(f->peer, f->queue);
    free(key);
}

/* A message without an id, or with an empty one, gets none by the delay queues, nor when it dies.
 */
static void a_message_without_an_id(void **state)
{
    const amqp_basic_properties_t ids[] = {
        {._flags = AMQP_BASIC_TYPE_FLAG, .type = amqp_cstring_bytes("order")},
        {._flags = AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
         .type = amqp_cstring_bytes("order"),
         .message_id = {0, ""}}};
    struct fixture *f = *state;

    configure(f, "type: quorum", "", "outcome: retry",
              "[retry: {max_attempts: 2, policy: constant, jitter: none, initial_delay: 100ms, "
              "in_memory_max: 0ms}]");
    worker_consume(f->worker, 1);
    for (int i = 0; i < 2; i++)
        peer_publish(f->peer, "", f->queue, "b", 1, &ids[i]);
    assert_true(has_dead(f, 2));
    for (int i = 0; i < 2; i++) {
        struct peer_message dead;

        assert_true(peer_get(f->peer, f->dlq, &dead));
        assert_string_equal(dead.message_id, "");
        assert_int_equal(dead.properties->type.len, 5);
        assert_integer(&dead, NOTE_ATTEMPTS, 2);
        assert_non_null(header(&dead, NOTE_COPY));
        peer_message_done(&dead);
    }
    stop(f);
}

/* ---- why ---- */

struct why {
    const char *options;
    const char *chain;
    const char *reason;
    int64_t attempts;
    const char *error;
};

/* Of @messages published messages one becomes a dead letter. */
static void assert_why(struct fixture *f, const struct why *why, unsigned messages)
{
    struct peer_message dead;
    char *error;

    configure(f, "type: classic", "consumer: {concurrency: 1}", why->options, why->chain);
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "m", messages);
    take_dead(f, &dead);
    assert_header(&dead, NOTE_REASON, why->reason);
    assert_integer(&dead, NOTE_ATTEMPTS, why->attempts);
    error = text(why->error, f->queue);
    assert_header(&dead, NOTE_ERROR, error);
    free(error);
    peer_message_done(&dead);
    stop(f);
}

static void too_many_attempts(void **state)
{
    static const struct why why = {
        "outcome: retry", "[retry: {max_attempts: 3, policy: immediate}]", REASON_ATTEMPTS, 3,
        "gave up after 3 attempts: the probe was told to answer retry"};

    assert_why(*state, &why, 1);
}

static void an_open_breaker(void **state)
{
    static const struct why why = {
        "outcome: retry",
        "[retry: {policy: constant, jitter: none, initial_delay: 30s}, "
        "{breaker: {consecutive: 1, open_time: 1m, on_open: dead-letter}}]",
        REASON_BREAKER, 0, "the breaker of %s is open"};

    assert_why(*state, &why, 2);
}

/* ---- sizes ---- */

/* A message of 200 headers of @size bytes each, and an error text of 1 MB. */
static void put_large(struct fixture *f, size_t size)
{
    static amqp_table_entry_t entries[HEADERS];
    static char names[HEADERS][8];
    amqp_basic_properties_t properties = {._flags =
                                              AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes("large"),
                                          .headers = {HEADERS, entries}};
    char *value = malloc(size);

    assert_non_null(value);
    memset(value, 'v', size);
    for (unsigned i = 0; i < HEADERS; i++) {
        snprintf(names[i], sizeof names[i], "h-%03u", i);
        entries[i] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(names[i]),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = {size, value}}};
    }
    configure(f, "type: quorum", "", "outcome: reject, error_size: 1048576", "[retry, recover]");
    worker_consume(f->worker, 1);
    peer_publish(f->peer, "", f->queue, "body", 4, &properties);
    free(value);
}

/* How many of the 200 headers came along, and how many are named as left out. */
static void count_headers(const struct peer_message *dead, unsigned *kept, unsigned *left_out)
{
    const amqp_field_value_t *names = header(dead, NOTE_LEFT_OUT);
    char list[1024] = "";

    if (names)
        snprintf(list, sizeof list, "%.*s", (int)names->value.bytes.len,
                 (const char *)names->value.bytes.bytes);
    *kept = *left_out = 0;
    for (unsigned i = 0; i < HEADERS; i++) {
        char name[8];

        snprintf(name, sizeof name, "h-%03u", i);
        *kept += header(dead, name) != NULL;
        *left_out += strstr(list, name) != NULL;
    }
}

static void assert_error_of_e(const struct peer_message *dead)
{
    const amqp_field_value_t *error = header(dead, NOTE_ERROR);

    assert_non_null(error);
    assert_in_range(error->value.bytes.len, 100, 131072);
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(((const char *)error->value.bytes.bytes)[i], 'e');
}

/* An error text of 1 MB is cut; 200 headers that leave room for that stay. */
static void a_large_error_and_many_headers(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;
    unsigned kept;
    unsigned left_out;

    put_large(f, 100);
    take_dead(f, &dead);
    count_headers(&dead, &kept, &left_out);
    assert_int_equal(kept, HEADERS);
    assert_int_equal(left_out, 0);
    assert_error_of_e(&dead);
    assert_header(&dead, NOTE_REASON, REASON_REJECTED);
    assert_string_equal(dead.message_id, "large");
    peer_message_done(&dead);
    stop(f);
}

/* Headers that fill the frame leave no room for an envelope: some are left out, and named. */
static void headers_that_fill_the_frame(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;
    unsigned kept;
    unsigned left_out;

    put_large(f, 644);
    take_dead(f, &dead);
    count_headers(&dead, &kept, &left_out);
    assert_in_range(left_out, 1, 10);
    assert_int_equal(kept + left_out, HEADERS);
    assert_header(&dead, NOTE_REASON, REASON_REJECTED);
    assert_header(&dead, NOTE_QUEUE, f->queue);
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

#define BIG_SIZE 130800

/* A worker that fails with this delay, for which no message is to wait in memory, gets a message
 * whose only header nearly fills a frame. */
static void put_big(struct fixture *f, const char *delay)
{
    char *chain = text("[{retry: {policy: constant, jitter: none, initial_delay: %s, "
                       "in_memory_max: 0ms, max_attempts: 2}}]",
                       delay);
    char *big = malloc(BIG_SIZE);
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("big"),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {1, &entry}};

    assert_non_null(big);
    memset(big, 'b', BIG_SIZE);
    entry.value.value.bytes = (amqp_bytes_t){BIG_SIZE, big};
    configure(f, "type: classic", "", "outcome: retry", chain);
    worker_consume(f->worker, 1);
    peer_publish(f->peer, "", f->queue, "body", 4, &properties);
    free(chain);
    free(big);
}

static bool no_room_was_told(struct fixture *f)
{
    return worker_logged(f->worker, "retry is not confirmed",
                         "the headers leave no room for those of a copy") == 1;
}

/* With the same, a later attempt has no copy, which would lack one: the message waits, and the log
 * says why. */
static void headers_that_leave_no_room_for_a_copy(void **state)
{
    struct fixture *f = *state;
    struct peer_message dead;

    put_big(f, "10ms");
    take_dead(f, &dead);
    assert_integer(&dead, NOTE_ATTEMPTS, 2);
    assert_header(&dead, NOTE_LEFT_OUT, "big");
    assert_true(WAIT_FOR(no_room_was_told(f), PATIENCE_MS)); /* the log has a thread of its own */
    peer_message_done(&dead);
    stop(f);
}

/* When the worker ends meanwhile, it goes back as it is. */
static void what_waits_without_a_copy_goes_back(void **state)
{
    struct fixture *f = *state;
    struct peer_message back;

    put_big(f, "30s");
    assert_true(WAIT_FOR(no_room_was_told(f), PATIENCE_MS));
    stop(f);
    assert_true(peer_get(f->peer, f->queue, &back));
    assert_int_equal(header(&back, "big")->value.bytes.len, BIG_SIZE);
    assert_null(header(&back, NOTE_ATTEMPTS));
    peer_message_done(&back);
}

/* Notes of a sender's: the handler runs once, the dead letter is written, and says what was. */
static void notes_of_a_sender(void **state)
{
    static char name[300];
    struct fixture *f = *state;
    amqp_table_entry_t entries[] = {{.key = amqp_cstring_bytes(NOTE_ROUTING_KEY)},
                                    {.key = amqp_cstring_bytes(NOTE_ATTEMPTS)},
                                    {.key = amqp_cstring_bytes(NOTE_CC)}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {3, entries}};
    struct peer_message dead;

    memset(name, 'n', sizeof name);
    entries[0].value.kind = entries[2].value.kind = AMQP_FIELD_KIND_UTF8;
    entries[0].value.value.bytes = entries[2].value.value.bytes = (amqp_bytes_t){256, name};
    entries[1].value.kind = AMQP_FIELD_KIND_I64;
    entries[1].value.value.i64 = 1000;
    configure(f, "type: classic", "", "outcome: retry",
              "[log, {retry: {max_attempts: 2, initial_delay: 10ms}}, recover]");
    worker_consume(f->worker, 1);
    peer_publish(f->peer, "", f->queue, "body", 4, &properties);
    take_dead(f, &dead);
    assert_header(&dead, NOTE_ROUTING_KEY, f->queue);
    assert_header(&dead, NOTE_REASON, REASON_ATTEMPTS);
    assert_integer(&dead, NOTE_ATTEMPTS, 2);
    assert_null(header(&dead, NOTE_CC));
    peer_message_done(&dead);
    stop(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- the broker's own ---- */

/* A worker with the first message in its handler, which waits, and no room for another one. */
static void run_and_hold_one(struct fixture *f, const char *arguments)
{
    char *options = text("gate: '%s'", f->gate);

    configure(f, arguments, "consumer: {prefetch: 1}", options, "[retry]");
    worker_consume(f->worker, 1);
    peer_publish_many(f->peer, f->queue, "first", 1);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 0, PATIENCE_MS));
    free(options);
}

/* What the broker gave up lies in the same queue, without a note of warren's. */
static void assert_brokers(struct fixture *f, const char *id, const char *reason)
{
    struct peer_message dead;

    take_dead(f, &dead);
    assert_string_equal(dead.message_id, id);
    assert_header(&dead, "x-first-death-reason", reason);
    assert_header(&dead, "x-first-death-queue", f->queue);
    assert_null(header(&dead, NOTE_REASON));
    peer_message_done(&dead);
}

static void expired(void **state)
{
    struct fixture *f = *state;

    run_and_hold_one(f, "type: quorum, arguments: {x-message-ttl: 300}");
    peer_publish_many(f->peer, f->queue, "late", 1);
    assert_brokers(f, "late-0", "expired");
    unlink(f->gate);
    stop(f);
}

static void too_long_a_queue(void **state)
{
    struct fixture *f = *state;

    run_and_hold_one(f, "type: classic, arguments: {x-max-length: 1}");
    peer_publish_many(f->peer, f->queue, "next", 2);
    assert_brokers(f, "next-0", "maxlen");
    unlink(f->gate);
    stop(f);
}

/* The warning at start is about this: a worker that dies is not the message's fault. */
static void too_many_deliveries(void **state)
{
    struct fixture *f = *state;

    run_and_hold_one(f, "type: quorum, arguments: {x-delivery-limit: 0}");
    worker_expect_logged(f->worker, "x-delivery-limit is below", f->queue, 1);
    proc_signal(f->worker->proc, SIGKILL);
    assert_brokers(f, "first-0", "delivery_limit");
}

/* RabbitMQ 4 has a limit of its own for quorum queues: not for one that a worker declares. */
static void the_brokers_default_limit(void **state)
{
    struct fixture *f = *state;

    configure(f, "type: quorum", "", "outcome: ack", "[retry: {max_attempts: 21}]");
    worker_consume(f->worker, 1);
    stop(f);
    assert_int_equal(worker_logged(f->worker, "delivery limit", f->queue), 0);
    assert_int_equal(worker_logged(f->worker, "x-delivery-limit", f->queue), 0);
}

#define T(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_rejected_message_has_its_envelope),
        T(a_nul_ends_no_text),
        T(a_message_without_an_id),
        T(too_many_attempts),
        T(an_open_breaker),
        T(a_large_error_and_many_headers),
        T(headers_that_fill_the_frame),
        T(headers_that_leave_no_room_for_a_copy),
        T(what_waits_without_a_copy_goes_back),
        T(notes_of_a_sender),
        T(expired),
        T(too_long_a_queue),
        T(too_many_deliveries),
        T(the_brokers_default_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
