#include "plugin/blame.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define FATAL (sizeof fatal / sizeof *fatal)

static struct {
    char text[1024];
    size_t len;
    struct sigaction before[FATAL];
} blame;

static void on_fatal(int number, siginfo_t *info, void *context);

/* A signal that the function took for itself stays its own. */
static void give_back(void)
{
    for (size_t i = 0; i < FATAL; i++) {
        struct sigaction now;

        sigaction(fatal[i], NULL, &now);
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fatal)
            sigaction(fatal[i], &blame.before[i], NULL);
    }
}

/* What an instruction did it does again when it is repeated; the rest has to be sent again. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    ssize_t written = write(STDERR_FILENO, blame.text, blame.len);

    (void)written;
    (void)context;
    give_back();
    if (info->si_code <= 0)
        raise(number);
}

void blame_begin(const char *kind, const char *name, const char *queue, const char *function)
{
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&action.sa_mask);
    snprintf(blame.text, sizeof blame.text, "warren: queue %s: %s %s crashed in its %s\n", queue,
             kind, name, function);
    blame.len = strlen(blame.text);
    for (size_t i = 0; i < FATAL; i++)
        sigaction(fatal[i], &action, &blame.before[i]);
}

void blame_end(void)
{
    give_back();
    blame.len = 0;
}
