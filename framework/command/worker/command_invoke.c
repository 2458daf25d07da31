/* command_invoke.c - `warren invoke`: one dumped message, once, through its handler, in the main
 * thread, with no fault handlers in the way of a debugger.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <warren/testing.h>

#include "app/testing_delivery.h"
#include "base/clock.h"
#include "command/dump/dump.h"
#include "command/worker/command_worker.h"
#include "command/worker/invoke_report.h"

struct invocation {
    struct cli *cli;
    struct cli_list options;
    struct warren_test_options what; /* plugin, handler, configuration */
    const char *file;
    uint64_t attempt; /* 0: not given */
    bool json;
};

static const struct cli_option options[] = {
    CLI_LIST("option", 'o', "An option of the handler, over the file's", "NAME=VALUE",
             struct invocation, options),
    CLI_TEXT("config", 'c',
             "Take options and chain from the handler's subscription in a worker's configuration",
             "FILE", struct invocation, what.config_file),
    CLI_NUMBER("attempt", 'a', "Which attempt it is (one more than the dump has)", "NUMBER", 1,
               UINT32_MAX, struct invocation, attempt),
    CLI_FLAG("json", 'j', "Print one JSON object", struct invocation, json), CLI_END};

/* ---- running ---- */

static enum cli_status nothing_run(const struct invocation *invocation,
                                   const struct warren_error *error)
{
    cli_failed(invocation->cli, "%s", error->text);
    return CLI_USAGE;
}

static bool is_good(enum warren_outcome outcome)
{
    return outcome == WARREN_ACK || outcome == WARREN_DISCARD;
}

static enum cli_status run_once(const struct invocation *invocation,
                                const struct dump_message *dump, struct warren_test *test)
{
    struct invoke_report report = {
        .dump = dump, .test = test, .handler = warren_test_handler(test)};
    int64_t begun_ns = clock_now_ns(clock_monotonic());

    report.attempt = warren_test_run(test);
    report.took_us = (clock_now_ns(clock_monotonic()) - begun_ns) / 1000;
    if (!invocation->json)
        invoke_report_text(&report, stdout);
    else if (invoke_report_json(&report) != WARREN_OK)
        return cli_failed(invocation->cli, "the result cannot be written as JSON");
    return is_good(report.attempt->outcome) ? CLI_OK : CLI_FAILED;
}

static uint32_t attempt_of(const struct invocation *invocation, const struct dump_message *dump)
{
    if (invocation->attempt > 0)
        return (uint32_t)invocation->attempt;
    return dump->attempts > 0 && dump->attempts < UINT32_MAX ? dump->attempts + 1 : 0;
}

/* A file written by hand need not have one: by the default exchange it came by the queue's name. */
static const char *routing_key_of(const struct dump_message *dump)
{
    return dump->exchange[0] || dump->routing_key[0] ? dump->routing_key : NULL;
}

static enum cli_status run_dump(const struct invocation *invocation,
                                const struct dump_message *dump)
{
    struct warren_test_options what = invocation->what;
    const struct warren_test_message message = {.message = dump->message,
                                                .exchange = dump->exchange,
                                                .routing_key = routing_key_of(dump),
                                                .redelivered = dump->redelivered,
                                                .attempt = attempt_of(invocation, dump)};
    struct warren_error error = {WARREN_OK, ""};
    struct warren_test *test = NULL;
    enum cli_status status;

    what.options = invocation->options.items;
    what.option_count = invocation->options.count;
    what.queue = dump->queue;
    if (testing_new(&what, &test, &error) != WARREN_OK ||
        testing_deliver(test, &message, dump->texts, &error) != WARREN_OK)
        status = nothing_run(invocation, &error);
    else
        status = run_once(invocation, dump, test);
    warren_test_free(test);
    return status;
}

/* ---- the command line ---- */

static bool take_arguments(struct invocation *invocation)
{
    struct cli *cli = invocation->cli;

    invocation->what.plugin_file = cli_argument(cli);
    invocation->what.handler = invocation->what.plugin_file ? cli_argument(cli) : NULL;
    invocation->file = invocation->what.handler ? cli_argument(cli) : NULL;
    if (!invocation->file)
        return cli_stop(cli, "%s",
                        !invocation->what.plugin_file ? "which plugin? Name its .so file"
                        : !invocation->what.handler   ? "which handler of the plugin?"
                                                      : "which message? Name its dump file");
    cli->status = cli_end(cli, "; one message at a time");
    return cli->status == CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct invocation invocation = {.cli = cli,
                                    .what = {.size = sizeof invocation.what, .clock_runs = true}};
    struct warren_error error = {WARREN_OK, ""};
    struct dump_message *dump = NULL;
    enum cli_status status;

    if (!cli_read(cli, &invocation) || !take_arguments(&invocation))
        return cli->status;
    if (dump_read(invocation.file, &dump, &error) != WARREN_OK)
        return nothing_run(&invocation, &error);
    status = run_dump(&invocation, dump);
    dump_free(dump);
    return status;
}

const struct command command_invoke = {
    .name = "invoke",
    .arguments = "PLUGIN.so HANDLER FILE",
    .summary = "Run one dumped message through a handler, without a broker",
    .options = options,
    .run = run,
    .details =
        "HANDLER is a handler of the plugin, FILE a message that `warren dlq dump` wrote, or that\n"
        "somebody wrote by hand: {\"warren_dump\": 1, \"queue\": \"payments\", \"body\": "
        "\"...\"}.\n\n"
        "The handler runs once, in the main thread, alone or with -c in its chain. There is no\n"
        "broker: what it publishes is printed, and confirmed. Log lines go to standard error.\n\n"
        "  gdb --args warren invoke ./payments.so charge message.json\n"
        "  valgrind warren invoke ./payments.so charge message.json -o ledger=/tmp/ledger\n"
        "  warren invoke exec.so run message.json -o 'command=[wc, -l]'   # a list, as in the "
        "file\n\n"
        "A warren_panic() without recover in the chain calls abort(), where a debugger stops.\n\n"
        "Exit status: 0 if the message was acked or discarded, 1 for any other outcome, 2 if\n"
        "nothing was run: a wrong command line, plugin, configuration, or file.\n",
};
