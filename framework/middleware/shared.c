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
                               const struct warren_subscription_info *info, void **ret_user,
                               struct warren_error *error)
{
    struct shared_user *user = calloc(1, kind->user_size);
    struct shared *fresh = user ? shared_new(kind, info) : NULL;
    bool same = true;

    if (!fresh) {
        free(user);
        return error_set(error, WARREN_ENOMEM, "no memory");
    }
    user->shared = join(fresh);
    if (user->shared != fresh) {
        pthread_mutex_lock(&user->shared->mutex);
        same = kind->same(user->shared, fresh);
        pthread_mutex_unlock(&user->shared->mutex);
        shared_free(fresh);
    }
    if (!same) {
        error_set(error, WARREN_ECONFIG, "name '%s': queue %s gives it other options than queue %s",
                  user->shared->name, info->queue, user->shared->queue);
        shared_close(user);
        return WARREN_ECONFIG;
    }
    if (!user->shared->on_trial) {
        kind->meter(user, info);
        user->collector = (struct metric_collector){.collect = kind->put, .user = user};
        metrics_collect_add(&user->collector);
    }
    *ret_user = user;
    return WARREN_OK;
}

void shared_close(void *state)
{
    struct shared_user *user = state;
    struct shared *shared;
    bool last;

    if (!user)
        return;
    metrics_collect_remove(&user->collector);
    metric_release_all(user->series, sizeof user->series);
    shared = user->shared;
    pthread_mutex_lock(&mutex);
    last = --shared->users == 0;
    if (last)
        list_remove(&shared->link);
    pthread_mutex_unlock(&mutex);
    if (last)
        shared_free(shared);
    free(user);
}
