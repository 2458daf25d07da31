/* seats.c - see seats.h. */
#include "amqp/consumer/seats.h"

#include <stdio.h>

#define REFUSED   403
#define NOT_FOUND 404

/* Somebody was faster so often: then the channel waits before it is opened again, as after any
 * other refusal. */
#define REFUSED_MAX 8

#define NAME_SIZE 256

static amqp_bytes_t name_of(const struct seats *seats, uint32_t seat, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s.%u", seats->prefix, seat);
    return amqp_cstring_bytes(name);
}

/* A round that is sent in part would be answered in part. */
static bool sent(struct seats *seats, enum warren_status status)
{
    if (status != WARREN_OK && status != WARREN_ECLOSED)
        connection_fail(seats->connection, "seats of '%s': cannot send a method: %s", seats->prefix,
                        warren_status_name(status));
    return status == WARREN_OK;
}

/* ---- a seat of its own ---- */

/* @return one that is free, or SEAT_NONE. At random, for several workers may choose at once. */
static int choose(struct seats *seats)
{
    uint32_t count = 0;
    uint64_t skip;

    for (uint32_t i = 0; i < seats->count; i++)
        count += !seats->taken[i];
    if (count == 0)
        return SEAT_NONE;
    skip = random_upto(&seats->random, count - 1);
    for (uint32_t i = 0; i < seats->count; i++)
        if (!seats->taken[i] && skip-- == 0)
            return (int)i;
    return SEAT_NONE;
}

static void tell(struct seats *seats)
{
    loop_timer_arm_ms(&seats->again, seats->period_ms);
    seats->events.seen(seats->user, seats->own, seats->taken);
}

static void on_consume_ok(void *user, void *decoded)
{
    struct seats *seats = user;

    (void)decoded;
    seats->own = seats->asked;
    seats->asked = SEAT_NONE;
    seats->refused = 0;
    seats->taken[seats->own] = true;
    tell(seats);
}

/* Nobody publishes there; if somebody does, it is dropped. */
static void take(struct seats *seats, int seat)
{
    char name[NAME_SIZE];
    amqp_basic_consume_t consume = {
        .queue = name_of(seats, (uint32_t)seat, name), .no_ack = true, .exclusive = true};

    if (sent(seats, channel_call(seats->channel, AMQP_BASIC_CONSUME_METHOD, &consume, on_consume_ok,
                                 seats)))
        seats->asked = seat;
}

/* ---- looking ---- */

static void looked(struct seats *seats)
{
    int seat = SEAT_NONE;

    if (seats->own != SEAT_NONE)
        seats->taken[seats->own] = true;
    else
        seat = choose(seats);
    if (seat != SEAT_NONE)
        take(seats, seat);
    else
        tell(seats);
}

static void on_declare_ok(void *user, void *decoded)
{
    struct seats *seats = user;
    const amqp_queue_declare_ok_t *ok = decoded;

    if (seats->answered >= seats->count)
        return;
    seats->taken[seats->answered++] = ok->consumer_count > 0;
    if (seats->answered == seats->count)
        looked(seats);
}

static void look(void *arg)
{
    struct seats *seats = arg;

    if (!channel_is_open(seats->channel))
        return;
    seats->answered = 0;
    for (uint32_t i = 0; i < seats->count; i++) {
        char name[NAME_SIZE];
        amqp_queue_declare_t declare = {.queue = name_of(seats, i, name), .passive = true};

        if (!sent(seats, channel_call(seats->channel, AMQP_QUEUE_DECLARE_METHOD, &declare,
                                      on_declare_ok, seats)))
            return;
    }
}

/* ---- the channel ---- */

static void on_open(void *user)
{
    look(user);
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct seats *seats = user;
    bool taken_by_another = seats->asked != SEAT_NONE && loss->code == REFUSED;

    seats->own = seats->asked = SEAT_NONE;
    loop_timer_disarm(&seats->again);
    seats->refused = taken_by_another ? seats->refused + 1 : 0;
    if (taken_by_another && seats->refused <= REFUSED_MAX)
        channel_reopen_now(seats->channel);
    if (loss->code == NOT_FOUND)
        seats->events.missing(seats->user);
}

/* Its queue was deleted, or moved to another node. */
static void on_method(void *user, uint32_t id, void *decoded)
{
    struct seats *seats = user;

    (void)decoded;
    if (id != AMQP_BASIC_CANCEL_METHOD)
        return;
    seats->own = SEAT_NONE;
    seats->events.missing(seats->user);
}

/* ---- life ---- */

enum warren_status seats_init(struct seats *seats, struct connection *connection,
                              const struct seats_options *options,
                              const struct seats_events *events, void *user)
{
    *seats = (struct seats){.connection = connection,
                            .prefix = options->prefix,
                            .count = options->count,
                            .period_ms = options->period_ms,
                            .events = *events,
                            .user = user,
                            .own = SEAT_NONE,
                            .asked = SEAT_NONE};
    random_init(&seats->random, options->seed);
    return loop_timer_init(&seats->again, connection_loop(connection), look, seats);
}

enum warren_status seats_start(struct seats *seats)
{
    static const struct channel_events events = {
        .open = on_open, .lost = on_lost, .method = on_method};

    if (seats->channel)
        return WARREN_OK;
    return channel_new(seats->connection, &events, seats, &seats->channel);
}

void seats_done(struct seats *seats)
{
    channel_free(seats->channel);
    seats->channel = NULL;
    loop_timer_done(&seats->again);
    seats->again = (struct loop_timer){0};
}
