/* dlq_replay.c - the life of a replay, and what the scan shows. How each message goes:
 * dlq_replay_flow.c.
 */
#include "command/dlq_change/dlq_replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "command/cli/print.h"
#include "command/dlq_change/dlq_replay_private.h"

/* ---- the summary ---- */

static void report_json(const struct replay *r, double seconds)
{
    const struct dlq_replay_tally *tally = &r->tally;
    json_t *to = json_object();
    json_t *report;

    for (size_t i = 0; i < r->target_count; i++)
        json_object_set_new(to, r->targets[i]->name,
                            json_integer((json_int_t)r->targets[i]->messages));
    report = json_pack(
        "{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:f}", /* one line */
        "queue", r->request->queue.name, "dry_run", r->job->dry_run, "depth",
        (json_int_t)tally->scan.depth, "looked_at", (json_int_t)tally->scan.looked_at, "matched",
        (json_int_t)tally->matched, "replayed", (json_int_t)tally->replayed, "failed",
        (json_int_t)tally->failed, "doubtful", (json_int_t)tally->doubtful, "unreadable",
        (json_int_t)tally->scan.unreadable, "interrupted", tally->scan.interrupted, "targets", to,
        "seconds", (double)(int64_t)(seconds * 1e3 + 0.5) / 1e3);
    cli_print_summary(report);
}

static void report_text(const struct replay *r, double seconds)
{
    const struct dlq_replay_tally *tally = &r->tally;
    const char *before = " (";

    printf("%s: looked at %" PRIu32 " of %" PRIu32 ", %s %" PRIu64, r->request->queue.name,
           tally->scan.looked_at, tally->scan.depth, r->job->dry_run ? "would replay" : "replayed",
           tally->replayed);
    for (size_t i = 0; i < r->target_count; i++) {
        if (r->targets[i]->messages == 0)
            continue;
        printf("%s%" PRIu64 " to %s", before, r->targets[i]->messages, r->targets[i]->name);
        before = ", ";
    }
    printf("%s", tally->replayed > 0 ? ")" : "");
    if (tally->failed > 0)
        printf(", failed %" PRIu64, tally->failed);
    if (r->job->dry_run)
        printf("; nothing was moved\n");
    else
        c_fprintf(stdout, ", in %.3f s (%.0f/s)\n", seconds,
                  seconds > 0 ? (double)tally->replayed / seconds : 0);
}

static void report(const struct replay *r, double seconds)
{
    if (r->request->json)
        report_json(r, seconds);
    else if (!r->request->quiet)
        report_text(r, seconds);
}

/* Say what calls for it on stderr. @return the exit status of a replay that came to its end */
static enum cli_status status_of(const struct replay *r)
{
    const struct dlq_replay_tally *tally = &r->tally;
    enum cli_status status;

    if (tally->doubtful > 0)
        cli_failed(r->request->cli,
                   "%" PRIu64 " of the messages may be in '%s' and in their queue, too, with the "
                   "same message id",
                   tally->doubtful, r->request->queue.name);
    status = dlq_conclude(r->request, &tally->scan, tally->matched, true);
    return tally->failed > 0 || tally->doubtful > 0 ? CLI_FAILED : status;
}

/* After a signal: longest wait for confirms. */
#define INTERRUPTED_MS 5000

/* With a rate: messages held at once, in seconds of it. */
#define HELD_S 60

/* Without a filter and --limit: messages that fail until no more are tried. */
#define FAILURES_MAX 100

/* ---- what the scan shows ---- */

/* "": nothing says it. Nobody consumes from a queue whose name holds a NUL. */
static const char *target_name(const struct replay *r, const struct dlq_letter *letter)
{
    if (r->job->to)
        return r->job->to;
    if (arena_bytes(letter->texts, letter->queue).len == 0)
        return r->request->queue.source;
    return strlen(letter->queue) == arena_bytes(letter->texts, letter->queue).len ? letter->queue
                                                                                  : "";
}

static struct replay_parcel *new_parcel(struct replay *r, const struct dlq_letter *letter,
                                        struct delivery *delivery)
{
    struct warren_bytes id = arena_bytes(letter->texts, letter->id);
    const char *name = target_name(r, letter);
    struct replay_parcel *parcel;

    if (!*name || strlen(name) >= DLQ_NAME_SIZE)
        return NULL;
    parcel = calloc(1, sizeof *parcel);
    if (!parcel)
        return NULL;
    parcel->delivery = delivery;
    parcel->replays = letter->replays + 1;
    parcel->id_len = id.len;
    memcpy(parcel->id, id.data, id.len);
    list_push(&r->waiting, &parcel->link);
    return parcel;
}

static bool on_letter(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                      struct delivery *delivery)
{
    struct replay *r = user;
    const char *name = target_name(r, letter);
    struct replay_parcel *parcel;

    if (!dlq_filter_matches(&r->request->filter, letter)) {
        replay_draw(r);
        return false;
    }
    r->tally.matched++;
    if (r->tally.matched == r->request->max)
        dlq_scan_stop(scan);
    parcel = new_parcel(r, letter, delivery);
    if (parcel)
        parcel->target = replay_target(r, name);
    if (!parcel || !parcel->target) {
        r->tally.failed++;
        replay_explain(r, arena_bytes(letter->texts, letter->id),
                       *name ? "too many queues, or no memory"
                             : "nothing says from which queue it came; give --to QUEUE");
        if (parcel)
            list_remove(&parcel->link);
        free(parcel);
        return false;
    }
    replay_pump(r);
    return true;
}

static bool on_begin(void *user, struct dlq_scan *scan, uint32_t depth)
{
    struct replay *r = user;
    uint64_t total = r->request->max && r->request->max < depth ? r->request->max : depth;

    r->scan = scan;
    if (r->begun) /* another one: see go_through() */
        return true;
    r->begun = true;
    pacer_init(&r->pacer, r->job->rate, replay_now_ns(r));
    progress_init(&r->progress, dlq_filter_is_empty(&r->request->filter) ? total : 0,
                  r->request->quiet);
    return true;
}

static void on_proven(void *user, uint32_t count)
{
    struct replay *r = user;

    r->unproven -= count;
    replay_pump(r);
}

static void leave_waiting(struct replay *r)
{
    while (!list_empty(&r->waiting)) {
        r->tally.matched--;
        replay_release(r, list_entry(r->waiting.next, struct replay_parcel, link));
    }
}

static void on_hurry(void *user, bool urgent)
{
    struct replay *r = user;

    loop_timer_disarm(&r->pause);
    leave_waiting(r);
    if (urgent)
        loop_timer_arm_ms(&r->give_up, INTERRUPTED_MS);
}

/* The receipts come when the courier is freed. */
static void on_give_up(void *arg)
{
    struct replay *r = arg;

    LIST_EACH(link, &r->under_way) {
        struct replay_parcel *parcel = list_entry(link, struct replay_parcel, link);
        struct delivery *delivery = parcel->delivery;

        parcel->delivery = NULL;
        dlq_scan_leave(r->scan, delivery);
    }
}

/* ---- life ---- */

static enum warren_status look_up_target(struct replay *r, struct warren_error *error)
{
    const struct dlq_queue *queue = &r->request->queue;
    const char *name = r->job->to ? r->job->to : queue->source_is_certain ? queue->source : "";
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status;
    struct dlq_probe_found found;

    if (!*name)
        return WARREN_OK;
    status = dlq_session_look_up(r->session, name, &found, &why);
    if (status == WARREN_EBROKER && found.code == DLQ_NO_RIGHT) /* as in dlq_replay_flow.c */
        return WARREN_OK;
    if (status == WARREN_ENOTFOUND)
        return error_set(error, status, "queue '%s' does not exist: nothing is taken from '%s'",
                         name, queue->name);
    return status == WARREN_OK ? status
                               : error_set(error, status, "queue '%s': %s", name, why.text);
}

static enum warren_status set_up(struct replay *r, struct warren_error *error)
{
    static const struct dlq_courier_events courier_events = {replay_ended, replay_turn};
    const struct config *config = r->request->config;
    enum warren_status status = dlq_session_new(config, "warren dlq", &r->session, error);
    struct loop *loop;

    if (status == WARREN_OK)
        status = look_up_target(r, error);
    if (status != WARREN_OK)
        return status;
    loop = dlq_session_loop(r->session);
    status = loop_timer_init(&r->pause, loop, replay_rate_over, r);
    if (status == WARREN_OK)
        status = loop_timer_init(&r->give_up, loop, on_give_up, r);
    if (status != WARREN_OK)
        return error_set(error, status, "%s", warren_status_name(status));
    if (r->job->dry_run)
        return WARREN_OK;
    return dlq_courier_new(config, (uint32_t)r->job->window, loop, &courier_events, r, &r->courier,
                           error);
}

/* With a rate, no more are held than it lets go within a minute or two. Without a filter only what
 * fails is left behind: where as many fail as may be left, the reason is reported first. */
static struct dlq_scan_options options_of(const struct replay *r)
{
    const struct dlq_request *request = r->request;
    const struct dlq_replay_job *job = r->job;
    struct dlq_scan_options options = dlq_request_scan(request);

    options.window = (uint32_t)job->window;
    options.hold_ms = job->hold_ms;
    if (job->rate > 0 && job->rate * HELD_S < options.window)
        options.window = (uint32_t)(job->rate * HELD_S) + 1;
    if (dlq_filter_is_empty(&request->filter) && !request->limit_is_given)
        options.leave_max = FAILURES_MAX;
    return options;
}

/* What was left because it was held too long stands at the head again, in front of what came since
 * the beginning. */
static enum warren_status go_through(struct replay *r, struct warren_error *error)
{
    static const struct dlq_scan_events events = {
        .begin = on_begin, .letter = on_letter, .proven = on_proven, .hurry = on_hurry};
    struct dlq_scan_options options = options_of(r);
    struct dlq_scan_result *result = &r->tally.scan;
    uint64_t gone = 0; /* by earlier scans */
    uint32_t depth = 0;
    enum warren_status status;

    do {
        r->tally.matched -= r->tally.failed; /* they are tried again */
        r->tally.failed = 0;
        status = dlq_scan_run(r->session, &options, &events, r, result, error);
        r->scan = NULL;
        r->tally.doubtful += r->unproven;
        r->unproven = 0;
        loop_timer_disarm(&r->pause);
        loop_timer_disarm(&r->give_up);
        if (gone == 0)
            depth = result->depth;
        result->depth = depth;
        result->looked_at += (uint32_t)gone;
        gone = r->tally.replayed;
        options.look_max = depth - (uint32_t)gone;
    } while (status == WARREN_OK && result->held_too_long && !result->interrupted &&
             options.look_max > 0);
    return status;
}

enum cli_status dlq_replay_run(const struct dlq_replay_job *job)
{
    struct replay r = {.request = job->request, .job = job};
    int64_t started_ns = clock_now_ns(clock_monotonic());
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status result = CLI_OK;
    enum warren_status status;

    arena_init(&r.arena);
    list_init(&r.waiting);
    list_init(&r.under_way);
    status = set_up(&r, &error);
    if (status == WARREN_OK)
        status = go_through(&r, &error);
    dlq_courier_free(r.courier, r.tally.scan.interrupted ? 0 : INTERRUPTED_MS);
    progress_end(&r.progress);
    if (status != WARREN_OK)
        result = dlq_failed(r.request, &error);
    if (status == WARREN_OK || r.tally.matched > 0)
        report(&r, (double)(clock_now_ns(clock_monotonic()) - started_ns) / 1e9);
    if (status == WARREN_OK)
        result = status_of(&r);
    replay_targets_done(&r);
    loop_timer_done(&r.pause);
    loop_timer_done(&r.give_up);
    dlq_session_free(r.session);
    arena_done(&r.arena);
    return result;
}
