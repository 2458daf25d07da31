/* pages.c - see page.h: the files of the manual. */
#include "manual/page.h"

static FILE *open_page(const char *folder, const char *name, const char *section)
{
    char path[4096];
    FILE *out;

    snprintf(path, sizeof path, "%s/man%s/%s.%s", folder, section, name, section);
    out = fopen(path, "we");
    if (!out)
        perror(path);
    return out;
}

static bool close_page(FILE *out)
{
    bool failed = ferror(out);

    if (fclose(out) == 0 && !failed)
        return true;
    perror("a page of the manual");
    return false;
}

static bool write_page(struct manual *m, const char *folder, const struct command *command,
                       const char *group)
{
    char name[PAGE_NAME_SIZE];
    FILE *out;

    page_name(group ? group : command->name, name);
    out = open_page(folder, name, "1");
    if (!out)
        return false;
    if (group)
        page_group(out, m, group);
    else
        page_command(out, m, command);
    return close_page(out);
}

bool pages_write(struct manual *m, const char *folder)
{
    FILE *out = open_page(folder, "warren", "1");
    char group[PAGE_GROUP_SIZE];

    if (!out)
        return false;
    page_main(out, m);
    if (!close_page(out))
        return false;
    out = open_page(folder, "warren.yaml", "5");
    if (!out)
        return false;
    page_configuration(out, m);
    if (!close_page(out))
        return false;
    for (size_t i = 0; commands[i]; i++)
        if ((page_begins_group(i, group) && !write_page(m, folder, NULL, group)) ||
            !write_page(m, folder, commands[i], NULL))
            return false;
    return true;
}
