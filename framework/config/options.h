/* options.h - the table of warren's own scalar options, and the values that they got.
 * Thread: built by one, then read-only. Elsewhere: where values come from (sources.h).
 */
#ifndef WARREN_CONFIG_OPTIONS_H
#define WARREN_CONFIG_OPTIONS_H

#include "config/config.h"
#include "config/value.h"

/** Bounds that a subscription shares with the option it overrides. */
#define CONFIG_PREFETCH_MIN    1
#define CONFIG_PREFETCH_MAX    65535
#define CONFIG_CONCURRENCY_MIN 1
#define CONFIG_CONCURRENCY_MAX 256
#define CONFIG_BYTES_MAX       (INT64_C(1) << 40)
#define CONFIG_DELAY_MAX_MS    (INT64_C(6213) * 86400000) /* what 29 levels of seconds can hold */

/** Longest name of an option's variable, with the NUL. */
#define CONFIG_VARIABLE_SIZE 64

enum config_option_flags {
    CONFIG_OPTION_SECRET = 1,  /* may hold a password */
    CONFIG_OPTION_PLUGINS = 2, /* a list of plugin files */
    CONFIG_OPTION_RELOADS = 4  /* SIGHUP changes it while the worker runs */
};

struct config_option {
    struct warren_option option;
    size_t offset; /* in struct config_private */
    unsigned flags;
};

/** Index into config_options and the values. */
enum config_option_id {
#define OPTION(id, ...) CONFIG_##id,
#include "config/options.def"
#undef OPTION
    CONFIG_OPTION_COUNT
};

extern const struct config_option config_options[CONFIG_OPTION_COUNT];

/** A group of options that begin with the same word. */
struct config_section {
    const char *name;
    const char *help;
};

#define CONFIG_SECTION_COUNT 10
extern const struct config_section config_sections[CONFIG_SECTION_COUNT];

/** struct config, and what only this folder needs. */
struct config_private {
    struct config config;
    struct arena arena;
    const char *sasl;
    struct config_source file;      /* name NULL: no file was given */
    const struct config_node *root; /* NULL: no file was given */
    struct config_value values[CONFIG_OPTION_COUNT];
    struct config_subscription *subscriptions; /* those of @config */
};

/** The option with the whole name @name, or NULL. */
const struct config_option *config_option_find(const char *name);

/** "WARREN_CONSUMER_PREFETCH" for "consumer.prefetch". */
void config_option_variable(const struct config_option *option, char text[CONFIG_VARIABLE_SIZE]);

/** Parse @node as the value of @option; a later call overrides an earlier one. */
enum warren_status config_option_set(struct config_scope *scope, struct config_private *config,
                                     const struct config_option *option,
                                     const struct config_node *node);

/** Give defaults to what was not set, check what depends on each other, fill in struct config. */
enum warren_status config_options_finish(struct config_scope *scope, struct config_private *config);

#endif
