#include "command/commands.h"

#include <stdlib.h>
#include <string.h>

#include <warren/version.h>

#include "base/suggest.h"
#include "command/dlq/command_dlq.h"
#include "command/doctor/command_doctor.h"
#include "command/message/command_message.h"
#include "command/project/command_project.h"
#include "command/spool/command_spool.h"
#include "command/topology/command_topology.h"
#include "command/watch/command_watch.h"
#include "command/worker/command_worker.h"

/* Bound on the words that a suggestion is looked for in. */
#define WORDS_MAX 64

/* The command in whose name errors are reported before one was found. */
static const struct command no_command = {.name = ""};

const struct command *const commands[] = {&command_new,
                                          &command_run,
                                          &command_check,
                                          &command_doctor,
                                          &command_health,
                                          &command_reload,
                                          &command_publish,
                                          &command_request,
                                          &command_handlers,
                                          &command_invoke,
                                          &command_top,
                                          &command_profile,
                                          &command_config_reference,
                                          &command_metrics_reference,
                                          &command_db_check,
                                          &command_db_backup,
                                          &command_dlq_list,
                                          &command_dlq_show,
                                          &command_dlq_dump,
                                          &command_dlq_replay,
                                          &command_dlq_edit_and_replay,
                                          &command_dlq_discard,
                                          &command_spool_list,
                                          &command_spool_show,
                                          &command_spool_flush,
                                          &command_spool_discard,
                                          &command_topology_plan,
                                          &command_topology_apply,
                                          &command_topology_export,
                                          NULL};

/* What a worker runs for itself. */
static const struct command *const hidden[] = {&command_try_plugin, NULL};

/* How many words of the command line @command's name is, or 0. */
static int words_matched(const struct command *command, int argc, const char **argv)
{
    const char *name = command->name;
    int words = 0;

    while (*name) {
        size_t len = strcspn(name, " ");

        if (words == argc || strlen(argv[words]) != len || strncmp(argv[words], name, len) != 0)
            return 0;
        words++;
        name += len + (name[len] == ' ');
    }
    return words;
}

static const struct command *find_in(const struct command *const *table, int argc,
                                     const char **argv, int *ret_words)
{
    for (size_t i = 0; table[i]; i++) {
        *ret_words = words_matched(table[i], argc, argv);
        if (*ret_words > 0)
            return table[i];
    }
    return NULL;
}

static const struct command *find_command(int argc, const char **argv, int *ret_words)
{
    const struct command *found = find_in(commands, argc, argv, ret_words);

    return found ? found : find_in(hidden, argc, argv, ret_words);
}

static void write_overview(FILE *out)
{
    fputs("Usage: warren COMMAND [OPTION...]\n\n"
          "Runs handler plugins for the messages of RabbitMQ queues.\n\nCommands:\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-20s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "  help [COMMAND]       Show this help, or that of a command\n\n"
        "Options:\n"
        "  -h, --help           Show this help\n"
        "  -V, --version        Show the version\n\n"
        "'warren COMMAND --help' shows the options of a command; 'man warren-COMMAND' says more.\n",
        out);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static enum cli_status unknown_option(const struct cli *cli, const char *word)
{
    static const char *const names[] = {"--help", "--version"};
    const char *near = suggest(word, names, 2);

    return cli_usage(cli, near ? "unknown option %s; did you mean %s?" : "unknown option %s", word,
                     near);
}

/* Whether @name is of two words or more, the first of which is @group. */
static bool is_of_group(const char *name, const char *group)
{
    size_t len = strlen(group);

    return strncmp(name, group, len) == 0 && name[len] == ' ';
}

/* What "dlq --help" says. False: there is no such group. */
static bool write_group(const char *group, FILE *out)
{
    bool found = false;

    for (size_t i = 0; commands[i]; i++) {
        if (!is_of_group(commands[i]->name, group))
            continue;
        if (!found)
            fprintf(out, "Usage: warren %s COMMAND [OPTION...]\n\nCommands:\n", group);
        fprintf(out, "  %-20s %s\n", commands[i]->name, commands[i]->summary);
        found = true;
    }
    if (found)
        fputs("\n'warren COMMAND --help' shows the options of a command.\n", out);
    return found;
}

/* "db" alone, or "db chekc": what else is there? False: there is no such group. */
static bool unknown_in_group(const struct cli *cli, const char *group, const char *word)
{
    const char *names[WORDS_MAX];
    char all[256] = "";
    size_t count = 0;
    size_t len = 0;

    for (size_t i = 0; commands[i] && count < WORDS_MAX; i++) {
        if (!is_of_group(commands[i]->name, group))
            continue;
        names[count] = commands[i]->name + strlen(group) + 1;
        if (len < sizeof all)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", count ? ", " : "",
                                    names[count]);
        count++;
    }
    if (count == 0)
        return false;
    if (!word)
        cli_usage(cli, "\"%s\" needs a word more: %s", group, all);
    else if (suggest(word, names, count))
        cli_usage(cli, "unknown command \"%s %s\"; did you mean \"%s %s\"?", group, word, group,
                  suggest(word, names, count));
    else
        cli_usage(cli, "unknown command \"%s %s\"; there is: %s", group, word, all);
    return true;
}

/* Several words with the same beginning are one command each, or one group: "config". */
static enum cli_status unknown_command(int argc, const char **argv)
{
    struct cli cli = {.command = &no_command};
    const char *word = argv[0];
    const char *names[WORDS_MAX];
    const char *near;
    size_t count = 0;

    if (*word == '-')
        return unknown_option(&cli, word);
    if (unknown_in_group(&cli, word, argc > 1 ? argv[1] : NULL))
        return CLI_USAGE;
    for (size_t i = 0; commands[i] && count < WORDS_MAX - 1; i++)
        names[count++] = commands[i]->name;
    names[count++] = "help";
    near = suggest(word, names, count);
    return cli_usage(
        &cli, near ? "unknown command \"%s\"; did you mean \"%s\"?" : "unknown command \"%s\"",
        word, near);
}

static enum cli_status help(int argc, const char **argv)
{
    const char *help_argv[] = {NULL, "--help", NULL};
    const struct command *command;
    int words;

    if (argc == 0 || is_help(argv[0])) {
        write_overview(stdout);
        return CLI_OK;
    }
    command = find_command(argc, argv, &words);
    if (command)
        return cli_run(command, 2, help_argv);
    if (argc == 1 && write_group(argv[0], stdout))
        return CLI_OK;
    return unknown_command(argc, argv);
}

static enum cli_status dispatch(int argc, const char **argv)
{
    const struct command *command;
    int words;

    if (argc == 0) {
        write_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[0], "help") == 0 || is_help(argv[0]))
        return help(argc - 1, argv + 1);
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
        printf("warren %s\n", warren_version());
        return CLI_OK;
    }
    command = find_command(argc, argv, &words);
    if (!command && argc == 2 && is_help(argv[1]) && write_group(argv[0], stdout))
        return CLI_OK;
    if (!command)
        return unknown_command(argc, argv);
    return cli_run(command, argc - words + 1, argv + words - 1);
}

int commands_main(int argc, const char **argv)
{
    enum cli_status status = dispatch(argc > 0 ? argc - 1 : 0, argv + 1);

    /* What was printed must have arrived, or `warren config reference > full-disk` would succeed.
     */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        struct cli cli = {.command = &no_command};

        cli_failed(&cli, "cannot write to standard output");
        return CLI_FAILED;
    }
    return (int)status;
}
