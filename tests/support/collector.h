/* collector.h - an OpenTelemetry collector that takes OTLP over HTTP as JSON, or does not.
 * Thread: the test's. Elsewhere: what is sent (observe/otlp.h).
 */
#ifndef TESTS_SUPPORT_COLLECTOR_H
#define TESTS_SUPPORT_COLLECTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct collector;

enum collector_mode {
    COLLECTOR_TAKES,
    COLLECTOR_REJECTS, /* all spans of a request that it takes, by partialSuccess */
    COLLECTOR_ANSWERS, /* with a status, and takes nothing */
    COLLECTOR_HANGS,   /* reads and never answers */
    COLLECTOR_HUGE     /* answers with 10 MB */
};

/** It listens at 127.0.0.1, and takes. Aborts where the machine is at fault. */
struct collector *collector_new(void);
void collector_free(struct collector *collector);

/** "http://127.0.0.1:PORT" */
const char *collector_url(const struct collector *collector);
/** From the next request on. @status: of COLLECTOR_ANSWERS */
void collector_set(struct collector *collector, enum collector_mode mode, int status);
/** Nobody listens any more. */
void collector_go_away(struct collector *collector);

/** Requests so far, whatever was answered. */
int collector_requests(struct collector *collector);
/** Does the head of the last request, or its line, have @part? */
bool collector_saw(struct collector *collector, const char *part);
/** Spans that were taken. */
size_t collector_count(struct collector *collector);
/** What of a request was no JSON, or had no spans. */
int collector_malformed(struct collector *collector);
/** Spans that were taken with the name @name. */
size_t collector_named(struct collector *collector, const char *name);
/** One of these, in order of arrival, or NULL. It lives as long as the collector. */
const json_t *collector_span(struct collector *collector, const char *name, size_t index);

/** A member of a span that is a text, or "". */
const char *span_member(const json_t *span, const char *member);
/** The attribute @key as a text, whatever its type, or "". */
const char *span_attribute(const json_t *span, const char *key);
/** The attribute @key of the resource of the last request, or "". */
const char *collector_resource(struct collector *collector, const char *key);

#endif
