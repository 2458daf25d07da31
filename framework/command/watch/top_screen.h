/* top_screen.h - `warren top` on a terminal (ncurses): the table, a cursor, and one key to the
 * failures of what it is on.
 * Thread: main. Elsewhere: the lines (top_view.h), who reads the workers (command_top.c).
 */
#ifndef WARREN_COMMAND_TOP_SCREEN_H
#define WARREN_COMMAND_TOP_SCREEN_H

#include "command/watch/top_table.h"

/** What the screen shows; filled in before each drawing. */
struct top_picture {
    struct top_table *table; /* sorted on the way */
    const char *const *addresses;
    const char *const *troubles; /* of each address: why it does not answer; "" while it does */
    size_t address_count;
};

struct top_screen;

/** WARREN_OK; WARREN_EIO: standard output is no terminal that ncurses knows; with @error. */
enum warren_status top_screen_open(struct top_screen **ret_screen, struct warren_error *error);
/** The terminal is as before. NULL is fine. */
void top_screen_close(struct top_screen *screen);

void top_screen_draw(struct top_screen *screen, const struct top_picture *picture);
/** Wait for a key, at most @ms, and obey it. @return false: the user wants to leave */
bool top_screen_key(struct top_screen *screen, int ms);

#endif
