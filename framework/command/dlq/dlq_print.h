/* dlq_print.h - what the commands of `warren dlq` say in the same way.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_PRINT_H
#define WARREN_COMMAND_DLQ_PRINT_H

#include <jansson.h>

#include "command/cli/cli.h"
#include "command/dlq/dlq_filter.h"
#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_scan.h"

/** 2024-05-01T12:30:00Z and the NUL. */
#define DLQ_TIME_SIZE 32

/** One line on stdout; takes @value. NULL: there was no memory, which ends the program. */
void dlq_print_json(json_t *value);
/** The same for numbers of warren's own: of 0.022 no digits behind these. */
void dlq_print_summary(json_t *value);

/** A text for JSON: what is no UTF-8 is replaced by question marks. */
json_t *dlq_json_text(const char *text);
/** The same for bytes that may hold a NUL. */
json_t *dlq_json_bytes(struct warren_bytes bytes);
/** A time for JSON: a text, or null for 0. */
json_t *dlq_json_time(int64_t seconds);

/** "2024-05-01T12:30:00Z"; "-" for 0. */
void dlq_time_text(int64_t seconds, char text[DLQ_TIME_SIZE]);
/** "3h 5m", "12s", "4d 2h"; "-" below 0. */
void dlq_age_text(int64_t seconds, char text[DLQ_TIME_SIZE]);

/** A text of a message for a terminal: a NUL becomes \0, what is no character question marks. */
void dlq_write_safe(FILE *out, const char *text, size_t len);

/** A message id as that writes it; bytes. */
#define DLQ_SAFE_ID_SIZE 511
/** For an error, behind "message": "without id" if it is empty. */
void dlq_safe_id(struct warren_bytes id, char text[DLQ_SAFE_ID_SIZE]);

/** Columns of a name that stands in a table. */
#define DLQ_NAME_WIDTH 30

/**
 * A cell of a table on stdout, or its heading, so that both are as wide: the text as
 * dlq_write_safe(), blanks up to @width columns, and two more. A longer one is not cut.
 */
void dlq_write_cell(const char *text, size_t len, int width);

/** Print why a queue could not be gone through. @return CLI_FAILED, or CLI_USAGE */
enum cli_status dlq_failed(const struct cli *cli, const struct dlq_queue *queue,
                           const struct warren_error *error);

/** Say it if there was more in the queue than was looked at. @return whether there was */
bool dlq_warn_of_rest(const struct cli *cli, const struct dlq_queue *queue,
                      const struct dlq_scan_result *result);
/** Say it if the look has changed the order of the queue. */
void dlq_warn_of_order(const struct cli *cli, const struct dlq_queue *queue,
                       const struct dlq_scan_result *result);
/** Say it if there were messages that could not be read, and were left. @return whether */
bool dlq_warn_of_unreadable(const struct cli *cli, const struct dlq_queue *queue,
                            const struct dlq_scan_result *result);
/** Say it if messages were given back so often that the broker may soon drop them. */
void dlq_warn_of_count(const struct cli *cli, const struct dlq_queue *queue,
                       const struct dlq_scan_result *result);

/**
 * No message matched: say so, unless @quiet or nothing was to be seen, and which reason may have
 * been meant.
 *
 * @return CLI_OK, for that is what a command that runs every night finds; CLI_FAILED: one message
 *         was meant, by its id
 */
enum cli_status dlq_nothing_matched(const struct cli *cli, const struct dlq_queue *queue,
                                    const struct dlq_filter *filter,
                                    const struct dlq_scan_result *result, bool quiet);

#endif
