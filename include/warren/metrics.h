/* metrics.h - a handler's own figures, beside warren's, where operators look: /metrics of the
 * worker's admin listener.
 *
 *     static const struct warren_metric charged = {
 *         .size = sizeof charged,
 *         .name = "shop_charged_total",
 *         .help = "Payments by currency.",
 *         .type = WARREN_COUNTER,
 *         .labels = (const char *const[]){"currency", NULL},
 *     };
 *
 *     open:    warren_metric_series(&charged, (const char *const[]){"EUR", NULL}, &eur, error);
 *     handle:  warren_count(eur, 1);
 *
 * Names are Prometheus's: the name of what only grows ends in _total, units are base units
 * (seconds, bytes) and part of the name. Names that begin with warren_ are warren's. A series
 * counts without a lock. Looking one up takes one: do so in `open`, where the values are known
 * then. A unit test reads them by warren_test_metric() (testing.h). All of it may be called in a
 * receipt's callback. A child of fork(2) has a copy, which counts what it counts itself.
 */
#ifndef WARREN_METRICS_H
#define WARREN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a figure does. */
enum warren_metric_type {
    WARREN_COUNTER = 1, /**< it only grows; the name ends in _total */
    WARREN_GAUGE,       /**< it is what it was set to last */
    WARREN_HISTOGRAM    /**< how many observations were at most so much, and their sum */
};

/** Most labels of a metric, and most bounds of a histogram. */
#define WARREN_LABELS_MAX 8
#define WARREN_BOUNDS_MAX 64

/** A figure, or a family of them that differ by the values of labels. Zero what you do not need. */
struct warren_metric {
    size_t size;      /**< sizeof of this struct */
    const char *name; /**< letters, digits, _ and :; not a digit first */
    const char *help; /**< one sentence */
    enum warren_metric_type type;
    const char *const *labels; /**< names, NULL behind the last; NULL: none. Letters, digits and _;
                                    neither `le` nor two _ at the beginning */
    const double *bounds; /**< HISTOGRAM: ascending; NULL: from 1 ms to 5 minutes, in seconds */
    size_t bound_count;
    uint32_t series_max; /**< most series of it, up to 20,000; 0: 1,000. What is beyond is counted
                            in one series whose values are all "other", and
                            warren_metric_series_refused_total says how often */
};

/** One figure. It lives until the process ends. */
struct warren_series;

/**
 * The series of @metric with these values of its labels; made by the first call, which also
 * registers @metric, by its name, in the process.
 *
 * @metric  copied
 * @values  as many as there are labels, NULL behind the last; NULL: none. Copied, up to 256 bytes
 *          each
 * @ret_series  the same for the same values
 * @return  WARREN_OK; with @error: WARREN_EINVAL: a name, the size or the number of values is not
 *          as said above, or the name is registered with another definition, or is that of a
 *          histogram's samples (NAME_sum, NAME_count, NAME_bucket); WARREN_EFULL: the series of all
 *          handlers have taken 65,536 numbers; WARREN_ENOMEM
 * Thread: any. Since: 0.1.
 */
WARREN_API enum warren_status warren_metric_series(const struct warren_metric *metric,
                                                   const char *const *values,
                                                   struct warren_series **ret_series,
                                                   struct warren_error *error);

/**
 * COUNTER: add @more, which is finite and not below 0. Of another type, and of NULL, nothing
 * happens; nor of another number.
 *
 * Thread: any. No lock, and after a thread's first time no allocation. Since: 0.1.
 */
WARREN_API void warren_count(struct warren_series *series, double more);
/** HISTOGRAM: one observation, of any number but NaN. As warren_count(). */
WARREN_API void warren_observe(struct warren_series *series, double value);
/** GAUGE: it is @value from now on. As warren_count(). */
WARREN_API void warren_set(struct warren_series *series, double value);

#ifdef __cplusplus
}
#endif
#endif
