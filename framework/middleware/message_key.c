/* message_key.c - see message_key.h. */
#include "middleware/message_key.h"

#include <string.h>

#include "base/error.h"
#include "base/field_type.h"

/* Of a header, as the wire has it. */
#define NAME_MAX_BYTES 255

enum warren_status message_key_read(struct message_key *key, const char *text,
                                    const struct warren_subscription_info *info,
                                    struct warren_error *error)
{
    key->source = MESSAGE_KEY_ID;
    if (strcmp(text, "message_id") == 0)
        return WARREN_OK;
    if (strncmp(text, "header ", 7) == 0 && text[7 + strspn(text + 7, " ")]) {
        key->source = MESSAGE_KEY_HEADER;
        key->header = text + 7 + strspn(text + 7, " ");
        if (strlen(key->header) > NAME_MAX_BYTES)
            return error_set(error, WARREN_ECONFIG,
                             "key: the name of a header has at most %d bytes, and this one %zu",
                             NAME_MAX_BYTES, strlen(key->header));
        return WARREN_OK;
    }
    if (strcmp(text, "handler") != 0)
        return error_set(error, WARREN_ECONFIG,
                         "key: \"%s\" is none of message_id, header NAME and handler", text);
    if (info->definition && !info->definition->key)
        return error_set(error, WARREN_ECONFIG,
                         "key: the handler %s has no key function; use message_id or header NAME",
                         info->handler);
    key->source = MESSAGE_KEY_HANDLER;
    return WARREN_OK;
}

/* Whole numbers and texts can be keys; what is no text keeps its type, 1 is not "1". */
static struct warren_bytes key_of_value(const struct warren_value *value)
{
    if (value->type == WARREN_STRING || value->type == WARREN_BYTES)
        return value->as.bytes;
    if (field_is_integer(value) || value->type == WARREN_TIMESTAMP)
        return (struct warren_bytes){&value->as.integer, sizeof value->as.integer};
    return (struct warren_bytes){NULL, 0};
}

struct warren_bytes message_key_of(const struct message_key *key, struct warren_job *job)
{
    struct warren_bytes none = {NULL, 0};
    const struct warren_value *value;

    switch (key->source) {
    case MESSAGE_KEY_ID:
        return warren_job_text(job, warren_job_properties(job)->message_id);
    case MESSAGE_KEY_HEADER:
        value = warren_job_header(job, key->header);
        return value ? key_of_value(value) : none;
    case MESSAGE_KEY_HANDLER:
        break;
    }
    return warren_job_key(job);
}

const char *message_key_name(const struct message_key *key)
{
    static const char *const names[] = {"message id", "header of that name",
                                        "key from its handler"};

    return names[key->source];
}
