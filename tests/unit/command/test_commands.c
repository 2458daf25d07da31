/* test_commands.c - the command line: exit statuses, suggestions, summary, progress. */
#include <fcntl.h>
#include <unistd.h>

#include "command/cli/progress.h"
#include "command/commands.h"
#include "command/message/publish_tally.h"
#include "command_rig.h"
#include "support/test.h"

static void version_and_overview(void **state)
{
    (void)state;
    assert_int_equal(RUN("--version"), CLI_OK);
    assert_string_equal(out, "warren " WARREN_VERSION "\n");
    assert_int_equal(RUN("help"), CLI_OK);
    for (size_t i = 0; commands[i]; i++)
        assert_has(out, commands[i]->name);
    assert_int_equal(run((const char *const[]){NULL}), CLI_USAGE);
    assert_string_equal(out, "");
    assert_has(err, "publish");
}

/* Who asks a group of commands, or help itself, for help gets it. */
static void help_of_a_group(void **state)
{
    (void)state;
    assert_int_equal(RUN("dlq", "--help"), CLI_OK);
    assert_has(out, "dlq edit-and-replay");
    assert_null(strstr(out, "spool list"));
    assert_string_equal(err, "");
    assert_int_equal(RUN("spool", "-h"), CLI_OK);
    assert_has(out, "spool flush");
    assert_int_equal(RUN("help", "db"), CLI_OK);
    assert_has(out, "db backup");
    assert_int_equal(RUN("help", "--help"), CLI_OK);
    assert_has(out, "Usage: warren COMMAND");
    assert_int_equal(RUN("dlqq", "--help"), CLI_USAGE);
    assert_int_equal(RUN("help", "dlq", "lst"), CLI_USAGE);
    assert_has(err, "did you mean \"dlq list\"?");
}

/* An error is written at once, so that the lines of processes that share standard error do not mix:
 * in a pipe of packets it is one. */
static void an_error_is_one_write(void **state)
{
    const char *argv[] = {"warren", "publish", "--no\nsuch", NULL};
    int before = dup(STDERR_FILENO);
    char packet[4096];
    int ends[2];
    ssize_t len;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_DIRECT), 0);
    dup2(ends[1], STDERR_FILENO);
    assert_int_equal(commands_main(3, argv), CLI_USAGE);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    len = read(ends[0], packet, sizeof packet - 1);
    assert_true(len > 0);
    packet[len] = '\0';
    assert_has(packet, "warren publish: error: unknown option --no");
    assert_has(packet, "Try 'warren publish --help'.\n");
    assert_int_equal(read(ends[0], packet, sizeof packet), 0);
    close(ends[0]);
}

/* Each one prints its own. */
static void help_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i]; i++) {
        char *name = strdup(commands[i]->name);
        const char *words[8] = {NULL};
        size_t count = 0;

        for (char *rest = name, *word; (word = strtok_r(rest, " ", &rest));)
            words[count++] = word;
        words[count] = "--help";
        assert_int_equal(run(words), CLI_OK);
        assert_has(out, commands[i]->summary);
        assert_string_equal(err, "");
        free(name);
    }
}

/* No heading stands over nothing in the help of a command without options. */
static void help_without_options(void **state)
{
    (void)state;
    assert_int_equal(RUN("db", "backup", "--help"), CLI_OK);
    assert_has(out, "-h, --help");
    assert_null(strstr(out, "Options:"));
}

/* A misspelt command or option is answered with the nearest one, and status 2. */
static void did_you_mean(void **state)
{
    (void)state;
    assert_int_equal(RUN("publsh"), CLI_USAGE);
    assert_has(err, "did you mean \"publish\"?");
    assert_int_equal(RUN("publish", "--quue", "x"), CLI_USAGE);
    assert_has(err, "did you mean --queue?");
    assert_int_equal(RUN("publish", "--contenttype=x"), CLI_USAGE);
    assert_has(err, "did you mean --content-type?");
    assert_int_equal(RUN("config", "refrence"), CLI_USAGE);
    assert_has(err, "did you mean \"config reference\"?");
    assert_int_equal(RUN("config"), CLI_USAGE);
    assert_has(err, "needs a word more: reference");
    assert_int_equal(RUN("db", "zzzzzz"), CLI_USAGE);
    assert_has(err, "there is: check, backup");
    assert_int_equal(RUN("--verison"), CLI_USAGE);
}

static void wrong_arguments(void **state)
{
    (void)state;
    assert_int_equal(RUN("run"), CLI_USAGE);
    assert_int_equal(RUN("run", "-c"), CLI_USAGE);
    assert_has(err, "needs a value");
    assert_int_equal(RUN("check", "worker.yaml"), CLI_USAGE);
    assert_int_equal(RUN("handlers"), CLI_USAGE);
    assert_int_equal(RUN("publish", "--body", "x"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-e", "b", "-b", "x"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "-f", "y"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--priority", "256"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--count", "0"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--rate", "fast"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--expiration", "1s"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--header", "n:i8=999"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--window", "0"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--uri", "amqp://h:port/"), CLI_USAGE);
}

static const char nothing[] = "{\"published\":0,\"confirmed\":0,\"returned\":0,\"nacked\":0,"
                              "\"timeout\":0,\"seconds\":0.000}\n";

/* Nothing was tried where a body cannot be read: status 2, and a summary of nothing. */
static void a_missing_body_file(void **state)
{
    (void)state;
    assert_int_equal(RUN("publish", "-q", "a", "-f", "/nonexistent"), CLI_USAGE);
    assert_has(err, "cannot open /nonexistent: No such file");
    assert_string_equal(out, "");
    assert_int_equal(RUN("publish", "-q", "a", "-f", "/nonexistent", "--json"), CLI_USAGE);
    assert_string_equal(out, nothing);
    assert_int_equal(RUN("publish", "-q", "a", "-f", "/", "--json"), CLI_USAGE);
    assert_has(err, "cannot read /: Is a directory");
    assert_string_equal(out, nothing);
    assert_int_equal(RUN("request", "-q", "a", "-f", "/nonexistent"), CLI_USAGE);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "-c", "/nonexistent", "-j"), CLI_USAGE);
    assert_string_equal(out, nothing);
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--spool", "/nonexistent/spool", "-j"),
                     CLI_FAILED);
    assert_has(out, "\"published\":0,\"confirmed\":0,");
    assert_has(out, "\"spooled\":0,");
}

/* What an option stands for has its name in an error. */
static void an_error_names_its_option(void **state)
{
    (void)state;
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "-w", "0"), CLI_USAGE);
    assert_has(err, "error: --window: ");
    assert_null(strstr(err, "--set"));
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "-t", "soon"), CLI_USAGE);
    assert_has(err, "error: --timeout: ");
    assert_int_equal(RUN("request", "-q", "a", "-b", "x", "-t", "soon"), CLI_USAGE);
    assert_has(err, "error: --timeout: ");
    assert_int_equal(RUN("spool", "flush", "-t", "soon"), CLI_USAGE);
    assert_has(err, "error: --timeout: ");
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--set", "publisher.window_messages=0"),
                     CLI_USAGE);
    assert_has(err, "--set publisher.window_messages: ");
}

/* A name that leaves no room for the pattern's rest is told as what it is. */
static void a_name_without_room_for_its_dead_letters(void **state)
{
    char name[256];
    char *longer;

    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(RUN("dlq", "list", name), CLI_USAGE);
    assert_has(err, "by dead_letter.queue, which is \"{queue}.dlq\", its name would have more");
    assert_int_equal(asprintf(&longer, "%sn", name), 256);
    assert_int_equal(RUN("dlq", "list", longer), CLI_USAGE);
    assert_has(err, "is no queue: a name has 1 to 255 bytes");
    assert_int_equal(RUN("dlq", "list", ""), CLI_USAGE);
    assert_has(err, "is no queue: a name has 1 to 255 bytes");
    free(longer);
}

/* No text of others, such as a broker's or a file's, steers a terminal from within an error. */
static void an_error_steers_no_terminal(void **state)
{
    (void)state;
    assert_int_equal(RUN("publish", "-q", "a", "-f",
                         "/a\x9b"
                         "b\x1b[2J\xc2\x9b"
                         "c\xc3\xa9"),
                     CLI_USAGE);
    assert_has(err, "cannot open /a?b?[2J?c\xc3\xa9: ");
}

/* An unreachable broker ends with the reason, a summary, and status 1. */
static void no_broker(void **state)
{
    (void)state;
    assert_int_equal(RUN("publish", "-q", "a", "-b", "x", "--uri", "amqp://127.0.0.1:1/",
                         "--timeout", "300ms", "--json"),
                     CLI_FAILED);
    assert_has(out, "\"published\":0,\"confirmed\":0,");
    assert_has(err, "127.0.0.1:1");
}

/* The summary has the names that scripts rely on. */
static void the_summary_as_json(void **state)
{
    struct publish_tally tally = {.published = 11};
    FILE *file = tmpfile();

    (void)state;
    tally.results[WARREN_CONFIRMED] = 1;
    tally.results[WARREN_RETURNED] = 2;
    tally.results[WARREN_NACKED] = 3;
    tally.results[WARREN_TIMEOUT] = 4;
    tally.results[WARREN_EXPIRED] = 1;
    publish_tally_write_json(&tally, 1.5, file);
    read_back(file, out);
    assert_string_equal(out, "{\"published\":11,\"confirmed\":1,\"returned\":2,\"nacked\":3,"
                             "\"timeout\":5,\"seconds\":1.500}\n");
    assert_false(publish_tally_is_clean(&tally));
    tally.published = 1;
    assert_true(publish_tally_is_clean(&tally));
}

/* The bar fits the terminal, and is left out where there is no room. */
static void progress_fits(void **state)
{
    struct progress progress = {.total = 200};
    char text[256];

    (void)state;
    progress_format(&progress, 50, "note", 1000, 80, text, sizeof text);
    assert_has(text, "[#####...............] 50/200, 50/s, 3 s left, note");
    progress_format(&progress, 50, NULL, 1000, 20, text, sizeof text);
    assert_true(strlen(text) < 20);
    assert_null(strchr(text, '['));
    progress.total = 0;
    progress_format(&progress, 50, NULL, 1000, 80, text, sizeof text);
    assert_string_equal(text, "50, 50/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_overview),
        cmocka_unit_test(help_of_a_group),
        cmocka_unit_test(an_error_is_one_write),
        cmocka_unit_test(help_of_each),
        cmocka_unit_test(help_without_options),
        cmocka_unit_test(did_you_mean),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(a_missing_body_file),
        cmocka_unit_test(an_error_names_its_option),
        cmocka_unit_test(a_name_without_room_for_its_dead_letters),
        cmocka_unit_test(an_error_steers_no_terminal),
        cmocka_unit_test(no_broker),
        cmocka_unit_test(the_summary_as_json),
        cmocka_unit_test(progress_fits),
    };

    /* The user's own settings would be read. */
    unsetenv("WARREN_BROKER_URI");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
