/* flight_notes.h - what the flight recorder remembers of messages that are not settled: failed
 * attempts, and crashes. Found again when the broker delivers such a message anew.
 *
 *   noted, and with a delivery here   [at hand]   the number of the note stands in the delivery
 *   noted, and with the broker        [awaited]   to be claimed by the delivery that comes
 *
 * Bound: the notes of the file; what does not fit is not remembered.
 * Thread: any, but flight_notes_load() and life. A lock is taken only for a message that is noted
 * or failed, or while some are awaited.
 */
#ifndef WARREN_CONSUME_FLIGHT_NOTES_H
#define WARREN_CONSUME_FLIGHT_NOTES_H

#include <pthread.h>

#include "consume/crash/flight_file.h"

/** A note whose message does not come is forgotten after this; another worker has settled it. */
#define FLIGHT_NOTE_KEPT_MS (INT64_C(24) * 3600 * 1000)
/** The same for those of FLIGHT_FALL, of which most were settled long ago. */
#define FLIGHT_FALL_KEPT_MS (INT64_C(600) * 1000)

struct flight_notes {
    struct flight_file *file;
    pthread_mutex_t lock; /* guards the next block, and the notes of the file */
    uint32_t *index;      /* by identity, open addressing: number + 1; 0: empty */
    uint32_t index_mask;
    uint32_t *unused; /* a stack of numbers */
    uint32_t unused_count;
    bool *at_hand;
    int64_t swept_ms;
    uint32_t *loaded; /* the last source of each note */
    uint32_t source;

    _Atomic uint32_t awaited;
    _Atomic uint32_t suspects; /* awaited or at hand; see flight_note_is_suspect() */
};

/** Empty. WARREN_OK or WARREN_ENOMEM. */
enum warren_status flight_notes_init(struct flight_notes *notes, struct flight_file *file);
/** Zeroed is fine. */
void flight_notes_done(struct flight_notes *notes);

/**
 * What is loaded from now on is from another source: the notes of one earlier process, or what its
 * threads were doing. Of one source, what is equal are several messages; of several ones it is the
 * same message, which one death of a process counts against once.
 */
void flight_notes_source(struct flight_notes *notes);
/**
 * Add what @note says: to one of that message from another source, or as a new one.
 *
 * @sure  its crashes are proven, and add up; else they only make a suspect of who is none
 */
void flight_notes_load(struct flight_notes *notes, const struct flight_note *note, bool sure);

/** Is there anything that flight_notes_claim() could find? */
static inline bool flight_notes_any(const struct flight_notes *notes)
{
    return atomic_load_explicit(&notes->awaited, memory_order_relaxed) > 0;
}

/**
 * A delivery of @message came.
 *
 * @ret_note  a copy
 * @return    the number of its note, which is at hand now; 0: none is awaited
 */
uint32_t flight_notes_claim(struct flight_notes *notes, const struct identity *message,
                            int64_t now_ms, struct flight_note *ret_note);
/** A copy of the note @number, which is at hand. */
void flight_notes_get(struct flight_notes *notes, uint32_t number, struct flight_note *ret_note);
/**
 * @failed attempts so far.
 *
 * @number  of its note; 0: it has none
 * @return  the number of its note; 0: there is no room, or another delivery is the same message
 */
uint32_t flight_notes_failed(struct flight_notes *notes, uint32_t number,
                             const struct identity *message, uint32_t failed, int64_t now_ms);
/**
 * The message goes back to the broker: await it.
 *
 * @copy  what comes is a copy, whose headers say how often it failed
 */
void flight_notes_await(struct flight_notes *notes, uint32_t number, bool copy);
/** It is settled: forget it. */
void flight_notes_forget(struct flight_notes *notes, uint32_t number);
/** How many notes there are. */
uint32_t flight_notes_count(struct flight_notes *notes);

/** How long it is kept if its message does not come. */
static inline int64_t flight_note_kept_ms(const struct flight_note *note)
{
    return flight_note_reason(note) == FLIGHT_FALL ? FLIGHT_FALL_KEPT_MS : FLIGHT_NOTE_KEPT_MS;
}

/** Is @note as it was written? */
bool flight_note_is_sound(const struct flight_note *note);

#endif
