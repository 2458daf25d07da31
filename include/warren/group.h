/* group.h - functions of one handler that run at the same time: requests to several services,
 * parts of a large body.
 *
 *     struct warren_group *group;
 *
 *     if (warren_group_new(job, 4, WARREN_GROUP_FIRST, &group) != WARREN_OK)
 *         return WARREN_RETRY;
 *     for (size_t i = 0; i < count; i++)
 *         warren_group_run(group, fetch, &parts[i]);    at most 4 at once
 *     if (warren_group_wait(group) != WARREN_OK)         the first error has cancelled the rest
 *         return WARREN_RETRY;                           and is warren_job_error() now
 *
 * They run on the threads that the worker has for it (groups.threads, shared by all subscriptions,
 * started when they are needed first) and, while it waits, on the thread of the handler itself. So
 * a group goes on where all threads are busy, also one inside of a function of another group; and
 * functions must not wait for each other, for they may run one after the other.
 *
 * The job is of the handler's thread alone: what a function needs of it (the body, a property, the
 * descriptor of warren_job_cancel_fd()) it is given. From a function only warren_job_cancelled(),
 * warren_job_acquire() and warren_job_release(), warren_panic(), and what is declared here for it,
 * may be called. Publish when the group has been waited for.
 *
 * What ends the handler ends its functions: time limit and drain cancel them, too. A function that
 * has not returned by the hard limit is the handler that has not; one that crashes, or ends its
 * thread, has crashed the handler: its message is noted, with the calls of that function, and
 * nothing of the job goes on but functions that are in the middle of something, which are
 * cancelled. warren_panic() in a function cancels its group, and panics again in
 * warren_group_wait().
 *
 * A handler that returns, or panics, before it has waited: its functions are cancelled, and waited
 * for by warren. If one of them had not ended by then, or has failed, WARREN_ACK becomes
 * WARREN_RETRY, for some of the work was not done. But what they were given must not have been a
 * variable of the handler's stack, which is gone.
 *
 * Thread: that of the job, or of the function, which has made the group, unless it says otherwise.
 * NULL in place of a call is not looked for, but by warren_group_within().
 * fork(2): in a child WARREN_ECLOSED, and nothing happens.
 * Elsewhere: without a broker they run one after the other on the test's thread, in their order, or
 * on threads (warren_test_options.group_threads in testing.h).
 */
#ifndef WARREN_GROUP_H
#define WARREN_GROUP_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Functions that are waited for together. Opaque; lives until `handle` returns, or the function
 * that has made it. Since: 0.1. */
struct warren_group;

/** One function of a group while it runs. Opaque; lives until it returns. Since: 0.1. */
struct warren_group_call;

/**
 * A function of a group. @return WARREN_OK; or any other status, it has failed
 *
 * @user  as warren_group_run() was given it
 * Thread: any.
 */
typedef enum warren_status warren_group_fn(struct warren_group_call *call, void *user);

/** What the failure of a function means to the others. */
enum warren_group_errors {
    WARREN_GROUP_FIRST = 0, /**< the first one cancels the rest, and is the one that is kept */
    WARREN_GROUP_ALL        /**< nothing: all run, and each failure is kept */
};

/** Functions of one group that wait to be run; to add another one then runs one. */
#define WARREN_GROUP_WAITING_MAX 1024
/** Failures that are kept; further ones count. */
#define WARREN_GROUP_FAILURES_MAX 1024
/** Groups of one handler, or of one function, at a time. */
#define WARREN_GROUPS_MAX 1024

/**
 * A group of @job. Thread: that which runs `handle`, or `call` of a middleware, for it.
 *
 * @limit   the most functions that run at once, the handler's own thread included; 0: as many as
 *          there are threads
 * @return  WARREN_OK; WARREN_EINVAL (NULL, or no such @errors); WARREN_EFULL: the job has
 *          WARREN_GROUPS_MAX; WARREN_ENOMEM; WARREN_ECLOSED: @job is none that is handled now, but
 *          one that `before` or `key` looks at. Since: 0.1
 */
WARREN_API enum warren_status warren_group_new(struct warren_job *job, uint32_t limit,
                                               enum warren_group_errors errors,
                                               struct warren_group **ret_group);

/**
 * The same inside of a function: cancelled with @call, and to be waited for in it. If the function
 * returns before, what is said above of a handler is so of it: WARREN_OK becomes WARREN_ECLOSED.
 * Since: 0.1.
 */
WARREN_API enum warren_status warren_group_within(struct warren_group_call *call, uint32_t limit,
                                                  enum warren_group_errors errors,
                                                  struct warren_group **ret_group);

/**
 * Have @run(call, @user) run. It begins at once if a thread is free and the group's limit allows;
 * else it waits for that, and functions that wait begin in the order in which they were added. Does
 * not wait itself, but for WARREN_GROUP_WAITING_MAX.
 *
 * @user    must live until the function has ended
 * @return  WARREN_OK; else it will not run: WARREN_ECLOSED: the group is cancelled; WARREN_ENOMEM;
 *          WARREN_EINVAL (NULL in place of the group or @run). Since: 0.1
 */
WARREN_API enum warren_status warren_group_run(struct warren_group *group, warren_group_fn *run,
                                               void *user);

/**
 * Wait until all of its functions have ended, running them meanwhile. Then it may be used again,
 * unless it is cancelled.
 *
 * @return WARREN_OK; the status of the function that has failed first, of all times: what it said
 *         (warren_group_fail()) is warren_job_error() now, or what the function said that waits
 *         here; WARREN_ETIMEOUT: none has failed, but some were not begun, for the job was
 *         cancelled; WARREN_ECLOSED: the same, for warren_group_cancel(). Does not return if one of
 *         them panicked: warren_panic() with its text. Since: 0.1
 */
WARREN_API enum warren_status warren_group_wait(struct warren_group *group);

/** Those that were not begun will not, and those that run are cancelled. For good. Thread: also
 * that of any of its functions. NULL is fine. Since: 0.1. */
WARREN_API void warren_group_cancel(struct warren_group *group);

/** A function that has failed. */
struct warren_group_failure {
    size_t index; /**< which one: 0 is the first that was given to warren_group_run() */
    enum warren_status status; /**< what it returned */
    const char *error;         /**< what it said; NULL: nothing */
};

/**
 * Those that have failed, in the order in which they did. Of a group that has been waited for.
 *
 * @ret_count  at most WARREN_GROUP_FAILURES_MAX; with WARREN_GROUP_FIRST 1
 * @return     lives as long as the group, until it is used again; NULL if there are none. Since:
 *             0.1
 */
WARREN_API const struct warren_group_failure *
warren_group_failures(const struct warren_group *group, size_t *ret_count);

/* ---- in a function ---- */

/**
 * Shall it return soon? Its group is cancelled, or one around it, or the job is
 * (warren_job_cancelled()), or the thread of the job is lost. Thread: any, while it runs.
 * Since: 0.1.
 */
WARREN_API bool warren_group_cancelled(const struct warren_group_call *call);

/** As warren_job_time_left_ms(); 0 or less once it is cancelled. Since: 0.1. */
WARREN_API int64_t warren_group_time_left_ms(const struct warren_group_call *call);

/** Say why it fails; at most 1 KiB is kept. Since: 0.1. */
WARREN_API void warren_group_fail(struct warren_group_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
