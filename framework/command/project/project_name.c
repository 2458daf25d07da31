#include "command/project/project_name.h"

#include <stddef.h>
#include <string.h>

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_allowed(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

bool project_name_is_valid(const char *name)
{
    size_t len = 0;

    while (is_allowed(name[len]))
        len++;
    return is_letter(name[0]) && name[len] == '\0' && len <= PROJECT_NAME_MAX;
}

/* "/srv/My-Handler/": from My on. */
static const char *last_folder(const char *text, size_t *ret_len)
{
    size_t end = strlen(text);
    size_t begin;

    while (end > 0 && text[end - 1] == '/')
        end--;
    begin = end;
    while (begin > 0 && text[begin - 1] != '/')
        begin--;
    *ret_len = end - begin;
    return text + begin;
}

bool project_name_suggest(const char *text, char name[PROJECT_NAME_MAX + 1])
{
    size_t left;
    size_t len = 0;

    for (text = last_folder(text, &left); left > 0 && len < PROJECT_NAME_MAX; text++, left--) {
        char c = *text;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!is_allowed(c))
            c = '_';
        if (len == 0 ? is_letter(c) : c != '_' || name[len - 1] != '_')
            name[len++] = c;
    }
    while (len > 0 && name[len - 1] == '_')
        len--;
    name[len] = '\0';
    return len > 0;
}
