/* subscription_aside.c - a shard that another worker is to have: the subscription ends as in a
 * drain, and begins again when it is to be here.
 *
 *   wanted > NOT ------------------> LEAVING ------------------> AWAY > not wanted
 *             ^    its handlers end, what is not done goes back,   |
 *             |    in order, with the channel (subscription_drain.c)
 *             `--------------------------------------------------'
 */
#include "base/log.h"
#include "consume/runtime/runtime_private.h"

static void enter(struct subscription *s, enum aside aside)
{
    static const char *const names[] = {"here", "leaving", "away"};

    log_debug("shard %s: %s -> %s", s->source.queue, names[s->aside], names[aside]);
    s->aside = aside;
}

void subscription_stand_aside_first(struct subscription *s)
{
    s->aside = ASIDE_AWAY;
    s->leave.phase = LEAVE_DONE;
    s->draining = true;
}

static void leave(struct subscription *s)
{
    enter(s, ASIDE_LEAVING);
    s->runtime->leaving_count++;
    subscription_leave(s);
    drain_progress(s->runtime);
}

void subscription_is_away(struct subscription *s)
{
    enter(s, ASIDE_AWAY);
    s->runtime->leaving_count--;
    consumer_end(s->consumer);
    subscription_settle_as(s, &s->arrived, WARREN_REQUEUE);
}

/* Suspended: so its consumer goes on, if it had begun, or begins. */
static void come_back(struct subscription *s)
{
    struct runtime *r = s->runtime;

    enter(s, ASIDE_NOT);
    loop_timer_disarm(&s->leave.pause);
    s->leave.phase = LEAVE_NOT;
    s->leave.grace_over = false;
    s->leave.quiet_until_ms = 0;
    s->leave.handed_back = 0;
    s->cancelled = s->proving = s->draining = false;
    atomic_store(&s->leaves, false);
    s->suspended = s->started;
    if (!s->started)
        consumer_resume(s->consumer);
    if (connection_state(r->connection) == CONNECTION_OPEN && !r->declaring)
        subscription_start(s);
}

void subscription_want(struct subscription *s, bool wanted)
{
    if (s->runtime->drain.phase != DRAIN_NOT)
        return;
    /* One that was another's stands by until it has begun here. */
    if (!wanted)
        atomic_store(&s->stands_by, true);
    if (wanted && s->aside == ASIDE_AWAY)
        come_back(s);
    else if (!wanted && s->aside == ASIDE_NOT)
        leave(s);
}
