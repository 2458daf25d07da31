#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq_change/command_dlq_change.h"
#include "command/dlq_change/dlq_replay.h"

/* Shorter, and it would be busy with giving back. */
#define HOLD_MIN_MS 100

enum option { RATE = DLQ_OWN, DRY_RUN, TO, WINDOW, HOLD, QUIET };

static const struct poptOption options[] = {
    DLQ_FILTER_ROWS,
    DLQ_TEXT("max", 'n', DLQ_MAX, "At most so many messages", "N"),
    DLQ_TEXT("rate", '\0', RATE, "At most so many messages a second", "N"),
    DLQ_TEXT("to", 't', TO, "Replay to this queue, not to that which they came from", "QUEUE"),
    DLQ_TEXT("window", 'w', WINDOW,
             "At most so many messages on their way; an interruption leaves no more of them in "
             "both queues (100)",
             "N"),
    DLQ_TEXT("hold", '\0', HOLD,
             "Messages are held for at most so long, then given back and taken anew; below the "
             "broker's consumer_timeout (15m)",
             "TIME"),
    DLQ_FLAG("dry-run", '\0', DRY_RUN, "Only say what would be replayed"),
    DLQ_FLAG("json", 'j', DLQ_JSON, "Print the summary as one JSON object"),
    DLQ_FLAG("quiet", 'Q', QUIET, "Print only errors; no line for each message"),
    DLQ_BROKER_ROWS,
    POPT_TABLEEND};

struct replay_request {
    struct dlq_request request;
    struct dlq_replay_job job;
};

static bool take_rate(struct replay_request *r)
{
    struct cli *cli = r->request.cli;
    const char *text = cli_text(cli);
    char *end;

    r->job.rate = c_strtod(text, &end);
    if (end != text && (!*end || strcmp(end, "/s") == 0) && r->job.rate >= 0.001 &&
        r->job.rate <= 1e9)
        return true;
    cli->status = cli_usage(cli, "--rate: \"%s\" is no number from 0.001 to 1000000000", text);
    return false;
}

static bool take_hold(struct replay_request *r)
{
    struct cli *cli = r->request.cli;
    const char *text = cli_text(cli);

    if (dlq_duration_parse(text, &r->job.hold_ms) && r->job.hold_ms >= HOLD_MIN_MS)
        return true;
    cli->status = cli_usage(cli, "--hold: \"%s\" is no time from 100ms, such as 15m", text);
    return false;
}

static bool take_option(struct replay_request *r, int option)
{
    int64_t number = 0;

    switch (option) {
    case RATE:
        return take_rate(r);
    case TO:
        r->job.to = cli_text(r->request.cli);
        return true;
    case WINDOW:
        if (!cli_number(r->request.cli, "window", 1, DLQ_WINDOW_MAX, &number))
            return false;
        r->job.window = (uint32_t)number;
        return true;
    case HOLD:
        return take_hold(r);
    case DRY_RUN:
        r->job.dry_run = true;
        return true;
    case QUIET:
        r->job.quiet = true;
        return true;
    default:
        return dlq_request_take(&r->request, option);
    }
}

/* "all" behind the queue is what is meant without a filter, too. */
static enum cli_status take_words(struct replay_request *r)
{
    struct cli *cli = r->request.cli;
    bool filtered = !dlq_filter_is_empty(&r->request.filter);
    const char *all = NULL;
    enum cli_status status = dlq_request_words(&r->request, &r->job.queue, NULL, &all);

    if (status == CLI_OK && all && strcmp(all, "all") != 0)
        return cli_usage(cli, "unexpected \"%s\"", all);
    if (status == CLI_OK && all && filtered)
        return cli_usage(cli, "all, or a filter, not both");
    return status;
}

static enum cli_status check(struct replay_request *r)
{
    struct cli *cli = r->request.cli;

    if (r->job.to && (!*r->job.to || strlen(r->job.to) >= DLQ_NAME_SIZE))
        return cli_usage(cli, "--to: a queue's name has 1 to 255 bytes");
    if (r->job.to && strcmp(r->job.to, r->job.queue.name) == 0)
        return cli_usage(cli, "--to %s: the messages are there already", r->job.to);
    r->job.filter = r->request.filter;
    r->job.max = r->request.max;
    r->job.limit = r->request.limit;
    r->job.limit_is_given = r->request.limit_is_given;
    r->job.json = r->request.json;
    return CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct replay_request r = {
        .job = {.window = DLQ_WINDOW_DEFAULT, .hold_ms = DLQ_HOLD_DEFAULT_MS}};
    enum cli_status status;
    int option;

    dlq_request_init(&r.request, cli);
    if (!cli_list_add(cli, &r.request.sets, "publisher.timeout=30s"))
        return cli->status;
    while ((option = cli_next(cli)) > 0)
        if (!take_option(&r, option))
            return cli->status;
    if (option == CLI_STOP)
        return cli->status;
    status = dlq_request_load(&r.request);
    if (status == CLI_OK)
        status = take_words(&r);
    if (status == CLI_OK)
        status = check(&r);
    if (status == CLI_OK)
        status = dlq_replay_run(cli, r.request.config, &r.job);
    dlq_request_done(&r.request);
    return status;
}

static void write_details(FILE *out)
{
    dlq_write_broker_help(out);
    fputs(
        "\nEach message is published to the queue that it came from, by the default exchange, and\n"
        "only after the broker confirmed it, it is taken off the dead-letter queue. So nothing is\n"
        "lost, whenever it is interrupted; run it again to go on. What is not confirmed stays. A\n"
        "replayed message keeps its id, body and headers, begins with fresh attempts, and counts\n"
        "its replays in x-warren-replays. What comes back meanwhile is not replayed again.\n"
        "A line of the log on stderr tells each message, its target, and who replayed it.\n\n"
        "Examples:\n"
        "  warren dlq replay payments --dry-run\n"
        "  warren dlq replay payments --group 1f0c2d3e --max 1\n"
        "  warren dlq replay payments all --rate 50\n\n"
        "Exit status: 0 if everything that was meant is replayed, also if that is nothing; 1 if "
        "not;\n2 for a wrong command line.\n",
        out);
}

const struct command command_dlq_replay = {
    .name = "dlq replay",
    .arguments = "[OPTION...] QUEUE [all]",
    .summary = "Bring dead letters back to the queues that they came from",
    .options = options,
    .run = run,
    .write_details = write_details,
};
