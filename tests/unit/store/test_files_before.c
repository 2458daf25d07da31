/* test_files_before.c - files that warren 0.1.0 made are opened, and nothing that they hold is
 * lost.
 *
 * The schema has not changed since, so nothing is migrated today; whoever changes it finds here
 * whether its step keeps everything.
 */
#include "idempotency_rig.h"

#include <warren/handler.h>

#include "files_before.h"
#include "store/spool/spool.h"

/* A key of the file, with the time of then: nothing is too old. */
static enum claim_state state_of(struct rig *rig, struct process *store, const char *scope,
                                 const char *key, struct idempotency_claim *claim)
{
    *claim = (struct idempotency_claim){.lease_ms = LEASE_MS};
    idempotency_name(store->store, warren_text(scope), warren_text(key), &claim->key);
    if (idempotency_try_claim(store->store, claim))
        return claim->state;
    assert_int_equal(rig_begin(rig, store), WARREN_OK);
    assert_int_equal(idempotency_claim(&store->rows, claim, &rig->error), WARREN_OK);
    assert_int_equal(rig_commit(rig, store, WARREN_OK), WARREN_OK);
    return claim->state;
}

static void expect_done(struct rig *rig, struct process *store, const char *scope, const char *key,
                        enum warren_outcome outcome, const char *result)
{
    struct idempotency_claim claim;

    if (state_of(rig, store, scope, key, &claim) != CLAIM_DONE)
        fail_msg("%s is not done", key);
    assert_int_equal(claim.outcome, outcome);
    if (result) {
        assert_int_equal(claim.result_len, strlen(result));
        assert_memory_equal(claim.result, result, strlen(result));
    } else {
        assert_null(claim.result);
    }
    free(claim.result);
}

/* What was done then is done, with outcome and reply, each in its scope; what is new is new. The
 * claim of a process that is gone can be taken. */
static void keys_are_remembered(void **state)
{
    struct rig *rig = *state;
    struct process *store;
    struct idempotency_claim claim;

    copy_file_before(rig, "store-0.1.db");
    for (int shared = 0; shared < 2; shared++) {
        store = rig_store(rig, shared);
        expect_done(rig, store, "orders", "acked", WARREN_ACK, NULL);
        expect_done(rig, store, "orders", "discarded", WARREN_DISCARD, NULL);
        expect_done(rig, store, "orders", "replied", WARREN_ACK, "the reply");
        expect_done(rig, store, "orders", "empty", WARREN_ACK, "");
        expect_done(rig, store, "bills", "acked", WARREN_DISCARD, NULL);
        for (int i = 0; i < 20; i++) {
            char key[16];

            snprintf(key, sizeof key, "many-%d", i);
            expect_done(rig, store, "orders", key, WARREN_ACK, NULL);
        }
        assert_int_equal(state_of(rig, store, "bills", "replied", &claim), CLAIM_NEW);
        assert_int_equal(state_of(rig, store, "orders", "claimed", &claim), CLAIM_NEW);
        rig_end(store);
    }
}

/* Its rows go on behind those of then. */
static void more_keys_are_added(void **state)
{
    struct rig *rig = *state;
    struct process *store;
    struct database *database;
    int64_t rows;

    copy_file_before(rig, "store-0.1.db");
    store = rig_store(rig, false);
    assert_int_equal(rig_complete(rig, store, "later", 0, NULL, NULL), WARREN_OK);
    rig_end(store);
    database = rig_open(rig);
    assert_int_equal(database_number(database, "SELECT max(id) FROM done", &rows, &rig->error),
                     WARREN_OK);
    assert_int_equal(rows, 26);
    database_close(database);
}

#define HEADER "\xb0\x80\ntext/plain\0"
#define TENANT "\x06tenantS\0\0\0\x05north"
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static const struct {
    const char *message_id;
    const char *exchange;
    const char *routing_key;
    uint32_t flags;
    uint32_t delay_s;
    const char *delay_to;
    const char *refused;
    struct warren_bytes body;
} rows[] = {
    {"first", "", "orders", 0, 0, "", NULL, BYTES("one")},
    {"second", "events", "order.paid", SPOOL_OPTIONAL, 0, "", NULL, BYTES("two\0three")},
    {"unroutable", "", "orders", 0, 0, "", "312 NO_ROUTE", BYTES("four")},
    {"delayed", "warren.delay.06", "order.late", 0, 90, "events", NULL, BYTES("five")},
    {"delayed-to-queue", "warren.delay.11", "orders", SPOOL_TO_QUEUE, 3600, "orders", NULL,
     BYTES("six")},
    {"refused", "gone", "order", 0, 0, "", "404 NOT_FOUND - no exchange 'gone' in vhost '/'",
     BYTES("")},
    {"last", "", "orders", 0, 0, "", NULL, BYTES("seven")},
};

#define ROWS (sizeof rows / sizeof *rows)

static void expect_bytes(struct warren_bytes bytes, const void *data, size_t len)
{
    assert_int_equal(bytes.len, len);
    assert_memory_equal(bytes.data, data, len);
}

static void expect_text(struct warren_bytes bytes, const char *text)
{
    expect_bytes(bytes, text, strlen(text));
}

static bool compare_row(void *user, const struct spool_message *message)
{
    size_t *next = user;
    const char *refused = rows[*next].refused;

    assert_int_equal(message->id, *next + 1);
    expect_text(message->message_id, rows[*next].message_id);
    expect_text(message->exchange, rows[*next].exchange);
    expect_text(message->routing_key, rows[*next].routing_key);
    assert_int_equal(message->flags, rows[*next].flags);
    assert_int_equal(message->delay_s, rows[*next].delay_s);
    expect_text(message->delay_to, rows[*next].delay_to);
    assert_int_equal(refused != NULL, message->refused != NULL);
    if (refused)
        assert_string_equal(message->refused, refused);
    expect_bytes(message->body, rows[*next].body.data, rows[*next].body.len);
    assert_memory_equal(message->properties.data, HEADER, sizeof HEADER - 1);
    assert_non_null(
        memmem(message->properties.data, message->properties.len, TENANT, sizeof TENANT - 1));
    ++*next;
    return true;
}

/* All messages of then are there, in their order, with what the broker said of those that it
 * refused; the next one has an id above all that ever were, also of what is gone. */
static void messages_are_there(void **state)
{
    struct spool_message message = {.message_id = {"new", 3}};
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path, .synchronous = DATABASE_OFF};
    struct spool_totals totals;
    struct spool *spool;
    size_t next = 0;
    bool taken;

    copy_file_before(rig, "spool-0.1.db");
    assert_int_equal(spool_open(&options, &spool, &rig->error), WARREN_OK);
    assert_int_equal(spool_claim(spool, &taken, &rig->error), WARREN_OK);
    assert_int_equal(spool_count(spool, &totals, &rig->error), WARREN_OK);
    assert_int_equal(totals.messages, 5);
    assert_int_equal(totals.refused, 2);
    assert_int_equal(totals.bytes, 1600);
    assert_int_equal(totals.last_id, 8);
    assert_int_equal(spool_read(spool, 0, SPOOL_ALL, true, compare_row, &next, &rig->error),
                     WARREN_OK);
    assert_int_equal(next, ROWS);
    assert_int_equal(database_begin(spool_database(spool), &rig->error), WARREN_OK);
    assert_int_equal(spool_append(spool, &message, &rig->error), WARREN_OK);
    assert_int_equal(database_commit(spool_database(spool), &rig->error), WARREN_OK);
    assert_int_equal(message.id, 9);
    spool_close(spool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, idempotency_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_remembered),
        TEST(more_keys_are_added),
        TEST(messages_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
