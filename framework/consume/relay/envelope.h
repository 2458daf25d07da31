/* envelope.h - the properties of a message's copy that warren publishes in its place: what they
 * were, without the notes of its way so far, and with those of now.
 *
 * The broker acts on some of what it is given, so the copy has it as a header: `expiration` (a dead
 * letter would vanish, a delay be cut short), `user_id` (only its user may send it), the header CC
 * (further queues would get the copy).
 * The headers always fit into a frame. Of a dead letter first the backtrace and the error text are
 * cut, then, as the last resort, the largest of the message's own headers are left out and named.
 * What is to be attempted again keeps all of its own, or there is no copy.
 * Thread: any. Elsewhere: publishing it (relay.h), reading it again (history.h).
 */
#ifndef WARREN_CONSUME_ENVELOPE_H
#define WARREN_CONSUME_ENVELOPE_H

#include <warren/message.h>

#include "base/arena.h"

/** No error text and no backtrace is longer, whatever room there is. */
#define ENVELOPE_TEXT_MAX 32768

/** What the copy says. A text may be NULL: then the note is left out. All are borrowed. */
struct envelope_facts {
    const char *queue;
    const char *exchange; /* where it was published first, */
    const char *routing_key;
    uint64_t attempts;        /* that failed */
    uint64_t first_failure_s; /* since 1970; 0: none */
    uint32_t replays;
    bool copied;       /* the message is a copy of warren's: what that has put aside counts */
    const char *trace; /* traceparent of the attempt that it follows */

    /* Of a dead letter alone. */
    const char *reason; /* REASON_*; NULL: it is none */
    const char *handler;
    const char *error;
    const char *signal;
    const char *backtrace;
    uint64_t last_failure_s;
    const char *host;
    const char *version;
};

/**
 * @arena           memory; it knows the lengths of texts in @original and @facts that hold a NUL
 * @max             bytes that the encoded property list may have
 * @ret_properties  refers to @original and @facts, and to memory of @arena
 * @return          WARREN_OK; WARREN_ETOOBIG: a copy that is no dead letter does not fit, or one
 *                  that is does not even without any header of the message's own; WARREN_ENOMEM
 */
enum warren_status envelope_make(const struct warren_properties *original,
                                 const struct envelope_facts *facts, size_t max,
                                 struct arena *arena, struct warren_properties *ret_properties);

#endif
