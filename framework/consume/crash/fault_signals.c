#include "consume/crash/fault_signals.h"

const int fault_signals[FAULT_SIGNALS] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                          SIGABRT, SIGTRAP, SIGSYS};

unsigned fault_signal_place(int signal)
{
    unsigned i = 0;

    while (i < FAULT_SIGNALS && fault_signals[i] != signal)
        i++;
    return i;
}

const char *fault_place_name(unsigned place)
{
    static const char *const names[FAULT_SIGNALS + 1] = {"SIGSEGV", "SIGBUS",  "SIGFPE", "SIGILL",
                                                         "SIGABRT", "SIGTRAP", "SIGSYS", ""};

    return names[place < FAULT_SIGNALS ? place : FAULT_SIGNALS];
}

const char *fault_signal_name(int signal)
{
    return fault_place_name(fault_signal_place(signal));
}
