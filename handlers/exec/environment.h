/* environment.h - what a command finds in its environment: the worker's own variables, and the
 * message's properties.
 *
 *   WARREN_QUEUE WARREN_EXCHANGE WARREN_ROUTING_KEY WARREN_REDELIVERED WARREN_ATTEMPT
 *   WARREN_BODY_SIZE WARREN_MESSAGE_ID WARREN_CORRELATION_ID ... WARREN_HEADER_NAME
 *
 * A property that the message does not have has no variable. Of the headers, those with one plain
 * value are given; in their names, letters become capitals and all but letters and digits "_".
 * The worker's own WARREN_ variables are left out: they configure the worker, and may be secret.
 * Thread: any.
 */
#ifndef HANDLERS_EXEC_ENVIRONMENT_H
#define HANDLERS_EXEC_ENVIRONMENT_H

#include <warren/handler.h>

/** Longer header values are left out: Linux bounds one variable at 128 KiB. */
#define ENVIRONMENT_HEADER_MAX ((size_t)32 * 1024)

/** Headers behind these are left out. */
#define ENVIRONMENT_HEADERS_MAX 256

/** The environment for @job, in its scratch memory; NULL if memory ran out. */
char **environment_for(struct warren_job *job);

#endif
