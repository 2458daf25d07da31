/* system_facts.c - what this process has and may: see judge.h.
 * Source: adjtimex(2), getrlimit(2), the kernel's admin-guide/cgroup-v2.rst.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>

#include "command/doctor/judge.h"

/* What a process takes without any subscription: libraries, loops, log, connections. */
#define BASE_DESCRIPTORS 48
#define BASE_THREADS     8
#define BASE_MEMORY      ((uint64_t)32 << 20)
/* Connections of the admin listener (docs/architecture.md), descriptors of a database file. */
#define ADMIN_DESCRIPTORS    256
#define DATABASE_DESCRIPTORS 8
/* Memory of a remembered key, at the most. */
#define KEY_BYTES 24

#define LINE_SIZE 4096

static uint64_t limit_of(int resource, uint64_t *ret_hard)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    getrlimit((__rlimit_resource_t)resource, &limit);
    if (ret_hard)
        *ret_hard = limit.rlim_max == RLIM_INFINITY ? NO_LIMIT : limit.rlim_max;
    return limit.rlim_cur == RLIM_INFINITY ? NO_LIMIT : limit.rlim_cur;
}

static void gather_clock(struct system_facts *facts)
{
    struct timex timex = {.modes = 0};
    int state = adjtimex(&timex);

    facts->wall_s = time(NULL);
    facts->clock_error = state < 0 ? errno : 0;
    facts->clock_synchronised = state != TIME_ERROR && !(timex.status & STA_UNSYNC);
    facts->clock_off_us = timex.maxerror;
}

/* The number in a file, "max" for none. */
static bool read_number(const char *path, uint64_t *ret)
{
    FILE *file = fopen(path, "re");
    char text[64] = "";
    bool found = file && fgets(text, sizeof text, file);

    if (file)
        fclose(file);
    *ret = NO_LIMIT;
    return found && (strncmp(text, "max", 3) == 0 || sscanf(text, "%" SCNu64, ret) == 1);
}

/* The control group of this process, of version 2: "/" inside most containers. */
static void group_path(char path[LINE_SIZE])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[LINE_SIZE];

    *path = '\0';
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "0::%4000s", path) == 1)
            break;
    if (file)
        fclose(file);
}

/* The least of the group and those that it is in. @left  less what is used of it already */
static uint64_t group_limit(const char *max, const char *current)
{
    char group[LINE_SIZE];
    uint64_t least = NO_LIMIT;

    group_path(group);
    for (;;) {
        char path[LINE_SIZE + 64];
        uint64_t limit;
        uint64_t used = 0;
        char *slash = strrchr(group, '/');

        snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, max);
        read_number(path, &limit);
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, current ? current : "");
        if (limit != NO_LIMIT && current && read_number(path, &used) && used != NO_LIMIT)
            limit -= used < limit ? used : limit;
        least = limit < least ? limit : least;
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static uint64_t machine_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[LINE_SIZE];
    uint64_t kib = 0;

    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) != 1)
            kib = 0;
    if (file)
        fclose(file);
    return kib ? kib << 10 : NO_LIMIT;
}

static void gather_memory(struct system_facts *facts)
{
    uint64_t machine = machine_memory();
    uint64_t group = group_limit("memory.max", NULL);
    uint64_t old; /* version 1 */

    read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", &old);
    group = old < group ? old : group;
    facts->memory = group < machine ? group : machine;
}

static void gather_needs(struct system_facts *facts, const struct config *config)
{
    unsigned databases = (config->store.path ? 1u : 0u) + (config->spool.path ? 1u : 0u);
    uint64_t concurrency = 0;

    for (size_t i = 0; i < config->subscription_count; i++)
        if (!config->subscriptions[i].shares)
            concurrency += (uint64_t)config->subscriptions[i].concurrency;
    for (size_t i = 0; i < config->executor_count; i++)
        concurrency += (uint64_t)config->executors[i].threads;
    facts->need_threads = BASE_THREADS + concurrency;
    facts->need_descriptors =
        BASE_DESCRIPTORS + concurrency + databases * DATABASE_DESCRIPTORS +
        (config->admin.listen && *config->admin.listen ? ADMIN_DESCRIPTORS : 0);
    if (config->subscription_count == 0)
        return; /* its bounds are of no meaning */
    facts->need_memory = BASE_MEMORY + (uint64_t)config->consumer.memory_max +
                         (uint64_t)config->publisher.window_bytes +
                         (config->store.path ? (uint64_t)config->store.keys_max * KEY_BYTES : 0);
    facts->need_file_size = config->spool.path ? (uint64_t)config->spool.max_bytes : 0;
}

struct system_facts system_gather(const struct config *config)
{
    struct system_facts facts = {.stack = limit_of(RLIMIT_STACK, NULL),
                                 .processes = limit_of(RLIMIT_NPROC, NULL),
                                 .file_size = limit_of(RLIMIT_FSIZE, NULL),
                                 .tasks = group_limit("pids.max", "pids.current")};

    facts.descriptors = limit_of(RLIMIT_NOFILE, &facts.descriptors_hard);
    gather_clock(&facts);
    gather_memory(&facts);
    gather_needs(&facts, config);
    return facts;
}
