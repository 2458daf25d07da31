/* ack_barrier.c - see ack_barrier.h. */

#include "consume/crash/flight_recorder.h"
#include "consume/runtime/runtime_private.h"

/* What is left of ACK_BARRIER_MS is for the broker to answer. */
#define LOOK_MS (ACK_BARRIER_MS * 3 / 4)

static void answer(struct ack_barrier *s)
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
    (void)in_time; /* lost meanwhile: the broker has back what it has no ack of */
    answer(user);
}

/* Who is at the exclusive gate has not begun, or is the one who asks. Those are counted first: a
 * message that moves on meanwhile is then counted as one that was handled, never the other way
 * round. */
static bool all_settled(struct runtime *r)
{
    uint32_t present = exclusive_gate_present(&r->flight->exclusive_gate);

    runtime_collect(r);
    return runtime_sum(r, subscription_begun) <= present;
}

static void prove(struct ack_barrier *s)
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
    struct ack_barrier *s = arg;
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

void ack_barrier_wait(struct ack_barrier *s)
{
    int64_t end_ms = clock_deadline_ms(ACK_BARRIER_MS);
    uint64_t wanted;

    pthread_mutex_lock(&s->lock);
    wanted = ++s->asked_count;
    loop_post(s->runtime->loop, &s->begin);
    while (s->answered_count < wanted && condition_wait_until_ms(&s->answered, &s->lock, end_ms))
        continue;
    pthread_mutex_unlock(&s->lock);
}

enum warren_status ack_barrier_init(struct ack_barrier *s, struct runtime *runtime)
{
    *s = (struct ack_barrier){.runtime = runtime};
    loop_task_init(&s->begin, look, s);
    pthread_mutex_init(&s->lock, NULL);
    condition_init(&s->answered);
    return loop_timer_init(&s->again, runtime->loop, look, s);
}

void ack_barrier_done(struct ack_barrier *s)
{
    if (!s->runtime)
        return;
    loop_timer_done(&s->again);
    condition_done(&s->answered);
    pthread_mutex_destroy(&s->lock);
}
