/* thread.c - see thread.h. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define THREAD_NAME_SIZE 16 /* with the NUL; the kernel's limit */

static void signals_of_others(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

    sigfillset(set);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(set, own[i]);
}

enum warren_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg),
                                void *arg, struct warren_error *error)
{
    char text[THREAD_NAME_SIZE];
    sigset_t blocked, before;
    int failure;

    signals_of_others(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    failure = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return error_set(error, WARREN_EIO, "cannot start thread %s: %s", name,
                         strerrordesc_np(failure));
    snprintf(text, sizeof text, "%s", name);
    pthread_setname_np(*thread, text);
    return WARREN_OK;
}
