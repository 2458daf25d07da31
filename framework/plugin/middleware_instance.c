/* middleware_instance.c - see middleware_instance.h. */
#include "plugin/middleware_instance.h"

#include <string.h>

#include "base/error.h"

/* Some say their own name, which stands before it already. */
static const char *without_name(const char *text, const char *name)
{
    size_t len = strlen(name);

    return strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2
                                                                              : text;
}

enum warren_status middleware_open(struct middleware_instance *instance,
                                   const struct warren_middleware *middleware, const char *name,
                                   const struct warren_subscription_info *info,
                                   struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = WARREN_OK;

    *instance = (struct middleware_instance){.middleware = middleware};
    if (middleware->open)
        status = middleware->open(info, &instance->state, &why);
    if (status != WARREN_OK) {
        why.text[sizeof why.text - 1] = '\0';
        return error_set(error, status == WARREN_ECONFIG ? status : WARREN_EPLUGIN,
                         "queue %s: middleware %s: %s", info->queue, name,
                         why.text[0] ? without_name(why.text, middleware->name)
                                     : warren_status_name(status));
    }
    instance->is_open = true;
    return WARREN_OK;
}

void middleware_close(struct middleware_instance *instance)
{
    if (instance->is_open && instance->middleware->close)
        instance->middleware->close(instance->state);
    instance->is_open = false;
}

bool middleware_reload(const struct middleware_instance *instance,
                       const struct warren_options *options)
{
    if (!instance->is_open || !instance->middleware->reload)
        return false;
    instance->middleware->reload(instance->state, options);
    return true;
}
