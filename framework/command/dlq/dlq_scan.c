/* dlq_scan.c - the life of a scan. What happens on it: dlq_scan_flow.c. */
#include "command/dlq/dlq_scan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "command/dlq/dlq_scan_private.h"

/* Bodies that wait for room in the window; above, the broker is asked to stop. */
#define KEPT_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Longest wait until what was given back is counted again. */
#define BACK_STEPS   100
#define BACK_STEP_MS 10

/* The first RabbitMQ whose quorum queues have a delivery limit by default. */
#define DROPPING_MAJOR 4

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
        loop_timer_init(&scan->silence, dlq_session_loop(scan->session), scan_silence, scan);

    if (status == WARREN_OK)
        status =
            loop_timer_init(&scan->hold, dlq_session_loop(scan->session), scan_held_too_long, scan);
    if (status == WARREN_OK)
        status = consumer_new(dlq_session_connection(scan->session), &options,
                              &scan_consumer_events, scan, &scan->consumer);
    if (status != WARREN_OK)
        return error_set(error, status, "%s", warren_status_name(status));
    consumer_start(scan->consumer);
    return WARREN_OK;
}

static enum warren_status go_through(struct dlq_scan *scan, struct warren_error *error)
{
    enum warren_status status = begin(scan, error);

    if (status == WARREN_OK)
        status = dlq_session_run(scan->session, &scan_session_events, scan, error);
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
