/* key.c - `by:` of an order, and of fairness: what the key of a message is. */
#include <string.h>

#include "config/options.h"
#include "config/secret.h"

/* Of a header, as the wire has it. */
#define NAME_MAX_BYTES 255
#define HEADER         "header:"

static enum warren_status read_header(struct config_scope *scope, const struct config_node *node,
                                      const char *by, struct config_key *ret)
{
    ret->source = ORDER_BY_HEADER;
    ret->header = by + strlen(HEADER);
    if (!*ret->header)
        return config_fail(scope, node,
                           "by is 'header:' without a name, expected such as header:customer");
    if (strlen(ret->header) <= NAME_MAX_BYTES)
        return WARREN_OK;
    return config_fail(scope, node,
                       "by: the name of a header has at most %d bytes, and this one %zu",
                       NAME_MAX_BYTES, strlen(ret->header));
}

enum warren_status config_key_read(struct config_scope *scope, const struct config_node *node,
                                   const char *by, const char *expected, struct config_key *ret)
{
    static const struct {
        const char *name;
        enum config_order_by source;
    } sources[] = {{"routing_key", ORDER_BY_ROUTING_KEY},
                   {"message_id", ORDER_BY_MESSAGE_ID},
                   {"handler", ORDER_BY_HANDLER}};
    char word[CONFIG_WORD_SIZE];

    *ret = (struct config_key){.header = NULL};
    if (strncmp(by, HEADER, strlen(HEADER)) == 0)
        return read_header(scope, node, by, ret);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(by, sources[i].name) == 0 && strstr(expected, by)) {
            ret->source = sources[i].source;
            return WARREN_OK;
        }
    return config_fail(scope, node, "by is '%s', expected %s", config_mask(by, word, sizeof word),
                       expected);
}
