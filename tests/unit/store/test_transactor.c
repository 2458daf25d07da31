/* test_transactor.c - what handlers write and the keys of their messages: together on disk or not
 * at all, many in one transaction, with the key writer's own works, on a disk that fails.
 */
#include "idempotency_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "fault_vfs.h"
#include "store/writer/transactor.h"
#include "support/fake_clock.h"

#define PATIENCE_S 20

struct scene {
    struct rig *rig;
    struct key_writer *key_writer;
    struct idempotency_store *store;
    struct transactor *t;
    struct sqlite3 *sqlite;
    sem_t told_failed;
    char told[WARREN_ERROR_TEXT_MAX];
};

/* One message: claimed, handled, decided. */
struct message {
    struct transactor_work work; /* first */
    struct idempotency_claim claim;
    sem_t decided;
};

/* Something that the key writer does. */
struct job {
    struct key_writer_work work; /* first */
    sem_t done;
    enum warren_status status;
};

static void wait_for(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (sem_timedwait(semaphore, &until) != 0)
        if (errno == ETIMEDOUT)
            fail_msg("it never came");
}

static void on_failed(void *user, const char *error, size_t waiting)
{
    struct scene *scene = user;

    (void)waiting;
    snprintf(scene->told, sizeof scene->told, "%s", error);
    sem_post(&scene->told_failed);
}

static void open_with(struct scene *scene, struct rig *rig, bool shared)
{
    struct process_options process = rig_options(rig);
    struct key_writer_options options = {
        .database = {.path = rig->path, .synchronous = DATABASE_FULL, .busy_timeout_ms = 1},
        .keys = process.keys,
        .renew_ms = 3600000,
        .events = {.failed = on_failed, .user = scene},
        .transactional = true,
    };

    options.keys.shared = shared;
    sem_init(&scene->told_failed, 0, 0);
    scene->rig = rig;
    if (key_writer_new(&options, &scene->key_writer, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    scene->store = key_writer_store(scene->key_writer);
    idempotency_retain(scene->store, RETENTION_MS);
    scene->t = key_writer_transactor(scene->key_writer);
    scene->sqlite = transactor_handle(scene->t);
    assert_int_equal(sqlite3_exec(scene->sqlite, "CREATE TABLE IF NOT EXISTS bill (name TEXT)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
}

static void close_scene(struct scene *scene)
{
    key_writer_free(scene->key_writer);
}

static void on_done(struct key_writer_work *work, enum warren_status status)
{
    struct job *job = (struct job *)work;

    job->status = status;
    sem_post(&job->done);
}

static void begin_job(struct scene *scene, struct job *job, enum key_writer_task task,
                      const char *key)
{
    job->work = (struct key_writer_work){
        .task = task,
        .claim = {.lease_ms = LEASE_MS, .retention_ms = RETENTION_MS},
        .done = on_done,
    };
    sem_init(&job->done, 0, 0);
    rig_name(scene->store, key, &job->work.claim);
    key_writer_submit(scene->key_writer, &job->work);
}

static enum warren_status do_job(struct scene *scene, struct job *job, enum key_writer_task task,
                                 const char *key)
{
    begin_job(scene, job, task, key);
    wait_for(&job->done);
    return job->status;
}

static enum warren_status complete(struct scene *scene, const char *key)
{
    struct job job;

    return do_job(scene, &job, KEY_COMPLETE, key);
}

static enum warren_status claim(struct scene *scene, const char *key,
                                struct idempotency_claim *claim)
{
    enum warren_status status = WARREN_OK;
    struct job job;

    *claim = (struct idempotency_claim){.lease_ms = LEASE_MS, .retention_ms = RETENTION_MS};
    rig_name(scene->store, key, claim);
    if (!idempotency_try_claim(scene->store, claim)) {
        status = do_job(scene, &job, KEY_CLAIM, key);
        *claim = job.work.claim;
    }
    return status;
}

static enum claim_state state_of(struct scene *scene, const char *key)
{
    struct idempotency_claim claimed;

    assert_int_equal(claim(scene, key, &claimed), WARREN_OK);
    free(claimed.result);
    return claimed.state;
}

static void on_decided(struct transactor_work *work, enum warren_status status)
{
    (void)status;
    sem_post(&((struct message *)work)->decided);
}

/* The key is claimed, and the handler is in the transaction. */
static enum warren_status begin(struct scene *scene, struct message *message, const char *key)
{
    *message = (struct message){.work = {.decided = on_decided, .claim = &message->claim}};
    sem_init(&message->decided, 0, 0);
    assert_int_equal(claim(scene, key, &message->claim), WARREN_OK);
    assert_int_equal(message->claim.state, CLAIM_NEW);
    return transactor_enter(scene->t, &message->work, 10000, &scene->rig->error);
}

static int insert(struct scene *scene, const char *name)
{
    char sql[80];

    snprintf(sql, sizeof sql, "INSERT INTO bill VALUES ('%s')", name);
    return sqlite3_exec(scene->sqlite, sql, NULL, NULL, NULL);
}

static enum warren_status fate(struct scene *scene, struct message *message)
{
    enum warren_status status;

    if (transactor_await(scene->t, &message->work, &status))
        return status;
    wait_for(&message->decided);
    return message->work.status;
}

static int64_t count(struct rig *rig, const char *sql)
{
    struct database *database = rig_open(rig);
    int64_t number = -1;

    assert_int_equal(database_number(database, sql, &number, &rig->error), WARREN_OK);
    database_close(database);
    return number;
}

static struct writer_stats stats_of(struct scene *scene)
{
    const struct database_options file = {.path = scene->rig->path};
    struct writer_stats stats;
    struct writer *writer;

    assert_int_equal(writer_get(&file, &writer, &scene->rig->error), WARREN_OK);
    writer_stats(writer, &stats);
    writer_put(writer);
    return stats;
}

static uint64_t failures(struct scene *scene)
{
    return stats_of(scene).failures;
}

#define BILLS "SELECT count(*) FROM bill"
#define KEYS  "SELECT count(*) FROM done"

/* A message whose handler wrote and acked: its row and its key are on disk when it is decided, and
 * not before. */
static void row_and_key_come_together(void **state)
{
    struct scene scene;
    struct message message;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    assert_int_equal(count(*state, BILLS), 0);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 1);
    assert_int_equal(count(*state, KEYS), 1);
    assert_int_equal(state_of(&scene, "a"), CLAIM_DONE);
    close_scene(&scene);
}

/* A failed attempt leaves nothing, and takes nothing of the others with it. */
static void a_failed_attempt_leaves_nothing(void **state)
{
    enum { COUNT = 20 };
    struct scene scene;
    struct message messages[COUNT];
    char key[16];

    open_with(&scene, *state, false);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(begin(&scene, &messages[i], key), WARREN_OK);
        assert_int_equal(insert(&scene, key), SQLITE_OK);
        if (i % 2 == 0)
            transactor_drop(scene.t);
        else
            assert_int_equal(transactor_leave(scene.t, &messages[i].work, &scene.rig->error),
                             WARREN_OK);
    }
    for (int i = 1; i < COUNT; i += 2)
        assert_int_equal(fate(&scene, &messages[i]), WARREN_OK);
    assert_int_equal(count(*state, BILLS), COUNT / 2);
    assert_int_equal(count(*state, "SELECT count(*) FROM bill WHERE name = 'k0'"), 0);
    assert_int_equal(count(*state, KEYS), COUNT / 2);
    close_scene(&scene);
}

/* The disk is full at each write in turn: whatever the handler or the commit is told, row and key
 * are both there or both not, and it works when there is room again. */
static void a_full_disk_keeps_them_together(void **state)
{
    struct scene scene;
    struct message message;
    int failures = 0;
    int done = 0;

    open_with(&scene, *state, false);
    fault.code = SQLITE_FULL;
    for (int after = 0;; after++) {
        enum warren_status status;
        char key[16];

        snprintf(key, sizeof key, "k%d", after);
        fault.after = after;
        status = begin(&scene, &message, key);
        if (status == WARREN_OK) {
            insert(&scene, key);
            status = transactor_leave(scene.t, &message.work, &scene.rig->error);
            assert_int_not_equal(status, WARREN_EINVAL); /* no fault of the handler's */
            if (status == WARREN_OK)
                status = fate(&scene, &message);
        }
        fault.after = -1;
        assert_int_equal(count(*state, BILLS), count(*state, KEYS));
        done += status == WARREN_OK;
        failures += status != WARREN_OK;
        assert_int_equal(count(*state, BILLS), done);
        if (status == WARREN_OK)
            break;
    }
    assert_true(failures > 0);
    close_scene(&scene);
}

static void move(struct rig *rig, bool away)
{
    char aside[160];

    snprintf(aside, sizeof aside, "%s.aside", rig->path);
    assert_int_equal(away ? rename(rig->path, aside) : rename(aside, rig->path), 0);
}

/* The file is moved away while a handler is in it, and before: nothing counts as done, neither by
 * transaction nor by key alone, and what is done is not looked up, until it is back. */
static void a_file_that_is_gone_takes_nothing(void **state)
{
    struct idempotency_claim done;
    struct message message;
    struct scene scene;
    struct job job;

    open_with(&scene, *state, false);
    assert_int_equal(complete(&scene, "done"), WARREN_OK);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    move(*state, true);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_EIO);
    assert_true(idempotency_try_release(scene.store, &message.claim));
    assert_int_equal(begin(&scene, &message, "a"), WARREN_EIO);
    assert_has(scene.rig->error.text, "deleted or moved");
    assert_int_equal(claim(&scene, "done", &done), WARREN_EIO);
    wait_for(&scene.told_failed);
    assert_has(scene.told, "deleted or moved");
    begin_job(&scene, &job, KEY_COMPLETE, "b");
    assert_int_equal(claim(&scene, "done", &done), WARREN_EIO); /* the thread has looked at it */
    assert_int_equal(sem_trywait(&job.done), -1);
    move(*state, false);
    wait_for(&job.done);
    assert_int_equal(job.status, WARREN_OK);
    assert_true(idempotency_try_release(scene.store, &message.claim));
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 1);
    assert_int_equal(count(*state, KEYS), 3);
    close_scene(&scene);
}

/* The file is emptied in its place while a handler is in it, and what is in the log fills it again:
 * with holes. Nothing counts as done from then on, neither at once nor later. */
static void a_file_that_was_emptied_takes_nothing(void **state)
{
    struct rig *rig = *state;
    struct idempotency_claim done;
    struct message message;
    struct scene scene;
    struct job job;

    open_with(&scene, rig, false);
    assert_int_equal(begin(&scene, &message, "before"), WARREN_OK);
    assert_int_equal(transactor_leave(scene.t, &message.work, &rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(sqlite3_wal_checkpoint(scene.sqlite, NULL), SQLITE_OK);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    assert_int_equal(truncate(rig->path, 0), 0);
    assert_int_equal(transactor_leave(scene.t, &message.work, &rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_EIO);
    assert_int_equal(truncate(rig->path, 100000), 0);
    wait_for(&scene.told_failed);
    begin_job(&scene, &job, KEY_COMPLETE, "b");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(claim(&scene, "before", &done), WARREN_EIO);
        assert_has(scene.told, "was emptied");
        assert_true(idempotency_try_release(scene.store, &message.claim));
        assert_int_equal(begin(&scene, &message, "a"), WARREN_EIO);
    }
    key_writer_stop(scene.key_writer);
    assert_int_equal(job.status, WARREN_EIO);
    close_scene(&scene);
}

/* Neither can a handler end the transaction, nor write warren's own tables, nor leave a statement
 * half done. */
static void a_handler_cannot_break_it(void **state)
{
    static const char *const denied[] = {"BEGIN",
                                         "COMMIT",
                                         "ROLLBACK",
                                         "RELEASE warren_message",
                                         "ATTACH ':memory:' AS other",
                                         "DELETE FROM done",
                                         "UPDATE setting SET value = 1",
                                         "DROP TABLE claim"};
    sqlite3_stmt *half = NULL;
    struct scene scene;
    struct message message;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        assert_int_equal(sqlite3_exec(scene.sqlite, denied[i], NULL, NULL, NULL), SQLITE_AUTH);
    assert_int_equal(sqlite3_exec(scene.sqlite,
                                  "SAVEPOINT mine; INSERT INTO bill VALUES ('x');"
                                  "ROLLBACK TO mine; RELEASE mine",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(scene.sqlite,
                                        "INSERT INTO bill VALUES ('a'), ('b') RETURNING name", -1,
                                        &half, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(half), SQLITE_ROW);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 2);
    sqlite3_finalize(half);
    close_scene(&scene);
}

/* A statement of a handler has SQLite roll everything back: nothing that the handler does then is
 * kept, its message is told that it did it, those before it that they are undone, no failure of the
 * disk is reported, and the next one finds all as it should be. */
static void a_handler_rolls_everything_back(void **state)
{
    struct message messages[3];
    enum warren_status first;
    struct scene scene;

    open_with(&scene, *state, false);
    assert_int_equal(
        sqlite3_exec(scene.sqlite, "CREATE UNIQUE INDEX one ON bill (name)", NULL, NULL, NULL),
        SQLITE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(begin(&scene, &messages[i], i == 0 ? "a" : "b"), WARREN_OK);
        assert_int_equal(insert(&scene, i == 0 ? "a" : "b"), SQLITE_OK);
        if (i == 0)
            assert_int_equal(transactor_leave(scene.t, &messages[0].work, &scene.rig->error),
                             WARREN_OK);
    }
    assert_int_equal(
        sqlite3_exec(scene.sqlite, "INSERT OR ROLLBACK INTO bill VALUES ('b')", NULL, NULL, NULL),
        SQLITE_CONSTRAINT_UNIQUE);
    assert_int_not_equal(insert(&scene, "later"), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(scene.sqlite,
                                      "SAVEPOINT mine; INSERT INTO bill VALUES ('mine');"
                                      "RELEASE mine",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    assert_int_equal(transactor_leave(scene.t, &messages[1].work, &scene.rig->error),
                     WARREN_EINVAL);
    assert_non_null(strstr(scene.rig->error.text, "a statement of the handler's"));
    first = fate(&scene, &messages[0]); /* it may have been committed before */
    assert_int_equal(count(*state, BILLS), first == WARREN_OK);
    assert_int_equal(count(*state, KEYS), first == WARREN_OK);
    assert_int_equal(begin(&scene, &messages[2], "c"), WARREN_OK);
    assert_int_equal(insert(&scene, "c"), SQLITE_OK);
    assert_int_equal(transactor_leave(scene.t, &messages[2].work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &messages[2]), WARREN_OK);
    assert_int_equal(count(*state, BILLS), (first == WARREN_OK) + 1);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

static int run(struct scene *scene, const char *sql)
{
    return sqlite3_exec(scene->sqlite, sql, NULL, NULL, NULL);
}

/* A handler that writes with @sql, and acks. */
static enum warren_status handle(struct scene *scene, struct message *message, const char *key,
                                 const char *sql)
{
    assert_int_equal(begin(scene, message, key), WARREN_OK);
    assert_int_equal(run(scene, sql), SQLITE_OK);
    return transactor_leave(scene->t, &message->work, &scene->rig->error);
}

#define ONE_BILL "INSERT INTO bill VALUES ('x')"

/* Rows that refer to none, which SQLite would refuse at the commit: the message that left them is
 * told so, and neither those before nor those behind it. That keys are checked late by a PRAGMA
 * holds for the one that said so. */
static void orphans_are_their_own_handlers(void **state)
{
    static const char *const guilty[] = {
        "INSERT INTO late VALUES (1)",
        "PRAGMA defer_foreign_keys = ON; INSERT INTO soon VALUES (1)",
        "SAVEPOINT mine; INSERT INTO late VALUES (1); RELEASE mine",
    };
    enum { KINDS = sizeof guilty / sizeof *guilty };
    struct message innocent[2 * KINDS];
    struct message message;
    struct scene scene;

    open_with(&scene, *state, false);
    assert_int_equal(run(&scene, "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
                                 "CREATE TABLE soon (id REFERENCES parent);"
                                 "CREATE TABLE late (id REFERENCES parent"
                                 " DEFERRABLE INITIALLY DEFERRED);"
                                 "PRAGMA foreign_keys = ON"),
                     SQLITE_OK);
    for (int i = 0; i < KINDS; i++) {
        char key[16];

        snprintf(key, sizeof key, "before %d", i);
        assert_int_equal(handle(&scene, &innocent[2 * i], key, ONE_BILL), WARREN_OK);
        assert_int_equal(handle(&scene, &message, "guilty", guilty[i]), WARREN_EINVAL);
        assert_has(scene.rig->error.text, "FOREIGN KEY");
        assert_true(idempotency_try_release(scene.store, &message.claim));
        snprintf(key, sizeof key, "behind %d", i);
        assert_int_equal(begin(&scene, &innocent[2 * i + 1], key), WARREN_OK);
        assert_int_equal(run(&scene, "INSERT INTO soon VALUES (1)"), SQLITE_CONSTRAINT_FOREIGNKEY);
        assert_int_equal(run(&scene, ONE_BILL), SQLITE_OK);
        assert_int_equal(transactor_leave(scene.t, &innocent[2 * i + 1].work, &scene.rig->error),
                         WARREN_OK);
    }
    for (int i = 0; i < 2 * KINDS; i++)
        assert_int_equal(fate(&scene, &innocent[i]), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 2 * KINDS);
    assert_int_equal(count(*state, KEYS), 2 * KINDS);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

/* A table that takes no more rows is SQLITE_FULL, too, and has SQLite roll everything back: whether
 * the handler says so or acks, it is the handler's, and not the disk's. What comes then is alone,
 * and not undone by the next one. */
static void a_full_table_is_no_full_disk(void **state)
{
    struct message message;
    struct message alone;
    struct scene scene;

    open_with(&scene, *state, false);
    assert_int_equal(run(&scene, "CREATE TABLE number (id INTEGER PRIMARY KEY AUTOINCREMENT);"
                                 "INSERT INTO number VALUES (9223372036854775807)"),
                     SQLITE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(begin(&scene, &message, "guilty"), WARREN_OK);
        assert_int_equal(run(&scene, "INSERT INTO number DEFAULT VALUES"), SQLITE_FULL);
        if (i == 0)
            assert_true(transactor_drop(scene.t));
        else
            assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error),
                             WARREN_EINVAL);
        assert_true(idempotency_try_release(scene.store, &message.claim));
        assert_int_equal(handle(&scene, &alone, i == 0 ? "a" : "b", ONE_BILL), WARREN_OK);
        assert_int_equal(count(*state, BILLS), i + 1);
        assert_int_equal(fate(&scene, &alone), WARREN_OK);
    }
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

/* A commit is refused for what somebody of the group wrote, and nobody can tell who: each then has
 * its own, in which the guilty one is told so, the others are on disk, and the store did not fail.
 */
static void a_refused_commit_is_tried_singly(void **state)
{
    struct message message;
    struct scene scene;

    open_with(&scene, *state, false);
    fault.code = SQLITE_CONSTRAINT;
    fault.after = 0;
    assert_int_equal(handle(&scene, &message, "guilty", ONE_BILL), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_EINVAL);
    assert_true(idempotency_try_release(scene.store, &message.claim));
    assert_int_equal(handle(&scene, &message, "guilty", ONE_BILL), WARREN_EINVAL);
    fault.after = -1;
    assert_int_equal(count(*state, BILLS), 0);
    assert_int_equal(handle(&scene, &message, "innocent", ONE_BILL), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 1);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(state_of(&scene, "innocent"), CLAIM_DONE);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

static int always(void *user)
{
    (void)user;
    return 1;
}

/* Hooks and timers that a handler leaves behind neither break its commit nor that of others. */
static void hooks_end_with_their_handler(void **state)
{
    struct message message;
    struct scene scene;

    open_with(&scene, *state, false);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(begin(&scene, &message, i == 0 ? "a" : "b"), WARREN_OK);
        assert_int_equal(run(&scene, ONE_BILL), SQLITE_OK);
        sqlite3_commit_hook(scene.sqlite, always, NULL);
        sqlite3_rollback_hook(scene.sqlite, NULL, NULL);
        sqlite3_progress_handler(scene.sqlite, 1, always, NULL);
        if (i == 0)
            assert_int_equal(run(&scene, ONE_BILL), SQLITE_INTERRUPT); /* rolls everything back */
        assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error),
                         i == 0 ? WARREN_EINVAL : WARREN_OK);
    }
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 1);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

/* Limits that a handler lowers, in `open` or in an attempt, break neither its commit nor that of
 * others; nor does what else it sets of the connection. */
static void settings_end_with_their_handler(void **state)
{
    struct message message;
    struct scene scene;
    int is_defensive = 0;

    open_with(&scene, *state, false);
    sqlite3_limit(scene.sqlite, SQLITE_LIMIT_LENGTH, 1); /* as in `open` */
    for (int i = 0; i < 2; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(handle(&scene, &message, key, ONE_BILL), WARREN_OK);
        assert_int_equal(fate(&scene, &message), WARREN_OK);
        assert_int_equal(begin(&scene, &message, "dropped"), WARREN_OK);
        for (int limit = 0; limit <= SQLITE_LIMIT_WORKER_THREADS; limit++)
            sqlite3_limit(scene.sqlite, limit, 0);
        sqlite3_db_config(scene.sqlite, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
        if (i == 0) {
            transactor_drop(scene.t);
            assert_true(idempotency_try_release(scene.store, &message.claim));
        } else {
            assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error),
                             WARREN_OK);
            assert_int_equal(fate(&scene, &message), WARREN_OK);
        }
        sqlite3_db_config(scene.sqlite, SQLITE_DBCONFIG_DEFENSIVE, -1, &is_defensive);
        assert_true(is_defensive);
    }
    assert_int_equal(count(*state, BILLS), 2);
    assert_int_equal(count(*state, KEYS), 3);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

static int deny(void *user, int action, const char *first, const char *second, const char *database,
                const char *trigger)
{
    (void)user, (void)action, (void)first, (void)second, (void)database, (void)trigger;
    return SQLITE_DENY;
}

/* An authorizer that a handler takes away, or sets, breaks neither its commit nor that of others,
 * and opens warren's tables to nobody after it, nor to what it compiled meanwhile. */
static void an_authorizer_ends_with_its_handler(void **state)
{
    sqlite3_stmt *forbidden[2] = {NULL, NULL};
    struct message message;
    struct scene scene;

    open_with(&scene, *state, false);
    sqlite3_set_authorizer(scene.sqlite, NULL, NULL); /* as in `open` */
    for (int i = 0; i < 4; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(begin(&scene, &message, key), WARREN_OK);
        assert_int_equal(run(&scene, "DELETE FROM done"), SQLITE_AUTH);
        for (int k = 0; k < 2 && forbidden[k]; k++) {
            assert_int_equal(sqlite3_step(forbidden[k]), SQLITE_AUTH);
            sqlite3_finalize(forbidden[k]);
        }
        assert_int_equal(run(&scene, ONE_BILL), SQLITE_OK);
        sqlite3_set_authorizer(scene.sqlite, i == 0 ? NULL : deny, NULL);
        if (i == 0) {
            assert_int_equal(
                sqlite3_prepare_v2(scene.sqlite, "DELETE FROM done", -1, &forbidden[0], NULL),
                SQLITE_OK);
            assert_int_equal(sqlite3_prepare_v2(scene.sqlite, "COMMIT", -1, &forbidden[1], NULL),
                             SQLITE_OK);
        } else {
            forbidden[0] = NULL;
        }
        assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
        assert_int_equal(fate(&scene, &message), WARREN_OK);
    }
    assert_int_equal(count(*state, BILLS), 4);
    assert_int_equal(count(*state, KEYS), 4);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

struct visitor {
    struct scene *scene;
    enum warren_status status;
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    struct transactor_work work;
    struct warren_error error;

    visitor->status = transactor_enter(visitor->scene->t, &work, 20, &error);
    return NULL;
}

/* One handler at a time; the others wait for as long as they may. */
static void one_at_a_time(void **state)
{
    struct scene scene;
    struct visitor visitor = {&scene, WARREN_OK};
    struct message message;
    pthread_t thread;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(pthread_create(&thread, NULL, visit, &visitor), 0);
    pthread_join(thread, NULL);
    assert_int_equal(visitor.status, WARREN_ETIMEOUT);
    transactor_drop(scene.t);
    assert_int_equal(transactor_enter(scene.t, &message.work, 0, &scene.rig->error), WARREN_OK);
    transactor_drop(scene.t);
    close_scene(&scene);
}

/* What @process is answered about @key, as soon as the file is free: who has it may still be
 * writing, and the rig does not wait. */
static enum claim_state state_when_free(struct rig *rig, struct process *process, const char *key)
{
    int64_t end_ms = clock_now_ms(clock_monotonic()) + 30000;
    struct idempotency_claim claim;

    while (rig_claim(rig, process, key, &claim) != WARREN_OK)
        if (!strstr(rig->error.text, "keeps it locked") || clock_now_ms(clock_monotonic()) > end_ms)
            fail_msg("%s", rig->error.text);
    free(claim.result);
    return claim.state;
}

/* Another process has taken the key over, and is at it: what this one wrote is rolled back, whether
 * the other is done or not. */
static void the_overtaken_are_rolled_back(void **state)
{
    struct process *other;
    struct scene scene;
    struct message message;

    open_with(&scene, *state, true);
    other = rig_store(*state, true);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    transactor_drop(scene.t); /* so that the other can write */
    clock_fake_advance_ms(&rig_clock, LEASE_MS);
    assert_int_equal(state_when_free(*state, other, "a"), CLAIM_NEW);
    assert_int_equal(transactor_enter(scene.t, &message.work, 1000, &scene.rig->error), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_ECLOSED);
    assert_int_equal(count(*state, BILLS), 0);
    assert_int_equal(count(*state, KEYS), 0);
    rig_end(other);
    close_scene(&scene);
}

enum { WRITERS = 3, EACH = 200 };

struct writer {
    struct scene *scene;
    int number;
    unsigned failed;
};

static void *write_many(void *arg)
{
    struct writer *writer = arg;
    struct scene *scene = writer->scene;

    for (int i = 0; i < EACH; i++) {
        struct warren_error error;
        struct message message;
        char key[32];

        message = (struct message){.work = {.decided = on_decided, .claim = &message.claim}};
        sem_init(&message.decided, 0, 0);
        snprintf(key, sizeof key, "w%d-%d", writer->number, i);
        rig_name(scene->store, key, &message.claim);
        idempotency_try_claim(scene->store, &message.claim);
        if (transactor_enter(scene->t, &message.work, INT64_MAX, &error) != WARREN_OK ||
            insert(scene, key) != SQLITE_OK ||
            transactor_leave(scene->t, &message.work, &error) != WARREN_OK ||
            fate(scene, &message) != WARREN_OK)
            writer->failed++;
    }
    return NULL;
}

/* Handlers on many threads, while the key writer completes other keys: all are there, none waits
 * for the disk in vain, and commits are fewer than messages. */
static void beside_a_key_writer(void **state)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct scene scene;

    open_with(&scene, *state, false);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&scene, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < EACH; i++) {
        char key[16];

        snprintf(key, sizeof key, "own %d", i);
        assert_int_equal(state_of(&scene, key), CLAIM_NEW);
        assert_int_equal(complete(&scene, key), WARREN_OK);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].failed, 0);
    }
    assert_true(stats_of(&scene).commits < (WRITERS + 1) * EACH);
    assert_int_equal(count(*state, BILLS), WRITERS * EACH);
    assert_int_equal(count(*state, "SELECT count(DISTINCT key) FROM done"), (WRITERS + 1) * EACH);
    for (int i = 0; i < EACH; i++) {
        char key[16];

        snprintf(key, sizeof key, "w1-%d", i);
        assert_int_equal(state_of(&scene, key), CLAIM_DONE);
    }
    close_scene(&scene);
}

struct sleeper {
    struct scene *scene;
    struct message message;
    sem_t entered;
    sem_t end;
};

static void *enter_and_sleep(void *arg)
{
    struct sleeper *sleeper = arg;

    assert_int_equal(transactor_enter(sleeper->scene->t, &sleeper->message.work, 10000,
                                      &sleeper->scene->rig->error),
                     WARREN_OK);
    insert(sleeper->scene, "never");
    sem_post(&sleeper->entered);
    sem_wait(&sleeper->end);
    return NULL;
}

static void *abandon_when_awaited(void *arg)
{
    struct sleeper *sleeper = arg;

    while (transactor_occupant(sleeper->scene->t) == 0)
        sched_yield();
    transactor_abandon(sleeper->scene->t);
    return NULL;
}

/* A handler is in the transaction and will never leave: whoever waits for it, or comes, be it for
 * the transaction or to write a key of his own, goes away at once; and so does the end. */
static void an_abandoned_one_holds_up_nobody(void **state)
{
    static struct scene scene; /* what is left to the lost thread is not freed */
    struct sleeper sleeper = {.scene = &scene};
    struct message message;
    pthread_t lost;
    pthread_t rescuer;

    open_with(&scene, *state, false);
    sem_init(&sleeper.entered, 0, 0);
    sem_init(&sleeper.end, 0, 0);
    assert_int_equal(pthread_create(&lost, NULL, enter_and_sleep, &sleeper), 0);
    sem_wait(&sleeper.entered);
    assert_int_equal(pthread_create(&rescuer, NULL, abandon_when_awaited, &sleeper), 0);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_ECLOSED);
    assert_int_equal(complete(&scene, "b"), WARREN_ECLOSED);
    assert_true(transactor_is_abandoned(scene.t));
    close_scene(&scene);
    sem_post(&sleeper.end);
    pthread_join(lost, NULL);
    pthread_join(rescuer, NULL);
}

/* While a handler is in it, the key writer's works wait for it; then they are committed with what
 * it wrote, in one flush. What is only read waits for nobody. */
static void works_join_what_handlers_wrote(void **state)
{
    struct idempotency_claim found;
    struct message message;
    struct scene scene;
    struct job jobs[2];
    uint64_t before;

    open_with(&scene, *state, false);
    assert_int_equal(complete(&scene, "done"), WARREN_OK);
    before = stats_of(&scene).commits;
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    begin_job(&scene, &jobs[0], KEY_COMPLETE, "b");
    begin_job(&scene, &jobs[1], KEY_COMPLETE, "c");
    assert_int_equal(claim(&scene, "done", &found), WARREN_OK);
    assert_int_equal(found.state, CLAIM_DONE);
    assert_int_equal(sem_trywait(&jobs[0].done), -1);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    for (int i = 0; i < 2; i++) {
        wait_for(&jobs[i].done);
        assert_int_equal(jobs[i].status, WARREN_OK);
    }
    assert_int_equal(stats_of(&scene).commits, before + 1);
    assert_int_equal(count(*state, KEYS), 4);
    assert_int_equal(state_of(&scene, "a"), CLAIM_DONE);
    assert_int_equal(state_of(&scene, "c"), CLAIM_DONE);
    close_scene(&scene);
}

/* The commit is refused for what a handler wrote: the works that were with it are written all the
 * same. */
static void works_outlive_a_refused_commit(void **state)
{
    struct message message;
    struct scene scene;
    struct job job;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "guilty"), WARREN_OK);
    assert_int_equal(run(&scene, ONE_BILL), SQLITE_OK);
    begin_job(&scene, &job, KEY_COMPLETE, "innocent");
    fault.code = SQLITE_CONSTRAINT;
    fault.once = true;
    fault.after = 0;
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_EINVAL);
    wait_for(&job.done);
    fault.once = false;
    assert_int_equal(job.status, WARREN_OK);
    assert_int_equal(count(*state, BILLS), 0);
    assert_int_equal(count(*state, KEYS), 1);
    assert_int_equal(failures(&scene), 0);
    close_scene(&scene);
}

/* What has joined is committed at the end. */
static void the_end_commits(void **state)
{
    struct scene scene;
    struct message message;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    assert_int_equal(insert(&scene, "a"), SQLITE_OK);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    transactor_stop(scene.t);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(transactor_enter(scene.t, &message.work, 0, &scene.rig->error),
                     WARREN_ECLOSED);
    assert_int_equal(count(*state, BILLS), 1);
    close_scene(&scene);
}

/* The rows of a file are written by way of one store: a second key writer of this process is
 * refused, also where processes share the file; one that comes when the first has gone is not. */
static void a_process_has_a_store_once(void **state)
{
    struct rig *rig = *state;
    struct process_options process = rig_options(rig);
    struct key_writer_options options = {.database = {.path = rig->path, .busy_timeout_ms = 1},
                                         .keys = process.keys};
    struct scene scene = {.rig = NULL};
    struct key_writer *second = NULL;

    options.keys.shared = true;
    open_with(&scene, rig, true);
    assert_int_equal(key_writer_new(&options, &second, &rig->error), WARREN_EIO);
    assert_non_null(strstr(rig->error.text, "another worker of this process has this store"));
    assert_int_equal(complete(&scene, "a key"), WARREN_OK);
    close_scene(&scene);
    assert_int_equal(key_writer_new(&options, &second, &rig->error), WARREN_OK);
    key_writer_free(second);
}

/* ---- batches ---- */

/* One batch of @count, begun by this thread: each writes and leaves, and every third is dropped. */
static void write_batch(struct scene *scene, struct message *messages, int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof key, "b%d", i);
        assert_int_equal(begin(scene, &messages[i], key), WARREN_OK);
        assert_int_equal(insert(scene, key), SQLITE_OK);
        transactor_stay(scene->t, i + 1 < count);
        if (i % 3 == 2)
            assert_true(transactor_drop(scene->t));
        else
            assert_int_equal(transactor_leave(scene->t, &messages[i].work, &scene->rig->error),
                             WARREN_OK);
    }
}

/* Somebody else who wants to enter, on a thread of its own. */
struct other {
    struct scene *scene;
    struct transactor_work work;
    pthread_t thread;
    atomic_bool inside;
};

static void *enter_and_drop(void *arg)
{
    struct other *other = arg;
    struct warren_error error = {WARREN_OK, ""};

    if (transactor_enter(other->scene->t, &other->work, PATIENCE_S * 1000, &error) != WARREN_OK)
        return NULL;
    atomic_store(&other->inside, true);
    transactor_drop(other->scene->t);
    return NULL;
}

/* The messages of a batch follow each other, and nobody comes between; each is kept or undone by
 * itself, and all that are kept are on disk together. Then others may enter. */
static void a_batch_has_it_to_the_end(void **state)
{
    enum { COUNT = 30 };
    struct scene scene;
    struct message messages[COUNT];
    struct other other = {.scene = &scene};

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &messages[0], "first"), WARREN_OK);
    transactor_stay(scene.t, true);
    assert_int_equal(transactor_leave(scene.t, &messages[0].work, &scene.rig->error), WARREN_OK);
    assert_int_equal(pthread_create(&other.thread, NULL, enter_and_drop, &other), 0);
    assert_int_not_equal(transactor_occupant(scene.t), 0);
    write_batch(&scene, &messages[1], COUNT - 1);
    pthread_join(other.thread, NULL);
    assert_true(atomic_load(&other.inside));
    assert_int_equal(transactor_occupant(scene.t), 0);
    for (int i = 1; i < COUNT; i++)
        if ((i - 1) % 3 != 2)
            assert_int_equal(fate(&scene, &messages[i]), WARREN_OK);
    assert_int_equal(fate(&scene, &messages[0]), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 20);
    assert_int_equal(count(*state, "SELECT count(*) FROM bill WHERE name = 'b2'"), 0);
    assert_int_equal(count(*state, KEYS), 21);
    close_scene(&scene);
}

/* Who has left and does not come back lets the others in. */
static void a_batch_that_ends_early(void **state)
{
    struct scene scene;
    struct message message;

    open_with(&scene, *state, false);
    assert_int_equal(begin(&scene, &message, "a"), WARREN_OK);
    transactor_stay(scene.t, true);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_not_equal(transactor_occupant(scene.t), 0);
    transactor_stay(scene.t, false);
    assert_int_equal(transactor_occupant(scene.t), 0);
    transactor_stay(scene.t, true); /* of who is not in it: nothing */
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(begin(&scene, &message, "b"), WARREN_OK);
    assert_int_equal(transactor_leave(scene.t, &message.work, &scene.rig->error), WARREN_OK);
    assert_int_equal(fate(&scene, &message), WARREN_OK);
    assert_int_equal(count(*state, KEYS), 2);
    close_scene(&scene);
}

/* A statement of one rolls everything back: those before it are undone, too, and are told so; those
 * behind it begin anew. */
static void one_of_a_batch_rolls_everything_back(void **state)
{
    struct scene scene;
    struct message messages[3];

    open_with(&scene, *state, false);
    for (int i = 0; i < 3; i++) {
        char key[16];

        snprintf(key, sizeof key, "b%d", i);
        assert_int_equal(begin(&scene, &messages[i], key), WARREN_OK);
        insert(&scene, key);
        transactor_stay(scene.t, i < 2);
        if (i == 1) {
            sqlite3_exec(scene.sqlite,
                         "CREATE TABLE one (a UNIQUE); INSERT INTO one VALUES (1);"
                         "INSERT OR ROLLBACK INTO one VALUES (1)",
                         NULL, NULL, NULL);
            assert_int_equal(transactor_leave(scene.t, &messages[i].work, &scene.rig->error),
                             WARREN_EINVAL);
        } else {
            assert_int_equal(transactor_leave(scene.t, &messages[i].work, &scene.rig->error),
                             WARREN_OK);
        }
    }
    assert_int_not_equal(fate(&scene, &messages[0]), WARREN_OK);
    assert_int_equal(fate(&scene, &messages[2]), WARREN_OK);
    assert_int_equal(count(*state, BILLS), 1);
    close_scene(&scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, idempotency_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_process_has_a_store_once),
        TEST(row_and_key_come_together),
        TEST(a_failed_attempt_leaves_nothing),
        TEST(a_full_disk_keeps_them_together),
        TEST(a_file_that_is_gone_takes_nothing),
        TEST(a_file_that_was_emptied_takes_nothing),
        TEST(a_handler_cannot_break_it),
        TEST(a_handler_rolls_everything_back),
        TEST(orphans_are_their_own_handlers),
        TEST(a_full_table_is_no_full_disk),
        TEST(a_refused_commit_is_tried_singly),
        TEST(hooks_end_with_their_handler),
        TEST(settings_end_with_their_handler),
        TEST(one_at_a_time),
        TEST(an_authorizer_ends_with_its_handler),
        TEST(the_overtaken_are_rolled_back),
        TEST(beside_a_key_writer),
        TEST(an_abandoned_one_holds_up_nobody),
        TEST(works_join_what_handlers_wrote),
        TEST(works_outlive_a_refused_commit),
        TEST(the_end_commits),
        TEST(a_batch_has_it_to_the_end),
        TEST(a_batch_that_ends_early),
        TEST(one_of_a_batch_rolls_everything_back),
    };

    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
