/* subscription_away.c - messages of a fair subscription that wait here and are too many, or wait
 * for too long: a copy goes through the delay queues, and when it is confirmed the message is
 * acked. No attempt is counted. What could not be copied waits here again. Thread: the loop's.
 */
#include "consume/job/job_span.h"
#include "consume/runtime/runtime_private.h"

/* How often it is looked for messages that wait for too long, and how many then go. */
#define LOOK_MS    10000
#define OLDER_MOST 64
/* After a copy that failed. */
#define AGAIN_MS 1000

static bool may_go_away(const struct subscription *s)
{
    const struct relay *to = subscription_relay_to(s);

    return to && to->into_queue && !s->order;
}

/* Nothing of its move is left. */
static void stay(struct attempt *attempt)
{
    attempt->moves = false;
    attempt->outcome = 0;
    attempt->forgiven = false;
    attempt->relay = RELAY_NONE;
    attempt->retry_at_ms = 0;
}

static void put_off(struct subscription *s)
{
    struct subscription_fair *f = s->fair;

    f->copy_from_ms = f->look_ms = subscription_now_ms(s) + AGAIN_MS;
}

/* @return false: it stays */
static bool send_away(struct subscription *s, struct attempt *attempt, struct arena *scratch)
{
    int64_t now_ms = subscription_now_ms(s);
    char trace[TRACEPARENT_SIZE];
    struct relay_facts facts = {
        .delay_ms = attempt->retry_at_ms > now_ms ? attempt->retry_at_ms - now_ms : 1,
        .left_ms = INT64_MAX,
        .trace = attempt_span_note(attempt, trace),
    };

    if (guard_suspects(&s->crew.guard, attempt))
        return false;
    facts.failed = attempt->failed; /* also those that the recorder knows of */
    facts.first_failure_s = (uint64_t)attempt->first_failure_s;
    attempt->moves = true;
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    if (subscription_publish_copy(s, attempt, &facts, scratch)) {
        s->fair->copies++;
        return true;
    }
    stay(attempt);
    return false;
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
        if (send_away(s, attempt, &scratch))
            continue;
        batch_add(&staying, attempt);
        refused = refused || !attempt->suspect;
    }
    arena_done(&scratch);
    if (refused)
        put_off(s);
    subscription_fair_enter(s, &staying, false);
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

bool subscription_fair_moved(struct subscription *s, struct attempt *attempt)
{
    struct subscription_fair *f = s->fair;
    struct batch batch = {NULL, NULL, 0};

    f->copies--;
    if (attempt->relay == RELAY_CONFIRMED) {
        counter_add(&f->away, 1);
        return false;
    }
    counter_add(&f->away_failed, 1);
    put_off(s);
    attempt->outcome = WARREN_REQUEUE;
    if (s->draining || subscription_is_stale(s, attempt))
        return false;
    stay(attempt);
    batch_add(&batch, attempt);
    subscription_fair_enter(s, &batch, false);
    return true;
}
