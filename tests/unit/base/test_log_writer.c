/* test_log_writer.c - base/log.h: how lines reach the sink, and what is lost on the way. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_ring.h"
#include "support/test.h"

#define THREADS 4
#define LINES   2000

/* What a reader counts in the output. */
struct seen {
    int lines; /* with n=..., in order for each thread */
    int lost;  /* the sum of lost=... */
    bool ordered;
    int last[THREADS];
};

static void count_line(struct seen *seen, const char *line)
{
    const char *lost = strstr(line, " lost=");
    const char *numbers = strstr(line, " thread=");
    int thread, n;

    assert_memory_equal(line, "time=", 5);
    if (lost) {
        seen->lost += atoi(lost + 6);
        return;
    }
    assert_non_null(numbers);
    assert_int_equal(sscanf(numbers, " thread=%d n=%d end=true\n", &thread, &n), 2);
    assert_non_null(strstr(numbers, " end=true\n"));
    if (n <= seen->last[thread])
        seen->ordered = false;
    seen->last[thread] = n;
    seen->lines++;
}

/* Read @fd up to its end. */
static struct seen read_all(int fd)
{
    struct seen seen = {.ordered = true, .last = {-1, -1, -1, -1}};
    FILE *file = fdopen(fd, "r");
    char line[LOG_LINE_MAX + 1];

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count_line(&seen, line);
    fclose(file);
    return seen;
}

static void write_lines(int thread, int count)
{
    for (int n = 0; n < count; n++) {
        struct log_line line;

        log_begin(&line, WARREN_LOG_INFO, "test");
        log_int(&line, "thread", thread);
        log_int(&line, "n", n);
        log_bool(&line, "end", true);
        log_end(&line);
    }
}

static void *write_from_thread(void *arg)
{
    write_lines(*(int *)arg, LINES);
    return NULL;
}

/* Lines of many threads arrive whole, in each thread's order; each one is written or counted, and
 * what was counted is also reported in the log itself. */
static void every_line_is_written_or_counted(void **state)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    int sink = memfd_create("log", MFD_CLOEXEC);
    struct seen seen;

    (void)state;
    assert_int_equal(log_start(sink), WARREN_OK);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_from_thread, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_stop(10000);
    lseek(sink, 0, SEEK_SET);
    seen = read_all(sink);
    assert_true(seen.ordered);
    assert_int_equal(seen.lines + seen.lost, THREADS * LINES);
    assert_int_equal(seen.lost, log_dropped());
    assert_true(seen.lines >= LOG_RING_SLOTS);
}

static void *count_all(void *arg)
{
    int fd = *(int *)arg;
    static struct seen seen;

    seen = read_all(fd);
    return &seen;
}

/* A sink that takes nothing costs lines, not time; once it takes bytes again, the loss is written,
 * and what was kept comes out. */
static void slow_sink_loses_lines_and_says_so(void **state)
{
    const int count = 4 * LOG_RING_SLOTS;
    const struct seen *seen;
    pthread_t reader;
    void *result;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    write_lines(0, count); /* ends, though nobody reads */
    assert_true(log_dropped() > 0);
    assert_true(log_dropped() <= (uint64_t)(count - LOG_RING_SLOTS));
    assert_int_equal(pthread_create(&reader, NULL, count_all, &ends[0]), 0);
    log_stop(10000);
    close(ends[1]);
    pthread_join(reader, &result);
    seen = result;
    assert_true(seen->ordered);
    assert_int_equal(seen->lost, log_dropped());
    assert_int_equal(seen->lines + seen->lost, count);
}

/* log_stop() keeps its time although the sink is stuck; what was not written is counted. */
static void stop_keeps_its_time(void **state)
{
    struct clock *clock = clock_monotonic();
    int64_t before_ms;
    char bytes[65536] = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], bytes, sizeof bytes) > 0)
        ;
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    write_lines(0, 10);
    before_ms = clock_now_ms(clock);
    log_stop(50);
    assert_in_range(clock_now_ms(clock) - before_ms, 50, 5000);
    assert_int_equal(log_dropped(), 10);
    close(ends[0]);
    close(ends[1]);
}

/* A reader that went away is no SIGPIPE and no endless loop: the lines are counted. */
static void closed_pipe_counts_lines(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    write_lines(0, 10);
    log_stop(5000);
    assert_int_equal(log_dropped(), 10);
    close(ends[1]);
}

/* The thread sleeps while there is nothing to do and wakes up for one line, again and again. */
static void single_lines_come_out_at_once(void **state)
{
    struct pollfd readable;
    char line[LOG_LINE_MAX];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    readable = (struct pollfd){.fd = ends[0], .events = POLLIN};
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    for (int i = 0; i < 200; i++) {
        write_lines(0, 1);
        assert_int_equal(poll(&readable, 1, 10000), 1);
        assert_true(read(ends[0], line, sizeof line) > 0);
    }
    log_stop(5000);
    assert_int_equal(log_dropped(), 0);
    close(ends[0]);
    close(ends[1]);
}

/* Before the start and after the stop, lines go to stderr by themselves. */
static void stderr_serves_without_a_thread(void **state)
{
    int sink = memfd_create("log", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);
    struct seen seen;

    (void)state;
    dup2(memfd_create("stderr", MFD_CLOEXEC), STDERR_FILENO);
    write_lines(1, 3);
    assert_int_equal(log_start(sink), WARREN_OK);
    log_stop(1000);
    write_lines(2, 2);
    lseek(STDERR_FILENO, 0, SEEK_SET);
    seen = read_all(dup(STDERR_FILENO));
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(seen.lines, 5);
    assert_int_equal(seen.last[1], 2);
    assert_int_equal(seen.last[2], 1);
    assert_int_equal(lseek(sink, 0, SEEK_END), 0);
    close(sink);
}

static atomic_bool enough;

static void *write_until_enough(void *arg)
{
    int *count = arg;

    while (!atomic_load(&enough)) {
        write_lines(0, 1);
        (*count)++;
    }
    return NULL;
}

/* While the log is started and stopped, a thread that logs neither crashes nor loses a line
 * uncounted: each is in the sink or on stderr. */
static void stop_under_load_loses_nothing(void **state)
{
    int before = dup(STDERR_FILENO);
    int all = memfd_create("all", MFD_CLOEXEC);
    uint64_t dropped = 0;
    pthread_t thread;
    struct seen seen;
    int count = 0;

    (void)state;
    assert_int_equal(fcntl(all, F_SETFL, O_APPEND), 0);
    dup2(all, STDERR_FILENO);
    atomic_store(&enough, false);
    assert_int_equal(pthread_create(&thread, NULL, write_until_enough, &count), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(log_start(all), WARREN_OK);
        log_stop(5000);
        dropped += log_dropped();
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    dup2(before, STDERR_FILENO);
    close(before);
    lseek(all, 0, SEEK_SET);
    seen = read_all(all);
    assert_int_equal((uint64_t)seen.lines + dropped, count);
}

/* Starting twice and stopping twice are harmless. */
static void start_and_stop_can_be_repeated(void **state)
{
    int sink = memfd_create("log", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(log_start(sink), WARREN_OK);
    assert_int_equal(log_start(sink), WARREN_EINVAL);
    log_stop(1000);
    log_stop(1000);
    close(sink);
}

/* A ring that a few lines went through owns only the pages of these lines. */
static void unused_slots_cost_no_memory(void **state)
{
    enum { PAGES = LOG_RING_SLOTS * sizeof(struct log_slot) / 4096 };
    static unsigned char resident[PAGES];
    struct ring ring = {0};
    int touched = 0;

    (void)state;
    assert_int_equal(sysconf(_SC_PAGESIZE), 4096);
    assert_int_equal(log_ring_init(&ring), WARREN_OK);
    for (int i = 0; i < 4; i++)
        assert_true(log_ring_push(&ring, WARREN_LOG_INFO, "line\n", 5));
    for (int i = 0; i < 4; i++) {
        assert_non_null(ring_peek(&ring));
        ring_pop(&ring);
    }
    assert_null(ring_peek(&ring));
    assert_int_equal(mincore(ring.slots, PAGES * 4096, resident), 0);
    for (int i = 0; i < PAGES; i++)
        touched += resident[i] & 1;
    assert_in_range(touched, 1, 8);
    ring_done(&ring);
}

/* The ring takes exactly its slots, refuses one more, and takes one again for each that leaves. */
static void ring_is_bounded(void **state)
{
    struct ring ring = {0};

    (void)state;
    assert_int_equal(log_ring_init(&ring), WARREN_OK);
    for (int lap = 0; lap < 3; lap++) {
        for (int i = 0; i < LOG_RING_SLOTS; i++)
            assert_true(log_ring_push(&ring, WARREN_LOG_INFO, "x\n", 2));
        assert_false(log_ring_push(&ring, WARREN_LOG_INFO, "x\n", 2));
        ring_pop(&ring);
        assert_true(log_ring_push(&ring, WARREN_LOG_INFO, "y\n", 2));
        assert_false(log_ring_push(&ring, WARREN_LOG_INFO, "x\n", 2));
        for (int i = 0; i < LOG_RING_SLOTS; i++) {
            assert_non_null(ring_peek(&ring));
            ring_pop(&ring);
        }
        assert_null(ring_peek(&ring));
    }
    ring_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_written_or_counted),
        cmocka_unit_test(slow_sink_loses_lines_and_says_so),
        cmocka_unit_test(stop_keeps_its_time),
        cmocka_unit_test(closed_pipe_counts_lines),
        cmocka_unit_test(single_lines_come_out_at_once),
        cmocka_unit_test(stderr_serves_without_a_thread),
        cmocka_unit_test(stop_under_load_loses_nothing),
        cmocka_unit_test(start_and_stop_can_be_repeated),
        cmocka_unit_test(unused_slots_cost_no_memory),
        cmocka_unit_test(ring_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
