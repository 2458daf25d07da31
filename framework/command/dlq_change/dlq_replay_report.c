#include "command/dlq_change/dlq_replay_private.h"

#include <inttypes.h>

#include <jansson.h>

#include "base/c_locale.h"
#include "command/cli/print.h"
#include "command/dlq/dlq_look.h"

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

void replay_report(const struct replay *r, double seconds)
{
    if (r->request->json)
        report_json(r, seconds);
    else if (!r->request->quiet)
        report_text(r, seconds);
}

enum cli_status replay_status(const struct replay *r)
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
