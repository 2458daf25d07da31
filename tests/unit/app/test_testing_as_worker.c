/* test_testing_as_worker.c - <warren/testing.h> does what a worker does: attempts, giving up, what
 * it refuses. Both beside each other: integration/test_testing_parity.c.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <warren/middleware.h>
#include <warren/testing.h>

#include "support/test.h"

static struct warren_test *test;

static unsigned calls;

/* Answers the outcome that its body names; "reply" is acked with one. */
static enum warren_outcome obey(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);
    struct warren_message reply = {.body = warren_text("here you are")};

    (void)state;
    calls++;
    if (body.len == 5 && memcmp(body.data, "reply", 5) == 0)
        return warren_job_reply(job, &reply) == WARREN_OK ? WARREN_ACK : WARREN_RETRY;
    for (int outcome = WARREN_ACK; outcome <= WARREN_REQUEUE; outcome++) {
        const char *name = warren_outcome_name((enum warren_outcome)outcome);

        if (strlen(name) == body.len && memcmp(name, body.data, body.len) == 0)
            return (enum warren_outcome)outcome;
    }
    return WARREN_ACK;
}

static struct warren_bytes key_of(struct warren_job *job, void *state)
{
    (void)state;
    return warren_job_header(job, "order") ? warren_job_header(job, "order")->as.bytes
                                           : warren_text("");
}

static const struct warren_handler handler = {.name = "obey", .handle = obey, .key = key_of};
static const struct warren_handler transactional = {
    .name = "booked", .handle = obey, .transactional = true};

/* A middleware of the user's, whose two options go together or not. */
static const struct warren_option bounds_options[] = {
    {"low", WARREN_OPTION_INT, "0", 0, 100, NULL, "Not above high."},
    {"high", WARREN_OPTION_INT, "9", 0, 100, NULL, "Not below low."},
    {0}};
static int64_t low;

static enum warren_status bounds_check(const struct warren_options *options,
                                       struct warren_error *error)
{
    if (warren_options_int(options, "low") <= warren_options_int(options, "high"))
        return WARREN_OK;
    snprintf(error->text, sizeof error->text, "low is above high");
    return WARREN_ECONFIG;
}

static void bounds_reload(void *state, const struct warren_options *options)
{
    (void)state;
    low = warren_options_int(options, "low");
}

static enum warren_outcome bounds_call(struct warren_job *job, const struct warren_link *next,
                                       void *state)
{
    (void)state;
    return warren_next(job, next);
}

static const struct warren_middleware middlewares[] = {{.name = "bounds",
                                                        .options = bounds_options,
                                                        .call = bounds_call,
                                                        .reload = bounds_reload,
                                                        .check = bounds_check},
                                                       {0}};
static const struct warren_handler others[] = {{.name = "other", .handle = obey}, {0}};

WARREN_PLUGIN(.name = "own", .version = "1", .handlers = others, WARREN_MIDDLEWARES(middlewares))

static void open_chain(const char *chain)
{
    struct warren_test_options options = {
        .size = sizeof options, .plugin = warren_plugin_entry(), .bare = &handler, .chain = chain};
    struct warren_error error;

    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void deliver(const struct warren_test_message *message)
{
    struct warren_error error;

    if (warren_test_deliver(test, message, &error) != WARREN_OK)
        fail_msg("%s", error.text);
}

static void deliver_body(const char *body)
{
    struct warren_test_message message = {.message = {.body = warren_text(body)}};

    deliver(&message);
}

static int end(void **state)
{
    (void)state;
    warren_test_free(test);
    test = NULL;
    return 0;
}

/* ---- attempts ---- */

static void a_requeue_is_no_attempt(void **state)
{
    (void)state;
    open_chain("[]");
    deliver_body("requeue");
    for (int i = 0; i < 4; i++) {
        const struct warren_test_attempt *attempt = warren_test_run(test);

        assert_int_equal(attempt->outcome, WARREN_REQUEUE);
        assert_int_equal(attempt->attempt, 1);
    }
}

/* The flight recorder knows better, so a worker does not look at it; see crashes.md. */
static void what_the_broker_counts_does_not_matter(void **state)
{
    struct warren_field fields[] = {warren_field_i64("x-delivery-count", 70)};
    struct warren_test_message message = {
        .message = {.properties = {.headers = {fields, 1}}, .body = warren_text("retry")},
        .redelivered = true};

    (void)state;
    open_chain("[]");
    deliver(&message);
    assert_int_equal(warren_test_run(test)->attempt, 1);
    assert_int_equal(warren_test_run(test)->attempt, 2);
}

/* What was given stands for headers, which come again with the message. */
static void a_message_that_was_settled_comes_with_the_same_count(void **state)
{
    struct warren_test_message message = {.message = {.body = warren_text("ack")}, .attempt = 4};

    (void)state;
    open_chain("[]");
    deliver(&message);
    assert_int_equal(warren_test_run(test)->attempt, 4);
    assert_int_equal(warren_test_run(test)->attempt, 4);
}

static void retry_gives_up_after_five_attempts(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_chain("[retry]");
    deliver_body("retry");
    attempt = warren_test_settle(test, 100);
    assert_int_equal(attempt->outcome, WARREN_REJECT);
    assert_int_equal(attempt->attempt, 5);
    assert_string_equal(attempt->error, "gave up after 5 attempts");
}

/* ---- dead letters ---- */

static void assert_header(const struct warren_message *message, const char *name, const char *says)
{
    const struct warren_value *value = warren_table_get(&message->properties.headers, name);

    assert_non_null(value);
    assert_int_equal(value->type, WARREN_STRING);
    assert_int_equal(value->as.bytes.len, strlen(says));
    assert_memory_equal(value->as.bytes.data, says, strlen(says));
}

static void a_rejected_message_is_a_dead_letter(void **state)
{
    struct warren_field fields[] = {warren_field_text("tenant", "acme"),
                                    warren_field_i64("x-delivery-count", 3)};
    struct warren_test_message message = {
        .message = {.properties = {.headers = {fields, 2}, .message_id = "m\0", .expiration = "7"},
                    .body = warren_text("reject")},
        .exchange = "orders",
        .routing_key = "new"};
    const struct warren_test_attempt *attempt;
    const struct warren_test_dead_letter *dead;

    (void)state;
    open_chain("[]");
    assert_int_equal(warren_test_note_text(test, message.message.properties.message_id, 2),
                     WARREN_OK);
    deliver(&message);
    attempt = warren_test_run(test);
    dead = attempt->dead_letter;
    assert_int_equal(attempt->outcome, WARREN_REJECT);
    assert_non_null(dead);
    assert_string_equal(dead->exchange, "test.dlx");
    assert_string_equal(dead->routing_key, "new");
    assert_string_equal(dead->reason, "rejected");
    assert_null(dead->error);
    assert_int_equal(dead->message.body.len, 6);
    assert_memory_equal(dead->message.body.data, "reject", 6);
    assert_int_equal(warren_test_text(test, dead->message.properties.message_id).len, 2);
    assert_null(dead->message.properties.expiration);
    assert_header(&dead->message, "tenant", "acme");
    assert_header(&dead->message, "x-warren-expiration", "7");
    assert_header(&dead->message, "x-warren-handler", "test.obey");
    assert_header(&dead->message, "x-warren-exchange", "orders");
    assert_header(&dead->message, "x-warren-reason", "rejected");
    assert_int_equal(
        warren_table_get(&dead->message.properties.headers, "x-warren-attempts")->as.integer, 1);
    assert_null(warren_table_get(&dead->message.properties.headers, "x-delivery-count"));
    assert_int_equal(attempt->published_count, 0);
}

static void what_was_given_up_says_why(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_chain("[retry: {max_attempts: 2}, recover]");
    deliver_body("retry");
    attempt = warren_test_run(test);
    assert_null(attempt->dead_letter);
    attempt = warren_test_run(test);
    assert_string_equal(attempt->dead_letter->reason, "attempts");
    assert_string_equal(attempt->dead_letter->error, "gave up after 2 attempts");
    deliver_body("ack");
    assert_null(warren_test_run(test)->dead_letter);
}

/* It comes again, as if the ack were lost; and there are dead letters only where a worker has them.
 */
static void each_rejection_makes_one(void **state)
{
    (void)state;
    open_chain("[]");
    deliver_body("reject");
    for (int i = 0; i < 3; i++)
        assert_non_null(warren_test_run(test)->dead_letter);
}

static void without_dead_letters_there_is_none(void **state)
{
    char path[] = "/tmp/test_testing_as_worker.XXXXXX";
    struct warren_test_options options = {
        .size = sizeof options, .bare = &handler, .config_file = path};
    struct warren_error error;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    dprintf(fd, "dead_letter: {enabled: false}\n"
                "subscriptions: [{queue: q, handler: test.obey, middleware: [retry]}]\n");
    close(fd);
    if (warren_test_new(&options, &test, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    unlink(path);
    deliver_body("reject");
    assert_null(warren_test_run(test)->dead_letter);
    deliver_body("retry");
    assert_int_equal(warren_test_settle(test, 20)->outcome, WARREN_RETRY);
}

/* ---- duplicates ---- */

static void deliver_id(const char *id, const char *body)
{
    struct warren_test_message message = {
        .message = {.properties = {.message_id = id, .reply_to = "asker", .correlation_id = "7"},
                    .body = warren_text(body)}};

    deliver(&message);
}

static void assert_run(enum warren_outcome outcome, bool duplicate, unsigned called)
{
    const struct warren_test_attempt *attempt;

    calls = 0;
    attempt = warren_test_run(test);
    assert_int_equal(attempt->outcome, outcome);
    assert_int_equal(attempt->duplicate, duplicate);
    assert_int_equal(calls, called);
}

/* Redelivered or published again: what is done is done, and what failed is not. */
static void what_was_done_is_a_duplicate(void **state)
{
    (void)state;
    open_chain("[retry: {max_attempts: 2}, idempotency, recover]");
    deliver_id("one", "ack");
    assert_run(WARREN_ACK, false, 1);
    assert_run(WARREN_ACK, true, 0);
    deliver_id("two", "discard");
    assert_run(WARREN_DISCARD, false, 1);
    deliver_id("one", "ack");
    assert_run(WARREN_ACK, true, 0);
    deliver_id("two", "ack");
    assert_run(WARREN_DISCARD, true, 0);
    deliver_id("three", "retry");
    assert_run(WARREN_RETRY, false, 1);
    assert_run(WARREN_REJECT, false, 1);
    deliver_id("three", "requeue");
    assert_run(WARREN_REQUEUE, false, 1);
    assert_run(WARREN_REQUEUE, false, 1);
    deliver_body("ack"); /* without a key */
    assert_run(WARREN_ACK, false, 1);
    assert_run(WARREN_ACK, false, 1);
}

static void each_test_begins_anew(void **state)
{
    for (int i = 0; i < 2; i++) {
        open_chain("[idempotency]");
        deliver_id("one", "ack");
        assert_run(WARREN_ACK, false, 1);
        end(state);
    }
}

static void a_duplicate_has_the_reply_of_the_first(void **state)
{
    const struct warren_test_attempt *attempt;

    (void)state;
    open_chain("[idempotency]");
    deliver_id("one", "reply");
    assert_run(WARREN_ACK, false, 1);
    attempt = warren_test_run(test);
    assert_true(attempt->duplicate);
    assert_non_null(attempt->reply);
    assert_string_equal(attempt->reply->routing_key, "asker");
    assert_memory_equal(attempt->reply->message.body.data, "here you are", 12);
}

static void the_handlers_key_counts(void **state)
{
    struct warren_field order = warren_field_text("order", "77");
    struct warren_test_message message = {
        .message = {.properties = {.headers = {&order, 1}, .message_id = "one"},
                    .body = warren_text("ack")}};

    (void)state;
    open_chain("[idempotency: {key: handler}]");
    deliver(&message);
    assert_run(WARREN_ACK, false, 1);
    message.message.properties.message_id = "two";
    deliver(&message);
    assert_run(WARREN_ACK, true, 0);
    order = warren_field_text("order", "78");
    deliver(&message);
    assert_run(WARREN_ACK, false, 1);
}

/* ---- new options ---- */

static enum warren_status reload(const char *chain, const char *says)
{
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = warren_test_reload(test, chain, &error);

    if (!strstr(error.text, says))
        fail_msg("'%s', not '%s'", error.text, says);
    return status;
}

static void new_options_are_in_force(void **state)
{
    (void)state;
    open_chain("[retry: {max_attempts: 9}, recover]");
    deliver_body("retry");
    assert_run(WARREN_RETRY, false, 1);
    assert_int_equal(reload("[retry: {max_attempts: 3}, recover]", ""), WARREN_OK);
    assert_run(WARREN_RETRY, false, 1);
    assert_int_equal(reload("[retry: {max_attempts: 4}, recover]", ""), WARREN_OK);
    assert_run(WARREN_RETRY, false, 1);
    assert_run(WARREN_REJECT, false, 1);
}

static void what_cannot_be_reloaded_changes_nothing(void **state)
{
    (void)state;
    open_chain("[retry: {max_attempts: 2}, recover]");
    assert_int_equal(reload("[retry: {max_attempts: 1}]", "takes another test"), WARREN_ECONFIG);
    assert_int_equal(reload("[retry: {max_attempts: x}, recover]", "max_attempts"), WARREN_ECONFIG);
    assert_int_equal(reload("[retry: {max_attempts: 1, initial_delay: 1m, max_delay: 1s}, recover]",
                            "is above max_delay"),
                     WARREN_ECONFIG);
    deliver_body("retry");
    assert_run(WARREN_RETRY, false, 1);
    assert_run(WARREN_REJECT, false, 1);
}

/* `check` is asked before any `reload`. */
static void a_middleware_may_refuse_new_options(void **state)
{
    (void)state;
    open_chain("[retry: {max_attempts: 2}, own.bounds]");
    assert_int_equal(reload("[retry: {max_attempts: 1}, own.bounds: {low: 10}]",
                            "middleware own.bounds: low is above high"),
                     WARREN_ECONFIG);
    assert_int_equal(low, 0);
    deliver_body("retry");
    assert_run(WARREN_RETRY, false, 1);
    assert_int_equal(reload("[retry: {max_attempts: 2}, own.bounds: {low: 9}]", ""), WARREN_OK);
    assert_int_equal(low, 9);
}

static void what_needs_a_restart_is_named(void **state)
{
    (void)state;
    open_chain("[retry: {max_attempts: 9}, idempotency]");
    assert_int_equal(reload("[retry: {max_attempts: 1}, idempotency: {scope: all}]",
                            "idempotency.scope of test"),
                     WARREN_ECONFIG);
    deliver_body("retry");
    assert_run(WARREN_REJECT, false, 1);
}

static void the_file_is_read_again(void **state)
{
    char path[] = "/tmp/test_testing_as_worker.XXXXXX";
    struct warren_test_options options = {
        .size = sizeof options, .bare = &handler, .config_file = path};
    struct warren_error error;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    for (int attempts = 9; attempts > 0; attempts -= 8) {
        assert_int_equal(ftruncate(fd, 0), 0);
        lseek(fd, 0, SEEK_SET);
        dprintf(fd,
                "subscriptions:\n"
                "  - {queue: q, handler: test.obey, middleware: [retry: {max_attempts: %d}]}\n",
                attempts);
        if (attempts == 9 && warren_test_new(&options, &test, &error) != WARREN_OK)
            fail_msg("%s", error.text);
    }
    deliver_body("retry");
    assert_run(WARREN_RETRY, false, 1);
    assert_int_equal(reload(NULL, ""), WARREN_OK);
    assert_run(WARREN_REJECT, false, 1);
    close(fd);
    unlink(path);
}

/* ---- what is refused ---- */

static void a_transactional_handler_needs_idempotency(void **state)
{
    static const char *const chains[] = {NULL, "[]", "[retry, recover]"};
    struct warren_test_options options = {.size = sizeof options, .bare = &transactional};
    struct warren_error error;

    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        options.chain = chains[i];
        assert_int_equal(warren_test_new(&options, &test, &error), WARREN_ECONFIG);
        assert_string_equal(error.text, "test.booked: the handler test.booked is transactional: it "
                                        "needs the middleware idempotency in its chain");
    }
    options.chain = "[idempotency]";
    assert_int_equal(warren_test_new(&options, &test, &error), WARREN_OK);
}

/* ---- time ---- */

/* In a child, which shall abort. */
static void assert_misuse(int64_t first_ms, int64_t then_ms)
{
    pid_t child = fork();
    int how;

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        warren_test_advance(test, first_ms);
        warren_test_advance(test, then_ms);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGABRT);
}

static void the_clock_goes_forward_and_not_for_ever(void **state)
{
    const int64_t century_ms = INT64_C(100) * 365 * 86400 * 1000;

    (void)state;
    open_chain("[]");
    warren_test_advance(test, 0);
    assert_int_equal(warren_test_now_ms(test), 1000000);
    assert_misuse(0, -1);
    assert_misuse(0, INT64_MIN);
    assert_misuse(0, INT64_MAX);
    assert_misuse(0, INT64_MAX / 1000000);
    assert_misuse(century_ms, century_ms);
    warren_test_advance(test, century_ms);
    assert_int_equal(warren_test_now_ms(test), 1000000 + century_ms);
}

/* Retries that take longer than there is time, and a drain that never ends. */
static void waiting_never_overflows(void **state)
{
    const struct warren_test_attempt *attempt;
    int64_t before_ms = 0;

    (void)state;
    open_chain("[retry: {policy: constant, jitter: none, initial_delay: 5000d, max_delay: 5000d, "
               "max_attempts: 0}]");
    warren_test_drain(test, INT64_MAX);
    warren_test_drain(test, -1);
    deliver_body("retry");
    for (int i = 0; i < 40; i++) {
        attempt = warren_test_run(test);
        assert_true(attempt->began_ms >= before_ms);
        before_ms = attempt->began_ms;
    }
    assert_int_equal(attempt->attempt, 40);
}

#define T(test) cmocka_unit_test_teardown(test, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_requeue_is_no_attempt),
        T(what_the_broker_counts_does_not_matter),
        T(a_message_that_was_settled_comes_with_the_same_count),
        T(retry_gives_up_after_five_attempts),
        T(a_rejected_message_is_a_dead_letter),
        T(what_was_given_up_says_why),
        T(each_rejection_makes_one),
        T(without_dead_letters_there_is_none),
        T(what_was_done_is_a_duplicate),
        T(each_test_begins_anew),
        T(a_duplicate_has_the_reply_of_the_first),
        T(the_handlers_key_counts),
        T(new_options_are_in_force),
        T(what_cannot_be_reloaded_changes_nothing),
        T(a_middleware_may_refuse_new_options),
        T(what_needs_a_restart_is_named),
        T(the_file_is_read_again),
        T(a_transactional_handler_needs_idempotency),
        T(the_clock_goes_forward_and_not_for_ever),
        T(waiting_never_overflows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
