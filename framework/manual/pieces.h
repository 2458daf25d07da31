/* pieces.h - what a page of the manual says beyond the tables: a text file for a page, beside the
 * command that it is about (command/dlq/dlq-list.txt).
 *
 * It is Markdown as troff_prose() knows it. A line that begins with @ begins a part:
 *   @summary TEXT    of a group of commands, or of warren itself, which have none in a table; first
 *   @use NAME        the options of NAME.txt are meant here, too
 *   @option NAME     behind the help of that option
 *   @section NAME    behind the options, or into that section where there is one
 * What stands before the others is part of the description.
 * Thread: one.
 */
#ifndef WARREN_MANUAL_PIECES_H
#define WARREN_MANUAL_PIECES_H

#include <stdbool.h>
#include <stddef.h>

enum piece_kind { PIECE_TEXT, PIECE_SUMMARY, PIECE_USE, PIECE_OPTION, PIECE_SECTION };

struct piece {
    enum piece_kind kind;
    const char *name; /* "" of a text */
    const char *text;
    size_t len;
    bool is_used;
};

/** One file. */
struct piece_file {
    char *name; /* "dlq-list" */
    char *bytes;
    struct piece *items;
    size_t count;
    bool is_used;
};

struct pieces {
    struct piece_file *files;
    size_t count;
};

/** Read @path. @return false: @why says what is wrong, behind the path */
bool pieces_read(struct pieces *pieces, const char *path, const char **why);
/** The file of that name, or NULL. */
struct piece_file *pieces_find(struct pieces *pieces, const char *name);
/** The part of that kind and name (NULL: any), or NULL. @file may be NULL. It counts as used. */
struct piece *piece_find(struct piece_file *file, enum piece_kind kind, const char *name);
/** That of the files that @file uses, if it has none of its own. */
struct piece *piece_find_option(struct pieces *pieces, struct piece_file *file, const char *name);
/** Print what no page has used, and files that @use names and that are not there. @return whether
 * there is such a thing */
bool pieces_are_unused(struct pieces *pieces);
void pieces_done(struct pieces *pieces);

#endif
