/* measure.c - run one client of the benchmark and say what it cost.
 *
 *   measure CASE PEER COMMAND [ARGUMENT...]
 *
 * CPU (user and system, all threads) and the highest resident memory are those that the kernel
 * accounted for the whole life of the process, start and end included: wait4(2), getrusage(2).
 * The throughput is the client's own line (stopwatch.h). Prints one JSON object.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct result {
    uint64_t count;
    double seconds;
    int p50_us, p99_us, max_us;
    int fields;      /* of the line that were there */
    double shrunk_s; /* the line `shrunk` of noop.step; 0: there was none */
};

static void die(const char *what)
{
    fprintf(stderr, "measure: %s\n", what);
    exit(1);
}

static void become(char **command, const int pipe_fds[2])
{
    dup2(pipe_fds[1], 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static void read_result(int fd, struct result *result)
{
    FILE *from = fdopen(fd, "r");
    char line[256];

    if (!from)
        die("fdopen");
    while (fgets(line, sizeof line, from)) {
        if (strncmp(line, "bench ", 6) == 0)
            result->fields =
                sscanf(line, "bench %" SCNu64 " %lf %d %d %d", &result->count, &result->seconds,
                       &result->p50_us, &result->p99_us, &result->max_us);
        sscanf(line, "shrunk %lf", &result->shrunk_s);
    }
    fclose(from);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void print(const char *name, const char *peer, const struct result *result,
                  const struct rusage *usage)
{
    double cpu = seconds_of(usage->ru_utime) + seconds_of(usage->ru_stime);

    printf("{\"case\":\"%s\",\"peer\":\"%s\",\"msgs_per_s\":%.0f,\"cpu_us_per_msg\":%.3f,"
           "\"rss_kib\":%ld",
           name, peer, (double)result->count / result->seconds, cpu * 1e6 / (double)result->count,
           usage->ru_maxrss);
    if (result->fields == 5)
        printf(",\"p50_us\":%d,\"p99_us\":%d,\"max_us\":%d", result->p50_us, result->p99_us,
               result->max_us);
    if (result->shrunk_s > 0)
        printf(",\"shrunk_s\":%.1f", result->shrunk_s);
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct result result = {0};
    struct rusage usage;
    int pipe_fds[2];
    int status;
    pid_t pid;

    if (argc < 4)
        die("usage: measure CASE PEER COMMAND [ARGUMENT...]");
    if (pipe(pipe_fds) != 0)
        die("pipe");
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        become(argv + 3, pipe_fds);
    close(pipe_fds[1]);
    read_result(pipe_fds[0], &result);
    if (wait4(pid, &status, 0, &usage) != pid)
        die("wait4");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the client failed");
    if (result.fields < 2 || result.count == 0 || result.seconds <= 0)
        die("the client printed no result");
    print(argv[1], argv[2], &result, &usage);
    return 0;
}
