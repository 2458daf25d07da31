/* dump_private.h - the members of a dump file, and reading their values; each failure names the
 * member it is about.
 *
 * All functions answer false on the first failure, with status and error written; the caller then
 * returns at once. What they give lives in the reader's arena. Thread: any.
 */
#ifndef WARREN_COMMAND_DUMP_PRIVATE_H
#define WARREN_COMMAND_DUMP_PRIVATE_H

#include <jansson.h>

#include <warren/message.h>

#include "base/arena.h"

/* Behind the key of a text that is written as base64. */
#define DUMP_BASE64 "_base64"

/** Enough for WARREN_NESTING_MAX levels of "value[12345]."; a longer path is cut. */
#define DUMP_WHERE_SIZE 320

/** Bytes of a name, as AMQP 0-9-1 has it (shortstr). */
#define DUMP_SHORT_MAX 255

struct dump_reader {
    const char *path;
    struct arena *arena;
    struct warren_error *error;
    enum warren_status status;
    bool encoded;                            /* the value at hand is base64 */
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
/** Fail: there is no memory. */
bool dump_no_memory(struct dump_reader *reader);

struct dump_member;

/** Read @value, that of @member, into @to. */
typedef bool dump_take_fn(struct dump_reader *reader, const json_t *value,
                          const struct dump_member *member, void *to);

/** A member that an object may have; the last of a list has no key. */
struct dump_member {
    const char *key;
    const char *base64;   /* the key under which it stands as base64; NULL: it cannot */
    dump_take_fn *take;   /* NULL: somebody else reads it */
    const char *required; /* what is missing if it is not there; NULL: it need not be */
    size_t offset;        /* in what dump_object() fills */
    size_t size;          /* of an integer: 1, 4 or 8 bytes */
    int64_t min;          /* of an integer */
    int64_t max;          /* of an integer; of a text: bytes */
    enum warren_type type;
};

#define DUMP_MEMBER(key_, take_, struct_, member_)                                                 \
    .key = (key_), .take = (take_), .offset = offsetof(struct_, member_),                          \
    .size = sizeof(((struct_ *)NULL)->member_)
#define DUMP_TEXT(key_, take_, max_, struct_, member_)                                             \
    DUMP_MEMBER(key_, take_, struct_, member_), .base64 = key_ DUMP_BASE64, .max = (max_)

/** Read one member of @object; one that is not there leaves @to as it is. */
bool dump_take(struct dump_reader *reader, const json_t *object, const struct dump_member *member,
               void *to);
/** @object is one, and has no members but @members: read them into the struct @to. */
bool dump_object(struct dump_reader *reader, const json_t *object,
                 const struct dump_member *members, void *to);

dump_take_fn dump_take_bool, dump_take_integer;
/** A uint64_t: a number, or a text of digits for those above 2^63 - 1. */
dump_take_fn dump_take_timestamp;
/** A struct warren_bytes. */
dump_take_fn dump_take_bytes;
/** A const char *, whose length the arena knows; without a NUL if it is a name. */
dump_take_fn dump_take_text, dump_take_name;
/** A struct warren_table from a list of fields. */
dump_take_fn dump_take_table;

#endif
