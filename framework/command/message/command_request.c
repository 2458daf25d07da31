/* command_request.c - `warren request`: publish one request, print its reply. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/cli/message_options.h"
#include "command/dump/dump.h"
#include "command/message/command_message.h"
#include "publish/publisher/publisher.h"

struct request {
    struct message_options options; /* first */
    bool json;
};

static const struct cli_option options[] = {
    MESSAGE_BODY("The body; without it and --file, all of stdin"),
    MESSAGE_FILE,
    CLI_ROWS(message_option_rows),
    MESSAGE_TRANSIENT,
    BROKER_KEY("timeout", 't', "Longest time until the reply is there (5s)", "TIME",
               "publisher.timeout"),
    CLI_ROWS(message_broker_rows),
    CLI_FLAG("json", 'j', "Print properties, headers and body as one JSON object", struct request,
             json),
    CLI_END};

static enum cli_status print_body(const struct cli *cli, struct warren_bytes body)
{
    if (fwrite(body.data, 1, body.len, stdout) != body.len)
        return cli_failed(cli, "cannot write the reply: %s", strerror(errno));
    if (isatty(STDOUT_FILENO))
        putchar('\n');
    return CLI_OK;
}

static enum cli_status print_reply(struct request *r, const struct warren_reply *reply)
{
    struct warren_error error = {WARREN_OK, ""};

    if (!r->json)
        return print_body(r->options.cli, reply->message.body);
    if (dump_print_message(stdout, &reply->message, publisher_reply_texts(reply), &error) !=
        WARREN_OK)
        return cli_error(r->options.cli, &error);
    return CLI_OK;
}

/* "no reply within 968 ms": what was left behind connecting is no news. */
static enum cli_status failed(const struct cli *cli, const struct warren_error *error,
                              uint32_t timeout_ms)
{
    const char *within = strstr(error->text, " within ");

    if (error->status != WARREN_ETIMEOUT || !within)
        return cli_error(cli, error);
    return cli_failed(cli, "%.*s within %.*f s", (int)(within - error->text), error->text,
                      timeout_ms % 1000 ? 3 : 0, (double)timeout_ms / 1000);
}

/* The connection is a part of the request's time; its failure has better words of its own. */
static enum cli_status ask(struct request *r, struct warren_publisher *publisher,
                           uint32_t timeout_ms)
{
    int64_t until_ms = clock_now_ms(clock_monotonic()) + timeout_ms;
    struct warren_publish publish = r->options.publish;
    struct warren_error error = {WARREN_OK, ""};
    struct warren_reply *reply = NULL;
    enum cli_status result;
    int64_t left_ms;

    publish.message = &r->options.message;
    if (warren_publisher_wait_connected(publisher, timeout_ms, &error) != WARREN_OK)
        return cli_error(r->options.cli, &error);
    left_ms = until_ms - clock_now_ms(clock_monotonic());
    if (warren_publisher_request(publisher, &publish, left_ms > 0 ? (uint32_t)left_ms : 1, &reply,
                                 &error) != WARREN_OK)
        return failed(r->options.cli, &error, timeout_ms);
    result = print_reply(r, reply);
    warren_reply_free(reply);
    return result;
}

static enum cli_status request_with_config(struct request *r)
{
    struct warren_publisher_options publisher_options;
    struct warren_publisher *publisher;
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    enum cli_status result =
        message_options_publisher(&r->options, "warren request", &config, &publisher_options);
    uint32_t timeout_ms;

    if (result != CLI_OK)
        return result;
    timeout_ms = publisher_options.timeout_ms > 0 ? publisher_options.timeout_ms : UINT32_MAX;
    if (warren_publisher_new(&publisher_options, &publisher, &error) != WARREN_OK) {
        result = cli_error(r->options.cli, &error);
    } else {
        result = ask(r, publisher, timeout_ms);
        warren_publisher_close(publisher, 0);
    }
    config_free(config);
    return result;
}

static enum cli_status run(struct cli *cli)
{
    struct request request = {.json = false};
    enum cli_status result;

    if (!message_options_take(&request.options, cli, "publisher.timeout=5s"))
        return cli->status;
    result = message_options_check(&request.options);
    if (result == CLI_OK)
        result = message_options_read(&request.options, true);
    if (result == CLI_OK)
        result = request_with_config(&request);
    message_options_done(&request.options);
    return result;
}

const struct command command_request = {
    .name = "request",
    .arguments = "--queue NAME | --exchange NAME [--routing-key KEY]",
    .summary = "Publish a request and print its reply",
    .options = options,
    .run = run,
    .details =
        "The reply comes by RabbitMQ's direct reply-to: no queue is declared. Reply-to and\n"
        "correlation id of the request are set by warren.\n\n"
        "Exit status: 0 if a reply came, 1 if none came in time, no queue takes the request or\n"
        "the connection was lost, 2 for a wrong command line.\n",
};
