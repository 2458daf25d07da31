/* test_loop.c - loop/loop.h */
#include "base/descriptors.h"
#include "loop/loop.h"
#include "support/fake_clock.h"
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/** No test takes as long; a loop that nobody stops fails instead of hanging. */
#define DEADLINE_MS 20000

struct fixture {
    struct loop *loop;
    struct loop_timer deadline;
    bool late;
    int runs;
    struct loop_task task;
    struct loop_task other;
    struct loop_timer timer;
    struct loop_fd watch;
    struct loop_signal signal;
    int ends[2];
    unsigned readiness;
    int64_t armed_ns;
};

static void too_late(void *arg)
{
    struct fixture *f = arg;

    f->late = true;
    loop_stop(f->loop);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.ends = {-1, -1}};
    if (loop_new(clock_monotonic(), &f.loop) != WARREN_OK ||
        loop_timer_init(&f.deadline, f.loop, too_late, &f) != WARREN_OK ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f.ends) != 0)
        return -1;
    loop_timer_arm_ms(&f.deadline, DEADLINE_MS);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    loop_fd_done(&f->watch);
    loop_signal_done(&f->signal);
    loop_timer_done(&f->timer);
    loop_timer_done(&f->deadline);
    loop_free(f->loop);
    close(f->ends[0]);
    close(f->ends[1]);
    return f->late ? -1 : 0;
}

static void count_and_stop(void *arg)
{
    struct fixture *f = arg;

    f->runs++;
    loop_stop(f->loop);
}

static void count(void *arg)
{
    ((struct fixture *)arg)->runs++;
}

/* ---- stopping ---- */

/* A stop before the run ends the run after one turn; the next run is a new one. */
static void early_stop_is_not_lost(void **state)
{
    struct fixture *f = *state;

    loop_stop(f->loop);
    loop_run(f->loop);
    assert_false(f->late);
    loop_task_init(&f->task, count_and_stop, f);
    loop_post(f->loop, &f->task);
    loop_run(f->loop);
    assert_int_equal(f->runs, 1);
}

/* ---- tasks ---- */

static void add_ten(void *arg)
{
    ((struct fixture *)arg)->runs += 10;
}

/* Posting a task that waits does nothing; once it ran it may be posted again. */
static void waiting_task_runs_once(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, count_and_stop, f);
    loop_task_init(&f->other, add_ten, f);
    loop_post(f->loop, &f->task);
    loop_post(f->loop, &f->other);
    loop_post(f->loop, &f->task);
    loop_run(f->loop);
    assert_int_equal(f->runs, 11);
    loop_post(f->loop, &f->task);
    loop_run(f->loop);
    assert_int_equal(f->runs, 12);
}

/* A task that was taken back does not run; taking back again is harmless. */
static void cancelled_task_does_not_run(void **state)
{
    struct fixture *f = *state;
    struct loop_task stop;

    loop_task_init(&f->task, count, f);
    loop_task_init(&stop, count_and_stop, f);
    loop_post(f->loop, &f->task);
    loop_post(f->loop, &stop);
    loop_cancel(f->loop, &f->task);
    loop_cancel(f->loop, &f->task);
    loop_run(f->loop);
    assert_int_equal(f->runs, 1);
}

static void cancel_other(void *arg)
{
    struct fixture *f = arg;

    loop_cancel(f->loop, &f->other);
    loop_stop(f->loop);
}

/* Also a task that would be next in the same turn can be taken back. */
static void task_of_the_same_turn_can_be_cancelled(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, cancel_other, f);
    loop_task_init(&f->other, count, f);
    loop_post(f->loop, &f->task);
    loop_post(f->loop, &f->other);
    loop_run(f->loop);
    assert_int_equal(f->runs, 0);
}

static void post_again(void *arg)
{
    struct fixture *f = arg;

    if (f->readiness)
        loop_stop(f->loop);
    f->runs++;
    loop_post(f->loop, &f->task);
}

static void note_readiness(void *arg, unsigned readiness)
{
    struct fixture *f = arg;
    char byte;

    f->readiness |= readiness;
    if (readiness & LOOP_READ && read(f->ends[0], &byte, 1) != 1)
        fail();
}

/* A task that posts itself for ever does not starve a descriptor. */
static void tasks_do_not_starve_descriptors(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, post_again, f);
    assert_int_equal(loop_fd_init(&f->watch, f->loop, f->ends[0], note_readiness, f), WARREN_OK);
    loop_fd_want(&f->watch, LOOP_READ);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    loop_post(f->loop, &f->task);
    loop_run(f->loop);
    assert_int_equal(f->readiness, LOOP_READ);
    loop_cancel(f->loop, &f->task);
}

#define POSTERS   3
#define POSTS     3000
#define ALL_POSTS (POSTERS * POSTS)

static atomic_int posted;
static int handled;

static void take_posted(void *arg)
{
    struct fixture *f = arg;

    handled += atomic_exchange(&posted, 0);
    if (handled == ALL_POSTS)
        loop_stop(f->loop);
}

static void *post_many(void *arg)
{
    struct fixture *f = arg;

    for (int i = 0; i < POSTS; i++) {
        atomic_fetch_add(&posted, 1);
        loop_post(f->loop, &f->task);
    }
    return NULL;
}

/* No post of several threads is lost: whatever was added before a post is seen by a run. */
static void posts_of_threads_are_not_lost(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[POSTERS];

    loop_task_init(&f->task, take_posted, f);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, f), 0);
    loop_run(f->loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(handled, ALL_POSTS);
}

static void *run_loop(void *arg)
{
    loop_run(((struct fixture *)arg)->loop);
    return NULL;
}

/* loop_stop() of another thread wakes a loop that has nothing to do. */
static void stop_wakes_a_sleeping_loop(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_loop, f), 0);
    loop_stop(f->loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(f->late);
}

/* ---- timers ---- */

/* A timer fires once, not before its time, to a fraction of a millisecond. */
static void timer_keeps_its_time(void **state)
{
    struct fixture *f = *state;
    int64_t shortest_ns = INT64_MAX;

    assert_int_equal(loop_timer_init(&f->timer, f->loop, count_and_stop, f), WARREN_OK);
    for (int i = 0; i < 20; i++) {
        int64_t before_ns = clock_now_ns(loop_clock(f->loop));
        int64_t took_ns;

        loop_timer_arm_us(&f->timer, 300);
        assert_true(loop_timer_armed(&f->timer));
        loop_run(f->loop);
        took_ns = clock_now_ns(loop_clock(f->loop)) - before_ns;
        assert_true(took_ns >= 299000);
        shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
    }
    assert_int_equal(f->runs, 20);
    assert_false(loop_timer_armed(&f->timer));
    assert_true(shortest_ns < 1000000); /* rounding to whole milliseconds would show */
}

static void work_then_arm(void *arg)
{
    struct fixture *f = arg;
    struct clock *clock = loop_clock(f->loop);
    int64_t begin_ns = clock_now_ns(clock);

    while (clock_now_ns(clock) - begin_ns < 3000000)
        ;
    f->armed_ns = clock_now_ns(clock);
    loop_timer_arm_us(&f->timer, 4000);
}

/* A delay counts from the call, not from the start of a turn that took long. */
static void delay_counts_from_the_call(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_timer_init(&f->timer, f->loop, count_and_stop, f), WARREN_OK);
    loop_task_init(&f->task, work_then_arm, f);
    loop_post(f->loop, &f->task);
    loop_run(f->loop);
    assert_true(clock_now_ns(loop_clock(f->loop)) - f->armed_ns >= 3999000);
}

/* What is on a loop reads the time from the clock that it was given; timers do not wait for it. */
static void time_is_read_from_the_given_clock(void **state)
{
    struct fixture *f = *state;
    struct clock_fake clock;

    loop_timer_done(&f->deadline);
    loop_free(f->loop);
    clock_fake_init(&clock, 5000);
    assert_int_equal(loop_new(&clock.clock, &f->loop), WARREN_OK);
    assert_ptr_equal(loop_clock(f->loop), &clock.clock);
    assert_int_equal(loop_timer_init(&f->timer, f->loop, count_and_stop, f), WARREN_OK);
    loop_timer_arm_us(&f->timer, 300);
    loop_run(f->loop);
    assert_int_equal(loop_now_ms(f->loop), 5000);
    clock_fake_advance_ms(&clock, 60000);
    assert_int_equal(loop_now_ms(f->loop), 65000);
}

/* Arming again moves the time; a disarmed timer does not fire. */
static void timer_can_be_moved_and_disarmed(void **state)
{
    struct fixture *f = *state;
    struct loop_timer stop;

    assert_int_equal(loop_timer_init(&f->timer, f->loop, count, f), WARREN_OK);
    assert_int_equal(loop_timer_init(&stop, f->loop, count_and_stop, f), WARREN_OK);
    loop_timer_arm_ms(&f->timer, 1);
    loop_timer_arm_ms(&f->timer, 1000000);
    loop_timer_arm_ms(&stop, 5);
    loop_run(f->loop);
    assert_int_equal(f->runs, 1);
    assert_true(loop_timer_armed(&f->timer));
    loop_timer_arm_ms(&f->timer, 1);
    loop_timer_disarm(&f->timer);
    assert_false(loop_timer_armed(&f->timer));
    loop_timer_arm_ms(&stop, 5);
    loop_run(f->loop);
    assert_int_equal(f->runs, 2);
    loop_timer_done(&stop);
}

/* A delay below zero is due at once; one beyond all measure never comes due. */
static void extreme_delays_are_fine(void **state)
{
    struct fixture *f = *state;
    struct loop_timer never;

    assert_int_equal(loop_timer_init(&f->timer, f->loop, count_and_stop, f), WARREN_OK);
    assert_int_equal(loop_timer_init(&never, f->loop, too_late, f), WARREN_OK);
    loop_timer_arm_ms(&never, INT64_MAX);
    loop_timer_arm_ms(&f->timer, -5);
    loop_run(f->loop);
    assert_int_equal(f->runs, 1);
    assert_false(f->late);
    loop_timer_done(&never);
}

/* ---- descriptors ---- */

static void note_and_stop(void *arg, unsigned readiness)
{
    struct fixture *f = arg;

    f->readiness |= readiness;
    f->runs++;
    loop_stop(f->loop);
}

/* Nobody is told of what was not asked for; what is wanted is told again until it is handled. */
static void only_the_wanted_is_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_fd_init(&f->watch, f->loop, f->ends[0], note_and_stop, f), WARREN_OK);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    loop_stop(f->loop);
    loop_run(f->loop);
    assert_int_equal(f->runs, 0);
    loop_fd_want(&f->watch, LOOP_READ);
    loop_run(f->loop);
    loop_run(f->loop);
    assert_int_equal(f->readiness, LOOP_READ);
    assert_int_equal(f->runs, 2);
    f->readiness = 0;
    loop_fd_want(&f->watch, LOOP_WRITE);
    loop_run(f->loop);
    assert_int_equal(f->readiness, LOOP_WRITE);
    loop_fd_want(&f->watch, 0);
    f->runs = 0;
    loop_stop(f->loop);
    loop_run(f->loop);
    assert_int_equal(f->runs, 0);
}

static void end_watch(void *arg, unsigned readiness)
{
    struct fixture *f = arg;

    (void)readiness;
    f->runs++;
    loop_fd_done(&f->watch);
    loop_stop(f->loop);
}

/* A watch may end itself in its own callback: the other direction, ready too, is not told. */
static void watch_can_end_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_fd_init(&f->watch, f->loop, f->ends[0], end_watch, f), WARREN_OK);
    loop_fd_want(&f->watch, LOOP_READ | LOOP_WRITE);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    loop_run(f->loop);
    assert_int_equal(f->runs, 1);
}

/* A peer that hangs up is told as readable, so that reading finds the end. */
static void hang_up_is_readable(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_fd_init(&f->watch, f->loop, f->ends[0], note_and_stop, f), WARREN_OK);
    loop_fd_want(&f->watch, LOOP_READ);
    assert_int_equal(shutdown(f->ends[1], SHUT_RDWR), 0);
    loop_run(f->loop);
    assert_int_equal(f->readiness, LOOP_READ);
}

/* ---- signals ---- */

static void caught(void *arg, int number)
{
    struct fixture *f = arg;

    f->runs = number;
    loop_stop(f->loop);
}

/* A signal arrives as a callback on the loop, with its number, more than once. */
static void signal_becomes_a_callback(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_signal_init(&f->signal, f->loop, SIGUSR1, caught, f), WARREN_OK);
    for (int i = 0; i < 2; i++) {
        f->runs = 0;
        raise(SIGUSR1);
        loop_run(f->loop);
        assert_int_equal(f->runs, SIGUSR1);
    }
}

/* ---- which descriptors are its own ---- */

/* Another set has a file under the number that the loop's own descriptor gets, as after a fork, or
 * where a copy keeps open what was closed: that set is neither taken for the loop's, nor changed.
 */
static void another_set_is_not_the_loops(void **state)
{
    struct epoll_event wanted = {.events = EPOLLIN};
    struct epoll_event told;
    int set = epoll_create1(EPOLL_CLOEXEC);
    int number = eventfd(1, EFD_CLOEXEC);
    int copy = dup(number);
    struct loop *loop;

    (void)state;
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, number, &wanted), 0);
    close(number);
    assert_int_equal(loop_new(clock_monotonic(), &loop), WARREN_OK);
    assert_int_not_equal(fcntl(number, F_GETFD), -1); /* a descriptor of the loop has the number */
    descriptors_check();
    loop_free(loop);
    assert_int_equal(epoll_wait(set, &told, 1, 0), 1);
    close(copy);
    close(set);
}

/* ---- ends ---- */

/* Everything zeroed or absent can be ended. */
static void zeroed_things_can_be_ended(void **state)
{
    struct loop_timer timer = {0};
    struct loop_fd watch = {0};
    struct loop_signal signal = {0};

    (void)state;
    loop_timer_done(&timer);
    loop_timer_done(NULL);
    assert_false(loop_timer_armed(&timer));
    loop_fd_done(&watch);
    loop_fd_done(NULL);
    loop_signal_done(&signal);
    loop_signal_done(NULL);
    loop_free(NULL);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(early_stop_is_not_lost),
        LOOP_TEST(waiting_task_runs_once),
        LOOP_TEST(cancelled_task_does_not_run),
        LOOP_TEST(task_of_the_same_turn_can_be_cancelled),
        LOOP_TEST(tasks_do_not_starve_descriptors),
        LOOP_TEST(posts_of_threads_are_not_lost),
        LOOP_TEST(stop_wakes_a_sleeping_loop),
        LOOP_TEST(timer_keeps_its_time),
        LOOP_TEST(time_is_read_from_the_given_clock),
        LOOP_TEST(delay_counts_from_the_call),
        LOOP_TEST(timer_can_be_moved_and_disarmed),
        LOOP_TEST(extreme_delays_are_fine),
        LOOP_TEST(only_the_wanted_is_told),
        LOOP_TEST(watch_can_end_itself),
        LOOP_TEST(hang_up_is_readable),
        LOOP_TEST(signal_becomes_a_callback),
        cmocka_unit_test(another_set_is_not_the_loops),
        cmocka_unit_test(zeroed_things_can_be_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
