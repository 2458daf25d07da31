/* subscription_edition.c - the editions of a subscription: that of the day, and those in which
 * attempts that began before a reload still run. See consume/job/edition.h.
 */
#include <stdlib.h>
#include <unistd.h>

#include "consume/runtime/runtime_private.h"
#include "publish/publisher/publisher.h"

/* An edition that is done with, but in whose `after` a thread still is. */
#define RETIRE_AGAIN_MS 20

/* ---- making one ---- */

static void make_relay(struct subscription *s, const struct runtime_subscription *what,
                       struct edition *edition)
{
    struct warren_publisher *publisher = s->source.publisher;
    struct relay *relay = &edition->relay;

    edition->has_relay = publisher != NULL;
    *relay = (struct relay){.outlet = {publisher_relay, publisher_properties_max, publisher},
                            .queue = s->source.queue,
                            .handler = s->source.handler,
                            .dead_exchange = what->dead_exchange,
                            .dead_queue = what->dead_queue,
                            .slow_queue = what->lanes && what->lane == LANE_FAST && !s->is_stream
                                              ? what->lanes->slow
                                              : NULL,
                            .into_queue = !s->is_stream && (!what->order || what->order->skips),
                            .broker_counts = s->source.broker_counts};
    if (gethostname(relay->host, sizeof relay->host - 1) != 0)
        relay->host[0] = '\0';
}

uint32_t subscription_batch_size(const struct runtime_subscription *what)
{
    return what->batch && what->handler->handle_batch ? (uint32_t)what->batch->size : 0;
}

static struct gather_plan batch_of(const struct runtime_subscription *what)
{
    uint32_t size = subscription_batch_size(what);

    if (size == 0)
        return (struct gather_plan){.size = 0};
    return (struct gather_plan){size, (uint32_t)what->batch->wait_ms, (size_t)what->batch->bytes};
}

enum warren_status subscription_edition_new(struct subscription *s,
                                            const struct runtime_subscription *what,
                                            const struct stages_calls *calls,
                                            struct subscription_edition **ret)
{
    struct subscription_edition *e = calloc(1, sizeof *e);
    enum warren_status status;

    if (!e)
        return WARREN_ENOMEM;
    e->subscription = s;
    e->token = what->token;
    list_init(&e->link);
    make_relay(s, what, &e->edition);
    e->edition.batch = batch_of(what);
    e->gates = admission_gates(what->middlewares, what->middleware_count, &e->gate_count);
    status = e->gates ? edition_init(&e->edition, what->middlewares, what->middleware_count,
                                     what->handler, what->state)
                      : WARREN_ENOMEM;
    if (status == WARREN_OK && what->use_count > 0)
        status = semaphores_wants(&s->runtime->semaphores, what->uses, what->use_count,
                                  &e->edition.wants);
    e->edition.want_count = e->edition.wants ? what->use_count : 0;
    if (status == WARREN_OK)
        status = stages_init(&e->stages, what->middlewares, what->middleware_count, &s->source,
                             what->handler, calls, s);
    if (status != WARREN_OK) {
        runtime_edition_free(&e->edition);
        return status;
    }
    e->stages.guard = &s->crew.guard;
    *ret = e;
    return WARREN_OK;
}

void runtime_edition_free(struct edition *edition)
{
    struct subscription_edition *e = (struct subscription_edition *)(void *)edition;

    if (!e)
        return;
    stages_done(&e->stages);
    edition_done(&e->edition);
    free(e->gates);
    free(e);
}

/* ---- attempts come and go ---- */

/* It came before there were so many marks. @return what is in its place; NULL: no memory */
static struct attempt *make_room(struct subscription *s, struct attempt *attempt)
{
    size_t room = attempt_room(s->edition->stages.count);
    struct attempt *moved;

    if (attempt->delivery.room >= room)
        return attempt;
    moved = attempt_move(attempt, room);
    if (!moved)
        return NULL;
    consumer_moved(s->consumer, &attempt->delivery, &moved->delivery);
    attempt_free(attempt);
    return moved;
}

void subscription_begin_edition(struct subscription *s, struct batch *batch, struct batch *refused)
{
    struct batch all = *batch;
    struct attempt *attempt;

    *batch = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all))) {
        struct attempt *roomy = make_room(s, attempt);

        if (!roomy) {
            batch_add(refused, attempt);
            continue;
        }
        roomy->edition = &s->edition->edition;
        s->edition->users++;
        batch_add(batch, roomy);
    }
}

void subscription_end_edition(struct subscription *s, struct attempt *attempt)
{
    struct subscription_edition *e = edition_of(attempt);

    if (!e)
        return;
    attempt->edition = NULL;
    if (--e->users == 0 && e != s->edition)
        runtime_retire_soon(s->runtime, 0);
}

void subscription_begin_again(struct subscription *s, struct batch *batch)
{
    struct batch all = *batch;
    struct attempt *attempt;

    *batch = (struct batch){NULL, NULL, 0};
    while ((attempt = batch_pop(&all))) {
        stages_drop(&edition_of(attempt)->stages, attempt);
        subscription_unweigh(s, attempt);
        subscription_end_edition(s, attempt);
        batch_add(batch, attempt);
    }
}

uint32_t subscription_waiting(const struct subscription *s)
{
    uint32_t waiting = 0;

    LIST_EACH(link, &s->editions)
        waiting += stages_waiting(&list_entry(link, struct subscription_edition, link)->stages);
    return waiting;
}

/* ---- the end of one ---- */

static bool is_over(const struct subscription *s, const struct subscription_edition *e)
{
    return (e != s->edition || s->ended) && e->users == 0 && stages_waiting(&e->stages) == 0;
}

/* @return false: a thread is still in it */
static bool retire_those_of(struct subscription *s)
{
    struct runtime *r = s->runtime;
    bool all = true;

    LIST_EACH(link, &s->editions) {
        struct subscription_edition *e = list_entry(link, struct subscription_edition, link);

        if (!is_over(s, e))
            continue;
        if (!stages_quiet(&e->stages)) {
            all = false;
            continue;
        }
        list_remove(&e->link);
        if (e == s->edition)
            s->edition = NULL;
        if (r->events.retired)
            r->events.retired(r->user, e->token, &e->edition);
        else
            runtime_edition_free(&e->edition);
    }
    return all;
}

/* The timer. */
void runtime_retire(void *arg)
{
    struct runtime *r = arg;
    bool all = true;

    for (size_t i = 0; i < r->subscription_count; i++)
        all = retire_those_of(r->subscriptions[i]) && all;
    for (size_t i = 0; i < r->ended_count; i++)
        all = retire_those_of(r->ended[i]) && all;
    if (!all)
        runtime_retire_soon(r, RETIRE_AGAIN_MS);
}

void runtime_retire_soon(struct runtime *r, int64_t ms)
{
    if (!loop_timer_armed(&r->retire))
        loop_timer_arm_ms(&r->retire, ms);
}
