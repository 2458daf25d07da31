/* cgroup.c - see cgroup.h. */
#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/proc.h"

#define LINE_SIZE  1024
#define LEVELS_MAX 64
/* Version 1 has the largest number of pages where there is no limit. */
#define NO_LIMIT (INT64_C(1) << 62)

/* ---- numbers ---- */

/* A whole number above 0, and what follows it; 0: it is none. */
static int64_t number(const char *text, const char **ret_rest)
{
    int64_t value = 0;

    while (ascii_is_digit(*text))
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text++ - '0', &value))
            return 0;
    if (*text && *text != ' ')
        return 0;
    if (ret_rest)
        *ret_rest = *text ? text + 1 : text;
    return value;
}

/* That behind @begin on a line of @name in @folder; 0: there is none. */
static int64_t number_in(const char *folder, const char *name, const char *begin)
{
    char path[CGROUP_PATH_SIZE + 64];
    char line[LINE_SIZE];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return proc_line(path, begin, line, sizeof line) ? number(line + strlen(begin), NULL) : 0;
}

/* ---- limits of a group; 0: none ---- */

static int64_t cpus_of(int64_t quota_us, int64_t period_us)
{
    if (quota_us <= 0 || period_us <= 0 || quota_us > INT64_MAX / 1000)
        return 0;
    return quota_us * 1000 / period_us;
}

static int64_t cpu_limit(const char *folder)
{
    char path[CGROUP_PATH_SIZE + 64];
    char line[LINE_SIZE];
    const char *period = "";
    int64_t quota_us;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (proc_line(path, "", line, sizeof line)) {
        quota_us = number(line, &period);
        return quota_us > 0 ? cpus_of(quota_us, number(period, NULL)) : 0;
    }
    return cpus_of(number_in(folder, "cpu.cfs_quota_us", ""),
                   number_in(folder, "cpu.cfs_period_us", ""));
}

static int64_t memory_limit(const char *folder)
{
    int64_t bytes = number_in(folder, "memory.max", "");

    if (bytes == 0)
        bytes = number_in(folder, "memory.limit_in_bytes", "");
    return bytes < NO_LIMIT ? bytes : 0;
}

/* ---- finding them ---- */

/* @line is "NUMBER:CONTROLLERS:PATH". @return the path, if it is of @controller; NULL: it is not */
static const char *path_of(char *line, const char *controller)
{
    size_t len = strlen(controller);
    char *list = strchr(line, ':');
    char *path = list ? strchr(++list, ':') : NULL;

    if (!path)
        return NULL;
    *path++ = '\0';
    for (; len > 0 && *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] != '\0'))
        if (strncmp(list, controller, len) == 0 && (list[len] == ',' || !list[len]))
            return path;
    return len == 0 && !*list ? path : NULL;
}

/* The group of this process for @controller, "" being version 2, below its mount. */
static bool find_path(const char *proc, const char *controller, char path[CGROUP_PATH_SIZE])
{
    FILE *file = fopen(proc, "re");
    char line[LINE_SIZE];
    const char *found = NULL;

    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        found = path_of(line, controller);
    }
    if (file)
        fclose(file);
    /* One that lies outside of what is mounted here, or does not fit: the root is asked. */
    if (!found || *found != '/' || strstr(found, "..") || strlen(found) >= CGROUP_PATH_SIZE / 2)
        path[0] = '\0';
    else
        snprintf(path, CGROUP_PATH_SIZE, "%s", found[1] ? found : "");
    return found != NULL;
}

/* Where @controller is: its mount, and the group in it. */
static bool find_group(const char *proc, const char *mount, const char *controller,
                       char root[CGROUP_PATH_SIZE], char path[CGROUP_PATH_SIZE])
{
    if (find_path(proc, controller, path)) {
        snprintf(root, CGROUP_PATH_SIZE, "%.200s/%s", mount, controller);
        return true;
    }
    snprintf(root, CGROUP_PATH_SIZE, "%.200s", mount);
    return find_path(proc, "", path);
}

/* Of the group at @path and those above it, the one with the least limit; "" has none.
 * @path becomes that of it. */
static void find_least(const char *root, char path[CGROUP_PATH_SIZE],
                       int64_t (*limit)(const char *folder), char folder[CGROUP_PATH_SIZE])
{
    char at[CGROUP_PATH_SIZE];
    int64_t least = 0;

    snprintf(at, sizeof at, "%s", path);
    folder[0] = '\0';
    for (int i = 0; i < LEVELS_MAX; i++) {
        char here[2 * CGROUP_PATH_SIZE];
        int64_t value;

        snprintf(here, sizeof here, "%s%s", root, at);
        value = strlen(here) < CGROUP_PATH_SIZE ? limit(here) : 0;
        if (value > 0 && (least == 0 || value < least)) {
            least = value;
            memcpy(folder, here, strlen(here) + 1);
            memcpy(path, at, sizeof at);
        }
        if (!at[0])
            break;
        *strrchr(at, '/') = '\0';
    }
}

static void find_cpu(struct cgroup *cgroup, const char *proc, const char *mount)
{
    char root[CGROUP_PATH_SIZE];
    char path[CGROUP_PATH_SIZE];
    char ignored[CGROUP_PATH_SIZE];

    if (!find_group(proc, mount, "cpu", root, path))
        return;
    find_least(root, path, cpu_limit, cgroup->cpu);
    if (!cgroup->cpu[0])
        return;
    /* In version 1 another controller counts; its groups are the same ones, as a rule. */
    if (find_path(proc, "cpuacct", ignored))
        snprintf(cgroup->cpu_used, sizeof cgroup->cpu_used, "%.200s/cpuacct%.256s", mount, path);
    else
        memcpy(cgroup->cpu_used, cgroup->cpu, sizeof cgroup->cpu_used);
}

void cgroup_find(struct cgroup *cgroup, const char *proc, const char *mount)
{
    char root[CGROUP_PATH_SIZE];
    char path[CGROUP_PATH_SIZE];

    *cgroup = (struct cgroup){.cpu = ""};
    find_cpu(cgroup, proc, mount);
    if (find_group(proc, mount, "memory", root, path))
        find_least(root, path, memory_limit, cgroup->memory);
}

/* ---- reading ---- */

static int64_t cpu_used_us(const char *folder)
{
    int64_t used_us = number_in(folder, "cpu.stat", "usage_usec ");

    return used_us > 0 ? used_us : number_in(folder, "cpuacct.usage", "") / 1000;
}

/* Adding up memory.stat costs the kernel something, so it is read where it may matter. */
static int64_t memory_used(const char *folder, int64_t max)
{
    int64_t used = number_in(folder, "memory.current", "");
    int64_t files;

    if (used == 0)
        used = number_in(folder, "memory.usage_in_bytes", "");
    if (used < max / 2)
        return used;
    files = number_in(folder, "memory.stat", "total_inactive_file ");
    if (files == 0)
        files = number_in(folder, "memory.stat", "inactive_file ");
    return files < used ? used - files : used;
}

void cgroup_read(const struct cgroup *cgroup, struct cgroup_usage *usage)
{
    *usage = (struct cgroup_usage){.cpus_milli = 0};
    if (cgroup->cpu[0]) {
        usage->cpus_milli = cpu_limit(cgroup->cpu);
        usage->cpu_us = cpu_used_us(cgroup->cpu_used);
    }
    if (cgroup->memory[0]) {
        usage->memory_max = memory_limit(cgroup->memory);
        usage->memory_used = memory_used(cgroup->memory, usage->memory_max);
    }
}
