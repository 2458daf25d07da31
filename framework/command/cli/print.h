/* print.h - how the commands print texts, times, tables and JSON.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_PRINT_H
#define WARREN_COMMAND_PRINT_H

#include <stdio.h>

#include <jansson.h>

#include <warren/message.h>

/** 2024-05-01T12:30:00Z and the NUL. */
#define CLI_TIME_SIZE 32

/** One line on stdout; takes @value. NULL: there was no memory, which ends the program. */
void cli_print_json(json_t *value);
/** The same for numbers of warren's own: of 0.022 no digits behind these. */
void cli_print_summary(json_t *value);

/** A text for JSON: what is no UTF-8 is replaced by question marks. */
json_t *cli_json_text(const char *text);
/** The same for bytes that may hold a NUL. */
json_t *cli_json_bytes(struct warren_bytes bytes);
/** A time for JSON: a text, or null for 0. */
json_t *cli_json_time(int64_t seconds);

/** "2024-05-01T12:30:00Z"; "-" for 0. */
void cli_time_text(int64_t seconds, char text[CLI_TIME_SIZE]);
/** "3h 5m", "12s", "4d 2h"; "-" below 0. */
void cli_age_text(int64_t seconds, char text[CLI_TIME_SIZE]);

/** A text of a message for a terminal: a NUL becomes \0, what is no character question marks. */
void cli_write_safe(FILE *out, const char *text, size_t len);

/** A message id as that writes it; bytes. */
#define CLI_SAFE_ID_SIZE 511
/** For an error, behind "message": "without id" if it is empty. */
void cli_safe_id(struct warren_bytes id, char text[CLI_SAFE_ID_SIZE]);

/** Columns of a name that stands in a table. */
#define CLI_NAME_WIDTH 30

/**
 * A cell of a table on stdout, or its heading, so that both are as wide: the text as
 * cli_write_safe(), blanks up to @width columns, and two more. A longer one is not cut.
 */
void cli_write_cell(const char *text, size_t len, int width);

/** Whether the user answers yes to the question that stands on stderr but for its "?". */
bool cli_confirms(void);

/** A line of what is shown of a message: two blanks, @name, and @text as above; "" is no line. */
void cli_write_line(const char *name, struct warren_bytes text);

#endif
