/* growth.h - what the broker will add to the headers of a message that warren sends on its way. It
 * sends the whole as one frame, which other clients refuse above frame_max, and warren above
 * FRAME_GROWTH_MAX more. So what is published in a message's place, or with a delay, leaves room.
 *
 *   x-death of each queue that it passes   103 + queue + exchange + keys
 *     each level of the delay queues, whose names take 35 at most ("warren.delay.NN")
 *     the departure queue, the destination
 *   x-death itself                          13
 *   x-first-death-*, x-last-death-*        183 + 2 (queue + exchange)
 *   x-delivery-count, x-acquired-count      52
 *
 * in bytes of the wire (AMQP 0-9-1, section 4.2.5); the notes are those of RabbitMQ 3.10 to 4.3.
 * Thread: any.
 */
#ifndef WARREN_PUBLISH_GROWTH_H
#define WARREN_PUBLISH_GROWTH_H

#include <warren/publisher.h>

#include "base/arena.h"

/**
 * Room for a message that goes where @publish says, or into @to_queue, by way of the delay queues
 * if @delay_ms is above 0, and may then be dead-lettered once.
 *
 * @publish  its message may be NULL: one without CC
 * @texts    see publisher.h
 */
size_t growth_room(const struct warren_publish *publish, const struct arena *texts,
                   const char *to_queue, int64_t delay_ms);

#endif
