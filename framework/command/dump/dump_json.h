/* dump_json.h - messages as JSON, as dump files have them and commands print them.
 * Thread: any. Elsewhere: what it looks like, and the file (dump.h).
 */
#ifndef WARREN_COMMAND_DUMP_JSON_H
#define WARREN_COMMAND_DUMP_JSON_H

#include <jansson.h>

#include <warren/message.h>

#include "base/arena.h"

/** Digits with which every number comes back exactly, for JSON_REAL_PRECISION(). */
#define DUMP_DIGITS_MAX 17

/** All zero but the first: nothing failed yet. The first failure stays, and what is made after it
 * is not used.
 */
struct dump_json {
    const struct arena *texts; /* as in dump.h */
    enum warren_status
        status;      /* WARREN_ENOMEM, or WARREN_EINVAL: a header that AMQP does not have */
    const char *why; /* static storage */
    unsigned depth;  /* tables and arrays around what is being made, but the headers */
};

/** Give @value to @object; NULL is a lack of memory. */
void dump_json_put(struct dump_json *json, json_t *object, const char *key, json_t *value);
/** A text; base64, and "_base64" behind @key, if it is no UTF-8 or has a NUL. */
void dump_json_put_text(struct dump_json *json, json_t *object, const char *key,
                        struct warren_bytes bytes);

/** {"name": ..., "type": ..., "value": ...} */
json_t *dump_json_field(struct dump_json *json, const struct warren_field *field);
/** The properties without the headers. */
json_t *dump_json_properties(struct dump_json *json, const struct warren_properties *properties);
/** Put "properties", "headers" and "body" into @object. */
void dump_json_put_message(struct dump_json *json, json_t *object,
                           const struct warren_message *message);

/** These three alone; NULL: there is no memory, or a header that AMQP does not have. */
json_t *dump_json_message(const struct warren_message *message, const struct arena *texts);

/** How many digits the numbers of @value need: 0.1, not 0.10000000000000001. */
int dump_json_digits(const struct warren_value *value);

#endif
