/* child.h - the program of this process run once more, as a command of its own (`warren dlq`): what
 * it writes is kept, up to a bound, and so is how it ended, in bounded time.
 *
 * It begins as this process did: working directory, environment, signals; and with no descriptor of
 * ours. What it starts itself ends with it, unless that leaves its group. It is a child of the
 * loop's thread, which waits for it: see app/worker_orphans.h. Thread: the loop's. Owner: who
 * embeds one.
 */
#ifndef WARREN_OBSERVE_CHILD_H
#define WARREN_OBSERVE_CHILD_H

#include <warren/message.h>

#include "base/buffer.h"
#include "base/process_state.h"
#include "loop/loop.h"

/** Of standard error; the rest is dropped. */
#define CHILD_ERRORS_MAX ((size_t)1 << 20)
/** After SIGTERM, until SIGKILL. */
#define CHILD_GRACE_MS 5000
/** After its end, until its output is no longer waited for: what left its group may hold it. */
#define CHILD_LEFT_MS 500

struct child_options {
    const char *const *arguments;      /* the first is the name; NULL ends them */
    const struct process_state *start; /* NULL: as this process is now */
    struct warren_bytes input;         /* that it finds on standard input; a copy is made */
    size_t output_max;                 /* above it the child is ended */
    uint32_t timeout_ms;
};

struct child {
    struct loop *loop; /* NULL: there is none */
    pid_t pid;
    int fds[2]; /* of standard output and error; -1: at their end */
    struct loop_fd watches[2];
    struct buffer texts[2];
    struct loop_timer timer;
    int64_t until_ms;
    bool told_to_end;
    bool killed;
    bool gone;     /* its process has ended */
    bool too_long; /* the output is not whole */
    bool late;     /* it was ended for its time */
    int signal;    /* that ended it; 0: none, or not known */
    void (*ended)(void *user, struct child *child, int status);
    void *user;
};

/**
 * Start it.
 *
 * @child  zeroed, or ended
 * @ended  is called once: @status is that of its exit, -1: it ended by a signal, or is not known.
 *         Then child_done() is to be called, there or later
 * @return WARREN_OK; WARREN_EIO or WARREN_ENOMEM, with @error
 */
enum warren_status child_start(struct child *child, struct loop *loop,
                               const struct child_options *options,
                               void (*ended)(void *user, struct child *child, int status),
                               void *user, struct warren_error *error);

/** Kill it if it runs; nobody is told. A zeroed one is fine. */
void child_done(struct child *child);

#endif
