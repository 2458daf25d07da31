/* The publisher's window on a real broker: what a full one does to callers, what callbacks may do,
 * how messages end that are not confirmed in time, flush and close.
 */
#include "publisher_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

/* A message that no broker confirms is given up after so long. */
#define LIMIT_MS 1000

/* A publisher that has connected through a proxy, which then lets nothing pass any more. */
static void open_into_the_void(struct fixture *f, struct warren_publisher_options *options)
{
    struct warren_error error;
    uint32_t timeout_ms = (uint32_t)PATIENCE_MS;

    f->proxy = proxy_new(broker->port);
    f->publisher = publisher_open(proxy_uri(f->proxy), options);
    assert_int_equal(warren_publisher_wait_connected(f->publisher, timeout_ms, &error), WARREN_OK);
    proxy_black_hole(f->proxy, true);
}

static struct warren_publisher_options small_window(enum warren_when_full when_full,
                                                    uint32_t block_timeout_ms)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    options.window_messages = 4;
    options.when_full = when_full;
    options.block_timeout_ms = block_timeout_ms;
    return options;
}

/* ---- the window ---- */

static void *publish_on_thread(void *user)
{
    struct fixture *f = user;

    return ledger_publish(f->ledger, f->publisher) == WARREN_OK ? f : NULL;
}

static bool window_was_full(struct fixture *f)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(f->publisher, &stats);
    return stats.window_full > 0;
}

/* A full window makes a caller wait, and room lets it go on. */
static void a_full_window_blocks_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options = small_window(WARREN_BLOCK, 0);
    pthread_t thread;
    void *accepted = NULL;

    new_ledger(f, 5);
    open_into_the_void(f, &options);
    ledger_publish_many(f->ledger, f->publisher, 4);
    pthread_create(&thread, NULL, publish_on_thread, f);
    assert_true(WAIT_FOR(window_was_full(f), PATIENCE_MS));
    assert_int_equal(pthread_tryjoin_np(thread, &accepted), EBUSY);
    proxy_black_hole(f->proxy, false);
    pthread_join(thread, &accepted);
    assert_ptr_equal(accepted, f);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).queued, 5);
}

/* It waits no longer than block_timeout_ms, and the message is refused. */
static void a_full_window_blocks_until_a_deadline(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options = small_window(WARREN_BLOCK, 200);
    int64_t began;

    new_ledger(f, 5);
    open_into_the_void(f, &options);
    ledger_publish_many(f->ledger, f->publisher, 4);
    began = now_ms();
    assert_int_equal(ledger_publish(f->ledger, f->publisher), WARREN_ETIMEOUT);
    assert_true(now_ms() - began >= 199);
    proxy_black_hole(f->proxy, false);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).queued, 4);
}

/* Or it is told so at once. */
static void a_full_window_fails_at_once(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options = small_window(WARREN_FAIL, 0);

    new_ledger(f, 5);
    open_into_the_void(f, &options);
    ledger_publish_many(f->ledger, f->publisher, 4);
    assert_int_equal(ledger_publish(f->ledger, f->publisher), WARREN_EFULL);
    proxy_black_hole(f->proxy, false);
    flush(f);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).queued, 4);
}

/* The window is bounded by bytes, too; more than the whole of it can never be published. */
static void the_window_is_bounded_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct ledger_plan plan = {.routing_key = f->queue, .body_size = 4000};
    char *large = pattern(10001);
    struct warren_message message = {.body = {large, 10001}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct warren_publisher_stats stats;

    f->ledger = ledger_new(3, &plan);
    warren_publisher_options_init(&options);
    options.window_bytes = 10000;
    options.when_full = WARREN_FAIL;
    open_into_the_void(f, &options);
    ledger_publish_many(f->ledger, f->publisher, 2);
    assert_int_equal(ledger_publish(f->ledger, f->publisher), WARREN_EFULL);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, NULL, NULL, NULL),
                     WARREN_ETOOBIG);
    warren_publisher_stats(f->publisher, &stats);
    assert_int_equal(stats.in_flight, 2);
    proxy_black_hole(f->proxy, false);
    flush(f);
    drain_and_check(f);
    free(large);
}

/* A message that needs nearly the whole window gets in, although the window is never empty: others
 * publish all the while, and confirms take their time. */
static void a_large_message_does_not_starve(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct ledger_plan plan = {.routing_key = f->queue, .body_size = 1000, .pace_us = 20000};
    const struct proxy_rule late = {.delay_ms = 200};
    unsigned attempts;
    int accepted = 0;
    char *large = pattern(95000);
    struct warren_message message = {.body = {large, 95000}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};

    f->ledger = ledger_new(10000, &plan);
    f->proxy = proxy_new(broker->port);
    proxy_set(f->proxy, PROXY_TO_CLIENT, &late);
    warren_publisher_options_init(&options);
    options.window_bytes = 100000;
    options.block_timeout_ms = (uint32_t)(PATIENCE_MS / 2);
    f->publisher = publisher_open(proxy_uri(f->proxy), &options);
    ledger_start(f->ledger, f->publisher, 4);
    assert_true(WAIT_FOR(ledger_confirmed(f->ledger) > 20, PATIENCE_MS));
    for (int i = 0; i < 3; i++)
        accepted += warren_publisher_publish(f->publisher, &publish, NULL, NULL, NULL) == WARREN_OK;
    attempts = ledger_attempts(f->ledger);
    ledger_stop(f->ledger, true);
    assert_int_equal(accepted, 3);
    assert_true(attempts < 10000); /* the others went on all the while */
    flush(f);
    ledger_check_receipts(f->ledger);
    free(large);
}

/* ---- callbacks ---- */

/* Read by the test's thread after the last link. */
struct chain {
    struct fixture *f;
    atomic_uint links;
    unsigned published; /* from inside a callback */
    unsigned full;      /* a second one found the window of one full */
    unsigned refused;   /* to wait */
};

static void publish_next(const struct warren_receipt *receipt, void *user)
{
    struct chain *chain = user;
    struct warren_publisher *publisher = chain->f->publisher;
    struct warren_message message = {.body = warren_text("next")};
    struct warren_publish publish = {.routing_key = chain->f->queue, .message = &message};
    enum warren_result result;

    if (receipt->result == WARREN_CONFIRMED && chain->published < 100) {
        chain->published +=
            warren_publisher_publish(publisher, &publish, publish_next, chain, NULL) == WARREN_OK;
        chain->full +=
            warren_publisher_publish(publisher, &publish, NULL, NULL, NULL) == WARREN_EFULL;
        chain->refused +=
            warren_publisher_publish_wait(publisher, &publish, &result, NULL) == WARREN_EINVAL &&
            warren_publisher_flush(publisher, 0) == WARREN_EINVAL;
    }
    atomic_fetch_add(&chain->links, 1);
}

/* A callback may publish, also into a window that is nearly full, and is never made to wait. */
static void callbacks_may_publish(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {.f = f};
    struct warren_message message = {.body = warren_text("first")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct warren_publisher_options options = small_window(WARREN_BLOCK, 0);

    options.window_messages = 1;
    f->publisher = publisher_open(broker->uri, &options);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, publish_next, &chain, NULL),
                     WARREN_OK);
    assert_true(WAIT_FOR(atomic_load(&chain.links) == 101, PATIENCE_MS));
    flush(f);
    assert_int_equal(chain.published, 100);
    assert_int_equal(chain.full, 100);
    assert_int_equal(chain.refused, 100);
    assert_int_equal(peer_drain(f->peer, f->queue, NULL, NULL), 101);
}

/* Eight threads with 5,000 messages each: each message has exactly one result and one place. */
static void many_threads_publish_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned count = 40000 / (unsigned)slowness();
    struct ledger_totals totals;

    new_ledger(f, count);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_start(f->ledger, f->publisher, 8);
    ledger_stop(f->ledger, false);
    flush(f);
    assert_int_equal(ledger_ended(f->ledger), count);
    drain_and_check(f);
    ledger_report(f->ledger, broker, "classic, publisher, 8 threads", "none");
    totals = ledger_totals(f->ledger);
    assert_int_equal(totals.results[WARREN_CONFIRMED], count);
    assert_int_equal(totals.queued, count);
    assert_int_equal(totals.duplicates, 0);
}

/* ---- endings ---- */

/* Flush returns when all has ended and been told; before that it gives up at its deadline. */
static void flush_waits_for_all(void **state)
{
    struct fixture *f = *state;

    new_ledger(f, 100);
    open_into_the_void(f, NULL);
    ledger_publish_many(f->ledger, f->publisher, 100);
    assert_int_equal(warren_publisher_flush(f->publisher, 100), WARREN_ETIMEOUT);
    proxy_black_hole(f->proxy, false);
    flush(f);
    assert_int_equal(ledger_ended(f->ledger), 100);
    flush(f); /* nothing left: at once */
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).queued, 100);
}

/* Closing waits for what is under way. */
static void close_waits_for_confirms(void **state)
{
    struct fixture *f = *state;

    new_ledger(f, 1000);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_publish_many(f->ledger, f->publisher, 1000);
    assert_int_equal(warren_publisher_close(f->publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    f->publisher = NULL;
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 1000);
    assert_int_equal(ledger_totals(f->ledger).queued, 1000);
}

/* Closing ends by its deadline, and what was sent and not confirmed ends as TIMEOUT, told once. */
static void close_ends_by_its_deadline(void **state)
{
    struct fixture *f = *state;
    int64_t began;

    new_ledger(f, 10);
    open_into_the_void(f, NULL);
    ledger_publish_many(f->ledger, f->publisher, 10);
    assert_int_equal(warren_publisher_flush(f->publisher, 50), WARREN_ETIMEOUT); /* sent by now */
    began = now_ms();
    assert_int_equal(warren_publisher_close(f->publisher, 300), WARREN_ETIMEOUT);
    f->publisher = NULL;
    assert_true(now_ms() - began >= 299);
    ledger_check(f->ledger);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_TIMEOUT], 10);
}

/* What was never sent when the publisher closes ends as EXPIRED. */
static void closed_before_the_connection_is_expired(void **state)
{
    struct fixture *f = *state;

    new_ledger(f, 10);
    f->proxy = proxy_new(broker->port);
    proxy_refuse(f->proxy, true);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    ledger_publish_many(f->ledger, f->publisher, 10);
    assert_int_equal(warren_publisher_close(f->publisher, 0), WARREN_ETIMEOUT);
    f->publisher = NULL;
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_EXPIRED], 10);
}

/* Sent and not confirmed in time is TIMEOUT; never sent is EXPIRED, and certainly not stored. */
static void timeout_and_expired_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct ledger_plan plan = {.routing_key = f->queue, .timeout_ms = LIMIT_MS};
    int64_t began;

    f->ledger = ledger_new(8, &plan);
    open_into_the_void(f, NULL);
    began = now_ms();
    ledger_publish_many(f->ledger, f->publisher, 4);
    flush(f);
    assert_true(now_ms() - began >= LIMIT_MS);
    proxy_refuse(f->proxy, true);
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(warren_publisher_wait_connected(f->publisher, 1, NULL) == WARREN_ETIMEOUT,
                         PATIENCE_MS));
    ledger_publish_many(f->ledger, f->publisher, 4);
    flush(f);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ledger_entry(f->ledger, i)->result, WARREN_TIMEOUT);
        assert_int_equal(ledger_entry(f->ledger, i)->sends, 1);
    }
    for (unsigned i = 4; i < 8; i++) {
        assert_int_equal(ledger_entry(f->ledger, i)->result, WARREN_EXPIRED);
        assert_int_equal(ledger_entry(f->ledger, i)->sends, 0);
    }
    drain_and_check(f);
}

/* What ended as TIMEOUT is not sent again, and the publisher goes on. */
static void after_a_timeout_it_goes_on(void **state)
{
    struct fixture *f = *state;
    struct ledger_plan plan = {.routing_key = f->queue, .timeout_ms = LIMIT_MS};
    struct warren_publisher_stats stats;

    f->ledger = ledger_new(4, &plan);
    open_into_the_void(f, NULL);
    ledger_publish_many(f->ledger, f->publisher, 2);
    flush(f);
    proxy_black_hole(f->proxy, false); /* the late confirms come */
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 2, PATIENCE_MS));
    ledger_time_limit(f->ledger, 0);
    ledger_publish_many(f->ledger, f->publisher, 2);
    flush(f);
    warren_publisher_stats(f->publisher, &stats);
    drain_and_check(f);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_TIMEOUT], 2);
    assert_int_equal(ledger_totals(f->ledger).results[WARREN_CONFIRMED], 2);
    assert_int_equal(ledger_totals(f->ledger).duplicates, 0);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.timeout, 2);
    assert_int_equal(stats.confirmed, 2);
}

/* Waiting for a connection that does not come tells why it does not. */
static void wait_connected_tells_the_reason(void **state)
{
    struct fixture *f = *state;
    struct warren_error error = {WARREN_OK, ""};
    char *wrong = text("amqp://guest:not-the-secret@127.0.0.1:%u/", broker->port);

    f->publisher = publisher_open(wrong, NULL);
    assert_true(
        WAIT_FOR(warren_publisher_wait_connected(f->publisher, 50, &error) == WARREN_ETIMEOUT &&
                     strstr(error.text, "403"),
                 PATIENCE_MS));
    assert_null(strstr(error.text, "not-the-secret"));
    free(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_window_blocks_until_there_is_room),
        TEST(a_full_window_blocks_until_a_deadline),
        TEST(a_full_window_fails_at_once),
        TEST(a_large_message_does_not_starve),
        TEST(the_window_is_bounded_by_bytes),
        TEST(callbacks_may_publish),
        TEST(many_threads_publish_at_once),
        TEST(flush_waits_for_all),
        TEST(close_waits_for_confirms),
        TEST(close_ends_by_its_deadline),
        TEST(closed_before_the_connection_is_expired),
        TEST(timeout_and_expired_are_told_apart),
        TEST(after_a_timeout_it_goes_on),
        TEST(wait_connected_tells_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
