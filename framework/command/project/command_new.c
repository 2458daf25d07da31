#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"
#include "command/cli/print.h"
#include "command/project/command_project.h"
#include "command/project/project.h"
#include "command/project/project_name.h"

struct new_request {
    const struct project_language *language;
    const char *dir;
};

/* Whoever writes "cpp" or "CXX" means C++. */
static const char *nearest_language(const char *text)
{
    const char *words[4];
    size_t count = 0;

    for (; count < project_language_count; count++) {
        words[count] = project_languages[count].word;
        if (strcasecmp(text, words[count]) == 0)
            return words[count];
    }
    if (tolower((unsigned char)text[0]) == 'c')
        return "c++";
    return suggest(text, words, count);
}

static bool take_language(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);
    const char *near = nearest_language(text);
    char word[CLI_WORD_SIZE];

    for (size_t i = 0; i < project_language_count; i++) {
        if (strcmp(text, project_languages[i].word) == 0) {
            *(const struct project_language **)value = &project_languages[i];
            return true;
        }
    }
    cli_word(text, word);
    if (near)
        return cli_stop(cli, "--%s: there is no language \"%s\"; did you mean %s?", option->name,
                        word, near);
    return cli_stop(cli, "--%s: there is no language \"%s\": c or c++", option->name, word);
}

static const struct cli_option options[] = {
    {CLI_ROW("lang", 'l', "Language of the handler: c, unless given, or c++", "LANGUAGE",
             take_language, offsetof(struct new_request, language)),
     .choices = "c|c++"},
    CLI_TEXT("dir", 'd', "The folder that is made; NAME unless given", "DIR", struct new_request,
             dir),
    CLI_END};

static enum cli_status bad_name(struct cli *cli, const char *name)
{
    char other[PROJECT_NAME_MAX + 1];
    char word[CLI_WORD_SIZE];

    if (!project_name_suggest(name, other))
        strcpy(other, "mails");
    return cli_usage(
        cli,
        "\"%s\" is no name: it has a-z, 0-9 and _, a letter first, at most %d of them, "
        "such as %s%s",
        cli_word(name, word), PROJECT_NAME_MAX, other,
        strchr(name, '/') ? "; its folder is named with --dir" : "");
}

/* "mails/" is mails; "/" stays. */
static const char *without_slashes(struct cli *cli, const char *dir)
{
    size_t len = strlen(dir);

    while (len > 1 && dir[len - 1] == '/')
        len--;
    return arena_text(&cli->arena, dir, len);
}

static void write_folder(const char *dir)
{
    cli_write_safe(stdout, dir, strlen(dir));
}

static void report(const struct project *project)
{
    write_folder(project->dir);
    printf("/ is made: %s.%s with a handler in %s, its test, worker.yaml, README.md.\n\n  cd ",
           project->name, project->language->suffix, project->language->title);
    write_folder(project->dir);
    fputs("\n"
          "  make test    # builds it and runs its test\n"
          "  make run     # runs the worker, with a RabbitMQ on this machine\n",
          stdout);
}

static enum cli_status run(struct cli *cli)
{
    struct new_request request = {.language = &project_languages[0]};
    struct warren_error error = {WARREN_OK, ""};
    struct project project;

    if (!cli_read(cli, &request))
        return cli->status;
    project.name = cli_argument(cli);
    if (!project.name)
        return cli_usage(cli, "what is it called? Name the project");
    if (cli_end(cli, ": one project at a time") != CLI_OK)
        return CLI_USAGE;
    if (!project_name_is_valid(project.name))
        return bad_name(cli, project.name);
    project.language = request.language;
    project.dir = without_slashes(cli, request.dir ? request.dir : project.name);
    if (!project.dir)
        return cli_failed(cli, "no memory");
    if (!*project.dir)
        return cli_usage(cli, "--dir: it is empty");
    if (project_make(&project, &error) != WARREN_OK)
        return cli_error(cli, &error);
    report(&project);
    if (fflush(stdout) == 0)
        return CLI_OK;
    project_remove(&project); /* whoever sees a failure finds nothing, and can do it again */
    return CLI_FAILED;        /* which is told as it is of every command */
}

const struct command command_new = {
    .name = "new",
    .arguments = "NAME",
    .summary = "Make a project for a handler, with its test, its worker and its container",
    .options = options,
    .run = run,
    .details =
        "NAME becomes that of the folder, the plugin and the queue: a-z, 0-9 and _, a letter\n"
        "first. In the folder, `make test` and `make run` work at once.\n\n"
        "Exit status: 0; 1 if a file could not be written; 2 for a wrong command line, and for a\n"
        "folder that exists or cannot be made. Then nothing is left behind.\n",
};
