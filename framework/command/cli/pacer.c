#include "command/cli/pacer.h"

void pacer_init(struct pacer *pacer, double per_second, int64_t now_ns)
{
    pacer->interval_ns = per_second > 0 ? (int64_t)(1e9 / per_second) : 0;
    pacer->due_ns = now_ns;
}

int64_t pacer_take(struct pacer *pacer, int64_t now_ns)
{
    int64_t wait_ns;

    if (pacer->interval_ns == 0)
        return 0;
    if (pacer->due_ns < now_ns - PACER_BURST_NS)
        pacer->due_ns = now_ns - PACER_BURST_NS;
    wait_ns = pacer->due_ns - now_ns;
    pacer->due_ns += pacer->interval_ns;
    return wait_ns > 0 ? wait_ns : 0;
}
