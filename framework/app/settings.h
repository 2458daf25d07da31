/* settings.h - the configuration in the shapes that the floors below want.
 * Thread: any.
 */
#ifndef WARREN_APP_SETTINGS_H
#define WARREN_APP_SETTINGS_H

#include <warren/publisher.h>

#include "config/config.h"
#include "http/login.h"
#include "publish/message/options.h"

/** The broker and publisher sections; borrows from @config. @name: for the broker's list. */
void settings_publisher(const struct config *config, const char *name,
                        struct warren_publisher_options *options);

/** The spool section: for the one publisher that has it. */
void settings_spool(const struct config *config, struct warren_publisher_options *options);

/**
 * The broker section, checked, for a connection that consumes or inspects: its password file read,
 * its URIs parsed.
 *
 * @settings  @settings->connection is what is wanted; publisher_settings_done() frees it
 * @return    as publisher_settings_init()
 */
enum warren_status settings_connection(const struct config *config, const char *name,
                                       struct publisher_settings *settings,
                                       struct warren_error *error);

/** How the management API of the broker is asked. */
struct settings_management {
    struct http_login login; /* with user and password, wherever they stand */
    char vhost[URI_PART_MAX];
    struct tls_options tls; /* the broker's; borrowed from the configuration */
    uint32_t timeout_ms;    /* of a request */
};

/**
 * The same for broker.management, which is not "".
 *
 * @settings  settings_management_done() wipes its password
 * @return    WARREN_OK; WARREN_ECONFIG, WARREN_ENOMEM with @error
 */
enum warren_status settings_management(const struct config *config,
                                       struct settings_management *settings,
                                       struct warren_error *error);
void settings_management_done(struct settings_management *settings);

/**
 * Check what only the floors below understand of the broker section: that its addresses can be
 * parsed, and that its password file and its certificates can be read; and the section `tracing`.
 *
 * @return WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error, which names the place
 */
enum warren_status settings_check(const struct config *config, struct warren_error *error);

/** The log section. */
void settings_log(const struct config *config);

#endif
