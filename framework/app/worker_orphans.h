/* worker_orphans.h - zombies that no other process can wait for, where this one is number 1 of a
 * container, or a subreaper (prctl(2)): the kernel gives it every process whose parent has ended.
 *
 * What a handler starts is never taken from it. A child belongs to the thread that started it, and
 * what the kernel hands over belongs to the main thread (see __WNOTHREAD in wait(2)). So only the
 * main thread's children are looked at, of which those are left alone that began to be its children
 * while a plugin's function ran there, such as `open`. What began its life in another thread, which
 * has ended, is given time: it must be a zombie at two looks.
 *
 * Thread: main.
 */
#ifndef WARREN_APP_WORKER_ORPHANS_H
#define WARREN_APP_WORKER_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKER_ORPHANS_LOOK_MS 1000
/** Of each of the sets below; of what is beyond it, zombies wait for a later look. */
#define WORKER_ORPHANS_MAX 1024

struct pid_set {
    size_t count;
    pid_t pids[WORKER_ORPHANS_MAX];
};

struct worker_orphans {
    bool adopts; /* the kernel gives them to this process */
    bool owned;  /* the process is the worker's alone; otherwise they are the program's */
    int64_t next_look_ms;
    struct pid_set before;  /* children when a plugin's function began */
    struct pid_set kept;    /* children that it has left */
    struct pid_set zombies; /* of the last look */
};

void worker_orphans_init(struct worker_orphans *orphans);

/** Around a call of plugins' functions on the main thread. */
void worker_orphans_plugins_begin(struct worker_orphans *orphans);
void worker_orphans_plugins_end(struct worker_orphans *orphans);

/**
 * Look, if it is time to.
 *
 * @sleep_ms  how long the caller wants to sleep; -1: for ever
 * @return    how long it may
 */
int worker_orphans_reap(struct worker_orphans *orphans, int64_t now_ms, int sleep_ms);

#endif
