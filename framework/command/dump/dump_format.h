/* dump_format.h - the members of a dump file that its writer and its reader have to agree on. */
#ifndef WARREN_COMMAND_DUMP_FORMAT_H
#define WARREN_COMMAND_DUMP_FORMAT_H

#include <warren/message.h>

/* Behind the key of a text that is written as base64. */
#define DUMP_BASE64 "_base64"

/* The members of struct warren_properties that are texts: X(member). */
#define DUMP_TEXT_PROPERTIES(X)                                                                    \
    X(content_type)                                                                                \
    X(content_encoding)                                                                            \
    X(correlation_id)                                                                              \
    X(reply_to)                                                                                    \
    X(expiration)                                                                                  \
    X(message_id)                                                                                  \
    X(type)                                                                                        \
    X(user_id)                                                                                     \
    X(app_id)                                                                                      \
    X(cluster_id)

#endif
