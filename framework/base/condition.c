/* condition.c - see condition.h. */
#include "base/condition.h"

#include "base/clock.h"

void condition_init(struct condition *condition)
{
    pthread_cond_init(&condition->cond, NULL);
}

void condition_done(struct condition *condition)
{
    pthread_cond_destroy(&condition->cond);
}

void condition_wait(struct condition *condition, pthread_mutex_t *mutex)
{
    pthread_cond_wait(&condition->cond, mutex);
}

bool condition_wait_until_us(struct condition *condition, pthread_mutex_t *mutex, int64_t until_us)
{
    const struct timespec until = clock_timespec_us(until_us);

    if (until_us != INT64_MAX)
        return pthread_cond_clockwait(&condition->cond, mutex, CLOCK_MONOTONIC, &until) == 0;
    pthread_cond_wait(&condition->cond, mutex);
    return true;
}

bool condition_wait_until_ms(struct condition *condition, pthread_mutex_t *mutex, int64_t until_ms)
{
    return condition_wait_until_us(condition, mutex,
                                   until_ms > INT64_MAX / 1000 ? INT64_MAX : until_ms * 1000);
}

void condition_signal(struct condition *condition)
{
    pthread_cond_signal(&condition->cond);
}

void condition_broadcast(struct condition *condition)
{
    pthread_cond_broadcast(&condition->cond);
}
