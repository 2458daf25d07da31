/* test_dlq_list.c - `warren dlq list` and `warren dlq show` against a real broker: what they tell,
 * and that everything is left in its place.
 */
#include <jansson.h>
#include <time.h>

#include "dlq_fixture.h"
#include "support/test.h"

/* The object that a command printed; the caller decrefs. */
static json_t *json_of(const struct command *command)
{
    json_error_t error;
    json_t *json = json_loads(command->out, 0, &error);

    if (!json)
        fail_msg("%s in:\n%s", error.text, command->out);
    return json;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    if (!value)
        fail_msg("there is no text \"%s\"", key);
    return value;
}

/* Three of one cause and one of another. */
static void put_two_causes(struct fixture *f)
{
    uint64_t now = (uint64_t)time(NULL);

    put_letters(f, "slow", 2,
                &(struct letter){.reason = "attempts",
                                 .handler = "pay.charge",
                                 .error = "timeout after 100 ms\nat line 3",
                                 .attempts = 5,
                                 .died_s = now - 7205});
    put_letters(f, "slower", 1,
                &(struct letter){.reason = "attempts",
                                 .handler = "pay.charge",
                                 .error = "timeout after 99 ms",
                                 .died_s = now - 100});
    put_letters(f, "bad", 1,
                &(struct letter){.reason = "rejected",
                                 .handler = "pay.charge",
                                 .tenant = "acme",
                                 .body = "{\"n\": 1}",
                                 .died_s = now - 50});
}

/* ---- list ---- */

/* Depth, age of the oldest, and what failed for one cause is one line. */
static void a_list(void **state)
{
    struct fixture *f = *state;
    struct command list;

    put_two_causes(f);
    list = COMMAND("dlq", "list", f->queue);
    command_expect(&list, 0);
    assert_has(list.out, "2h 0m");
    assert_has(list.out, "attempts  pay.charge  timeout after # ms\n");
    assert_has(list.out, "rejected  pay.charge\n");
    assert_int_equal(lines_in(list.out), 4);
    assert_string_equal(list.err, "");
    command_done(&list);
    expect_count(f, f->dlq, 4);
}

/* The same for scripts. */
static void a_list_as_json(void **state)
{
    struct fixture *f = *state;
    struct command list;
    json_t *json, *queue, *group;

    put_two_causes(f);
    list = COMMAND("dlq", "list", "--json", f->dlq);
    command_expect(&list, 0);
    json = json_of(&list);
    queue = json_array_get(json_object_get(json, "queues"), 0);
    assert_string_equal(text_at(queue, "queue"), f->dlq);
    assert_string_equal(text_at(queue, "source"), f->queue);
    assert_int_equal(json_integer_value(json_object_get(queue, "depth")), 4);
    assert_int_equal(json_integer_value(json_object_get(queue, "looked_at")), 4);
    group = json_array_get(json_object_get(queue, "groups"), 0);
    assert_int_equal(json_integer_value(json_object_get(group, "count")), 3);
    assert_string_equal(text_at(group, "error"), "timeout after # ms");
    assert_string_equal(text_at(group, "example"), "slow-0");
    assert_int_equal(strlen(text_at(group, "group")), 8);
    json_decref(json);
    command_done(&list);
}

/* What a worker's file subscribes to is listed without being named. */
static void a_list_by_configuration(void **state)
{
    struct fixture *f = *state;
    char *yaml = text("subscriptions:\n  - queue: %s\n    handler: p.h\n", f->queue);
    char *file = write_file(f->directory, "worker.yaml", yaml);
    struct command list;

    put_two_causes(f);
    list = COMMAND("dlq", "list", "-c", file);
    command_expect(&list, 0);
    assert_has(list.out, f->dlq);
    assert_int_equal(lines_in(list.out), 4);
    command_done(&list);
    free(yaml);
    free(file);
}

/* A queue that is not there is told; the others are listed all the same. */
static void a_list_with_a_missing_queue(void **state)
{
    struct fixture *f = *state;
    struct command list = COMMAND("dlq", "list", "nowhere", f->queue);

    command_expect(&list, 1);
    assert_has(list.err, "queue 'nowhere.dlq' does not exist");
    assert_int_equal(lines_in(list.err), 1);
    assert_has(list.out, f->dlq);
    command_done(&list);
}

/* Of a deep queue only the head is looked at, and it is said so. */
static void a_list_within_its_limit(void **state)
{
    struct fixture *f = *state;
    struct command list;

    put_letters(f, "x", 20, &(struct letter){.reason = "attempts"});
    list = COMMAND("dlq", "list", "--limit", "7", f->queue);
    command_expect(&list, 0);
    assert_has(list.out, "       7  ");
    assert_has(list.out, "      20  ");
    assert_has(list.err, "looked at 7 of 20 messages");
    command_done(&list);
    expect_count(f, f->dlq, 20);
}

/* A quorum queue puts what comes back behind what came back before. With a limit that ends among
 * such messages the order is another one, and it is said so; nothing is lost. */
static void a_limit_among_what_was_looked_at(void **state)
{
    static const char warning[] = "stands now behind what was looked at earlier";
    struct fixture *f = *state;
    struct command first, all, again;
    struct peer_message message;

    put_letters(f, "x", 6, &(struct letter){.reason = "attempts"});
    first = COMMAND("dlq", "list", "--limit", "2", f->queue); /* nothing was looked at before */
    command_expect(&first, 0);
    assert_null(strstr(first.err, warning));
    all = COMMAND("dlq", "list", f->queue);
    command_expect(&all, 0);
    assert_string_equal(all.err, "");
    again = COMMAND("dlq", "show", "--limit", "2", "--max", "1", f->queue); /* two come */
    command_expect(&again, 0);
    assert_has(again.err, warning);
    expect_count(f, f->dlq, 6);
    for (int i = 0; i < 6; i++) {
        char *id = text("x-%d", (i + 2) % 6);

        assert_true(peer_get(f->peer, f->dlq, &message));
        assert_string_equal(message.message_id, id);
        peer_message_done(&message);
        free(id);
    }
    command_done(&first);
    command_done(&all);
    command_done(&again);
}

static void put_one_letter(struct fixture *f, const char *queue, const char *id)
{
    letter_put(f->peer, queue, &(struct letter){.id = id, .queue = f->queue});
}

/* After many looks every message is there, once, in the old order; of a classic queue, too. */
static void looks_change_nothing(void **state)
{
    struct fixture *f = *state;
    char *classic = text("%s-classic.dlq", f->queue);
    const char *const queues[] = {f->dlq, classic};

    peer_declare(f->peer, classic, "classic");
    for (int q = 0; q < 2; q++) {
        put_one_letter(f, queues[q], "a");
        put_one_letter(f, queues[q], "b");
        put_one_letter(f, queues[q], "c");
        for (int i = 0; i < 3; i++) {
            struct command list = COMMAND("dlq", "list", queues[q]);
            struct command show = COMMAND("dlq", "show", queues[q], "--max", "2");

            command_expect(&list, 0);
            command_expect(&show, 0);
            assert_has(show.out, "1. a\n");
            assert_has(show.out, "2. b\n");
            command_done(&list);
            command_done(&show);
        }
        expect_count(f, queues[q], 3);
        for (int i = 0; i < 3; i++) {
            struct peer_message message;

            assert_true(peer_get(f->peer, queues[q], &message));
            assert_int_equal(message.body[0], 'a' + i);
            peer_message_done(&message);
        }
    }
    peer_delete(f->peer, classic);
    free(classic);
}

/* ---- show ---- */

/* All that an operator wants to know, the publisher's headers, and the body. */
static void a_message(void **state)
{
    struct fixture *f = *state;
    struct command show;

    put_two_causes(f);
    show = COMMAND("dlq", "show", f->queue, "--id", "bad-0");
    command_expect(&show, 0);
    assert_has(show.out, "1. bad-0\n");
    assert_has(show.out, "  reason       rejected\n");
    assert_has(show.out, "  handler      pay.charge\n");
    assert_has(show.out, "  header       tenant (string) acme\n");
    assert_has(show.out, "    {\"n\": 1}\n");
    command_done(&show);
    expect_count(f, f->dlq, 4);
}

/* How many messages a show with these filters shows. */
static size_t shown(struct fixture *f, const char *option, const char *value)
{
    struct command show = COMMAND("dlq", "show", f->queue, "--json", option, value);
    size_t count = lines_in(show.out);

    command_expect(&show, 0);
    command_done(&show);
    return count;
}

static void filters(void **state)
{
    struct fixture *f = *state;

    put_two_causes(f);
    assert_int_equal(shown(f, "--reason", "attempts"), 3);
    assert_int_equal(shown(f, "--reason", "crash"), 0);
    assert_int_equal(shown(f, "--handler", "pay.charge"), 4);
    assert_int_equal(shown(f, "--header", "tenant=acme"), 1);
    assert_int_equal(shown(f, "--header", "tenant=other"), 0);
    assert_int_equal(shown(f, "--since", "1h"), 2);
    assert_int_equal(shown(f, "--until", "1h"), 2);
    assert_int_equal(shown(f, "--max", "3"), 3);
    expect_count(f, f->dlq, 4);
}

/* A body that is no text is shown in hexadecimal, and as base64 in JSON. */
static void a_binary_body(void **state)
{
    struct fixture *f = *state;
    struct command show, json_show;
    json_t *json;

    peer_publish(f->peer, "", f->dlq, "\001\377\000z", 4, NULL);
    show = COMMAND("dlq", "show", f->queue);
    command_expect(&show, 0);
    assert_has(show.out, "01 ff 00 7a");
    json_show = COMMAND("dlq", "show", f->queue, "--json");
    command_expect(&json_show, 0);
    json = json_of(&json_show);
    assert_string_equal(text_at(json_object_get(json, "message"), "body_base64"), "Af8Aeg==");
    json_decref(json);
    command_done(&show);
    command_done(&json_show);
}

/* What a message holds cannot steer the terminal. */
static void control_bytes(void **state)
{
    struct fixture *f = *state;
    struct command show;

    put_letters(f, "x", 1,
                &(struct letter){.reason = "attempts", .error = "\033[2J\302\2332Jgone\303\251"});
    show = COMMAND("dlq", "show", f->queue);
    command_expect(&show, 0);
    assert_null(strchr(show.out, '\033'));
    assert_has(show.out, "  error        ?[2J?2Jgone\303\251\n");
    command_done(&show);
}

/* What the broker itself dead-lettered tells its queue and reason, too. */
static void a_dead_letter_of_the_broker(void **state)
{
    struct fixture *f = *state;
    char *source = text("%s-short", f->queue);
    amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-dead-letter-exchange"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("")}},
        {.key = amqp_cstring_bytes("x-dead-letter-routing-key"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(f->dlq)}},
        {.key = amqp_cstring_bytes("x-message-ttl"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}}};
    struct command show;

    peer_declare_with(f->peer, source, "classic", arguments, 3);
    peer_publish(f->peer, "", source, "late", 4, NULL);
    expect_count(f, f->dlq, 1);
    show = COMMAND("dlq", "show", f->queue);
    command_expect(&show, 0);
    assert_has(show.out, "  reason       expired\n");
    assert_has(show.out, source);
    command_done(&show);
    peer_delete(f->peer, source);
    free(source);
}

/* An id that is not there is a failure; nothing matching, or an empty queue, is none. */
static void nothing_to_show(void **state)
{
    struct fixture *f = *state;
    struct command empty = COMMAND("dlq", "show", f->queue);
    struct command missing;

    command_expect(&empty, 0);
    assert_has(empty.err, ".dlq' is empty");
    put_two_causes(f);
    missing = COMMAND("dlq", "show", f->queue, "--id", "nobody");
    command_expect(&missing, 1);
    assert_has(missing.err, "there is no message nobody in");
    command_done(&empty);
    command_done(&missing);
}

/* ---- a wrong command line ---- */

static void wrong_arguments(void **state)
{
    static const struct {
        const char *words[6];
        const char *error;
    } rows[] = {
        {{"dlq"}, "\"dlq\" needs a word more: list, show"},
        {{"dlq", "lst"}, "did you mean \"dlq list\"?"},
        {{"dlq", "list"}, "which queues?"},
        {{"dlq", "list", ""}, "is no queue"},
        {{"dlq", "show"}, "which queue?"},
        {{"dlq", "show", "a", "b"}, "unexpected \"b\""},
        {{"dlq", "show", "a", "--reson", "x"}, "did you mean --reason?"},
        {{"dlq", "show", "a", "--since", "noon"}, "--since: \"noon\" is no time"},
        {{"dlq", "show", "a", "--header", "=x"}, "--header =x"},
        {{"dlq", "show", "a", "--limit", "0"}, "--limit"},
        {{"dlq", "show", "a", "--limit", "60001"}, "--limit"},
        {{"dlq", "replay"}, "which queue?"},
        {{"dlq", "replay", "a", "every"}, "unexpected \"every\""},
        {{"dlq", "replay", "a", "all", "--id=x"}, "all, or a filter, not both"},
        {{"dlq", "replay", "a", "--rate", "fast"}, "--rate fast: it is a number"},
        {{"dlq", "replay", "a", "--window", "0"}, "--window"},
        {{"dlq", "replay", "a", "--hold", "15"}, "--hold: \"15\" is no time"},
        {{"dlq", "replay", "a", "--hold", "1ms"}, "--hold: \"1ms\""},
        {{"dlq", "replay", "a", "--to", "a.dlq"}, "the messages are there already"},
        {{"dlq", "replay", "a", "--to="}, "--to: a queue's name"},
        {{"dlq", "list", "-c", "/nonexistent"}, "/nonexistent"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command command = command_run(rows[i].words, NULL, NULL);

        command_expect(&command, 2);
        assert_has(command.err, rows[i].error);
        assert_string_equal(command.out, "");
        command_done(&command);
    }
}

/* A broker that is not there is one clear error. */
static void no_broker(void **state)
{
    struct command list = COMMAND("dlq", "list", "a", "--uri", "amqp://127.0.0.1:1/");

    (void)state;
    command_expect(&list, 1);
    assert_has(list.err, "127.0.0.1:1");
    assert_int_equal(lines_in(list.err), 1);
    command_done(&list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list),
        TEST(a_list_as_json),
        TEST(a_list_by_configuration),
        TEST(a_list_with_a_missing_queue),
        TEST(a_list_within_its_limit),
        TEST(a_limit_among_what_was_looked_at),
        TEST(looks_change_nothing),
        TEST(a_message),
        TEST(filters),
        TEST(a_binary_body),
        TEST(control_bytes),
        TEST(a_dead_letter_of_the_broker),
        TEST(nothing_to_show),
        TEST(wrong_arguments),
        TEST(no_broker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
