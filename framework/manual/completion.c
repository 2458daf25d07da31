#include "manual/completion.h"

#include <ctype.h>
#include <string.h>

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* "FILE", "TO", "PLUGIN.so" are files; a word in small letters stands for itself. */
static enum completion_kind kind_of(const char *name, size_t len)
{
    static const char *const files[] = {"FILE", "TO", "PLUGIN.so"};
    static const char *const folders[] = {"DIR", "FOLDER"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (is_word(name, len, files[i]))
            return COMPLETION_FILE;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (is_word(name, len, folders[i]))
            return COMPLETION_FOLDER;
    if (is_word(name, len, "KEY=VALUE"))
        return COMPLETION_SETTING;
    return len > 0 && islower((unsigned char)*name) ? COMPLETION_WORDS : COMPLETION_TEXT;
}

struct completion completion_of_option(const struct cli_option *option)
{
    struct completion c = {.kind = COMPLETION_NONE, .name = option->argument};

    if (!option->argument)
        return c;
    c.name_len = (int)strlen(option->argument);
    c.words = option->choices ? option->choices : option->argument;
    c.kind = option->choices || strchr(option->argument, '|')
                 ? COMPLETION_WORDS
                 : kind_of(option->argument, strlen(option->argument));
    c.repeats = option->take == cli_take_list;
    return c;
}

size_t completion_arguments(const struct command *command,
                            struct completion arguments[COMPLETION_ARGUMENTS_MAX])
{
    const char *text = command->arguments;
    bool is_option = false; /* what stands behind "--queue" belongs to it */
    size_t count = 0;

    while (*text && count < COMPLETION_ARGUMENTS_MAX) {
        size_t len = strcspn(text, " []|");
        bool repeats = len > 3 && memcmp(text + len - 3, "...", 3) == 0;
        size_t name = repeats ? len - 3 : len;

        if (len > 0 && *text == '-') {
            is_option = true;
        } else if (len > 0) {
            if (!is_option && !is_word(text, name, "OPTION") && name > 0)
                arguments[count++] = (struct completion){.kind = kind_of(text, name),
                                                         .name = text,
                                                         .name_len = (int)name,
                                                         .words = text,
                                                         .repeats = repeats};
            is_option = false;
        }
        text += len + (text[len] != '\0');
    }
    return count;
}

void completion_options(const struct cli_option *rows,
                        void (*each)(void *user, const struct cli_option *option), void *user)
{
    for (; rows && rows->name; rows++)
        if (rows->rows)
            completion_options(rows->rows, each, user);
        else
            each(user, rows);
}

void completion_fill(FILE *out, const char *template,
                     void (*write_part)(FILE *out, const char *part))
{
    while (*template) {
        const char *line = template + strspn(template, " ");
        size_t len = strcspn(template, "\n") + 1;
        char part[32];

        if (strncmp(line, "#@", 2) == 0) {
            snprintf(part, sizeof part, "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
            write_part(out, part);
        } else {
            fwrite(template, 1, len, out);
        }
        template += len;
    }
}
