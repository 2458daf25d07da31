/* channel_set.c - all channels of a connection: its events go to each, and numbers are given.
 */
#include <stdlib.h>

#include "amqp/connection/channel_private.h"

/* ---- numbers ---- */

void channel_set_lack_number(struct channel_set *set)
{
    if (!channel_numbers_full(&set->numbers)) {
        connection_fail(set->connection, "out of memory for a channel");
    } else if (set->count > set->numbers.max && set->count > set->told_needed) {
        set->told_needed = set->count;
        connection_lacks_channels(set->connection, set->count);
    }
}

/* ---- events of the connection ---- */

void channel_set_open(struct channel_set *set, uint16_t channel_max)
{
    channel_numbers_reset(&set->numbers, channel_max);
    set->told_needed = 0;
    LIST_EACH(link, &set->channels)
        channel_open_now(list_entry(link, struct channel, link));
}

void channel_set_lost(struct channel_set *set, uint32_t method, const char *text)
{
    struct channel_loss loss = {.text = text, .method = method};

    channel_numbers_reset(&set->numbers, 0);
    LIST_EACH(link, &set->channels) {
        struct channel *ch = list_entry(link, struct channel, link);

        loop_timer_disarm(&ch->reopen);
        backoff_reset(&ch->backoff);
        channel_lose(ch, &loss);
    }
}

/* Those that a number was lacking for. */
static void open_waiting(struct channel_set *set)
{
    LIST_EACH(link, &set->channels) {
        struct channel *ch = list_entry(link, struct channel, link);

        if (!loop_timer_armed(&ch->reopen))
            channel_open_now(ch);
    }
}

/* After our channel.close only close-ok counts, or a channel.close that crossed it. */
static void drain_frame(struct channel_set *set, const struct frame *frame)
{
    amqp_channel_close_ok_t close_ok = {0};
    uint32_t id = frame->type == FRAME_METHOD ? frame_method(frame) : 0;

    if (id == AMQP_CHANNEL_CLOSE_OK_METHOD) {
        channel_numbers_release(&set->numbers, frame->channel);
        open_waiting(set);
    } else if (id == AMQP_CHANNEL_CLOSE_METHOD &&
               !channel_numbers_slot(&set->numbers, frame->channel).closed &&
               frame_put_method(connection_out(set->connection), frame->channel,
                                AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok,
                                connection_frame_max(set->connection)) == WARREN_OK) {
        channel_numbers_answered(&set->numbers, frame->channel);
        connection_wrote(set->connection);
    }
}

/* What comes on a channel that the broker closed is forgotten, a second channel.close as well: our
 * close-ok was for both. RabbitMQ takes another one for the first method of a new channel, and
 * closes the connection over it (504). */
void channel_set_frame(struct channel_set *set, const struct frame *frame)
{
    struct channel_slot slot = channel_numbers_slot(&set->numbers, frame->channel);

    if (slot.channel)
        channel_take_frame(slot.channel, frame);
    else if (slot.draining)
        drain_frame(set, frame);
    else if (!slot.closed)
        connection_fail(set->connection, "the peer sent a frame for channel %u, which is not open",
                        frame->channel);
}

uint32_t channel_set_opening(const struct channel_set *set)
{
    for (const struct list *link = set->channels.next; link != &set->channels; link = link->next)
        if (list_entry(link, struct channel, link)->state == CHANNEL_OPENING)
            return set->count;
    return 0;
}

struct channel_set *channel_set_new(struct connection *connection)
{
    struct channel_set *set = calloc(1, sizeof *set);

    if (!set)
        return NULL;
    set->connection = connection;
    list_init(&set->channels);
    random_init(&set->random, random_seed());
    init_amqp_pool(&set->pool, 4096);
    return set;
}

void channel_set_free(struct channel_set *set)
{
    if (!set)
        return;
    empty_amqp_pool(&set->pool);
    channel_numbers_done(&set->numbers);
    free(set);
}
