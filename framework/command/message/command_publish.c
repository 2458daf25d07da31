#include "app/settings.h"
#include "command/cli/message_options.h"
#include "command/message/command_message.h"
#include "command/message/publish_job.h"
#include "command/message/publish_tally.h"
#include "config/value.h"

struct request {
    struct message_options options; /* first */
    struct publish_job job;
    bool begun; /* what follows is reported by the job */
};

static bool take_delay(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    return config_duration_parse(text, value) ||
           cli_refuse(cli, option, text, "it is a time such as 250ms, 90s, 2h or 30d");
}

static bool take_spool(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    *(const char **)value = text;
    return *text || cli_refuse(cli, option, text, "it is a file");
}

static const struct cli_option options[] = {
    MESSAGE_BODY("The body; without it and --file, each line of stdin is one"),
    MESSAGE_FILE,
    CLI_ROWS(message_option_rows),
    CLI_OPTION("correlation-id", '\0', "What a reply refers to", "TEXT", cli_take_short,
               struct request, options.message.properties.correlation_id),
    CLI_OPTION("reply-to", '\0', "The queue for replies", "NAME", cli_take_short, struct request,
               options.message.properties.reply_to),
    MESSAGE_TRANSIENT,
    CLI_FLAG("optional", '\0', "Not mandatory: dropped where no queue is bound", struct request,
             options.publish.optional),
    CLI_OPTION("delay", 'd', "Deliver them so much later, such as 90s or 2h; needs no worker",
               "TIME", take_delay, struct request, job.delay_ms),
    CLI_NUMBER("count", 'n', "How many messages; of stdin: at most N lines", "N", 1, INT64_MAX,
               struct request, job.count),
    CLI_OPTION("rate", 'r', "At most N messages a second", "N", cli_take_rate, struct request,
               job.rate),
    BROKER_KEY("window", 'w', "At most N unconfirmed messages (publisher.window_messages)", "N",
               "publisher.window_messages"),
    BROKER_KEY("timeout", 't', "Longest time to connect, and until a message is confirmed (30s)",
               "TIME", "publisher.timeout"),
    CLI_OPTION("spool", 'S',
               "A file in which they are kept until they are confirmed, also if that is later",
               "FILE", take_spool, struct request, job.spool),
    CLI_ROWS(message_broker_rows),
    CLI_FLAG("json", 'j', "Print the summary as one JSON object", struct request, job.json),
    CLI_FLAG("quiet", 'Q', "Print only errors", struct request, job.quiet),
    CLI_END};

static enum cli_status check_request(struct request *r)
{
    const struct message_options *o = &r->options;
    enum cli_status result = message_options_check(&r->options);

    if (result != CLI_OK)
        return result;
    if (r->job.delay_ms > 0 && o->message.properties.expiration)
        return cli_usage(o->cli, "--delay or --expiration, not both: it would end the delay");
    r->job.from_stdin = !o->body && !o->file;
    if (!r->job.from_stdin && r->job.count == 0)
        r->job.count = 1;
    return CLI_OK;
}

static enum cli_status check_delay(const struct request *r, const struct config *config)
{
    char longest[CONFIG_NUMBER_SIZE];

    if (r->job.delay_ms <= config->delay.longest_ms)
        return CLI_OK;
    config_value_number(WARREN_OPTION_DURATION, config->delay.longest_ms, longest, sizeof longest);
    return cli_usage(r->options.cli, "--delay: at most %s (delay.longest)", longest);
}

static enum cli_status publish_with_config(struct request *r)
{
    struct warren_publisher_options publisher;
    struct config *config = NULL;
    enum cli_status result =
        message_options_publisher(&r->options, "warren publish", &config, &publisher);

    if (result != CLI_OK)
        return result;
    r->job.options = &r->options;
    if (r->job.spool)
        settings_spool(config, &publisher);
    result = check_delay(r, config);
    if (result == CLI_OK) {
        r->begun = true;
        result = publish_job_run(r->options.cli, &r->job, &publisher);
    }
    config_free(config);
    return result;
}

/* Who reads the summary finds one, also of what was not tried. */
static void write_nothing(const struct request *r)
{
    struct publish_tally tally = {.has_spool = r->job.spool != NULL};

    publish_tally_write_json(&tally, 0, stdout);
}

static enum cli_status run(struct cli *cli)
{
    struct request request = {.begun = false};
    enum cli_status result;

    if (!message_options_take(&request.options, cli, "publisher.timeout=30s"))
        return cli->status;
    result = check_request(&request);
    if (result == CLI_OK)
        result = message_options_read(&request.options, false);
    if (result == CLI_OK)
        result = publish_with_config(&request);
    if (request.job.json && !request.begun)
        write_nothing(&request);
    message_options_done(&request.options);
    return result;
}

const struct command command_publish = {
    .name = "publish",
    .arguments = "--queue NAME | --exchange NAME [--routing-key KEY]",
    .summary = "Publish messages and wait for the broker's confirms",
    .options = options,
    .run = run,
    .details = BROKER_HELP
    "\n"
    "With --spool a broker that cannot be reached is not waited for; what the file holds of\n"
    "earlier is sent, too. spool.max_bytes and the like come from the configuration or --set.\n\n"
    "Exit status: 0 if every message was confirmed, or is safe in the file of --spool, 1 if not,\n"
    "2 for a wrong command line.\n",
};
