/* settings.h - the configuration in the shapes that the floors below want.
 * Thread: any.
 */
#ifndef WARREN_APP_SETTINGS_H
#define WARREN_APP_SETTINGS_H

#include <warren/publisher.h>

#include "config/config.h"

/** The broker and publisher sections; borrows from @config. @name: for the broker's list. */
void settings_publisher(const struct config *config, const char *name,
                        struct warren_publisher_options *options);

/** The log section. */
void settings_log(const struct config *config);

#endif
