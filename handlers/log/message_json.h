/* message_json.h - one message as one line of JSON.
 *
 *   {"body":"...","message_id":"...","queue":"...","exchange":"","routing_key":"...",
 *    "redelivered":false,"attempt":1,"content_type":"...",...,"headers":{...}}
 *
 * Text that is not valid UTF-8 comes as base64 under its name with "_base64" behind it. A header
 * (named in base64 if its name is no UTF-8) is {"type": T, "value": V}, T as warren_type_name()
 * says it; in tables and arrays the same. Thread: any; the only home of jansson and base64 in this
 * plugin.
 */
#ifndef HANDLERS_LOG_MESSAGE_JSON_H
#define HANDLERS_LOG_MESSAGE_JSON_H

#include <warren/handler.h>

/**
 * The line for @job, with a newline at its end.
 *
 * @ret_len  bytes, the newline included; there is no NUL
 * @return   the line, freed by the caller with free(); NULL if memory ran out
 */
char *message_json(struct warren_job *job, size_t *ret_len);

#endif
