/* test_command_spool.c - `warren publish --spool` and `warren spool`: messages that wait on disk
 * are kept, listed, shown, sent and discarded by the command line.
 */
#include <sqlite3.h>

#include "command_fixture.h"
#include "store/spool/spool.h"
#include "support/command.h"
#include "support/proxy.h"
#include "support/test.h"

/* Nobody listens there. */
#define NOWHERE "amqp://guest:guest@127.0.0.1:1/"

/* Publish each line of @lines while there is no broker. */
static void keep(struct fixture *f, const char *queue, const char *lines)
{
    struct command command =
        COMMAND_READS(lines, "publish", "-u", NOWHERE, "-q", queue, "--spool", f->spool);

    command_expect(&command, 0);
    assert_has(command.out, "confirmed 0, spooled ");
    command_done(&command);
}

/* What `spool list --json` says must have @part. */
static void expect_listed(struct fixture *f, const char *part)
{
    struct command command = COMMAND("spool", "list", f->spool, "--json");

    command_expect(&command, 0);
    assert_has(command.out, part);
    command_done(&command);
}

/* ---- publish --spool ---- */

/* Without a broker: kept, which is a success, and said so. */
static void publish_keeps_what_it_cannot_send(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND_READS("a\nb\nc\n", "publish", "-u", NOWHERE, "-q", f->queue,
                                           "--spool", f->spool, "--json");

    command_expect(&command, 0);
    assert_has(command.out, "{\"published\":3,\"confirmed\":0,\"returned\":0,\"nacked\":0,"
                            "\"spooled\":3,\"timeout\":0,");
    assert_string_equal(command.err, "");
    command_done(&command);
    expect_listed(f, "\"to_send\":3,\"refused\":0");
}

/* The next one with that file sends them first; its summary is about its own messages alone. */
static void the_next_publish_sends_them(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\nb\n");
    command = COMMAND("publish", "-q", f->queue, "--spool", f->spool, "--body", "c");
    command_expect(&command, 0);
    assert_has(command.out, "published 1, confirmed 1 in ");
    command_done(&command);
    expect_next(f, "a");
    expect_next(f, "b");
    expect_next(f, "c");
    expect_listed(f, "\"to_send\":0,\"refused\":0,\"bytes\":0");
}

/* Write @properties, and other columns that make no message, into the rows of the file. */
static void damage(const struct fixture *f, const void *properties, int len)
{
    static const char sql[] = "UPDATE spool SET properties = ?, at = 9223372036854775807,"
                              " delay = -1, delay_to = printf('%.*c', 1000, 'x')";
    sqlite3 *database;
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_open(f->spool, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, properties, len, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

/* A header "x" of arrays in arrays. */
static int nest(uint8_t *list, int depth)
{
    int len = 2 + 4 + 2 + depth * 5;

    list[0] = 0x20;
    list[1] = 0;
    for (int at = 2; at < len;) {
        int rest = len - at - 4;

        for (int shift = 24; shift >= 0; shift -= 8)
            list[at++] = (uint8_t)(rest >> shift);
        if (at == 6) {
            list[at++] = 1;
            list[at++] = 'x';
        }
        if (at < len)
            list[at++] = 'A';
    }
    return len;
}

/* A damaged row is listed with what is wrong, shown without what cannot be decoded, discarded. */
static void a_damaged_row_is_seen(void **state)
{
    static uint8_t properties[600000];
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\n");
    damage(f, properties, nest(properties, 100000));
    command = COMMAND("spool", "list", f->spool);
    command_expect(&command, 0);
    assert_has(command.out, "its time is out of range");
    command_done(&command);
    command = COMMAND("spool", "show", f->spool, "1");
    command_expect(&command, 1);
    assert_has(command.err, "message 1: tables or arrays are nested too deeply");
    assert_has(command.out, f->queue);
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "1", "--yes");
    command_expect(&command, 0);
    assert_has(command.out, "discarded 1 message");
    command_done(&command);
}

/* Make all that is kept an hour older. */
static void age(const struct fixture *f)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(f->spool, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "UPDATE spool SET at = at - 3600000", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
}

/* What is too old goes neither in silence nor with success, whoever finds it. */
static void what_is_too_old_is_told(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\nb\n");
    age(f);
    command = COMMAND("publish", "-q", f->queue, "--spool", f->spool, "--body", "c", "-s",
                      "spool.max_age=1m");
    command_expect(&command, 1);
    assert_has(command.out, "published 1, confirmed 1 in ");
    assert_has(command.out, "in the spool from earlier: confirmed 0, expired 2\n");
    assert_has(command.err, ", in the spool from earlier: expired\n");
    command_done(&command);
    keep(f, f->queue, "d\n");
    age(f);
    keep(f, f->queue, "e\n");
    command = COMMAND("spool", "flush", f->spool, "-s", "spool.max_age=1m");
    command_expect(&command, 1);
    assert_has(command.out, ": confirmed 1, refused 0, left 0, expired 1\n");
    assert_has(command.err, "1 message waited for longer than spool.max_age and is removed");
    command_done(&command);
    expect_next(f, "c");
    expect_next(f, "e");
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* A broker that is far away is no broker that cannot be reached. */
static void publish_waits_for_a_slow_connection(void **state)
{
    struct fixture *f = *state;
    struct proxy *proxy = proxy_new(f->broker->port);
    struct command command;

    proxy_set(proxy, PROXY_TO_CLIENT, &(struct proxy_rule){.delay_ms = 500});
    command = COMMAND("publish", "-u", proxy_uri(proxy), "-q", f->queue, "--spool", f->spool,
                      "--body", "x");
    command_expect(&command, 0);
    assert_has(command.out, "published 1, confirmed 1 in ");
    command_done(&command);
    proxy_free(proxy);
}

/* With a broker, more messages than the window holds: confirmed, all of them, before it ends. */
static void publish_waits_for_the_confirms(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-q", f->queue, "--spool", f->spool, "--body", "x", "-n", "2000",
                "--window", "10", "--set", "spool.synchronous=normal");

    command_expect(&command, 0);
    assert_has(command.out, "published 2000, confirmed 2000 in ");
    command_done(&command);
    assert_int_equal(peer_count(f->peer, f->queue), 2000);
    expect_listed(f, "\"to_send\":0,\"refused\":0,\"bytes\":0");
}

/* Unroutable with a broker: told, a failure, and the caller's again. */
static void publish_tells_what_was_returned(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-q", "no such queue", "--spool", f->spool, "--body", "x");

    command_expect(&command, 1);
    assert_has(command.out, "returned 1");
    assert_has(command.err, "312 NO_ROUTE");
    command_done(&command);
}

/* A spool that has no room: an error that says so, by both policies that can fail. */
static void publish_tells_a_full_spool(void **state)
{
    static const char *const policies[] = {"spool.when_full=block", "spool.when_full=fail"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct command command =
            COMMAND("publish", "-u", NOWHERE, "-q", f->queue, "--spool", f->spool, "--body", "x",
                    "-n", "100", "-s", "spool.max_bytes=4096", "-s", policies[i], "-t", "300ms");

        command_expect(&command, 1);
        assert_has(command.err, "cannot be published: the spool is full (spool.max_bytes)");
        command_done(&command);
    }
}

/* A message that is larger than all of the spool: the error names that bound. */
static void publish_tells_what_never_fits(void **state)
{
    struct fixture *f = *state;
    char body[5001];
    struct command command;

    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    command = COMMAND("publish", "-u", NOWHERE, "-q", f->queue, "--spool", f->spool, "--body", body,
                      "-s", "spool.max_bytes=4096", "-t", "300ms");
    command_expect(&command, 1);
    assert_has(command.err, "exceeds all of the spool (spool.max_bytes)");
    command_done(&command);
}

/* ---- list ---- */

/* Totals, and a row for each with its number, length, destination and id. */
static void list_shows_rows(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("publish", "-u", NOWHERE, "-q", f->queue, "--spool", f->spool,
                                     "--body", "hello", "--message-id", "first-one");

    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("spool", "list", f->spool);
    command_expect(&command, 0);
    assert_has(command.out, ": 1 to be sent, 0 refused, ");
    assert_has(command.out, "       1  ");
    assert_has(command.out, "       5  -  ");
    assert_has(command.out, f->queue);
    assert_has(command.out, "  first-one  ");
    assert_int_equal(lines_in(command.out), 3);
    command_done(&command);
}

static const char *line_of(const char *text, int number)
{
    for (; number > 0; number--) {
        text = strchr(text, '\n');
        assert_non_null(text);
        text++;
    }
    return text;
}

static size_t column_of(const char *line, const char *word)
{
    const char *at = strstr(line, word);

    assert_non_null(at);
    return (size_t)(at - line);
}

/* What is in a column begins where its heading begins. */
static void list_lines_up(void **state)
{
    static const struct {
        const char *heading;
        const char *cell;
    } rows[] = {{"EXCHANGE", "amq.topic"},
                {"ROUTING KEY", "key.short"},
                {"MESSAGE ID", "first-one"},
                {"REFUSED", "-\n"}};
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-u", NOWHERE, "-e", rows[0].cell, "-k", rows[1].cell, "--spool",
                f->spool, "--body", "hello", "--message-id", rows[2].cell);

    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("spool", "list", f->spool);
    command_expect(&command, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(column_of(line_of(command.out, 2), rows[i].cell),
                         column_of(line_of(command.out, 1), rows[i].heading));
    command_done(&command);
}

/* At most --max rows, and how many more there are. */
static void list_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\nb\nc\nd\n");
    command = COMMAND("spool", "list", f->spool, "--max", "3");
    command_expect(&command, 0);
    assert_int_equal(lines_in(command.out), 2 + 3 + 1);
    assert_has(command.out, " and 1 more (--max)\n");
    command_done(&command);
}

/* ---- show ---- */

/* Properties and body, as text and as JSON. */
static void show_shows_a_message(void **state)
{
    struct fixture *f = *state;
    struct command command =
        COMMAND("publish", "-u", NOWHERE, "-q", f->queue, "--spool", f->spool, "--body", "the body",
                "--type", "greeting", "-H", "tries:i64=5", "--delay", "90s");

    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("spool", "show", f->spool, "1");
    command_expect(&command, 0);
    assert_has(command.out, "message 1\n");
    assert_has(command.out, "greeting");
    assert_has(command.out, "tries (i64) 5");
    assert_has(command.out, "the body");
    assert_has(command.out, "delay        90 s, then to queue ");
    command_done(&command);
    command = COMMAND("spool", "show", f->spool, "1", "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"delay_s\":90,\"delay_to\":\"");
    assert_has(command.out, "\"body\":\"the body\"");
    command_done(&command);
}

/* A number that is not there, or is none, or is missing. */
static void show_tells_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\n");
    command = COMMAND("spool", "show", f->spool, "1", "7");
    command_expect(&command, 1);
    assert_has(command.out, "message 1\n");
    assert_has(command.err, "1 of 2 messages are not there");
    command_done(&command);
    command = COMMAND("spool", "show", f->spool, "one");
    command_expect(&command, 2);
    assert_has(command.err, "\"one\" is no number of a message");
    command_done(&command);
    command = COMMAND("spool", "show", f->spool);
    command_expect(&command, 2);
    assert_has(command.err, "which message?");
    command_done(&command);
}

/* ---- flush ---- */

/* All are sent in order, and the file is empty. */
static void flush_sends_all(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\nb\nc\n");
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 0);
    assert_has(command.out, ": confirmed 3, refused 0, left 0\n");
    command_done(&command);
    expect_next(f, "a");
    expect_next(f, "b");
    expect_next(f, "c");
    command = COMMAND("spool", "flush", f->spool, "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"confirmed\":0,\"refused\":0,\"left\":0}");
    command_done(&command);
}

/* No broker: a failure that says so, and nothing is lost. */
static void flush_needs_a_broker(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\n");
    command = COMMAND("spool", "flush", f->spool, "-u", NOWHERE, "-t", "300ms");
    command_expect(&command, 1);
    assert_has(command.err, "no connection to the broker");
    command_done(&command);
    expect_listed(f, "\"to_send\":1,\"refused\":0");
}

/* What the broker refuses is kept with the reason, and sent again only if that is asked for. */
static void refused_messages_are_kept(void **state)
{
    struct fixture *f = *state;
    char *later = unique_name("later");
    struct command command;

    keep(f, later, "a\n");
    keep(f, f->queue, "b\n");
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 1);
    assert_has(command.out, ": confirmed 1, refused 1, left 0\n");
    assert_has(command.err, "returned: 312 NO_ROUTE");
    command_done(&command);
    expect_next(f, "b");
    command = COMMAND("spool", "list", f->spool, "--refused");
    command_expect(&command, 0);
    assert_has(command.out, "  312 NO_ROUTE\n");
    command_done(&command);

    peer_declare(f->peer, later, "classic");
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 1);
    assert_int_equal(peer_count(f->peer, later), 0);
    command_done(&command);
    command = COMMAND("spool", "flush", f->spool, "--refused");
    command_expect(&command, 0);
    assert_has(command.out, ": confirmed 1, refused 0, left 0\n");
    assert_int_equal(peer_count(f->peer, later), 1);
    command_done(&command);
    peer_delete(f->peer, later);
    free(later);
}

/* ---- discard ---- */

/* Those with the numbers, and no others. */
static void discard_removes_some(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\nb\nc\n");
    command = COMMAND("spool", "discard", f->spool, "1", "3", "--yes");
    command_expect(&command, 0);
    assert_has(command.out, ": discarded 2 messages\n");
    command_done(&command);
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 0);
    command_done(&command);
    expect_next(f, "b");
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* One that is not there: nothing is removed. Neither without --yes, or without saying what. */
static void discard_is_careful(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, f->queue, "a\n");
    command = COMMAND("spool", "discard", f->spool, "1", "2", "--yes");
    command_expect(&command, 1);
    assert_has(command.err, "1 of 2 messages are not there (any more); none was discarded");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--all");
    command_expect(&command, 2);
    assert_has(command.err, "give --yes");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--yes");
    command_expect(&command, 2);
    assert_has(command.err, "which messages?");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--yes", "--all", "1");
    command_expect(&command, 2);
    command_done(&command);
    expect_listed(f, "\"to_send\":1,\"refused\":0");
}

/* --refused and --all; both are the first. */
static void discard_removes_all(void **state)
{
    struct fixture *f = *state;
    struct command command;

    keep(f, "no such queue", "a\n");
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 1);
    command_done(&command);
    keep(f, f->queue, "b\n");
    command = COMMAND("spool", "discard", f->spool, "--refused", "--yes", "--json");
    command_expect(&command, 0);
    assert_has(command.out, "\"discarded\":1}");
    command_done(&command);
    expect_listed(f, "\"to_send\":1,\"refused\":0");
    command = COMMAND("spool", "discard", f->spool, "--refused", "--all", "--yes");
    command_expect(&command, 0);
    assert_has(command.out, ": discarded 0 messages\n");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--all", "--yes");
    command_expect(&command, 0);
    command_done(&command);
    expect_listed(f, "\"to_send\":0,\"refused\":0");
}

/* ---- the file ---- */

/* While a publisher has it, it can be looked at, but what is to be sent is the publisher's. What
 * was refused is the operator's: test_spool_refused.c. */
static void a_file_in_use(void **state)
{
    struct fixture *f = *state;
    const struct database_options options = {.path = f->spool};
    struct spool *spool;
    struct command command;
    bool taken;

    keep(f, f->queue, "a\n");
    assert_int_equal(spool_open(&options, &spool, NULL), WARREN_OK);
    assert_int_equal(spool_claim(spool, &taken, NULL), WARREN_OK);
    command = COMMAND("spool", "list", f->spool);
    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("spool", "flush", f->spool);
    command_expect(&command, 1);
    assert_has(command.err, "a spool has one publisher at a time");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--all", "--yes");
    command_expect(&command, 1);
    assert_has(command.err, "a spool has one publisher at a time");
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "1", "--yes");
    command_expect(&command, 1);
    command_done(&command);
    command = COMMAND("spool", "discard", f->spool, "--refused", "--yes");
    command_expect(&command, 0);
    assert_has(command.out, ": discarded 0 messages\n");
    command_done(&command);
    expect_listed(f, "\"to_send\":1,\"refused\":0");
    spool_close(spool);
}

static void expect_error(const char *path, int status, const char *says)
{
    static const char *const words[] = {"list", "flush"};

    for (size_t i = 0; i < 2; i++) {
        struct command command = COMMAND("spool", words[i], path);

        command_expect(&command, status);
        assert_has(command.err, says);
        assert_int_equal(lines_in(command.err), 1);
        command_done(&command);
    }
}

static void foreign_database(const char *path)
{
    sqlite3 *database = NULL;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "CREATE TABLE letters (text)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
}

/* Missing, no database, another program's: one line each that names the file. */
static void files_that_are_no_spool(void **state)
{
    struct fixture *f = *state;
    char *letter = write_file(f->directory, "letter", "Dear Sir or Madam, this is no database.\n");
    char *foreign = text("%s/foreign.db", f->directory);

    foreign_database(foreign);
    expect_error(f->spool, 1, "spool.db does not exist");
    expect_error(letter, 1, "is no SQLite database");
    expect_error(foreign, 2, "is a database of another application");
    free(foreign);
    free(letter);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(publish_keeps_what_it_cannot_send),
        TEST(the_next_publish_sends_them),
        TEST(a_damaged_row_is_seen),
        TEST(what_is_too_old_is_told),
        TEST(publish_waits_for_a_slow_connection),
        TEST(publish_waits_for_the_confirms),
        TEST(publish_tells_what_was_returned),
        TEST(publish_tells_a_full_spool),
        TEST(publish_tells_what_never_fits),
        TEST(list_shows_rows),
        TEST(list_lines_up),
        TEST(list_is_bounded),
        TEST(show_shows_a_message),
        TEST(show_tells_what_is_not_there),
        TEST(flush_sends_all),
        TEST(flush_needs_a_broker),
        TEST(refused_messages_are_kept),
        TEST(discard_removes_some),
        TEST(discard_is_careful),
        TEST(discard_removes_all),
        TEST(a_file_in_use),
        TEST(files_that_are_no_spool),
    };

    return cmocka_run_group_tests_name("command_spool", tests, NULL, NULL);
}
