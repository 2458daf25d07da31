/* page.h - the pages of the manual: warren(1), one of each command and of each group of them,
 * warren.yaml(5). What they say comes from the tables of commands and options, and from pieces.h.
 * Thread: one.
 */
#ifndef WARREN_MANUAL_PAGE_H
#define WARREN_MANUAL_PAGE_H

#include <stdio.h>

#include "command/commands.h"
#include "manual/pieces.h"

/** "warren-dlq-edit-and-replay" and the NUL. */
#define PAGE_NAME_SIZE 64
/** The first word of a command. */
#define PAGE_GROUP_SIZE 32

struct manual {
    struct pieces pieces;
    const char *date; /* YYYY-MM-DD */
};

/** "warren-dlq-list" of "dlq list". */
void page_name(const char *command, char name[PAGE_NAME_SIZE]);
/** "dlq" of "dlq list". @return false: it is of no group, or not the first one of it */
bool page_begins_group(size_t command, char group[PAGE_GROUP_SIZE]);

void page_command(FILE *out, struct manual *manual, const struct command *command);
void page_group(FILE *out, struct manual *manual, const char *group);
void page_main(FILE *out, struct manual *manual);
void page_configuration(FILE *out, struct manual *manual);

/** All of them: man1/ and man5/ in @folder, which exist. @return false: the error was printed */
bool pages_write(struct manual *manual, const char *folder);

#endif
