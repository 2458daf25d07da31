/* json_writer.h - JSON into a buffer, piece by piece: whatever text comes, the result is JSON.
 * Texts that are no UTF-8 get U+FFFD in place of what is wrong; control bytes, < and > are escaped,
 * so a result may stand in a page, too.
 * Bound: the buffer's. Thread: none of its own. Elsewhere: reading JSON (command/dump/, jansson).
 */
#ifndef WARREN_BASE_JSON_WRITER_H
#define WARREN_BASE_JSON_WRITER_H

#include <stdbool.h>

#include "base/buffer.h"

struct json_writer {
    struct buffer *buffer;
    enum warren_status status; /* of all so far: WARREN_OK, or as buffer_append() */
    bool comma;                /* the next value follows another one */
};

void json_writer_init(struct json_writer *writer, struct buffer *buffer);

/* In each of these, @name is that of a member of an object, and NULL in a list. */

/** "{" or "[", and their ends. */
void json_writer_begin(struct json_writer *writer, const char *name, char bracket);
void json_writer_end(struct json_writer *writer, char bracket);
/** @text NULL: null. */
void json_writer_text(struct json_writer *writer, const char *name, const char *text);
void json_writer_int(struct json_writer *writer, const char *name, int64_t number);
/** With three digits behind the point; null for what is no number, or infinite. */
void json_writer_real(struct json_writer *writer, const char *name, double number);
void json_writer_bool(struct json_writer *writer, const char *name, bool value);
/** What is JSON already. */
void json_writer_raw(struct json_writer *writer, const char *name, const char *text, size_t len);

#endif
