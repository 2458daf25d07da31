/* options.h - a publisher's options, checked and in the form that a connection takes.
 * Thread: the one that calls warren_publisher_new().
 */
#ifndef WARREN_PUBLISH_OPTIONS_H
#define WARREN_PUBLISH_OPTIONS_H

#include <warren/publisher.h>

#include "amqp/connection/connection.h"

struct publisher_settings {
    struct warren_publisher_options options; /* pointers are borrowed from the caller's */
    struct connection_options connection;    /* its URIs belong to the settings */
};

/**
 * Check @options, read the password file, parse the URIs.
 *
 * @return WARREN_OK; WARREN_EINVAL (a number out of range, no URI), WARREN_ECONFIG (a bad URI, an
 *         unreadable or empty password file), WARREN_ENOMEM, with @error; nothing to free then
 */
enum warren_status publisher_settings_init(const struct warren_publisher_options *options,
                                           struct publisher_settings *settings,
                                           struct warren_error *error);
/** Wipes the passwords. */
void publisher_settings_done(struct publisher_settings *settings);

#endif
