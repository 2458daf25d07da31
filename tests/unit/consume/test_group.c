/* test_group.c - <warren/group.h>: functions of a job that run at the same time, and who runs them
 * where there is no thread for them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/random.h"
#include "consume/job/chain.h"
#include "consume/job/job_group.h"
#include "job_rig.h"

#define PATIENCE_MS 20000

struct rig {
    struct job_rig *job_rig;
    struct warren_job *job;
    struct pool pool;
};

static int setup_with(void **state, uint32_t threads)
{
    struct rig *rig = calloc(1, sizeof *rig);
    void *job_rig = NULL;

    if (!rig || job_rig_setup(&job_rig) != 0)
        return -1;
    rig->job_rig = job_rig;
    rig->job = rig->job_rig->job;
    pool_init(&rig->pool, threads, false);
    rig->job_rig->source.pool = &rig->pool;
    rig->job->runs = true;
    *state = rig;
    return 0;
}

static int setup_alone(void **state)
{
    return setup_with(state, 0);
}

static int setup_four(void **state)
{
    return setup_with(state, 4);
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    void *job_rig = rig->job_rig;
    bool stopped;

    job_groups_drop(rig->job);
    job_groups_ended(rig->job, NULL, WARREN_RETRY, false);
    stopped = pool_stop(&rig->pool);
    pool_done(&rig->pool);
    job_rig_teardown(&job_rig);
    free(rig);
    return stopped ? 0 : -1;
}

#define ALONE(name) cmocka_unit_test_setup_teardown(name, setup_alone, teardown)
#define FOUR(name)  cmocka_unit_test_setup_teardown(name, setup_four, teardown)

static struct warren_group *group_of(struct rig *rig, uint32_t limit,
                                     enum warren_group_errors errors)
{
    struct warren_group *group = NULL;

    assert_int_equal(warren_group_new(rig->job, limit, errors, &group), WARREN_OK);
    return group;
}

static void rest(void)
{
    struct timespec time = {0, 200000};

    nanosleep(&time, NULL);
}

/* ---- functions ---- */

/* What several of them share. */
struct seen {
    atomic_int begun;
    atomic_int inside;
    atomic_int most;
    atomic_int cancelled;
    int order[64]; /* of those that run on one thread */
    struct rig *rig;
    atomic_int to_come; /* those that meet() waits for */
};

struct part {
    struct seen *seen;
    int number;
    enum warren_status status;
    const char *says;
};

static void come_in(struct seen *seen)
{
    int inside = atomic_fetch_add(&seen->inside, 1) + 1;
    int most = atomic_load(&seen->most);

    atomic_fetch_add(&seen->begun, 1);
    while (inside > most && !atomic_compare_exchange_weak(&seen->most, &most, inside))
        continue;
}

static enum warren_status work(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    come_in(part->seen);
    rest();
    atomic_fetch_sub(&part->seen->inside, 1);
    if (part->says)
        warren_group_fail(call, "%s", part->says);
    return part->status;
}

static enum warren_status note_order(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    (void)call;
    part->seen->order[atomic_fetch_add(&part->seen->begun, 1)] = part->number;
    return part->status;
}

/* Until all that are to come are there, which is only so if they run at the same time. */
static enum warren_status meet(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    (void)call;
    atomic_fetch_sub(&part->seen->to_come, 1);
    for (int i = 0; atomic_load(&part->seen->to_come) > 0; i++) {
        if (i == PATIENCE_MS * 5)
            return WARREN_ETIMEOUT;
        rest();
    }
    return WARREN_OK;
}

/* Until it is cancelled. */
static enum warren_status await_cancel(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    come_in(part->seen);
    for (int i = 0; !warren_group_cancelled(call); i++) {
        if (i == PATIENCE_MS * 5)
            return WARREN_ENOTFOUND;
        rest();
    }
    assert_true(warren_group_time_left_ms(call) <= 0);
    atomic_fetch_add(&part->seen->cancelled, 1);
    return WARREN_OK;
}

static enum warren_status cancel_all(struct warren_group_call *call, void *user)
{
    (void)user;
    warren_group_cancel(call->group);
    return WARREN_OK;
}

static enum warren_status panics(struct warren_group_call *call, void *user)
{
    struct part *part = user;

    (void)call;
    warren_panic(part->seen->rig->job, "number %d panicked", part->number);
}

/* ---- who runs them ---- */

static void without_threads_they_run_in_order_on_this_one(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part parts[20];
    struct warren_group *group = group_of(rig, 0, WARREN_GROUP_FIRST);

    for (int i = 0; i < 20; i++) {
        parts[i] = (struct part){.seen = &seen, .number = i};
        assert_int_equal(warren_group_run(group, note_order, &parts[i]), WARREN_OK);
    }
    assert_int_equal(atomic_load(&seen.begun), 0);
    assert_int_equal(warren_group_wait(group), WARREN_OK);
    assert_int_equal(atomic_load(&seen.begun), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(seen.order[i], i);
    assert_int_equal(rig->pool.count, 0);
}

static void they_run_at_the_same_time(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.to_come = 5};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 0, WARREN_GROUP_FIRST);

    assert_int_equal(rig->pool.count, 0); /* nobody has needed one */
    for (int i = 0; i < 5; i++)
        assert_int_equal(warren_group_run(group, meet, &part), WARREN_OK);
    assert_int_equal(warren_group_wait(group), WARREN_OK); /* the fifth one runs here */
    assert_int_equal(rig->pool.count, 4);
}

static void no_more_than_the_limit(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 3, WARREN_GROUP_FIRST);

    for (int i = 0; i < 200; i++)
        assert_int_equal(warren_group_run(group, work, &part), WARREN_OK);
    assert_int_equal(warren_group_wait(group), WARREN_OK);
    assert_int_equal(atomic_load(&seen.begun), 200);
    assert_in_range(atomic_load(&seen.most), 1, 3);
}

static void what_waits_is_bounded(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 1, WARREN_GROUP_FIRST);

    for (int i = 0; i < WARREN_GROUP_WAITING_MAX + 10; i++)
        assert_int_equal(warren_group_run(group, work, &part), WARREN_OK);
    assert_int_equal(atomic_load(&seen.begun), 10); /* there was no room for these */
    assert_int_equal(rig->pool.waiting, WARREN_GROUP_WAITING_MAX);
    assert_int_equal(warren_group_wait(group), WARREN_OK);
    assert_int_equal(atomic_load(&seen.begun), WARREN_GROUP_WAITING_MAX + 10);
    assert_int_equal(rig->pool.waiting, 0);
}

static void a_group_can_be_used_again(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 2, WARREN_GROUP_FIRST);

    for (int i = 1; i <= 50; i++) {
        assert_int_equal(warren_group_run(group, work, &part), WARREN_OK);
        assert_int_equal(warren_group_wait(group), WARREN_OK);
        assert_int_equal(atomic_load(&seen.begun), i);
    }
    assert_int_equal(warren_group_wait(group), WARREN_OK);
}

static void idle_threads_end_when_there_are_to_be_fewer(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.to_come = 5};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 0, WARREN_GROUP_FIRST);
    uint32_t count = 4;

    for (int i = 0; i < 5; i++)
        warren_group_run(group, meet, &part);
    assert_int_equal(warren_group_wait(group), WARREN_OK);
    pool_resize(&rig->pool, 1);
    for (int i = 0; count > 1 && i < PATIENCE_MS * 5; i++) {
        rest();
        pool_lock(&rig->pool);
        count = rig->pool.count;
        pool_unlock(&rig->pool);
    }
    assert_int_equal(count, 1);
}

/* ---- errors ---- */

static void the_first_error_cancels_the_rest(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part parts[5];
    struct warren_group *group = group_of(rig, 1, WARREN_GROUP_FIRST);
    const struct warren_group_failure *failures;
    size_t count;

    for (int i = 0; i < 5; i++) {
        parts[i] = (struct part){.seen = &seen, .number = i};
        if (i >= 2)
            parts[i].status = WARREN_EIO;
        if (i == 2)
            parts[i].says = "the ledger is closed";
        warren_group_run(group, work, &parts[i]);
    }
    assert_int_equal(warren_group_wait(group), WARREN_EIO);
    assert_int_equal(atomic_load(&seen.begun), 3);
    assert_string_equal(warren_job_error(rig->job), "the ledger is closed");
    failures = warren_group_failures(group, &count);
    assert_int_equal(count, 1);
    assert_int_equal(failures[0].index, 2);
    assert_int_equal(failures[0].status, WARREN_EIO);
    assert_string_equal(failures[0].error, "the ledger is closed");
    assert_int_equal(warren_group_run(group, work, &parts[0]), WARREN_ECLOSED);
    assert_int_equal(warren_group_wait(group), WARREN_EIO);
}

static void those_that_run_are_told(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part waits = {.seen = &seen};
    struct part fails = {.seen = &seen, .status = WARREN_EIO};
    struct warren_group *group = group_of(rig, 4, WARREN_GROUP_FIRST);

    for (int i = 0; i < 3; i++)
        warren_group_run(group, await_cancel, &waits);
    warren_group_run(group, work, &fails);
    assert_int_equal(warren_group_wait(group), WARREN_EIO);
    assert_int_equal(atomic_load(&seen.cancelled), atomic_load(&seen.begun) - 1);
    assert_string_equal(warren_job_error(rig->job), "a function of a group failed: io");
}

static void all_errors_are_collected(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part parts[40];
    struct warren_group *group = group_of(rig, 3, WARREN_GROUP_ALL);
    const struct warren_group_failure *failures;
    bool failed[40] = {false};
    size_t count;

    for (int i = 0; i < 40; i++) {
        parts[i] = (struct part){.seen = &seen,
                                 .number = i,
                                 .status = i % 4 == 0 ? WARREN_ENOTFOUND : WARREN_OK,
                                 .says = i % 8 == 0 ? "gone" : NULL};
        assert_int_equal(warren_group_run(group, work, &parts[i]), WARREN_OK);
    }
    assert_null(warren_group_failures(group, &count)); /* not before it was waited for */
    assert_int_equal(warren_group_wait(group), WARREN_ENOTFOUND);
    assert_int_equal(atomic_load(&seen.begun), 40);
    failures = warren_group_failures(group, &count);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(failures[i].index % 4, 0);
        assert_false(failed[failures[i].index]);
        failed[failures[i].index] = true;
        if (failures[i].index % 8 == 0)
            assert_string_equal(failures[i].error, "gone");
        else
            assert_null(failures[i].error);
    }
}

static void a_function_may_cancel_its_group(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 1, WARREN_GROUP_ALL);

    warren_group_run(group, work, &part);
    warren_group_run(group, cancel_all, NULL);
    warren_group_run(group, work, &part);
    assert_int_equal(warren_group_wait(group), WARREN_ECLOSED);
    assert_int_equal(atomic_load(&seen.begun), 1);
    assert_string_equal(warren_job_error(rig->job),
                        "1 of 3 functions of a group were not begun: it was cancelled");
}

static void the_end_of_the_jobs_time_is_theirs(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 2, WARREN_GROUP_FIRST);

    warren_job_limit(rig->job, JOB_RIG_START_MS + 1000);
    for (int i = 0; i < 5; i++)
        warren_group_run(group, await_cancel, &part);
    for (int i = 0; atomic_load(&seen.begun) < 2 && i < PATIENCE_MS * 5; i++)
        rest();
    warren_job_limit(rig->job, JOB_RIG_START_MS); /* now */
    assert_int_equal(warren_group_wait(group), WARREN_ETIMEOUT);
    assert_int_equal(atomic_load(&seen.begun), 2);
    assert_int_equal(atomic_load(&seen.cancelled), 2);
    assert_string_equal(warren_job_error(rig->job),
                        "3 of 5 functions of a group were not begun: the job was cancelled");
    assert_int_equal(warren_group_run(group, work, &part), WARREN_ECLOSED);
}

/* ---- panics ---- */

static void a_panic_comes_out_where_it_is_waited_for(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.rig = rig};
    struct part waits = {.seen = &seen};
    struct part part = {.seen = &seen, .number = 7};
    struct warren_group *group = group_of(rig, 4, WARREN_GROUP_ALL);
    struct warren_recovery recovery;
    static bool came_back;

    came_back = false;
    warren_job_guard(rig->job, &recovery);
    if (setjmp(recovery.at) == 0) {
        for (int i = 0; i < 2; i++)
            warren_group_run(group, await_cancel, &waits);
        warren_group_run(group, panics, &part);
        warren_group_wait(group);
        came_back = true;
    }
    assert_false(came_back);
    assert_string_equal(warren_job_error(rig->job), "number 7 panicked");
    assert_int_equal(atomic_load(&seen.cancelled), atomic_load(&seen.begun));
}

static enum warren_status nested_panic(struct warren_group_call *call, void *user)
{
    struct part *part = user;
    struct warren_group *group;

    if (warren_group_within(call, 2, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return WARREN_ENOMEM;
    warren_group_run(group, panics, part);
    warren_group_wait(group);
    atomic_fetch_add(&part->seen->cancelled, 1); /* never */
    return WARREN_OK;
}

static void a_panic_comes_through_nested_groups(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.rig = rig};
    struct part part = {.seen = &seen, .number = 3};
    struct warren_group *group = group_of(rig, 4, WARREN_GROUP_FIRST);
    struct warren_recovery recovery;

    warren_job_guard(rig->job, &recovery);
    if (setjmp(recovery.at) == 0) {
        warren_group_run(group, nested_panic, &part);
        warren_group_wait(group);
        fail();
    }
    assert_string_equal(warren_job_error(rig->job), "number 3 panicked");
    assert_int_equal(atomic_load(&seen.cancelled), 0);
}

/* ---- nobody waits ---- */

static enum warren_outcome (*handle)(struct warren_job *job, struct seen *seen);

static enum warren_outcome call_handle(struct warren_job *job, void *state)
{
    return handle(job, state);
}

static enum warren_outcome run_chain(struct rig *rig, struct seen *seen,
                                     enum warren_outcome (*what)(struct warren_job *job,
                                                                 struct seen *seen))
{
    static const struct warren_handler handler = {.name = "h", .handle = call_handle};
    static struct chain chain; /* of the one before, too, if that panicked out of it */
    enum warren_outcome outcome;

    chain_done(&chain);

    handle = what;
    seen->rig = rig;
    assert_int_equal(chain_init(&chain, NULL, 0, false, &handler, seen), WARREN_OK);
    outcome = chain_run(&chain, rig->job);
    assert_null(rig->job->groups.first);
    assert_int_equal(rig->job->groups.count, 0);
    chain_done(&chain);
    return outcome;
}

/* The part must live longer than the handler's frame. */
static struct part left_part;

static struct warren_group *leave(struct warren_job *job, struct seen *seen, warren_group_fn *run,
                                  int count)
{
    struct warren_group *group = NULL;

    left_part = (struct part){.seen = seen};
    assert_int_equal(warren_group_new(job, 2, WARREN_GROUP_ALL, &group), WARREN_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(warren_group_run(group, run, &left_part), WARREN_OK);
    return group;
}

static enum warren_outcome ack_too_early(struct warren_job *job, struct seen *seen)
{
    leave(job, seen, await_cancel, 5);
    while (atomic_load(&seen->begun) < 2)
        rest();
    return WARREN_ACK;
}

static void a_handler_that_does_not_wait_has_not_done_its_work(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};

    assert_int_equal(run_chain(rig, &seen, ack_too_early), WARREN_RETRY);
    assert_int_equal(atomic_load(&seen.begun), 2);     /* the others were not begun, */
    assert_int_equal(atomic_load(&seen.cancelled), 2); /* and these were waited for */
    assert_string_equal(warren_job_error(rig->job),
                        "the handler returned before it had waited for its group: 3 of 5 "
                        "functions of a group were not begun: it was cancelled");
}

static enum warren_outcome reject_too_early(struct warren_job *job, struct seen *seen)
{
    leave(job, seen, await_cancel, 2);
    warren_job_fail(job, "no such account");
    return WARREN_REJECT;
}

static void its_verdict_stays(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};

    assert_int_equal(run_chain(rig, &seen, reject_too_early), WARREN_REJECT);
    assert_string_equal(warren_job_error(rig->job), "no such account");
    assert_int_equal(atomic_load(&seen.begun), atomic_load(&seen.cancelled));
}

static enum warren_outcome ack_when_done(struct warren_job *job, struct seen *seen)
{
    struct warren_group *group = leave(job, seen, work, 2);
    uint32_t running = 1;

    while (running > 0) {
        rest();
        pool_lock(&seen->rig->pool);
        running = group->running_count + group->waiting_count;
        pool_unlock(&seen->rig->pool);
    }
    return WARREN_ACK;
}

static void what_was_done_anyway_is_no_harm(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};

    assert_int_equal(run_chain(rig, &seen, ack_when_done), WARREN_ACK);
    assert_int_equal(atomic_load(&seen.begun), 2);
}

static enum warren_outcome panic_too_early(struct warren_job *job, struct seen *seen)
{
    leave(job, seen, await_cancel, 3);
    while (atomic_load(&seen->begun) < 2)
        rest();
    warren_panic(job, "no more");
}

/* What they use may stand in the frames that the panic leaves. */
static void a_panic_of_the_handler_waits_for_them(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct warren_recovery recovery;

    warren_job_guard(rig->job, &recovery);
    if (setjmp(recovery.at) == 0) {
        run_chain(rig, &seen, panic_too_early);
        fail();
    }
    assert_int_equal(atomic_load(&seen.begun), 2);
    assert_int_equal(atomic_load(&seen.cancelled), 2);
    assert_string_equal(warren_job_error(rig->job), "no more");
}

static enum warren_status leave_nested(struct warren_group_call *call, void *user)
{
    struct warren_group *group;

    if (warren_group_within(call, 1, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return WARREN_ENOMEM;
    warren_group_run(group, await_cancel, user);
    return WARREN_OK;
}

static void a_function_that_does_not_wait_has_failed(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {.begun = 0};
    struct part part = {.seen = &seen};
    struct warren_group *group = group_of(rig, 1, WARREN_GROUP_FIRST);

    warren_group_run(group, leave_nested, &part);
    assert_int_equal(warren_group_wait(group), WARREN_ECLOSED);
    assert_int_equal(atomic_load(&seen.begun), atomic_load(&seen.cancelled));
    assert_non_null(strstr(warren_job_error(rig->job),
                           "the function returned before it had waited for its group"));
}

/* ---- nested ---- */

struct level {
    struct seen *seen;
    int depth;
    uint32_t limit;
};

static enum warren_status descend(struct warren_group_call *call, void *user)
{
    const struct level *level = user;
    struct level below = {level->seen, level->depth - 1, level->limit};
    struct warren_group *group;

    atomic_fetch_add(&level->seen->begun, 1);
    if (level->depth == 0)
        return WARREN_OK;
    if (warren_group_within(call, level->limit, WARREN_GROUP_FIRST, &group) != WARREN_OK)
        return WARREN_ENOMEM;
    for (int i = 0; i < 3; i++)
        if (warren_group_run(group, descend, &below) != WARREN_OK)
            return WARREN_EFULL;
    return warren_group_wait(group);
}

/* More levels than threads, each of which waits for those below it. */
static void nested_groups_do_not_lock_up(void **state)
{
    struct rig *rig = *state;

    for (uint32_t limit = 0; limit <= 3; limit++) {
        struct seen seen = {.begun = 0};
        struct level level = {&seen, 6, limit};
        struct warren_group *group = group_of(rig, limit, WARREN_GROUP_FIRST);

        for (int i = 0; i < 3; i++)
            assert_int_equal(warren_group_run(group, descend, &level), WARREN_OK);
        assert_int_equal(warren_group_wait(group), WARREN_OK);
        assert_int_equal(atomic_load(&seen.begun), 3 * (1 + 3 + 9 + 27 + 81 + 243 + 729));
    }
}

/* ---- any schedule ---- */

static uint64_t random_below(struct random *random, uint64_t end)
{
    return random_upto(random, end - 1);
}

/* A tree of groups with limits, errors and panics drawn by lot, against what is to hold of any. */
struct lot {
    struct rig *rig;
    atomic_int begun;
};

struct draw {
    struct lot *lot;
    uint64_t seed;
    int depth;
    atomic_int *inside; /* of its group */
    int limit;
};

static enum warren_status act(struct warren_group_call *call, void *user);

/* @return what the group says */
static enum warren_status fill(struct warren_group *group, struct lot *lot, struct random *random,
                               int depth, int limit)
{
    struct draw draws[12];
    atomic_int inside;
    int count = (int)random_below(random, 12);

    atomic_init(&inside, 0);
    for (int i = 0; i < count; i++) {
        draws[i] = (struct draw){lot, random_u64(random), depth, &inside, limit};
        warren_group_run(group, act, &draws[i]);
        if (random_below(random, 40) == 0)
            warren_group_cancel(group);
    }
    return warren_group_wait(group);
}

static enum warren_status act(struct warren_group_call *call, void *user)
{
    const struct draw *draw = user;
    struct lot *lot = draw->lot;
    int inside = atomic_fetch_add(draw->inside, 1) + 1;
    struct random random;
    enum warren_status status = WARREN_OK;
    struct warren_group *group;

    random_init(&random, draw->seed);
    assert_true(draw->limit == 0 || inside <= draw->limit);
    atomic_fetch_add(&lot->begun, 1);
    if (random_below(&random, 8) == 0)
        rest();
    if (draw->depth > 0 && random_below(&random, 3) == 0) {
        int limit = (int)random_below(&random, 4);

        status = warren_group_within(
            call, (uint32_t)limit, random_below(&random, 2) ? WARREN_GROUP_FIRST : WARREN_GROUP_ALL,
            &group);
        if (status == WARREN_OK)
            status = fill(group, lot, &random, draw->depth - 1, limit);
    }
    atomic_fetch_sub(draw->inside, 1);
    if (random_below(&random, 60) == 0)
        warren_panic(lot->rig->job, "by lot");
    return random_below(&random, 30) == 0 ? WARREN_EIO : status;
}

static void whatever_is_drawn_all_is_over_when_the_wait_is(void **state)
{
    struct rig *rig = *state;
    struct lot lot = {.rig = rig};
    static volatile int panicked;
    static volatile int rounds;

    panicked = 0;
    for (rounds = 0; rounds < 2000; rounds++) {
        struct warren_recovery recovery;
        struct random random;

        random_init(&random, 1000 + (uint64_t)rounds);
        warren_job_guard(rig->job, &recovery);
        if (setjmp(recovery.at) == 0) {
            int limit = (int)random_below(&random, 5);

            fill(group_of(rig, (uint32_t)limit, WARREN_GROUP_FIRST), &lot, &random, 3, limit);
            warren_job_unguard(rig->job, &recovery);
        } else {
            panicked++;
        }
        pool_lock(&rig->pool);
        assert_int_equal(rig->pool.waiting, 0);
        pool_unlock(&rig->pool);
        job_groups_ended(rig->job, NULL, WARREN_ACK, false);
    }
    assert_true(panicked > 10);
    assert_true(atomic_load(&lot.begun) > 5000);
}

/* ---- misuse ---- */

static void misuse_is_answered(void **state)
{
    struct rig *rig = *state;
    struct warren_group *group = NULL;
    size_t count = 1;

    assert_int_equal(warren_group_new(NULL, 1, WARREN_GROUP_FIRST, &group), WARREN_EINVAL);
    assert_int_equal(warren_group_new(rig->job, 1, WARREN_GROUP_FIRST, NULL), WARREN_EINVAL);
    assert_int_equal(warren_group_new(rig->job, 1, (enum warren_group_errors)2, &group),
                     WARREN_EINVAL);
    assert_int_equal(warren_group_within(NULL, 1, WARREN_GROUP_FIRST, &group), WARREN_EINVAL);
    assert_int_equal(warren_group_run(NULL, work, NULL), WARREN_EINVAL);
    assert_int_equal(warren_group_wait(NULL), WARREN_EINVAL);
    warren_group_cancel(NULL);
    assert_null(warren_group_failures(NULL, &count));
    assert_int_equal(count, 0);
    for (int i = 0; i < WARREN_GROUPS_MAX; i++)
        group = group_of(rig, 1, WARREN_GROUP_FIRST);
    assert_int_equal(warren_group_run(group, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_group_new(rig->job, 1, WARREN_GROUP_FIRST, &group), WARREN_EFULL);
    assert_int_equal(warren_group_wait(group), WARREN_OK); /* of none */
}

static void where_there_is_no_pool_there_are_no_groups(void **state)
{
    struct rig *rig = *state;
    struct warren_group *group = NULL;

    rig->job->runs = false; /* a `before` looks at it */
    assert_int_equal(warren_group_new(rig->job, 1, WARREN_GROUP_FIRST, &group), WARREN_ECLOSED);
    rig->job->runs = true;
    rig->job_rig->source.pool = NULL;
    assert_int_equal(warren_group_new(rig->job, 1, WARREN_GROUP_FIRST, &group), WARREN_ECLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(without_threads_they_run_in_order_on_this_one),
        FOUR(they_run_at_the_same_time),
        FOUR(no_more_than_the_limit),
        ALONE(what_waits_is_bounded),
        FOUR(a_group_can_be_used_again),
        FOUR(idle_threads_end_when_there_are_to_be_fewer),
        ALONE(the_first_error_cancels_the_rest),
        FOUR(those_that_run_are_told),
        FOUR(all_errors_are_collected),
        ALONE(a_function_may_cancel_its_group),
        FOUR(the_end_of_the_jobs_time_is_theirs),
        FOUR(a_panic_comes_out_where_it_is_waited_for),
        FOUR(a_panic_comes_through_nested_groups),
        ALONE(a_panic_comes_through_nested_groups),
        FOUR(a_handler_that_does_not_wait_has_not_done_its_work),
        FOUR(its_verdict_stays),
        FOUR(what_was_done_anyway_is_no_harm),
        FOUR(a_panic_of_the_handler_waits_for_them),
        FOUR(a_function_that_does_not_wait_has_failed),
        ALONE(a_function_that_does_not_wait_has_failed),
        FOUR(nested_groups_do_not_lock_up),
        ALONE(nested_groups_do_not_lock_up),
        FOUR(whatever_is_drawn_all_is_over_when_the_wait_is),
        ALONE(whatever_is_drawn_all_is_over_when_the_wait_is),
        ALONE(misuse_is_answered),
        ALONE(where_there_is_no_pool_there_are_no_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
