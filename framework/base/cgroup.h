/* cgroup.h - what the control group of this process may have of CPU and memory, and has. Versions 1
 * and 2, and both at once. Source: cgroups(7); Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/ of the Linux kernel.
 *
 * A limit may be that of a group further up, so all up to the root are looked at, and the least one
 * counts. Files may be missing, cut, or hold anything: what is not understood is no limit.
 * Thread: any; one at a time for each struct.
 */
#ifndef WARREN_BASE_CGROUP_H
#define WARREN_BASE_CGROUP_H

#include <stdint.h>

#define CGROUP_PATH_SIZE 512

/** Where the limits are; "": there is none. */
struct cgroup {
    char cpu[CGROUP_PATH_SIZE];
    char cpu_used[CGROUP_PATH_SIZE]; /* of the same group */
    char memory[CGROUP_PATH_SIZE];
};

/** 0: not known; of limits: there is none. */
struct cgroup_usage {
    int64_t cpus_milli;  /* CPUs that it may use at once, in thousandths, */
    int64_t cpu_us;      /* and CPU time that it has used */
    int64_t memory_max;  /* bytes, */
    int64_t memory_used; /* without files that the kernel could drop at once */
};

/**
 * @proc   such as /proc/self/cgroup
 * @mount  where the kernel shows groups, such as /sys/fs/cgroup
 */
void cgroup_find(struct cgroup *cgroup, const char *proc, const char *mount);
void cgroup_read(const struct cgroup *cgroup, struct cgroup_usage *usage);

#endif
