/* test_idempotency_store.c - claim, complete, release, purge on a SQLite file: alone and shared,
 * with owners that die, leases that end, clocks that step, and a disk that fails.
 */
#include "idempotency_rig.h"

#include "fault_vfs.h"
#include "support/fake_clock.h"

/* ---- alone ---- */

/* Claimed, and again while it runs, and again when it is done: with outcome and result of then. */
static void a_key_runs_once(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);
    struct idempotency_claim claim;

    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_BUSY);
    assert_int_equal(rig_state(rig, store, "b"), CLAIM_NEW);
    assert_int_equal(rig_complete(rig, store, "a", 3, "42", NULL), WARREN_OK);
    assert_int_equal(rig_claim(rig, store, "a", &claim), WARREN_OK);
    assert_int_equal(claim.state, CLAIM_DONE);
    assert_int_equal(claim.outcome, 3);
    assert_int_equal(claim.result_len, 2);
    assert_memory_equal(claim.result, "42", 2);
    free(claim.result);
    rig_end(store);
}

/* Released, a key is as new. */
static void a_released_key_runs_again(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);

    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    assert_int_equal(rig_release(rig, store, "a"), WARREN_OK);
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    rig_end(store);
}

/* What is done is known to the next process; what was only claimed is not: its owner is gone. */
static void what_is_done_outlives_the_process(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);

    assert_int_equal(rig_state(rig, store, "done"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, store, "claimed"), CLAIM_NEW);
    assert_int_equal(rig_complete(rig, store, "done", 0, NULL, NULL), WARREN_OK);
    rig_end(store);
    store = rig_store(rig, false);
    assert_int_equal(rig_state(rig, store, "done"), CLAIM_DONE);
    assert_int_equal(rig_state(rig, store, "claimed"), CLAIM_NEW);
    rig_end(store);
}

/* The same key in two scopes is two, and the border between scope and key counts. */
static void scopes_are_apart(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);
    struct idempotency_key keys[3];

    idempotency_name(store->store, (struct warren_bytes){"a", 1}, (struct warren_bytes){"bc", 2},
                     &keys[0]);
    idempotency_name(store->store, (struct warren_bytes){"ab", 2}, (struct warren_bytes){"c", 1},
                     &keys[1]);
    idempotency_name(store->store, (struct warren_bytes){"a", 1}, (struct warren_bytes){"bc", 2},
                     &keys[2]);
    assert_memory_not_equal(&keys[0], &keys[1], sizeof keys[0]);
    assert_memory_equal(&keys[0], &keys[2], sizeof keys[0]);
    rig_end(store);
}

/* A surely new key is claimed without a look at the disk. */
static void a_new_key_needs_no_disk(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);
    struct idempotency_claim claim = {.lease_ms = LEASE_MS};

    rig_name(store->store, "new", &claim);
    assert_true(idempotency_try_claim(store->store, &claim));
    assert_int_equal(claim.state, CLAIM_NEW);
    assert_true(idempotency_try_claim(store->store, &claim));
    assert_int_equal(claim.state, CLAIM_BUSY);
    assert_int_equal(rig_complete(rig, store, "new", 0, NULL, NULL), WARREN_OK);
    assert_false(idempotency_try_claim(store->store, &claim));
    rig_end(store);
}

/* Older than the retention, it may run again; a clock that steps back makes nothing older. */
static void retention_is_by_age(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);

    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    assert_int_equal(rig_complete(rig, store, "a", 0, NULL, NULL), WARREN_OK);
    rig_wall_ms -= 3600000;
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_DONE);
    rig_wall_ms += 3600000 + RETENTION_MS - 1;
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_DONE);
    rig_wall_ms += 1;
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    rig_end(store);
}

static int64_t rows(struct rig *rig)
{
    struct database *database = rig_open(rig);
    int64_t count = -1;

    assert_int_equal(database_number(database, "SELECT count(*) FROM done", &count, &rig->error),
                     WARREN_OK);
    database_close(database);
    return count;
}

static void complete_many(struct rig *rig, struct process *store, int from, int to)
{
    for (int i = from; i < to; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(rig_complete(rig, store, key, 0, NULL, NULL), WARREN_OK);
    }
}

/* Rows above the bound go, the oldest first, also those that an earlier process left behind. */
static void retention_is_by_count(void **state)
{
    struct rig *rig = *state;
    struct process_options options = rig_options(rig);
    struct process *store;
    bool more = true;
    int64_t age_ms;

    options.keys.keys_max = 100;
    store = rig_store_with(rig, &options);
    complete_many(rig, store, 0, 100);
    assert_false(idempotency_forgot(store->store, &age_ms));
    rig_wall_ms += 5;
    complete_many(rig, store, 100, 300);
    assert_true(idempotency_forgot(store->store, &age_ms));
    assert_in_range(age_ms, 0, 5);
    assert_false(idempotency_forgot(store->store, &age_ms));
    assert_in_range(rows(rig), 100, 103);
    assert_int_equal(rig_state(rig, store, "k0"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, store, "k199"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, store, "k200"), CLAIM_DONE);
    rig_end(store);
    options.keys.keys_max = 10;
    store = rig_store_with(rig, &options);
    while (more)
        assert_int_equal(rig_purge(rig, store, &more), WARREN_OK);
    assert_in_range(rows(rig), 10, 11);
    assert_int_equal(rig_state(rig, store, "k289"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, store, "k290"), CLAIM_DONE);
    rig_end(store);
}

/* What is too old is removed a few rows at a time, but for the newest, after which numbering goes
 * on. */
static void purging_is_in_small_steps(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);
    int64_t age_ms;
    bool more;

    complete_many(rig, store, 0, 600);
    rig_wall_ms += RETENTION_MS;
    assert_int_equal(rig_purge(rig, store, &more), WARREN_OK);
    assert_true(more);
    assert_int_equal(rows(rig), 600 - 256);
    while (more)
        assert_int_equal(rig_purge(rig, store, &more), WARREN_OK);
    assert_int_equal(rows(rig), 1);
    assert_false(idempotency_forgot(store->store, &age_ms)); /* it was their time */
    rig_end(store);
}

/* ---- shared ---- */

/* One claims, the other sees it busy, then done, with the result. */
static void two_processes_see_each_other(void **state)
{
    struct rig *rig = *state;
    struct process *one = rig_store(rig, true);
    struct process *two = rig_store(rig, true);
    struct idempotency_claim claim;

    assert_int_equal(rig_state(rig, one, "a"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_BUSY);
    assert_int_equal(rig_complete(rig, one, "a", 0, "yes", NULL), WARREN_OK);
    assert_int_equal(rig_claim(rig, two, "a", &claim), WARREN_OK);
    assert_int_equal(claim.state, CLAIM_DONE);
    assert_memory_equal(claim.result, "yes", 3);
    free(claim.result);
    assert_int_equal(rig_state(rig, two, "b"), CLAIM_NEW);
    assert_int_equal(rig_release(rig, two, "b"), WARREN_OK);
    assert_int_equal(rig_state(rig, one, "b"), CLAIM_NEW);
    rig_end(one);
    rig_end(two);
}

/* The claim of a process that died is taken over at once, whatever its lease. */
static void the_dead_are_taken_over(void **state)
{
    struct rig *rig = *state;
    struct process *one = rig_store(rig, true);
    struct process *two = rig_store(rig, true);

    assert_int_equal(rig_state(rig, one, "a"), CLAIM_NEW);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_BUSY);
    rig_end(one);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_NEW);
    rig_end(two);
}

/* A lease that is not renewed ends, one that is renewed does not. */
static void a_lease_ends_unless_renewed(void **state)
{
    struct rig *rig = *state;
    struct process *one = rig_store(rig, true);
    struct process *two = rig_store(rig, true);

    assert_int_equal(rig_state(rig, one, "a"), CLAIM_NEW);
    clock_fake_advance_ms(&rig_clock, LEASE_MS - 1);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_BUSY);
    assert_int_equal(rig_renew(rig, one), WARREN_OK);
    clock_fake_advance_ms(&rig_clock, LEASE_MS - 1);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_BUSY);
    clock_fake_advance_ms(&rig_clock, 1);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_NEW);
    rig_end(one);
    rig_end(two);
}

/* Who lost the claim, and comes last, is told. */
static void the_overtaken_are_told(void **state)
{
    struct rig *rig = *state;
    struct process *one = rig_store(rig, true);
    struct process *two = rig_store(rig, true);
    bool overtaken = true;

    assert_int_equal(rig_state(rig, one, "a"), CLAIM_NEW);
    clock_fake_advance_ms(&rig_clock, LEASE_MS);
    assert_int_equal(rig_state(rig, two, "a"), CLAIM_NEW);
    assert_int_equal(rig_complete(rig, two, "a", 0, NULL, &overtaken), WARREN_OK);
    assert_false(overtaken);
    assert_int_equal(rig_complete(rig, one, "a", 0, NULL, &overtaken), WARREN_OK);
    assert_true(overtaken);
    assert_int_equal(rows(rig), 1);
    rig_end(one);
    rig_end(two);
}

static void assert_refused(struct rig *rig, bool shared, const char *words)
{
    struct process_options options = rig_options(rig);
    struct process *store = NULL;

    options.keys.shared = shared;
    assert_int_equal(rig_try_open(&options, &store, &rig->error), WARREN_ECONFIG);
    assert_has(rig->error.text, words);
    assert_has(rig->error.text, rig->path);
}

/* A file that one has for itself is refused to others, also through a link, and one that is shared
 * to who does not share; the message says what to do. */
static void one_who_does_not_share_is_refused(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);

    assert_refused(rig, false, "in use by another worker");
    assert_refused(rig, true, "does not share");
    rig_link(rig, "link.db");
    assert_refused(rig, false, "in use by another worker");
    rig_end(store);
    store = rig_store(rig, true);
    assert_refused(rig, false, "store.shared: true");
    rig_end(store);
}

/* ---- a disk that fails ---- */

/* The disk is full at each write of a completion in turn: it fails as a whole, with the word space,
 * and works when there is room again. */
static void a_full_disk_completes_nothing(void **state)
{
    struct rig *rig = *state;
    struct process_options options = rig_options(rig);
    struct process *store;
    int failures = 0;

    options.database.synchronous = DATABASE_FULL;
    store = rig_store_with(rig, &options);
    fault.code = SQLITE_FULL;
    for (int after = 0;; after++) {
        enum warren_status status;
        char key[16];

        snprintf(key, sizeof key, "k%d", after);
        assert_int_equal(rig_state(rig, store, key), CLAIM_NEW);
        fault.after = after;
        status = rig_complete(rig, store, key, 0, NULL, NULL);
        fault.after = -1;
        if (status == WARREN_OK)
            break;
        failures++;
        assert_int_equal(status, WARREN_EFULL);
        assert_has(rig->error.text, "no space");
        assert_int_equal(rig_state(rig, store, key), CLAIM_BUSY);
        assert_int_equal(rig_complete(rig, store, key, 0, NULL, NULL), WARREN_OK);
        assert_int_equal(rig_state(rig, store, key), CLAIM_DONE);
    }
    assert_true(failures > 0);
    rig_end(store);
}

/* Another process keeps the file locked: a clear error, nothing changed, and it works later. */
static void a_locked_file_completes_nothing(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, true);
    struct database *other = rig_open(rig);
    struct idempotency_claim claim;

    assert_int_equal(rig_state(rig, store, "a"), CLAIM_NEW);
    assert_int_equal(database_begin(other, &rig->error), WARREN_OK);
    assert_int_equal(rig_complete(rig, store, "a", 0, NULL, NULL), WARREN_ETIMEOUT);
    assert_has(rig->error.text, "locked");
    assert_int_equal(rig_claim(rig, store, "b", &claim), WARREN_ETIMEOUT);
    database_rollback(other);
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_BUSY);
    assert_int_equal(rig_complete(rig, store, "a", 0, NULL, NULL), WARREN_OK);
    assert_int_equal(rig_state(rig, store, "a"), CLAIM_DONE);
    assert_int_equal(rig_state(rig, store, "b"), CLAIM_NEW);
    database_close(other);
    rig_end(store);
}

/* A page of the table is garbage: refused at opening with advice, and left as it is. */
static void a_damaged_table_is_refused(void **state)
{
    struct rig *rig = *state;
    struct process *store = rig_store(rig, false);
    struct process_options options = rig_options(rig);
    char garbage[4096];
    struct stat before;
    struct stat after;
    int fd;

    complete_many(rig, store, 0, 500);
    rig_end(store);
    memset(garbage, 0x5a, sizeof garbage);
    fd = open(rig->path, O_WRONLY);
    assert_int_equal(fstat(fd, &before), 0);
    for (off_t at = 4096 * 6; at < before.st_size; at += 4096)
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    close(fd);
    assert_int_equal(rig_try_open(&options, &store, &rig->error), WARREN_EIO);
    assert_has(rig->error.text, "is damaged");
    assert_has(rig->error.text, "backup");
    assert_int_equal(stat(rig->path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

/* A row with a number or a time that is none keeps no other from being known, added or purged. */
static void an_edited_row_holds_up_no_other(void **state)
{
    static const char *const edits[] = {
        "UPDATE done SET at = 9223372036854775807 WHERE id = 1",
        "UPDATE done SET at = -9223372036854775807 - 1 WHERE id = 1",
        "UPDATE done SET id = -9223372036854775807 WHERE id = 1",
        "UPDATE done SET id = 9223372036854775807 WHERE id = 1",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct process *store = rig_store(rig, false);
        int64_t left;
        bool more;

        rig_run(rig, store->database, "DELETE FROM done");
        rig_end(store);
        store = rig_store(rig, false);
        complete_many(rig, store, 0, 20);
        rig_run(rig, store->database, edits[i]);
        rig_end(store);
        store = rig_store(rig, false);
        rig_state(rig, store, "k0");
        assert_int_equal(rig_state(rig, store, "k7"), CLAIM_DONE);
        rig_wall_ms += RETENTION_MS;
        complete_many(rig, store, 20, 21);
        for (int step = 0; step < 3; step++)
            assert_int_equal(rig_purge(rig, store, &more), WARREN_OK);
        assert_int_equal(
            database_number(store->database, "SELECT count(*) FROM done", &left, &rig->error),
            WARREN_OK);
        assert_in_range(left, 1, 2);
        assert_int_equal(rig_state(rig, store, "k20"), CLAIM_DONE);
        rig_end(store);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, idempotency_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_runs_once),
        TEST(a_released_key_runs_again),
        TEST(what_is_done_outlives_the_process),
        TEST(scopes_are_apart),
        TEST(a_new_key_needs_no_disk),
        TEST(retention_is_by_age),
        TEST(retention_is_by_count),
        TEST(purging_is_in_small_steps),
        TEST(two_processes_see_each_other),
        TEST(the_dead_are_taken_over),
        TEST(a_lease_ends_unless_renewed),
        TEST(the_overtaken_are_told),
        TEST(one_who_does_not_share_is_refused),
        TEST(a_full_disk_completes_nothing),
        TEST(a_locked_file_completes_nothing),
        TEST(a_damaged_table_is_refused),
        TEST(an_edited_row_holds_up_no_other),
    };

    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
