/* proc.c - see proc.h. */
#include "base/proc.h"

#include <stdio.h>
#include <string.h>

bool proc_line(const char *path, const char *begin, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool found = false;

    while (file && !found && fgets(line, (int)size, file))
        found = strncmp(line, begin, strlen(begin)) == 0;
    if (file)
        fclose(file);
    line[found ? strcspn(line, "\n") : 0] = '\0';
    return found;
}
