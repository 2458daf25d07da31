/* names.c - the public names of statuses, outcomes and results, and the version. */
#include <warren/handler.h>
#include <warren/message.h>
#include <warren/publisher.h>
#include <warren/status.h>

/* @place counts from 0; what is behind @names is not known. */
static const char *name_of(const char *const *names, size_t count, int64_t place)
{
    return place >= 0 && place < (int64_t)count ? names[place] : "unknown";
}
#define NAME_OF(names, place) name_of(names, sizeof(names) / sizeof *(names), place)

const char *warren_status_name(enum warren_status status)
{
    static const char *const names[] = {
        [-WARREN_OK] = "ok",
        [-WARREN_EINVAL] = "invalid",
        [-WARREN_ENOMEM] = "no-memory",
        [-WARREN_ECONFIG] = "configuration",
        [-WARREN_EPLUGIN] = "plugin",
        [-WARREN_EIO] = "io",
        [-WARREN_EPROTOCOL] = "protocol",
        [-WARREN_EBROKER] = "broker",
        [-WARREN_ETIMEOUT] = "timeout",
        [-WARREN_EFULL] = "full",
        [-WARREN_ECLOSED] = "closed",
        [-WARREN_ETOOBIG] = "too-big",
        [-WARREN_ENOTFOUND] = "not-found",
        [-WARREN_ETAINTED] = "tainted",
    };

    return NAME_OF(names, -(int64_t)status);
}

const char *warren_outcome_name(enum warren_outcome outcome)
{
    static const char *const names[] = {
        [WARREN_ACK] = "ack",         [WARREN_RETRY] = "retry",     [WARREN_REJECT] = "reject",
        [WARREN_DISCARD] = "discard", [WARREN_REQUEUE] = "requeue",
    };

    return NAME_OF(names, outcome);
}

const char *warren_result_name(enum warren_result result)
{
    static const char *const names[] = {
        [WARREN_CONFIRMED] = "confirmed", [WARREN_NACKED] = "nacked",
        [WARREN_RETURNED] = "returned",   [WARREN_TIMEOUT] = "timeout",
        [WARREN_EXPIRED] = "expired",     [WARREN_SPOOLED] = "spooled",
    };

    return NAME_OF(names, result);
}

const char *warren_version(void)
{
    return WARREN_VERSION;
}

/* ---- reading tables ---- */

const struct warren_value *warren_table_get(const struct warren_table *table, const char *name)
{
    if (!table || !name)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i].value;
    return NULL;
}
