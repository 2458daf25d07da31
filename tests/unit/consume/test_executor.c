/* test_executor.c - threads that several subscriptions share, with the test as the loop. */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "consume/workers/executor.h"
#include "support/attempt.h"
#include "support/test.h"

#define DEADLINE_MS 20000
#define THREADS     4
#define MANY        5000

/* One of those who share. */
struct member {
    struct runner *runner;
    struct loop_outlook outlook;
    atomic_uint generation;
    atomic_uint wakes;
    atomic_uint runs;
    atomic_uint inside; /* in run() now */
    atomic_uint most_inside;
    atomic_uint began; /* threads that are its own now */
    sem_t go;          /* one for each message with a tag of STUCK or above */
};

struct rig {
    struct executor *executor;
    struct member a;
    struct member b;
};

#define STUCK UINT64_C(1000000)

static bool run(void *user, uint32_t worker, struct attempt *attempt, int64_t begun_ns)
{
    struct member *member = user;
    unsigned inside = atomic_fetch_add(&member->inside, 1) + 1;
    unsigned most = atomic_load(&member->most_inside);

    if (worker >= THREADS || begun_ns <= 0 || atomic_load(&member->began) < inside)
        abort(); /* cmocka's asserts are for the test's own thread */
    while (inside > most && !atomic_compare_exchange_weak(&member->most_inside, &most, inside))
        ;
    if (attempt->delivery.tag >= STUCK)
        sem_wait(&member->go);
    attempt->outcome = WARREN_DISCARD;
    atomic_fetch_sub(&member->inside, 1);
    atomic_fetch_add(&member->runs, 1);
    return true;
}

static void worker_begins(void *user, uint32_t worker)
{
    struct member *member = user;

    (void)worker;
    atomic_fetch_add(&member->began, 1);
}

static void worker_ends(void *user, uint32_t worker)
{
    struct member *member = user;

    (void)worker;
    atomic_fetch_sub(&member->began, 1);
}

static uint32_t generation(void *user)
{
    struct member *member = user;

    return atomic_load(&member->generation);
}

static bool loop_rests(void *user)
{
    (void)user;
    return false;
}

static void wake_loop(void *user)
{
    struct member *member = user;

    atomic_fetch_add(&member->wakes, 1);
}

static void join(struct rig *rig, struct member *member, uint32_t share, const char *queue)
{
    const struct runner_calls calls = {.run = run,
                                       .generation = generation,
                                       .loop_rests = loop_rests,
                                       .wake_loop = wake_loop,
                                       .worker_begins = worker_begins,
                                       .worker_ends = worker_ends};
    const struct executor_place place = {.queue = queue,
                                         .handler = "p.h",
                                         .share = share,
                                         .most = THREADS,
                                         .outlook = &member->outlook};

    atomic_store(&member->generation, 1);
    sem_init(&member->go, 0, 0);
    assert_int_equal(executor_join(rig->executor, &place, &calls, member, &member->runner),
                     WARREN_OK);
}

/* The first has a share of one, the second of three. */
static int setup(void **state)
{
    const struct executor_options options = {
        .name = "test", .threads = THREADS, .clock = clock_monotonic()};
    struct rig *rig = calloc(1, sizeof *rig);

    *state = rig;
    assert_int_equal(executor_new(&options, &rig->executor, NULL), WARREN_OK);
    join(rig, &rig->a, 1, "a");
    join(rig, &rig->b, 3, "b");
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    runner_free(rig->a.runner);
    runner_free(rig->b.runner);
    executor_free(rig->executor);
    sem_destroy(&rig->a.go);
    sem_destroy(&rig->b.go);
    free(rig);
    return 0;
}

static void push(struct member *member, uint64_t first, uint64_t count)
{
    struct warren_bytes none = {"", 0};
    struct batch batch = {NULL, NULL, 0};

    for (uint64_t i = 0; i < count; i++) {
        struct attempt *attempt = attempt_new(none, none, none, 0);

        assert_non_null(attempt);
        attempt->delivery.tag = first + i;
        attempt->delivery.generation = 1;
        batch_add(&batch, attempt);
    }
    runner_push(member->runner, &batch);
}

static void pause_briefly(void)
{
    struct timespec moment = {0, 200000};

    nanosleep(&moment, NULL);
}

/* Be the loop until @count of @member are settled; the caller owns them. */
static void collect(struct member *member, struct batch *done, uint32_t count)
{
    int64_t end_ms = clock_now_ms(clock_monotonic()) + DEADLINE_MS;

    while (done->count < count) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        runner_look(member->runner);
        runner_take_settled(member->runner, done);
        pause_briefly();
    }
}

static void collect_and_free(struct member *member, uint32_t count)
{
    struct batch done = {NULL, NULL, 0};
    struct attempt *attempt;

    collect(member, &done, count);
    while ((attempt = batch_pop(&done)))
        attempt_free(attempt);
}

/* So many of each are in a handler, soon. */
static void expect_inside(struct rig *rig, uint32_t of_a, uint32_t of_b)
{
    int64_t end_ms = clock_now_ms(clock_monotonic()) + DEADLINE_MS;
    uint32_t running;
    uint32_t queued;

    while (atomic_load(&rig->a.inside) != of_a || atomic_load(&rig->b.inside) != of_b) {
        if (clock_now_ms(clock_monotonic()) >= end_ms)
            fail_msg("%u and %u, expected %u and %u", atomic_load(&rig->a.inside),
                     atomic_load(&rig->b.inside), of_a, of_b);
        runner_look(rig->a.runner);
        runner_look(rig->b.runner);
        pause_briefly();
    }
    runner_load(rig->a.runner, &running, &queued);
    assert_int_equal(running, of_a);
}

static void release(struct member *member, int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&member->go);
}

/* ---- messages ---- */

static void each_is_settled_once(void **state)
{
    struct rig *rig = *state;
    struct batch done[2] = {{NULL, NULL, 0}, {NULL, NULL, 0}};
    struct member *members[2] = {&rig->a, &rig->b};

    for (uint64_t i = 0; i < MANY; i += 50) {
        push(&rig->a, i, 50);
        push(&rig->b, i, 50);
    }
    for (int k = 0; k < 2; k++) {
        unsigned char *seen = calloc(MANY, 1);
        struct attempt *attempt;

        collect(members[k], &done[k], MANY);
        while ((attempt = batch_pop(&done[k]))) {
            assert_int_equal(attempt->outcome, WARREN_DISCARD);
            assert_int_equal(seen[attempt->delivery.tag]++, 0);
            attempt_free(attempt);
        }
        assert_int_equal(atomic_load(&members[k]->runs), MANY);
        free(seen);
    }
}

/* A delivery of a channel that is gone comes back unrun. */
static void an_older_generation_is_not_run(void **state)
{
    struct rig *rig = *state;

    atomic_store(&rig->a.generation, 2);
    push(&rig->a, 0, 10);
    collect_and_free(&rig->a, 10);
    assert_int_equal(atomic_load(&rig->a.runs), 0);
}

/* What was not begun can be taken out, in order. */
static void the_queue_can_be_taken(void **state)
{
    struct rig *rig = *state;
    struct batch queued = {NULL, NULL, 0};
    struct attempt *attempt;
    uint64_t tag = 0;

    push(&rig->a, STUCK, THREADS);
    expect_inside(rig, THREADS, 0);
    push(&rig->a, 0, 5);
    runner_take_queued(rig->a.runner, &queued);
    assert_int_equal(queued.count, 5);
    while ((attempt = batch_pop(&queued))) {
        assert_int_equal(attempt->delivery.tag, tag++);
        attempt_free(attempt);
    }
    release(&rig->a, THREADS);
    collect_and_free(&rig->a, THREADS);
}

/* A loop that does not look is woken for the first one. */
static void a_sleeping_loop_is_woken(void **state)
{
    struct rig *rig = *state;
    int64_t end_ms = clock_now_ms(clock_monotonic()) + DEADLINE_MS;

    push(&rig->b, 0, 1);
    while (atomic_load(&rig->b.wakes) == 0) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        pause_briefly();
    }
    collect_and_free(&rig->b, 1);
}

/* ---- shares ---- */

/* All threads are lent, and come back one by one as the handlers on them return. */
static void a_share_comes_back(void **state)
{
    struct rig *rig = *state;

    push(&rig->a, STUCK, 8);
    expect_inside(rig, 4, 0);
    push(&rig->b, STUCK, 8);
    expect_inside(rig, 4, 0);
    release(&rig->a, 1);
    expect_inside(rig, 3, 1);
    release(&rig->a, 1);
    expect_inside(rig, 2, 2);
    release(&rig->a, 1);
    expect_inside(rig, 1, 3);
    release(&rig->a, 1); /* its own */
    expect_inside(rig, 1, 3);
    release(&rig->b, 3);
    expect_inside(rig, 1, 3);
    release(&rig->b, 3);
    expect_inside(rig, 2, 2); /* 6 of 8 are done */
    release(&rig->a, 4);
    release(&rig->b, 2);
    collect_and_free(&rig->a, 8);
    collect_and_free(&rig->b, 8);
    assert_int_equal(atomic_load(&rig->a.began), 0);
}

/* It may have so many, whoever else does nothing; more when it may have more. */
static void it_has_its_most(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(runner_resize(rig->a.runner, 2, NULL), WARREN_OK);
    push(&rig->a, STUCK, 6);
    expect_inside(rig, 2, 0);
    assert_false(runner_look(rig->a.runner)); /* the others sleep, and may not take any */
    push(&rig->b, 0, 100);
    collect_and_free(&rig->b, 100);
    assert_int_equal(atomic_load(&rig->a.most_inside), 2);
    assert_int_equal(runner_resize(rig->a.runner, 3, NULL), WARREN_OK);
    expect_inside(rig, 3, 0);
    release(&rig->a, 6);
    collect_and_free(&rig->a, 6);
    assert_int_equal(atomic_load(&rig->a.most_inside), 3);
}

/* One leaves while the other has all threads, and another one comes. */
static void members_come_and_go(void **state)
{
    struct rig *rig = *state;

    push(&rig->b, STUCK, 4);
    expect_inside(rig, 0, 4);
    runner_free(rig->a.runner);
    sem_destroy(&rig->a.go);
    join(rig, &rig->a, 1, "c");
    push(&rig->a, 0, 20);
    release(&rig->b, 4);
    collect_and_free(&rig->a, 20);
    collect_and_free(&rig->b, 4);
}

/* Up to a bound. */
static void there_is_no_room_for_too_many(void **state)
{
    struct rig *rig = *state;
    const struct runner_calls calls = {.run = run};
    const struct executor_place place = {
        .queue = "q", .handler = "p.h", .share = 1, .most = 1, .outlook = &rig->a.outlook};
    static struct runner *runners[EXECUTOR_MEMBERS_MAX];
    size_t count = 0;

    while (count < EXECUTOR_MEMBERS_MAX &&
           executor_join(rig->executor, &place, &calls, rig, &runners[count]) == WARREN_OK)
        count++;
    assert_int_equal(count, EXECUTOR_MEMBERS_MAX - 2);
    push(&rig->b, 0, 20);
    collect_and_free(&rig->b, 20);
    while (count > 0)
        runner_free(runners[--count]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_is_settled_once),   TEST(an_older_generation_is_not_run),
        TEST(the_queue_can_be_taken), TEST(a_sleeping_loop_is_woken),
        TEST(a_share_comes_back),     TEST(it_has_its_most),
        TEST(members_come_and_go),    TEST(there_is_no_room_for_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
