/* row.h - which value of a message goes into which column, and the binding of one row.
 * Thread: reading a mapping any, binding the one that has the statement.
 */
#ifndef HANDLERS_SQLITE_SINK_ROW_H
#define HANDLERS_SQLITE_SINK_ROW_H

#include <jansson.h>
#include <sqlite3.h>

#include <warren/handler.h>

/** Columns of a table that can be filled. */
#define ROW_COLUMNS_MAX 100

enum row_source {
    ROW_FIELD, /* of the JSON object: path */
    ROW_BODY,
    ROW_MESSAGE_ID,
    ROW_TIMESTAMP, /* seconds since 1970 */
    ROW_EXCHANGE,
    ROW_ROUTING_KEY,
    ROW_HEADER /* path is its name */
};

struct row_column {
    char *name;
    enum row_source source;
    char *path; /* names of members, separated by dots; "" for the whole value; NULL: no path */
};

struct row_mapping {
    struct row_column columns[ROW_COLUMNS_MAX];
    size_t count;
    bool needs_all; /* a value that is not there rejects the message */
};

/**
 * Read "COLUMN" and "COLUMN=SOURCE" texts.
 *
 * @return WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error; row_mapping_done() in any case
 */
enum warren_status row_mapping_read(struct row_mapping *mapping, const char *const *texts,
                                    size_t count, struct warren_error *error);
void row_mapping_done(struct row_mapping *mapping);

/** "INSERT INTO ..." for all columns; sqlite3_free() it. NULL: no memory. @verb: "INSERT" etc. */
char *row_insert_text(const struct row_mapping *mapping, const char *verb, const char *table);

/**
 * Bind what @job and @object, one JSON value of its body, have for each column. Texts are borrowed
 * from both.
 *
 * @return NULL, or the name of a column whose value is not there and must be
 */
const char *row_bind(const struct row_mapping *mapping, struct warren_job *job,
                     const json_t *object, sqlite3_stmt *statement);

#endif
