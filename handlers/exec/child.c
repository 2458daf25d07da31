#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The time left shrinks when the worker begins to drain: look again this often. */
#define LOOK_AGAIN_MS 500

/* The group is killed this long before the attempt's time is over. */
#define KILL_MARGIN_MS 200

/* Reads in a row: what a full pipe (64 KiB) holds, and one for the part that is kept. */
#define READS_MAX (65536 / CHILD_OUTPUT_MAX + 1)

struct child {
    const struct child_task *task;
    struct child_end *end;
    pid_t pid;
    int pidfd;
    int output; /* -1 once it ended */
    int64_t started_ms;
    int64_t terminated_ms; /* 0: not yet */
    bool killed;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* By number: the wrapper came with glibc 2.36. */
static int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int child_supported(void)
{
    int fd = pidfd_of(getpid());

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A descriptor that reads @body from its start, or -1. */
static int body_file(struct warren_bytes body)
{
    int fd = memfd_create("message body", MFD_CLOEXEC);
    size_t written = 0;

    while (fd >= 0 && written < body.len) {
        ssize_t n = write(fd, (const char *)body.data + written, body.len - written);

        if (n > 0)
            written += (size_t)n;
        else if (n == 0 || errno != EINTR)
            close_fd(&fd);
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* A group of its own, and signals as a program expects them at its start: the worker ignores
 * SIGPIPE and its threads block the others. */
static int spawn_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int failure = posix_spawnattr_init(attributes);

    if (failure)
        return failure;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
    return 0;
}

static int spawn(struct child *child, int input, int output)
{
    const struct child_task *task = child->task;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failure = posix_spawn_file_actions_init(&actions);

    if (failure)
        return failure;
    failure = spawn_attributes(&attributes);
    if (!failure) {
        failure = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (!failure)
            failure = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (!failure)
            failure = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
        if (!failure)
            failure = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (!failure)
            failure = posix_spawnp(&child->pid, task->command[0], &actions, &attributes,
                                   task->command, task->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static int child_start(struct child *child)
{
    int output[2] = {-1, -1};
    int input = body_file(child->task->body);
    int failure = 0;

    if (input < 0 || pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0)
        failure = errno;
    /* The command shall find its end of the pipe as usual. */
    if (!failure && fcntl(output[1], F_SETFL, 0) != 0)
        failure = errno;
    if (!failure)
        failure = spawn(child, input, output[1]);
    close_fd(&input);
    close_fd(&output[1]);
    if (failure) {
        close_fd(&output[0]);
        return failure;
    }
    child->output = output[0];
    child->started_ms = now_ms();
    child->pidfd = pidfd_of(child->pid);
    return 0;
}

/* Take what is in the pipe now; endless output gives the time limit its turn. */
static void read_output(struct child *child)
{
    struct child_end *end = child->end;
    char rest[CHILD_OUTPUT_MAX];

    for (int reads = 0; child->output >= 0 && reads < READS_MAX; reads++) {
        size_t room = sizeof end->output - end->output_len;
        ssize_t n = read(child->output, room ? end->output + end->output_len : rest,
                         room ? room : sizeof rest);

        if (n > 0 && room)
            end->output_len += (size_t)n;
        else if (n > 0)
            end->output_lost += (uint64_t)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno == EAGAIN)
            return;
        else
            close_fd(&child->output);
    }
}

/* When SIGTERM is due: at the command's own limit, or early enough that SIGKILL, if it must be,
 * comes within what is left of the attempt. */
static int64_t terminate_in_ms(const struct child *child, int64_t now)
{
    const struct child_task *task = child->task;
    int64_t left = warren_job_time_left_ms(task->job);
    int64_t due = INT64_MAX;

    if (left != INT64_MAX)
        due = left - task->kill_after_ms - KILL_MARGIN_MS;
    if (task->timeout_ms > 0 && child->started_ms + task->timeout_ms - now < due)
        due = child->started_ms + task->timeout_ms - now;
    return due;
}

static int64_t kill_in_ms(const struct child *child, int64_t now)
{
    int64_t left = warren_job_time_left_ms(child->task->job);
    int64_t due = child->terminated_ms + child->task->kill_after_ms - now;

    if (left != INT64_MAX && left - KILL_MARGIN_MS < due)
        due = left - KILL_MARGIN_MS;
    return due;
}

/* Send the signal that is due. @return how long to sleep at most */
static int enforce_limit(struct child *child)
{
    int64_t now = now_ms();
    int64_t due = LOOK_AGAIN_MS;

    if (!child->terminated_ms) {
        due = terminate_in_ms(child, now);
        if (due <= 0) {
            child->end->timed_out = true;
            child->terminated_ms = now;
            kill(-child->pid, SIGTERM);
        }
    }
    if (child->terminated_ms && !child->killed) {
        due = kill_in_ms(child, now);
        if (due <= 0) {
            child->killed = true;
            kill(-child->pid, SIGKILL);
            due = LOOK_AGAIN_MS;
        }
    }
    return due < LOOK_AGAIN_MS ? (int)due : LOOK_AGAIN_MS;
}

/* Until the command itself has ended; what it left running may keep the pipe open, but is killed.
 */
static void watch(struct child *child)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = child->pidfd, .events = POLLIN},
                                {.fd = child->output, .events = POLLIN}};
        int ready = poll(fds, 2, enforce_limit(child));

        if (ready > 0 && fds[1].revents)
            read_output(child);
        if (ready > 0 && fds[0].revents)
            break;
    }
    read_output(child);
}

/* It fails where SIGCHLD is ignored, or where somebody waits for all children of the process. */
static int bury(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

int child_run(const struct child_task *task, struct child_end *end)
{
    struct child child = {.task = task, .end = end, .pidfd = -1, .output = -1};
    int failure, status = 0;

    *end = (struct child_end){.exit_status = -1};
    failure = child_start(&child);
    if (failure)
        return failure;
    if (child.pidfd >= 0) /* else we are out of descriptors, and cannot watch it */
        watch(&child);
    /* While the command is a zombie, its number is no other group's. */
    kill(-child.pid, SIGKILL);
    failure = bury(child.pid, &status);
    close_fd(&child.pidfd);
    close_fd(&child.output);
    if (failure)
        return failure;
    if (WIFEXITED(status))
        end->exit_status = WEXITSTATUS(status);
    else if (WIFSIGNALED(status))
        end->signal = WTERMSIG(status);
    return 0;
}
