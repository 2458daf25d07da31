/* command_invoke.c - `warren invoke`: one dumped message, once, through its handler, in the main
 * thread, with no fault handlers in the way of a debugger.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <warren/testing.h>

#include "app/testing_delivery.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "command/cli/print.h"
#include "command/dump/dump.h"
#include "command/dump/dump_json.h"
#include "command/worker/command_worker.h"

/* Bytes of a body that are shown to people. */
#define SHOWN_MAX 200

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

/* How the attempt went; all borrowed. */
struct report {
    const struct dump_message *dump;
    const struct warren_test *test;
    const char *handler; /* "PLUGIN.HANDLER" */
    const struct warren_test_attempt *attempt;
    int64_t took_us; /* by the real clock */
};

/* ---- the report, for people ---- */

/* What a terminal would obey, or is no character, is a dot for each byte. */
static void write_plain(FILE *out, const void *text, size_t len)
{
    const char *bytes = text;

    for (size_t i = 0; i < len;) {
        size_t size = utf8_plain_len(bytes + i, len - i);

        if (size > 0)
            fwrite(bytes + i, 1, size, out);
        else
            fputc('.', out);
        i += size > 0 ? size : 1;
    }
}

/* "WHAT TEXT" */
static void write_named(FILE *out, const char *what, struct warren_bytes text)
{
    fprintf(out, "%s ", what);
    write_plain(out, text.data, text.len);
}

/* No half of a character stands at the end. */
static void write_body(FILE *out, struct warren_bytes body)
{
    const unsigned char *bytes = body.data;
    size_t len = body.len < SHOWN_MAX ? body.len : SHOWN_MAX;

    while (len > 0 && len < body.len && (bytes[len] & 0xc0) == 0x80)
        len--;
    fprintf(out, ": %zu byte%s%s", body.len, body.len == 1 ? "" : "s", body.len > 0 ? ": " : "");
    write_plain(out, bytes, len);
    fputs(len < body.len ? "...\n" : "\n", out);
}

static void write_published(FILE *out, const struct warren_test *test,
                            const struct warren_test_published *published)
{
    struct warren_bytes exchange = warren_test_text(test, published->exchange);
    struct warren_bytes key = warren_test_text(test, published->routing_key);

    if (published->reply) {
        write_named(out, "reply:     to", key);
    } else if (exchange.len > 0) {
        write_named(out, "published: to exchange", exchange);
        write_named(out, " with routing key", key);
    } else {
        write_named(out, "published: to queue", key);
    }
    write_body(out, published->message.body);
}

static void report_text(const struct report *report, FILE *out)
{
    const struct warren_test_attempt *attempt = report->attempt;
    const char *id = report->dump->message.properties.message_id;

    fprintf(out, "%s: ", report->handler);
    write_named(out, "message", arena_bytes(report->dump->texts, id ? id : "without an id"));
    write_named(out, " of queue", warren_text(report->dump->queue));
    fprintf(out, ", attempt %" PRIu32 "\n", attempt->attempt);
    fprintf(out, "outcome:   %s", warren_outcome_name(attempt->outcome));
    if (attempt->retry_after_ms >= 0)
        fprintf(out, ", after %" PRId64 " ms", attempt->retry_after_ms);
    fputs(attempt->forgiven ? ", not counted as an attempt\n" : "\n", out);
    if (attempt->error) {
        write_named(out, "error:    ", warren_text(attempt->error));
        fputc('\n', out);
    }
    fprintf(out, "time:      %" PRId64 ".%03" PRId64 " ms\n", report->took_us / 1000,
            report->took_us % 1000);
    for (size_t i = 0; i < attempt->published_count; i++)
        write_published(out, report->test, &attempt->published[i]);
}

/* ---- the report, as JSON ---- */

static json_t *published_json(struct dump_json *json, const struct warren_test_published *published)
{
    json_t *object = json_object();

    dump_json_put_text(json, object, "exchange", arena_bytes(json->texts, published->exchange));
    dump_json_put_text(json, object, "routing_key",
                       arena_bytes(json->texts, published->routing_key));
    dump_json_put(json, object, "reply", json_boolean(published->reply));
    dump_json_put_message(json, object, &published->message);
    return object;
}

static void put_optional(struct dump_json *json, json_t *object, const char *key,
                         struct warren_bytes text)
{
    if (text.data)
        dump_json_put_text(json, object, key, text);
    else
        dump_json_put(json, object, key, json_null());
}

static json_t *report_json(struct dump_json *json, const struct report *report)
{
    const struct warren_test_attempt *attempt = report->attempt;
    json_t *object = json_object();
    json_t *list = json_array();
    json_t *delay =
        attempt->retry_after_ms < 0 ? json_null() : json_integer(attempt->retry_after_ms);

    for (size_t i = 0; i < attempt->published_count; i++)
        if (json_array_append_new(list, published_json(json, &attempt->published[i])) < 0)
            json->status = WARREN_ENOMEM;
    dump_json_put_text(json, object, "handler", warren_text(report->handler));
    dump_json_put_text(json, object, "queue", warren_text(report->dump->queue));
    put_optional(json, object, "message_id",
                 arena_bytes(report->dump->texts, report->dump->message.properties.message_id));
    dump_json_put(json, object, "attempt", json_integer(attempt->attempt));
    dump_json_put_text(json, object, "outcome", warren_text(warren_outcome_name(attempt->outcome)));
    put_optional(json, object, "error", arena_bytes(NULL, attempt->error));
    dump_json_put(json, object, "retry_after_ms", delay);
    dump_json_put(json, object, "forgiven", json_boolean(attempt->forgiven));
    dump_json_put(json, object, "time_us", json_integer(report->took_us));
    dump_json_put(json, object, "published", list);
    return object;
}

/* One line on stdout. @return WARREN_OK; WARREN_ENOMEM or WARREN_EINVAL */
static enum warren_status print_json(const struct report *report)
{
    struct dump_json json = {.texts = testing_texts(report->test)};
    json_t *object = report_json(&json, report);

    if (json.status == WARREN_OK)
        cli_print_json(object);
    else
        json_decref(object);
    return json.status;
}

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
    struct report report = {.dump = dump, .test = test, .handler = warren_test_handler(test)};
    int64_t begun_ns = clock_now_ns(clock_monotonic());

    report.attempt = warren_test_run(test);
    report.took_us = (clock_now_ns(clock_monotonic()) - begun_ns) / 1000;
    if (!invocation->json)
        report_text(&report, stdout);
    else if (print_json(&report) != WARREN_OK)
        return cli_failed(invocation->cli, "the result cannot be written as JSON");
    return is_good(report.attempt->outcome) ? CLI_OK : CLI_FAILED;
}

static uint32_t attempt_of(const struct invocation *invocation, const struct dump_message *dump)
{
    if (invocation->attempt > 0)
        return (uint32_t)invocation->attempt;
    if (dump->attempts == 0)
        return 0;
    return dump->attempts < UINT32_MAX ? dump->attempts + 1 : UINT32_MAX;
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
