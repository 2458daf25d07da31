/* child.c - see child.h. */
#include "observe/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define PROGRAM  "/proc/self/exe"
#define READ_MAX ((size_t)64 * 1024)
#define LOOK_MS  20

extern char **environ;

/* ---- starting ---- */

/* A descriptor with @input, at its beginning. */
static int input_of(struct warren_bytes input)
{
    const char *data = input.data;
    int fd = memfd_create("warren-input", MFD_CLOEXEC);

    while (fd >= 0 && input.len > 0) {
        ssize_t n = write(fd, data, input.len);

        if (n <= 0) {
            close(fd);
            return -1;
        }
        data += n;
        input.len -= (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct process_state *start,
                       int in, const int outs[2])
{
    int failed = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);

    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, outs[0], STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, outs[1], STDERR_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (!failed && start && *start->directory)
        failed = posix_spawn_file_actions_addchdir_np(actions, start->directory);
    return failed;
}

/* Our threads block signals, and some have handlers: it begins with none of that, in a group of
 * its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    const short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP;
    sigset_t set;
    int failed;

    sigfillset(&set);
    failed = posix_spawnattr_setsigdefault(attributes, &set);
    sigemptyset(&set);
    if (!failed)
        failed = posix_spawnattr_setsigmask(attributes, &set);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    return failed ? failed : posix_spawnattr_setflags(attributes, flags);
}

/* @return 0, or errno */
static int spawn(struct child *child, const struct child_options *options, int in,
                 const int outs[2])
{
    const struct process_state *start = options->start;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    failed = set_actions(&actions, start, in, outs);
    if (!failed)
        failed = set_attributes(&attributes);
    if (!failed)
        failed = posix_spawn(&child->pid, PROGRAM, &actions, &attributes,
                             (char *const *)(uintptr_t)options->arguments,
                             start && start->environment ? start->environment : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int make_pipes(struct child *child, int outs[2])
{
    int ends[2];

    for (size_t i = 0; i < 2; i++) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return errno;
        child->fds[i] = ends[0];
        outs[i] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

/* ---- what it writes, and its end ---- */

static void tell(struct child *child, int signal)
{
    kill(-child->pid, signal);
    child->told_to_end = true;
    child->killed = child->killed || signal == SIGKILL;
    child->until_ms = loop_now_ms(child->loop) + CHILD_GRACE_MS;
}

static void end_stream(struct child *child, size_t i)
{
    loop_fd_done(&child->watches[i]);
    close_fd(&child->fds[i]);
}

/* Of what is above the bound nothing is kept: of errors that is all, of output the end. */
static void take(struct child *child, size_t i)
{
    char piece[READ_MAX];
    ssize_t n = read(child->fds[i], piece, sizeof piece);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_stream(child, i);
        return;
    }
    if (buffer_append(&child->texts[i], piece, (size_t)n) == WARREN_OK || i == 1)
        return;
    child->too_long = true;
    if (!child->told_to_end)
        tell(child, SIGTERM);
}

static void take_output(void *arg, unsigned readiness)
{
    (void)readiness;
    take(arg, 0);
}

static void take_errors(void *arg, unsigned readiness)
{
    (void)readiness;
    take(arg, 1);
}

/* @return whether it has ended; a handler that waits for any child may have taken its status */
static bool has_ended(struct child *child, int options, int *ret_status)
{
    int status = 0;
    pid_t pid = waitpid(child->pid, &status, options);

    *ret_status = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->signal = pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return pid != 0 && !(pid < 0 && errno == EINTR);
}

/* What it has left behind may hold its output: what is in its group is killed, for what is not the
 * time is short. As long as it is a zombie, its number, and so that of the group, is nobody else's.
 */
static void end_group(struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return;
    kill(-child->pid, SIGKILL);
    if (child->gone)
        return;
    child->gone = child->killed = true;
    child->until_ms = loop_now_ms(child->loop) + CHILD_LEFT_MS;
}

static void look(void *arg)
{
    struct child *child = arg;
    bool late;
    int status;

    end_group(child);
    late = loop_now_ms(child->loop) >= child->until_ms;
    if (child->fds[0] < 0 && child->fds[1] < 0 && has_ended(child, WNOHANG, &status)) {
        child->pid = 0;
        child->ended(child->user, child, status);
        return;
    }
    if (late && child->killed) { /* somebody else has its standard output */
        end_stream(child, 0);
        end_stream(child, 1);
    } else if (late) {
        child->late = child->late || !child->told_to_end;
        tell(child, child->told_to_end ? SIGKILL : SIGTERM);
    }
    loop_timer_arm_ms(&child->timer, LOOK_MS);
}

/* ---- life ---- */

static enum warren_status watch(struct child *child)
{
    enum warren_status status = loop_timer_init(&child->timer, child->loop, look, child);

    if (status == WARREN_OK)
        status = loop_fd_init(&child->watches[0], child->loop, child->fds[0], take_output, child);
    if (status == WARREN_OK)
        status = loop_fd_init(&child->watches[1], child->loop, child->fds[1], take_errors, child);
    if (status != WARREN_OK)
        return status;
    loop_fd_want(&child->watches[0], LOOP_READ);
    loop_fd_want(&child->watches[1], LOOP_READ);
    loop_timer_arm_ms(&child->timer, LOOK_MS);
    return WARREN_OK;
}

enum warren_status child_start(struct child *child, struct loop *loop,
                               const struct child_options *options,
                               void (*ended)(void *user, struct child *child, int status),
                               void *user, struct warren_error *error)
{
    int outs[2] = {-1, -1};
    int in = input_of(options->input);
    int failed = in < 0 ? errno : 0;
    enum warren_status status = WARREN_OK;

    *child = (struct child){.loop = loop, .fds = {-1, -1}, .ended = ended, .user = user};
    child->until_ms = loop_now_ms(loop) + options->timeout_ms;
    buffer_init(&child->texts[0], options->output_max);
    buffer_init(&child->texts[1], CHILD_ERRORS_MAX);
    if (!failed)
        failed = make_pipes(child, outs);
    if (!failed)
        failed = spawn(child, options, in, outs);
    close_fd(&in);
    close_fd(&outs[0]);
    close_fd(&outs[1]);
    if (failed) {
        status =
            error_set(error, WARREN_EIO, "cannot start " PROGRAM ": %s", strerrordesc_np(failed));
        child->pid = 0;
    } else if (watch(child) != WARREN_OK) {
        status = error_set(error, WARREN_ENOMEM, "no memory for a child");
    }
    if (status != WARREN_OK)
        child_done(child);
    return status;
}

void child_done(struct child *child)
{
    int status;

    if (!child->loop)
        return;
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        while (!has_ended(child, 0, &status))
            continue;
    }
    loop_timer_done(&child->timer);
    end_stream(child, 0);
    end_stream(child, 1);
    buffer_done(&child->texts[0]);
    buffer_done(&child->texts[1]);
    *child = (struct child){.loop = NULL};
}
