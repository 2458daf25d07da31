/* completion_zsh.c - see completion.h; what stands around these lines is completion.zsh. */
#include <string.h>

#include "config/options.h"
#include "manual/completion.h"
#include "manual/page.h"

/* Inside of '...', and, as @special says, of what _arguments and _describe read. */
static void put_quoted(FILE *out, const char *text, size_t len, const char *special)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'')
            fputs("'\\'", out);
        else if (strchr(special, text[i]))
            fputc('\\', out);
        fputc(text[i], out);
    }
}

static void write_words_of(FILE *out, const char *words, size_t len)
{
    fputc('(', out);
    for (size_t i = 0; i < len && words[i]; i++)
        fputc(words[i] == '|' ? ' ' : words[i], out);
    fputc(')', out);
}

/* ":FILE:_files" */
static void write_action(FILE *out, const struct completion *c)
{
    fputc(':', out);
    put_quoted(out, c->name, (size_t)c->name_len, ":");
    fputc(':', out);
    switch (c->kind) {
    case COMPLETION_FILE:
        fputs("_files", out);
        break;
    case COMPLETION_FOLDER:
        fputs("_files -/", out);
        break;
    case COMPLETION_SETTING:
        fputs("_warren_set", out);
        break;
    case COMPLETION_WORDS:
        write_words_of(out, c->words, c->words == c->name ? (size_t)c->name_len : strlen(c->words));
        break;
    default: /* a message alone would keep options from being completed */
        fputs("()", out);
    }
}

static void write_option(void *user, const struct cli_option *option)
{
    struct completion c = completion_of_option(option);
    const char *equals = option->argument ? "=" : "";
    FILE *out = user;

    fputs(" \\\n            ", out);
    if (c.repeats)
        fputs("'*'", out);
    else if (option->letter)
        fprintf(out, "'(-%c --%s)'", option->letter, option->name);
    if (option->letter)
        fprintf(out, "{-%c%s,--%s%s}'[", option->letter, option->argument ? "+" : "", option->name,
                equals);
    else
        fprintf(out, "'--%s%s[", option->name, equals);
    put_quoted(out, option->help, strlen(option->help), "[]\\");
    fputc(']', out);
    if (option->argument)
        write_action(out, &c);
    fputc('\'', out);
}

static void write_arguments(FILE *out, const struct command *command)
{
    struct completion items[COMPLETION_ARGUMENTS_MAX];
    size_t count = completion_arguments(command, items);

    for (size_t i = 0; i < count; i++) {
        fputs(" \\\n            '", out);
        if (items[i].repeats)
            fputc('*', out);
        else
            fprintf(out, "%zu", i + 1);
        write_action(out, &items[i]);
        fputc('\'', out);
    }
}

static void write_options(FILE *out)
{
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "    '%s')\n        _arguments -s", commands[i]->name);
        completion_options(commands[i]->options, write_option, out);
        fputs(" \\\n            '(-h --help)'{-h,--help}'[Show a short help]'", out);
        write_arguments(out, commands[i]);
        fputs("\n        ;;\n", out);
    }
}

static void write_word(FILE *out, const char *word, const char *help)
{
    fprintf(out, "        '%s:", word);
    put_quoted(out, help, strlen(help), "");
    fputs("'\n", out);
}

static void write_words(FILE *out)
{
    char group[PAGE_GROUP_SIZE];

    fputs("    '') names=(\n", out);
    for (size_t i = 0; commands[i]; i++)
        if (page_begins_group(i, group))
            write_word(out, group, "A group of commands");
        else if (!strchr(commands[i]->name, ' '))
            write_word(out, commands[i]->name, commands[i]->summary);
    fputs("        'help:Show the help of a command'\n        ) ;;\n", out);
    for (size_t i = 0; commands[i]; i++) {
        if (!page_begins_group(i, group))
            continue;
        fprintf(out, "    %s) names=(\n", group);
        for (size_t j = i; commands[j]; j++)
            if (strncmp(commands[j]->name, group, strlen(group)) == 0 &&
                commands[j]->name[strlen(group)] == ' ')
                write_word(out, commands[j]->name + strlen(group) + 1, commands[j]->summary);
        fputs("        ) ;;\n", out);
    }
}

/* "    (config|dlq)" */
static void write_groups(FILE *out)
{
    char group[PAGE_GROUP_SIZE];
    const char *before = "    (";

    for (size_t i = 0; commands[i]; i++) {
        if (!page_begins_group(i, group))
            continue;
        fprintf(out, "%s%s", before, group);
        before = "|";
    }
    fputs(")\n", out);
}

static void write_settings(FILE *out)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (!config_option_has(&config_options[i], CONFIG_OPTION_FILE))
            fprintf(out, "            %s=\n", config_options[i].name);
}

static void write_values(FILE *out)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct warren_option *o = &config_options[i];
        const char *words = o->type == WARREN_OPTION_BOOL ? "true|false" : o->choices;

        if (o->type == WARREN_OPTION_PATH) {
            fprintf(out, "        (%s) _files ;;\n", o->name);
        } else if (words && *words) {
            fprintf(out, "        (%s) compadd -- ", o->name);
            for (; *words; words++)
                fputc(*words == '|' ? ' ' : *words, out);
            fputs(" ;;\n", out);
        }
    }
}

static void write_part(FILE *out, const char *part)
{
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } parts[] = {{"words", write_words},
                 {"groups", write_groups},
                 {"options", write_options},
                 {"settings", write_settings},
                 {"values", write_values}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(part, parts[i].name) == 0)
            parts[i].write(out);
}

void completion_zsh(FILE *out, const char *template)
{
    completion_fill(out, template, write_part);
}
