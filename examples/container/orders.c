/* orders.c - a handler for a container: logs each order that it takes, rejects an empty one. */
#include <warren/handler.h>

static enum warren_outcome take(struct warren_job *job, void *state)
{
    struct warren_bytes body = warren_job_body(job);

    (void)state;
    if (body.len == 0) {
        warren_job_fail(job, "the order is empty");
        return WARREN_REJECT; /* dead-letter it */
    }
    warren_job_log(job, WARREN_LOG_DEBUG, "order: %.*s", (int)body.len, (const char *)body.data);
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "take", .help = "Take an order.", .handle = take}, {0}};

WARREN_PLUGIN(.name = "orders", .version = "1.0.0", .handlers = handlers)
