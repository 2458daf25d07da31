/* headroom.c - see headroom.h. */
#include "consume/workers/headroom.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* In hundredths. */
#define SHARE_CPU           90
#define SHARE_MEMORY        80
#define SHARE_MEMORY_LITTLE 90

#define FIND_AGAIN_US 10000000

/* Is @used_us, of @cpus_milli thousandths of CPUs in @elapsed_us, as much as there should be? */
static bool is_used_up(int64_t used_us, int64_t cpus_milli, int64_t elapsed_us)
{
    if (cpus_milli <= 0 || elapsed_us <= 0 || used_us <= 0)
        return false;
    return (double)used_us * 1000 * 100 >= (double)elapsed_us * (double)cpus_milli * SHARE_CPU;
}

static enum headroom judge_memory(const struct cgroup_usage *group)
{
    double share;

    if (group->memory_max <= 0)
        return HEADROOM_FREE;
    share = (double)group->memory_used * 100 / (double)group->memory_max;
    if (share >= SHARE_MEMORY_LITTLE)
        return HEADROOM_LITTLE_MEMORY;
    return share >= SHARE_MEMORY ? HEADROOM_NO_MEMORY : HEADROOM_FREE;
}

enum headroom headroom_judge(const struct headroom_sample *before,
                             const struct headroom_sample *now)
{
    enum headroom memory = judge_memory(&now->group);
    int64_t elapsed_us = now->now_us - before->now_us;

    if (memory != HEADROOM_FREE)
        return memory;
    if (is_used_up(now->process_us - before->process_us, now->cpus * 1000, elapsed_us))
        return HEADROOM_NO_CPU;
    if (before->group.cpu_us > 0 && now->group.cpu_us > 0 &&
        is_used_up(now->group.cpu_us - before->group.cpu_us, now->group.cpus_milli, elapsed_us))
        return HEADROOM_NO_CPU;
    return HEADROOM_FREE;
}

static int64_t process_us(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return 0;
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* More than the set has room for: then the kernel says EINVAL, and it is not known. */
static int64_t cpus_to_run_on(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

/* Limits may move, and the group with the least one may be another: it has a count of its own. */
static void find_group(struct headroom_looker *looker, int64_t now_us)
{
    struct cgroup before = looker->cgroup;

    cgroup_find(&looker->cgroup, "/proc/self/cgroup", "/sys/fs/cgroup");
    looker->found_us = now_us;
    if (strcmp(before.cpu, looker->cgroup.cpu) != 0)
        looker->last.group.cpu_us = 0;
}

enum headroom headroom_look(struct headroom_looker *looker, int64_t now_us)
{
    struct headroom_sample now = {
        .now_us = now_us, .process_us = process_us(), .cpus = cpus_to_run_on()};
    enum headroom room;

    if (looker->found_us == 0 || now_us - looker->found_us >= FIND_AGAIN_US)
        find_group(looker, now_us);
    cgroup_read(&looker->cgroup, &now.group);
    room =
        looker->last.now_us == 0 ? judge_memory(&now.group) : headroom_judge(&looker->last, &now);
    looker->last = now;
    return room;
}
