/* exclusive_gate.c - see exclusive_gate.h. */
#include "consume/crash/exclusive_gate.h"

#include "base/clock.h"

void exclusive_gate_init(struct exclusive_gate *t)
{
    *t = (struct exclusive_gate){.inside = 0};
    pthread_mutex_init(&t->lock, NULL);
    condition_init(&t->moved);
}

void exclusive_gate_done(struct exclusive_gate *t)
{
    condition_done(&t->moved);
    pthread_mutex_destroy(&t->lock);
}

void exclusive_gate_expect(struct exclusive_gate *t)
{
    t->expects = true;
}

static bool may_enter(const struct exclusive_gate *t, enum exclusive_gate_way way)
{
    if (way != EXCLUSIVE_GATE_SUSPECT && (t->expects || t->suspects_waiting > 0))
        return false;
    return way == EXCLUSIVE_GATE_BESIDE ? !t->alone : t->inside == 0;
}

static void stop_expecting(struct exclusive_gate *t)
{
    t->expects = false;
    condition_broadcast(&t->moved);
}

/* Under the lock, which is given up meanwhile. */
static void wait_for_move(struct exclusive_gate *t)
{
    if (!t->expects) {
        condition_wait(&t->moved, &t->lock);
        return;
    }
    if (t->expect_until_ms == 0)
        t->expect_until_ms = clock_deadline_ms(EXCLUSIVE_GATE_EXPECT_MS);
    if (!condition_wait_until_ms(&t->moved, &t->lock, t->expect_until_ms))
        stop_expecting(t);
}

bool exclusive_gate_enter(struct exclusive_gate *t, enum exclusive_gate_way way)
{
    bool suspect = way == EXCLUSIVE_GATE_SUSPECT;
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
        t->alone = way != EXCLUSIVE_GATE_BESIDE;
    }
    if (entered && suspect && t->expects)
        stop_expecting(t);
    pthread_mutex_unlock(&t->lock);
    return entered;
}

void exclusive_gate_leave(struct exclusive_gate *t)
{
    pthread_mutex_lock(&t->lock);
    if (--t->inside == 0) {
        t->alone = false;
        condition_broadcast(&t->moved);
    }
    pthread_mutex_unlock(&t->lock);
}

uint32_t exclusive_gate_present(struct exclusive_gate *t)
{
    uint32_t present;

    pthread_mutex_lock(&t->lock);
    present = t->waiting + t->inside;
    pthread_mutex_unlock(&t->lock);
    return present;
}

void exclusive_gate_close(struct exclusive_gate *t)
{
    pthread_mutex_lock(&t->lock);
    t->closed = true;
    condition_broadcast(&t->moved);
    pthread_mutex_unlock(&t->lock);
}
