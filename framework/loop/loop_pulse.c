/* loop_pulse.c - see loop_pulse.h. */
#include "loop/loop_pulse.h"

static void answer(void *arg)
{
    struct loop_pulse *pulse = arg;

    if (pulse->beat)
        pulse->beat(pulse->arg);
    atomic_store(&pulse->asked_ms, 0);
}

void loop_pulse_init(struct loop_pulse *pulse, void (*beat)(void *arg), void *arg)
{
    loop_task_init(&pulse->task, answer, pulse);
    pulse->beat = beat;
    pulse->arg = arg;
    atomic_init(&pulse->asked_ms, 0);
}

void loop_pulse_ask(struct loop_pulse *pulse, struct loop *loop, int64_t now_ms)
{
    if (atomic_load(&pulse->asked_ms) != 0)
        return;
    atomic_store(&pulse->asked_ms, now_ms);
    loop_post(loop, &pulse->task);
}

int64_t loop_pulse_silent_ms(const struct loop_pulse *pulse, int64_t now_ms)
{
    int64_t asked_ms = atomic_load(&pulse->asked_ms);

    return asked_ms == 0 ? 0 : now_ms - asked_ms;
}
