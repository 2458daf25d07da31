/* executor_private.h - shared threads, as executor.c (who shares them) and executor_threads.c (what
 * they do) have them. */
#ifndef WARREN_CONSUME_EXECUTOR_PRIVATE_H
#define WARREN_CONSUME_EXECUTOR_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>

#include "base/condition.h"
#include "base/metrics.h"
#include "base/shares.h"
#include "consume/workers/executor.h"

/** Work of this length pays for waking one thread: see threads.c. */
#define EXECUTOR_WAKE_WORTH_NS 50000
#define EXECUTOR_NAME_SIZE     65

struct executor_member_metrics {
    struct warren_series *share;
    struct warren_series *lent;
};

/* A subscription. */
struct executor_member {
    struct runner runner; /* first: its address is the member's */
    struct executor *executor;
    struct executor_member_metrics metrics;

    /* What follows is guarded by the executor's lock. */
    struct shares_member share;
    struct batch queue; /* share.waiting of them */
    uint64_t pushed;
    uint64_t begun;
    uint64_t pushed_at_look;
    uint64_t lent;      /* messages that were begun above its share */
    int64_t average_ns; /* time a message takes, moving average */
};

struct executor_thread {
    struct executor *executor;
    uint32_t index;
    pthread_t id;
    sem_t wake;                   /* posted once by whoever takes it off the idle stack */
    int64_t begun_ns;             /* end of the last message, or of the sleep */
    struct executor_thread *next; /* of the idle stack, under the lock; then of those to be woken */
};

struct executor_metrics {
    struct warren_series *threads;
    struct warren_series *busy;
    struct warren_series *waiting;
};

struct executor {
    char name[EXECUTOR_NAME_SIZE];
    struct clock *clock;
    bool guarded;
    struct metric_collector collector;
    struct executor_metrics metrics;
    atomic_uint queued; /* of all members; changed under the lock */

    pthread_mutex_t lock;  /* guards what follows */
    struct condition left; /* nobody runs anything of a member */
    struct shares_member *members[EXECUTOR_MEMBERS_MAX];
    size_t member_count;
    uint64_t turn;
    struct executor_thread *idle; /* a stack: the last one's caches are warm */
    uint32_t idle_count;
    bool stopping;

    struct executor_thread *threads;
    uint32_t thread_count; /* that were started */
};

static inline struct executor_member *executor_member_of(struct runner *runner)
{
    return (struct executor_member *)(void *)runner;
}

static inline struct executor_member *executor_member_with(struct shares_member *share)
{
    return (struct executor_member *)(void *)((char *)share -
                                              offsetof(struct executor_member, share));
}

/* ---- executor_threads.c ---- */

/** Start @count threads. On failure executor_stop() ends those that there are. */
enum warren_status executor_start_threads(struct executor *executor, uint32_t count,
                                          struct warren_error *error);
/** Wake @chosen and those behind it, which were taken off the idle stack. Not under the lock. */
void executor_wake(struct executor_thread *chosen);

#endif
