/* test_semaphores.c - semaphores of a worker: messages that wait without a thread, handlers that
 * wait with theirs, what a job holds, and what a reload does to all of them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/random.h"
#include "consume/job/chain.h"
#include "consume/job/job_group.h"
#include "job_rig.h"

#define PATIENCE 100000 /* rests */

static void rest(void)
{
    struct timespec time = {0, 200000};

    nanosleep(&time, NULL);
}

static void set_sizes(struct semaphores *s, uint32_t db, uint32_t files)
{
    const struct config_semaphore configs[] = {{"db", db}, {"files", files}};
    size_t count = files > 0 ? 2 : 1;

    assert_int_equal(semaphores_reserve(s, configs, count), WARREN_OK);
    semaphores_set(s, configs, count);
}

struct rig {
    struct job_rig *job_rig;
    struct warren_job *job;
    struct semaphores semaphores;
    struct pool pool;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    void *job_rig = NULL;

    if (!rig || job_rig_setup(&job_rig) != 0)
        return -1;
    rig->job_rig = job_rig;
    rig->job = rig->job_rig->job;
    semaphores_init(&rig->semaphores);
    set_sizes(&rig->semaphores, 10, 2);
    pool_init(&rig->pool, 2, false);
    rig->job_rig->source.semaphores = &rig->semaphores;
    rig->job_rig->source.pool = &rig->pool;
    rig->job->runs = true;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    void *job_rig = rig->job_rig;

    if (rig->job->hold.any)
        semaphores_end(&rig->semaphores, &rig->job->hold);
    pool_stop(&rig->pool);
    pool_done(&rig->pool);
    job_rig_teardown(&job_rig);
    semaphores_done(&rig->semaphores);
    free(rig);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static uint64_t used(struct rig *rig, size_t index)
{
    uint64_t sum;

    pthread_mutex_lock(&rig->semaphores.lock);
    sum = rig->semaphores.weights.semaphores[index].used;
    pthread_mutex_unlock(&rig->semaphores.lock);
    return sum;
}

static uint32_t waiting(struct rig *rig)
{
    uint32_t count;

    pthread_mutex_lock(&rig->semaphores.lock);
    count = rig->semaphores.items[0]->handlers;
    pthread_mutex_unlock(&rig->semaphores.lock);
    return count;
}

static void assert_error(struct rig *rig, const char *text)
{
    assert_non_null(warren_job_error(rig->job));
    assert_string_equal(warren_job_error(rig->job), text);
}

/* ---- one job ---- */

static void what_is_acquired_is_given_back_at_the_end(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(warren_job_acquire(rig->job, "db", 3, 0), WARREN_OK);
    assert_int_equal(warren_job_acquire(rig->job, "db", 4, 0), WARREN_OK);
    assert_int_equal(warren_job_acquire(rig->job, "files", 1, 0), WARREN_OK);
    assert_int_equal(used(rig, 0), 7);
    assert_int_equal(warren_job_release(rig->job, "db", 5), WARREN_OK);
    assert_int_equal(used(rig, 0), 2);
    job_give_back(rig->job);
    assert_int_equal(used(rig, 0), 0);
    assert_int_equal(used(rig, 1), 0);
    assert_false(rig->job->hold.any);
}

static enum warren_outcome acquire_all(struct warren_job *job, void *state)
{
    (void)state;
    assert_int_equal(warren_job_acquire(job, "db", 10, -1), WARREN_OK);
    return WARREN_REJECT;
}

static enum warren_outcome acquire_and_panic(struct warren_job *job, void *state)
{
    (void)state;
    assert_int_equal(warren_job_acquire(job, "db", 10, -1), WARREN_OK);
    warren_panic(job, "enough");
}

static enum warren_outcome recover(struct warren_job *job, const struct warren_link *next,
                                   void *state)
{
    struct warren_recovery recovery;

    (void)state;
    warren_job_guard(job, &recovery);
    if (setjmp(recovery.at) != 0)
        return WARREN_RETRY;
    return warren_next(job, next);
}

/* However its chain ends, and what it uses of its subscription, too. */
static void the_chain_gives_all_back(void **state)
{
    static const struct warren_middleware recovers = {.call = recover};
    static const struct {
        enum warren_outcome (*handle)(struct warren_job *job, void *state);
        enum warren_outcome outcome;
    } ways[] = {{acquire_all, WARREN_REJECT}, {acquire_and_panic, WARREN_RETRY}};
    const struct chain_member members[] = {{&recovers, NULL, false}};
    struct rig *rig = *state;
    struct weights_want want = {1, 2};
    struct edition edition = {.wants = &want, .want_count = 1};

    for (size_t i = 0; i < 2; i++) {
        struct warren_handler handler = {.name = "h", .handle = ways[i].handle};
        struct chain chain;

        semaphores_await(&rig->semaphores, &want, 1);
        rig->job->attempt->edition = &edition;
        rig->job->attempt->weighs = WEIGHS_ALL;
        assert_int_equal(chain_init(&chain, members, 1, false, &handler, NULL), WARREN_OK);
        assert_int_equal(used(rig, 1), 2);
        assert_int_equal(chain_run(&chain, rig->job), ways[i].outcome);
        assert_int_equal(used(rig, 0), 0);
        assert_int_equal(used(rig, 1), 0);
        assert_int_equal(rig->job->attempt->weighs, WEIGHS_NOT);
        chain_done(&chain);
    }
    rig->job->attempt->edition = NULL;
}

static int unweighed_count;

static void unweighed(void *user)
{
    (void)user;
    unweighed_count++;
}

static enum warren_outcome look_what_is_used(struct warren_job *job, void *state)
{
    assert_int_equal(used(state, 1), 0);
    assert_int_equal(warren_job_acquire(job, "files", 2, 0), WARREN_OK);
    return WARREN_ACK;
}

/* Before a gate the thread puts it down; one that then runs alone needs none of it. */
static void what_is_put_down_can_be_taken_up(void **state)
{
    struct rig *rig = *state;
    const struct warren_handler handler = {.name = "h", .handle = look_what_is_used};
    struct weights_want want = {1, 2};
    struct edition edition = {.wants = &want, .want_count = 1};
    struct chain chain;

    unweighed_count = 0;
    rig->job_rig->source.unweighed = unweighed;
    rig->job->attempt->edition = &edition;
    job_put_down_uses(rig->job); /* nothing */
    job_take_up_uses(rig->job);
    assert_int_equal(used(rig, 1), 0);
    semaphores_await(&rig->semaphores, &want, 1);
    rig->job->attempt->weighs = WEIGHS_ALL;
    job_put_down_uses(rig->job);
    assert_int_equal(used(rig, 1), 0);
    job_take_up_uses(rig->job);
    assert_int_equal(used(rig, 1), 2);
    job_put_down_uses(rig->job);
    assert_int_equal(chain_init(&chain, NULL, 0, false, &handler, rig), WARREN_OK);
    assert_int_equal(chain_run(&chain, rig->job), WARREN_ACK);
    chain_done(&chain);
    assert_int_equal(used(rig, 1), 0);
    assert_int_equal(unweighed_count, 1);
    assert_int_equal(rig->job->attempt->weighs, WEIGHS_NOT);
    rig->job->runs = true;
    rig->job->attempt->edition = NULL;
}

static void mistakes_are_answered(void **state)
{
    static const struct weights_want want = {0, 8}; /* the rig's job has it until its end */
    struct rig *rig = *state;

    assert_int_equal(warren_job_acquire(rig->job, "dbb", 1, 0), WARREN_ENOTFOUND);
    assert_error(rig, "there is no semaphore 'dbb'; did you mean 'db'?");
    assert_int_equal(warren_job_acquire(rig->job, "network", 1, 0), WARREN_ENOTFOUND);
    assert_error(rig, "there is no semaphore 'network' in the configuration (semaphores)");
    assert_int_equal(warren_job_acquire(rig->job, NULL, 1, 0), WARREN_EINVAL);
    assert_int_equal(warren_job_acquire(rig->job, "db", 0, 0), WARREN_EINVAL);
    assert_error(rig, "0 of semaphore db: expected 1 to 10");
    assert_int_equal(warren_job_acquire(rig->job, "db", -1, 0), WARREN_EINVAL);
    assert_int_equal(warren_job_acquire(rig->job, "db", 11, -1), WARREN_EINVAL);
    assert_error(rig, "11 of semaphore db are more than there is: its size is 10");
    assert_int_equal(warren_job_acquire(rig->job, "db", INT64_MAX, -1), WARREN_EINVAL);
    assert_int_equal(warren_job_release(rig->job, "db", 1), WARREN_EINVAL);
    assert_error(rig, "1 of semaphore db, of which the job has acquired 0");
    assert_int_equal(warren_job_release(rig->job, "dbb", 1), WARREN_ENOTFOUND);
    assert_int_equal(warren_job_release(rig->job, NULL, 1), WARREN_EINVAL);
    semaphores_await(&rig->semaphores, &want, 1);
    semaphores_hold(&rig->semaphores, &rig->job->hold, &want, 1);
    assert_int_equal(warren_job_acquire(rig->job, "db", 3, -1), WARREN_EINVAL);
    assert_error(rig,
                 "3 more of semaphore db, of which the job has 8 of 10: it would wait for itself");
    assert_int_equal(warren_job_acquire(rig->job, "db", 2, 0), WARREN_OK);
    assert_int_equal(warren_job_release(rig->job, "db", 3), WARREN_EINVAL); /* 8 are not its own */
    rig->job->runs = false; /* a `before` looks at it */
    assert_int_equal(warren_job_acquire(rig->job, "db", 1, 0), WARREN_ECLOSED);
    rig->job->runs = true;
    rig->job_rig->source.semaphores = NULL;
    assert_int_equal(warren_job_acquire(rig->job, "db", 1, 0), WARREN_ENOTFOUND);
    rig->job_rig->source.semaphores = &rig->semaphores;
}

/* ---- somebody else has it ---- */

static void others_have(struct rig *rig, const struct weights_want *want)
{
    semaphores_await(&rig->semaphores, want, 1);
}

static void a_wait_has_an_end(void **state)
{
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};

    others_have(rig, &want);
    assert_int_equal(warren_job_acquire(rig->job, "db", 3, 0), WARREN_EFULL);
    assert_error(rig, "3 of semaphore db are not free");
    assert_int_equal(warren_job_acquire(rig->job, "db", 3, 20), WARREN_ETIMEOUT);
    assert_error(rig, "3 of semaphore db were not free within 20 ms");
    warren_job_limit(rig->job, JOB_RIG_START_MS);
    assert_int_equal(warren_job_acquire(rig->job, "db", 3, -1), WARREN_ETIMEOUT);
    assert_error(rig, "3 of semaphore db were not free before the job was cancelled");
    assert_int_equal(warren_job_acquire(rig->job, "db", 2, -1), WARREN_OK); /* without a wait */
    assert_int_equal(used(rig, 0), 10);
    semaphores_give(&rig->semaphores, &want, 1);
}

struct asking {
    struct rig *rig;
    int64_t weight;
    enum warren_status status;
    pthread_t thread;
};

static void *ask(void *arg)
{
    struct asking *asking = arg;

    asking->status = warren_job_acquire(asking->rig->job, "db", asking->weight, -1);
    return NULL;
}

static void begin_asking(struct rig *rig, struct asking *asking, int64_t weight)
{
    *asking = (struct asking){.rig = rig, .weight = weight};
    assert_int_equal(pthread_create(&asking->thread, NULL, ask, asking), 0);
    for (int i = 0; waiting(rig) == 0 && i < PATIENCE; i++)
        rest();
    assert_int_equal(waiting(rig), 1);
}

static enum warren_status end_asking(struct asking *asking)
{
    pthread_join(asking->thread, NULL);
    return asking->status;
}

static void it_goes_on_when_there_is_room(void **state)
{
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};
    struct asking asking;

    others_have(rig, &want);
    begin_asking(rig, &asking, 3);
    semaphores_give(&rig->semaphores, &want, 1);
    assert_int_equal(end_asking(&asking), WARREN_OK);
    assert_int_equal(used(rig, 0), 3);
}

/* The worker drains: the deadline of the jobs has moved. */
static void the_end_of_a_drain_ends_a_wait(void **state)
{
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};
    struct asking asking;

    others_have(rig, &want);
    begin_asking(rig, &asking, 3);
    atomic_store(&rig->job_rig->deadline_ms, JOB_RIG_START_MS);
    job_deadline_moved(rig->job);
    assert_int_equal(end_asking(&asking), WARREN_ETIMEOUT);
    assert_int_equal(waiting(rig), 0);
    semaphores_give(&rig->semaphores, &want, 1);
    assert_int_equal(used(rig, 0), 0);
}

/* ---- reload ---- */

static void a_larger_size_lets_go_who_waits(void **state)
{
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};
    struct asking asking;

    others_have(rig, &want);
    begin_asking(rig, &asking, 3);
    set_sizes(&rig->semaphores, 11, 2);
    assert_int_equal(end_asking(&asking), WARREN_OK);
    semaphores_give(&rig->semaphores, &want, 1);
}

static void who_waits_for_more_than_there_is_now_is_told(void **state)
{
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};
    struct asking asking;

    others_have(rig, &want);
    begin_asking(rig, &asking, 9);
    set_sizes(&rig->semaphores, 8, 2);
    assert_int_equal(end_asking(&asking), WARREN_EINVAL);
    assert_error(rig, "9 of semaphore db are more than there is: its size is 8 now");
    semaphores_give(&rig->semaphores, &want, 1);
}

static void one_that_is_gone_is_no_more_there(void **state)
{
    const struct config_semaphore files = {"files", 2};
    struct rig *rig = *state;
    const struct weights_want want = {0, 8};
    struct asking asking;

    others_have(rig, &want);
    begin_asking(rig, &asking, 3);
    semaphores_set(&rig->semaphores, &files, 1);
    assert_int_equal(end_asking(&asking), WARREN_ENOTFOUND);
    assert_int_equal(warren_job_acquire(rig->job, "db", 1, 0), WARREN_ENOTFOUND);
    semaphores_give(&rig->semaphores, &want, 1); /* what is held can be given back */
    set_sizes(&rig->semaphores, 10, 2);
    assert_int_equal(warren_job_acquire(rig->job, "db", 10, 0), WARREN_OK);
}

static void names_are_bounded(void **state)
{
    struct rig *rig = *state;
    char name[16];
    enum warren_status status = WARREN_OK;
    int count = 2;

    for (; status == WARREN_OK && count < 2000; count++) {
        snprintf(name, sizeof name, "s%d", count);
        status = semaphores_reserve(&rig->semaphores, &(struct config_semaphore){name, 1}, 1);
    }
    assert_int_equal(status, WARREN_EFULL);
    assert_int_equal(count, SEMAPHORES_MAX + 1);
}

/* ---- threads that are lost ---- */

static void what_a_lost_job_has_is_back(void **state)
{
    struct rig *rig = *state;
    const struct weights_want others = {0, 4};
    struct weights_want uses = {1, 2};
    struct asking asking;

    semaphores_await(&rig->semaphores, &uses, 1);
    semaphores_hold(&rig->semaphores, &rig->job->hold, &uses, 1);
    assert_int_equal(warren_job_acquire(rig->job, "db", 5, 0), WARREN_OK);
    others_have(rig, &others);
    begin_asking(rig, &asking, 3); /* one of its threads is in the line */
    semaphores_lose(&rig->semaphores, &rig->job->hold);
    assert_int_equal(end_asking(&asking), WARREN_ECLOSED);
    assert_int_equal(used(rig, 0), 4);
    assert_int_equal(used(rig, 1), 0);
    semaphores_lose(&rig->semaphores, &rig->job->hold);
    semaphores_end(&rig->semaphores, &rig->job->hold); /* it came back too late */
    assert_int_equal(used(rig, 0), 4);
    assert_int_equal(warren_job_acquire(rig->job, "db", 1, 0), WARREN_ECLOSED);
    semaphores_give(&rig->semaphores, &others, 1);
    rig->job->hold.lost = false;
}

/* ---- messages ---- */

static atomic_int told;

static void tell(struct semaphore_wait *wait)
{
    (void)wait;
    atomic_fetch_add(&told, 1);
}

static void messages_and_handlers_stand_in_one_line(void **state)
{
    struct rig *rig = *state;
    const struct weights_want all = {0, 10};
    const struct weights_want six = {0, 6};
    struct semaphore_wait message;
    struct asking handler;

    atomic_store(&told, 0);
    semaphore_wait_init(&message, tell, NULL);
    message.claim.wants = &six;
    message.claim.count = 1;
    message.claim.place = semaphores_places(&rig->semaphores, 1);
    others_have(rig, &all);
    begin_asking(rig, &handler, 5);
    assert_false(semaphores_take(&rig->semaphores, &message)); /* it came first */
    assert_false(semaphores_granted(&rig->semaphores, &message));
    semaphores_give(&rig->semaphores, &all, 1);
    assert_int_equal(atomic_load(&told), 1);
    assert_int_equal(waiting(rig), 1);
    assert_true(semaphores_granted(&rig->semaphores, &message));
    assert_false(semaphores_granted(&rig->semaphores, &message));
    semaphores_give(&rig->semaphores, &six, 1);
    assert_int_equal(end_asking(&handler), WARREN_OK);
    /* One that leaves gives back what it was granted. */
    message.claim.place = semaphores_places(&rig->semaphores, 1);
    assert_false(semaphores_take(&rig->semaphores, &message));
    semaphores_end(&rig->semaphores, &rig->job->hold);
    assert_int_equal(used(rig, 0), 6);
    semaphores_leave(&rig->semaphores, &message);
    assert_int_equal(used(rig, 0), 0);
}

/* ---- functions of groups ---- */

struct part {
    struct rig *rig;
    atomic_int *most;
    atomic_int *now;
};

static enum warren_status use(struct warren_group_call *call, void *user)
{
    struct part *part = user;
    int now;
    int most;

    (void)call;
    if (warren_job_acquire(part->rig->job, "db", 4, -1) != WARREN_OK)
        return WARREN_EIO;
    now = atomic_fetch_add(part->now, 4) + 4;
    most = atomic_load(part->most);
    while (now > most && !atomic_compare_exchange_weak(part->most, &most, now))
        continue;
    rest();
    atomic_fetch_sub(part->now, 4);
    return warren_job_release(part->rig->job, "db", 4);
}

static enum warren_status fail_later(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    (void)call;
    for (int i = 0; waiting(part->rig) == 0 && i < PATIENCE; i++)
        rest();
    return WARREN_EIO;
}

static enum warren_status wait_for_it(struct warren_group_call *call, void *user)
{
    struct part *part = user;
    enum warren_status status = warren_job_acquire(part->rig->job, "db", 1, -1);

    (void)call;
    assert_int_equal(status, WARREN_ECLOSED);
    atomic_fetch_add(part->now, 1);
    return status;
}

static void functions_acquire_too(void **state)
{
    struct rig *rig = *state;
    atomic_int most;
    atomic_int now;
    struct part part = {rig, &most, &now};
    const struct weights_want others = {0, 10};
    struct warren_group *group;

    atomic_init(&most, 0);
    atomic_init(&now, 0);
    assert_int_equal(warren_group_new(rig->job, 3, WARREN_GROUP_FIRST, &group), WARREN_OK);
    for (int i = 0; i < 60; i++)
        assert_int_equal(warren_group_run(group, use, &part), WARREN_OK);
    assert_int_equal(warren_group_wait(group), WARREN_OK); /* three of them would have 12 */
    assert_in_range(atomic_load(&most), 4, 8);
    assert_int_equal(used(rig, 0), 0);
    /* Who waits in a group that is cancelled does not any more. */
    job_groups_ended(rig->job, NULL, WARREN_ACK, false);
    others_have(rig, &others);
    atomic_store(&now, 0);
    assert_int_equal(warren_group_new(rig->job, 2, WARREN_GROUP_FIRST, &group), WARREN_OK);
    warren_group_run(group, wait_for_it, &part);
    warren_group_run(group, fail_later, &part);
    assert_int_equal(warren_group_wait(group), WARREN_EIO);
    assert_int_equal(atomic_load(&now), 1);
    semaphores_give(&rig->semaphores, &others, 1);
    job_groups_ended(rig->job, NULL, WARREN_ACK, false);
}

/* ---- any schedule ---- */

#define THREADS 8

/* Jobs on threads of their own, each with its lot. */
struct player {
    struct rig *rig;
    struct semaphore_hold hold;
    uint64_t seed;
    pthread_t thread;
};

static atomic_llong held[2];
static atomic_llong too_many;

static int64_t for_ever(void *user)
{
    (void)user;
    return INT64_MAX;
}

static void *play(void *arg)
{
    static const char *const names[] = {"db", "files"};
    static const long long sizes[] = {10, 2};
    struct player *player = arg;
    struct semaphores *s = &player->rig->semaphores;
    struct random random;

    random_init(&random, player->seed);
    for (int i = 0; i < 2000; i++) {
        size_t which = random_upto(&random, 3) == 0;
        int64_t weight = 1 + (int64_t)random_upto(&random, (uint64_t)sizes[which] - 1);
        const struct semaphore_patience patience = {true, random_upto(&random, 4) == 0 ? 0 : -1,
                                                    for_ever, NULL};

        if (semaphores_acquire(s, &player->hold, names[which], weight, &patience, NULL) !=
            WARREN_OK)
            continue;
        if (atomic_fetch_add(&held[which], weight) + weight > sizes[which])
            atomic_fetch_add(&too_many, 1);
        if (random_upto(&random, 20) == 0)
            rest();
        atomic_fetch_sub(&held[which], weight);
        if (random_upto(&random, 1) == 0)
            semaphores_release(s, &player->hold, names[which], weight, NULL);
        else
            semaphores_end(s, &player->hold);
    }
    return NULL;
}

static void many_threads_never_have_too_much(void **state)
{
    struct rig *rig = *state;
    static struct player players[THREADS];

    for (uint64_t i = 0; i < THREADS; i++) {
        players[i] = (struct player){.rig = rig, .seed = 77 + i};
        assert_int_equal(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(players[i].thread, NULL);
        semaphores_end(&rig->semaphores, &players[i].hold);
        semaphore_hold_done(&players[i].hold);
    }
    assert_int_equal(atomic_load(&too_many), 0);
    assert_int_equal(used(rig, 0), 0);
    assert_int_equal(used(rig, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_acquired_is_given_back_at_the_end),
        TEST(the_chain_gives_all_back),
        TEST(what_is_put_down_can_be_taken_up),
        TEST(mistakes_are_answered),
        TEST(a_wait_has_an_end),
        TEST(it_goes_on_when_there_is_room),
        TEST(the_end_of_a_drain_ends_a_wait),
        TEST(a_larger_size_lets_go_who_waits),
        TEST(who_waits_for_more_than_there_is_now_is_told),
        TEST(one_that_is_gone_is_no_more_there),
        TEST(names_are_bounded),
        TEST(what_a_lost_job_has_is_back),
        TEST(messages_and_handlers_stand_in_one_line),
        TEST(functions_acquire_too),
        TEST(many_threads_never_have_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
