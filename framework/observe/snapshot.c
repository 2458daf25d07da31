/* snapshot.c - see snapshot.h. */
#include "observe/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/version.h>

#include "base/clock.h"
#include "base/metrics.h"

#define US_PER_S 1000000.0
/* A family with so many labels has a series for each state or outcome. */
#define LABELS_WITH_STATE 3

/* ---- metrics ---- */

/* Those that the page shows. */
static const enum metric_id shown[] = {METRIC_RECEIVED,
                                       METRIC_SETTLED,
                                       METRIC_RETRIES,
                                       METRIC_DEAD_LETTERS,
                                       METRIC_FAILURES,
                                       METRIC_DUPLICATES,
                                       METRIC_IN_FLIGHT,
                                       METRIC_PREFETCH,
                                       METRIC_WORKERS,
                                       METRIC_CONSUMING,
                                       METRIC_QUEUE_WAIT,
                                       METRIC_HANDLER_TIME,
                                       METRIC_BREAKER_STATE,
                                       METRIC_BREAKER_OPENINGS,
                                       METRIC_DELIVERIES_BYTES,
                                       METRIC_DELIVERIES_MAX_BYTES,
                                       METRIC_CONSUMER_CONNECTED,
                                       METRIC_CONSUMER_LOSSES,
                                       METRIC_CRASHES,
                                       METRIC_RESTARTS,
                                       METRIC_SUSPECTS,
                                       METRIC_PUBLISHED,
                                       METRIC_CONFIRM_TIME,
                                       METRIC_WINDOW_MESSAGES,
                                       METRIC_WINDOW_MAX_MESSAGES,
                                       METRIC_WINDOW_BYTES,
                                       METRIC_WINDOW_MAX_BYTES,
                                       METRIC_PUBLISHER_CONNECTED,
                                       METRIC_PUBLISHER_LOSSES,
                                       METRIC_PUBLISHER_BLOCKED,
                                       METRIC_SPOOL_MESSAGES,
                                       METRIC_SPOOL_BYTES,
                                       METRIC_SPOOL_MAX_BYTES,
                                       METRIC_SPOOL_OLDEST,
                                       METRIC_QUEUE_MESSAGES,
                                       METRIC_QUEUE_CONSUMERS,
                                       METRIC_QUEUE_WAITING,
                                       METRIC_PROCESS_CPU,
                                       METRIC_PROCESS_RESIDENT,
                                       METRIC_PROCESS_OPEN_FDS,
                                       METRIC_PROCESS_MAX_FDS,
                                       METRIC_PROCESS_THREADS,
                                       METRIC_PROCESS_START,
                                       METRIC_LOG_DROPPED};

struct families {
    struct json_writer *json;
    bool open; /* a family is; what follows is of it */
};

static bool is_shown(const char *name)
{
    struct metric_family_info info;
    const char *labels;

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        metric_family_row(shown[i], &info, &labels);
        if (strcmp(info.name, name) == 0)
            return true;
    }
    return false;
}

static void close_family(struct families *f)
{
    if (!f->open)
        return;
    json_writer_end(f->json, ']');
    json_writer_end(f->json, '}');
    f->open = false;
}

static void begin_family(void *user, const struct metric_family_info *family)
{
    struct families *f = user;

    close_family(f);
    if (!is_shown(family->name))
        return;
    f->open = true;
    json_writer_begin(f->json, family->name, '{');
    json_writer_begin(f->json, "labels", '[');
    for (size_t i = 0; i < family->label_count; i++)
        json_writer_text(f->json, NULL, family->labels[i]);
    json_writer_end(f->json, ']');
    if (family->type == WARREN_HISTOGRAM) {
        json_writer_begin(f->json, "bounds_us", '[');
        for (size_t i = 0; i < family->bound_count; i++)
            json_writer_int(f->json, NULL, llround(family->bounds[i] * US_PER_S));
        json_writer_end(f->json, ']');
    }
    json_writer_begin(f->json, "series", '[');
}

static void write_histogram(struct json_writer *json, const struct metric_family_info *family,
                            const struct metric_reading *reading)
{
    size_t count = family->bound_count + 1;

    while (count > 0 && reading->counts[count - 1] == 0)
        count--;
    json_writer_int(json, NULL, llround(reading->value * US_PER_S));
    json_writer_begin(json, NULL, '[');
    for (size_t i = 0; i < count; i++)
        json_writer_int(json, NULL, (int64_t)reading->counts[i]);
    json_writer_end(json, ']');
}

static void write_number(struct json_writer *json, double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        json_writer_int(json, NULL, (int64_t)value);
    else
        json_writer_real(json, NULL, value);
}

static void write_series(void *user, const struct metric_family_info *family,
                         const struct metric_reading *reading)
{
    struct families *f = user;

    if (!f->open ||
        (family->label_count >= LABELS_WITH_STATE && fpclassify(reading->value) == FP_ZERO))
        return;
    json_writer_begin(f->json, NULL, '[');
    json_writer_begin(f->json, NULL, '[');
    for (size_t i = 0; i < family->label_count; i++)
        json_writer_text(f->json, NULL, reading->values[i]);
    json_writer_end(f->json, ']');
    if (family->type == WARREN_HISTOGRAM)
        write_histogram(f->json, family, reading);
    else
        write_number(f->json, reading->value);
    json_writer_end(f->json, ']');
}

static void write_families(struct json_writer *json)
{
    struct families families = {.json = json};
    const struct metrics_visitor visitor = {begin_family, write_series, &families};

    json_writer_begin(json, "families", '{');
    metrics_read(&visitor);
    close_family(&families);
    json_writer_end(json, '}');
}

/* ---- the worker ---- */

static const char *phase_name(const struct health *health)
{
    switch ((enum warren_worker_state)atomic_load(&health->phase)) {
    case WARREN_WORKER_STARTING:
        return "starting";
    case WARREN_WORKER_READY:
        return "ready";
    case WARREN_WORKER_DRAINING:
        return "draining";
    case WARREN_WORKER_ENDED:
        break;
    }
    return "ended";
}

static bool has_dead_queue(const struct config_subscription *subscription, const char *name)
{
    return subscription->dead_exchange && strcmp(subscription->dead_queue, name) == 0;
}

static void write_dead_letters(struct json_writer *json, const struct config *config)
{
    json_writer_begin(json, "dead_letters", '[');
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];

        if (!subscription->dead_exchange)
            continue;
        json_writer_begin(json, NULL, '{');
        json_writer_text(json, "queue", subscription->queue);
        json_writer_text(json, "dead_queue", subscription->dead_queue);
        json_writer_end(json, '}');
    }
    json_writer_end(json, ']');
}

void snapshot_write(const struct snapshot_source *source, int64_t now_ms, struct json_writer *json)
{
    json_writer_begin(json, NULL, '{');
    json_writer_int(json, "time_ms", clock_wall_ms());
    json_writer_text(json, "version", warren_version());
    json_writer_int(json, "pid", getpid());
    json_writer_text(json, "phase", phase_name(source->health));
    json_writer_bool(json, "may_change", source->may_change);
    json_writer_begin(json, "health", '[');
    health_live(source->health, now_ms, json);
    health_ready(source->health, now_ms, json);
    json_writer_end(json, ']');
    write_dead_letters(json, source->config);
    write_families(json);
    json_writer_end(json, '}');
}

/* ---- dead letters ---- */

/* By subscription; -1: not known. */
struct depths {
    const struct config *config;
    int64_t *messages;
};

static void take_depth(void *user, const struct metric_family_info *family,
                       const struct metric_reading *reading)
{
    const struct depths *depths = user;
    struct metric_family_info info;
    const char *labels;

    metric_family_row(METRIC_QUEUE_MESSAGES, &info, &labels);
    if (strcmp(family->name, info.name) != 0)
        return;
    for (size_t i = 0; i < depths->config->subscription_count; i++)
        if (has_dead_queue(&depths->config->subscriptions[i], reading->values[0]))
            depths->messages[i] = (int64_t)reading->value;
}

/* The one of subscription @first, and of those behind it. */
static void write_dead_queue(struct json_writer *json, const struct depths *depths, size_t first)
{
    const struct config *config = depths->config;
    const char *name = config->subscriptions[first].dead_queue;

    json_writer_begin(json, NULL, '{');
    json_writer_text(json, "queue", name);
    json_writer_begin(json, "sources", '[');
    for (size_t i = first; i < config->subscription_count; i++)
        if (has_dead_queue(&config->subscriptions[i], name))
            json_writer_text(json, NULL, config->subscriptions[i].queue);
    json_writer_end(json, ']');
    if (depths->messages[first] < 0)
        json_writer_text(json, "messages", NULL);
    else
        json_writer_int(json, "messages", depths->messages[first]);
    json_writer_end(json, '}');
}

static bool stood_before(const struct config *config, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (has_dead_queue(&config->subscriptions[i], config->subscriptions[index].dead_queue))
            return true;
    return false;
}

void snapshot_dead_letters(const struct config *config, struct json_writer *json)
{
    struct depths depths = {config, calloc(config->subscription_count + 1, sizeof(int64_t))};
    const struct metrics_visitor visitor = {NULL, take_depth, &depths};

    if (!depths.messages) {
        json->status = WARREN_ENOMEM;
        return;
    }
    for (size_t i = 0; i < config->subscription_count; i++)
        depths.messages[i] = -1;
    metrics_read(&visitor);
    json_writer_begin(json, NULL, '{');
    json_writer_begin(json, "queues", '[');
    for (size_t i = 0; i < config->subscription_count; i++)
        if (config->subscriptions[i].dead_exchange && !stood_before(config, i))
            write_dead_queue(json, &depths, i);
    json_writer_end(json, ']');
    json_writer_end(json, '}');
    free(depths.messages);
}

/* ---- failures ---- */

static void write_group(void *user, const struct failure_group *group)
{
    struct json_writer *json = user;

    json_writer_begin(json, NULL, '{');
    json_writer_int(json, "id", (int64_t)group->id);
    json_writer_text(json, "queue", group->queue);
    json_writer_text(json, "handler", group->handler);
    json_writer_text(json, "reason", group->reason);
    json_writer_text(json, "signature", group->signature);
    json_writer_text(json, "error", group->error);
    json_writer_int(json, "count", (int64_t)group->count);
    json_writer_int(json, "attempt", group->attempt);
    json_writer_int(json, "first_ms", group->first_ms);
    json_writer_int(json, "last_ms", group->last_ms);
    json_writer_text(json, "message_id", *group->message_id ? group->message_id : NULL);
    json_writer_text(json, "signal", *group->signal ? group->signal : NULL);
    json_writer_text(json, "backtrace", group->backtrace);
    json_writer_end(json, '}');
}

void snapshot_failures(struct failure_groups *groups, struct json_writer *json)
{
    uint64_t forgotten = 0;

    json_writer_begin(json, NULL, '{');
    json_writer_begin(json, "groups", '[');
    if (groups)
        forgotten = failure_groups_read(groups, write_group, json);
    json_writer_end(json, ']');
    json_writer_int(json, "forgotten", (int64_t)forgotten);
    json_writer_end(json, '}');
}
