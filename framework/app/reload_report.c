/* reload_report.c - see reload_report.h. */
#include "app/reload_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- notes ---- */

static void add(struct reload_notes *notes, const char *why, const char *format, va_list arguments)
{
    struct reload_note note = {NULL, NULL};
    struct reload_note *items;

    notes->count++;
    if (notes->kept == RELOAD_NOTES_MAX)
        return;
    items = realloc(notes->items, (notes->kept + 1) * sizeof *items);
    if (!items)
        return;
    notes->items = items;
    if (vasprintf(&note.what, format, arguments) < 0)
        return;
    note.why = why ? strdup(why) : NULL;
    notes->items[notes->kept++] = note;
}

static void forget(struct reload_notes *notes)
{
    for (size_t i = 0; i < notes->kept; i++) {
        free(notes->items[i].what);
        free(notes->items[i].why);
    }
    free(notes->items);
    *notes = (struct reload_notes){NULL, 0, 0};
}

void reload_report_changed(struct reload_report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(&report->changed, NULL, format, arguments);
    va_end(arguments);
    report->result = RELOAD_CHANGED;
}

void reload_report_fixed(struct reload_report *report, const char *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(&report->fixed, why, format, arguments);
    va_end(arguments);
}

void reload_report_undone(struct reload_report *report)
{
    forget(&report->changed);
    forget(&report->fixed);
}

void reload_report_refuse(struct reload_report *report, bool busy, const char *why)
{
    reload_report_undone(report);
    report->result = RELOAD_REFUSED;
    report->busy = busy;
    snprintf(report->refusal, sizeof report->refusal, "%s", why);
}

void reload_report_done(struct reload_report *report)
{
    reload_report_undone(report);
}

/* ---- what is told ---- */

const char *reload_result_name(enum reload_result result)
{
    static const char *const names[RELOAD_RESULTS] = {
        [RELOAD_UNCHANGED] = "unchanged",
        [RELOAD_CHANGED] = "changed",
        [RELOAD_REFUSED] = "refused",
    };

    return names[result];
}

static void write_note(struct json_writer *json, const struct reload_note *note)
{
    if (!note->why) {
        json_writer_text(json, NULL, note->what);
        return;
    }
    json_writer_begin(json, NULL, '{');
    json_writer_text(json, "what", note->what);
    json_writer_text(json, "why", note->why);
    json_writer_end(json, '}');
}

static void write_notes(struct json_writer *json, const char *name,
                        const struct reload_notes *notes)
{
    json_writer_begin(json, name, '[');
    for (size_t i = 0; i < notes->kept; i++)
        write_note(json, &notes->items[i]);
    json_writer_end(json, ']');
}

void reload_report_write(const struct reload_report *report, struct json_writer *json)
{
    json_writer_begin(json, NULL, '{');
    json_writer_text(json, "result", reload_result_name(report->result));
    json_writer_int(json, "generation", (int64_t)report->generation);
    write_notes(json, "changed", &report->changed);
    write_notes(json, "restart", &report->fixed);
    json_writer_text(json, "error", report->result == RELOAD_REFUSED ? report->refusal : NULL);
    json_writer_end(json, '}');
}
