/* dump_values.h - reads the values of a dump file; each failure names the member it is about.
 *
 * All functions answer false on the first failure, with status and error written; the caller then
 * returns at once. A member that is not there leaves its result as it is, unless it says otherwise.
 * What they give lives in the reader's arena. Thread: any.
 */
#ifndef WARREN_COMMAND_DUMP_VALUES_H
#define WARREN_COMMAND_DUMP_VALUES_H

#include <jansson.h>

#include <warren/message.h>

#include "base/arena.h"

/* Enough for WARREN_NESTING_MAX levels of "value[12345]."; a longer path is cut. */
#define DUMP_WHERE_SIZE 320

struct dump_reader {
    const char *path;
    struct arena *arena;
    struct warren_error *error;
    enum warren_status status;
    unsigned depth;                          /* tables and arrays around where we are */
    unsigned level;                          /* of `ends` */
    size_t ends[2 * WARREN_NESTING_MAX + 8]; /* of `where`, before each dump_enter() */
    char where[DUMP_WHERE_SIZE];             /* "headers[2].value" */
};

/** What follows is about the member @key of where we are, until dump_leave(). */
void dump_enter(struct dump_reader *reader, const char *key);
void dump_leave(struct dump_reader *reader);

/** Fail: here should be @expected and is @found; NULL: nothing. */
bool dump_wrong(struct dump_reader *reader, const char *expected, const json_t *found);
/** Fail: the member @key is not there, which should be @expected. */
bool dump_missing(struct dump_reader *reader, const char *key, const char *expected);

/** It is an object with no members but @members, of which the last is NULL. */
bool dump_members(struct dump_reader *reader, const json_t *object, const char *const *members);

bool dump_bool(struct dump_reader *reader, const json_t *object, const char *key, bool *ret);
bool dump_integer(struct dump_reader *reader, const json_t *object, const char *key, int64_t min,
                  int64_t max, int64_t *ret);
/** A number, or a text of digits for those above 2^63 - 1. */
bool dump_timestamp(struct dump_reader *reader, const json_t *object, const char *key,
                    uint64_t *ret);
/** A text under @key, or bytes as base64 under @key with "_base64" behind it. */
bool dump_bytes(struct dump_reader *reader, const json_t *object, const char *key,
                struct warren_bytes *ret, bool *ret_there);
/** As dump_bytes(), of at most @max bytes; the arena knows its length. */
bool dump_text(struct dump_reader *reader, const json_t *object, const char *key, size_t max,
               const char **ret);
/** The same without a NUL. */
bool dump_name(struct dump_reader *reader, const json_t *object, const char *key, size_t max,
               const char **ret);

/** A list of fields. */
bool dump_table(struct dump_reader *reader, const json_t *list, struct warren_table *ret);

#endif
