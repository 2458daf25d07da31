/* command_message.h - the commands that send messages.
 * Thread: main. Elsewhere: each of them (command_publish.c, command_request.c).
 */
#ifndef WARREN_COMMAND_COMMAND_MESSAGE_H
#define WARREN_COMMAND_COMMAND_MESSAGE_H

#include "command/cli/cli.h"

extern const struct command command_publish;
extern const struct command command_request;

#endif
