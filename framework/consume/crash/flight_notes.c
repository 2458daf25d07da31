/* flight_notes.c - see flight_notes.h. */
#include "consume/crash/flight_notes.h"

#include <stdlib.h>
#include <string.h>

/* Looking for notes that are too old goes through all of them. */
#define SWEEP_EVERY_MS 60000

static uint64_t checksum(const struct flight_note *note)
{
    uint64_t hash = identity_hash(note, offsetof(struct flight_note, check), 0);

    return hash ? hash : 1;
}

bool flight_note_is_sound(const struct flight_note *note)
{
    return note->check == checksum(note) && flight_note_reason(note) <= FLIGHT_REASON_LAST &&
           flight_note_level(note) < 32 && note->report <= FLIGHT_REPORTS;
}

/* ---- the index ---- */

static uint32_t home_of(const struct flight_notes *n, const struct identity *message)
{
    return (uint32_t)message->low & n->index_mask;
}

/* The next place from @at on that has @message or is empty. */
static uint32_t *place_from(const struct flight_notes *n, const struct identity *message,
                            uint32_t at)
{
    while (n->index[at] && !identity_equal(&n->file->notes[n->index[at] - 1].message, message))
        at = (at + 1) & n->index_mask;
    return &n->index[at];
}

/* Where @message is, or the empty place where it would be. */
static uint32_t *place_of(const struct flight_notes *n, const struct identity *message)
{
    return place_from(n, message, home_of(n, message));
}

/* Where an equal message is, or the empty place behind all of them. */
static uint32_t *place_behind(const struct flight_notes *n, const struct identity *message,
                              const uint32_t *place)
{
    return place_from(n, message, ((uint32_t)(place - n->index) + 1) & n->index_mask);
}

/* Move up what would not be found any more behind the hole. */
static void take_out(struct flight_notes *n, uint32_t *place)
{
    uint32_t hole = (uint32_t)(place - n->index);

    for (uint32_t at = (hole + 1) & n->index_mask; n->index[at]; at = (at + 1) & n->index_mask) {
        uint32_t home = home_of(n, &n->file->notes[n->index[at] - 1].message);

        if (((at - home) & n->index_mask) < ((at - hole) & n->index_mask))
            continue;
        n->index[hole] = n->index[at];
        hole = at;
    }
    n->index[hole] = 0;
}

/* ---- one note ---- */

static struct flight_note *note_at(const struct flight_notes *n, uint32_t number)
{
    return &n->file->notes[number - 1];
}

/* The checksum last: a note half written is none. */
static void write_note(struct flight_note *to, const struct flight_note *note)
{
    to->check = 0;
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(to, note, offsetof(struct flight_note, check));
    atomic_signal_fence(memory_order_seq_cst);
    to->check = checksum(note);
}

static void count(_Atomic uint32_t *counter, int by)
{
    atomic_fetch_add_explicit(counter, (uint32_t)by, memory_order_relaxed);
}

/* A number for @message, which has none. 0: there is no room. */
static uint32_t add(struct flight_notes *n, uint32_t *place, const struct identity *message)
{
    struct flight_note note = {.message = *message};
    uint32_t number;

    if (n->unused_count == 0)
        return 0;
    number = n->unused[--n->unused_count];
    *place = number;
    n->at_hand[number - 1] = false;
    write_note(note_at(n, number), &note);
    count(&n->awaited, 1);
    return number;
}

static void forget(struct flight_notes *n, uint32_t number)
{
    struct flight_note *note = note_at(n, number);
    uint32_t *place = place_of(n, &note->message);

    while (*place != number)
        place = place_behind(n, &note->message, place);
    take_out(n, place);
    if (!n->at_hand[number - 1])
        count(&n->awaited, -1);
    if (flight_note_is_suspect(note))
        count(&n->suspects, -1);
    memset(note, 0, sizeof *note);
    n->unused[n->unused_count++] = number;
}

static void sweep(struct flight_notes *n, int64_t now_ms)
{
    if (now_ms - n->swept_ms < SWEEP_EVERY_MS)
        return;
    n->swept_ms = now_ms;
    for (uint32_t number = 1; number <= n->file->head->note_count; number++) {
        const struct flight_note *note = note_at(n, number);

        if (note->check && !n->at_hand[number - 1] &&
            now_ms - note->noted_ms > flight_note_kept_ms(note))
            forget(n, number);
    }
}

/* ---- life ---- */

static uint32_t index_size(uint32_t notes)
{
    uint32_t size = 16;

    while (size < 2 * notes)
        size *= 2;
    return size;
}

enum warren_status flight_notes_init(struct flight_notes *n, struct flight_file *file)
{
    uint32_t total = file->head->note_count;
    uint32_t size = index_size(total);

    *n = (struct flight_notes){.file = file, .index_mask = size - 1};
    pthread_mutex_init(&n->lock, NULL);
    n->index = calloc(size, sizeof *n->index);
    n->unused = calloc((size_t)total + 1, sizeof *n->unused);
    n->at_hand = calloc((size_t)total + 1, sizeof *n->at_hand);
    n->loaded = calloc((size_t)total + 1, sizeof *n->loaded);
    if (!n->index || !n->unused || !n->at_hand || !n->loaded)
        return WARREN_ENOMEM;
    while (n->unused_count < total) {
        n->unused[n->unused_count] = total - n->unused_count;
        n->unused_count++;
    }
    return WARREN_OK;
}

void flight_notes_done(struct flight_notes *n)
{
    if (n->file)
        pthread_mutex_destroy(&n->lock);
    free(n->index);
    free(n->unused);
    free(n->at_hand);
    free(n->loaded);
    *n = (struct flight_notes){0};
}

static uint32_t sum(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

void flight_notes_source(struct flight_notes *n)
{
    n->source++;
}

void flight_notes_load(struct flight_notes *n, const struct flight_note *more, bool sure)
{
    uint32_t *place = place_of(n, &more->message);
    struct flight_note note;
    bool was_suspect;
    uint32_t number;

    while (*place && n->loaded[*place - 1] == n->source)
        place = place_behind(n, &more->message, place);
    number = *place ? *place : add(n, place, &more->message);
    if (number == 0)
        return;
    n->loaded[number - 1] = n->source;
    note = *note_at(n, number);
    was_suspect = flight_note_is_suspect(&note);
    note.failed = sum(note.failed, more->failed);
    if (sure || note.crashes < more->crashes)
        note.crashes = sure ? sum(note.crashes, more->crashes) : more->crashes;
    if (note.first_ms == 0 || more->first_ms < note.first_ms)
        note.first_ms = more->first_ms;
    if (more->noted_ms >= note.noted_ms) {
        note.noted_ms = more->noted_ms;
        note.reason = more->reason ? more->reason : note.reason;
        note.report = more->report ? more->report : note.report;
    }
    count(&n->suspects, flight_note_is_suspect(&note) - was_suspect);
    write_note(note_at(n, number), &note);
}

/* ---- while messages come and go ---- */

uint32_t flight_notes_claim(struct flight_notes *n, const struct identity *message, int64_t now_ms,
                            struct flight_note *ret_note)
{
    uint32_t *place;
    uint32_t number;

    pthread_mutex_lock(&n->lock);
    sweep(n, now_ms);
    place = place_of(n, message);
    while (*place && n->at_hand[*place - 1]) /* another message with the same id */
        place = place_behind(n, message, place);
    number = *place;
    if (number) {
        n->at_hand[number - 1] = true;
        count(&n->awaited, -1);
        *ret_note = *note_at(n, number);
    }
    pthread_mutex_unlock(&n->lock);
    return number;
}

void flight_notes_get(struct flight_notes *n, uint32_t number, struct flight_note *ret_note)
{
    pthread_mutex_lock(&n->lock);
    *ret_note = *note_at(n, number);
    pthread_mutex_unlock(&n->lock);
}

static uint32_t take_up(struct flight_notes *n, const struct identity *message)
{
    uint32_t *place = place_of(n, message);
    uint32_t number = *place ? 0 : add(n, place, message);

    if (number == 0)
        return 0;
    n->at_hand[number - 1] = true;
    count(&n->awaited, -1);
    return number;
}

uint32_t flight_notes_failed(struct flight_notes *n, uint32_t number,
                             const struct identity *message, uint32_t failed, int64_t now_ms)
{
    struct flight_note note;

    pthread_mutex_lock(&n->lock);
    if (number == 0)
        number = take_up(n, message);
    if (number) {
        note = *note_at(n, number);
        note.failed = failed;
        note.noted_ms = now_ms;
        if (note.first_ms == 0)
            note.first_ms = now_ms;
        write_note(note_at(n, number), &note);
    }
    pthread_mutex_unlock(&n->lock);
    return number;
}

void flight_notes_await(struct flight_notes *n, uint32_t number, bool copy)
{
    struct flight_note note;

    pthread_mutex_lock(&n->lock);
    if (copy) {
        note = *note_at(n, number);
        note.failed = 0;
        write_note(note_at(n, number), &note);
    }
    n->at_hand[number - 1] = false;
    count(&n->awaited, 1);
    pthread_mutex_unlock(&n->lock);
}

void flight_notes_forget(struct flight_notes *n, uint32_t number)
{
    pthread_mutex_lock(&n->lock);
    forget(n, number);
    pthread_mutex_unlock(&n->lock);
}

uint32_t flight_notes_count(struct flight_notes *n)
{
    uint32_t used;

    pthread_mutex_lock(&n->lock);
    used = n->file->head->note_count - n->unused_count;
    pthread_mutex_unlock(&n->lock);
    return used;
}
