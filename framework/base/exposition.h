/* exposition.h - metrics as text: what Prometheus scrapes.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 * Thread: any. Elsewhere: what is counted (metrics.h).
 */
#ifndef WARREN_BASE_EXPOSITION_H
#define WARREN_BASE_EXPOSITION_H

#include "base/buffer.h"

/** The type of that text, for HTTP. */
#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Append all metrics of the process to @buffer. WARREN_OK; as buffer_append(). */
enum warren_status exposition_write(struct buffer *buffer);

#endif
