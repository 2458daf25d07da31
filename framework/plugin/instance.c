/* instance.c - see instance.h. */
#include "plugin/instance.h"

#include <string.h>

#include "base/choices.h"
#include "base/error.h"
#include "plugin/blame.h"

enum warren_status instance_open(struct instance *instance, const struct warren_handler *handler,
                                 const struct warren_subscription_info *info,
                                 struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = WARREN_OK;

    *instance = (struct instance){.handler = handler};
    if (handler->open) {
        blame_begin("handler", info->handler, info->queue, "open");
        status = handler->open(info, &instance->state, &why);
        blame_end();
    }
    if (status != WARREN_OK) {
        why.text[sizeof why.text - 1] = '\0';
        return error_set(error, WARREN_EPLUGIN, "queue %s: handler %s failed to open: %s",
                         info->queue, info->handler,
                         why.text[0] ? why.text : warren_status_name(status));
    }
    instance->is_open = true;
    return WARREN_OK;
}

void instance_close(struct instance *instance)
{
    if (instance->is_open && instance->handler->close)
        instance->handler->close(instance->state);
    instance->is_open = false;
}

void instance_reopen(const struct instance *instance)
{
    if (instance->is_open && instance->handler->reopen)
        instance->handler->reopen(instance->state);
}

/* ---- middlewares ---- */

/* Some say their own name, which stands before it already. */
static const char *without_name(const char *text, const char *name)
{
    size_t len = strlen(name);

    return strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2
                                                                              : text;
}

static enum warren_status refused(const struct warren_middleware *middleware, const char *name,
                                  const char *queue, enum warren_status status,
                                  struct warren_error *why, struct warren_error *error)
{
    why->text[sizeof why->text - 1] = '\0';
    return error_set(error, status == WARREN_ECONFIG ? status : WARREN_EPLUGIN,
                     "queue %s: middleware %s: %s", queue, name,
                     why->text[0] ? without_name(why->text, middleware->name)
                                  : warren_status_name(status));
}

static enum warren_status check(const struct warren_middleware *middleware, const char *name,
                                const char *queue, const struct warren_options *options,
                                struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = WARREN_OK;

    if (middleware->check) {
        blame_begin("middleware", name, queue, "check");
        status = middleware->check(options, &why);
        blame_end();
    }
    if (status == WARREN_OK)
        return WARREN_OK;
    return refused(middleware, name, queue, WARREN_ECONFIG, &why, error);
}

enum warren_status middleware_open(struct middleware_instance *instance,
                                   const struct warren_middleware *middleware, const char *name,
                                   const struct warren_subscription_info *info,
                                   struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = check(middleware, name, info->queue, info->options, error);

    *instance = (struct middleware_instance){.middleware = middleware};
    if (status != WARREN_OK)
        return status;
    if (middleware->open) {
        blame_begin("middleware", name, info->queue, "open");
        status = middleware->open(info, &instance->state, &why);
        blame_end();
    }
    if (status != WARREN_OK)
        return refused(middleware, name, info->queue, status, &why, error);
    instance->is_open = true;
    return WARREN_OK;
}

void middleware_close(struct middleware_instance *instance)
{
    if (instance->is_open && instance->middleware->close)
        instance->middleware->close(instance->state);
    instance->is_open = false;
}

bool middleware_is_fixed(const struct warren_middleware *middleware, const char *option)
{
    return !middleware->reload ||
           (middleware->fixed && choices_find(middleware->fixed, option) >= 0);
}
