/* otlp_json.h - spans as OTLP has them in JSON: a request ExportTraceServiceRequest, and what its
 * answer says.
 * Source: OpenTelemetry Protocol 1.3, section OTLP/HTTP, "JSON Protobuf Encoding": ids as
 * hexadecimal texts, 64-bit numbers as texts; attributes by the semantic conventions for messaging
 * spans and for RabbitMQ.
 * Pure functions. Thread: any.
 */
#ifndef WARREN_OBSERVE_OTLP_JSON_H
#define WARREN_OBSERVE_OTLP_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"

/** One span takes no more, whatever its texts hold. */
#define OTLP_SPAN_MAX (24 * SPAN_TEXT_MAX + 4096)

/** A name and its value, of the resource: whose spans they are. */
struct otlp_attribute {
    const char *name;
    const char *value;
};

/** What all spans have in common. Borrowed. */
struct otlp_origin {
    const struct otlp_attribute *resource;
    size_t resource_count;
    const char *server; /* the broker's host; NULL: not known */
    uint16_t port;
    int64_t wall_ns; /* since 1970, when clock_monotonic() was 0 */
};

/** All that stands in front of the spans. WARREN_OK; WARREN_EFULL, WARREN_ENOMEM, as the next two.
 */
enum warren_status otlp_json_begin(struct buffer *out, const struct otlp_origin *origin);
/** @first: of the request. On failure @out is as it was. */
enum warren_status otlp_json_span(struct buffer *out, const struct otlp_origin *origin,
                                  const struct span *span, bool first);
enum warren_status otlp_json_end(struct buffer *out);

/** Spans that the collector did not take, by its answer to a request that it has taken. */
uint64_t otlp_json_rejected(const char *answer);

#endif
