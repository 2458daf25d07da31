/* dlq_look.h - look at the messages of a dead-letter queue that a filter lets through, and leave
 * all of them in their places; and what is said of having gone through a queue, whoever did it.
 * Thread: main.
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
 * @ret_matched  how many matched; that none did is printed
 * @return       CLI_OK; CLI_FAILED, also after a signal, where a message is asked for by its id and
 *               is not there, where others kept all messages to themselves, and where some could
 *               not be read
 */
enum cli_status dlq_look(const struct dlq_request *request, dlq_look_fn *each, void *user,
                         uint64_t *ret_matched);

/** Print why the queue could not be gone through. @return CLI_FAILED, or CLI_USAGE */
enum cli_status dlq_failed(const struct dlq_request *request, const struct warren_error *error);

/**
 * The queue was gone through: say on stderr what calls for it.
 *
 * That is a signal; messages that were not looked at, or could not be read, unless as many as are
 * asked for @matched; a changed order; messages that were given back often enough that the broker
 * may soon drop them; that none matched, and which reason may have been meant.
 *
 * @all     messages that were not looked at are a failure
 * @return  CLI_OK, also where none matched, for that is what a command that runs every night
 *          finds; CLI_FAILED, also where one message was meant, by its id, and is not there, and
 *          where others kept all messages to themselves
 */
enum cli_status dlq_conclude(const struct dlq_request *request,
                             const struct dlq_scan_result *result, uint64_t matched, bool all);

#endif
