/* stream_offsets.h - which messages of a stream are settled, by their offsets, and so where to
 * consume from when the channel or the process is another one.
 *
 * A stream hands nothing out twice by itself and takes nothing back: a consumer says where it
 * begins. Kept here: the offsets that came and are not settled, and the one above all that came.
 * Thread: the loop's, but stream_offsets_begin(). Owner: struct consumer embeds one.
 * Elsewhere: asking the broker (consumer_stream.c), the file (app/worker_streams.h).
 */
#ifndef WARREN_AMQP_STREAM_OFFSETS_H
#define WARREN_AMQP_STREAM_OFFSETS_H

#include <stdatomic.h>

#include <warren/message.h>
#include <warren/status.h>

/**
 * Where to begin in a stream: an offset; or, negative, a time: minus the seconds since 1970; or
 * wherever the subscription's arguments say.
 */
typedef int64_t stream_begin;
#define STREAM_AS_CONFIGURED INT64_MIN

/** The argument of basic.consume, and the header of each delivery. */
#define STREAM_OFFSET "x-stream-offset"

/**
 * Where a subscription with these @arguments, made from now on, is to begin later as long as
 * nothing has come. If they name the newest message, that is another one by then: so a time, a
 * minute ago, for the broker's clock may differ. Else STREAM_AS_CONFIGURED.
 */
stream_begin stream_begin_later(const struct warren_table *arguments);

/** What delivery_offset is where there is none. */
#define STREAM_NO_OFFSET UINT64_MAX

struct stream_offsets {
    uint64_t *open; /* came, and are not settled: [first, end), ascending */
    uint32_t first;
    uint32_t end;
    uint32_t capacity;
    uint64_t next;               /* above all that came */
    stream_begin cursor;         /* where this channel goes on */
    _Atomic(stream_begin) begin; /* where the next one begins: the lowest that is open, or next */
};

/** All before @begin is settled. No memory is taken. */
void stream_offsets_init(struct stream_offsets *offsets, stream_begin begin);
void stream_offsets_done(struct stream_offsets *offsets);

/** A subscription begins as configured: if nothing comes, the next one does at @later. */
void stream_offsets_begun(struct stream_offsets *offsets, stream_begin later);

/** A new channel: what is not settled is to come again on it. */
void stream_offsets_restart(struct stream_offsets *offsets);

/**
 * @offset came.
 *
 * @ret_settled  it was settled before: nobody needs to see it
 * @return       WARREN_OK or WARREN_ENOMEM
 */
enum warren_status stream_offsets_came(struct stream_offsets *offsets, uint64_t offset,
                                       bool *ret_settled);

/** Harmless to repeat, and for STREAM_NO_OFFSET. */
void stream_offsets_settled(struct stream_offsets *offsets, uint64_t offset);

/** Nothing below is not settled. Thread: any. */
static inline stream_begin stream_offsets_begin(const struct stream_offsets *offsets)
{
    return atomic_load_explicit(&offsets->begin, memory_order_relaxed);
}

#endif
