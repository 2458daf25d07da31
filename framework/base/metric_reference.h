/* metric_reference.h - the page docs/metrics.md: the rows of metric_family.def, in the prose of
 * metric_reference.txt.
 * Thread: any.
 */
#ifndef WARREN_BASE_METRIC_REFERENCE_H
#define WARREN_BASE_METRIC_REFERENCE_H

#include <stdio.h>

void metric_write_reference(FILE *out);

#endif
