/* depth_look.c - see depth_look.h. */
#include "consume/runtime/depth_look.h"

#include <stdlib.h>
#include <string.h>

#include "consume/runtime/runtime_private.h"

/* Of the topology, of limit_look.h, this one, and one that is being closed. */
#define CHANNELS_BESIDE 4

static const struct depth unknown = {-1, -1};

static void ask_next(struct depth_look *look);

/* ---- what is known ---- */

static void release(struct depth_queue *queue)
{
    metric_release(queue->messages);
    metric_release(queue->consumers);
    metric_release(queue->waiting);
    queue->messages = queue->consumers = queue->waiting = NULL;
}

/* A queue that nothing is known of has no series. */
static void set(struct depth_look *look, struct depth_queue *queue, struct depth depth)
{
    pthread_mutex_lock(&look->lock);
    queue->depth = depth;
    if (depth.messages <= 0)
        queue->waiting_since_ms = 0;
    else if (queue->waiting_since_ms == 0)
        queue->waiting_since_ms = loop_now_ms(look->runtime->loop);
    if (depth.messages < 0) {
        release(queue);
    } else if (!queue->messages) {
        queue->messages = metric_series(METRIC_QUEUE_MESSAGES, queue->name);
        queue->consumers = metric_series(METRIC_QUEUE_CONSUMERS, queue->name);
        queue->waiting = metric_series(METRIC_QUEUE_WAITING, queue->name);
    }
    pthread_mutex_unlock(&look->lock);
}

static void collect(void *user)
{
    struct depth_look *look = user;
    int64_t now_ms = loop_now_ms(look->runtime->loop);

    pthread_mutex_lock(&look->lock);
    for (size_t i = 0; i < look->count; i++) {
        struct depth_queue *queue = &look->queues[i];
        int64_t since_ms = queue->waiting_since_ms;

        if (!queue->messages)
            continue;
        metric_put(queue->messages, (double)queue->depth.messages);
        metric_put(queue->consumers, (double)queue->depth.consumers);
        metric_put(queue->waiting, since_ms == 0 ? 0 : (double)(now_ms - since_ms) / 1000);
    }
    pthread_mutex_unlock(&look->lock);
}

/* ---- asking ---- */

static bool may_ask(const struct depth_look *look)
{
    const struct runtime *r = look->runtime;

    return r->drain.phase == DRAIN_NOT && connection_state(r->connection) == CONNECTION_OPEN;
}

static void on_answer(void *user, void *decoded)
{
    struct depth_look *look = user;
    const amqp_queue_declare_ok_t *ok = decoded;
    struct depth_queue *queue = &look->queues[look->next++];
    const struct depth depth = {ok->message_count, ok->consumer_count};

    set(look, queue, queue->unused ? unknown : depth);
    look_depth(look->runtime, queue->name, &depth);
    ask_next(look);
}

/* Counted down, if so. */
static bool rests(struct depth_queue *queue)
{
    if (queue->unused || queue->rests == 0)
        return queue->unused;
    queue->rests--;
    return true;
}

static void ask_next(struct depth_look *look)
{
    amqp_queue_declare_t declare = {.passive = true};

    if (!may_ask(look) || !channel_is_open(look->channel))
        return;
    while (look->next < look->count && rests(&look->queues[look->next]))
        look->next++;
    if (look->next == look->count)
        return;
    declare.queue = amqp_cstring_bytes(look->queues[look->next].name);
    if (channel_call(look->channel, AMQP_QUEUE_DECLARE_METHOD, &declare, on_answer, look) !=
        WARREN_OK)
        look->next = look->count; /* until the next round */
}

static void begin_round(void *arg)
{
    struct depth_look *look = arg;

    loop_timer_arm_ms(&look->timer, look->period_ms);
    if (look->next < look->count) /* the broker is slow */
        return;
    look->next = 0;
    ask_next(look);
}

/* Not before what is missing was declared. */
static void begin(struct depth_look *look)
{
    if (!loop_timer_armed(&look->timer) && !look->runtime->declaring &&
        channel_is_open(look->channel))
        begin_round(look);
}

/* The first time, or after a refusal: go on behind that. */
static void on_open(void *user)
{
    struct depth_look *look = user;

    if (loop_timer_armed(&look->timer))
        ask_next(look);
    else
        begin(look);
}

static void forget_all(struct depth_look *look)
{
    for (size_t i = 0; i < look->count; i++) {
        set(look, &look->queues[i], unknown);
        look_depth(look->runtime, look->queues[i].name, &unknown);
        look->queues[i].rests = 0;
    }
    look->next = look->count;
    loop_timer_disarm(&look->timer);
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct depth_look *look = user;

    if (loss->code == 0 && !loss->unanswered) {
        forget_all(look);
        return;
    }
    if (look->next < look->count) {
        struct depth_queue *queue = &look->queues[look->next++];

        set(look, queue, unknown);
        look_depth(look->runtime, queue->name, &unknown);
        queue->rests = DEPTH_REST;
    }
    channel_reopen_now(look->channel);
}

void depth_look_start(struct depth_look *look)
{
    static const struct channel_events events = {.open = on_open, .lost = on_lost};
    const struct runtime *r = look->runtime;

    if (look->period_ms == 0 || !may_ask(look))
        return;
    if (look->channel)
        begin(look);
    else if (connection_channel_max(r->connection) >= r->subscription_count + CHANNELS_BESIDE &&
             channel_new(r->connection, &events, look, &look->channel) != WARREN_OK)
        look->channel = NULL;
}

/* ---- life ---- */

/* There is room. */
static void add(struct depth_look *look, const char *name)
{
    if (!name)
        return;
    for (size_t i = 0; i < look->count; i++)
        if (look->queues[i].name && strcmp(look->queues[i].name, name) == 0) {
            look->queues[i].unused = false;
            return;
        }
    look->queues[look->count++] = (struct depth_queue){.name = name, .depth = unknown};
}

enum warren_status depth_look_reserve(struct depth_look *look, size_t subscription_count)
{
    size_t room = look->count + 2 * subscription_count;
    struct depth_queue *queues;

    if (look->period_ms == 0 || room <= look->room)
        return WARREN_OK;
    pthread_mutex_lock(&look->lock);
    queues = realloc(look->queues, room * sizeof *queues);
    if (queues) {
        look->queues = queues;
        look->room = room;
    }
    pthread_mutex_unlock(&look->lock);
    return queues ? WARREN_OK : WARREN_ENOMEM;
}

/* A round that runs goes on, with those that are new behind it; none begins for them alone. */
void depth_look_changed(struct depth_look *look)
{
    const struct runtime *r = look->runtime;
    bool resting = look->next == look->count;

    if (look->period_ms == 0)
        return;
    pthread_mutex_lock(&look->lock);
    for (size_t i = 0; i < look->count; i++)
        look->queues[i].unused = true;
    for (size_t i = 0; i < r->subscription_count; i++) {
        const struct subscription *s = r->subscriptions[i];

        if (atomic_load(&s->taken_away))
            continue;
        add(look, s->source.queue);
        add(look, s->edition->edition.relay.dead_queue);
    }
    if (resting)
        look->next = look->count;
    pthread_mutex_unlock(&look->lock);
    for (size_t i = 0; i < look->count; i++)
        if (look->queues[i].unused)
            set(look, &look->queues[i], unknown);
}

enum warren_status depth_look_init(struct depth_look *look, struct runtime *runtime,
                                   const struct runtime_options *options)
{
    *look = (struct depth_look){.runtime = runtime, .period_ms = options->depth_period_ms};
    if (look->period_ms == 0)
        return WARREN_OK;
    look->room = 2 * options->subscription_count;
    look->queues = calloc(look->room, sizeof *look->queues);
    if (!look->queues)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < options->subscription_count; i++)
        add(look, options->subscriptions[i].queue);
    for (size_t i = 0; i < options->subscription_count; i++)
        add(look, options->subscriptions[i].dead_queue);
    look->next = look->count;
    pthread_mutex_init(&look->lock, NULL);
    look->collector = (struct metric_collector){.collect = collect, .user = look};
    metrics_collect_add(&look->collector);
    return loop_timer_init(&look->timer, runtime->loop, begin_round, look);
}

void depth_look_done(struct depth_look *look)
{
    if (!look->queues)
        return;
    metrics_collect_remove(&look->collector);
    loop_timer_done(&look->timer);
    channel_free(look->channel);
    for (size_t i = 0; i < look->count; i++)
        release(&look->queues[i]);
    pthread_mutex_destroy(&look->lock);
    free(look->queues);
    look->queues = NULL;
}
