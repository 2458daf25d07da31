#include "support/command.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/proc.h"
#include "support/test.h"
#include "support/wait.h"

#define COMMAND_MS    60000
#define ARGUMENTS_MAX 64

static void with_program(const char *const *arguments, const char *argv[ARGUMENTS_MAX])
{
    size_t count = 0;

    argv[0] = WARREN_COMMAND;
    for (; arguments[count]; count++) {
        assert_true(count + 2 < ARGUMENTS_MAX);
        argv[count + 1] = arguments[count];
    }
    argv[count + 1] = NULL;
}

static struct command end_of(struct proc *proc, const char *what)
{
    struct command command = {.status = proc_wait(proc, COMMAND_MS)};

    if (command.status == PROC_RUNNING)
        fail_msg("%s does not end; so far it said:\n%s%s", what, proc_stdout(proc),
                 proc_stderr(proc));
    command.out = text("%s", proc_stdout(proc));
    command.err = text("%s", proc_stderr(proc));
    proc_free(proc);
    return command;
}

struct command command_run(const char *const *arguments, const char *input, const char *const *env)
{
    const char *argv[ARGUMENTS_MAX];

    with_program(arguments, argv);
    return end_of(proc_start(argv, input, env), arguments[0] ? arguments[0] : "warren");
}

struct command command_shell(const char *script, const char *a, const char *b)
{
    const char *const argv[] = {"sh", "-c", script, "sh", a ? a : "", b ? b : "", NULL};
    const char *const env[] = {"WARREN=" WARREN_COMMAND, NULL};

    return end_of(proc_start(argv, NULL, env), script);
}

/* What the terminal was given, until the program closed it. */
static char *read_screen(int terminal, pid_t pid)
{
    int64_t deadline = now_ms() + COMMAND_MS;
    char *screen = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&screen, &size);
    char piece[4096];

    assert_non_null(out);
    for (;;) {
        struct pollfd wait = {.fd = terminal, .events = POLLIN};
        ssize_t n;

        if (now_ms() > deadline)
            kill(pid, SIGKILL);
        if (poll(&wait, 1, 100) == 0)
            continue;
        n = read(terminal, piece, sizeof piece);
        if (n > 0)
            fwrite(piece, 1, (size_t)n, out);
        else if (n == 0 || errno != EINTR)
            break; /* EIO: the other side is closed */
    }
    fclose(out);
    return screen;
}

struct command command_typed(const char *const *arguments, const char *const *env,
                             const char *typed)
{
    struct winsize window = {.ws_row = 24, .ws_col = 80};
    struct command command = {.err = text("%s", "")};
    const char *argv[ARGUMENTS_MAX];
    int terminal, status;
    pid_t pid;

    with_program(arguments, argv);
    pid = forkpty(&terminal, NULL, NULL, &window);
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; env && env[i]; i++)
            putenv((char *)(uintptr_t)env[i]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(write(terminal, typed, strlen(typed)), strlen(typed));
    command.out = read_screen(terminal, pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(terminal);
    command.status = WIFEXITED(status) ? WEXITSTATUS(status) : PROC_SIGNAL + WTERMSIG(status);
    return command;
}

struct command command_on_terminal(const char *const *arguments, const char *const *env)
{
    return command_typed(arguments, env, "");
}

void command_done(struct command *command)
{
    free(command->out);
    free(command->err);
}

void command_expect(const struct command *command, int status)
{
    if (command->status != status)
        fail_msg("exit status %d, expected %d; it said:\n%s%s", command->status, status,
                 command->out, command->err);
}

size_t lines_in(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += *text == '\n' || !text[1];
    return count;
}
