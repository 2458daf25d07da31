/* test_worker_life.c - <warren/worker.h> without a broker: what a worker answers before, while and
 * after it runs, and in a child that inherits it.
 */
#include <warren/middleware.h>
#include <warren/worker.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

/* ---- a handler that is compiled in ---- */

static int now_open;
static void *seen_by_handler;
static void *seen_by_middleware;

static enum warren_status open_it(const struct warren_subscription_info *info, void **state,
                                  struct warren_error *error)
{
    (void)state;
    (void)error;
    seen_by_handler = info->user;
    now_open++;
    return WARREN_OK;
}

static enum warren_status open_link(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)state;
    (void)error;
    seen_by_middleware = info->user;
    return WARREN_OK;
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static void close_it(void *state)
{
    (void)state;
    now_open--;
}

static const struct warren_handler handlers[] = {
    {.name = "none", .open = open_it, .handle = handle, .close = close_it}, {0}};
static const struct warren_plugin plugin = WARREN_PLUGIN_INIT(.name = "own", .handlers = handlers);

/* ---- a worker of it ---- */

/* Nobody listens on port 1. */
static const char yaml[] = "broker: {uri: 'amqp://127.0.0.1:1/'}\n"
                           "log: {level: error}\n"
                           "subscriptions: [{queue: q, handler: own.none}]\n";

static struct warren_worker_options options_of(const char *text)
{
    static const struct warren_plugin *const plugins[] = {&plugin};

    return (struct warren_worker_options){.size = sizeof(struct warren_worker_options),
                                          .config_text = text,
                                          .plugins = plugins,
                                          .plugin_count = 1};
}

static struct warren_worker *new_worker(const struct warren_worker_options *options)
{
    struct warren_error error = {WARREN_OK, ""};
    struct warren_worker *worker = NULL;

    if (warren_worker_new(options, &worker, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    return worker;
}

static struct warren_worker *plain_worker(void)
{
    struct warren_worker_options options = options_of(yaml);

    return new_worker(&options);
}

static void *run_it(void *arg)
{
    return (void *)(intptr_t)warren_worker_run(arg);
}

static void runs_once(void **state)
{
    struct warren_worker *worker = plain_worker();

    (void)state;
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    assert_int_equal(warren_worker_run(worker), WARREN_OK);
    assert_int_equal(warren_worker_run(worker), WARREN_ECLOSED);
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    warren_worker_free(worker);
    assert_int_equal(now_open, 0);
}

/* ---- states ---- */

struct states {
    sem_t told;
    unsigned count;
    enum warren_worker_state all[8];
};

static void on_state(enum warren_worker_state state, void *user)
{
    struct states *states = user;

    if (states->count < sizeof states->all / sizeof *states->all)
        states->all[states->count] = state;
    states->count++;
    sem_post(&states->told);
}

static struct warren_worker *telling_worker(struct states *states)
{
    struct warren_worker_options options = options_of(yaml);

    *states = (struct states){.count = 0};
    sem_init(&states->told, 0, 0);
    options.on_state = on_state;
    options.user = states;
    return new_worker(&options);
}

/* Who begins to run it while another thread does is refused. */
static void runs_in_one_thread(void **state)
{
    struct states states;
    struct warren_worker *worker = telling_worker(&states);
    pthread_t thread;
    void *its = NULL;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_it, worker), 0);
    sem_wait(&states.told);
    assert_int_equal(warren_worker_run(worker), WARREN_EINVAL);
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    pthread_join(thread, &its);
    assert_int_equal((intptr_t)its, WARREN_OK);
    warren_worker_free(worker);
}

static void tells_its_states(void **state)
{
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct states states;
    struct warren_worker *worker = telling_worker(&states);

    (void)state;
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    assert_int_equal(warren_worker_run(worker), WARREN_OK);
    assert_int_equal(states.count, 3);
    assert_int_equal(states.all[0], WARREN_WORKER_STARTING);
    assert_int_equal(states.all[1], WARREN_WORKER_DRAINING);
    assert_int_equal(states.all[2], WARREN_WORKER_ENDED);
    assert_int_equal(warren_worker_stats(worker, &stats), WARREN_OK);
    assert_int_equal(stats.state, WARREN_WORKER_ENDED);
    assert_false(stats.ready);
    warren_worker_free(worker);
}

static void refuses_null(void **state)
{
    struct warren_worker_options options = {.size = sizeof options};
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct warren_worker *worker;

    (void)state;
    assert_int_equal(warren_worker_new(NULL, &worker, NULL), WARREN_EINVAL);
    assert_int_equal(warren_worker_new(&options, NULL, NULL), WARREN_EINVAL);
    options.size = 0;
    assert_int_equal(warren_worker_new(&options, &worker, NULL), WARREN_EINVAL);
    assert_int_equal(warren_worker_run(NULL), WARREN_EINVAL);
    assert_int_equal(warren_worker_stop(NULL), WARREN_EINVAL);
    assert_int_equal(warren_worker_stats(NULL, &stats), WARREN_EINVAL);
    assert_int_equal(warren_worker_subscription_stats(NULL, 0, &stats), WARREN_EINVAL);
    warren_worker_free(NULL);
    worker = plain_worker();
    assert_int_equal(warren_worker_stats(worker, NULL), WARREN_EINVAL);
    stats.size = 0;
    assert_int_equal(warren_worker_stats(worker, &stats), WARREN_EINVAL);
    warren_worker_free(worker);
}

/* A text is read as a file would be, and its errors say where. */
static void reads_a_text(void **state)
{
    struct warren_worker_options options = options_of("log: {level: loud}\n");
    struct warren_worker *worker = NULL;
    struct warren_error error;

    (void)state;
    assert_int_equal(warren_worker_new(&options, &worker, &error), WARREN_ECONFIG);
    assert_ptr_equal(strstr(error.text, "config_text:1:14: "), error.text);
    options.config_name = "/etc/shop/worker.yaml";
    assert_int_equal(warren_worker_new(&options, &worker, &error), WARREN_ECONFIG);
    assert_ptr_equal(strstr(error.text, "/etc/shop/worker.yaml:1:14: "), error.text);
    options.config_text = "broker: {tls: {ca_file: ca.pem}, uri: 'amqps://localhost/'}\n"
                          "subscriptions: [{queue: q, handler: own.none}]\n";
    assert_int_equal(warren_worker_new(&options, &worker, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "/etc/shop/ca.pem"));
    options.config_text = "{}";
    assert_int_equal(warren_worker_new(&options, &worker, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "/etc/shop/worker.yaml: there is nothing to do"));
    options.config_file = "worker.yaml";
    assert_int_equal(warren_worker_new(&options, &worker, &error), WARREN_EINVAL);
}

/* Each plugin's functions find its own; warren's middlewares between them have none. */
static void opens_with_the_programs_own(void **state)
{
    static const struct warren_middleware links[] = {{.name = "link", .open = open_link}, {0}};
    int one, two;
    struct warren_plugin first =
        WARREN_PLUGIN_INIT(.name = "own", .handlers = handlers, .user = &one);
    struct warren_plugin second =
        WARREN_PLUGIN_INIT(.name = "own-links", .user = &two, WARREN_MIDDLEWARES(links));
    const struct warren_plugin *const plugins[] = {&first, &second};
    struct warren_worker_options options =
        options_of("broker: {uri: 'amqp://127.0.0.1:1/'}\nlog: {level: error}\n"
                   "subscriptions: [{queue: q, handler: own.none, middleware: [own-links.link]}]");

    (void)state;
    options.plugins = plugins;
    options.plugin_count = 2;
    warren_worker_free(new_worker(&options));
    assert_ptr_equal(seen_by_handler, &one);
    assert_ptr_equal(seen_by_middleware, &two);
}

/* ---- signals ---- */

static void *wait_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

/* Also where a thread takes the signal that was there before the worker, and blocks nothing. */
static void is_stopped_by_a_signal(void **state)
{
    struct warren_worker_options options = options_of(yaml);
    struct warren_worker *worker;
    struct sigaction now;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    options.own_signals = true;
    worker = new_worker(&options);
    assert_int_equal(pthread_kill(thread, SIGTERM), 0);
    assert_int_equal(warren_worker_run(worker), WARREN_OK);
    warren_worker_free(worker);
    sigaction(SIGTERM, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

/* ---- the log ---- */

struct lines {
    unsigned count;
    bool whole; /* none has a newline, or another level than it says */
    char last[256];
};

static void take_line(enum warren_log_level level, const char *line, void *user)
{
    static const char *const levels[] = {"level=error", "level=warn", "level=info", "level=debug"};
    struct lines *lines = user;

    lines->whole =
        (lines->count == 0 || lines->whole) && !strchr(line, '\n') && strstr(line, levels[level]);
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", line);
}

static void never(enum warren_log_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    fail_msg("%s", line);
}

/* Every line, until the worker is freed; the log of a second worker is that of the first. */
static void hands_its_lines_over(void **state)
{
    struct warren_worker_options options = options_of(
        "broker: {uri: 'amqp://127.0.0.1:1/'}\nsubscriptions: [{queue: q, handler: own.none}]\n");
    struct lines lines = {.count = 0};
    struct warren_worker *first;
    struct warren_worker *second;
    unsigned count;

    (void)state;
    options.on_log = take_line;
    options.user = &lines;
    first = new_worker(&options);
    options.on_log = never;
    second = new_worker(&options);
    assert_int_equal(warren_worker_stop(first), WARREN_OK);
    assert_int_equal(warren_worker_run(first), WARREN_OK);
    warren_worker_free(second);
    warren_worker_free(first);
    count = lines.count;
    assert_true(count >= 4 && lines.whole); /* starting, cannot connect, stopping, stopped */
    warren_worker_free(plain_worker());
    assert_int_equal(lines.count, count);
}

/* ---- children ---- */

/* A child leaves the worker alone, and the parent's goes on. */
static void is_closed_in_a_child(void **state)
{
    struct warren_worker_stats stats = {.size = sizeof stats};
    struct warren_worker *worker = plain_worker();
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        bool closed = warren_worker_run(worker) == WARREN_ECLOSED &&
                      warren_worker_stop(worker) == WARREN_ECLOSED &&
                      warren_worker_stats(worker, &stats) == WARREN_ECLOSED;

        warren_worker_free(worker);
        _exit(closed && now_open == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    assert_int_equal(warren_worker_run(worker), WARREN_OK);
    warren_worker_free(worker);
}

/* It may also make one of its own, even after it has closed what it inherited. */
static bool lives_in_a_child(void)
{
    struct warren_worker_options options = options_of(yaml);
    struct lines lines = {.count = 0};
    struct warren_worker *worker;
    bool well;

    close_range(3, ~0U, 0);
    options.config_text = "broker: {uri: 'amqp://127.0.0.1:1/'}\n"
                          "subscriptions: [{queue: q, handler: own.none}]\n";
    options.on_log = take_line;
    options.user = &lines;
    worker = new_worker(&options);
    well = warren_worker_stop(worker) == WARREN_OK && warren_worker_run(worker) == WARREN_OK;
    warren_worker_free(worker);
    return well && lines.count >= 3 && lines.whole;
}

static void a_child_may_have_its_own(void **state)
{
    struct warren_worker *worker;
    int status = -1;
    pid_t child;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it lets no thread start behind a fork of several */
#endif
    worker = plain_worker();
    child = fork();
    if (child == 0)
        _exit(lives_in_a_child() ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    warren_worker_free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_once),
        cmocka_unit_test(runs_in_one_thread),
        cmocka_unit_test(tells_its_states),
        cmocka_unit_test(refuses_null),
        cmocka_unit_test(reads_a_text),
        cmocka_unit_test(opens_with_the_programs_own),
        cmocka_unit_test(is_stopped_by_a_signal),
        cmocka_unit_test(hands_its_lines_over),
        cmocka_unit_test(is_closed_in_a_child),
        cmocka_unit_test(a_child_may_have_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
