/* test_command.c - the command line as a user meets it: help, mistakes, the lists that it prints,
 * and what a terminal is given that a pipe is not.
 */
#include "support/broker.h"
#include "support/command.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"

#define assert_has_not(text, part)                                                                 \
    do {                                                                                           \
        if (strstr(text, part))                                                                    \
            fail_msg("\"%s\" is in:\n%s", part, text);                                             \
    } while (0)

static struct broker *broker;
static struct peer *peer;

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    peer = peer_new(broker->uri);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    peer_free(peer);
    broker_free(broker);
    return 0;
}

/* ---- help ---- */

/* Every command's help goes to standard output, names its options, and is a success. */
static void every_command_has_help(void **state)
{
    static const struct {
        const char *command[3]; /* as given, without --help */
        const char *usage;
        const char *option;
    } rows[] = {
        {{NULL}, "Usage: warren COMMAND", "--version"},
        {{"run"}, "Usage: warren run -c FILE", "--config=FILE"},
        {{"check"}, "Usage: warren check -c FILE", "--connect"},
        {{"publish"}, "Usage: warren publish --queue NAME", "--routing-key=KEY"},
        {{"request"}, "Usage: warren request --queue NAME", "--timeout=TIME"},
        {{"handlers"}, "Usage: warren handlers PLUGIN.so", "--json"},
        {{"dlq", "list"}, "Usage: warren dlq list [OPTION...] [QUEUE...]", "--limit=N"},
        {{"dlq", "show"}, "Usage: warren dlq show [OPTION...] QUEUE", "--reason=REASON"},
        {{"dlq", "dump"}, "Usage: warren dlq dump [OPTION...] QUEUE DIR", "--handler="},
        {{"dlq", "discard"}, "Usage: warren dlq discard [OPTION...] QUEUE", "--yes"},
        {{"dlq", "edit-and-replay"},
         "Usage: warren dlq edit-and-replay [OPTION...] QUEUE ID",
         "--file=FILE"},
        {{"dlq", "replay"}, "Usage: warren dlq replay [OPTION...] QUEUE [all]", "--dry-run"},
        {{"config", "reference"}, "Usage: warren config reference", "--help"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *words[4] = {rows[i].command[0], rows[i].command[1]};
        const char *help_words[4] = {"help", rows[i].command[0], rows[i].command[1]};
        struct command asked, helped;

        words[words[0] ? words[1] ? 2 : 1 : 0] = "--help";
        asked = command_run(words, NULL, NULL);
        command_expect(&asked, 0);
        assert_string_equal(asked.err, "");
        assert_has(asked.out, rows[i].usage);
        assert_has(asked.out, rows[i].option);
        helped = command_run(help_words, NULL, NULL);
        command_expect(&helped, 0);
        assert_string_equal(helped.out, asked.out);
        command_done(&asked);
        command_done(&helped);
    }
}

/* The options of the file, with their variables, stand below `warren run --help`. */
static void run_help_has_the_file(void **state)
{
    struct command help = COMMAND("run", "--help");

    (void)state;
    assert_has(help.out, "consumer.prefetch");
    assert_has(help.out, "WARREN_CONSUMER_PREFETCH");
    command_done(&help);
}

static void the_version(void **state)
{
    struct command version = COMMAND("--version");
    struct command letter = COMMAND("-V");

    (void)state;
    command_expect(&version, 0);
    assert_int_equal(strncmp(version.out, "warren ", 7), 0);
    assert_int_equal(lines_in(version.out), 1);
    assert_string_equal(version.out, letter.out);
    command_done(&version);
    command_done(&letter);
}

/* Without a command the overview is an error, so it does not go where results go. */
static void no_command(void **state)
{
    struct command none = command_run((const char *const[]){NULL}, NULL, NULL);

    (void)state;
    command_expect(&none, 2);
    assert_string_equal(none.out, "");
    assert_has(none.err, "Usage: warren COMMAND");
    command_done(&none);
}

/* ---- mistakes ---- */

/* Each is one line that says what is wrong, one that says how to get help, and status 2. */
static void mistakes(void **state)
{
    static const struct {
        const char *words[8];
        const char *says;
    } rows[] = {
        {{"publsh"}, "unknown command \"publsh\"; did you mean \"publish\"?"},
        {{"chekc", "-c", "x"}, "did you mean \"check\"?"},
        {{"something"}, "unknown command \"something\"\n"},
        {{"--versoin"}, "unknown option --versoin; did you mean --version?"},
        {{"-x"}, "unknown option -x\n"},
        {{"config"}, "\"config\" needs a word more: reference"},
        {{"config", "refrence"}, "did you mean \"config reference\"?"},
        {{"config", "reference", "more"}, "unexpected \"more\""},
        {{"help", "rnu"}, "did you mean \"run\"?"},
        {{"run", "--confg", "x"}, "unknown option --confg; did you mean --config?"},
        {{"run", "worker.yaml"}, "unexpected \"worker.yaml\"; a file is given by -c"},
        {{"run", "-c"}, "-c: it needs a value"},
        {{"run"}, "which configuration? Give -c FILE"},
        {{"check", "-c", "x", "--conect"}, "did you mean --connect?"},
        {{"check"}, "which configuration? Give -c FILE"},
        {{"handlers"}, "which plugin?"},
        {{"handlers", "a.so", "b.so"}, "one plugin at a time"},
        {{"publish", "--quue=x"}, "unknown option --quue; did you mean --queue?"},
        {{"publish", "-b", "x"}, "where to? Give --queue"},
        {{"publish", "-q", "a", "-k", "b", "-b", "x"}, "not both"},
        {{"publish", "-q", "a", "-b", "x", "-f", "y"}, "--body or --file, not both"},
        {{"publish", "-q", "a", "x"}, "unexpected \"x\"; a body is given by --body"},
        {{"publish", "-q", "a", "-b", "x", "-n", "0"}, "--count: \"0\" is no whole number from 1"},
        {{"publish", "-q", "a", "-b", "x", "-n", "2x"}, "--count: \"2x\" is no whole number"},
        {{"publish", "-q", "a", "-b", "x", "-r", "nan"}, "--rate nan: it is a number from 0.001"},
        {{"publish", "-q", "a", "-b", "x", "--priority=256"}, "whole number from 0 to 255"},
        {{"publish", "-q", "a", "-b", "x", "--expiration=1m"}, "a whole number of milliseconds"},
        {{"publish", "-q", "a", "-b", "x", "-H", "n:f32=1e39"},
         "\"1e39\" is no f32, a finite number"},
        {{"publish", "-q", "a", "-b", "x", "--json=yes"}, "--json=yes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command mistake = command_run(rows[i].words, NULL, NULL);

        command_expect(&mistake, 2);
        assert_string_equal(mistake.out, "");
        assert_has(mistake.err, rows[i].says);
        assert_has(mistake.err, ": error: ");
        assert_int_equal(lines_in(mistake.err), 2);
        assert_has(mistake.err, "\nTry 'warren");
        command_done(&mistake);
    }
}

/* What could not be written is not a success. */
static void a_full_disk(void **state)
{
    struct command full = command_shell("exec $WARREN config reference >/dev/full", NULL, NULL);

    (void)state;
    command_expect(&full, 1);
    assert_has(full.err, "cannot write to standard output");
    command_done(&full);
}

/* Nor is what had nowhere to go. */
static void a_closed_standard_output(void **state)
{
    struct command closed = command_shell("exec $WARREN config reference >&-", NULL, NULL);

    (void)state;
    command_expect(&closed, 1);
    assert_has(closed.err, "cannot write to standard output");
    command_done(&closed);
}

/* A pipe with a name, that nobody writes: refused, and not waited for. One that the shell makes for
 * this very command is read. */
static void a_pipe_in_place_of_a_file(void **state)
{
    static const char script[] =
        "cd \"$1\" && mkfifo pipe && echo 'topology: {queues: [{name: q}]}' >w.yaml\n"
        "for words in '-c pipe' '-c w.yaml --set broker.password_file=pipe' "
        "'-c w.yaml --set broker.uri=amqps://127.0.0.1:1/ --set broker.tls.ca_file=pipe' '-f "
        "pipe'\n"
        "do $WARREN publish -q q $words </dev/null && echo status 0 >&2\n"
        "done\n"
        "for words in 'check -c' 'run -c' 'db check' 'spool list' 'invoke x.so run'\n"
        "do $WARREN $words pipe && echo status 0 >&2\n"
        "done\n"
        "cat w.yaml | $WARREN check -c /dev/stdin";
    char *directory = scratch_new();
    struct command all = command_shell(script, directory, NULL);
    size_t count = 0;

    (void)state;
    for (const char *at = all.err; (at = strstr(at, "it is a pipe, not a regular file")); at++)
        count++;
    if (count != 9)
        fail_msg("%zu of 9 are refused:\n%s", count, all.err);
    assert_has_not(all.err, "status 0");
    assert_has(all.err, "/dev/stdin:");
    command_done(&all);
    scratch_free(directory);
}

/* A reader that had enough, such as head(1), is met with an end and not with a signal or noise. */
static void a_reader_that_leaves(void **state)
{
    struct command left =
        command_shell("{ $WARREN config reference; echo status $? >&2; } | exec true", NULL, NULL);

    (void)state;
    assert_has_not(left.err, "Sanitizer");
    assert_true(strstr(left.err, "status 1") || strstr(left.err, "status 0"));
    command_done(&left);
}

/* ---- lists ---- */

static void handlers_as_text(void **state)
{
    struct command list = COMMAND("handlers", WARREN_HANDLER_DIR "/exec.so");

    (void)state;
    command_expect(&list, 0);
    assert_string_equal(list.err, "");
    assert_has(list.out, "exec 0.");
    assert_has(list.out, "\n  exec.run\n");
    assert_has(list.out, "command          list, required\n");
    assert_has(list.out, "timeout          duration, default 30s\n");
    assert_has(list.out, "otherwise        enum retry|reject, default retry\n");
    command_done(&list);
}

static void handlers_as_json(void **state)
{
    struct command list = COMMAND("handlers", "--json", WARREN_HANDLER_DIR "/log.so");

    (void)state;
    command_expect(&list, 0);
    assert_int_equal(lines_in(list.out), 1);
    assert_has(list.out, "{\"plugin\":\"log\",\"version\":\"");
    assert_has(list.out, "\"handlers\":[{\"name\":\"log.write\",");
    assert_has(list.out,
               "{\"name\":\"path\",\"type\":\"path\",\"required\":false,\"default\":\"-\"");
    assert_has(list.out, "\"choices\":\"none|message\"");
    command_done(&list);
}

static void assert_current(const char *group, const char *path)
{
    struct command reference = COMMAND(group, "reference");
    char *page = read_file(path, NULL);

    command_expect(&reference, 0);
    assert_non_null(page);
    assert_string_equal(reference.out, page);
    free(page);
    command_done(&reference);
}

/* These pages are what the program prints. */
static void the_reference_is_current(void **state)
{
    (void)state;
    assert_current("config", WARREN_SOURCE_DIR "/docs/configuration.md");
    assert_current("metrics", WARREN_SOURCE_DIR "/docs/metrics.md");
}

/* ---- terminals ---- */

/* On a terminal a bar is drawn in colour, and wiped when the summary comes. */
static void a_bar_on_a_terminal(void **state)
{
    char *queue = unique_name("terminal");
    const char *const words[] = {"publish", "-u", broker->uri, "-q", queue, "-b",
                                 "x",       "-n", "30",        "-r", "100", NULL};
    struct command drawn;

    (void)state;
    peer_declare(peer, queue, "classic");
    drawn = command_on_terminal(words, (const char *const[]){"TERM=xterm", "NO_COLOR=", NULL});
    command_expect(&drawn, 0);
    assert_has(drawn.out, "/30, ");
    assert_has(drawn.out, "\r\033[K\033[32m[");
    assert_has(drawn.out, "\r\033[Kpublished 30, confirmed 30 in ");
    command_done(&drawn);
    peer_delete(peer, queue);
    free(queue);
}

/* NO_COLOR takes the colours off a terminal, and leaves the bar. */
static void no_colour_on_a_terminal(void **state)
{
    char *queue = unique_name("terminal");
    const char *const words[] = {"publish", "-u", broker->uri, "-q", queue, "-b",
                                 "x",       "-n", "30",        "-r", "100", NULL};
    struct command drawn;

    (void)state;
    peer_declare(peer, queue, "classic");
    drawn = command_on_terminal(words, (const char *const[]){"TERM=xterm", "NO_COLOR=1", NULL});
    command_expect(&drawn, 0);
    assert_has(drawn.out, "\r\033[K[");
    assert_has_not(drawn.out, "\033[3");
    command_done(&drawn);
    peer_delete(peer, queue);
    free(queue);
}

/* Errors are red on a terminal, unless NO_COLOR or a dumb terminal ask for plain ones. */
static void errors_in_colour(void **state)
{
    const char *const words[] = {"publsh", NULL};
    struct command red =
        command_on_terminal(words, (const char *const[]){"TERM=xterm", "NO_COLOR=", NULL});
    struct command plain =
        command_on_terminal(words, (const char *const[]){"TERM=xterm", "NO_COLOR=1", NULL});
    struct command dumb =
        command_on_terminal(words, (const char *const[]){"TERM=dumb", "NO_COLOR=", NULL});

    (void)state;
    command_expect(&red, 2);
    assert_has(red.out, "warren: \033[1;31merror:\033[0m unknown command");
    assert_has_not(plain.out, "\033");
    assert_has(plain.out, "warren: error: unknown command");
    assert_string_equal(dumb.out, plain.out);
    command_done(&red);
    command_done(&plain);
    command_done(&dumb);
}

/* Into a pipe or a file goes text alone. */
static void nothing_but_text_in_a_pipe(void **state)
{
    char *queue = unique_name("terminal");
    const char *const words[] = {"publish", "-u", broker->uri, "-q", queue, "-b",
                                 "x",       "-n", "30",        "-r", "100", NULL};
    struct command piped;

    (void)state;
    peer_declare(peer, queue, "classic");
    piped = command_run(words, NULL, (const char *const[]){"TERM=xterm", "NO_COLOR=", NULL});
    command_expect(&piped, 0);
    assert_string_equal(piped.err, "");
    assert_null(strpbrk(piped.out, "\033\r"));
    assert_int_equal(lines_in(piped.out), 1);
    command_done(&piped);
    peer_delete(peer, queue);
    free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(run_help_has_the_file),
        cmocka_unit_test(the_version),
        cmocka_unit_test(no_command),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_closed_standard_output),
        cmocka_unit_test(a_pipe_in_place_of_a_file),
        cmocka_unit_test(a_reader_that_leaves),
        cmocka_unit_test(handlers_as_text),
        cmocka_unit_test(handlers_as_json),
        cmocka_unit_test(the_reference_is_current),
        cmocka_unit_test(a_bar_on_a_terminal),
        cmocka_unit_test(no_colour_on_a_terminal),
        cmocka_unit_test(errors_in_colour),
        cmocka_unit_test(nothing_but_text_in_a_pipe),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
