/* metric_labels.h - the labels of a series as text.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 * Thread: any. Elsewhere: the page that they are on (exposition.h).
 */
#ifndef WARREN_BASE_METRIC_LABELS_H
#define WARREN_BASE_METRIC_LABELS_H

#include <stddef.h>

/**
 * Labels as they stand between { and }; what is no UTF-8 in a value becomes U+FFFD.
 *
 * @return to be freed; NULL: no memory
 */
char *metric_labels_text(const char *const *labels, const char *const *values, size_t count);

#endif
