/* burning.c - a handler that computes: 10 ms of CPU time for each message, in a function of its
 * own. */
#include <stdint.h>
#include <time.h>

#include <warren/handler.h>

#define BURN_NS INT64_C(10000000)

static int64_t used_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

static __attribute__((noinline)) uint64_t burn_cpu(uint64_t seed)
{
    for (int i = 0; i < 10000; i++)
        seed = seed * UINT64_C(6364136223846793005) + 1;
    return seed;
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    int64_t end_ns = used_ns() + BURN_NS;
    volatile uint64_t seed = 1;

    (void)job;
    (void)state;
    while (used_ns() < end_ns)
        seed = burn_cpu(seed);
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "run", .handle = handle}, {0}};

WARREN_PLUGIN(.name = "burning", .version = "1", .handlers = handlers)
