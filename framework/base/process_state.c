/* process_state.c - see process_state.h. */
#include "base/process_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static enum warren_status copy_environment(struct process_state *state, char *const *from)
{
    size_t count = 0;

    while (from[count])
        count++;
    state->environment = calloc(count + 1, sizeof *state->environment);
    if (!state->environment)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        state->environment[i] = strdup(from[i]);
        if (!state->environment[i])
            return WARREN_ENOMEM;
    }
    return WARREN_OK;
}

static void take_ignored(sigset_t *ignored)
{
    struct sigaction action;

    sigemptyset(ignored);
    for (int i = 1; i < NSIG; i++)
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            sigaddset(ignored, i);
}

enum warren_status process_state_take(struct process_state *state)
{
    memset(state, 0, sizeof *state);
    if (!getcwd(state->directory, sizeof state->directory))
        *state->directory = '\0';
    state->umask = umask(0);
    umask(state->umask);
    take_ignored(&state->ignored);
    for (int i = 0; i < (int)RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &state->limits[i]) != 0)
            state->limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    return copy_environment(state, environ);
}

enum warren_status process_state_copy(const struct process_state *from, struct process_state *to)
{
    *to = *from;
    return copy_environment(to, from->environment);
}

void process_state_done(struct process_state *state)
{
    for (size_t i = 0; state->environment && state->environment[i]; i++)
        free(state->environment[i]);
    free(state->environment);
    state->environment = NULL;
}

/* Handlers of signals do not outlast execve(2); what is ignored does. */
static void restore_ignored(const sigset_t *ignored)
{
    struct sigaction action;

    for (int i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &action) != 0)
            continue;
        if (!sigismember(ignored, i) && action.sa_handler != SIG_IGN)
            continue;
        action = (struct sigaction){.sa_handler = sigismember(ignored, i) ? SIG_IGN : SIG_DFL};
        sigaction(i, &action, NULL);
    }
}

static void restore_limits(const struct rlimit *limits)
{
    for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
        struct rlimit now;

        if (setrlimit((__rlimit_resource_t)i, &limits[i]) == 0 ||
            getrlimit((__rlimit_resource_t)i, &now) != 0)
            continue;
        now.rlim_cur = limits[i].rlim_cur < now.rlim_max ? limits[i].rlim_cur : now.rlim_max;
        setrlimit((__rlimit_resource_t)i, &now);
    }
}

static void disarm_timers(void)
{
    const struct itimerval never = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &never, NULL);
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
}

int process_state_restore(const struct process_state *state)
{
    disarm_timers();
    restore_ignored(&state->ignored);
    restore_limits(state->limits);
    umask(state->umask);
    if (*state->directory && chdir(state->directory) != 0)
        return errno;
    return 0;
}
