#include "config/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/error.h"
#include "base/input_file.h"

struct anchor {
    struct anchor *next;
    const char *name;
    const struct config_node *node;
};

struct reader {
    yaml_parser_t parser;
    struct config_scope *scope;
    const struct config_source *source;
    struct anchor *anchors;
    size_t depth;
};

static enum warren_status read_node(struct reader *r, const yaml_event_t *event,
                                    const struct config_node **ret_node);

static struct config_node *node_new(struct reader *r, const yaml_event_t *event,
                                    enum config_kind kind)
{
    struct config_node *node = arena_alloc(r->scope->arena, sizeof *node);

    if (node)
        *node = (struct config_node){.kind = kind,
                                     .weight = 1,
                                     .source = r->source,
                                     .line = event->start_mark.line + 1,
                                     .column = event->start_mark.column + 1};
    return node;
}

/* An error at a place that has no node yet. */
static enum warren_status fail_at(struct reader *r, yaml_mark_t mark, const char *words)
{
    const struct config_node place = {
        .source = r->source, .line = mark.line + 1, .column = mark.column + 1};

    return config_fail(r->scope, &place, "%s", words);
}

/* A text that ends in a colon, such as `by: header:`, is half a key to the parser, whose words say
 * nothing of it. @return what was expected there; "": it is another mistake */
static const char *expected_at_colon(const yaml_parser_t *parser)
{
    const yaml_token_t *next = parser->tokens.head;

    if (strcmp(parser->problem, "found unexpected ':'") == 0 ||
        (strcmp(parser->problem, "did not find expected ',' or '}'") == 0 &&
         next != parser->tokens.tail && next->type == YAML_VALUE_TOKEN))
        return "; expected a text directly behind the colon, such as header:NAME, or quotes around "
               "all of it";
    if (strcmp(parser->problem, "mapping values are not allowed in this context") == 0)
        return "; expected a text directly behind the colon, such as header:NAME, or quotes around "
               "all of it, or a key on a line of its own";
    return "";
}

static enum warren_status next_event(struct reader *r, yaml_event_t *event)
{
    char words[320];

    if (yaml_parser_parse(&r->parser, event))
        return WARREN_OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return config_nomem(r->scope);
    if (r->parser.error == YAML_READER_ERROR)
        return error_set(r->scope->error, WARREN_ECONFIG, "%s: byte %zu: malformed text: %s",
                         r->source->name, r->parser.problem_offset, r->parser.problem);
    /* The parser's words are fixed texts: they hold nothing of the file. */
    snprintf(words, sizeof words, "malformed YAML: %s%s%s%s", r->parser.problem,
             r->parser.context ? " " : "", r->parser.context ? r->parser.context : "",
             expected_at_colon(&r->parser));
    return fail_at(r, r->parser.problem_mark, words);
}

static enum warren_status append(struct reader *r, struct config_node *node,
                                 const struct config_node *item)
{
    if (node->count >= 4 ? !(node->count & (node->count - 1)) : !node->count) {
        size_t capacity = node->count ? node->count * 2 : 4;
        const struct config_node **items = arena_alloc(r->scope->arena, capacity * sizeof(*items));

        if (!items)
            return config_nomem(r->scope);
        if (node->count)
            memcpy(items, node->items, node->count * sizeof(*items));
        node->items = items;
    }
    node->items[node->count++] = item;
    node->weight += item->weight;
    if (node->height <= item->height)
        node->height = item->height + 1;
    if (node->height > CONFIG_DEPTH_MAX)
        return config_fail(r->scope, item, "nested deeper than %d levels", CONFIG_DEPTH_MAX);
    if (node->weight > CONFIG_NODES_MAX)
        return config_fail(r->scope, item,
                           "more than %d values in one file (aliases count as "
                           "often as they are used)",
                           CONFIG_NODES_MAX);
    return WARREN_OK;
}

static enum warren_status remember(struct reader *r, const yaml_char_t *name,
                                   const struct config_node *node)
{
    struct anchor *anchor;

    if (!name)
        return WARREN_OK;
    anchor = arena_alloc(r->scope->arena, sizeof *anchor);
    if (!anchor)
        return config_nomem(r->scope);
    anchor->name = arena_text(r->scope->arena, name, strlen((const char *)name));
    if (!anchor->name)
        return config_nomem(r->scope);
    anchor->node = node;
    anchor->next = r->anchors;
    r->anchors = anchor;
    return WARREN_OK;
}

/* An anchor is known once its node is complete, so that no node can hold itself. */
static enum warren_status read_alias(struct reader *r, const yaml_event_t *event,
                                     const struct config_node **ret_node)
{
    for (const struct anchor *a = r->anchors; a; a = a->next) {
        if (strcmp(a->name, (const char *)event->data.alias.anchor) == 0) {
            *ret_node = a->node;
            return WARREN_OK;
        }
    }
    return fail_at(r, event->start_mark, "this alias names no anchor that stands before it");
}

static enum warren_status check_tag(struct reader *r, const yaml_event_t *event,
                                    const yaml_char_t *tag, const char *allowed)
{
    if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, allowed) == 0)
        return WARREN_OK;
    return fail_at(r, event->start_mark, "YAML tags are not supported (put a text into quotes)");
}

static enum warren_status read_scalar(struct reader *r, const yaml_event_t *event,
                                      struct config_node **ret_node)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    struct config_node *node;
    enum warren_status status =
        check_tag(r, event, event->data.scalar.tag, "tag:yaml.org,2002:str");

    if (status != WARREN_OK)
        return status;
    if (memchr(value, '\0', length))
        return fail_at(r, event->start_mark, "a text may not hold a NUL byte");
    node = node_new(r, event, CONFIG_SCALAR);
    if (!node)
        return config_nomem(r->scope);
    node->plain = event->data.scalar.plain_implicit && !event->data.scalar.tag &&
                  event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_text(r->scope->arena, value, length);
    *ret_node = node;
    return node->text ? WARREN_OK : config_nomem(r->scope);
}

static enum warren_status check_key(struct reader *r, const struct config_node *mapping,
                                    const struct config_node *key)
{
    if (key->kind != CONFIG_SCALAR)
        return config_fail(r->scope, key, "a key must be a text");
    if (key->plain && strcmp(key->text, "<<") == 0)
        return config_fail(r->scope, key, "merge keys (<<) are not supported");
    if (mapping->count / 2 >= CONFIG_KEYS_MAX)
        return config_fail(r->scope, key, "more than %d keys in one mapping", CONFIG_KEYS_MAX);
    for (size_t i = 0; i < mapping->count; i += 2)
        if (strcmp(mapping->items[i]->text, key->text) == 0)
            return config_fail(r->scope, key, "this key stands twice, first in line %zu",
                               mapping->items[i]->line);
    return WARREN_OK;
}

/* Up to its end; of a mapping, keys and values take turns. */
static enum warren_status read_items(struct reader *r, struct config_node *node)
{
    bool mapping = node->kind == CONFIG_MAPPING;

    for (;;) {
        yaml_event_t event;
        const struct config_node *item;
        enum warren_status status = next_event(r, &event);

        if (status != WARREN_OK)
            return status;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return WARREN_OK;
        }
        status = read_node(r, &event, &item);
        yaml_event_delete(&event);
        if (status == WARREN_OK && mapping && node->count % 2 == 0)
            status = check_key(r, node, item);
        if (status == WARREN_OK)
            status = append(r, node, item);
        if (status != WARREN_OK)
            return status;
    }
}

static enum warren_status read_collection(struct reader *r, const yaml_event_t *event,
                                          struct config_node **ret_node)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    enum warren_status status;

    if (r->depth >= CONFIG_DEPTH_MAX)
        return fail_at(r, event->start_mark, "malformed YAML: nested too deep");
    status = check_tag(r, event, tag, mapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq");
    if (status != WARREN_OK)
        return status;
    *ret_node = node_new(r, event, mapping ? CONFIG_MAPPING : CONFIG_SEQUENCE);
    if (!*ret_node)
        return config_nomem(r->scope);
    r->depth++;
    status = read_items(r, *ret_node);
    r->depth--;
    return status;
}

static enum warren_status read_node(struct reader *r, const yaml_event_t *event,
                                    const struct config_node **ret_node)
{
    struct config_node *node = NULL;
    const yaml_char_t *anchor;
    enum warren_status status;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r, event, ret_node);
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        status = read_scalar(r, event, &node);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        status = read_collection(r, event, &node);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        status = read_collection(r, event, &node);
        break;
    default:
        return fail_at(r, event->start_mark, "malformed YAML: a value was expected");
    }
    if (status != WARREN_OK)
        return status;
    *ret_node = node;
    return remember(r, anchor, node);
}

/* Take one event that carries nothing; @ret_type says which it was. */
static enum warren_status skip_event(struct reader *r, yaml_event_type_t *ret_type,
                                     yaml_mark_t *ret_mark)
{
    yaml_event_t event;
    enum warren_status status = next_event(r, &event);

    if (status != WARREN_OK)
        return status;
    *ret_type = event.type;
    *ret_mark = event.start_mark;
    yaml_event_delete(&event);
    return WARREN_OK;
}

static enum warren_status is_empty(struct reader *r)
{
    return error_set(r->scope->error, WARREN_ECONFIG, "%s: the file is empty", r->source->name);
}

static enum warren_status read_stream(struct reader *r, const struct config_node **ret_root)
{
    yaml_event_t event;
    yaml_event_type_t type;
    yaml_mark_t mark;
    enum warren_status status = skip_event(r, &type, &mark); /* start of the stream */

    if (status == WARREN_OK)
        status = skip_event(r, &type, &mark);
    if (status != WARREN_OK)
        return status;
    if (type == YAML_STREAM_END_EVENT)
        return is_empty(r);
    status = next_event(r, &event);
    if (status != WARREN_OK)
        return status;
    status = read_node(r, &event, ret_root);
    yaml_event_delete(&event);
    if (status == WARREN_OK)
        status = skip_event(r, &type, &mark); /* end of the document */
    if (status == WARREN_OK)
        status = skip_event(r, &type, &mark);
    if (status != WARREN_OK)
        return status;
    if (type != YAML_STREAM_END_EVENT)
        return fail_at(r, mark, "a second document begins here, but only one is allowed");
    return config_node_empty(*ret_root) ? is_empty(r) : WARREN_OK;
}

static enum warren_status parse(struct config_scope *scope, const struct config_source *source,
                                const void *data, size_t len, const struct config_node **ret_root)
{
    struct reader r = {.scope = scope, .source = source};
    enum warren_status status;

    if (!yaml_parser_initialize(&r.parser))
        return config_nomem(scope);
    yaml_parser_set_input_string(&r.parser, data, len);
    status = read_stream(&r, ret_root);
    yaml_parser_delete(&r.parser);
    return status;
}

enum warren_status config_document_parse(struct config_scope *scope,
                                         const struct config_source *source, const char *text,
                                         const struct config_node **ret_root)
{
    size_t len = strlen(text);

    if (len > CONFIG_FILE_MAX)
        return error_set(scope->error, WARREN_ECONFIG, "%s: larger than 1 MiB", source->name);
    return parse(scope, source, text, len, ret_root);
}

enum warren_status config_document_read(struct config_scope *scope,
                                        const struct config_source *source,
                                        const struct config_node **ret_root)
{
    const char *why;
    FILE *file = input_file_stream(source->name, &why);
    uint8_t *data = malloc(CONFIG_FILE_MAX + 1);
    enum warren_status status;
    size_t len = 0;

    errno = 0;
    if (file && data)
        len = fread(data, 1, CONFIG_FILE_MAX + 1, file);
    if (!data)
        status = config_nomem(scope);
    else if (!file || ferror(file))
        status = error_set(scope->error, WARREN_ECONFIG, "%s: cannot be read: %s", source->name,
                           file ? strerror(errno) : why);
    else if (len > CONFIG_FILE_MAX)
        status = error_set(scope->error, WARREN_ECONFIG,
                           "%s: larger than 1 MiB, which is no configuration", source->name);
    else
        status = parse(scope, source, data, len, ret_root);
    if (file)
        fclose(file);
    free(data);
    return status;
}
