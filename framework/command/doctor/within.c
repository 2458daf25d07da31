/* within.c - see within.h. */
#include "command/doctor/within.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define SLOW_MS 1000
#define STEP_MS 100

/* What a killed child may take to go before it is left to the system. */
#define REAP_MS 200

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        size -= (size_t)written;
    }
}

/* As much as there is now. @return false: no more will come */
static bool read_some(int fd, char *data, size_t size, size_t *got)
{
    ssize_t some = read(fd, data + *got, size - *got);

    if (some > 0)
        *got += (size_t)some;
    return some > 0 || (some < 0 && (errno == EINTR || errno == EAGAIN));
}

/* What is read is complete at @size: a child of the child may hold the pipe open for ever. */
static bool receive(int fd, int64_t patience_ms, char *data, size_t size, within_wait_fn *wait,
                    void *user, bool *ret_late)
{
    int64_t begun_ms = clock_now_ms(clock_monotonic());
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    size_t got = 0;
    bool more = true;

    while (more && got < size) {
        int64_t spent_ms = clock_now_ms(clock_monotonic()) - begun_ms;

        if (spent_ms >= patience_ms) {
            *ret_late = true;
            return false;
        }
        if (wait && spent_ms >= SLOW_MS)
            wait(user);
        if (poll(&poll_fd, 1, STEP_MS) > 0)
            more = read_some(fd, data, size, &got);
    }
    return got == size;
}

/* @return its wait status, or 0 if it is not gone yet. */
static int reap(pid_t child)
{
    int64_t until_ms = clock_now_ms(clock_monotonic()) + REAP_MS;
    int status = 0;

    while (waitpid(child, &status, WNOHANG) == 0 && clock_now_ms(clock_monotonic()) < until_ms)
        poll(NULL, 0, 1);
    return status;
}

enum within_end within(int64_t patience_ms, void (*work)(const void *arg, void *facts),
                       const void *arg, void *facts, size_t size, within_wait_fn *wait, void *user,
                       int *ret_signal)
{
    char *received = malloc(size);
    bool late = false;
    bool complete;
    int ends[2];
    int status;
    pid_t child;

    *ret_signal = 0;
    if (!received || pipe2(ends, O_CLOEXEC) != 0) {
        free(received);
        return WITHIN_NOT_RUN;
    }
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        close(ends[0]);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        work(arg, facts);
        write_all(ends[1], facts, size);
        _exit(0);
    }
    close(ends[1]);
    complete = child > 0 && receive(ends[0], patience_ms, received, size, wait, user, &late);
    close(ends[0]);
    if (complete)
        memcpy(facts, received, size);
    free(received);
    if (child < 0)
        return WITHIN_NOT_RUN;
    if (late)
        kill(child, SIGKILL);
    status = reap(child);
    kill(-child, SIGKILL); /* what it left behind */
    if (!late && !complete && WIFSIGNALED(status))
        *ret_signal = WTERMSIG(status);
    return late ? WITHIN_LATE : complete ? WITHIN_DONE : WITHIN_DIED;
}
