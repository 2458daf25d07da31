/* test_writer.c - the thread that writes a file: groups, failures that are tried again, the end.
 * Its works are the test's, and say when they are done.
 */
#include "store_rig.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/writer/writer.h"
#include "support/metric_page.h"

#define PATIENCE_S 20

/* A client whose works wait for the test, and fail as often as they are told. */
struct scene {
    struct writer_client client; /* first */
    struct rig *rig;
    struct writer *writer;
    sem_t entered;
    sem_t may_return;
    atomic_bool waits;
    atomic_int failures;
    atomic_int told_failed;
    atomic_int told_recovered;
    atomic_size_t told_waiting;
    atomic_int done;
    atomic_int done_badly;
    sem_t one_done;
    sem_t told_size;
    atomic_int told_sizes;
};

struct work {
    struct writer_work work; /* first */
    int place;               /* its `done` was the so-many-th */
};

static struct scene *scene_of(struct writer_client *client)
{
    return (struct scene *)(void *)client;
}

static void wait_for(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (sem_timedwait(semaphore, &until) != 0)
        if (errno == ETIMEDOUT)
            fail_msg("it never came");
}

static enum warren_status run(struct writer_work *work, struct writer_side *side,
                              struct warren_error *error)
{
    struct scene *scene = scene_of(work->client);

    if (atomic_load(&scene->waits)) {
        sem_post(&scene->entered);
        sem_wait(&scene->may_return);
    }
    if (atomic_load(&scene->failures) > 0) {
        atomic_fetch_sub(&scene->failures, 1);
        return error_set(error, WARREN_EFULL, "no space left");
    }
    if (work->kind->reads)
        return WARREN_OK;
    return database_run(side->database, "INSERT INTO t VALUES (zeroblob(10))", error);
}

static enum warren_status run_large(struct writer_work *work, struct writer_side *side,
                                    struct warren_error *error)
{
    (void)work;
    return database_run(side->database, "INSERT INTO t VALUES (zeroblob(1000000))", error);
}

static void done(struct writer_work *work, enum warren_status status)
{
    struct scene *scene = scene_of(work->client);

    ((struct work *)work)->place = atomic_fetch_add(&scene->done, 1);
    if (status != WARREN_OK)
        atomic_fetch_add(&scene->done_badly, 1);
    sem_post(&scene->one_done);
}

static const struct writer_kind lasting = {.run = run, .done = done, .retried = true};
static const struct writer_kind passing = {.run = run, .done = done};
static const struct writer_kind reading = {.run = run, .done = done, .reads = true};
static const struct writer_kind anywhere = {.run = run, .done = done, .anywhere = true};
static const struct writer_kind large = {.run = run_large, .done = done};

static void failed(void *user, const char *error, size_t waiting)
{
    struct scene *scene = user;

    if (strstr(error, "no space"))
        atomic_fetch_add(&scene->told_failed, 1);
    atomic_store(&scene->told_waiting, waiting);
}

static void recovered(void *user)
{
    atomic_fetch_add(&((struct scene *)user)->told_recovered, 1);
}

static void size(void *user, bool trouble, const char *text)
{
    struct scene *scene = user;

    if (trouble == (atomic_fetch_add(&scene->told_sizes, 1) == 0) && strstr(text, "-wal"))
        sem_post(&scene->told_size);
}

static struct scene *join(struct rig *rig)
{
    const struct database_options options = {
        .path = rig->path, .synchronous = DATABASE_OFF, .busy_timeout_ms = 1};
    struct scene *scene = calloc(1, sizeof *scene);

    scene->rig = rig;
    scene->client = (struct writer_client){.events = {failed, recovered, size, scene}};
    sem_init(&scene->entered, 0, 0);
    sem_init(&scene->may_return, 0, 0);
    sem_init(&scene->one_done, 0, 0);
    sem_init(&scene->told_size, 0, 0);
    if (writer_get(&options, &scene->writer, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    writer_pause(scene->writer);
    rig_run(rig, writer_own(scene->writer)->database, "CREATE TABLE IF NOT EXISTS t (a)");
    writer_join(scene->writer, &scene->client);
    writer_resume(scene->writer);
    return scene;
}

static void leave(struct scene *scene)
{
    writer_leave(scene->writer, &scene->client);
    writer_put(scene->writer);
    free(scene);
}

static int setup(void **state)
{
    void *rig;

    if (rig_setup(&rig) != 0)
        return -1;
    *state = join(rig);
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    void *rig = scene->rig;

    leave(scene);
    return rig_teardown(&rig);
}

static void submit(struct scene *scene, struct work *works, int count,
                   const struct writer_kind *kind)
{
    for (int i = 0; i < count; i++) {
        works[i] = (struct work){.work = {.kind = kind}};
        writer_submit(scene->writer, &scene->client, &works[i].work);
    }
}

static void wait_done(struct scene *scene, int count)
{
    while (count-- > 0)
        wait_for(&scene->one_done);
}

/* A group is on its way, until let_go(). */
static void hold(struct scene *scene, struct work *work)
{
    atomic_store(&scene->waits, true);
    submit(scene, work, 1, &lasting);
    wait_for(&scene->entered);
}

static void let_go(struct scene *scene)
{
    atomic_store(&scene->waits, false);
    sem_post(&scene->may_return);
}

static uint64_t commits(struct scene *scene)
{
    struct writer_stats stats;

    writer_stats(scene->writer, &stats);
    return stats.commits;
}

static int64_t rows(struct scene *scene)
{
    struct database *database = rig_open(scene->rig);
    int64_t count = -1;

    assert_int_equal(
        database_number(database, "SELECT count(*) FROM t", &count, &scene->rig->error), WARREN_OK);
    database_close(database);
    return count;
}

/* While one group is on its way to the disk the next gathers, and is one. */
static void what_gathers_is_one_group(void **state)
{
    struct scene *scene = *state;
    struct work first[1];
    struct work works[100];

    hold(scene, first);
    submit(scene, works, 100, &lasting);
    let_go(scene);
    wait_done(scene, 101);
    assert_int_equal(commits(scene), 2);
    assert_int_equal(rows(scene), 101);
    for (int i = 0; i < 100; i++)
        assert_int_equal(works[i].place, i + 1);
}

static double value_of(const struct scene *scene, const char *name)
{
    char series[512];

    snprintf(series, sizeof series, "warren_store_%s{file=\"%s\"}", name, scene->rig->path);
    return metric_on_page(series);
}

/* Each commit, what shared it, and what failed is a series of the file. */
static void groups_are_seen(void **state)
{
    struct scene *scene = *state;
    struct work first[1];
    struct work works[100];

    hold(scene, first);
    submit(scene, works, 100, &lasting);
    let_go(scene);
    wait_done(scene, 101);
    assert_true(value_of(scene, "commits_total") == 2);
    assert_true(value_of(scene, "failures_total") == 0);
    assert_true(value_of(scene, "group_size_count") == 2);
    assert_true(value_of(scene, "group_size_sum") == 101);
    assert_true(value_of(scene, "commit_duration_seconds_count") == 2);
    assert_true(value_of(scene, "commit_duration_seconds_sum") > 0);
    assert_true(value_of(scene, "wal_bytes") > 0);
    atomic_store(&scene->failures, 1);
    submit(scene, first, 1, &passing);
    wait_done(scene, 1);
    assert_true(value_of(scene, "failures_total") == 1);
    assert_true(value_of(scene, "commits_total") == 2);
}

/* So it is with works of several clients, for the file has one writer: they share a commit. */
static void clients_share_a_commit(void **state)
{
    struct scene *scene = *state;
    struct scene *other = join(scene->rig);
    struct work first[1];
    struct work works[2][50];

    assert_ptr_equal(scene->writer, other->writer);
    hold(scene, first);
    submit(scene, works[0], 50, &lasting);
    submit(other, works[1], 50, &passing);
    let_go(scene);
    wait_done(scene, 51);
    wait_done(other, 50);
    assert_int_equal(commits(scene), 2);
    assert_int_equal(rows(scene), 101);
    leave(other);
}

/* Works of different kinds are done in the order in which they came. */
static void the_order_of_kinds_is_kept(void **state)
{
    struct scene *scene = *state;
    struct work first[1];
    struct work works[3];

    hold(scene, first);
    submit(scene, &works[0], 1, &lasting);
    submit(scene, &works[1], 1, &passing);
    submit(scene, &works[2], 1, &lasting);
    let_go(scene);
    wait_done(scene, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(works[i].place, i + 1);
}

/* One whose effect is there already is not told of a failure until it succeeds; the failure and its
 * end are told once. */
static void what_lasts_is_tried_until_it_succeeds(void **state)
{
    struct scene *scene = *state;
    struct writer_stats stats;
    struct work works[2];

    atomic_store(&scene->failures, 4);
    submit(scene, works, 2, &lasting);
    wait_done(scene, 2);
    writer_stats(scene->writer, &stats);
    assert_int_equal(atomic_load(&scene->done_badly), 0);
    assert_int_equal(atomic_load(&scene->told_failed), 1);
    assert_true(atomic_load(&scene->told_waiting) > 0);
    assert_int_equal(atomic_load(&scene->told_recovered), 1);
    assert_int_equal(rows(scene), 2);
    assert_int_equal(stats.failures, 4);
}

/* Of others it is told at once, and so is who reads; meanwhile what lasts waits on. */
static void what_passes_is_told_at_once(void **state)
{
    struct scene *scene = *state;
    struct work works[1];

    for (int i = 0; i < 2; i++) {
        atomic_store(&scene->failures, 1);
        submit(scene, works, 1, i == 0 ? &passing : &reading);
        wait_done(scene, 1);
        assert_int_equal(atomic_load(&scene->done_badly), i + 1);
    }
    assert_int_equal(rows(scene), 0);
}

/* A work that fails takes its group with it, of other clients, too; each of them hears of it, and
 * of the end. */
static void a_group_fails_as_a_whole(void **state)
{
    struct scene *scene = *state;
    struct scene *other = join(scene->rig);
    struct work first[1];
    struct work works[2];

    hold(scene, first);
    atomic_store(&other->failures, 1);
    submit(scene, &works[0], 1, &lasting);
    submit(other, &works[1], 1, &passing);
    let_go(scene);
    wait_done(other, 1);
    assert_int_equal(atomic_load(&other->done_badly), 1);
    wait_done(scene, 2);
    assert_int_equal(atomic_load(&scene->done_badly), 0);
    assert_int_equal(atomic_load(&scene->told_failed), 1);
    assert_int_equal(atomic_load(&scene->told_recovered), 1);
    assert_int_equal(rows(scene), 2);
    submit(other, &works[1], 1, &passing);
    wait_done(other, 1);
    assert_int_equal(atomic_load(&other->told_recovered), 1);
    leave(other);
}

/* The file is moved away: what counts on it waits, what does not is written. */
static void a_file_that_is_gone_takes_what_it_may(void **state)
{
    struct scene *scene = *state;
    struct scene *other = join(scene->rig);
    char aside[160];
    struct work works[2];

    snprintf(aside, sizeof aside, "%s.aside", scene->rig->path);
    assert_int_equal(rename(scene->rig->path, aside), 0);
    submit(scene, &works[0], 1, &lasting);
    submit(other, &works[1], 1, &anywhere);
    wait_done(other, 1);
    assert_int_equal(atomic_load(&other->done_badly), 0);
    assert_int_equal(atomic_load(&scene->done), 0);
    assert_int_equal(rename(aside, scene->rig->path), 0);
    wait_done(scene, 1);
    assert_int_equal(atomic_load(&scene->done_badly), 0);
    assert_int_equal(rows(scene), 2);
    leave(other);
}

/* Left while the disk fails: each work is told, with the failure, and none twice. */
static void leaving_ends_what_fails(void **state)
{
    struct scene *scene = join(((struct scene *)*state)->rig);
    struct work works[10];

    atomic_store(&scene->failures, 1000000);
    submit(scene, works, 10, &lasting);
    writer_leave(scene->writer, &scene->client);
    assert_int_equal(atomic_load(&scene->done), 10);
    assert_int_equal(atomic_load(&scene->done_badly), 10);
    writer_put(scene->writer);
    free(scene);
}

/* Left with works in the queue: they are done. */
static void leaving_does_what_waits(void **state)
{
    struct scene *scene = join(((struct scene *)*state)->rig);
    struct work works[50];

    submit(scene, works, 50, &lasting);
    writer_leave(scene->writer, &scene->client);
    assert_int_equal(atomic_load(&scene->done), 50);
    assert_int_equal(atomic_load(&scene->done_badly), 0);
    writer_put(scene->writer);
    free(scene);
}

/* Submitted anew as soon as it is done, until it is told to end. */
static void done_again(struct writer_work *work, enum warren_status status)
{
    struct scene *scene = scene_of(work->client);

    if (status == WARREN_OK && atomic_load(&scene->waits))
        writer_submit(scene->writer, &scene->client, work);
    else
        sem_post(&scene->one_done);
}

static enum warren_status run_always(struct writer_work *work, struct writer_side *side,
                                     struct warren_error *error)
{
    (void)work;
    return database_run(side->database, "DELETE FROM t", error);
}

static const struct writer_kind endless = {.run = run_always, .done = done_again};

/* One that always has something to be done keeps nobody from leaving, or from joining. */
static void a_busy_client_holds_up_nobody(void **state)
{
    struct scene *scene = *state;
    struct work work;

    atomic_store(&scene->waits, true);
    submit(scene, &work, 1, &endless);
    for (int i = 0; i < 20; i++) {
        struct scene *other = join(scene->rig);
        struct work works[3];

        submit(other, works, 3, &lasting);
        writer_leave(other->writer, &other->client);
        assert_int_equal(atomic_load(&other->done), 3);
        writer_put(other->writer);
        free(other);
    }
    atomic_store(&scene->waits, false);
    wait_done(scene, 1);
}

/* Somebody reads for long: that the log grows is told, and that it is small again, although nothing
 * is to be done. */
static void growth_is_told(void **state)
{
    struct scene *scene = *state;
    struct database *reader = rig_open(scene->rig);
    struct work works[20];

    rig_run(scene->rig, reader, "BEGIN; SELECT count(*) FROM t");
    submit(scene, works, 20, &large);
    wait_done(scene, 20);
    wait_for(&scene->told_size);
    assert_true(value_of(scene, "wal_large_total") >= 1);
    assert_true(value_of(scene, "wal_bytes") > (double)DATABASE_LOG_MAX);
    database_rollback(reader);
    wait_for(&scene->told_size);
    database_close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_gathers_is_one_group),
        TEST(groups_are_seen),
        TEST(clients_share_a_commit),
        TEST(the_order_of_kinds_is_kept),
        TEST(what_lasts_is_tried_until_it_succeeds),
        TEST(what_passes_is_told_at_once),
        TEST(a_group_fails_as_a_whole),
        TEST(a_file_that_is_gone_takes_what_it_may),
        TEST(leaving_ends_what_fails),
        TEST(leaving_does_what_waits),
        TEST(a_busy_client_holds_up_nobody),
        TEST(growth_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
