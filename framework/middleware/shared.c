/* shared.c - see shared.h. */
#include "middleware/shared.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local bool trying;

void shared_try(bool on)
{
    trying = on;
}

enum warren_status shared_init(struct shared *shared, const char *name, const char *queue)
{
    list_init(&shared->link);
    shared->users = 0;
    shared->on_trial = trying;
    shared->name = strdup(name);
    shared->queue = strdup(queue);
    if (shared->name && shared->queue)
        return WARREN_OK;
    shared_done(shared);
    return WARREN_ENOMEM;
}

void shared_done(struct shared *shared)
{
    free(shared->name);
    free(shared->queue);
    shared->name = shared->queue = NULL;
}

static struct shared *find(const struct shared_registry *registry, const struct shared *like)
{
    for (struct list *link = registry->all.next; link != &registry->all; link = link->next) {
        struct shared *shared = list_entry(link, struct shared, link);

        if (shared->on_trial == like->on_trial && strcmp(shared->name, like->name) == 0)
            return shared;
    }
    return NULL;
}

struct shared *shared_join(struct shared_registry *registry, struct shared *fresh)
{
    struct shared *shared = NULL;

    pthread_mutex_lock(&registry->mutex);
    if (fresh->name[0])
        shared = find(registry, fresh);
    if (!shared) {
        shared = fresh;
        list_push(&registry->all, &shared->link);
    }
    shared->users++;
    pthread_mutex_unlock(&registry->mutex);
    return shared;
}

bool shared_leave(struct shared_registry *registry, struct shared *shared)
{
    bool last;

    pthread_mutex_lock(&registry->mutex);
    last = --shared->users == 0;
    if (last)
        list_remove(&shared->link);
    pthread_mutex_unlock(&registry->mutex);
    return last;
}
