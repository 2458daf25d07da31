/* main.c - the program `warren`. Everything else is in commands.c, so that tests can link it. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/thread.h"
#include "command/commands.h"
#include "consume/crash/exit_watch.h"

/* A descriptor 0, 1 or 2 that was closed by whoever started us would be given to a socket, and
 * then be written to as standard error. A standard input that was closed cannot be read, and is not
 * an empty one; a standard output that was closed takes nothing, which is an error of whoever
 * writes. Only error messages are dropped then, for there is no place for them. */
static void open_standard_descriptors(void)
{
    static const int ways[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDWR};

    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", ways[fd]) != fd)
            _exit(CLI_FAILED);
}

int main(int argc, char **argv)
{
    int status;

    open_standard_descriptors();
    /* A pipe without a reader, a file at its limit: an error of that write. */
    signals_disregard(SIGPIPE);
    signals_disregard(SIGXFSZ);
    /* Where whoever started us ignores it, nobody learns how a child ended. */
    signal(SIGCHLD, SIG_DFL);
    exit_watch_begin();
    status = commands_main(argc, (const char **)argv);
    exit_watch_end();
    return status;
}
