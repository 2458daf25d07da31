/* troff.h - texts as man(7) source: words, and the part of Markdown that warren's texts use.
 * Thread: any. Elsewhere: what stands on a page (page.h).
 */
#ifndef WARREN_MANUAL_TROFF_H
#define WARREN_MANUAL_TROFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** The first line of a page, and who made it. @date is YYYY-MM-DD. */
void troff_title(FILE *out, const char *name, const char *section, const char *date,
                 const char *version);
/** A section's heading, in capitals. */
void troff_heading(FILE *out, const char *name, size_t len);

/** @text as it is, in bold; its hyphens are those of a command line. */
void troff_bold(FILE *out, const char *text, size_t len);
/** The words of a synopsis: what is written as it is in bold, what stands for something slanted. */
void troff_synopsis(FILE *out, const char *text);

/**
 * Words of a sentence: `code`, options (--name, -n) and references (warren-run(1)) become bold,
 * *this* slanted, [text](link) its text. No end of a line behind them.
 */
void troff_words(FILE *out, const char *text, size_t len);
/**
 * Paragraphs, ``` blocks, lists, tables and headings. A row of a table becomes an item: its first
 * cell the name, its last one the text, those between them stand before that with their headings.
 *
 * @paragraph  whether something stands before it in the section
 */
void troff_prose(FILE *out, const char *text, size_t len, bool paragraph);

/** The parts of what --help says below the options (struct command's details). */
enum troff_part { TROFF_DESCRIPTION, TROFF_EXIT_STATUS, TROFF_EXAMPLES };

/** That part of @details. @heading goes before it, unless it is empty. @return whether it is not */
bool troff_details(FILE *out, const char *details, enum troff_part part, const char *heading);

/**
 * What a command writes below its help (its write_more): lines that are not indented become
 * headings, those that are items, "  NAME  TEXT" each, and what is further in their text.
 */
void troff_listing(FILE *out, const char *text);

#endif
