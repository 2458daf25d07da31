/* flight_earlier.c - what an earlier process left in its recorder, added to what is known here. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "consume/flight_private.h"

/* A text of a file that may be damaged. */
static void copy_text(char *to, const char *from, size_t size)
{
    size_t len = strnlen(from, size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
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
    if (is_free(old) || old->reason > FLIGHT_KILLED)
        return 0;
    for (uint32_t i = FLIGHT_REPORTS_OWN; i < FLIGHT_REPORTS; i++) {
        struct flight_report *report = &f->file.reports[i];

        if (!is_free(report))
            continue;
        report->signal = old->signal;
        report->code = old->code;
        report->attempt = old->attempt;
        report->address = old->address;
        report->at_ms = old->at_ms;
        copy_text(report->queue, old->queue, sizeof report->queue);
        copy_text(report->handler, old->handler, sizeof report->handler);
        memcpy(report->message_id, old->message_id, sizeof report->message_id);
        report->id_len = old->id_len;
        copy_text(report->backtrace, old->backtrace, sizeof report->backtrace);
        atomic_store(&report->done, 1);
        report->reason = old->reason;
        return i + 1;
    }
    return 0;
}

static void warn_of_damage(const struct flight_file *from, uint32_t notes)
{
    struct log_line line;

    log_begin(&line, WARREN_LOG_WARN,
              "notes of an earlier process are damaged: attempts or crashes of so many messages "
              "may be forgotten");
    log_int(&line, "pid", from->head->pid);
    log_int(&line, "notes", notes);
    log_end(&line);
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
        if (now_ms - note.noted_ms > FLIGHT_NOTE_KEPT_MS)
            continue;
        note.report = keep_report(f, from, note.report);
        flight_notes_load(&f->notes, &note);
    }
    if (damaged > 0)
        warn_of_damage(from, damaged);
}

static enum flight_state state_of(const struct flight_slot *slot)
{
    return (enum flight_state)(atomic_load(&slot->state) & FLIGHT_STATE_MASK);
}

/* If one of them is known to have done it, those that merely ran have not. */
static bool culprit_is_known(const struct flight_file *from)
{
    for (uint32_t i = 0; i < from->head->slot_count; i++)
        if (state_of(&from->slots[i]) >= FLIGHT_CRASHED)
            return true;
    return atomic_load(&from->head->landed) != 0;
}

/* It died without a word, so nobody has told of them yet. */
static void tell_running(const struct flight_file *from, const struct flight_slot *slot)
{
    struct warren_bytes id = flight_message_id(slot->message_id, slot->id_len);
    char text[FLIGHT_NAME_SIZE];
    struct log_line line;

    log_begin(&line, WARREN_LOG_WARN, "message was in a handler when the process was killed");
    log_int(&line, "pid", from->head->pid);
    copy_text(text, slot->queue, sizeof text);
    log_text(&line, "queue", text);
    copy_text(text, slot->handler, sizeof text);
    log_text(&line, "handler", text);
    if (id.len > 0)
        log_bytes(&line, "message_id", id);
    log_end(&line);
}

static void load_slot(struct flight *f, const struct flight_file *from,
                      const struct flight_slot *slot, int64_t now_ms)
{
    enum flight_state state = state_of(slot);
    struct flight_note note = {
        .message = slot->message, .crashes = 1, .first_ms = now_ms, .noted_ms = now_ms};

    note.reason = state == FLIGHT_CRASHED ? FLIGHT_SIGNAL
                  : state == FLIGHT_STUCK ? FLIGHT_LIMIT
                                          : FLIGHT_KILLED;
    note.report = keep_report(f, from, atomic_load(&slot->report));
    /* Who was only near has not failed. */
    note.failed = state != FLIGHT_RUNNING || slot->alone;
    flight_notes_load(&f->notes, &note);
    if (state == FLIGHT_RUNNING)
        tell_running(from, slot);
}

void flight_load(void *user, const struct flight_file *from)
{
    struct flight *f = user;
    int64_t now_ms = clock_wall_ms();
    bool known = culprit_is_known(from);

    if (!f->notes.file && flight_notes_init(&f->notes, &f->file) != WARREN_OK)
        return;
    flight_notes_source(&f->notes);
    load_notes(f, from, now_ms);
    flight_notes_source(&f->notes);
    for (uint32_t i = 0; i < from->head->slot_count; i++) {
        enum flight_state state = state_of(&from->slots[i]);

        if (state >= FLIGHT_CRASHED || (state == FLIGHT_RUNNING && !known))
            load_slot(f, from, &from->slots[i], now_ms);
    }
    if (from->head->restarts.last_ms >= f->file.head->restarts.last_ms)
        f->file.head->restarts = from->head->restarts;
}

void flight_refuse(void *user, const char *path, const char *why)
{
    struct log_line line;

    (void)user;
    log_begin(&line, WARREN_LOG_WARN,
              "flight recorder of an earlier process is of no use and is removed: which messages "
              "its handlers had is not known");
    log_text(&line, "file", path);
    log_text(&line, "error", why);
    log_end(&line);
}
