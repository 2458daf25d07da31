/* otlp.c - see otlp.h. */
#include "observe/otlp.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/log_event.h"
#include "base/random.h"
#include "base/thread.h"
#include "http/client.h"

#define BATCH_BYTES  ((size_t)1 << 20)
#define LINGER_MS    5000
#define RETRY_FOR_MS 30000
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define REQUEST_MS   10000
#define ANSWER_MAX   ((size_t)64 * 1024)
/* How soon http_client_cancel() ends a request. */
#define CANCEL_MS 1000
/* After that it does not come back. */
#define HANGS_MS 2000
#define WHY_SIZE WARREN_ERROR_TEXT_MAX
/* Of an answer, in the log. */
#define ANSWER_SHOWN 200

/* Values of the label `reason`, besides SPAN_DROPPED_FULL. */
enum dropped { UNREACHABLE, REFUSED, STOPPED, DROPPED };

static const char *const dropped_names[DROPPED] = {"unreachable", "refused", "stopped"};

struct otlp {
    struct tracer tracer;
    struct otlp_options options;
    struct http_client *client;
    const char **headers; /* the options', and one more */
    pthread_t thread;

    pthread_mutex_t lock;
    struct condition changed;
    int64_t end_ms; /* under the lock, as the next: when to give up; INT64_MAX: not stopping */
    bool ended;
    bool hangs; /* the thread was left alone */

    /* The thread's. */
    struct otlp_origin origin;
    struct buffer batch;
    uint32_t count; /* spans in it */
    struct random random;
    struct backoff backoff;
    int64_t retry_ms; /* not before this time; 0: at once */
    int64_t told_ms;
    uint64_t lost; /* since the last report */
    bool failing;
    char why[WHY_SIZE];
    int64_t rejected_told_ms;
    uint64_t rejected; /* of requests that were taken; since the last report of that */
    char answer[ANSWER_SHOWN + 1];
    struct {
        struct warren_series *exported;
        struct warren_series *waiting;
        struct warren_series *max_waiting;
        struct warren_series *dropped[DROPPED];
    } series;
    struct metric_collector collector;
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static int64_t end_ms(struct otlp *o)
{
    int64_t end;

    pthread_mutex_lock(&o->lock);
    end = o->end_ms;
    pthread_mutex_unlock(&o->lock);
    return end;
}

static bool is_stopping(struct otlp *o)
{
    return end_ms(o) != INT64_MAX;
}

/* ---- reports ---- */

static bool is_due(int64_t told_ms)
{
    return told_ms == 0 || now_ms() - told_ms >= OTLP_TELL_MS;
}

static void tell(struct otlp *o)
{
    if (!is_due(o->told_ms))
        return;
    o->told_ms = now_ms();
    log_event(WARREN_LOG_WARN, "traces: the collector takes no spans",
              LOG_TEXT("collector", o->options.url), LOG_TEXT("why", o->why),
              LOG_INT("lost", (int64_t)o->lost));
    o->lost = 0;
}

/* The collector works, and does not want some of what it gets. */
static void tell_rejected(struct otlp *o)
{
    if (o->rejected == 0 || !is_due(o->rejected_told_ms))
        return;
    o->rejected_told_ms = now_ms();
    log_event(WARREN_LOG_WARN, "traces: the collector takes requests, and rejects spans in them",
              LOG_TEXT("collector", o->options.url), LOG_TEXT("answer", o->answer),
              LOG_INT("rejected", (int64_t)o->rejected));
    o->rejected = 0;
}

static void drop(struct otlp *o, enum dropped reason, uint64_t count)
{
    warren_count(o->series.dropped[reason], (double)count);
    o->lost += count;
}

static void taken(struct otlp *o)
{
    if (o->failing)
        log_event(WARREN_LOG_INFO, "traces: the collector takes spans again",
                  LOG_TEXT("collector", o->options.url), LOG_INT("lost", (int64_t)o->lost));
    o->failing = false;
    o->lost = 0;
    o->retry_ms = 0;
    backoff_reset(&o->backoff);
}

/* ---- a batch ---- */

static int64_t wall_offset_ns(void)
{
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - clock_now_ns(clock_monotonic());
}

/* Without memory what is there is dropped. */
static void gather(struct otlp *o)
{
    const struct span *span;

    o->count = 0;
    buffer_taken(&o->batch, buffer_len(&o->batch));
    if (!tracer_peek(&o->tracer))
        return;
    o->origin.wall_ns = wall_offset_ns();
    if (otlp_json_begin(&o->batch, &o->origin) != WARREN_OK)
        buffer_taken(&o->batch, buffer_len(&o->batch));
    while (o->count < SPAN_BATCH && buffer_len(&o->batch) < BATCH_BYTES &&
           (span = tracer_peek(&o->tracer))) {
        if (buffer_len(&o->batch) > 0 &&
            otlp_json_span(&o->batch, &o->origin, span, o->count == 0) == WARREN_OK)
            o->count++;
        else
            drop(o, STOPPED, 1);
        tracer_pop(&o->tracer);
    }
    if (otlp_json_end(&o->batch) != WARREN_OK) {
        drop(o, STOPPED, o->count);
        o->count = 0;
    }
}

enum answer { TAKEN, TRY_AGAIN, NOT_TAKEN };

/* Source: OTLP 1.3, "Failures": these may be tried again, all others must not. */
static bool is_passing(long status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static enum answer take_answer(struct otlp *o, const struct http_client_response *response,
                               int64_t *ret_wait_ms)
{
    uint64_t rejected;

    if (response->status < 200 || response->status > 299) {
        snprintf(o->why, sizeof o->why, "it answers %ld: %.*s", response->status, ANSWER_SHOWN,
                 response->body ? response->body : "");
        *ret_wait_ms = (int64_t)response->retry_after_s * 1000;
        return is_passing(response->status) ? TRY_AGAIN : NOT_TAKEN;
    }
    rejected = otlp_json_rejected(response->body);
    if (rejected > o->count)
        rejected = o->count;
    warren_count(o->series.exported, (double)(o->count - rejected));
    if (rejected > 0) {
        warren_count(o->series.dropped[REFUSED], (double)rejected);
        snprintf(o->answer, sizeof o->answer, "%s", response->body);
        o->rejected += rejected;
    }
    tell_rejected(o);
    o->count = 0;
    return TAKEN;
}

static enum answer post(struct otlp *o, int64_t left_ms, int64_t *ret_wait_ms)
{
    const struct http_client_request request = {
        .url = o->options.url,
        .headers = o->headers,
        .header_count = o->options.header_count + 1,
        .body = buffer_front(&o->batch),
        .body_len = buffer_len(&o->batch),
        .timeout_ms = (uint32_t)(left_ms < REQUEST_MS ? left_ms : REQUEST_MS),
        .response_max = ANSWER_MAX};
    struct http_client_response response = {0};
    struct warren_error error = {WARREN_OK, ""};
    enum answer answer = TRY_AGAIN;
    enum warren_status status = http_client_send(o->client, &request, &response, &error);

    *ret_wait_ms = 0;
    if (status == WARREN_OK)
        answer = take_answer(o, &response, ret_wait_ms);
    else
        snprintf(o->why, sizeof o->why, "%s", error.text);
    /* Its answer is no use, and would be none the next time. */
    if (status == WARREN_EFULL)
        answer = NOT_TAKEN;
    http_client_response_done(&response);
    return answer;
}

/* Until the next try is due. */
static void rest(struct otlp *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->end_ms == INT64_MAX && condition_wait_until_ms(&o->changed, &o->lock, o->retry_ms))
        continue;
    pthread_mutex_unlock(&o->lock);
}

static void plan_retry(struct otlp *o, int64_t wait_ms)
{
    int64_t backoff_ms = RETRY_MIN_MS / 2 + backoff_next_ms(&o->backoff);

    if (wait_ms < backoff_ms)
        wait_ms = backoff_ms;
    o->retry_ms = now_ms() + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS);
}

/* @return false: it is not to be tried again */
static bool deliver_once(struct otlp *o, int64_t since_ms)
{
    int64_t left_ms = end_ms(o) - now_ms();
    int64_t wait_ms;

    if (left_ms <= 0) {
        drop(o, STOPPED, o->count);
        return false;
    }
    switch (post(o, left_ms, &wait_ms)) {
    case TAKEN:
        taken(o);
        return false;
    case NOT_TAKEN:
        drop(o, REFUSED, o->count);
        break;
    case TRY_AGAIN:
        plan_retry(o, wait_ms);
        if (!is_stopping(o) && now_ms() - since_ms < RETRY_FOR_MS) {
            o->failing = true;
            tell(o);
            return true;
        }
        drop(o, UNREACHABLE, o->count);
        break;
    }
    o->failing = true;
    tell(o);
    return false;
}

static void deliver(struct otlp *o)
{
    int64_t since_ms = now_ms();

    do {
        if (o->retry_ms > now_ms())
            rest(o);
    } while (deliver_once(o, since_ms));
    o->count = 0;
}

/* ---- the thread ---- */

/* Until a batch has come, or time is over. @return false: for the time */
static bool await_batch(struct otlp *o)
{
    struct timespec until = clock_timespec_us((now_ms() + LINGER_MS) * 1000);

    while (sem_clockwait(&o->tracer.wake, CLOCK_MONOTONIC, &until) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

static void drop_rest(struct otlp *o)
{
    uint64_t count = 0;

    for (; tracer_peek(&o->tracer); count++)
        tracer_pop(&o->tracer);
    if (count > 0)
        drop(o, STOPPED, count);
}

static void *otlp_main(void *arg)
{
    struct otlp *o = arg;
    bool stopping = false;

    while (!stopping) {
        bool one = await_batch(o);

        stopping = is_stopping(o); /* what came before that is sent below */
        while (now_ms() < end_ms(o)) {
            gather(o);
            if (o->count == 0)
                break;
            deliver(o);
            if (one && !stopping)
                break;
        }
    }
    drop_rest(o);
    o->rejected_told_ms = 0;
    tell_rejected(o);
    if (o->lost > 0) {
        if (!o->failing)
            snprintf(o->why, sizeof o->why, "the worker ended before it had answered");
        o->told_ms = 0;
        tell(o);
    }
    pthread_mutex_lock(&o->lock);
    o->ended = true;
    condition_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

/* ---- life ---- */

static void collect(void *user)
{
    struct otlp *o = user;

    metric_put(o->series.waiting, (double)ring_count(&o->tracer.ring));
    metric_put(o->series.max_waiting, SPAN_SLOTS);
}

static enum warren_status copy_options(struct otlp *o, const struct otlp_options *options)
{
    o->options = *options;
    o->options.ca_file = NULL; /* the client's copy is enough */
    o->options.url = strdup(options->url);
    o->options.server = options->server ? strdup(options->server) : NULL;
    o->origin = (struct otlp_origin){.resource = options->resource,
                                     .resource_count = options->resource_count,
                                     .server = o->options.server,
                                     .port = options->port};
    o->headers = calloc(options->header_count + 1, sizeof *o->headers);
    if (!o->headers || !o->options.url || (options->server && !o->options.server))
        return WARREN_ENOMEM;
    o->headers[0] = "Content-Type: application/json";
    for (size_t i = 0; i < options->header_count; i++)
        o->headers[i + 1] = options->headers[i];
    return WARREN_OK;
}

static void init(struct otlp *o)
{
    o->end_ms = INT64_MAX;
    pthread_mutex_init(&o->lock, NULL);
    condition_init(&o->changed);
    buffer_init(&o->batch, BATCH_BYTES + OTLP_SPAN_MAX + 65536);
    random_init(&o->random, random_seed());
    backoff_init(&o->backoff, RETRY_MIN_MS, RETRY_MAX_MS, &o->random);
    o->series.exported = metric_series(METRIC_SPANS_EXPORTED);
    o->series.waiting = metric_series(METRIC_SPANS_WAITING);
    o->series.max_waiting = metric_series(METRIC_SPANS_MAX_WAITING);
    for (int i = 0; i < DROPPED; i++)
        o->series.dropped[i] = metric_series(METRIC_SPANS_DROPPED, dropped_names[i]);
}

enum warren_status otlp_start(const struct otlp_options *options, struct otlp **ret_otlp,
                              struct warren_error *error)
{
    const struct http_client_options http = {.ca_file = options->ca_file};
    struct otlp *o = calloc(1, sizeof *o);
    enum warren_status status;

    if (!o)
        return error_set(error, WARREN_ENOMEM, "no memory for traces");
    init(o);
    status = copy_options(o, options);
    if (status == WARREN_OK)
        status = tracer_init(&o->tracer, options->ratio);
    if (status != WARREN_OK)
        error_set(error, status, "no memory for traces");
    if (status == WARREN_OK)
        status = http_client_new(&http, &o->client, error);
    if (status == WARREN_OK)
        status = thread_start(&o->thread, "warren-traces", otlp_main, o, error);
    if (status != WARREN_OK) {
        otlp_free(o);
        return status;
    }
    o->collector = (struct metric_collector){.collect = collect, .user = o};
    metrics_collect_add(&o->collector);
    *ret_otlp = o;
    return WARREN_OK;
}

/* Under the lock. */
static void await_end(struct otlp *o, int64_t until_ms)
{
    while (!o->ended && condition_wait_until_ms(&o->changed, &o->lock, until_ms))
        continue;
}

void otlp_stop(struct otlp *o, uint32_t ms)
{
    if (!o || is_stopping(o))
        return;
    pthread_mutex_lock(&o->lock);
    o->end_ms = now_ms() + ms;
    condition_broadcast(&o->changed);
    sem_post(&o->tracer.wake);
    await_end(o, o->end_ms - CANCEL_MS);
    if (!o->ended)
        http_client_cancel(o->client);
    await_end(o, o->end_ms + HANGS_MS);
    o->hangs = !o->ended;
    pthread_mutex_unlock(&o->lock);
    if (!o->hangs)
        pthread_join(o->thread, NULL);
}

bool otlp_free(struct otlp *o)
{
    if (!o)
        return true;
    if (o->collector.collect)
        metrics_collect_remove(&o->collector);
    if (o->hangs)
        return false;
    http_client_free(o->client);
    tracer_done(&o->tracer);
    buffer_done(&o->batch);
    condition_done(&o->changed);
    pthread_mutex_destroy(&o->lock);
    metric_release_all(&o->series, sizeof o->series);
    free(o->headers);
    free((char *)(uintptr_t)o->options.url);
    free((char *)(uintptr_t)o->options.server);
    free(o);
    return true;
}

struct tracer *otlp_tracer(struct otlp *o)
{
    return o ? &o->tracer : NULL;
}
