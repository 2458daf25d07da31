/* completion_bash.c - see completion.h; what the rows mean is told in completion.bash. */
#include <string.h>

#include "config/options.h"
#include "manual/completion.h"
#include "manual/page.h"

static const char *code_of(enum completion_kind kind)
{
    static const char *const codes[] = {[COMPLETION_NONE] = "-",
                                        [COMPLETION_TEXT] = "text",
                                        [COMPLETION_FILE] = "file",
                                        [COMPLETION_FOLDER] = "folder",
                                        [COMPLETION_SETTING] = "setting"};

    return codes[kind];
}

static void write_kind(FILE *out, const struct completion *c)
{
    if (c->kind == COMPLETION_WORDS)
        fprintf(out, "words:%.*s", c->words == c->name ? c->name_len : (int)strlen(c->words),
                c->words);
    else
        fputs(code_of(c->kind), out);
}

static void write_option(void *user, const struct cli_option *option)
{
    struct completion c = completion_of_option(option);
    FILE *out = user;

    fprintf(out, " '--%s ", option->name);
    write_kind(out, &c);
    fputc('\'', out);
    if (option->letter) {
        fprintf(out, " '-%c ", option->letter);
        write_kind(out, &c);
        fputc('\'', out);
    }
}

static void write_options(FILE *out)
{
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "    '%s') _warren_rows=(", commands[i]->name);
        completion_options(commands[i]->options, write_option, out);
        fputs(" '--help -' '-h -') ;;\n", out);
    }
}

/* The last one that repeats stands for all behind it. */
static void write_arguments(FILE *out)
{
    for (size_t i = 0; commands[i]; i++) {
        struct completion items[COMPLETION_ARGUMENTS_MAX];
        size_t count = completion_arguments(commands[i], items);

        if (count == 0)
            continue;
        fprintf(out, "    '%s') _warren_rows=(", commands[i]->name);
        for (size_t j = 0; j < count; j++) {
            fputs(j > 0 ? " '" : "'", out);
            write_kind(out, &items[j]);
            fputc('\'', out);
        }
        fprintf(out, ") _warren_more=%s ;;\n", items[count - 1].repeats ? "yes" : "no");
    }
}

/* Each first word once. */
static void write_words(FILE *out)
{
    char group[PAGE_GROUP_SIZE];

    fputs("    '') _warren_rows=(", out);
    for (size_t i = 0; commands[i]; i++)
        if (page_begins_group(i, group) || !strchr(commands[i]->name, ' '))
            fprintf(out, "%s ", group);
    fputs("help) ;;\n", out);
    for (size_t i = 0; commands[i]; i++) {
        if (!page_begins_group(i, group))
            continue;
        fprintf(out, "    %s) _warren_rows=(", group);
        for (size_t j = i; commands[j]; j++)
            if (strncmp(commands[j]->name, group, strlen(group)) == 0 &&
                commands[j]->name[strlen(group)] == ' ')
                fprintf(out, "%s%s", j > i ? " " : "", commands[j]->name + strlen(group) + 1);
        fputs(") ;;\n", out);
    }
}

static void write_settings(FILE *out)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (!config_option_has(&config_options[i], CONFIG_OPTION_FILE))
            fprintf(out, "        %s=\n", config_options[i].name);
}

static void write_values(FILE *out)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct warren_option *o = &config_options[i];

        if (o->type == WARREN_OPTION_ENUM && o->choices)
            fprintf(out, "    %s) _warren_rows=('words:%s') ;;\n", o->name, o->choices);
        else if (o->type == WARREN_OPTION_BOOL)
            fprintf(out, "    %s) _warren_rows=('words:true|false') ;;\n", o->name);
        else if (o->type == WARREN_OPTION_PATH)
            fprintf(out, "    %s) _warren_rows=('file') ;;\n", o->name);
    }
}

static void write_part(FILE *out, const char *part)
{
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } parts[] = {{"words", write_words},
                 {"options", write_options},
                 {"arguments", write_arguments},
                 {"settings", write_settings},
                 {"values", write_values}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(part, parts[i].name) == 0)
            parts[i].write(out);
}

void completion_bash(FILE *out, const char *template)
{
    completion_fill(out, template, write_part);
}
