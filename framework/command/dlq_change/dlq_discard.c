#include "command/dlq_change/dlq_discard.h"

#include <inttypes.h>

#include "base/clock.h"
#include "command/cli/progress.h"
#include "command/dlq/dlq_print.h"
#include "command/dlq_change/dlq_audit.h"

struct discarding {
    const struct dlq_discard_job *job;
    struct dlq_scan *scan;
    struct dlq_scan_result result;
    struct progress progress;
    uint64_t acked;
    uint64_t discarded; /* of them the broker has processed */
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static bool on_begin(void *user, struct dlq_scan *scan, uint32_t depth)
{
    struct discarding *d = user;

    (void)depth;
    d->scan = scan;
    progress_init(&d->progress, stderr, d->job->max, now_ms());
    if (d->job->quiet)
        d->progress.out = NULL;
    return true;
}

static bool throw_away(struct discarding *d, struct warren_bytes id, struct delivery *delivery)
{
    const struct dlq_discard_job *job = d->job;
    struct dlq_audit entry = {.action = "discarded", .queue = job->queue->name, .id = id};

    d->acked++;
    if (!job->quiet)
        dlq_audit(&entry);
    dlq_scan_ack(d->scan, delivery);
    dlq_scan_flush(d->scan);
    if (d->acked == job->max)
        dlq_scan_stop(d->scan);
    progress_update(&d->progress, d->acked, NULL, now_ms());
    return true;
}

static bool is_enough(const struct discarding *d)
{
    return d->job->max > 0 && d->acked == d->job->max;
}

static bool on_letter(void *user, const struct dlq_letter *letter, struct delivery *delivery)
{
    struct discarding *d = user;

    if (is_enough(d) || !dlq_filter_matches(d->job->filter, letter))
        return false;
    return throw_away(d, arena_bytes(letter->texts, letter->id), delivery);
}

/* Nobody can say that it matches a filter. */
static bool on_unreadable(void *user, struct warren_bytes id, struct delivery *delivery)
{
    struct discarding *d = user;

    return !is_enough(d) && dlq_filter_is_empty(d->job->filter) && throw_away(d, id, delivery);
}

static void on_proven(void *user, uint32_t count)
{
    struct discarding *d = user;

    d->discarded += count;
}

static void report(const struct discarding *d)
{
    const struct dlq_discard_job *job = d->job;

    if (job->json)
        dlq_print_json(json_pack(
            "{s:o, s:I, s:I, s:I, s:I, s:b}", "queue", dlq_json_text(job->queue->name), "depth",
            (json_int_t)d->result.depth, "looked_at", (json_int_t)d->result.looked_at, "discarded",
            (json_int_t)d->discarded, "unreadable", (json_int_t)d->result.unreadable, "interrupted",
            d->result.interrupted));
    else if (!job->quiet)
        printf("%s: looked at %" PRIu32 " of %" PRIu32 ", discarded %" PRIu64 "\n",
               job->queue->name, d->result.looked_at, d->result.depth, d->discarded);
}

static enum cli_status conclude(const struct cli *cli, const struct discarding *d)
{
    const struct dlq_discard_job *job = d->job;
    enum cli_status status = CLI_OK;

    report(d);
    if (d->result.interrupted)
        return cli_failed(cli, "interrupted");
    if (job->max == 0 || d->discarded < job->max) {
        if (dlq_warn_of_rest(cli, job->queue, &d->result))
            status = CLI_FAILED;
        if (dlq_warn_of_unreadable(cli, job->queue, &d->result))
            status = CLI_FAILED;
    }
    dlq_warn_of_order(cli, job->queue, &d->result);
    if (d->discarded == 0 &&
        dlq_nothing_matched(cli, job->queue, job->filter, &d->result, job->quiet) != CLI_OK)
        status = CLI_FAILED;
    return status;
}

enum cli_status dlq_discard(const struct cli *cli, const struct config *config,
                            const struct dlq_discard_job *job)
{
    static const struct dlq_scan_events events = {
        .begin = on_begin, .letter = on_letter, .unreadable = on_unreadable, .proven = on_proven};
    struct dlq_scan_options options = {
        .queue = job->queue->name, .leave_max = job->limit, .mind_limit = job->queue->mind_limit};
    struct discarding d = {.job = job};
    struct dlq_session *session = NULL;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = dlq_session_new(config, "warren dlq", &session, &error);

    if (status == WARREN_OK)
        status = dlq_scan_run(session, &options, &events, &d, &d.result, &error);
    progress_end(&d.progress);
    dlq_session_free(session);
    if (status == WARREN_OK)
        return conclude(cli, &d);
    if (d.acked > 0)
        report(&d);
    return dlq_failed(cli, job->queue, &error);
}
