/* test_embedded.c - <warren/worker.h> in this very program: how far its worker is, what it counts,
 * and what is left after a crash.
 */
#include <warren/middleware.h>
#include <warren/worker.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/metric_page.h"

/* ---- the handler, which does what the body says ---- */

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);

    (void)state;
    if (body.len == 5 && memcmp(body.data, "crash", 5) == 0)
        raise(SIGSEGV);
    return body.len == 6 && memcmp(body.data, "reject", 6) == 0 ? WARREN_REJECT : WARREN_ACK;
}

/* Asked by idempotency alone, if its options say so. */
static struct warren_bytes key_of(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);

    (void)state;
    if (body.len == 9 && memcmp(body.data, "crash key", 9) == 0)
        raise(SIGSEGV);
    return body;
}

static const struct warren_handler handlers[] = {{.name = "obey", .handle = handle, .key = key_of},
                                                 {0}};

/* ---- a middleware that has an answer when it is too late, from a thread of its own ---- */

static struct {
    pthread_t thread;
    atomic_int asked;
    atomic_int back; /* by `after` */
    _Atomic(struct warren_passage *) last;
    atomic_bool closing;
} late;

static void *answer(void *arg)
{
    struct warren_passage *last = late.last;

    (void)arg;
    while (!late.closing)
        sched_yield();
    warren_passage_go(last);
    return NULL;
}

static bool ask(struct warren_job *job, struct warren_passage *passage, void *state,
                void **ret_mark)
{
    (void)job;
    *ret_mark = state;
    late.last = passage;
    late.asked++;
    return false;
}

static bool hear(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                 void *state)
{
    (void)mark;
    (void)state;
    if (outcome == WARREN_REQUEUE && !passage && ++late.back == late.asked)
        pthread_create(&late.thread, NULL, answer, NULL);
    return true;
}

static enum warren_status late_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)info;
    (void)error;
    *state = &late;
    return WARREN_OK;
}

static void late_close(void *state)
{
    (void)state;
    late.closing = true;
    pthread_join(late.thread, NULL);
}

static const struct warren_middleware middlewares[] = {
    {.name = "late", .open = late_open, .before = ask, .after = hear, .close = late_close}, {0}};

/* ---- a worker of it, in a thread ---- */

struct embedded {
    struct warren_worker *worker;
    const char *chain; /* NULL: that of every worker */
    bool keeps;        /* its state, and keys */
    pthread_t thread;
    _Atomic int told;   /* the last state, */
    _Atomic int losses; /* and how often it was ready and then not */
    const char *file;   /* of its configuration, and it has the signals; NULL: a text, and no */
    _Atomic int taken;  /* reloads that changed something */
};

static void on_state(enum warren_worker_state state, void *user)
{
    struct embedded *own = user;

    if (state == WARREN_WORKER_STARTING && own->told == WARREN_WORKER_READY)
        own->losses++;
    own->told = state;
}

static void on_log(enum warren_log_level level, const char *line, void *user)
{
    struct embedded *own = user;

    if (strstr(line, "read again") && !strstr(line, "changed=0"))
        own->taken++;
    if (level <= WARREN_LOG_WARN)
        fprintf(stderr, "%s\n", line);
}

static enum warren_status make(const struct fixture *f, struct embedded *own)
{
    const struct warren_plugin plugin =
        WARREN_PLUGIN_INIT(.name = "own", .handlers = handlers, WARREN_MIDDLEWARES(middlewares));
    const struct warren_plugin *const plugins[] = {&plugin};
    struct warren_worker_options options = {.size = sizeof options,
                                            .plugins = plugins,
                                            .plugin_count = 1,
                                            .on_log = on_log,
                                            .on_state = on_state,
                                            .user = own};
    struct warren_error error = {WARREN_OK, ""};
    char path[256];
    char yaml[1024];

    snprintf(path, sizeof path, "%s/%s", f->directory, own->file ? own->file : "");
    snprintf(yaml, sizeof yaml,
             "broker: {uri: '%s', reconnect_delay_min: 10ms, reconnect_delay_max: 100ms}\n"
             "%s%s%s%s%s"
             "subscriptions: [{queue: %s, handler: own.obey, middleware: [%s]}]\n",
             f->proxy ? proxy_uri(f->proxy) : f->broker->uri, own->keeps ? "state_dir: " : "",
             own->keeps ? f->directory : "", own->keeps ? "/state\nstore: {path: " : "",
             own->keeps ? f->directory : "", own->keeps ? "/store.db}\n" : "", f->queue,
             own->chain ? own->chain : "recover");
    if (own->file)
        free(write_file(f->directory, own->file, yaml));
    options.own_signals = own->file != NULL;
    options.config_file = own->file ? path : NULL;
    options.config_text = own->file ? NULL : yaml;
    if (warren_worker_new(&options, &own->worker, &error) != WARREN_OK)
        fprintf(stderr, "%s\n", error.text);
    return error.status;
}

static void *run(void *arg)
{
    return (void *)(intptr_t)warren_worker_run(arg);
}

static bool is_ready(void *user)
{
    return ((struct embedded *)user)->told == WARREN_WORKER_READY;
}

static void start(struct fixture *f, struct embedded *own)
{
    assert_int_equal(make(f, own), WARREN_OK);
    assert_int_equal(pthread_create(&own->thread, NULL, run, own->worker), 0);
    assert_true(wait_until(is_ready, own, PATIENCE_MS));
}

static void stop(struct embedded *own)
{
    void *status;

    assert_int_equal(warren_worker_stop(own->worker), WARREN_OK);
    pthread_join(own->thread, &status);
    assert_int_equal((intptr_t)status, WARREN_OK);
    assert_int_equal(own->told, WARREN_WORKER_ENDED);
    warren_worker_free(own->worker);
}

/* ---- tests ---- */

static uint64_t acked(const struct embedded *own)
{
    struct warren_worker_stats stats = {.size = sizeof stats};

    assert_int_equal(warren_worker_stats(own->worker, &stats), WARREN_OK);
    return stats.acked;
}

static void counts_what_it_does(void **state)
{
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct embedded own = {.worker = NULL};
    struct fixture *f = *state;

    start(f, &own);
    fixture_publish(f, NULL, "one");
    fixture_publish(f, NULL, "two");
    fixture_publish(f, NULL, "reject");
    assert_true(WAIT_FOR(acked(&own) == 2, PATIENCE_MS));
    assert_true(WAIT_FOR(warren_worker_stats(own.worker, &stats) == WARREN_OK &&
                             stats.dead_lettered == 1 && stats.rejected == 1,
                         PATIENCE_MS));
    assert_true(stats.ready && stats.state == WARREN_WORKER_READY && !stats.queue);
    assert_int_equal(stats.received, 3);
    assert_int_equal(stats.running + stats.queued + stats.held, 0);
    assert_int_equal(stats.published, 1); /* the dead letter */
    assert_int_equal(stats.confirmed, 1);
    assert_int_equal(stats.reconnects, 0);
    assert_int_equal(warren_worker_subscription_stats(own.worker, 0, &stats), WARREN_OK);
    assert_string_equal(stats.queue, f->queue);
    assert_true(stats.ready && stats.received == 3 && stats.published == 0);
    assert_int_equal(warren_worker_subscription_stats(own.worker, 1, &stats), WARREN_ENOTFOUND);
    stop(&own);
}

/* Its series are there while it is. */
static void is_seen(void **state)
{
    struct fixture *f = *state;
    struct embedded own = {0};
    char *page;

    start(f, &own);
    page = metric_page();
    assert_has(page, "\nwarren_build_info{version=\"0.1.0\",abi=\"2\",rabbitmq_c=\"");
    assert_has(page, "\nwarren_consumer_connected 1\n");
    assert_has(page, "\nwarren_publisher_connected{publisher=\"warren publisher\"} ");
    assert_has(page, "\nprocess_open_fds ");
    assert_has(page, "\nwarren_suspects 0\n");
    free(page);
    stop(&own);
    page = metric_page();
    assert_null(strstr(page, "\nwarren_build_info{"));
    assert_null(strstr(page, "\nwarren_consumer_connected"));
    assert_null(strstr(page, "\nwarren_publisher_connected"));
    assert_has(page, "\nprocess_open_fds ");
    free(page);
}

/* While the connection is lost it is not ready, and then it is again. */
static void is_not_ready_without_a_connection(void **state)
{
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct embedded own = {.worker = NULL};
    struct fixture *f = *state;

    f->proxy = proxy_new(f->broker->port);
    start(f, &own);
    proxy_refuse(f->proxy, true); /* what changes back at once may not be told */
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(own.losses > 0, PATIENCE_MS));
    proxy_refuse(f->proxy, false);
    assert_true(WAIT_FOR(is_ready(&own), PATIENCE_MS));
    assert_int_equal(warren_worker_stats(own.worker, &stats), WARREN_OK);
    assert_true(stats.reconnects > 0 && stats.ready);
    stop(&own);
}

/* What waits in a plugin's `before` goes back when the worker stops, at once, and the plugin is
 * told. It may answer all the same, for as long as it is open. */
static void a_drain_does_not_wait_for_a_plugin(void **state)
{
    struct embedded own = {.chain = "own.late, recover"};
    struct fixture *f = *state;

    start(f, &own);
    for (int i = 0; i < 3; i++)
        fixture_publish(f, NULL, "one");
    assert_true(WAIT_FOR(late.asked == 3, PATIENCE_MS));
    stop(&own); /* WARREN_OK: not by drain.timeout */
    assert_int_equal(late.back, 3);
    assert_true(late.closing);
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 3, PATIENCE_MS));
}

/* In a process of its own, as it is of no more use then. @return as exit(3) wants it */
static int crash(const struct fixture *f)
{
    struct embedded own = {.worker = NULL};
    struct embedded next = {.worker = NULL};

    if (make(f, &own) != WARREN_OK)
        return 2;
    if (warren_worker_run(own.worker) != WARREN_ETAINTED)
        return 3;
    return make(f, &next) == WARREN_ETAINTED && own.told == WARREN_WORKER_ENDED ? 0 : 4;
}

/* This program is no `warren`: a plugin that a reload finds is loaded here, and not by a child
 * first, which would be this very test. */
static void a_reload_loads_a_plugin_itself(void **state)
{
    struct embedded own = {.file = "worker.yaml"};
    struct fixture *f = *state;
    char *path = text("%s/worker.yaml", f->directory);
    char *old, *now;

    start(f, &own);
    old = read_file(path, NULL);
    now = text("plugins: [" WARREN_PLUGIN_DIR "/restless.so]\n%s", old);
    free(write_file(f->directory, "worker.yaml", now));
    kill(getpid(), SIGHUP);
    assert_true(WAIT_FOR(own.taken == 1, PATIENCE_MS));
    assert_int_equal(proc_children(getpid()), 0);
    stop(&own);
    free(now);
    free(old);
    free(path);
}

/* What a crash has spoiled is spoiled for other workers, too. */
static void a_tainted_process_gets_no_worker(void **state)
{
    struct fixture *f = *state;
    int status = -1;
    pid_t child;

    fixture_publish(f, NULL, "crash");
    child = fork();
    if (child == 0)
        /* Not _exit(): ThreadSanitizer would miss the threads that a crash leaves as they are. */
        syscall(SYS_exit_group, crash(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A crash in `key` ends the program, for there is nothing that could go on; the next one knows
 * whose it was, and gives the message up when it did it again. */
static void a_crash_on_the_loop_is_known_to_the_next(void **state)
{
    struct embedded own = {.chain = "idempotency: {key: handler}, recover", .keeps = true};
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct fixture *f = *state;

    if (slowness() > 1) /* a sanitizer ends the process by itself */
        skip();
    fixture_publish(f, "m-1", "crash key");
    fixture_publish(f, "m-2", "good");
    for (int crashes = 0; crashes < 2; crashes++) {
        int status = -1;
        pid_t child = fork();

        if (child == 0) {
            signal(SIGSEGV, SIG_DFL); /* cmocka has taken it */
            _exit(make(f, &own) == WARREN_OK && warren_worker_run(own.worker) == WARREN_OK ? 1 : 2);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    start(f, &own);
    assert_true(WAIT_FOR(warren_worker_stats(own.worker, &stats) == WARREN_OK &&
                             stats.dead_lettered == 1 && acked(&own) == 1,
                         PATIENCE_MS));
    stop(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_tainted_process_gets_no_worker, "classic"),
        FIXTURE_TEST(counts_what_it_does, "classic"),
        FIXTURE_TEST(is_seen, "classic"),
        FIXTURE_TEST(a_reload_loads_a_plugin_itself, "classic"),
        FIXTURE_TEST(is_not_ready_without_a_connection, "classic"),
        FIXTURE_TEST(a_drain_does_not_wait_for_a_plugin, "quorum"),
        FIXTURE_TEST(a_crash_on_the_loop_is_known_to_the_next, "quorum"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
