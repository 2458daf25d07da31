/* test_threads.c - the worker threads, with the test as the loop. */
#include <pthread.h>
#include <time.h>

#include "base/proc.h"
#include "consume/workers/threads.h"
#include "support/attempt.h"
#include "support/test.h"

#define DEADLINE_MS 20000
#define CONCURRENCY 4
#define MANY        20000

/* The test's side of one runner. */
struct rig {
    struct runner *runner;
    struct loop_outlook outlook;
    atomic_uint generation;
    atomic_bool rests;
    atomic_uint wakes;
    atomic_uint runs;
    atomic_uint batches;
    atomic_uint inside; /* in run() now */
    atomic_uint most_inside;
    atomic_uint most_workers;
    atomic_bool gate_open; /* deliveries with tag >= STUCK wait for it */
    atomic_bool later;     /* run() answers false */
    struct attempt *kept;  /* the last one that run() answered false for */
    pthread_mutex_t lock;
    pthread_cond_t opened;
};

#define STUCK UINT64_C(1000000)

static bool run(void *user, uint32_t worker, struct attempt *attempt, int64_t begun_ns)
{
    struct rig *rig = user;
    unsigned inside = atomic_fetch_add(&rig->inside, 1) + 1;
    unsigned most = atomic_load(&rig->most_inside);

    if (worker >= atomic_load(&rig->most_workers) || begun_ns <= 0)
        abort(); /* cmocka's asserts are for the test's own thread */
    while (inside > most && !atomic_compare_exchange_weak(&rig->most_inside, &most, inside))
        ;
    if (attempt->delivery.tag >= STUCK) {
        pthread_mutex_lock(&rig->lock);
        while (!atomic_load(&rig->gate_open))
            pthread_cond_wait(&rig->opened, &rig->lock);
        pthread_mutex_unlock(&rig->lock);
    }
    attempt->outcome = WARREN_DISCARD;
    atomic_fetch_sub(&rig->inside, 1);
    if (atomic_load(&rig->later)) {
        rig->kept = attempt;
        atomic_fetch_add(&rig->runs, 1);
        return false;
    }
    atomic_fetch_add(&rig->runs, 1);
    return true;
}

/* Each of a batch as it comes; they are settled together. */
static void run_batch(void *user, uint32_t worker, struct batch *batch, int64_t begun_ns)
{
    struct rig *rig = user;

    if (batch->first->together != 0)
        abort();
    atomic_fetch_add(&rig->batches, 1);
    for (struct attempt *attempt = batch->first; attempt; attempt = attempt->next)
        run(rig, worker, attempt, begun_ns);
}

/* Threads begin late where a machine is busy; here, when the gate opens. */
static void begin_late(void *user, uint32_t worker)
{
    struct rig *rig = user;

    (void)worker;
    pthread_mutex_lock(&rig->lock);
    while (!atomic_load(&rig->gate_open))
        pthread_cond_wait(&rig->opened, &rig->lock);
    pthread_mutex_unlock(&rig->lock);
}

static uint32_t generation(void *user)
{
    struct rig *rig = user;

    return atomic_load(&rig->generation);
}

static bool loop_rests(void *user)
{
    struct rig *rig = user;

    return atomic_load(&rig->rests);
}

static void wake_loop(void *user)
{
    struct rig *rig = user;

    atomic_fetch_add(&rig->wakes, 1);
}

static int set_up(void **state, void (*worker_begins)(void *user, uint32_t worker))
{
    const struct runner_calls calls = {.run = run,
                                       .run_batch = run_batch,
                                       .generation = generation,
                                       .loop_rests = loop_rests,
                                       .wake_loop = wake_loop,
                                       .worker_begins = worker_begins};
    struct rig *rig = calloc(1, sizeof *rig);
    struct threads_options options = {.name = "test",
                                      .concurrency = CONCURRENCY,
                                      .clock = clock_monotonic(),
                                      .outlook = &rig->outlook};

    atomic_store(&rig->generation, 1);
    atomic_store(&rig->most_workers, CONCURRENCY);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->opened, NULL);
    *state = rig;
    return threads_new(&options, &calls, rig, &rig->runner, NULL) == WARREN_OK ? 0 : -1;
}

static int setup(void **state)
{
    return set_up(state, NULL);
}

static int setup_late(void **state)
{
    return set_up(state, begin_late);
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    runner_free(rig->runner);
    pthread_mutex_destroy(&rig->lock);
    pthread_cond_destroy(&rig->opened);
    free(rig);
    return 0;
}

static void open_gate(struct rig *rig)
{
    pthread_mutex_lock(&rig->lock);
    atomic_store(&rig->gate_open, true);
    pthread_cond_broadcast(&rig->opened);
    pthread_mutex_unlock(&rig->lock);
}

static struct attempt *message(uint64_t tag)
{
    struct warren_bytes none = {"", 0};
    struct attempt *attempt = attempt_new(none, none, none, 0);

    assert_non_null(attempt);
    attempt->delivery.tag = tag;
    attempt->delivery.generation = 1;
    return attempt;
}

static void push(struct rig *rig, uint64_t first, uint64_t count)
{
    struct batch batch = {NULL, NULL, 0};

    for (uint64_t i = 0; i < count; i++)
        batch_add(&batch, message(first + i));
    runner_push(rig->runner, &batch);
}

static void pause_briefly(void)
{
    struct timespec moment = {0, 200000};

    nanosleep(&moment, NULL);
}

static int64_t deadline_ms(void)
{
    return clock_now_ms(clock_monotonic()) + DEADLINE_MS;
}

/* Be the loop, guard included, until @count are settled; the caller owns them. */
static void collect(struct rig *rig, struct batch *done, uint32_t count)
{
    int64_t end_ms = deadline_ms();

    while (done->count < count) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        runner_look(rig->runner);
        runner_take_settled(rig->runner, done);
        pause_briefly();
    }
}

static void free_all(struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = batch_pop(batch)))
        attempt_free(attempt);
}

static void wait_for(atomic_uint *value, unsigned at_least)
{
    int64_t end_ms = deadline_ms();

    while (atomic_load(value) < at_least) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        pause_briefly();
    }
}

/* Everything that is pushed is run once and settled once, with its outcome. */
static void each_is_settled_once(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};
    unsigned char *seen = calloc(MANY, 1);
    struct attempt *attempt;

    for (uint64_t i = 0; i < MANY; i += 100)
        push(rig, i, 100);
    collect(rig, &done, MANY);
    assert_int_equal(done.count, MANY);
    assert_int_equal(atomic_load(&rig->runs), MANY);
    while ((attempt = batch_pop(&done))) {
        assert_int_equal(attempt->outcome, WARREN_DISCARD);
        assert_int_equal(seen[attempt->delivery.tag]++, 0);
        attempt_free(attempt);
    }
    free(seen);
}

/* A handler that hangs holds back its own message alone. */
static void a_stuck_one_does_not_starve_the_rest(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    push(rig, STUCK, 1);
    push(rig, 0, 50);
    collect(rig, &done, 50);
    for (struct attempt *d = done.first; d; d = d->next)
        assert_true(d->delivery.tag < STUCK);
    open_gate(rig);
    collect(rig, &done, 51);
    free_all(&done);
}

/* With all workers but one stuck, the last one still does all the rest. */
static void one_free_worker_is_enough(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    push(rig, STUCK, CONCURRENCY - 1);
    push(rig, 0, 200);
    collect(rig, &done, 200);
    open_gate(rig);
    collect(rig, &done, 200 + CONCURRENCY - 1);
    free_all(&done);
}

/* A thread that has not begun runs no handler: who drains then does not take it for one that never
 * returns. */
static void threads_that_have_not_begun_run_nothing(void **state)
{
    struct rig *rig = *state;
    uint32_t running, queued;

    runner_load(rig->runner, &running, &queued);
    open_gate(rig);
    assert_int_equal(running, 0);
    assert_int_equal(queued, 0);
}

/* Never more than `concurrency` handlers at once, and as many as that if there is work. */
static void concurrency_is_reached_and_not_exceeded(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};
    uint32_t running, queued;
    int64_t end_ms = deadline_ms();

    push(rig, STUCK, 3 * CONCURRENCY);
    while (atomic_load(&rig->inside) < CONCURRENCY) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        runner_look(rig->runner);
        pause_briefly();
    }
    runner_load(rig->runner, &running, &queued);
    assert_int_equal(running, CONCURRENCY);
    assert_int_equal(queued, 2 * CONCURRENCY);
    open_gate(rig);
    collect(rig, &done, 3 * CONCURRENCY);
    assert_int_equal(atomic_load(&rig->most_inside), CONCURRENCY);
    free_all(&done);
}

/* A delivery of a channel that is gone comes back unrun, to be counted as stale. */
static void an_older_generation_is_not_run(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    atomic_store(&rig->generation, 2);
    push(rig, 0, 10);
    collect(rig, &done, 10);
    assert_int_equal(atomic_load(&rig->runs), 0);
    for (struct attempt *d = done.first; d; d = d->next)
        assert_int_equal(d->outcome, WARREN_REQUEUE);
    free_all(&done);
}

/* What was not begun can be taken out, in order, to be handed back. */
static void the_queue_can_be_taken(void **state)
{
    struct rig *rig = *state;
    struct batch queued = {NULL, NULL, 0}, done = {NULL, NULL, 0};
    uint64_t tag = 0;

    push(rig, STUCK, CONCURRENCY);
    wait_for(&rig->inside, 1);
    while (atomic_load(&rig->inside) < CONCURRENCY) {
        runner_look(rig->runner);
        pause_briefly();
    }
    push(rig, 0, 5);
    runner_take_queued(rig->runner, &queued);
    assert_int_equal(queued.count, 5);
    for (struct attempt *d = queued.first; d; d = d->next)
        assert_int_equal(d->delivery.tag, tag++);
    open_gate(rig);
    collect(rig, &done, CONCURRENCY);
    assert_int_equal(done.count, CONCURRENCY);
    free_all(&queued);
    free_all(&done);
}

/* A delivery whose receipts come later is settled from another thread, and wakes the loop. */
static void a_late_one_is_settled_by_another_thread(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    atomic_store(&rig->later, true);
    push(rig, 7, 1);
    wait_for(&rig->runs, 1);
    runner_take_settled(rig->runner, &done);
    assert_int_equal(done.count, 0);
    assert_int_equal(atomic_load(&rig->wakes), 0);
    runner_settled(rig->runner, rig->kept);
    assert_int_equal(atomic_load(&rig->wakes), 1);
    runner_take_settled(rig->runner, &done);
    assert_int_equal(done.count, 1);
    free_all(&done);
}

/* A loop that will not come by itself is woken for the first settled delivery. */
static void a_sleeping_loop_is_woken(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    push(rig, 0, 1);
    wait_for(&rig->wakes, 1);
    runner_take_settled(rig->runner, &done);
    assert_int_equal(done.count, 1);
    free_all(&done);
}

/* A loop that is looking, and resting between reads, is left alone. */
static void a_loop_that_comes_is_not_woken(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    atomic_store(&rig->outlook.looking, true);
    atomic_store(&rig->rests, true);
    for (unsigned i = 0; i < 10; i++) {
        push(rig, 0, 200);
        collect(rig, &done, (i + 1) * 200);
    }
    assert_int_equal(atomic_load(&rig->wakes), 0);
    free_all(&done);
}

/* A looking loop that does not rest hears of a worker that runs out of work: acks are prompt. */
static void going_idle_wakes_a_loop_that_does_not_rest(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    atomic_store(&rig->outlook.looking, true);
    push(rig, 0, 1);
    wait_for(&rig->wakes, 1);
    collect(rig, &done, 1);
    free_all(&done);
}

static void wait_until_idle(struct rig *rig)
{
    int64_t end_ms = deadline_ms();
    uint32_t running, queued;

    do {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        pause_briefly();
        runner_load(rig->runner, &running, &queued);
    } while (running + queued > 0);
}

/* With half of the prefetch free nobody waits for acks: a looking loop is left to come by itself,
 * and one that is not is woken all the same. */
static void with_room_only_a_loop_that_does_not_look_is_woken(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    runner_roomy(rig->runner, true);
    atomic_store(&rig->outlook.looking, true);
    push(rig, 0, 1);
    wait_for(&rig->runs, 1);
    wait_until_idle(rig);
    assert_int_equal(atomic_load(&rig->wakes), 0);
    collect(rig, &done, 1);

    atomic_store(&rig->outlook.looking, false);
    push(rig, 1, 1);
    wait_for(&rig->wakes, 1);
    collect(rig, &done, 2);
    free_all(&done);
}

/* ---- more and fewer workers ---- */

static void resize(struct rig *rig, uint32_t concurrency)
{
    if (concurrency > atomic_load(&rig->most_workers))
        atomic_store(&rig->most_workers, concurrency);
    assert_int_equal(runner_resize(rig->runner, concurrency, NULL), WARREN_OK);
}

/* So many are stuck at once, and no more. */
static void expect_stuck(struct rig *rig, uint64_t first, uint32_t concurrency)
{
    struct batch done = {NULL, NULL, 0};
    int64_t end_ms = deadline_ms();

    atomic_store(&rig->most_inside, 0);
    push(rig, STUCK + first, 40);
    while (atomic_load(&rig->inside) < concurrency) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        runner_look(rig->runner);
        pause_briefly();
    }
    open_gate(rig);
    collect(rig, &done, 40);
    assert_int_equal(atomic_load(&rig->most_inside), concurrency);
    atomic_store(&rig->gate_open, false);
    free_all(&done);
}

/* As many as were asked for last run at once, whether they slept or not when that changed. */
static void workers_come_and_go(void **state)
{
    static const uint32_t steps[] = {9, 2, 3, 1, 12, 4};
    struct rig *rig = *state;

    expect_stuck(rig, 0, CONCURRENCY);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        resize(rig, steps[i]);
        expect_stuck(rig, 100 * (i + 1), steps[i]);
    }
}

/* One that is too many ends behind its message; if it is wanted again before that, it stays. */
static void a_busy_worker_ends_later(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};
    int64_t end_ms = deadline_ms();

    push(rig, STUCK, CONCURRENCY);
    while (atomic_load(&rig->inside) < CONCURRENCY) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        runner_look(rig->runner);
        pause_briefly();
    }
    resize(rig, 1);
    resize(rig, 3);
    resize(rig, 2);
    open_gate(rig);
    collect(rig, &done, CONCURRENCY);
    atomic_store(&rig->gate_open, false);
    free_all(&done);
    expect_stuck(rig, 100, 2);
    resize(rig, 6);
    expect_stuck(rig, 200, 6);
}

/* Each is settled once, however the workers change meanwhile. */
static void nothing_is_lost_while_they_change(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    for (uint32_t i = 0; i < 60; i++) {
        push(rig, 1 + i * 50, 50);
        resize(rig, 1 + i * 7 % 11);
        runner_take_settled(rig->runner, &done);
    }
    collect(rig, &done, 60 * 50);
    assert_int_equal(atomic_load(&rig->runs), 60 * 50);
    free_all(&done);
}

/* What is seen of them, and the most at work since the look before. */
static void what_they_did_is_seen(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};
    struct runner_seen seen;

    expect_stuck(rig, 0, CONCURRENCY);
    wait_until_idle(rig);
    runner_observe(rig->runner, &seen);
    assert_int_equal(seen.size, CONCURRENCY);
    assert_int_equal(seen.running, 0);
    assert_int_equal(seen.queued, 0);
    assert_int_equal(seen.peak, CONCURRENCY);
    assert_int_equal(seen.begun, 40);
    push(rig, 0, 1);
    collect(rig, &done, 1);
    wait_until_idle(rig);
    runner_observe(rig->runner, &seen);
    assert_true(seen.peak < CONCURRENCY);
    assert_int_equal(seen.begun, 41);
    assert_true(seen.rested_ns > 0); /* all slept before this one, which woke one of them */
    resize(rig, 2);
    runner_observe(rig->runner, &seen);
    assert_int_equal(seen.size, 2);
    free_all(&done);
}

static uint32_t threads_of_process(void)
{
    char line[64];

    assert_true(proc_line("/proc/self/status", "Threads:", line, sizeof line));
    return (uint32_t)strtoul(line + strlen("Threads:"), NULL, 10);
}

/* Those that are too many end, and a look joins them. */
static void the_surplus_is_joined(void **state)
{
    struct rig *rig = *state;
    uint32_t before = threads_of_process();
    int64_t end_ms = deadline_ms();
    struct runner_seen seen;

    resize(rig, 12);
    assert_int_equal(threads_of_process(), before + 12 - CONCURRENCY);
    expect_stuck(rig, 0, 12);
    resize(rig, 2);
    while (threads_of_process() > before + 2 - CONCURRENCY) {
        assert_true(clock_now_ms(clock_monotonic()) < end_ms);
        pause_briefly();
        runner_observe(rig->runner, &seen);
    }
    expect_stuck(rig, 100, 2);
}

static void push_batches(struct rig *rig, uint64_t first, uint32_t count, uint16_t size)
{
    struct batch batch = {NULL, NULL, 0};

    for (uint32_t i = 0; i < count; i++) {
        struct attempt *attempt = message(first + i);

        attempt->together = i % size == 0 ? size : 0;
        batch_add(&batch, attempt);
    }
    runner_push(rig->runner, &batch);
}

/* Batches go as they are, each to one worker, beside single messages; each message counts. */
static void a_batch_goes_to_one_worker(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};

    push_batches(rig, 1, 30, 10);
    push(rig, 31, 5);
    push_batches(rig, 36, 3, 1);
    collect(rig, &done, 38);
    assert_int_equal(atomic_load(&rig->batches), 6);
    assert_int_equal(atomic_load(&rig->runs), 38);
    for (struct attempt *attempt = done.first; attempt; attempt = attempt->next)
        assert_int_equal(attempt->together, 0);
    free_all(&done);
}

/* What is at work and what waits is told in messages; what was not begun can be taken, whole. */
static void batches_that_wait_can_be_taken(void **state)
{
    struct rig *rig = *state;
    struct batch done = {NULL, NULL, 0};
    struct batch taken = {NULL, NULL, 0};
    uint32_t running;
    uint32_t queued;

    push_batches(rig, STUCK, 7 * (CONCURRENCY + 2), 7);
    while (atomic_load(&rig->batches) < CONCURRENCY) {
        runner_look(rig->runner);
        pause_briefly();
    }
    runner_load(rig->runner, &running, &queued);
    assert_int_equal(running, 7 * CONCURRENCY);
    assert_int_equal(queued, 14);
    runner_take_queued(rig->runner, &taken);
    assert_int_equal(taken.count, 14);
    assert_int_equal(taken.first->together, 7);
    open_gate(rig);
    collect(rig, &done, 7 * CONCURRENCY);
    free_all(&done);
    free_all(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_that_have_not_begun_run_nothing, setup_late,
                                        teardown),
        cmocka_unit_test_setup_teardown(each_is_settled_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stuck_one_does_not_starve_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(one_free_worker_is_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(concurrency_is_reached_and_not_exceeded, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_generation_is_not_run, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queue_can_be_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_one_is_settled_by_another_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sleeping_loop_is_woken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_that_comes_is_not_woken, setup, teardown),
        cmocka_unit_test_setup_teardown(going_idle_wakes_a_loop_that_does_not_rest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(workers_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_busy_worker_ends_later, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_lost_while_they_change, setup, teardown),
        cmocka_unit_test_setup_teardown(what_they_did_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(the_surplus_is_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(with_room_only_a_loop_that_does_not_look_is_woken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_batch_goes_to_one_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_that_wait_can_be_taken, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
