/* method_name.h - AMQP's methods as people write them.
 * Thread: any.
 */
#ifndef WARREN_AMQP_METHOD_NAME_H
#define WARREN_AMQP_METHOD_NAME_H

#include <stdint.h>

/** Room for any name. */
struct method_name {
    char text[40];
};

/** "basic.consume-ok"; "method 60.99" for one that rabbitmq-c does not know. */
struct method_name method_name(uint32_t id);

#endif
