/* status.h - how warren's functions say that they failed, and how important a line of a log is.
 * Elsewhere: what became of one published message (publisher.h), of one delivery (handler.h).
 */
#ifndef WARREN_STATUS_H
#define WARREN_STATUS_H

#include <warren/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a call returns. Zero is success, every failure is negative. */
enum warren_status {
    WARREN_OK = 0,
    WARREN_EINVAL = -1,     /**< an argument is outside of what its documentation allows */
    WARREN_ENOMEM = -2,     /**< the allocator refused */
    WARREN_ECONFIG = -3,    /**< the configuration is wrong; the error text says where */
    WARREN_EPLUGIN = -4,    /**< a plugin cannot be loaded, or its open() failed */
    WARREN_EIO = -5,        /**< a file, a socket or the operating system failed */
    WARREN_EPROTOCOL = -6,  /**< the peer broke AMQP 0-9-1; the connection is of no more use */
    WARREN_EBROKER = -7,    /**< the broker refused, with a reply code and text */
    WARREN_ETIMEOUT = -8,   /**< the deadline passed first */
    WARREN_EFULL = -9,      /**< a bound is reached and waiting was not asked for */
    WARREN_ECLOSED = -10,   /**< the object is closing or closed */
    WARREN_ETOOBIG = -11,   /**< a message or a field exceeds what the protocol or a limit allows */
    WARREN_ENOTFOUND = -12, /**< there is no such thing */
    WARREN_ETAINTED = -13   /**< a handler crashed: the process is not to be trusted any more */
};

/** Long enough for a path, a queue name of 255 bytes and a sentence. */
#define WARREN_ERROR_TEXT_MAX 768

/**
 * One failure in words: what, where, and what was expected. Never holds a secret.
 *
 * A caller who wants the words passes the address of one (the callee writes it only on failure);
 * NULL is always allowed.
 */
struct warren_error {
    enum warren_status status;
    char text[WARREN_ERROR_TEXT_MAX];
};

/** How important a line is; the numbers grow with the detail. */
enum warren_log_level { WARREN_LOG_ERROR, WARREN_LOG_WARN, WARREN_LOG_INFO, WARREN_LOG_DEBUG };

/**
 * Takes one line of a log: that of a worker, or of a publisher of the program's own. Which thread
 * calls it, the options say that have it.
 *
 * @line  without the newline; lives until the call returns. Of a worker: as it would be written to
 *        stderr, in the format that its configuration says
 */
typedef void warren_log_fn(enum warren_log_level level, const char *line, void *user);

/**
 * The name of @status as a word for a log line, such as "timeout"; "unknown" for any other number.
 *
 * Thread: any. Ownership: static storage. Since: 0.1.
 */
WARREN_API const char *warren_status_name(enum warren_status status);

#ifdef __cplusplus
}
#endif
#endif
