/* command_dlq_change.h - the commands of `warren dlq` after which messages are no longer in the
 * queue.
 * Thread: main. Elsewhere: each of them (command_dlq_replay.c, ...); those that look
 * (command_dlq.h).
 */
#ifndef WARREN_COMMAND_COMMAND_DLQ_CHANGE_H
#define WARREN_COMMAND_COMMAND_DLQ_CHANGE_H

#include "command/cli/cli.h"

extern const struct command command_dlq_replay;
extern const struct command command_dlq_edit_and_replay;
extern const struct command command_dlq_discard;

#endif
