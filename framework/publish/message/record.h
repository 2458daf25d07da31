/* record.h - one message on its way: encoded once, on the thread that published it, into a single
 * allocation that can be written to any number of connections.
 *
 * It holds ready frames: basic.publish, the content header, and the body as one frame. Only the
 * channel number is filled in when they are written; a body above the connection's frame_max is
 * cut into frames then.
 * Thread: one owner at a time: the caller, the incoming list, then the publisher's window.
 */
#ifndef WARREN_PUBLISH_RECORD_H
#define WARREN_PUBLISH_RECORD_H

#include <warren/publisher.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"

/* The frame_max that warren proposes; properties must fit in one such frame. */
#define RECORD_FRAME_MAX 131072

struct delay;
/** Bytes that the property list may have in a frame of @frame_max. */
size_t record_properties_max(uint32_t frame_max);

/** What a record is made of; its id also stands in its properties, or in NOTE_COPY. Borrowed. */
struct record_parts {
    struct warren_bytes exchange;
    struct warren_bytes routing_key;
    struct warren_bytes id;
    struct warren_bytes properties; /* as on the wire */
    struct warren_bytes body;
    bool mandatory;
};

struct record {
    struct list link;
    uint64_t seq;        /* the order of publishing, from 1 */
    uint64_t tag;        /* delivery tag of this generation; 0: queued */
    uint32_t timeout_ms; /* its life from entering the window on; 0: for ever */
    int64_t deadline_ms; /* that, by the monotonic clock; INT64_MAX: none */
    warren_receipt_fn *on_receipt;
    void *user;
    char *reply_text;    /* of the return, or NULL */
    struct delay *delay; /* it goes to the delay queues (delay.h); NULL: an ordinary one */
    int64_t spool_id;    /* of its row on disk (spooler.h); 0: it is in memory alone */
    int64_t leave_ms;    /* spooled: its receipt comes at this time, if not before */
    int64_t sent_ns;     /* when its writing began last, by the monotonic clock */
    uint32_t sends;
    uint16_t reply_code;
    uint8_t internal_errors; /* of the broker, while it alone was in flight */
    bool aside;    /* not in the window: it has room nowhere, only its receipt is to come */
    bool once;     /* a request: never sent again, for its reply could not come */
    bool returned; /* basic.return has come, its ack has not */
    bool begun;    /* the frames before the body are written in this generation */
    enum warren_result result;
    uint8_t id_len;

    size_t body_len;
    size_t body_written;
    uint32_t growth;    /* room in its header's frame for what the broker adds (growth.h) */
    uint32_t header_at; /* offsets in data: the content header's frame, */
    uint32_t body_at;   /* the body's frame (absent if the body is empty), */
    size_t id_at;       /* the message id, with a NUL; also the end of the frames */
    uint8_t data[];     /* from 0: the frame of basic.publish */
};

enum record_kind {
    RECORD_OWN,
    /** Of a message that came from the broker: where that has no message id, it gets none, and what
     * it is known by stands in NOTE_COPY (notes.h). */
    RECORD_COPY
};

/**
 * Encode @publish: defaults for delivery mode, mandatory and message id are applied here.
 *
 * @texts     knows the lengths of texts that hold a NUL, as arena_bytes() gives them; may be NULL
 * @max_size  largest record_size() that is accepted
 * @return    WARREN_OK; WARREN_EINVAL, WARREN_ETOOBIG, WARREN_ENOMEM
 * Thread: any; scratch memory is kept for each thread until it ends.
 */
enum warren_status record_new(const struct warren_publish *publish, const struct arena *texts,
                              enum record_kind kind, size_t max_size, struct record **ret_record);
/**
 * As record_new() would, from parts that record_parts() once gave, and that were somewhere else
 * since: they are proven.
 *
 * @ret_why  static storage, with WARREN_EINVAL
 * @return   WARREN_OK; WARREN_EINVAL (no record has such parts), WARREN_ENOMEM
 */
enum warren_status record_restore(const struct record_parts *parts, struct record **ret_record,
                                  const char **ret_why);
void record_parts(const struct record *record, struct record_parts *parts);

/** One that is aside and has nothing but this id, of at most 255 bytes. NULL: no memory. */
struct record *record_of_id(struct warren_bytes id);
/**
 * Take the receipt off @record, as a record of its own that is aside: it has nothing but an id.
 *
 * @return NULL: no memory, nothing changed
 */
struct record *record_receipt_only(struct record *record);

/** NULL is fine. */
void record_free(struct record *record);

/** What it counts against a bound by bytes: all its frames. */
static inline size_t record_size(const struct record *record)
{
    return record->id_at;
}

/** The message id as a C string; with its length: record_id_bytes(). */
static inline const char *record_id(const struct record *record)
{
    return (const char *)record->data + record->id_at;
}

static inline struct warren_bytes record_id_bytes(const struct record *record)
{
    struct warren_bytes id = {record_id(record), record->id_len};

    return id;
}

/** It is nothing but an id and a receipt. */
static inline bool record_is_id(const struct record *record)
{
    return record->header_at == 0;
}

/** Exchange and routing key as they stand in basic.publish; not of one that is but an id. */
struct warren_bytes record_exchange(const struct record *record);
struct warren_bytes record_routing_key(const struct record *record);

/** Its properties, and their growth, fit into one frame of a connection with @frame_max. */
static inline bool record_fits(const struct record *record, uint32_t frame_max)
{
    return (uint64_t)record->body_at - record->header_at + record->growth <= frame_max;
}

/** Some of its frames are written and some are not: nothing else may be sent on the channel. */
static inline bool record_half_written(const struct record *record)
{
    return record->begun && record->body_written < record->body_len;
}

/** As if it was never written. */
static inline void record_rewind(struct record *record)
{
    record->begun = false;
    record->body_written = 0;
    record->tag = 0;
}

/**
 * Append frames to @out, from where the last call stopped, until everything is written or @out
 * holds more than @high bytes: see record_half_written().
 *
 * It must fit: see record_fits().
 *
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status record_write(struct record *record, struct buffer *out, uint16_t channel,
                                uint32_t frame_max, size_t high);

#endif
