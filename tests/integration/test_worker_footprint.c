/* test_worker_footprint.c - what a worker costs: memory when idle, memory that does not grow, and
 * the time until it consumes. The sizes mean something in a build without sanitizers only.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/socket.h"

#define LONG_MS      180000
#define IDLE_MAX_KIB (12 * 1024)
#define GROWTH_KIB   1024 /* 10 bytes a message */
#define WARM_UP      20000
#define MESSAGES     100000

static int setup(void **state)
{
    struct fixture *fixture;

    *state = "classic";
    fixture_setup(state);
    fixture = *state;
    fixture->worker = worker_new(fixture->broker->uri,
                                 "admin: {listen: '127.0.0.1:0'}\n"
                                 "subscriptions:\n"
                                 "  - {queue: %s, handler: probe.record, prefetch: 500,"
                                 " options: {path: record}}",
                                 fixture->queue);
    fixture->record = worker_path(fixture->worker, "record");
    fixture->tally = tally_new(fixture->record, fixture->queue, WARM_UP + MESSAGES);
    return 0;
}

/* What `curl ADDRESS/metrics` would do. */
static void scrape(struct fixture *fixture)
{
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    const char *at = strstr(proc_stderr(fixture->worker->proc), " address=127.0.0.1:");
    char answer[4096];
    int fd;

    assert_non_null(at);
    fd = socket_connect((uint16_t)strtoul(at + strlen(" address=127.0.0.1:"), NULL, 10));
    assert_true(fd >= 0);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    while (recv(fd, answer, sizeof answer, 0) > 0)
        continue;
    close(fd);
}

/* An idle worker that is scraped needs less than 12 MiB; how soon it consumed is told, not judged.
 */
static void idle_worker_is_small(void **state)
{
    struct fixture *fixture = *state;
    int64_t began_ms = now_ms();
    long rss_kib;

    worker_run(fixture->worker, NULL);
    assert_true(WAIT_FOR(worker_logged(fixture->worker, "consuming queue=", NULL) == 1, LONG_MS));
    printf("from `warren run` to consuming: %d ms\n", (int)(now_ms() - began_ms));
    printf("idle: %ld KiB\n", proc_rss_kib(fixture->worker->proc));
    for (int i = 0; i < 100; i++)
        scrape(fixture);
    rss_kib = proc_rss_kib(fixture->worker->proc);
    printf("after 100 scrapes: %ld KiB\n", rss_kib);
    assert_int_equal(worker_stop(fixture->worker), 0);
    if (slowness() > 1)
        skip();
    assert_in_range(rss_kib, 1, IDLE_MAX_KIB);
}

/* After a warm-up 100,000 messages leave no trace in the memory. */
static void memory_is_flat(void **state)
{
    struct fixture *fixture = *state;
    struct tally *tally = fixture->tally;
    long before_kib, after_kib;

    if (slowness() > 1)
        skip();
    peer_publish_many(fixture->peer, fixture->queue, fixture->queue, WARM_UP + MESSAGES);
    worker_run(fixture->worker, NULL);
    assert_true(tally_wait(tally, WARM_UP, LONG_MS));
    before_kib = proc_rss_kib(fixture->worker->proc);
    assert_true(tally_wait(tally, WARM_UP + MESSAGES, LONG_MS));
    after_kib = proc_rss_kib(fixture->worker->proc);
    printf("after %d messages %ld KiB, after %d more %ld KiB\n", WARM_UP, before_kib, MESSAGES,
           after_kib);
    assert_int_equal(worker_stop(fixture->worker), 0);
    tally_update(tally);
    assert_int_equal(tally->count - tally->ok, 0);
    assert_int_equal(tally->unexpected, 0);
    assert_int_equal(tally->duplicates, 0);
    assert_in_range(after_kib, 1, before_kib + GROWTH_KIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_worker_is_small, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(memory_is_flat, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
