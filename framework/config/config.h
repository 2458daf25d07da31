/* config.h - the worker's configuration, checked and ready to use.
 * YAML file < environment < --set. Every option is one row of options.def, from which the members
 * of these structs come, too: config->broker.heartbeat_ms, queue->durable. Thread: built by one,
 * then read-only. The only home of the YAML parser.
 */
#ifndef WARREN_CONFIG_CONFIG_H
#define WARREN_CONFIG_CONFIG_H

#include <stdio.h>

#include <warren/handler.h>
#include <warren/message.h>

#include "base/log.h"
#include "base/name_list.h"

struct config_node;  /* a piece of the YAML document */
struct config_value; /* what one of its rows got */

/* What a row of options.def is in C: INT, SIZE (bytes) and DURATION (ms) have 64 bits; of a RANGE
 * the member is the most. */
#define CONFIG_MEMBER_BOOL(member)      bool member;
#define CONFIG_MEMBER_INT(member)       int64_t member;
#define CONFIG_MEMBER_SIZE(member)      int64_t member;
#define CONFIG_MEMBER_DURATION(member)  int64_t member;
#define CONFIG_MEMBER_STRING(member)    const char *member;
#define CONFIG_MEMBER_ENUM(member)      const char *member;
#define CONFIG_MEMBER_PATH(member)      const char *member; /* NULL: none */
#define CONFIG_MEMBER_ARGUMENTS(member) struct warren_table member;
#define CONFIG_MEMBER_MAPPING(member)   const struct config_node *member; /* NULL: not written */
#define CONFIG_MEMBER_CHAIN(member)     const struct config_node *member;
#define CONFIG_MEMBER_PATHS(member)     CONFIG_MEMBER_LIST(member)
#define CONFIG_MEMBER_RANGE(member)                                                                \
    int64_t member;                                                                                \
    int64_t member##_least;
#define CONFIG_MEMBER_LIST(member)                                                                 \
    const char *const *member;                                                                     \
    size_t member##_count;

/** The first member of each item of a list. */
struct config_written {
    const struct config_node *node;    /* as it stands in the file; NULL: it does not */
    const struct config_value *values; /* one for each row of its table; NULL with @node */
};

struct config_exchange {
    struct config_written written;
#define EXCHANGE(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
};

struct config_queue {
    struct config_written written;
#define QUEUE(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    bool limit_added; /* the last argument was not written: see declared.h */
    bool added;       /* it is not written, but a slow lane, or a shard */
};

/** A quorum queue's argument: how often it takes a message back. */
#define CONFIG_DELIVERY_LIMIT "x-delivery-limit"

struct config_binding {
    struct config_written written;
#define BINDING(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    const char *destination; /* queue, or exchange if to_exchange */
    bool to_exchange;
};

struct config_topology {
    const struct config_exchange *exchanges;
    size_t exchange_count;
    const struct config_queue *queues;
    size_t queue_count;
    const struct config_binding *bindings;
    size_t binding_count;
};

/** The queue @name, or NULL. */
const struct config_queue *config_find_queue(const struct config_topology *topology,
                                             const char *name);
/** That exchange, or NULL. */
const struct config_exchange *config_find_exchange(const struct config_topology *topology,
                                                   const char *name);

/** Most semaphores of a file. */
#define CONFIG_SEMAPHORES_MAX 256

struct config_semaphore {
    const char *name;
    uint32_t size; /* 1 to 1,000,000 */
};

/** So much of a semaphore. */
struct config_use {
    const char *name;
    uint32_t weight; /* 1 to its size */
};

/** Most executors of a file. */
#define CONFIG_EXECUTORS_MAX 64

/** Threads that subscriptions share. */
struct config_executor {
    struct config_written written;
#define EXECUTOR(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    const char *name;
};

/** One link of a chain, or, at the top of the file, the options for all links of that name. */
struct config_middleware {
    const char *name;                     /* "retry" or "PLUGIN.MIDDLEWARE" */
    const struct warren_options *options; /* in force; NULL before config_chains() */
    const struct config_node *node;       /* the item in the file, for messages */
    const struct config_node *raw;        /* its options as written; NULL: none */
};

/** What the key of a message is. */
enum config_order_by {
    ORDER_BY_HEADER,
    ORDER_BY_ROUTING_KEY,
    ORDER_BY_MESSAGE_ID,
    ORDER_BY_HANDLER
};

struct config_key {
    enum config_order_by source;
    const char *header; /* the name of ORDER_BY_HEADER */
};

/** What becomes of a message without one. */
enum config_order_missing { ORDER_MISSING_ONE, ORDER_MISSING_UNORDERED, ORDER_MISSING_REJECT };

/** `order:` of a subscription. */
struct config_order {
    struct config_written written;
#define ORDER(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    struct config_key key;
    enum config_order_missing without;
    bool skips; /* a failed message lets those behind it go on */
};

enum config_fair_missing { FAIR_MISSING_ONE, FAIR_MISSING_FREE, FAIR_MISSING_REJECT };

/** `fair:` of a subscription. */
struct config_fair {
    struct config_written written;
#define FAIR(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    struct config_key key; /* ORDER_BY_HEADER or ORDER_BY_ROUTING_KEY */
    enum config_fair_missing without;
};

/** `lanes:` of a subscription. Both of its lanes are subscriptions of the configuration. */
struct config_lanes {
    struct config_written written;
#define LANE(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    uint32_t fast_share; /* 1 to 1000 */
    uint32_t slow_share;
};

/** Most shards of a subscription, and of all of a file. */
#define CONFIG_SHARDS_MAX     128
#define CONFIG_SHARDS_ALL_MAX 1024

/** Behind its name and a dot: the queues that stand for workers, see runtime/shards.h. */
#define CONFIG_SEAT "seat"

/** `shards:` of a subscription. Each of its queues is a subscription of the configuration. */
struct config_shards {
    struct config_written written;
#define SHARD(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    struct config_key key; /* not ORDER_BY_HANDLER */
};

/** `batch:` of a subscription. */
struct config_batch {
    struct config_written written;
#define BATCH(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
};

struct config_subscription {
    struct config_written written;
#define SUBSCRIPTION(member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    const struct config_executor *shares; /* `executor`; then `share` is 1 at least. NULL: none */
    int64_t workers; /* threads that can run its handler: those of its executor, or its own */
    const char *dead_exchange; /* where its dead letters go; NULL: dead_letter.enabled is false */
    const char *dead_queue;
    const struct config_use *uses; /* each semaphore once */
    size_t use_count;
    const struct config_middleware *chain; /* outermost first; complete after config_chains() */
    size_t chain_count;
    bool own_chain;                   /* it has a list of its own */
    const struct config_order *order; /* NULL: none */
    const struct config_fair *fair;   /* NULL: none */
    const struct config_lanes *lanes; /* NULL: none */
    const char *slow_lane_of;         /* the queue of the fast lane; NULL: it is not a slow one. It
                                         is not written in the file, and is behind those that are */
    const struct config_batch *batch; /* NULL: none */
    const struct config_shards *shards; /* NULL: none */
    uint32_t shard; /* which one, counted from 0; those above 0 are behind those that are written */
    const char *where; /* "worker.yaml:12" for messages */
};

/** The link @name of the chain of @subscription, or NULL. */
const struct config_middleware *config_find_link(const struct config_subscription *subscription,
                                                 const char *name);

/** All of it. Everything is owned by the struct and lives until config_free(). */
struct config {
/* NOLINTBEGIN(bugprone-macro-parentheses): the names of members. */
#define SECTION(name, help) struct {
#define END(name)                                                                                  \
    }                                                                                              \
    name;
#define TOP(member, name, type, ...)             CONFIG_MEMBER_##type(member)
#define OPTION(section, member, name, type, ...) CONFIG_MEMBER_##type(member)
#include "config/options.def"
    /* NOLINTEND(bugprone-macro-parentheses) */
    struct config_topology topology; /* as written, and what is added to it: see declared.h */
    const struct config_middleware *middlewares; /* options for all subscriptions, by name */
    size_t middleware_count;
    const struct config_semaphore *semaphores;
    size_t semaphore_count;
    const struct config_executor *executors;
    size_t executor_count;
    const struct config_subscription *subscriptions;
    size_t subscription_count;
    const char *file;
    struct config_private *private;
};

/**
 * Read @file, then the environment (@env is a NULL-terminated "NAME=value" list, such as environ),
 * then @sets ("key=value").
 *
 * @file  NULL: only environment and sets
 * @return WARREN_OK or WARREN_ECONFIG; the text names file and line (or the variable), what is
 *         wrong, what was expected, and the nearest known name
 */
enum warren_status config_load(const char *file, char *const *env, const char *const *sets,
                               size_t set_count, struct config **ret_config,
                               struct warren_error *error);
/**
 * The same of a document in memory, which is copied.
 *
 * @text  NULL: config_load() of @name
 * @name  of a file, as it were: errors begin with it, and relative file names are relative to its
 *        folder
 */
enum warren_status config_load_text(const char *text, const char *name, char *const *env,
                                    const char *const *sets, size_t set_count,
                                    struct config **ret_config, struct warren_error *error);
/** NULL is fine. */
void config_free(struct config *config);

/**
 * Whether the value of @set ("key=value") is one for that option, before config_load() is given it.
 *
 * @source  where it was written, which an error names: "--window"
 * @return  WARREN_OK, WARREN_ECONFIG, WARREN_ENOMEM
 */
enum warren_status config_check_set(const char *source, const char *set,
                                    struct warren_error *error);

/**
 * Where the value in force of an option comes from, for messages: "worker.yaml:2:8",
 * "WARREN_BROKER_URI", "--set broker.uri", "default".
 *
 * @name  of the option, such as "broker.uri"
 * @item  which item, if the value is a list; otherwise ignored
 */
void config_where(const struct config *config, const char *name, size_t item, char *text,
                  size_t size);

/**
 * Check a subscription's `options:` against the handler's table.
 *
 * @ret_options  lives as long as @config
 * @return       WARREN_OK or WARREN_ECONFIG, with file and line
 */
enum warren_status config_handler_options(struct config *config,
                                          const struct config_subscription *subscription,
                                          const struct warren_option *table,
                                          const struct warren_options **ret_options,
                                          struct warren_error *error);

/** One subscription that is run by hand or by a test. Zero what is the file's. All is copied. */
struct config_single {
    const char *queue;
    const char *handler;        /* "PLUGIN.HANDLER"; without a file it must be given */
    const char *const *options; /* of the handler, over the file's: "NAME=VALUE" */
    size_t option_count;
    const char *chain; /* YAML, as under `middleware:`; NULL, and no file: no link */
};

/**
 * Leave one subscription in @config: the file's that has the handler, and the queue if one of those
 * has it; or, if there was no file, a new one, with dead letters. Its queue is @what's, if that has
 * one. Before
 * config_chains() and config_handler_options().
 *
 * @return WARREN_OK; WARREN_ECONFIG (the file has none such; malformed options or chain);
 *         WARREN_ENOMEM
 */
enum warren_status config_single(struct config *config, const struct config_single *what,
                                 struct warren_error *error);

/** A middleware of the chain of a subscription that lists none. */
struct config_standard_link {
    const char *name;
    bool always; /* false: only if the top of the file has options for it */
};

/** What config_chains() has to know of middlewares, of which this floor knows nothing. */
struct config_catalog {
    /** The table of the middleware @name. @return WARREN_OK; WARREN_ENOTFOUND with @error */
    enum warren_status (*find)(void *user, const char *name, const struct warren_option **ret_table,
                               struct warren_error *error);
    /** False: the name at *@ret_culprit stands where it must not; @why says so in a sentence. */
    bool (*in_order)(const char *const *names, size_t count, size_t *ret_culprit, char *why,
                     size_t size);
    const struct config_standard_link *standard; /* outermost first */
    size_t standard_count;
    void *user;
};

/**
 * Complete the chain of each subscription: the standard one where none is listed; each option from
 * the link itself, else from the top of the file, else the default of its table.
 *
 * @return WARREN_OK; WARREN_ECONFIG with file and line: an unknown middleware, one that stands
 *         where it must not, an option that is wrong; WARREN_ENOMEM
 */
enum warren_status config_chains(struct config *config, const struct config_catalog *catalog,
                                 struct warren_error *error);

/**
 * The next option of which @a and @b say different things. There is none if they are not of the
 * same table: then one is of another plugin.
 *
 * @at      where to begin: 0; moved behind that option
 * @return  its name; NULL: there is none any more
 */
const char *config_options_differ(const struct warren_options *a, const struct warren_options *b,
                                  size_t *at);

/** Say @value for the whole number @name, which is one: for showing what another value stands for.
 */
void config_options_show(const struct warren_options *options, const char *name, int64_t value);

/** @name of what differs, such as "consumer.prefetch: 10 > 20", and @why a worker that runs cannot
 * take it over; NULL: it can. */
typedef void config_change_fn(void *user, const char *name, const char *why);
/** Which options differ between two configurations, but those of subscriptions and middlewares. */
void config_changes(const struct config *before, const struct config *now,
                    config_change_fn *differs, void *user);

/** Which rows of a subscription differ: "prefetch of payments: 10 > 20". */
void config_subscription_changes(const struct config_subscription *before,
                                 const struct config_subscription *now, config_change_fn *differs,
                                 void *user);
/** Does that row, such as "options"? */
bool config_subscription_differs(const struct config_subscription *a,
                                 const struct config_subscription *b, const char *name);
/** Names or sizes. */
bool config_semaphores_differ(const struct config *a, const struct config *b);
/** What is written of the topology. */
bool config_topology_differs(const struct config *a, const struct config *b);

/** The subscription of @now that is the one at @index of @before: same queue, handler, place. */
const struct config_subscription *config_same_subscription(const struct config *before,
                                                           size_t index, const struct config *now);

/**
 * Has each subscription of @before that @now has, too, the lanes that it had? Messages are on their
 * way from one to the other, and a queue that was the slow one would have nobody.
 *
 * @return WARREN_OK or WARREN_ECONFIG with @error
 */
enum warren_status config_lanes_stay(const struct config *before, const struct config *now,
                                     struct warren_error *error);

/**
 * Have both the same shards? Who has other ones shares them out otherwise.
 *
 * @return WARREN_OK or WARREN_ECONFIG with @error
 */
enum warren_status config_shards_stay(const struct config *before, const struct config *now,
                                      struct warren_error *error);

/** Does it stand for an item of the file? There are others for slow lanes and shards. */
bool config_is_written(const struct config_subscription *subscription);

/** Do both have the same middlewares, in the same order? */
bool config_same_chain(const struct config_subscription *a, const struct config_subscription *b);

/** A middleware for the reference page. */
struct config_middleware_help {
    const char *name;
    const char *help;
    const struct warren_option *options; /* NULL: none */
};

/**
 * The reference page (Markdown): every option with type, range, default, variable, meaning.
 *
 * @middlewares  outermost first, ended by a NULL name; NULL: none
 */
void config_write_reference(FILE *out, const struct config_middleware_help *middlewares);
/** The same as columns of plain text, for `warren run --help`. */
void config_write_help(FILE *out);
/** What is in force, as YAML, with where each value came from; secrets as "***". */
void config_write_effective(const struct config *config, FILE *out);

#endif
