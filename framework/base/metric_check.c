/* metric_check.c - see metric_check.h. */
#include "base/metric_check.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

#define OWN_PREFIX "warren_"

static bool is_name(const char *name, bool colons)
{
    if (!name || !*name || (*name >= '0' && *name <= '9'))
        return false;
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || (colons && *c == ':')))
            return false;
    return strlen(name) <= METRIC_VALUE_MAX;
}

static bool ends_in_total(const char *name)
{
    static const char total[] = "_total";
    size_t len = strlen(name);

    return len >= sizeof total && strcmp(name + len + 1 - sizeof total, total) == 0;
}

size_t metric_count_texts(const char *const *texts)
{
    size_t count = 0;

    while (texts && texts[count] && count <= WARREN_LABELS_MAX)
        count++;
    return count;
}

static enum warren_status check_bounds(const struct warren_metric *metric,
                                       struct warren_error *error)
{
    if (metric->bound_count > WARREN_BOUNDS_MAX)
        return error_set(error, WARREN_EINVAL, "metric %s has %zu bounds: expected at most %d",
                         metric->name, metric->bound_count, WARREN_BOUNDS_MAX);
    if (!metric->bounds && metric->bound_count > 0)
        return error_set(error, WARREN_EINVAL,
                         "metric %s: bounds is NULL, and bound_count is not 0", metric->name);
    for (size_t i = 0; i < metric->bound_count; i++)
        if (!isfinite(metric->bounds[i]) || (i > 0 && metric->bounds[i] <= metric->bounds[i - 1]))
            return error_set(error, WARREN_EINVAL,
                             "metric %s: bound %zu is not a finite number above the one before",
                             metric->name, i);
    return WARREN_OK;
}

static enum warren_status check_labels(const struct warren_metric *metric,
                                       struct warren_error *error)
{
    size_t count = metric_count_texts(metric->labels);

    if (count > WARREN_LABELS_MAX)
        return error_set(error, WARREN_EINVAL, "metric %s has more than %d labels", metric->name,
                         WARREN_LABELS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *label = metric->labels[i];

        if (!is_name(label, false) || strncmp(label, "__", 2) == 0 || strcmp(label, "le") == 0)
            return error_set(error, WARREN_EINVAL,
                             "metric %s: \"%.40s\" is no name of a label: expected letters, digits "
                             "and _, neither le nor __ at the beginning",
                             metric->name, label);
        for (size_t k = 0; k < i; k++)
            if (strcmp(label, metric->labels[k]) == 0)
                return error_set(error, WARREN_EINVAL, "metric %s has the label %s twice",
                                 metric->name, label);
    }
    return WARREN_OK;
}

enum warren_status metric_check(const struct warren_metric *metric, struct warren_error *error)
{
    enum warren_status status;

    if (metric->size < offsetof(struct warren_metric, series_max) + sizeof metric->series_max)
        return error_set(error, WARREN_EINVAL,
                         "the size of a metric is %zu: expected sizeof(struct warren_metric)",
                         metric->size);
    if (!is_name(metric->name, true))
        return error_set(error, WARREN_EINVAL,
                         "\"%.40s\" is no name of a metric: expected letters, digits, _ and :, and "
                         "no digit first",
                         metric->name ? metric->name : "");
    if (strncmp(metric->name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
        return error_set(error, WARREN_EINVAL,
                         "metric %s: names that begin with " OWN_PREFIX " are warren's",
                         metric->name);
    if (metric->type < WARREN_COUNTER || metric->type > WARREN_HISTOGRAM)
        return error_set(error, WARREN_EINVAL,
                         "metric %s is of type %d: expected WARREN_COUNTER, WARREN_GAUGE or "
                         "WARREN_HISTOGRAM",
                         metric->name, (int)metric->type);
    if (metric->series_max > METRIC_SERIES_MAX)
        return error_set(error, WARREN_EINVAL,
                         "metric %s: series_max is %" PRIu32 ": expected at most %d", metric->name,
                         metric->series_max, METRIC_SERIES_MAX);
    if (ends_in_total(metric->name) != (metric->type == WARREN_COUNTER))
        return error_set(error, WARREN_EINVAL,
                         "metric %s: the name of a counter ends in _total, and no other does",
                         metric->name);
    if (!metric->help || !*metric->help)
        return error_set(error, WARREN_EINVAL, "metric %s: help is missing", metric->name);
    status = check_labels(metric, error);
    return status == WARREN_OK ? check_bounds(metric, error) : status;
}

bool metric_is_same(const struct metric_family_info *one, const struct metric_family_info *other)
{
    if (one->type != other->type || one->label_count != other->label_count ||
        one->bound_count != other->bound_count || strcmp(one->help, other->help) != 0)
        return false;
    for (size_t i = 0; i < one->label_count; i++)
        if (strcmp(one->labels[i], other->labels[i]) != 0)
            return false;
    for (size_t i = 0; i < one->bound_count; i++)
        if (one->bounds[i] != other->bounds[i])
            return false;
    return true;
}

/* What a histogram named @name shows under: is @other one of these? */
static bool is_part(const char *name, const char *other)
{
    size_t len = strlen(name);

    return strncmp(name, other, len) == 0 &&
           (strcmp(other + len, "_bucket") == 0 || strcmp(other + len, "_sum") == 0 ||
            strcmp(other + len, "_count") == 0);
}

bool metric_clashes(const struct metric_family_info *one, const struct metric_family_info *other)
{
    return (one->type == WARREN_HISTOGRAM && is_part(one->name, other->name)) ||
           (other->type == WARREN_HISTOGRAM && is_part(other->name, one->name));
}
