#include "command/cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/c_locale.h"
#include "base/suggest.h"
#include "command/cli/print.h"

/* popt's value for `--help`; those of the other options are their places among the rows, from 1. */
#define HELP 1000

bool cli_colour(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fileno(out)) && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
}

/* A broker's words, or a file's, may be in it; only an end of a line is wanted. */
static void write_plain(FILE *out, const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            fputc(*line++, out);
        cli_write_safe(out, line, strcspn(line, "\n"));
    }
}

static void write_line(FILE *out, const struct cli *cli, enum cli_status status, const char *text)
{
    const char *name = cli->command->name;
    const char *space = *name ? " " : "";

    fprintf(out, "warren%s%s: ", space, name);
    if (status != CLI_OK)
        fputs(cli_colour(stderr) ? "\033[1;31merror:\033[0m " : "error: ", out);
    write_plain(out, text);
    fputc('\n', out);
    if (status == CLI_USAGE)
        fprintf(out, "Try 'warren%s%s --help'.\n", space, name);
}

/* At once, for other processes may write to the same standard error. */
static void write_at_once(const struct cli *cli, enum cli_status status, const char *text)
{
    char *whole = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&whole, &len);

    write_line(out ? out : stderr, cli, status, text);
    if (!out)
        return;
    if (fclose(out) == 0)
        fwrite(whole, 1, len, stderr);
    free(whole);
}

enum cli_status cli_say(const struct cli *cli, enum cli_status status, const char *format, ...)
{
    locale_t before = c_locale_begin();
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    write_at_once(cli, status, text);
    free(text);
    c_locale_end(before);
    return status;
}

enum cli_status cli_error(const struct cli *cli, const struct warren_error *error)
{
    cli_failed(cli, "%s", error->text);
    return error->status == WARREN_ECONFIG || error->status == WARREN_EPLUGIN ? CLI_USAGE
                                                                              : CLI_FAILED;
}

static void write_help(const struct cli *cli)
{
    const struct command *command = cli->command;

    printf("%s.\n\n", command->summary);
    poptPrintHelp(cli->context, stdout, 0);
    if (command->details)
        printf("\n%s", command->details);
    if (command->write_more)
        command->write_more(stdout);
}

const char *cli_word(const char *text, char word[CLI_WORD_SIZE])
{
    static const char dots[] = "...";
    size_t len = strlen(text);
    bool cut = len >= CLI_WORD_SIZE;

    if (cut)
        len = CLI_WORD_SIZE - sizeof dots;
    while (cut && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    for (size_t i = 0; i < len; i++)
        word[i] = ascii_is_cntrl(text[i]) ? '?' : text[i];
    word[len] = '\0';
    if (cut)
        memcpy(word + len, dots, sizeof dots);
    return word;
}

/* "--quue=x" and "--quue" both become "--quue", and a suggestion follows if there is one. */
static enum cli_status unknown_option(const struct cli *cli)
{
    const char *bad = poptBadOption(cli->context, POPT_BADOPTION_NOALIAS);
    int len = (int)strcspn(bad, "=");
    const char *names[CLI_OPTIONS_MAX + 1];
    const char *near = NULL;
    size_t count = 0;
    char name[64];
    char shown[CLI_WORD_SIZE];

    for (; count < cli->row_count; count++)
        names[count] = cli->rows[count]->name;
    names[count++] = "help";
    if (len > 2 && bad[1] == '-') {
        snprintf(name, sizeof name, "%.*s", len - 2, bad + 2);
        near = suggest(name, names, count);
    }
    cli_word(bad, shown);
    shown[strcspn(shown, "=")] = '\0';
    return cli_usage(cli, near ? "unknown option %s; did you mean --%s?" : "unknown option %s",
                     shown, near);
}

static enum cli_status bad_option(const struct cli *cli, int code)
{
    if (code == POPT_ERROR_BADOPT)
        return unknown_option(cli);
    return cli_usage(cli, "%s: %s", poptBadOption(cli->context, POPT_BADOPTION_NOALIAS),
                     code == POPT_ERROR_NOARG ? "it needs a value" : poptStrerror(code));
}

bool cli_read(struct cli *cli, void *target)
{
    int value;

    while ((value = poptGetNextOpt(cli->context)) > 0) {
        const struct cli_option *option;

        if (value == HELP) {
            write_help(cli);
            cli->status = CLI_OK;
            return false;
        }
        option = cli->rows[value - 1];
        if (!option->take(cli, option, (char *)target + option->offset))
            return false;
    }
    if (value < -1)
        cli->status = bad_option(cli, value);
    return value >= -1;
}

/* ---- takers ---- */

const char *cli_text(struct cli *cli)
{
    char *argument = poptGetOptArg(cli->context);
    const char *text = argument ? arena_text(&cli->arena, argument, strlen(argument)) : NULL;

    free(argument);
    return text ? text : "";
}

bool cli_refuse(struct cli *cli, const struct cli_option *option, const char *text, const char *why)
{
    char word[CLI_WORD_SIZE];

    return cli_stop(cli, "--%s %s: %s", option->name, cli_word(text, word), why);
}

bool cli_take_flag(struct cli *cli, const struct cli_option *option, void *value)
{
    (void)cli;
    (void)option;
    *(bool *)value = true;
    return true;
}

bool cli_take_text(struct cli *cli, const struct cli_option *option, void *value)
{
    (void)option;
    *(const char **)value = cli_text(cli);
    return true;
}

bool cli_take_list(struct cli *cli, const struct cli_option *option, void *value)
{
    (void)option;
    return cli_list_add(cli, value, cli_text(cli));
}

bool cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return end != text && !*end && errno == 0 && *ret >= min && *ret <= max;
}

bool cli_take_number(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);
    char word[CLI_WORD_SIZE];
    int64_t number;

    if (!cli_parse_number(text, option->min, option->max, &number))
        return cli_stop(cli, "--%s: \"%s\" is no whole number from %lld to %lld", option->name,
                        cli_word(text, word), (long long)option->min, (long long)option->max);
    *(uint64_t *)value = (uint64_t)number;
    return true;
}

bool cli_take_rate(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);
    char *end;
    double rate = c_strtod(text, &end);

    *(double *)value = rate;
    return (end != text && (!*end || strcmp(end, "/s") == 0) && rate >= 0.001 && rate <= 1e9) ||
           cli_refuse(cli, option, text, "it is a number from 0.001 to 1000000000");
}

bool cli_take_short(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    *(const char **)value = text;
    return strlen(text) <= 255 || cli_refuse(cli, option, "...", "longer than 255 bytes");
}

/* ---- arguments ---- */

const char *cli_argument(struct cli *cli)
{
    return poptGetArg(cli->context);
}

enum cli_status cli_end(struct cli *cli, const char *hint)
{
    const char *extra = cli_argument(cli);
    char word[CLI_WORD_SIZE];

    return extra ? cli_usage(cli, "unexpected \"%s\"%s", cli_word(extra, word), hint) : CLI_OK;
}

bool cli_list_add(struct cli *cli, struct cli_list *list, const char *text)
{
    if (!list->items)
        list->items = arena_alloc(&cli->arena, CLI_LIST_MAX * sizeof *list->items);
    if (!list->items || list->count == CLI_LIST_MAX)
        return cli_stop(cli, "an option is given more than %d times", CLI_LIST_MAX);
    list->items[list->count++] = text;
    return true;
}

/* ---- life ---- */

/* Add the rows of @rows to those of @cli, and what popt is to know of them to @table. */
static void add_rows(struct cli *cli, const struct cli_option *rows, struct poptOption *table)
{
    for (; rows && rows->name; rows++) {
        if (rows->rows) {
            add_rows(cli, rows->rows, table);
            continue;
        }
        assert(cli->row_count < CLI_OPTIONS_MAX);
        cli->rows[cli->row_count++] = rows;
        table[cli->row_count - 1] = (struct poptOption){
            .longName = rows->name,
            .shortName = rows->letter,
            .argInfo = rows->argument ? POPT_ARG_STRING : POPT_ARG_NONE,
            .val = (int)cli->row_count,
            .descrip = rows->help,
            .argDescrip = rows->argument,
        };
    }
}

enum cli_status cli_run(const struct command *command, int argc, const char **argv)
{
    struct poptOption own[CLI_OPTIONS_MAX + 1] = {POPT_TABLEEND};
    const struct poptOption table[] = {
        {NULL, '\0', POPT_ARG_INCLUDE_TABLE, own, 0, "Options:", NULL},
        {"help", 'h', POPT_ARG_NONE, NULL, HELP, "Show this help", NULL},
        POPT_TABLEEND};
    struct cli cli = {.command = command};
    enum cli_status status;
    char name[64];

    add_rows(&cli, command->options, own);
    snprintf(name, sizeof name, "warren %s", command->name);
    argv[0] = name;
    arena_init(&cli.arena);
    cli.context = poptGetContext("warren", argc, argv, cli.row_count > 0 ? table : table + 1, 0);
    if (!cli.context) {
        arena_done(&cli.arena);
        return cli_failed(&cli, "no memory");
    }
    poptSetOtherOptionHelp(cli.context, command->arguments);
    status = command->run(&cli);
    poptFreeContext(cli.context);
    arena_done(&cli.arena);
    return status;
}
