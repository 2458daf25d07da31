/* stopwatch.h - what the C clients of the benchmark share: the clock, the result line, latencies.
 * Every client, in any language, ends by printing one line to standard output:
 *
 *     bench COUNT SECONDS [P50_US P99_US MAX_US]
 *
 * SECONDS runs from the first to the last handled (published: confirmed) message.
 */
#ifndef BENCH_STOPWATCH_H
#define BENCH_STOPWATCH_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/** One bucket a microsecond; what is above goes into the last. */
#define LATENCY_BUCKETS 1000000

struct latencies {
    atomic_uint buckets[LATENCY_BUCKETS + 1];
};

static inline int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/** The paced publisher puts the time of sending, as it is in memory, at the start of the body. */
static inline void latencies_add(struct latencies *latencies, const void *body, size_t length)
{
    int64_t sent_ns;
    int64_t us;

    if (length < sizeof sent_ns)
        return;
    memcpy(&sent_ns, body, sizeof sent_ns);
    us = (now_ns() - sent_ns) / 1000;
    if (us < 0 || us > LATENCY_BUCKETS)
        us = LATENCY_BUCKETS;
    atomic_fetch_add_explicit(&latencies->buckets[us], 1, memory_order_relaxed);
}

static inline int latencies_rank(struct latencies *latencies, uint64_t rank)
{
    uint64_t seen = 0;

    for (int us = 0; us <= LATENCY_BUCKETS; us++) {
        seen += atomic_load_explicit(&latencies->buckets[us], memory_order_relaxed);
        if (seen >= rank)
            return us;
    }
    return LATENCY_BUCKETS;
}

/** Print the result line. @latencies  NULL: not measured */
static inline void print_result(uint64_t count, int64_t first_ns, int64_t last_ns,
                                struct latencies *latencies)
{
    printf("bench %" PRIu64 " %.6f", count, (double)(last_ns - first_ns) / 1e9);
    if (latencies)
        printf(" %d %d %d", latencies_rank(latencies, count / 2),
               latencies_rank(latencies, count - count / 100), latencies_rank(latencies, count));
    printf("\n");
    fflush(stdout);
}

#endif
