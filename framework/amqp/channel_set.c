/* channel_set.c - the channels of one connection, by number. */
#include <stdlib.h>
#include <string.h>

#include "amqp/channel_private.h"
#include "amqp/connection_private.h"

struct slot {
    struct channel *channel; /* NULL: free, or draining */
    bool draining;           /* we sent channel.close and wait for close-ok */
};

struct channel_set *channel_set_new(struct connection *connection)
{
    struct channel_set *set = calloc(1, sizeof *set);

    if (!set)
        return NULL;
    set->connection = connection;
    set->rpc_timeout_ms = connection->numbers.rpc_timeout_ms;
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
    free(set->slots);
    free(set);
}

enum warren_status channel_set_add(struct connection *connection, struct channel *channel)
{
    channel->set = connection->channels;
    list_push(&channel->set->channels, &channel->link);
    return WARREN_OK;
}

void channel_set_remove(struct channel_set *set, struct channel *channel)
{
    if (channel->number != 0 && set->slots[channel->number].channel == channel)
        set->slots[channel->number].channel = NULL;
    list_remove(&channel->link);
}

static bool grow(struct channel_set *set)
{
    uint32_t count = set->slot_count ? set->slot_count * 2 : 16;
    struct slot *slots;

    if (count > (uint32_t)set->channel_max + 1)
        count = (uint32_t)set->channel_max + 1;
    if (count <= set->slot_count)
        return false;
    slots = realloc(set->slots, count * sizeof *slots);
    if (!slots)
        return false;
    memset(slots + set->slot_count, 0, (count - set->slot_count) * sizeof *slots);
    set->slots = slots;
    set->slot_count = count;
    return true;
}

bool channel_set_number(struct channel_set *set, struct channel *channel)
{
    do {
        for (uint32_t tried = 1; tried < set->slot_count; tried++) {
            uint16_t number = (uint16_t)(set->last % (set->slot_count - 1) + 1);

            set->last = number;
            if (!set->slots[number].channel && !set->slots[number].draining) {
                set->slots[number].channel = channel;
                channel->number = number;
                return true;
            }
        }
    } while (grow(set));
    connection_fail(set->connection, WARREN_EFULL, "no free channel below %u, or no memory",
                    set->channel_max);
    return false;
}

void channel_set_release(struct channel_set *set, uint16_t number)
{
    set->slots[number] = (struct slot){NULL, false};
}

void channel_set_drain(struct channel_set *set, uint16_t number)
{
    set->slots[number] = (struct slot){NULL, true};
}

void channel_set_open(struct channel_set *set, uint16_t channel_max)
{
    struct list *link;
    struct list *next;

    set->channel_max = channel_max;
    set->last = 0;
    if (set->slot_count > (uint32_t)channel_max + 1)
        set->slot_count = (uint32_t)channel_max + 1;
    if (set->slots)
        memset(set->slots, 0, set->slot_count * sizeof *set->slots);
    for (link = set->channels.next; link != &set->channels; link = next) {
        next = link->next;
        channel_open(list_entry(link, struct channel, link));
    }
}

void channel_set_lost(struct channel_set *set, uint32_t method, const char *text)
{
    struct channel_loss loss = {0, text, method};
    struct list *link;
    struct list *next;

    for (link = set->channels.next; link != &set->channels; link = next) {
        struct channel *channel = list_entry(link, struct channel, link);

        next = link->next;
        loop_timer_disarm(&channel->reopen);
        channel_lost(channel, &loss);
    }
    if (set->slots)
        memset(set->slots, 0, set->slot_count * sizeof *set->slots);
}

/* After our channel.close only close-ok counts, or a channel.close that crossed it. */
static void drain_frame(struct channel_set *set, const struct frame *frame)
{
    const uint8_t *payload = frame->payload.data;
    amqp_channel_close_ok_t close_ok = {0};
    uint32_t id;

    if (frame->type != FRAME_METHOD)
        return;
    id = (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 | (uint32_t)payload[2] << 8 |
         payload[3];
    if (id == AMQP_CHANNEL_CLOSE_OK_METHOD) {
        channel_set_release(set, frame->channel);
    } else if (id == AMQP_CHANNEL_CLOSE_METHOD &&
               frame_put_method(connection_out(set->connection), frame->channel,
                                AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok,
                                connection_frame_max(set->connection)) == WARREN_OK) {
        connection_wrote(set->connection);
    }
}

void channel_set_frame(struct channel_set *set, const struct frame *frame)
{
    struct slot *slot = frame->channel < set->slot_count ? &set->slots[frame->channel] : NULL;

    if (slot && slot->draining)
        drain_frame(set, frame);
    else if (slot && slot->channel)
        channel_frame(slot->channel, frame);
    else
        connection_fail(set->connection, WARREN_EPROTOCOL,
                        "the peer sent a frame for channel %u, which is not open", frame->channel);
}
