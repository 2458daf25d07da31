/* test_keeper.c - the thread of the store: groups, failures that are tried again, the end. The
 * store is the test's, and says when it is done.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "base/error.h"
#include "store/writer/keeper.h"
#include "support/test.h"

#define PATIENCE_S 20

/* A store that waits for the test in each call, and fails as often as it is told. */
struct fake {
    struct idempotency_store store; /* first */
    sem_t entered;
    sem_t may_return;
    atomic_bool waits;
    atomic_int failures;
    atomic_size_t last_count;
    atomic_int calls;
    atomic_int looks;
    atomic_bool freed;
};

struct rig {
    struct fake *fake;
    struct keeper *keeper;
    atomic_int told_failed;
    atomic_int told_recovered;
    atomic_int done;
    atomic_int done_badly;
    sem_t one_done;
    sem_t told_size;
    atomic_int told_sizes;
};

struct work {
    struct keeper_work work; /* first */
    struct rig *rig;
    int number;
    int place; /* its `done` was the so-many-th */
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

static enum warren_status act(struct idempotency_store *store, struct idempotency_claim **claims,
                              size_t count, struct warren_error *error)
{
    struct fake *fake = (struct fake *)store;

    (void)claims;
    atomic_store(&fake->last_count, count);
    atomic_fetch_add(&fake->calls, 1);
    if (atomic_load(&fake->waits)) {
        sem_post(&fake->entered);
        sem_wait(&fake->may_return);
    }
    if (atomic_load(&fake->failures) > 0) {
        atomic_fetch_sub(&fake->failures, 1);
        return error_set(error, WARREN_EFULL, "no space left");
    }
    return WARREN_OK;
}

static enum warren_status purge(struct idempotency_store *store, bool *ret_more,
                                struct warren_error *error)
{
    (void)store;
    (void)error;
    *ret_more = false;
    return WARREN_OK;
}

static enum warren_status renew(struct idempotency_store *store, struct warren_error *error)
{
    (void)store;
    (void)error;
    return WARREN_OK;
}

/* The files are large in the first second. */
static enum database_log_news tend(struct idempotency_store *store, char *text)
{
    struct fake *fake = (struct fake *)store;
    int look = atomic_fetch_add(&fake->looks, 1);

    strcpy(text, "the log");
    return look == 0 ? DATABASE_LOG_GREW : look == 1 ? DATABASE_LOG_SHRANK : DATABASE_LOG_AS_BEFORE;
}

static void free_fake(struct idempotency_store *store)
{
    atomic_store(&((struct fake *)store)->freed, true);
}

static const struct idempotency_ops ops = {.claim = act,
                                           .complete = act,
                                           .release = act,
                                           .purge = purge,
                                           .renew = renew,
                                           .tend = tend,
                                           .free = free_fake};

static void failed(void *user, const char *error, size_t waiting)
{
    struct rig *rig = user;

    (void)waiting;
    if (strstr(error, "no space"))
        atomic_fetch_add(&rig->told_failed, 1);
}

static void recovered(void *user)
{
    atomic_fetch_add(&((struct rig *)user)->told_recovered, 1);
}

static void size(void *user, bool trouble, const char *text)
{
    struct rig *rig = user;

    if (trouble == (atomic_fetch_add(&rig->told_sizes, 1) == 0) && strcmp(text, "the log") == 0)
        sem_post(&rig->told_size);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct keeper_options options = {.renew_ms = 60000,
                                     .events = {failed, recovered, rig, size, NULL}};

    rig->fake = calloc(1, sizeof *rig->fake);
    rig->fake->store.ops = &ops;
    sem_init(&rig->fake->entered, 0, 0);
    sem_init(&rig->fake->may_return, 0, 0);
    sem_init(&rig->one_done, 0, 0);
    sem_init(&rig->told_size, 0, 0);
    options.store = &rig->fake->store;
    assert_int_equal(keeper_new(&options, &rig->keeper, NULL), WARREN_OK);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    keeper_free(rig->keeper);
    assert_true(atomic_load(&rig->fake->freed));
    free(rig->fake);
    free(rig);
    return 0;
}

static void done(struct keeper_work *work, enum warren_status status)
{
    struct work *mine = (struct work *)work;
    struct rig *rig = mine->rig;

    mine->place = atomic_fetch_add(&rig->done, 1);
    if (status != WARREN_OK)
        atomic_fetch_add(&rig->done_badly, 1);
    sem_post(&rig->one_done);
}

static void submit(struct rig *rig, struct work *works, int count, enum keeper_task task)
{
    for (int i = 0; i < count; i++) {
        works[i] = (struct work){.work = {.task = task, .done = done}, .rig = rig, .number = i};
        keeper_submit(rig->keeper, &works[i].work);
    }
}

static void wait_done(struct rig *rig, int count)
{
    while (count-- > 0)
        wait_for(&rig->one_done);
}

/* While one group is on its way to the disk the next gathers, and is one. */
static void what_gathers_is_one_group(void **state)
{
    struct rig *rig = *state;
    struct work first[1];
    struct work works[100];

    atomic_store(&rig->fake->waits, true);
    submit(rig, first, 1, KEEPER_COMPLETE);
    wait_for(&rig->fake->entered);
    submit(rig, works, 100, KEEPER_COMPLETE);
    atomic_store(&rig->fake->waits, false);
    sem_post(&rig->fake->may_return);
    wait_done(rig, 101);
    assert_int_equal(atomic_load(&rig->fake->calls), 2);
    assert_int_equal(atomic_load(&rig->fake->last_count), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(works[i].place, i + 1);
}

/* Works of different kinds are done in the order in which they came. */
static void the_order_of_tasks_is_kept(void **state)
{
    struct rig *rig = *state;
    struct work first[1];
    struct work works[3];

    atomic_store(&rig->fake->waits, true);
    submit(rig, first, 1, KEEPER_COMPLETE);
    wait_for(&rig->fake->entered);
    submit(rig, &works[0], 1, KEEPER_RELEASE);
    submit(rig, &works[1], 1, KEEPER_CLAIM);
    submit(rig, &works[2], 1, KEEPER_COMPLETE);
    atomic_store(&rig->fake->waits, false);
    sem_post(&rig->fake->may_return);
    wait_done(rig, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(works[i].place, i + 1);
}

/* A completion that fails is not told until it succeeds; the failure and its end are told once. */
static void a_completion_is_tried_until_it_succeeds(void **state)
{
    struct rig *rig = *state;
    struct work works[2];
    struct keeper_stats stats;

    atomic_store(&rig->fake->failures, 4);
    submit(rig, works, 2, KEEPER_COMPLETE);
    wait_done(rig, 2);
    keeper_stop(rig->keeper);
    keeper_stats(rig->keeper, &stats);
    assert_int_equal(atomic_load(&rig->done_badly), 0);
    assert_int_equal(atomic_load(&rig->told_failed), 1);
    assert_int_equal(atomic_load(&rig->told_recovered), 1);
    assert_int_equal(stats.completions, 2);
    assert_int_equal(stats.failures, 4);
}

/* A claim that fails is told at once: nothing was done yet. */
static void a_claim_that_fails_is_told(void **state)
{
    struct rig *rig = *state;
    struct work works[1];

    atomic_store(&rig->fake->failures, 1);
    submit(rig, works, 1, KEEPER_CLAIM);
    wait_done(rig, 1);
    assert_int_equal(atomic_load(&rig->done_badly), 1);
}

/* Stopped while the disk fails: each work is told, with the failure, and none twice. */
static void a_stop_ends_what_fails(void **state)
{
    struct rig *rig = *state;
    struct work works[10];

    atomic_store(&rig->fake->failures, 1000000);
    submit(rig, works, 10, KEEPER_COMPLETE);
    keeper_stop(rig->keeper);
    assert_int_equal(atomic_load(&rig->done), 10);
    assert_int_equal(atomic_load(&rig->done_badly), 10);
}

/* Stopped with works in the queue: they are done. */
static void a_stop_does_what_waits(void **state)
{
    struct rig *rig = *state;
    struct work works[50];

    submit(rig, works, 50, KEEPER_COMPLETE);
    keeper_stop(rig->keeper);
    keeper_stop(rig->keeper);
    assert_int_equal(atomic_load(&rig->done), 50);
    assert_int_equal(atomic_load(&rig->done_badly), 0);
}

/* What the store says of its files is passed on, although nothing is to be done. */
static void growth_is_told(void **state)
{
    struct rig *rig = *state;

    wait_for(&rig->told_size);
    wait_for(&rig->told_size);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_gathers_is_one_group),
        TEST(the_order_of_tasks_is_kept),
        TEST(a_completion_is_tried_until_it_succeeds),
        TEST(a_claim_that_fails_is_told),
        TEST(a_stop_ends_what_fails),
        TEST(a_stop_does_what_waits),
        TEST(growth_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
