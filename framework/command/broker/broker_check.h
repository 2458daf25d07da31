/* broker_check.h - what `warren check --connect` and `warren doctor` do at a broker: log in, look
 * for what the configuration names, and leave again. Nothing is created: what exists is compared
 * with the configuration, and of what is missing it is asked whether this user may declare it.
 * Thread: main; runs a loop of its own and returns when it ended.
 */
#ifndef WARREN_COMMAND_BROKER_CHECK_H
#define WARREN_COMMAND_BROKER_CHECK_H

#include "amqp/connection/connection.h"
#include "command/broker/broker_rights.h"
#include "config/config.h"

/** What was found. */
struct broker_check_events {
    /** @connection is OPEN, and to be asked in this call alone. */
    void (*connected)(void *user, const struct connection *connection);
    /** It does not exist, and the worker will declare it. */
    void (*missing)(void *user, const char *item);
    /** The broker refuses it (@code 0: with the connection), or it does not exist and nobody will
     *  declare it. */
    void (*refused)(void *user, const char *item, uint16_t code, const char *text);
    /** The worker needs more channels on its connection than this broker allows. */
    void (*few_channels)(void *user, uint32_t needed, uint32_t allowed);
    /** It takes longer than a second: @done of about @total looks. Called often. @total 0: there is
     *  no connection yet */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    /** A consumed queue that the worker does not declare, or that is older than what it would
     *  declare, gives a message up that it took back @limit times. */
    void (*limited)(void *user, const char *queue, int64_t limit);
    /**
     * Whether the user may do what the worker needs. NULL: that is not asked; else exchanges are
     * looked for, too, that arguments of the topology name and the topology does not have: those
     * are `refused` if they are not there.
     */
    void (*right)(void *user, const struct broker_right *right, enum right_answer answer,
                  const char *text);
};

/**
 * @name    of the connection, for the broker's list
 * @return  WARREN_OK: logged in, and all was looked for; WARREN_EBROKER (credentials or vhost
 *         refused), WARREN_EIO (no connection), WARREN_ETIMEOUT, WARREN_ECONFIG, WARREN_ENOMEM
 *         with @error
 */
enum warren_status broker_check(const struct config *config, const char *name,
                                const struct broker_check_events *events, void *user,
                                struct warren_error *error);

#endif
