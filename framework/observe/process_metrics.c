/* process_metrics.c - see process_metrics.h. Source: proc(5). */
#include "observe/process_metrics.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/proc.h"

/* A line of /proc/self/stat, or of /proc/stat. */
#define LINE_MAX_SIZE 4096

/* Of /proc/self/stat, behind the name: state is the third field of all. */
#define FIELD_STATE   3
#define FIELD_THREADS 20
#define FIELD_START   22

static struct {
    struct metric_collector collector;
    struct warren_series *cpu;
    struct warren_series *cpu_user;
    struct warren_series *cpu_system;
    struct warren_series *resident;
    struct warren_series *virtual;
    struct warren_series *open_fds;
    struct warren_series *max_fds;
    struct warren_series *threads;
    struct warren_series *start;
    struct warren_series *log_dropped;
} all;

/* ---- what /proc says; NAN: nothing ---- */

/* The name of the process, in brackets, may hold anything, brackets and spaces included. */
static double stat_field(const char *line, int field)
{
    const char *at = strrchr(line, ')');
    double value = NAN;

    for (int i = FIELD_STATE - 1; at && i < field; i++)
        at = strchr(at + 1, ' ');
    if (at && sscanf(at, "%lf", &value) != 1)
        value = NAN;
    return value;
}

static void put_stat(void)
{
    char stat[LINE_MAX_SIZE];
    char boot[LINE_MAX_SIZE];
    double booted_s = NAN;

    proc_line("/proc/self/stat", "", stat, sizeof stat);
    proc_line("/proc/stat", "btime ", boot, sizeof boot);
    if (sscanf(boot, "btime %lf", &booted_s) != 1)
        booted_s = NAN;
    metric_put(all.threads, stat_field(stat, FIELD_THREADS));
    metric_put(all.start, booted_s + stat_field(stat, FIELD_START) / (double)sysconf(_SC_CLK_TCK));
}

static void put_memory(void)
{
    char line[LINE_MAX_SIZE];
    double page = (double)sysconf(_SC_PAGESIZE);
    double pages[2];

    proc_line("/proc/self/statm", "", line, sizeof line);
    if (sscanf(line, "%lf %lf", &pages[0], &pages[1]) != 2)
        pages[0] = pages[1] = NAN;
    metric_put(all.virtual, pages[0] * page);
    metric_put(all.resident, pages[1] * page);
}

static void put_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = folder ? -1 : NAN; /* the folder itself */
    const struct dirent *entry;
    struct rlimit limit;

    while (folder && (entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    metric_put(all.open_fds, count);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        metric_put(all.max_fds, NAN);
    else
        metric_put(all.max_fds,
                   limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void put_cpu(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    metric_put(all.cpu_user, seconds(usage.ru_utime));
    metric_put(all.cpu_system, seconds(usage.ru_stime));
    metric_put(all.cpu, seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

static void put(void *user)
{
    (void)user;
    put_cpu();
    put_memory();
    put_descriptors();
    put_stat();
    metric_put(all.log_dropped, (double)log_dropped());
}

/* ---- life ---- */

static void begin(void)
{
    all.cpu = metric_series(METRIC_PROCESS_CPU);
    all.cpu_user = metric_series(METRIC_PROCESS_CPU_MODE, "user");
    all.cpu_system = metric_series(METRIC_PROCESS_CPU_MODE, "system");
    all.resident = metric_series(METRIC_PROCESS_RESIDENT);
    all.virtual = metric_series(METRIC_PROCESS_VIRTUAL);
    all.open_fds = metric_series(METRIC_PROCESS_OPEN_FDS);
    all.max_fds = metric_series(METRIC_PROCESS_MAX_FDS);
    all.threads = metric_series(METRIC_PROCESS_THREADS);
    all.start = metric_series(METRIC_PROCESS_START);
    all.log_dropped = metric_series(METRIC_LOG_DROPPED);
    all.collector = (struct metric_collector){.collect = put, .of_any_process = true};
    metrics_collect_add(&all.collector);
}

void process_metrics_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, begin);
}
