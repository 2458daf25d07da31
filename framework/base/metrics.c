/* metrics.c - see metrics.h. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metric_cells.h"
#include "base/metric_check.h"
#include "base/metric_labels.h"

#define PLUGIN_SERIES_MAX 1000
/* Of all series of plugins: the others are warren's. */
#define PLUGIN_CELLS_MAX (METRIC_CELLS / 2)
#define BUCKETS          256

struct warren_series {
    struct list link;           /* of the family */
    struct warren_series *next; /* of the bucket */
    enum warren_metric_type type;
    uint32_t cell; /* the first; METRIC_CELLS: there are none */
    const double *bounds;
    uint32_t bound_count;
    _Atomic(double) set; /* of a gauge */
    double put;          /* by collectors, in this reading; under `reading` */
    uint32_t users;      /* under the lock, as all below */
    char **values;
    char *label_text;
};

struct family {
    struct list link;
    bool is_plugins;
    bool told; /* that a series was refused */
    struct metric_family_info info;
    uint32_t series_max;
    uint32_t series_count;
    struct list series;
    struct warren_series *buckets[BUCKETS];
    struct warren_series *other;
    char *labels[WARREN_LABELS_MAX + 1];
    double *bounds;
};

static const double times[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                               0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5,
                               5,      10,      30,     60,    300,    1800};

/* How many were done together. */
static const double sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

#define BOUNDS_NONE  NULL, 0
#define BOUNDS_TIMES times, sizeof times / sizeof *times
#define BOUNDS_SIZES sizes, sizeof sizes / sizeof *sizes

static const struct row {
    const char *name;
    const char *labels;
    const char *help;
    enum warren_metric_type type;
    const double *bounds;
    size_t bound_count;
} rows[METRICS + 1] = {
#define METRIC(id, type, name, labels, bounds, help)                                               \
    {name, labels, help, WARREN_##type, BOUNDS_##bounds},
#include "base/metric_family.def"
#undef METRIC
};

static struct {
    pthread_mutex_t lock;    /* guards families, their series, and who uses them */
    uint32_t plugin_cells;   /* taken by plugins' families */
    bool last_words;         /* counters that are put now will not be put again; under `reading` */
    pthread_mutex_t reading; /* held while collectors put and somebody reads; taken first */
    struct list families;    /* in the order of their registration */
    struct family *own[METRICS + 1];
    struct metric_collector *collectors; /* under `reading` */
    struct warren_series *cells;         /* likewise; how many are taken */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .reading = PTHREAD_MUTEX_INITIALIZER,
         .families = {&all.families, &all.families}};

/* What counts here is not read: there was no memory for a series. */
static struct warren_series nowhere = {.cell = METRIC_CELLS};

/* ---- counting ---- */

void warren_count(struct warren_series *series, double more)
{
    if (series && series->type == WARREN_COUNTER && more >= 0 && isfinite(more))
        metric_cells_add(series->cell, more);
}

/* One bound after the other: the whole takes 5 ns for what lies below all and 22 for what lies
 * above 20 of them. To search by halves, without a branch, took 12 for each. */
void warren_observe(struct warren_series *series, double value)
{
    uint32_t bucket = 0;

    if (!series || series->type != WARREN_HISTOGRAM || isnan(value))
        return;
    while (bucket < series->bound_count && value > series->bounds[bucket])
        bucket++;
    metric_cells_add_both(series->cell + bucket, series->cell + series->bound_count + 1, value);
}

void warren_set(struct warren_series *series, double value)
{
    if (series && series->type == WARREN_GAUGE)
        atomic_store_explicit(&series->set, value, memory_order_relaxed);
}

void metric_put(struct warren_series *series, double value)
{
    if (!all.last_words)
        series->put += value;
    else if (series->type == WARREN_COUNTER)
        metric_cells_add(series->cell, value);
}

/* ---- series ---- */

static void free_series(struct warren_series *series)
{
    for (size_t i = 0; series->values && series->values[i]; i++)
        free(series->values[i]);
    free(series->values);
    free(series->label_text);
    free(series);
}

static uint32_t cells_of(const struct metric_family_info *info)
{
    if (info->type == WARREN_GAUGE)
        return 0;
    return info->type == WARREN_HISTOGRAM ? (uint32_t)info->bound_count + 2 : 1;
}

static bool has_values(const struct warren_series *series, const struct metric_family_info *info,
                       const char *const *values)
{
    for (size_t i = 0; i < info->label_count; i++)
        if (strncmp(series->values[i], values[i], METRIC_VALUE_MAX) != 0)
            return false;
    return true;
}

/* A short one: a family has few series, and a bound. */
static size_t bucket_of(const struct metric_family_info *info, const char *const *values)
{
    uint32_t hash = 5381;

    for (size_t i = 0; i < info->label_count; i++)
        for (size_t k = 0; values[i][k] && k < METRIC_VALUE_MAX; k++)
            hash = hash * 33 ^ (unsigned char)values[i][k];
    return hash % BUCKETS;
}

/* Under the lock. @return METRIC_CELLS: there are none left */
static uint32_t take_cells(const struct family *family, uint32_t count)
{
    if (family->is_plugins && count > PLUGIN_CELLS_MAX - all.plugin_cells)
        return METRIC_CELLS;
    if (family->is_plugins)
        all.plugin_cells += count;
    return metric_cells_take(count);
}

/* Under the lock. NULL: no memory, or no cells. */
static struct warren_series *new_series(struct family *family, const char *const *values)
{
    const struct metric_family_info *info = &family->info;
    struct warren_series *series = calloc(1, sizeof *series);
    uint32_t cells = cells_of(info);

    if (!series)
        return NULL;
    series->type = info->type;
    series->bounds = info->bounds;
    series->bound_count = (uint32_t)info->bound_count;
    series->values = calloc(info->label_count + 1, sizeof *series->values);
    for (size_t i = 0; series->values && i < info->label_count; i++)
        series->values[i] = strndup(values[i], METRIC_VALUE_MAX);
    if (series->values)
        series->label_text = metric_labels_text(info->labels, (const char *const *)series->values,
                                                info->label_count);
    series->cell = series->label_text && cells > 0 ? take_cells(family, cells) : METRIC_CELLS;
    if (!series->label_text || (cells > 0 && series->cell == METRIC_CELLS)) {
        free_series(series);
        return NULL;
    }
    list_push(&family->series, &series->link);
    family->series_count++;
    return series;
}

static void count_refused(const struct family *family)
{
    struct family *refused = all.own[METRIC_SERIES_REFUSED];
    const char *name[WARREN_LABELS_MAX];
    struct warren_series *series;
    size_t bucket;

    if (!refused || refused == family)
        return;
    for (size_t i = 0; i < WARREN_LABELS_MAX; i++) /* it has one label */
        name[i] = family->info.name;
    bucket = bucket_of(&refused->info, name);
    series = refused->buckets[bucket];
    while (series && !has_values(series, &refused->info, name))
        series = series->next;
    if (!series && (series = new_series(refused, name))) {
        series->users = 1;
        series->next = refused->buckets[bucket];
        refused->buckets[bucket] = series;
    }
    if (series)
        warren_count(series, 1);
}

/* The series for what finds no room; a plugin's family has it from the beginning. */
static struct warren_series *make_other(struct family *family)
{
    const char *values[WARREN_LABELS_MAX];

    for (size_t i = 0; i < WARREN_LABELS_MAX; i++)
        values[i] = METRIC_OTHER;
    if (!family->other && (family->other = new_series(family, values)))
        family->series_count--; /* it is beyond the bound */
    return family->other;
}

static struct warren_series *other_series(struct family *family)
{
    count_refused(family);
    if (!family->told)
        log_warn("metric %s: there is no room for more series; what is beyond counts in one whose "
                 "labels are all \"" METRIC_OTHER "\"",
                 family->info.name);
    family->told = true;
    return make_other(family);
}

/* Under the lock. NULL: no memory. */
static struct warren_series *get_series(struct family *family, const char *const *values)
{
    size_t bucket = bucket_of(&family->info, values);
    struct warren_series *series = family->buckets[bucket];

    while (series && !has_values(series, &family->info, values))
        series = series->next;
    if (!series && family->series_count < family->series_max) {
        series = new_series(family, values);
        if (series) {
            series->next = family->buckets[bucket];
            family->buckets[bucket] = series;
        }
    }
    if (!series)
        series = other_series(family);
    if (series)
        series->users++;
    return series;
}

/* ---- families ---- */

static void free_family(struct family *family)
{
    for (size_t i = 0; i < family->info.label_count; i++)
        free(family->labels[i]);
    free((char *)(uintptr_t)family->info.name);
    free((char *)(uintptr_t)family->info.help);
    free(family->bounds);
    free(family);
}

/* Under the lock. @info is copied, but for its labels: those are in family->labels by then. */
static struct family *add_family(struct family *family, const struct metric_family_info *info,
                                 uint32_t series_max)
{
    size_t bytes = info->bound_count * sizeof *info->bounds;

    list_init(&family->series);
    family->series_max = series_max;
    family->info = *info;
    family->info.name = strdup(info->name);
    family->info.help = strdup(info->help);
    family->info.labels = (const char *const *)family->labels;
    family->bounds = bytes > 0 ? malloc(bytes) : NULL;
    if (family->bounds)
        memcpy(family->bounds, info->bounds, bytes);
    family->info.bounds = family->bounds;
    for (size_t i = 0; i < info->label_count; i++)
        if (!family->labels[i])
            family->info.help = NULL;
    if (!family->info.name || !family->info.help || (bytes > 0 && !family->bounds)) {
        free_family(family);
        return NULL;
    }
    list_push(&all.families, &family->link);
    return family;
}

void metric_family_row(size_t index, struct metric_family_info *info, const char **ret_labels)
{
    const struct row *row = &rows[index];

    *info = (struct metric_family_info){.name = row->name,
                                        .help = row->help,
                                        .type = row->type,
                                        .bounds = row->bounds,
                                        .bound_count = row->bound_count};
    *ret_labels = row->labels;
}

static void add_own(size_t index)
{
    struct family *family = calloc(1, sizeof *family);
    struct metric_family_info info;
    const char *labels;

    if (!family)
        return;
    metric_family_row(index, &info, &labels);
    while (*labels) {
        size_t len = strcspn(labels, ",");

        family->labels[info.label_count++] = strndup(labels, len);
        labels += labels[len] == ',' ? len + 1 : len;
    }
    all.own[index] = add_family(family, &info, METRIC_SERIES_MAX);
}

/* A child of fork(2) finds the locks free: its parent held them through the call. What collectors
 * ask has threads, which the child has not. */
static void lock_all(void)
{
    pthread_mutex_lock(&all.reading);
    pthread_mutex_lock(&all.lock);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_unlock(&all.reading);
}

static void unlock_child(void)
{
    struct metric_collector **place = &all.collectors;

    while (*place)
        if ((*place)->of_any_process)
            place = &(*place)->next;
        else
            *place = (*place)->next;
    unlock_all();
}

static void begin(void)
{
    metric_cells_begin();
    pthread_atfork(lock_all, unlock_all, unlock_child);
    for (size_t i = 0; i < METRICS; i++)
        add_own(i);
}

static void enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, begin);
    pthread_mutex_lock(&all.lock);
}

static void leave(void)
{
    pthread_mutex_unlock(&all.lock);
}

struct warren_series *metric_series(enum metric_id id, ...)
{
    const char *values[WARREN_LABELS_MAX];
    struct warren_series *series = NULL;
    struct family *family;
    va_list arguments;

    enter();
    family = all.own[id];
    va_start(arguments, id);
    for (size_t i = 0; family && i < family->info.label_count; i++)
        values[i] = va_arg(arguments, const char *);
    va_end(arguments);
    if (family)
        series = get_series(family, values);
    leave();
    return series ? series : &nowhere;
}

void metric_release(struct warren_series *series)
{
    if (!series || series == &nowhere)
        return;
    enter();
    series->users--;
    leave();
}

void metric_release_all(void *series, size_t size)
{
    struct warren_series **all_series = series;

    for (size_t i = 0; i < size / sizeof *all_series; i++)
        metric_release(all_series[i]);
}

/* ---- what plugins register ---- */

/* What @metric says, with the defaults. Its labels are not copied. */
static struct metric_family_info info_of(const struct warren_metric *metric)
{
    struct metric_family_info info = {
        .name = metric->name, .help = metric->help, .type = metric->type, .labels = metric->labels};

    if (metric->labels)
        info.label_count = metric_count_texts(metric->labels);
    if (metric->type != WARREN_HISTOGRAM)
        return info;
    info.bounds = metric->bounds ? metric->bounds : &times[3];
    info.bound_count = metric->bounds ? metric->bound_count : sizeof times / sizeof *times - 4;
    return info;
}

/* A family whose samples would have names of @info's; NULL: there is none. */
static const struct family *find_clash(const struct metric_family_info *info)
{
    LIST_EACH(link, &all.families) {
        const struct family *family = list_entry(link, struct family, link);

        if (metric_clashes(info, &family->info))
            return family;
    }
    return NULL;
}

static struct family *find_family(const char *name)
{
    LIST_EACH(link, &all.families) {
        struct family *family = list_entry(link, struct family, link);

        if (strcmp(family->info.name, name) == 0)
            return family;
    }
    return NULL;
}

/* Under the lock. */
static enum warren_status get_family(const struct warren_metric *metric, struct family **ret_family,
                                     struct warren_error *error)
{
    struct metric_family_info info = info_of(metric);
    struct family *family = find_family(metric->name);
    const struct family *clash;

    *ret_family = family;
    if (family && !metric_is_same(&family->info, &info))
        return error_set(error, WARREN_EINVAL,
                         "metric %s is registered already, with another type, help, labels or "
                         "bounds",
                         metric->name);
    if (family)
        return WARREN_OK;
    clash = find_clash(&info);
    if (clash)
        return error_set(
            error, WARREN_EINVAL,
            "metric %s: one of the two, this and %s, is a histogram, whose samples have "
            "the other's name",
            metric->name, clash->info.name);
    if (cells_of(&info) > PLUGIN_CELLS_MAX - all.plugin_cells)
        return error_set(
            error, WARREN_EFULL,
            "metric %s: the series of handlers have %d cells in all, and all are taken",
            metric->name, PLUGIN_CELLS_MAX);
    family = calloc(1, sizeof *family);
    for (size_t i = 0; family && i < info.label_count; i++)
        family->labels[i] = strdup(info.labels[i]);
    if (family) {
        family->is_plugins = true;
        *ret_family = add_family(family, &info,
                                 metric->series_max > 0 ? metric->series_max : PLUGIN_SERIES_MAX);
    }
    if (*ret_family && info.label_count > 0)
        make_other(*ret_family);
    return *ret_family ? WARREN_OK : error_set(error, WARREN_ENOMEM, "no memory for a metric");
}

enum warren_status warren_metric_series(const struct warren_metric *metric,
                                        const char *const *values,
                                        struct warren_series **ret_series,
                                        struct warren_error *error)
{
    size_t given = metric_count_texts(values);
    struct family *family;
    enum warren_status status;

    if (!metric || !ret_series)
        return error_set(error, WARREN_EINVAL, "metric and ret_series must not be NULL");
    status = metric_check(metric, error);
    if (status != WARREN_OK)
        return status;
    if (given != metric_count_texts(metric->labels))
        return error_set(error, WARREN_EINVAL,
                         "metric %s has %zu labels, and %zu values were given", metric->name,
                         metric_count_texts(metric->labels), given);
    enter();
    status = get_family(metric, &family, error);
    if (status == WARREN_OK) {
        *ret_series = get_series(family, values);
        if (!*ret_series)
            status = error_set(error, WARREN_ENOMEM, "no memory for a series of metric %s",
                               metric->name);
    }
    leave();
    return status;
}

/* ---- reading ---- */

void metrics_collect_add(struct metric_collector *collector)
{
    pthread_mutex_lock(&all.reading);
    collector->next = all.collectors;
    all.collectors = collector;
    pthread_mutex_unlock(&all.reading);
}

void metrics_collect_remove(struct metric_collector *collector)
{
    struct metric_collector **place = &all.collectors;

    pthread_mutex_lock(&all.reading);
    while (*place && *place != collector)
        place = &(*place)->next;
    if (*place) {
        *place = collector->next;
        all.last_words = collector->lasts;
        if (collector->lasts)
            collector->collect(collector->user);
        all.last_words = false;
    }
    pthread_mutex_unlock(&all.reading);
}

static void forget_put(void)
{
    enter();
    LIST_EACH(link, &all.families) {
        LIST_EACH(inner, &list_entry(link, struct family, link)->series) {
            list_entry(inner, struct warren_series, link)->put = 0;
        }
    }
    leave();
}

/* @cells  what all cells have; NULL: those of the series are to be asked
 * @sums   has room for WARREN_BOUNDS_MAX + 2 */
static double read_value(struct warren_series *series, const double *cells, double *sums)
{
    uint32_t count = series->type == WARREN_HISTOGRAM ? series->bound_count + 2 : 1;

    if (series->type == WARREN_GAUGE)
        return series->put + atomic_load_explicit(&series->set, memory_order_relaxed);
    if (cells)
        memcpy(sums, cells + series->cell, count * sizeof *sums);
    else
        metric_cells_sum(series->cell, count, sums);
    return series->put + sums[count - 1];
}

double metric_value(struct warren_series *series)
{
    double sums[WARREN_BOUNDS_MAX + 2] = {0};
    double value = read_value(series, NULL, sums);

    if (series->type != WARREN_HISTOGRAM)
        return value;
    value = 0;
    for (uint32_t i = 0; i <= series->bound_count; i++)
        value += sums[i];
    return value;
}

static void show_series(const struct metrics_visitor *visitor, const struct family *family,
                        struct warren_series *series, const double *cells)
{
    double sums[WARREN_BOUNDS_MAX + 2] = {0};
    uint64_t counts[WARREN_BOUNDS_MAX + 1];
    struct metric_reading reading = {.values = (const char *const *)series->values,
                                     .label_text = series->label_text,
                                     .value = read_value(series, cells, sums)};

    if (series->type == WARREN_HISTOGRAM) {
        for (uint32_t i = 0; i <= series->bound_count; i++)
            counts[i] = (uint64_t)sums[i];
        reading.counts = counts;
    }
    visitor->series(visitor->user, &family->info, &reading);
}

static void show_family(const struct metrics_visitor *visitor, const struct family *family,
                        const double *cells)
{
    bool shown = false;

    LIST_EACH(link, &family->series) {
        struct warren_series *series = list_entry(link, struct warren_series, link);

        if (series->users == 0)
            continue;
        if (!shown && visitor->family)
            visitor->family(visitor->user, &family->info);
        shown = true;
        show_series(visitor, family, series, cells);
    }
}

void metrics_read(const struct metrics_visitor *visitor)
{
    double *cells;

    pthread_mutex_lock(&all.reading);
    if (!all.cells)
        all.cells = metric_series(METRIC_CELLS_TAKEN);
    forget_put();
    metric_put(all.cells, metric_cells_taken());
    for (struct metric_collector *c = all.collectors; c; c = c->next)
        c->collect(c->user);
    enter();
    cells = metric_cells_sum_all(); /* under the lock: no series is newer */
    LIST_EACH(link, &all.families) {
        show_family(visitor, list_entry(link, struct family, link), cells);
    }
    leave();
    free(cells);
    pthread_mutex_unlock(&all.reading);
}
