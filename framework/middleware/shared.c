/* shared.c - see shared.h. */
#include "middleware/shared.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "middleware/builtin.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static _Thread_local bool trying;

void builtin_try(bool on)
{
    trying = on;
}

static void shared_free(struct shared *shared)
{
    free(shared->name);
    free(shared->queue);
    pthread_mutex_destroy(&shared->mutex);
    free(shared);
}

/* NULL: no memory. */
static struct shared *shared_new(const struct shared_kind *kind,
                                 const struct warren_subscription_info *info)
{
    struct shared *shared = calloc(1, kind->size);

    if (!shared)
        return NULL;
    shared->kind = kind;
    shared->on_trial = trying;
    list_init(&shared->link);
    pthread_mutex_init(&shared->mutex, NULL);
    shared->name = strdup(warren_options_text(info->options, "name"));
    shared->queue = strdup(info->queue);
    if (!shared->name || !shared->queue) {
        shared_free(shared);
        return NULL;
    }
    kind->init(shared, info->options);
    return shared;
}

static struct shared *find(const struct shared *like)
{
    LIST_EACH(link, &all) {
        struct shared *shared = list_entry(link, struct shared, link);

        if (like->name[0] && shared->kind == like->kind && shared->on_trial == like->on_trial &&
            strcmp(shared->name, like->name) == 0)
            return shared;
    }
    return NULL;
}

/* @return what has that name, or @fresh, which has it from now on */
static struct shared *join(struct shared *fresh)
{
    struct shared *shared;

    pthread_mutex_lock(&mutex);
    shared = find(fresh);
    if (!shared) {
        shared = fresh;
        list_push(&all, &shared->link);
    }
    shared->users++;
    pthread_mutex_unlock(&mutex);
    return shared;
}

enum warren_status shared_open(const struct shared_kind *kind,
                               const struct warren_subscription_info *info,
                               struct shared **ret_shared, struct warren_error *error)
{
    struct shared *fresh = shared_new(kind, info);
    struct shared *shared;
    bool same;

    if (!fresh)
        return error_set(error, WARREN_ENOMEM, "no memory");
    shared = *ret_shared = join(fresh);
    if (shared == fresh)
        return WARREN_OK;
    pthread_mutex_lock(&shared->mutex);
    same = kind->same(shared, fresh);
    pthread_mutex_unlock(&shared->mutex);
    shared_free(fresh);
    if (same)
        return WARREN_OK;
    error_set(error, WARREN_ECONFIG, "name '%s': queue %s gives it other options than queue %s",
              shared->name, info->queue, shared->queue);
    shared_close(shared);
    return WARREN_ECONFIG;
}

void shared_close(struct shared *shared)
{
    bool last;

    pthread_mutex_lock(&mutex);
    last = --shared->users == 0;
    if (last)
        list_remove(&shared->link);
    pthread_mutex_unlock(&mutex);
    if (last)
        shared_free(shared);
}
