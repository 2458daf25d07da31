/* settle_up.c - see settle_up.h. */
#include "consume/runtime/settle_up.h"

#include "consume/crash/flight_recorder.h"
#include "consume/runtime/runtime_private.h"

/* What is left of SETTLE_UP_MS is for the broker to answer. */
#define LOOK_MS (SETTLE_UP_MS * 3 / 4)

static void answer(struct settle_up *s)
{
    if (--s->barriers > 0)
        return;
    pthread_mutex_lock(&s->lock);
    s->answered_count = s->begun_count;
    condition_broadcast(&s->answered);
    pthread_mutex_unlock(&s->lock);
}

static void passed(void *user, bool in_time)
{
    (void)in_time; /* lost meanwhile: the broker has back what it did not hear of */
    answer(user);
}

/* Who is at the turnstile has not begun, or is the one who asks. Those are counted first: a message
 * that moves on meanwhile is then counted as one that was handled, never the other way round. */
static bool all_settled(struct runtime *r)
{
    uint32_t present = turnstile_present(&r->flight->turnstile);

    runtime_collect(r);
    return runtime_sum(r, subscription_begun) <= present;
}

static void prove(struct settle_up *s)
{
    struct runtime *r = s->runtime;

    pthread_mutex_lock(&s->lock);
    s->begun_count = s->asked_count;
    pthread_mutex_unlock(&s->lock);
    s->barriers++;
    for (size_t i = 0; i < r->subscription_count; i++)
        if (subscription_barrier(r->subscriptions[i], passed, s))
            s->barriers++;
    answer(s);
}

static void look(void *arg)
{
    struct settle_up *s = arg;
    int64_t now_ms = loop_now_ms(s->runtime->loop);

    if (s->give_up_ms == 0)
        s->give_up_ms = now_ms + LOOK_MS;
    if (!all_settled(s->runtime) && now_ms < s->give_up_ms) {
        loop_timer_arm_us(&s->again, RUNNER_LOOK_US);
        return;
    }
    s->give_up_ms = 0;
    prove(s);
}

void settle_up_wait(struct settle_up *s)
{
    int64_t end_ms = clock_deadline_ms(SETTLE_UP_MS);
    uint64_t wanted;

    pthread_mutex_lock(&s->lock);
    wanted = ++s->asked_count;
    loop_post(s->runtime->loop, &s->begin);
    while (s->answered_count < wanted && condition_wait_until_ms(&s->answered, &s->lock, end_ms))
        continue;
    pthread_mutex_unlock(&s->lock);
}

enum warren_status settle_up_init(struct settle_up *s, struct runtime *runtime)
{
    *s = (struct settle_up){.runtime = runtime};
    loop_task_init(&s->begin, look, s);
    pthread_mutex_init(&s->lock, NULL);
    condition_init(&s->answered);
    return loop_timer_init(&s->again, runtime->loop, look, s);
}

void settle_up_done(struct settle_up *s)
{
    if (!s->runtime)
        return;
    loop_timer_done(&s->again);
    condition_done(&s->answered);
    pthread_mutex_destroy(&s->lock);
}
