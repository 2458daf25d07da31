/* mapping.h - a YAML mapping checked against a table of options.
 * Used for items of lists (items.h), and the options of handlers and middlewares.
 * Thread: none of its own.
 */
#ifndef WARREN_CONFIG_MAPPING_H
#define WARREN_CONFIG_MAPPING_H

#include "config/value.h"

/** Longest name of a semaphore or an executor. */
#define CONFIG_SHORT_NAME_MAX 64

/** Is @key 1 to 64 letters, digits, _, . and -? @what: "the name of a semaphore" */
enum warren_status config_check_short_name(struct config_scope *scope,
                                           const struct config_node *key, const char *what);

/** Rows of a table without the closing one. */
size_t config_table_count(const struct warren_option *table);

/** Zeroed values for the rows of @table, for the functions below. NULL: no memory. */
struct config_value *config_values_new(struct config_scope *scope,
                                       const struct warren_option *table);

/**
 * Read @node, a mapping (empty is fine), into @values, one for each row of @table.
 *
 * @what    for error texts, such as "a queue"
 * @values  zeroed, or with given=true where a value is inherited and the row's default is unused
 * @return  WARREN_OK, WARREN_ECONFIG or WARREN_ENOMEM
 */
enum warren_status config_mapping_read(struct config_scope *scope, const struct config_node *node,
                                       const char *what, const struct warren_option *table,
                                       struct config_value *values);

/** The same without giving defaults to what is missing. */
enum warren_status config_mapping_check(struct config_scope *scope, const struct config_node *node,
                                        const char *what, const struct warren_option *table,
                                        struct config_value *values);

/** Say that @key is unknown, and the nearest of @known. @return WARREN_ECONFIG */
enum warren_status config_unknown_key(struct config_scope *scope, const struct config_node *key,
                                      const char *what, const char *const *known, size_t count);

/** A mapping at the top of the file, one of whose names is used elsewhere. */
struct config_named {
    const char *lead;    /* of what is said: "executor is" */
    const char *section; /* "executors" */
    const char *example; /* of what a name has there: "{threads: 8}" */
};

/** Say that the name at @node is none of @known, and the nearest of these. @return WARREN_ECONFIG
 */
enum warren_status config_unknown_name(struct config_scope *scope, const struct config_node *node,
                                       const struct config_named *named, const char *const *known,
                                       size_t count);

#endif
