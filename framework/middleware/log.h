/* log.h - the log middleware: one structured line for each handled message.
 * An acked one at debug level, any other outcome at warn; what is not written costs nothing.
 * Thread: any at once.
 */
#ifndef WARREN_MIDDLEWARE_LOG_H
#define WARREN_MIDDLEWARE_LOG_H

#include <warren/middleware.h>

/** The outermost link. @handler: "PLUGIN.HANDLER", borrowed for as long as the link is used. */
struct warren_link log_middleware(const char *handler);

#endif
