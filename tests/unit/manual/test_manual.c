/* test_manual.c - its pages: every command and option has its place in it, and no page names an
 * option, or another page, that there is not.
 */
#include <ctype.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/doctor/doctor.h"
#include "manual/page.h"
#include "support/test.h"

static struct manual manual = {.date = "2026-01-01"};

/* ---- pages ---- */

/* Of a command, or else of a group; both NULL: warren(1). To be freed. */
static char *page_of(const struct command *command, const char *group)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    if (command)
        page_command(out, &manual, command);
    else if (group)
        page_group(out, &manual, group);
    else
        page_main(out, &manual);
    fclose(out);
    return text;
}

/* "\fB\-\-dry\-run\fR" becomes "--dry-run". */
static void make_plain(char *text)
{
    char *to = text;

    while (*text) {
        if (strncmp(text, "\\f", 2) == 0 || strncmp(text, "\\&", 2) == 0)
            text += 2 + (text[1] == 'f');
        else if (*text == '\\')
            text++;
        else
            *to++ = *text++;
    }
    *to = '\0';
}

static const struct cli_option *find_row(const struct cli_option *rows, const char *name,
                                         size_t len)
{
    for (; rows && rows->name; rows++) {
        const struct cli_option *inside = rows->rows ? find_row(rows->rows, name, len) : NULL;

        if (inside)
            return inside;
        if (!rows->rows && strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
            return rows;
    }
    return NULL;
}

/* ---- what must be there ---- */

static void find_options(const char *page, const struct command *command,
                         const struct cli_option *rows)
{
    for (; rows && rows->name; rows++) {
        char head[256];

        if (rows->rows) {
            find_options(page, command, rows->rows);
            continue;
        }
        snprintf(head, sizeof head, "--%s%s%s\n%.20s", rows->name, rows->argument ? "=" : "",
                 rows->argument ? rows->argument : "", rows->help);
        if (!strstr(page, head))
            fail_msg("the page of warren %s lacks --%s", command->name, rows->name);
    }
}

static void every_command_and_option_has_its_place(void **state)
{
    char *overview = page_of(NULL, NULL);
    char group[PAGE_GROUP_SIZE];

    (void)state;
    make_plain(overview);
    for (size_t i = 0; commands[i]; i++) {
        char *page = page_of(commands[i], NULL);
        char name[PAGE_NAME_SIZE];

        make_plain(page);
        find_options(page, commands[i], commands[i]->options);
        assert_non_null(strstr(page, commands[i]->summary));
        page_name(commands[i]->name, name);
        assert_non_null(strstr(overview, name));
        free(page);
        if (!page_begins_group(i, group))
            continue;
        page = page_of(NULL, group);
        make_plain(page);
        assert_non_null(strstr(page, name));
        free(page);
    }
    free(overview);
}

static const struct command *command_named(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    fail_msg("there is no command %s", name);
    return NULL;
}

/* What a command writes below its help is on its page: a heading, and an item for each line. */
static void what_commands_write_themselves_is_there(void **state)
{
    char *doctor = page_of(command_named("doctor"), NULL);
    char *run = page_of(command_named("run"), NULL);

    (void)state;
    assert_non_null(strstr(doctor, "\n.SH CHECKS\n.TP\n\\fBplugins\\fR\n"));
    make_plain(doctor);
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        char item[512];

        snprintf(item, sizeof item, "\n.TP\n%s\n%.20s", check->name, check->asks);
        if (!strstr(doctor, item))
            fail_msg("the page of warren doctor lacks %s", check->name);
    }
    make_plain(run);
    assert_non_null(strstr(run, "\n.TP\nbroker.heartbeat WARREN_BROKER_HEARTBEAT "));
    free(doctor);
    free(run);
}

/* ---- what must not be there ---- */

/* The command that a line names last before @end: "warren dlq list --json". */
static const struct command *named_before(const char *line, const char *end)
{
    const struct command *found = NULL;

    for (; line < end; line++) {
        size_t best = 0;

        if (strncmp(line, "warren ", 7) != 0)
            continue;
        for (size_t i = 0; commands[i]; i++) {
            size_t len = strlen(commands[i]->name);

            if (len > best && strncmp(line + 7, commands[i]->name, len) == 0) {
                found = commands[i];
                best = len;
            }
        }
    }
    return found;
}

static bool is_ours(const char *option, size_t len, const char *line)
{
    return (len == 4 && memcmp(option, "help", 4) == 0) ||
           (len == 7 && memcmp(option, "version", 7) == 0) ||
           (option - line >= 6 && memcmp(option - 6, "gdb --", 6) == 0);
}

static bool names_unknown_option(char *page, const struct command *of)
{
    const char *line = page;

    make_plain(page);
    for (const char *at = page; *at; at++) {
        const struct command *command;
        size_t len = 0;

        if (*at == '\n')
            line = at + 1;
        if (strncmp(at, "--", 2) != 0 || !islower((unsigned char)at[2]) ||
            (at > page && at[-1] == '-'))
            continue;
        while (isalnum((unsigned char)at[2 + len]) || at[2 + len] == '-')
            len++;
        command = named_before(line, at);
        if (!command)
            command = of;
        if (is_ours(at + 2, len, line) || (command && find_row(command->options, at + 2, len)))
            continue;
        print_message("--%.*s\n", (int)len, at + 2);
        return true;
    }
    return false;
}

static bool page_exists(const char *name, size_t len)
{
    char page[PAGE_NAME_SIZE];
    char group[PAGE_GROUP_SIZE];

    if (len == strlen("warren") || (len == strlen("warren.yaml") && name[6] == '.'))
        return true;
    for (size_t i = 0; commands[i]; i++) {
        page_name(commands[i]->name, page);
        if (strlen(page) == len && memcmp(page, name, len) == 0)
            return true;
        if (!page_begins_group(i, group))
            continue;
        page_name(group, page);
        if (strlen(page) == len && memcmp(page, name, len) == 0)
            return true;
    }
    return false;
}

/* "warren-dlq(1)" of a plain page. */
static void check_references(const char *page)
{
    for (const char *at = page; (at = strstr(at, "warren")); at++) {
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz-.");

        if (at[len] == '(' && isdigit((unsigned char)at[len + 1]) && !page_exists(at, len))
            fail_msg("no page %.*s", (int)len, at);
    }
}

static void check_page(const struct command *command, const char *group)
{
    char *page = page_of(command, group);

    if (names_unknown_option(page, command))
        fail_msg("the page of warren %s names an option that is none", command ? command->name
                                                                       : group ? group
                                                                               : "");
    check_references(page);
    free(page);
}

static void no_page_names_what_there_is_not(void **state)
{
    char group[PAGE_GROUP_SIZE];

    (void)state;
    check_page(NULL, NULL);
    for (size_t i = 0; commands[i]; i++) {
        check_page(commands[i], NULL);
        if (page_begins_group(i, group))
            check_page(NULL, group);
    }
}

/* The check finds what it is there for. */
static void an_unknown_option_is_found(void **state)
{
    char own[] = "give \\fB\\-\\-no\\-such\\fR\n";
    char others[] = "\\fBwarren publish \\-\\-reason\\fR\n";
    char right[] = "\\fBwarren dlq replay \\-\\-reason\\fR, \\-\\-help, x---y\n";

    (void)state;
    assert_true(names_unknown_option(own, commands[0]));
    assert_true(names_unknown_option(others, commands[0]));
    assert_false(names_unknown_option(right, commands[0]));
}

/* ---- pieces ---- */

static const char *write_file(const char *name, const char *text)
{
    static char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/tmp/%s-%d.txt", name, (int)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void a_wrong_piece_is_refused(void **state)
{
    struct pieces pieces = {NULL, 0};
    const char *why;
    const char *path = write_file("page-test", "text\n@optoin x\n");

    (void)state;
    assert_false(pieces_read(&pieces, path, &why));
    assert_non_null(strstr(why, "begins with @"));
    pieces_done(&pieces);
    unlink(path);
    assert_false(pieces_read(&pieces, path, &why));
    assert_string_equal(why, "cannot be read");
    pieces_done(&pieces);
}

/* A piece of an option that is gone, or of a command that is gone, is said. */
static void an_unused_piece_is_told(void **state)
{
    struct pieces pieces = {NULL, 0};
    const char *why;
    const char *path = write_file("page-test", "text\n@option x\nMore.\n@option y\nLess.\n");
    struct piece_file *file;
    struct piece *piece;

    (void)state;
    assert_true(pieces_read(&pieces, path, &why));
    unlink(path);
    file = &pieces.files[0];
    assert_true(pieces_are_unused(&pieces));
    assert_ptr_equal(pieces_find(&pieces, file->name), file);
    piece = piece_find(file, PIECE_TEXT, "");
    assert_int_equal(piece->len, 5);
    piece = piece_find(file, PIECE_OPTION, "x");
    assert_memory_equal(piece->text, "More.\n", piece->len);
    assert_null(piece_find(file, PIECE_OPTION, "z"));
    assert_true(pieces_are_unused(&pieces));
    assert_non_null(piece_find_option(&pieces, file, "y"));
    assert_false(pieces_are_unused(&pieces));
    pieces_done(&pieces);
}

static int read_pieces(void **state)
{
    static const char *const folders[] = {"/framework/command/*.txt", "/framework/command/*/*.txt"};
    glob_t found;
    const char *why;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char pattern[4096];

        snprintf(pattern, sizeof pattern, "%s%s", WARREN_SOURCE_DIR, folders[i]);
        if (glob(pattern, i > 0 ? GLOB_APPEND : 0, NULL, &found) != 0)
            return -1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (!pieces_read(&manual.pieces, found.gl_pathv[i], &why))
            return -1;
    globfree(&found);
    return 0;
}

static int forget_pieces(void **state)
{
    (void)state;
    pieces_done(&manual.pieces);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_and_option_has_its_place),
        cmocka_unit_test(what_commands_write_themselves_is_there),
        cmocka_unit_test(no_page_names_what_there_is_not),
        cmocka_unit_test(an_unknown_option_is_found),
        cmocka_unit_test(a_wrong_piece_is_refused),
        cmocka_unit_test(an_unused_piece_is_told),
    };

    return cmocka_run_group_tests(tests, read_pieces, forget_pieces);
}
