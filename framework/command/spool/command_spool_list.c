#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "command/cli/cli.h"
#include "command/cli/print.h"
#include "command/spool/command_spool.h"

#define MAX_DEFAULT 100

/* Columns; an id is mostly a UUID. */
#define EXCHANGE_WIDTH 20
#define ID_WIDTH       36

struct listing {
    bool refused;
    uint64_t max;
    bool json;
    uint64_t count;
    int64_t now_ms;
    json_t *all; /* with --json */
};

static const struct cli_option options[] = {
    CLI_FLAG("refused", 'r', "Only those that the broker refused", struct listing, refused),
    CLI_NUMBER("max", 'n', "At most N messages (100)", "N", 1, INT64_MAX, struct listing, max),
    CLI_FLAG("json", 'j', "Print one JSON object", struct listing, json), CLI_END};

static void write_cells(struct warren_bytes exchange, struct warren_bytes routing_key,
                        struct warren_bytes message_id)
{
    const struct {
        struct warren_bytes text;
        int width;
    } cells[] = {{exchange, EXCHANGE_WIDTH}, {routing_key, CLI_NAME_WIDTH}, {message_id, ID_WIDTH}};

    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (cells[i].text.len > 0)
            cli_write_cell(cells[i].text.data, cells[i].text.len, cells[i].width);
        else
            cli_write_cell("-", 1, cells[i].width);
}

static void write_headings(void)
{
    printf("%8s  %8s  %8s  ", "ID", "AGE", "BYTES");
    write_cells(warren_text("EXCHANGE"), warren_text("ROUTING KEY"), warren_text("MESSAGE ID"));
    puts("REFUSED");
}

static void write_row(const struct listing *l, const struct spool_message *message)
{
    const char *refused = message->refused ? message->refused : message->unsound;
    char age[CLI_TIME_SIZE];

    cli_age_text(clock_minus_ms(l->now_ms, message->at_ms) / 1000, age);
    printf("%8" PRId64 "  %8s  %8zu  ", message->id, age, message->body.len);
    write_cells(message->exchange, message->routing_key, message->message_id);
    cli_write_safe(stdout, refused ? refused : "-", refused ? strlen(refused) : 1);
    putchar('\n');
}

static bool on_message(void *user, const struct spool_message *message)
{
    struct listing *l = user;

    if (l->count == l->max)
        return false;
    l->count++;
    if (l->all)
        json_array_append_new(l->all, spool_message_json(message));
    else
        write_row(l, message);
    return true;
}

static void write_head(const char *path, const struct spool_totals *totals, int64_t now_ms)
{
    char age[CLI_TIME_SIZE] = "";

    printf("%s: %" PRId64 " to be sent, %" PRId64 " refused, %" PRId64 " bytes", path,
           totals->messages, totals->refused, totals->bytes);
    if (totals->oldest_ms > 0) {
        cli_age_text((now_ms - totals->oldest_ms) / 1000, age);
        printf(", the oldest from %s ago", age);
    }
    putchar('\n');
    if (totals->messages + totals->refused > 0)
        write_headings();
}

static void print_json(struct listing *l, const char *path, const struct spool_totals *totals)
{
    cli_print_json(json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "file", cli_json_text(path),
                             "to_send", (json_int_t)totals->messages, "refused",
                             (json_int_t)totals->refused, "bytes", (json_int_t)totals->bytes,
                             "oldest", cli_json_time(totals->oldest_ms / 1000), "messages",
                             l->all));
}

static void write_rest(const struct listing *l, const struct spool_totals *totals)
{
    uint64_t all = (uint64_t)(totals->refused + (l->refused ? 0 : totals->messages));

    if (l->count < all && l->count == l->max)
        printf("%8s and %" PRIu64 " more (--max)\n", "", all - l->count);
}

static enum cli_status list(struct cli *cli, struct listing *l, const char *path,
                            struct spool *spool)
{
    struct warren_error error = {WARREN_OK, ""};
    struct spool_totals totals;

    if (spool_count(spool, &totals, &error) != WARREN_OK) {
        json_decref(l->all);
        return cli_error(cli, &error);
    }
    if (!l->all)
        write_head(path, &totals, l->now_ms);
    if (spool_read(spool, INT64_MIN, l->refused ? SPOOL_REFUSED : SPOOL_ALL, false, on_message, l,
                   &error) != WARREN_OK) {
        json_decref(l->all);
        return cli_error(cli, &error);
    }
    if (l->all)
        print_json(l, path, &totals);
    else
        write_rest(l, &totals);
    return CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct listing l = {.max = MAX_DEFAULT, .now_ms = (int64_t)time(NULL) * 1000};
    struct spool *spool = NULL;
    enum cli_status status;
    const char *path;

    if (!cli_read(cli, &l))
        return cli->status;
    status = spool_command_open(cli, false, &path, &spool);
    if (status == CLI_OK)
        status = cli_end(cli, "");
    if (status == CLI_OK) {
        l.all = l.json ? json_array() : NULL;
        status = list(cli, &l, path, spool);
    }
    spool_close(spool);
    return status;
}

const struct command command_spool_list = {
    .name = "spool list",
    .arguments = "[OPTION...] FILE",
    .summary = "List the messages that wait on disk for the broker",
    .options = options,
    .run = run,
    .details = "FILE is the spool.path of a worker, or the file of warren publish --spool. A "
               "publisher may\n"
               "use it meanwhile.\n\n"
               "Examples:\n"
               "  warren spool list /var/lib/payments/spool.db\n"
               "  warren spool list /var/lib/payments/spool.db --refused --json\n",
};
