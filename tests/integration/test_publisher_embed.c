/* What an application relies on that has a publisher of its own: calls from the wrong process, and
 * from the wrong thread, end at once.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/publisher_fixture.h"

/* ---- fork ---- */

/* In the child: the first thing that is not as it should be ends it with the line's number. */
#define CHILD_EXPECT(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 256);                                                                 \
    } while (0)

/* @return what it ended with; it is killed if it hangs */
static int run_child(void (*child)(struct fixture *f), struct fixture *f)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        alarm((unsigned)(PATIENCE_MS / 1000));
        child(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void on_no_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                        void *user)
{
    (void)status;
    (void)reply;
    (void)why;
    (void)user;
}

static void call_all(struct fixture *f)
{
    struct warren_publisher *publisher = f->publisher;
    struct warren_message message = {.body = warren_text("child")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct warren_publisher_stats stats = {.published = 1, .in_flight = 1};
    const struct warren_publisher_stats none = {0};
    struct warren_error error = {WARREN_OK, ""};
    struct warren_reply *reply;
    enum warren_result result;

    CHILD_EXPECT(warren_publisher_publish(publisher, &publish, NULL, NULL, NULL) == WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_publish_after(publisher, &publish, 1000, NULL, NULL, NULL) ==
                 WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_publish_wait(publisher, &publish, &result, NULL) ==
                 WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_request_async(publisher, &publish, 1000, on_no_reply, NULL,
                                                NULL) == WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_request(publisher, &publish, 1000, &reply, &error) ==
                 WARREN_ECLOSED);
    CHILD_EXPECT(strstr(error.text, "parent"));
    CHILD_EXPECT(warren_publisher_wait_connected(publisher, 1000, &error) == WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_flush(publisher, 0) == WARREN_ECLOSED);
    CHILD_EXPECT(warren_publisher_set_rate(publisher, 1, 0, NULL) == WARREN_ECLOSED);
    warren_publisher_stats(publisher, &stats);
    CHILD_EXPECT(memcmp(&stats, &none, sizeof stats) == 0);
    CHILD_EXPECT(warren_publisher_close(publisher, 1000) == WARREN_ECLOSED);
}

/* A child of a program that is publishing: each call is refused at once, whoever had the lock when
 * it was forked, and the parent's messages all arrive. */
static void a_child_touches_nothing(void **state)
{
    struct fixture *f = *state;

    new_ledger(f, 20000);
    f->publisher = publisher_open(broker->uri, NULL);
    ledger_start(f->ledger, f->publisher, 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(run_child(call_all, f), 0);
    ledger_stop(f->ledger, true);
    flush(f);
    drain_and_check(f);
}

static void fork_in_callback(const struct warren_receipt *receipt, void *user)
{
    struct fixture *f = user;
    int *ended = f->own;

    (void)receipt;
    *ended = run_child(call_all, f);
}

/* A child of the publisher's own thread is no exception. */
static void a_child_of_a_callback_touches_nothing(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.body = warren_text("fork")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    int *ended = calloc(1, sizeof *ended);

    assert_non_null(ended);
    *ended = -1;
    f->own = ended;
    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, fork_in_callback, f, NULL),
                     WARREN_OK);
    flush(f);
    assert_int_equal(*ended, 0);
}

static void publish_of_its_own(struct fixture *f)
{
    struct warren_publisher *publisher = publisher_open(broker->uri, NULL);
    struct warren_message message = {.body = warren_text("child")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    enum warren_result result;

    CHILD_EXPECT(warren_publisher_publish_wait(publisher, &publish, &result, NULL) == WARREN_OK);
    CHILD_EXPECT(result == WARREN_CONFIRMED);
    CHILD_EXPECT(warren_publisher_close(publisher, 1000) == WARREN_OK);
}

/* A child makes a publisher of its own. */
static void a_child_has_its_own(void **state)
{
    struct fixture *f = *state;

#ifdef __SANITIZE_THREAD__ /* allows no threads in a child */
    skip();
#endif
    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(warren_publisher_wait_connected(f->publisher, (uint32_t)PATIENCE_MS, NULL),
                     WARREN_OK);
    assert_int_equal(run_child(publish_of_its_own, f), 0);
    assert_int_equal(peer_count(f->peer, f->queue), 1);
}

static void open_same_spool(struct fixture *f)
{
    const char *uris[] = {broker->uri};
    struct warren_error error = {WARREN_OK, ""};
    struct warren_publisher_options options;
    struct warren_publisher *publisher;

    call_all(f);
    warren_publisher_options_init(&options);
    options.uris = uris;
    options.uri_count = 1;
    options.spool_path = f->spool;
    CHILD_EXPECT(warren_publisher_new(&options, &publisher, &error) == WARREN_EIO);
    CHILD_EXPECT(strstr(error.text, "forked"));
}

static void stay(struct fixture *f)
{
    (void)f;
    for (;;)
        pause();
}

/* A spool stays the parent's, too; a child that lives on does not keep its lock. */
static void a_child_leaves_the_spool_alone(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    pid_t child;

    new_ledger(f, 100);
    warren_publisher_options_init(&options);
    options.spool_path = f->spool;
    f->publisher = publisher_open(broker->uri, &options);
    ledger_publish_many(f->ledger, f->publisher, 50);
    assert_int_equal(run_child(open_same_spool, f), 0);
    child = fork();
    if (child == 0)
        stay(f);
    assert_int_equal(warren_publisher_close(f->publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    f->publisher = publisher_open(broker->uri, &options);
    ledger_publish_many(f->ledger, f->publisher, 50);
    flush(f);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    drain_and_check(f);
}

/* ---- callbacks that wait ---- */

/* What each call answered in a callback; 0 before. */
struct answers {
    struct fixture *f;
    enum warren_status close;
    enum warren_status flush;
    enum warren_status connected;
    enum warren_status wait;
    enum warren_status request;
};

static void call_what_waits(const struct warren_receipt *receipt, void *user)
{
    struct answers *answers = user;
    struct warren_publisher *publisher = answers->f->publisher;
    struct warren_message message = {.body = warren_text("more")};
    struct warren_publish publish = {.routing_key = answers->f->queue, .message = &message};
    struct warren_reply *reply;
    enum warren_result result;

    (void)receipt;
    answers->close = warren_publisher_close(publisher, 1000);
    answers->flush = warren_publisher_flush(publisher, 0);
    answers->connected = warren_publisher_wait_connected(publisher, 1000, NULL);
    answers->wait = warren_publisher_publish_wait(publisher, &publish, &result, NULL);
    answers->request = warren_publisher_request(publisher, &publish, 1000, &reply, NULL);
}

/* What waits for the publisher is refused on its own thread, and the publisher goes on. */
static void a_callback_must_not_wait(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.body = warren_text("first")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct answers answers = {.f = f};

    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(
        warren_publisher_publish(f->publisher, &publish, call_what_waits, &answers, NULL),
        WARREN_OK);
    flush(f);
    assert_int_equal(answers.close, WARREN_EINVAL);
    assert_int_equal(answers.flush, WARREN_EINVAL);
    assert_int_equal(answers.connected, WARREN_EINVAL);
    assert_int_equal(answers.wait, WARREN_EINVAL);
    assert_int_equal(answers.request, WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, NULL, NULL, NULL), WARREN_OK);
    flush(f);
    assert_int_equal(peer_count(f->peer, f->queue), 2);
}

/* ---- NULL ---- */

static void without_a_publisher_nothing_is_done(void **state)
{
    struct warren_message message = {.body = warren_text("")};
    struct warren_publish publish = {.routing_key = "q", .message = &message};
    struct warren_publisher_stats stats = {.published = 1};
    struct warren_error error = {WARREN_OK, ""};
    struct warren_reply *reply;
    enum warren_result result;

    (void)state;
    assert_int_equal(warren_publisher_publish(NULL, &publish, NULL, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_after(NULL, &publish, 1, NULL, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_wait(NULL, &publish, &result, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_request_async(NULL, &publish, 1, on_no_reply, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_request(NULL, &publish, 1, &reply, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "the publisher is NULL");
    assert_int_equal(warren_publisher_wait_connected(NULL, 1, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_flush(NULL, 1), WARREN_EINVAL);
    assert_int_equal(warren_publisher_set_rate(NULL, 1, 0, NULL), WARREN_EINVAL);
    warren_publisher_stats(NULL, &stats);
    assert_int_equal(stats.published, 0);
    assert_int_equal(warren_publisher_close(NULL, 0), WARREN_OK);
}

static void without_what_is_needed_nothing_is_done(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.body = warren_text("")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    const struct warren_publish nothing = {.routing_key = f->queue};
    struct warren_publisher_options options;
    struct warren_error error = {WARREN_OK, ""};
    char name[1026] = "";
    enum warren_result result;
    struct warren_reply *reply;
    struct warren_publisher *p;

    warren_publisher_options_init(NULL);
    warren_publisher_options_init(&options);
    assert_int_equal(warren_publisher_new(NULL, &p, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_new(&options, NULL, NULL), WARREN_EINVAL);
    memset(name, 'n', sizeof name - 1);
    options.uris = (const char *const[]){broker->uri};
    options.uri_count = 1;
    options.name = name;
    assert_int_equal(warren_publisher_new(&options, &p, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "name has 1025 bytes, must have at most 1024");
    p = f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(warren_publisher_publish(p, NULL, NULL, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish(p, &nothing, NULL, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_after(p, NULL, 1000, NULL, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_after(p, &nothing, 0, NULL, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_wait(p, NULL, &result, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_wait(p, &publish, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_request_async(p, NULL, 1, on_no_reply, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_request_async(p, &publish, 1, NULL, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_request(p, &publish, 1, NULL, NULL), WARREN_EINVAL);
    assert_int_equal(warren_publisher_request(p, NULL, 1, &reply, NULL), WARREN_EINVAL);
    warren_publisher_stats(p, NULL);
    warren_reply_free(NULL);
    assert_int_equal(warren_reply_text(NULL, "text").len, 4);
    assert_null(warren_reply_text(NULL, NULL).data);
    flush(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* ---- why not ---- */

/* Which field is wrong, and what was expected. */
static void a_refusal_says_which_field(void **state)
{
    struct fixture *f = *state;
    char *large = pattern(300000);
    struct warren_message plain = {.body = warren_text("x")};
    struct warren_message no_body = {.body = {NULL, 3}};
    struct warren_message long_id = {.properties.message_id = large};
    struct warren_message expires = {.properties.expiration = "1000"};
    struct warren_message replied = {.properties.reply_to = "q"};
    struct warren_message big = {.body = {large, 300000}};
    const struct {
        struct warren_publish publish;
        int64_t delay_ms;
        enum warren_status status;
        const char *words;
    } rows[] = {
        {{.routing_key = "q"}, 0, WARREN_EINVAL, "no message"},
        {{.message = &no_body}, 0, WARREN_EINVAL, "the body has a length"},
        {{.message = &plain, .routing_key = large}, 0, WARREN_EINVAL, "routing key is longer"},
        {{.message = &plain, .exchange = large}, 0, WARREN_EINVAL, "exchange's name is longer"},
        {{.message = &long_id}, 0, WARREN_EINVAL, "message_id"},
        {{.message = &expires, .routing_key = "q"}, 1000, WARREN_EINVAL, "expiration"},
        {{.message = &plain}, 1000, WARREN_EINVAL, "an exchange, or a queue's name"},
        {{.message = &plain, .routing_key = "q"}, INT64_MAX, WARREN_EINVAL, "delay_longest_ms"},
        {{.message = &big, .routing_key = "q"}, 0, WARREN_ETOOBIG, "window_bytes (200000)"},
    };
    struct warren_publisher_options options;
    struct warren_error error = {WARREN_OK, ""};
    struct warren_publish request = {.routing_key = "q", .message = &replied};
    enum warren_result result;

    memset(large, 'x', 300000);
    warren_publisher_options_init(&options);
    options.window_bytes = 200000;
    f->publisher = publisher_open(broker->uri, &options);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(warren_publisher_publish_after(f->publisher, &rows[i].publish,
                                                        rows[i].delay_ms, NULL, NULL, &error),
                         rows[i].status);
        assert_int_equal(error.status, rows[i].status);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
    }
    assert_int_equal(warren_publisher_publish(f->publisher, NULL, NULL, NULL, &error),
                     WARREN_EINVAL);
    assert_string_equal(error.text, "what to publish is NULL");
    assert_int_equal(warren_publisher_publish_wait(f->publisher, &rows[2].publish, &result, &error),
                     WARREN_EINVAL);
    assert_non_null(strstr(error.text, "routing key"));
    assert_int_equal(
        warren_publisher_request_async(f->publisher, &request, 1000, on_no_reply, NULL, &error),
        WARREN_EINVAL);
    assert_non_null(strstr(error.text, "reply_to"));
    free(large);
}

/* A full window says so, and why it does not become free. */
static void a_full_window_says_that_there_is_no_connection(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct warren_publisher_options options;
    struct warren_error error = {WARREN_OK, ""};

    f->proxy = proxy_new(broker->port);
    proxy_refuse(f->proxy, true);
    warren_publisher_options_init(&options);
    options.window_messages = 1;
    options.block_timeout_ms = 500;
    f->publisher = publisher_open(proxy_uri(f->proxy), &options);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, NULL, NULL, &error),
                     WARREN_OK);
    assert_int_equal(warren_publisher_publish(f->publisher, &publish, NULL, NULL, &error),
                     WARREN_ETIMEOUT);
    assert_non_null(strstr(error.text, "the window (window_messages, window_bytes) is full"));
    assert_non_null(strstr(error.text, "; not connected: amqp://"));
}

/* ---- what the application is told ---- */

/* What the publisher's thread said; the test looks at it under the lock. */
struct said {
    pthread_mutex_t lock;
    char states[256]; /* their letters */
    char lost[256];
    char lines[4096];
    unsigned returned[WARREN_SPOOLED + 1];
    uint16_t code;
};

static void on_state(enum warren_publisher_state state, const char *words, void *user)
{
    struct said *said = user;
    char letter[] = {"CRBLX"[state], 0};

    pthread_mutex_lock(&said->lock);
    strcat(said->states, letter);
    if (state == WARREN_PUBLISHER_LOST)
        snprintf(said->lost, sizeof said->lost, "%s", words);
    pthread_mutex_unlock(&said->lock);
}

static void on_log(enum warren_log_level level, const char *line, void *user)
{
    struct said *said = user;
    size_t len;

    pthread_mutex_lock(&said->lock);
    len = strlen(said->lines);
    snprintf(said->lines + len, sizeof said->lines - len, "%d %s\n", (int)level, line);
    pthread_mutex_unlock(&said->lock);
}

static void on_returned(const struct warren_receipt *receipt, void *user)
{
    struct said *said = user;

    pthread_mutex_lock(&said->lock);
    said->returned[receipt->result]++;
    said->code = receipt->reply_code;
    pthread_mutex_unlock(&said->lock);
}

static bool has_said(struct said *said, const char *text, const char *part)
{
    bool has;

    pthread_mutex_lock(&said->lock);
    has = strstr(text, part) != NULL;
    pthread_mutex_unlock(&said->lock);
    return has;
}

static struct said *listen(struct fixture *f, struct warren_publisher_options *options)
{
    struct said *said = calloc(1, sizeof *said);

    assert_non_null(said);
    pthread_mutex_init(&said->lock, NULL);
    f->own = said;
    warren_publisher_options_init(options);
    options->on_state = on_state;
    options->on_log = on_log;
    options->user = said;
    return said;
}

static void close_it(struct fixture *f)
{
    warren_publisher_close(f->publisher, 1000);
    f->publisher = NULL;
}

/* An outage, from the first try to the end. */
static void states_are_told_in_order(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct said *said = listen(f, &options);

    f->proxy = proxy_new(broker->port);
    proxy_refuse(f->proxy, true);
    f->publisher = publisher_open(proxy_uri(f->proxy), &options);
    assert_true(WAIT_FOR(has_said(said, said->states, "CL"), PATIENCE_MS));
    assert_true(has_said(said, said->lost, "cannot connect: amqp://"));
    proxy_refuse(f->proxy, false);
    assert_true(WAIT_FOR(has_said(said, said->states, "LR"), PATIENCE_MS));
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(has_said(said, said->states, "RLR"), PATIENCE_MS));
    assert_true(has_said(said, said->lost, "connection lost: amqp://"));
    assert_true(has_said(said, said->lost, "next try in"));
    close_it(f);
    assert_true(has_said(said, said->states, "RX"));
    assert_true(has_said(said, said->lines, "2 connected to amqp://"));
    assert_true(has_said(said, said->lines, "1 connection lost: amqp://"));
    assert_true(has_said(said, said->lines, "2 closed"));
}

static void block_and_unblock(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};

    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    mock_send_method(peer, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    mock_expect(peer, AMQP_CONFIRM_SELECT_METHOD);
    mock_send_method(peer, 1, AMQP_CONFIRM_SELECT_OK_METHOD, &(amqp_confirm_select_ok_t){0});
    mock_rest(peer, 200);
    mock_send_method(peer, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    mock_send_method(peer, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    mock_rest(peer, 200);
}

/* An alarm of the broker, also one from before; while it lasts the connection is lost. */
static void blocks_are_told(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct said *said = listen(f, &options);

    f->mock = mock_new(block_and_unblock, NULL);
    f->publisher = publisher_open(mock_uri(f->mock), &options);
    if (!WAIT_FOR(has_said(said, said->states, "CRBRBL"), PATIENCE_MS))
        fail_msg("%s; the mock: %s", said->states, mock_error(f->mock));
    assert_true(has_said(said, said->lines, "1 the broker blocks publishing: low on memory"));
    close_it(f);
}

static void publish_into_nothing(struct fixture *f, unsigned count)
{
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.routing_key = f->other, .message = &message};

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(warren_publisher_publish(f->publisher, &publish, NULL, NULL, NULL),
                         WARREN_OK);
}

/* Messages that were published before their queue was declared, and asked for no receipt. */
static void no_message_is_lost_in_silence(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct said *said = listen(f, &options);

    options.on_returned = on_returned;
    f->publisher = publisher_open(broker->uri, &options);
    publish_into_nothing(f, 300);
    flush(f);
    assert_int_equal(said->returned[WARREN_RETURNED], 300);
    assert_int_equal(said->code, 312);
    close_it(f);
    assert_false(has_said(said, said->lines, "did not arrive"));
}

/* Without on_returned one line has their number, and what happened to the last one. */
static void lost_messages_are_a_line_of_the_log(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct said *said = listen(f, &options);

    f->publisher = publisher_open(broker->uri, &options);
    publish_into_nothing(f, 300);
    close_it(f);
    assert_true(
        has_said(said, said->lines,
                 "1 messages without a callback did not arrive: 300, the last one returned"));
    assert_true(has_said(said, said->lines, "NO_ROUTE"));
}

/* It also comes without a close, a second later. */
static void the_line_comes_by_itself(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct said *said = listen(f, &options);

    f->publisher = publisher_open(broker->uri, &options);
    publish_into_nothing(f, 3);
    assert_true(WAIT_FOR(has_said(said, said->lines, "did not arrive: 3,"), PATIENCE_MS));
}

/* ---- flush ---- */

/* As many links as the test lets it have. */
struct endless {
    struct fixture *f;
    atomic_bool stop;
    atomic_uint links;
};

static void publish_again(const struct warren_receipt *receipt, void *user)
{
    struct endless *endless = user;
    struct warren_message message = {.body = warren_text("again")};
    struct warren_publish publish = {.routing_key = endless->f->queue, .message = &message};

    (void)receipt;
    atomic_fetch_add(&endless->links, 1);
    if (!atomic_load(&endless->stop))
        warren_publisher_publish(endless->f->publisher, &publish, publish_again, user, NULL);
}

/* A chain of callbacks that never ends: flush waits for what there was when it was called. */
static void flush_ends_while_callbacks_publish(void **state)
{
    struct fixture *f = *state;
    struct endless endless = {.f = f};
    const struct warren_receipt none = {.result = WARREN_CONFIRMED};

    f->publisher = publisher_open(broker->uri, NULL);
    for (int i = 0; i < 10; i++)
        publish_again(&none, &endless);
    for (int i = 0; i < 5; i++) {
        unsigned before = atomic_load(&endless.links);

        flush(f);
        assert_true(WAIT_FOR(atomic_load(&endless.links) > before + 100, PATIENCE_MS));
    }
    atomic_store(&endless.stop, true);
    flush(f);
}

/* ---- declaring ---- */

static enum warren_result publish_to(struct fixture *f, const char *exchange, const char *key)
{
    struct warren_message message = {.body = warren_text("x")};
    struct warren_publish publish = {.exchange = exchange, .routing_key = key, .message = &message};
    enum warren_result result = WARREN_SPOOLED;

    assert_int_equal(warren_publisher_publish_wait(f->publisher, &publish, &result, NULL),
                     WARREN_OK);
    return result;
}

static void assert_declares(struct fixture *f, const struct warren_topology *topology)
{
    struct warren_error error = {WARREN_OK, ""};

    if (warren_publisher_declare(f->publisher, topology, (uint32_t)PATIENCE_MS, &error) !=
        WARREN_OK)
        fail_msg("%s", error.text);
}

/* Then it can be published to at once; what exists already is no error. */
static void what_is_declared_is_there(void **state)
{
    struct fixture *f = *state;
    char *name = unique_name("exchange");
    const struct warren_field argument = warren_field_i64("x-max-length", 1000);
    const struct warren_queue queue = {
        .name = f->other, .type = "classic", .arguments = {&argument, 1}};
    const struct warren_exchange exchange = {.name = name, .type = "topic"};
    const struct warren_binding binding = {
        .exchange = name, .queue = f->other, .routing_key = "a.#"};
    const struct warren_topology topology = {.queues = &queue,
                                             .queue_count = 1,
                                             .exchanges = &exchange,
                                             .exchange_count = 1,
                                             .bindings = &binding,
                                             .binding_count = 1};

    f->publisher = publisher_open(broker->uri, NULL);
    assert_declares(f, &topology);
    assert_declares(f, &topology);
    assert_int_equal(publish_to(f, name, "a.b"), WARREN_CONFIRMED);
    assert_int_equal(publish_to(f, name, "b"), WARREN_RETURNED);
    assert_int_equal(peer_count(f->peer, f->other), 1);
    peer_delete_exchange(f->peer, name);
    free(name);
}

/* The broker's words, with what was asked for; the rest is declared, the publisher goes on. */
static void what_is_refused_is_named(void **state)
{
    struct fixture *f = *state;
    const struct warren_queue queues[] = {{.name = f->queue}, {.name = f->other}};
    const struct warren_topology topology = {.queues = queues, .queue_count = 2, .again = true};
    struct warren_error error = {WARREN_OK, ""};

    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(
        warren_publisher_declare(f->publisher, &topology, (uint32_t)PATIENCE_MS, &error),
        WARREN_EBROKER);
    assert_non_null(strstr(error.text, f->queue));
    assert_non_null(strstr(error.text, "406 PRECONDITION_FAILED"));
    assert_int_equal(publish_to(f, "", f->other), WARREN_CONFIRMED);
}

static void what_cannot_be_declared_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    const struct warren_queue nameless = {.type = "classic"};
    const struct warren_binding twice = {.exchange = "e", .queue = "q", .to_exchange = "e"};
    const struct warren_topology rows[] = {{.queues = &nameless, .queue_count = 1},
                                           {.bindings = &twice, .binding_count = 1}};
    struct warren_error error = {WARREN_OK, ""};

    f->publisher = publisher_open(broker->uri, NULL);
    assert_int_equal(warren_publisher_declare(f->publisher, &rows[0], 0, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "a queue's name is missing");
    assert_int_equal(warren_publisher_declare(f->publisher, &rows[1], 0, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "either"));
    assert_int_equal(warren_publisher_declare(f->publisher, NULL, 0, &error), WARREN_EINVAL);
    assert_int_equal(warren_publisher_declare(NULL, &rows[0], 0, &error), WARREN_EINVAL);
}

/* The queue went while the connection was away: it is there before what waits is sent. */
static void it_is_declared_again_before_messages_are_sent(void **state)
{
    struct fixture *f = *state;
    const struct warren_queue queue = {.name = f->other, .type = "classic"};
    const struct warren_topology topology = {.queues = &queue, .queue_count = 1, .again = true};

    f->ledger = ledger_new(400, &(struct ledger_plan){.routing_key = f->other});
    f->proxy = proxy_new(broker->port);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    assert_declares(f, &topology);
    for (int i = 0; i < 4; i++) {
        proxy_refuse(f->proxy, true);
        proxy_cut(f->proxy, PROXY_RST);
        peer_delete_alone(f->peer, f->other);
        ledger_publish_many(f->ledger, f->publisher, 100);
        proxy_refuse(f->proxy, false);
        flush(f);
        assert_int_equal(ledger_confirmed(f->ledger), 100 * (i + 1));
    }
}

/* No broker at the beginning: the caller need not wait, the queue is declared when there is one.
 * What is not to be declared again is forgotten with its caller. */
static void it_is_declared_when_there_is_a_broker(void **state)
{
    struct fixture *f = *state;
    const struct warren_queue wanted = {.name = f->other, .type = "classic"};
    const struct warren_queue forgotten = {.name = f->dlq, .type = "classic"};
    const struct warren_topology kept = {.queues = &wanted, .queue_count = 1, .again = true};
    const struct warren_topology once = {.queues = &forgotten, .queue_count = 1};
    struct warren_error error = {WARREN_OK, ""};

    new_ledger(f, 100);
    ledger_aim(f->ledger, NULL, f->other);
    f->proxy = proxy_new(broker->port);
    proxy_refuse(f->proxy, true);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    assert_int_equal(warren_publisher_declare(f->publisher, &once, 300, &error), WARREN_ETIMEOUT);
    assert_non_null(strstr(error.text, "amqp://"));
    assert_int_equal(warren_publisher_declare(f->publisher, &kept, 1, NULL), WARREN_ETIMEOUT);
    ledger_publish_many(f->ledger, f->publisher, 100);
    proxy_refuse(f->proxy, false);
    flush(f);
    assert_int_equal(ledger_confirmed(f->ledger), 100);
    assert_int_equal(peer_count(f->peer, f->dlq), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_touches_nothing),
        TEST(a_child_of_a_callback_touches_nothing),
        TEST(a_child_has_its_own),
        TEST(a_child_leaves_the_spool_alone),
        TEST(a_callback_must_not_wait),
        cmocka_unit_test(without_a_publisher_nothing_is_done),
        TEST(without_what_is_needed_nothing_is_done),
        TEST(a_refusal_says_which_field),
        TEST(a_full_window_says_that_there_is_no_connection),
        TEST(states_are_told_in_order),
        TEST(blocks_are_told),
        TEST(no_message_is_lost_in_silence),
        TEST(lost_messages_are_a_line_of_the_log),
        TEST(the_line_comes_by_itself),
        TEST(flush_ends_while_callbacks_publish),
        TEST(what_is_declared_is_there),
        TEST(what_is_refused_is_named),
        TEST(what_cannot_be_declared_is_refused_at_once),
        TEST(it_is_declared_again_before_messages_are_sent),
        TEST(it_is_declared_when_there_is_a_broker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
