#include "publish/delay/delay_topology.h"

#include <stdlib.h>
#include <string.h>

#include "publish/delay/delay_parts.h"

/* ---- steps ---- */

/* Who needs what is declared: see struct delay_step. */
struct need {
    uint32_t levels;
    const struct delay *destination;
    bool check;
};

static void free_step(struct delay_step *step)
{
    free(step->destination);
    free(step);
}

void delay_steps_init(struct delay_steps *steps)
{
    list_init(&steps->waiting);
    steps->count = 0;
}

void delay_steps_clear(struct delay_steps *steps)
{
    struct list *link;

    while ((link = list_pop(&steps->waiting)))
        free_step(list_entry(link, struct delay_step, link));
    steps->count = 0;
}

struct delay *delay_copy(const struct delay *delay)
{
    size_t size = sizeof *delay + strlen(delay->destination) + 1;
    struct delay *copy = malloc(size);

    if (copy)
        memcpy(copy, delay, size);
    return copy;
}

static struct delay_step *new_step(struct need need)
{
    struct delay_step *step = calloc(1, sizeof *step);

    if (!step)
        return NULL;
    step->levels = need.levels;
    step->check = need.check;
    if (need.destination)
        step->destination = delay_copy(need.destination);
    if (need.destination && !step->destination) {
        free(step);
        return NULL;
    }
    return step;
}

static void on_reply(void *user, void *decoded)
{
    struct delay_steps *steps = user;
    struct list *link = list_pop(&steps->waiting);

    (void)decoded;
    steps->count--;
    free_step(list_entry(link, struct delay_step, link));
}

static enum warren_status declare(const struct delay_declare *d, struct need need,
                                  struct declare_item item)
{
    struct declare_to to = {d->channel, d->scratch, on_reply, d->steps};
    struct delay_step *step = new_step(need);
    enum warren_status status = step ? declare_send(&to, &item, NULL) : WARREN_ENOMEM;

    if (status == WARREN_OK) {
        list_push(&d->steps->waiting, &step->link);
        d->steps->count++;
    } else if (step) {
        free_step(step);
    }
    return status;
}

/* ---- what of a part is there, in order ---- */

static enum warren_status declare_part(const struct delay_declare *d, struct need need,
                                       const struct delay_part *part)
{
    enum warren_status status = WARREN_OK;

    if (part->exchange.name)
        status = declare(d, need, (struct declare_item){.exchange = &part->exchange});
    if (status == WARREN_OK && part->queue.name)
        status = declare(d, need, (struct declare_item){.queue = &part->queue});
    if (status == WARREN_OK && part->binding.source)
        status = declare(d, need, (struct declare_item){.binding = &part->binding});
    return status;
}

enum warren_status delay_declare_deliver(const struct delay_declare *d)
{
    struct delay_part part;

    delay_part_deliver(&part);
    return declare_part(d, (struct need){.levels = UINT32_MAX}, &part);
}

/* Delays of that level and of all higher ones pass it. */
enum warren_status delay_declare_exchange(const struct delay_declare *d, unsigned level)
{
    struct delay_part part;

    delay_part_exchange(level, &part);
    return declare_part(d, (struct need){.levels = UINT32_MAX << level}, &part);
}

enum warren_status delay_declare_queue(const struct delay_declare *d, unsigned level)
{
    struct delay_part part;

    delay_part_queue(level, &part);
    return declare_part(d, (struct need){.levels = UINT32_C(1) << level}, &part);
}

enum warren_status delay_declare_departure(const struct delay_declare *d, const struct delay *delay)
{
    struct delay_part part;

    delay_part_departure(delay, &part);
    return declare_part(d, (struct need){.destination = delay}, &part);
}

/* ---- destinations ---- */

enum warren_status delay_declare_check(const struct delay_declare *d, const struct delay *delay)
{
    struct need need = {.destination = delay, .check = true};
    struct config_queue queue = {.name = delay->destination, .type = "classic", .passive = true};
    struct config_exchange exchange = {
        .name = delay->destination, .type = "direct", .passive = true};

    return declare(d, need,
                   delay->to_queue ? (struct declare_item){.queue = &queue}
                                   : (struct declare_item){.exchange = &exchange});
}
