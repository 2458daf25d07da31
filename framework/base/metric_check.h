/* metric_check.h - whether what a plugin registers can be a family of metrics, and whether two
 * families get along.
 * Thread: any. Elsewhere: the registry (metrics.h).
 */
#ifndef WARREN_BASE_METRIC_CHECK_H
#define WARREN_BASE_METRIC_CHECK_H

#include "base/metrics.h"

/** Names, texts and bounds. WARREN_OK; WARREN_EINVAL with @error, which says what was expected. */
enum warren_status metric_check(const struct warren_metric *metric, struct warren_error *error);
/** Labels, or values, up to the NULL; more than WARREN_LABELS_MAX if there are too many. */
size_t metric_count_texts(const char *const *texts);

/** Are both the same but for the name? */
bool metric_is_same(const struct metric_family_info *one, const struct metric_family_info *other);
/** Would a sample of one, a histogram, have the other's name? */
bool metric_clashes(const struct metric_family_info *one, const struct metric_family_info *other);

#endif
