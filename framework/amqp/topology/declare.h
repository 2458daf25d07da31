/* declare.h - the method that declares one exchange, queue or binding, as the configuration
 * describes it. It is sent without waiting. Thread: the loop's. Elsewhere: all of a worker's, and
 * what is refused (topology.h).
 */
#ifndef WARREN_AMQP_DECLARE_H
#define WARREN_AMQP_DECLARE_H

#include "amqp/connection/channel.h"
#include "base/arena.h"
#include "config/config.h"

/** One of the three; the others are NULL. */
struct declare_item {
    const struct config_exchange *exchange;
    const struct config_queue *queue;
    const struct config_binding *binding;
};

/** Where to, and who gets the reply. */
struct declare_to {
    struct channel *channel;
    struct arena *scratch; /* for the encoding */
    void (*reply)(void *user, void *decoded);
    void *user;
};

/** @return as channel_call(); WARREN_EINVAL, with @error: AMQP has no such arguments */
enum warren_status declare_send(const struct declare_to *to, const struct declare_item *item,
                                struct warren_error *error);

/** Long enough for two names and some arguments; a longer text is cut. */
#define DECLARE_TEXT_MAX 768

/**
 * What is asked of the broker, in words: "exchange 'orders' (topic, durable)", "queue 'payments'
 * (quorum, durable, x-max-length=100)" without a limit that nobody wrote, "binding of queue
 * 'payments' to exchange 'orders' with key 'paid'".
 */
void declare_text(const struct declare_item *item, char text[DECLARE_TEXT_MAX]);

/** Is @method one that declare_send() sends? */
bool declare_is(uint32_t method);

#endif
