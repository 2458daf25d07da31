/* test_testing.c - <warren/testing.h>: what a user's unit test may ask of a handler. */
#include <math.h>
#include <poll.h>
#include <unistd.h>

#include <warren/metrics.h>
#include <warren/middleware.h>
#include <warren/testing.h>

#include "base/log.h"
#include "support/test.h"

/* ---- the plugin under test ---- */

/* That of the running test: its clock is put forward by handlers. */
static struct warren_test *test;

static const struct warren_option script_options[] = {
    {"word", WARREN_OPTION_STRING, "none", 0, 0, NULL, "Is said as error."},
    {"fail_first", WARREN_OPTION_INT, "0", 0, 1000, NULL, "So many attempts are retried first."},
    {"words", WARREN_OPTION_LIST, "", 0, 0, NULL, "Joined, they are said as error."},
    {0}};

struct script {
    const struct warren_options *options;
    unsigned opened;
};

static unsigned now_open;

static enum warren_status script_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    struct script *script = calloc(1, sizeof *script);

    if (strcmp(warren_options_text(info->options, "word"), "refuse") == 0) {
        snprintf(error->text, sizeof error->text, "it was told to refuse");
        free(script);
        return WARREN_EIO;
    }
    script->options = info->options;
    *state = script;
    now_open++;
    return WARREN_OK;
}

static void script_close(void *state)
{
    now_open--;
    free(state);
}

static bool says(struct warren_job *job, const char *word)
{
    struct warren_bytes body = warren_job_body(job);

    return body.len == strlen(word) && memcmp(body.data, word, body.len) == 0;
}

static enum warren_outcome publish_two(struct warren_job *job)
{
    char body[] = "first";
    struct warren_field header = warren_field_i64("n", INT64_MIN);
    struct warren_message message = {.properties = {.headers = {&header, 1}, .type = "t"},
                                     .body = warren_text(body)};

    if (warren_job_publish(job, "ex", "k.1", &message) != WARREN_OK) {
        warren_job_fail(job, "cannot publish");
        return WARREN_RETRY;
    }
    memset(body, 'x', sizeof body - 1); /* it was copied */
    message.body = warren_text("second");
    return warren_job_publish_after(job, "", "k.2", &message, 60000) == WARREN_OK ? WARREN_ACK
                                                                                  : WARREN_RETRY;
}

/* Waits for half a minute of the test's clock. */
static enum warren_outcome wait_long(struct warren_job *job)
{
    struct pollfd end = {.fd = warren_job_cancel_fd(job), .events = POLLIN};
    bool before = warren_job_cancelled(job) || poll(&end, 1, 0) != 0;

    warren_test_advance(test, 30000);
    warren_job_fail(job, "%s, %s, %s", before ? "early" : "in time",
                    warren_job_cancelled(job) ? "cancelled" : "free",
                    poll(&end, 1, 10000) == 1 ? "readable" : "silent");
    return WARREN_RETRY;
}

static enum warren_outcome tell_all(struct warren_job *job)
{
    const struct warren_value *tenant = warren_job_header(job, "tenant");

    warren_job_fail(job, "%s %s %s %s %.*s %d", warren_job_queue(job), warren_job_exchange(job),
                    warren_job_routing_key(job), warren_job_properties(job)->message_id,
                    (int)tenant->as.bytes.len, (const char *)tenant->as.bytes.data,
                    warren_job_redelivered(job));
    return WARREN_DISCARD;
}

/* All that came goes on, by the pointers that were given. */
static enum warren_outcome pass_on(struct warren_job *job)
{
    const struct warren_message message = {.properties = *warren_job_properties(job)};

    return warren_job_publish(job, warren_job_exchange(job), warren_job_routing_key(job),
                              &message) == WARREN_OK
               ? WARREN_ACK
               : WARREN_REJECT;
}

static void say(struct warren_job *job, const struct warren_options *options)
{
    size_t count;
    const char *const *words = warren_options_list(options, "words", &count);

    warren_job_fail(job, "%s", warren_options_text(options, "word"));
    for (size_t i = 0; i < count; i++)
        warren_job_fail(job, "%s+%s", warren_job_error(job), words[i]);
}

static const double bounds[] = {10, 100};
static const struct warren_metric charged = {
    .size = sizeof charged,
    .name = "shop_charged_total",
    .help = "Payments by currency.",
    .type = WARREN_COUNTER,
    .labels = (const char *const[]){"currency", NULL},
};
static const struct warren_metric amounts = {
    .size = sizeof amounts,
    .name = "shop_amount_euros",
    .help = "Amounts.",
    .type = WARREN_HISTOGRAM,
    .bounds = bounds,
    .bound_count = 2,
};

/* As a handler counts its own. */
static enum warren_outcome count(struct warren_job *job)
{
    struct warren_series *series[2];

    if (warren_metric_series(&charged, (const char *const[]){"EUR", NULL}, &series[0], NULL) !=
            WARREN_OK ||
        warren_metric_series(&amounts, NULL, &series[1], NULL) != WARREN_OK)
        return WARREN_REJECT;
    warren_count(series[0], 1);
    warren_observe(series[1], 12.5);
    warren_job_fail(job, "counted");
    return WARREN_ACK;
}

static enum warren_outcome answer(struct warren_job *job, void *state)
{
    const struct script *script = state;
    struct warren_message reply = {.body = warren_text("pong")};

    if (says(job, "publish"))
        return publish_two(job);
    if (says(job, "count"))
        return count(job);
    if (says(job, "ping"))
        return warren_job_reply(job, &reply) == WARREN_OK ? WARREN_ACK : WARREN_REJECT;
    if (says(job, "pass on"))
        return pass_on(job);
    if (says(job, "panic"))
        warren_panic(job, "it is too much");
    if (says(job, "wait"))
        return wait_long(job);
    if (says(job, "tell"))
        return tell_all(job);
    if (says(job, "later"))
        warren_job_retry_after(job, 3600000);
    if (says(job, "requeue"))
        return WARREN_REQUEUE;
    say(job, script->options);
    if (says(job, "later") || says(job, "fail") ||
        warren_job_attempt(job) <= warren_options_int(script->options, "fail_first"))
        return WARREN_RETRY;
    return says(job, "reject") ? WARREN_REJECT : WARREN_ACK;
}

static enum warren_outcome simple(struct warren_job *job, void *state)
{
    (void)state;
    return says(job, "") ? WARREN_REJECT : WARREN_ACK;
}

/* A middleware of the user's: turns REJECT into DISCARD. */
static enum warren_outcome soften(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    enum warren_outcome outcome = warren_next(job, next);

    (void)state;
    return outcome == WARREN_REJECT ? WARREN_DISCARD : outcome;
}

static uint32_t never(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    (void)state;
    (void)want;
    (void)now_ms;
    *ret_retry_ms = 86400000;
    return 0;
}

static const struct warren_handler handlers[] = {{.name = "script",
                                                  .options = script_options,
                                                  .open = script_open,
                                                  .handle = answer,
                                                  .close = script_close},
                                                 {.name = "simple", .handle = simple},
                                                 {0}};

static const struct warren_middleware middlewares[] = {
    {.name = "soften", .call = soften}, {.name = "closed", .may = never}, {0}};

WARREN_PLUGIN(.name = "t", .version = "1", .handlers = handlers, WARREN_MIDDLEWARES(middlewares))

/* ---- helpers ---- */

static struct warren_error error;

static struct warren_test_options script(const char *chain)
{
    return (struct warren_test_options){.size = sizeof(struct warren_test_options),
                                        .plugin = warren_plugin_entry(),
                                        .handler = "script",
                                        .chain = chain,
                                        .seed = 42};
}

static void open_test(const struct warren_test_options *options)
{
    if (warren_test_new(options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void open_script(const char *chain)
{
    struct warren_test_options options = script(chain);

    open_test(&options);
}

/* These are refused, with this whole text. */
static void assert_refused(const struct warren_test_options *options, enum warren_status status,
                           const char *text)
{
    memset(&error, 0, sizeof error);
    assert_int_equal(warren_test_new(options, &test, &error), status);
    assert_string_equal(error.text, text);
    assert_int_equal(now_open, 0);
}

static void deliver(const char *body)
{
    struct warren_test_message message = {.message = {.body = warren_text(body)}};

    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
}

static int quiet(void **state)
{
    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return now_open == 0 ? 0 : -1;
}

/* ---- one attempt ---- */

static void a_handler_answers(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script(NULL);
    deliver("x");
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_ACK);
    assert_int_equal(attempt->attempt, 1);
    assert_string_equal(attempt->error, "none");
    assert_int_equal(attempt->retry_after_ms, -1);
    assert_int_equal(attempt->published_count, 0);
    assert_null(attempt->reply);
    deliver("reject");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REJECT);
}

static void the_message_is_what_was_built(void **state)
{
    struct warren_field tenant = warren_field_text("tenant", "acme");
    struct warren_test_message message = {
        .message = {.properties = {.headers = {&tenant, 1}, .message_id = "m-1"},
                    .body = warren_text("tell")},
        .exchange = "ex",
        .redelivered = true};
    struct warren_test_options options = script(NULL);

    (void)state;
    options.queue = "payments";
    open_test(&options);
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    assert_string_equal(warren_test_run(test)->error, "payments ex payments m-1 acme 1");
}

static void assert_whole(const char *text, const char *expected, size_t len)
{
    struct warren_bytes bytes = warren_test_text(test, text);

    assert_int_equal(bytes.len, len);
    assert_memory_equal(bytes.data, expected, len + 1);
}

/* What holds a NUL is passed on to its end: properties, names at every depth, and where it goes. */
static void what_is_passed_on_is_whole(void **state)
{
    static const char id[] = "dup\0A";
    static const char name[] = "n\0";
    static const char inner_name[] = "\0in";
    static const char key[] = "k\0y";
    const struct warren_field inner = {inner_name, {.type = WARREN_VOID}};
    const struct warren_field field = {name, {.type = WARREN_TABLE, .as.table = {&inner, 1}}};
    struct warren_test_message message = {
        .message = {.properties = {.headers = {&field, 1}, .message_id = id},
                    .body = warren_text("pass on")},
        .exchange = "ex",
        .routing_key = key};
    const struct warren_test_published *published;
    const struct warren_field *back;

    (void)state;
    open_script(NULL);
    assert_int_equal(warren_test_note_text(test, id, 5), WARREN_OK);
    assert_int_equal(warren_test_note_text(test, name, 2), WARREN_OK);
    assert_int_equal(warren_test_note_text(test, inner_name, 3), WARREN_OK);
    assert_int_equal(warren_test_note_text(test, key, 3), WARREN_OK);
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    assert_int_equal(warren_test_run(test)->outcome, WARREN_ACK);
    published = warren_test_run(test)->published;
    back = published->message.properties.headers.fields;
    assert_whole(published->message.properties.message_id, id, 5);
    assert_whole(published->routing_key, key, 3);
    assert_whole(published->exchange, "ex", 2);
    assert_whole(back->name, name, 2);
    assert_whole(back->value.as.table.fields[0].name, inner_name, 3);
}

static void options_are_texts(void **state)
{
    static const char *const given[] = {"word=a = b, {c", "words=[x, 'y z']"};
    struct warren_test_options options = script(NULL);

    (void)state;
    options.options = given;
    options.option_count = 2;
    open_test(&options);
    deliver("x");
    assert_string_equal(warren_test_run(test)->error, "a = b, {c+x+y z");
}

static void a_handler_needs_no_plugin(void **state)
{
    static const struct warren_handler bare = {.name = "bare", .handle = simple};
    struct warren_test_options options = {
        .size = sizeof options, .bare = &bare, .plugin = warren_plugin_entry()};

    (void)state;
    options.chain = "[t.soften]";
    open_test(&options);
    deliver("");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_DISCARD);
}

/* As if a later header had a longer struct, which the caller does not know. */
static void a_shorter_struct_is_read_as_far_as_it_goes(void **state)
{
    struct warren_test_options options = script("[recover]");

    (void)state;
    options.size = offsetof(struct warren_test_options, chain);
    options.handler = "simple";
    open_test(&options);
    deliver("x");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_ACK);
}

/* ---- retries ---- */

static void retries_take_no_time(void **state)
{
    static const int64_t delays[] = {100, 200, 400, 800, 1000, 1000};
    const struct warren_test_attempt *attempt;
    int64_t due_ms = 1000000;

    (void)state;
    open_script("[retry: {jitter: none, initial_delay: 100ms, max_delay: 1s, max_attempts: 7}]");
    deliver("fail");
    for (size_t i = 0; i < 6; i++) {
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_int_equal(attempt->attempt, i + 1);
        assert_int_equal(attempt->began_ms, due_ms);
        assert_int_equal(attempt->retry_after_ms, delays[i]);
        due_ms += delays[i];
    }
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_REJECT);
    assert_string_equal(attempt->error, "gave up after 7 attempts: none");
    assert_int_equal(warren_test_now_ms(test), 1000000 + 3500);
}

static void settling_goes_on_to_the_end(void **state)
{
    static const char *const given[] = {"fail_first=5"};
    struct warren_test_options options = script("[retry: {max_attempts: 10}]");
    const struct warren_test_attempt *attempt;

    (void)state;
    options.options = given;
    options.option_count = 1;
    open_test(&options);
    deliver("x");
    attempt = warren_test_settle(test, 3);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_int_equal(attempt->attempt, 3);
    attempt = warren_test_settle(test, 100);
    assert_int_equal(attempt->outcome, WARREN_ACK);
    assert_int_equal(attempt->attempt, 6);
}

/* The handler's own delay. */
static void a_delay_that_the_handler_asks_for(void **state)
{
    (void)state;
    open_script(NULL);
    deliver("later");
    assert_int_equal(warren_test_run(test)->retry_after_ms, 3600000);
    assert_int_equal(warren_test_run(test)->began_ms, 1000000 + 3600000);
}

static void collect_delays(uint64_t seed, int64_t delays[8])
{
    struct warren_test_options options = script("[retry: {jitter: full, max_attempts: 0}]");

    options.seed = seed;
    open_test(&options);
    deliver("other"); /* the second message, to see that the first one does not matter */
    deliver("fail");
    for (size_t i = 0; i < 8; i++)
        delays[i] = warren_test_run(test)->retry_after_ms;
    warren_test_free(test);
    test = NULL;
}

/* The jitter of one seed is the same in every run. */
static void randomness_is_fixed(void **state)
{
    int64_t first[8];
    int64_t again[8];
    int64_t other[8];

    (void)state;
    collect_delays(1, first);
    collect_delays(1, again);
    collect_delays(2, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

/* Without retry the broker gets a failed message back and delivers it again at once. */
static void without_retry_it_comes_again_at_once(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[]");
    deliver("fail");
    attempt = warren_test_run(test);
    assert_int_equal(attempt->retry_after_ms, -1);
    attempt = warren_test_run(test);
    assert_int_equal(attempt->attempt, 2);
    assert_int_equal(attempt->began_ms, 1000000);
    assert_int_equal(warren_test_run(test)->attempt, 3);
}

static void what_was_settled_comes_again(void **state)
{
    struct warren_field tenant = warren_field_text("tenant", "acme");
    struct warren_test_message message = {
        .message = {.properties = {.headers = {&tenant, 1}, .message_id = "m-1"},
                    .body = warren_text("tell")}};

    (void)state;
    open_script(NULL);
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    assert_string_equal(warren_test_run(test)->error, "test  test m-1 acme 0");
    assert_string_equal(warren_test_run(test)->error, "test  test m-1 acme 1");
    deliver("requeue");
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REQUEUE);
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REQUEUE);
}

/* The count that the test gives takes the place of those in the headers. */
static void attempts_may_have_failed_before(void **state)
{
    struct warren_field fields[] = {warren_field_i64("x-delivery-count", 70),
                                    warren_field_i64("x-warren-attempts", 80)};
    struct warren_test_message message = {
        .message = {.properties = {.headers = {fields, 2}}, .body = warren_text("fail")},
        .attempt = 5,
        .redelivered = true};
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[retry: {max_attempts: 6}]");
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    assert_int_equal(warren_test_run(test)->attempt, 5);
    attempt = warren_test_run(test);
    assert_int_equal(attempt->attempt, 6);
    assert_int_equal(attempt->outcome, WARREN_REJECT);
}

static void a_panic_is_a_failed_attempt(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[retry: {jitter: none, max_attempts: 2}, recover]");
    deliver("panic");
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_non_null(strstr(attempt->error, "it is too much"));
    assert_int_equal(warren_test_run(test)->outcome, WARREN_REJECT);
}

/* ---- publishing ---- */

static void published_messages_are_kept(void **state)
{
    const struct warren_test_attempt *attempt;
    const struct warren_test_published *all;
    size_t count;

    (void)state;
    open_script(NULL);
    deliver("publish");
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_ACK);
    assert_int_equal(attempt->published_count, 2);
    assert_string_equal(attempt->published[0].exchange, "ex");
    assert_string_equal(attempt->published[0].routing_key, "k.1");
    assert_memory_equal(attempt->published[0].message.body.data, "first", 5);
    assert_string_equal(attempt->published[0].message.properties.type, "t");
    assert_true(attempt->published[0].message.properties.headers.fields[0].value.as.integer ==
                INT64_MIN);
    assert_false(attempt->published[0].reply);
    assert_int_equal(attempt->published[0].delay_ms, 0);
    assert_string_equal(attempt->published[1].routing_key, "k.2");
    assert_int_equal(attempt->published[1].delay_ms, 60000);
    assert_null(attempt->reply);
    all = warren_test_all_published(test, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(all, attempt->published);
}

/* The outcome waits for the confirms; what was published stays, for the broker may have it. What
 * was not confirmed is forgiven, and tried again in a while. */
static void an_unconfirmed_message_means_retry(void **state)
{
    static const enum warren_result results[] = {WARREN_NACKED, WARREN_TIMEOUT, WARREN_EXPIRED};
    const struct warren_test_attempt *attempt;
    size_t count;

    (void)state;
    open_script("[retry: {max_attempts: 1}, recover]");
    for (size_t i = 0; i < 3; i++) {
        deliver("publish");
        warren_test_publishing(test, WARREN_OK, results[i]);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_RETRY);
        assert_true(attempt->forgiven);
        assert_int_equal(attempt->retry_after_ms, 1000);
        assert_int_equal(attempt->published_count, 2);
        assert_int_equal(attempt->published[1].result, results[i]);
        assert_int_equal(warren_test_run(test)->retry_after_ms, 2000);
        warren_test_publishing(test, WARREN_OK, WARREN_CONFIRMED);
        attempt = warren_test_run(test);
        assert_int_equal(attempt->outcome, WARREN_ACK);
        assert_int_equal(attempt->attempt, 1);
        assert_int_equal(attempt->published[0].attempt, 1);
        assert_non_null(warren_test_all_published(test, &count));
        assert_int_equal(count, 6);
    }
}

/* What was returned makes an attempt fail: retry has it come again, and gives up in the end. */
static void a_returned_message_is_a_failed_attempt(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[retry: {max_attempts: 2, policy: constant, jitter: none}, recover]");
    deliver("publish");
    warren_test_publishing(test, WARREN_OK, WARREN_RETURNED);
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_false(attempt->forgiven);
    assert_int_equal(attempt->retry_after_ms, 500);
    assert_string_equal(attempt->error, "what it published to exchange 'ex' with routing key 'k.1' "
                                        "was returned: 312 NO_ROUTE");
    assert_int_equal(attempt->published_count, 2);
    attempt = warren_test_run(test);
    assert_int_equal(attempt->attempt, 2);
    assert_int_equal(attempt->outcome, WARREN_REJECT);
    assert_non_null(strstr(attempt->error, "gave up after 2 attempts: what it published"));
}

static void a_refused_publish_is_the_handlers(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script(NULL);
    deliver("publish");
    warren_test_publishing(test, WARREN_ETIMEOUT, WARREN_CONFIRMED);
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_string_equal(attempt->error, "cannot publish");
    assert_int_equal(attempt->published_count, 1);
    assert_int_equal(attempt->published[0].status, WARREN_ETIMEOUT);
}

/* If the publisher has no room, that is not the message's fault; if the message is none that can be
 * published, it is. */
static void a_full_publisher_costs_no_attempt(void **state)
{
    static const enum warren_status passing[] = {WARREN_EFULL, WARREN_ETIMEOUT, WARREN_EIO};
    static const enum warren_status lasting[] = {WARREN_ETOOBIG, WARREN_EINVAL, WARREN_ECLOSED};
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[retry: {max_attempts: 1}, recover]");
    for (size_t i = 0; i < 3; i++) {
        deliver("publish");
        warren_test_publishing(test, passing[i], WARREN_CONFIRMED);
        for (int64_t delay_ms = 1000; delay_ms <= 4000; delay_ms *= 2) {
            attempt = warren_test_run(test);
            assert_int_equal(attempt->outcome, WARREN_RETRY);
            assert_true(attempt->forgiven);
            assert_int_equal(attempt->attempt, 1);
            assert_int_equal(attempt->retry_after_ms, delay_ms);
        }
        warren_test_publishing(test, lasting[i], WARREN_CONFIRMED);
        assert_int_equal(warren_test_run(test)->outcome, WARREN_REJECT);
    }
}

static void a_reply_is_found(void **state)
{
    struct warren_test_message message = {
        .message = {.properties = {.reply_to = "answers", .correlation_id = "c-7"},
                    .body = warren_text("ping")}};
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script(NULL);
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    attempt = warren_test_run(test);
    assert_non_null(attempt->reply);
    assert_string_equal(attempt->reply->routing_key, "answers");
    assert_string_equal(attempt->reply->message.properties.correlation_id, "c-7");
    assert_memory_equal(attempt->reply->message.body.data, "pong", 4);
    deliver("ping"); /* nobody to answer */
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, WARREN_REJECT);
    assert_null(attempt->reply);
}

static void a_trace_is_handed_on(void **state)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct warren_field header = warren_field_text("traceparent", parent);
    struct warren_test_message message = {
        .message = {.properties = {.headers = {&header, 1}}, .body = warren_text("publish")}};
    const struct warren_test_attempt *attempt;
    const struct warren_value *value;

    (void)state;
    open_script("[trace]");
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_OK);
    attempt = warren_test_run(test);
    value = warren_table_get(&attempt->published[0].message.properties.headers, "traceparent");
    assert_non_null(value);
    assert_memory_equal(value->as.bytes.data, parent, 35);
}

/* ---- time ---- */

static void a_time_limit_passes(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_script("[deadline: {limit: 10s}]");
    deliver("wait");
    attempt = warren_test_run(test);
    assert_non_null(strstr(attempt->error, "in time, cancelled, readable"));
    assert_int_equal(attempt->ended_ms - attempt->began_ms, 30000);
}

static void a_drain_cancels(void **state)
{
    (void)state;
    open_script(NULL);
    warren_test_drain(test, 5000);
    deliver("wait");
    assert_string_equal(warren_test_run(test)->error, "in time, cancelled, readable");
    warren_test_drain(test, -1);
    deliver("wait");
    assert_non_null(strstr(warren_test_run(test)->error, "in time, free"));
}

/* One message each ten seconds. */
static void a_rate_limit_is_waited_for(void **state)
{
    (void)state;
    open_script("[rate_limit: {rate: 6, per: 1m, burst: 1}]");
    deliver("x");
    assert_int_equal(warren_test_run(test)->began_ms, 1000000);
    deliver("x");
    assert_in_range(warren_test_run(test)->began_ms, 1000000 + 9990, 1000000 + 10010);
}

/* Two failures open it; the third message waits out the open time, and is the probe. */
static void a_breaker_opens_and_lets_a_probe_through(void **state)
{
    (void)state;
    open_script("[breaker: {consecutive: 2, failure_percent: 0, open_time: 20s}]");
    deliver("fail");
    warren_test_run(test);
    warren_test_run(test);
    deliver("x");
    assert_in_range(warren_test_run(test)->began_ms, 1000000 + 20000, 1000000 + 20100);
    deliver("x");
    assert_in_range(warren_test_run(test)->began_ms, 1000000 + 20000, 1000000 + 20100);
}

/* ---- from the worker's file ---- */

static char yaml[] = "/tmp/warren-test-testing-XXXXXX";

static int write_yaml(void **state)
{
    static const char text[] = "middleware: {retry: {jitter: none, initial_delay: 7s}}\n"
                               "subscriptions:\n"
                               "  - {queue: a, handler: t.script, options: {word: from a}}\n"
                               "  - queue: b\n"
                               "    handler: t.script\n"
                               "    options: {word: from b, fail_first: 2}\n"
                               "    middleware: [retry: {initial_delay: 9s}, recover]\n";
    int fd = mkstemp(yaml);
    bool good = fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1;

    quiet(state);
    return good && close(fd) == 0 ? 0 : -1;
}

static int remove_yaml(void **state)
{
    (void)state;
    return unlink(yaml);
}

static void the_files_subscription_is_used(void **state)
{
    struct warren_test_options options = script(NULL);
    const struct warren_test_attempt *attempt;

    (void)state;
    options.config_file = yaml;
    open_test(&options);
    deliver("fail");
    attempt = warren_test_run(test);
    assert_string_equal(attempt->error, "from a");
    assert_int_equal(attempt->retry_after_ms, 7000);
    warren_test_free(test);
    options.queue = "b";
    options.handler = NULL;
    open_test(&options);
    deliver("x");
    attempt = warren_test_run(test);
    assert_string_equal(attempt->error, "from b");
    assert_int_equal(attempt->retry_after_ms, 9000);
}

static void options_are_laid_over_the_files(void **state)
{
    static const char *const given[] = {"word=mine"};
    struct warren_test_options options = script(NULL);
    const struct warren_test_attempt *attempt;

    (void)state;
    options.config_file = yaml;
    options.queue = "b";
    options.options = given;
    options.option_count = 1;
    options.chain = "[]";
    open_test(&options);
    deliver("x");
    attempt = warren_test_run(test);
    assert_string_equal(attempt->error, "mine"); /* and fail_first is the file's */
    assert_int_equal(attempt->outcome, WARREN_RETRY);
    assert_int_equal(attempt->retry_after_ms, -1);
}

static void what_the_file_does_not_have_is_named(void **state)
{
    struct warren_test_options options = script(NULL);
    char text[256];

    (void)state;
    options.config_file = yaml;
    options.handler = "simple";
    snprintf(text, sizeof text,
             "%s: no subscription has the handler t.simple; there are: "
             "t.script, t.script",
             yaml);
    assert_refused(&options, WARREN_ECONFIG, text);
    options.handler = NULL;
    snprintf(text, sizeof text, "%s has 2 subscriptions: name a handler or a queue", yaml);
    assert_refused(&options, WARREN_ECONFIG, text);
    options.queue = "c";
    snprintf(text, sizeof text,
             "%s: no subscription has the queue c; there are: t.script, t.script", yaml);
    assert_refused(&options, WARREN_ECONFIG, text);
}

/* ---- mistakes ---- */

static void mistakes_are_named(void **state)
{
    static const char *const unknown[] = {"wrd=x"};
    static const char *const wrong[] = {"fail_first=many"};
    static const char *const twice[] = {"word=a", "word=b"};
    static const char *const bare[] = {"word"};
    static const char *const refuse[] = {"word=refuse"};
    struct warren_test_options options = script(NULL);

    (void)state;
    options.option_count = 1;
    options.options = unknown;
    assert_refused(&options, WARREN_ECONFIG,
                   "option wrd: unknown key 'wrd' in the options of t.script; did you mean "
                   "'word'?");
    options.options = wrong;
    assert_refused(&options, WARREN_ECONFIG,
                   "option fail_first: fail_first is 'many', expected a whole number, from 0 to "
                   "1000");
    options.options = bare;
    assert_refused(&options, WARREN_ECONFIG, "option \"word\": expected NAME=VALUE");
    options.options = refuse;
    assert_refused(&options, WARREN_EPLUGIN,
                   "queue test: handler t.script failed to open: it was told to refuse");
    options.options = twice;
    options.option_count = 2;
    assert_refused(&options, WARREN_ECONFIG, "option word: it is given twice");
}

static void wrong_chains_are_named(void **state)
{
    struct warren_test_options options = script("[retyr]");

    (void)state;
    assert_refused(&options, WARREN_ECONFIG,
                   "chain:1:2: there is no middleware retyr; did you mean retry?");
    options.chain = "[recover, retry]";
    assert_refused(&options, WARREN_ECONFIG,
                   "chain:1:2: recover turns a panic into a failed attempt, which retry must see: "
                   "put recover after retry");
    options.chain = "[retry: {max_attempts: -2}]";
    assert_refused(&options, WARREN_ECONFIG,
                   "chain:1:24: max_attempts is '-2', expected a whole number, from -1 to 1000000");
    options.chain = "[retry";
    assert_int_equal(warren_test_new(&options, &test, &error), WARREN_ECONFIG);
    assert_memory_equal(error.text, "chain:", 6);
}

static void wrong_handlers_are_named(void **state)
{
    struct warren_test_options options = script(NULL);

    (void)state;
    options.handler = "scirpt";
    assert_refused(&options, WARREN_ENOTFOUND,
                   "there is no handler t.scirpt; did you mean t.script?");
    options.handler = NULL;
    assert_refused(&options, WARREN_EINVAL, "which handler? The plugin has 2 of them");
    options.plugin = NULL;
    assert_refused(&options, WARREN_EINVAL, "no handler is given");
    options.size = 0;
    assert_int_equal(warren_test_new(&options, &test, &error), WARREN_EINVAL);
    options = script(NULL);
    options.plugin_file = "/nowhere.so";
    assert_refused(&options, WARREN_EPLUGIN,
                   "/nowhere.so: cannot open the plugin: No such file or directory");
}

/* What a handler counts can be read, by the name that operators see. */
static void what_it_counts_is_read(void **state)
{
    static const char euros[] = "shop_charged_total{currency=\"EUR\"}";

    (void)state;
    open_script(NULL);
    assert_true(isnan(warren_test_metric(euros)));
    for (int i = 1; i <= 2; i++) {
        deliver("count");
        assert_int_equal(warren_test_run(test)->outcome, WARREN_ACK);
        assert_true(warren_test_metric(euros) == i);
        assert_true(warren_test_metric("shop_amount_euros_count") == i);
        assert_true(warren_test_metric("shop_amount_euros_sum") == i * 12.5);
    }
    assert_true(warren_test_metric("shop_amount_euros_bucket{le=\"10\"}") == 0);
    assert_true(warren_test_metric("shop_amount_euros_bucket{le=\"100\"}") == 2);
    assert_true(isnan(warren_test_metric("shop_charged_total")));
    assert_true(isnan(warren_test_metric("shop_charged_total{currency=\"USD\"}")));
    assert_true(isnan(warren_test_metric("# HELP")));
    assert_true(isnan(warren_test_metric("")));
    assert_true(isnan(warren_test_metric(NULL)));
}

static void a_message_that_cannot_be_is_refused(void **state)
{
    char name[257];
    struct warren_test_message message = {.exchange = name};

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    open_script(NULL);
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_EINVAL);
    assert_string_equal(error.text, "the exchange has more than 255 bytes");
    message = (struct warren_test_message){.message.properties.message_id = name};
    assert_int_equal(warren_test_deliver(test, &message, &error), WARREN_EINVAL);
    assert_true(error.text[0] != '\0');
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_handler_answers),
        T(the_message_is_what_was_built),
        T(what_is_passed_on_is_whole),
        T(options_are_texts),
        T(a_handler_needs_no_plugin),
        T(a_shorter_struct_is_read_as_far_as_it_goes),
        T(retries_take_no_time),
        T(settling_goes_on_to_the_end),
        T(a_delay_that_the_handler_asks_for),
        T(randomness_is_fixed),
        T(without_retry_it_comes_again_at_once),
        T(what_was_settled_comes_again),
        T(attempts_may_have_failed_before),
        T(a_panic_is_a_failed_attempt),
        T(published_messages_are_kept),
        T(an_unconfirmed_message_means_retry),
        T(a_returned_message_is_a_failed_attempt),
        T(a_refused_publish_is_the_handlers),
        T(a_full_publisher_costs_no_attempt),
        T(a_reply_is_found),
        T(a_trace_is_handed_on),
        T(a_time_limit_passes),
        T(a_drain_cancels),
        T(a_rate_limit_is_waited_for),
        T(a_breaker_opens_and_lets_a_probe_through),
        T(the_files_subscription_is_used),
        T(options_are_laid_over_the_files),
        T(what_the_file_does_not_have_is_named),
        T(mistakes_are_named),
        T(wrong_chains_are_named),
        T(wrong_handlers_are_named),
        T(what_it_counts_is_read),
        T(a_message_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, write_yaml, remove_yaml);
}
