/* turnstile.c - see turnstile.h. */
#include "consume/crash/turnstile.h"

#include "base/clock.h"

void turnstile_init(struct turnstile *t)
{
    *t = (struct turnstile){.inside = 0};
    pthread_mutex_init(&t->lock, NULL);
    condition_init(&t->moved);
}

void turnstile_done(struct turnstile *t)
{
    condition_done(&t->moved);
    pthread_mutex_destroy(&t->lock);
}

void turnstile_expect(struct turnstile *t)
{
    t->expects = true;
}

static bool may_enter(const struct turnstile *t, enum turnstile_way way)
{
    if (way != TURNSTILE_SUSPECT && (t->expects || t->suspects_waiting > 0))
        return false;
    return way == TURNSTILE_BESIDE ? !t->alone : t->inside == 0;
}

static void stop_expecting(struct turnstile *t)
{
    t->expects = false;
    condition_broadcast(&t->moved);
}

/* Under the lock, which is given up meanwhile. */
static void wait_for_move(struct turnstile *t)
{
    if (!t->expects) {
        condition_wait(&t->moved, &t->lock);
        return;
    }
    if (t->expect_until_ms == 0)
        t->expect_until_ms = clock_deadline_ms(TURNSTILE_EXPECT_MS);
    if (!condition_wait_until_ms(&t->moved, &t->lock, t->expect_until_ms))
        stop_expecting(t);
}

bool turnstile_enter(struct turnstile *t, enum turnstile_way way)
{
    bool suspect = way == TURNSTILE_SUSPECT;
    bool entered;

    pthread_mutex_lock(&t->lock);
    t->waiting++;
    t->suspects_waiting += suspect;
    while (!t->closed && !may_enter(t, way))
        wait_for_move(t);
    t->suspects_waiting -= suspect;
    t->waiting--;
    entered = !t->closed;
    if (entered) {
        t->inside++;
        t->alone = way != TURNSTILE_BESIDE;
    }
    if (entered && suspect && t->expects)
        stop_expecting(t);
    pthread_mutex_unlock(&t->lock);
    return entered;
}

void turnstile_leave(struct turnstile *t)
{
    pthread_mutex_lock(&t->lock);
    if (--t->inside == 0) {
        t->alone = false;
        condition_broadcast(&t->moved);
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
    condition_broadcast(&t->moved);
    pthread_mutex_unlock(&t->lock);
}
