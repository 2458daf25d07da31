/* metrics.h - the registry of what is counted: families of series, each with its labels.
 *
 *   metric_family.def, <warren/metrics.h> > series > cells of each thread > summed by who reads
 *
 * Each thread counts in cells of its own, which nobody else writes: counting takes no lock, no
 * locked instruction, and no cache line that threads share. Who reads sums up the cells of all
 * threads; those of a thread that has ended are kept. What others count already is put into series
 * by collectors, at the moment of reading.
 * Bound: METRIC_CELLS cells (metric_cells.h); METRIC_SERIES_MAX series of a family (a plugin's: as
 * it says). What finds no room goes to a series whose labels are all METRIC_OTHER, and is counted.
 * Thread: any. Owner: the process. Elsewhere: how they are written down (exposition.h).
 */
#ifndef WARREN_BASE_METRICS_H
#define WARREN_BASE_METRICS_H

#include <stdbool.h>

#include <warren/metrics.h>

/** Of one family of warren's own. */
#define METRIC_SERIES_MAX 20000
/** Longest value of a label; what is beyond is cut off, at the end of a character. */
#define METRIC_VALUE_MAX 256
/** The value of every label of the series for what finds no room. */
#define METRIC_OTHER "other"

enum metric_id {
#define METRIC(id, type, name, labels, bounds, help) METRIC_##id,
#include "base/metric_family.def"
#undef METRIC
    METRICS
};

/** One series of a family of warren's own, to be released; it counts for all that ask for the same
 * values (one for each label, in order), and is shown while anybody has it.
 *
 * @return never NULL: without memory one that nobody reads
 */
struct warren_series *metric_series(enum metric_id id, ...) __attribute__((warn_unused_result));
/** NULL is fine. */
void metric_release(struct warren_series *series);
/** Those of a struct, or of the first @size bytes of one, that has nothing but pointers to them. */
void metric_release_all(void *series, size_t size);

/** What is counted elsewhere: a gauge, or a counter whose total is @value. For collectors; several
 * of one reading are added up. */
void metric_put(struct warren_series *series, double value);
/** What a series has now, or the number of a histogram's observations. Of what collectors put, that
 * of the last reading. */
double metric_value(struct warren_series *series);

/** Puts values when somebody reads. Owned by who adds it. A child of fork(2) has none of those of
 * its parent. */
struct metric_collector {
    void (*collect)(void *user);
    void *user;
    bool lasts;          /* what it has put into counters stays when it is removed */
    bool of_any_process; /* but this: it asks nothing that a child does not have */
    struct metric_collector *next;
};

void metrics_collect_add(struct metric_collector *collector);
/** It is not called any more, but once where it lasts, and no call is under way. */
void metrics_collect_remove(struct metric_collector *collector);

/** A family, for who reads. */
struct metric_family_info {
    const char *name;
    const char *help;
    enum warren_metric_type type;
    const char *const *labels;
    size_t label_count;
    const double *bounds; /* of a histogram, ascending; without +Inf */
    size_t bound_count;
};

/** A series, for who reads. */
struct metric_reading {
    const char *const *values; /* of the labels; as they were given: any bytes but NUL */
    const char *label_text;    /* the same as Prometheus has it: a="x",b="y"; "": no labels */
    double value;              /* of a counter or gauge; of a histogram the sum */
    const uint64_t *counts;    /* of a histogram: of each bound, not cumulative, and above all */
};

struct metrics_visitor {
    /** A family that has series. May be NULL. */
    void (*family)(void *user, const struct metric_family_info *family);
    /** One of its series. */
    void (*series)(void *user, const struct metric_family_info *family,
                   const struct metric_reading *reading);
    void *user;
};

/** Collect, then show everything: family by family, in the order of their registration. */
void metrics_read(const struct metrics_visitor *visitor);

/** The rows of metric_family.def, for the page of reference. @index below METRICS. */
void metric_family_row(size_t index, struct metric_family_info *info, const char **ret_labels);

#endif
