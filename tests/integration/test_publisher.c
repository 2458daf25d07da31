/* The publisher on a real broker: every message ends in exactly one result, and that result is the
 * truth about the queue. Elsewhere: a full window, callbacks, endings (test_publisher_window.c).
 */
#include "publisher_fixture.h"

#define FRAME_MAX 131072u
#define BODY_MAX  (FRAME_MAX - 8) /* in one frame */

/* ---- what arrives ---- */

/* Messages with ids of the caller's are confirmed under them and lie in the queue in order. */
static void given_ids_arrive_in_order(void **state)
{
    struct fixture *f = *state;
    struct ledger_plan plan = {.routing_key = f->queue, .id_prefix = "order"};

    f->ledger = ledger_new(500, &plan);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 500);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 500);
    assert_int_equal(ledger_totals(f->ledger).queued, 500);
    assert_int_equal(ledger_totals(f->ledger).duplicates, 0);
    assert_int_equal(ledger_totals(f->ledger).disordered, 0);
    assert_string_equal(ledger_entry(f->ledger, 499)->id, "order-499");
    assert_int_equal(ledger_entry(f->ledger, 499)->sends, 1);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Messages without an id get a UUID of version 7: unique, and its time never goes back. */
static void generated_ids_are_uuids_of_version_7(void **state)
{
    struct fixture *f = *state;
    const char *ids[2000];

    new_ledger(f, 2000);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 2000);
    flush(f);
    drain_and_check(f);
    for (unsigned i = 0; i < 2000; i++) {
        ids[i] = ledger_entry(f->ledger, i)->id;
        assert_int_equal(strlen(ids[i]), 36);
        assert_int_equal(ids[i][14], '7');
        assert_non_null(strchr("89ab", ids[i][19]));
        assert_true(i == 0 || strncmp(ids[i - 1], ids[i], 13) <= 0);
    }
    qsort(ids, 2000, sizeof *ids, by_text);
    for (unsigned i = 1; i < 2000; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

static void publish_properties(struct fixture *f, const struct warren_properties *properties)
{
    struct warren_message message = {.properties = *properties, .body = warren_text("body")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    enum warren_result result = WARREN_TIMEOUT;

    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(warren_publisher_publish_wait(f->publisher, &publish, &result, NULL),
                     WARREN_OK);
    assert_int_equal(result, WARREN_CONFIRMED);
}

static void assert_bytes(amqp_bytes_t bytes, const char *expected)
{
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.bytes, expected, bytes.len);
}

/* All fourteen properties of basic arrive as they were given. */
static void all_properties_arrive(void **state)
{
    struct fixture *f = *state;
    struct warren_field header = warren_field_text("a", "b");
    struct peer_message got;
    const amqp_basic_properties_t *p;

    publish_properties(f, &(struct warren_properties){.content_type = "application/json",
                                                      .content_encoding = "gzip",
                                                      .headers = {&header, 1},
                                                      .delivery_mode = 1,
                                                      .has_priority = true,
                                                      .priority = 7,
                                                      .correlation_id = "c-1",
                                                      .reply_to = "answers",
                                                      .expiration = "600000",
                                                      .message_id = "m-1",
                                                      .has_timestamp = true,
                                                      .timestamp = 1700000000,
                                                      .type = "order.created",
                                                      .user_id = "guest",
                                                      .app_id = "test",
                                                      .cluster_id = "c"});
    assert_true(peer_get(f->peer, f->queue, &got));
    p = got.properties;
    assert_string_equal(got.body, "body");
    assert_bytes(p->content_type, "application/json");
    assert_bytes(p->content_encoding, "gzip");
    assert_int_equal(p->headers.num_entries, 1);
    assert_int_equal(p->delivery_mode, 1);
    assert_int_equal(p->priority, 7);
    assert_bytes(p->correlation_id, "c-1");
    assert_bytes(p->reply_to, "answers");
    assert_bytes(p->expiration, "600000");
    assert_bytes(p->message_id, "m-1");
    assert_int_equal(p->timestamp, 1700000000);
    assert_bytes(p->type, "order.created");
    assert_bytes(p->user_id, "guest");
    assert_bytes(p->app_id, "test");
    assert_bytes(p->cluster_id, "c");
    peer_message_done(&got);
}

/* What the caller does not give is absent, but for persistence and the id. */
static void defaults_are_persistence_and_an_id(void **state)
{
    struct fixture *f = *state;
    struct peer_message got;

    publish_properties(f, &(struct warren_properties){0});
    assert_true(peer_get(f->peer, f->queue, &got));
    assert_int_equal(got.properties->_flags,
                     AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG);
    assert_int_equal(got.properties->delivery_mode, 2);
    assert_int_equal(strlen(got.message_id), 36);
    peer_message_done(&got);
}

static const amqp_field_value_t *header_of(const struct peer_message *message, const char *name)
{
    const amqp_table_t *table = &message->properties->headers;

    for (int i = 0; i < table->num_entries; i++)
        if (table->entries[i].key.len == strlen(name) &&
            memcmp(table->entries[i].key.bytes, name, strlen(name)) == 0)
            return &table->entries[i].value;
    fail_msg("no header %s", name);
    return NULL;
}

/* The expected kind, and the value of it. */
#define HEADER(message, name, kind_)                                                               \
    __extension__({                                                                                \
        const amqp_field_value_t *value_ = header_of(message, name);                               \
        assert_int_equal(value_->kind, kind_);                                                     \
        value_->value;                                                                             \
    })

static void check_integers(const struct peer_message *got)
{
    assert_int_equal(HEADER(got, "bool", 't').boolean, 1);
    assert_int_equal(HEADER(got, "i8", 'b').i8, INT8_MIN);
    assert_int_equal(HEADER(got, "u8", 'B').u8, UINT8_MAX);
    assert_int_equal(HEADER(got, "i16", 's').i16, INT16_MIN);
    assert_int_equal(HEADER(got, "u16", 'u').u16, UINT16_MAX);
    assert_int_equal(HEADER(got, "i32", 'I').i32, INT32_MIN);
    assert_int_equal(HEADER(got, "u32", 'i').u32, UINT32_MAX);
    assert_true(HEADER(got, "i64", 'l').i64 == INT64_MIN);
    assert_true(HEADER(got, "timestamp", 'T').u64 == 1700000000);
    assert_true(HEADER(got, "f32", 'f').f32 == 0.5f);
    assert_true(HEADER(got, "f64", 'd').f64 == 1e300);
    assert_int_equal(HEADER(got, "decimal", 'D').decimal.decimals, 2);
    assert_int_equal(HEADER(got, "decimal", 'D').decimal.value, 314);
}

/* A header of each AMQP field type arrives with its type and its value. */
static void all_header_types_arrive(void **state)
{
    struct fixture *f = *state;
    struct warren_value items[] = {{.type = WARREN_I32, .as.integer = 1},
                                   {.type = WARREN_STRING, .as.bytes = warren_text("two")}};
    struct warren_field inner = warren_field_i64("deep", 42);
    const struct warren_field fields[] = {
        {"void", {.type = WARREN_VOID}},
        {"bool", {.type = WARREN_BOOL, .as.boolean = true}},
        {"i8", {.type = WARREN_I8, .as.integer = INT8_MIN}},
        {"u8", {.type = WARREN_U8, .as.integer = UINT8_MAX}},
        {"i16", {.type = WARREN_I16, .as.integer = INT16_MIN}},
        {"u16", {.type = WARREN_U16, .as.integer = UINT16_MAX}},
        {"i32", {.type = WARREN_I32, .as.integer = INT32_MIN}},
        {"u32", {.type = WARREN_U32, .as.integer = UINT32_MAX}},
        {"i64", {.type = WARREN_I64, .as.integer = INT64_MIN}},
        {"f32", {.type = WARREN_F32, .as.real = 0.5}},
        {"f64", {.type = WARREN_F64, .as.real = 1e300}},
        {"decimal", {.type = WARREN_DECIMAL, .as.decimal = {2, 314}}},
        {"string", {.type = WARREN_STRING, .as.bytes = warren_text("gr\xc3\xbc\xc3\x9f dich")}},
        {"bytes", {.type = WARREN_BYTES, .as.bytes = {"\0\1\xff", 3}}},
        {"timestamp", {.type = WARREN_TIMESTAMP, .as.timestamp = 1700000000}},
        {"array", {.type = WARREN_ARRAY, .as.array = {items, 2}}},
        {"table", {.type = WARREN_TABLE, .as.table = {&inner, 1}}},
    };
    struct peer_message got;
    amqp_array_t array;
    amqp_table_t table;

    publish_properties(
        f, &(struct warren_properties){.headers = {fields, sizeof fields / sizeof *fields}});
    assert_true(peer_get(f->peer, f->queue, &got));
    assert_int_equal(got.properties->headers.num_entries, sizeof fields / sizeof *fields);
    assert_int_equal(header_of(&got, "void")->kind, 'V');
    check_integers(&got);
    assert_bytes(HEADER(&got, "string", 'S').bytes, "gr\xc3\xbc\xc3\x9f dich");
    assert_int_equal(HEADER(&got, "bytes", 'x').bytes.len, 3);
    assert_memory_equal(HEADER(&got, "bytes", 'x').bytes.bytes, "\0\1\xff", 3);
    array = HEADER(&got, "array", 'A').array;
    assert_int_equal(array.num_entries, 2);
    assert_int_equal(array.entries[0].value.i32, 1);
    assert_bytes(array.entries[1].value.bytes, "two");
    table = HEADER(&got, "table", 'F').table;
    assert_int_equal(table.num_entries, 1);
    assert_bytes(table.entries[0].key, "deep");
    assert_true(table.entries[0].value.value.i64 == 42);
    peer_message_done(&got);
}

static void send_body(struct fixture *f, size_t length)
{
    char *body = pattern(length);
    struct warren_message message = {.body = {body, length}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    enum warren_result result = WARREN_TIMEOUT;
    struct peer_message got;

    assert_int_equal(warren_publisher_publish_wait(f->publisher, &publish, &result, NULL),
                     WARREN_OK);
    assert_int_equal(result, WARREN_CONFIRMED);
    assert_true(peer_get(f->peer, f->queue, &got));
    assert_int_equal(got.length, length);
    assert_memory_equal(got.body, body, length);
    peer_message_done(&got);
    free(body);
}

/* Bodies of every size around the frame's, and 10 MB, arrive whole. */
static void bodies_of_all_sizes_arrive_whole(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   BODY_MAX - 1,
                                   BODY_MAX,
                                   BODY_MAX + 1,
                                   2 * BODY_MAX - 1,
                                   2 * BODY_MAX,
                                   2 * BODY_MAX + 1,
                                   10u * 1024 * 1024};
    struct fixture *f = *state;

    f->publisher = publisher_open(broker->uri, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        send_body(f, sizes[i]);
}

/* The network may cut what is sent into single bytes. */
static void single_bytes_on_the_wire_do_no_harm(void **state)
{
    static const struct proxy_rule single = {.slice = 1};
    struct fixture *f = *state;

    new_ledger(f, 50);
    f->proxy = proxy_new(broker->port);
    proxy_set(f->proxy, PROXY_TO_BROKER, &single);
    proxy_set(f->proxy, PROXY_TO_CLIENT, &single);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    ledger_publish_many(f->ledger, f->publisher, 50);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).queued, 50);
    assert_int_equal(proxy_accepted(f->proxy), 1);
}

/* Connections that are reset in the middle of a body cost nothing but time. */
static void resets_inside_bodies_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct ledger_plan plan = {.routing_key = f->queue, .id_prefix = "cut", .body_size = 300000};
    struct warren_publisher_stats stats;

    f->ledger = ledger_new(40, &plan);
    f->proxy = proxy_new(broker->port);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 8 == 0)
            proxy_set(f->proxy, PROXY_TO_BROKER,
                      &(struct proxy_rule){.cut_after = 150000 + 97000 * i});
        ledger_publish_many(f->ledger, f->publisher, 1);
    }
    flush(f);
    warren_publisher_stats(f->publisher, &stats);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 40);
    assert_int_equal(ledger_totals(f->ledger).disordered, 0);
    assert_true(stats.connects >= 2);
    assert_true(stats.resent >= 1);
}

/* ---- refusals ---- */

/* A mandatory message that no queue is bound for is returned, once, with the broker's words. */
static void unroutable_is_returned(void **state)
{
    struct fixture *f = *state;

    new_ledger(f, 3);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 1);
    ledger_aim(f->ledger, NULL, "no such queue");
    ledger_publish_many(f->ledger, f->publisher, 1);
    ledger_aim(f->ledger, NULL, f->queue);
    ledger_publish_many(f->ledger, f->publisher, 1);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_entry(f->ledger, 0)->result, WARREN_CONFIRMED);
    assert_int_equal(ledger_entry(f->ledger, 1)->result, WARREN_RETURNED);
    assert_int_equal(ledger_entry(f->ledger, 1)->receipts, 1);
    assert_int_equal(ledger_entry(f->ledger, 1)->reply_code, 312);
    assert_string_equal(ledger_entry(f->ledger, 1)->reply_text, "NO_ROUTE");
    assert_int_equal(ledger_entry(f->ledger, 1)->sends, 1);
    assert_int_equal(ledger_entry(f->ledger, 2)->result, WARREN_CONFIRMED);
}

/* An optional one is dropped by the broker, and confirmed. */
static void optional_unroutable_is_confirmed(void **state)
{
    struct fixture *f = *state;
    struct ledger_plan plan = {.routing_key = "no such queue", .optional = true};

    f->ledger = ledger_new(1, &plan);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 1);
    flush(f);
    assert_int_equal(ledger_entry(f->ledger, 0)->receipts, 1);
    assert_int_equal(ledger_entry(f->ledger, 0)->result, WARREN_CONFIRMED);
}

/* A missing exchange costs the messages for it, with 404, and no others; nothing loops. */
static void a_missing_exchange_costs_its_messages_alone(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_stats stats;

    new_ledger(f, 301);
    f->publisher = publisher_open(broker->uri, NULL);
    for (unsigned i = 0; i < 300; i++) {
        ledger_aim(f->ledger, i % 100 == 50 ? "no such exchange" : NULL, f->queue);
        ledger_publish_many(f->ledger, f->publisher, 1);
    }
    flush(f);
    ledger_aim(f->ledger, NULL, f->queue);
    ledger_publish_many(f->ledger, f->publisher, 1);
    flush(f);
    warren_publisher_stats(f->publisher, &stats);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 298);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_RETURNED], 3);
    for (unsigned i = 50; i < 300; i += 100) {
        assert_int_equal(ledger_entry(f->ledger, i)->result, WARREN_RETURNED);
        assert_int_equal(ledger_entry(f->ledger, i)->reply_code, 404);
        assert_non_null(strstr(ledger_entry(f->ledger, i)->reply_text, "no such exchange"));
        assert_in_range(ledger_entry(f->ledger, i)->sends, 1, 2 + 2 * 3);
    }
    assert_int_equal(stats.connects, 1); /* a channel's matter */
}

struct refusal {
    int receipts;
    enum warren_result result;
    uint16_t code;
    char exchange[64];
    char routing_key[256];
};

static void keep_refusal(const struct warren_receipt *receipt, void *user)
{
    struct refusal *refusal = user;

    refusal->receipts++;
    refusal->result = receipt->result;
    refusal->code = receipt->reply_code;
    snprintf(refusal->exchange, sizeof refusal->exchange, "%s", receipt->exchange);
    snprintf(refusal->routing_key, sizeof refusal->routing_key, "%s", receipt->routing_key);
}

/* So does a message that the broker does not accept: 406, and the others are confirmed. */
static void an_inacceptable_message_costs_itself_alone(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.properties.expiration = "soon",
                                     .body = warren_text("refused")};
    struct warren_publish publish = {
        .exchange = "amq.direct", .routing_key = f->queue, .message = &message};
    struct refusal refusal = {0};

    new_ledger(f, 100);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 50);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, keep_refusal, &refusal, NULL),
                     WARREN_OK);
    ledger_publish_many(f->ledger, f->publisher, 50);
    flush(f);
    assert_int_equal(refusal.receipts, 1);
    assert_int_equal(refusal.result, WARREN_RETURNED);
    assert_int_equal(refusal.code, 406);
    assert_string_equal(refusal.exchange, "amq.direct");
    assert_string_equal(refusal.routing_key, f->queue);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 100);
}

static void ignore(const struct warren_receipt *receipt, void *user)
{
    (void)receipt;
    (void)user;
}

/* Good messages do not wait because others are refused, however many. */
static void refusals_do_not_wait(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.properties.expiration = "soon"};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct warren_publisher_stats stats;

    new_ledger(f, 60);
    f->publisher = publisher_open(broker->uri, NULL);
    for (unsigned i = 0; i < 20; i++) {
        ledger_publish_many(f->ledger, f->publisher, 2);
        assert_int_equal(warren_publisher_publish(f->publisher, &publish, ignore, NULL, NULL),
                         WARREN_OK);
        ledger_publish_many(f->ledger, f->publisher, 1);
        flush(f);
    }
    warren_publisher_stats(f->publisher, &stats);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 60);
    assert_int_equal(stats.returned, 20);
    assert_int_equal(stats.connects, 1);
}

/* A publisher that is closed while it looks for what the broker refuses: each message has its one
 * receipt, and those that the broker has are confirmed. */
static void closed_among_refusals(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.properties.expiration = "soon"};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};

    new_ledger(f, 1000);
    for (unsigned i = 0; i < 4; i++) {
        f->publisher = publisher_open(broker->uri, NULL);
        assert_int_equal(warren_publisher_wait_connected(f->publisher, (uint32_t)PATIENCE_MS, NULL),
                         WARREN_OK);
        for (unsigned k = 0; k < 5; k++) {
            ledger_publish_many(f->ledger, f->publisher, 50);
            warren_publisher_publish(f->publisher, &publish, ignore, NULL, NULL);
        }
        warren_publisher_close(f->publisher, 15 * i);
        f->publisher = NULL;
    }
    drain_and_check(f);
    assert_int_equal(ledger_ended(f->ledger), 1000);
}

static void declare_small_queue(struct peer *peer, const char *queue)
{
    const amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-max-length"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 10}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8,
                   .value.bytes = amqp_cstring_bytes("reject-publish")}}};

    peer_declare_with(peer, queue, "classic", arguments, 2);
}

/* What a full queue with reject-publish refuses is nacked, the rest is there. */
static void overflow_is_nacked(void **state)
{
    struct fixture *f = *state;
    struct ledger_totals totals;

    new_ledger(f, 100);
    peer_delete(f->peer, f->queue);
    declare_small_queue(f->peer, f->queue);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 100);
    flush(f);
    drain_and_check(f);
    totals = ledger_totals(f->ledger);
    assert_int_equal(totals.results[WARREN_CONFIRMED], totals.queued);
    assert_int_equal(totals.results[WARREN_CONFIRMED] + totals.results[WARREN_NACKED], 100);
    assert_in_range(totals.results[WARREN_CONFIRMED], 10, 99);
}

/* One full queue of two nacks a message that the other one keeps. */
static void one_full_queue_of_two_nacks(void **state)
{
    struct fixture *f = *state;
    char *exchange = unique_name("fan");
    char *full = unique_name("full");
    struct ledger_totals totals;

    new_ledger(f, 30);
    declare_small_queue(f->peer, full);
    peer_exchange(f->peer, exchange, "fanout");
    peer_bind(f->peer, f->queue, exchange, "");
    peer_bind(f->peer, full, exchange, "");
    ledger_aim(f->ledger, exchange, "");
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 30);
    flush(f);
    drain_and_check(f);
    totals = ledger_totals(f->ledger);
    assert_int_equal(totals.queued, 30);
    assert_int_equal(totals.duplicates, 0); /* nacked is not sent again */
    assert_int_equal(totals.results[WARREN_CONFIRMED], peer_count(f->peer, full));
    assert_int_equal(totals.results[WARREN_NACKED], 30 - peer_count(f->peer, full));
    peer_delete(f->peer, full);
    free(exchange);
    free(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_ids_arrive_in_order),
        TEST(generated_ids_are_uuids_of_version_7),
        TEST(all_properties_arrive),
        TEST(defaults_are_persistence_and_an_id),
        TEST(all_header_types_arrive),
        TEST(bodies_of_all_sizes_arrive_whole),
        TEST(single_bytes_on_the_wire_do_no_harm),
        TEST(resets_inside_bodies_lose_nothing),
        TEST(unroutable_is_returned),
        TEST(optional_unroutable_is_confirmed),
        TEST(a_missing_exchange_costs_its_messages_alone),
        TEST(an_inacceptable_message_costs_itself_alone),
        TEST(refusals_do_not_wait),
        TEST(closed_among_refusals),
        TEST(overflow_is_nacked),
        TEST(one_full_queue_of_two_nacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
