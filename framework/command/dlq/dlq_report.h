/* dlq_report.h - how the commands of `warren dlq` say what came of going through a queue.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_REPORT_H
#define WARREN_COMMAND_DLQ_REPORT_H

#include "command/dlq/command_dlq.h"

/** Print why the queue could not be gone through. @return CLI_FAILED, or CLI_USAGE */
enum cli_status dlq_failed(const struct dlq_request *request, const struct warren_error *error);

/**
 * The queue was gone through: say on stderr what calls for it.
 *
 * That is a signal; messages that were not looked at, or could not be read, unless as many as are
 * asked for @matched; a changed order; messages that were given back so often that the broker may
 * soon drop them; that none matched, and which reason may have been meant.
 *
 * @all     messages that were not looked at are a failure
 * @return  CLI_OK, also where none matched, for that is what a command that runs every night
 *          finds; CLI_FAILED, also where one message was meant, by its id, and is not there, and
 *          where others kept all messages to themselves
 */
enum cli_status dlq_conclude(const struct dlq_request *request,
                             const struct dlq_scan_result *result, uint64_t matched, bool all);

#endif
