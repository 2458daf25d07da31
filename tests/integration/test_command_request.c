/* test_command_request.c - `warren request` on a real broker: the reply on standard output, and an
 * exit status that scripts can rely on.
 */
#include <jansson.h>

#include "support/command.h"
#include "support/fixture.h"

/* answer.echo consumes `queue`, and nobody does `other`. */
static int setup(void **state)
{
    struct fixture *f;

    *state = "classic";
    fixture_setup(state);
    f = *state;
    peer_declare(f->peer, f->other, "classic");
    f->worker =
        worker_new(f->broker->uri, "subscriptions: [{queue: %s, handler: answer.echo}]", f->queue);
    worker_consume(f->worker, 1);
    setenv("WARREN_BROKER_URI", f->broker->uri, 1);
    return 0;
}

/* The reply's body, and nothing else, is on standard output. */
static void the_body_is_printed(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("request", "-q", f->queue, "--body", "hello");

    command_expect(&command, 0);
    assert_string_equal(command.out, "re: hello");
    assert_string_equal(command.err, "");
    command_done(&command);
}

/* Without --body and --file standard input is the body, all of it. */
static void standard_input_is_the_body(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND_READS("one\ntwo\n", "request", "-q", f->queue);

    command_expect(&command, 0);
    assert_string_equal(command.out, "re: one\ntwo\n");
    command_done(&command);
}

/* --json: one object with the properties, the headers and the body. */
static void json_has_the_properties(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("request", "-q", f->queue, "-b", "x", "--json");
    json_t *reply, *properties;

    command_expect(&command, 0);
    reply = json_loads(command.out, 0, NULL);
    assert_non_null(reply);
    properties = json_object_get(reply, "properties");
    assert_string_equal(json_string_value(json_object_get(properties, "content_type")),
                        "text/plain");
    assert_string_equal(json_string_value(json_object_get(reply, "body")), "re: x");
    assert_true(json_is_array(json_object_get(reply, "headers")));
    json_decref(reply);
    command_done(&command);
}

/* Nobody replies: status 1, by the time-out, and nothing on standard output. */
static void no_reply_fails(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("request", "-q", f->other, "-b", "x", "--timeout", "300ms");

    command_expect(&command, 1);
    assert_string_equal(command.out, "");
    assert_has(command.err, "no reply within 0.300 s");
    command_done(&command);
}

/* No queue takes it: status 1, at once, whatever the time-out. */
static void unroutable_fails_at_once(void **state)
{
    struct command command =
        COMMAND("request", "-q", "no such queue", "-b", "x", "--timeout", "1h");

    (void)state;
    command_expect(&command, 1);
    assert_has(command.err, "NO_ROUTE");
    command_done(&command);
}

/* No broker: status 1 with the reason. */
static void no_broker_fails(void **state)
{
    struct command command = COMMAND("request", "-q", "q", "-b", "x", "--uri",
                                     "amqp://127.0.0.1:1/", "--timeout", "300ms");

    (void)state;
    command_expect(&command, 1);
    assert_has(command.err, "127.0.0.1:1");
    command_done(&command);
}

/* What makes no sense for a request is no option of it. */
static void wrong_command_lines(void **state)
{
    struct command command = COMMAND("request", "-q", "q", "-b", "x", "--reply-to", "me");

    (void)state;
    command_expect(&command, 2);
    assert_has(command.err, "unknown option --reply-to");
    command_done(&command);
    command = COMMAND("request", "-b", "x");
    command_expect(&command, 2);
    assert_has(command.err, "where to?");
    command_done(&command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_body_is_printed), TEST(standard_input_is_the_body), TEST(json_has_the_properties),
        TEST(no_reply_fails),      TEST(unroutable_fails_at_once),   TEST(no_broker_fails),
        TEST(wrong_command_lines),
    };

    return cmocka_run_group_tests_name("command_request", tests, NULL, NULL);
}
