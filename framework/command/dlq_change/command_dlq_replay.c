#include <string.h>

#include "command/dlq_change/dlq_replay.h"
#include "config/value.h"

/* Shorter, and it would be busy with giving back. */
#define HOLD_MIN_MS 100

struct replay_request {
    struct dlq_request request; /* first */
    struct dlq_replay_job job;
};

static bool take_hold(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);
    int64_t *hold_ms = value;

    return (config_duration_parse(text, hold_ms) && *hold_ms >= HOLD_MIN_MS) ||
           cli_stop(cli, "--%s: \"%s\" is no time from 100ms, such as 15m", option->name, text);
}

static const struct cli_option options[] = {
    CLI_ROWS(dlq_filter_rows),
    CLI_OPTION("rate", '\0', "At most N messages a second", "N", cli_take_rate,
               struct replay_request, job.rate),
    CLI_TEXT("to", 't', "Replay to this queue, not to that which they came from", "QUEUE",
             struct replay_request, job.to),
    CLI_NUMBER("window", 'w',
               "At most N messages on their way; an interruption leaves no more of them in "
               "both queues (100)",
               "N", 1, DLQ_WINDOW_MAX, struct replay_request, job.window),
    CLI_OPTION("hold", '\0',
               "Longest time that messages are held before they are given back and taken anew; "
               "below the broker's consumer_timeout (15m)",
               "TIME", take_hold, struct replay_request, job.hold_ms),
    CLI_FLAG("dry-run", '\0', "Only say what would be replayed", struct replay_request,
             job.dry_run),
    DLQ_JSON("Print the summary as one JSON object"),
    DLQ_QUIET,
    CLI_ROWS(dlq_broker_rows),
    CLI_END};

/* "all" behind the queue is what is meant without a filter, too. */
static enum cli_status take_words(struct replay_request *r)
{
    struct cli *cli = r->request.cli;
    bool filtered = !dlq_filter_is_empty(&r->request.filter);
    const char *all = NULL;
    enum cli_status status = dlq_request_words(&r->request, NULL, &all);

    if (status == CLI_OK && all && strcmp(all, "all") != 0)
        return cli_usage(cli, "unexpected \"%s\"", all);
    if (status == CLI_OK && all && filtered)
        return cli_usage(cli, "all, or a filter, not both");
    return status;
}

static enum cli_status check_and_replay(struct dlq_request *request)
{
    struct replay_request *r = (struct replay_request *)request;
    struct cli *cli = request->cli;
    enum cli_status status = take_words(r);

    if (status != CLI_OK)
        return status;
    if (r->job.to && (!*r->job.to || strlen(r->job.to) >= DLQ_NAME_SIZE))
        return cli_usage(cli, "--to: a queue's name has 1 to 255 bytes");
    if (r->job.to && strcmp(r->job.to, r->request.queue.name) == 0)
        return cli_usage(cli, "--to %s: the messages are there already", r->job.to);
    return dlq_replay_run(&r->job);
}

static enum cli_status run(struct cli *cli)
{
    struct replay_request r = {.job = {.request = &r.request,
                                       .window = DLQ_WINDOW_DEFAULT,
                                       .hold_ms = DLQ_HOLD_DEFAULT_MS}};

    return dlq_request_run(&r.request, cli, "publisher.timeout=30s", check_and_replay);
}

const struct command command_dlq_replay = {
    .name = "dlq replay",
    .arguments = "[OPTION...] QUEUE [all]",
    .summary = "Bring dead letters back to the queues that they came from",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "Each message is published to the queue that it came from, by the default exchange, and\n"
    "only after the broker confirmed it, it is taken off the dead-letter queue. So nothing is\n"
    "lost, whenever it is interrupted; run it again to go on. What is not confirmed stays. A\n"
    "replayed message keeps its id, body and headers, begins with fresh attempts, and counts\n"
    "its replays in x-warren-replays. What comes back meanwhile is not replayed again.\n"
    "A line of the log on stderr names each message, its target, and who replayed it.\n\n"
    "Examples:\n"
    "  warren dlq replay payments --dry-run\n"
    "  warren dlq replay payments --group 1f0c2d3e --max 1\n"
    "  warren dlq replay payments all --rate 50\n\n"
    "Exit status: 0 if everything that was meant is replayed, also if that is nothing; 1 if not;\n"
    "2 for a wrong command line.\n",
};
