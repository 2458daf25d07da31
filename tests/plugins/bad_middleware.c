/* bad_middleware.c - a plugin with a middleware whose struct is that of another time, though the
 * ABI number is ours: the author filled in the descriptor by hand.
 */
#include <warren/handler.h>
#include <warren/middleware.h>

static const struct warren_middleware middlewares[] = {{.name = "guard"}, {0}};

WARREN_API const struct warren_plugin *warren_plugin_entry(void);

const struct warren_plugin *warren_plugin_entry(void)
{
    static const struct warren_plugin plugin = {.abi = WARREN_PLUGIN_ABI,
                                                .size = sizeof(struct warren_plugin),
                                                .handler_size = sizeof(struct warren_handler),
                                                .option_size = sizeof(struct warren_option),
                                                .name = "bad_middleware",
                                                .version = "1.0.0",
                                                .middlewares = middlewares,
                                                .middleware_size = 2 * sizeof(void *)};

    return &plugin;
}
