/* job_group.h - the functions of a job that run beside it: what <warren/group.h> promises.
 *
 *   run: waiting > running (a thread of the pool, or who waits) > ended
 *
 * A group belongs to a job, or to a function of another group; its owner alone adds to it, waits
 * for it, and frees it. All that several threads touch is guarded by the pool's lock.
 * Thread: the owner's, unless it says otherwise. Elsewhere: the threads (consume/workers/pool.h).
 */
#ifndef WARREN_CONSUME_JOB_GROUP_H
#define WARREN_CONSUME_JOB_GROUP_H

#include <setjmp.h>
#include <sys/types.h>

#include <warren/group.h>

#include "consume/job/job.h"
#include "consume/workers/pool.h"

/* A function that waits. */
struct group_entry {
    struct group_entry *next;
    warren_group_fn *run;
    void *user;
    size_t index;
};

/* One that runs. On the stack of the thread that runs it. */
struct warren_group_call {
    struct warren_group *group;
    struct group_entry entry;
    struct list link;          /* of the group's `running` */
    struct group_owner groups; /* that it has made */
    pid_t thread;              /* if there is a flight recorder */
    enum warren_status status;
    bool panicked;
    jmp_buf at; /* where warren_panic() unwinds to */
    char error[JOB_ERROR_SIZE];
};

struct warren_group {
    struct pool_work work; /* first: its address is the group's */
    struct pool *pool;
    struct warren_job *job;
    struct warren_group_call *parent; /* that has made it; NULL: the job */
    struct warren_group *next;        /* of the same owner */
    enum warren_group_errors errors;
    uint32_t limit;
    atomic_bool cancelled;

    /* What follows is guarded by the pool's lock. */
    struct condition changed;  /* a function has ended, or was dropped */
    struct group_entry *first; /* of those that wait */
    struct group_entry *last;
    struct list running; /* calls */
    uint32_t waiting_count;
    uint32_t running_count;
    size_t added;
    size_t dropped; /* not begun, and never will be */
    bool unseen;    /* it was not waited for since something was added */
    bool panicked;
    char *panic;               /* what the first of these said; NULL: no memory */
    enum warren_status status; /* of the first that has failed; WARREN_OK: none has */
    struct warren_group_failure *failures;
    size_t failure_count;
};

/** What became of an owner's groups that it had not waited for. */
enum groups_end {
    GROUPS_DONE,    /* nothing is left to say */
    GROUPS_LEFT,    /* some of the work was not done, or has failed */
    GROUPS_PANICKED /* the same, by a panic */
};

/**
 * Free @owner's groups up to @until, which stays. Those that it has not waited for are cancelled
 * and waited for.
 *
 * @text  why, unless GROUPS_DONE
 */
enum groups_end groups_end(struct group_owner *owner, const struct warren_group *until,
                           char text[JOB_ERROR_SIZE]);

/** The function of @job that this thread is in; NULL: none. */
struct warren_group_call *group_call_current(const struct warren_job *job);
/** Give the function up, which has said why; the same. */
void group_call_panic(struct warren_group_call *call) __attribute__((noreturn));
/** Run @call, whose group and entry are written; what it has made is waited for. */
void group_call_run(struct warren_group_call *call);
/** Is the group cancelled, or what is around it? Thread: any. */
bool group_is_cancelled(const struct warren_group *group);

#endif
