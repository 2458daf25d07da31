#include "app/worker_orphans.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PROCESS 1

static bool contains(const struct pid_set *set, pid_t pid)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->pids[i] == pid)
            return true;
    return false;
}

static void add(struct pid_set *set, pid_t pid)
{
    if (set->count < WORKER_ORPHANS_MAX)
        set->pids[set->count++] = pid;
}

/* ---- the main thread's children ---- */

enum kin { STRANGER, CHILD, ZOMBIE };

static enum kin kin_of(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WNOTHREAD) != 0)
        return STRANGER;
    return info.si_pid ? ZOMBIE : CHILD;
}

/* All processes are asked, as /proc's own list of children is not in every kernel. */
static void list_children(struct pid_set *children, enum kin least)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;

    children->count = 0;
    while (folder && (entry = readdir(folder))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && kin_of(pid) >= least)
            add(children, pid);
    }
    if (folder)
        closedir(folder);
}

static bool has_zombie(void)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WNOTHREAD) == 0 && info.si_pid;
}

/* ---- public ---- */

void worker_orphans_init(struct worker_orphans *orphans)
{
    int subreaper = 0;

    *orphans = (struct worker_orphans){.adopts = getpid() == FIRST_PROCESS};
    if (prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0) == 0 && subreaper)
        orphans->adopts = true;
}

void worker_orphans_plugins_begin(struct worker_orphans *orphans)
{
    if (orphans->adopts)
        list_children(&orphans->before, CHILD);
}

void worker_orphans_plugins_end(struct worker_orphans *orphans)
{
    struct pid_set now;

    if (!orphans->adopts)
        return;
    list_children(&now, CHILD);
    for (size_t i = 0; i < now.count; i++)
        if (!contains(&orphans->before, now.pids[i]) && !contains(&orphans->kept, now.pids[i]))
            add(&orphans->kept, now.pids[i]);
}

/* What is kept and no child any more was waited for: its number may come again. */
static void forget_the_gone(struct worker_orphans *orphans)
{
    struct pid_set kept = {0};

    for (size_t i = 0; i < orphans->kept.count; i++)
        if (kin_of(orphans->kept.pids[i]) != STRANGER)
            add(&kept, orphans->kept.pids[i]);
    orphans->kept = kept;
}

static void look(struct worker_orphans *orphans)
{
    struct pid_set now = {0}, left = {0};

    forget_the_gone(orphans);
    if (has_zombie())
        list_children(&now, ZOMBIE);
    for (size_t i = 0; i < now.count; i++) {
        pid_t pid = now.pids[i];

        if (contains(&orphans->kept, pid))
            continue;
        if (contains(&orphans->zombies, pid))
            waitpid(pid, NULL, WNOHANG | __WNOTHREAD);
        else
            add(&left, pid);
    }
    orphans->zombies = left;
}

int worker_orphans_reap(struct worker_orphans *orphans, int64_t now_ms, int sleep_ms)
{
    int64_t left_ms;

    if (!orphans->adopts || !orphans->owned)
        return sleep_ms;
    if (now_ms >= orphans->next_look_ms) {
        look(orphans);
        orphans->next_look_ms = now_ms + WORKER_ORPHANS_LOOK_MS;
    }
    left_ms = orphans->next_look_ms - now_ms;
    return sleep_ms < 0 || sleep_ms > left_ms ? (int)left_ms : sleep_ms;
}
