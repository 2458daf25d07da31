/* sources.h - values from the YAML file, then the environment, then --set.
 * Each call overrides what the calls before it set. Thread: none of its own.
 */
#ifndef WARREN_CONFIG_SOURCES_H
#define WARREN_CONFIG_SOURCES_H

#include "config/options.h"

/** The scalar options of the document; `topology` and `subscriptions` are left to their files. */
enum warren_status config_read_document(struct config_scope *scope, struct config_private *config,
                                        const struct config_node *root);

/**
 * @env  "NAME=value", NULL-terminated; may be NULL. A variable that begins like a section
 *       (WARREN_BROKER_, WARREN_TOPOLOGY_) and is no option is an error, others are not ours.
 */
enum warren_status config_read_environment(struct config_scope *scope,
                                           struct config_private *config, char *const *env);

/**
 * @source_name  what errors name; NULL: "--set KEY"
 * @set          "key=value"
 */
enum warren_status config_read_set(struct config_scope *scope, struct config_private *config,
                                   const char *source_name, const char *set);

#endif
