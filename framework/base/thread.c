/* thread.c - see thread.h. */
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

#define THREAD_NAME_SIZE 16 /* with the NUL; the kernel's limit */

/* Those of a fault, and the one that asks a thread where it is. */
static void let_own_through(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                              SIGABRT, SIGTRAP, SIGSYS, THREAD_SAMPLE_SIGNAL};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(set, own[i]);
}

/* Nobody has said yet what is to become of it. */
static bool is_at_default(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

/* Initial-exec: reading it in a signal's handler allocates nothing. */
static __thread bool ours __attribute__((tls_model("initial-exec")));

struct beginning {
    void *(*run)(void *arg);
    void *arg;
};

static void *begin(void *arg)
{
    struct beginning beginning = *(struct beginning *)arg;

    free(arg);
    ours = true;
    /* Nobody may take it out of the middle of something; what a plugin does, it does to itself. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return beginning.run(beginning.arg);
}

bool thread_is_ours(void)
{
    return ours || syscall(SYS_gettid) == getpid();
}

/* A thread begins with the mask of the one that creates it. */
static enum warren_status start(pthread_t *thread, const char *name, void *(*run)(void *arg),
                                void *arg, const sigset_t *mask, struct warren_error *error)
{
    struct beginning *beginning = malloc(sizeof *beginning);
    char text[THREAD_NAME_SIZE];
    sigset_t before;
    int failure = ENOMEM;

    if (beginning) {
        *beginning = (struct beginning){run, arg};
        pthread_sigmask(SIG_SETMASK, mask, &before);
        failure = pthread_create(thread, NULL, begin, beginning);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (failure)
        free(beginning);
    if (failure)
        return error_set(error, WARREN_EIO, "cannot start thread %s: %s", name,
                         strerrordesc_np(failure));
    snprintf(text, sizeof text, "%s", name);
    pthread_setname_np(*thread, text);
    return WARREN_OK;
}

enum warren_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg),
                                void *arg, struct warren_error *error)
{
    sigset_t mask;

    sigfillset(&mask);
    let_own_through(&mask);
    return start(thread, name, run, arg, &mask, error);
}

enum warren_status thread_start_for_plugins(pthread_t *thread, const char *name,
                                            void *(*run)(void *arg), void *arg,
                                            struct warren_error *error)
{
    sigset_t mask;

    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (is_at_default(SIGPIPE))
        sigaddset(&mask, SIGPIPE);
    let_own_through(&mask);
    return start(thread, name, run, arg, &mask, error);
}

/* ---- the stack ---- */

/* NULL: not known. */
static const char *find_stack_middle(void)
{
    pthread_attr_t attributes;
    const char *middle = NULL;
    void *lowest;
    size_t size;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return NULL;
    if (pthread_attr_getstack(&attributes, &lowest, &size) == 0)
        middle = (const char *)lowest + size / 2;
    pthread_attr_destroy(&attributes);
    return middle;
}

/* The frame's address, for under a sanitizer a variable may be elsewhere. */
bool thread_has_stack(void)
{
    static __thread const char *middle;

    if (!middle)
        middle = find_stack_middle();
    return middle && (const char *)__builtin_frame_address(0) > middle;
}

/* ---- signals ---- */

static void disregard(int number)
{
    (void)number;
}

void signals_disregard(int number)
{
    struct sigaction action = {.sa_handler = disregard, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    if (is_at_default(number))
        sigaction(number, &action, NULL);
}

void signals_regard(int number)
{
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == disregard)
        signal(number, SIG_DFL);
}
