/* reload_report.h - what a reload has done: for the log, for `warren reload`, and for who asks as a
 * program. Thread: one.
 */
#ifndef WARREN_APP_RELOAD_REPORT_H
#define WARREN_APP_RELOAD_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

#include "base/json_writer.h"

/** Notes of a kind that are kept; more are counted. */
#define RELOAD_NOTES_MAX 1000

enum reload_result {
    RELOAD_UNCHANGED, /* nothing differs that could be taken over */
    RELOAD_CHANGED,
    RELOAD_REFUSED, /* all is as it was: see `refusal` */
    RELOAD_RESULTS
};

/** A thing that differs. */
struct reload_note {
    char *what; /* "prefetch of payments: 10 > 20" */
    char *why;  /* it needs a restart; NULL: it does not */
};

struct reload_notes {
    struct reload_note *items;
    size_t kept;
    size_t count; /* more than `kept` for lack of room, or memory */
};

/** All zero: unchanged. */
struct reload_report {
    enum reload_result result;
    bool busy;           /* refused for what the worker is at, and not for the configuration */
    uint64_t generation; /* of the configuration in force */
    struct reload_notes changed;
    struct reload_notes fixed; /* need a restart */
    char refusal[WARREN_ERROR_TEXT_MAX];
};

/** Something has changed. */
void reload_report_changed(struct reload_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Something differs, and needs a restart because of @why. */
void reload_report_fixed(struct reload_report *report, const char *why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** All stays as it was. @busy: because of what the worker is at. */
void reload_report_refuse(struct reload_report *report, bool busy, const char *why);
/** Forget what has changed, but not why it was refused: it was undone. */
void reload_report_undone(struct reload_report *report);

/** Such as "changed". */
const char *reload_result_name(enum reload_result result);
/** {"result": ..., "generation": ..., "changed": [...], "restart": [...], "error": ...} */
void reload_report_write(const struct reload_report *report, struct json_writer *json);

/** A zeroed one is fine. */
void reload_report_done(struct reload_report *report);

#endif
