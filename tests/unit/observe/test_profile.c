/* test_profile.c - observe/stack_sampler.h and observe/profile.h. */
#include "base/thread.h"
#include "observe/profile.h"
#include "observe/stack_sampler.h"
#include "support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__ /* has a thread of its own, which answers no signal: each wait is whole \
                            */
#define PATIENCE_MS 4000
#else
#define PATIENCE_MS 60000
#endif

/* A thread that works in one function, which no compiler takes apart, until it is told to end. */
struct worker {
    pthread_t thread;
    atomic_bool ending;
    _Atomic pid_t id;
    sem_t begun;
    atomic_uint_fast64_t turns;
};

static __attribute__((noinline, unused)) void work_hard(struct worker *w)
{
    while (!atomic_load(&w->ending))
        atomic_fetch_add(&w->turns, 1);
}

static void *run_sleeper(void *arg)
{
    struct worker *w = arg;

    atomic_store(&w->id, (pid_t)syscall(SYS_gettid));
    sem_post(&w->begun);
    while (!atomic_load(&w->ending))
        usleep(1000000);
    return NULL;
}

/* ThreadSanitizer hands on signals in calls that it knows, such as that to sleep, and nowhere else.
 */
#ifdef __SANITIZE_THREAD__
#define run_worker      run_sleeper
#define SKIP_IF_DELAYED skip()
#else
#define SKIP_IF_DELAYED
static void *run_worker(void *arg)
{
    struct worker *w = arg;

    atomic_store(&w->id, (pid_t)syscall(SYS_gettid));
    sem_post(&w->begun);
    work_hard(w);
    return NULL;
}
#endif

static void start(struct worker *w, const char *name, void *(*run)(void *arg))
{
    struct warren_error error;

    memset(w, 0, sizeof *w);
    sem_init(&w->begun, 0, 0);
    assert_int_equal(thread_start(&w->thread, name, run, w, &error), WARREN_OK);
    while (sem_wait(&w->begun) != 0)
        ;
}

static void stop(struct worker *w)
{
    atomic_store(&w->ending, true);
    pthread_kill(w->thread, THREAD_SAMPLE_SIGNAL); /* wakes a sleeper */
    pthread_join(w->thread, NULL);
    sem_destroy(&w->begun);
}

/* ---- all threads, once ---- */

struct seen {
    pid_t thread;
    size_t samples;
    size_t calls;
    bool is_worker;
};

static void note(void *user, const struct stack_sample *sample)
{
    struct seen *seen = user;

    if (sample->thread != seen->thread)
        return;
    seen->samples++;
    seen->calls = sample->call_count;
    seen->is_worker = sample->is_worker;
}

/* Who works and who sleeps answers, once each; and a second time after that. */
static void each_thread_answers_once(void **state)
{
    struct worker one;
    struct worker two;
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    start(&one, "works", run_worker);
    start(&two, "sleeps", run_sleeper);
    for (int i = 0; i < 2; i++) {
        struct seen first = {.thread = atomic_load(&one.id)};
        struct seen second = {.thread = atomic_load(&two.id)};

        assert_int_equal(stack_sampler_all(PATIENCE_MS, note, &first, &error), WARREN_OK);
        assert_int_equal(stack_sampler_all(PATIENCE_MS, note, &second, &error), WARREN_OK);
        assert_int_equal(first.samples, 1);
        assert_int_equal(second.samples, 1);
        assert_true(first.calls >= 2);
        assert_true(second.calls >= 2);
        assert_false(first.is_worker);
    }
    stop(&one);
    stop(&two);
}

/* ---- a profile ---- */

static struct worker *watched;

/* Until it has worked for long enough to be seen, however busy the machine is. */
static bool has_worked(void *user)
{
    clockid_t clock;
    struct timespec used;

    (void)user;
    assert_int_equal(pthread_getcpuclockid(watched->thread, &clock), 0);
    clock_gettime(clock, &used);
    return used.tv_sec > 0 || used.tv_nsec > 300000000;
}

/* How often it was seen in a line of @thread that has @function; the lines are as flame graphs want
 * them. */
static unsigned long count_of(const char *folded, const char *thread, const char *function)
{
    unsigned long sum = 0;
    char *text = strdup(folded);
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *number = strrchr(line, ' ');

        assert_non_null(number);
        assert_true(strtoul(number + 1, NULL, 10) > 0);
        if (strncmp(line, thread, strlen(thread)) == 0 && line[strlen(thread)] == ';' &&
            strstr(line, function))
            sum += strtoul(number + 1, NULL, 10);
    }
    free(text);
    return sum;
}

/* The function that burns the CPU is what is seen, by its name although it is static, under its
 * thread; who sleeps is not. */
static void the_busy_function_is_seen(void **state)
{
    struct worker one;
    struct worker two;
    struct buffer folded;
    struct profile_summary summary;
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    SKIP_IF_DELAYED;
    start(&one, "burning", run_worker);
    start(&two, "asleep", run_sleeper);
    watched = &one;
    buffer_init(&folded, 1 << 20);
    assert_int_equal(profile_take(60, has_worked, NULL, &folded, &summary, &error), WARREN_OK);
    assert_int_equal(buffer_append(&folded, "", 1), WARREN_OK);
    if (count_of((const char *)buffer_front(&folded), "burning", ";work_hard") < 10)
        fail_msg("%s", (const char *)buffer_front(&folded));
    assert_int_equal(count_of((const char *)buffer_front(&folded), "asleep", ";"), 0);
    assert_true(summary.samples >= 10);
    assert_int_equal(summary.dropped, 0);
    buffer_done(&folded);
    stop(&one);
    stop(&two);
}

static void wrong_seconds_are_refused(void **state)
{
    struct buffer folded;
    struct profile_summary summary;
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    buffer_init(&folded, 1000);
    assert_int_equal(profile_take(0, NULL, NULL, &folded, &summary, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "1 to 300"));
    assert_int_equal(profile_take(301, NULL, NULL, &folded, &summary, &error), WARREN_EINVAL);
    buffer_done(&folded);
}

/* ---- one at a time ---- */

static void try_meanwhile(void *user, const struct stack_sample *sample)
{
    struct warren_error error = {WARREN_OK, ""};

    (void)sample;
    assert_int_equal(stack_sampler_all(1, note, user, &error), WARREN_EFULL);
}

static void a_second_one_is_refused(void **state)
{
    struct worker one;
    struct seen seen = {0};
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    start(&one, "works", run_worker);
    assert_int_equal(stack_sampler_all(PATIENCE_MS, try_meanwhile, &seen, &error), WARREN_OK);
    stop(&one);
}

static void of_somebody_else(int number)
{
    (void)number;
}

/* The program's own profiler keeps its signal. The last test: it changes the process. */
static void a_program_keeps_its_signal(void **state)
{
    struct sigaction now;
    struct seen seen = {0};
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    signal(THREAD_SAMPLE_SIGNAL, of_somebody_else);
    assert_int_equal(stack_sampler_all(1, note, &seen, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "SIGPROF"));
    sigaction(THREAD_SAMPLE_SIGNAL, NULL, &now);
    assert_ptr_equal(now.sa_handler, of_somebody_else);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_answers_once),   cmocka_unit_test(the_busy_function_is_seen),
        cmocka_unit_test(wrong_seconds_are_refused),  cmocka_unit_test(a_second_one_is_refused),
        cmocka_unit_test(a_program_keeps_its_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
