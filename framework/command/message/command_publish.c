#include <stdlib.h>
#include <string.h>

#include "app/settings.h"
#include "base/c_locale.h"
#include "command/cli/message_options.h"
#include "command/message/command_message.h"
#include "command/message/publish_job.h"
#include "command/message/publish_tally.h"
#include "config/value.h"

enum option { DELAY = 1, COUNT, RATE, WINDOW, TIMEOUT, SPOOL, JSON, QUIET };

static const struct poptOption options[] = {
    OPTION_TEXT("body", 'b', MESSAGE_BODY,
                "The body; without it and --file, each line of stdin is one", "TEXT"),
    OPTION_TEXT("file", 'f', MESSAGE_FILE, "A file whose content is the body", "FILE"),
    MESSAGE_DESTINATION_OPTIONS,
    MESSAGE_PROPERTY_OPTIONS,
    OPTION_TEXT("correlation-id", '\0', MESSAGE_CORRELATION_ID, "What a reply refers to", "TEXT"),
    OPTION_TEXT("reply-to", '\0', MESSAGE_REPLY_TO, "The queue for replies", "NAME"),
    OPTION_FLAG("transient", '\0', MESSAGE_TRANSIENT,
                "Not persistent: lost when the broker restarts"),
    OPTION_FLAG("optional", '\0', MESSAGE_OPTIONAL,
                "Not mandatory: dropped where no queue is bound"),
    OPTION_TEXT("delay", 'd', DELAY,
                "Deliver them so much later, such as 90s or 2h; needs no worker", "TIME"),
    OPTION_TEXT("count", 'n', COUNT, "How many messages; of stdin: at most so many lines", "N"),
    OPTION_TEXT("rate", 'r', RATE, "At most so many messages a second", "N"),
    OPTION_TEXT("window", 'w', WINDOW,
                "At most so many unconfirmed messages (publisher.window_messages)", "N"),
    OPTION_TEXT("timeout", 't', TIMEOUT,
                "Longest time to connect, and until a message is confirmed (30s)", "TIME"),
    OPTION_TEXT("spool", 'S', SPOOL,
                "A file in which they are kept until they are confirmed, also if that is later",
                "FILE"),
    MESSAGE_BROKER_OPTIONS,
    OPTION_FLAG("json", 'j', JSON, "Print the summary as one JSON object"),
    OPTION_FLAG("quiet", 'Q', QUIET, "Print only errors"),
    POPT_TABLEEND};

struct request {
    struct message_options options;
    struct publish_job job;
    bool begun; /* what follows is told by the job */
};

static bool take_delay(struct request *r)
{
    const char *text = cli_text(r->options.cli);

    return config_duration_parse(text, &r->job.delay_ms) ||
           message_options_refuse(&r->options, "delay", text,
                                  "it is a time such as 250ms, 90s, 2h or 30d");
}

static bool take_rate(struct request *r)
{
    const char *text = cli_text(r->options.cli);
    char *end;

    r->job.rate = c_strtod(text, &end);
    return (end != text && !*end && r->job.rate >= 0.001 && r->job.rate <= 1e9) ||
           message_options_refuse(&r->options, "rate", text,
                                  "it is a number from 0.001 to 1000000000");
}

static bool take_count(struct request *r)
{
    int64_t number = 0;

    if (!cli_number(r->options.cli, "count", 1, INT64_MAX, &number))
        return false;
    r->job.count = (uint64_t)number;
    return true;
}

static bool take_option(struct request *r, int option)
{
    switch (option) {
    case DELAY:
        return take_delay(r);
    case COUNT:
        return take_count(r);
    case RATE:
        return take_rate(r);
    case WINDOW:
        return message_options_set(&r->options, "--window", "publisher.window_messages");
    case TIMEOUT:
        return message_options_set(&r->options, "--timeout", "publisher.timeout");
    case SPOOL:
        r->job.spool = cli_text(r->options.cli);
        return *r->job.spool || message_options_refuse(&r->options, "spool", "", "it is a file");
    case JSON:
        r->job.json = true;
        return true;
    case QUIET:
        r->job.quiet = true;
        return true;
    default:
        return message_options_take(&r->options, option);
    }
}

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
    r->job.publish = r->options.publish;
    r->job.message = r->options.message;
    r->job.body = r->options.message.body;
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
    struct request request = {.options.cli = cli};
    enum cli_status result;
    int option;

    if (!cli_list_add(cli, &request.options.sets, "publisher.timeout=30s"))
        return cli->status;
    while ((option = cli_next(cli)) > 0)
        if (!take_option(&request, option))
            return cli->status;
    if (option == CLI_STOP)
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

static void write_details(FILE *out)
{
    fputs("Where no --uri and no -c is given, WARREN_BROKER_URI names the broker, else it is\n"
          "amqp://guest:guest@127.0.0.1:5672/.\n\n"
          "With --spool a broker that cannot be reached is not waited for; what the file holds of\n"
          "earlier is sent, too. "
          "spool.max_bytes and the like come from the configuration or --set.\n\n"
          "Exit status: 0 if every message was confirmed, or is safe in the file of --spool, 1 if "
          "not,\n2 for a wrong command line.\n",
          out);
}

const struct command command_publish = {
    .name = "publish",
    .arguments = "--queue NAME | --exchange NAME [--routing-key KEY]",
    .summary = "Publish messages and wait for the broker's confirms",
    .options = options,
    .run = run,
    .write_details = write_details,
};
