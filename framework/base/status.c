/* status.c - the public names of statuses, and the version. */
#include <warren/status.h>

const char *warren_status_name(enum warren_status status)
{
    switch (status) {
    case WARREN_OK:
        return "ok";
    case WARREN_EINVAL:
        return "invalid";
    case WARREN_ENOMEM:
        return "no-memory";
    case WARREN_ECONFIG:
        return "configuration";
    case WARREN_EPLUGIN:
        return "plugin";
    case WARREN_EIO:
        return "io";
    case WARREN_EPROTOCOL:
        return "protocol";
    case WARREN_EBROKER:
        return "broker";
    case WARREN_ETIMEOUT:
        return "timeout";
    case WARREN_EFULL:
        return "full";
    case WARREN_ECLOSED:
        return "closed";
    case WARREN_ETOOBIG:
        return "too-big";
    case WARREN_ENOTFOUND:
        return "not-found";
    case WARREN_ETAINTED:
        return "tainted";
    }
    return "unknown";
}

const char *warren_version(void)
{
    return WARREN_VERSION;
}
