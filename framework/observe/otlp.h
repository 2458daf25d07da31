/* otlp.h - sends spans to an OpenTelemetry collector, by OTLP over HTTP, as JSON.
 *
 *   tracer (base/span.h) || the thread here: batches > HTTP (http/client.h) > collector
 *
 * Nobody waits for it: what cannot be sent is dropped, counted by reason
 * (warren_spans_dropped_total), and reported at most once in OTLP_TELL_MS; so are spans that the
 * collector rejects of a request that it takes.
 * Bounds: a batch has SPAN_BATCH spans or 1 MiB, waits 5 s at most for more, and is tried again for
 * 30 s; a request takes 10 s; an answer has 64 KiB.
 * Thread: see each. Owner: the worker. Elsewhere: its options (app/tracing_settings.h).
 */
#ifndef WARREN_OBSERVE_OTLP_H
#define WARREN_OBSERVE_OTLP_H

#include "base/span.h"
#include "observe/otlp_json.h"

#define OTLP_TELL_MS 10000

struct otlp;

/** Everything is copied but what @resource and @headers refer to: that is borrowed until
 * otlp_free(). */
struct otlp_options {
    const char *url;            /* with its path */
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const char *ca_file; /* PEM; NULL: the system's certificates */
    const struct otlp_attribute *resource;
    size_t resource_count;
    const char *server; /* the broker's host; NULL: not known */
    uint16_t port;
    double ratio; /* of traces that begin here, 0 to 1 */
};

/** WARREN_OK; WARREN_ENOMEM, WARREN_EIO with @error. Thread: that of the next two, too. */
enum warren_status otlp_start(const struct otlp_options *options, struct otlp **ret_otlp,
                              struct warren_error *error);
/**
 * Send what there is, within @ms, and end the thread; what comes later is lost. A thread that hangs
 * for 2 s more, as in a look-up of a name, or in memory that a handler has broken, is left alone.
 * Harmless to repeat. NULL is fine.
 */
void otlp_stop(struct otlp *otlp, uint32_t ms);
/**
 * Stopped, and nobody has its tracer any more. NULL is fine.
 *
 * @return false: a thread that hangs has it all, also what was borrowed, until the process ends
 */
bool otlp_free(struct otlp *otlp);

/** Of NULL: NULL. Thread: any. */
struct tracer *otlp_tracer(struct otlp *otlp);

#endif
