/* turnstile.c - see turnstile.h. */
#include "consume/turnstile.h"

void turnstile_init(struct turnstile *t)
{
    *t = (struct turnstile){.inside = 0};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->moved, NULL);
}

void turnstile_done(struct turnstile *t)
{
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->lock);
}

static bool may_enter(const struct turnstile *t, bool alone)
{
    return alone ? t->inside == 0 : !t->alone && t->suspects_waiting == 0;
}

bool turnstile_enter(struct turnstile *t, bool alone)
{
    bool entered;

    pthread_mutex_lock(&t->lock);
    t->waiting++;
    t->suspects_waiting += alone;
    while (!t->closed && !may_enter(t, alone))
        pthread_cond_wait(&t->moved, &t->lock);
    t->suspects_waiting -= alone;
    t->waiting--;
    entered = !t->closed;
    if (entered) {
        t->inside++;
        t->alone = alone;
    }
    pthread_mutex_unlock(&t->lock);
    return entered;
}

void turnstile_leave(struct turnstile *t)
{
    pthread_mutex_lock(&t->lock);
    if (--t->inside == 0) {
        t->alone = false;
        pthread_cond_broadcast(&t->moved);
    }
    pthread_mutex_unlock(&t->lock);
}

uint32_t turnstile_present(struct turnstile *t)
{
    uint32_t present;

    pthread_mutex_lock(&t->lock);
    present = t->waiting + t->inside;
    pthread_mutex_unlock(&t->lock);
    return present;
}

void turnstile_close(struct turnstile *t)
{
    pthread_mutex_lock(&t->lock);
    t->closed = true;
    pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->lock);
}
