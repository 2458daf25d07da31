/* options.h - the tables of warren's own options (options.def), and the values that they got.
 * Thread: built by one, then read-only. Elsewhere: where values come from (sources.h), and items of
 * lists (items.h).
 */
#ifndef WARREN_CONFIG_OPTIONS_H
#define WARREN_CONFIG_OPTIONS_H

#include "config/config.h"
#include "config/node.h"
#include "config/value.h"

/** What 29 levels of delays, doubling from a second, can hold. */
#define CONFIG_DELAY_MAX_MS (INT64_C(6213) * 86400000)

/** Longest name of an option's variable, with the NUL. */
#define CONFIG_VARIABLE_SIZE 64

enum config_option_flags {
    CONFIG_OPTION_SECRET = 1,
    CONFIG_OPTION_RELOADS = 2,
    CONFIG_OPTION_INHERITS = 4,
    CONFIG_OPTION_NAME = 8,
    CONFIG_OPTION_KEY = 16 | CONFIG_OPTION_NAME,
    CONFIG_OPTION_SHOWN = 32,
    CONFIG_OPTION_FILE = 64
};

/** Where the value of a row goes, and what else options.def says of it. */
struct config_place {
    size_t offset; /* in the table's struct */
    unsigned flags;
};

/** The rows of one struct of config.h. */
struct config_table {
    const char *what;                 /* "a queue", for messages; NULL: struct config */
    const struct warren_option *rows; /* ended by one without a name */
    const struct config_place *places;
    size_t size; /* of the struct */
};

extern const struct config_table config_options_table;
extern const struct config_table config_exchange_table;
extern const struct config_table config_queue_table;
extern const struct config_table config_binding_table;
extern const struct config_table config_subscription_table;
extern const struct config_table config_order_table;
extern const struct config_table config_executor_table;
extern const struct config_table config_fair_table;
extern const struct config_table config_lanes_table;
extern const struct config_table config_batch_table;
extern const struct config_table config_shards_table;

/** Index into config_options and the values. */
enum config_option_id {
#define TOP(member, ...)             CONFIG_##member,
#define OPTION(section, member, ...) CONFIG_##section##_##member,
#include "config/options.def"
    CONFIG_OPTION_COUNT
};

/** The rows of config_options_table. */
extern const struct warren_option config_options[CONFIG_OPTION_COUNT + 1];

/** A group of options that begin with the same word. */
struct config_section {
    const char *name;
    const char *help;
};

/** Ended by one without a name. */
extern const struct config_section config_sections[];

/** struct config, and what only this folder needs. */
struct config_private {
    struct config config;
    struct arena arena;
    struct config_source file; /* name NULL: no file was given */
    struct config_value values[CONFIG_OPTION_COUNT];
    struct config_exchange *exchanges; /* those of @config, with room for more */
    struct config_queue *queues;
    struct config_binding *bindings;
    struct config_subscription *subscriptions; /* those of @config */
};

/** The option with the whole name @name, or NULL. */
const struct warren_option *config_option_find(const char *name);

/** Whether options.def says @flag of @option, one of config_options. */
bool config_option_has(const struct warren_option *option, unsigned flag);

/** "WARREN_CONSUMER_PREFETCH" for "consumer.prefetch". */
void config_option_variable(const struct warren_option *option, char text[CONFIG_VARIABLE_SIZE]);

/** Parse @node as the value of @option; a later call overrides an earlier one. */
enum warren_status config_option_set(struct config_scope *scope, struct config_private *config,
                                     const struct warren_option *option,
                                     const struct config_node *node);

/** Put @values, one for each row of @table, into its struct @target. */
void config_store(const struct config_table *table, const struct config_value *values,
                  void *target);

/** What basic.qos can say; what a subscription has here at once is within it. */
#define CONFIG_PREFETCH_MAX 65535

/** A part of a subscription, such as `order`, which has an object of its own. */
struct config_part {
    const struct config_table *table; /* a struct config_written is the object's first member */
    const char *name;                 /* "order" */
    const char *what;                 /* "the order of a subscription" */
    const char *example;              /* "{by: header:customer}" */
};

/**
 * Read @node as @part. Nothing behind its name is an error: a promise was asked for, and then
 * forgotten.
 *
 * @node        may be NULL
 * @ret_status  WARREN_OK, also without @node; WARREN_ECONFIG or WARREN_ENOMEM
 * @return      the object, of the scope's arena, whose other members are zero; NULL: there is none
 */
void *config_part_read(struct config_scope *scope, const struct config_node *node,
                       const struct config_part *part, enum warren_status *ret_status);

/** Give defaults to what was not set, check what depends on each other, fill in struct config. */
enum warren_status config_options_finish(struct config_scope *scope, struct config_private *config);

/* ---- declared.c: what is declared besides what is written ---- */

/**
 * Name the dead-letter exchange and queue of each subscription, and complete @config->topology: an
 * exchange, a queue and a binding for each consumed queue, and arguments for those consumed queues
 * that are written. Each quorum queue without an x-delivery-limit gets one that is never reached,
 * as its last argument. Call it when all else is read.
 *
 * @return WARREN_OK; WARREN_ECONFIG: a name that is empty, too long, or leads back to a consumed
 *         queue; WARREN_ENOMEM
 */
enum warren_status config_declared(struct config_scope *scope, struct config_private *config);

/* ---- items.c: the lists of the file whose items are rows of options.def ---- */

/** The `subscriptions:` list: which queue goes to which handler. @node may be NULL: none. */
enum warren_status config_subscriptions_read(struct config_scope *scope,
                                             struct config_private *private,
                                             const struct config_node *node);

/**
 * The `topology:` mapping. @node may be NULL: nothing is written. After the subscriptions: there is
 * room for theirs.
 */
enum warren_status config_topology_read(struct config_scope *scope, struct config_private *private,
                                        const struct config_node *node);

/* ---- key.c: what the key of a message is ---- */

/**
 * Read @by, a `by:` at @node.
 *
 * @expected  what it may be, in words; what is not named there is refused
 * @return    WARREN_OK or WARREN_ECONFIG
 */
enum warren_status config_key_read(struct config_scope *scope, const struct config_node *node,
                                   const char *by, const char *expected, struct config_key *ret);

/* ---- order.c: `order:` of a subscription ---- */

/** Read that of @subscription, if it has one. WARREN_OK, WARREN_ECONFIG or WARREN_ENOMEM. */
enum warren_status config_order_read(struct config_scope *scope,
                                     struct config_subscription *subscription);

/* ---- fair.c: `fair:` of a subscription, when its order is read ---- */

/** As config_order_read(). */
enum warren_status config_fair_read(struct config_scope *scope,
                                    struct config_subscription *subscription);

/* ---- lanes.c: `lanes:` of a subscription, when its order is read ---- */

/** As config_order_read(). */
enum warren_status config_lanes_read(struct config_scope *scope,
                                     struct config_subscription *subscription);
/** Add a subscription for each slow lane, when all are read; there is room for as many again. */
enum warren_status config_lanes_add(struct config_scope *scope, struct config_private *private);
/** Add the queues of slow lanes that are not written, as their fast ones are; there is room. */
enum warren_status config_lanes_declared(struct config_scope *scope,
                                         struct config_private *private);
/** Refuse a slow lane that dead letters go to, when these are named: it would handle them again. */
enum warren_status config_lanes_check_dead(struct config_scope *scope,
                                           const struct config_private *private);

/* ---- shards.c: `shards:` of a subscription, when its order is read ---- */

/** As config_order_read(); and without `shards`: is there a queue? */
enum warren_status config_shards_read(struct config_scope *scope,
                                      struct config_subscription *subscription);
/** Put as many subscriptions as it has shards in place of each that has some, when all are read:
 * the first where it stands, the others behind all. @room: for so many more in the list. */
enum warren_status config_shards_add(struct config_scope *scope, struct config_private *private,
                                     size_t room);
/** Add exchange, queues and bindings; there is room. */
enum warren_status config_shards_declared(struct config_scope *scope,
                                          struct config_private *private);

/** Refuse shards that dead letters go to, when these are named: they would handle them again. */
enum warren_status config_shards_check_dead(struct config_scope *scope,
                                            const struct config_private *private);

/* ---- batch.c: `batch:` of a subscription ---- */

/** Read that of @subscription, if it has one. WARREN_OK, WARREN_ECONFIG or WARREN_ENOMEM. */
enum warren_status config_batch_read(struct config_scope *scope,
                                     struct config_subscription *subscription);

/* ---- semaphores.c ---- */

/** The `semaphores:` mapping. @node may be NULL: none. */
enum warren_status config_semaphores_read(struct config_scope *scope,
                                          struct config_private *private,
                                          const struct config_node *node);
/** `uses:` of each subscription, when both are read. */
enum warren_status config_uses_read(struct config_scope *scope, struct config_private *private);

/* ---- executors.c ---- */

/** The `executors:` mapping. @node may be NULL: none. */
enum warren_status config_executors_read(struct config_scope *scope, struct config_private *private,
                                         const struct config_node *node);
/** `executor`, `share` and `concurrency` of each subscription, when both are read. */
enum warren_status config_shares_read(struct config_scope *scope, struct config_private *private);

/* ---- sources.c: values from the YAML file, then the environment, then --set ---- */

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

/* ---- middlewares ----
 *
 * `middleware:` at the top of the file, options by name; and that of a subscription, a list of
 * names, each perhaps with options of its own. Thread: none of its own. Elsewhere: what the chain
 * of a subscription becomes (chains.c).
 */

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
