/* test_dlq_names.c - `warren dlq` finds the dead-letter queues by the names that the worker's
 * configuration gives them (dead_letter.exchange, dead_letter.queue).
 */
#include <jansson.h>

#include "dlq_fixture.h"
#include "support/test.h"

/* A worker's file with subscriptions to @a and @b; the path, which the caller frees. */
static char *write_config(struct fixture *f, const char *a, const char *b, const char *exchange,
                          const char *queue)
{
    char *yaml = text("subscriptions:\n  - queue: %s\n    handler: p.h\n"
                      "  - queue: %s\n    handler: p.h\n"
                      "dead_letter:\n  exchange: \"%s\"\n  queue: \"%s\"\n",
                      a, b, exchange, queue);
    char *path = write_file(f->directory, "worker.yaml", yaml);

    free(yaml);
    return path;
}

/* A pattern of one's own; as a file, as an option, and as the full name of a queue. */
static void a_pattern_of_its_own(void **state)
{
    struct fixture *f = *state;
    char *other = text("%s-b", f->queue);
    char *grave = text("grave-of-%s", f->queue);
    char *file = write_config(f, f->queue, other, "to-the-{queue}", "grave-of-{queue}");
    struct command list, by_name, dump, replay, set;

    peer_declare(f->peer, grave, "quorum");
    put_letters(f, "wrong", 1, &(struct letter){.reason = "attempts"});
    letter_put(f->peer, grave,
               &(struct letter){.id = "a-0", .queue = f->queue, .reason = "attempts"});
    letter_put(f->peer, grave,
               &(struct letter){.id = "a-1", .queue = f->queue, .reason = "attempts"});
    list = COMMAND("dlq", "list", "-c", file, f->queue);
    command_expect(&list, 0);
    assert_has(list.out, grave);
    by_name = COMMAND("dlq", "show", "-c", file, grave, "--max", "1");
    command_expect(&by_name, 0);
    assert_has(by_name.out, "a-0");
    dump = COMMAND("dlq", "dump", "-c", file, f->queue, f->directory);
    command_expect(&dump, 0);
    assert_has(dump.out, "2 messages written to ");
    replay = COMMAND("dlq", "replay", "-c", file, f->queue, "--max", "1");
    command_expect(&replay, 0);
    expect_count(f, f->queue, 1);
    expect_count(f, grave, 1);
    set = COMMAND("dlq", "discard", "--set", "dead_letter.queue=grave-of-{queue}", f->queue, "-y");
    command_expect(&set, 0);
    expect_count(f, grave, 0);
    expect_count(f, f->dlq, 1);
    peer_delete(f->peer, grave);
    command_done(&list);
    command_done(&by_name);
    command_done(&dump);
    command_done(&replay);
    command_done(&set);
    free(file);
    free(grave);
    free(other);
}

/* One queue for the dead letters of all: it is listed once, and what is named after a queue means
 * those that died there.
 */
static void one_for_all(void **state)
{
    struct fixture *f = *state;
    char *other = text("%s-b", f->queue);
    char *shared = text("%s-graves", f->queue);
    char *file = write_config(f, f->queue, other, shared, shared);
    struct command list, replay, discard;
    struct peer_message message;

    peer_declare(f->peer, shared, "quorum");
    peer_declare(f->peer, other, "classic");
    for (int i = 0; i < 4; i++) {
        char *id = text("m-%d", i);

        letter_put(f->peer, shared,
                   &(struct letter){.id = id, .queue = i % 2 ? other : f->queue, .reason = "age"});
        free(id);
    }
    list = COMMAND("dlq", "list", "-c", file);
    command_expect(&list, 0);
    assert_int_equal(lines_in(list.out), 3); /* heading, queue, its only group */
    replay = COMMAND("dlq", "replay", "-c", file, other);
    command_expect(&replay, 0);
    expect_count(f, other, 2);
    expect_count(f, shared, 2);
    expect_count(f, f->queue, 0);
    assert_true(peer_get(f->peer, other, &message));
    assert_string_equal(message.message_id, "m-1");
    peer_message_done(&message);
    discard = COMMAND("dlq", "discard", "-c", file, shared, "--yes", "--max", "1");
    command_expect(&discard, 0);
    expect_count(f, shared, 1);
    peer_delete(f->peer, shared);
    peer_delete(f->peer, other);
    command_done(&list);
    command_done(&replay);
    command_done(&discard);
    free(file);
    free(shared);
    free(other);
}

/* A pattern that makes no other name is an error of the configuration. */
static void a_wrong_pattern(void **state)
{
    static const struct {
        const char *set;
        const char *error;
    } rows[] = {
        {"dead_letter.queue=", "dead_letter.queue is empty"},
        {"dead_letter.queue={queue}", "dead_letter.queue is {queue}, which names no"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command command = COMMAND("dlq", "list", "a", "--set", rows[i].set);

        command_expect(&command, 2);
        assert_has(command.err, rows[i].error);
        assert_string_equal(command.out, "");
        command_done(&command);
    }
}

/* ---- JSON ---- */

/* Every command prints one JSON object (show: one a message), and nothing else, on its output. */
static void all_speak_json(void **state)
{
    struct fixture *f = *state;
    char *directory = text("%s/out", f->directory);
    char *file = write_file(f->directory, "a.json",
                            "{\"warren_dump\": 1, \"queue\": \"x\", \"body\": \"\"}");
    const char *const commands[][7] = {
        {"dlq", "list", f->queue, "--json"},
        {"dlq", "show", f->queue, "--json"},
        {"dlq", "dump", f->queue, directory, "--json"},
        {"dlq", "replay", f->queue, "--json", "--max=1"},
        {"dlq", "edit-and-replay", f->queue, "a-1", "--json", "--file", file},
        {"dlq", "discard", f->queue, "--json", "--yes"},
    };

    peer_declare(f->peer, "x", "classic");
    put_letters(f, "a", 3, &(struct letter){.reason = "attempts"});
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *words[8] = {NULL};
        struct command command;
        const char *rest;
        json_error_t error;
        json_t *json;

        for (size_t j = 0; j < 7; j++)
            words[j] = commands[i][j];
        command = command_run(words, NULL, NULL);
        command_expect(&command, 0);
        json = json_loads(command.out, JSON_DISABLE_EOF_CHECK, &error);
        if (!json)
            fail_msg("%s: %s in:\n%s", words[1], error.text, command.out);
        assert_true(json_is_object(json));
        rest = command.out + error.position;
        assert_int_equal(lines_in(rest), i == 1 ? 3 : 1); /* the end of the first, two more */
        json_decref(json);
        command_done(&command);
    }
    expect_count(f, f->dlq, 0);
    peer_delete(f->peer, "x");
    free(file);
    free(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pattern_of_its_own),
        TEST(one_for_all),
        TEST(a_wrong_pattern),
        TEST(all_speak_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
