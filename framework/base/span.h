/* span.h - finished spans, and the tracer that takes them: what happened to a message, when, and
 * because of what, on its way to whoever sends it to a collector.
 *
 *   job, settlement > span_begin(), span_end() > ring || exporter (observe/otlp.h)
 *
 * A span is a flat record of fixed size in a bounded ring. Nothing waits: one that finds no room is
 * dropped and counted. Who does not trace has no tracer: a NULL pointer where one would be.
 * Source of the names: OpenTelemetry, semantic conventions for messaging spans and for RabbitMQ.
 * Bound: SPAN_SLOTS spans; SPAN_TEXT_MAX bytes of texts each, what is beyond is cut off.
 * Thread: any, but for what says otherwise. Owner: the worker, through its exporter.
 */
#ifndef WARREN_BASE_SPAN_H
#define WARREN_BASE_SPAN_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/message.h>

#include "base/metrics.h"
#include "base/ring.h"
#include "base/traceparent.h"

/** Spans that can wait; a power of two. With all of them used this is 5 MiB. */
#define SPAN_SLOTS 4096
/** The exporter is woken each time that this many have come. */
#define SPAN_BATCH    512
#define SPAN_TEXT_MAX 1024
#define SPAN_LINKS    2

enum span_kind { SPAN_INTERNAL = 1, SPAN_CLIENT = 3, SPAN_PRODUCER, SPAN_CONSUMER }; /* of OTLP */

enum span_operation {
    SPAN_RECEIVE, /* from the arrival of a message to its first attempt */
    SPAN_PROCESS, /* one attempt: chain and handler */
    SPAN_PUBLISH, /* a message of a job, until the broker has it */
    SPAN_ACK,     /* from the end of the attempt to its settlement, as the next three */
    SPAN_REJECT,
    SPAN_REQUEUE,     /* basic.reject with requeue, */
    SPAN_NACK,        /* or basic.nack: handed back */
    SPAN_RETRY,       /* another attempt is scheduled: in memory, or by a copy */
    SPAN_DEAD_LETTER, /* the copy in the dead-letter exchange */
    SPAN_OPERATIONS
};

enum span_text {
    SPAN_EXCHANGE,
    SPAN_ROUTING_KEY,
    SPAN_QUEUE,   /* that a message was consumed from */
    SPAN_HANDLER, /* PLUGIN.HANDLER */
    SPAN_MESSAGE_ID,
    SPAN_CORRELATION_ID,
    SPAN_OUTCOME,    /* of an attempt */
    SPAN_REASON,     /* of a dead letter */
    SPAN_ERROR_TYPE, /* one word; with it the span has failed */
    SPAN_ERROR,      /* in words */
    SPAN_TEXTS
};

struct span {
    uint64_t position; /* the tracer's */
    struct traceparent self;
    char parent_id[17]; /* "": it has none */
    uint8_t kind;       /* enum span_kind */
    uint8_t operation;  /* enum span_operation */
    uint8_t link_count;
    bool settles;     /* it has a delivery tag */
    bool has_message; /* it has the size of a body */
    struct traceparent links[SPAN_LINKS];
    int64_t begin_ns; /* of clock_monotonic(), as the next one */
    int64_t end_ns;
    uint64_t delivery_tag;
    uint64_t body_size;
    int64_t delay_ms; /* until the message comes again, or for the first time; -1: none */
    uint32_t attempt; /* from 1; 0: it is none */
    uint32_t batch;   /* messages that were handled with it, itself included; 0: it was alone */
    uint16_t used;
    uint16_t text_at[SPAN_TEXTS];
    uint16_t text_len[SPAN_TEXTS];
    char texts[SPAN_TEXT_MAX];
};

struct tracer {
    struct ring ring;
    uint64_t ratio;             /* of traces that begin here, in 2^-56 */
    sem_t wake;                 /* the exporter's */
    struct warren_series *full; /* spans dropped */
};

/** Why spans are dropped: the values of the label `reason`. */
#define SPAN_DROPPED_FULL "queue_full"

/**
 * @ratio  0 to 1: the share of the traces that begin here which are sampled
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status tracer_init(struct tracer *tracer, double ratio);
/** Nobody uses it any more. A zeroed one is fine. */
void tracer_done(struct tracer *tracer);

/** Is a trace that begins with a message sampled? @number: of the message, any bits; for the same
 * one the answer is the same. */
bool tracer_samples(const struct tracer *tracer, uint64_t number);

/** A new id, not 0: from a generator of each thread, without a lock or a system call. */
uint64_t span_new_id(void);
/** Begin a trace: a trace id and a span id, not sampled. */
void span_begin_trace(struct traceparent *self);
/** Give @self a span id of its own. */
void span_new_self(struct traceparent *self);

/** A record without texts and links, attempt, and delay. */
void span_init(struct span *span, enum span_operation operation, enum span_kind kind);
void span_put(struct span *span, enum span_text which, struct warren_bytes text);
/** NULL: nothing. */
void span_put_text(struct span *span, enum span_text which, const char *text);
/** NULL, or one too many: nothing. */
void span_link(struct span *span, const struct traceparent *cause);
/** "" if there is none. */
struct warren_bytes span_text(const struct span *span, enum span_text which);

/**
 * A record in the ring, as span_init() makes it, to be filled in at once and handed over by
 * span_end().
 *
 * @return NULL: there is no room, and it is counted as dropped
 */
struct span *span_begin(struct tracer *tracer, enum span_operation operation, enum span_kind kind);
void span_end(struct tracer *tracer, struct span *span);
/** Hand over a copy of @span, which was kept elsewhere. */
void span_copy(struct tracer *tracer, const struct span *span);

/** The oldest span, or NULL. Thread: the exporter's, as below. */
const struct span *tracer_peek(struct tracer *tracer);
void tracer_pop(struct tracer *tracer);

#endif
