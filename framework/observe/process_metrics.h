/* process_metrics.h - what the kernel knows of this process, and the log of what it lost: as
 * series, when somebody reads. Names:
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#standard-and-runtime-collectors.
 * Thread: any. Owner: the process. Elsewhere: the registry (base/metrics.h).
 */
#ifndef WARREN_OBSERVE_PROCESS_METRICS_H
#define WARREN_OBSERVE_PROCESS_METRICS_H

/** From now on they are there, also in children of fork(2). Harmless to repeat. */
void process_metrics_begin(void);

#endif
