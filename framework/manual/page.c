#include "manual/page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <warren/version.h>

#include "base/suggest.h"
#include "command/worker/command_worker.h"
#include "manual/troff.h"

/* ---- names ---- */

void page_name(const char *command, char name[PAGE_NAME_SIZE])
{
    snprintf(name, PAGE_NAME_SIZE, "warren-%s", command);
    for (char *c = name; *c; c++)
        if (*c == ' ')
            *c = '-';
}

/* That of a command's file of pieces: its page's without "warren-". */
static struct piece_file *file_of(struct manual *m, const char *command)
{
    char name[PAGE_NAME_SIZE];

    page_name(command, name);
    return pieces_find(&m->pieces, name + strlen("warren-"));
}

static bool is_of_group(const char *command, const char *group)
{
    size_t len = strlen(group);

    return strncmp(command, group, len) == 0 && command[len] == ' ';
}

bool page_begins_group(size_t command, char group[PAGE_GROUP_SIZE])
{
    const char *name = commands[command]->name;
    size_t len = strcspn(name, " ");

    snprintf(group, PAGE_GROUP_SIZE, "%.*s", (int)len, name);
    for (size_t i = 0; i < command; i++)
        if (is_of_group(commands[i]->name, group))
            return false;
    return name[len] == ' ';
}

/* ---- parts of a page ---- */

static void write_heading(FILE *out, const char *name)
{
    troff_heading(out, name, strlen(name));
}

/* Title, NAME. @summary begins with a capital. */
static void write_head(FILE *out, const struct manual *m, const char *name, const char *section,
                       const char *summary)
{
    troff_title(out, name, section, m->date, WARREN_VERSION);
    fputs(".SH NAME\n", out);
    for (; *name; name++)
        fputs(*name == '-' ? "\\-" : (const char[]){*name, '\0'}, out);
    fputs(" \\- ", out);
    troff_words(out, summary, strlen(summary));
    fputc('\n', out);
}

static void write_piece(FILE *out, const struct piece *piece, bool paragraph)
{
    if (piece && piece->text)
        troff_prose(out, piece->text, piece->len, paragraph);
}

/* What a number or a word may be, if the table knows. */
static void write_range(FILE *out, const struct cli_option *option)
{
    const char *choices = option->choices;
    const char *word;
    size_t len;

    if (option->take == cli_take_number && option->max < INT64_MAX)
        fprintf(out, "\nIt is a whole number from %" PRId64 " to %" PRId64 ".", option->min,
                option->max);
    for (bool first = true; choices && (len = choices_next(&choices, &word)) > 0; first = false) {
        fputs(first ? "\nOne of " : ", ", out);
        troff_bold(out, word, len);
        if (!*choices)
            fputc('.', out);
    }
}

static void write_option(FILE *out, struct manual *m, struct piece_file *file,
                         const struct cli_option *option)
{
    const struct piece *piece = piece_find_option(&m->pieces, file, option->name);

    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    for (const char *c = option->name; *c; c++)
        fputs(*c == '-' ? "\\-" : (const char[]){*c, '\0'}, out);
    fputs("\\fR", out);
    if (option->argument)
        fprintf(out, "=\\fI%s\\fR", option->argument);
    fputc('\n', out);
    troff_words(out, option->help, strlen(option->help));
    fputc('.', out);
    write_range(out, option);
    fputc('\n', out);
    write_piece(out, piece, false);
}

static void write_options(FILE *out, struct manual *m, struct piece_file *file,
                          const struct cli_option *rows)
{
    for (; rows && rows->name; rows++)
        if (rows->rows)
            write_options(out, m, file, rows->rows);
        else
            write_option(out, m, file, rows);
}

static bool is_merged(const char *section)
{
    return strcmp(section, "Exit status") == 0 || strcmp(section, "Examples") == 0;
}

/* The sections of @file that have no place of their own. */
static void write_sections(FILE *out, struct piece_file *file)
{
    for (size_t i = 0; file && i < file->count; i++) {
        struct piece *piece = &file->items[i];

        if (piece->kind != PIECE_SECTION || is_merged(piece->name))
            continue;
        piece->is_used = true;
        write_heading(out, piece->name);
        write_piece(out, piece, false);
    }
}

/* What the command writes itself. */
static void write_more(FILE *out, const struct command *command)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = command->write_more ? open_memstream(&text, &len) : NULL;

    if (!file)
        return;
    command->write_more(file);
    fclose(file);
    troff_listing(out, text);
    free(text);
}

/* What --help says in that part, and behind it what the file says. */
static void write_merged(FILE *out, struct piece_file *file, const char *details,
                         enum troff_part part, const char *section)
{
    const struct piece *piece = piece_find(file, PIECE_SECTION, section);
    bool any = troff_details(out, details, part, section);

    if (piece && !any)
        write_heading(out, section);
    write_piece(out, piece, any);
}

/* A reference to each command of @group, or, without one, to all. */
static void write_commands(FILE *out, const char *group)
{
    char name[PAGE_NAME_SIZE];

    for (size_t i = 0; commands[i]; i++) {
        if (group && !is_of_group(commands[i]->name, group))
            continue;
        page_name(commands[i]->name, name);
        fputs(".TP\n", out);
        troff_bold(out, name, strlen(name));
        fputs("(1)\n", out);
        troff_words(out, commands[i]->summary, strlen(commands[i]->summary));
        fputs(".\n", out);
    }
}

static void write_see_also(FILE *out, const char *command)
{
    char group[PAGE_GROUP_SIZE];
    char name[PAGE_NAME_SIZE];

    write_heading(out, "See also");
    fputs("\\fBwarren\\fR(1)", out);
    snprintf(group, sizeof group, "%.*s", (int)strcspn(command, " "), command);
    for (size_t i = 0; commands[i]; i++) {
        if (!is_of_group(commands[i]->name, group) || strcmp(commands[i]->name, command) == 0)
            continue;
        page_name(commands[i]->name, name);
        fputs(",\n", out);
        troff_bold(out, name, strlen(name));
        fputs("(1)", out);
    }
    fputs(",\n\\fBwarren.yaml\\fR(5)\n", out);
}

/* ---- pages ---- */

void page_command(FILE *out, struct manual *m, const struct command *command)
{
    struct piece_file *file = file_of(m, command->name);
    char name[PAGE_NAME_SIZE];
    bool any;

    page_name(command->name, name);
    write_head(out, m, name, "1", command->summary);
    write_heading(out, "Synopsis");
    fputs("\\fBwarren\\fR ", out);
    troff_bold(out, command->name, strlen(command->name));
    fputc(' ', out);
    if (command->options && !strstr(command->arguments, "OPTION"))
        troff_synopsis(out, "[OPTION...] ");
    troff_synopsis(out, command->arguments);
    write_heading(out, "Description");
    fprintf(out, "%s.\n", command->summary);
    any = troff_details(out, command->details, TROFF_DESCRIPTION, NULL);
    write_piece(out, piece_find(file, PIECE_TEXT, ""), any);
    write_heading(out, "Options");
    write_options(out, m, file, command->options);
    fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow a short help.\n", out);
    write_more(out, command);
    write_sections(out, file);
    write_merged(out, file, command->details, TROFF_EXIT_STATUS, "Exit status");
    write_merged(out, file, command->details, TROFF_EXAMPLES, "Examples");
    write_see_also(out, command->name);
}

/* Of a group, or of warren itself, which have a file, or else little to say. */
static const char *summary_of(struct piece_file *file)
{
    const struct piece *piece = piece_find(file, PIECE_SUMMARY, NULL);

    return piece ? piece->name : "Commands that belong together";
}

void page_group(FILE *out, struct manual *m, const char *group)
{
    struct piece_file *file = file_of(m, group);
    char name[PAGE_NAME_SIZE];

    page_name(group, name);
    write_head(out, m, name, "1", summary_of(file));
    fprintf(out, ".SH SYNOPSIS\n\\fBwarren %s\\fR ", group);
    troff_synopsis(out, "COMMAND [OPTION...]");
    write_heading(out, "Description");
    fprintf(out, "%s.\n", summary_of(file));
    write_piece(out, piece_find(file, PIECE_TEXT, ""), true);
    write_heading(out, "Commands");
    write_commands(out, group);
    write_sections(out, file);
    write_merged(out, file, NULL, TROFF_EXAMPLES, "Examples");
    write_see_also(out, group);
}

void page_main(FILE *out, struct manual *m)
{
    struct piece_file *file = pieces_find(&m->pieces, "warren");

    write_head(out, m, "warren", "1", summary_of(file));
    fputs(".SH SYNOPSIS\n\\fBwarren\\fR ", out);
    troff_synopsis(out, "COMMAND [OPTION...]");
    fputs(".br\n\\fBwarren help\\fR ", out);
    troff_synopsis(out, "[COMMAND]");
    write_heading(out, "Description");
    write_piece(out, piece_find(file, PIECE_TEXT, ""), false);
    write_heading(out, "Commands");
    write_commands(out, NULL);
    write_heading(out, "Options");
    fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n"
          "Show a short help: of warren, of a command, or of a group of them.\n"
          ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nShow the version.\n",
          out);
    write_sections(out, file);
    write_merged(out, file, NULL, TROFF_EXIT_STATUS, "Exit status");
    write_merged(out, file, NULL, TROFF_EXAMPLES, "Examples");
    fputs(".SH SEE ALSO\n\\fBwarren.yaml\\fR(5),\n\\fBrabbitmqctl\\fR(8)\n", out);
}

void page_configuration(FILE *out, struct manual *m)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file)
        return;
    config_reference_write(file);
    fclose(file);
    write_head(out, m, "warren.yaml", "5", "Configuration of a warren worker");
    write_heading(out, "Description");
    troff_prose(out, text, len, false);
    fputs(".SH SEE ALSO\n\\fBwarren\\fR(1),\n\\fBwarren\\-run\\fR(1),\n\\fBwarren\\-check\\fR(1)\n",
          out);
    free(text);
}
