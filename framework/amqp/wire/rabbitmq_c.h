/* rabbitmq_c.h - the one place that includes rabbitmq-c, old layout (0.11) or new (0.13 and later).
 * warren uses its codec half alone: amqp_encode_*, amqp_decode_*, pools, constants. No socket of
 * rabbitmq-c is ever opened (docs/architecture.md tells why).
 */
#ifndef WARREN_AMQP_RABBITMQ_C_H
#define WARREN_AMQP_RABBITMQ_C_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#endif
