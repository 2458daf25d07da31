/* subscription_threads.c - see subscription_threads.h. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "consume/runtime/runtime_private.h"
#include "consume/workers/threads.h"

uint32_t subscription_workers(const struct runtime_subscription *what)
{
    return what->executor ? what->executor_threads : what->concurrency;
}

/* ---- executors ---- */

static struct executor *find(const struct runtime *r, const char *name)
{
    for (size_t i = 0; i < r->executor_count; i++)
        if (strcmp(executor_name(r->executors[i]), name) == 0)
            return r->executors[i];
    return NULL;
}

static enum warren_status make(struct runtime *r, const struct runtime_subscription *what,
                               struct executor **ret, struct warren_error *error)
{
    const struct executor_options options = {.name = what->executor,
                                             .threads = what->executor_threads,
                                             .clock = loop_clock(r->loop),
                                             .guarded = r->flight != NULL};
    struct executor **executors =
        realloc(r->executors, (r->executor_count + 1) * sizeof(struct executor *));
    enum warren_status status;

    if (!executors)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    r->executors = executors;
    status = executor_new(&options, ret, error);
    if (status == WARREN_OK)
        r->executors[r->executor_count++] = *ret;
    return status;
}

static enum warren_status join(struct subscription *s, const struct runtime_subscription *what,
                               const struct runner_calls *calls, struct warren_error *error)
{
    const struct executor_place place = {.queue = what->queue,
                                         .handler = what->handler_name,
                                         .share = what->share,
                                         .most = what->concurrency,
                                         .outlook = &s->runtime->outlook};
    struct executor *executor = find(s->runtime, what->executor);
    enum warren_status status = WARREN_OK;

    if (!executor)
        status = make(s->runtime, what, &executor, error);
    if (status != WARREN_OK)
        return status;
    if (executor_threads(executor) != what->executor_threads)
        return error_set(error, WARREN_EINVAL,
                         "queue %s: executor %s has %u threads since the start: restart the worker "
                         "for %u",
                         what->queue, what->executor, executor_threads(executor),
                         what->executor_threads);
    status = executor_join(executor, &place, calls, s, &s->runner);
    if (status == WARREN_EFULL)
        return error_set(error, status,
                         "queue %s: executor %s has %d subscriptions since the start", what->queue,
                         what->executor, EXECUTOR_MEMBERS_MAX);
    return status == WARREN_OK ? status : error_set(error, status, "out of memory");
}

void runtime_stop_executors(struct runtime *r)
{
    for (size_t i = 0; i < r->executor_count; i++)
        executor_stop(r->executors[i]);
}

void runtime_free_executors(struct runtime *r)
{
    for (size_t i = 0; i < r->executor_count; i++)
        executor_free(r->executors[i]);
    free(r->executors);
}

/* ---- either ---- */

enum warren_status subscription_threads_new(struct subscription *s,
                                            const struct runtime_subscription *what,
                                            const struct runner_calls *calls,
                                            struct warren_error *error)
{
    const struct threads_options threads = {.name = what->queue,
                                            .concurrency = s->concurrency,
                                            .clock = s->source.clock,
                                            .outlook = &s->runtime->outlook};

    return what->executor ? join(s, what, calls, error)
                          : threads_new(&threads, calls, s, &s->runner, error);
}
