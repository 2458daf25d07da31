/* top_table.h - what `warren top` shows: a row for each subscription of each worker, made of two
 * readings of /metrics some time apart.
 * Thread: any. Elsewhere: reading (scrape.h), the screen (top_screen.h).
 */
#ifndef WARREN_COMMAND_TOP_TABLE_H
#define WARREN_COMMAND_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

/** Subscriptions of all workers together; what is beyond is left out, and told of. */
#define TOP_ROWS_MAX 10000
/** Bounds of a histogram, +Inf included. */
#define TOP_BOUNDS_MAX 66
/** Why attempts failed: reasons that are told apart. */
#define TOP_REASONS_MAX 16
#define TOP_REASON_SIZE 32

/** Totals of one reading; what a worker does not tell is 0. */
struct top_totals {
    double received;
    double settled; /* ack, discard */
    double failures;
    double retries;
    double dead_letters;
    double handler_sum; /* seconds */
    double handler_count;
    double buckets[TOP_BOUNDS_MAX]; /* cumulative, of handler_bounds */
};

struct top_reason {
    char name[TOP_REASON_SIZE];
    double total;
    double before; /* in the reading before */
};

struct top_row {
    size_t worker; /* its place among the addresses */
    char *queue;
    char *handler;
    bool seen; /* in the latest reading */
    bool consuming;
    bool has_before; /* there was a reading before: rates are known */
    double running, queued, held;
    double prefetch, workers;
    double threads_least, threads_most; /* of the range of these; 0: there is none */
    double bounds[TOP_BOUNDS_MAX]; /* of the handler's time, ascending; the last one infinite */
    size_t bound_count;
    struct top_totals now;
    struct top_totals before;
    struct top_reason reasons[TOP_REASONS_MAX];
    size_t reason_count;
    double seconds; /* between the two */
};

struct top_table {
    struct top_row *rows;
    size_t count;
    size_t left_out;
};

/** All zero is an empty one. */
void top_table_done(struct top_table *table);

/**
 * A reading of @worker, taken @seconds after the one before it; @text is changed on the way. Of a
 * worker that has begun anew since (a count is smaller) there are no rates this time.
 *
 * @return WARREN_OK; as scrape_read(); WARREN_ENOMEM; with @error. On failure its rows are as
 * before
 */
enum warren_status top_table_read(struct top_table *table, size_t worker, char *text,
                                  double seconds, struct warren_error *error);
/** @worker does not answer: its rows go. */
void top_table_forget(struct top_table *table, size_t worker);

/* ---- what is shown; NAN: not known ---- */

/** The growth in a second of the total at @offset of struct top_totals. */
double top_rate(const struct top_row *row, size_t offset);
#define TOP_RATE(row, member) top_rate((row), offsetof(struct top_totals, member))
/** Seconds below which @share (0 to 1) of the attempts since the reading before were, by linear
 * interpolation between bounds, as Prometheus's histogram_quantile() has it. */
double top_quantile(const struct top_row *row, double share);
/** The busy share of the worker threads, 0 to 1, over that time; of attempts that ended in it. */
double top_busy(const struct top_row *row);

enum top_order {
    TOP_BY_NAME,
    TOP_BY_RATE,
    TOP_BY_FAILURES,
    TOP_BY_LATENCY,
    TOP_BY_BUSY,
    TOP_ORDERS
};

/** The largest first, or by name; the same come by worker, queue and handler. */
void top_table_sort(struct top_table *table, enum top_order order);

#endif
