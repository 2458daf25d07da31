/* gather.c - see gather.h. */
#include "consume/attempt/gather.h"

void gather_close(struct gather *g, enum gather_closed why, struct batch *go)
{
    g->open.first->together = (uint16_t)g->open.count;
    g->closed[why]++;
    g->bytes = 0;
    batch_splice(go, &g->open);
}

void gather_add(struct gather *g, const struct gather_plan *plan, struct attempt *attempt,
                int64_t now_ms, struct batch *go)
{
    size_t bytes = attempt->delivery.body_len;

    if (g->open.count > 0 && (bytes > plan->bytes || g->bytes > plan->bytes - bytes))
        gather_close(g, GATHER_BYTES, go);
    if (g->open.count == 0)
        g->since_ms = now_ms;
    g->bytes += bytes;
    batch_add(&g->open, attempt);
    if (g->open.count >= plan->size)
        gather_close(g, GATHER_SIZE, go);
    else if (g->bytes >= plan->bytes)
        gather_close(g, GATHER_BYTES, go);
}

int64_t gather_due_ms(const struct gather *g, const struct gather_plan *plan)
{
    return g->open.count > 0 ? g->since_ms + plan->wait_ms : INT64_MAX;
}

void gather_take(struct gather *g, struct batch *batch)
{
    g->bytes = 0;
    batch_splice(batch, &g->open);
}
