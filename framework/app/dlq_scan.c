#include "app/dlq_scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "amqp/consumer.h"
#include "base/error.h"

/* Bodies that wait for room in the window; above, the broker is asked to stop. */
#define KEPT_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* What was ready at the beginning may be taken by somebody else: the end is then a silence. */
#define SILENCE_MS      3000
#define SILENCE_STEP_MS 200

/* Longest wait until what was given back is counted again. */
#define BACK_STEPS   100
#define BACK_STEP_MS 10

struct dlq_scan {
    struct dlq_session *session;
    const struct dlq_scan_options *options;
    const struct dlq_scan_events *events;
    void *user;
    struct dlq_scan_result *result;
    struct consumer *consumer;
    struct arena arena; /* of the message at hand */
    struct loop_timer silence;
    struct loop_timer hold;
    int64_t heard_ms; /* when the last message came */
    uint32_t look_max;
    uint32_t left;    /* by now */
    uint32_t kept;    /* not acked, not left */
    uint32_t acked;   /* not flushed */
    uint32_t proving; /* flushed, before the barrier under way */
    bool barrier;     /* one is under way */
    bool stopping;
    bool hurried;
    bool paused; /* and nothing more comes */
    bool giving_back;
};

static int64_t now_ms(const struct dlq_scan *scan)
{
    return clock_now_ms(loop_clock(dlq_session_loop(scan->session)));
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
    consumer_hand_back(scan->consumer);
    consumer_barrier(scan->consumer, on_given_back, scan);
}

static void on_paused(void *user)
{
    struct dlq_scan *scan = user;

    scan->paused = true;
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

static void on_held_too_long(void *arg)
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
    consumer_barrier(scan->consumer, on_barrier, scan);
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
static bool show(struct dlq_scan *scan, struct delivery *delivery)
{
    struct dlq_letter letter;
    bool kept;

    arena_reset(&scan->arena);
    if (dlq_letter_read(delivery, scan->options->queue, &scan->arena, &letter) != WARREN_OK) {
        scan->result->unreadable++;
        return false;
    }
    if (letter.handed_back > scan->result->handed_back)
        scan->result->handed_back = letter.handed_back;
    scan->kept++;
    kept = scan->events->letter(scan->user, &letter, delivery);
    scan->kept -= !kept;
    return kept;
}

static void count(struct dlq_scan *scan)
{
    scan->heard_ms = now_ms(scan);
    scan->result->looked_at++;
}

static void stop_if_at_end(struct dlq_scan *scan)
{
    if (scan->result->looked_at >= scan->look_max || scan->left >= scan->options->leave_max)
        dlq_scan_stop(scan);
}

static void on_deliver(void *user, struct delivery *delivery)
{
    struct dlq_scan *scan = user;

    if (scan->stopping) {
        consumer_leave(scan->consumer, delivery);
        return;
    }
    count(scan);
    if (!show(scan, delivery))
        leave(scan, delivery);
    stop_if_at_end(scan);
}

static void on_unfit(void *user, const struct delivery *without_body, const char *why,
                     uint64_t body_size)
{
    struct dlq_scan *scan = user;

    (void)without_body;
    (void)why;
    (void)body_size;
    if (scan->stopping)
        return;
    count(scan);
    scan->left++; /* by the consumer */
    scan->result->unreadable++;
    stop_if_at_end(scan);
}

static void on_silence(void *arg)
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

/* ---- life ---- */

static enum warren_status begin(struct dlq_scan *scan, struct warren_error *error)
{
    static const struct consumer_events consumer_events = {.deliver = on_deliver,
                                                           .consuming = on_consuming,
                                                           .interrupted = on_consumer_interrupted,
                                                           .unfit = on_unfit};
    struct consumer_options options = {
        .queue = scan->options->queue,
        .prefetch = (uint16_t)(scan->options->leave_max + scan->options->window),
        .prefetch_bytes = KEPT_BYTES_MAX,
        .message_max = SIZE_MAX,
        .leave_unfit = true,
    };
    enum warren_status status =
        loop_timer_init(&scan->silence, dlq_session_loop(scan->session), on_silence, scan);

    if (status == WARREN_OK)
        status =
            loop_timer_init(&scan->hold, dlq_session_loop(scan->session), on_held_too_long, scan);
    if (status == WARREN_OK)
        status = consumer_new(dlq_session_connection(scan->session), &options, &consumer_events,
                              scan, &scan->consumer);
    if (status != WARREN_OK)
        return error_set(error, status, "%s", warren_status_name(status));
    consumer_start(scan->consumer);
    return WARREN_OK;
}

static enum warren_status go_through(struct dlq_scan *scan, struct warren_error *error)
{
    static const struct dlq_session_events events = {.interrupted = on_interrupted,
                                                     .lost = on_connection_lost};
    enum warren_status status = begin(scan, error);

    if (status == WARREN_OK)
        status = dlq_session_run(scan->session, &events, scan, error);
    loop_timer_done(&scan->silence);
    loop_timer_done(&scan->hold);
    consumer_free(scan->consumer);
    return status;
}

/* The broker has the nack, but the queue may not: until then it tells too few messages, and the
 * next command would believe it. Where others consume, they take what comes back. */
static enum warren_status wait_until_back(const struct dlq_scan *scan, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    struct dlq_probe_found found = {0};

    for (int i = 0; i < BACK_STEPS && status == WARREN_OK; i++) {
        if (i > 0)
            status = dlq_session_rest(scan->session, BACK_STEP_MS, error);
        if (status == WARREN_OK)
            status = dlq_session_look_up(scan->session, scan->options->queue, &found, error);
        if (found.ready >= scan->left)
            break;
    }
    return status;
}

enum warren_status dlq_scan_run(struct dlq_session *session, const struct dlq_scan_options *options,
                                const struct dlq_scan_events *events, void *user,
                                struct dlq_scan_result *result, struct warren_error *error)
{
    struct dlq_scan scan = {
        .session = session, .options = options, .events = events, .user = user, .result = result};
    struct dlq_probe_found found;
    enum warren_status status;

    *result = (struct dlq_scan_result){0};
    status = dlq_session_look_up(session, options->queue, &found, error);
    if (status != WARREN_OK)
        return status;
    result->depth = found.ready;
    scan.look_max = found.ready;
    if (options->look_max > 0 && options->look_max < scan.look_max)
        scan.look_max = options->look_max;
    if ((events->begin && !events->begin(user, &scan, result->depth)) || result->depth == 0)
        return WARREN_OK;
    arena_init(&scan.arena);
    status = go_through(&scan, error);
    arena_done(&scan.arena);
    if (status == WARREN_OK && !result->interrupted && found.consumers == 0)
        status = wait_until_back(&scan, error);
    return status;
}
