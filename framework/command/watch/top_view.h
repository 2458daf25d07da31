/* top_view.h - the lines of `warren top`, of a given width: for the screen and for plain output.
 * Thread: any. Elsewhere: the numbers (top_table.h), the screen (top_screen.h).
 */
#ifndef WARREN_COMMAND_TOP_VIEW_H
#define WARREN_COMMAND_TOP_VIEW_H

#include "command/watch/top_table.h"

/** Longest line, in bytes. */
#define TOP_LINE_SIZE 1024

/** What is said of a line, for colours. */
enum top_tone { TOP_PLAIN, TOP_GOOD, TOP_BAD };

/** The headings of the columns. @width: columns of the screen, at least 1 */
void top_heading(int width, char line[TOP_LINE_SIZE]);
/** @row's line. @worker: its address, shown where there is more than one; else NULL */
enum top_tone top_line(const struct top_row *row, const char *worker, int width,
                       char line[TOP_LINE_SIZE]);
/** The @index-th line about the failures of @row. @return false: there are no more */
bool top_failure_line(const struct top_row *row, size_t index, char line[TOP_LINE_SIZE]);

#endif
