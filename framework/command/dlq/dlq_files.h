/* dlq_files.h - dead letters as dump files (dump.h), one each.
 * Thread: any.
 */
#ifndef WARREN_COMMAND_DLQ_FILES_H
#define WARREN_COMMAND_DLQ_FILES_H

#include "command/dlq/dlq_letter.h"
#include "command/dump/dump.h"

/** "00001-" and an id of which at most 100 bytes are kept, ".json", and the NUL. */
#define DLQ_FILE_NAME_SIZE 128

/** What the file of @letter holds; everything is borrowed from it. @dlq: where it lies */
struct dump_message dlq_dump_of(const struct dlq_letter *letter, const char *dlq);

/** "00007-ID.json"; what is no letter, digit, dot, hyphen or underline in the id becomes one. */
void dlq_file_name(const struct dlq_letter *letter, uint64_t number, char name[DLQ_FILE_NAME_SIZE]);

#endif
