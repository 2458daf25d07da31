/* channel_numbers_private.h - which channel numbers of a connection are taken, and by whom.
 * A number whose channel we closed drains until the broker's close-ok. One whose channel the broker
 * closed is free, but is given again only when there is no other: more may come on it
 * (RabbitMQ 3.10 and 4.0 say channel.close twice now and then). For that reason numbers are given
 * round and round, too. Thread: the loop's. Owner: channel.c, one for each connection.
 */
#ifndef WARREN_AMQP_CHANNEL_NUMBERS_PRIVATE_H
#define WARREN_AMQP_CHANNEL_NUMBERS_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct channel_slot;

struct channel_numbers {
    struct channel_slot *slots; /* by number; slot 0 is not used */
    uint32_t count;
    uint32_t capacity;
    uint16_t max;
    uint16_t last; /* given last */
    uint32_t drain_count;
};

/** All numbers up to @max are free. A zeroed struct is fine to begin with. */
void channel_numbers_reset(struct channel_numbers *numbers, uint16_t max);
void channel_numbers_done(struct channel_numbers *numbers);

/** A number for @channel; 0: all are taken (channel_numbers_full()), or there is no memory. */
uint16_t channel_numbers_take(struct channel_numbers *numbers, struct channel *channel);
/** Of channel_numbers_take() that gave none: there is none. */
bool channel_numbers_full(const struct channel_numbers *numbers);
/** The broker closed it, and we answered: free, and closed until it is given again. */
void channel_numbers_close(struct channel_numbers *numbers, uint16_t number);
/** The number is free at once. */
void channel_numbers_release(struct channel_numbers *numbers, uint16_t number);
/** The number has no channel any more, and is not free before channel_numbers_release(). */
void channel_numbers_drain(struct channel_numbers *numbers, uint16_t number);

/** The channel of that number, or NULL. */
struct channel *channel_numbers_find(const struct channel_numbers *numbers, uint16_t number);
bool channel_numbers_draining(const struct channel_numbers *numbers, uint16_t number);
/** Its close was answered, as channel_numbers_close() or channel_numbers_answered() said. */
bool channel_numbers_closed(const struct channel_numbers *numbers, uint16_t number);
/** The broker closed a draining number, too, and we answered; it drains on. */
void channel_numbers_answered(struct channel_numbers *numbers, uint16_t number);

#endif
