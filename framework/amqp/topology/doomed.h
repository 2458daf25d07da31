/* doomed.h - declares that the broker refuses whatever it has: they ask whether this user may
 * configure the thing, and make nothing. RabbitMQ looks at the permission first (403) and at
 * arguments last, and an argument of a wrong type is refused (406), whether the thing exists or
 * not. Thread: any. Elsewhere: asking by them (right_probe.h, command/broker/broker_check.h).
 */
#ifndef WARREN_AMQP_DOOMED_H
#define WARREN_AMQP_DOOMED_H

#include "config/config.h"

/** @exchange with its name and type, and an argument in @argument, which it borrows, that is wrong.
 */
void doomed_exchange(struct config_exchange *exchange, struct warren_field *argument);
/** The same of @queue, of which the name alone is kept. */
void doomed_queue(struct config_queue *queue, struct warren_field *argument);

/** Is @text, with the code 406, about that argument? */
bool doomed_is_refusal(const char *text);

#endif
