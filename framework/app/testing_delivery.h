/* testing_delivery.h - the message that a test built, as the consumer would bring it. Thread: any.
 */
#ifndef WARREN_APP_TESTING_DELIVERY_H
#define WARREN_APP_TESTING_DELIVERY_H

#include <warren/testing.h>

#include "amqp/delivery.h"

/**
 * @queue  the routing key, unless @message has one
 * @return as warren_test_deliver(); delivery_free() frees it
 */
enum warren_status testing_delivery_new(const struct warren_test_message *message,
                                        const char *queue, struct delivery **ret_delivery,
                                        struct warren_error *error);

#endif
