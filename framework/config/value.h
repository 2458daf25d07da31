/* value.h - the value of one option, from what is written.
 * The row that describes an option is the public struct warren_option, for warren's own options
 * and for a handler's.
 * Thread: none of its own.
 */
#ifndef WARREN_CONFIG_VALUE_H
#define WARREN_CONFIG_VALUE_H

#include <warren/handler.h>

#include "config/node.h"

/** Longest text of config_value_number(). */
#define CONFIG_NUMBER_SIZE 32

/** Types that only warren's own tables have, besides those of enum warren_option_type. */
enum {
    WARREN_OPTION_PATHS = 16, /* a list of file names */
    WARREN_OPTION_RANGE,      /* a whole number, or two: the least and the most */
    WARREN_OPTION_ARGUMENTS,  /* a mapping that becomes a field table */
    WARREN_OPTION_MAPPING,    /* kept as written, for another parser */
    WARREN_OPTION_CHAIN       /* the same */
};

/** The member that belongs to the option's type is alive. */
struct config_value {
    bool given;                     /* false: the default */
    const struct config_node *node; /* where it came from; NULL before it was set */
    bool boolean;                   /* BOOL */
    int64_t integer;                /* INT, SIZE (bytes), DURATION (ms); RANGE: the most */
    int64_t least;                  /* RANGE */
    const char *text;               /* STRING, PATH, ENUM */
    const char *const *list;        /* LIST, PATHS; NULL when empty */
    size_t count;
    struct warren_table table; /* ARGUMENTS */
};

/**
 * Read @node as @option says.
 *
 * @name    the whole name for the error text, such as "consumer.prefetch"
 * @secret  never put the value itself into the error text
 * @return  WARREN_OK, WARREN_ECONFIG or WARREN_ENOMEM
 */
enum warren_status config_value_parse(struct config_scope *scope,
                                      const struct warren_option *option, const char *name,
                                      bool secret, const struct config_node *node,
                                      struct config_value *value);

/** Of one type: do both say the same? */
bool config_value_equal(enum warren_option_type type, const struct config_value *a,
                        const struct config_value *b);

/** Read "250ms", "30s", "5m", "1h", "30d" or "0". @return false: it is no duration */
bool config_duration_parse(const char *text, int64_t *ret_ms);

/** A number as it would be written in YAML: "64MiB", "2m", "100". */
void config_value_number(enum warren_option_type type, int64_t number, char *text, size_t size);

/** The same of @value, whose type is one of numbers: "2-32" of a RANGE. */
void config_value_numbers(enum warren_option_type type, const struct config_value *value,
                          char *text, size_t size);

/** "duration", "whole number", ... */
const char *config_type_name(enum warren_option_type type);

/* ---- arguments.c: a YAML mapping of any shape as an AMQP field table, for `arguments:` ---- */

/** @node may be NULL: an empty table. The table lives in @scope->arena. */
enum warren_status config_arguments_read(struct config_scope *scope, const struct config_node *node,
                                         struct warren_table *table);

#endif
