/* node.h - a piece of configuration text and where it stands.
 * The tree of a YAML file is made of these; values from the environment and from --set become
 * nodes too, so that one parser and one error text serve all.
 * Thread: built by one, then read-only. Elsewhere: what a scalar means (value.h).
 */
#ifndef WARREN_CONFIG_NODE_H
#define WARREN_CONFIG_NODE_H

#include <warren/status.h>

#include "base/arena.h"

/** Long enough for "FILE:LINE:COLUMN" with a path of usual length; longer ones are cut. */
#define CONFIG_WHERE_SIZE 320

/** Where nodes come from. */
struct config_source {
    const char *name;   /* "worker.yaml", "WARREN_LOG_LEVEL", "--set log.level", "default" */
    const char *folder; /* ends with '/'; relative paths are relative to it; "" for the cwd */
};

enum config_kind { CONFIG_SCALAR, CONFIG_SEQUENCE, CONFIG_MAPPING };

struct config_node {
    enum config_kind kind;
    bool plain;                       /* a scalar without quotes */
    const char *text;                 /* of a scalar; no NUL inside */
    const struct config_node **items; /* of a sequence; of a mapping: key, value, key, ... */
    size_t count;                     /* of @items */
    size_t weight;                    /* nodes in it, itself too */
    size_t height;                    /* levels of collections below it */
    const struct config_source *source;
    size_t line; /* from 1; 0 if the source is no file */
    size_t column;
};

/** What all parsers of this folder are given: memory for results, and where errors go. */
struct config_scope {
    struct arena *arena;
    struct warren_error *error; /* may be NULL */
};

/** A text in the arena, cut where it is longer than a place (CONFIG_WHERE_SIZE). NULL: no memory.
 */
const char *config_print(struct config_scope *scope, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** @text in the arena. NULL: no memory. */
const char *config_copy(struct config_scope *scope, const char *text);

/** A source of that name, in the arena; @folder is borrowed. NULL: no memory, or @name is NULL. */
const struct config_source *config_source_new(struct config_scope *scope, const char *name,
                                              const char *folder);

/** A scalar that stands in no file; @text is borrowed. NULL: no memory, or one of both is NULL. */
const struct config_node *config_node_text(struct config_scope *scope,
                                           const struct config_source *source, const char *text);

/** A list that stands in no file, with room for @max items. NULL: no memory, or @source is NULL. */
struct config_node *config_node_list(struct config_scope *scope, const struct config_source *source,
                                     size_t max);

/** Nothing was written, or ~, or null. */
bool config_node_empty(const struct config_node *node);

/** Does the same stand there, wherever it stands? NULL is nothing. */
bool config_node_same(const struct config_node *a, const struct config_node *b);

/** The value of @key in a mapping, or NULL; an empty node has no keys. */
const struct config_node *config_node_get(const struct config_node *node, const char *key);

/** A mapping with the keys of @own, then those of @other that are not among them. NULL: no memory.
 */
const struct config_node *config_node_merge(struct config_scope *scope,
                                            const struct config_node *own,
                                            const struct config_node *other);

/** "worker.yaml:12:5", or the name of another source. */
void config_node_where(const struct config_node *node, char *text, size_t size);

/** Put "WHERE: words" into the scope's error. @return WARREN_ECONFIG */
enum warren_status config_fail(struct config_scope *scope, const struct config_node *node,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

/** WARREN_ECONFIG unless @name has 1 to 255 bytes, the bound of a short string in AMQP. */
enum warren_status config_check_name(struct config_scope *scope, const struct config_node *node,
                                     const char *what, const char *name);

/** Memory ran out. @return WARREN_ENOMEM */
enum warren_status config_nomem(struct config_scope *scope);

#ifdef __clang_analyzer__ /* sees one file at a time: here is what it cannot know */
#define config_fail(scope, node, ...) ((config_fail)(scope, node, __VA_ARGS__), WARREN_ECONFIG)
#define config_nomem(scope)           ((config_nomem)(scope), WARREN_ENOMEM)
#endif

#endif
