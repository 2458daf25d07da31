/* signals.c - see signals.h. */
#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

static void disregard(int number)
{
    (void)number;
}

void signals_disregard(int number)
{
    struct sigaction action = {.sa_handler = disregard, .sa_flags = SA_RESTART};
    struct sigaction now;

    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}
