/* header_argument.h - a header from a command line: NAME=TEXT, or NAME:TYPE=VALUE.
 *
 * TYPE is one of warren_type_name(): string (the default), i8 to i64, u8 to u32, bool, f32, f64,
 * timestamp (seconds since 1970), void (no value). What is behind the last colon of the name is
 * the type.
 * Thread: any.
 */
#ifndef WARREN_COMMAND_HEADER_ARGUMENT_H
#define WARREN_COMMAND_HEADER_ARGUMENT_H

#include <warren/message.h>

#include "base/arena.h"

/** @field borrows from @text and @arena. @return WARREN_OK, WARREN_EINVAL or WARREN_ENOMEM */
enum warren_status header_argument_parse(struct arena *arena, const char *text,
                                         struct warren_field *field, struct warren_error *error);

#endif
