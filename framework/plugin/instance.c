/* instance.c - see instance.h. */
#include "plugin/instance.h"

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
