/* subscription_away.c - messages of a fair subscription that wait here and are too many, or wait
 * for too long, come back by the delay queues. Thread: the loop's.
 */
#include "consume/runtime/runtime_private.h"

/* How often it is looked for messages that wait for too long, and how many then go. */
#define LOOK_MS    10000
#define OLDER_MOST 64
/* After a copy that failed. */
#define AGAIN_MS 1000

/* It would lose its place. */
static bool may_go_away(const struct subscription *s)
{
    const struct relay *to = subscription_relay_to(s);

    return to && to->into_queue && !s->order;
}

static void put_off(struct subscription *s)
{
    struct subscription_fair *f = s->fair;

    f->copy_from_ms = f->look_ms = subscription_now_ms(s) + AGAIN_MS;
}

static int64_t delay_of(const struct subscription *s, const struct attempt *attempt)
{
    int64_t delay_ms = attempt->retry_at_ms - subscription_now_ms(s);

    return delay_ms > 0 ? delay_ms : 1;
}

/* Those that stay come to the ends of their lines. */
static void send_all(struct subscription *s, struct batch *away)
{
    struct batch staying = {NULL, NULL, 0};
    struct attempt *attempt;
    struct arena scratch;
    bool refused = false;

    arena_init(&scratch);
    while ((attempt = batch_pop(away))) {
        arena_reset(&scratch);
        if (subscription_move(s, attempt, MOVE_AWAY, NULL, delay_of(s, attempt), &scratch)) {
            s->fair->copies++;
            continue;
        }
        batch_add(&staying, attempt);
        refused = refused || !attempt->suspect;
    }
    arena_done(&scratch);
    if (refused)
        put_off(s);
    subscription_turn_enter(s, &staying, false);
}

static void look_for_older(struct subscription *s, int64_t now_ms, struct batch *away)
{
    struct subscription_fair *f = s->fair;
    int64_t before_ns = clock_now_ns(s->source.clock) - (int64_t)FAIR_WAIT_MAX_MS * 1000000;

    if (f->look_ms == INT64_MAX)
        f->look_ms = now_ms + LOOK_MS;
    if (now_ms < f->look_ms)
        return;
    f->look_ms = now_ms + LOOK_MS;
    fair_lines_take_older(&f->lines, before_ns, OLDER_MOST, away, now_ms);
}

void subscription_send_away(struct subscription *s)
{
    struct subscription_fair *f = s->fair;
    int64_t now_ms = subscription_now_ms(s);
    struct batch away = {NULL, NULL, 0};

    if (now_ms < f->copy_from_ms || !may_go_away(s))
        return;
    look_for_older(s, now_ms, &away);
    while (f->lines.waiting > f->config->held && f->copies + away.count < FAIR_COPIES_MAX) {
        uint32_t before = away.count;

        fair_lines_cut(&f->lines, FAIR_COPIES_MAX - f->copies - before, &away, now_ms);
        if (away.count == before) /* all that wait were tried */
            break;
    }
    if (away.count > 0)
        send_all(s, &away);
}

void subscription_away_ended(struct subscription *s, bool moved)
{
    struct subscription_fair *f = s->fair;

    f->copies--;
    counter_add(moved ? &f->away : &f->away_failed, 1);
    if (!moved)
        put_off(s);
}
