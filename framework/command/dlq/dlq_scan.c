#include "command/dlq/dlq_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/consumer/consumer.h"
#include "amqp/wire/property_spans.h"
#include "base/error.h"

/* What was ready at the beginning may be taken by somebody else: the end is then a silence. */
#define SILENCE_MS      3000
#define SILENCE_STEP_MS 200

/* Bodies that wait for room in the window; above, the broker is asked to stop. */
#define KEPT_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Longest wait until what was given back is counted again. */
#define BACK_STEPS   100
#define BACK_STEP_MS 10

/* The first RabbitMQ whose quorum queues have a delivery limit by default. */
#define DROPPING_MAJOR 4

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
    uint32_t came;    /* also what was on its way when it stopped */
    uint32_t left;    /* by now */
    uint32_t kept;    /* not acked, not left */
    uint32_t acked;   /* not flushed */
    uint32_t proving; /* flushed, before the barrier under way */
    bool barrier;     /* one is under way */
    bool goes_back;   /* some of what came does */
    bool came_again;  /* the last that came had been delivered before; */
    bool sorts;       /* and the queue puts such messages in a queue of their own */
    bool stopping;
    bool hurried;
    bool paused; /* and nothing more comes */
    bool giving_back;
};

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

static const struct consumer_events consumer_events = {.deliver = on_deliver,
                                                       .consuming = on_consuming,
                                                       .interrupted = on_consumer_interrupted,
                                                       .unfit = on_unfit};

static const struct dlq_session_events session_events = {.interrupted = on_interrupted,
                                                         .lost = on_connection_lost};

/* ---- life ---- */

static enum warren_status begin(struct dlq_scan *scan, struct warren_error *error)
{
    struct consumer_options options = {
        .queue = scan->options->queue,
        .prefetch = (uint16_t)(scan->options->leave_max + scan->options->window),
        .prefetch_bytes = KEPT_BYTES_MAX,
        .message_max = SIZE_MAX,
        .deliver_unfit = true,
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
    enum warren_status status = begin(scan, error);

    if (status == WARREN_OK)
        status = dlq_session_run(scan->session, &session_events, scan, error);
    loop_timer_done(&scan->silence);
    loop_timer_done(&scan->hold);
    consumer_free(scan->consumer);
    return status;
}

/* The broker has the nack, but the queue may not: until then it counts too few messages, and the
 * next command would believe that. Where others consume, they take what comes back. */
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

/* Of "RabbitMQ 4.0.5". */
static int broker_major(const char *server)
{
    const char *version = strchr(server, ' ');

    return version ? atoi(version) : 0;
}

/* Where a look counts, the last one that a limit allows destroys what was looked at: the broker
 * shows a message's count when it is too late, so the limit must not be a low one. */
static enum warren_status check_limit(struct dlq_session *session,
                                      const struct dlq_scan_options *options,
                                      struct warren_error *error)
{
    enum warren_status status;
    int64_t limit = LIMIT_NONE;

    if (!options->mind_limit ||
        !connection_server_at_least(dlq_session_connection(session), 3, 8) ||
        connection_server_at_least(dlq_session_connection(session), 4, 3))
        return WARREN_OK;
    status = dlq_session_limit(session, options->queue, &limit, error);
    if (status != WARREN_OK || limit < 0 || limit >= DLQ_FEW_LOOKS)
        return status;
    return error_set(error, WARREN_EFULL,
                     "queue '%s' has a delivery limit of %" PRId64
                     ", each look at a message counts "
                     "as a delivery, and above the limit the broker drops or dead-letters it: "
                     "--force looks all the same",
                     options->queue, limit);
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
    if (status == WARREN_OK && found.ready > 0)
        status = check_limit(session, options, error);
    if (status != WARREN_OK)
        return status;
    result->depth = found.ready;
    result->consumers = found.consumers;
    result->drops_handed_back =
        broker_major(connection_server(dlq_session_connection(session))) >= DROPPING_MAJOR;
    scan.look_max = found.ready;
    if (options->look_max > 0 && options->look_max < scan.look_max)
        scan.look_max = options->look_max;
    if ((events->begin && !events->begin(user, &scan, result->depth)) || result->depth == 0)
        return WARREN_OK;
    arena_init(&scan.arena);
    status = go_through(&scan, error);
    arena_done(&scan.arena);
    result->left = scan.left;
    result->limited = scan.left >= options->leave_max;
    result->moved = scan.sorts && scan.came_again && scan.goes_back && scan.came < result->depth;
    if (status == WARREN_OK && !result->interrupted && found.consumers == 0)
        status = wait_until_back(&scan, error);
    return status;
}
