/* children.c - handlers that start processes, and wait for them as a careless one might.
 *
 *   children.shell  gives the body to system(3)
 *   children.late   starts the body, and waits for its end only once the file `gate` is gone
 *   children.fork   forks a child that executes nothing, and ends it by SIGTERM
 *   children.twin   forks a child that returns from the handler, or panics ("p")
 *
 * Each appends a line on how it ended to `path`: "exited 3" or "signal 15". What the option
 * `at_open` says is run beside them from their `open` on; their `close` waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

struct children {
    int fd;
    const char *gate;
    pid_t beside; /* 0: none */
};

static const struct warren_option options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."},
    {"gate", WARREN_OPTION_PATH, "", 0, 0, NULL, "While this file exists, `late` waits."},
    {"at_open", WARREN_OPTION_STRING, "", 0, 0, NULL, "A command of a shell."},
    {0}};

static pid_t start(const char *command)
{
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    pid_t pid = -1;

    return posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static void write_end(const struct children *children, const char *before, int status)
{
    bool exited = WIFEXITED(status);

    dprintf(children->fd, "%s%s %d\n", before,
            status == -1 ? "unknown"
            : exited     ? "exited"
                         : "signal",
            status == -1 ? errno
            : exited     ? WEXITSTATUS(status)
                         : WTERMSIG(status));
}

static void bury(const struct children *children, const char *before, pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    write_end(children, before, status);
}

static enum warren_status children_open(const struct warren_subscription_info *info, void **state,
                                        struct warren_error *error)
{
    struct children *children = calloc(1, sizeof *children);
    const char *path = warren_options_text(info->options, "path");
    const char *at_open = warren_options_text(info->options, "at_open");

    if (!children)
        return WARREN_ENOMEM;
    children->gate = warren_options_text(info->options, "gate");
    children->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (children->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(children);
        return WARREN_EIO;
    }
    if (*at_open)
        children->beside = start(at_open);
    *state = children;
    return WARREN_OK;
}

static void children_close(void *state)
{
    struct children *children = state;

    if (children->beside)
        bury(children, "beside ", children->beside);
    close(children->fd);
    free(children);
}

static char *command_of(struct warren_job *job)
{
    struct warren_bytes body = warren_job_body(job);
    char *command = warren_job_alloc(job, body.len + 1);

    memcpy(command, body.data, body.len);
    command[body.len] = '\0';
    return command;
}

static enum warren_outcome shell(struct warren_job *job, void *state)
{
    write_end(state, "", system(command_of(job)));
    return WARREN_ACK;
}

static enum warren_outcome late(struct warren_job *job, void *state)
{
    const struct children *children = state;
    pid_t pid = start(command_of(job));

    dprintf(children->fd, "started\n");
    while (access(children->gate, F_OK) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    bury(children, "", pid);
    return WARREN_ACK;
}

static enum warren_outcome forked(struct warren_job *job, void *state)
{
    pid_t pid = fork();

    (void)job;
    if (pid == 0) {
        alarm(30); /* it leaves nothing behind where it hears no SIGTERM */
        for (;;)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    kill(pid, SIGTERM);
    bury(state, "", pid);
    return WARREN_ACK;
}

static enum warren_outcome twin(struct warren_job *job, void *state)
{
    pid_t pid = fork();

    if (pid > 0)
        bury(state, "", pid);
    else if (memcmp(warren_job_body(job).data, "p", 1) == 0)
        warren_panic(job, "in a child");
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "shell",
     .help = "Gives the body to system(3).",
     .options = options,
     .open = children_open,
     .handle = shell,
     .close = children_close},
    {.name = "late",
     .help = "Starts the body, and waits for it later.",
     .options = options,
     .open = children_open,
     .handle = late,
     .close = children_close},
    {.name = "fork",
     .help = "Forks a child, and ends it by SIGTERM.",
     .options = options,
     .open = children_open,
     .handle = forked,
     .close = children_close},
    {.name = "twin",
     .help = "Forks a child that returns.",
     .options = options,
     .open = children_open,
     .handle = twin,
     .close = children_close},
    {0}};

WARREN_PLUGIN(.name = "children", .version = "1.0.0", .handlers = handlers)
