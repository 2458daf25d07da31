/* dlq_scan_flow.c - messages come, acks go, and what is left goes back at the end. */
#include <stdio.h>

#include "amqp/wire/property_spans.h"
#include "command/dlq/dlq_scan_private.h"

/* What was ready at the beginning may be taken by somebody else: the end is then a silence. */
#define SILENCE_MS      3000
#define SILENCE_STEP_MS 200

static int64_t now_ms(const struct dlq_scan *scan)
{
    return loop_now_ms(dlq_session_loop(scan->session));
}

/* ---- the end ---- */

static void on_given_back(void *user, bool passed)
{
    struct dlq_scan *scan = user;

    if (passed)
        dlq_session_stop(scan->session, WARREN_OK, NULL);
}

static void give_back_if_done(struct dlq_scan *scan)
{
    if (!scan->paused || scan->kept > 0 || scan->acked > 0 || scan->barrier || scan->giving_back)
        return;
    scan->giving_back = true;
    if (consumer_hands_back_free(scan->consumer))
        consumer_hand_back(scan->consumer); /* else the end of the channel does */
    consumer_barrier(scan->consumer, on_given_back, scan);
}

static void on_paused(void *user)
{
    struct dlq_scan *scan = user;

    scan->paused = true;
    dlq_scan_flush(scan);
    give_back_if_done(scan);
}

void dlq_scan_stop(struct dlq_scan *scan)
{
    if (scan->stopping)
        return;
    scan->stopping = true;
    loop_timer_disarm(&scan->silence);
    consumer_pause(scan->consumer, on_paused, scan);
}

static void hurry(struct dlq_scan *scan, bool urgent)
{
    if (scan->hurried)
        return;
    scan->hurried = true;
    if (scan->events->hurry)
        scan->events->hurry(scan->user, urgent);
}

static void on_interrupted(void *user)
{
    struct dlq_scan *scan = user;

    scan->result->interrupted = true;
    dlq_scan_stop(scan);
    hurry(scan, true);
}

void scan_held_too_long(void *arg)
{
    struct dlq_scan *scan = arg;

    scan->result->held_too_long = true;
    dlq_scan_stop(scan);
    hurry(scan, false);
}

/* ---- acks ---- */

static void on_barrier(void *user, bool passed)
{
    struct dlq_scan *scan = user;
    uint32_t proven = scan->proving;

    if (!passed)
        return;
    scan->barrier = false;
    scan->proving = 0;
    dlq_scan_flush(scan); /* what was acked meanwhile */
    if (scan->events->proven)
        scan->events->proven(scan->user, proven);
    give_back_if_done(scan);
}

void dlq_scan_flush(struct dlq_scan *scan)
{
    if (scan->acked == 0 || scan->barrier)
        return;
    consumer_flush(scan->consumer, true);
    scan->barrier = true;
    scan->proving = scan->acked;
    scan->acked = 0;
    consumer_queue_barrier(scan->consumer, on_barrier, scan);
}

void dlq_scan_ack(struct dlq_scan *scan, struct delivery *delivery)
{
    scan->kept--;
    scan->acked++;
    consumer_settle(scan->consumer, delivery, VERDICT_ACK);
}

static void leave(struct dlq_scan *scan, struct delivery *delivery)
{
    scan->left++;
    scan->goes_back = true;
    consumer_leave(scan->consumer, delivery);
}

void dlq_scan_leave(struct dlq_scan *scan, struct delivery *delivery)
{
    scan->kept--;
    leave(scan, delivery);
    if (scan->left >= scan->options->leave_max)
        dlq_scan_stop(scan);
    give_back_if_done(scan);
}

/* ---- messages ---- */

/* Is the delivery kept? */
typedef bool show_fn(struct dlq_scan *scan, struct delivery *delivery);

static bool show_unreadable(struct dlq_scan *scan, struct delivery *delivery)
{
    struct property_spans spans;
    bool kept = false;

    property_spans_find(delivery_properties(delivery), &spans);
    scan->kept++;
    if (scan->events->unreadable)
        kept = scan->events->unreadable(scan->user, scan, spans.message_id, delivery);
    scan->kept -= !kept;
    scan->result->unreadable += !kept;
    return kept;
}

static bool show(struct dlq_scan *scan, struct delivery *delivery)
{
    struct dlq_letter letter;
    bool kept;

    arena_reset(&scan->arena);
    if (dlq_letter_read(delivery, scan->options->queue, &scan->arena, &letter) != WARREN_OK)
        return show_unreadable(scan, delivery);
    if (letter.handed_back > scan->result->handed_back)
        scan->result->handed_back = letter.handed_back;
    scan->sorts = scan->sorts || letter.came_back;
    scan->kept++;
    kept = scan->events->letter(scan->user, scan, &letter, delivery);
    scan->kept -= !kept;
    return kept;
}

static void take(struct dlq_scan *scan, struct delivery *delivery, show_fn *shown)
{
    scan->came++;
    scan->came_again = delivery->redelivered;
    if (scan->stopping) {
        scan->goes_back = true;
        consumer_leave(scan->consumer, delivery);
        return;
    }
    scan->heard_ms = now_ms(scan);
    scan->result->looked_at++;
    if (!shown(scan, delivery))
        leave(scan, delivery);
    if (scan->result->looked_at >= scan->look_max || scan->left >= scan->options->leave_max)
        dlq_scan_stop(scan);
}

static void on_deliver(void *user, struct delivery *delivery)
{
    take(user, delivery, show);
}

static void on_unfit(void *user, struct delivery *without_body, const char *why, uint64_t body_size)
{
    (void)why;
    (void)body_size;
    take(user, without_body, show_unreadable);
}

void scan_silence(void *arg)
{
    struct dlq_scan *scan = arg;

    if (scan->kept == 0 && now_ms(scan) - scan->heard_ms >= SILENCE_MS)
        dlq_scan_stop(scan);
    else
        loop_timer_arm_ms(&scan->silence, SILENCE_STEP_MS);
}

static void on_consuming(void *user)
{
    struct dlq_scan *scan = user;

    scan->heard_ms = now_ms(scan);
    loop_timer_arm_ms(&scan->silence, SILENCE_STEP_MS);
    if (scan->options->hold_ms > 0)
        loop_timer_arm_ms(&scan->hold, scan->options->hold_ms);
}

/* ---- losses ---- */

static void give_up(struct dlq_scan *scan)
{
    scan->stopping = true;
    hurry(scan, true);
}

static void on_consumer_interrupted(void *user, const char *reason, uint32_t retry_ms)
{
    struct dlq_scan *scan = user;

    (void)retry_ms;
    give_up(scan);
    dlq_session_stop(scan->session, WARREN_EBROKER, "queue '%s': %s", scan->options->queue, reason);
}

static void on_connection_lost(void *user, const char *why)
{
    (void)why;
    give_up(user);
}

const struct consumer_events scan_consumer_events = {.deliver = on_deliver,
                                                     .consuming = on_consuming,
                                                     .interrupted = on_consumer_interrupted,
                                                     .unfit = on_unfit};

const struct dlq_session_events scan_session_events = {.interrupted = on_interrupted,
                                                       .lost = on_connection_lost};
