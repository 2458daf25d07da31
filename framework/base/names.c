/* names.c - the public names of outcomes and results. */
#include <warren/handler.h>
#include <warren/publisher.h>

const char *warren_outcome_name(enum warren_outcome outcome)
{
    switch (outcome) {
    case WARREN_ACK:
        return "ack";
    case WARREN_RETRY:
        return "retry";
    case WARREN_REJECT:
        return "reject";
    case WARREN_DISCARD:
        return "discard";
    case WARREN_REQUEUE:
        return "requeue";
    }
    return "unknown";
}

const char *warren_result_name(enum warren_result result)
{
    switch (result) {
    case WARREN_CONFIRMED:
        return "confirmed";
    case WARREN_NACKED:
        return "nacked";
    case WARREN_RETURNED:
        return "returned";
    case WARREN_TIMEOUT:
        return "timeout";
    case WARREN_EXPIRED:
        return "expired";
    case WARREN_SPOOLED:
        return "spooled";
    }
    return "unknown";
}
