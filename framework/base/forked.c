/* forked.c - a counter that each child finds one higher. */
#include "base/forked.h"

#include <pthread.h>

/* Written in a child before it has a second thread. */
static uint32_t times;

static void count(void)
{
    times++;
}

static void begin(void)
{
    pthread_atfork(NULL, NULL, count);
}

uint32_t forked_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, begin);
    return times;
}

bool forked_since(uint32_t since)
{
    return times != since;
}
