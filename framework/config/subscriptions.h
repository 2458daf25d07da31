/* subscriptions.h - the `subscriptions:` list: which queue goes to which handler.
 * Thread: none of its own. Elsewhere: the options of the handler (handler_options.c).
 */
#ifndef WARREN_CONFIG_SUBSCRIPTIONS_H
#define WARREN_CONFIG_SUBSCRIPTIONS_H

#include "config/options.h"

/** @node may be NULL: none. After config_options_finish(): what is not given is inherited. */
enum warren_status config_subscriptions_read(struct config_scope *scope,
                                             struct config_private *private,
                                             const struct config_node *node);

#endif
