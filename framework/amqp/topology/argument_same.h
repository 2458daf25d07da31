/* argument_same.h - whether two arguments mean the same, as RabbitMQ compares them: integers of all
 * sizes, and texts and bytes, are of one kind each; tables have no order. And as its management API
 * tells of them: a void is the text "undefined" there.
 * Thread: any.
 */
#ifndef WARREN_AMQP_ARGUMENT_SAME_H
#define WARREN_AMQP_ARGUMENT_SAME_H

#include <warren/message.h>

/** A value of type 0 is none, and the same as another such one. */
bool argument_same(const struct warren_value *a, const struct warren_value *b);
bool arguments_same(const struct warren_table *a, const struct warren_table *b);

#endif
