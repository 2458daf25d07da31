#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "command/cli/message_options.h"
#include "command/cli/print.h"
#include "command/cli/progress.h"
#include "command/spool/command_spool.h"

/* Waits are cut into slices, between which it is seen whether there is progress. */
#define SLICE_MS 100

#define CLOSE_MS 5000

struct flush {
    struct message_options options; /* first */
    const char *path;
    bool refused;
    bool json;
    bool quiet;
    bool handed_over; /* a publisher has the file, and sends what was refused by itself */
    struct warren_publisher *publisher;
    atomic_uint_fast64_t results[WARREN_SPOOLED + 1];
};

static const struct cli_option options[] = {
    CLI_FLAG("refused", 'r', "Send again what the broker refused, too", struct flush, refused),
    BROKER_KEY("timeout", 't', "Give up after this time without any progress (30s)", "TIME",
               "publisher.timeout"),
    CLI_ROWS(message_broker_rows),
    CLI_FLAG("json", 'j', "Print the summary as one JSON object", struct flush, json),
    CLI_FLAG("quiet", 'Q', "Print only errors", struct flush, quiet),
    CLI_END};

static void on_end(const struct warren_receipt *receipt, void *user)
{
    struct flush *f = user;
    char id[CLI_SAFE_ID_SIZE];

    cli_safe_id(receipt->message_id_bytes, id);
    if (receipt->result == WARREN_RETURNED && atomic_load(&f->results[receipt->result]) == 0)
        cli_warn(f->options.cli, "message %s: %s: %u %s", id, warren_result_name(receipt->result),
                 receipt->reply_code, receipt->reply_text);
    atomic_fetch_add(&f->results[receipt->result], 1);
}

static uint64_t ended(const struct flush *f)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= WARREN_SPOOLED; i++)
        sum += f->results[i];
    return sum;
}

/* ---- before ---- */

static enum warren_status take_refused(struct spool *spool, int64_t *ret_count,
                                       struct warren_error *error)
{
    struct spool_choice choice = {.count = 0};
    enum warren_status status = spool_choose(&choice, spool, SPOOL_REFUSED, NULL, error);

    *ret_count = 0;
    if (status == WARREN_OK)
        status = spool_choice_change(&choice, spool, spool_unrefuse, ret_count, error);
    spool_choice_done(&choice);
    return status;
}

static void report_handed_over(const struct flush *f, int64_t count)
{
    if (f->json)
        cli_print_json(json_pack("{s:o, s:I}", "file", cli_json_text(f->path), "in_line_again",
                                 (json_int_t)count));
    else if (!f->quiet)
        printf("%s: %" PRId64 " refused message%s in line again, for the publisher that has it\n",
               f->path, count, spool_plural(count));
}

/* Is there anything that this process is to send? */
static enum cli_status look_after(struct flush *f, struct spool *spool)
{
    struct warren_error error = {WARREN_OK, ""};
    int64_t count = 0;
    bool taken;

    if (f->refused && take_refused(spool, &count, &error) != WARREN_OK)
        return cli_error(f->options.cli, &error);
    if (spool_claim(spool, &taken, &error) == WARREN_OK)
        return CLI_OK;
    if (!taken || !f->refused)
        return cli_error(f->options.cli, &error);
    f->handed_over = true;
    report_handed_over(f, count);
    return CLI_OK;
}

/* The file is opened here first, so that a wrong one is reported before a broker is looked for. */
static enum cli_status prepare(struct flush *f)
{
    struct cli *cli = f->options.cli;
    struct spool *spool = NULL;
    enum cli_status status = spool_command_open(cli, true, &f->path, &spool);

    if (status == CLI_OK)
        status = cli_end(cli, "");
    if (status == CLI_OK)
        status = look_after(f, spool);
    spool_close(spool);
    return status;
}

/* ---- sending ---- */

/* @return false: nothing more was sent for @patience_ms */
static bool wait_until_sent(struct flush *f, int64_t patience_ms, struct progress *progress)
{
    uint64_t before = ended(f);
    int64_t since_ms = progress_now_ms();

    while (warren_publisher_flush(f->publisher, SLICE_MS) != WARREN_OK) {
        uint64_t now_ended = ended(f);

        progress_update(progress, now_ended, NULL);
        if (now_ended != before)
            since_ms = progress_now_ms();
        before = now_ended;
        if (progress_now_ms() - since_ms >= patience_ms)
            return false;
    }
    return true;
}

static void print_summary(const struct flush *f, const struct warren_publisher_stats *stats)
{
    uint64_t confirmed = f->results[WARREN_CONFIRMED];

    if (f->json) {
        cli_print_json(json_pack("{s:o, s:I, s:I, s:I, s:I}", "file", cli_json_text(f->path),
                                 "expired", (json_int_t)stats->spool_expired, "confirmed",
                                 (json_int_t)confirmed, "refused", (json_int_t)stats->spool_refused,
                                 "left", (json_int_t)stats->spool_messages));
    } else if (!f->quiet) {
        printf("%s: confirmed %" PRIu64 ", refused %" PRIu64 ", left %" PRIu64, f->path, confirmed,
               stats->spool_refused, stats->spool_messages);
        if (stats->spool_expired > 0)
            printf(", expired %" PRIu64, stats->spool_expired);
        putchar('\n');
    }
}

/* What was removed for its age is lost, whatever became of the others. */
static enum cli_status tell_expired(struct flush *f, enum cli_status result)
{
    uint64_t expired = f->results[WARREN_EXPIRED] + f->results[WARREN_TIMEOUT];

    if (expired == 0)
        return result;
    return cli_failed(f->options.cli,
                      "%" PRIu64 " message%s waited for longer than spool.max_age and %s removed",
                      expired, spool_plural((int64_t)expired), expired == 1 ? "is" : "are");
}

static enum cli_status send_all(struct flush *f, uint32_t timeout_ms)
{
    struct cli *cli = f->options.cli;
    struct warren_publisher_stats stats;
    struct warren_error error = {WARREN_OK, ""};
    struct progress progress;
    bool connected;

    warren_publisher_stats(f->publisher, &stats);
    if (stats.spool_messages == 0) {
        print_summary(f, &stats);
        return stats.spool_refused == 0 ? CLI_OK : CLI_FAILED;
    }
    connected = warren_publisher_wait_connected(f->publisher, timeout_ms, &error) == WARREN_OK;
    if (!connected)
        return cli_failed(cli, "no connection to the broker: %s", error.text);
    progress_init(&progress, stats.spool_messages, f->quiet);
    connected = wait_until_sent(f, timeout_ms, &progress);
    progress_end(&progress);
    warren_publisher_stats(f->publisher, &stats);
    print_summary(f, &stats);
    if (!connected)
        return cli_failed(cli, "%" PRIu64 " message%s could not be sent; they stay in %s",
                          stats.spool_messages, spool_plural((int64_t)stats.spool_messages),
                          f->path);
    return stats.spool_refused == 0 ? CLI_OK : CLI_FAILED;
}

static enum cli_status flush_with_config(struct flush *f)
{
    struct warren_publisher_options publisher;
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    enum cli_status result =
        message_options_publisher(&f->options, "warren spool flush", &config, &publisher);

    if (result != CLI_OK)
        return result;
    publisher.spool_path = f->path;
    publisher.spool_max_age_ms = (uint64_t)config->spool.max_age_ms;
    publisher.spool_receipt = on_end;
    publisher.spool_user = f;
    if (warren_publisher_new(&publisher, &f->publisher, &error) == WARREN_OK) {
        result = send_all(f, publisher.timeout_ms > 0 ? publisher.timeout_ms : UINT32_MAX);
        /* Its last receipts come before it returns. */
        warren_publisher_close(f->publisher, result == CLI_OK ? CLOSE_MS : 0);
        result = tell_expired(f, result);
    } else {
        result = cli_error(f->options.cli, &error);
    }
    config_free(config);
    return result;
}

/* ---- the command line ---- */

static enum cli_status run(struct cli *cli)
{
    struct flush f = {.refused = false};
    enum cli_status result;

    if (!message_options_take(&f.options, cli, "publisher.timeout=30s"))
        return cli->status;
    result = prepare(&f);
    if (result == CLI_OK && !f.handed_over)
        result = flush_with_config(&f);
    message_options_done(&f.options);
    return result;
}

const struct command command_spool_flush = {
    .name = "spool flush",
    .arguments = "[OPTION...] FILE",
    .summary = "Send the messages that wait on disk, and wait for the broker's confirms",
    .options = options,
    .run = run,
    .details = "A worker that runs sends its messages by itself, and no other may meanwhile; "
               "but --refused\n"
               "puts what was refused in line again, behind all others, and the worker sends it. "
               "What has waited\n"
               "longer than spool.max_age (of -c or --set; no limit otherwise) is removed, and "
               "reported.\n\n" BROKER_HELP "\n"
               "Exit status: 0 if nothing is left, refused or removed for its age, 1 if something "
               "is, 2 for\n"
               "a wrong command line.\n\n"
               "Example:\n"
               "  warren spool flush -c worker.yaml /var/lib/payments/spool.db --refused\n",
};
