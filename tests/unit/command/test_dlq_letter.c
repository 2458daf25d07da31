/* test_dlq_letter.c - what a dead letter's envelope says, its signature, the way back, filters and
 * times of `warren dlq`, and the names of queues.
 */
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_groups.h"
#include "support/test.h"

#define FIELDS_MAX 24

/* A message of a dead-letter queue in the making. */
struct rig {
    struct arena arena;
    struct warren_field fields[FIELDS_MAX];
    size_t count;
    struct delivery *delivery;
    struct dlq_letter letter;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    arena_init(&rig->arena);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    delivery_free(rig->delivery);
    arena_done(&rig->arena);
    free(rig);
    return 0;
}

static void add(struct rig *rig, struct warren_field field)
{
    rig->fields[rig->count++] = field;
}

static struct warren_field timestamp(const char *name, uint64_t seconds)
{
    struct warren_field field = {.name = name, .value = {.type = WARREN_TIMESTAMP}};

    field.value.as.timestamp = seconds;
    return field;
}

/* Read it, with the headers so far, as it would come from q.dlq. */
static const struct dlq_letter *letter_of_id(struct rig *rig, struct warren_bytes id)
{
    struct warren_properties properties = {.message_id = arena_text(&rig->arena, id.data, id.len)};
    struct buffer encoded;
    struct warren_bytes bytes;

    properties.headers = (struct warren_table){rig->fields, rig->count};
    buffer_init(&encoded, 1 << 20);
    assert_int_equal(
        properties_encode(&properties, &rig->arena, 1 << 20, &rig->arena, &encoded, NULL),
        WARREN_OK);
    bytes = (struct warren_bytes){buffer_front(&encoded), buffer_len(&encoded)};
    rig->delivery = delivery_new(0, warren_text(""), warren_text("q.dlq"), bytes, 4);
    assert_non_null(rig->delivery);
    memcpy(delivery_body(rig->delivery), "body", 4);
    buffer_done(&encoded);
    assert_int_equal(dlq_letter_read(rig->delivery, "q.dlq", &rig->arena, &rig->letter), WARREN_OK);
    return &rig->letter;
}

static const struct dlq_letter *letter_of(struct rig *rig)
{
    return letter_of_id(rig, warren_text("id-1"));
}

/* What each dead letter of a worker's has. */
static void add_whole(struct rig *rig, const char *reason)
{
    add(rig, warren_field_text(NOTE_QUEUE, "q"));
    add(rig, warren_field_text(NOTE_EXCHANGE, "orders"));
    add(rig, warren_field_text(NOTE_ROUTING_KEY, "paid"));
    add(rig, warren_field_i64(NOTE_ATTEMPTS, 5));
    add(rig, timestamp(NOTE_FIRST_FAILURE, 100));
    add(rig, warren_field_text(NOTE_REASON, reason));
    add(rig, timestamp(NOTE_LAST_FAILURE, 200));
}

/* ---- the envelope ---- */

/* Everything that warren's envelope has is read. */
static void an_envelope_of_warren(void **state)
{
    struct rig *rig = *state;
    const struct dlq_letter *letter;

    add_whole(rig, REASON_CRASH);
    add(rig, warren_field_text(NOTE_HANDLER, "p.h"));
    add(rig, warren_field_text(NOTE_ERROR, "boom"));
    add(rig, warren_field_text(NOTE_SIGNAL, "SIGSEGV"));
    add(rig, warren_field_i64(NOTE_REPLAYS, 2));
    letter = letter_of(rig);
    assert_string_equal(letter->id, "id-1");
    assert_string_equal(letter->queue, "q");
    assert_string_equal(letter->reason, "crash");
    assert_string_equal(letter->handler, "p.h");
    assert_string_equal(letter->error, "boom");
    assert_string_equal(letter->signal, "SIGSEGV");
    assert_string_equal(letter->exchange, "orders");
    assert_string_equal(letter->routing_key, "paid");
    assert_int_equal(letter->attempts, 5);
    assert_int_equal(letter->replays, 2);
    assert_int_equal(letter->first_failure_s, 100);
    assert_int_equal(letter->died_s, 200);
    assert_memory_equal(letter->message.body.data, "body", 4);
}

/* One table of x-death, as the broker writes it. */
static struct warren_value death_by(struct rig *rig, const char *queue, const char *reason,
                                    uint64_t at, const char *exchange, const char *routing_key)
{
    struct warren_value *key = arena_alloc(&rig->arena, sizeof *key);
    struct warren_field *fields = arena_alloc(&rig->arena, 5 * sizeof *fields);
    struct warren_value value = {.type = WARREN_TABLE};

    *key = warren_field_text("", routing_key).value;
    fields[0] = warren_field_text("queue", queue);
    fields[1] = warren_field_text("reason", reason);
    fields[2] = warren_field_text("exchange", exchange);
    fields[3] = timestamp("time", at);
    fields[4] = (struct warren_field){.name = "routing-keys", .value = {.type = WARREN_ARRAY}};
    fields[4].value.as.array = (struct warren_array){key, 1};
    value.as.table = (struct warren_table){fields, 5};
    return value;
}

static struct warren_value death(struct rig *rig, const char *queue, const char *reason,
                                 uint64_t at)
{
    return death_by(rig, queue, reason, at, "orders", "paid");
}

static void add_deaths(struct rig *rig, struct warren_value *deaths, size_t count)
{
    struct warren_field field = {.name = "x-death", .value = {.type = WARREN_ARRAY}};

    field.value.as.array = (struct warren_array){deaths, count};
    add(rig, field);
}

/* Of the broker's own dead letters x-death tells: the latest entry of another queue. */
static void a_dead_letter_of_the_broker(void **state)
{
    struct rig *rig = *state;
    struct warren_value deaths[] = {death(rig, "q.dlq", "expired", 300),
                                    death(rig, "q", "delivery_limit", 200),
                                    death(rig, "old", "rejected", 100)};
    const struct dlq_letter *letter;

    add_deaths(rig, deaths, 3);
    letter = letter_of(rig);
    assert_string_equal(letter->queue, "q");
    assert_string_equal(letter->reason, "delivery_limit");
    assert_string_equal(letter->exchange, "orders");
    assert_string_equal(letter->routing_key, "paid");
    assert_int_equal(letter->died_s, 200);
    assert_string_equal(letter->handler, "");
}

/* A whole envelope, as a sender may forge it, for a victim. */
static void add_forged(struct rig *rig, const char *queue)
{
    add(rig, warren_field_text(NOTE_QUEUE, queue));
    add(rig, warren_field_text(NOTE_REASON, REASON_CRASH));
    add(rig, warren_field_text(NOTE_HANDLER, "p.h"));
    add(rig, warren_field_text(NOTE_ERROR, "boom"));
    add(rig, warren_field_text(NOTE_EXCHANGE, "first"));
    add(rig, warren_field_text(NOTE_ROUTING_KEY, "key.1"));
    add(rig, warren_field_i64(NOTE_ATTEMPTS, 7));
    add(rig, warren_field_i64(NOTE_REPLAYS, 5));
    add(rig, timestamp(NOTE_FIRST_FAILURE, 100));
    add(rig, timestamp(NOTE_LAST_FAILURE, 200));
    add(rig, warren_field_text(NOTE_EXPIRATION, "60000"));
    add(rig, warren_field_text(NOTE_USER_ID, "root"));
}

/* Where the broker says in which queue a message died, the notes of its sender say nothing: neither
 * about another queue nor, of a message that came by an exchange, about that one. */
static void a_sender_does_not_say_where_it_died(void **state)
{
    static const char *const queues[] = {"victim", "q"};
    struct rig *rig = *state;
    struct warren_value deaths[] = {death(rig, "q", "expired", 300)};
    struct warren_message message;
    const struct dlq_letter *letter;

    for (size_t i = 0; i < 2; i++) {
        rig->count = 0;
        delivery_free(rig->delivery);
        add_forged(rig, queues[i]);
        add_deaths(rig, deaths, 1);
        letter = letter_of(rig);
        assert_string_equal(letter->queue, "q");
        assert_string_equal(letter->reason, "expired");
        assert_string_equal(letter->exchange, "orders");
        assert_string_equal(letter->routing_key, "paid");
        assert_string_equal(letter->handler, "");
        assert_string_equal(letter->error, "");
        assert_int_equal(letter->died_s, 300);
        assert_int_equal(letter->attempts, 0);
        assert_int_equal(letter->replays, 0);
        assert_int_equal(letter->first_failure_s, 0);
        assert_int_equal(dlq_letter_renew(letter, &rig->arena, &message), WARREN_OK);
        assert_null(warren_table_get(&message.properties.headers, NOTE_EXPIRATION));
        assert_null(warren_table_get(&message.properties.headers, NOTE_USER_ID));
    }
}

/* A copy that was to be attempted again, and expired: its notes are warren's, and it keeps them. */
static void a_copy_that_the_broker_dead_lettered(void **state)
{
    struct rig *rig = *state;
    struct warren_value deaths[] = {death_by(rig, "q", "expired", 300, "", "q")};
    struct warren_message message;
    const struct dlq_letter *letter;

    add_forged(rig, "q");
    add_deaths(rig, deaths, 1);
    letter = letter_of(rig);
    assert_string_equal(letter->queue, "q");
    assert_string_equal(letter->reason, "expired");
    assert_string_equal(letter->exchange, "first");
    assert_string_equal(letter->routing_key, "key.1");
    assert_string_equal(letter->handler, ""); /* a worker's copy has none */
    assert_int_equal(letter->attempts, 7);
    assert_int_equal(letter->replays, 5);
    assert_int_equal(dlq_letter_renew(letter, &rig->arena, &message), WARREN_OK);
    assert_non_null(warren_table_get(&message.properties.headers, NOTE_EXPIRATION));
    assert_int_equal(warren_table_get(&message.properties.headers, NOTE_REPLAYS)->as.integer, 6);
}

/* Notes and deaths that cannot be are none. */
static void what_cannot_be_is_not_read(void **state)
{
    static char name[400];
    struct rig *rig = *state;
    struct warren_field deaths = warren_field_text("x-death", "victim");
    struct warren_value number = {.type = WARREN_I64, .as.integer = 5};
    struct warren_field bad_deaths = {"x-death", {.type = WARREN_ARRAY, .as.array = {&number, 1}}};
    const struct warren_value queues[] = {
        {.type = WARREN_STRING, .as.bytes = {name, 256}},
        {.type = WARREN_I64, .as.integer = 7},
        {.type = WARREN_STRING, .as.bytes = {"", 0}},
        {.type = WARREN_BYTES, .as.bytes = {"q", 1}},
        {.type = WARREN_TABLE},
    };

    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < 5; i++) {
        rig->count = 0;
        delivery_free(rig->delivery);
        add(rig, (struct warren_field){NOTE_QUEUE, queues[i]});
        add(rig, warren_field_text(NOTE_REASON, REASON_CRASH));
        add(rig, i % 2 ? deaths : bad_deaths);
        assert_string_equal(letter_of(rig)->queue, "");
        assert_string_equal(rig->letter.reason, "unknown");
    }
    rig->count = 0;
    delivery_free(rig->delivery);
    add(rig, warren_field_i64("x-delivery-count", 1000)); /* it was not delivered before */
    assert_int_equal(letter_of(rig)->handed_back, 0);
}

/* Somebody may put a message into the queue with some of the notes. They say nothing then: it is
 * not a worker's, and nobody is told to replay it to a victim. */
static void an_envelope_counts_as_a_whole(void **state)
{
    static char name[400];
    struct rig *rig = *state;
    const struct warren_field wrong[] = {
        {NOTE_QUEUE, {.type = WARREN_VOID}},
        {NOTE_QUEUE, {.type = WARREN_BYTES, .as.bytes = {"q", 1}}},
        {NOTE_QUEUE, {.type = WARREN_STRING, .as.bytes = {"", 0}}},
        {NOTE_QUEUE, {.type = WARREN_STRING, .as.bytes = {"q\0", 2}}},
        {NOTE_QUEUE, {.type = WARREN_STRING, .as.bytes = {name, 256}}},
        warren_field_i64(NOTE_EXCHANGE, 5),
        {NOTE_ROUTING_KEY, {.type = WARREN_STRING, .as.bytes = {name, 256}}},
        warren_field_i64(NOTE_ATTEMPTS, -1),
        warren_field_i64(NOTE_ATTEMPTS, INT64_MAX),
        warren_field_text(NOTE_ATTEMPTS, "5"),
        timestamp(NOTE_FIRST_FAILURE, UINT64_MAX),
        warren_field_text(NOTE_REASON, ""),
        warren_field_i64(NOTE_REASON, 5),
        timestamp(NOTE_LAST_FAILURE, (uint64_t)INT64_MAX + 1),
        warren_field_i64(NOTE_LAST_FAILURE, 200),
        warren_field_i64(NOTE_REPLAYS, INT64_C(1) << 32),
        warren_field_i64(NOTE_HANDLER, 5),
        warren_field_i64(NOTE_ERROR, 5),
        warren_field_i64(NOTE_HOST, 5),
    };
    const size_t whole = 7;

    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < whole + sizeof wrong / sizeof *wrong; i++) {
        rig->count = 0;
        delivery_free(rig->delivery);
        add_whole(rig, REASON_CRASH);
        if (i < whole) { /* one is missing */
            rig->fields[i].name = "other";
        } else {
            for (size_t j = 0; j < whole; j++)
                if (strcmp(rig->fields[j].name, wrong[i - whole].name) == 0)
                    rig->fields[j].name = "other";
            add(rig, wrong[i - whole]);
        }
        if (*letter_of(rig)->queue || strcmp(rig->letter.reason, "unknown") != 0 ||
            rig->letter.copied || *rig->letter.exchange || *rig->letter.routing_key ||
            rig->letter.attempts || rig->letter.died_s)
            fail_msg("row %zu counts", i);
    }
    rig->count = 0;
    delivery_free(rig->delivery);
    add(rig, warren_field_text(NOTE_QUEUE, "victim"));
    assert_string_equal(letter_of(rig)->queue, "");
}

/* A replay that somebody sent into this queue is no dead letter, but its count is warren's. */
static void a_replay_into_this_queue(void **state)
{
    struct rig *rig = *state;
    const struct dlq_letter *letter;

    add(rig, warren_field_i64(NOTE_REPLAYS, 2));
    add(rig, warren_field_text(NOTE_EXCHANGE, "orders"));
    add(rig, warren_field_text(NOTE_ROUTING_KEY, "paid"));
    letter = letter_of(rig);
    assert_string_equal(letter->queue, "");
    assert_string_equal(letter->routing_key, "paid");
    assert_int_equal(letter->replays, 2);
    assert_true(letter->copied);
}

/* Neither: nothing is made up, and headers of wrong types are no envelope. */
static void no_envelope(void **state)
{
    struct rig *rig = *state;
    const struct dlq_letter *letter;

    add(rig, warren_field_i64(NOTE_QUEUE, 5));
    add(rig, warren_field_text("x-death", "yes"));
    add(rig, warren_field_text(NOTE_REPLAYS, "7"));
    letter = letter_of(rig);
    assert_string_equal(letter->queue, "");
    assert_string_equal(letter->reason, "unknown");
    assert_int_equal(letter->died_s, 0);
    assert_int_equal(letter->replays, 0);
}

/* ---- the way back ---- */

/* Notes go, but where it was published first; the count of replays grows; the rest stays. */
static void a_renewed_message(void **state)
{
    struct rig *rig = *state;
    struct warren_message message;
    const struct warren_table *headers = &message.properties.headers;

    add(rig, warren_field_text("tenant", "a"));
    add_whole(rig, REASON_ATTEMPTS);
    add(rig, warren_field_i64(NOTE_REPLAYS, 1));
    add(rig, warren_field_bool(NOTE_DELAY_PREFIX "03", true));
    add(rig, warren_field_text("x-first-death-queue", "q"));
    add(rig, warren_field_i64("x-delivery-count", 4));
    add(rig, warren_field_text(NOTE_EXPIRATION, "60000"));
    add(rig, warren_field_text(NOTE_CC, "other"));
    letter_of(rig);
    assert_int_equal(dlq_letter_renew(&rig->letter, &rig->arena, &message), WARREN_OK);
    assert_int_equal(headers->count, 6);
    assert_non_null(warren_table_get(headers, NOTE_EXPIRATION));
    assert_non_null(warren_table_get(headers, NOTE_CC));
    assert_non_null(warren_table_get(headers, "tenant"));
    assert_memory_equal(warren_table_get(headers, NOTE_EXCHANGE)->as.bytes.data, "orders", 6);
    assert_memory_equal(warren_table_get(headers, NOTE_ROUTING_KEY)->as.bytes.data, "paid", 4);
    assert_int_equal(warren_table_get(headers, NOTE_REPLAYS)->as.integer, 2);
    assert_string_equal(message.properties.message_id, "id-1");
    assert_int_equal(message.body.len, 4);
}

/* A user_id must be that of who publishes, and CC would route copies elsewhere. */
static void what_a_copy_cannot_have(void **state)
{
    struct rig *rig = *state;
    struct warren_message message;
    const struct warren_table *headers = &message.properties.headers;

    add(rig, warren_field_text("CC", "other"));
    letter_of(rig);
    rig->letter.message.properties.user_id = "alice";
    assert_int_equal(dlq_letter_renew(&rig->letter, &rig->arena, &message), WARREN_OK);
    assert_null(message.properties.user_id);
    assert_null(warren_table_get(headers, "CC"));
    assert_memory_equal(warren_table_get(headers, NOTE_CC)->as.bytes.data, "other", 5);
    assert_memory_equal(warren_table_get(headers, NOTE_USER_ID)->as.bytes.data, "alice", 5);
    assert_int_equal(headers->count, 3); /* with the count of replays */
}

/* A dead letter of the broker keeps from x-death where it was published. */
static void a_renewed_message_of_the_broker(void **state)
{
    struct rig *rig = *state;
    struct warren_value deaths[] = {death(rig, "q", "expired", 300)};
    struct warren_message message;
    const struct warren_table *headers = &message.properties.headers;

    add_deaths(rig, deaths, 1);
    letter_of(rig);
    assert_int_equal(dlq_letter_renew(&rig->letter, &rig->arena, &message), WARREN_OK);
    assert_int_equal(headers->count, 3);
    assert_memory_equal(warren_table_get(headers, NOTE_EXCHANGE)->as.bytes.data, "orders", 6);
    assert_int_equal(warren_table_get(headers, NOTE_REPLAYS)->as.integer, 1);
}

/* ---- signatures ---- */

static void errors_are_folded(void **state)
{
    static const struct {
        const char *error;
        const char *folded;
    } rows[] = {
        {"timeout after 1500 ms", "timeout after # ms"},
        {"  no row 17\nselect * from t", "no row #"},
        {"at 0x7ffd12ab: bad", "at #: bad"},
        {"order 018f4c1e-7d2a-7c11-9f00-aabbccddeeff is gone", "order # is gone"},
        {"blob deadbeef00 missing", "blob # missing"},
        {"a dead face added", "a dead face added"},
        {"deadbeef", "deadbeef"},
        {"host db3.example:5432", "host db#.example:#"},
        {"0xyz 12abc", "#xyz #abc"},
        {"tab\there", "tab here"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char folded[DLQ_ERROR_SIZE];

        dlq_fold_error(rows[i].error, strlen(rows[i].error), folded);
        assert_string_equal(folded, rows[i].folded);
    }
}

/* However long an error is, its signature is not. */
static void a_long_error_is_cut(void **state)
{
    char error[4096];
    char folded[DLQ_ERROR_SIZE];

    (void)state;
    memset(error, 'x', sizeof error);
    dlq_fold_error(error, sizeof error, folded);
    assert_int_equal(strlen(folded), DLQ_ERROR_SIZE - 1);
}

/* Each part counts, and where one ends and the next begins. */
static void groups_differ(void **state)
{
    static const char *const parts[][4] = {{"a", "b", "c", "d"}, {"x", "b", "c", "d"},
                                           {"a", "x", "c", "d"}, {"a", "b", "x", "d"},
                                           {"a", "b", "c", "x"}, {"ab", "", "c", "d"}};
    char names[6][DLQ_GROUP_SIZE];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        dlq_group(warren_text(parts[i][0]), warren_text(parts[i][1]), warren_text(parts[i][2]),
                  parts[i][3], names[i]);
        assert_int_equal(strlen(names[i]), 8);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
    }
}

/* Messages of one cause are one group; the largest group comes first. */
static void letters_are_grouped(void **state)
{
    struct dlq_letter letter = {.id = "1", .reason = "attempts", .handler = "h", .signal = ""};
    struct dlq_groups groups;

    (void)state;
    dlq_groups_init(&groups);
    memcpy(letter.group, "00000001", 9);
    letter.died_s = 50;
    dlq_groups_add(&groups, &letter);
    memcpy(letter.group, "00000002", 9);
    letter.died_s = 30;
    dlq_groups_add(&groups, &letter);
    letter.died_s = 0;
    dlq_groups_add(&groups, &letter);
    dlq_groups_sort(&groups);
    assert_int_equal(groups.count, 2);
    assert_int_equal(groups.items[0]->count, 2);
    assert_string_equal(groups.items[0]->name, "00000002");
    assert_int_equal(groups.items[0]->oldest_s, 30);
    assert_int_equal(groups.oldest_s, 30);
    dlq_groups_done(&groups);
}

/* ---- texts that hold a NUL ---- */

/* All of an id, a header and a note counts, in filters, groups and on the way back; \0 is written
 * for the NUL. */
static void a_nul_ends_no_text(void **state)
{
    static const struct {
        const char *wanted;
        bool matches;
    } ids[] = {{"dup\\0A", true}, {"dup", false}, {"dup\\0B", false}, {"dup\\0", false},
               {"dup\\", false},  {"", false},    {"dupA", false},    {"dup\\0A\\0", false}};
    struct rig *rig = *state;
    struct warren_message message;
    struct dlq_groups groups;
    const struct dlq_letter *letter;
    const struct warren_value *key;

    add(rig, (struct warren_field){arena_text(&rig->arena, "x-death\0", 8),
                                   {.type = WARREN_STRING, .as.bytes = {"v\0", 2}}});
    add_whole(rig, REASON_CRASH);
    rig->fields[3].value.as.bytes = (struct warren_bytes){"\0k", 2}; /* the routing key */
    letter = letter_of_id(rig, (struct warren_bytes){"dup\0A", 5});
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct dlq_filter filter = {.id = ids[i].wanted};

        assert_int_equal(dlq_filter_matches(&filter, letter), ids[i].matches);
    }
    assert_true(dlq_filter_matches(
        &(struct dlq_filter){.headers = {{"x-death\\0", "v\\0"}}, .header_count = 1}, letter));
    assert_false(dlq_filter_matches(
        &(struct dlq_filter){.headers = {{"x-death", NULL}}, .header_count = 1}, letter));

    dlq_groups_init(&groups);
    dlq_groups_add(&groups, letter);
    assert_int_equal(arena_bytes(&groups.arena, groups.items[0]->example).len, 5);
    dlq_groups_done(&groups);

    assert_int_equal(dlq_letter_renew(letter, &rig->arena, &message), WARREN_OK);
    assert_int_equal(arena_bytes(&rig->arena, message.properties.message_id).len, 5);
    assert_int_equal(arena_bytes(&rig->arena, message.properties.headers.fields[0].name).len, 8);
    key = table_get(&message.properties.headers, NOTE_ROUTING_KEY, &rig->arena);
    assert_int_equal(key->as.bytes.len, 2);
}

/* ---- filters ---- */

static void filters(void **state)
{
    struct warren_field headers[] = {warren_field_text("tenant", "a"), warren_field_i64("n", -5),
                                     warren_field_bool("b", true)};
    struct dlq_letter letter = {.id = "1",
                                .queue = "q",
                                .reason = "attempts",
                                .handler = "p.h",
                                .died_s = 100,
                                .group = "00000001"};
    static const struct {
        struct dlq_filter filter;
        bool matches;
    } rows[] = {
        {{.id = NULL}, true},
        {{.id = "1", .reason = "attempts", .handler = "p.h", .group = "00000001"}, true},
        {{.id = "2"}, false},
        {{.source = "q"}, true},
        {{.source = "r"}, false},
        {{.reason = "attempts", .handler = "p.x"}, false},
        {{.group = "00000002"}, false},
        {{.since_s = 100, .until_s = 101}, true},
        {{.since_s = 101}, false},
        {{.until_s = 100}, false},
        {{.headers = {{"tenant", "a"}, {"n", "-5"}, {"b", "true"}}, .header_count = 3}, true},
        {{.headers = {{"tenant", NULL}}, .header_count = 1}, true},
        {{.headers = {{"tenant", "ab"}}, .header_count = 1}, false},
        {{.headers = {{"missing", NULL}}, .header_count = 1}, false},
    };

    (void)state;
    letter.message.properties.headers = (struct warren_table){headers, 3};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (dlq_filter_matches(&rows[i].filter, &letter) != rows[i].matches)
            fail_msg("row %zu", i);
}

/* Of a message of unknown time nobody can say that it is late enough. */
static void a_time_that_is_not_known(void **state)
{
    struct dlq_letter letter = {.id = "", .queue = "", .reason = "", .handler = ""};
    struct dlq_filter since = {.since_s = 1};
    struct dlq_filter until = {.until_s = INT64_MAX};

    (void)state;
    assert_false(dlq_filter_matches(&since, &letter));
    assert_false(dlq_filter_matches(&until, &letter));
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: it is none */
    } rows[] = {
        {"@1714566600", 1714566600},
        {"2024-05-01T12:30:00Z", 1714566600},
        {"2024-05-01T12:30Z", 1714566600},
        {"2024-05-01Z", 1714521600},
        {"90s", 1000000 - 90},
        {"15m", 1000000 - 900},
        {"2h", 1000000 - 7200},
        {"1d", 1000000 - 86400},
        {"12d", 0}, /* before 1970 */
        {"2", 0},
        {"-2h", 0},
        {"2hours", 0},
        {"yesterday", 0},
        {"2024-13-01Z", 0},
        {"2024-05-01T12:30:00Zulu", 0},
        {"@", 0},
        {"@x", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t seconds = 0;
        bool parsed = dlq_time_parse(rows[i].text, 1000000, &seconds);

        if (parsed != (rows[i].seconds != 0) || (parsed && seconds != rows[i].seconds))
            fail_msg("%s: %lld", rows[i].text, (long long)seconds);
    }
}

/* ---- names ---- */

static void names_of_queues(void **state)
{
    static const char *const sources[] = {"payments", "odd.dlq"};
    static const struct {
        const char *pattern;
        const char *word;
        const char *name;
        const char *source;
        bool certain;
    } rows[] = {
        {"{queue}.dlq", "payments", "payments.dlq", "payments", true},
        {"{queue}.dlq", "payments.dlq", "payments.dlq", "payments", true},
        {"{queue}.dlq", "other.dlq", "other.dlq", "other", false},
        {"{queue}.dlq", "other", "other.dlq", "other", true},
        {"{queue}.dlq", ".dlq", ".dlq.dlq", ".dlq", true}, /* a queue has a name */
        {"{queue}.dlq", "odd.dlq", "odd.dlq.dlq", "odd.dlq", true},
        {"dead/{queue}", "dead/payments", "dead/payments", "payments", true},
        {"a{queue}z", "az", "aazz", "az", true},
        {"{queue}.{queue}.dlq", "a.a.dlq", "a.a.dlq", "a", false},
        {"{queue}.{queue}.dlq", "a.b.dlq", "a.b.dlq.a.b.dlq.dlq", "a.b.dlq", true},
        {"graveyard", "graveyard", "graveyard", "", false},
        {"graveyard", "payments", "graveyard", "payments", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dlq_queue queue;

        assert_true(dlq_resolve(rows[i].pattern, sources, 2, rows[i].word, &queue));
        assert_string_equal(queue.name, rows[i].name);
        assert_string_equal(queue.source, rows[i].source);
        assert_int_equal(queue.source_is_certain, rows[i].certain);
        assert_int_equal(queue.only_source, !strcmp(rows[i].pattern, "graveyard") &&
                                                strcmp(rows[i].word, "graveyard") != 0);
    }
}

/* A name of AMQP has at most 255 bytes, and at least one. */
static void names_that_are_none(void **state)
{
    char longest[256];
    struct dlq_queue queue;

    (void)state;
    memset(longest, 'q', sizeof longest);
    longest[252] = '\0';
    assert_false(dlq_resolve("{queue}.dlq", NULL, 0, longest, &queue));
    longest[251] = '\0';
    assert_true(dlq_resolve("{queue}.dlq", NULL, 0, longest, &queue));
    assert_int_equal(strlen(queue.name), 255);
    assert_false(dlq_resolve("{queue}.dlq", NULL, 0, "", &queue));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_envelope_of_warren, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_letter_of_the_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sender_does_not_say_where_it_died, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_the_broker_dead_lettered, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(an_envelope_counts_as_a_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_into_this_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(no_envelope, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewed_message, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_copy_cannot_have, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewed_message_of_the_broker, setup, teardown),
        cmocka_unit_test(errors_are_folded),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(groups_differ),
        cmocka_unit_test(letters_are_grouped),
        cmocka_unit_test_setup_teardown(a_nul_ends_no_text, setup, teardown),
        cmocka_unit_test(filters),
        cmocka_unit_test(a_time_that_is_not_known),
        cmocka_unit_test(times),
        cmocka_unit_test(names_of_queues),
        cmocka_unit_test(names_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
