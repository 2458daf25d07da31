/* middlewares.h - `middleware:` at the top of the file, options by name; and that of a
 * subscription, a list of names, each perhaps with options of its own. Thread: none of its own.
 * Elsewhere: what the chain of a subscription becomes (chains.c).
 */
#ifndef WARREN_CONFIG_MIDDLEWARES_H
#define WARREN_CONFIG_MIDDLEWARES_H

#include "config/config.h"
#include "config/node.h"

/** Most links of a chain, and most names at the top of the file. */
#define CONFIG_CHAIN_MAX 64

/** Options by name; @node may be NULL: none. The list is in the arena. */
enum warren_status config_middlewares_read(struct config_scope *scope,
                                           const struct config_node *node,
                                           const struct config_middleware **ret_items,
                                           size_t *ret_count);

/** A list of links, each name once; @node may not be NULL. */
enum warren_status config_chain_read(struct config_scope *scope, const struct config_node *node,
                                     const struct config_middleware **ret_links, size_t *ret_count);

#endif
