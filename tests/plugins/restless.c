/* restless.c - a plugin that does what it should not while it is loaded: a test makes another one
 * of it by writing other letters over those of `does`. See begin().
 *
 *   restless.wander   goes to another folder, and sets WARREN_BROKER_URI to where no broker is
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/handler.h>

static const char does[] = "restless-nothing";

static void write_much(int fd)
{
    static char line[1024];

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 4096; i++)
        if (write(fd, line, sizeof line) < 0)
            return;
}

/* A process that has our output; its number is written to the file RESTLESS_PID. */
static void leave_one(void)
{
    const char *path = getenv("RESTLESS_PID");
    pid_t pid = fork();
    FILE *file;

    if (pid == 0) {
        sleep(1000);
        _exit(0);
    }
    file = path ? fopen(path, "we") : NULL;
    if (file) {
        fprintf(file, "%d\n", (int)pid);
        fclose(file);
    }
}

__attribute__((constructor)) static void begin(void)
{
    const char *volatile text = does; /* read when it runs */
    const char *what = text + strlen("restless-");

    if (strcmp(what, "crashes") == 0) {
        fprintf(stderr, "first line\n  restless: here it ends\n\n");
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's */
        raise(SIGSEGV);
    } else if (strcmp(what, "exits-0") == 0) {
        exit(0);
    } else if (strcmp(what, "_exits0") == 0) {
        printf("loaded 00000000000000000000000000000000");
        fflush(stdout);
        _exit(0);
    } else if (strcmp(what, "forges!") == 0) {
        for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
            dprintf(fd, "loaded 0000000000000000000000000000000"); /* a digit is missing */
        _exit(0);
    } else if (strcmp(what, "deafens") == 0) {
        signal(SIGTERM, SIG_IGN);
        for (;;)
            sleep(1000);
    } else if (strcmp(what, "sleeps!") == 0) {
        for (;;)
            sleep(1000);
    } else if (strcmp(what, "writes!") == 0) {
        write_much(STDOUT_FILENO);
        write_much(STDERR_FILENO);
    } else if (strcmp(what, "forks!!") == 0) {
        leave_one();
    } else if (strcmp(what, "forks_0") == 0) {
        leave_one();
        _exit(0);
    }
}

static enum warren_outcome wander(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    if (chdir("/") != 0 || setenv("WARREN_BROKER_URI", "amqp://127.0.0.1:1/", 1) != 0)
        return WARREN_RETRY;
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "wander", .handle = wander}, {0}};

WARREN_PLUGIN(.name = "restless", .version = "1", .handlers = handlers)
