/* channel_set.c - all channels of a connection: its events go to each, and numbers are given.
 */
#include <stdlib.h>
#include <string.h>

#include "amqp/connection/channel_private.h"

/* ---- which numbers are taken, and by whom ---- */

#define FIRST_COUNT 16

/* All numbers up to @max are free. A zeroed struct is fine to begin with. */
static void channel_numbers_reset(struct channel_numbers *n, uint16_t max)
{
    n->max = max;
    n->last = 0;
    n->drain_count = 0;
    n->count = n->capacity < (uint32_t)max + 1 ? n->capacity : (uint32_t)max + 1;
    if (n->slots)
        memset(n->slots, 0, n->capacity * sizeof *n->slots);
}

static void channel_numbers_done(struct channel_numbers *n)
{
    free(n->slots);
    *n = (struct channel_numbers){0};
}

static bool grow(struct channel_numbers *n)
{
    uint32_t count = n->count ? n->count * 2 : FIRST_COUNT;
    struct channel_slot *slots;

    if (count > (uint32_t)n->max + 1)
        count = (uint32_t)n->max + 1;
    if (count <= n->count)
        return false;
    if (count > n->capacity) {
        slots = realloc(n->slots, count * sizeof *slots);
        if (!slots)
            return false;
        memset(slots + n->capacity, 0, (count - n->capacity) * sizeof *slots);
        n->slots = slots;
        n->capacity = count;
    }
    n->count = count;
    return true;
}

/* @closed_too  also one that the broker closed */
static uint16_t find_free(struct channel_numbers *n, bool closed_too)
{
    for (uint32_t tried = 1; tried < n->count; tried++) {
        const struct channel_slot *slot;

        n->last = (uint16_t)(n->last % (n->count - 1) + 1);
        slot = &n->slots[n->last];
        if (!slot->channel && !slot->draining && (closed_too || !slot->closed))
            return n->last;
    }
    return 0;
}

uint16_t channel_numbers_take(struct channel_numbers *n, struct channel *channel)
{
    uint16_t number;

    do
        number = find_free(n, false);
    while (number == 0 && grow(n));
    if (number == 0)
        number = find_free(n, true);
    if (number != 0)
        n->slots[number] = (struct channel_slot){.channel = channel};
    return number;
}

/* Of channel_numbers_take() that gave none: there is none. */
static bool channel_numbers_full(const struct channel_numbers *n)
{
    return n->count == (uint32_t)n->max + 1;
}

void channel_numbers_release(struct channel_numbers *n, uint16_t number)
{
    if (number >= n->count)
        return;
    n->drain_count -= n->slots[number].draining;
    n->slots[number] = (struct channel_slot){.closed = n->slots[number].closed};
}

void channel_numbers_close(struct channel_numbers *n, uint16_t number)
{
    if (number < n->count)
        n->slots[number].closed = true;
    channel_numbers_release(n, number);
}

void channel_numbers_drain(struct channel_numbers *n, uint16_t number)
{
    if (number >= n->count)
        return;
    n->drain_count += !n->slots[number].draining;
    n->slots[number] = (struct channel_slot){.draining = true};
}

/* What is known of @number: `channel` is NULL where it has none. `closed`: its close was answered,
 * as channel_numbers_close() or channel_numbers_answered() said. */
static struct channel_slot channel_numbers_slot(const struct channel_numbers *n, uint16_t number)
{
    return number < n->count ? n->slots[number] : (struct channel_slot){0};
}

/* The broker closed a draining number, too, and we answered; it drains on. */
static void channel_numbers_answered(struct channel_numbers *n, uint16_t number)
{
    if (number < n->count)
        n->slots[number].closed = true;
}

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
