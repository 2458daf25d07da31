/* test_dlq_change.c - `warren dlq dump`, `discard` and `edit-and-replay` against a real broker. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dlq_fixture.h"
#include "support/test.h"

/* ---- dump ---- */

/* How many files a directory has. */
static int files_in(const char *directory)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* One file a message, in the queue's order, with all of it; nothing is consumed. */
static void a_dump(void **state)
{
    struct fixture *f = *state;
    char *directory = text("%s/poison", f->directory);
    char *path = text("%s/00002-a_b-1.json", directory);
    struct command dump;
    struct stat info;
    char *content;

    put_letters(
        f, "a/b", 3,
        &(struct letter){.reason = "crash", .handler = "p.h", .tenant = "x", .attempts = 4});
    dump = COMMAND("dlq", "dump", f->queue, directory);
    command_expect(&dump, 0);
    assert_has(dump.out, "3 messages written to ");
    assert_int_equal(files_in(directory), 3);
    content = read_file(path, NULL);
    assert_non_null(content);
    assert_has(content, "\"warren_dump\": 1");
    assert_has(content, f->queue);
    assert_has(content, "\"handler\": \"p.h\"");
    assert_has(content, "\"attempts\": 4");
    assert_has(content, "\"body\": \"a/b-1\"");
    assert_has(content, "\"tenant\"");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 077, 0);
    expect_count(f, f->dlq, 3);
    command_done(&dump);
    free(content);
    free(path);
    free(directory);
}

/* Only what is meant; a file that is there already is not overwritten. */
static void a_dump_of_some(void **state)
{
    struct fixture *f = *state;
    struct command some, again;

    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    put_letters(f, "b", 3, &(struct letter){.reason = "age"});
    some =
        COMMAND("dlq", "dump", f->queue, f->directory, "--reason", "age", "--max", "2", "--json");
    command_expect(&some, 0);
    assert_has(some.out, "\"written\":2}");
    assert_int_equal(files_in(f->directory), 2);
    again = COMMAND("dlq", "dump", f->queue, f->directory, "--reason", "age");
    command_expect(&again, 1);
    assert_has(again.err, "00001-b-0.json is there already");
    assert_int_equal(lines_in(again.err), 1);
    expect_count(f, f->dlq, 6);
    command_done(&some);
    command_done(&again);
}

static void a_dump_to_nowhere(void **state)
{
    struct fixture *f = *state;
    struct command dump = COMMAND("dlq", "dump", f->queue, "/nonexistent/a");

    command_expect(&dump, 1);
    assert_has(dump.err, "cannot make /nonexistent/a: No such file or directory");
    command_done(&dump);
}

/* ---- discard ---- */

/* What is typed decides: only "yes" is one. */
static void a_question(void **state)
{
    struct fixture *f = *state;
    const char *const arguments[] = {"dlq", "discard", f->queue, "--reason", "age", NULL};
    static const char *const noes[] = {"no\n", "y\n", "\n", "yes please\n", "\004"};
    struct command yes;

    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    put_letters(f, "b", 2, &(struct letter){.reason = "age"});
    for (size_t i = 0; i < sizeof noes / sizeof *noes; i++) {
        struct command no = command_typed(arguments, NULL, noes[i]);

        command_expect(&no, 1);
        assert_has(no.out, "discard 2 messages of ");
        assert_has(no.out, "? type yes: ");
        assert_has(no.out, "nothing was discarded");
        expect_count(f, f->dlq, 5);
        command_done(&no);
    }
    yes = command_typed(arguments, NULL, "yes\n");
    command_expect(&yes, 0);
    assert_has(yes.out, "discarded 2");
    expect_count(f, f->dlq, 3);
    command_done(&yes);
}

/* Where nobody can be asked it must be said. */
static void no_terminal(void **state)
{
    struct fixture *f = *state;
    struct command refused, typed, discard;

    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    refused = COMMAND("dlq", "discard", f->queue);
    command_expect(&refused, 2);
    assert_has(refused.err, "give --yes");
    typed = COMMAND_READS("yes\n", "dlq", "discard", f->queue);
    command_expect(&typed, 2);
    expect_count(f, f->dlq, 3);
    discard = COMMAND("dlq", "discard", f->queue, "--yes", "--max", "2");
    command_expect(&discard, 0);
    assert_has(discard.out, "looked at 2 of 3, discarded 2\n");
    assert_has(discard.err, "msg=discarded queue=");
    assert_has(discard.err, "message_id=a-1 by=");
    assert_int_equal(lines_in(discard.err), 2);
    expect_count(f, f->dlq, 1);
    command_done(&refused);
    command_done(&typed);
    command_done(&discard);
}

/* A letter that is nested too deeply is told of by each command, with status 1, and harms none of
 * the others; a discard without a filter throws it away. */
static void a_letter_that_cannot_be_read(void **state)
{
    static const char *const words[][4] = {{"list", NULL},
                                           {"show", NULL},
                                           {"replay", "--reason", "age"},
                                           {"discard", "--no-id", "-y"}};
    struct fixture *f = *state;
    struct command command;

    letter_put_deep(f->peer, f->dlq, "deep-1");
    put_letters(f, "a", 1, &(struct letter){.reason = "crash"});
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        command = COMMAND("dlq", words[i][0], f->queue, words[i][1], words[i][2]);
        command_expect(&command, 1);
        assert_has(command.err, "1 of '");
        assert_has(command.err, "could not be read");
        assert_true(i > 0 || strstr(command.out, "1  that cannot be read"));
        assert_true(i != 1 || strstr(command.out, "1. a-0\n"));
        command_done(&command);
    }
    for (int i = 0; i < 2; i++) { /* the second one finds nothing else */
        command = COMMAND("dlq", "replay", f->queue, "all", "--json");
        command_expect(&command, 1);
        assert_has(command.out, i == 0 ? "\"replayed\":1," : "\"replayed\":0,");
        assert_has(command.out, "\"unreadable\":1,");
        assert_null(strstr(command.err, "matches"));
        command_done(&command);
    }
    command = COMMAND("dlq", "discard", f->queue, "--yes");
    command_expect(&command, 0);
    assert_has(command.out, "discarded 1\n");
    assert_has(command.err, "message_id=deep-1 by=");
    assert_int_equal(lines_in(command.err), 1);
    expect_count(f, f->dlq, 0);
    command_done(&command);
}

/* What has no id is chosen by that. */
static void a_discard_of_those_without_an_id(void **state)
{
    struct fixture *f = *state;
    struct command discard;

    put_letters(f, "a", 2, &(struct letter){.reason = "crash"});
    letter_put(f->peer, f->dlq, &(struct letter){.queue = f->queue, .body = "x"});
    expect_count(f, f->dlq, 3);
    discard = COMMAND("dlq", "discard", f->queue, "--no-id", "-y", "--json");
    command_expect(&discard, 0);
    assert_has(discard.out, "\"discarded\":1,");
    expect_count(f, f->dlq, 2);
    command_done(&discard);
}

/* What does not match keeps its place; many acks are few round trips. */
static void a_discard_of_some(void **state)
{
    struct fixture *f = *state;
    struct command discard;
    struct peer_message message;

    put_letters(f, "a", 2, &(struct letter){.reason = "crash"});
    peer_publish_many(f->peer, f->dlq, "b", 2000);
    put_letters(f, "c", 2, &(struct letter){.reason = "crash"});
    discard = COMMAND("dlq", "discard", f->queue, "-y", "-Q", "--reason", "unknown", "--json");
    command_expect(&discard, 0);
    assert_has(discard.out, "\"depth\":2004,\"looked_at\":2004,\"discarded\":2000,");
    assert_string_equal(discard.err, "");
    expect_count(f, f->dlq, 4);
    assert_true(peer_get(f->peer, f->dlq, &message));
    assert_string_equal(message.message_id, "a-0");
    peer_message_done(&message);
    command_done(&discard);
}

static void nothing_to_discard(void **state)
{
    struct fixture *f = *state;
    const char *const arguments[] = {"dlq", "discard", f->queue, NULL};
    struct command empty = command_on_terminal(arguments, NULL);
    struct command missing = COMMAND("dlq", "discard", f->queue, "--id", "x", "--yes");

    command_expect(&empty, 0);
    assert_has(empty.out, ".dlq' is empty");
    command_expect(&missing, 1);
    assert_has(missing.err, "there is no message x in ");
    command_done(&empty);
    command_done(&missing);
}

/* That nothing matches is no error, but is said; not to who wants to hear of errors alone. */
static void nothing_matches(void **state)
{
    struct fixture *f = *state;
    const char *const asking[] = {"dlq", "discard", f->queue, "--reason", "age", NULL};
    struct command discard, question, quiet, show;

    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    expect_count(f, f->dlq, 3);
    discard = COMMAND("dlq", "discard", f->queue, "--yes", "--until", "30d");
    command_expect(&discard, 0);
    assert_has(discard.out, "looked at 3 of 3, discarded 0\n");
    assert_has(discard.err, "warren dlq discard: none of 3 messages of '");
    assert_has(discard.err, ".dlq' matches\n");
    assert_int_equal(lines_in(discard.err), 1);
    question = command_on_terminal(asking, NULL);
    command_expect(&question, 0);
    assert_has(question.out, "none of 3 messages of ");
    assert_null(strstr(question.out, "type yes"));
    quiet = COMMAND("dlq", "discard", f->queue, "-y", "-Q", "--reason", "age");
    command_expect(&quiet, 0);
    assert_string_equal(quiet.out, "");
    assert_string_equal(quiet.err, "");
    show = COMMAND("dlq", "show", f->queue, "--handler", "p.h");
    command_expect(&show, 0);
    assert_has(show.err, "warren dlq show: none of 3 messages of ");
    expect_count(f, f->dlq, 3);
    command_done(&discard);
    command_done(&question);
    command_done(&quiet);
    command_done(&show);
}

/* Messages behind --limit were not looked at: then not all is done that was meant. */
static void more_than_the_limit(void **state)
{
    struct fixture *f = *state;
    struct command discard;

    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    put_letters(f, "b", 2, &(struct letter){.reason = "age"});
    expect_count(f, f->dlq, 5);
    discard = COMMAND("dlq", "discard", f->queue, "-y", "--reason", "age", "--limit", "2");
    command_expect(&discard, 1);
    assert_has(discard.out, "looked at 2 of 5, discarded 0\n");
    assert_has(discard.err, "looked at 2 of 5 messages of ");
    assert_has(discard.err, "; see --limit\n");
    expect_count(f, f->dlq, 5);
    command_done(&discard);
}

/* A word near a known reason that no message has is taken for a slip; any other, and one that
 * messages have, is the user's own.
 */
static void a_mistyped_reason(void **state)
{
    struct fixture *f = *state;
    struct command slip, strange, own;

    put_letters(f, "a", 3, &(struct letter){.reason = "attempt"});
    expect_count(f, f->dlq, 3);
    slip = COMMAND("dlq", "discard", f->queue, "-y", "--reason", "exipred");
    command_expect(&slip, 0);
    assert_has(slip.err, "did you mean --reason expired, not exipred?\n");
    strange = COMMAND("dlq", "discard", f->queue, "-y", "--reason", "by hand");
    command_expect(&strange, 0);
    assert_has(strange.err, " matches\n");
    own = COMMAND("dlq", "discard", f->queue, "-y", "--reason", "attempt");
    command_expect(&own, 0);
    assert_has(own.out, "discarded 3\n");
    assert_null(strstr(own.err, "did you mean"));
    expect_count(f, f->dlq, 0);
    command_done(&slip);
    command_done(&strange);
    command_done(&own);
}

/* ---- edit and replay ---- */

/* Edit message a-1 by a script that gets the file as $1. */
static struct command edit(struct fixture *f, const char *script)
{
    char *path = write_file(f->directory, "editor", script);
    char *visual = text("VISUAL=sh %s", path);
    char *tmp = text("TMPDIR=%s", f->directory);
    const char *const arguments[] = {"dlq", "edit-and-replay", f->queue, "a-1", NULL};
    const char *const env[] = {visual, tmp, NULL};
    struct command command = command_run(arguments, NULL, env);

    assert_int_equal(unlink(path), 0);
    free(path);
    free(visual);
    free(tmp);
    return command;
}

static void put_three(struct fixture *f)
{
    put_letters(f, "a", 3, &(struct letter){.reason = "rejected", .tenant = "acme", .body = "bad"});
}

/* The new form of one message goes back to its queue, in place of the old one. */
static void an_edited_message(void **state)
{
    struct fixture *f = *state;
    struct command command;
    struct peer_message message;

    put_three(f);
    command = edit(f, "sed -i 's/\"bad\"/\"good\"/; s/acme/apex/' \"$1\"\n");
    command_expect(&command, 0);
    assert_has(command.out, "replayed 1 (1 to ");
    expect_count(f, f->dlq, 2);
    expect_count(f, f->queue, 1);
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.body, "good");
    assert_string_equal(message.message_id, "a-1");
    assert_true(letter_says(&message, "tenant", "apex"));
    assert_int_equal(letter_number(&message, "x-warren-replays"), 1);
    assert_null(letter_header(&message, "x-warren-reason"));
    peer_message_done(&message);
    assert_int_equal(files_in(f->directory), 0);
    command_done(&command);
}

/* Another queue in the file is another target. */
static void an_edited_queue(void **state)
{
    struct fixture *f = *state;
    char *other = text("%s-other", f->queue);
    char *script =
        text("sed -i 's/\"queue\": \"%s\"/\"queue\": \"%s\"/' \"$1\"\n", f->queue, other);
    struct command missing, command;

    put_three(f);
    missing = edit(f, script);
    command_expect(&missing, 1);
    assert_has(missing.err, "does not exist: nothing is taken");
    peer_declare(f->peer, other, "classic");
    command = edit(f, script);
    command_expect(&command, 0);
    expect_count(f, other, 1);
    expect_count(f, f->dlq, 2);
    peer_delete(f->peer, other);
    command_done(&missing);
    command_done(&command);
    free(script);
    free(other);
}

/* What is no dump any more is one clear error: the message stays, and the work is kept. */
static void a_damaged_file(void **state)
{
    struct fixture *f = *state;
    struct command command, again;
    char *path, *end;

    put_three(f);
    command = edit(f, "printf '{\"warren_dump\": 1, \"queue\": 7}' >\"$1\"\n");
    command_expect(&command, 1);
    assert_has(command.err, "; the message stays in '");
    assert_has(command.err, "what you wrote is in ");
    expect_count(f, f->dlq, 3);
    path = strstr(command.err, "--file ");
    assert_non_null(path);
    path += strlen("--file ");
    end = strstr(path, " tries");
    assert_non_null(end);
    *end = '\0';
    assert_int_equal(access(path, R_OK), 0);
    again = COMMAND("dlq", "edit-and-replay", f->queue, "a-1", "--file", path);
    command_expect(&again, 1);
    assert_has(again.err, path);
    expect_count(f, f->dlq, 3);
    command_done(&command);
    command_done(&again);
}

/* Leaving the editor without a change, or by a failure, changes nothing. */
static void no_edit(void **state)
{
    struct fixture *f = *state;
    struct command unchanged, failed;

    put_three(f);
    unchanged = edit(f, "true\n");
    command_expect(&unchanged, 1);
    assert_has(unchanged.err, "nothing was changed; the message stays in '");
    failed = edit(f, "echo x >>\"$1\"; exit 1\n");
    command_expect(&failed, 1);
    assert_has(failed.err, "failed; the message stays in '");
    expect_count(f, f->dlq, 3);
    expect_count(f, f->queue, 0);
    assert_int_equal(files_in(f->directory), 0);
    command_done(&unchanged);
    command_done(&failed);
}

/* A file takes the place of an editor; an id that is not there is told. */
static void a_given_file(void **state)
{
    struct fixture *f = *state;
    char *dump = text("{\"warren_dump\": 1, \"queue\": \"%s\", \"body\": \"new\"}", f->queue);
    char *path = write_file(f->directory, "fixed.json", dump);
    struct command command, missing;
    struct peer_message message;

    put_three(f);
    command = COMMAND("dlq", "edit-and-replay", f->queue, "a-0", "--file", path, "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"replayed\":1,");
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.body, "new");
    assert_string_equal(message.message_id, "a-0"); /* the file names none */
    peer_message_done(&message);
    missing = COMMAND("dlq", "edit-and-replay", f->queue, "nobody", "--file", path);
    command_expect(&missing, 1);
    assert_has(missing.err, "there is no message nobody in ");
    expect_count(f, f->dlq, 2);
    command_done(&command);
    command_done(&missing);
    free(path);
    free(dump);
}

/* ---- texts that hold a NUL ---- */

/* Three whose ids begin alike, and one header whose name goes on behind a NUL. */
static void put_nuls(struct fixture *f)
{
    static const struct {
        const char *data;
        size_t len;
    } ids[] = {{"dup\0A", 5}, {"dup\0B", 5}, {"dup", 3}};
    amqp_table_entry_t header = {
        .key = {3, "h\0x"},
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("v")}};

    for (size_t i = 0; i < 3; i++) {
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_HEADERS_FLAG,
            .message_id = {ids[i].len, (void *)(uintptr_t)ids[i].data},
            .headers = {1, &header}};

        peer_publish(f->peer, "", f->dlq, "b", 1, &properties);
    }
}

/* The message that came back has the id and the name of a header to their ends. */
static void expect_nuls(struct fixture *f, const char *id)
{
    struct peer_message message;
    const amqp_table_t *headers;

    expect_count(f, f->queue, 1);
    assert_true(peer_get(f->peer, f->queue, &message));
    headers = &message.properties->headers;
    assert_int_equal(message.properties->message_id.len, 5);
    assert_memory_equal(message.properties->message_id.bytes, id, 5);
    assert_int_equal(headers->entries[0].key.len, 3);
    assert_memory_equal(headers->entries[0].key.bytes, "h\0x", 3);
    peer_message_done(&message);
}

/* Each command takes all of an id, in which \0 is written for a NUL, and leaves the others alone.
 */
static void a_nul_in_an_id(void **state)
{
    struct fixture *f = *state;
    char *path = text("%s/00001-dup_B.json", f->directory);
    struct command command;
    char *content;

    put_nuls(f);
    command = COMMAND("dlq", "show", f->queue, "--header", "h\\0x=v", "--id", "dup\\0A");
    command_expect(&command, 0);
    assert_has(command.out, "1. dup\\0A\n");
    assert_has(command.out, " h\\0x (string) v\n");
    assert_null(strstr(command.out, "2. "));
    command_done(&command);
    command = COMMAND("dlq", "show", f->queue, "--id", "dup", "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"message_id\":\"dup\",");
    assert_int_equal(lines_in(command.out), 1);
    command_done(&command);
    command = COMMAND("dlq", "list", f->queue, "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"example\":\"dup\\u0000A\"");
    command_done(&command);

    command = COMMAND("dlq", "dump", f->queue, f->directory, "--id", "dup\\0B");
    command_expect(&command, 0);
    content = read_file(path, NULL);
    assert_non_null(content);
    assert_has(content, "\"message_id_base64\": \"ZHVwAEI=\"");
    assert_has(content, "{\"name_base64\": \"aAB4\", ");
    command_done(&command);

    command = COMMAND("dlq", "replay", f->queue, "--id", "dup\\0A");
    command_expect(&command, 0);
    assert_has(command.err, "message_id=\"dup\\u0000A\"");
    expect_nuls(f, "dup\0A");
    expect_count(f, f->dlq, 2);
    command_done(&command);
    command = COMMAND("dlq", "edit-and-replay", f->queue, "dup\\0B", "--file", path);
    command_expect(&command, 0);
    expect_nuls(f, "dup\0B");
    command_done(&command);
    command = COMMAND("dlq", "discard", f->queue, "--id", "dup\\0B", "--yes");
    command_expect(&command, 1);
    assert_has(command.err, "there is no message dup\\0B in ");
    command_done(&command);
    command = COMMAND("dlq", "discard", f->queue, "--id", "dup", "--yes");
    command_expect(&command, 0);
    expect_count(f, f->dlq, 0);
    command_done(&command);
    free(content);
    free(path);
}

static void wrong_arguments(void **state)
{
    static const struct {
        const char *words[6];
        const char *error;
    } rows[] = {
        {{"dlq", "dump"}, "which queue?"},
        {{"dlq", "dump", "a"}, "where to?"},
        {{"dlq", "dump", "a", "b", "c"}, "unexpected \"c\""},
        {{"dlq", "discard"}, "which queue?"},
        {{"dlq", "discard", "a", "all"}, "unexpected \"all\""},
        {{"dlq", "edit-and-replay", "a"}, "which message?"},
        {{"dlq", "edit-and-replay", "a", "b", "c"}, "unexpected \"c\""},
        {{"dlq", "edit-and-replay", "a", ""}, "the id is empty"},
        {{"dlq", "discard", "a", "--id", ""}, "--id: it is empty"},
        {{"dlq", "discard", "a", "--group="}, "--group: it is empty"},
        {{"dlq", "dump", "a", "b", "--reason="}, "--reason: it is empty"},
        {{"dlq", "discard", "a", "--no-id", "--id=x"}, "--id or --no-id, not both"},
        {{"dlq", "discard", "a", "--id=x", "--no-id"}, "--id or --no-id, not both"},
        {{"dlq", "edit-and-repaly", "a"}, "did you mean \"dlq edit-and-replay\"?"},
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dump),
        TEST(a_dump_of_some),
        TEST(a_dump_to_nowhere),
        TEST(a_question),
        TEST(no_terminal),
        TEST(a_discard_of_those_without_an_id),
        TEST(a_letter_that_cannot_be_read),
        TEST(a_discard_of_some),
        TEST(nothing_to_discard),
        TEST(nothing_matches),
        TEST(more_than_the_limit),
        TEST(a_mistyped_reason),
        TEST(an_edited_message),
        TEST(an_edited_queue),
        TEST(a_damaged_file),
        TEST(no_edit),
        TEST(a_given_file),
        TEST(a_nul_in_an_id),
        TEST(wrong_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
