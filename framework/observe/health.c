/* health.c - see health.h. */
#include "observe/health.h"

#include <inttypes.h>
#include <stdio.h>

#include "publish/publisher/publisher.h"

/* On the runtime's loop. */
static void look(void *arg)
{
    runtime_look(arg);
}

void health_init(struct health *h)
{
    *h = (struct health){.runtime = NULL};
    pthread_mutex_init(&h->lock, NULL);
    atomic_init(&h->phase, WARREN_WORKER_STARTING);
}

void health_done(struct health *h)
{
    pthread_mutex_destroy(&h->lock);
}

void health_watch(struct health *h, struct runtime *runtime, struct warren_publisher *publisher)
{
    pthread_mutex_lock(&h->lock);
    loop_pulse_init(&h->consume, look, runtime);
    loop_pulse_init(&h->publish, NULL, NULL);
    h->runtime = runtime;
    h->publisher = publisher;
    pthread_mutex_unlock(&h->lock);
}

void health_unwatch(struct health *h)
{
    pthread_mutex_lock(&h->lock);
    h->runtime = NULL;
    h->publisher = NULL;
    pthread_mutex_unlock(&h->lock);
}

struct runtime *health_hold(struct health *h)
{
    pthread_mutex_lock(&h->lock);
    return h->runtime;
}

void health_let_go(struct health *h)
{
    pthread_mutex_unlock(&h->lock);
}

void health_phase(struct health *h, enum warren_worker_state phase)
{
    atomic_store(&h->phase, (int)phase);
}

/* It consumes, or is about to: later its loops end. */
static bool is_running(const struct health *h)
{
    return atomic_load(&h->phase) != WARREN_WORKER_ENDED;
}

void health_beat(struct health *h, int64_t now_ms)
{
    pthread_mutex_lock(&h->lock);
    if (h->runtime && is_running(h))
        loop_pulse_ask(&h->consume, runtime_loop(h->runtime), now_ms);
    if (h->publisher && is_running(h))
        loop_pulse_ask(&h->publish, publisher_loop(h->publisher), now_ms);
    pthread_mutex_unlock(&h->lock);
}

/* ---- alive ---- */

struct reasons {
    struct json_writer *json; /* NULL: only the first is wanted */
    char *first;              /* NULL: it is not wanted */
    uint32_t count;
};

static void add(struct reasons *reasons, const char *reason)
{
    if (reasons->json)
        json_writer_text(reasons->json, NULL, reason);
    if (reasons->first && reasons->count == 0)
        snprintf(reasons->first, HEALTH_REASON_MAX, "%s", reason);
    reasons->count++;
}

static void add_silent(struct reasons *reasons, const char *what, const struct loop_pulse *pulse,
                       int64_t now_ms)
{
    int64_t silent_ms = loop_pulse_silent_ms(pulse, now_ms);
    char reason[HEALTH_REASON_MAX];

    if (silent_ms < HEALTH_SILENT_MS)
        return;
    snprintf(reason, sizeof reason, "the event loop that %s has not turned for %" PRId64 " s", what,
             silent_ms / 1000);
    add(reasons, reason);
}

static void add_overdue(struct reasons *reasons, const struct subscription_look *seen)
{
    char reason[HEALTH_REASON_MAX];

    if (seen->overdue_ms < HEALTH_OVERDUE_MS)
        return;
    snprintf(reason, sizeof reason,
             "queue %.255s: handler %.100s has been running for %" PRId64
             " s beyond its time limit",
             seen->queue, seen->handler, seen->overdue_ms / 1000);
    add(reasons, reason);
}

/* Under the lock. */
static void add_all(struct health *h, struct reasons *reasons, int64_t now_ms)
{
    struct subscription_look seen;

    if (h->publisher)
        add_silent(reasons, "publishes", &h->publish, now_ms);
    if (!h->runtime)
        return;
    add_silent(reasons, "consumes", &h->consume, now_ms);
    for (size_t i = 0; runtime_look_read(h->runtime, i, &seen); i++)
        add_overdue(reasons, &seen);
}

static void find_all(struct health *h, struct reasons *reasons, int64_t now_ms)
{
    pthread_mutex_lock(&h->lock);
    if (is_running(h))
        add_all(h, reasons, now_ms);
    pthread_mutex_unlock(&h->lock);
}

bool health_is_live(struct health *h, int64_t now_ms, char reason[HEALTH_REASON_MAX])
{
    struct reasons reasons = {.first = reason};

    *reason = '\0';
    find_all(h, &reasons, now_ms);
    return reasons.count == 0;
}

bool health_live(struct health *h, int64_t now_ms, struct json_writer *json)
{
    struct reasons reasons = {.json = json};

    json_writer_begin(json, NULL, '{');
    json_writer_begin(json, "reasons", '[');
    find_all(h, &reasons, now_ms);
    json_writer_end(json, ']');
    json_writer_text(json, "status", reasons.count == 0 ? "ok" : "failing");
    json_writer_end(json, '}');
    return reasons.count == 0;
}

/* ---- ready ---- */

static void write_count(struct json_writer *json, const char *name, int64_t count)
{
    if (count < 0)
        json_writer_text(json, name, NULL);
    else
        json_writer_int(json, name, count);
}

static void write_subscription(struct json_writer *json, const struct subscription_look *seen)
{
    json_writer_begin(json, NULL, '{');
    json_writer_text(json, "queue", seen->queue);
    json_writer_text(json, "handler", seen->handler);
    json_writer_bool(json, "ready", look_state_is_ready(seen->state));
    json_writer_text(json, "state", look_state_name(seen->state));
    json_writer_text(json, "reason", *seen->reason ? seen->reason : NULL);
    json_writer_int(json, "running", seen->running);
    json_writer_int(json, "queued", seen->queued);
    json_writer_int(json, "held", seen->held);
    json_writer_int(json, "prefetch", seen->prefetch);
    write_count(json, "messages", seen->messages);
    write_count(json, "consumers", seen->consumers);
    json_writer_end(json, '}');
}

/* Under the lock. The first one that is not ready is the reason. @json may be NULL. @return whether
 * all are */
static bool look_at_all(struct health *h, struct json_writer *json, char reason[HEALTH_REASON_MAX])
{
    struct subscription_look seen;
    bool ready = true;

    for (size_t i = 0; h->runtime && runtime_look_read(h->runtime, i, &seen); i++) {
        if (json)
            write_subscription(json, &seen);
        if (!look_state_is_ready(seen.state) && ready) {
            snprintf(reason, HEALTH_REASON_MAX, "queue %.255s: %s: %.200s", seen.queue,
                     look_state_name(seen.state), seen.reason);
            ready = false;
        }
    }
    return ready;
}

/* What hinders all of them. @return false: nothing does */
static bool find_reason(struct health *h, int64_t now_ms, char reason[HEALTH_REASON_MAX])
{
    int phase = atomic_load(&h->phase);
    int64_t silent_ms = h->runtime ? loop_pulse_silent_ms(&h->consume, now_ms) : 0;
    struct subscription_look seen;

    if (phase == WARREN_WORKER_DRAINING)
        snprintf(reason, HEALTH_REASON_MAX, "the worker drains, and ends");
    else if (phase == WARREN_WORKER_ENDED)
        snprintf(reason, HEALTH_REASON_MAX, "the worker has ended");
    else if (silent_ms >= HEALTH_SILENT_MS)
        snprintf(reason, HEALTH_REASON_MAX,
                 "the event loop that consumes has not turned for %" PRId64 " s", silent_ms / 1000);
    else if (!h->runtime || !runtime_look_read(h->runtime, 0, &seen))
        snprintf(reason, HEALTH_REASON_MAX, "the worker starts");
    else
        return false;
    return true;
}

/* @json: a list that is open, or NULL. @reason is "" if it is ready. */
static bool find_ready(struct health *h, int64_t now_ms, struct json_writer *json,
                       char reason[HEALTH_REASON_MAX])
{
    bool ready;

    *reason = '\0';
    pthread_mutex_lock(&h->lock);
    ready = look_at_all(h, json, reason);
    ready = !find_reason(h, now_ms, reason) && ready;
    pthread_mutex_unlock(&h->lock);
    return ready;
}

bool health_is_ready(struct health *h, int64_t now_ms, char reason[HEALTH_REASON_MAX])
{
    return find_ready(h, now_ms, NULL, reason);
}

bool health_ready(struct health *h, int64_t now_ms, struct json_writer *json)
{
    char reason[HEALTH_REASON_MAX];
    bool ready;

    json_writer_begin(json, NULL, '{');
    json_writer_begin(json, "subscriptions", '[');
    ready = find_ready(h, now_ms, json, reason);
    json_writer_end(json, ']');
    json_writer_text(json, "status", ready ? "ready" : "not ready");
    json_writer_text(json, "reason", *reason ? reason : NULL);
    json_writer_end(json, '}');
    return ready;
}
