#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/cli/print.h"
#include "command/cli/progress.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq_change/dlq_audit.h"

struct discard {
    struct dlq_request request; /* first */
    bool yes;
    struct dlq_scan_result result;
    struct progress progress;
    uint64_t acked;
    uint64_t discarded; /* of them the broker has processed */
};

static const struct cli_option options[] = {CLI_ROWS(dlq_filter_rows),
                                            CLI_FLAG("yes", 'y', "Do not ask", struct discard, yes),
                                            DLQ_JSON("Print the summary as one JSON object"),
                                            DLQ_QUIET,
                                            CLI_ROWS(dlq_broker_rows),
                                            CLI_END};

/* ---- what the scan shows ---- */

static bool throw_away(struct discard *d, struct dlq_scan *scan, struct warren_bytes id,
                       struct delivery *delivery)
{
    const struct dlq_request *r = &d->request;
    struct dlq_audit entry = {.action = "discarded", .queue = r->queue.name, .id = id};

    d->acked++;
    if (!r->quiet)
        dlq_audit(&entry);
    dlq_scan_ack(scan, delivery);
    dlq_scan_flush(scan);
    if (d->acked == r->max)
        dlq_scan_stop(scan);
    progress_update(&d->progress, d->acked, NULL);
    return true;
}

static bool is_enough(const struct discard *d)
{
    return d->request.max > 0 && d->acked == d->request.max;
}

static bool on_letter(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                      struct delivery *delivery)
{
    struct discard *d = user;

    if (is_enough(d) || !dlq_filter_matches(&d->request.filter, letter))
        return false;
    return throw_away(d, scan, arena_bytes(letter->texts, letter->id), delivery);
}

/* Nobody can say that it matches a filter. */
static bool on_unreadable(void *user, struct dlq_scan *scan, struct warren_bytes id,
                          struct delivery *delivery)
{
    struct discard *d = user;

    return !is_enough(d) && dlq_filter_is_empty(&d->request.filter) &&
           throw_away(d, scan, id, delivery);
}

static void on_proven(void *user, uint32_t count)
{
    struct discard *d = user;

    d->discarded += count;
}

/* ---- discarding ---- */

static void report(const struct discard *d)
{
    const struct dlq_scan_result *result = &d->result;
    const char *queue = d->request.queue.name;

    if (d->request.json)
        cli_print_json(
            json_pack("{s:o, s:I, s:I, s:I, s:I, s:b}", "queue", cli_json_text(queue), "depth",
                      (json_int_t)result->depth, "looked_at", (json_int_t)result->looked_at,
                      "discarded", (json_int_t)d->discarded, "unreadable",
                      (json_int_t)result->unreadable, "interrupted", result->interrupted));
    else if (!d->request.quiet)
        printf("%s: looked at %" PRIu32 " of %" PRIu32 ", discarded %" PRIu64 "\n", queue,
               result->looked_at, result->depth, d->discarded);
}

static enum cli_status discard_all(struct discard *d)
{
    static const struct dlq_scan_events events = {
        .letter = on_letter, .unreadable = on_unreadable, .proven = on_proven};
    const struct dlq_request *r = &d->request;
    struct dlq_scan_options scan = dlq_request_scan(r);
    struct dlq_session *session = NULL;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = dlq_session_new(r->config, "warren dlq", &session, &error);

    progress_init(&d->progress, r->max, r->quiet);
    if (status == WARREN_OK)
        status = dlq_scan_run(session, &scan, &events, d, &d->result, &error);
    progress_end(&d->progress);
    dlq_session_free(session);
    if (status == WARREN_OK || d->acked > 0)
        report(d);
    return status == WARREN_OK ? dlq_conclude(r, &d->result, d->discarded, true)
                               : dlq_failed(r, &error);
}

/* ---- is it meant? ---- */

/* How many there are, and whether they shall go; no more than these will. */
static enum cli_status ask(struct discard *d, bool *ret_go)
{
    struct dlq_request *r = &d->request;
    uint64_t matched;
    enum cli_status status = dlq_look(r, NULL, NULL, &matched);

    *ret_go = false;
    if (status != CLI_OK || matched == 0) /* dlq_look() has said so */
        return status;
    fprintf(stderr, "discard %" PRIu64 " message%s of ", matched, matched == 1 ? "" : "s");
    cli_write_safe(stderr, r->queue.name, strlen(r->queue.name));
    *ret_go = cli_confirms();
    r->max = matched;
    return *ret_go ? CLI_OK : cli_failed(r->cli, "nothing was discarded");
}

static enum cli_status discard(struct dlq_request *request)
{
    struct discard *d = (struct discard *)request;
    enum cli_status status = dlq_request_words(request, NULL, NULL);
    bool go = true;

    if (status == CLI_OK && !d->yes && !isatty(STDIN_FILENO))
        return cli_usage(request->cli, "there is no terminal to ask on; give --yes if it is meant");
    if (status == CLI_OK && !d->yes)
        status = ask(d, &go);
    return status == CLI_OK && go ? discard_all(d) : status;
}

static enum cli_status run(struct cli *cli)
{
    struct discard d = {.yes = false};

    return dlq_request_run(&d.request, cli, NULL, discard);
}

const struct command command_dlq_discard = {
    .name = "dlq discard",
    .arguments = "[OPTION...] QUEUE",
    .summary = "Take dead letters off their queue for good",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "On a terminal you are asked first, with the number of messages; elsewhere --yes must be\n"
    "given. A line of the log on stderr names each message, and who discarded it.\n\n"
    "Examples:\n"
    "  warren dlq discard payments --id 018f4c1e-7d2a-7c11-9f00-aabbccddeeff\n"
    "  warren dlq discard payments --until 30d --yes\n\n"
    "Exit status: 0 if everything that was meant is discarded, also if that is nothing; 1 if not;\n"
    "2 for a wrong command line.\n",
};
