/* test_request.c - requests and their replies, on a real broker with a worker that answers; and
 * every way in which a request ends without one.
 */
#include "publisher_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/worker.h"

#define TIMEOUT_MS ((uint32_t)PATIENCE_MS)

#define THREADS 8
#define EACH    50

/* A worker whose handler is answer.HANDLER with @options. */
static void start_worker(struct fixture *a, const char *handler, const char *options)
{
    a->worker =
        worker_new(broker->uri, "subscriptions: [{queue: %s, handler: answer.%s, options: {%s}}]",
                   a->queue, handler, options);
    worker_consume(a->worker, 1);
}

static int set_up_request(void **state)
{
    struct fixture *a;

    setup(state);
    a = *state;
    a->proxy = proxy_new(broker->port);
    a->publisher = publisher_open(proxy_uri(a->proxy), NULL);
    return 0;
}

static enum warren_status request(struct fixture *a, const char *key, const char *body,
                                  uint32_t timeout_ms, struct warren_reply **ret_reply,
                                  struct warren_error *error)
{
    struct warren_message message = {.body = warren_text(body)};
    struct warren_publish publish = {.routing_key = key, .message = &message};

    return warren_publisher_request(a->publisher, &publish, timeout_ms, ret_reply, error);
}

static void assert_body(const struct warren_reply *reply, const char *expected)
{
    assert_int_equal(reply->message.body.len, strlen(expected));
    assert_memory_equal(reply->message.body.data, expected, strlen(expected));
}

static struct warren_publisher_stats stats_of(const struct fixture *a)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(a->publisher, &stats);
    return stats;
}

/* ---- replies ---- */

/* The reply comes with its body and its properties; nothing is left in the queue. */
static void a_request_gets_its_reply(void **state)
{
    struct fixture *a = *state;
    struct warren_reply *reply = NULL;
    struct warren_error error = {WARREN_OK, ""};

    start_worker(a, "echo", "");
    assert_int_equal(request(a, a->queue, "hello", TIMEOUT_MS, &reply, &error), WARREN_OK);
    assert_body(reply, "re: hello");
    assert_string_equal(reply->message.properties.content_type, "text/plain");
    assert_int_equal(strlen(reply->message.properties.correlation_id), 32);
    warren_reply_free(reply);
    assert_int_equal(stats_of(a).requests, 1);
    assert_int_equal(stats_of(a).replies, 1);
    assert_int_equal(stats_of(a).replies_late, 0);
    assert_int_equal(worker_stop(a->worker), 0);
    assert_int_equal(peer_count(a->peer, a->queue), 0);
}

/* A reply larger than a frame comes whole, and so does an empty one's shortest. */
static void replies_of_all_sizes_come_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 131072, 1000000};
    struct fixture *a = *state;

    start_worker(a, "echo", "");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *body = pattern(sizes[i]);
        struct warren_message message = {.body = {body, sizes[i]}};
        struct warren_publish publish = {.routing_key = a->queue, .message = &message};
        struct warren_reply *reply = NULL;

        assert_int_equal(warren_publisher_request(a->publisher, &publish, TIMEOUT_MS, &reply, NULL),
                         WARREN_OK);
        assert_int_equal(reply->message.body.len, sizes[i] + 4);
        assert_memory_equal((const char *)reply->message.body.data + 4, body, sizes[i]);
        warren_reply_free(reply);
        free(body);
    }
}

struct asker {
    pthread_t thread;
    struct fixture *a;
    int number;
    int right;
};

static void *ask_many(void *arg)
{
    struct asker *asker = arg;

    for (int i = 0; i < EACH; i++) {
        char *body = text("%d-%d", asker->number, i);
        char *expected = text("re: %s", body);
        struct warren_reply *reply = NULL;

        if (request(asker->a, asker->a->queue, body, TIMEOUT_MS, &reply, NULL) == WARREN_OK &&
            reply->message.body.len == strlen(expected) &&
            memcmp(reply->message.body.data, expected, strlen(expected)) == 0)
            asker->right++;
        warren_reply_free(reply);
        free(expected);
        free(body);
    }
    return NULL;
}

/* Threads that ask at once through one publisher get each its own replies. */
static void each_thread_gets_its_own_replies(void **state)
{
    struct fixture *a = *state;
    struct asker askers[THREADS];

    start_worker(a, "echo", "");
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.a = a, .number = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_many, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].right, EACH);
    }
    assert_int_equal(stats_of(a).replies, THREADS * EACH);
    assert_int_equal(stats_of(a).replies_late, 0);
}

struct heard {
    atomic_int calls;
    _Atomic(enum warren_status) status;
    char why[256];
};

static void hear(enum warren_status status, struct warren_reply *reply, const char *why, void *user)
{
    struct heard *heard = user;

    snprintf(heard->why, sizeof heard->why, "%s", why);
    heard->status = status;
    heard->calls++;
    warren_reply_free(reply);
}

static void ask(struct fixture *a, const char *key, uint32_t timeout_ms, struct heard *heard)
{
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.routing_key = key, .message = &message};

    assert_int_equal(
        warren_publisher_request_async(a->publisher, &publish, timeout_ms, hear, heard, NULL),
        WARREN_OK);
}

/* More than one request is under way at once; each callback is called once. */
static void requests_need_not_be_waited_for(void **state)
{
    struct fixture *a = *state;
    struct heard heard[20] = {0};

    start_worker(a, "echo", "");
    for (int i = 0; i < 20; i++)
        ask(a, a->queue, TIMEOUT_MS, &heard[i]);
    assert_true(WAIT_FOR(stats_of(a).replies == 20, TIMEOUT_MS));
    assert_int_equal(warren_publisher_close(a->publisher, 1000), WARREN_OK);
    a->publisher = NULL;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(heard[i].calls, 1);
        assert_int_equal(heard[i].status, WARREN_OK);
    }
}

/* Ordinary messages and their confirms go on between requests. */
static void ordinary_messages_go_on_beside(void **state)
{
    struct fixture *a = *state;
    char *other = unique_name("other");
    struct ledger_plan plan = {.routing_key = other};
    struct warren_reply *reply = NULL;

    start_worker(a, "echo", "");
    peer_declare(a->peer, other, "classic");
    a->ledger = ledger_new(2000, &plan);
    ledger_start(a->ledger, a->publisher, 2);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(request(a, a->queue, "x", TIMEOUT_MS, &reply, NULL), WARREN_OK);
        warren_reply_free(reply);
    }
    ledger_stop(a->ledger, false);
    flush(a);
    ledger_drain(a->ledger, a->peer, other);
    ledger_check(a->ledger);
    peer_delete(a->peer, other);
    free(other);
}

/* ---- no reply ---- */

/* Nobody replies: the request ends by its time-out. */
static void no_reply_is_a_time_out(void **state)
{
    struct fixture *a = *state;
    struct warren_reply *reply = NULL;
    struct warren_error error = {WARREN_OK, ""};

    /* By then the channel is open, so the next one is sent at once. */
    assert_int_equal(request(a, "nowhere", "x", TIMEOUT_MS, &reply, NULL), WARREN_ENOTFOUND);
    assert_int_equal(request(a, a->queue, "x", 200, &reply, &error), WARREN_ETIMEOUT);
    assert_string_equal(error.text, "no reply within 200 ms");
    assert_null(reply);
    assert_int_equal(peer_count(a->peer, a->queue), 1);
}

/* A reply that comes after the time-out is dropped and counted; the next request gets its own. */
static void late_replies_are_dropped(void **state)
{
    struct fixture *a = *state;
    char *options = text("gate: %s", a->gate);
    struct warren_reply *reply = NULL;

    start_worker(a, "echo", options);
    assert_int_equal(request(a, a->queue, "first", 200, &reply, NULL), WARREN_ETIMEOUT);
    assert_int_equal(unlink(a->gate), 0);
    assert_true(WAIT_FOR(stats_of(a).replies_late == 1, TIMEOUT_MS));
    assert_int_equal(request(a, a->queue, "second", TIMEOUT_MS, &reply, NULL), WARREN_OK);
    assert_body(reply, "re: second");
    warren_reply_free(reply);
    free(options);
}

/* Of several replies to one request the first one counts. */
static void the_first_reply_counts(void **state)
{
    struct fixture *a = *state;
    struct warren_reply *reply = NULL;

    start_worker(a, "echo", "times: 3");
    assert_int_equal(request(a, a->queue, "x", TIMEOUT_MS, &reply, NULL), WARREN_OK);
    assert_true(WAIT_FOR(stats_of(a).replies_late == 2, TIMEOUT_MS));
    assert_int_equal(stats_of(a).replies, 1);
    warren_reply_free(reply);
}

/* Where no queue is bound the request ends at once, whatever its time-out. */
static void unroutable_ends_at_once(void **state)
{
    struct fixture *a = *state;
    struct warren_reply *reply = NULL;
    struct warren_error error = {WARREN_OK, ""};

    assert_int_equal(request(a, "no such queue", "x", 3600000, &reply, &error), WARREN_ENOTFOUND);
    assert_string_equal(error.text, "returned: 312 NO_ROUTE");
    assert_int_equal(stats_of(a).returned, 1);
}

/* So does one to an exchange that is not there, and the next one goes on. */
static void a_missing_exchange_ends_at_once(void **state)
{
    struct fixture *a = *state;
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.exchange = "no such exchange", .message = &message};
    struct warren_reply *reply = NULL;
    struct warren_error error = {WARREN_OK, ""};

    start_worker(a, "echo", "");
    assert_int_equal(warren_publisher_request(a->publisher, &publish, 3600000, &reply, &error),
                     WARREN_ENOTFOUND);
    assert_non_null(strstr(error.text, "404 NOT_FOUND"));
    assert_int_equal(request(a, a->queue, "x", TIMEOUT_MS, &reply, NULL), WARREN_OK);
    warren_reply_free(reply);
}

/* The connection is lost between request and reply: the request ends with that, at once, and is
 * not sent again; the next one gets its reply on the next connection. */
static void a_lost_connection_ends_open_requests(void **state)
{
    struct fixture *a = *state;
    char *options = text("gate: %s", a->gate);
    struct heard heard[3] = {0};
    struct warren_reply *reply = NULL;

    start_worker(a, "echo", options);
    for (int i = 0; i < 3; i++)
        ask(a, a->queue, 3600000, &heard[i]);
    assert_int_equal(warren_publisher_flush(a->publisher, TIMEOUT_MS), WARREN_OK);
    proxy_cut(a->proxy, PROXY_RST);
    for (int i = 0; i < 3; i++) {
        assert_true(WAIT_FOR(heard[i].calls == 1, TIMEOUT_MS));
        assert_int_equal(heard[i].status, WARREN_EIO);
        assert_non_null(strstr(heard[i].why, "lost before a reply came"));
    }
    assert_int_equal(unlink(a->gate), 0);
    assert_int_equal(request(a, a->queue, "again", TIMEOUT_MS, &reply, NULL), WARREN_OK);
    assert_body(reply, "re: again");
    warren_reply_free(reply);
    assert_int_equal(stats_of(a).resent, 0);
    free(options);
}

/* Until the proxy refuses no more. */
static void disconnect(struct fixture *a)
{
    struct warren_publisher *publisher = a->publisher;

    assert_int_equal(warren_publisher_wait_connected(publisher, TIMEOUT_MS, NULL), WARREN_OK);
    proxy_refuse(a->proxy, true);
    proxy_cut(a->proxy, PROXY_RST);
    assert_true(
        WAIT_FOR(warren_publisher_wait_connected(publisher, 1, NULL) != WARREN_OK, TIMEOUT_MS));
}

/* Without a connection a request waits for one, and is sent then. */
static void a_request_waits_for_a_connection(void **state)
{
    struct fixture *a = *state;
    struct heard heard = {0};

    start_worker(a, "echo", "");
    disconnect(a);
    ask(a, a->queue, TIMEOUT_MS, &heard);
    proxy_refuse(a->proxy, false);
    assert_true(WAIT_FOR(heard.calls == 1, TIMEOUT_MS));
    assert_int_equal(heard.status, WARREN_OK);
}

/* One that finds no connection in time says that it was never sent. */
static void never_sent_is_said(void **state)
{
    struct fixture *a = *state;
    struct warren_reply *reply = NULL;
    struct warren_error error = {WARREN_OK, ""};

    disconnect(a);
    assert_int_equal(request(a, a->queue, "x", 200, &reply, &error), WARREN_ETIMEOUT);
    assert_string_equal(error.text, "never sent: no connection within 200 ms");
    proxy_refuse(a->proxy, false);
    assert_int_equal(warren_publisher_flush(a->publisher, TIMEOUT_MS), WARREN_OK);
    assert_int_equal(peer_count(a->peer, a->queue), 0);
}

/* Closing ends the requests whose replies have not come. */
static void closing_ends_open_requests(void **state)
{
    struct fixture *a = *state;
    struct heard heard = {0};

    ask(a, a->queue, 3600000, &heard);
    assert_int_equal(warren_publisher_close(a->publisher, TIMEOUT_MS), WARREN_OK);
    a->publisher = NULL;
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.status, WARREN_ECLOSED);
}

/* ---- texts that hold a NUL ---- */

static void keep_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                       void *user)
{
    struct warren_reply **kept = user;

    (void)status;
    (void)why;
    __atomic_store_n(kept, reply, __ATOMIC_RELEASE);
}

/* A reply whose correlation id goes on behind ours is none of ours; the lengths of a reply's texts
 * are told. */
static void a_correlation_id_is_whole(void **state)
{
    struct fixture *a = *state;
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.routing_key = a->queue, .message = &message};
    struct warren_reply *reply = NULL;
    struct peer_message asked;
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_TYPE_FLAG, .type = {3, "t\0y"}};
    char id[64] = "";
    char address[256] = "";

    assert_int_equal(warren_publisher_request_async(a->publisher, &publish, TIMEOUT_MS, keep_reply,
                                                    &reply, NULL),
                     WARREN_OK);
    assert_int_equal(warren_publisher_flush(a->publisher, TIMEOUT_MS), WARREN_OK);
    assert_true(peer_get(a->peer, a->queue, &asked));
    assert_int_equal(asked.properties->correlation_id.len, 32);
    memcpy(id, asked.properties->correlation_id.bytes, 32);
    memcpy(address, asked.properties->reply_to.bytes, asked.properties->reply_to.len);
    peer_message_done(&asked);
    properties.correlation_id = (amqp_bytes_t){34, id}; /* the id, NUL, NUL */
    peer_publish(a->peer, "", address, "no", 2, &properties);
    assert_true(WAIT_FOR(stats_of(a).replies_late == 1, TIMEOUT_MS));
    properties.correlation_id.len = 32;
    peer_publish(a->peer, "", address, "yes", 3, &properties);
    assert_true(WAIT_FOR(__atomic_load_n(&reply, __ATOMIC_ACQUIRE) != NULL, TIMEOUT_MS));
    assert_body(reply, "yes");
    assert_string_equal(reply->message.properties.type, "t");
    assert_int_equal(warren_reply_text(reply, reply->message.properties.type).len, 3);
    assert_memory_equal(reply->message.properties.type, "t\0y", 4);
    assert_int_equal(warren_reply_text(reply, reply->message.properties.correlation_id).len, 32);
    warren_reply_free(reply);
}

/* ---- bad input ---- */

/* A request brings no reply-to and no correlation id of its own, and has a time-out. */
static void bad_requests_are_refused(void **state)
{
    struct fixture *a = *state;
    struct warren_message message = {.properties.reply_to = "mine"};
    struct warren_publish publish = {.routing_key = a->queue, .message = &message};
    struct warren_reply *reply = NULL;

    assert_int_equal(warren_publisher_request(a->publisher, &publish, 1000, &reply, NULL),
                     WARREN_EINVAL);
    message.properties = (struct warren_properties){.correlation_id = "mine"};
    assert_int_equal(warren_publisher_request(a->publisher, &publish, 1000, &reply, NULL),
                     WARREN_EINVAL);
    message.properties = (struct warren_properties){0};
    assert_int_equal(warren_publisher_request(a->publisher, &publish, 0, &reply, NULL),
                     WARREN_EINVAL);
    assert_int_equal(stats_of(a).requests, 0);
    assert_int_equal(peer_count(a->peer, a->queue), 0);
}

#define REQUEST(name) cmocka_unit_test_setup_teardown(name, set_up_request, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REQUEST(a_request_gets_its_reply),
        REQUEST(replies_of_all_sizes_come_whole),
        REQUEST(each_thread_gets_its_own_replies),
        REQUEST(requests_need_not_be_waited_for),
        REQUEST(ordinary_messages_go_on_beside),
        REQUEST(no_reply_is_a_time_out),
        REQUEST(late_replies_are_dropped),
        REQUEST(the_first_reply_counts),
        REQUEST(unroutable_ends_at_once),
        REQUEST(a_missing_exchange_ends_at_once),
        REQUEST(a_lost_connection_ends_open_requests),
        REQUEST(a_request_waits_for_a_connection),
        REQUEST(never_sent_is_said),
        REQUEST(closing_ends_open_requests),
        REQUEST(a_correlation_id_is_whole),
        REQUEST(bad_requests_are_refused),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
