/* top_table.c - see top_table.h. */
#include "command/watch/top_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "command/watch/scrape.h"

static void free_row(struct top_row *row)
{
    free(row->queue);
    free(row->handler);
}

void top_table_done(struct top_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free_row(&table->rows[i]);
    free(table->rows);
    *table = (struct top_table){NULL, 0, 0};
}

/* Those of @worker that @gone says. */
static void remove_rows(struct top_table *table, size_t worker, bool unseen_only)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->count; i++) {
        struct top_row *row = &table->rows[i];

        if (row->worker == worker && !(unseen_only && row->seen))
            free_row(row);
        else
            table->rows[kept++] = *row;
    }
    table->count = kept;
}

void top_table_forget(struct top_table *table, size_t worker)
{
    remove_rows(table, worker, false);
}

/* ---- reading ---- */

struct reading {
    struct top_table *table;
    size_t worker;
    size_t latest; /* the row found last: samples of one come together */
    enum warren_status status;
};

static struct top_row *new_row(struct reading *r, const char *queue, const char *handler)
{
    struct top_table *table = r->table;
    struct top_row *row;

    if (table->count == TOP_ROWS_MAX) {
        table->left_out++;
        return NULL;
    }
    if (table->count % 64 == 0) {
        struct top_row *more = realloc(table->rows, (table->count + 64) * sizeof *more);

        if (!more) {
            r->status = WARREN_ENOMEM;
            return NULL;
        }
        table->rows = more;
    }
    row = &table->rows[table->count];
    *row =
        (struct top_row){.worker = r->worker, .queue = strdup(queue), .handler = strdup(handler)};
    if (!row->queue || !row->handler) {
        free_row(row);
        r->status = WARREN_ENOMEM;
        return NULL;
    }
    r->latest = table->count++;
    return row;
}

static bool is_row(const struct reading *r, size_t index, const char *queue, const char *handler)
{
    const struct top_row *row = &r->table->rows[index];

    return row->worker == r->worker && strcmp(row->queue, queue) == 0 &&
           strcmp(row->handler, handler) == 0;
}

static struct top_row *row_of(struct reading *r, const struct scrape_sample *sample)
{
    const char *queue = scrape_label(sample, "queue");
    const char *handler = scrape_label(sample, "handler");

    if (!queue || !handler)
        return NULL;
    if (r->latest < r->table->count && is_row(r, r->latest, queue, handler))
        return &r->table->rows[r->latest];
    for (size_t i = 0; i < r->table->count; i++)
        if (is_row(r, i, queue, handler)) {
            r->latest = i;
            return &r->table->rows[i];
        }
    return new_row(r, queue, handler);
}

/* The first sample of a reading begins a new one in its row. */
static void begin_row(struct top_row *row)
{
    if (row->seen)
        return;
    row->seen = true;
    row->has_before = row->now.received > 0 || row->bound_count > 0;
    row->before = row->now;
    memset(&row->now, 0, sizeof row->now);
    for (size_t i = 0; i < row->reason_count; i++) {
        row->reasons[i].before = row->reasons[i].total;
        row->reasons[i].total = 0;
    }
    row->consuming = false;
    row->running = row->queued = row->held = row->prefetch = row->workers = 0;
    row->threads_least = row->threads_most = 0;
    row->bound_count = 0;
}

static void take_reason(struct top_row *row, const char *name, double value)
{
    struct top_reason *reason = row->reasons;

    row->now.failures += value;
    while (reason < row->reasons + row->reason_count &&
           strncmp(reason->name, name, TOP_REASON_SIZE - 1) != 0)
        reason++;
    if (reason == row->reasons + row->reason_count) {
        if (row->reason_count == TOP_REASONS_MAX)
            return;
        row->reason_count++;
        *reason = (struct top_reason){.before = 0};
        snprintf(reason->name, sizeof reason->name, "%s", name);
    }
    reason->total += value;
}

static void take_bucket(struct top_row *row, const char *bound, double value)
{
    if (!bound || row->bound_count == TOP_BOUNDS_MAX)
        return;
    row->bounds[row->bound_count] = strcmp(bound, "+Inf") == 0 ? INFINITY : c_strtod(bound, NULL);
    row->now.buckets[row->bound_count++] = value;
}

#define AT(member) offsetof(struct top_row, member)

/* Samples that are a number of the row, by name, and by a label where there is one. */
static const struct {
    const char *name;
    size_t offset;
    const char *label;
    const char *value;
} plain[] = {
    {"warren_messages_received_total", AT(now.received), NULL, NULL},
    {"warren_messages_settled_total", AT(now.settled), "outcome", "ack"},
    {"warren_messages_settled_total", AT(now.settled), "outcome", "discard"},
    {"warren_messages_in_flight", AT(running), "state", "running"},
    {"warren_messages_in_flight", AT(queued), "state", "queued"},
    {"warren_messages_in_flight", AT(held), "state", "held"},
    {"warren_retries_scheduled_total", AT(now.retries), NULL, NULL},
    {"warren_dead_letters_total", AT(now.dead_letters), NULL, NULL},
    {"warren_handler_duration_seconds_sum", AT(now.handler_sum), NULL, NULL},
    {"warren_handler_duration_seconds_count", AT(now.handler_count), NULL, NULL},
    {"warren_prefetch", AT(prefetch), NULL, NULL},
    {"warren_workers", AT(workers), NULL, NULL},
    {"warren_pool_min_threads", AT(threads_least), NULL, NULL},
    {"warren_pool_max_threads", AT(threads_most), NULL, NULL},
};

static void take_plain(struct top_row *row, const struct scrape_sample *sample, size_t index)
{
    const char *label = plain[index].label;
    const char *value = label ? scrape_label(sample, label) : NULL;

    if (strcmp(sample->name, plain[index].name) == 0 &&
        (!label || (value && strcmp(value, plain[index].value) == 0)))
        *(double *)(void *)((char *)row + plain[index].offset) += sample->value;
}

static void take_into(struct top_row *row, const struct scrape_sample *sample)
{
    const char *reason = scrape_label(sample, "reason");

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        take_plain(row, sample, i);
    if (strcmp(sample->name, "warren_subscription_consuming") == 0)
        row->consuming = sample->value > 0;
    else if (strcmp(sample->name, "warren_job_failures_total") == 0 && reason)
        take_reason(row, reason, sample->value);
    else if (strcmp(sample->name, "warren_handler_duration_seconds_bucket") == 0)
        take_bucket(row, scrape_label(sample, "le"), sample->value);
}

static bool take(void *user, const struct scrape_sample *sample)
{
    struct reading *r = user;
    struct top_row *row;

    if (strncmp(sample->name, "warren_", 7) != 0)
        return true;
    row = row_of(r, sample);
    if (row) {
        begin_row(row);
        take_into(row, sample);
    }
    return r->status == WARREN_OK;
}

enum warren_status top_table_read(struct top_table *table, size_t worker, char *text,
                                  double seconds, struct warren_error *error)
{
    struct reading reading = {.table = table, .worker = worker, .latest = SIZE_MAX};
    enum warren_status status;

    table->left_out = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].worker == worker)
            table->rows[i].seen = false;
    status = scrape_read(text, take, &reading, error);
    if (status == WARREN_OK && reading.status != WARREN_OK)
        status = error_set(error, reading.status, "no memory for the subscriptions");
    remove_rows(table, worker, true);
    for (size_t i = 0; i < table->count; i++) {
        struct top_row *row = &table->rows[i];

        if (row->worker != worker)
            continue;
        row->seconds = seconds;
        if (row->now.received < row->before.received ||
            row->now.handler_count < row->before.handler_count)
            row->has_before = false;
    }
    return status;
}

/* ---- what is shown ---- */

static double total_at(const struct top_totals *totals, size_t offset)
{
    return *(const double *)(const void *)((const char *)totals + offset);
}

double top_rate(const struct top_row *row, size_t offset)
{
    if (!row->has_before || row->seconds <= 0)
        return NAN;
    return (total_at(&row->now, offset) - total_at(&row->before, offset)) / row->seconds;
}

double top_quantile(const struct top_row *row, double share)
{
    double below = 0;
    double from = 0;
    double all;
    double rank;

    if (!row->has_before || row->bound_count == 0)
        return NAN;
    all = row->now.buckets[row->bound_count - 1] - row->before.buckets[row->bound_count - 1];
    if (all <= 0)
        return NAN;
    rank = share * all;
    for (size_t i = 0; i < row->bound_count; i++) {
        double count = row->now.buckets[i] - row->before.buckets[i];

        if (count >= rank && count > below)
            return isinf(row->bounds[i])
                       ? from
                       : from + (row->bounds[i] - from) * (rank - below) / (count - below);
        below = count;
        from = row->bounds[i];
    }
    return from;
}

double top_busy(const struct top_row *row)
{
    double busy = TOP_RATE(row, handler_sum) / row->workers;

    if (!(row->workers > 0))
        return NAN;
    return busy < 1 ? busy : 1; /* an attempt that began before counts when it ends */
}

static double key_of(const struct top_row *row, enum top_order order)
{
    switch (order) {
    case TOP_BY_RATE:
        return TOP_RATE(row, settled);
    case TOP_BY_FAILURES:
        return TOP_RATE(row, failures);
    case TOP_BY_LATENCY:
        return top_quantile(row, 0.99);
    case TOP_BY_BUSY:
        return top_busy(row);
    case TOP_BY_NAME:
    case TOP_ORDERS:
        break;
    }
    return 0;
}

static int compare(const void *a, const void *b, void *user)
{
    const struct top_row *one = a;
    const struct top_row *other = b;
    enum top_order order = *(const enum top_order *)user;
    double first = key_of(one, order);
    double second = key_of(other, order);
    int names;

    first = isnan(first) ? -1 : first;
    second = isnan(second) ? -1 : second;
    if (first > second || first < second)
        return first > second ? -1 : 1;
    names = strcmp(one->queue, other->queue);
    if (names == 0)
        names = strcmp(one->handler, other->handler);
    if (names != 0)
        return names;
    return one->worker < other->worker ? -1 : one->worker > other->worker;
}

void top_table_sort(struct top_table *table, enum top_order order)
{
    if (table->count > 0) /* without rows there is no array */
        qsort_r(table->rows, table->count, sizeof *table->rows, compare, &order);
}
