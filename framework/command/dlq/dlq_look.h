/* dlq_look.h - look at the messages of a dead-letter queue that a filter lets through, and leave
 * all of them in their places. Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_LOOK_H
#define WARREN_COMMAND_DLQ_LOOK_H

#include "command/dlq/command_dlq.h"

/**
 * A message that matches; @number counts them from 1. @return false: look at no more, for it failed
 * and the error was printed.
 */
typedef bool dlq_look_fn(void *user, const struct dlq_letter *letter, uint64_t number);

/**
 * Do it, and print errors and warnings.
 *
 * @each         NULL: messages are counted only, and without a filter those that cannot be read,
 * too
 * @ret_matched  how many matched; that none did is told
 * @return       CLI_OK; CLI_FAILED, also after a signal, where a message is asked for by its id and
 *               is not there, where others kept all messages to themselves, and where some could
 *               not be read
 */
enum cli_status dlq_look(const struct dlq_request *request, dlq_look_fn *each, void *user,
                         uint64_t *ret_matched);

#endif
