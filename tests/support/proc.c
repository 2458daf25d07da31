#include "support/proc.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/wait.h"

#define ARGUMENTS_MAX 64

struct stream {
    int fd;
    char *content;
};

struct proc {
    pid_t pid;
    int status; /* as proc_wait() returns */
    struct stream out;
    struct stream err;
};

static int memory_file(const char *name, const char *content)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        abort();
    if (content && write(fd, content, strlen(content)) != (ssize_t)strlen(content))
        abort();
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void become(const char *const *argv, const char *const *env, const int fds[3])
{
    for (int i = 0; i < 3; i++)
        dup2(fds[i], i);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an aborted test leaves no program behind */
    for (size_t i = 0; env && env[i]; i++)
        putenv((char *)(uintptr_t)env[i]);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %m\n", argv[0]);
    _exit(127);
}

struct proc *proc_start(const char *const *argv, const char *input, const char *const *env)
{
    struct proc *proc = calloc(1, sizeof *proc);
    int in = memory_file("stdin", input);

    if (!proc)
        abort();
    proc->out.fd = memory_file("stdout", NULL);
    proc->err.fd = memory_file("stderr", NULL);
    proc->status = PROC_RUNNING;
    proc->pid = fork();
    if (proc->pid < 0)
        abort();
    if (proc->pid == 0)
        become(argv, env, (int[]){in, proc->out.fd, proc->err.fd});
    close(in);
    return proc;
}

struct proc *warren_start(const char *const *arguments, const char *input)
{
    const char *argv[ARGUMENTS_MAX] = {WARREN_COMMAND};

    for (size_t i = 0; arguments[i] && i + 2 < ARGUMENTS_MAX; i++)
        argv[i + 1] = arguments[i];
    return proc_start(argv, input, NULL);
}

static bool has_ended(struct proc *proc)
{
    int status;

    if (proc->status != PROC_RUNNING)
        return true;
    if (waitpid(proc->pid, &status, WNOHANG) != proc->pid)
        return false;
    proc->status = WIFEXITED(status) ? WEXITSTATUS(status) : PROC_SIGNAL + WTERMSIG(status);
    return true;
}

/* Without asking again and again, where the kernel can tell. */
static void await_end(const struct proc *proc, int64_t ms)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, proc->pid, 0), .events = POLLIN};

    if (end.fd < 0)
        return;
    poll(&end, 1, (int)ms);
    close(end.fd);
}

int proc_wait(struct proc *proc, int64_t ms)
{
    int64_t end_ms = now_ms() + ms;

    if (!has_ended(proc) && ms > 0)
        await_end(proc, ms);
    return WAIT_FOR(has_ended(proc), end_ms - now_ms()) ? proc->status : PROC_RUNNING;
}

void proc_signal(struct proc *proc, int number)
{
    if (!has_ended(proc))
        kill(proc->pid, number);
}

pid_t proc_pid(const struct proc *proc)
{
    return proc->pid;
}

bool proc_sleeps(const struct proc *proc)
{
    char pattern[64];
    glob_t found;
    bool sleeps = true;

    snprintf(pattern, sizeof pattern, "/proc/%d/task/*/stat", (int)proc->pid);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return false;
    for (size_t i = 0; i < found.gl_pathc && sleeps; i++) {
        FILE *file = fopen(found.gl_pathv[i], "re");
        char state = '?';

        /* PID (NAME) STATE; see proc(5). */
        sleeps = file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
        if (file)
            fclose(file);
    }
    globfree(&found);
    return sleeps;
}

bool proc_takes(const struct proc *proc, int number)
{
    static const char *const sets[] = {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"};
    char *path = text("/proc/%d/status", (int)proc->pid);
    char *status = read_file(path, NULL);
    bool takes = !status;

    for (size_t i = 0; status && i < sizeof sets / sizeof *sets; i++) {
        const char *line = strstr(status, sets[i]);

        takes |= !line || strtoull(line + strlen(sets[i]), NULL, 16) >> (number - 1) & 1;
    }
    free(status);
    free(path);
    return takes;
}

static const char *stream_text(struct stream *stream)
{
    struct stat info;
    ssize_t length;

    free(stream->content);
    if (fstat(stream->fd, &info) != 0)
        abort();
    stream->content = calloc(1, (size_t)info.st_size + 1);
    if (!stream->content)
        abort();
    length = pread(stream->fd, stream->content, (size_t)info.st_size, 0);
    stream->content[length > 0 ? length : 0] = '\0';
    return stream->content;
}

const char *proc_stdout(struct proc *proc)
{
    return stream_text(&proc->out);
}

const char *proc_stderr(struct proc *proc)
{
    return stream_text(&proc->err);
}

long proc_rss_kib(const struct proc *proc)
{
    char *path = text("/proc/%d/status", (int)proc->pid);
    char *status = read_file(path, NULL);
    const char *line = status ? strstr(status, "VmRSS:") : NULL;
    long kib = line ? strtol(line + strlen("VmRSS:"), NULL, 10) : -1;

    free(status);
    free(path);
    return kib;
}

int proc_children(pid_t pid)
{
    glob_t found;
    int children = 0;

    if (glob("/proc/[0-9]*/stat", GLOB_NOSORT, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *stat = read_file(found.gl_pathv[i], NULL);
        const char *end = stat ? strrchr(stat, ')') : NULL;
        int parent = 0;

        if (end && sscanf(end, ") %*c %d", &parent) == 1)
            children += parent == pid;
        free(stat);
    }
    globfree(&found);
    return children;
}

void proc_free(struct proc *proc)
{
    if (!proc)
        return;
    proc_signal(proc, SIGCONT);
    proc_signal(proc, SIGKILL);
    proc_wait(proc, 10000);
    close(proc->out.fd);
    close(proc->err.fd);
    free(proc->out.content);
    free(proc->err.content);
    free(proc);
}
