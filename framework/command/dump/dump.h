/* dump.h - one message as a file, with everything that is needed to run it again.
 *
 *   {
 *     "warren_dump": 1,
 *     "queue": "payments",
 *     "handler": "payments.charge",
 *     "exchange": "",
 *     "routing_key": "payments",
 *     "redelivered": true,
 *     "attempts": 3,
 *     "properties": {
 *       "content_type": "application/json",
 *       "delivery_mode": 2
 *     },
 *     "headers": [
 *       {"name": "tries", "type": "i64", "value": 5},
 *       {"name": "where", "type": "table", "value": [{"name": "x", "type": "bool", "value": true}]}
 *     ],
 *     "body": "{\"id\":\"pay-1\"}"
 *   }
 *
 * For people to read and to edit: only warren_dump, queue and body must be there. Reading gives
 * what was written, byte for byte and type for type, also of names that stand twice. A text that is
 * no UTF-8 or has a NUL comes as base64, under its key with "_base64" behind it (body_base64,
 * name_base64, value_base64); a header of type bytes always.
 * Types are those of warren_type_name(); decimals are {"scale": S, "unscaled": U}; a timestamp
 * above 2^63 - 1 is a text. "nan", "inf" and "-inf" are only written, never read: no message can be
 * published with them. Thread: any.
 */
#ifndef WARREN_COMMAND_DUMP_H
#define WARREN_COMMAND_DUMP_H

#include <stdio.h>

#include <warren/message.h>

#include "base/arena.h"

/** The version that is written, and the only one that is read. */
#define DUMP_VERSION 1

/** The largest file that is read or written, in bytes. */
#define DUMP_FILE_MAX (UINT64_C(1) << 30)

/** The most objects, lists and commas of a file that is read: each value has one at least. The
 * 256 KiB of a content header hold a quarter as many values. */
#define DUMP_VALUES_MAX 2097152

/** Zero what is not known. */
struct dump_message {
    const struct arena *texts; /* knows the lengths of texts that hold a NUL; NULL: none does */
    const char *queue;         /* that it was consumed from; must be there */
    const char *handler;       /* "PLUGIN.HANDLER"; NULL: none was given */
    const char *exchange;      /* that it was published to; NULL: "" */
    const char *routing_key;   /* NULL: "" */
    bool redelivered;
    uint32_t attempts; /* that failed so far */
    struct warren_message message;
};

/**
 * Write @dump to the file @path, or replace it: first to a file beside it, so that @path is always
 * whole. Only its owner may read it (mode 0600).
 *
 * @return WARREN_OK; WARREN_EIO; WARREN_EINVAL (a value of no known type, or nested deeper than
 *         WARREN_NESTING_MAX); WARREN_ETOOBIG (above DUMP_FILE_MAX); WARREN_ENOMEM; with @error
 */
enum warren_status dump_write(const char *path, const struct dump_message *dump,
                              struct warren_error *error);

/**
 * Print @message alone: an object with properties, headers and body as a dump has them.
 *
 * @texts   as above
 * @return as dump_write(), but for the file
 */
enum warren_status dump_print_message(FILE *out, const struct warren_message *message,
                                      const struct arena *texts, struct warren_error *error);

/**
 * Read the file @path.
 *
 * @ret_dump  freed by the caller with dump_free()
 * @return    WARREN_OK; WARREN_EIO (cannot be read); WARREN_EINVAL (no dump, or a damaged one: the
 *            text of @error names the file, the line or the member, and what was expected there);
 *            WARREN_ETOOBIG; WARREN_ENOMEM
 */
enum warren_status dump_read(const char *path, struct dump_message **ret_dump,
                             struct warren_error *error);

/** Frees what dump_read() gave; NULL is fine. */
void dump_free(struct dump_message *dump);

#endif
