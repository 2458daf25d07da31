/* top_screen.c - see top_screen.h. */
#include "command/watch/top_screen.h"

#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "command/cli/cli.h"
#include "command/watch/top_view.h"

#define FIRST_ROW 2 /* of the table, below title and headings */

struct top_screen {
    SCREEN *terminal;
    enum top_order order;
    size_t cursor;
    size_t first; /* row on top of the screen */
    size_t count; /* of rows that there are */
    bool failures;
    bool help;
};

static const char *const order_names[TOP_ORDERS] = {"name", "rate", "failures", "latency", "busy"};

enum warren_status top_screen_open(struct top_screen **ret_screen, struct warren_error *error)
{
    struct top_screen *screen = calloc(1, sizeof *screen);

    if (!screen)
        return error_set(error, WARREN_ENOMEM, "no memory for the screen");
    screen->terminal = newterm(NULL, stdout, stdin);
    if (!screen->terminal) {
        free(screen);
        return error_set(error, WARREN_EIO,
                         "this is no terminal that can show it (TERM=%s): try --once",
                         getenv("TERM") ? getenv("TERM") : "");
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    if (has_colors() && cli_colour(stdout)) {
        start_color();
        use_default_colors();
        init_pair(TOP_GOOD, COLOR_GREEN, -1);
        init_pair(TOP_BAD, COLOR_RED, -1);
    }
    *ret_screen = screen;
    return WARREN_OK;
}

void top_screen_close(struct top_screen *screen)
{
    if (!screen)
        return;
    endwin();
    delscreen(screen->terminal);
    free(screen);
}

/* ---- drawing ---- */

static void draw_title(const struct top_screen *screen, const struct top_picture *picture)
{
    char line[TOP_LINE_SIZE];
    size_t answering = 0;

    for (size_t i = 0; i < picture->address_count; i++)
        answering += picture->troubles[i][0] == '\0';
    snprintf(line, sizeof line, "warren top: %zu of %zu worker%s, %zu subscription%s, by %s",
             answering, picture->address_count, picture->address_count == 1 ? "" : "s",
             picture->table->count, picture->table->count == 1 ? "" : "s",
             order_names[screen->order]);
    mvaddnstr(0, 0, line, COLS);
    if (picture->table->left_out > 0) {
        snprintf(line, sizeof line, ", %zu left out", picture->table->left_out);
        addnstr(line, COLS - getcurx(stdscr));
    }
}

/* The cursor stays on the screen, and the screen on the table. */
static int place_cursor(struct top_screen *screen, size_t count, int height)
{
    size_t shown = height > FIRST_ROW + 2 ? (size_t)(height - FIRST_ROW - 2) : 1;

    if (screen->failures && shown > 4)
        shown /= 2;
    screen->count = count;
    if (count > 0 && screen->cursor >= count)
        screen->cursor = count - 1;
    if (screen->cursor < screen->first)
        screen->first = screen->cursor;
    if (screen->cursor >= screen->first + shown)
        screen->first = screen->cursor - shown + 1;
    return (int)shown;
}

static void draw_row(const struct top_screen *screen, const struct top_picture *picture,
                     size_t index, int y, int width)
{
    const struct top_row *row = &picture->table->rows[index];
    const char *worker = picture->address_count > 1 ? picture->addresses[row->worker] : NULL;
    char line[TOP_LINE_SIZE];
    enum top_tone tone = top_line(row, worker, width - 2, line);
    bool is_here = index == screen->cursor;

    /* Not by colour alone. */
    mvaddstr(y, 0, is_here ? ">" : tone == TOP_BAD ? "!" : " ");
    attrset((is_here ? A_REVERSE : A_NORMAL) | (tone != TOP_PLAIN ? COLOR_PAIR((int)tone) : 0));
    mvaddstr(y, 1, line);
    attrset(A_NORMAL);
}

static void draw_failures(const struct top_screen *screen, const struct top_picture *picture, int y,
                          int height)
{
    const struct top_row *row = &picture->table->rows[screen->cursor];
    char line[TOP_LINE_SIZE];

    attron(A_BOLD);
    mvprintw(y++, 0, "Failures of %s > %s since its worker began:", row->queue, row->handler);
    attroff(A_BOLD);
    if (row->reason_count == 0)
        mvaddstr(y, 0, "  none");
    for (size_t i = 0; y < height - 2 && top_failure_line(row, i, line); i++)
        mvaddstr(y++, 0, line);
}

static void draw_troubles(const struct top_picture *picture, int y)
{
    for (size_t i = 0; i < picture->address_count; i++)
        if (picture->troubles[i][0]) {
            attron(A_BOLD);
            mvaddnstr(y, 0, picture->troubles[i], COLS);
            attroff(A_BOLD);
            return;
        }
}

void top_screen_draw(struct top_screen *screen, const struct top_picture *picture)
{
    int shown = place_cursor(screen, picture->table->count, LINES);
    char line[TOP_LINE_SIZE];
    int y = FIRST_ROW;

    top_table_sort(picture->table, screen->order);
    erase();
    draw_title(screen, picture);
    top_heading(COLS - 2, line);
    attron(A_BOLD);
    mvaddstr(1, 1, line);
    attroff(A_BOLD);
    for (size_t i = screen->first; i < picture->table->count && y < FIRST_ROW + shown; i++)
        draw_row(screen, picture, i, y++, COLS);
    if (screen->failures && picture->table->count > 0)
        draw_failures(screen, picture, y + 1, LINES);
    draw_troubles(picture, LINES - 2);
    if (screen->help)
        mvaddnstr(LINES - 2, 0,
                  "up, down, pages, home, end move; sorts by name, rate, failures, "
                  "latency, busy",
                  COLS);
    mvaddnstr(LINES - 1, 0, "q leave  s sort  f failures of the line  ? help", COLS);
    refresh();
}

/* ---- keys ---- */

static void move_cursor(struct top_screen *screen, int key)
{
    size_t page = LINES > 8 ? (size_t)LINES - 6 : 1;
    size_t last = screen->count > 0 ? screen->count - 1 : 0;

    if (key == KEY_UP || key == 'k')
        screen->cursor -= screen->cursor > 0;
    else if (key == KEY_DOWN || key == 'j')
        screen->cursor += screen->cursor < last;
    else if (key == KEY_PPAGE)
        screen->cursor -= screen->cursor > page ? page : screen->cursor;
    else if (key == KEY_NPAGE)
        screen->cursor += last - screen->cursor > page ? page : last - screen->cursor;
    else if (key == KEY_HOME)
        screen->cursor = 0;
    else if (key == KEY_END)
        screen->cursor = last;
}

bool top_screen_key(struct top_screen *screen, int ms)
{
    int key;

    timeout(ms);
    key = getch();
    switch (key) {
    case 'q':
    case 27: /* escape */
        return false;
    case 's':
        screen->order = (enum top_order)((screen->order + 1) % TOP_ORDERS);
        break;
    case 'f':
    case '\n':
    case KEY_ENTER:
        screen->failures = !screen->failures;
        break;
    case '?':
    case 'h':
        screen->help = !screen->help;
        break;
    default:
        move_cursor(screen, key);
    }
    return true;
}
