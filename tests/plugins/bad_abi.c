/* bad_abi.c - a plugin that was compiled against headers of another time. */
#include <warren/handler.h>

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {{.name = "any", .handle = handle}, {0}};

WARREN_API const struct warren_plugin *warren_plugin_entry(void);

const struct warren_plugin *warren_plugin_entry(void)
{
    static const struct warren_plugin plugin = {.abi = WARREN_PLUGIN_ABI + 98,
                                                .size = sizeof(struct warren_plugin),
                                                .handler_size = sizeof(struct warren_handler),
                                                .option_size = sizeof(struct warren_option),
                                                .name = "bad_abi",
                                                .version = "1.0.0",
                                                .handlers = handlers};

    return &plugin;
}
