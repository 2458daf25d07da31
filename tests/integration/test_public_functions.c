/* test_public_functions.c - each function of the public headers does what its header says: in a
 * receipt's callback, in a child of fork(2), with NULL, and about the field that is wrong. A
 * function that is in a header and not in the table here fails the test; so does one that is here
 * alone.
 */
#include <warren/warren.h>

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fixture.h"

#define ANSWER_SIZE 1024

/* What functions are tried with. */
static struct {
    struct fixture *fixture;
    struct warren_publisher *publisher;
    struct warren_worker *idle; /* it never runs */
    struct warren_test *test;
    struct warren_series *series;
    struct warren_job *job; /* in a handler, while it runs */
    const struct warren_link *next;
    struct warren_group *group;                  /* of the job */
    const struct warren_subscription_info *info; /* of its `open` */
    struct warren_passage *passage;
    struct warren_error error;
    atomic_uint children; /* that handlers forked, */
    atomic_uint failures; /* and did not as they should */
    atomic_bool handled;
} w;

/* ---- what is asked ---- */

/** Calls the function. @return what it answered, as a word */
typedef const char *ask_fn(void);

struct ask {
    ask_fn *call;       /* NULL: it cannot be called like that, and @answer stands in the header */
    const char *answer; /* exactly; of `wrong`, a part of the words */
};

struct row {
    const char *name;
    struct ask null;     /* with NULL where an object is due */
    struct ask callback; /* in a receipt's callback */
    struct ask child;    /* in a child; of what a job is needed for, a child of its handler */
    struct ask wrong;    /* with one field that is wrong */
};

static const char *yes(bool yes)
{
    return yes ? "yes" : "no";
}

static const char *of(enum warren_status status)
{
    return warren_status_name(status);
}

/* The words of a refusal, or that there was none. */
static const char *words(enum warren_status status)
{
    return status == WARREN_OK ? "it was taken" : w.error.text;
}

#define ASK(name, answer)                                                                          \
    static const char *name(void)                                                                  \
    {                                                                                              \
        return answer;                                                                             \
    }

static const struct warren_message message = {.body = {"x", 1}};

static struct warren_publish publish_to(const char *queue)
{
    return (struct warren_publish){.routing_key = queue, .message = &message};
}

static const char *too_long(void)
{
    static char name[301];

    memset(name, 'n', sizeof name - 1);
    return name;
}

/* ---- publisher.h ---- */

static void ignore_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                         void *user)
{
    (void)status;
    (void)why;
    (void)user;
    warren_reply_free(reply);
}

static enum warren_status publish(struct warren_publisher *p, const char *queue)
{
    struct warren_publish what = publish_to(queue);

    return warren_publisher_publish(p, &what, NULL, NULL, &w.error);
}

static enum warren_status publish_after(struct warren_publisher *p, const char *queue)
{
    struct warren_publish what = publish_to(queue);

    return warren_publisher_publish_after(p, &what, 0, NULL, NULL, &w.error);
}

static enum warren_status publish_wait(struct warren_publisher *p, const char *queue)
{
    struct warren_publish what = publish_to(queue);
    enum warren_result result;

    return warren_publisher_publish_wait(p, &what, &result, &w.error);
}

static enum warren_status request(struct warren_publisher *p, const char *queue)
{
    struct warren_publish what = publish_to(queue);
    struct warren_reply *reply;

    return warren_publisher_request(p, &what, 1000, &reply, &w.error);
}

static enum warren_status request_async(struct warren_publisher *p, const char *queue)
{
    struct warren_publish what = publish_to(queue);

    return warren_publisher_request_async(p, &what, 1000, ignore_reply, NULL, &w.error);
}

static enum warren_status declare(struct warren_publisher *p, const char *type)
{
    const struct warren_queue queue = {.name = w.fixture->queue, .type = type};
    const struct warren_topology topology = {.queues = &queue, .queue_count = 1};

    return warren_publisher_declare(p, &topology, 10000, &w.error);
}

static enum warren_status make_publisher(uint32_t window_messages)
{
    const char *const uris[] = {w.fixture->broker->uri};
    struct warren_publisher_options options;
    struct warren_publisher *own;
    enum warren_status status;

    warren_publisher_options_init(&options);
    options.uris = uris;
    options.uri_count = 1;
    options.window_messages = window_messages;
    status = warren_publisher_new(&options, &own, &w.error);
    if (status == WARREN_OK)
        warren_publisher_close(own, 0);
    return status;
}

static const char *published_by(struct warren_publisher *p)
{
    struct warren_publisher_stats stats = {.published = 99};

    warren_publisher_stats(p, &stats);
    return stats.published == 0 ? "none" : stats.published == 99 ? "untouched" : "some";
}

static const char *init_options(void)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    return yes(options.window_messages == 1000);
}

static const char *init_nothing(void)
{
    warren_publisher_options_init(NULL);
    return "nothing";
}

static const char *free_nothing(void)
{
    warren_reply_free(NULL);
    return "nothing";
}

static const char *publishes_rightly(void)
{
    return of(publish(w.publisher, w.fixture->queue));
}

#define Q w.fixture->queue
#define P w.publisher

ASK(new_null, of(warren_publisher_new(NULL, &(struct warren_publisher *){NULL}, NULL)))
ASK(new_here, of(make_publisher(10)))
ASK(new_wrong, words(make_publisher(0)))
ASK(connected_null, of(warren_publisher_wait_connected(NULL, 1, NULL)))
ASK(connected, of(warren_publisher_wait_connected(P, 1, NULL)))
ASK(publish_null, of(publish(NULL, "q")))
ASK(publish_wrong, words(publish(P, too_long())))
ASK(wait_null, of(publish_wait(NULL, "q")))
ASK(wait_here, of(publish_wait(P, Q)))
ASK(wait_wrong, words(publish_wait(P, too_long())))
ASK(after_null, of(publish_after(NULL, "q")))
ASK(after_here, of(publish_after(P, Q)))
ASK(after_wrong, words(publish_after(P, too_long())))
ASK(flush_null, of(warren_publisher_flush(NULL, 1)))
ASK(flush_here, of(warren_publisher_flush(P, 1)))
ASK(declare_null, of(declare(NULL, NULL)))
ASK(declare_here, of(declare(P, NULL)))
ASK(declare_wrong, words(declare(P, too_long())))
ASK(reply_text_null, yes(warren_reply_text(NULL, NULL).len == 0))
ASK(reply_text_here, yes(warren_reply_text(NULL, "two").len == 3))
ASK(async_null, of(request_async(NULL, "q")))
ASK(async_here, of(request_async(P, Q)))
ASK(async_wrong, words(request_async(P, too_long())))
ASK(request_null, of(request(NULL, "q")))
ASK(request_here, of(request(P, Q)))
ASK(request_wrong, words(request(P, too_long())))
ASK(rate_null, of(warren_publisher_set_rate(NULL, 0, 0, NULL)))
ASK(rate_here, of(warren_publisher_set_rate(P, 0, 0, NULL)))
ASK(rate_wrong, words(warren_publisher_set_rate(P, 5, 2000000, &w.error)))
ASK(stats_null, published_by(NULL))
ASK(stats_here, published_by(P))
ASK(close_null, of(warren_publisher_close(NULL, 0)))
ASK(close_here, of(warren_publisher_close(P, 0)))
ASK(result_here, warren_result_name(WARREN_RETURNED))
ASK(result_wrong, warren_result_name((enum warren_result)99))

/* ---- worker.h ---- */

static enum warren_status make_worker(const char *yaml)
{
    struct warren_worker_options options = {.size = sizeof options, .config_text = yaml};
    struct warren_worker *own;
    enum warren_status status = warren_worker_new(&options, &own, &w.error);

    if (status == WARREN_OK)
        warren_worker_free(own);
    return status;
}

static enum warren_status worker_stats(struct warren_worker *worker, size_t size)
{
    struct warren_worker_stats stats = {.size = size};

    return warren_worker_stats(worker, &stats);
}

static enum warren_status part_stats(struct warren_worker *worker, size_t size)
{
    struct warren_worker_stats stats = {.size = size};

    return warren_worker_subscription_stats(worker, 0, &stats);
}

static const char *free_no_worker(void)
{
    warren_worker_free(NULL);
    return "nothing";
}

/* In a child: the parent's goes on. */
static const char *free_inherited(void)
{
    warren_worker_free(w.idle);
    return of(warren_worker_stop(w.idle));
}

#define STATS sizeof(struct warren_worker_stats)

ASK(worker_new_null, of(warren_worker_new(NULL, &(struct warren_worker *){NULL}, NULL)))
ASK(worker_new_wrong, words(make_worker("consumer: {prefetch: 0}")))
ASK(worker_run_null, of(warren_worker_run(NULL)))
ASK(worker_run_here, of(warren_worker_run(w.idle)))
ASK(worker_stop_null, of(warren_worker_stop(NULL)))
ASK(worker_stop_here, of(warren_worker_stop(w.idle)))
ASK(worker_stats_null, of(worker_stats(NULL, STATS)))
ASK(worker_stats_here, of(worker_stats(w.idle, STATS)))
ASK(worker_stats_wrong, of(worker_stats(w.idle, 0)))
ASK(part_stats_null, of(part_stats(NULL, STATS)))
ASK(part_stats_here, of(part_stats(w.idle, STATS)))
ASK(part_stats_wrong, of(part_stats(w.idle, 0)))

/* ---- message.h, status.h, version.h, metrics.h ---- */

static struct warren_field field = {.name = "n", .value = {.type = WARREN_BOOL}};
static const struct warren_table table = {&field, 1};

ASK(get_null, yes(!warren_table_get(NULL, "n") && !warren_table_get(&table, NULL)))
ASK(get_here, yes(warren_table_get(&table, "n") == &field.value))
ASK(type_here, warren_type_name(WARREN_TABLE))
ASK(type_wrong, warren_type_name((enum warren_type)1))
ASK(status_here, warren_status_name(WARREN_EFULL))
ASK(status_wrong, warren_status_name((enum warren_status)7))
ASK(version_here, yes(strcmp(warren_version(), WARREN_VERSION) == 0))

static enum warren_status look_up(const char *name)
{
    const struct warren_metric metric = {
        .size = sizeof metric, .name = name, .help = "Counts.", .type = WARREN_COUNTER};

    return warren_metric_series(&metric, NULL, &w.series, &w.error);
}

static const char *count_nothing(void)
{
    warren_count(NULL, 1);
    warren_observe(NULL, 1);
    warren_set(NULL, 1);
    return "nothing";
}

static const char *count_here(void)
{
    warren_count(w.series, 1);
    warren_count(w.series, -1);
    warren_count(w.series, NAN);
    warren_observe(w.series, 1);
    warren_set(w.series, 1);
    return "counted";
}

ASK(metric_null, yes(isnan(warren_test_metric(NULL))))
ASK(metric_here, yes(warren_test_metric("own_things_total") >= 0))
ASK(series_null, of(warren_metric_series(NULL, NULL, &w.series, NULL)))
ASK(series_here, of(look_up("own_things_total")))
ASK(series_wrong, words(look_up("own things")))

/* ---- testing.h ---- */

static const struct warren_test_message delivered = {.message = {.body = {"ack", 3}}};

static enum warren_outcome always_ack(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static const struct warren_handler ack_handler = {.name = "ack", .handle = always_ack};

static enum warren_status make_test(const char *chain, struct warren_test **ret_test)
{
    const struct warren_test_options options = {
        .size = sizeof options, .bare = &ack_handler, .chain = chain};

    return warren_test_new(&options, ret_test, &w.error);
}

/* All that there is to do with a test, in whatever thread or process made it. */
static const char *test_here(void)
{
    struct warren_test *own = NULL;
    bool right;

    if (make_test("[retry, idempotency]", &own) != WARREN_OK)
        return w.error.text;
    warren_test_publishing(own, WARREN_OK, WARREN_CONFIRMED);
    warren_test_drain(own, -1);
    warren_test_advance(own, 1);
    right = warren_test_note_text(own, "a text", 6) == WARREN_OK &&
            warren_test_deliver(own, &delivered, NULL) == WARREN_OK &&
            warren_test_deliver_also(own, &delivered, NULL) == WARREN_OK &&
            warren_test_run(own)->outcome == WARREN_ACK &&
            warren_test_settle(own, 2)->outcome == WARREN_ACK &&
            warren_test_reload(own, "[retry, idempotency]", NULL) == WARREN_OK &&
            !warren_test_all_published(own, &(size_t){0}) && warren_test_text(own, "x").len == 1 &&
            warren_test_now_ms(own) == 1000001 && !warren_test_sqlite(own) &&
            strcmp(warren_test_handler(own), "test.ack") == 0;
    warren_test_free(own);
    return yes(right);
}

static const char *free_no_test(void)
{
    warren_test_free(NULL);
    return "nothing";
}

static const char *free_inherited_test(void)
{
    warren_test_free(w.test);
    return warren_test_handler(w.test);
}

static enum warren_status deliver_to(const char *exchange, bool also)
{
    const struct warren_test_message wrong = {.exchange = exchange};

    return also ? warren_test_deliver_also(w.test, &wrong, &w.error)
                : warren_test_deliver(w.test, &wrong, &w.error);
}

ASK(test_new_null, of(warren_test_new(NULL, &w.test, NULL)))
ASK(test_new_wrong, words(make_test("[retry: {max_attempts: -7}]", &(struct warren_test *){NULL})))
ASK(test_deliver_null, of(warren_test_deliver(w.test, NULL, NULL)))
ASK(test_deliver_wrong, words(deliver_to(too_long(), false)))
ASK(test_also_null, of(warren_test_deliver_also(w.test, NULL, NULL)))
ASK(test_also_wrong, words(deliver_to(too_long(), true)))
ASK(test_reload_wrong, words(warren_test_reload(w.test, "[retry: {max_attempts: -7}]", &w.error)))

/* ---- of jobs, in a child of the handler ---- */

static const char *log_line(void)
{
    warren_job_log(w.job, WARREN_LOG_DEBUG, "in a child");
    return "logged";
}

static const char *fail_here(void)
{
    warren_job_fail(w.job, "in %s", "a child");
    return warren_job_error(w.job);
}

/* Its own to set, in a copy. */
static const char *set_all(void)
{
    struct warren_recovery recovery;

    warren_job_retry_after(w.job, 5);
    warren_job_forgive(w.job);
    warren_job_duplicate(w.job);
    warren_job_reason(w.job, "odd");
    warren_job_hold_max(w.job, 7);
    warren_job_limit(w.job, INT64_MAX);
    warren_job_hard_limit(w.job, INT64_MAX);
    warren_job_set_trace(w.job, "00-1", NULL);
    warren_job_guard(w.job, &recovery);
    warren_job_unguard(w.job, &recovery);
    return yes(warren_job_retry_delay_ms(w.job) == 5 && warren_job_forgiven(w.job) &&
               warren_job_is_duplicate(w.job) &&
               strcmp(warren_job_traceparent(w.job), "00-1") == 0);
}

static const char *panic_here(void)
{
    struct warren_recovery recovery;

    warren_job_guard(w.job, &recovery);
    if (setjmp(recovery.at) == 0)
        warren_panic(w.job, "%s", "too much");
    return warren_job_error(w.job);
}

static const char *job_publish_wrong(void)
{
    return warren_job_publish(w.job, too_long(), "", &message) == WARREN_EINVAL
               ? warren_job_error(w.job)
               : "it was taken";
}

static const char *job_after_wrong(void)
{
    return warren_job_publish_after(w.job, "", too_long(), &message, 1000) == WARREN_EINVAL
               ? warren_job_error(w.job)
               : "it was taken";
}

static const char *job_reply_wrong(void)
{
    struct warren_message reply = {.properties.content_type = too_long()};

    return warren_job_reply(w.job, &reply) == WARREN_EINVAL ? warren_job_error(w.job)
                                                            : "it was taken";
}

static const char *options_here(void)
{
    size_t count = 0;
    const char *const *list = warren_options_list(w.info->options, "list", &count);

    return yes(warren_options_bool(w.info->options, "bool") &&
               warren_options_int(w.info->options, "int") == 7 && count == 1 &&
               strcmp(list[0], "one") == 0 &&
               strcmp(warren_options_text(w.info->options, "text"), "words") == 0);
}

static const char *passage_here(void)
{
    warren_passage_go(w.passage);
    warren_passage_settle(w.passage, WARREN_REJECT);
    warren_passage_retry(w.passage, 1);
    return "nothing";
}

ASK(job_publish_null, of(warren_job_publish(w.job, "", "q", NULL)))
ASK(job_publish_here, of(warren_job_publish(w.job, "", Q, &message)))
ASK(job_after_null, of(warren_job_publish_after(w.job, "", "q", NULL, 5)))
ASK(job_after_here, of(warren_job_publish_after(w.job, "", Q, &message, 5000)))
ASK(job_reply_null, of(warren_job_reply(w.job, NULL)))
ASK(job_reply_here, of(warren_job_reply(w.job, &message)))
ASK(acquire_null, of(warren_job_acquire(w.job, NULL, 1, 0)))
ASK(acquire_here, of(warren_job_acquire(w.job, "db", 1, 0)))
ASK(acquire_wrong, (warren_job_acquire(w.job, "dbb", 1, 0), warren_job_error(w.job)))
ASK(release_null, of(warren_job_release(w.job, NULL, 1)))
ASK(release_here, of(warren_job_release(w.job, "db", 1)))
ASK(release_wrong, (warren_job_release(w.job, "db", 1), warren_job_error(w.job)))

static enum warren_status do_nothing(struct warren_group_call *call, void *user)
{
    (void)call;
    (void)user;
    return WARREN_OK;
}

static struct warren_group *some_group;

static const char *cancel_group(struct warren_group *group)
{
    warren_group_cancel(group);
    return "nothing";
}

static const char *failures_of(const struct warren_group *group)
{
    size_t count = 1;

    return yes(!warren_group_failures(group, &count) && count == 0);
}

ASK(group_null, of(warren_group_new(w.job, 1, WARREN_GROUP_FIRST, NULL)))
ASK(group_here, of(warren_group_new(w.job, 1, WARREN_GROUP_FIRST, &some_group)))
ASK(within_null, of(warren_group_within(NULL, 1, WARREN_GROUP_FIRST, &some_group)))
ASK(group_run_null, of(warren_group_run(w.group, NULL, NULL)))
ASK(group_run_here, of(warren_group_run(w.group, do_nothing, NULL)))
ASK(group_wait_null, of(warren_group_wait(NULL)))
ASK(group_wait_here, of(warren_group_wait(w.group)))
ASK(group_cancel_null, cancel_group(NULL))
ASK(group_cancel_here, cancel_group(w.group))
ASK(failures_null, failures_of(NULL))
ASK(failures_here, failures_of(w.group))
ASK(body_here, yes(warren_job_body(w.job).len == 4))
ASK(properties_here, warren_job_properties(w.job)->reply_to)
ASK(text_here, yes(warren_job_text(w.job, "two").len == 3 && !warren_job_text(w.job, NULL).data))
ASK(header_here, yes(warren_job_header(w.job, "n") && !warren_job_header(w.job, "m")))
ASK(queue_here, yes(strcmp(warren_job_queue(w.job), Q) == 0))
ASK(exchange_here, yes(*warren_job_exchange(w.job) == '\0'))
ASK(routing_key_here, yes(strcmp(warren_job_routing_key(w.job), Q) == 0))
ASK(redelivered_here, yes(warren_job_redelivered(w.job)))
ASK(attempt_here, yes(warren_job_attempt(w.job) == 1))
ASK(time_left_here, yes(warren_job_time_left_ms(w.job) == INT64_MAX))
ASK(elapsed_here, yes(warren_job_elapsed_us(w.job) >= 0))
ASK(alloc_here, yes(warren_job_alloc(w.job, 100) != NULL))
ASK(cancelled_here, yes(warren_job_cancelled(w.job)))
ASK(cancel_fd_here, yes(warren_job_cancel_fd(w.job) >= 0))
ASK(first_here, yes(warren_job_first_ms(w.job) > 0))
ASK(seed_here, yes(warren_job_seed(w.job) == warren_job_seed(w.job)))
ASK(now_here, yes(warren_job_now_ms(w.job) > 0))
ASK(batched_here, yes(warren_job_batched(w.job) == 0))
ASK(mark_here, yes(warren_job_mark(w.job, w.next) == &w))
ASK(key_here, yes(warren_job_key(w.job).len == 3))
ASK(sqlite_here, yes(warren_job_sqlite(w.job) != NULL))
ASK(sqlite_info_null, yes(warren_subscription_sqlite(NULL) != NULL))
ASK(outcome_here, warren_outcome_name(WARREN_RETRY))
ASK(outcome_wrong, warren_outcome_name((enum warren_outcome)99))

/* ---- the table ---- */

/* clang-format off */
#define SAYS(text)    {NULL, text}
#define NO_NULL       SAYS("") /* it takes no pointer */
#define NO_WORDS      SAYS("") /* there is nothing to be wrong, or no place for words */
#define NO_JOB        SAYS("In a receipt's callback there is no job")
#define NULL_JOB      SAYS("NULL in place of a job, its options or its info is not looked for")
#define NULL_PASSAGE  SAYS("NULL in place of a job or a passage is not looked for")
#define NULL_CALL       SAYS("NULL in place of a call is not looked for")
#define CLOSED_IN_CHILD SAYS("fork(2): in a child WARREN_ECLOSED, and nothing happens")
#define NULL_TEST     SAYS("NULL in place of a struct warren_test is not looked for")
#define INHERITED     SAYS("In a child of fork(2) a test is not to be used")
#define LONG_CALL                                                                                  \
    SAYS("In a receipt's callback warren_worker_stop() and the statistics may be called")

#define JOB(name, child, answer) {name, NULL_JOB, NO_JOB, {child, answer}, NO_WORDS}
#define OWN_JOB(name, child, answer) {name, NULL_PASSAGE, NO_JOB, {child, answer}, NO_WORDS}
#define NAME(name, here, answer, wrong)                                                            \
    {name, NO_NULL, {here, answer}, {here, answer}, {wrong, "unknown"}}
#define BATCH(name)                                                                                \
    {name, SAYS("NULL in place of a batch is not looked for"), NO_JOB,                             \
     SAYS("a child can read the batch; warren_batch_set() answers WARREN_ECLOSED"), NO_WORDS}
#define TEST_OF(name) {name, NULL_TEST, {test_here, "yes"}, INHERITED, NO_WORDS}

static const struct row rows[] = {
    /* publisher.h */
    {"warren_publisher_options_init", {init_nothing, "nothing"}, {init_options, "yes"},
     {init_options, "yes"}, NO_WORDS},
    {"warren_publisher_new", {new_null, "invalid"}, {new_here, "ok"}, {new_here, "ok"},
     {new_wrong, "window_messages"}},
    {"warren_publisher_wait_connected", {connected_null, "invalid"}, {connected, "invalid"},
     {connected, "closed"}, NO_WORDS},
    {"warren_publisher_publish", {publish_null, "invalid"}, {publishes_rightly, "ok"},
     {publishes_rightly, "closed"}, {publish_wrong, "routing key"}},
    {"warren_publisher_publish_wait", {wait_null, "invalid"}, {wait_here, "invalid"},
     {wait_here, "closed"}, {wait_wrong, "routing key"}},
    {"warren_publisher_publish_after", {after_null, "invalid"}, {after_here, "ok"},
     {after_here, "closed"}, {after_wrong, "routing key"}},
    {"warren_publisher_flush", {flush_null, "invalid"}, {flush_here, "invalid"},
     {flush_here, "closed"}, SAYS("There is no error in words, for each status has one reason")},
    {"warren_publisher_declare", {declare_null, "invalid"}, {declare_here, "invalid"},
     {declare_here, "closed"}, {declare_wrong, "type"}},
    {"warren_reply_free", {free_nothing, "nothing"}, {free_nothing, "nothing"},
     {free_nothing, "nothing"}, NO_WORDS},
    {"warren_reply_text", {reply_text_null, "yes"}, {reply_text_here, "yes"},
     {reply_text_here, "yes"}, NO_WORDS},
    {"warren_publisher_request_async", {async_null, "invalid"}, {async_here, "ok"},
     {async_here, "closed"}, {async_wrong, "routing key"}},
    {"warren_publisher_request", {request_null, "invalid"}, {request_here, "invalid"},
     {request_here, "closed"}, {request_wrong, "routing key"}},
    {"warren_publisher_set_rate", {rate_null, "invalid"}, {rate_here, "ok"}, {rate_here, "closed"},
     {rate_wrong, "burst"}},
    {"warren_publisher_stats", {stats_null, "none"}, {stats_here, "some"}, {stats_here, "none"},
     NO_WORDS},
    {"warren_publisher_close", {close_null, "ok"}, {close_here, "invalid"}, {close_here, "closed"},
     NO_WORDS},
    NAME("warren_result_name", result_here, "returned", result_wrong),
    /* worker.h */
    {"warren_worker_new", {worker_new_null, "invalid"}, LONG_CALL,
     SAYS("It may make a worker of its own"), {worker_new_wrong, "prefetch"}},
    {"warren_worker_run", {worker_run_null, "invalid"}, LONG_CALL, {worker_run_here, "closed"},
     NO_WORDS},
    {"warren_worker_stop", {worker_stop_null, "invalid"}, {worker_stop_here, "ok"},
     {worker_stop_here, "closed"}, NO_WORDS},
    {"warren_worker_stats", {worker_stats_null, "invalid"}, {worker_stats_here, "ok"},
     {worker_stats_here, "closed"}, {worker_stats_wrong, "invalid"}},
    {"warren_worker_subscription_stats", {part_stats_null, "invalid"}, {part_stats_here, "ok"},
     {part_stats_here, "closed"}, {part_stats_wrong, "invalid"}},
    {"warren_worker_free", {free_no_worker, "nothing"}, LONG_CALL, {free_inherited, "closed"},
     NO_WORDS},
    /* message.h, status.h, version.h */
    {"warren_table_get", {get_null, "yes"}, {get_here, "yes"}, {get_here, "yes"}, NO_WORDS},
    NAME("warren_type_name", type_here, "table", type_wrong),
    NAME("warren_status_name", status_here, "full", status_wrong),
    {"warren_version", NO_NULL, {version_here, "yes"}, {version_here, "yes"}, NO_WORDS},
    NAME("warren_outcome_name", outcome_here, "retry", outcome_wrong),
    /* metrics.h */
    {"warren_metric_series", {series_null, "invalid"}, {series_here, "ok"}, {series_here, "ok"},
     {series_wrong, "own things"}},
    {"warren_count", {count_nothing, "nothing"}, {count_here, "counted"}, {count_here, "counted"},
     NO_WORDS},
    {"warren_observe", {count_nothing, "nothing"}, {count_here, "counted"},
     {count_here, "counted"}, NO_WORDS},
    {"warren_set", {count_nothing, "nothing"}, {count_here, "counted"}, {count_here, "counted"},
     NO_WORDS},
    /* testing.h */
    {"warren_test_new", {test_new_null, "invalid"}, {test_here, "yes"}, {test_here, "yes"},
     {test_new_wrong, "max_attempts"}},
    {"warren_test_deliver", {test_deliver_null, "invalid"}, {test_here, "yes"}, INHERITED,
     {test_deliver_wrong, "exchange"}},
    {"warren_test_deliver_also", {test_also_null, "invalid"}, {test_here, "yes"}, INHERITED,
     {test_also_wrong, "exchange"}},
    {"warren_test_reload", NULL_TEST, {test_here, "yes"}, INHERITED,
     {test_reload_wrong, "max_attempts"}},
    {"warren_test_free", {free_no_test, "nothing"}, {test_here, "yes"},
     {free_inherited_test, "test.ack"}, NO_WORDS},
    TEST_OF("warren_test_handler"),
    TEST_OF("warren_test_note_text"),
    TEST_OF("warren_test_run"),
    TEST_OF("warren_test_run_batch"),
    TEST_OF("warren_test_settle"),
    TEST_OF("warren_test_publishing"),
    TEST_OF("warren_test_all_published"),
    TEST_OF("warren_test_text"),
    TEST_OF("warren_test_now_ms"),
    TEST_OF("warren_test_advance"),
    TEST_OF("warren_test_drain"),
    {"warren_test_metric", {metric_null, "yes"}, {metric_here, "yes"}, {metric_here, "yes"},
     NO_WORDS},
    {"warren_test_sqlite", SAYS("NULL in place of a test or a job is not looked for"),
     {test_here, "yes"}, SAYS("nor is it for a child of fork(2)"), NO_WORDS},
    /* handler.h: below, all that has a job to be tried with */
    JOB("warren_options_bool", options_here, "yes"),
    JOB("warren_options_int", options_here, "yes"),
    JOB("warren_options_text", options_here, "yes"),
    JOB("warren_options_list", options_here, "yes"),
    JOB("warren_job_body", body_here, "yes"),
    JOB("warren_job_properties", properties_here, "answers"),
    JOB("warren_job_text", text_here, "yes"),
    JOB("warren_job_header", header_here, "yes"),
    JOB("warren_job_queue", queue_here, "yes"),
    JOB("warren_job_exchange", exchange_here, "yes"),
    JOB("warren_job_routing_key", routing_key_here, "yes"),
    JOB("warren_job_redelivered", redelivered_here, "no"),
    JOB("warren_job_attempt", attempt_here, "yes"),
    JOB("warren_job_time_left_ms", time_left_here, "yes"),
    JOB("warren_job_elapsed_us", elapsed_here, "yes"),
    JOB("warren_job_alloc", alloc_here, "yes"),
    JOB("warren_job_fail", fail_here, "in a child"),
    JOB("warren_job_error", fail_here, "in a child"),
    JOB("warren_panic", panic_here, "too much"),
    JOB("warren_job_retry_after", set_all, "yes"),
    JOB("warren_job_cancelled", cancelled_here, "no"),
    JOB("warren_job_cancel_fd", cancel_fd_here, "no"),
    JOB("warren_job_log", log_line, "logged"),
    {"warren_job_publish", {job_publish_null, "invalid"}, NO_JOB, {job_publish_here, "closed"},
     {job_publish_wrong, "exchange"}},
    {"warren_job_publish_after", {job_after_null, "invalid"}, NO_JOB, {job_after_here, "closed"},
     {job_after_wrong, "routing key"}},
    {"warren_job_reply", {job_reply_null, "invalid"}, NO_JOB, {job_reply_here, "closed"},
     {job_reply_wrong, "content_type"}},
    {"warren_job_acquire", {acquire_null, "invalid"}, NO_JOB, {acquire_here, "closed"},
     {acquire_wrong, "did you mean 'db'?"}},
    {"warren_job_release", {release_null, "invalid"}, NO_JOB, {release_here, "closed"},
     {release_wrong, "of semaphore db"}},
    /* group.h */
    {"warren_group_new", {group_null, "invalid"}, NO_JOB, {group_here, "closed"}, NO_WORDS},
    {"warren_group_within", {within_null, "invalid"}, NO_JOB, CLOSED_IN_CHILD, NO_WORDS},
    {"warren_group_run", {group_run_null, "invalid"}, NO_JOB, {group_run_here, "closed"}, NO_WORDS},
    {"warren_group_wait", {group_wait_null, "invalid"}, NO_JOB, {group_wait_here, "closed"},
     NO_WORDS},
    {"warren_group_cancel", {group_cancel_null, "nothing"}, NO_JOB, {group_cancel_here, "nothing"},
     NO_WORDS},
    {"warren_group_failures", {failures_null, "yes"}, NO_JOB, {failures_here, "yes"}, NO_WORDS},
    {"warren_group_cancelled", NULL_CALL, NO_JOB, CLOSED_IN_CHILD, NO_WORDS},
    {"warren_group_time_left_ms", NULL_CALL, NO_JOB, CLOSED_IN_CHILD, NO_WORDS},
    {"warren_group_fail", NULL_CALL, NO_JOB, CLOSED_IN_CHILD, NO_WORDS},
    /* batch.h */
    BATCH("warren_batch_count"),
    BATCH("warren_batch_job"),
    BATCH("warren_batch_set"),
    BATCH("warren_batch_time_left_ms"),
    BATCH("warren_batch_cancelled"),
    /* middleware.h */
    OWN_JOB("warren_passage_go", passage_here, "nothing"),
    OWN_JOB("warren_passage_settle", passage_here, "nothing"),
    OWN_JOB("warren_passage_retry", passage_here, "nothing"),
    OWN_JOB("warren_job_retry_delay_ms", set_all, "yes"),
    OWN_JOB("warren_job_batched", batched_here, "yes"),
    OWN_JOB("warren_job_forgive", set_all, "yes"),
    OWN_JOB("warren_job_forgiven", set_all, "yes"),
    OWN_JOB("warren_job_duplicate", set_all, "yes"),
    OWN_JOB("warren_job_is_duplicate", set_all, "yes"),
    OWN_JOB("warren_job_reason", set_all, "yes"),
    OWN_JOB("warren_job_hold_max", set_all, "yes"),
    OWN_JOB("warren_job_first_ms", first_here, "yes"),
    OWN_JOB("warren_job_seed", seed_here, "yes"),
    OWN_JOB("warren_job_limit", set_all, "yes"),
    OWN_JOB("warren_job_hard_limit", set_all, "yes"),
    OWN_JOB("warren_job_now_ms", now_here, "yes"),
    OWN_JOB("warren_job_mark", mark_here, "yes"),
    OWN_JOB("warren_job_key", key_here, "yes"),
    OWN_JOB("warren_job_guard", set_all, "yes"),
    OWN_JOB("warren_job_unguard", set_all, "yes"),
    OWN_JOB("warren_job_set_trace", set_all, "yes"),
    OWN_JOB("warren_job_traceparent", set_all, "yes"),
    /* sqlite.h */
    {"warren_job_sqlite", SAYS("NULL in place of a test or a job is not looked for"), NO_JOB,
     {sqlite_here, "no"}, NO_WORDS},
    {"warren_subscription_sqlite", {sqlite_info_null, "no"}, NO_JOB,
     SAYS("nor is it for a child of fork(2)"), NO_WORDS},
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof *rows)

/* ---- asking ---- */

static bool has_answered(const char *name, const char *where, const struct ask *ask,
                         const char *answer, bool in_part)
{
    if (in_part ? strstr(answer, ask->answer) != NULL : strcmp(answer, ask->answer) == 0)
        return true;
    fprintf(stderr, "%s() %s: '%s', expected '%s'\n", name, where, answer, ask->answer);
    return false;
}

static bool ask(const char *name, const char *where, const struct ask *ask, bool in_part)
{
    return !ask->call || has_answered(name, where, ask, ask->call(), in_part);
}

/* In a child of this thread. */
static bool ask_child(const char *name, const struct ask *what)
{
    int status = -1;
    pid_t child;

    if (!what->call)
        return true;
#ifdef __SANITIZE_THREAD__ /* allows no threads in a child */
    if (what->call == new_here || what->call == test_here)
        return true;
#endif
    child = fork();
    if (child == 0) {
        alarm((unsigned)(PATIENCE_MS / 1000));
        _exit(ask(name, "in a child", what, false) ? 0 : 1);
    }
    if (waitpid(child, &status, 0) == child && status == 0)
        return true;
    fprintf(stderr, "%s() in a child: it ended with %d\n", name, status);
    return false;
}

static bool needs_job(const struct row *row)
{
    return strncmp(row->name, "warren_job_", 11) == 0 || strcmp(row->name, "warren_panic") == 0 ||
           strncmp(row->name, "warren_options_", 15) == 0 ||
           strncmp(row->name, "warren_group_", 13) == 0 ||
           strncmp(row->name, "warren_passage_", 15) == 0;
}

/* ---- the headers ---- */

/* All headers in one text, each comment's stars and each row of blanks one blank. */
static char *read_headers(void)
{
    char *all = calloc(1, 1 << 20);
    DIR *directory = opendir(WARREN_SOURCE_DIR "/include/warren");
    const struct dirent *entry;
    size_t len = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        char *path = text("%s/include/warren/%s", WARREN_SOURCE_DIR, entry->d_name);
        size_t name_len = strlen(entry->d_name);
        char *header = name_len > 2 && strcmp(entry->d_name + name_len - 2, ".h") == 0
                           ? read_file(path, NULL)
                           : NULL;

        for (const char *at = header; at && *at; at++) {
            bool blank = isspace((unsigned char)*at) || (*at == '*' && at[-1] == ' ');

            if (!blank || (len > 0 && all[len - 1] != ' '))
                all[len++] = blank ? ' ' : *at;
        }
        free(header);
        free(path);
    }
    closedir(directory);
    return all;
}

static const struct row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

/* What the macro WARREN_PLUGIN() declares is a plugin's. */
static void each_function_is_here(void **state)
{
    char *headers = read_headers();
    size_t found = 0;

    (void)state;
    for (const char *at = headers; (at = strstr(at, " WARREN_API ")); at++) {
        const char *end = strchr(at, '(');
        const char *name = end;

        while (isalnum((unsigned char)name[-1]) || name[-1] == '_')
            name--;
        if (strncmp(name, "warren_", 7) != 0 || strncmp(name, "warren_plugin_entry", 19) == 0)
            continue;
        found++;
        if (!find_row(name, (size_t)(end - name)))
            fail_msg("%.*s() is in no row of this test", (int)(end - name), name);
    }
    assert_int_equal(found, ROWS);
    free(headers);
}

static void assert_said(const char *headers, const struct row *row, const struct ask *ask)
{
    if (!ask->call && !strstr(headers, ask->answer))
        fail_msg("of %s() no header says: %s", row->name, ask->answer);
}

static void what_cannot_be_tried_is_said(void **state)
{
    char *headers = read_headers();

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_said(headers, &rows[i], &rows[i].null);
        assert_said(headers, &rows[i], &rows[i].callback);
        assert_said(headers, &rows[i], &rows[i].child);
        assert_said(headers, &rows[i], &rows[i].wrong);
    }
    free(headers);
}

/* ---- without a job ---- */

static void each_knows_null_and_what_is_wrong(void **state)
{
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        if (needs_job(&rows[i]))
            continue;
        failures += !ask(rows[i].name, "with NULL", &rows[i].null, false);
        failures += !ask(rows[i].name, "with a wrong field", &rows[i].wrong, true);
    }
    assert_int_equal(failures, 0);
}

static void each_in_a_child(void **state)
{
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        if (!needs_job(&rows[i]))
            failures += !ask_child(rows[i].name, &rows[i].child);
    assert_int_equal(failures, 0);
}

static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    (void)receipt;
    (void)user;
    for (size_t i = 0; i < ROWS; i++)
        if (!ask(rows[i].name, "in a callback", &rows[i].callback, false))
            w.failures++;
}

static void each_in_a_callback(void **state)
{
    struct warren_publish what = publish_to(w.fixture->queue);

    (void)state;
    assert_int_equal(warren_publisher_publish(w.publisher, &what, on_receipt, NULL, NULL),
                     WARREN_OK);
    assert_int_equal(warren_publisher_flush(w.publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    assert_int_equal(w.failures, 0);
}

/* ---- with a job ---- */

static const struct warren_option options[] = {
    {"bool", WARREN_OPTION_BOOL, "true", 0, 0, NULL, "One."},
    {"int", WARREN_OPTION_INT, "7", 0, 0, NULL, "One."},
    {"text", WARREN_OPTION_STRING, "words", 0, 0, NULL, "One."},
    {"list", WARREN_OPTION_LIST, "one", 0, 0, NULL, "One."},
    {0}};

static enum warren_status keep_info(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)state;
    (void)error;
    w.info = info;
    return WARREN_OK;
}

static struct warren_bytes key_of(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return warren_text("key");
}

static bool look_ahead(struct warren_job *job, struct warren_passage *passage, void *state,
                       void **ret_mark)
{
    (void)job;
    (void)state;
    w.passage = passage;
    *ret_mark = &w;
    return true;
}

static bool look_behind(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                        void *state)
{
    (void)passage;
    (void)mark;
    (void)state;
    if (outcome == WARREN_ACK)
        w.handled = true;
    return true;
}

static enum warren_outcome keep_link(struct warren_job *job, const struct warren_link *next,
                                     void *state)
{
    (void)state;
    w.next = next;
    return warren_next(job, next);
}

/* The parent's own answers come last, for a refused publish is remembered. */
static enum warren_outcome ask_all(struct warren_job *job, void *state)
{
    (void)state;
    w.job = job;
    if (warren_group_new(job, 1, WARREN_GROUP_FIRST, &w.group) != WARREN_OK)
        return WARREN_REJECT;
    for (size_t i = 0; i < ROWS; i++) {
        if (!needs_job(&rows[i]))
            continue;
        w.children += rows[i].child.call != NULL;
        w.failures += !ask_child(rows[i].name, &rows[i].child);
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (!needs_job(&rows[i]))
            continue;
        w.failures += !ask(rows[i].name, "with NULL", &rows[i].null, false);
        w.failures += !ask(rows[i].name, "with a wrong field", &rows[i].wrong, true);
    }
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "all",
                                                  .options = options,
                                                  .open = keep_info,
                                                  .handle = ask_all,
                                                  .key = key_of,
                                                  .transactional = true},
                                                 {0}};
static const struct warren_middleware middlewares[] = {
    {.name = "look", .before = look_ahead, .after = look_behind, .call = keep_link}, {0}};

static struct warren_worker *new_worker(const char *chain)
{
    const struct warren_plugin plugin =
        WARREN_PLUGIN_INIT(.name = "ask", .handlers = handlers, WARREN_MIDDLEWARES(middlewares));
    const struct warren_plugin *const plugins[] = {&plugin};
    struct warren_worker_options with = {
        .size = sizeof with, .plugins = plugins, .plugin_count = 1};
    struct warren_worker *worker;
    char *yaml = text("broker: {uri: '%s'}\n"
                      "store: {path: '%s/store.db'}\n"
                      "log: {level: error}\n"
                      "semaphores: {db: 1}\n"
                      "subscriptions: [{queue: %s, handler: ask.all, middleware: [%s]}]\n",
                      w.fixture->broker->uri, w.fixture->directory, w.fixture->queue, chain);

    with.config_text = yaml;
    if (warren_worker_new(&with, &worker, &w.error) != WARREN_OK)
        fail_msg("%s", w.error.text);
    free(yaml);
    return worker;
}

static void *run_worker(void *worker)
{
    return (void *)(intptr_t)warren_worker_run(worker);
}

static void publish_request(void)
{
    const struct warren_field header = warren_field_i64("n", 1);
    const struct warren_message asked = {
        .properties = {.reply_to = "answers", .headers = {&header, 1}}, .body = {"body", 4}};
    const struct warren_publish what = {.routing_key = w.fixture->queue, .message = &asked};
    enum warren_result result;

    assert_int_equal(warren_publisher_publish_wait(w.publisher, &what, &result, NULL), WARREN_OK);
    assert_int_equal(result, WARREN_CONFIRMED);
}

/* A child that the handler forked has a copy of the job, and touches nothing of the parent's. */
static void each_with_a_job(void **state)
{
    struct warren_worker *worker = new_worker("ask.look, idempotency: {key: handler}, recover");
    pthread_t thread;
    void *status;

    (void)state;
    publish_request();
    assert_int_equal(pthread_create(&thread, NULL, run_worker, worker), 0);
    assert_true(WAIT_FOR(w.handled, PATIENCE_MS));
    assert_int_equal(warren_worker_stop(worker), WARREN_OK);
    pthread_join(thread, &status);
    assert_int_equal((intptr_t)status, WARREN_OK);
    warren_worker_free(worker);
    assert_true(w.children > 40);
    assert_int_equal(w.failures, 0);
}

/* ---- life ---- */

static int setup(void **state)
{
    *state = "quorum";
    fixture_setup(state);
    memset(&w, 0, sizeof w);
    w.fixture = *state;
    w.publisher = w.fixture->publisher = publisher_open(w.fixture->broker->uri, NULL);
    assert_int_equal(look_up("own_things_total"), WARREN_OK);
    return make_test("[]", &w.test) == WARREN_OK ? 0 : -1;
}

static int setup_idle(void **state)
{
    int made = setup(state);

    w.idle = new_worker("idempotency");
    return made;
}

static int teardown(void **state)
{
    warren_worker_free(w.idle);
    warren_test_free(w.test);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_function_is_here),
        cmocka_unit_test(what_cannot_be_tried_is_said),
        cmocka_unit_test_setup_teardown(each_knows_null_and_what_is_wrong, setup_idle, teardown),
        cmocka_unit_test_setup_teardown(each_in_a_callback, setup_idle, teardown),
        cmocka_unit_test_setup_teardown(each_in_a_child, setup_idle, teardown),
        cmocka_unit_test_setup_teardown(each_with_a_job, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
