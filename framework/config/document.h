/* document.h - a YAML file as a tree of nodes that know where they stand.
 * Bounded in bytes, depth and nodes (aliases counted as often as they are used).
 * Thread: none of its own.
 */
#ifndef WARREN_CONFIG_DOCUMENT_H
#define WARREN_CONFIG_DOCUMENT_H

#include "config/node.h"

#define CONFIG_FILE_MAX  (1024 * 1024) /* bytes of a YAML file */
#define CONFIG_DEPTH_MAX 32            /* collections inside each other */
#define CONFIG_NODES_MAX 100000        /* nodes after aliases are followed */
#define CONFIG_KEYS_MAX  1024          /* keys of one mapping */
#define CONFIG_ITEMS_MAX 10000 /* of a list of queues, subscriptions, ...: they are compared */

/**
 * Read and parse the file @source->name.
 *
 * @ret_root  in @scope->arena; borrows @source
 * @return    WARREN_OK, WARREN_ECONFIG (unreadable, too large, malformed, empty) or WARREN_ENOMEM
 */
enum warren_status config_document_read(struct config_scope *scope,
                                        const struct config_source *source,
                                        const struct config_node **ret_root);

/** The same of a text that stands in no file; errors begin with @source->name. */
enum warren_status config_document_parse(struct config_scope *scope,
                                         const struct config_source *source, const char *text,
                                         const struct config_node **ret_root);

#endif
