/* chain_cost.c - what a chain costs a message, without broker, threads and settlement around it.
 *
 *   chain_cost CASE PEER FILE COUNT
 *
 * Opens the first subscription of the configuration FILE as the worker does and runs its chain and
 * handler COUNT times on one thread, with a message that has a message id, and in the case
 * chain-traced a traceparent, too. In the case chain-metered each message is counted as the worker
 * counts it, from its arrival to its settlement; in the case chain-profiled a profile is taken of
 * the thread meanwhile (observe/profile.h). Prints one JSON object: CPU of the thread,
 * CLOCK_THREAD_CPUTIME_ID. Admission (rate_limit, breaker) is asked once a batch, on the loop: it
 * is not in here.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amqp/wire/properties.h"
#include "app/worker_subscriptions.h"
#include "base/log.h"
#include "consume/job/chain.h"
#include "consume/job/job.h"
#include "consume/job/meter.h"
#include "observe/profile.h"

#define PROPERTIES_MAX 4096
#define FOLDED_MAX     ((size_t)1 << 24)

/* Samples below this many, and the case has not measured what it says. */
#define SAMPLES_MIN 10

static void die(const char *what)
{
    fprintf(stderr, "chain_cost: %s\n", what);
    exit(1);
}

static struct attempt *make_delivery(bool traced)
{
    struct warren_field header =
        warren_field_text("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    struct warren_properties properties = {.delivery_mode = 2,
                                           .message_id = "0190163d-8694-739b-aea5-966c26f8ad91",
                                           .headers = {&header, traced ? 1 : 0}};
    struct delivery *delivery;
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;

    arena_init(&scratch);
    buffer_init(&out, PROPERTIES_MAX);
    if (properties_encode(&properties, NULL, PROPERTIES_MAX, &scratch, &out, NULL) != WARREN_OK)
        die("the properties cannot be encoded");
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    delivery = delivery_new(attempt_room(0), warren_text(""), warren_text("bench"), encoded, 0);
    if (!delivery)
        die("no memory");
    buffer_done(&out);
    arena_done(&scratch);
    return attempt_of(delivery);
}

static double thread_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double run(const struct chain *chain, struct warren_job *job, struct attempt *attempt,
                  long count)
{
    double begun = thread_seconds();

    for (long i = 0; i < count; i++) {
        job_begin(job, attempt, clock_now_ns(clock_monotonic()));
        if (chain_run(chain, job) != WARREN_ACK || !job_end(job, WARREN_ACK))
            die("the handler did not ack");
    }
    return thread_seconds() - begun;
}

/* The same with all that is counted of a message. The worker has the readings of the clock in any
 * case: here an attempt took as long as the one before it. */
static double run_metered(const struct chain *chain, struct warren_job *job,
                          struct attempt *attempt, struct meter *meter, long count)
{
    double begun = thread_seconds();
    int64_t last_ns = clock_now_ns(clock_monotonic());

    for (long i = 0; i < count; i++) {
        int64_t now_ns = clock_now_ns(clock_monotonic());

        attempt->arrived_ns = last_ns;
        attempt->first_ns = 0;
        meter_arrived(meter, attempt->delivery.body_len);
        meter_begun(meter, attempt, now_ns);
        job_begin(job, attempt, now_ns);
        if (chain_run(chain, job) != WARREN_ACK)
            die("the handler did not ack");
        meter_ended(meter, job, WARREN_ACK);
        if (!job_end(job, WARREN_ACK))
            die("the job did not end");
        meter_ran(meter, now_ns - last_ns);
        meter_settled(meter, attempt);
        last_ns = now_ns;
    }
    return thread_seconds() - begun;
}

/* ---- a profile beside it ---- */

static atomic_bool profile_over;

static bool is_over(void *user)
{
    (void)user;
    return atomic_load(&profile_over);
}

static void *take_profile(void *user)
{
    struct warren_error error = {WARREN_OK, ""};
    struct profile_summary summary;
    struct buffer folded;

    (void)user;
    buffer_init(&folded, FOLDED_MAX);
    if (profile_take(PROFILE_SECONDS_MAX, is_over, NULL, &folded, &summary, &error) != WARREN_OK)
        die(error.text);
    if (summary.samples < SAMPLES_MIN)
        die("the profile has hardly a sample: more messages");
    buffer_done(&folded);
    return NULL;
}

static double run_profiled(const struct chain *chain, struct warren_job *job,
                           struct attempt *attempt, long count)
{
    pthread_t profiler;
    double seconds;

    if (pthread_create(&profiler, NULL, take_profile, NULL) != 0)
        die("no thread");
    seconds = run(chain, job, attempt, count);
    atomic_store(&profile_over, true);
    pthread_join(profiler, NULL);
    return seconds;
}

static double run_case(const char *name, const struct chain *chain, struct warren_job *job,
                       struct attempt *attempt, struct meter *meter, long count)
{
    if (strcmp(name, "chain-metered") == 0)
        return run_metered(chain, job, attempt, meter, count);
    if (strcmp(name, "chain-profiled") == 0)
        return run_profiled(chain, job, attempt, count);
    return run(chain, job, attempt, count);
}

int main(int argc, char **argv)
{
    static _Atomic int64_t deadline_ms = INT64_MAX;
    struct job_source source = {.queue = "bench",
                                .handler = "noop.noop",
                                .clock = clock_monotonic(),
                                .deadline_ms = &deadline_ms};
    struct warren_worker_options options = {.size = sizeof options};
    struct runtime_subscription subscription;
    struct warren_error error = {WARREN_OK, ""};
    struct worker_setup setup;
    struct open_subscriptions *open = NULL;
    struct attempt *attempt;
    struct warren_job *job;
    struct meter meter;
    struct chain chain;
    double seconds;
    long count = argc == 5 ? atol(argv[4]) : 0;

    if (count < 1)
        die("usage: chain_cost CASE PEER FILE COUNT");
    options.config_file = argv[3];
    if (worker_setup_init(&setup, &options, &error) != WARREN_OK ||
        subscriptions_open(&setup, NULL, &open, &error) != WARREN_OK)
        die(error.text);
    subscription = *subscriptions_at(open, 0);
    attempt = make_delivery(strcmp(argv[1], "chain-traced") == 0);
    job = job_new(&source);
    if (!job || chain_init(&chain, subscription.middlewares, subscription.middleware_count, false,
                           subscription.handler, subscription.state) != WARREN_OK)
        die("no memory");
    meter_init(&meter, "bench", "noop.noop");
    run(&chain, job, attempt, count / 10);
    seconds = run_case(argv[1], &chain, job, attempt, &meter, count);
    printf("{\"case\":\"%s\",\"peer\":\"%s\",\"cpu_us_per_msg\":%.4f}\n", argv[1], argv[2],
           seconds * 1e6 / (double)count);
    meter_done(&meter);
    chain_done(&chain);
    job_free(job);
    attempt_free(attempt);
    subscriptions_close(open);
    worker_setup_done(&setup);
    return 0;
}
