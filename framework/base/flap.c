/* flap.c - see flap.h. */
#include "base/flap.h"

#define LINES_MAX 2

static void tell(struct flap *flap, uint32_t *ret_times)
{
    flap->lines++;
    flap->reported = flap->on;
    *ret_times = flap->times;
    flap->times = 0;
}

bool flap_set(struct flap *flap, bool on, int64_t now_ms, uint32_t *ret_times)
{
    if (on == flap->on)
        return false;
    flap->on = on;
    flap->times += on;
    if (flap->lines == 0 || now_ms - flap->since_ms >= FLAP_MS) {
        flap->since_ms = now_ms;
        flap->lines = 0;
    }
    if (flap->lines == LINES_MAX)
        return false;
    tell(flap, ret_times);
    return true;
}

int64_t flap_due_ms(const struct flap *flap)
{
    return flap->reported != flap->on || flap->times > 0 ? flap->since_ms + FLAP_MS : INT64_MAX;
}

bool flap_due(struct flap *flap, int64_t now_ms, uint32_t *ret_times)
{
    if (flap_due_ms(flap) > now_ms)
        return false;
    flap->since_ms = now_ms;
    flap->lines = 0;
    tell(flap, ret_times);
    return true;
}
