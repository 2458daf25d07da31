/* lock_holders.c - see lock_holders.h. Source: proc(5), /proc/locks. */
#include "store/db/lock_holders.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct held {
    int pid;
    unsigned long long inode;
    long long first;
    long long last;
};

/* "6: POSIX  ADVISORY  READ 4711 fd:01:1053 124 124"; who waits for a lock has "->" in it. */
static bool read_line(const char *line, struct held *held)
{
    char last[24];

    if (strstr(line, "->") || sscanf(line, "%*d: %*s %*s %*s %d %*x:%*x:%llu %lld %23s", &held->pid,
                                     &held->inode, &held->first, last) != 4)
        return false;
    held->last = strcmp(last, "EOF") == 0 ? INT64_MAX : strtoll(last, NULL, 10);
    return held->pid > 0;
}

static size_t add(pid_t pid, pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return count;
    pids[count] = pid;
    return count + 1;
}

size_t lock_holders(ino_t inode, int64_t first, int64_t last, pid_t *pids, size_t max)
{
    FILE *list = fopen("/proc/locks", "re");
    char line[256];
    struct held held;
    size_t count = 0;

    while (list && count < max && fgets(line, sizeof line, list))
        if (read_line(line, &held) && held.inode == inode && held.first <= last &&
            held.last >= first)
            count = add(held.pid, pids, count);
    if (list)
        fclose(list);
    return count;
}
