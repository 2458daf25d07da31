/* semaphores.c - see semaphores.h. What jobs hold and wait for: semaphore_hold.c. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "consume/job/semaphores_private.h"

/* ---- series ---- */

static void put(void *user)
{
    struct semaphores *s = user;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        struct semaphore *item = s->items[i];
        const struct weights_semaphore *weights = &s->weights.semaphores[i];
        uint32_t messages = atomic_load_explicit(&item->messages, memory_order_relaxed);

        if (item->gone && weights->used == 0 && messages + item->handlers == 0)
            continue;
        metric_put(item->size, (double)weights->size);
        metric_put(item->in_use, (double)weights->used);
        metric_put(item->waiting, messages + item->handlers);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

void semaphores_init(struct semaphores *s)
{
    *s = (struct semaphores){.count = 0};
    pthread_mutex_init(&s->lock, NULL);
    weights_init(&s->weights);
    s->collector = (struct metric_collector){.collect = put, .user = s};
    metrics_collect_add(&s->collector);
}

static void item_free(struct semaphore *item)
{
    if (!item)
        return;
    metric_release(item->size);
    metric_release(item->in_use);
    metric_release(item->waiting);
    metric_release(item->wait);
    free(item->name);
    free(item);
}

void semaphores_done(struct semaphores *s)
{
    if (!s->collector.collect)
        return;
    metrics_collect_remove(&s->collector);
    for (size_t i = 0; i < s->count; i++)
        item_free(s->items[i]);
    free(s->items);
    weights_done(&s->weights);
    pthread_mutex_destroy(&s->lock);
    *s = (struct semaphores){.count = 0};
}

static struct semaphore *item_new(const char *name)
{
    struct semaphore *item = calloc(1, sizeof *item);

    if (!item)
        return NULL;
    item->name = strdup(name);
    if (!item->name) {
        free(item);
        return NULL;
    }
    item->gone = true;
    item->size = metric_series(METRIC_SEMAPHORE_SIZE, name);
    item->in_use = metric_series(METRIC_SEMAPHORE_IN_USE, name);
    item->waiting = metric_series(METRIC_SEMAPHORE_WAITING, name);
    item->wait = metric_series(METRIC_SEMAPHORE_WAIT, name);
    return item;
}

long semaphores_find(const struct semaphores *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i]->name, name) == 0)
            return (long)i;
    return -1;
}

/* Under the lock. */
static enum warren_status add(struct semaphores *s, struct semaphore *item)
{
    struct semaphore **items = realloc(s->items, (s->count + 1) * sizeof(struct semaphore *));

    if (!items)
        return WARREN_ENOMEM;
    s->items = items;
    if (!weights_reserve(&s->weights, s->count + 1))
        return WARREN_ENOMEM;
    s->items[s->count++] = item;
    return WARREN_OK;
}

/* The registry of metrics has a lock, too, and calls put(). */
static enum warren_status reserve_one(struct semaphores *s, const char *name)
{
    struct semaphore *item;
    enum warren_status status;

    if (semaphores_find(s, name) >= 0)
        return WARREN_OK;
    if (s->count == SEMAPHORES_MAX)
        return WARREN_EFULL;
    item = item_new(name);
    if (!item)
        return WARREN_ENOMEM;
    pthread_mutex_lock(&s->lock);
    status = add(s, item);
    pthread_mutex_unlock(&s->lock);
    if (status != WARREN_OK)
        item_free(item);
    return status;
}

enum warren_status semaphores_reserve(struct semaphores *s, const struct config_semaphore *configs,
                                      size_t count)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = reserve_one(s, configs[i].name);
    return status;
}

void semaphores_tell(struct semaphores *s)
{
    struct weights_claim *claim;

    while ((claim = weights_next_granted(&s->weights))) {
        struct semaphore_wait *wait = list_entry(claim, struct semaphore_wait, claim);

        wait->has = true;
        wait->granted(wait);
    }
}

void semaphores_set(struct semaphores *s, const struct config_semaphore *configs, size_t count)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        s->items[i]->gone = true;
    for (size_t i = 0; i < count; i++) {
        long index = semaphores_find(s, configs[i].name);

        s->items[index]->gone = false;
        weights_resize(&s->weights, (uint32_t)index, configs[i].size);
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i]->gone)
            weights_resize(&s->weights, (uint32_t)i, 0);
    semaphores_tell(s);
    semaphores_look_at_waits(s);
    pthread_mutex_unlock(&s->lock);
}

enum warren_status semaphores_wants(struct semaphores *s, const struct config_use *uses,
                                    size_t count, struct weights_want **ret_wants)
{
    struct weights_want *wants = calloc(count + 1, sizeof *wants);

    if (!wants)
        return WARREN_ENOMEM;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < count; i++)
        wants[i] =
            (struct weights_want){(uint32_t)semaphores_find(s, uses[i].name), uses[i].weight};
    pthread_mutex_unlock(&s->lock);
    *ret_wants = wants;
    return WARREN_OK;
}

/* ---- messages ---- */

void semaphore_wait_init(struct semaphore_wait *wait, void (*granted)(struct semaphore_wait *wait),
                         void *user)
{
    *wait = (struct semaphore_wait){.granted = granted, .user = user};
    list_init(&wait->claim.link);
}

uint64_t semaphores_places(struct semaphores *s, uint32_t count)
{
    uint64_t first;

    pthread_mutex_lock(&s->lock);
    first = s->weights.place + 1;
    s->weights.place += count;
    pthread_mutex_unlock(&s->lock);
    return first;
}

/* Items stay where they are, but the list of them may not. */
void semaphores_note(struct semaphores *s, const struct weights_want *wants, size_t count, int more)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < count; i++)
        atomic_fetch_add(&s->items[wants[i].semaphore]->messages, (unsigned)more);
    pthread_mutex_unlock(&s->lock);
}

void semaphores_waited(struct semaphores *s, const struct weights_want *wants, size_t count,
                       int64_t ns)
{
    for (size_t i = 0; i < count; i++) {
        struct warren_series *series;

        pthread_mutex_lock(&s->lock);
        series = s->items[wants[i].semaphore]->wait;
        pthread_mutex_unlock(&s->lock);
        warren_observe(series, (double)ns * 1e-9);
    }
}

bool semaphores_take(struct semaphores *s, struct semaphore_wait *wait)
{
    bool has;

    pthread_mutex_lock(&s->lock);
    wait->has = false;
    has = weights_take(&s->weights, &wait->claim);
    semaphores_tell(s);
    pthread_mutex_unlock(&s->lock);
    return has;
}

bool semaphores_granted(struct semaphores *s, struct semaphore_wait *wait)
{
    bool has;

    pthread_mutex_lock(&s->lock);
    has = wait->has;
    wait->has = false;
    pthread_mutex_unlock(&s->lock);
    return has;
}

void semaphores_leave(struct semaphores *s, struct semaphore_wait *wait)
{
    pthread_mutex_lock(&s->lock);
    if (wait->has)
        weights_give(&s->weights, wait->claim.wants, wait->claim.count);
    else
        weights_leave(&s->weights, &wait->claim);
    wait->has = false;
    semaphores_tell(s);
    pthread_mutex_unlock(&s->lock);
}

void semaphores_give(struct semaphores *s, const struct weights_want *wants, size_t count)
{
    pthread_mutex_lock(&s->lock);
    weights_give(&s->weights, wants, count);
    semaphores_tell(s);
    pthread_mutex_unlock(&s->lock);
}
