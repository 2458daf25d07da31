/* progress.h - a line on the terminal that says how far a command has come.
 * Nothing is written where standard error is no terminal. Thread: one.
 */
#ifndef WARREN_COMMAND_PROGRESS_H
#define WARREN_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Redrawn at most this often. */
#define PROGRESS_INTERVAL_MS 100

struct progress {
    FILE *out; /* NULL: no terminal */
    bool colour;
    uint64_t total; /* 0: not known */
    int64_t started_ms;
    int64_t drawn_ms;
};

/** On standard error. @total: 0 if it is not known; @quiet: draw nothing */
void progress_init(struct progress *progress, uint64_t total, bool quiet);
/** Would progress_update() draw? Not so soon after the last time. */
bool progress_is_due(const struct progress *progress);
/** Draw it if it is due. @note: behind the numbers; may be NULL. */
void progress_update(struct progress *progress, uint64_t done, const char *note);
/** Take the line away. */
void progress_end(struct progress *progress);

/** The line for a terminal of @width columns, without colour and control sequences. */
void progress_format(const struct progress *progress, uint64_t done, const char *note,
                     int64_t now_ms, int width, char *text, size_t size);

/** The time that progress is measured by, in milliseconds. */
int64_t progress_now_ms(void);

#endif
