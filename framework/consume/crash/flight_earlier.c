/* flight_earlier.c - what an earlier process left in its recorder, added to what is known here. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_event.h"
#include "consume/crash/crash_private.h"
#include "consume/crash/fault_signals.h"

/* Of a line of a backtrace. */
#define CALL_MAX 511

/* A text of a file that may be damaged. */
static struct warren_bytes text_in(const char text[FLIGHT_NAME_SIZE])
{
    return (struct warren_bytes){text, strnlen(text, FLIGHT_NAME_SIZE - 1)};
}

static bool is_free(const struct flight_report *report)
{
    return report->reason == FLIGHT_NO_REASON;
}

/* Keep a copy of report @number of @from. @return its number here; 0: none */
static uint32_t keep_report(struct flight *f, const struct flight_file *from, uint32_t number)
{
    const struct flight_report *old;

    if (number == 0 || number > FLIGHT_REPORTS)
        return 0;
    old = &from->reports[number - 1];
    if (is_free(old) || old->reason > FLIGHT_REASON_LAST)
        return 0;
    for (uint32_t i = FLIGHT_REPORTS_OWN; i < FLIGHT_REPORTS; i++) {
        struct flight_report *report = &f->file.reports[i];

        if (!is_free(report))
            continue;
        *report = *old;
        report->queue[sizeof report->queue - 1] = '\0';
        report->handler[sizeof report->handler - 1] = '\0';
        report->backtrace[sizeof report->backtrace - 1] = '\0';
        atomic_store(&report->done, 1);
        return i + 1;
    }
    return 0;
}

static void load_notes(struct flight *f, const struct flight_file *from, int64_t now_ms)
{
    uint32_t damaged = 0;

    for (uint32_t i = 0; i < from->head->note_count; i++) {
        struct flight_note note = from->notes[i];

        if (note.check == 0) /* free, or half written when the process died */
            continue;
        if (!flight_note_is_sound(&note)) {
            damaged++;
            continue;
        }
        if (now_ms - note.noted_ms > flight_note_kept_ms(&note))
            continue;
        note.report = keep_report(f, from, note.report);
        flight_notes_load(&f->notes, &note, true);
    }
    if (damaged > 0)
        log_event(WARREN_LOG_WARN,
                  "notes of an earlier process are damaged: attempts or crashes of some "
                  "messages may be forgotten",
                  LOG_INT("pid", from->head->pid), LOG_INT("notes", damaged));
}

static enum flight_state state_of(const struct flight_slot *slot)
{
    return (enum flight_state)(atomic_load(&slot->state) & FLIGHT_STATE_MASK);
}

static uint32_t level_of(const struct flight_slot *slot)
{
    return slot->level < 32 ? slot->level : 0;
}

/* If one of them is known to have done it, those that merely ran have not. */
static bool culprit_is_known(const struct flight_file *from)
{
    for (uint32_t i = 0; i < from->head->slot_count; i++)
        if (state_of(&from->slots[i]) >= FLIGHT_CRASHED)
            return true;
    return atomic_load(&from->head->landed) != 0;
}

void flight_log_calls(const struct flight_report *report)
{
    const char *at = report->backtrace;

    while (*at) {
        size_t len = strcspn(at, "\n");
        struct warren_bytes call = {at, len < CALL_MAX ? len : CALL_MAX};

        log_event(WARREN_LOG_ERROR, "backtrace", LOG_BYTES("call", call));
        at += len + (at[len] == '\n');
    }
}

static uint64_t begun_in(const struct flight_slot *slot)
{
    return atomic_load(&slot->state) / FLIGHT_STATE_STEP;
}

static bool has_fallen(const struct flight_file *from)
{
    return atomic_load(&from->head->fallen) && !atomic_load(&from->head->landed);
}

/* In all of the process. */
static uint64_t begun_by(const struct flight_file *from)
{
    uint64_t begun = 0;

    for (uint32_t i = 0; i < from->head->slot_count; i++)
        begun += begun_in(&from->slots[i]);
    return begun;
}

/* The one that ran alone, if none began after it: all others were settled before. */
static const struct flight_slot *only_one(const struct flight_file *from)
{
    uint64_t begun = begun_by(from);

    if (begun == 0 || begun != atomic_load(&from->head->alone_begun) ||
        from->head->alone_slot >= from->head->slot_count)
        return NULL;
    return &from->slots[from->head->alone_slot];
}

static bool is_suspected(const struct flight_file *from, const struct flight_slot *slot, bool known)
{
    enum flight_state state = state_of(slot);
    const struct flight_slot *only = only_one(from);

    if (state >= FLIGHT_CRASHED)
        return true;
    if (has_fallen(from))
        return begun_in(slot) > 0 && (!only || only == slot);
    return state == FLIGHT_RUNNING && !known;
}

/* Is it proven that this message did it? In a row of falls memory is being spoiled by somebody, so
 * only who has a process for itself is proven guilty; on the loop, if no handler had run. */
static bool is_sure(const struct flight_file *from, const struct flight_slot *slot)
{
    bool in_a_row = has_fallen(from) || atomic_load(&from->head->falls) > 0;

    if (!in_a_row || state_of(slot) == FLIGHT_STUCK)
        return true;
    if (slot->ahead)
        return begun_by(from) == 0;
    return only_one(from) == slot && begun_in(slot) == 1 &&
           atomic_load(&from->head->alone_begun) == 1;
}

/* It died without a report, so its suspects were not logged yet. */
static void tell_suspect(const struct flight_file *from, const struct flight_slot *slot)
{
    struct warren_bytes id = flight_message_id(slot->message_id, slot->id_len);

    if (id.len == 0)
        id.data = NULL;
    log_event(WARREN_LOG_WARN,
              has_fallen(from) ? "message was the last of its thread when the process fell"
                               : "message was in a handler when the process was killed",
              LOG_INT("pid", from->head->pid), LOG_BYTES("queue", text_in(slot->queue)),
              LOG_BYTES("handler", text_in(slot->handler)), LOG_BYTES("message_id", id));
}

static enum flight_reason reason_of(const struct flight_file *from, const struct flight_slot *slot)
{
    if (state_of(slot) == FLIGHT_CRASHED)
        return slot->ahead ? FLIGHT_AHEAD : FLIGHT_SIGNAL;
    if (state_of(slot) == FLIGHT_STUCK)
        return FLIGHT_LIMIT;
    return has_fallen(from) ? FLIGHT_FALL : FLIGHT_KILLED;
}

/* What it was suspected of is in its note, unless that was forgotten with the ack on its way. */
static bool is_noted(const struct flight_file *from, const struct identity *message)
{
    for (uint32_t i = 0; i < from->head->note_count; i++)
        if (from->notes[i].check && from->notes[i].crashes > 0 &&
            identity_equal(&from->notes[i].message, message) &&
            flight_note_is_sound(&from->notes[i]))
            return true;
    return false;
}

/* Its process had no time to. @number of its report here; 0: there is none */
static void tell_ahead(const struct flight *f, const struct flight_slot *slot, uint32_t number)
{
    const struct flight_report *report = number ? &f->file.reports[number - 1] : NULL;

    log_event(
        WARREN_LOG_ERROR,
        "process crashed in a plugin's `key` or `before`, on the event loop: it ended at once",
        LOG_BYTES("queue", text_in(slot->queue)), LOG_BYTES("handler", text_in(slot->handler)),
        LOG_BYTES("message_id", flight_message_id(slot->message_id, slot->id_len)),
        LOG_TEXT("signal", report ? fault_signal_name(report->signal) : NULL));
    if (report)
        flight_log_calls(report);
}

static void load_slot(struct flight *f, const struct flight_file *from,
                      const struct flight_slot *slot, uint32_t fall_report, int64_t now_ms)
{
    enum flight_state state = state_of(slot);
    bool reported = state >= FLIGHT_CRASHED;
    bool sure = is_sure(from, slot);
    uint32_t before = is_noted(from, &slot->message) ? 0 : slot->crashes;
    struct flight_note note = {.message = slot->message, .first_ms = now_ms, .noted_ms = now_ms};

    note.reason = reason_of(from, slot);
    if (note.reason == FLIGHT_KILLED)
        flight_count(f, TALLY_KILLED);
    /* It was one of many, and is looked for among half of them. */
    note.reason |= level_of(slot) << FLIGHT_LEVEL_SHIFT;
    if (level_of(slot) > 0)
        note.crashes = before;
    else
        note.crashes = sure ? before + 1 : before > 1 ? before : 1;
    note.report = reported ? keep_report(f, from, atomic_load(&slot->report)) : fall_report;
    /* Who was only near has not failed. */
    note.failed = level_of(slot) == 0 && (reported || (slot->alone && sure));
    flight_notes_load(&f->notes, &note, sure);
    if (level_of(slot) > 0)
        return; /* all of them at once: tell_batches() */
    if (!reported)
        tell_suspect(from, slot);
    else if (slot->ahead)
        tell_ahead(f, slot, note.report);
}

/* @return the number of what is kept of its report; 0: none */
static uint32_t tell_fall(struct flight *f, const struct flight_file *from)
{
    uint32_t number = keep_report(f, from, atomic_load(&from->head->fall_report));
    const struct flight_report *report = number ? &f->file.reports[number - 1] : NULL;
    bool by_signal = report && report->signal;
    char address[24];

    if (by_signal)
        snprintf(address, sizeof address, "0x%llx", (unsigned long long)report->address);
    log_event(WARREN_LOG_ERROR,
              "process fell outside of its handlers: the last message of each thread is suspected, "
              "and runs alone",
              LOG_INT("pid", from->head->pid), LOG_INT("falls", atomic_load(&from->head->falls)),
              LOG_TEXT("signal", by_signal ? fault_signal_name(report->signal) : NULL),
              LOG_TEXT("address", by_signal ? address : NULL));
    if (report)
        flight_log_calls(report);
    return number;
}

static void tell_batches(const struct flight_file *from, bool known)
{
    uint32_t count = 0;
    uint32_t level = 0;

    for (uint32_t i = 0; i < from->head->slot_count; i++) {
        const struct flight_slot *slot = &from->slots[i];
        uint32_t its = level_of(slot);

        if (its == 0 || !is_suspected(from, slot, known))
            continue;
        count++;
        level = its > level ? its : level;
    }
    if (level > 0)
        log_event(WARREN_LOG_WARN,
                  "messages were in batches that crashed, or when the process died: they are tried "
                  "again in batches of half the size",
                  LOG_INT("pid", from->head->pid), LOG_INT("messages", count),
                  LOG_INT("most", INT64_C(1) << (level - 1)));
}

/* What belongs to the row of falls, which a process that lived in peace has ended. */
static void load_falls(struct flight *f, const struct flight_file *from, int64_t now_ms)
{
    uint32_t falls = atomic_load(&from->head->falls);

    if (falls <= atomic_load(&f->file.head->falls) ||
        (!has_fallen(from) && now_ms - from->head->fallen_ms > FLIGHT_CALM_MS))
        return;
    atomic_store(&f->file.head->falls, falls);
    f->file.head->fallen_ms = from->head->fallen_ms;
}

void flight_load(void *user, const struct flight_file *from)
{
    struct flight *f = user;
    int64_t now_ms = clock_wall_ms();
    bool known = culprit_is_known(from);
    uint32_t fall_report = 0;

    if (!f->notes.file && flight_notes_init(&f->notes, &f->file) != WARREN_OK)
        return;
    flight_notes_source(&f->notes);
    load_notes(f, from, now_ms);
    flight_notes_source(&f->notes);
    if (has_fallen(from))
        fall_report = tell_fall(f, from);
    for (uint32_t i = 0; i < from->head->slot_count; i++)
        if (is_suspected(from, &from->slots[i], known))
            load_slot(f, from, &from->slots[i], fall_report, now_ms);
    tell_batches(from, known);
    load_falls(f, from, now_ms);
    for (unsigned i = 0; i < FLIGHT_TALLIES; i++)
        atomic_fetch_add(&f->file.head->tallies[i], atomic_load(&from->head->tallies[i]));
    if (from->head->restarts.last_ms >= f->file.head->restarts.last_ms)
        f->file.head->restarts = from->head->restarts;
}

void flight_refuse(void *user, const char *path, const char *why)
{
    (void)user;
    log_event(WARREN_LOG_WARN,
              "flight recorder of an earlier process is of no use and is removed: which messages "
              "its handlers had is not known",
              LOG_TEXT("file", path), LOG_TEXT("error", why));
}

void flight_bury(void *user, const char *path)
{
    (void)user;
    log_event(WARREN_LOG_INFO,
              "flight recorder of another broker, or of other queues, is removed: no process has "
              "had it for a week",
              LOG_TEXT("file", path));
}
