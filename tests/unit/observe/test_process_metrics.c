/* test_process_metrics.c - observe/process_metrics.h: what changes in the process changes on the
 * page.
 */
#include "observe/process_metrics.h"
#include "support/metric_page.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)

static int setup(void **state)
{
    (void)state;
    process_metrics_begin();
    process_metrics_begin(); /* nothing is there twice */
    return 0;
}

static void descriptors(void **state)
{
    double before = metric_on_page("process_open_fds");
    struct rlimit limit;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(metric_on_page("process_open_fds") == before + 2);
    close(ends[0]);
    close(ends[1]);
    assert_true(metric_on_page("process_open_fds") == before);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 512;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(metric_on_page("process_max_fds") == 512);
}

static void memory(void **state)
{
    double resident = metric_on_page("process_resident_memory_bytes");
    double addresses = metric_on_page("process_virtual_memory_bytes");
    char *block;

    (void)state;
    assert_true(resident > 0);
    assert_true(addresses >= resident);
    block = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(block, MAP_FAILED);
    assert_true(metric_on_page("process_virtual_memory_bytes") >= addresses + 60.0 * MIB);
    memset(block, 1, 64 * MIB);
    assert_true(metric_on_page("process_resident_memory_bytes") >= resident + 32.0 * MIB);
    munmap(block, 64 * MIB);
}

static void *wait_for_end(void *arg)
{
    char c;

    assert_int_equal(read(*(int *)arg, &c, 1), 0);
    return NULL;
}

/* Whatever the process is called: its name stands before the numbers. */
static void threads(void **state)
{
    double before = metric_on_page("process_threads");
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    prctl(PR_SET_NAME, "a) 1 (b 2", 0, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &ends[0]), 0);
    assert_true(metric_on_page("process_threads") >=
                before + 1); /* a sanitizer may have one, too */
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
}

/* Both clocks are the kernel's; that of the start is exact to a hundredth of a second. */
static void start(void **state)
{
    double started = metric_on_page("process_start_time_seconds");
    double now = (double)time(NULL);

    (void)state;
    assert_true(started <= now + 2);
    assert_true(started > now - 3600);
}

static void cpu(void **state)
{
    double before = metric_on_page("process_cpu_seconds_total");
    double by_mode;

    (void)state;
    while (metric_on_page("process_cpu_seconds_total") < before + 0.01)
        continue;
    by_mode = metric_on_page("warren_process_cpu_seconds_total{mode=\"user\"}") +
              metric_on_page("warren_process_cpu_seconds_total{mode=\"system\"}");
    assert_true(by_mode > before);
}

static void the_log(void **state)
{
    (void)state;
    assert_true(metric_on_page("warren_log_lines_dropped_total") == 0);
}

/* A child has its own. */
static void a_child(void **state)
{
    double before = metric_on_page("process_open_fds");
    int ends[2];
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(pipe(ends) == 0 && metric_on_page("process_open_fds") == before + 2 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors), cmocka_unit_test(memory), cmocka_unit_test(threads),
        cmocka_unit_test(start),       cmocka_unit_test(cpu),    cmocka_unit_test(the_log),
        cmocka_unit_test(a_child),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
