/* child.h - run one command to its end, within a time limit.
 *
 * The body is a file in memory that becomes the command's standard input, so that a command which
 * does not read it can neither block the worker nor make a write fail. What the command writes to
 * its standard output and error is kept, up to CHILD_OUTPUT_MAX bytes; the rest is read and
 * dropped. The command leads a process group of its own, which gets the signals of the time limit,
 * and of which what is left is killed when the command has ended. No zombie and no descriptor is
 * left behind. Thread: any; blocks.
 */
#ifndef HANDLERS_EXEC_CHILD_H
#define HANDLERS_EXEC_CHILD_H

#include <warren/handler.h>

/** Of what a command writes, as much as this reaches the log. */
#define CHILD_OUTPUT_MAX 4096

struct child_task {
    char *const *command; /* argv; the first is looked up in PATH */
    char *const *environment;
    struct warren_bytes body;
    int64_t timeout_ms;           /* until SIGTERM; 0: none */
    int64_t kill_after_ms;        /* from SIGTERM until SIGKILL */
    const struct warren_job *job; /* asked for the time that is left to the attempt */
};

struct child_end {
    bool timed_out;
    int exit_status; /* or -1 */
    int signal;      /* that ended it, or 0 */
    char output[CHILD_OUTPUT_MAX];
    size_t output_len;
    uint64_t output_lost; /* bytes written beyond that */
};

/** 0 once the command has ended, or the errno of why it could not be started or waited for. */
int child_run(const struct child_task *task, struct child_end *end);

/** Whether this system has what child_run() needs: 0, or an errno. */
int child_supported(void);

#endif
