/* doomed.c - see doomed.h. */
#include "amqp/topology/doomed.h"

#include <string.h>

#define WRONG_FOR_EXCHANGE "alternate-exchange"
#define WRONG_FOR_QUEUE    "x-expires"

void doomed_exchange(struct config_exchange *exchange, struct warren_field *argument)
{
    *argument = warren_field_i64(WRONG_FOR_EXCHANGE, 1);
    exchange->auto_delete = true;
    exchange->arguments = (struct warren_table){argument, 1};
}

void doomed_queue(struct config_queue *queue, struct warren_field *argument)
{
    *argument = warren_field_text(WRONG_FOR_QUEUE, "never");
    *queue = (struct config_queue){.name = queue->name,
                                   .type = "classic",
                                   .exclusive = true,
                                   .auto_delete = true,
                                   .arguments = {argument, 1}};
}

bool doomed_is_refusal(const char *text)
{
    return strstr(text, WRONG_FOR_EXCHANGE) || strstr(text, WRONG_FOR_QUEUE);
}
