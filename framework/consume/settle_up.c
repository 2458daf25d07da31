/* settle_up.c - see settle_up.h. */
#include "consume/settle_up.h"

#include <time.h>

#include "consume/runtime_private.h"

static void answer(struct settle_up *s)
{
    if (--s->barriers > 0)
        return;
    pthread_mutex_lock(&s->lock);
    s->answered_count = s->begun_count;
    pthread_cond_broadcast(&s->answered);
    pthread_mutex_unlock(&s->lock);
}

static void passed(void *user, bool in_time)
{
    (void)in_time; /* lost meanwhile: the broker has back what it did not hear of */
    answer(user);
}

static void begin(void *arg)
{
    struct settle_up *s = arg;
    struct runtime *r = s->runtime;

    pthread_mutex_lock(&s->lock);
    s->begun_count = s->asked_count;
    pthread_mutex_unlock(&s->lock);
    s->barriers++;
    runtime_collect(r);
    for (size_t i = 0; i < r->subscription_count; i++)
        if (subscription_barrier(r->subscriptions[i], passed, s))
            s->barriers++;
    answer(s);
}

void settle_up_wait(struct settle_up *s)
{
    struct timespec end;
    uint64_t wanted;
    int failure = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SETTLE_UP_MS / 1000;
    pthread_mutex_lock(&s->lock);
    wanted = ++s->asked_count;
    loop_post(s->runtime->loop, &s->begin);
    while (s->answered_count < wanted && !failure)
        failure = pthread_cond_timedwait(&s->answered, &s->lock, &end);
    pthread_mutex_unlock(&s->lock);
}

void settle_up_init(struct settle_up *s, struct runtime *runtime)
{
    pthread_condattr_t attributes;

    *s = (struct settle_up){.runtime = runtime};
    loop_task_init(&s->begin, begin, s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->answered, &attributes);
    pthread_condattr_destroy(&attributes);
}

void settle_up_done(struct settle_up *s)
{
    pthread_cond_destroy(&s->answered);
    pthread_mutex_destroy(&s->lock);
}
