/* test_publisher_spool.c - a publisher with a spool on a real broker behind a proxy: what is
 * accepted is on disk, and leaves it when the broker has it, or will never have it. Elsewhere:
 * processes and brokers that are killed (test_fault_spool.c).
 */
#include "publisher_fixture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "publish/publisher/publisher.h"
#include "store/spool/spool.h"

#define TIMEOUT_MS ((uint32_t)PATIENCE_MS)

/* What spool_receipt was told. */
struct ends {
    pthread_mutex_t lock;
    unsigned results[WARREN_SPOOLED + 1];
    char last_id[64];
};

struct spooling {
    struct fixture *f;
    struct ends ends;
    struct warren_publisher_options options;
};

static int set_up_spool(void **state)
{
    struct spooling *s = calloc(1, sizeof *s);
    void *fixture = NULL;

    if (!s || setup(&fixture) != 0)
        return -1;
    s->f = fixture;
    s->f->proxy = proxy_new(broker->port);
    warren_publisher_options_init(&s->options);
    s->options.spool_path = s->f->spool;
    s->options.block_timeout_ms = 200;
    pthread_mutex_init(&s->ends.lock, NULL);
    *state = s;
    return 0;
}

static int tear_down_spool(void **state)
{
    struct spooling *s = *state;
    void *fixture = s->f;
    int result = fixture_teardown(&fixture);

    pthread_mutex_destroy(&s->ends.lock);
    free(s);
    return result;
}

static void open_publisher(struct spooling *s)
{
    s->f->publisher = publisher_open(proxy_uri(s->f->proxy), &s->options);
}

static void open_connected(struct spooling *s)
{
    open_publisher(s);
    assert_int_equal(warren_publisher_wait_connected(s->f->publisher, TIMEOUT_MS, NULL), WARREN_OK);
}

/* Nothing gets through until the proxy refuses no more. */
static void open_disconnected(struct spooling *s)
{
    proxy_refuse(s->f->proxy, true);
    open_publisher(s);
}

static void disconnect(struct spooling *s)
{
    proxy_refuse(s->f->proxy, true);
    proxy_cut(s->f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(warren_publisher_wait_connected(s->f->publisher, 1, NULL) != WARREN_OK,
                         TIMEOUT_MS));
}

static void connect_again(struct spooling *s)
{
    proxy_refuse(s->f->proxy, false);
}

static void close_publisher(struct spooling *s)
{
    warren_publisher_close(s->f->publisher, 0);
    s->f->publisher = NULL;
}

static struct warren_publisher_stats stats_of(const struct spooling *s)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(s->f->publisher, &stats);
    return stats;
}

static void on_end(const struct warren_receipt *receipt, void *user)
{
    struct ends *ends = user;

    pthread_mutex_lock(&ends->lock);
    ends->results[receipt->result]++;
    snprintf(ends->last_id, sizeof ends->last_id, "%s", receipt->message_id);
    pthread_mutex_unlock(&ends->lock);
}

static void listen_for_ends(struct spooling *s)
{
    s->options.spool_receipt = on_end;
    s->options.spool_user = &s->ends;
}

static unsigned ends_of(struct spooling *s, enum warren_result result)
{
    unsigned count;

    pthread_mutex_lock(&s->ends.lock);
    count = s->ends.results[result];
    pthread_mutex_unlock(&s->ends.lock);
    return count;
}

/* Messages with the ids "m-0" and so on, in a ledger. */
static void new_books(struct spooling *s, unsigned capacity)
{
    s->f->ledger =
        ledger_new(capacity, &(struct ledger_plan){.routing_key = s->f->queue, .id_prefix = "m"});
}

static struct ledger_totals totals_of(const struct spooling *s)
{
    return ledger_totals(s->f->ledger);
}

/* What the file holds, while nobody has it or while a publisher does. */
static struct spool_totals on_disk(const struct spooling *s)
{
    struct database_options options = {.path = s->f->spool, .read_only = true};
    struct warren_error error = {WARREN_OK, ""};
    struct spool_totals totals = {0};
    struct spool *spool = NULL;

    if (spool_open(&options, &spool, &error) != WARREN_OK ||
        spool_count(spool, &totals, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    spool_close(spool);
    return totals;
}

static void assert_empty_disk(const struct spooling *s)
{
    struct spool_totals totals = on_disk(s);

    assert_int_equal(totals.messages, 0);
    assert_int_equal(totals.refused, 0);
    assert_int_equal(totals.bytes, 0);
}

static enum warren_status publish_body(struct spooling *s, const char *key, const char *body)
{
    struct warren_message message = {.body = warren_text(body)};
    struct warren_publish publish = {.routing_key = key, .message = &message};

    return warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL);
}

static void expect_body(struct spooling *s, const char *queue, const char *body)
{
    struct peer_message message;

    assert_true(WAIT_FOR(peer_count(s->f->peer, queue) > 0, TIMEOUT_MS));
    assert_true(peer_get(s->f->peer, queue, &message));
    assert_string_equal(message.body, body);
    peer_message_done(&message);
}

/* ---- the broker is there ---- */

/* Every message is confirmed, and then no longer on disk. */
static void confirmed_messages_leave_the_disk(void **state)
{
    struct spooling *s = *state;

    open_connected(s);
    new_books(s, 500);
    ledger_start(s->f->ledger, s->f->publisher, 4);
    ledger_stop(s->f->ledger, false);
    flush(s->f);
    assert_empty_disk(s);
    assert_int_equal(stats_of(s).published, 500);
    assert_int_equal(stats_of(s).spooled, 500);
    assert_int_equal(stats_of(s).confirmed, 500);
    assert_int_equal(stats_of(s).spool_messages, 0);
    assert_int_equal(stats_of(s).spool_bytes, 0);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    ledger_check(s->f->ledger);
    assert_int_equal(totals_of(s).results[WARREN_CONFIRMED], 500);
    assert_int_equal(totals_of(s).duplicates, 0);
}

/* One caller's messages arrive in its order, more of them than the window holds. */
static void the_order_is_kept_beyond_the_window(void **state)
{
    struct spooling *s = *state;

    s->options.window_messages = 5;
    open_connected(s);
    new_books(s, 300);
    ledger_publish_many(s->f->ledger, s->f->publisher, 300);
    flush(s->f);
    assert_empty_disk(s);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    ledger_check(s->f->ledger);
    assert_int_equal(totals_of(s).queued, 300);
    assert_int_equal(totals_of(s).disordered, 0);
    assert_int_equal(totals_of(s).duplicates, 0);
}

/* Properties, headers and a body larger than a frame come through the disk unchanged. */
static void content_is_unchanged(void **state)
{
    struct spooling *s = *state;
    struct warren_field header = warren_field_i64("tries", 5);
    char *body = pattern(300000);
    struct warren_message message = {.properties = {.content_type = "a/b",
                                                    .headers = {&header, 1},
                                                    .message_id = "mine",
                                                    .delivery_mode = 1},
                                     .body = {body, 300000}};
    struct warren_publish publish = {.routing_key = s->f->queue, .message = &message};
    struct peer_message got;

    open_disconnected(s);
    assert_int_equal(warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL),
                     WARREN_OK);
    close_publisher(s);
    connect_again(s);
    open_publisher(s);
    flush(s->f);
    assert_true(peer_get(s->f->peer, s->f->queue, &got));
    assert_int_equal(got.length, 300000);
    assert_memory_equal(got.body, body, 300000);
    assert_string_equal(got.message_id, "mine");
    assert_int_equal(got.properties->delivery_mode, 1);
    assert_int_equal(got.properties->content_type.len, 3);
    assert_int_equal(got.properties->headers.num_entries, 1);
    assert_int_equal(got.properties->headers.entries[0].value.value.i64, 5);
    peer_message_done(&got);
    free(body);
}

/* ---- the broker is away ---- */

/* Publishing goes on: receipts say SPOOLED, and everything arrives once the broker is back. */
static void an_outage_loses_nothing(void **state)
{
    struct spooling *s = *state;

    open_connected(s);
    new_books(s, 400);
    ledger_publish_many(s->f->ledger, s->f->publisher, 100);
    disconnect(s);
    ledger_publish_many(s->f->ledger, s->f->publisher, 300);
    assert_true(WAIT_FOR(ledger_ended(s->f->ledger) == 400, TIMEOUT_MS));
    assert_int_equal(ledger_entry(s->f->ledger, 399)->result, WARREN_SPOOLED);
    assert_string_equal(ledger_entry(s->f->ledger, 399)->id, "m-399");
    assert_true(stats_of(s).spool_messages >= 300);
    connect_again(s);
    flush(s->f);
    assert_empty_disk(s);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    ledger_check(s->f->ledger);
    assert_int_equal(totals_of(s).queued, 400);
    assert_int_equal(totals_of(s).disordered, 0);
}

/* What does not fit into the window waits on disk, and comes in the order of publishing. */
static void a_backlog_is_larger_than_the_window(void **state)
{
    struct spooling *s = *state;

    s->options.window_messages = 7;
    open_disconnected(s);
    new_books(s, 1000);
    ledger_publish_many(s->f->ledger, s->f->publisher, 1000);
    assert_int_equal(on_disk(s).messages, 1000);
    assert_int_equal(stats_of(s).in_flight, 7);
    connect_again(s);
    flush(s->f);
    assert_empty_disk(s);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    ledger_check(s->f->ledger);
    assert_int_equal(totals_of(s).queued, 1000);
    assert_int_equal(totals_of(s).disordered, 0);
    assert_int_equal(totals_of(s).duplicates, 0);
}

/* Who waits for the result is not held up by an outage. */
static void waiting_ends_with_spooled(void **state)
{
    struct spooling *s = *state;
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.routing_key = s->f->queue, .message = &message};
    enum warren_result result = WARREN_TIMEOUT;

    open_disconnected(s);
    assert_int_equal(warren_publisher_publish_wait(s->f->publisher, &publish, &result, NULL),
                     WARREN_OK);
    assert_int_equal(result, WARREN_SPOOLED);
    assert_string_equal(warren_result_name(result), "spooled");
}

/* SPOOLED, then CONFIRMED: one after the other is told, by the message id. */
static void spooled_then_confirmed(void **state)
{
    struct spooling *s = *state;

    listen_for_ends(s);
    s->options.window_messages = 4;
    open_disconnected(s);
    new_books(s, 10);
    ledger_publish_many(s->f->ledger, s->f->publisher, 10);
    assert_true(WAIT_FOR(ledger_ended(s->f->ledger) == 10, TIMEOUT_MS));
    ledger_check_receipts(s->f->ledger);
    assert_int_equal(totals_of(s).results[WARREN_SPOOLED], 10);
    assert_int_equal(ends_of(s, WARREN_CONFIRMED), 0);
    connect_again(s);
    flush(s->f);
    assert_int_equal(ends_of(s, WARREN_CONFIRMED), 10);
    assert_string_equal(s->ends.last_id, "m-9");
    ledger_check_receipts(s->f->ledger); /* no receipt came twice */
}

/* What an earlier publisher left is told of, too; what a callback is told of is not. */
static void ends_of_earlier_messages_are_told(void **state)
{
    struct spooling *s = *state;

    open_disconnected(s);
    assert_int_equal(publish_body(s, s->f->queue, "earlier"), WARREN_OK);
    close_publisher(s);
    connect_again(s);
    listen_for_ends(s);
    open_connected(s);
    new_books(s, 5);
    ledger_publish_many(s->f->ledger, s->f->publisher, 5);
    flush(s->f);
    ledger_check_receipts(s->f->ledger);
    assert_int_equal(ends_of(s, WARREN_CONFIRMED) + totals_of(s).results[WARREN_CONFIRMED], 6);
    assert_true(ends_of(s, WARREN_CONFIRMED) >= 1);
}

/* Unroutable, but its receipt had said SPOOLED: kept, and told. */
static void returned_after_spooled_is_kept_and_told(void **state)
{
    struct spooling *s = *state;

    listen_for_ends(s);
    open_disconnected(s);
    new_books(s, 1);
    ledger_aim(s->f->ledger, NULL, "no such queue");
    ledger_publish_many(s->f->ledger, s->f->publisher, 1);
    assert_true(WAIT_FOR(ledger_ended(s->f->ledger) == 1, TIMEOUT_MS));
    assert_int_equal(ledger_entry(s->f->ledger, 0)->result, WARREN_SPOOLED);
    connect_again(s);
    flush(s->f);
    assert_int_equal(ends_of(s, WARREN_RETURNED), 1);
    assert_int_equal(on_disk(s).refused, 1);
}

/* A publisher that is closed leaves its messages; the next one sends them, with the same ids. */
static void the_next_publisher_sends_what_was_left(void **state)
{
    struct spooling *s = *state;

    open_disconnected(s);
    new_books(s, 50);
    ledger_publish_many(s->f->ledger, s->f->publisher, 50);
    assert_int_equal(warren_publisher_close(s->f->publisher, 0), WARREN_ETIMEOUT);
    s->f->publisher = NULL;
    ledger_check_receipts(s->f->ledger);
    assert_int_equal(totals_of(s).results[WARREN_SPOOLED], 50);
    assert_int_equal(on_disk(s).messages, 50);
    connect_again(s);
    open_publisher(s);
    flush(s->f);
    assert_empty_disk(s);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    assert_int_equal(totals_of(s).queued, 50);
    assert_int_equal(totals_of(s).unexpected, 0);
    assert_int_equal(totals_of(s).disordered, 0);
}

/* Connections that break again and again, and callers that go on: nothing is lost. */
static void cuts_lose_nothing(void **state)
{
    struct spooling *s = *state;

    s->options.window_messages = 50;
    open_connected(s);
    new_books(s, 2000);
    ledger_start(s->f->ledger, s->f->publisher, 4);
    for (unsigned i = 1; i <= 10; i++) {
        assert_true(WAIT_FOR(ledger_attempts(s->f->ledger) >= 150 * i, TIMEOUT_MS));
        proxy_cut(s->f->proxy, i % 2 ? PROXY_RST : PROXY_FIN);
    }
    ledger_stop(s->f->ledger, false);
    flush(s->f);
    assert_empty_disk(s);
    ledger_drain(s->f->ledger, s->f->peer, s->f->queue);
    ledger_check(s->f->ledger);
    assert_int_equal(totals_of(s).queued, 2000);
}

/* ---- what the broker will not have ---- */

/* No queue, and the caller was told: it is the caller's again, and not on disk. */
static void returned_and_told_leaves_the_disk(void **state)
{
    struct spooling *s = *state;

    open_connected(s);
    new_books(s, 1);
    ledger_aim(s->f->ledger, NULL, "no such queue");
    ledger_publish_many(s->f->ledger, s->f->publisher, 1);
    flush(s->f);
    assert_int_equal(ledger_entry(s->f->ledger, 0)->result, WARREN_RETURNED);
    assert_empty_disk(s);
}

/* No queue, and nobody was told: it is kept aside with the reason, and holds up nothing. */
static void returned_and_untold_is_kept_as_refused(void **state)
{
    struct spooling *s = *state;

    open_connected(s);
    assert_int_equal(publish_body(s, "no such queue", "lost?"), WARREN_OK);
    assert_int_equal(publish_body(s, s->f->queue, "good"), WARREN_OK);
    flush(s->f);
    expect_body(s, s->f->queue, "good");
    assert_int_equal(on_disk(s).messages, 0);
    assert_int_equal(on_disk(s).refused, 1);
    assert_int_equal(stats_of(s).spool_refused, 1);
    assert_int_equal(stats_of(s).returned, 1);
    close_publisher(s);
    open_connected(s); /* it is not tried again by itself */
    flush(s->f);
    assert_int_equal(on_disk(s).refused, 1);
}

/* A queue of three that is emptied only while the publisher rests. */
static int take_three(struct spooling *s, const char *queue, int next)
{
    for (int i = 0; i < 3 && next < 10; i++, next++) {
        char *body = text("%d", next);

        expect_body(s, queue, body);
        free(body);
    }
    return next;
}

/* A queue that is full (reject-publish) gets its messages later, all of them, in order. */
static void nacked_messages_are_sent_again(void **state)
{
    const amqp_table_entry_t full[] = {
        {.key = amqp_cstring_bytes("x-max-length"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 3}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8,
                   .value.bytes = amqp_cstring_bytes("reject-publish")}}};
    struct spooling *s = *state;
    char *queue = unique_name("full");
    uint64_t nacked = 0;
    int next = 0;

    peer_declare_with(s->f->peer, queue, "classic", full, 2);
    open_connected(s);
    for (int i = 0; i < 10; i++) {
        char *body = text("%d", i);

        assert_int_equal(publish_body(s, queue, body), WARREN_OK);
        free(body);
    }
    while (next < 9) {
        assert_true(
            WAIT_FOR(stats_of(s).nacked > nacked && stats_of(s).in_flight == 0, TIMEOUT_MS));
        nacked = stats_of(s).nacked;
        next = take_three(s, queue, next);
    }
    take_three(s, queue, next);
    flush(s->f);
    assert_empty_disk(s);
    peer_delete(s->f->peer, queue);
    free(queue);
}

/* ---- bounds ---- */

/* The largest spool that holds exactly @count messages of fill(). */
static uint64_t room_for(const struct spooling *s, int count)
{
    const struct spool_message message = {.message_id = {NULL, 36},
                                          .routing_key = {NULL, strlen(s->f->queue)},
                                          .properties = {NULL, 2 + 1 + 37},
                                          .body = {NULL, 1000}};

    return (uint64_t)(count * spool_message_bytes(&message));
}

static enum warren_status fill(struct spooling *s, char letter)
{
    char body[1001];

    memset(body, letter, 1000);
    body[1000] = '\0';
    return publish_body(s, s->f->queue, body);
}

/* BLOCK: a caller waits for room as long as the options say, and goes on when there is some. */
static void a_full_spool_blocks(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_bytes = room_for(s, 5);
    open_disconnected(s);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fill(s, 'a'), WARREN_OK);
    assert_int_equal(fill(s, 'b'), WARREN_ETIMEOUT);
    assert_int_equal(on_disk(s).messages, 5);
    connect_again(s);
    flush(s->f);
    assert_int_equal(fill(s, 'c'), WARREN_OK);
    flush(s->f);
    assert_int_equal(peer_count(s->f->peer, s->f->queue), 6);
}

/* FAIL: a caller is told at once. */
static void a_full_spool_fails(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_bytes = room_for(s, 5);
    s->options.spool_when_full = WARREN_SPOOL_FAIL;
    s->options.block_timeout_ms = 0; /* for ever, if it were to wait */
    open_disconnected(s);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fill(s, 'a'), WARREN_OK);
    assert_int_equal(fill(s, 'b'), WARREN_EFULL);
    assert_int_equal(stats_of(s).window_full, 1);
    assert_int_equal(on_disk(s).messages, 5);
}

/* DROP_OLDEST: the oldest that are not in the window make room, and are counted. */
static void a_full_spool_drops_the_oldest(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_bytes = room_for(s, 5);
    s->options.spool_when_full = WARREN_SPOOL_DROP_OLDEST;
    s->options.window_messages = 1;
    listen_for_ends(s);
    open_disconnected(s);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fill(s, (char)('a' + i)), WARREN_OK);
    assert_int_equal(on_disk(s).messages, 5);
    assert_int_equal(stats_of(s).spool_dropped, 3);
    assert_true(WAIT_FOR(ends_of(s, WARREN_EXPIRED) == 3, TIMEOUT_MS));
    connect_again(s);
    flush(s->f);
    for (const char *letter = "aefgh"; *letter; letter++) {
        struct peer_message got;

        assert_true(peer_get(s->f->peer, s->f->queue, &got));
        assert_int_equal(got.body[0], *letter);
        peer_message_done(&got);
    }
    assert_int_equal(peer_count(s->f->peer, s->f->queue), 0);
}

/* ... and as no more than half of the spool is in the window, there are such, however large that
 * is.
 */
static void the_window_leaves_something_to_drop(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_bytes = room_for(s, 5);
    s->options.spool_when_full = WARREN_SPOOL_DROP_OLDEST;
    open_disconnected(s);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fill(s, 'a'), WARREN_OK);
    assert_int_equal(stats_of(s).spool_dropped, 15);
    assert_int_equal(on_disk(s).messages, 5);
    connect_again(s);
    flush(s->f);
    assert_int_equal(peer_count(s->f->peer, s->f->queue), 5);
}

static void *fill_many(void *arg)
{
    struct spooling *s = arg;

    for (int i = 0; i < 50; i++)
        if (fill(s, 'a') != WARREN_OK)
            return arg;
    return NULL;
}

/* Nor does anybody find no room who publishes beside others, be it that all of it is on its way, or
 * that one group takes more than can be dropped at once. */
static void four_threads_drop_the_oldest(void **state)
{
    struct spooling *s = *state;
    pthread_t threads[4];
    bool failed = false;

    s->options.spool_max_bytes = room_for(s, 4);
    s->options.spool_when_full = WARREN_SPOOL_DROP_OLDEST;
    s->options.block_timeout_ms = TIMEOUT_MS;
    open_publisher(s);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill_many, s), 0);
    for (int i = 0; i < 4; i++) {
        void *result;

        pthread_join(threads[i], &result);
        failed = failed || result;
    }
    assert_false(failed);
    flush(s->f);
    assert_empty_disk(s);
}

/* A message larger than the whole spool is refused whatever the policy. */
static void too_big_for_the_spool(void **state)
{
    struct spooling *s = *state;
    char *body = pattern(10000);
    struct warren_message message = {.body = {body, 10000}};
    struct warren_publish publish = {.routing_key = s->f->queue, .message = &message};

    s->options.spool_max_bytes = 8192;
    open_disconnected(s);
    assert_int_equal(warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL),
                     WARREN_ETOOBIG);
    assert_empty_disk(s);
    free(body);
}

/* Messages that are too old are not sent: those in the window, and those behind it. */
static void old_messages_expire(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_age_ms = 1200;
    s->options.window_messages = 3;
    listen_for_ends(s);
    open_disconnected(s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fill(s, 'a'), WARREN_OK);
    assert_true(WAIT_FOR(stats_of(s).spool_messages == 0, TIMEOUT_MS));
    assert_int_equal(stats_of(s).spool_expired, 10);
    assert_true(WAIT_FOR(ends_of(s, WARREN_EXPIRED) == 10, TIMEOUT_MS));
    assert_empty_disk(s);
    connect_again(s);
    assert_int_equal(fill(s, 'b'), WARREN_OK);
    flush(s->f);
    assert_int_equal(peer_count(s->f->peer, s->f->queue), 1);
}

/* ---- the disk ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk takes no more: publishing says so, and what was accepted before is sent. When there is
 * room again, publishing works again. */
static void a_disk_that_fails_is_told(void **state)
{
    struct spooling *s = *state;
    char *body = pattern(1000000);
    struct warren_message message = {.body = {body, 1000000}};
    struct warren_publish publish = {.routing_key = s->f->queue, .message = &message};

    signal(SIGXFSZ, SIG_IGN);
    open_disconnected(s);
    assert_int_equal(publish_body(s, s->f->queue, "before"), WARREN_OK);
    limit_files(65536);
    assert_int_equal(warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL),
                     WARREN_EIO);
    connect_again(s);
    expect_body(s, s->f->queue, "before");
    limit_files(RLIM_INFINITY);
    assert_int_equal(warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL),
                     WARREN_OK);
    flush(s->f);
    assert_int_equal(peer_count(s->f->peer, s->f->queue), 1);
    assert_empty_disk(s);
    free(body);
}

/* A file that is not in its place any more accepts nothing, for the next process would not find it;
 * what was accepted before is sent. */
static void a_moved_file_accepts_nothing(void **state)
{
    struct spooling *s = *state;
    char *aside = text("%s.aside", s->f->spool);

    open_disconnected(s);
    assert_int_equal(publish_body(s, s->f->queue, "before"), WARREN_OK);
    assert_int_equal(rename(s->f->spool, aside), 0);
    assert_int_equal(publish_body(s, s->f->queue, "meanwhile"), WARREN_EIO);
    connect_again(s);
    expect_body(s, s->f->queue, "before");
    assert_int_equal(publish_body(s, s->f->queue, "meanwhile"), WARREN_EIO);
    assert_int_equal(rename(aside, s->f->spool), 0);
    assert_int_equal(publish_body(s, s->f->queue, "after"), WARREN_OK);
    expect_body(s, s->f->queue, "after");
    assert_true(WAIT_FOR(on_disk(s).messages == 0, TIMEOUT_MS));
    free(aside);
}

/* What of the two has been told of the log. */
struct log_told {
    atomic_bool grew;
    atomic_bool shrank;
};

static void on_spool_told(void *user, bool trouble, const char *text)
{
    struct log_told *told = user;

    if (trouble && strstr(text, "has grown"))
        atomic_store(&told->grew, true);
    if (!trouble && strstr(text, "small again"))
        atomic_store(&told->shrank, true);
}

/* Somebody reads the file for long, and its log grows: this is told, and when it is over, the log
 * is cut off without another message. */
static void a_long_reader_is_told(void **state)
{
    enum { COUNT = 20, BYTES = 1000000 };
    static const struct publisher_observer observer = {.spool = on_spool_told};
    struct spooling *s = *state;
    static struct log_told told; /* the publisher may outlive a test that fails */
    char *body = pattern(BYTES);
    struct warren_message message = {.body = {body, BYTES}};
    struct warren_publish publish = {.routing_key = s->f->queue, .message = &message};
    const char *uri = proxy_uri(s->f->proxy);
    sqlite3 *reader;

    s->options.spool_unsynced = true;
    s->options.uris = &uri;
    s->options.uri_count = 1;
    proxy_refuse(s->f->proxy, true);
    assert_int_equal(publisher_new(&s->options, &observer, &told, &s->f->publisher, NULL),
                     WARREN_OK);
    assert_int_equal(sqlite3_open(s->f->spool, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM spool", NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(warren_publisher_publish(s->f->publisher, &publish, NULL, NULL, NULL),
                         WARREN_OK);
    assert_true(WAIT_FOR(atomic_load(&told.grew), TIMEOUT_MS));
    sqlite3_close(reader);
    assert_true(WAIT_FOR(atomic_load(&told.shrank), TIMEOUT_MS));
    close_publisher(s); /* has nothing to tell any more */
    free(body);
}

static void assert_no_publisher(struct spooling *s, enum warren_status status, const char *says)
{
    const char *uri = proxy_uri(s->f->proxy);
    struct warren_publisher *publisher = NULL;
    struct warren_error error = {WARREN_OK, ""};

    s->options.uris = &uri;
    s->options.uri_count = 1;
    assert_int_equal(warren_publisher_new(&s->options, &publisher, &error), status);
    if (!strstr(error.text, says))
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

/* A second publisher on the same file is refused, with the reason. */
static void one_publisher_a_file(void **state)
{
    struct spooling *s = *state;

    open_publisher(s);
    assert_no_publisher(s, WARREN_EIO, "a spool has one publisher at a time");
    close_publisher(s);
    open_publisher(s);
}

/* A path in a directory that is not there, or that is one: an error with the path. */
static void bad_paths_are_refused(void **state)
{
    struct spooling *s = *state;

    s->options.spool_path = "/nonexistent/spool.db";
    assert_no_publisher(s, WARREN_EIO, "/nonexistent/spool.db");
    s->options.spool_path = s->f->directory;
    assert_no_publisher(s, WARREN_EIO, s->f->directory);
    s->options.spool_path = "";
    assert_no_publisher(s, WARREN_EINVAL, "spool_path is empty");
}

/* A file that is no spool is refused and left as it is. */
static void a_foreign_file_is_refused(void **state)
{
    struct spooling *s = *state;
    char *path = write_file(s->f->directory, "letter", "Dear Sir or Madam, this is no database.\n");
    char *content;

    s->options.spool_path = path;
    assert_no_publisher(s, WARREN_EIO, path);
    content = read_file(path, NULL);
    assert_string_equal(content, "Dear Sir or Madam, this is no database.\n");
    free(content);
    free(path);
}

static void write_to_database(const char *path, const char *sql)
{
    sqlite3 *database = NULL;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

/* Another program's database is refused, and nothing is added to it. */
static void another_programs_database_is_refused(void **state)
{
    struct spooling *s = *state;

    write_to_database(s->f->spool, "CREATE TABLE letters (text)");
    assert_no_publisher(s, WARREN_ECONFIG, "is a database of another application");
    write_to_database(s->f->spool, "CREATE TABLE spool (text)"); /* there is none */
}

/* A file that a newer warren wrote is refused. */
static void a_newer_file_is_refused(void **state)
{
    struct spooling *s = *state;

    open_publisher(s);
    close_publisher(s);
    write_to_database(s->f->spool, "INSERT INTO warren_schema VALUES (999, 0, 'newer')");
    assert_no_publisher(s, WARREN_ECONFIG, "was written by a newer warren");
}

/* Overwrite what lies behind the first page. */
static void damage(const char *path)
{
    char noise[4096];
    int fd = open(path, O_WRONLY);

    memset(noise, 0xa5, sizeof noise);
    assert_true(fd >= 0);
    for (off_t at = 4096; at < 16 * 4096; at += 4096)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
}

/* A damaged file is refused with advice, and stays as it is. */
static void a_damaged_file_is_refused(void **state)
{
    struct spooling *s = *state;
    char *before, *after;
    size_t before_len, after_len;

    open_disconnected(s);
    for (int i = 0; i < 50; i++)
        assert_int_equal(publish_body(s, s->f->queue, "x"), WARREN_OK);
    close_publisher(s);
    damage(s->f->spool);
    before = read_file(s->f->spool, &before_len);
    assert_no_publisher(s, WARREN_EIO,
                        "is damaged; it is left as it is. Put a backup in its place");
    after = read_file(s->f->spool, &after_len);
    assert_int_equal(after_len, before_len);
    assert_memory_equal(after, before, before_len);
    free(before);
    free(after);
}

/* Root without capabilities has an owner's rights alone. Another user might not get to the folder.
 */
static bool give_up_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}, {0}};

    return syscall(SYS_capset, &header, none) == 0;
}

/* In a child without root's rights; no thread is started before the file is open. */
static void assert_refused_to_owner(struct spooling *s, const char *says)
{
    const char *uri = proxy_uri(s->f->proxy);
    struct warren_publisher *publisher = NULL;
    struct warren_error error = {WARREN_OK, ""};
    int status = 0;
    pid_t child;

    s->options.uris = &uri;
    s->options.uri_count = 1;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!give_up_capabilities())
            _exit(2);
        if (warren_publisher_new(&s->options, &publisher, &error) == WARREN_EIO &&
            strstr(error.text, says))
            _exit(0);
        fprintf(stderr, "error: %s\n", error.text);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A file that may only be read, and a directory in which nothing may be made. */
static void what_cannot_be_written_is_refused(void **state)
{
    struct spooling *s = *state;

    open_publisher(s);
    close_publisher(s);
    assert_int_equal(chmod(s->f->spool, 0444), 0);
    assert_int_equal(chmod(s->f->directory, 0555), 0);
    assert_refused_to_owner(s, "read-only");
    assert_int_equal(chmod(s->f->directory, 0755), 0);
    assert_int_equal(unlink(s->f->spool), 0);
    assert_int_equal(chmod(s->f->directory, 0555), 0);
    assert_refused_to_owner(s, "Permission denied");
    assert_int_equal(chmod(s->f->directory, 0755), 0);
}

/* Out of range: each with the option's name. */
static void bad_options_are_refused(void **state)
{
    struct spooling *s = *state;

    s->options.spool_max_bytes = 100;
    assert_no_publisher(s, WARREN_EINVAL, "spool_max_bytes is 100");
    s->options.spool_max_bytes = 1 << 20;
    s->options.spool_when_full = (enum warren_spool_when_full)7;
    assert_no_publisher(s, WARREN_EINVAL, "spool_when_full");
}

#define SPOOL(name) cmocka_unit_test_setup_teardown(name, set_up_spool, tear_down_spool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL(confirmed_messages_leave_the_disk),
        SPOOL(the_order_is_kept_beyond_the_window),
        SPOOL(content_is_unchanged),
        SPOOL(an_outage_loses_nothing),
        SPOOL(a_backlog_is_larger_than_the_window),
        SPOOL(waiting_ends_with_spooled),
        SPOOL(spooled_then_confirmed),
        SPOOL(ends_of_earlier_messages_are_told),
        SPOOL(returned_after_spooled_is_kept_and_told),
        SPOOL(the_next_publisher_sends_what_was_left),
        SPOOL(cuts_lose_nothing),
        SPOOL(returned_and_told_leaves_the_disk),
        SPOOL(returned_and_untold_is_kept_as_refused),
        SPOOL(nacked_messages_are_sent_again),
        SPOOL(a_full_spool_blocks),
        SPOOL(a_full_spool_fails),
        SPOOL(a_full_spool_drops_the_oldest),
        SPOOL(the_window_leaves_something_to_drop),
        SPOOL(four_threads_drop_the_oldest),
        SPOOL(too_big_for_the_spool),
        SPOOL(old_messages_expire),
        SPOOL(a_disk_that_fails_is_told),
        SPOOL(a_moved_file_accepts_nothing),
        SPOOL(a_long_reader_is_told),
        SPOOL(one_publisher_a_file),
        SPOOL(bad_paths_are_refused),
        SPOOL(a_foreign_file_is_refused),
        SPOOL(another_programs_database_is_refused),
        SPOOL(a_newer_file_is_refused),
        SPOOL(a_damaged_file_is_refused),
        SPOOL(what_cannot_be_written_is_refused),
        SPOOL(bad_options_are_refused),
    };

    return cmocka_run_group_tests_name("publisher_spool", tests, NULL, NULL);
}
